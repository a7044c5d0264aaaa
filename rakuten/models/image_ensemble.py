"""Image ensemble: kernel ridge on pooled features and on the product's frame, calibrated.

It combines four blocks of features: the average of the backbone's last block, a 2x2 grid of it
(layout of the product), the average of a middle block (texture, print), and the position of the
product in its white frame (books fill it, figurines do not). On real rows this gains several points
over a net or a linear model on the average alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rakuten import storage
from rakuten.categories import NUM_CATEGORIES
from rakuten.models import calibration, kernel_ridge

if TYPE_CHECKING:
    import pandas as pd

Blocks = Mapping[str, np.ndarray]
"""Features of n products by block, each float32 (n, d)."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section `image_ensemble` of params.yaml.

    Attributes:
        average: Kernel weight of the last block's average.
        grid: Kernel weight of the last block's 2x2 grid.
        middle: Kernel weight of the middle block's average.
        frame: Kernel weight of the product's position in its frame.
        landmarks: Number of landmarks of the kernel approximation.
        kernel_ridge_alpha: L2 penalty of the kernel ridge.
        bias_l2: L2 penalty on the calibration's biases.
        folds: Number of folds of the out-of-fold scores.
    """

    average: float
    grid: float
    middle: float
    frame: float
    landmarks: int
    kernel_ridge_alpha: float
    bias_l2: float
    folds: int

    @property
    def weights(self) -> dict[str, float]:
        """The kernel weights above 0, by block."""
        blocks = ("average", "grid", "middle", "frame")
        return {name: getattr(self, name) for name in blocks if getattr(self, name) > 0}


@dataclass(frozen=True)
class ImageEnsemble:
    """A fitted image classifier.

    Attributes:
        kernel: The classifier of blocks, None without train images.
        calibration: The calibration of its scores.
    """

    kernel: kernel_ridge.KernelRidge | None
    calibration: calibration.Calibration

    def probabilities(self, views: Sequence[Blocks]) -> np.ndarray:
        """Classify products by the mean score of their views.

        Args:
            views: For each view the blocks of the same n products, see `blocks`.

        Returns:
            float32 (n, 27), rows sum to 1.

        Raises:
            ValueError: If the ensemble was fitted without images.
        """
        if self.kernel is None:
            raise ValueError("the image ensemble was fitted without images: train it with images")
        scores = np.mean([self.kernel.decision_function(view) for view in views], axis=0)
        return self.calibration.probabilities([scores])

    def summary(self) -> dict[str, int]:
        """Count features, landmarks and parameters, for the reports."""
        kernel = self.kernel
        return {
            "features": sum(part.shape[1] for part in kernel.landmarks.values()) if kernel else 0,
            "landmarks": len(kernel.projection) if kernel else 0,
            "parameters": kernel.coefficients.size if kernel else 0,
        }

    def write(self, folder: str | Path) -> None:
        """Write weights.npz, for `read`; equal ensembles give equal bytes."""
        kernel = self.kernel.arrays() if self.kernel else {}
        storage.write_arrays(
            Path(folder) / "weights.npz",
            **{
                "calibration/weights": self.calibration.weights,
                "calibration/biases": self.calibration.biases,
                **{f"kernel/{name}": array for name, array in kernel.items()},
            },
        )


def read(folder: str | Path) -> ImageEnsemble:
    """Read an ensemble that predicts the same as the one that was written.

    Raises:
        FileNotFoundError: If weights.npz is missing.
    """
    arrays = storage.read_arrays(Path(folder) / "weights.npz")
    fitted = calibration.Calibration(arrays["calibration/weights"], arrays["calibration/biases"])
    return ImageEnsemble(kernel_ridge.restore(arrays, "kernel/"), fitted)


def blocks(grid: np.ndarray, middle: np.ndarray, facts: "pd.DataFrame") -> dict[str, np.ndarray]:
    """Prepare the blocks of one view.

    Args:
        grid: float (n, 4*c), the last block averaged over each quarter of the image.
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
    """Prepare the blocks of all views of some products.

    Args:
        pooled: Arrays of the extract stage: grid (v, n, 4*c), middle (v, n, m).
        facts: Columns of `preprocessing.Facts`, n rows in the same order.
        rows: int64 (k,), positions of products with an image.

    Returns:
        The blocks of each of the v views, k rows.
    """
    chosen = facts.iloc[rows]
    return [
        blocks(grid[rows], middle[rows], chosen)
        for grid, middle in zip(pooled["grid"], pooled["middle"], strict=True)
    ]


