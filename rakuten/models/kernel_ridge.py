"""Multi-kernel ridge classification with a Nystrom approximation and out-of-fold scores.

The kernel is a weighted mean of radial (RBF) kernels, one for each block of features. Kernel values
to some thousand landmarks, drawn from the train rows, are mapped to coordinates in which a linear
ridge is fitted, so that the cost is linear in the number of rows. Out-of-fold scores cost little
more than one fit: the moments of each fold are subtracted from the total.

Source: Williams and Seeger, "Using the Nystrom Method to Speed Up Kernel Machines", 2000.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from threadpoolctl import threadpool_limits

from rakuten.categories import NUM_CATEGORIES
from rakuten.models import blas

CHUNK = 4096
"""Rows mapped at once: bounds the memory."""

RANK_TOLERANCE = 1e-5
"""Eigenvalues of the landmarks' kernel below this share of the largest are dropped."""


@dataclass(frozen=True)
class KernelRidge:
    """A fitted classifier.

    Attributes:
        landmarks: float32 (m, d) by block, rows of the train features.
        weights: Weight of each block's kernel, in the order of the blocks.
        scales: 1 / median squared distance between landmarks, by block (gamma of the RBF kernel).
        projection: float32 (m, r), from kernel values to coordinates in which the kernel is a dot
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

    def decision_function(self, blocks: Mapping[str, np.ndarray]) -> np.ndarray:
        """Score products.

        Args:
            blocks: float32 (n, d) by block, prepared as those given to `fit`.

        Returns:
            float32 (n, 27): about 1 for the predicted category, about -1 for the others.
        """
        arguments = self.landmarks, self.weights, self.scales
        with blas.one_thread():  # as in `fit`
            chunks = [
                _kernel(chunk, *arguments) @ self._slopes + self.intercept
                for chunk in _chunks(blocks)
            ]
        return np.concatenate([np.zeros((0, NUM_CATEGORIES), np.float32), *chunks])

    @functools.cached_property
    def _slopes(self) -> np.ndarray:
        """Map kernel values to scores, (m, 27): cheaper than to map them to coordinates first."""
        return self.projection @ self.coefficients

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the classifier as arrays, for `restore`."""
        names = list(self.landmarks)
        return {
            **{f"landmarks/{name}": self.landmarks[name] for name in names},
            "weights": np.array([self.weights[name] for name in names]),
            "scales": np.array([self.scales[name] for name in names]),
            "projection": self.projection,
            "coefficients": self.coefficients,
            "intercept": self.intercept,
        }


def restore(arrays: Mapping[str, np.ndarray], prefix: str = "") -> KernelRidge | None:
    """Build a classifier from the arrays of `KernelRidge.arrays`.

    Args:
        arrays: The arrays by name; others are ignored.
        prefix: Prefix of their names.

    Returns:
        The classifier, None if its arrays are missing.
    """
    arrays = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
    if "projection" not in arrays:
        return None
    names = [n.removeprefix("landmarks/") for n in arrays if n.startswith("landmarks/")]
    return KernelRidge(
        landmarks={name: arrays[f"landmarks/{name}"] for name in names},
        weights=dict(zip(names, arrays["weights"].tolist(), strict=True)),
        scales=dict(zip(names, arrays["scales"].tolist(), strict=True)),
        projection=arrays["projection"],
        coefficients=arrays["coefficients"],
        intercept=arrays["intercept"],
    )


def normalize(features: np.ndarray) -> np.ndarray:
    """Take square roots, then scale every row to length 1; rows of zeros are kept.

    The roots keep the signs, and reduce the influence of a few strong channels.

    Args:
        features: float (n, d).

    Returns:
        float32 (n, d).
    """
    rows = features.astype(np.float32)
    rows = np.copysign(np.sqrt(np.abs(rows)), rows)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=rows, where=lengths > 0)


