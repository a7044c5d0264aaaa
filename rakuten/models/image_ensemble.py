"""The best light image classifier: kernels of what the picture shows and of how it is framed.

Beside the average of the network's last block it reads a grid of it (what is where), the average of
a middle block (texture, print, lines), and the place of the product in its white frame: books stand
upright and fill it, figurines do not. A radial kernel of each is worth several points over a net or
a linear model on the average alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rakuten.categories import NUM_CATEGORIES
from rakuten.models import calibration, kernel_ridge

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section `image_ensemble` of params.yaml.

    Attributes:
        average: What the kernel of the last block's average counts.
        grid: What that of its 2x2 grid counts.
        middle: What that of the middle block's average counts.
        frame: What that of the product's place in its frame counts.
        landmarks: Products that others are compared with.
        ridge: Strength of the ridge on these likenesses.
        offsets: Strength that holds the calibration's offsets near 0.
        folds: Parts of the train part that take turns in being left out.
    """

    average: float
    grid: float
    middle: float
    frame: float
    landmarks: int
    ridge: float
    offsets: float
    folds: int

    @property
    def weights(self) -> dict[str, float]:
        """What each block's kernel counts, those of 0 left out."""
        blocks = ("average", "grid", "middle", "frame")
        return {name: getattr(self, name) for name in blocks if getattr(self, name) > 0}


@dataclass(frozen=True)
class ImageEnsemble:
    """A fitted classifier of pictures.

    Attributes:
        kernel: The classifier of blocks, None where there was no picture to learn from.
        pool: Its calibration.
    """

    kernel: kernel_ridge.KernelRidge | None
    pool: calibration.Pool

    def probabilities(self, views: list[Mapping[str, np.ndarray]]) -> np.ndarray:
        """Classify products by the mean of what their views say.

        Args:
            views: For each view the blocks of the same n products, see `blocks`.

        Returns:
            float32 (n, 27), rows sum to 1.
        """
        if self.kernel is None:
            raise ValueError("the image classifier has seen no picture: train it on some")
        scores = np.mean([self.kernel.decide(view) for view in views], axis=0)
        return self.pool.probabilities([scores])

    def summary(self) -> dict[str, float]:
        """Count what it consists of, for the reports."""
        kernel = self.kernel
        return {
            "features": sum(part.shape[1] for part in kernel.landmarks.values()) if kernel else 0,
            "landmarks": len(kernel.projection) if kernel else 0,
            "parameters": kernel.coefficients.size if kernel else 0,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Take the classifier apart into plain arrays that `restore` assembles again."""
        kernel = self.kernel.arrays() if self.kernel else {}
        return {
            "pool/weights": self.pool.weights,
            "pool/offsets": self.pool.offsets,
            **{f"kernel/{name}": array for name, array in kernel.items()},
        }


def restore(arrays: Mapping[str, np.ndarray]) -> ImageEnsemble:
    """Assemble the classifier that `ImageEnsemble.arrays` took apart."""
    pool = calibration.Pool(arrays["pool/weights"], arrays["pool/offsets"])
    return ImageEnsemble(kernel_ridge.restore(arrays, "kernel/"), pool)


def blocks(grid: np.ndarray, middle: np.ndarray, facts: "pd.DataFrame") -> dict[str, np.ndarray]:
    """Prepare the blocks of one view.

    Args:
        grid: float (n, 4*c), the last block averaged over each quarter of the picture.
        middle: float (n, m), the average of a middle block.
        facts: Columns of `preprocessing.Facts`, n rows.

    Returns:
        float32 (n, d) by block: average, grid and middle with rows of length 1, frame (n, 5).
    """
    quarters = grid.astype(np.float32).reshape(len(grid), 4, grid.shape[1] // 4)
    return {
        "average": kernel_ridge.normalize(quarters.mean(axis=1), root=True),
        "grid": kernel_ridge.normalize(grid, root=True),
        "middle": kernel_ridge.normalize(middle, root=True),
        "frame": frame(facts),
    }


def views(
    pooled: Mapping[str, np.ndarray], facts: "pd.DataFrame", rows: np.ndarray
) -> list[dict[str, np.ndarray]]:
    """Prepare the blocks of some products' views.

    Args:
        pooled: What the extract stage wrote: grid (v, n, 4*c), middle (v, n, m).
        facts: Columns of `preprocessing.Facts`, n rows in the same order.
        rows: int64 (k,), products that have a picture.

    Returns:
        For each of the v views its blocks, k rows.
    """
    chosen = facts.iloc[rows]
    return [
        blocks(grid[rows], middle[rows], chosen)
        for grid, middle in zip(pooled["grid"], pooled["middle"], strict=True)
    ]


def frame(facts: "pd.DataFrame") -> np.ndarray:
    """Describe where the product stands in its picture.

    Args:
        facts: Columns of `preprocessing.Facts`, n rows, each of a picture.

    Returns:
        float32 (n, 5): logarithm of width / height of the product, its width and height as shares
        of the picture's, and the margins left of it and above it as shares.
    """
    sizes = facts[["width", "height"]].to_numpy(np.float64)
    corners = facts[["left", "top"]].to_numpy(np.float64)
    ends = facts[["right", "bottom"]].to_numpy(np.float64)
    extents = ends - corners
    ratio = np.log(extents[:, 0] / extents[:, 1])
    return np.column_stack([ratio, extents / sizes, corners / sizes]).astype(np.float32)


def fit(
    views: list[Mapping[str, np.ndarray]],
    labels: np.ndarray,
    folds: np.ndarray,
    settings: Settings,
    *,
    seed: int,
) -> tuple[ImageEnsemble, np.ndarray]:
    """Fit on the train part; further views are further rows with the labels of the first.

    Args:
        views: For each view the blocks of the same n products of the train part.
        labels: int64 (n,) class indices in 0..26.
        folds: int64 (n,) in 0..folds-1, twins in one fold.
        settings: See `Settings`.
        seed: Seed of the landmarks.

    Returns:
        The classifier, and out-of-fold probabilities float32 (n, 27).

    Raises:
        ValueError: If no block has a weight.
    """
    if not settings.weights:
        raise ValueError(
            "average, grid, middle and frame of image_ensemble in params.yaml are all 0: expected at "
            "least one above 0, give one a weight"
        )
    count = len(views)
    stacked = {name: np.concatenate([view[name] for view in views]) for name in settings.weights}
    kernel, scores = kernel_ridge.fit(
        stacked, np.tile(labels, count), np.tile(folds, count),
        weights=settings.weights, landmarks=settings.landmarks,
        regularization=settings.ridge, seed=seed,
    )  # fmt: skip
    scores = scores.reshape(count, len(labels), NUM_CATEGORIES).mean(axis=0)
    pool = calibration.fit([scores], labels, regularization=settings.offsets)
    return ImageEnsemble(kernel, pool), pool.probabilities([scores])
