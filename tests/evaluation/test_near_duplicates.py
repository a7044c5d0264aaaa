import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from rakuten.evaluation import near_duplicates

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
    occurrences = Counter(gram for row in train for gram in grams(texts[row]))
    seen = Counter(gram for row in train for gram in set(grams(texts[row])))
    assert occurrences.keys() == seen.keys()

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
            duplicate = best[1]
            records.append(
                (ids[row], parts[row], ids[duplicate], best[0], labels[row] == labels[duplicate])
            )
    return pd.DataFrame(records, columns=TEXT_COLUMNS)


def find_texts(ids, texts, labels, parts, similarity=0.6, threads=2, **options) -> pd.DataFrame:
    return near_duplicates.near_duplicate_texts(
        ids, texts, labels, parts, text_similarity=similarity, threads=threads, **options
    )


@pytest.mark.parametrize("similarity", [0.05, 0.6, 0.85])
def test_texts_equal_a_naive_search(similarity):
    ids, texts, labels, parts = texts_of_products()
    expected = naive_texts(ids, texts, labels, parts, similarity)
    found = find_texts(ids, texts, labels, parts, similarity)
    assert len(found) > 0
    assert len(found) < (parts != "train").sum() or similarity == 0.05
    pd.testing.assert_frame_equal(
        found, expected, check_dtype=False, check_exact=False, rtol=0, atol=2e-6
    )


def test_near_duplicates_are_found_and_other_products_are_not():
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


def test_of_equal_texts_the_smallest_id_is_reported():
    texts = ["bâche de piscine ronde"] * 4
    parts = np.array(["train", "test", "train", "train"])
    found = find_texts(np.array([30, 1, 10, 20]), texts, np.array([0, 0, 0, 0]), parts)
    assert found["train_id"].tolist() == [10]


def test_a_similarity_of_one_finds_only_equal_texts():
    texts = ["bâche de piscine ronde", "Bâche  de piscine ronde", "bâche de piscine rondes"]
    parts = np.array(["train", "test", "test"])
    found = find_texts(np.arange(3), texts, np.zeros(3, int), parts, similarity=1)
    assert found["id"].tolist() == [1]


def test_words_that_are_not_in_train_count_as_differences():
    texts = ["lampe de chevet", "lampe de chevet wolframite xylographe"]
    parts = np.array(["train", "test"])
    found = find_texts(np.array([1, 2]), texts, np.array([0, 0]), parts, similarity=0.01)
    assert 0.2 < found["similarity"][0] < 0.7


def test_permuting_products_does_not_change_text_pairs():
    ids, texts, labels, parts = texts_of_products()
    order = np.random.default_rng(8).permutation(len(ids))
    pd.testing.assert_frame_equal(
        find_texts(ids[order], texts[order], labels[order], parts[order]),
        find_texts(ids, texts, labels, parts),
    )


def test_blocks_and_threads_do_not_change_text_pairs(monkeypatch):
    ids, texts, labels, parts = texts_of_products()
    expected = find_texts(ids, texts, labels, parts, threads=1)
    monkeypatch.setattr(near_duplicates, "TEXT_BLOCK", 7)
    monkeypatch.setattr(near_duplicates, "PAIRS", 3)
    pd.testing.assert_frame_equal(find_texts(ids, texts, labels, parts, threads=3), expected)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_single_part_has_no_text_pairs(part):
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
    assert counts == {"images": 0, "plain": 0}


def test_empty_texts_match_nothing():
    parts = np.array(["train", "train", "test", "test"])
    texts = ["", "lampe", "", "   "]
    assert find_texts(np.arange(4), texts, np.zeros(4, int), parts, similarity=0.001).empty


@pytest.mark.parametrize("similarity", [0, -0.1, 1.01])
def test_a_similarity_outside_its_range_is_rejected(similarity):
    ids, texts, labels, parts = texts_of_products(12)
    with pytest.raises(ValueError, match=f"text_similarity is {similarity}: expected a cosine"):
        find_texts(ids, texts, labels, parts, similarity=similarity)


