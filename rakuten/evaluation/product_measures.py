"""Measure products for the comparison of catalogues, see `rakuten.evaluation.drift.MEASURES`."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from rakuten.categories import CODES
from rakuten.image.preprocessing import Facts

MAX_PRODUCTS = 20_000
"""Maximum number of products to measure; more would hardly change a comparison."""


def choose(count: int) -> np.ndarray:
    """Choose the products to measure.

    Args:
        count: Number of products.

    Returns:
        int64 (n,), ascending positions: all, or `MAX_PRODUCTS` of them, evenly spaced.
    """
    return np.linspace(0, count - 1, min(count, MAX_PRODUCTS)).round().astype(np.int64)


def measure_texts(
    titles: Sequence[str],
    descriptions: Sequence[str],
    languages: Sequence[str],
    tokens: Sequence[str],
    vocabulary: Collection[str],
) -> pd.DataFrame:
    """Measure the texts of products.

    Args:
        titles: n raw titles, "" where missing.
        descriptions: n raw descriptions, "" where missing.
        languages: n codes, "" without text, as returned by `rakuten.text.cleaning.clean`.
        tokens: n texts as tokens joined by a space, likewise.
        vocabulary: The terms that the study's text net knows.

    Returns:
        n rows: missing_title and missing_description (bool), title_length and description_length
        (float32, NaN where missing), language (None without text), unknown_terms (float32, share
        of the tokens that are not in the vocabulary; NaN without tokens).
    """
    known = frozenset(vocabulary)
    table = pd.DataFrame({"language": [language or None for language in languages]}, dtype=object)
    table["unknown_terms"] = np.array(
        [_unknown_share(t.split(), known) for t in tokens], np.float32
    )
    for name, texts in (("title", titles), ("description", descriptions)):
        lengths = np.array([len(text.strip()) for text in texts], np.float32)
        table[f"missing_{name}"] = lengths == 0
        table[f"{name}_length"] = np.where(lengths > 0, lengths, np.float32(np.nan))
    return table


def measure_images(facts: np.ndarray) -> pd.DataFrame:
    """Measure the images of products.

    Args:
        facts: float64 (n, fields of `rakuten.image.preprocessing.Facts`), rows of NaN without
            image.

    Returns:
        n rows: missing_image (bool), border_share (0 to 1), brightness (luma of the product, 0 to
        255) and colour (the spread of its mean red, green and blue, 0 to 255: 0 is grey); float32,
        NaN without image.
    """
    columns = dict(zip(Facts._fields, facts.T, strict=True))
    means = np.stack([columns[f"mean_{colour}"] for colour in ("red", "green", "blue")], axis=1)
    values = {
        "border_share": columns["border_share"],
        "brightness": means @ (0.299, 0.587, 0.114),  # ITU-R BT.601
        "colour": means.max(axis=1) - means.min(axis=1),
    }
    table = pd.DataFrame({name: array.astype(np.float32) for name, array in values.items()})
    return table.assign(missing_image=np.isnan(columns["border_share"]))


def measure_probabilities(probabilities: np.ndarray, present: np.ndarray) -> pd.DataFrame:
    """Measure predictions.

    Args:
        probabilities: float (n, 27).
        present: bool (n,), whether the product has anything that the model uses.

    Returns:
        n rows: category (its code) and confidence (its probability), float32, NaN where not
        present.
    """
    codes = np.array(CODES, np.float32)[probabilities.argmax(axis=1)]
    table = pd.DataFrame({"category": codes, "confidence": probabilities.max(axis=1)})
    table.loc[~present] = np.nan
    return table.astype(np.float32)


def _unknown_share(tokens: list[str], known: frozenset[str]) -> float:
    return sum(token not in known for token in tokens) / len(tokens) if tokens else np.nan
