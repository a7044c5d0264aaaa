"""The reference of a package: measurements of its training data, with which drift is found.

It holds no texts and no ids. Predictions are those of fits on other products: out of fold for
train products. Confidence and unknown terms are kept of validation and test products alone, because
both depend on how many products a model was fitted on, and the packaged ensembles saw the most.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rakuten import storage
from rakuten.data.examples import check_ids
from rakuten.evaluation import product_measures
from rakuten.image.preprocessing import Facts
from rakuten.serving import package

FILE = "reference.parquet"
"""The file of a package."""

ALONE = "_from_text"
"""Suffix of the columns of predictions from text alone."""

HELD_OUT = ("unknown_terms", "confidence", f"confidence{ALONE}")
"""Columns that are measured on validation and test products only."""


def build(
    products: pd.DataFrame,
    parts: pd.DataFrame,
    images: pd.DataFrame,
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    vocabulary: Sequence[str],
) -> pd.DataFrame:
    """Measure the labelled products.

    Args:
        products: Table of the stage `clean`, n products in ascending id.
        parts: Column part, of the same products.
        images: Table of the stage `extract`, of the same products.
        outputs: By model its ids, present and probabilities, of the same products; late_fusion and
            text_ensemble are used.
        vocabulary: The terms of the stage `vectorize`.

    Returns:
        A row for each product of `product_measures.choose`: the columns of `drift.MEASURES`, and
        those of predictions also for text alone.

    Raises:
        ValueError: If the ids differ.
    """
    ids = products["id"].to_numpy()
    check_ids(ids, images["id"].to_numpy(), "images")
    titles, descriptions, languages, tokens = (
        products[name].fillna("").tolist()
        for name in ("designation", "description", "language", "tokens")
    )
    facts = images[list(Facts._fields)].to_numpy(np.float64, copy=True)
    facts[~images["has_image"].to_numpy()] = np.nan
    tables = [
        product_measures.measure_texts(titles, descriptions, languages, tokens, vocabulary),
        product_measures.measure_images(facts),
    ]
    for name, suffix in (("late_fusion", ""), ("text_ensemble", ALONE)):
        output = outputs[name]
        check_ids(ids, output["ids"], f"outputs of {name}")
        found = product_measures.measure_probabilities(output["probabilities"], output["present"])
        tables.append(found.add_suffix(suffix))
    table = pd.concat(tables, axis="columns")
    table.loc[parts["part"].eq("train").to_numpy(), list(HELD_OUT)] = np.nan
    return table.iloc[product_measures.choose(len(table))].reset_index(drop=True)


def read(folder: str | Path) -> pd.DataFrame:
    """Read the reference of a package.

    Args:
        folder: The package.

    Returns:
        What `build` returned.

    Raises:
        rakuten.serving.package.OutdatedError: If the package has none.
    """
    path = Path(folder) / FILE
    if not path.exists():
        raise package.OutdatedError(folder, f"comes without {FILE}")
    return storage.read_table(path)


def select(reference: pd.DataFrame, *, text_alone: bool) -> pd.DataFrame:
    """Select the predictions that new ones are compared with.

    Args:
        reference: What `build` returned.
        text_alone: Whether the new products were predicted without images.

    Returns:
        The same rows with the columns of `drift.MEASURES`.
    """
    alone = [name for name in map(str, reference) if name.endswith(ALONE)]
    if not text_alone:
        return reference.drop(columns=alone)
    renamed = {name: name.removesuffix(ALONE) for name in alone}
    return reference.drop(columns=list(renamed.values())).rename(columns=renamed)
