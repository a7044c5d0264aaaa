"""Bootstrap intervals of metrics and of differences between models.

`scores` are explained in `rakuten.evaluation.inputs`.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from rakuten.categories import NUM_CATEGORIES
from rakuten.evaluation.metrics import are_probabilities, measure, rounded, scored
from rakuten.model_names import BY_NAME

INTERVAL_METRICS = ("accuracy", "weighted_f1", "macro_f1", "log_loss")
"""The metrics that get an interval. The calibration error gets none: it sums absolute gaps, so
resampling only ever raises it, and the percentile interval of a well calibrated model would lie
above the model's own value."""

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
"""Resampled rows held in memory at once, 32 MB."""

_CELLS = NUM_CATEGORIES * NUM_CATEGORIES


def interval_table(
    rows: pd.DataFrame,
    scores: Mapping[str, np.ndarray],
    pairs: Iterable[tuple[str, str]] = PAIRS,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> pd.DataFrame:
    """Compute intervals of `INTERVAL_METRICS` and of differences between models, by bootstrap.

    Percentile intervals over products drawn with replacement. A difference is measured on the
    products that both models can score, with the same draws for both: a paired interval, narrower
    than the two models' own intervals suggest. A fusion model is compared with a single-modality
    model a second time, on the products that have both modalities: only there can it gain from
    the other one.

    Args:
        rows: Table of `inputs.describe`, n products, e.g. those of one part.
        scores: Scores (n, 27) by model name, in the order of `rows`.
        pairs: Names of two models each; pairs with a model that is not in `scores` are left out.
        resamples: Number of draws.
        confidence: Share of the draws inside the interval, in 0..1.
        seed: Seed of the draws.

    Returns:
        `model`, `minus` (empty for a single model), `rows_of` ("scored" for a single model,
        "scored by both" or "both modalities"), `metric`, `value`, `low`, `high`, `rows`. No line
        where a metric is None or no product is left.
    """
    labels = rows["label"].to_numpy()
    both = rows["modality"].eq("both").to_numpy()
    compared = [(model, "", "scored", scored(values)) for model, values in scores.items()]
    for model, other in pairs:
        if {model, other} <= set(scores):
            common = scored(scores[model]) & scored(scores[other])
            compared.append((model, other, "scored by both", common))
            if BY_NAME[model].modality == "fusion" and BY_NAME[other].modality != "fusion":
                compared.append((model, other, "both modalities", common & both))

    cache: dict[tuple[str, bytes], dict[str, np.ndarray]] = {}  # pairs often share their rows
    records = []
    for model, other, rows_of, chosen in compared:
        names = [name for name in (model, other) if name]
        for name in names:
            if (name, chosen.tobytes()) not in cache:
                own = labels[chosen], scores[name][chosen]
                draws, measured = bootstrap(*own, resamples=resamples, seed=seed), measure(*own)
                cache[name, chosen.tobytes()] = {
                    metric: np.append(np.array(measured[metric], np.float64), drawn)
                    for metric, drawn in draws.items()
                }
        sides = [cache[name, chosen.tobytes()] for name in names]
        for metric in INTERVAL_METRICS:
            if any(metric not in side for side in sides):
                continue
            values = sides[0][metric] - (sides[1][metric] if other else 0)  # measured, then draws
            low, high = np.quantile(values[1:], [(1 - confidence) / 2, (1 + confidence) / 2])
            bounds = [rounded(bound) for bound in (values[0], low, high)]
            records.append((model, other, rows_of, metric, *bounds, int(chosen.sum())))
    columns = ["model", "minus", "rows_of", "metric", "value", "low", "high", "rows"]
    return pd.DataFrame(records, columns=columns)


def bootstrap(
    labels: np.ndarray, scores: np.ndarray, *, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Measure one model on products drawn with replacement.

    The same seed and number of products give the same draws, whatever the model: differences
    between the results of two models are paired.

    Args:
        labels: int64 (n,), the true class indices.
        scores: float (n, 27) without NaN.
        resamples: Number of draws.
        seed: Seed of the draws.

    Returns:
        float64 (resamples,) for each of `INTERVAL_METRICS` that the scores allow: none without
        rows, no `log_loss` without probabilities.
    """
    if not labels.size:
        return {}
    cells = labels * NUM_CATEGORIES + scores.argmax(axis=1)  # (n,), index into the confusion counts
    loss = _row_losses(labels, scores) if are_probabilities(scores) else None
    generator = np.random.default_rng(seed)
    step = max(1, CHUNK // labels.size)
    counts, losses = [], []
    for start in range(0, resamples, step):
        size = (min(step, resamples - start), labels.size)
        drawn = generator.integers(0, labels.size, size=size, dtype=np.int32)
        offset = np.arange(size[0])[:, None] * _CELLS
        flat = np.bincount((cells[drawn] + offset).ravel(), minlength=size[0] * _CELLS)
        counts.append(_confusion_metrics(flat.reshape(-1, NUM_CATEGORIES, NUM_CATEGORIES)))
        if loss is not None:
            losses.append(loss[drawn].mean(axis=1))
    metrics = {name: np.concatenate([part[name] for part in counts]) for name in counts[0]}
    return metrics | ({"log_loss": np.concatenate(losses)} if losses else {})


def _row_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Log loss of each row in nats, float64 (n,), clipped as scikit-learn's `log_loss` does."""
    own = probabilities[np.arange(len(labels)), labels]
    floor = np.finfo(probabilities.dtype).eps
    return -np.log(np.clip(own, floor, 1 - floor).astype(np.float64))


def _confusion_metrics(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the metrics of `measure` from confusion counts (b, 27, 27), each float64 (b,)."""
    correct = np.diagonal(counts, axis1=1, axis2=2)  # (b, 27)
    support = counts.sum(axis=2)
    rows = support.sum(axis=1)
    f1 = 2 * correct / np.maximum(support + counts.sum(axis=1), 1)
    return {
        "accuracy": correct.sum(axis=1) / rows,
        "weighted_f1": (f1 * support).sum(axis=1) / rows,
        "macro_f1": (f1 * (support > 0)).sum(axis=1) / (support > 0).sum(axis=1),
    }
