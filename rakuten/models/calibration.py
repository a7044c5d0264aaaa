"""Several classifiers' scores -> one calibrated probability: a weighted sum, then a softmax.

A logarithmic opinion pool: every classifier gets one weight, every category one offset. So few
numbers are learnt safely from some hundred products, provided that their scores are out-of-fold:
scores of rows that a classifier has seen say how well it remembers, not how far to trust it.

Source: Genest and Zidek, "Combining Probability Distributions", 1986; with one classifier this is
temperature scaling, Guo et al., "On Calibration of Modern Neural Networks", 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from rakuten.categories import NUM_CATEGORIES

FLOOR = 1e-7
"""Least probability whose logarithm is taken."""


@dataclass(frozen=True)
class Pool:
    """How scores are put together.

    Attributes:
        weights: float64 (m,), what each classifier counts; at least 0.
        offsets: float64 (27,), added to the score of each category; they sum to 0.
    """

    weights: np.ndarray
    offsets: np.ndarray

    def probabilities(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        """Pool the scores of n products.

        Args:
            scores: m arrays float (n, 27), in the order of the weights.

        Returns:
            float32 (n, 27), rows sum to 1.
        """
        return np.exp(log_softmax(self._sum(scores), axis=1)).astype(np.float32)

    def _sum(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        weighted = [weight * values for weight, values in zip(self.weights, scores, strict=True)]
        return np.sum(weighted, axis=0, dtype=np.float64) + self.offsets


def fit(scores: Sequence[np.ndarray], labels: np.ndarray, *, regularization: float) -> Pool:
    """Find the pool with the least log loss.

    Args:
        scores: m arrays float (n, 27): out-of-fold, in any unit.
        labels: int64 (n,) class indices in 0..26.
        regularization: Strength that holds the offsets near 0, above 0, in products: the larger,
            the fewer categories are favoured.

    Returns:
        The pool; equal weights of 1 and no offsets where there are no rows.
    """
    from scipy.optimize import minimize  # slow to import, and prediction does without

    count, rows = len(scores), len(labels)
    start = np.concatenate([np.ones(count), np.zeros(NUM_CATEGORIES)])
    if not rows:
        return Pool(start[:count], start[count:])
    stacked = np.stack([values.astype(np.float64) for values in scores])  # (m, n, 27)
    targets = np.zeros((rows, NUM_CATEGORIES))
    targets[np.arange(rows), labels] = 1.0

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        weights, offsets = numbers[:count], numbers[count:]
        logs = log_softmax(np.tensordot(weights, stacked, 1) + offsets, axis=1)  # (n, 27)
        slope = (np.exp(logs) - targets) / rows
        value = -(logs * targets).sum() / rows + regularization / rows * (offsets @ offsets)
        by_weight = np.tensordot(stacked, slope, ([1, 2], [0, 1]))
        by_offset = slope.sum(axis=0) + 2 * regularization / rows * offsets
        return value, np.concatenate([by_weight, by_offset])

    bounds = [(0.0, None)] * count + [(None, None)] * NUM_CATEGORIES
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    offsets = found[count:]
    return Pool(found[:count], offsets - offsets.mean())


def logarithms(probabilities: np.ndarray) -> np.ndarray:
    """Take the logarithms of probabilities (n, 27), none below that of `FLOOR`: scores to pool."""
    return np.log(np.maximum(probabilities.astype(np.float64), FLOOR))


def mix(text: np.ndarray, image: np.ndarray, weight: float) -> np.ndarray:
    """Put two modalities' probabilities together in a fixed proportion.

    Args:
        text: float32 (n, 27).
        image: float32 (n, 27).
        weight: The image's share, 0 to 1. At 0 the result is `text` to the last bit, at 1 `image`.

    Returns:
        float32 (n, 27), text^(1 - weight) * image^weight, rows sum to 1.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight is {weight}: expected the image's share, 0 to 1")
    if weight in (0, 1):
        return (image if weight else text).copy()
    logs = (1 - weight) * logarithms(text) + weight * logarithms(image)
    return np.exp(log_softmax(logs, axis=1)).astype(np.float32)
