import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rakuten.categories import CODES, NUM_CATEGORIES
from rakuten.evaluation import audit, similarity

VOCABULARY = """
piscine coussin livre console figurine housse jardin lampe carnet robot tondeuse bassin manette
drone poupée puzzle berceau tapis rideau chaise parasol filtre pompe bâche
"""
WORDS = VOCABULARY.split()
PARTS = np.array(["train", "validation", "test"])
TEXT_COLUMNS = ["id", "part", "train_id", "similarity", "same_label"]


def texts_of_products(count: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ids in random order, texts of which a third repeat another but for a word, labels, parts."""
    generator = np.random.default_rng(3)
    texts = [" ".join(generator.choice(WORDS, 8)) for _ in range(count)]
    for row in range(0, count, 3):
        words = texts[(row + 1) % count].split()
        words[int(generator.integers(8))] = str(generator.choice(WORDS))
        texts[row] = " ".join(words)
    texts[4] = texts[9] = ""
    ids = 100 + generator.permutation(count)
    return ids, np.array(texts, dtype=object), ids % 3, generator.choice(PARTS, count)


def grams(text: str) -> Counter:
    """Count the character 4-grams inside words, word ends included."""
    counts = Counter()
    for word in text.lower().split():
        padded = f" {word} "
        counts.update(padded[at : at + 4] for at in range(max(len(padded) - 3, 1)))
    return counts


def naive_texts(ids, texts, labels, parts, threshold) -> pd.DataFrame:
    """Compare every product with every train product, gram by gram."""
    train = [row for row in np.argsort(ids) if parts[row] == "train"]
    occurs = Counter(gram for row in train for gram in grams(texts[row]))
    seen = Counter(gram for row in train for gram in set(grams(texts[row])))
    assert occurs.keys() == seen.keys()

    def weigh(text):
        weights = {
            gram: (1 + math.log(count)) * (1 + math.log((1 + len(train)) / (1 + seen[gram])))
            for gram, count in grams(text).items()
        }
        length = math.sqrt(sum(weight**2 for weight in weights.values()))
        return {gram: weight / length for gram, weight in weights.items()}

    records = []
    for row in np.argsort(ids):
        if parts[row] == "train":
            continue
        own, best = weigh(texts[row]), (0.0, None)
        for other in train:
            theirs = weigh(texts[other])
            cosine = round(sum(own[gram] * theirs.get(gram, 0) for gram in own), 6)
            if cosine > best[0] + 5e-7:
                best = (cosine, other)
        if best[0] >= threshold:
            twin = best[1]
            records.append((ids[row], parts[row], ids[twin], best[0], labels[row] == labels[twin]))
    return pd.DataFrame(records, columns=TEXT_COLUMNS)


def find_texts(ids, texts, labels, parts, similarity=0.6, threads=2, **options) -> pd.DataFrame:
    return audit.near_duplicate_texts(
        ids, texts, labels, parts, text_similarity=similarity, threads=threads, **options
    )


def test_texts_equal_a_naive_search():
    ids, texts, labels, parts = texts_of_products()
    expected = naive_texts(ids, texts, labels, parts, 0.6)
    found = find_texts(ids, texts, labels, parts)
    assert 5 < len(found) < (parts != "train").sum()
    pd.testing.assert_frame_equal(
        found, expected, check_dtype=False, check_exact=False, rtol=0, atol=2e-6
    )


def test_a_planted_near_duplicate_is_found_and_another_product_is_not():
    texts = [
        "Housse de coussin motif baleine bleue en lin pour canapé 45 x 45 cm",
        "Jeu de société en bois, 120 pièces, dès 6 ans",
        "HOUSSE de coussin motif baleine bleue en lin pour canapé 40 x 40 cm",
        "Pompe de filtration pour piscine hors sol",
        "Jeu de société en bois, 120 pièces, dès 6 ans",
    ]
    parts = np.array(["train", "train", "test", "test", "validation"])
    found = find_texts(np.array([7, 8, 9, 10, 11]), texts, np.array([1, 2, 1, 3, 4]), parts, 0.8)
    assert found["id"].tolist() == [9, 11]
    assert found["part"].tolist() == ["test", "validation"]
    assert found["train_id"].tolist() == [7, 8]
    assert found["same_label"].tolist() == [True, False]
    assert 0.8 < found["similarity"][0] < 1
    assert found["similarity"][1] == 1


def test_of_equal_texts_the_smallest_id_counts_wherever_it_stands():
    texts = ["bâche de piscine ronde"] * 4
    parts = np.array(["train", "test", "train", "train"])
    found = find_texts(np.array([30, 1, 10, 20]), texts, np.array([0, 0, 0, 0]), parts)
    assert found["train_id"].tolist() == [10]


def test_a_similarity_of_one_finds_equal_texts_alone():
    texts = ["bâche de piscine ronde", "Bâche  de piscine ronde", "bâche de piscine rondes"]
    parts = np.array(["train", "test", "test"])
    found = find_texts(np.arange(3), texts, np.zeros(3, int), parts, similarity=1)
    assert found["id"].tolist() == [1]


def test_words_that_train_never_saw_are_differences():
    texts = ["lampe de chevet", "lampe de chevet wolframite xylographe"]
    parts = np.array(["train", "test"])
    found = find_texts(np.array([1, 2]), texts, np.array([0, 0]), parts, similarity=0.01)
    assert 0.2 < found["similarity"][0] < 0.7


def test_permuting_products_changes_no_text_pair():
    ids, texts, labels, parts = texts_of_products()
    order = np.random.default_rng(8).permutation(len(ids))
    pd.testing.assert_frame_equal(
        find_texts(ids[order], texts[order], labels[order], parts[order]),
        find_texts(ids, texts, labels, parts),
    )


def test_blocks_threads_and_a_bar_change_no_text_pair(monkeypatch):
    ids, texts, labels, parts = texts_of_products()
    expected = find_texts(ids, texts, labels, parts, threads=1)
    monkeypatch.setattr(similarity, "BLOCK", 7)
    seen = {}

    def bar(items, **options):
        seen.update(options)
        return items

    found = find_texts(ids, texts, labels, parts, threads=3, progress=bar)
    pd.testing.assert_frame_equal(found, expected)
    assert seen["total"] == math.ceil((parts != "train").sum() / 7)


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_part_alone_has_no_text_pairs(part):
    ids, texts, labels, _ = texts_of_products(12)
    found = find_texts(ids, texts, labels, np.full(12, part))
    assert found.columns.tolist() == TEXT_COLUMNS
    assert found.empty


def test_no_products_have_no_pairs():
    nothing = np.zeros(0, np.int64)
    parts = np.zeros(0, dtype=str)
    assert find_texts(nothing, [], nothing, parts).empty
    found, counts = find_images(nothing, nothing.astype(np.uint64), nothing, parts, nothing > 0)
    assert found.empty
    assert counts == {"pictures": 0, "flat": 0}


def test_empty_texts_resemble_nothing():
    parts = np.array(["train", "train", "test", "test"])
    texts = ["", "lampe", "", "   "]
    assert find_texts(np.arange(4), texts, np.zeros(4, int), parts, similarity=0.001).empty


@pytest.mark.parametrize("similarity", [0, -0.1, 1.01])
def test_an_impossible_similarity_is_refused(similarity):
    ids, texts, labels, parts = texts_of_products(12)
    with pytest.raises(ValueError, match=f"text_similarity .* received {similarity}"):
        find_texts(ids, texts, labels, parts, similarity=similarity)


def photograph(seed: int, size: int = 200) -> np.ndarray:
    """A picture of soft blots, uint8 (size, size, 3)."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC))


def test_the_hash_reads_the_lowest_frequencies():
    """One wave down the picture: of all but the even part, only its coefficient is above 0."""
    wave = np.cos(np.pi * 2 * (np.arange(32) + 0.5) / 32)
    pixels = np.repeat((127.5 + 100 * wave)[:, None, None], 32, axis=1).round().astype(np.uint8)
    pixels = np.repeat(pixels, 3, axis=2)
    found = int(audit.perceptual_hash(pixels))
    assert found >> 63 == 1
    assert found >> 47 & 1 == 1  # row 2, column 0
    assert found & 0x7F7F7F7F7F7F7F7F == 0  # nothing varies along a row
    assert audit.perceptual_hash(Image.fromarray(pixels)) == found
    assert isinstance(audit.perceptual_hash(pixels), np.uint64)


def test_the_hash_outlasts_scaling_and_tells_pictures_apart():
    first = audit.perceptual_hash(photograph(1))
    small = np.asarray(Image.fromarray(photograph(1)).resize((90, 90)))
    assert np.bitwise_count(first ^ audit.perceptual_hash(small)) <= 4
    assert np.bitwise_count(first ^ audit.perceptual_hash(photograph(2))) > 12


def test_the_box_is_all_that_is_hashed():
    framed = np.full((300, 260, 3), 255, np.uint8)
    framed[40:240, 30:230] = photograph(5)
    inside = audit.perceptual_hash(framed, (30, 40, 230, 240))
    assert inside == audit.perceptual_hash(photograph(5))
    assert inside != audit.perceptual_hash(framed)


@pytest.mark.parametrize("shade", [0, 127, 255])
def test_blank_pictures_have_no_structure(shade):
    blank = audit.perceptual_hash(np.full((50, 70, 3), shade, np.uint8))
    assert blank in (0, 1 << 63)
    assert not audit.has_structure(np.array([blank]), min_structure=2)[0]


def test_structure_counts_bits_of_either_kind():
    hashes = np.array([0, 0b111, 2**64 - 1, 2**64 - 8, 0xFF00FF00], dtype=np.uint64)
    told = {m: audit.has_structure(hashes, min_structure=m).tolist() for m in (0, 3, 4)}
    assert told[0] == [True] * 5
    assert told[3] == [False, True, False, True, True]
    assert told[4] == [False, False, False, False, True]


def find_images(ids, hashes, labels, parts, present, distance=3, structure=8):
    return audit.near_duplicate_images(
        ids, hashes, labels, parts, present, hash_distance=distance, min_structure=structure
    )


def hashes_of_products(count: int = 150) -> tuple[np.ndarray, ...]:
    """Ids in random order, hashes of which a third differ in a few bits, labels, parts, present."""
    generator = np.random.default_rng(4)
    hashes = generator.integers(0, 2**64, count, dtype=np.uint64)
    for row in range(0, count, 3):
        bits = generator.choice(64, int(generator.integers(0, 7)), replace=False)
        hashes[row] = hashes[(row + 1) % count] ^ np.uint64(sum(1 << int(bit) for bit in bits))
    hashes[5::20] = 0  # blank pictures
    hashes[6::20] = 2**64 - 1
    ids = 100 + generator.permutation(count)
    present = generator.random(count) < 0.9
    return ids, hashes, ids % 3, generator.choice(PARTS, count), present


def naive_images(ids, hashes, labels, parts, present, distance, structure) -> list[tuple]:
    """Compare every product with every train product, bit by bit."""

    def usable(row):
        ones = bin(hashes[row]).count("1")
        return present[row] and structure <= ones <= 64 - structure

    found = []
    for row in np.argsort(ids):
        best = (distance + 1, None)
        for other in np.argsort(ids):
            if parts[row] == "train" or parts[other] != "train":
                continue
            differing = bin(int(hashes[row]) ^ int(hashes[other])).count("1")
            if usable(row) and usable(other) and differing < best[0]:
                best = (differing, other)
        if best[1] is not None:
            same = labels[row] == labels[best[1]]
            found.append((ids[row], parts[row], ids[best[1]], best[0], same))
    return found


@pytest.mark.parametrize("distance", [0, 3, 6, 30])
def test_images_equal_a_naive_search(distance):
    products = hashes_of_products()
    found, counts = find_images(*products, distance=distance)
    expected = naive_images(*products, distance, 8)
    assert list(found.itertuples(index=False, name=None)) == expected
    assert found.columns.tolist() == ["id", "part", "train_id", "distance", "same_label"]
    assert len(found) > 0
    present, blank = products[4], np.isin(products[1], np.array([0, 2**64 - 1], np.uint64))
    assert counts == {"pictures": present.sum(), "flat": (present & blank).sum()}


def test_blank_pictures_make_no_flood():
    hashes = np.zeros(50, np.uint64)
    parts = np.array(["train", "test"] * 25)
    found, counts = find_images(np.arange(50), hashes, np.zeros(50, int), parts, np.ones(50, bool))
    assert found.empty
    assert counts == {"pictures": 50, "flat": 50}


def test_permuting_products_changes_no_image_pair(monkeypatch):
    products = hashes_of_products()
    expected, counts = find_images(*products)
    order = np.random.default_rng(8).permutation(len(products[0]))
    monkeypatch.setattr(audit, "_HASH_BLOCK", 7)
    found, again = find_images(*(values[order] for values in products))
    pd.testing.assert_frame_equal(found, expected)
    assert again == counts


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_part_alone_has_no_image_pairs(part):
    ids, hashes, labels, _, present = hashes_of_products(30)
    found, _ = find_images(ids, hashes, labels, np.full(30, part), present, distance=64)
    assert found.empty


@pytest.mark.parametrize("distance", [-1, 65])
def test_an_impossible_distance_is_refused(distance):
    with pytest.raises(ValueError, match=f"0 to 64 bits, received {distance}"):
        find_images(*hashes_of_products(6), distance=distance)


def test_pictures_are_hashed_without_their_border_whatever_the_threads(tmp_path):
    """Three products, the middle one without a picture; its name is not asked for."""
    framed = np.full((300, 300, 3), 255, np.uint8)
    framed[40:240, 30:230] = photograph(5)
    files = {}
    for name, pixels in (("a", photograph(1)), ("c", framed)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        files[name] = (tmp_path / f"{name}.png").read_bytes()
    facts = pd.DataFrame(
        [[True, 0, 0, 200, 200], [False, 0, 0, 0, 0], [True, 30, 40, 230, 240]],
        columns=["has_image", "left", "top", "right", "bottom"],
    )
    for threads in (1, 3):
        hashes = audit.hash_pictures(files.__getitem__, ["a", "b", "c"], facts, threads=threads)
        assert hashes.dtype == np.uint64
        expected = [audit.perceptual_hash(photograph(1)), 0, audit.perceptual_hash(photograph(5))]
        assert hashes.tolist() == expected


def pairs(ids, labels_agree) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "same_label": labels_agree})


