"""Combine several classifiers by their scores and, for each pair of categories, by probabilities.

The weighted sum of scores of `rakuten.models.calibration` has one weight per classifier. With some
thousand rows more can be learned: how the probability that a classifier gives to one category
changes the odds of every other. The corrections are a multinomial logistic regression on the
probabilities of all classifiers, beside the weighted sum; their penalty leaves them near 0 if there
are few rows.

Source: Wolpert, "Stacked Generalization", 1992; Ting and Witten, "Issues in Stacked
Generalization", 1999, on probabilities as input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax
from threadpoolctl import threadpool_limits

from rakuten.categories import NUM_CATEGORIES
from rakuten.models import blas, calibration

ITERATIONS = 200
"""Maximum number of iterations of the corrections' fit."""


@dataclass(frozen=True)
class Stacking:
    """Fitted ensemble weights, biases and corrections.

    Attributes:
        weights: float64 (m,), the weight of each classifier's scores, at least 0.
        biases: float64 (27,), added to the score of each category; they sum to 0.
        scales: float64 (m,), the factor that turns a classifier's scores into log-probabilities.
        corrections: float64 (m * 27, 27), from the probabilities of the m classifiers side by side
            to what is added to the score of each category.
    """

    weights: np.ndarray
    biases: np.ndarray
    scales: np.ndarray
    corrections: np.ndarray

    def probabilities(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        """Combine the scores of n products.

        Args:
            scores: m arrays float (n, 27), in the order of the weights.

        Returns:
            float32 (n, 27), rows sum to 1.
        """
        with blas.one_thread():  # as in `fit`
            changes = _inputs(scores, self.scales) @ self.corrections
        totals = _totals(scores, self.weights, self.biases) + changes
        return softmax(totals, axis=1).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the stacking as arrays, for `restore`."""
        return {
            "weights": self.weights,
            "biases": self.biases,
            "scales": self.scales,
            "corrections": self.corrections,
        }


def restore(arrays: Mapping[str, np.ndarray], prefix: str = "") -> Stacking:
    """Build a stacking from the arrays of `Stacking.arrays`.

    Args:
        arrays: The arrays by name; others are ignored.
        prefix: Prefix of their names.
    """
    names = ("weights", "biases", "scales", "corrections")
    return Stacking(*(arrays[f"{prefix}{name}"] for name in names))


def fit(
    scores: Sequence[np.ndarray], labels: np.ndarray, *, bias_l2: float, correction_l2: float
) -> Stacking:
    """Find the weights and biases of the lowest log loss, then the corrections.

    Args:
        scores: m arrays float (n, 27), out of fold, on any scale.
        labels: int64 (n,), class indices in 0..26.
        bias_l2: As in `calibration.fit`.
        correction_l2: L2 penalty on the corrections, above 0, relative to the sum of the log losses
            of the n rows. Larger values keep them closer to 0.

    Returns:
        The stacking; weights of 1, biases and corrections of 0 without rows.
    """
    from scipy.optimize import minimize  # lazy: a third of a second that prediction saves

    combined = calibration.fit(scores, labels, bias_l2=bias_l2)
    alone = [calibration.fit([values], labels, bias_l2=bias_l2) for values in scores]
    scales = np.concatenate([one.weights for one in alone])
    shape = len(scores) * NUM_CATEGORIES, NUM_CATEGORIES
    rows = len(labels)
    if not rows:
        return Stacking(combined.weights, combined.biases, scales, np.zeros(shape))
    inputs, totals = _inputs(scores, scales), _totals(scores, combined.weights, combined.biases)
    targets = np.zeros((rows, NUM_CATEGORIES))
    targets[np.arange(rows), labels] = 1.0

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        corrections = flat.reshape(shape)
        logs = log_softmax(totals + inputs @ corrections, axis=1)  # (n, 27)
        value = -(logs * targets).sum() / rows + correction_l2 / rows * (flat @ flat)
        slopes = inputs.T @ (np.exp(logs) - targets) / rows
        return value, (slopes + 2 * correction_l2 / rows * corrections).ravel()

    with threadpool_limits(1):  # the result depends on the order of sums, and that on the threads
        found = minimize(
            loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B",
            options={"maxiter": ITERATIONS},
        ).x  # fmt: skip
    return Stacking(combined.weights, combined.biases, scales, found.reshape(shape))


def _totals(scores: Sequence[np.ndarray], weights: np.ndarray, biases: np.ndarray) -> np.ndarray:
    """Compute the weighted sum of scores, float64 (n, 27)."""
    pairs = zip(weights, scores, strict=True)
    return np.sum([weight * values for weight, values in pairs], axis=0, dtype=np.float64) + biases


def _inputs(scores: Sequence[np.ndarray], scales: np.ndarray) -> np.ndarray:
    """Compute the probabilities of each classifier, side by side, float64 (n, m * 27)."""
    pairs = zip(scales, scores, strict=True)
    return np.concatenate([softmax(scale * values, axis=1) for scale, values in pairs], axis=1)
