import numpy as np
import pytest
from scipy import optimize
from scipy.optimize import check_grad
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from rakuten.models import calibration


def planted(rows=1500, seed=0, spread=2.0):
    """Scores whose softmax is right: labels are drawn from it."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(scale=spread, size=(rows, 27))
    draws = generator.random(rows)
    labels = (softmax(scores, axis=1).cumsum(axis=1) < draws[:, None]).sum(axis=1).clip(max=26)
    return scores, labels


def loss_of(pool, scores, labels):
    return log_loss(labels, pool.probabilities(scores), labels=np.arange(27))


def test_overconfident_scores_are_cooled_down():
    """With one classifier it is temperature scaling: labels drawn at 1, scores five times that."""
    scores, labels = planted()
    pool = calibration.fit([5 * scores], labels, regularization=1000.0)
    assert pool.weights == pytest.approx([0.2], abs=0.02)
    new, expected = planted(seed=1)
    before = loss_of(calibration.Pool(np.ones(1), np.zeros(27)), [5 * new], expected)
    after = loss_of(pool, [5 * new], expected)
    assert after < before / 2
    assert after == pytest.approx(log_loss(expected, softmax(new, axis=1)), abs=0.02)


def test_useless_and_harmful_classifiers_count_nothing():
    scores, labels = planted()
    noise = np.random.default_rng(7).normal(size=scores.shape)
    pool = calibration.fit([scores, noise], labels, regularization=100.0)
    assert pool.weights[0] == pytest.approx(1, abs=0.1)
    assert 0 <= pool.weights[1] < 0.1
    pool = calibration.fit([noise - scores, noise], labels, regularization=100.0)
    assert pool.weights[0] == 0
    assert pool.weights.min() >= 0


def test_two_halves_are_found_to_count_the_same():
    scores, labels = planted()
    half = np.random.default_rng(8).normal(scale=2, size=scores.shape)
    pool = calibration.fit(
        [
            scores - half,
            half,
        ],
        labels,
        regularization=100.0,
    )
    np.testing.assert_allclose(pool.weights, [1, 1], atol=0.1)


def test_offsets_move_the_mean_probability_to_the_frequency_of_the_labels():
    scores, labels = planted()
    tilted = scores + np.linspace(-2, 2, 27)
    pool = calibration.fit([tilted], labels, regularization=1e-6)
    frequencies = np.bincount(labels, minlength=27) / len(labels)
    mean = pool.probabilities([tilted]).mean(axis=0)
    np.testing.assert_allclose(mean, frequencies, atol=1e-3)
    assert np.corrcoef(pool.offsets, np.linspace(-2, 2, 27))[0, 1] < -0.95
    held = calibration.fit([tilted], labels, regularization=1e7)
    assert np.abs(held.offsets).max() < 1e-3


def test_offsets_sum_to_zero_and_an_absent_category_becomes_unlikely():
    scores, labels = planted()
    kept = labels != 4
    pool = calibration.fit([scores[kept]], labels[kept], regularization=0.1)
    assert pool.offsets.sum() == pytest.approx(0, abs=1e-9)
    assert pool.offsets.argmin() == 4
    assert np.isfinite(pool.offsets).all()


def test_the_gradient_is_that_of_the_loss_and_the_end_is_the_minimum(monkeypatch):
    scores, labels = planted(rows=60)
    noise = np.random.default_rng(7).normal(size=scores.shape)
    caught = {}

    def spy(loss, start, **options):
        caught["loss"], caught["result"] = loss, minimize(loss, start, **options)
        return caught["result"]

    minimize = optimize.minimize
    monkeypatch.setattr(optimize, "minimize", spy)
    pool = calibration.fit([scores, noise], labels, regularization=2.0)
    loss, best = caught["loss"], caught["result"].x
    generator = np.random.default_rng(1)
    for _ in range(5):
        point = generator.normal(size=29)
        assert check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], point) < 1e-5
        logs = log_softmax(point[0] * scores + point[1] * noise + point[2:], axis=1)
        punished = 2.0 / 60 * (point[2:] ** 2).sum() - logs[np.arange(60), labels].mean()
        assert loss(point)[0] == pytest.approx(punished)
    for _ in range(200):
        moved = best + generator.normal(scale=0.05, size=29)
        moved[:2] = np.maximum(moved[:2], 0)
        assert loss(moved)[0] > loss(best)[0]
    np.testing.assert_array_equal(pool.weights, best[:2])


def test_probabilities_sum_to_one_and_are_the_softmax_of_the_weighted_sum():
    generator = np.random.default_rng(2)
    scores = [generator.normal(size=(9, 27)).astype(np.float32) * 100 for _ in range(2)]
    pool = calibration.Pool(np.array([0.5, 2.0]), generator.normal(size=27))
    probabilities = pool.probabilities(scores)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    expected = softmax(0.5 * scores[0] + 2.0 * scores[1] + pool.offsets, axis=1)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-12)


def test_scores_of_more_classifiers_than_weights_are_refused():
    with pytest.raises(ValueError, match="zip"):
        calibration.Pool(np.ones(1), np.zeros(27)).probabilities([np.zeros((2, 27))] * 2)


def test_without_rows_all_count_the_same():
    pool = calibration.fit([np.zeros((0, 27))] * 3, np.zeros(0, np.int64), regularization=1.0)
    assert pool.weights.tolist() == [1, 1, 1]
    assert not pool.offsets.any()
    assert pool.probabilities([np.zeros((0, 27))] * 3).shape == (0, 27)


def test_one_row_of_one_category():
    pool = calibration.fit([np.zeros((1, 27))], np.array([3]), regularization=1.0)
    assert pool.probabilities([np.zeros((1, 27))]).argmax() == 3


def test_logarithms_have_a_floor():
    logs = calibration.logarithms(np.array([[1.0, 0.5, 0.0]], np.float32))
    np.testing.assert_allclose(logs, [[0, np.log(0.5), np.log(1e-7)]], rtol=1e-6)


def sides():
    generator = np.random.default_rng(3)
    return [generator.dirichlet(np.full(27, 0.3), 8).astype(np.float32) for _ in range(2)]


def test_a_mixture_begins_with_text_and_ends_with_image_to_the_last_bit():
    text, image = sides()
    for weight, side in ((0, text), (0.0, text), (1, image), (1.0, image)):
        mixed = calibration.mix(text, image, weight)
        assert mixed.tobytes() == side.tobytes()
        assert not np.shares_memory(mixed, side)


def test_a_mixture_is_the_weighted_geometric_mean():
    text, image = sides()
    text[0, 5] = 0.0
    mixed = calibration.mix(text, image, 0.25)
    products = np.maximum(text, 1e-7) ** 0.75 * np.maximum(image, 1e-7) ** 0.25
    expected = products / products.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mixed, expected, rtol=1e-4)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("weight", [-0.01, 1.01, float("nan")])
def test_a_share_outside_zero_to_one_is_refused(weight):
    with pytest.raises(ValueError, match=f"weight is {weight}: expected the image's share, 0 to 1"):
        calibration.mix(*sides(), weight)