def test_summary_counts_literally():
    ids = np.arange(10)
    parts = np.array(["train"] * 3 + ["validation"] * 2 + ["test"] * 5)
    texts, images = pairs([4, 5, 6], [True, True, False]), pairs([6, 9], [True, False])
    summary = audit.leakage_summary(ids, parts, texts, images)
    assert summary["train"] == {"products": 3}
    assert summary["validation"] == {
        "products": 2,
        "text": 1,
        "text_share": 0.5,
        "text_other_label": 0,
        "image": 0,
        "image_share": 0.0,
        "image_other_label": 0,
        "either": 1,
        "either_share": 0.5,
        "either_other_label": 0,
    }
    test = summary["test"]
    assert [test[kind] for kind in audit.KINDS] == [2, 2, 3]
    assert [test[f"{kind}_share"] for kind in audit.KINDS] == [0.4, 0.4, 0.6]
    assert [test[f"{kind}_other_label"] for kind in audit.KINDS] == [1, 1, 2]
    assert audit.sentence(summary) == (
        "60.0 % of 5 test products have a near-duplicate in train (text 40.0 %, image 40.0 %)"
    )


def test_summary_of_no_test_part():
    ids, labels = np.arange(3), np.zeros(3, int)
    parts = np.full(3, "train")
    texts = find_texts(ids, ["a", "a", "b"], labels, parts)
    images, _ = find_images(ids, np.zeros(3, np.uint64), labels, parts, np.ones(3, bool))
    summary = audit.leakage_summary(ids, parts, texts, images)
    assert summary["test"]["products"] == summary["test"]["either"] == 0
    assert summary["test"]["either_share"] is None
    assert audit.sentence(summary) == "no test products to look for in train"


