"""Serialize what Ray sends between processes: rows, prepared products and tables."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from rakuten.image import preprocessing
from rakuten.serving.batch_prediction import PreparedRow
from rakuten.serving.classifier import Prepared
from rakuten.serving.product_tables import Row

PREPARED_ROWS = pa.schema(
    [
        ("position", pa.int64()),
        ("line", pa.int64()),
        ("index", pa.int64()),  # null if it is not a number
        ("index_text", pa.large_string()),  # null if it is a number
        ("title", pa.large_string()),
        ("description", pa.large_string()),
        ("pixels", pa.large_binary()),
        ("shape", pa.list_(pa.int32())),
        ("facts", pa.list_(pa.float64())),
        ("faults", pa.list_(pa.string())),
        ("image_missing", pa.bool_()),
    ]
)


def pack_rows(rows: Sequence[Row]) -> str:
    """Serialize rows as JSON."""
    return json.dumps([vars(row) for row in rows])


def unpack_rows(content: str) -> list[Row]:
    """Restore rows from `pack_rows`."""
    return [Row(**(values | {"faults": tuple(values["faults"])})) for values in json.loads(content)]


def pack_prepared_rows(prepared_rows: Sequence[PreparedRow]) -> bytes:
    """Serialize prepared products as an Arrow stream."""
    rows: list[dict[str, Any]] = []
    for row, prepared, faults, image_missing in prepared_rows:
        pixels, facts = prepared.image or (None, None)
        is_number = isinstance(row.index, int)
        rows.append(
            {
                "position": row.position,
                "line": row.line,
                "index": row.index if is_number else None,
                "index_text": None if is_number else row.index,
                "title": prepared.title,
                "description": prepared.description,
                "pixels": None if pixels is None else np.ascontiguousarray(pixels).tobytes(),
                "shape": None if pixels is None else pixels.shape,
                "facts": None if facts is None else facts.ravel(),
                "faults": faults,
                "image_missing": image_missing,
            }
        )
    return pack_table(pa.Table.from_pylist(rows, PREPARED_ROWS))


def unpack_prepared_rows(content: bytes) -> list[PreparedRow]:
    """Restore prepared products from `pack_prepared_rows`.

    Args:
        content: The stream.

    Returns:
        The prepared rows; their `row` holds only position, line and index.
    """
    prepared_rows = []
    for values in unpack_table(content).to_pylist():
        image = None
        if values["pixels"] is not None:
            pixels = np.frombuffer(values["pixels"], np.uint8).reshape(values["shape"])
            facts = np.array(values["facts"]).reshape(-1, len(preprocessing.Facts._fields))
            image = preprocessing.Prepared(pixels, facts)
        index = values["index_text"] if values["index"] is None else values["index"]
        row = Row(values["position"], values["line"], index, "", "", None, ())
        prepared = Prepared(values["title"], values["description"], image)
        prepared_rows.append(
            PreparedRow(row, prepared, tuple(values["faults"]), values["image_missing"])
        )
    return prepared_rows


def pack_table(table: pa.Table) -> bytes:
    """Serialize a table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def unpack_table(content: bytes) -> pa.Table:
    """Restore a table from `pack_table`."""
    return pa.ipc.open_stream(content).read_all()
