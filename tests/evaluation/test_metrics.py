"""Metrics against naive implementations."""

import math

import numpy as np
import pandas as pd
import pytest
from evaluation_cases import one_hot, random_problem, softmax

from rakuten.evaluation import metrics


def naive_calibration_error(labels, scores, bins=15):
    """Rows sorted by confidence in runs of equal length: valid if all confidences differ."""
    ranked = sorted(
        (max(row), max(range(27), key=lambda c, row=row: row[c]) == label)
        for row, label in zip(scores.tolist(), labels.tolist(), strict=True)
    )
    gaps = 0.0
    for number in range(bins):
        own = ranked[number * len(ranked) // bins : (number + 1) * len(ranked) // bins]
        if own:
            mean = sum(confidence for confidence, _ in own) / len(own)
            right = sum(correct for _, correct in own) / len(own)
            gaps += len(own) * abs(mean - right)
    return gaps / len(ranked)


def naive_metrics(labels, scores):
    """The definitions as loops."""
    predicted = [max(range(27), key=lambda c, row=row: row[c]) for row in scores.tolist()]
    pairs = list(zip(labels.tolist(), predicted, strict=True))
    f1, support = {}, {}
    for category in set(labels.tolist()):
        hits = sum(a == category and p == category for a, p in pairs)
        actual = sum(a == category for a, _ in pairs)
        claimed = sum(p == category for _, p in pairs)
        f1[category] = 2 * hits / (actual + claimed)
        support[category] = actual
    return {
        "accuracy": sum(a == p for a, p in pairs) / len(pairs),
        "weighted_f1": sum(f1[c] * support[c] for c in f1) / len(pairs),
        "macro_f1": sum(f1.values()) / len(f1),
        "log_loss": -sum(math.log(row[a]) for row, a in zip(scores.tolist(), labels, strict=True))
        / len(pairs),
        "ece": naive_calibration_error(labels, scores),
        "rows": len(pairs),
    }


@pytest.mark.parametrize("classes", [1, 9, 27])
def test_measure_equals_the_naive_implementation(classes):
    labels, scores = random_problem(classes=classes, seed=classes)
    assert metrics.measure(labels, scores) == pytest.approx(naive_metrics(labels, scores), abs=1e-6)


def test_macro_f1_counts_the_categories_that_occur():
    """Class 2 is predicted but has no product: it only lowers the recall of class 1."""
    measured = metrics.measure(np.array([0, 0, 1, 1]), one_hot([0, 0, 1, 2]))
    assert measured["macro_f1"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-6)
    assert measured["accuracy"] == 0.75


def test_log_loss_clips_at_the_resolution_of_float32():
    measured = metrics.measure(np.array([0, 1]), one_hot([0, 2]))
    assert measured["log_loss"] == pytest.approx(-math.log(np.finfo(np.float32).eps) / 2, abs=1e-5)


def test_rows_without_scores_are_left_out():
    labels, scores = random_problem()
    absent = np.arange(len(labels)) % 3 == 0
    masked = np.where(absent[:, None], np.nan, scores)
    assert metrics.measure(labels, masked) == metrics.measure(labels[~absent], scores[~absent])
    assert metrics.measure(labels, masked)["rows"] == 53


def test_no_rows_no_metrics():
    names = ["accuracy", "weighted_f1", "macro_f1", "log_loss", "ece"]
    expected = dict.fromkeys(names) | {"rows": 0}
    assert metrics.measure(np.zeros(0, int), np.zeros((0, 27))) == expected
    assert metrics.measure(np.zeros(2, int), np.full((2, 27), np.nan)) == expected


@pytest.mark.parametrize("change", [lambda s: s - 0.1, lambda s: 2 * s, np.log])
def test_decision_scores_have_no_log_loss_and_no_calibration(change):
    labels, probabilities = random_problem()
    measured = metrics.measure(labels, change(probabilities))
    assert measured["log_loss"] is None
    assert measured["ece"] is None
    assert measured["accuracy"] == metrics.measure(labels, probabilities)["accuracy"]


@pytest.mark.parametrize("rows", [1, 7, 15, 16, 400])
def test_calibration_error_equals_the_naive_definition(rows):
    labels, scores = random_problem(rows=rows, seed=rows)
    assert len(set(scores.max(axis=1))) == rows
    assert metrics.expected_calibration_error(labels, scores) == pytest.approx(
        naive_calibration_error(labels, scores), abs=1e-9
    )


def test_calibration_error_of_literal_rows():
    """Confidence 0.5 and accuracy 0.25; confidence 1 and accuracy 1."""
    half = [[0.5, 0.5, *[0] * 25]] * 4
    labels = np.array([0, 1, 1, 1, 2, 2])
    scores = np.array(half + one_hot([2, 2]).tolist())
    assert metrics.expected_calibration_error(labels, scores) == pytest.approx(4 / 6 * 0.25)


def test_rows_of_equal_confidence_share_a_bin_whatever_their_order():
    labels = random_problem(rows=200)[0]
    sure = np.random.default_rng(1).choice([0.5, 0.75, 0.875], 200, p=[0.1, 0.2, 0.7])
    scores = np.column_stack([sure, 1 - sure, np.zeros((200, 25))])
    table = metrics.calibration_bins(labels, scores)
    kinds, rows = np.unique(scores.max(axis=1), return_counts=True)
    assert table[["confidence", "rows"]].values.tolist() == np.column_stack([kinds, rows]).tolist()
    order = np.random.default_rng(0).permutation(200)
    shuffled = metrics.calibration_bins(labels[order], scores[order])
    pd.testing.assert_frame_equal(shuffled, table)


def test_calibration_detects_an_underconfident_model():
    generator = np.random.default_rng(0)
    scores = softmax(generator.normal(size=(6000, 27)) * 2)
    drawn = generator.random((6000, 1)) < np.cumsum(scores, axis=1)
    labels = drawn.argmax(axis=1)  # drawn from the probabilities of its row
    assert metrics.expected_calibration_error(labels, scores) < 0.03
    underconfident = scores**0.3 / (scores**0.3).sum(axis=1, keepdims=True)
    table = metrics.calibration_bins(labels, underconfident)
    assert (table["accuracy"] > table["confidence"] + 0.03).all()


def test_confusion_counts_rows_by_actual_and_predicted_class():
    counts = metrics.confusion(np.array([3, 3, 3, 26]), one_hot([3, 5, 5, 0]))
    expected = np.zeros((27, 27), np.int64)
    expected[3, 3], expected[3, 5], expected[26, 0] = 1, 2, 1
    np.testing.assert_array_equal(counts, expected)
    assert counts.dtype == np.int64
    assert metrics.confusion(np.zeros(0, int), np.zeros((0, 27))).tolist() == [[0] * 27] * 27
