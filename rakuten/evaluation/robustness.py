"""Measure models on perturbed test products: typos, capitals, blurred or rotated images.

One modality is perturbed at a time; late fusion reads the other one unchanged. Rows are the same
under every perturbation, so that differences are caused by it alone.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from rakuten.data.examples import Examples
from rakuten.evaluation import metrics
from rakuten.storage import DIGITS

NONE = "as it is"
"""Name of the table rows without a perturbation, the reference for the others."""

Models = dict[tuple[str, str], Callable[[str], np.ndarray]]
"""By name of a model and of its training: a function from the name of a perturbation to
probabilities float32 (n, 27) of the perturbed products."""


def choose(examples: Examples, part: str, *, max_products: int, seed: int) -> np.ndarray:
    """Draw products of a part that have a modality.

    Args:
        examples: n products.
        part: One of `PARTS`.
        max_products: Maximum number of products.
        seed: Seed of the draw.

    Returns:
        int64 (m,), positions, ascending.
    """
    rows = examples.rows(part)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:max_products])


def table(
    modality: str,
    labels: np.ndarray,
    models: Models,
    perturbations: Sequence[str],
) -> pd.DataFrame:
    """Measure models under perturbations of one modality.

    Args:
        modality: The perturbed modality, text or image.
        labels: int64 (n,), class indices.
        models: See `Models`.
        perturbations: Names of perturbations, `NONE` first: it is the reference of the others.

    Returns:
        `modality`, `perturbation`, `model`, `training`, `rows`, `accuracy`, `weighted_f1`, and
        `change`, the accuracy minus that of the same model without a perturbation.
    """
    records = []
    for (model, training), predict in models.items():
        reference = np.nan
        for name in perturbations if len(labels) else ():
            probabilities = predict(name)
            measured = metrics.measure(labels, probabilities)
            accuracy = float((probabilities.argmax(axis=1) == labels).mean())
            reference = accuracy if name == NONE else reference
            values = [len(labels), accuracy, measured["weighted_f1"], accuracy - reference]
            records.append([modality, name, model, training, *values])
    columns = ["modality", "perturbation", "model", "training", "rows", "accuracy"]
    return pd.DataFrame(records, columns=[*columns, "weighted_f1", "change"]).round(DIGITS)


def summary_line(table: pd.DataFrame) -> str:
    """Report each model's worst perturbation: `worst: text_ensemble (plain) typos -12.3 points`."""
    if table.empty:
        return "no test product has the modality"
    perturbed = table[table["perturbation"].ne(NONE)]
    worst = perturbed.sort_values(["change", "perturbation"]).groupby("model").head(1)
    columns = worst.sort_values("model")[["model", "training", "perturbation", "change"]]
    parts = [
        f"{model} ({training}) {perturbation} {100 * change:+.1f} points"
        for model, training, perturbation, change in columns.to_numpy()
    ]
    return f"worst: {', '.join(parts)}"
