"""Bring the outputs of all models and the facts about products into one order.

Everywhere in `rakuten.evaluation`, `scores` is an array (n, 27) of one model in product order, one
column per class index: probabilities, or the decision scores of a model that has none. A row of NaN
is a product that the model cannot score because it lacks the model's modality. Such rows are left
out of every metric; `rows` is the number that was measured.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from rakuten.categories import NUM_CATEGORIES
from rakuten.data.examples import check_ids

SLICES: dict[str, tuple[str, ...]] = {
    "language": ("fr", "en", "other", "none"),
    "description": ("given", "missing"),
    "modality": ("both", "text only", "image only"),
}
"""The slices of a part and the values of each. Language `none`: the product has no text."""


def gather(
    ids: np.ndarray,
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    baselines: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Collect the scores of all models, checked by ids.

    Args:
        ids: int64 (n,), the products in product order.
        outputs: By model its arrays `ids` (n,), `present` (n,) bool and `probabilities` (n, 27);
            other arrays are ignored.
        baselines: By modality the arrays `ids` (n,), `present` (n,) bool and one score array
            (n, 27) per baseline; the baselines of a net that is not in `outputs` are left out.

    Returns:
        Scores float32 (n, 27) by model name in the order of `ids`, NaN where a product is not
        present: each net, then its baselines as `text_linear_svm` and so on.

    Raises:
        ValueError: If a model's ids are not `ids`, or an array's shape is wrong.
    """
    scores = {}
    for model, arrays in outputs.items():
        check_ids(ids, arrays["ids"], f"outputs of {model}")
        scores[model] = _masked(model, arrays["probabilities"], arrays["present"])
        if model in baselines:
            fitted = dict(baselines[model])
            check_ids(ids, fitted.pop("ids"), f"baselines of {model}")
            present = fitted.pop("present")
            for name, values in fitted.items():
                scores[f"{model}_{name}"] = _masked(f"{model}_{name}", values, present)
    return scores


def describe(products: pd.DataFrame, parts: pd.DataFrame, has_image: np.ndarray) -> pd.DataFrame:
    """Collect the facts about each product that an evaluation needs.

    Args:
        products: Table with `id`, `label`, `description`, `has_text` and `language`.
        parts: Table with `id`, `part` and `group`, in the order of `products`.
        has_image: bool (n,), in the order of `products`.

    Returns:
        One row per product in the order of `products`: `id`, `label`, `part`, `group` (equal
        for duplicates), and one column per entry of `SLICES`.

    Raises:
        ValueError: If the two tables hold other products or another order.
    """
    ids = products["id"].to_numpy()
    check_ids(ids, parts["id"].to_numpy(), "parts")
    has_text = products["has_text"].to_numpy(bool)
    language = products["language"].to_numpy(object)
    language = np.where(np.isin(language, ("fr", "en")), language, "other")
    empty = products["description"].fillna("").str.strip().eq("").to_numpy()
    modality = np.select(
        [has_text & has_image, has_text, has_image], list(SLICES["modality"]), default="none"
    )
    return pd.DataFrame(
        {
            "id": ids,
            "label": products["label"].to_numpy(),
            "part": parts["part"].to_numpy(object),
            "group": parts["group"].to_numpy(),
            "language": np.where(has_text, language, "none"),
            "description": np.where(empty, "missing", "given"),
            "modality": modality,
        }
    )


def select(
    rows: pd.DataFrame, scores: Mapping[str, np.ndarray], part: str
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Take one part of the products and of every model's scores.

    Args:
        rows: Table of `describe`, n products.
        scores: Scores (n, 27) by model name, in the order of `rows`.
        part: One of `rakuten.data.examples.PARTS`.

    Returns:
        The rows of the part with a new index, and their scores by model name.
    """
    chosen = rows["part"].eq(part).to_numpy()
    return (
        rows[chosen].reset_index(drop=True),
        {model: values[chosen] for model, values in scores.items()},
    )


def _masked(model: str, values: np.ndarray, present: np.ndarray) -> np.ndarray:
    expected = (len(present), NUM_CATEGORIES)
    if values.shape != expected:
        raise ValueError(
            f"scores of {model}: expected shape {expected}, received {values.shape}: one column "
            "per class index of rakuten.categories.CODES; run 'dvc repro'"
        )
    return np.where(present[:, None], values, np.nan).astype(np.float32)
