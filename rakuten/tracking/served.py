"""The classifier as MLflow serves it: a script that is logged with the model, and run to load it.

MLflow answers a request that raises an MlflowException of this kind with status 400 and the
exception as JSON; `problems` then names row, column and reason of all that is wrong.
"""

import base64
import binascii
import os
from collections.abc import Iterable
from itertools import chain
from threading import Lock
from typing import NamedTuple

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel
from mlflow.types.schema import Array, ColSpec, Object, ParamSchema, ParamSpec, Property, Schema

from rakuten.categories import NUM_CATEGORIES
from rakuten.image.preprocessing import ImageError
from rakuten.serving.classifier import Prediction, Product, ProductClassifier

MAX_ROWS = 256
"""Products of a request: at an eighth of a second each, a picture apiece keeps well below the
60 seconds after which MLflow gives a request up."""

MAX_PICTURE = 8 << 20
"""Bytes of a picture's file: three hundred times the challenge's average, enough for a camera's."""

MAX_TEXT = 100_000
"""Characters of a title or a description: ten times the challenge's longest."""

MAX_PROBLEMS = 20
"""Problems that an answer lists."""

TOP_K = 5
"""Categories named where the request does not say."""

ON_ERROR = ("raise", "null")
"""What a product that cannot be classified does: have all refused, or be answered by its problem.

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
            ColSpec("double", "text", required=False),
            ColSpec("double", "image", required=False),
            ColSpec(
                Array(
                    Object(
                        [
                            Property("code", "long"),
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
        [ParamSpec("top_k", "long", TOP_K), ParamSpec("on_error", "string", ON_ERROR[0])]
    ),
)
"""What the served classifier takes and gives; `image` is a picture's file in base64."""

EXAMPLE = pd.DataFrame({"title": ["Piscine hors sol ronde"], "description": ["Avec sa pompe"]})
"""A request, kept with the model."""

COLUMNS = ["prdtypecode", "name", "probability", "text", "image", "top", "problem"]


class Problem(NamedTuple):
    """Something that is wrong with a request.

    Attributes:
        row: The product's place in the request, from 0; None if it is not of one product.
        column: The field.
        reason: What came, what was expected, what to do.
    """

    row: int | None
    column: str
    reason: str