def find_images(ids, hashes, labels, parts, present, distance=3, structure=8):
    return near_duplicates.near_duplicate_images(
        ids, hashes, labels, parts, present, hash_distance=distance, min_structure=structure
    )


def hashes_of_products(count: int = 150) -> tuple[np.ndarray, ...]:
    """Ids in random order, hashes of which a third differ in a few bits, labels, parts, present."""
    generator = np.random.default_rng(4)
    hashes = generator.integers(0, 2**64, count, dtype=np.uint64)
    for row in range(0, count, 3):
        bits = generator.choice(64, int(generator.integers(0, 7)), replace=False)
        hashes[row] = hashes[(row + 1) % count] ^ np.uint64(sum(1 << int(bit) for bit in bits))
    hashes[5::20] = 0  # blank images
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
    assert counts == {"images": present.sum(), "plain": (present & blank).sum()}


def test_blank_images_match_nothing():
    hashes = np.zeros(50, np.uint64)
    parts = np.array(["train", "test"] * 25)
    found, counts = find_images(np.arange(50), hashes, np.zeros(50, int), parts, np.ones(50, bool))
    assert found.empty
    assert counts == {"images": 50, "plain": 50}


def test_permuting_products_does_not_change_image_pairs(monkeypatch):
    products = hashes_of_products()
    expected, counts = find_images(*products)
    order = np.random.default_rng(8).permutation(len(products[0]))
    monkeypatch.setattr(near_duplicates, "HASH_BLOCK", 7)
    found, again = find_images(*(values[order] for values in products))
    pd.testing.assert_frame_equal(found, expected)
    assert again == counts


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_single_part_has_no_image_pairs(part):
    ids, hashes, labels, _, present = hashes_of_products(30)
    found, _ = find_images(ids, hashes, labels, np.full(30, part), present, distance=64)
    assert found.empty


@pytest.mark.parametrize("distance", [-1, 65])
def test_a_distance_outside_its_range_is_rejected(distance):
    with pytest.raises(ValueError, match=f"hash_distance is {distance}: expected 0 to 64 bits"):
        find_images(*hashes_of_products(6), distance=distance)


def unit_rows(count, seed, *, columns=400):
    """Rows of length 1 with frequent and rare terms; some are empty, some near-duplicates."""
    generator = np.random.default_rng(seed)
    dense = np.zeros((count, columns))
    for row in dense:
        terms = (columns * generator.random(30) ** 4).astype(int)  # the first are the frequent
        row[terms] = generator.uniform(0.2, 1, 30) * (1 + np.log1p(terms))
    for row in range(0, count, 4):  # near a neighbour, at any distance
        dense[row] = dense[(row + 1) % count]
        dense[row, generator.integers(columns, size=row % 30)] *= 1.0 + (row % 7)
    dense[count // 2] = dense[count // 2 + 1]
    dense[[3, count - 1]] = 0
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    return sparse.csr_array((dense / np.where(lengths, lengths, 1)).astype(np.float32))


def compare_every_pair(rows, others, least):
    """The dense product."""
    cosines = (rows @ others.T).toarray().round(6)
    best = cosines.argmax(axis=1)
    value = cosines[np.arange(len(best)), best]
    found = value >= np.float32(least)
    return np.where(found, best, -1), np.where(found, value, 0)


@pytest.mark.parametrize("least", [1e-5, 0.009, 0.05, 0.3, 0.6, 0.85, 0.97, 1.0])
@pytest.mark.parametrize("threads", [1, 2])
def test_most_similar_equals_a_dense_comparison(least, threads):
    others = unit_rows(300, 1)
    rows = sparse.vstack([unit_rows(150, 2), others[::5]], format="csr")
    best, cosines = near_duplicates.most_similar(rows, others, min_cosine=least, threads=threads)
    expected, values = compare_every_pair(rows, others, least)
    assert best.tolist() == expected.tolist()
    np.testing.assert_allclose(cosines, values, atol=2e-6)
    assert (best >= 0).sum() >= 59
