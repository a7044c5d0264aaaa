"""Image ensemble: kernel ridge on an encoder's features and on the product's frame, calibrated.

It combines three kinds of blocks: the encoder's features, averages of earlier layers (texture,
print), and the position of the product in its white frame (books fill it, figurines do not). On
real rows this gains several points over a net or a linear model on the features alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rakuten import storage
from rakuten.categories import NUM_CATEGORIES
from rakuten.image.preprocessing import Facts
from rakuten.models import calibration, kernel_ridge

Blocks = Mapping[str, np.ndarray]
"""Features of n products by block, each float32 (n, d)."""

MIDDLE = "middle_"
"""Start of the names of the blocks from earlier layers of the encoder."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section `image_ensemble` of params.yaml.

    Attributes:
        average: Kernel weight of the encoder's features.
        middle: Kernel weight of all earlier layers together; without effect if there are none.
        frame: Kernel weight of the product's position in its frame.
        landmarks: Number of landmarks of the kernel approximation.
        kernel_ridge_alpha: L2 penalty of the kernel ridge.
        bias_l2: L2 penalty on the calibration's biases.
        folds: Number of folds of the out-of-fold scores.
    """

    average: float
    middle: float
    frame: float
    landmarks: int
    kernel_ridge_alpha: float
    bias_l2: float
    folds: int

    def weights(self, blocks: Sequence[str]) -> dict[str, float]:
        """Return the kernel weights above 0 of the given blocks.

        Raises:
            ValueError: If there are none.
        """
        earlier = [name for name in blocks if name.startswith(MIDDLE)]
        by_block = {"average": self.average, "frame": self.frame}
        by_block |= {name: self.middle / len(earlier) for name in earlier}
        weights = {name: by_block[name] for name in blocks if by_block[name] > 0}
        if not weights:
            raise ValueError(
                f"the weights of {', '.join(blocks)} are all 0: expected at least one above 0; "
                "correct image_ensemble in params.yaml"
            )
        return weights


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
            views: For each view the blocks of the same n products, see `views`.

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


def views(features: Mapping[str, np.ndarray], rows: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Prepare the blocks of all views of some products.

    Args:
        features: Arrays of the stage encode_image, (v, n, width) each: "average", "middle_1" and
            so on, and "facts" (v, n, fields of `Facts`). Others are ignored.
        rows: int64 (k,), positions of products with an image.

    Returns:
        For each of the v views float32 (k, d) by block: roots of average and of the earlier layers,
        scaled to length 1, and the frame of that view.
    """
    names = [name for name in features if name == "average" or name.startswith(MIDDLE)]
    return [
        {name: kernel_ridge.normalize(features[name][view][rows]) for name in names}
        | {"frame": frame(features["facts"][view][rows])}
        for view in range(len(features["facts"]))
    ]


def frame(facts: np.ndarray) -> np.ndarray:
    """Describe the position of the product in its image.

    Args:
        facts: float64 (n, fields of `Facts`), each row of an image.

    Returns:
        float32 (n, 5): log(width / height) of the product, its width and height as shares of the
        image's, its left and top margins as shares of the image's width and height.
    """
    columns = {name: facts[:, column] for column, name in enumerate(Facts._fields)}
    width = columns["right"] - columns["left"]
    height = columns["bottom"] - columns["top"]
    described = [
        np.log(width / height),
        width / columns["width"],
        height / columns["height"],
        columns["left"] / columns["width"],
        columns["top"] / columns["height"],
    ]
    return np.column_stack(described).astype(np.float32)


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
        The ensemble, and probabilities float32 (n, 27) from out-of-fold scores. The calibration, 28
        numbers, was fitted on these scores.

    Raises:
        ValueError: If all kernel weights are 0.
    """
    count = len(views)
    kernel, scores = _fit_kernel(views, labels, folds, settings, seed)
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
    kernel, _ = _fit_kernel(views, labels, np.zeros(len(labels), np.int64), settings, seed)
    return ImageEnsemble(kernel, ensemble.calibration)


def _fit_kernel(
    views: Sequence[Blocks], labels: np.ndarray, folds: np.ndarray, settings: Settings, seed: int
) -> tuple[kernel_ridge.KernelRidge | None, np.ndarray]:
    """Fit the kernel ridge with each view of a product as a row."""
    count, weights = len(views), settings.weights(list(views[0]))
    stacked = {name: np.concatenate([view[name] for view in views]) for name in weights}
    return kernel_ridge.fit(
        stacked,
        np.tile(labels, count),
        np.tile(folds, count),
        weights=weights,
        landmarks=settings.landmarks,
        alpha=settings.kernel_ridge_alpha,
        seed=seed,
    )