def test_leakage_flatters_a_model_that_learned_by_heart():
    ids = np.arange(10)
    texts, images = pairs([0, 1, 2, 99], [True] * 4), pairs([2, 3], [True] * 2)
    correct = {
        "by heart": np.isin(ids, [0, 1, 2, 3]),
        "absent": np.full(10, np.nan),
        "partly": np.array([1, 0, np.nan, 1, 1, 0, 1, 0, np.nan, 1]),
    }
    table = audit.leakage_table(ids, correct, texts, images).set_index(["model", "near_duplicate"])
    assert table.loc[("by heart", "either")].to_dict() == {
        "rows": 10,
        "accuracy": 0.4,
        "rows_with": 4,
        "accuracy_with": 1.0,
        "rows_without": 6,
        "accuracy_without": 0.0,
        "flattered_by": 0.4,
    }
    text = table.loc[("partly", "text")]
    assert text[["rows", "rows_with", "rows_without"]].tolist() == [8, 2, 6]
    assert text["accuracy_with"] == 0.5
    assert text["accuracy_without"] == round(4 / 6, 6)
    assert table.loc["absent", "rows"].tolist() == [0, 0, 0]
    assert table.loc["absent", "flattered_by"].isna().all()
    assert len(audit.leakage_table(ids, {}, texts, images)) == 0


