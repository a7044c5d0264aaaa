"""Late fusion: combine the probabilities of the text ensemble and of the image ensemble.

Both are out of fold on the train part, so a calibration fitted there weighs each by its accuracy on
new products. A product without text or without image keeps the other modality's probabilities.
"""

from collections.abc import Mapping

import numpy as np

from rakuten.data.examples import Examples, check_ids, out_of_fold_outputs
from rakuten.models import calibration
from rakuten.models.calibration import Calibration


def fit(
    text: Mapping[str, np.ndarray],
    image: Mapping[str, np.ndarray],
    examples: Examples,
    *,
    bias_l2: float,
) -> tuple[Calibration, dict[str, np.ndarray]]:
    """Fit the calibration on train rows that have both modalities, and fuse every product.

    Args:
        text: The text ensemble's outputs: ids (n,), present (n,), probabilities (n, 27), out of
            fold on train rows.
        image: The image ensemble's outputs, likewise.
        examples: The same n products, present where either modality is.
        bias_l2: L2 penalty on the biases, above 0, see `calibration.fit`.

    Returns:
        The calibration, with weights of 1 if no train row has both modalities; and ids, present,
        probabilities of all products. Those of train rows come from out-of-fold probabilities, but
        the calibration's 29 numbers were fitted on them.

    Raises:
        ValueError: If the ids differ.
    """
    check_ids(text["ids"], examples.ids, "products")
    check_ids(text["ids"], image["ids"], "image outputs")
    both = text["present"] & image["present"]
    train = np.flatnonzero(both & (examples.parts == "train"))
    scores = [calibration.log_probabilities(side["probabilities"][train]) for side in (text, image)]
    fitted = calibration.fit(scores, examples.labels[train], bias_l2=bias_l2)

    def predict(rows: np.ndarray) -> np.ndarray:
        return fuse(fitted, masked(text, examples, rows), masked(image, examples, rows))

    outputs = out_of_fold_outputs(examples, predict(examples.rows("train")), predict)
    return fitted, outputs


def fuse(fitted: Calibration, text: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Fuse two classifiers' probabilities; where one is missing, return the other unchanged.

    Args:
        fitted: Calibration of text and image, in this order.
        text: float (n, 27), rows of NaN where a product has no text.
        image: float (n, 27), rows of NaN where a product has no image.

    Returns:
        float32 (n, 27), rows sum to 1; NaN where both are missing.
    """
    fused = np.where(np.isnan(text), image, text).astype(np.float32)
    both = np.flatnonzero(~np.isnan(text).any(axis=1) & ~np.isnan(image).any(axis=1))
    if both.size:
        scores = [calibration.log_probabilities(values[both]) for values in (text, image)]
        fused[both] = fitted.probabilities(scores)
    return fused


def contributions(
    fitted: Calibration, text: np.ndarray, image: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Divide the log-odds of a category into the contributions of text and image.

    Log-odds are log p of the category minus the mean of log p over all categories, p as `fuse`
    returns it. They are the sum of the contributions, and of the category's bias where both
    modalities are present.

    Args:
        fitted: Calibration of text and image, in this order.
        text: float (n, 27), rows of NaN where a product has no text.
        image: float (n, 27), rows of NaN where a product has no image.
        labels: int64 (n,), the categories.

    Returns:
        float64 (n, 2), text and image; NaN where the modality is missing.
    """
    logs = [calibration.log_probabilities(values) for values in (text, image)]
    rows = np.arange(len(labels))
    alone = np.stack([values[rows, labels] - values.mean(axis=1) for values in logs], axis=1)
    both = ~np.isnan(alone).any(axis=1, keepdims=True)
    return np.where(both, fitted.weights, 1.0) * alone  # (n, 2)


def masked(outputs: Mapping[str, np.ndarray], examples: Examples, rows: np.ndarray) -> np.ndarray:
    """Select probabilities of products, with NaN where the modality is missing.

    Args:
        outputs: ids int64 (n,), present bool (n,), probabilities (n, 27).
        examples: The same n products.
        rows: int64 (m,), positions.

    Returns:
        float (m, 27).

    Raises:
        ValueError: If the ids differ.
    """
    check_ids(examples.ids, outputs["ids"], "outputs")
    return np.where(outputs["present"][rows, None], outputs["probabilities"][rows], np.nan)
