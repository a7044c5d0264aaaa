"""Compute metrics of one model: accuracy, F1, log loss, calibration error, confusion counts.

`scores` are explained in `rakuten.evaluation.inputs`.
"""

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss

from rakuten.categories import NUM_CATEGORIES
from rakuten.storage import DIGITS

METRICS = ("accuracy", "weighted_f1", "macro_f1", "log_loss", "ece")
"""The metrics of `measure`; `ece` is the expected calibration error."""

CALIBRATION_BINS = 15
"""Bins of the calibration error, as in Guo et al. (2017)."""


def scored(scores: np.ndarray) -> np.ndarray:
    """Find the products that a model could score: bool (n,), in the order of `scores`."""
    return ~np.isnan(scores).any(axis=1)


def present(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out the products that a model cannot score.

    Args:
        labels: int64 (n,), the true class indices.
        scores: float (n, 27); rows of NaN are left out.

    Returns:
        The labels (m,) and scores (m, 27) of the other products, in the same order.
    """
    chosen = scored(scores)
    return labels[chosen], scores[chosen]


def measure(labels: np.ndarray, scores: np.ndarray) -> dict[str, float | int | None]:
    """Measure one model on the products it can score.

    Macro F1 is the mean over the categories that occur in `labels`: a category without products
    has no F1, and counting it as 0 would lower the macro F1 of every small slice. Over a whole
    part, where all 27 occur, this is the usual macro F1. Log loss is in nats, with probabilities
    clipped at the resolution of their dtype (1.2e-7 for float32).

    Args:
        labels: int64 (n,), the true class indices.
        scores: float (n, 27); rows of NaN are left out.

    Returns:
        `accuracy`, `weighted_f1`, `macro_f1` in 0..1, `log_loss` >= 0, `ece` in 0..1, and `rows`,
        the number measured. `log_loss` and `ece` are None if the scores are not probabilities,
        all are None if there are no rows.
    """
    labels, scores = present(labels, scores)
    if not labels.size:
        return {**dict.fromkeys(METRICS), "rows": 0}
    predicted = scores.argmax(axis=1)
    occurring = np.unique(labels)
    measured = {"accuracy": accuracy_score(labels, predicted)}
    for average in ("weighted", "macro"):
        measured[f"{average}_f1"] = f1_score(
            labels, predicted, labels=occurring, average=average, zero_division=0
        )
    if are_probabilities(scores):
        measured["log_loss"] = log_loss(labels, scores, labels=np.arange(NUM_CATEGORIES))
        measured["ece"] = expected_calibration_error(labels, scores)
    return {name: rounded(measured.get(name)) for name in METRICS} | {"rows": int(labels.size)}


def rounded(value: float | None) -> float | None:
    """Round to `DIGITS` decimals; None stays None."""
    return None if value is None else round(float(value), DIGITS)


def are_probabilities(scores: np.ndarray) -> bool:
    """Check whether every row of scores (n, 27) is a distribution, to float32 accuracy."""
    return bool((scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3))


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Measure how far confidence is from accuracy: the mean gap over bins, weighted by rows.

    The confidence of a row is the probability of its predicted class. Bins have equal mass, see
    `calibration_bins`. The error is biased upwards for few rows: random variation alone gives a gap
    of about 0.4 / sqrt(rows of a bin), so slices of a few hundred products are not informative.

    Source: Guo et al., On Calibration of Modern Neural Networks, 2017; bins of equal mass as in
    Nixon et al., Measuring Calibration in Deep Learning, 2019.

    Args:
        labels: int64 (n,), the true class indices, n > 0.
        probabilities: float (n, 27) without NaN.

    Returns:
        The error, in 0..1.
    """
    table = calibration_bins(labels, probabilities)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float((gaps * table["rows"]).sum() / table["rows"].sum())


def calibration_bins(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Sort rows by confidence and cut them into `CALIBRATION_BINS` bins of equal size.

    Rows with the same confidence stay in one bin, whatever their order, so there may be fewer
    bins, of unequal size.

    Args:
        labels: int64 (n,), the true class indices, n > 0.
        probabilities: float (n, 27) without NaN.

    Returns:
        One row per non-empty bin, ascending: `bin` from 1, `rows`, `confidence` (mean) and
        `accuracy`, not rounded.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    starts = np.arange(1, CALIBRATION_BINS) * len(confidence) // CALIBRATION_BINS
    cuts = np.sort(confidence)[starts]
    _, place = np.unique(np.searchsorted(cuts, confidence, side="right"), return_inverse=True)
    rows = np.bincount(place)
    return pd.DataFrame(
        {
            "bin": np.arange(1, len(rows) + 1),
            "rows": rows,
            "confidence": np.bincount(place, weights=confidence) / rows,
            "accuracy": np.bincount(place, weights=correct) / rows,
        }
    )


def confusion(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Count products by true and predicted category.

    Args:
        labels: int64 (n,), the true class indices.
        scores: float (n, 27); rows of NaN are left out.

    Returns:
        int64 (27, 27): rows are true classes, columns predicted ones.
    """
    labels, scores = present(labels, scores)
    if not labels.size:
        return np.zeros((NUM_CATEGORIES, NUM_CATEGORIES), np.int64)
    classes = np.arange(NUM_CATEGORIES)
    return confusion_matrix(labels, scores.argmax(axis=1), labels=classes).astype(np.int64)
