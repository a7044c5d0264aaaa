"""Divide a catalogue into partitions and read them.

The values of a network depend on which products are computed together, in the last bits. A
partition is therefore a whole number of the chunks of `rakuten.serving.batch_prediction`.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
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
    """List the files of a catalogue, without hidden ones and markers such as _SUCCESS.

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
    named = [(info.path, Path(info.path)) for info in root.files()]
    found = [p for p, n in named if n.suffix.lower() in FORMATS and n.name[0] not in "._"]
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


def group_by_reader(
    partitions: Sequence[Partition], tables: Sequence[Table]
) -> list[list[Partition]]:
    """Group partitions that one process reads in sequence.

    Args:
        partitions: Some partitions in order.
        tables: The files.

    Returns:
        The partitions of each CSV file, and those that begin in each Parquet row group.
    """

    def reader(partition: Partition) -> tuple[int, int]:
        return partition.file, bisect_right(tables[partition.file].groups, partition.start)

    return [list(group) for _, group in itertools.groupby(partitions, reader)]


def read_partitions(partitions: Sequence[Partition], table: Table) -> Iterator[list[Row]]:
    """Read partitions of one file in sequence.

    Args:
        partitions: Partitions of the file, in order.
        table: The file.

    Yields:
        The rows of each partition. Their positions count from the first row of the catalogue; so
        do their indices if no column holds the index.
    """
    numbered = "index" not in table.columns and table.numbers == range(table.rows)
    position = partitions[0].start
    with closing(read_rows(table, position)) as rows:
        for partition in partitions:
            start = partition.start - position
            position = partition.start + partition.rows
            before = partition.first - partition.start
            yield [
                replace(
                    row,
                    position=row.position + before,
                    index=row.position + before if numbered else row.index,
                )
                for row in itertools.islice(rows, start, start + partition.rows)
            ]
