"""Two packages set against each other by what they said of the same test products."""

from collections.abc import Mapping

import numpy as np

from rakuten.evaluation import intervals, metrics

MEASURES = ("weighted_f1", "accuracy")
"""What is compared; the first, the challenge's own measure, decides."""


def compare(
    candidate: Mapping[str, np.ndarray],
    champion: Mapping[str, np.ndarray],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict:
    """Measure two packages on the products that are in the test parts of both.

    Args:
        candidate: ids (n,), ascending, labels (n,), probabilities (n, 27), as
            `rakuten.serving.package.predictions` has them.
        champion: Likewise (m,), (m, 27).
        resamples: Draws behind the interval.
        confidence: Share of the draws inside it, in 0..1.
        seed: Of the draws.

    Returns:
        rows, and for each of `MEASURES`: candidate, champion, difference, low, high, where low and
        high bound the difference by a paired percentile bootstrap over products.

    Raises:
        ValueError: If no product is in both test parts, or one has two categories.
    """
    ids, ours, theirs = np.intersect1d(
        candidate["ids"], champion["ids"], assume_unique=True, return_indices=True
    )
    if not ids.size:
        raise ValueError(
            f"the test parts have no product in common, of {len(candidate['ids'])} and "
            f"{len(champion['ids'])}: expected two packages that were split alike"
        )
    labels = candidate["labels"][ours]
    different = np.flatnonzero(labels != champion["labels"][theirs])
    if different.size:
        raise ValueError(
            f"{different.size} of {ids.size} products changed their category between the packages, "
            f"first id {ids[different[0]]}: expected the same labels"
        )
    both = candidate["probabilities"][ours], champion["probabilities"][theirs]
    ours, theirs = (metrics.measure(labels, scores) for scores in both)
    drawn = [intervals.bootstrap(labels, scores, resamples=resamples, seed=seed) for scores in both]
    found = {"rows": int(ids.size)}
    for name in MEASURES:
        low, high = np.quantile(
            drawn[0][name] - drawn[1][name], [(1 - confidence) / 2, (1 + confidence) / 2]
        )
        figures = {
            "candidate": ours[name],
            "champion": theirs[name],
            "difference": ours[name] - theirs[name],
            "low": low,
            "high": high,
        }
        found[name] = {key: round(float(value), 6) for key, value in figures.items()}
    return found


def describe(compared: Mapping) -> str:
    """Say what `compare` found, a line for each measure."""
    lines = []
    for name in MEASURES:
        c = compared[name]
        points = [round(100 * c[key], 2) + 0.0 for key in ("difference", "low", "high")]
        lines.append(
            f"{name.replace('_f1', ' F1'):<12} {c['candidate']:.2%} against {c['champion']:.2%}: "
            f"{points[0]:+.2f} points [{points[1]:.2f}, {points[2]:.2f}], "
            f"{compared['rows']:,} test products"
        )
    return "\n".join(lines)
