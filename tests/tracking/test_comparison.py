import numpy as np
import pytest
from tracking_cases import predictions

from rakuten.evaluation import intervals
from rakuten.tracking.comparison import compare, describe

SETTINGS = {"resamples": 200, "confidence": 0.9, "seed": 1}


def test_figures_are_those_of_the_common_products():
    candidate = predictions([1, 2, 3, 5], [0, 1, 2, 3], [0, 1, 2, 9])
    champion = predictions([2, 3, 4], [1, 2, 4], [1, 7, 4])
    found = compare(candidate, champion, **SETTINGS)
    assert found["rows"] == 2  # 2 and 3
    assert found["accuracy"]["candidate"] == 1.0
    assert found["accuracy"]["champion"] == 0.5
    assert found["weighted_f1"]["difference"] == 0.5
    both = [one["probabilities"][rows] for one, rows in ((candidate, [1, 2]), (champion, [0, 1]))]
    ids = np.array([1, 2])
    ours, theirs = (intervals.bootstrap(ids, b, ids, resamples=200, seed=1) for b in both)
    drawn = ours["weighted_f1"] - theirs["weighted_f1"]
    bounds = [found["weighted_f1"]["low"], found["weighted_f1"]["high"]]
    np.testing.assert_allclose(bounds, drawn.interval(0.9), atol=1e-6)


def test_duplicates_are_resampled_together():
    labels = np.arange(40) % 5
    right = predictions(np.arange(40), labels, labels)
    half = predictions(np.arange(40), labels, np.where(np.arange(40) < 20, 9, labels))
    by_product = compare(right, half, **SETTINGS)["accuracy"]
    groups = np.arange(40) // 10
    by_group = compare(right | {"groups": groups}, half, **SETTINGS)["accuracy"]
    assert by_group["difference"] == by_product["difference"] == 0.5
    assert by_group["high"] - by_group["low"] > 2 * (by_product["high"] - by_product["low"])


def test_the_interval_is_paired():
    """Two packages that err on the same products but one differ by that one, in every draw."""
    labels = np.arange(100) % 5
    predicted = np.where(np.arange(100) < 40, 9, labels)
    better = predicted.copy()
    better[0] = labels[0]
    ids = np.arange(100)
    found = compare(
        predictions(ids, labels, better), predictions(ids, labels, predicted), **SETTINGS
    )
    assert 0 <= found["accuracy"]["low"] <= found["accuracy"]["high"] <= 0.05
    same = compare(
        predictions(ids, labels, predicted), predictions(ids, labels, predicted), **SETTINGS
    )
    assert same["weighted_f1"]["difference"] == same["weighted_f1"]["high"] == 0


def test_other_products_or_other_labels_are_refused():
    one = predictions([1, 2], [0, 1], [0, 1])
    with pytest.raises(ValueError, match="no product in common, of 2 and 1"):
        compare(one, predictions([3], [0], [0]), **SETTINGS)
    with pytest.raises(ValueError, match=r"1 of 2 products have different categories.*first id 2"):
        compare(one, predictions([1, 2], [0, 5], [0, 1]), **SETTINGS)


def test_the_comparison_is_written_in_points():
    figures = {"candidate": 0.9, "champion": 0.88, "difference": 0.02, "low": -0.001, "high": 0.04}
    lines = describe({"rows": 1270, "weighted_f1": figures, "accuracy": figures}).splitlines()
    assert lines[0] == (
        "weighted F1  90.00% against 88.00%: +2.00 points [-0.10, 4.00], 1,270 test products"
    )
    assert lines[1].startswith("accuracy     90.00%")