def frame(facts: "pd.DataFrame") -> np.ndarray:
    """Describe the position of the product in its image.

    Args:
        facts: Columns of `preprocessing.Facts`, n rows, each of an image.

    Returns:
        float32 (n, 5): log(width / height) of the product, its width and height as shares of the
        image's, its left and top margins as shares of the image's width and height.
    """
    sizes = facts[["width", "height"]].to_numpy(np.float64)
    corners = facts[["left", "top"]].to_numpy(np.float64)
    ends = facts[["right", "bottom"]].to_numpy(np.float64)
    extents = ends - corners
    ratio = np.log(extents[:, 0] / extents[:, 1])
    return np.column_stack([ratio, extents / sizes, corners / sizes]).astype(np.float32)


def fit(
    views: Sequence[Blocks],
    labels: np.ndarray,
    folds: np.ndarray,
    settings: Settings,
    *,
    seed: int,
) -> tuple[ImageEnsemble, np.ndarray]:
    """Fit on train rows; every view of a product is a row with the product's label.

    Args:
        views: For each view the blocks of the same n train products.
        labels: int64 (n,), class indices in 0..26.
        folds: int64 (n,), the fold of each product, equal for duplicates.
        settings: See `Settings`.
        seed: Seed of the landmarks.

    Returns:
        The ensemble, and out-of-fold probabilities float32 (n, 27).

    Raises:
        ValueError: If all kernel weights are 0.
    """
    count = len(views)
    kernel, scores = kernel_ridge.fit(
        _stack(views, settings), np.tile(labels, count), np.tile(folds, count),
        weights=settings.weights, landmarks=settings.landmarks,
        alpha=settings.kernel_ridge_alpha, seed=seed,
    )  # fmt: skip
    scores = scores.reshape(count, len(labels), NUM_CATEGORIES).mean(axis=0)
    fitted = calibration.fit([scores], labels, bias_l2=settings.bias_l2)
    return ImageEnsemble(kernel, fitted), fitted.probabilities([scores])


def refit(
    views: Sequence[Blocks],
    labels: np.ndarray,
    ensemble: ImageEnsemble,
    settings: Settings,
    *,
    seed: int,
) -> ImageEnsemble:
    """Fit the kernel ridge on more rows, such as all labelled ones; keep the calibration.

    Args:
        views: For each view the blocks of the same n products.
        labels: int64 (n,), class indices in 0..26.
        ensemble: Fitted by `fit`, usually on the train rows. Its calibration is out of fold.
        settings: Those of `ensemble`.
        seed: Seed of the landmarks.

    Returns:
        The ensemble that was fitted on the n products.

    Raises:
        ValueError: As for `fit`.
    """
    rows = len(views) * len(labels)
    kernel, _ = kernel_ridge.fit(
        _stack(views, settings), np.tile(labels, len(views)), np.zeros(rows, np.int64),
        weights=settings.weights, landmarks=settings.landmarks,
        alpha=settings.kernel_ridge_alpha, seed=seed,
    )  # fmt: skip
    return ImageEnsemble(kernel, ensemble.calibration)


def _stack(views: Sequence[Blocks], settings: Settings) -> dict[str, np.ndarray]:
    """Stack the views of the blocks that have a weight, each view of a product as a row."""
    if not settings.weights:
        raise ValueError(
            "average, grid, middle and frame are all 0: expected at least one above 0; correct "
            "image_ensemble in params.yaml"
        )
    return {name: np.concatenate([view[name] for view in views]) for name in settings.weights}
