"""Bootstrap intervals of metrics and of differences between models.

`scores` are explained in `rakuten.evaluation.inputs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from rakuten import stage_log
from rakuten.categories import NUM_CATEGORIES
from rakuten.evaluation.metrics import are_probabilities, rounded, scored
from rakuten.model_names import BY_NAME

INTERVAL_METRICS = ("accuracy", "weighted_f1", "macro_f1", "log_loss")
"""The metrics that get an interval. The calibration error gets none: it sums absolute gaps, so
resampling only ever raises it, and no bootstrap interval of a well calibrated model is right."""

PAIRS = (
    ("text_ensemble", "text"),
    ("image_ensemble", "image"),
    ("late_fusion", "fusion"),
    ("late_fusion", "text_ensemble"),
    ("late_fusion", "image_ensemble"),
    ("fusion", "text"),
    ("fusion", "image"),
)
"""Models compared on the same rows: the first minus the second."""

CHUNK = 4_000_000
"""Counts of resampled groups converted at once, 32 MB."""


@dataclass(frozen=True)
class Resampled:
    """A metric, or the difference of a metric between two models, with its bootstrap replicates.

    Attributes:
        value: The metric on all products.
        replicates: float64 (b,), on groups drawn with replacement.
        jackknife: float64 (g,), on all groups but one.
    """

    value: float
    replicates: np.ndarray
    jackknife: np.ndarray

    def __sub__(self, other: "Resampled") -> "Resampled":
        """Compute the paired difference: both must have the same groups and seed."""
        return Resampled(
            self.value - other.value,
            self.replicates - other.replicates,
            self.jackknife - other.jackknife,
        )

    def interval(self, confidence: float) -> tuple[float, float]:
        """Compute the bias-corrected and accelerated (BCa) interval.

        The percentile interval of macro F1 lies too low on small test parts: a draw misses some
        products of a small category, which lowers its F1. BCa takes other percentiles: those that
        are right if the replicates are as much lower than the value as the value is than the truth.

        Source: Efron, "Better Bootstrap Confidence Intervals", 1987. `scipy.stats.bootstrap` gives
        the same interval, but recomputes the metric from all rows for each left-out group.

        Args:
            confidence: Share of the replicates inside the interval, in 0..1.

        Returns:
            The lower and upper bound.
        """
        below = (self.replicates < self.value).mean() + (self.replicates == self.value).mean() / 2
        smallest = 1 / (len(self.replicates) + 1)
        bias = ndtri(np.clip(below, smallest, 1 - smallest))
        influence = self.jackknife.mean() - self.jackknife
        spread = (influence**2).sum() ** 1.5
        acceleration = (influence**3).sum() / (6 * spread) if spread else 0.0
        shifted = bias + ndtri([(1 - confidence) / 2, (1 + confidence) / 2])
        shares = ndtr(bias + shifted / (1 - acceleration * shifted))
        low, high = np.quantile(self.replicates, shares)
        return float(low), float(high)


def interval_table(
    rows: pd.DataFrame,
    scores: Mapping[str, np.ndarray],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> pd.DataFrame:
    """Compute intervals of `INTERVAL_METRICS` and of differences between models, by bootstrap.

    Intervals as `Resampled.interval` computes them, over groups of duplicates drawn with
    replacement: the errors on duplicates are not independent. A difference is measured on the
    products that both models can score, with the same draws for both: a paired interval, narrower
    than the two models' own intervals suggest. A fusion model is compared with a single-modality
    model a second time, on the products that have both modalities: only there can it gain from
    the other one.

    Args:
        rows: Table of `inputs.describe`, n products, e.g. those of one part.
        scores: Scores (n, 27) by model name, in the order of `rows`.
        resamples: Number of draws.
        confidence: Share of the replicates inside the interval, in 0..1.
        seed: Seed of the draws.

    Returns:
        `model`, `minus` (empty for a single model), `rows_of` ("scored" for a single model,
        "scored by both" or "both modalities"), `metric`, `value`, `low`, `high`, `rows`. No line
        where a metric is None or no product is left.
    """
    labels, groups = rows["label"].to_numpy(), rows["group"].to_numpy()
    both = rows["modality"].eq("both").to_numpy()
    compared = [(model, "", "scored", scored(values)) for model, values in scores.items()]
    for model, other in PAIRS:
        if {model, other} <= set(scores):
            common = scored(scores[model]) & scored(scores[other])
            compared.append((model, other, "scored by both", common))
            if BY_NAME[model].modality == "fusion" and BY_NAME[other].modality != "fusion":
                compared.append((model, other, "both modalities", common & both))

    cache: dict[tuple[str, bytes], dict[str, Resampled]] = {}  # pairs often share their rows
    records = []
    bar = stage_log.progress(
        compared, total=len(compared), unit="comparison", description="intervals", delay=2.0
    )
    for model, other, rows_of, chosen in bar:
        names = [name for name in (model, other) if name]
        for name in names:
            if (name, chosen.tobytes()) not in cache:
                own = labels[chosen], scores[name][chosen], groups[chosen]
                cache[name, chosen.tobytes()] = bootstrap(*own, resamples=resamples, seed=seed)
        first, *second = (cache[name, chosen.tobytes()] for name in names)
        for metric in INTERVAL_METRICS:
            if any(metric not in side for side in (first, *second)):
                continue
            found = first[metric] - second[0][metric] if second else first[metric]
            bounds = [rounded(bound) for bound in (found.value, *found.interval(confidence))]
            records.append((model, other, rows_of, metric, *bounds, int(chosen.sum())))
    columns = ["model", "minus", "rows_of", "metric", "value", "low", "high", "rows"]
    return pd.DataFrame(records, columns=columns)


def bootstrap(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, *, resamples: int, seed: int
) -> dict[str, Resampled]:
    """Measure one model on groups of products drawn with replacement, and without each group.

    The same seed and groups give the same draws, whatever the model: differences between the
    results of two models are paired.

    Args:
        labels: int64 (n,), the true class indices.
        scores: float (n, 27) without NaN.
        groups: int64 (n,), equal for duplicates.
        resamples: Number of draws.
        seed: Seed of the draws.

    Returns:
        The replicates of each of `INTERVAL_METRICS` that the scores allow: none without rows, no
        `log_loss` without probabilities.
    """
    if not labels.size:
        return {}
    counts = _group_counts(labels, scores, groups)  # (g, 83)
    count, total = len(counts), counts.sum(axis=0)
    step = max(1, CHUNK // count)
    times = _draw(count, resamples, seed)  # (b, g)
    drawn = [times[start : start + step] * 1.0 @ counts for start in range(0, resamples, step)]
    value, replicates, jackknife = map(
        _metrics, (total[None], np.concatenate(drawn), total - counts)
    )
    names = INTERVAL_METRICS if are_probabilities(scores) else INTERVAL_METRICS[:-1]
    return {
        name: Resampled(float(value[name][0]), replicates[name], jackknife[name]) for name in names
    }


@lru_cache(maxsize=2)  # models with the same rows have the same draws
def _draw(count: int, resamples: int, seed: int) -> np.ndarray:
    """Draw groups with replacement; count how often each is drawn: uint16 (resamples, count)."""
    generator = np.random.default_rng(seed)
    times = np.empty((resamples, count), np.uint16)
    for row in times:
        row[:] = np.bincount(generator.integers(0, count, size=count), minlength=count)
    return times


def _group_counts(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Count correct, actual and predicted products by category, sum losses and rows: (g, 83)."""
    predicted = scores.argmax(axis=1)
    every = np.eye(NUM_CATEGORIES)
    correct = every[labels] * (labels == predicted)[:, None]
    losses = _row_losses(labels, scores)
    rows = np.column_stack([correct, every[labels], every[predicted], losses, np.ones(len(labels))])
    _, place = np.unique(groups, return_inverse=True)
    counts = np.zeros((place.max() + 1, rows.shape[1]))
    np.add.at(counts, place, rows)
    return counts


def _row_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Log loss of each row in nats, float64 (n,), clipped as scikit-learn's `log_loss` does."""
    own = probabilities[np.arange(len(labels)), labels]
    floor = np.finfo(probabilities.dtype).eps
    return -np.log(np.clip(own, floor, 1 - floor).astype(np.float64))


def _metrics(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the metrics of `measure` from sums of `_group_counts` (b, 83), each float64 (b,)."""
    correct, support, predicted = np.split(counts[:, :-2], 3, axis=1)  # (b, 27)
    losses, rows = counts[:, -2], np.maximum(counts[:, -1], 1)
    f1 = 2 * correct / np.maximum(support + predicted, 1)
    return {
        "accuracy": correct.sum(axis=1) / rows,
        "weighted_f1": (f1 * support).sum(axis=1) / rows,
        "macro_f1": f1.sum(axis=1) / np.maximum((support > 0).sum(axis=1), 1),
        "log_loss": losses / rows,
    }