def predictions(count: int = 400, wrong: int = 12) -> tuple[np.ndarray, ...]:
    """Ids, labels of which the first few are wrong, and probabilities of a model that is right.

    It is surer of the wrong ones than of most others: only what reaches a threshold is suspected.
    """
    generator = np.random.default_rng(6)
    true = generator.integers(0, 5, count)
    sure = np.where(np.arange(count) < wrong, 0.95, 0.7)
    probabilities = generator.dirichlet(np.full(NUM_CATEGORIES, 0.05), count)
    probabilities *= (1 - sure)[:, None]
    probabilities[np.arange(count), true] += sure
    labels = true.copy()
    labels[:wrong] = (true[:wrong] + 1) % 5
    ids = 1000 + generator.permutation(count)
    return ids, labels, probabilities.astype(np.float32)


def naive_suspects(ids, labels, probabilities) -> list[tuple[int, int, int]]:
    """Read the definition: id, given and suggested class."""
    thresholds = {}
    for label in set(labels.tolist()):
        thresholds[label] = np.mean(
            [float(probabilities[row, label]) for row in range(len(ids)) if labels[row] == label]
        )
    found = []
    for row, given in enumerate(labels.tolist()):
        likely = [
            (float(probabilities[row, label]), -label)
            for label, threshold in thresholds.items()
            if probabilities[row, label] >= threshold
            and probabilities[row, label] > probabilities[row, given]
        ]
        if likely:
            margin = max(likely)[0] - float(probabilities[row, given])
            found.append((-round(margin, 6), ids[row], given, -max(likely)[1]))
    return [entry[1:] for entry in sorted(found)]


