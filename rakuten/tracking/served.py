"""The classifier as MLflow serves it: MLflow logs this script with the model and runs it on load.

MLflow answers an MlflowException of this kind with status 400 and the exception as JSON; its
`problems` name row, column and reason of everything that is wrong.
"""

import base64
import binascii
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from itertools import chain
from threading import Lock, Semaphore
from typing import IO, Any, NamedTuple, NoReturn

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel
from mlflow.types.schema import Array, ColSpec, Object, ParamSchema, ParamSpec, Property, Schema

from rakuten import prefetch
from rakuten.categories import NUM_CATEGORIES
from rakuten.image.preprocessing import ImageError
from rakuten.serving import package
from rakuten.serving.classifier import Prediction, Prepared, Product, ProductClassifier

MAX_ROWS = 256
"""Products in a request. MLflow answers with status 504 after 60 seconds; the work goes on. The
ensembles stay well below: they take a tenth of a second per image. The study's nets that use images
take a third of a second of CPU time: docs/serving.md advises a hundred images at most. Spark, which
waits, may send more."""

MAX_IMAGE_BYTES = 8 << 20
"""Bytes of an image file: 300 times the challenge's average, enough for photos of a camera."""

MAX_TEXT = 100_000
"""Characters of a title or a description: ten times the challenge's longest."""

MAX_PROBLEMS = 20
"""Problems listed in an answer."""

TOP_K = 5
"""Default number of categories to return."""

ON_ERROR = ("raise", "null")
"""What happens if a product cannot be classified: refuse the request, or return its problem.

The first is the default. The second is for Spark, where a batch that raises fails the whole job."""

SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec("string", "title"),
            ColSpec("string", "description", required=False),
            ColSpec("string", "image", required=False),
        ]
    ),
    outputs=Schema(
        [
            ColSpec("long", "prdtypecode", required=False),
            ColSpec("string", "name"),
            ColSpec("double", "probability", required=False),
            ColSpec("double", "text_contribution", required=False),
            ColSpec("double", "image_contribution", required=False),
            ColSpec(
                Array(
                    Object(
                        [
                            Property("prdtypecode", "long"),
                            Property("name", "string"),
                            Property("probability", "double"),
                        ]
                    )
                ),
                "top",
            ),
            ColSpec("string", "problem"),
        ]
    ),
    params=ParamSchema(
        [
            ParamSpec("top_k", "long", TOP_K),
            ParamSpec("on_error", "string", ON_ERROR[0]),
            ParamSpec("model", "string", package.DEFAULT_MODEL),
        ]
    ),
)
"""Inputs and outputs of the served classifier; `image` is an image file in base64."""

EXAMPLE = pd.DataFrame({"title": ["Piscine hors sol ronde"], "description": ["Avec sa pompe"]})
"""A request, stored with the model."""


class Problem(NamedTuple):
    """Something that is wrong with a request.

    Attributes:
        row: The product's position in the request, from 0; None if it concerns no single product.
        column: The field, "" if it concerns the whole product.
        reason: What was received, what was expected, what to do.
    """

    row: int | None
    column: str
    reason: str


PARSERS = ("parse_csv_input", "parse_parquet_input", "infer_and_parse_data")
"""The functions with which MLflow's server parses requests, one per content type."""

_unknown_columns: ContextVar[tuple[str, ...]] = ContextVar("unknown_columns", default=())
"""Columns of this request that the model does not have: MLflow drops them before `predict`."""


