import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from rakuten.models import calibration, stacking

PENALTIES = {"bias_l2": 1.0, "correction_l2": 1.0}


def confusing(rows=600, seed=0):
    """Scores of two classifiers; the first gives category 3 for every second product of 8."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 27, rows)
    outputs = np.where((labels == 8) & (np.arange(rows) % 2 == 0), 3, labels)
    first = np.eye(27)[outputs] * 4 + generator.normal(size=(rows, 27))
    second = np.eye(27)[labels] + generator.normal(size=(rows, 27))
    return [first.astype(np.float32), second.astype(np.float32)], labels


def log_loss(probabilities, labels):
    return -np.log(probabilities[np.arange(len(labels)), labels]).mean()


def test_corrections_learn_which_categories_a_classifier_confuses():
    scores, labels = confusing()
    new, expected = confusing(seed=1)
    stacked = stacking.fit(scores, labels, bias_l2=1.0, correction_l2=0.1)
    weighted = calibration.fit(scores, labels, bias_l2=1.0)
    found = stacked.probabilities(new)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert log_loss(found, expected) < log_loss(weighted.probabilities(new), expected) - 0.02
    changes = stacked.corrections[3]
    assert changes[8] > 0.5, "a probability for 3 is evidence for 8"
    assert changes[8] == np.delete(changes, 3).max()


def test_a_large_penalty_leaves_the_weighted_sum():
    scores, labels = confusing()
    stacked = stacking.fit(scores, labels, bias_l2=1.0, correction_l2=1e7)
    weighted = calibration.fit(scores, labels, bias_l2=1.0)
    np.testing.assert_array_equal(stacked.weights, weighted.weights)
    np.testing.assert_array_equal(stacked.biases, weighted.biases)
    np.testing.assert_allclose(
        stacked.probabilities(scores), weighted.probabilities(scores), atol=1e-4
    )


def test_probabilities_follow_their_definition():
    scores, labels = confusing()
    stacked = stacking.fit(scores, labels, **PENALTIES)
    inputs = [softmax(scale * s, axis=1) for scale, s in zip(stacked.scales, scores, strict=True)]
    total = sum(weight * s for weight, s in zip(stacked.weights, scores, strict=True))
    total = total + stacked.biases + np.concatenate(inputs, axis=1) @ stacked.corrections
    expected = softmax(total, axis=1)
    np.testing.assert_allclose(stacked.probabilities(scores), expected, rtol=1e-4, atol=1e-7)


def test_corrections_are_the_minimum_of_the_penalized_log_loss():
    """No step away from them, in any of many directions, lowers it."""
    scores, labels = confusing(200)
    stacked = stacking.fit(scores, labels, **PENALTIES)
    pairs = list(zip(scores, stacked.scales, stacked.weights, strict=True))
    inputs = np.concatenate([softmax(scale * s, axis=1) for s, scale, _ in pairs], axis=1)
    totals = sum(weight * s for s, _, weight in pairs) + stacked.biases

    def loss(corrections):
        logs = log_softmax(totals + inputs @ corrections, axis=1)
        return -logs[np.arange(200), labels].sum() + (corrections**2).sum()

    generator = np.random.default_rng(3)
    for _ in range(20):
        step = generator.normal(scale=0.01, size=stacked.corrections.shape)
        assert loss(stacked.corrections + step) > loss(stacked.corrections)


def test_without_rows_all_categories_are_equally_likely():
    none = np.zeros((0, 27), np.float32)
    stacked = stacking.fit([none, none], np.zeros(0, np.int64), **PENALTIES)
    assert stacked.probabilities([none, none]).shape == (0, 27)
    same = np.zeros((2, 27), np.float32)
    np.testing.assert_allclose(stacked.probabilities([same, same]), 1 / 27, rtol=1e-6)


@pytest.mark.parametrize("prefix", ["", "stacking/"])
def test_restored_stacking_gives_the_same_bytes(prefix):
    scores, labels = confusing()
    stacked = stacking.fit(scores, labels, **PENALTIES)
    arrays = {f"{prefix}{name}": values for name, values in stacked.arrays().items()}
    restored = stacking.restore(arrays | {"other/weights": np.zeros(1)}, prefix)
    expected = stacked.probabilities(scores).tobytes()
    assert restored.probabilities(scores).tobytes() == expected
    assert stacking.fit(scores, labels, **PENALTIES).probabilities(scores).tobytes() == expected
