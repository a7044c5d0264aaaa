"""The functions that run on the machines of a Ray cluster."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from rakuten.distributed.messages import (
    pack_prepared_rows,
    pack_rows,
    pack_table,
    unpack_prepared_rows,
    unpack_rows,
)
from rakuten.distributed.partitions import Partition, read_partitions
from rakuten.distributed.transforms import Transform
from rakuten.serving.batch_prediction import PreparedRow
from rakuten.serving.errors import InputError
from rakuten.serving.image_index import ImageIndex
from rakuten.serving.product_images import ProductImages

Ray = Any  # the module: it has no usable types, and may be missing
ATTEMPTS = 3  # processes that a chunk or the reading of a partition may kill

READ, PREPARE, COMPUTE = "read", "prepare", "compute"
"""Kinds of work whose attempts are counted."""

_READERS: dict[tuple[str, str], ProductImages] = {}


def import_ray() -> Ray:
    """Import Ray without usage reports.

    Raises:
        InputError: If it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # an optional package
        import ray.data
    except ImportError as error:
        raise InputError(
            f"Ray is not installed ({error}): run 'pip install -r requirements/scale.txt'"
        ) from error
    return ray


class Attempts:
    """Counts work that was begun and not ended, because its process died."""

    def __init__(self) -> None:
        self._begun: Counter = Counter()

    def begin(self, work: tuple) -> bool:
        """Count an attempt; return whether it is allowed."""
        self._begun[work] += 1
        return self._begun[work] <= ATTEMPTS

    def end(self, work: tuple) -> None:
        """Reset the count of finished work: Ray may repeat it if its result is lost."""
        del self._begun[work]


def read(batch: pa.Table, *, tables: Any, attempts: Any) -> Iterator[pa.Table]:
    """Read the partitions of one reader in sequence; runs in a task.

    Args:
        batch: One row; `partitions` holds them as JSON.
        tables: Reference of the opened files.
        attempts: The actor `Attempts`.

    Yields:
        One row per partition: its products as JSON, null after too many attempts.
    """
    ray = import_ray()
    partitions = [Partition(*values) for values in json.loads(batch["partitions"][0].as_py())]
    work = READ, partitions[0].first
    if not ray.get(attempts.begin.remote(work)):
        for partition in partitions:
            yield _block(partition.first, rows=pa.array([None], pa.large_string()))
        return
    table = ray.get(tables)[partitions[0].file]
    for partition, rows in zip(partitions, read_partitions(partitions, table), strict=True):
        yield _block(partition.first, rows=pa.array([pack_rows(rows)], pa.large_string()))
    attempts.end.remote(work)


def prepare(
    batch: pa.Table, *, transform: Transform, images: Any, attempts: Any
) -> Iterator[pa.Table]:
    """Prepare the chunks of one partition; runs in a task.

    Args:
        batch: One row from `read`.
        transform: What is computed.
        images: Reference of address and index of the images, or of None.
        attempts: The actor `Attempts`.

    Yields:
        One row per chunk: its prepared products; one with null after too many attempts.
    """
    ray = import_ray()
    first, content = batch["partition"][0].as_py(), batch["rows"][0].as_py()
    work = PREPARE, first
    if content is None or not ray.get(attempts.begin.remote(work)):
        yield _block(first, chunk=pa.array([0]), prepared_rows=pa.array([None], pa.large_binary()))
        return
    found = ray.get(images)
    indexed = _images(*found) if found else None
    rows = unpack_rows(content)
    for number, start in enumerate(range(0, len(rows), transform.chunk)):
        prepared_rows = [
            transform.prepare(row, indexed) for row in rows[start : start + transform.chunk]
        ]
        packed = pa.array([pack_prepared_rows(prepared_rows)], pa.large_binary())
        yield _block(first, chunk=pa.array([number]), prepared_rows=packed)
    attempts.end.remote(work)


class Actor:
    """Loads the networks once and computes chunks; runs in an actor."""

    def __init__(self, transform: Transform, attempts: Any):
        self._compute, self._attempts = transform.load(), attempts

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Compute a chunk.

        Args:
            batch: One row from `prepare`.

        Returns:
            One row: table, errors and counts; the table is null after too many attempts.
        """
        first, chunk = batch["partition"][0].as_py(), batch["chunk"][0].as_py()
        content = batch["prepared_rows"][0].as_py()
        work = COMPUTE, first, chunk
        if content is None or not import_ray().get(self._attempts.begin.remote(work)):
            return _result(first, chunk, [], None)
        prepared_rows = unpack_prepared_rows(content)
        table = pack_table(self._compute(prepared_rows))
        self._attempts.end.remote(work)
        return _result(first, chunk, prepared_rows, table)


def _images(address: str, index: ImageIndex) -> ProductImages:
    """Return this process's reader of the images: what it unpacked is used for all partitions."""
    if (address, index.digest) not in _READERS:
        for reader in _READERS.values():
            reader.close()
        _READERS.clear()
        _READERS[address, index.digest] = ProductImages(address, index)
    return _READERS[address, index.digest]


def _result(
    first: int, chunk: int, prepared_rows: list[PreparedRow], table: bytes | None
) -> pa.Table:
    """Make the result of a chunk; without a table if it failed."""
    errors = [
        [r.row.position, r.row.line, str(r.row.index), "; ".join(r.faults)]
        for r in prepared_rows
        if r.faults
    ]
    return _block(
        first,
        chunk=pa.array([chunk]),
        rows=pa.array([len(prepared_rows)]),
        table=pa.array([table], pa.large_binary()),
        errors=pa.array([json.dumps(errors)]),
        missing_images=pa.array([sum(r.image_missing for r in prepared_rows)]),
    )


def _block(first: int, **columns: pa.Array) -> pa.Table:
    """Make a block of one row for a partition."""
    return pa.table({"partition": pa.array([first]), **columns})