def test_planted_label_errors_are_found():
    ids, labels, probabilities = predictions()
    table, classes = audit.suspect_labels(ids, labels, probabilities)
    assert set(table["id"]) == set(ids[:12])
    given = dict(zip(ids.tolist(), np.take(CODES, labels).tolist(), strict=True))
    assert table["given"].tolist() == [given[product] for product in table["id"]]
    suggested = dict(zip(ids.tolist(), probabilities.argmax(axis=1).tolist(), strict=True))
    assert table["suggested"].tolist() == [CODES[suggested[product]] for product in table["id"]]
    assert (table["margin"].diff().dropna() <= 0).all()
    assert classes["suspected"].sum() == 12
    assert classes["rows"].tolist() == np.bincount(labels, minlength=NUM_CATEGORIES).tolist()


def test_suspects_equal_the_definition():
    generator = np.random.default_rng(2)
    ids, labels = generator.permutation(300), generator.integers(0, 27, 300)
    probabilities = generator.dirichlet(np.full(NUM_CATEGORIES, 0.2), 300)
    probabilities[np.arange(300), labels] += generator.random(300)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    table, classes = audit.suspect_labels(ids, labels, probabilities)
    expected = naive_suspects(ids, labels, probabilities)
    assert 20 < len(expected) < 280
    found = table[["id", "given", "suggested"]].to_numpy().tolist()
    assert found == [[i, CODES[given], CODES[other]] for i, given, other in expected]
    margin = table["probability_suggested"] - table["probability_given"]
    np.testing.assert_allclose(table["margin"], margin, atol=2e-6)
    assert classes["suspected"].sum() == len(expected)


