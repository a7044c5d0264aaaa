"""Measure fixed mixtures of text and image probabilities, from text alone to image alone."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from rakuten.data.examples import Examples
from rakuten.evaluation import metrics
from rakuten.models.calibration import log_probabilities
from rakuten.storage import DIGITS

SHARES = np.linspace(0, 1, 21)
"""Image shares that `share_table` measures."""


def share_table(
    text: Mapping[str, np.ndarray], image: Mapping[str, np.ndarray], examples: Examples
) -> pd.DataFrame:
    """Measure mixtures on train rows that have both modalities.

    Args:
        text: The text ensemble's outputs: present (n,), probabilities (n, 27), out of fold on
            train rows.
        image: The image ensemble's outputs, likewise.
        examples: The same n products.

    Returns:
        `image_share`, `accuracy`, `weighted_f1`, `macro_f1`, `log_loss` (nats) and `rows`. The rows
        of shares 0 and 1 are the metrics of text and of image alone. Empty without such products.
    """
    rows = text["present"] & image["present"] & (examples.parts == "train")
    labels = examples.labels[rows]
    of_text, of_image = (outputs["probabilities"][rows] for outputs in (text, image))
    records = []
    for share in SHARES if labels.size else ():
        measured = metrics.measure(labels, mix(of_text, of_image, float(share)))
        records.append({"image_share": share, **measured})
    columns = ["image_share", "accuracy", "weighted_f1", "macro_f1", "log_loss", "rows"]
    return pd.DataFrame(records, columns=columns).round(DIGITS)


def mix(text: np.ndarray, image: np.ndarray, image_share: float) -> np.ndarray:
    """Compute the weighted geometric mean of two modalities' probabilities.

    Args:
        text: float32 (n, 27).
        image: float32 (n, 27).
        image_share: Weight of the image, 0 to 1. At 0 the result is a copy of `text`, at 1 of
            `image`.

    Returns:
        float32 (n, 27), text^(1 - image_share) * image^image_share, rows normalized to sum 1.

    Raises:
        ValueError: If `image_share` is outside its range.
    """
    if not 0 <= image_share <= 1:
        raise ValueError(f"image_share is {image_share}: expected 0 to 1")
    if image_share in (0, 1):
        return (image if image_share else text).copy()
    logs = (1 - image_share) * log_probabilities(text) + image_share * log_probabilities(image)
    return np.exp(log_softmax(logs, axis=1)).astype(np.float32)
