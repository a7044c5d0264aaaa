"""A catalogue in partitions, and its rows in the chunks that the local engine would make.

Rounding depends on which products go through the networks together. The chunks are therefore those
of `rakuten.serving.batch_prediction`, and a partition is a whole number of them.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from rakuten.distributed.places import Place, locate
from rakuten.serving.batch_prediction import Reading
from rakuten.serving.product_files import (
    FORMATS,
    InputError,
    Mark,
    Row,
    Table,
    open_table,
    read_rows,
)


class Partition(NamedTuple):
    """Rows of one file that are written as one.

    Attributes:
        first: The number of the first row in the whole catalogue.
        rows: How many rows.
        file: The number of the file.
        mark: Where in the file they begin.
    """

    first: int
    rows: int
    file: int
    mark: Mark

    @property
    def name(self) -> str:
        """The name of the files that hold what becomes of it."""
        return f"part-{self.first:012d}.parquet"


def list_tables(address: str) -> list[str]:
    """List the files of a catalogue; hidden ones, and notes such as _SUCCESS, are none of them.

    Args:
        address: A CSV or Parquet file, or a folder of such files.

    Returns:
        Their paths in its filesystem, sorted.

    Raises:
        InputError: If there are none.
    """
    place = locate(address)
    if place.info().is_file:
        return [place.path]
    named = [(info.path, Path(info.path)) for info in place.files()]
    found = [p for p, n in named if n.suffix.lower() in FORMATS and n.name[0] not in "._"]
    if not found:
        raise InputError(
            f"{address} holds no products: pass a CSV or Parquet file, or a folder of such files"
        )
    return found


def open_one(address: str, path: str, every: int) -> tuple[Table, dict]:
    """Open one of the files with marks, and identify it.

    Args:
        address: What was given for the products.
        path: The file's path in that filesystem.
        every: Rows of a partition.

    Returns:
        The table and what tells the file from others.
    """
    filesystem = locate(address).filesystem
    table = open_table(Path(path), filesystem, every=every)
    return table, {"path": path, **Place(filesystem, path).identity()}


def plan(tables: Sequence[Table], size: int) -> list[Partition]:
    """Divide a catalogue; a partition never spans two files."""
    found, before = [], 0
    for number, table in enumerate(tables):
        for mark in table.marks:
            rows = min(size, table.rows - mark.position)
            found.append(Partition(before + mark.position, rows, number, mark))
        before += table.rows
    return found


def chunks(partition: Partition, table: Table, size: int) -> Iterator[list[Row]]:
    """Read the rows of a partition in chunks.

    Args:
        partition: The partition.
        table: The file that it belongs to.
        size: Rows of a chunk.

    Yields:
        Rows whose positions count from the beginning of the catalogue; so does the index where no
        column has it.
    """
    before = partition.first - partition.mark.position
    numbered = "index" not in table.columns and table.numbers == range(table.rows)
    rows = read_rows(table, partition.mark, partition.rows)
    while chunk := list(itertools.islice(rows, size)):
        yield [
            row._replace(
                position=row.position + before,
                index=row.position + before if numbered else row.index,
            )
            for row in chunk
        ]


READINGS = pa.schema(
    [
        ("position", pa.int64()),
        ("line", pa.int64()),
        ("number", pa.int64()),  # the index,
        ("word", pa.large_string()),  # or what stands there if it is no number
        ("title", pa.large_string()),
        ("description", pa.large_string()),
        ("pixels", pa.large_binary()),
        ("shape", pa.list_(pa.int32())),
        ("facts", pa.list_(pa.float64())),
        ("faults", pa.list_(pa.string())),
        ("no_picture", pa.bool_()),
    ]
)
"""How products made ready travel from one process to another."""


def pack(readings: Sequence[Reading]) -> bytes:
    """Write products made ready as an Arrow stream."""
    rows = []
    for row, prepared, faults, no_picture in readings:
        pixels, facts = prepared.image or (None, None)
        number = isinstance(row.index, int)
        rows.append(
            {
                "position": row.position,
                "line": row.line,
                "number": row.index if number else None,
                "word": None if number else row.index,
                "title": prepared.title,
                "description": prepared.description,
                "pixels": None if pixels is None else np.ascontiguousarray(pixels).tobytes(),
                "shape": None if pixels is None else pixels.shape,
                "facts": facts,
                "faults": faults,
                "no_picture": no_picture,
            }
        )
    return write_stream(pa.Table.from_pylist(rows, READINGS))


def unpack(content: bytes, build: Callable) -> list[Reading]:
    """Read what `pack` wrote.

    Args:
        content: The stream.
        build: Makes the prepared product of title, description, and pixels with facts or None.

    Returns:
        The readings; of their rows only position, line and index.
    """
    readings = []
    for r in read_stream(content).to_pylist():
        picture = None
        if r["pixels"] is not None:
            picture = np.frombuffer(r["pixels"], np.uint8).reshape(r["shape"]), r["facts"]
        index = r["word"] if r["number"] is None else r["number"]
        row = Row(r["position"], r["line"], index, "", "", None, ())
        prepared = build(r["title"], r["description"], picture)
        readings.append(Reading(row, prepared, tuple(r["faults"]), r["no_picture"]))
    return readings


def write_stream(table: pa.Table) -> bytes:
    """Write a table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def read_stream(content: bytes) -> pa.Table:
    """Read a table from an Arrow stream."""
    return pa.ipc.open_stream(content).read_all()
