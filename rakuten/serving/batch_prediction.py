"""Predict the categories of a file of products, in chunks of constant size.

Each finished chunk is stored in `<out>.partial/`, so that the same call continues after a kill. A
row that cannot be read in full is predicted from what can be read and listed in `<out>.errors.csv`.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rakuten import model_names, stage_log
from rakuten.data.archives import READ_FAULTS
from rakuten.prefetch import available_cpus, map_in_order
from rakuten.serving import prediction_files
from rakuten.serving.classifier import Prediction, Prepared, Product, ProductClassifier
from rakuten.serving.errors import InputError, one_line
from rakuten.serving.image_index import index_images
from rakuten.serving.prediction_files import Options, Summary
from rakuten.serving.product_images import (
    ImageReader,
    ProductImages,
    check_image_columns,
    check_matches,
    first_match,
)
from rakuten.serving.product_tables import Row, Table, open_table, read_rows

CHUNK = 256
"""Products that are classified together; a kill loses at most one chunk."""

BUFFER = 64
"""Number of images to encode ahead of classification."""


class PreparedRow(NamedTuple):
    """A row that is ready to be classified.

    Attributes:
        row: The row.
        prepared: The product for the classifier; an empty one if the row holds nothing usable.
        faults: What is wrong with the row or its image.
        image_missing: Whether an image was looked for and not found.
    """

    row: Row
    prepared: Prepared
    faults: tuple[str, ...]
    image_missing: bool


def predict_file(options: Options, load: Callable[[Path], ProductClassifier]) -> Summary:
    """Predict every product of a file; continue where an interrupted run stopped.

    Args:
        options: What to read and write.
        load: Loads the classifier from its folder; called after the input was checked.

    Returns:
        Counts of the whole output, earlier runs included.

    Raises:
        InputError: If an option or a file cannot be used; nothing is written then.
    """
    prediction_files.check_output(options)
    known = model_names.BY_NAME.get(options.model)
    if known and known.modality == "image" and not options.images:
        raise InputError(f"{options.model} predicts from images: pass --images, or another --model")
    table = open_table(options.source)
    if options.submission:
        _check_indices(table)
    with ExitStack() as stack:
        images, digest = None, None
        if options.images:
            check_image_columns(table)
            index = index_images(str(options.images))
            check_matches([first_match(table, index)], index, options.images)
            images, digest = ProductImages(str(options.images), index), index.digest
            stack.callback(images.close)
        stack.enter_context(prediction_files.partial_folder(options, chunk=CHUNK, images=digest))
        done = prediction_files.finished_chunks(options)
        if len(done) < -(-table.rows // CHUNK):
            classifier = load_classifier(options.package, load)
            if options.restart:  # delete now: if this run is killed, it continues without --restart
                options.out.unlink(missing_ok=True)
                options.errors.unlink(missing_ok=True)
            _classify_missing(table, classifier, images, options, done)
        return prediction_files.assemble(options, rows=table.rows, columns=columns_of(options.top))


def load_classifier(
    folder: Path, load: Callable[[Path], ProductClassifier] = ProductClassifier.load
) -> ProductClassifier:
    """Load the classifier.

    Args:
        folder: The package.
        load: Loads it.

    Returns:
        The classifier.

    Raises:
        InputError: If there is no usable package.
    """
    try:
        return load(folder)
    except (OSError, ValueError) as error:
        raise InputError(f"the classifier cannot be loaded: {one_line(error)}") from error


def prepare_row(row: Row, classifier: ProductClassifier, images: ImageReader | None) -> PreparedRow:
    """Find and decode everything that the classifier needs of a row; thread-safe.

    Args:
        row: The row.
        classifier: Its `prepare` is called.
        images: The images, None to predict from text alone.

    Returns:
        The prepared row. An image that cannot be decoded is a fault and is ignored.
    """
    faults = list(row.faults)
    content, fault = find_image(row, images)
    faults += [fault] if fault else []
    missing = images is not None and content is None and not fault
    prepared = None
    if content is not None:
        prepared, fault = _prepare(classifier, Product(row.title, row.description, content))
        faults += [f"image {row.image} cannot be used: {fault}"] if fault else []
    if prepared is None and (row.title or row.description):
        prepared, fault = _prepare(classifier, Product(row.title, row.description))
        faults += [f"text cannot be used: {fault}"] if fault else []
    if prepared is None or prepared.is_empty:
        faults.append(
            f"nothing that {classifier.model_name} uses: predicted the most frequent category"
        )
        prepared = classifier.prepare(Product())
    return PreparedRow(row, prepared, tuple(faults), missing)


def find_image(row: Row, images: ImageReader | None) -> tuple[bytes | None, str | None]:
    """Read the image of a row.

    Args:
        row: The row.
        images: The images, None to ignore them.

    Returns:
        The content of the file, None if there is none, and the reason if it cannot be read.

    Raises:
        RemoteReadError: If a remote store fails: that is not an error of the row.
    """
    if images is None or not row.image:
        return None, None
    try:
        return images.read(row.image), None
    except (InputError, *READ_FAULTS) as error:
        return None, f"image {row.image} cannot be read: {one_line(error)}"


def classify_chunk(
    chunk: Sequence[PreparedRow], classifier: ProductClassifier, top: int
) -> tuple[list[list], list[list]]:
    """Classify the products of a chunk.

    Args:
        chunk: Prepared rows.
        classifier: The classifier.
        top: Number of categories per product.

    Returns:
        For each product the values of `columns_of`; line, index and reason of each faulty row.
    """
    predictions = classifier.classify([prepared_row.prepared for prepared_row in chunk], top=top)
    rows = [_values(r.row.index, found, top) for r, found in zip(chunk, predictions, strict=True)]
    errors = [[r.row.line, str(r.row.index), "; ".join(r.faults)] for r in chunk if r.faults]
    return rows, errors


def columns_of(top: int) -> list[str]:
    """Name the columns of the output.

    Args:
        top: Number of categories per product.

    Returns:
        6 + 2 * (top - 1) names, in the order of the values of `classify_chunk`.
    """
    names = ("prdtypecode", "probability")
    more = [f"top{rank}_{name}" for rank in range(2, top + 1) for name in names]
    return [
        "index",
        "prdtypecode",
        "name",
        "probability",
        *more,
        "text_contribution",
        "image_contribution",
    ]


def _prepare(classifier: ProductClassifier, product: Product) -> tuple[Prepared | None, str | None]:
    """Prepare a product, or return None with the reason."""
    try:
        return classifier.prepare(product), None
    except (ValueError, TypeError) as error:
        return None, one_line(error)


def _check_indices(table: Table) -> None:
    """Refuse repeated indices in a submission, as the challenge does."""
    lines: dict[int | str, int] = {}
    for row in read_rows(table):
        first = lines.setdefault(row.index, row.line)
        if first != row.line:
            raise InputError(
                f"{table.path}: line {row.line} has the index {row.index} of line {first}: the "
                "challenge expects each index once; correct the file, or leave out --submission"
            )


def _classify_missing(
    table: Table,
    classifier: ProductClassifier,
    images: ProductImages | None,
    options: Options,
    done: set[int],
) -> None:
    """Classify the chunks that are not stored yet and store each."""
    before = sum(min(CHUNK, table.rows - number * CHUNK) for number in done)
    rows = (row for row in read_rows(table) if row.position // CHUNK not in done)
    prepare = partial(_encode_row, classifier=classifier, images=images)
    with ExitStack() as stack:
        prepared_rows: Iterable[PreparedRow] = map(prepare, rows)
        if images:  # an image is found, decoded and encoded in one thread, several in parallel
            prepared_rows = stack.enter_context(
                closing(map_in_order(prepare, rows, threads=available_cpus(), buffer_size=BUFFER))
            )
        prepared_rows = stack.enter_context(
            stage_log.progress(
                prepared_rows,
                total=table.rows,
                unit="product",
                description="predict",
                initial=before,
            )
        )
        for number, group in itertools.groupby(prepared_rows, lambda r: r.row.position // CHUNK):
            chunk = list(group)
            predicted, errors = classify_chunk(chunk, classifier, options.top)
            missing = sum(prepared_row.image_missing for prepared_row in chunk)
            prediction_files.write_chunk(options, number, predicted, errors, missing)


def _encode_row(row: Row, classifier: ProductClassifier, images: ImageReader | None) -> PreparedRow:
    """Prepare a row and encode its image."""
    found = prepare_row(row, classifier, images)
    return found._replace(prepared=classifier.encode_image(found.prepared))


def _values(index: int | str, prediction: Prediction, top: int) -> list:
    """Arrange a prediction in the order of `columns_of`."""
    first, *others = prediction.top[:top]
    pairs: list[int | float | None] = [
        value for choice in others for value in (int(choice.code), float(choice.probability))
    ]
    pairs += [None] * (2 * (top - 1) - len(pairs))
    contributions = [
        None if value is None else float(value)
        for value in (prediction.text_contribution, prediction.image_contribution)
    ]
    return [index, int(first.code), first.name, float(first.probability), *pairs, *contributions]
