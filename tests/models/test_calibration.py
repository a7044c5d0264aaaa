import numpy as np
import pytest
from scipy import optimize
from scipy.optimize import check_grad
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from rakuten.models import calibration
from rakuten.models.calibration import Calibration


def scores_and_labels(rows=1500, seed=0, spread=2.0):
    """Draw scores, and labels from their softmax."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(scale=spread, size=(rows, 27))
    draws = generator.random(rows)
    labels = (softmax(scores, axis=1).cumsum(axis=1) < draws[:, None]).sum(axis=1).clip(max=26)
    return scores, labels


def loss_of(fitted, scores, labels):
    return log_loss(labels, fitted.probabilities(scores), labels=np.arange(27))


def test_overconfident_scores_are_scaled_down():
    """With one classifier it is temperature scaling; here the temperature is 5."""
    scores, labels = scores_and_labels()
    fitted = calibration.fit([5 * scores], labels, bias_l2=1000.0)
    assert fitted.weights == pytest.approx([0.2], abs=0.02)
    new, expected = scores_and_labels(seed=1)
    before = loss_of(Calibration(np.ones(1), np.zeros(27)), [5 * new], expected)
    after = loss_of(fitted, [5 * new], expected)
    assert after < before / 2
    assert after == pytest.approx(log_loss(expected, softmax(new, axis=1)), abs=0.02)


def test_useless_and_harmful_classifiers_get_no_weight():
    scores, labels = scores_and_labels()
    noise = np.random.default_rng(7).normal(size=scores.shape)
    fitted = calibration.fit([scores, noise], labels, bias_l2=100.0)
    assert fitted.weights[0] == pytest.approx(1, abs=0.1)
    assert 0 <= fitted.weights[1] < 0.1
    fitted = calibration.fit([noise - scores, noise], labels, bias_l2=100.0)
    assert fitted.weights[0] == 0
    assert fitted.weights.min() >= 0


def test_complementary_classifiers_get_equal_weights():
    scores, labels = scores_and_labels()
    half = np.random.default_rng(8).normal(scale=2, size=scores.shape)
    fitted = calibration.fit([scores - half, half], labels, bias_l2=100.0)
    np.testing.assert_allclose(fitted.weights, [1, 1], atol=0.1)


def test_biases_match_mean_probabilities_to_label_frequencies():
    scores, labels = scores_and_labels()
    tilted = scores + np.linspace(-2, 2, 27)
    fitted = calibration.fit([tilted], labels, bias_l2=1e-6)
    frequencies = np.bincount(labels, minlength=27) / len(labels)
    mean = fitted.probabilities([tilted]).mean(axis=0)
    np.testing.assert_allclose(mean, frequencies, atol=1e-3)
    assert np.corrcoef(fitted.biases, np.linspace(-2, 2, 27))[0, 1] < -0.95
    held = calibration.fit([tilted], labels, bias_l2=1e7)
    assert np.abs(held.biases).max() < 1e-3


def test_biases_sum_to_zero_and_are_lowest_for_an_absent_category():
    scores, labels = scores_and_labels()
    kept = labels != 4
    fitted = calibration.fit([scores[kept]], labels[kept], bias_l2=0.1)
    assert fitted.biases.sum() == pytest.approx(0, abs=1e-9)
    assert fitted.biases.argmin() == 4
    assert np.isfinite(fitted.biases).all()


def test_the_gradient_is_correct_and_the_result_is_the_minimum(monkeypatch):
    scores, labels = scores_and_labels(rows=60)
    noise = np.random.default_rng(7).normal(size=scores.shape)
    recorded = {}

    def spy(loss, start, **options):
        recorded["loss"], recorded["result"] = loss, minimize(loss, start, **options)
        return recorded["result"]

    minimize = optimize.minimize
    monkeypatch.setattr(optimize, "minimize", spy)
    fitted = calibration.fit([scores, noise], labels, bias_l2=2.0)
    loss, best = recorded["loss"], recorded["result"].x
    generator = np.random.default_rng(1)
    for _ in range(5):
        point = generator.normal(size=29)
        assert check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], point) < 1e-5
        logs = log_softmax(point[0] * scores + point[1] * noise + point[2:], axis=1)
        penalized = 2.0 / 60 * (point[2:] ** 2).sum() - logs[np.arange(60), labels].mean()
        assert loss(point)[0] == pytest.approx(penalized)
    for _ in range(200):
        moved = best + generator.normal(scale=0.05, size=29)
        moved[:2] = np.maximum(moved[:2], 0)
        assert loss(moved)[0] > loss(best)[0]
    np.testing.assert_array_equal(fitted.weights, best[:2])


def test_probabilities_are_the_softmax_of_the_weighted_sum():
    generator = np.random.default_rng(2)
    scores = [generator.normal(size=(9, 27)).astype(np.float32) * 100 for _ in range(2)]
    fitted = Calibration(np.array([0.5, 2.0]), generator.normal(size=27))
    probabilities = fitted.probabilities(scores)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    expected = softmax(0.5 * scores[0] + 2.0 * scores[1] + fitted.biases, axis=1)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-12)


def test_more_scores_than_weights_are_rejected():
    with pytest.raises(ValueError, match="zip"):
        Calibration(np.ones(1), np.zeros(27)).probabilities([np.zeros((2, 27))] * 2)


def test_without_rows_all_weights_are_one():
    fitted = calibration.fit([np.zeros((0, 27))] * 3, np.zeros(0, np.int64), bias_l2=1.0)
    assert fitted.weights.tolist() == [1, 1, 1]
    assert not fitted.biases.any()
    assert fitted.probabilities([np.zeros((0, 27))] * 3).shape == (0, 27)


def test_one_row_of_one_category():
    fitted = calibration.fit([np.zeros((1, 27))], np.array([3]), bias_l2=1.0)
    assert fitted.probabilities([np.zeros((1, 27))]).argmax() == 3


def test_log_probabilities_have_a_floor():
    logs = calibration.log_probabilities(np.array([[1.0, 0.5, 0.0]], np.float32))
    np.testing.assert_allclose(logs, [[0, np.log(0.5), np.log(1e-7)]], rtol=1e-6)


def test_a_calibration_is_written_and_read(tmp_path):
    written = Calibration(np.array([0.8, 0.6]), np.linspace(-1, 1, 27))
    written.write(tmp_path)
    read = calibration.read(tmp_path)
    np.testing.assert_array_equal(read.weights, written.weights)
    np.testing.assert_array_equal(read.biases, written.biases)
