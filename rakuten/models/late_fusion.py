"""Fuse what the best text and the best image classifier say, not what they see.

Both give calibrated probabilities that are out-of-fold on the train part, so that a few weights
fitted there say how far each can be trusted. A product that lacks a title or a picture gets the
other modality's probabilities as they are.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rakuten.data.examples import Examples, check_ids, out_of_fold_outputs
from rakuten.models import calibration

if TYPE_CHECKING:  # who only predicts does without pandas
    import pandas as pd

SHARES = np.linspace(0, 1, 21)
"""The image's shares at which `share_table` measures."""


def fit(
    text: Mapping[str, np.ndarray],
    image: Mapping[str, np.ndarray],
    examples: Examples,
    *,
    offsets: float,
) -> tuple[calibration.Pool, dict[str, np.ndarray]]:
    """Fit the pool on train rows that have both modalities, and fuse every product.

    Args:
        text: ids (n,), present (n,), probabilities (n, 27), out-of-fold on train rows.
        image: Likewise.
        examples: The same n products, present where either modality is.
        offsets: Strength that holds the pool's offsets near 0, above 0.

    Returns:
        The pool, of weights 1 where no train row has both; and ids, present, probabilities of all
        products. Those of train rows come from out-of-fold scores; the pool's 29 numbers have
        seen them.

    Raises:
        ValueError: If the ids differ.
    """
    check_ids(text["ids"], examples.ids, "products")
    check_ids(text["ids"], image["ids"], "image outputs")
    both = text["present"] & image["present"]
    train = np.flatnonzero(both & (examples.parts == "train"))
    scores = [calibration.logarithms(part["probabilities"]) for part in (text, image)]
    pool = calibration.fit(
        [values[train] for values in scores], examples.labels[train], regularization=offsets
    )

    def predict(rows: np.ndarray) -> np.ndarray:
        return fuse(pool, masked(text, rows), masked(image, rows))

    outputs = out_of_fold_outputs(examples, predict(examples.rows("train")), predict)
    return pool, outputs


def fuse(pool: calibration.Pool, text: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Fuse two classifiers' probabilities; where one is missing the other stands as it is.

    Args:
        pool: Weights of text and image, in this order.
        text: float (n, 27), rows of NaN where a product has no text.
        image: float (n, 27), rows of NaN where it has no picture.

    Returns:
        float32 (n, 27), rows sum to 1; NaN where both are missing.
    """
    fused = np.where(np.isnan(text), image, text).astype(np.float32)
    both = np.flatnonzero(~np.isnan(text).any(axis=1) & ~np.isnan(image).any(axis=1))
    if both.size:
        parts = [calibration.logarithms(values[both]) for values in (text, image)]
        fused[both] = pool.probabilities(parts)
    return fused


def masked(outputs: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Take some products' probabilities float (m, 27), rows of NaN where they lack the modality."""
    return np.where(outputs["present"][rows, None], outputs["probabilities"][rows], np.nan)


def share_table(
    text: Mapping[str, np.ndarray], image: Mapping[str, np.ndarray], examples: Examples
) -> "pd.DataFrame":
    """Measure fixed mixtures on the train part, out of fold, from text alone to image alone.

    Args:
        text: As for `fit`.
        image: As for `fit`.
        examples: As for `fit`.

    Returns:
        `image_share`, `accuracy`, `weighted_f1`, `macro_f1`, `log_loss` (nats) and `rows`, the
        train rows with both modalities. At 0 and 1 the figures are those of the text and of the
        image classifier alone. Empty if there are no such rows.
    """
    import pandas as pd

    from rakuten.evaluation import metrics

    rows = text["present"] & image["present"] & (examples.parts == "train")
    labels = examples.labels[rows]
    sides = [part["probabilities"][rows] for part in (text, image)]
    records = []
    for share in SHARES if labels.size else ():
        figures = metrics.measure(labels, calibration.mix(*sides, float(share)))
        records.append({"image_share": share, **figures})
    columns = ["image_share", "accuracy", "weighted_f1", "macro_f1", "log_loss", "rows"]
    return pd.DataFrame(records, columns=columns).round(6)
