"""Classify dense features by their likeness to landmarks: a Nystrom map and a ridge on top.

A product is described by what it resembles: a radial kernel of each block of features (grid of the
picture, place of the product in its frame, sentence vector), summed, against some thousand products
of the train part. A linear classifier on these likenesses is a kernel machine at linear cost, with
out-of-fold scores for little more than one training: each fold's sums are taken off the total.

Source: Williams and Seeger, "Using the Nystrom Method to Speed Up Kernel Machines", 2000.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from rakuten.categories import NUM_CATEGORIES

CHUNK = 4096
"""Products mapped at once: bounds the memory."""

RANK_TOLERANCE = 1e-5
"""Directions of the landmarks' kernel weaker than this share of the strongest are left out."""


@dataclass(frozen=True)
class KernelRidge:
    """A fitted classifier.

    Attributes:
        landmarks: float32 (m, d) by block, normalised as `normalize` does.
        weights: What each block's kernel counts, in the order of the blocks.
        scales: 1 / median squared distance between landmarks, by block.
        projection: float32 (m, r), from likenesses to coordinates in which the kernel is a dot
            product.
        coefficients: float32 (r, 27) of the ridge.
        intercept: float32 (27,).
    """

    landmarks: dict[str, np.ndarray]
    weights: dict[str, float]
    scales: dict[str, float]
    projection: np.ndarray
    coefficients: np.ndarray
    intercept: np.ndarray

    def decide(self, blocks: Mapping[str, np.ndarray]) -> np.ndarray:
        """Score products.

        Args:
            blocks: float (n, d) by block, normalised as in `fit`.

        Returns:
            float32 (n, 27): about 1 for the likeliest category, about -1 for the others.
        """
        given = self.landmarks, self.weights, self.scales
        with threadpool_limits(1):  # as in `fit`
            slopes = self.projection @ self.coefficients  # (m, 27): far less work than row by row
            chunks = [
                _likeness(chunk, *given) @ slopes + self.intercept for chunk in _chunks(blocks)
            ]
        return np.concatenate([np.zeros((0, NUM_CATEGORIES), np.float32), *chunks])

    def arrays(self) -> dict[str, np.ndarray]:
        """Take the classifier apart into plain arrays that `restore` assembles again."""
        names = list(self.landmarks)
        return {
            **{f"landmarks/{name}": self.landmarks[name] for name in names},
            "weights": np.array([self.weights[name] for name in names]),
            "scales": np.array([self.scales[name] for name in names]),
            "projection": self.projection,
            "coefficients": self.coefficients,
            "intercept": self.intercept,
        }


def restore(arrays: Mapping[str, np.ndarray], within: str = "") -> KernelRidge | None:
    """Assemble the classifier that `KernelRidge.arrays` took apart.

    Args:
        arrays: Its arrays, perhaps among others.
        within: What their names begin with.

    Returns:
        The classifier, None if its arrays are not there.
    """
    arrays = {n.removeprefix(within): a for n, a in arrays.items() if n.startswith(within)}
    if "projection" not in arrays:
        return None
    prefix = "landmarks/"
    names = [name.removeprefix(prefix) for name in arrays if name.startswith(prefix)]
    return KernelRidge(
        landmarks={name: arrays[prefix + name] for name in names},
        weights=dict(zip(names, arrays["weights"].tolist(), strict=True)),
        scales=dict(zip(names, arrays["scales"].tolist(), strict=True)),
        projection=arrays["projection"],
        coefficients=arrays["coefficients"],
        intercept=arrays["intercept"],
    )


def normalize(features: np.ndarray, *, root: bool = False) -> np.ndarray:
    """Give every row length 1; rows of zeros stay.

    Args:
        features: float (n, d).
        root: Take square roots first, of features that are at least 0: tames a few strong channels.

    Returns:
        float32 (n, d).
    """
    rows = features.astype(np.float32)
    if root:
        rows = np.sqrt(np.maximum(rows, 0))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=rows, where=lengths > 0)


