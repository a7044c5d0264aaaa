"""Comparison of two packages by their predictions for the same test products."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rakuten.evaluation import intervals, metrics

METRICS = ("weighted_f1", "accuracy")
"""What is compared; the first, by which the challenge ranks, decides."""


def compare(
    candidate: Mapping[str, np.ndarray],
    champion: Mapping[str, np.ndarray],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict:
    """Evaluate two packages on the products that are in the test parts of both.

    Args:
        candidate: ids int64 (n,), ascending, labels int64 (n,), probabilities float (n, 27), as
            `rakuten.serving.package_summary.predictions` returns them. groups int64 (n,), equal
            for duplicates; packages of earlier versions have none: each product is a group.
        champion: The same for m products; its groups are not used.
        resamples: Number of bootstrap resamples.
        confidence: Share of the resamples inside the interval, in 0..1.
        seed: Of the resamples.

    Returns:
        rows, and for each of `METRICS`: candidate, champion, difference, low, high. Low and high
        bound the difference by a paired bootstrap over groups of duplicates, see
        `intervals.Resampled.interval`.

    Raises:
        ValueError: If no product is in both test parts, or a product has two categories.
    """
    ids, ours, theirs = np.intersect1d(
        candidate["ids"], champion["ids"], assume_unique=True, return_indices=True
    )
    if not ids.size:
        raise ValueError(
            f"the test parts have no product in common, of {len(candidate['ids'])} and "
            f"{len(champion['ids'])}: expected two packages with the same split"
        )
    labels = candidate["labels"][ours]
    different = np.flatnonzero(labels != champion["labels"][theirs])
    if different.size:
        raise ValueError(
            f"{different.size} of {ids.size} products have different categories in the two "
            f"packages, first id {ids[different[0]]}: expected the same labels"
        )
    both = candidate["probabilities"][ours], champion["probabilities"][theirs]
    measured: list[dict[str, Any]] = [metrics.measure(labels, scores) for scores in both]
    groups = candidate.get("groups", candidate["ids"])[ours]
    first, second = (
        intervals.bootstrap(labels, scores, groups, resamples=resamples, seed=seed)
        for scores in both
    )
    compared: dict[str, Any] = {"rows": int(ids.size)}
    for name in METRICS:
        low, high = (first[name] - second[name]).interval(confidence)
        values = {
            "candidate": measured[0][name],
            "champion": measured[1][name],
            "difference": measured[0][name] - measured[1][name],
            "low": low,
            "high": high,
        }
        compared[name] = {key: round(float(value), 6) for key, value in values.items()}
    return compared


def describe(compared: Mapping) -> str:
    """Write the result of `compare`, one line per metric."""
    lines = []
    for name in METRICS:
        c = compared[name]
        points = [round(100 * c[key], 2) + 0.0 for key in ("difference", "low", "high")]
        lines.append(
            f"{name.replace('_f1', ' F1'):<12} {c['candidate']:.2%} against {c['champion']:.2%}: "
            f"{points[0]:+.2f} points [{points[1]:.2f}, {points[2]:.2f}], "
            f"{compared['rows']:,} test products"
        )
    return "\n".join(lines)