class ServedClassifier(PythonModel):
    """The packaged classifier behind MLflow's interface.

    It classifies as many requests at the same time as there are CPUs. More would not be faster, and
    every one needs memory for a decoded image.
    """

    def load_context(self, context: Any) -> None:
        """Open the package that was logged with the model and load its default model.

        MLflow's server reads the titles "NA" and "null" of text/csv as missing, and a model cannot
        tell them from empty ones: in a process that serves, `parse_csv` takes its place. The
        functions that parse requests note unknown columns, which the server only logs.
        """
        if server := sys.modules.get("mlflow.pyfunc.scoring_server"):
            vars(server)["parse_csv_input"] = parse_csv
            for name in PARSERS:
                vars(server)[name] = _note_unknown_columns(vars(server)[name])
        self._slots, self._loading = Semaphore(prefetch.available_cpus()), Lock()
        self._package = context.artifacts["package"]
        default = ProductClassifier.load(self._package)
        default.warm_up()
        self._classifiers = {package.DEFAULT_MODEL: default}

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Classify products.

        Args:
            context: Not used.
            model_input: A DataFrame of n rows: title, description, image (base64). Each may be
                missing, but not all three.
            params: top_k, the number of categories to return, 1 to 27; on_error, one of `ON_ERROR`;
                model, the name of the model, one of `rakuten.serving.package.models`.

        Returns:
            A DataFrame of n rows in the same order: prdtypecode int, name str, probability float;
            text_contribution and image_contribution, log-odds, see
            `rakuten.serving.interface.Prediction`, None where that part is missing and of a net;
            top, a list of {prdtypecode, name, probability}; problem, "" if there is none. With
            on_error "null", a product that cannot be classified has its problem and no other
            values. A column that the server received and the model does not have is a problem of
            every product, which are predicted without it.

        Raises:
            MlflowException: If anything is wrong with the request; with on_error "null", only if
                it concerns the whole request. Nothing is predicted then.
        """
        params = params or {}
        top, refuse = _top(params.get("top_k")), _on_error(params.get("on_error")) == "raise"
        classifier = self._classifier(params.get("model"))
        if len(model_input) > MAX_ROWS:
            reason = f"received {len(model_input):,} rows, the maximum is {MAX_ROWS}: send fewer"
            _refuse([Problem(None, "", reason)])
        rows = [_read(number, row) for number, row in enumerate(model_input.to_dict("records"))]
        problems = {number: found for number, (_, found) in enumerate(rows) if found}
        if refuse and problems:
            _refuse(chain.from_iterable(problems.values()))
        with self._slots:
            ready = _prepare(classifier, rows, problems, refuse=refuse)
            threads = classifier.summary["threads"]
            encoded = prefetch.map_in_order(  # few images are in memory as pixels at a time
                lambda one: (one[0], classifier.encode_image(one[1])),
                ready,
                threads=threads,
                buffer_size=threads,
            )
            products = dict(encoded)
            if refuse and problems:
                _refuse(chain.from_iterable(problems.values()))
            predictions = classifier.classify(list(products.values()), top=top)
        return _table(dict(zip(products, predictions, strict=True)), problems, model_input.index)

    def _classifier(self, model: str | None) -> ProductClassifier:
        """Find a model's classifier; open it at its first request."""
        name = package.DEFAULT_MODEL if model is None else model
        known = package.models(self._classifiers[package.DEFAULT_MODEL].summary)
        if name not in known:
            reason = f"expected one of {', '.join(known)}, received {_describe(name)}"
            _refuse([Problem(None, "model", reason)])
        if name not in self._classifiers:  # requests to a loaded model do not wait for another one
            with self._loading:
                if name not in self._classifiers:
                    loaded = ProductClassifier.load(self._package, model=name)
                    loaded.warm_up()
                    self._classifiers[name] = loaded
        return self._classifiers[name]


def parse_csv(csv_input: IO[str], schema: Schema | None = None) -> pd.DataFrame:
    """Parse a text/csv request as the import reads its tables: only empty fields are missing.

    Args:
        csv_input: The body of the request.
        schema: Not used: every column is text.

    Returns:
        The rows; columns of objects.

    Raises:
        MlflowException: If it is not CSV.
    """
    try:
        table = pd.read_csv(csv_input, dtype=object, keep_default_na=False, na_values=[""])
        if not isinstance(table.index, pd.RangeIndex):  # pandas took the first fields as the index
            raise ValueError("a row has more fields than the header")
        return table
    except ValueError as error:  # no columns, a field too many, an unclosed quote
        reason = f"expected CSV with a header, {error}: correct the request"
        raise MlflowException(reason, error_code=INVALID_PARAMETER_VALUE) from error


def _note_unknown_columns(parse: Callable) -> Callable:
    """Let a function that parses requests note the columns that the model does not have."""
    if getattr(parse, "noted_in", None) is _unknown_columns:  # a model was loaded before
        return parse
    parse = getattr(parse, "__wrapped__", parse)  # MLflow has loaded another copy of this module

    @functools.wraps(parse)
    def parse_and_note(*arguments: Any, **options: Any) -> Any:
        parsed = parse(*arguments, **options)
        named = list(parsed) if isinstance(parsed, (pd.DataFrame, dict)) else []
        known = SIGNATURE.inputs.input_names()
        _unknown_columns.set(tuple(str(name) for name in named if name not in known))
        return parsed

    vars(parse_and_note)["noted_in"] = _unknown_columns
    return parse_and_note


def _top(value: int | None) -> int:
    """Check the number of categories to return."""
    value = TOP_K if value is None else value
    if not 1 <= value <= NUM_CATEGORIES:
        reason = f"expected 1 to {NUM_CATEGORIES} categories, received {value}"
        _refuse([Problem(None, "top_k", reason)])
    return int(value)


def _on_error(value: str | None) -> str:
    """Check what to do about a product that cannot be classified."""
    value = ON_ERROR[0] if value is None else value
    if value not in ON_ERROR:
        reason = f"expected {' or '.join(ON_ERROR)}, received {_describe(value)}"
        _refuse([Problem(None, "on_error", reason)])
    return value


