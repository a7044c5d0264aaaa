"""Combine the scores of several classifiers into one calibrated probability.

A weighted sum of scores plus a bias for each category, then a softmax (a logarithmic opinion pool).
Its few numbers are learned reliably from a few hundred products if the scores are out of fold:
scores of rows that a classifier was fitted on overstate its accuracy.

Source: Genest and Zidek, "Combining Probability Distributions", 1986. With one classifier and no
bias it is temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from rakuten import storage
from rakuten.categories import NUM_CATEGORIES

FLOOR = 1e-7
"""Probabilities are raised to this value before taking logarithms."""


@dataclass(frozen=True)
class Calibration:
    """Fitted ensemble weights and biases.

    Attributes:
        weights: float64 (m,), the weight of each classifier, at least 0. With one classifier, the
            inverse temperature.
        biases: float64 (27,), added to the score of each category; they sum to 0.
    """

    weights: np.ndarray
    biases: np.ndarray

    def probabilities(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        """Combine the scores of n products.

        Args:
            scores: m arrays float (n, 27), in the order of the weights.

        Returns:
            float32 (n, 27), rows sum to 1.
        """
        weighted = [weight * values for weight, values in zip(self.weights, scores, strict=True)]
        total = np.sum(weighted, axis=0, dtype=np.float64) + self.biases
        return np.exp(log_softmax(total, axis=1)).astype(np.float32)

    def write(self, folder: str | Path) -> None:
        """Write weights.npz, for `read`."""
        arrays = {"weights": self.weights, "biases": self.biases}
        storage.write_arrays(Path(folder) / "weights.npz", **arrays)


def read(folder: str | Path) -> Calibration:
    """Read what `Calibration.write` wrote.

    Raises:
        FileNotFoundError: If weights.npz is missing.
    """
    return Calibration(**storage.read_arrays(Path(folder) / "weights.npz"))


def fit(scores: Sequence[np.ndarray], labels: np.ndarray, *, bias_l2: float) -> Calibration:
    """Find the weights and biases of the lowest log loss.

    Args:
        scores: m arrays float (n, 27), out of fold, on any scale.
        labels: int64 (n,), class indices in 0..26.
        bias_l2: L2 penalty on the biases, above 0, relative to the sum of the log losses of the n
            rows. Larger values keep the biases closer to 0.

    Returns:
        The calibration; weights of 1 and biases of 0 without rows.
    """
    from scipy.optimize import minimize  # lazy: a third of a second that prediction saves

    count, rows = len(scores), len(labels)
    start = np.concatenate([np.ones(count), np.zeros(NUM_CATEGORIES)])
    if not rows:
        return Calibration(start[:count], start[count:])
    stacked = np.stack([values.astype(np.float64) for values in scores])  # (m, n, 27)
    targets = np.zeros((rows, NUM_CATEGORIES))
    targets[np.arange(rows), labels] = 1.0

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, biases = parameters[:count], parameters[count:]
        logs = log_softmax(np.tensordot(weights, stacked, 1) + biases, axis=1)  # (n, 27)
        residuals = (np.exp(logs) - targets) / rows
        value = -(logs * targets).sum() / rows + bias_l2 / rows * (biases @ biases)
        by_weight = np.tensordot(stacked, residuals, ([1, 2], [0, 1]))
        by_bias = residuals.sum(axis=0) + 2 * bias_l2 / rows * biases
        return value, np.concatenate([by_weight, by_bias])

    bounds = [(0.0, None)] * count + [(None, None)] * NUM_CATEGORIES
    with threadpool_limits(1):  # more threads would spend their time waiting for each other
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    biases = found[count:]
    return Calibration(found[:count], biases - biases.mean())


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Take logarithms of probabilities (n, 27), floored at `FLOOR`, float64 (n, 27)."""
    return np.log(np.maximum(probabilities.astype(np.float64), FLOOR))