def fit(
    blocks: Mapping[str, np.ndarray],
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    weights: Mapping[str, float],
    landmarks: int,
    regularization: float,
    seed: int,
) -> tuple[KernelRidge | None, np.ndarray]:
    """Fit on all rows, and score each row by a fit that left its fold out.

    The landmarks are drawn from all rows; they are features without labels.

    Args:
        blocks: float32 (n, d) by block, the same n products.
        labels: int64 (n,) class indices in 0..26.
        folds: int64 (n,), the fold of each row, from 0.
        weights: What the kernel of each block counts, above 0.
        landmarks: Products drawn as landmarks; all n where there are fewer.
        regularization: Strength of the ridge, above 0; for kernels that sum to about 1.
        seed: Seed of the draw.

    Returns:
        The classifier, None without rows, and the out-of-fold scores float32 (n, 27).
    """
    rows = len(labels)
    if not rows:
        return None, np.zeros((0, NUM_CATEGORIES), np.float32)
    chosen = np.random.default_rng(seed).permutation(rows)[:landmarks]
    chosen.sort()
    centres = {name: np.ascontiguousarray(blocks[name][chosen]) for name in weights}
    scales = {name: _inverse_median(centre) for name, centre in centres.items()}
    targets = np.full((rows, NUM_CATEGORIES), -1.0)
    targets[np.arange(rows), labels] = 1.0

    with threadpool_limits(1):  # sums in one order, however many threads a machine offers
        given = centres, weights, scales
        projection = _inverse_root(_likeness(centres, *given))
        mapped = np.concatenate([_likeness(c, *given) @ projection for c in _chunks(blocks)])
        members = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
        moments = [_moments(mapped[own], targets[own]) for own in members]
        total = [sum(parts) for parts in zip(*moments, strict=True)]
        coefficients, intercept = _solve(total, regularization)
        left_out = np.zeros((rows, NUM_CATEGORIES), np.float32)
        for own, parts in zip(members, moments, strict=True):
            others = [whole - part for whole, part in zip(total, parts, strict=True)]
            slopes, constants = _solve(others, regularization)
            left_out[own] = mapped[own] @ slopes + constants
    fitted = KernelRidge(centres, dict(weights), scales, projection, coefficients, intercept)
    return fitted, left_out


def _chunks(blocks: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Go through products, `CHUNK` of them at a time."""
    for start in range(0, len(next(iter(blocks.values()))), CHUNK):
        yield {name: block[start : start + CHUNK] for name, block in blocks.items()}


def _likeness(
    blocks: Mapping[str, np.ndarray],
    centres: Mapping[str, np.ndarray],
    weights: Mapping[str, float],
    scales: Mapping[str, float],
) -> np.ndarray:
    """Sum the radial kernels of all blocks between n rows and m centres, float32 (n, m)."""
    total = sum(weights.values())
    likeness = None
    for name, weight in weights.items():
        distances = _squared_distances(blocks[name], centres[name])
        kernel = np.exp(-np.float32(scales[name]) * distances) * np.float32(weight / total)
        likeness = kernel if likeness is None else likeness + kernel
    return likeness


def _squared_distances(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Measure squared Euclidean distances, float32 (n, m)."""
    products = rows @ centres.T
    products *= -2
    products += np.einsum("ij,ij->i", rows, rows)[:, None]
    products += np.einsum("ij,ij->i", centres, centres)[None]
    return np.maximum(products, 0, out=products)


def _inverse_median(centres: np.ndarray) -> float:
    """Give 1 / median squared distance, 1 where the centres are all the same."""
    some = centres[:1000]
    median = float(np.median(_squared_distances(some, some)))
    rounding = 1e-5 * float(np.mean(np.einsum("ij,ij->i", some, some)))  # of equal rows
    return 1.0 / median if median > rounding else 1.0


def _inverse_root(kernel: np.ndarray) -> np.ndarray:
    """Find the projection P with K P P' K = K, float32 (m, r)."""
    from scipy.linalg import eigh  # prediction does without, here and below

    values, vectors = eigh(kernel.astype(np.float64))
    kept = values > values[-1] * RANK_TOLERANCE
    roots = vectors[:, kept] / np.sqrt(values[kept])
    return np.ascontiguousarray(roots, np.float32)  # the layout that a file gives it again


def _moments(mapped: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, ...]:
    """Sum up rows: second moments (r+1, r+1), with the constant last, and (r+1, 27)."""
    extended = np.column_stack([mapped, np.ones(len(mapped), np.float32)]).astype(np.float64)
    return extended.T @ extended, extended.T @ targets


def _solve(moments: list[np.ndarray], regularization: float) -> tuple[np.ndarray, np.ndarray]:
    """Solve the ridge; the constant is not punished."""
    from scipy.linalg import cho_factor, cho_solve

    second, first = moments
    penalty = np.full(len(second), regularization)
    penalty[-1] = 1e-8
    solution = cho_solve(cho_factor(second + np.diag(penalty)), first)
    return np.ascontiguousarray(solution[:-1], np.float32), solution[-1].astype(np.float32)