def _read(number: int, row: dict) -> tuple[Product, list[Problem]]:
    """Read a product from a row, with the problems found."""
    problems = []
    texts = {}
    for column in ("title", "description"):
        value = _or_empty(row.get(column))
        if not isinstance(value, str):
            problems.append(Problem(number, column, f"expected text, received {_describe(value)}"))
            continue
        texts[column] = value
        if len(value) > MAX_TEXT:
            reason = f"{len(value):,} characters, the maximum is {MAX_TEXT:,}: shorten it"
            problems.append(Problem(number, column, reason))
    try:
        image = _decode(_or_empty(row.get("image")))
    except ValueError as error:
        problems.append(Problem(number, "image", str(error)))
        image = None
    if not problems and image is None and not any(text.strip() for text in texts.values()):
        reason = "title, description and image are all missing: pass at least one"
        problems.append(Problem(number, "", reason))
    return Product(**texts, image=image) if not problems else Product(), problems


def _prepare(
    classifier: ProductClassifier,
    rows: Sequence[tuple[Product, list[Problem]]],
    problems: dict[int, list[Problem]],
    *,
    refuse: bool,
) -> Iterator[tuple[int, Prepared]]:
    """Prepare products one by one and add to their problems; yield no more if those refuse all."""
    for number, (product, _) in enumerate(rows):
        if number in problems:
            continue
        try:
            ready = classifier.prepare(product)
        except ImageError as error:
            problems[number] = [Problem(number, "image", str(error))]
            continue
        if ready.is_empty:
            reason = f"nothing that {classifier.model_name} uses (text that is only markup does "
            reason += "not count): pass it, or choose another model"
            problems[number] = [Problem(number, "", reason)]
        elif not (refuse and problems):
            yield number, ready


def _or_empty(value: Any) -> Any:
    """Replace None, NaN and pandas' NA by ""."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    return value


def _decode(text: Any) -> bytes | None:
    """Decode base64; ValueError if it is malformed or too large."""
    expected = "expected an image file in base64"
    if not isinstance(text, str):
        raise ValueError(f"{expected}, received {_describe(text)}")
    if len(text) > MAX_IMAGE_BYTES * 3 // 2:  # 4 characters for 3 bytes, and line ends
        raise ValueError(
            f"{len(text):,} characters of base64, the maximum is a file of {MAX_IMAGE_BYTES:,} "
            "bytes: send a smaller image"
        )
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{expected}, received {text[:20]!r}... ({error})") from error
    if len(content) > MAX_IMAGE_BYTES:
        raise ValueError(
            f"a file of {len(content):,} bytes, the maximum is {MAX_IMAGE_BYTES:,}: send a smaller "
            "image"
        )
    return content or None


def _describe(value: object) -> str:
    """Name a value of the wrong type."""
    return f"{type(value).__name__} {str(value)[:40]}"


def _refuse(problems: Iterable[Problem]) -> NoReturn:
    """Answer with the problems."""
    problems = list(problems)
    shown = problems[:MAX_PROBLEMS]
    lines = [
        f"row {p.row}{', ' if p.column else ': '}{_line(p)}" if p.row is not None else _line(p)
        for p in shown
    ]
    if len(problems) > len(shown):
        lines.append(f"and {len(problems) - len(shown)} more")
    raise MlflowException(
        "; ".join(lines),
        error_code=INVALID_PARAMETER_VALUE,
        problems=[problem._asdict() for problem in shown],
    )


def _line(problem: Problem) -> str:
    """Write a problem without its row."""
    return f"{problem.column}: {problem.reason}" if problem.column else problem.reason


def _table(
    predictions: dict[int, Prediction], problems: dict[int, list[Problem]], index: pd.Index
) -> pd.DataFrame:
    """Make the answer of predictions and problems."""
    # Columns of objects keep None, which JSON can hold, unlike NaN. A missing text is "": for
    # Spark, MLflow would turn None in a column of strings into the string "None".
    unknown, notes = _unknown_columns.get(), []
    if unknown:
        _unknown_columns.set(())  # the next request has others
        expected = ", ".join(SIGNATURE.inputs.input_names())
        notes = [f"ignored the unknown column {', '.join(unknown)}: expected {expected}"]
    rows: list[tuple] = []
    for number in range(len(index)):
        p = predictions.get(number)
        values: tuple = (None, "", None, None, None, [])
        if p:
            top = [
                {"prdtypecode": c.code, "name": c.name, "probability": c.probability} for c in p.top
            ]
            contributions = p.text_contribution, p.image_contribution
            values = (p.code, p.name, p.probability, *contributions, top)
        rows.append((*values, "; ".join([*map(_line, problems.get(number, [])), *notes])))
    columns = SIGNATURE.outputs.input_names()
    table = pd.DataFrame(rows, columns=columns, index=index, dtype=object)
    complete = {"prdtypecode": "int64", "probability": "float64"}
    return table if problems else table.astype(complete)


set_model(ServedClassifier())
