import numpy as np
import pandas as pd
import pytest

from rakuten.categories import CODES, NUM_CATEGORIES
from rakuten.evaluation import audit


def pairs(ids, labels_agree) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "same_label": np.array(labels_agree, bool)})


def test_summary_counts_near_duplicates():
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
    assert audit.summary_line(summary) == (
        "60.0 % of 5 test products have a near-duplicate in train (text 40.0 %, image 40.0 %)"
    )


def test_summary_of_no_test_part():
    ids, parts = np.arange(3), np.full(3, "train")
    summary = audit.leakage_summary(ids, parts, pairs([], []), pairs([], []))
    assert summary["test"]["products"] == summary["test"]["either"] == 0
    assert summary["test"]["either_share"] is None
    assert audit.summary_line(summary) == "no test products"


def test_leakage_raises_the_accuracy_of_a_model_that_memorizes():
    ids = np.arange(10)
    texts, images = pairs([0, 1, 2, 99], [True] * 4), pairs([2, 3], [True] * 2)
    correct = {
        "memorizes": np.isin(ids, [0, 1, 2, 3]),
        "absent": np.full(10, np.nan),
        "partly": np.array([1, 0, np.nan, 1, 1, 0, 1, 0, np.nan, 1]),
    }
    table = audit.leakage_table(ids, correct, texts, images).set_index(["model", "near_duplicate"])
    assert table.loc[("memorizes", "either")].to_dict() == {
        "rows": 10,
        "accuracy": 0.4,
        "rows_with": 4,
        "accuracy_with": 1.0,
        "rows_without": 6,
        "accuracy_without": 0.0,
        "difference": 0.4,
    }
    text = table.loc[("partly", "text")]
    assert text[["rows", "rows_with", "rows_without"]].tolist() == [8, 2, 6]
    assert text["accuracy_with"] == 0.5
    assert text["accuracy_without"] == round(4 / 6, 6)
    assert table.loc["absent", "rows"].tolist() == [0, 0, 0]
    assert table.loc["absent", "difference"].isna().all()
    assert len(audit.leakage_table(ids, {}, texts, images)) == 0


def predictions(count: int = 400, wrong: int = 12) -> tuple[np.ndarray, ...]:
    """Ids, labels of which the first few are wrong, and probabilities of a model that is right.

    Its confidence is highest where the label is wrong.
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
    """The definition, row by row: id, given and suggested class."""
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


def test_a_class_is_suggested_only_above_its_threshold():
    """The threshold of class 1 is 0.6: a probability of 0.6 suffices, 0.5 does not."""
    probabilities = np.zeros((4, NUM_CATEGORIES))
    probabilities[:, :3] = [[0.1, 0.6, 0.3], [0.2, 0.6, 0.2], [0.4, 0.6, 0], [0.3, 0.5, 0.2]]
    ids = np.array([4, 3, 2, 1])
    table, classes = audit.suspect_labels(ids, np.array([1, 1, 0, 0]), probabilities)
    assert table[["id", "given", "suggested"]].to_numpy().tolist() == [[2, CODES[0], CODES[1]]]
    assert table["margin"].tolist() == [0.2]
    assert classes["threshold"].tolist()[:2] == [0.35, 0.6]
    assert classes["threshold"][2:].isna().all()
    assert classes["share"].tolist()[:2] == [0.5, 0.0]


def test_the_most_probable_class_is_skipped_below_its_threshold():
    probabilities = np.zeros((3, NUM_CATEGORIES))
    probabilities[:, :3] = [[0.1, 0.5, 0.4], [0.1, 0.9, 0], [0.6, 0, 0.4]]
    table, _ = audit.suspect_labels(np.arange(3), np.array([0, 1, 2]), probabilities)
    assert table[["id", "suggested"]].to_numpy().tolist() == [[0, CODES[2]], [2, CODES[0]]]


def test_permuting_products_does_not_change_suspects():
    ids, labels, probabilities = predictions()
    order = np.random.default_rng(9).permutation(len(ids))
    permuted = audit.suspect_labels(ids[order], labels[order], probabilities[order])
    for table, expected in zip(
        permuted, audit.suspect_labels(ids, labels, probabilities), strict=True
    ):
        pd.testing.assert_frame_equal(table, expected)


def test_products_without_probabilities_are_ignored():
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


def test_probabilities_of_another_shape_are_rejected():
    with pytest.raises(ValueError, match=r"expected shape \(2, 27\), received \(2, 26\)"):
        audit.suspect_labels(np.arange(2), np.zeros(2, int), np.zeros((2, 26)))


def test_leakage_finds_near_duplicates_and_measures_the_models_without_them():
    """Two of three test products repeat a train product, one by text and one by image."""
    rows = pd.DataFrame(
        {
            "id": [1, 2, 3, 4, 5],
            "label": [0, 1, 0, 1, 2],
            "part": ["train", "train", "test", "test", "test"],
            "has_image": [True, True, False, True, True],
        }
    )
    texts = ["bâche de piscine ronde", "lampe", "bâche de piscine ronde", "console", "puzzle"]
    hashes = np.array([0xF0F0F0F0, 0xFFFF0000, 0, 0xFFFF0001, 0x0F0F0F0F00000000], np.uint64)
    scores = np.eye(NUM_CATEGORIES)[[0, 1, 0, 1, 0]]
    scores[2] = np.nan
    settings = audit.Settings(text_similarity=0.9, hash_distance=2, min_structure=8)
    tables, summary = audit.leakage(rows, texts, hashes, {"net": scores}, settings, threads=1)
    assert tables["near_texts"]["id"].tolist() == [3]
    assert tables["near_images"]["id"].tolist() == [4]
    assert summary["hashes"] == {"images": 4, "plain": 0}
    assert summary["parts"]["test"]["either"] == 2
    either = tables["leakage"].set_index("near_duplicate").loc["either"]
    assert either[["rows", "rows_with", "rows_without"]].tolist() == [2, 1, 1]
    assert either[["accuracy", "accuracy_with", "accuracy_without"]].tolist() == [0.5, 1, 0]
