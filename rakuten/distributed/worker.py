"""The process that reads, computes and writes partitions on a machine of a Ray cluster."""

import itertools
import os
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa

from rakuten.distributed.output import Done, Output
from rakuten.distributed.partitions import Partition, read_partition
from rakuten.distributed.transform import Steps, Transform
from rakuten.prefetch import map_in_order
from rakuten.serving.batch_prediction import BUFFER, PreparedRow
from rakuten.serving.errors import InputError
from rakuten.serving.image_index import ImageIndex
from rakuten.serving.product_images import ProductImages
from rakuten.serving.product_tables import Row, Table

ATTEMPTS = 3  # crashes allowed per partition

Ray = Any  # the module: it has no usable types, and may be missing


class Inputs(NamedTuple):
    """The opened catalogue.

    Attributes:
        tables: The opened files of products.
        images: Address and index of the images, None for text alone.
    """

    tables: list[Table]
    images: tuple[str, ImageIndex] | None


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
    """Counts how often a process began a partition. It runs where the run was started.

    Ray counts its own attempts, but each call of a machine that has just died is one of them.
    """

    def __init__(self) -> None:
        self._begun: Counter = Counter()

    def begin(self, partition: int) -> bool:
        """Count an attempt; return whether it is allowed."""
        self._begun[partition] += 1
        return self._begun[partition] <= ATTEMPTS


class Worker:
    """Computes partitions. Networks are loaded when the first unfinished partition arrives.

    Args:
        transform: What to compute.
        inputs: Ray object reference to `Inputs`; each node stores one copy.
        output: Where to write.
        attempts: The actor `Attempts`.
        readers: Threads that read and decode images.
    """

    def __init__(
        self, transform: Transform, inputs: Any, output: Output, attempts: Any, readers: int
    ):
        self._transform, self._output, self._readers = transform, output, readers
        self._attempts, self._inputs = attempts, import_ray().get(inputs)
        images = self._inputs.images
        self._images = ProductImages(*images) if images else None

    def __call__(self, item: dict) -> dict:
        """Compute and write a partition if it is not finished.

        Args:
            item: The fields of the partition.

        Returns:
            The same fields and those of `Done`, the latter None after too many attempts.
        """
        partition = Partition(**item)
        done = self._output.find(partition)
        if not done and import_ray().get(self._attempts.begin.remote(partition.first)):
            done = self._compute(partition)
        return {**item, **(done._asdict() if done else dict.fromkeys(Done._fields))}

    @cached_property
    def _steps(self) -> Steps:
        return self._transform.load()

    def _compute(self, partition: Partition) -> Done:
        """Compute and write a partition."""
        tables: list[pa.Table] = []
        errors: list[tuple] = []
        missing = 0
        file = self._inputs.tables[partition.file].path.as_posix()
        with closing(self._prepare(partition)) as prepared_rows:
            while chunk := list(itertools.islice(prepared_rows, self._transform.chunk)):
                tables.append(self._steps.compute(chunk))
                errors += [
                    (r.row.position, file, r.row.line, str(r.row.index), "; ".join(r.faults))
                    for r in chunk
                    if r.faults
                ]
                missing += sum(r.image_missing for r in chunk)
        if not tables:  # the file has fewer rows than when it was opened
            tables.append(pa.table({}))
        return self._output.write(partition, pa.concat_tables(tables), errors, missing)

    def _prepare(self, partition: Partition) -> Generator[PreparedRow, None, None]:
        """Prepare the rows of a partition; with images, in threads."""
        rows = read_partition(partition, self._inputs.tables[partition.file])
        prepare = self._steps.prepare

        def with_image(row: Row) -> PreparedRow:
            return prepare(row, self._images)

        if self._images:
            yield from map_in_order(with_image, rows, threads=self._readers, buffer_size=BUFFER)
        else:
            yield from (prepare(row, None) for row in rows)