class ServedClassifier(PythonModel):
    """The packaged classifier behind MLflow's interface.

    One request at a time is classified: that bounds the memory to one picture being decoded, and
    the networks use all threads as it is.
    """

    def load_context(self, context) -> None:
        """Open the package that was logged with the model."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it complains where there is no GPU
        self._lock = Lock()
        self._classifier = ProductClassifier.load(context.artifacts["package"])

    def predict(self, context, model_input: pd.DataFrame, params: dict | None = None):
        """Classify products.

        Args:
            context: MLflow's, not used.
            model_input: A DataFrame of n rows: title, description, image (base64). Each may be
                missing, not all three.
            params: top_k, the categories to name, 1 to 27; on_error, one of `ON_ERROR`.

        Returns:
            A DataFrame of n rows in their order: prdtypecode int, name str, probability float;
            text and image, the nats by which each spoke for that category, None where silent; top,
            a list of {code, name, probability}; problem, empty where there is none. With on_error
            "null" a product that cannot be classified has its problem, and else None or nothing.

        Raises:
            MlflowException: If anything is wrong with the request, with on_error "null" only if it
                is wrong with the whole of it; nothing is predicted then.
        """
        params = params or {}
        top, refuse = _top(params.get("top_k")), _on_error(params.get("on_error")) == "raise"
        if len(model_input) > MAX_ROWS:
            reason = f"received {len(model_input):,} rows, at most {MAX_ROWS} are taken: send less"
            _refuse([Problem(None, "", reason)])
        read = [_read(number, row) for number, row in enumerate(model_input.to_dict("records"))]
        problems = {number: found for number, (_, found) in enumerate(read) if found}
        if refuse:
            _refuse(chain.from_iterable(problems.values()))
        with self._lock:
            prepared = {}
            for number, (product, found) in enumerate(read):
                if not found:
                    try:
                        prepared[number] = self._classifier.prepare(product)
                    except ImageError as error:
                        problems[number] = [Problem(number, "image", str(error))]
            if refuse:
                _refuse(chain.from_iterable(problems.values()))
            predictions = self._classifier.classify(list(prepared.values()), top=top)
        return _table(dict(zip(prepared, predictions, strict=True)), problems, model_input.index)


def _top(value: object) -> int:
    """Check the number of categories to name."""
    value = TOP_K if value is None else value
    if not 1 <= value <= NUM_CATEGORIES:
        reason = f"expected 1 to {NUM_CATEGORIES} categories, received {value}"
        _refuse([Problem(None, "top_k", reason)])
    return int(value)


def _on_error(value: object) -> str:
    """Check what is to be done about a product that cannot be classified."""
    value = ON_ERROR[0] if value is None else value
    if value not in ON_ERROR:
        reason = f"expected {' or '.join(ON_ERROR)}, received {_told(value)}"
        _refuse([Problem(None, "on_error", reason)])
    return value


def _read(number: int, row: dict) -> tuple[Product, list[Problem]]:
    """Make a product of a row, with what is wrong with it."""
    problems = []
    texts = {}
    for column in ("title", "description"):
        texts[column] = value = _given(row.get(column), "")
        if not isinstance(value, str):
            problems.append(Problem(number, column, f"expected text, received {_told(value)}"))
        elif len(value) > MAX_TEXT:
            reason = f"{len(value):,} characters, at most {MAX_TEXT:,} are taken: shorten it"
            problems.append(Problem(number, column, reason))
    try:
        image = _picture(_given(row.get("image"), ""))
    except ValueError as error:
        problems.append(Problem(number, "image", str(error)))
        image = None
    if not problems and image is None and not any(text.strip() for text in texts.values()):
        reason = "title, description and image are all missing: give one of them"
        problems.append(Problem(number, "", reason))
    return Product(**texts, image=image) if not problems else Product(), problems


def _given(value: object, missing: str) -> object:
    """Take a cell, where pandas has several words for one that is missing."""
    return missing if value is None or value is pd.NA or value != value else value


def _picture(text: object) -> bytes | None:
    """Decode base64.

    Raises:
        ValueError: If it is none, or of too large a file.
    """
    expected = "expected the base64 of a picture's file"
    if not isinstance(text, str):
        raise ValueError(f"{expected}, received {_told(text)}")
    if len(text) > MAX_PICTURE * 3 // 2:  # 4 characters for 3 bytes, and line ends
        raise ValueError(
            f"{len(text):,} characters of base64, of a file of at most {MAX_PICTURE:,} bytes: "
            "send a smaller picture"
        )
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{expected}, received {text[:20]!r}... ({error})") from error
    if len(content) > MAX_PICTURE:
        raise ValueError(
            f"a file of {len(content):,} bytes, at most {MAX_PICTURE:,} are taken: send a smaller "
            "picture"
        )
    return content or None


def _told(value: object) -> str:
    """Name a value that is of the wrong type."""
    return f"{type(value).__name__} {str(value)[:40]}"


def _refuse(problems: Iterable[Problem]) -> None:
    """Answer with what is wrong, if anything is."""
    problems = list(problems)
    if not problems:
        return
    shown = problems[:MAX_PROBLEMS]
    told = [
        f"row {p.row}{', ' if p.column else ': '}{_line(p)}" if p.row is not None else _line(p)
        for p in shown
    ]
    if len(problems) > len(shown):
        told.append(f"and {len(problems) - len(shown)} more")
    raise MlflowException(
        "; ".join(told),
        error_code=INVALID_PARAMETER_VALUE,
        problems=[problem._asdict() for problem in shown],
    )


def _line(problem: Problem) -> str:
    """Tell a problem without its row."""
    return f"{problem.column}: {problem.reason}" if problem.column else problem.reason


def _table(
    predictions: dict[int, Prediction], problems: dict[int, list[Problem]], index: pd.Index
) -> pd.DataFrame:
    """Lay out what was found of each row.

    Columns of objects keep None, which JSON knows, unlike NaN. A missing text is empty: of None
    beside others MLflow makes the word "None" for Spark.
    """
    rows = []
    for number in range(len(index)):
        p = predictions.get(number)
        found = (None, "", None, None, None, [])
        if p:
            top = [choice.__dict__ for choice in p.top]
            found = (p.code, p.name, p.probability, p.text, p.image, top)
        rows.append((*found, "; ".join(map(_line, problems.get(number, [])))))
    table = pd.DataFrame(rows, columns=COLUMNS, index=index, dtype=object)
    whole = {"prdtypecode": "int64", "probability": "float64"}
    return table if problems else table.astype(whole)


set_model(ServedClassifier())
