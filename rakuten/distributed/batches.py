"""Shuffled batches of the partitions that a run on Ray wrote, for models that learn by batches.

Partitions are read in random order, and rows are drawn from a buffer of some partitions, so that
memory does not grow with the catalogue. Each row occurs once per epoch. Labels are joined by id.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from rakuten.serving.errors import InputError
from rakuten.serving.remote_files import locate


class Labels:
    """The class of every labelled product, 12 bytes each: 1.2 GB for 100 million."""

    def __init__(self, ids: np.ndarray, classes: np.ndarray):
        """Sort the labels by id.

        Args:
            ids: int64 (n,), unique, in any order.
            classes: Integers (n,), class indices.

        Raises:
            ValueError: If an id occurs twice, or the lengths differ.
        """
        if len(ids) != len(classes):
            raise ValueError(
                f"{len(ids)} ids and {len(classes)} classes: expected one class for each id"
            )
        order = np.argsort(ids, kind="stable")
        self._ids, self._classes = np.asarray(ids)[order], np.asarray(classes, np.int32)[order]
        repeated = self._ids[1:][self._ids[1:] == self._ids[:-1]]
        if len(repeated):
            raise ValueError(f"id {repeated[0]} has two labels: expected one, remove the other")

    def find(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Look up the labels of products.

        Args:
            ids: int64 (m,).

        Returns:
            bool (m,), which products have a label; int32, the classes of those.
        """
        if not len(self._ids):
            return np.zeros(len(ids), bool), np.zeros(0, np.int32)
        at = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        known = self._ids[at] == ids
        return known, self._classes[at[known]]


def batches(
    address: str,
    columns: Sequence[str],
    labels: Labels,
    *,
    size: int,
    buffer: int,
    seed: int | Sequence[int],
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Read an epoch of shuffled batches.

    Args:
        address: A folder of partitions such as `features/features`, a path or a URI.
        columns: The columns to return.
        labels: Products without a label or without an index are left out.
        size: Products per batch; the last batch may be smaller.
        buffer: Products in memory from which rows are drawn, at least `size`.
        seed: Seed of the order, for example (seed, epoch).

    Yields:
        A table of the columns, and the classes of its rows, int32.

    Raises:
        InputError: If there are no partitions.
        ValueError: If the buffer is smaller than a batch.
    """
    if not 0 < size <= buffer:
        raise ValueError(f"batches of {size} from a buffer of {buffer}: expected 1 to {buffer}")
    rng = np.random.default_rng(seed)
    waiting: list[tuple[pa.Table, np.ndarray]] = []
    count = 0
    for table in _tables(address, list({"index", *columns}), buffer, rng):
        known, classes = labels.find(table["index"].to_numpy())
        waiting.append((table.select(list(columns)).filter(known), classes))
        count += len(classes)
        if count >= buffer:
            table, classes = _shuffle(waiting, rng)
            # Half stays in the buffer and is mixed with the next partitions.
            whole = max(size, count // 2 // size * size)
            yield from _cut(table, classes, whole, size)
            waiting = [(table[whole:], classes[whole:])]
            count -= whole
    if count:
        yield from _cut(*_shuffle(waiting, rng), count, size)


def matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Convert a column of features to an array.

    Args:
        column: n > 0 lists of d numbers, none of them null.

    Returns:
        (n, d), of the dtype of the numbers.

    Raises:
        ValueError: If a product has no features.
    """
    if column.null_count:
        raise ValueError(
            f"{column.null_count} of {len(column)} products have no features: pass only "
            "the labels of products with an image"
        )
    values = np.concatenate([chunk.flatten().to_numpy() for chunk in column.chunks])
    return values.reshape(len(column), -1)


def _tables(
    address: str, columns: list[str], most: int, rng: np.random.Generator
) -> Iterator[pa.Table]:
    """Read partitions in random order, in pieces if they are larger than the buffer."""
    folder = locate(address)
    paths = [info.path for info in folder.files() if info.path.endswith(".parquet")]
    if not paths:
        raise InputError(f"{address} holds no partitions: pass the folder that a run wrote")
    for number in rng.permutation(len(paths)):
        part = ds.dataset(paths[number], format="parquet", filesystem=folder.filesystem)
        scanner = part.scanner(
            columns=columns, filter=ds.field("index").is_valid(), batch_size=most, batch_readahead=1
        )
        for batch in scanner.to_batches():
            if batch.num_rows:
                yield pa.Table.from_batches([batch])


def _shuffle(
    waiting: Sequence[tuple[pa.Table, np.ndarray]], rng: np.random.Generator
) -> tuple[pa.Table, np.ndarray]:
    """Shuffle the buffer."""
    table = pa.concat_tables([table for table, _ in waiting])
    classes = np.concatenate([classes for _, classes in waiting])
    order = rng.permutation(len(classes))
    return table.take(order), classes[order]


def _cut(
    table: pa.Table, classes: np.ndarray, count: int, size: int
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Divide the first `count` products into batches."""
    for start in range(0, count, size):
        stop = min(start + size, count)
        yield table[start:stop], classes[start:stop]