def test_a_class_is_suggested_only_from_its_own_threshold_on():
    """Both of class 1 are given 0.6 for it: 0.6 suffices to suggest it, 0.5 does not."""
    probabilities = np.zeros((4, NUM_CATEGORIES))
    probabilities[:, :3] = [[0.1, 0.6, 0.3], [0.2, 0.6, 0.2], [0.4, 0.6, 0], [0.3, 0.5, 0.2]]
    ids = np.array([4, 3, 2, 1])
    table, classes = audit.suspect_labels(ids, np.array([1, 1, 0, 0]), probabilities)
    assert table[["id", "given", "suggested"]].to_numpy().tolist() == [[2, CODES[0], CODES[1]]]
    assert table["margin"].tolist() == [0.2]
    assert classes["threshold"].tolist()[:2] == [0.35, 0.6]
    assert classes["threshold"][2:].isna().all()
    assert classes["share"].tolist()[:2] == [0.5, 0.0]


def test_the_most_probable_class_is_passed_over_below_its_threshold():
    probabilities = np.zeros((3, NUM_CATEGORIES))
    probabilities[:, :3] = [[0.1, 0.5, 0.4], [0.1, 0.9, 0], [0.6, 0, 0.4]]
    table, _ = audit.suspect_labels(np.arange(3), np.array([0, 1, 2]), probabilities)
    assert table[["id", "suggested"]].to_numpy().tolist() == [[0, CODES[2]], [2, CODES[0]]]


def test_permuting_products_changes_no_suspect():
    ids, labels, probabilities = predictions()
    order = np.random.default_rng(9).permutation(len(ids))
    permuted = audit.suspect_labels(ids[order], labels[order], probabilities[order])
    for table, expected in zip(
        permuted, audit.suspect_labels(ids, labels, probabilities), strict=True
    ):
        pd.testing.assert_frame_equal(table, expected)


def test_products_without_probabilities_are_left_out():
    ids, labels, probabilities = predictions()
    probabilities[3] = np.nan
    table, classes = audit.suspect_labels(ids, labels, probabilities)
    kept = np.arange(len(ids)) != 3
    expected = audit.suspect_labels(ids[kept], labels[kept], probabilities[kept])
    pd.testing.assert_frame_equal(table, expected[0])
    pd.testing.assert_frame_equal(classes, expected[1])


def test_one_class_has_no_suspects():
    _, _, probabilities = predictions(20)
    table, classes = audit.suspect_labels(np.arange(20), np.full(20, 3), probabilities)
    assert table.empty
    assert classes["suspected"].sum() == 0
    assert classes["rows"][3] == 20


def test_no_products_have_no_suspects():
    nothing = np.zeros(0, np.int64)
    table, classes = audit.suspect_labels(nothing, nothing, np.zeros((0, NUM_CATEGORIES)))
    assert table.empty
    assert len(classes) == NUM_CATEGORIES
    assert classes["share"].isna().all()


def test_probabilities_of_other_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected shape \(2, 27\), received \(2, 26\)"):
        audit.suspect_labels(np.arange(2), np.zeros(2, int), np.zeros((2, 26)))


def test_models_are_judged_where_they_can_score():
    ids, labels = np.array([5, 6, 7]), np.array([0, 1, 2])
    probabilities = np.eye(NUM_CATEGORIES, dtype=np.float32)[[0, 2, 2]]
    arrays = {"ids": ids, "present": np.array([True, True, False]), "probabilities": probabilities}
    values, right = audit.judge(ids, labels, {"text": arrays})["text"]
    np.testing.assert_array_equal(right, [1, 0, np.nan])
    np.testing.assert_array_equal(values[:2], probabilities[:2])
    assert np.isnan(values[2]).all()
    with pytest.raises(ValueError, match=r"outputs of text are of other products: row 0 is id 5"):
        audit.judge(ids[::-1], labels, {"text": arrays})