def fit(
    blocks: Mapping[str, np.ndarray],
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    weights: Mapping[str, float],
    landmarks: int,
    alpha: float,
    seed: int,
) -> tuple[KernelRidge | None, np.ndarray]:
    """Fit on all rows, and score each row with a fit that excludes its fold.

    Landmarks are drawn from all rows; their labels are not used.

    Args:
        blocks: float32 (n, d) by block, the same n products.
        labels: int64 (n,), class indices in 0..26.
        folds: int64 (n,), the fold of each row.
        weights: Weight of each block's kernel, above 0. Other blocks are ignored.
        landmarks: Number of landmarks; all n rows if there are fewer.
        alpha: L2 penalty of the ridge, above 0, for a kernel whose largest value is 1.
        seed: Seed of the landmarks.

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

    with threadpool_limits(1):  # the result depends on the order of sums, and that on the threads
        arguments = centres, weights, scales
        projection = _inverse_root(_kernel(centres, *arguments))
        mapped = np.concatenate([_kernel(c, *arguments) @ projection for c in _chunks(blocks)])
        members = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
        moments = [_moments(mapped[held_out], targets[held_out]) for held_out in members]
        total = [np.sum(parts, axis=0) for parts in zip(*moments, strict=True)]
        coefficients, intercept = _solve(total, alpha)
        out_of_fold = np.zeros((rows, NUM_CATEGORIES), np.float32)
        for held_out, parts in zip(members, moments, strict=True):
            others = [whole - part for whole, part in zip(total, parts, strict=True)]
            slopes, constants = _solve(others, alpha)
            out_of_fold[held_out] = mapped[held_out] @ slopes + constants
    fitted = KernelRidge(centres, dict(weights), scales, projection, coefficients, intercept)
    return fitted, out_of_fold


def _chunks(blocks: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Split rows into chunks of `CHUNK`."""
    for start in range(0, len(next(iter(blocks.values()))), CHUNK):
        yield {name: block[start : start + CHUNK] for name, block in blocks.items()}


def _kernel(
    blocks: Mapping[str, np.ndarray],
    centres: Mapping[str, np.ndarray],
    weights: Mapping[str, float],
    scales: Mapping[str, float],
) -> np.ndarray:
    """Compute the weighted mean of the blocks' RBF kernels, n rows x m centres, float32 (n, m)."""
    total = sum(weights.values())
    kernels = (
        np.exp(-np.float32(scales[name]) * _squared_distances(blocks[name], centres[name]))
        * np.float32(weight / total)
        for name, weight in weights.items()
    )
    return functools.reduce(np.add, kernels)


def _squared_distances(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Compute squared Euclidean distances, float32 (n, m)."""
    products = rows @ centres.T
    products *= -2
    products += np.einsum("ij,ij->i", rows, rows)[:, None]
    products += np.einsum("ij,ij->i", centres, centres)[None]
    return np.maximum(products, 0, out=products)


def _inverse_median(centres: np.ndarray) -> float:
    """Return 1 / median squared distance, or 1 if the centres are equal."""
    sample = centres[:1000]
    median = float(np.median(_squared_distances(sample, sample)))
    # Rounding errors make the distances of equal rows slightly larger than 0.
    rounding = 1e-5 * float(np.mean(np.einsum("ij,ij->i", sample, sample)))
    return 1.0 / median if median > rounding else 1.0


def _inverse_root(kernel: np.ndarray) -> np.ndarray:
    """Find the projection P with K P P' K = K, float32 (m, r)."""
    values, vectors = eigh(kernel.astype(np.float64))
    kept = values > values[-1] * RANK_TOLERANCE
    roots = vectors[:, kept] / np.sqrt(values[kept])
    return np.ascontiguousarray(roots, np.float32)  # the layout of an array read from a file


def _moments(mapped: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, ...]:
    """Compute X'X (r+1, r+1) and X'Y (r+1, 27), the constant column last."""
    extended = np.column_stack([mapped, np.ones(len(mapped), np.float32)]).astype(np.float64)
    return extended.T @ extended, extended.T @ targets


def _solve(moments: Sequence[np.ndarray], alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Solve the ridge; the intercept is not penalized."""
    second, first = moments
    penalty = np.full(len(second), alpha)
    penalty[-1] = 1e-8
    solution = cho_solve(cho_factor(second + np.diag(penalty)), first)
    return np.ascontiguousarray(solution[:-1], np.float32), solution[-1].astype(np.float32)
