"""Measure a file of new products: texts, images and predictions."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from rakuten import storage
from rakuten.categories import CODES
from rakuten.evaluation import product_measures
from rakuten.image import extraction, preprocessing
from rakuten.prefetch import available_cpus, map_in_order
from rakuten.serving import batch_prediction, package
from rakuten.serving.errors import InputError, one_line
from rakuten.serving.image_index import index_images
from rakuten.serving.product_images import (
    ImageReader,
    ProductImages,
    check_image_columns,
    check_matches,
    first_match,
)
from rakuten.serving.product_tables import Row, Table, check_format, open_table, read_rows
from rakuten.text import cleaning

COLUMNS = ("index", "prdtypecode", "probability", "text_contribution", "image_contribution")
"""Columns of predictions that are read."""

BUFFER = 64
"""Number of images to measure ahead."""


def measure(
    source: Path,
    predictions: Path,
    images: Path | None,
    folder: Path,
    *,
    progress: Callable[..., Iterable],
) -> tuple[pd.DataFrame, bool]:
    """Measure the products of a file, or enough of them.

    Args:
        source: The products, CSV or Parquet.
        predictions: What `python -m rakuten predict` wrote for them.
        images: Folder or archive of their images, None to measure none.
        folder: The package.
        progress: Makes a progress bar, as `stage_log.progress` does.

    Returns:
        Columns of `rakuten.evaluation.drift.MEASURES`, one row for each product of
        `product_measures.choose`; none of images without `images`. And whether the products were
        predicted from text alone.

    Raises:
        InputError: If a file cannot be used, or the predictions have other indices.
    """
    summary, study = package.read_summary(folder), folder / package.STUDY
    table = open_table(source)
    chosen = frozenset(product_measures.choose(table.rows).tolist())
    rows = [row for row in read_rows(table) if row.position in chosen]
    predicted, text_alone = _read_predictions(predictions, table, rows)
    tables = [predicted]
    if images:
        check_image_columns(table)
        index = index_images(str(images))
        check_matches([first_match(table, index)], index, images)
        preparation = extraction.Settings(**summary["extract"]).preparation
        with closing(ProductImages(str(images), index)) as reader:
            facts = _read_facts(rows, reader, preparation, progress)
        tables.append(product_measures.measure_images(facts))
    titles, descriptions = [row.title for row in rows], [row.description for row in rows]
    cleaned = cleaning.clean(
        pd.DataFrame({"designation": titles, "description": descriptions}),
        folder=study / "nltk",
        processes=available_cpus(),
        progress=progress,
        **summary["clean"],
    )
    vocabulary = storage.read_json(study / "text/vocabulary.json")
    found = cleaned["language"], cleaned["tokens"]
    tables.append(product_measures.measure_texts(titles, descriptions, *found, vocabulary))
    return pd.concat(tables, axis="columns"), text_alone


def _read_predictions(
    path: Path, products: Table, rows: Sequence[Row]
) -> tuple[pd.DataFrame, bool]:
    """Read category and confidence of rows, and whether all are predicted from text alone."""
    check_format(path, "the predictions")
    remedy = "pass the file that 'python -m rakuten predict' wrote for these products"
    try:
        read = storage.read_csv if path.suffix.lower() == ".csv" else storage.read_table
        table = read(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}): {remedy}") from error
    if absent := [name for name in COLUMNS if name not in table]:
        raise InputError(
            f"{path} has no column {absent[0]}: expected {','.join(COLUMNS)}, received "
            f"{','.join(map(str, table))[:200]}; {remedy}, without --submission"
        )
    if len(table) != products.rows:
        raise InputError(
            f"{path} has {len(table)} predictions of {products.rows} products: {remedy}"
        )
    table = table.iloc[[row.position for row in rows]].reset_index(drop=True)
    indices = pd.to_numeric(table["index"], errors="coerce").tolist()
    for row, index in zip(rows, indices, strict=True):
        # pandas reads integers as floats if another index is missing or not a number.
        if isinstance(row.index, int) and float(index) != float(row.index):
            raise InputError(
                f"{path} is of other products: expected index {row.index} in row "
                f"{row.position + 1}, received {index}; {remedy}"
            )
    with_text = any(row.title or row.description for row in rows)
    if with_text and table["text_contribution"].isna().all():
        raise InputError(
            f"{path} was not predicted by the default model, on which the reference is based: "
            "predict again without --model"
        )
    columns = {"prdtypecode": "category", "probability": "confidence"}
    predicted = table[list(columns)].rename(columns=columns)
    predicted = predicted.apply(pd.to_numeric, errors="coerce").astype(np.float32)
    valid = predicted["category"].isin(CODES) & predicted["confidence"].between(0, 1)
    if not valid.all():
        wrong = int(valid.argmin())
        code, probability = table.loc[wrong, list(columns)]
        raise InputError(
            f"{path}, row {rows[wrong].position + 1}: expected a category code and a probability "
            f"from 0 to 1, received {code} and {probability}; {remedy}"
        )
    empty = table[["text_contribution", "image_contribution"]].isna().all(axis="columns")
    predicted[empty] = np.nan  # as in the reference: nothing was there to predict from
    return predicted, bool(table["image_contribution"].isna().all())


def _read_facts(
    rows: Sequence[Row],
    images: ProductImages,
    preparation: preprocessing.Preparation,
    progress: Callable[..., Iterable],
) -> np.ndarray:
    """Read the facts of each row's image: float64 (n, fields of `Facts`), NaN without one."""
    smallest = replace(preparation, size=1, crops=("whole",))  # no network: the facts are enough
    find = partial(_facts, images=images, preparation=smallest)
    with closing(map_in_order(find, rows, threads=available_cpus(), buffer_size=BUFFER)) as found:
        shown = progress(found, total=len(rows), unit="image", description="measure images")
        return np.stack(list(shown))


def _facts(row: Row, images: ImageReader, preparation: preprocessing.Preparation) -> np.ndarray:
    """Read the facts of one image; NaN if there is none or it cannot be decoded."""
    content, _ = batch_prediction.find_image(row, images)
    try:
        if content is not None:
            return preprocessing.prepare(content, preparation).facts[0]
    except preprocessing.ImageError:
        pass  # an image that prediction cannot use is missing, too
    return np.full(len(preprocessing.Facts._fields), np.nan)
