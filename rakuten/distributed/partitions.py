"""Divide a catalogue into partitions and read them.

Predictions depend on which products are classified together, in the last bits. A partition is
therefore a whole number of the chunks of `rakuten.serving.batch_prediction`.

Ray Data's readers of CSV and Parquet are not used: they give neither the position nor the line of a
row, and refuse a file for a row with a field too many or bytes that are not UTF-8.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from rakuten.serving.errors import InputError
from rakuten.serving.product_tables import FORMATS, Row, Table, open_table, read_rows
from rakuten.serving.remote_files import RemotePath, locate


class Partition(NamedTuple):
    """Consecutive rows of one file, whose results are written to one file.

    Attributes:
        first: Position of the first row in the whole catalogue.
        rows: Number of rows.
        file: Number of the input file.
        start: Position of the first row in that file.
    """

    first: int
    rows: int
    file: int
    start: int

    @property
    def name(self) -> str:
        """Name of the files that hold its results and errors."""
        return f"part-{self.first:012d}.parquet"


def list_tables(address: str) -> list[str]:
    """List the files of a catalogue.

    Files and folders whose names begin with "." or "_" are left out: hidden ones, markers such as
    _SUCCESS, unfinished files of Spark in _temporary.

    Args:
        address: A CSV or Parquet file, or a folder of such files.

    Returns:
        Their paths in its filesystem, sorted.

    Raises:
        InputError: If there are none.
    """
    root = locate(address)
    if root.info().is_file:
        return [root.path]
    found = []
    for info in root.files():
        path = PurePosixPath(info.path)
        hidden = any(part[0] in "._" for part in path.relative_to(root.path).parts)
        if path.suffix.lower() in FORMATS and not hidden:
            found.append(info.path)
    if not found:
        raise InputError(
            f"{address} holds no products: pass a CSV or Parquet file, or a folder of such files"
        )
    return found


def open_one(address: str, path: str) -> tuple[Table, dict]:
    """Open and identify a file of a catalogue.

    Args:
        address: The address given for the products.
        path: The file's path in that filesystem.

    Returns:
        The table, and path, size and hash of the file.
    """
    filesystem = locate(address).filesystem
    table = open_table(Path(path), filesystem)
    return table, {"path": path, **RemotePath(filesystem, path).identity()}


def plan(tables: Sequence[Table], size: int) -> list[Partition]:
    """Divide a catalogue; a partition never spans two files.

    Args:
        tables: The files in order.
        size: Maximum number of rows of a partition.

    Returns:
        The partitions in the order of the rows.
    """
    found, before = [], 0
    for number, table in enumerate(tables):
        for start in range(0, table.rows, size):
            rows = min(size, table.rows - start)
            found.append(Partition(before + start, rows, number, start))
        before += table.rows
    return found


def read_partition(partition: Partition, table: Table) -> Iterator[Row]:
    """Read the rows of a partition.

    Args:
        partition: The partition.
        table: Its file.

    Yields:
        The rows. Their positions count from the first row of the catalogue; so do their indices if
        no column holds the index.
    """
    numbered = "index" not in table.columns and table.numbers == range(table.rows)
    for position, row in enumerate(
        read_rows(table, partition.start, partition.rows), partition.first
    ):
        yield replace(row, position=position, index=position if numbered else row.index)
