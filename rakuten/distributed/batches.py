"""Shuffled batches of what a run on Ray wrote, for a model that learns a batch at a time.

The partitions are read in random order, and their rows are drawn from a buffer of some partitions:
memory does not grow with the catalogue. Every row comes once an epoch. Labels are joined by id.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from rakuten.distributed.places import locate
from rakuten.serving.product_files import InputError


class Labels:
    """The class of every labelled product, 12 bytes each: 1.2 GB for 100 million."""

    def __init__(self, ids: np.ndarray, classes: np.ndarray):
        """Take the labels.

        Args:
            ids: int64 (n,), each once, in any order.
            classes: Whole numbers (n,), e.g. class indices.

        Raises:
            ValueError: If an id comes twice, or the lengths differ.
        """
        if len(ids) != len(classes):
            raise ValueError(
                f"{len(ids)} ids and {len(classes)} classes: expected one class for each id"
            )
        order = np.argsort(ids, kind="stable")
        self._ids, self._classes = np.asarray(ids)[order], np.asarray(classes, np.int32)[order]
        twice = self._ids[1:][self._ids[1:] == self._ids[:-1]]
        if len(twice):
            raise ValueError(f"id {twice[0]} has two labels: expected one, remove the other")

    def find(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Look products up.

        Args:
            ids: int64 (m,).

        Returns:
            bool (m,), which of them have a label, and their classes int32, one for each of those.
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
        address: A folder of partitions, e.g. `features/features`; a path or a URI.
        columns: The columns to read; "index" tells the products apart and comes with them.
        labels: Products without a label are left out, and so are those without an index.
        size: Products of a batch; the last may be smaller.
        buffer: Products held in memory to be drawn from, at least `size`: some partitions.
        seed: Of the order, e.g. (seed, epoch): the same gives the same batches.

    Yields:
        A table of the columns, and its classes int32 in the order of its rows.

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
            drawn = _shuffle(waiting, rng)
            # Half stays, to be mixed with the partitions that come next.
            whole = max(size, count // 2 // size * size)
            yield from _cut(*drawn, whole, size)
            waiting = [tuple(part[whole:] for part in drawn)]
            count -= whole
    if count:
        yield from _cut(*_shuffle(waiting, rng), count, size)


def matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Make an array of a column of features.

    Args:
        column: n lists of d numbers, n > 0; none of them null, see `has_image`.

    Returns:
        (n, d), of the dtype of the numbers.

    Raises:
        ValueError: If a product has no features.
    """
    if column.null_count:
        raise ValueError(
            f"{column.null_count} of {len(column)} products have no features: give labels to those "
            "with a picture only"
        )
    values = np.concatenate([chunk.flatten().to_numpy() for chunk in column.chunks])
    return values.reshape(len(column), -1)


def _tables(
    address: str, columns: list[str], most: int, rng: np.random.Generator
) -> Iterator[pa.Table]:
    """Read the partitions in random order, those larger than the buffer in pieces."""
    place = locate(address)
    paths = [info.path for info in place.files() if info.path.endswith(".parquet")]
    if not paths:
        raise InputError(f"{address} holds no partitions: pass the folder that a run wrote")
    for number in rng.permutation(len(paths)):
        part = ds.dataset(paths[number], format="parquet", filesystem=place.filesystem)
        scanner = part.scanner(
            columns=columns, filter=ds.field("index").is_valid(), batch_size=most, batch_readahead=1
        )
        for batch in scanner.to_batches():
            if batch.num_rows:
                yield pa.Table.from_batches([batch])


def _shuffle(
    waiting: Sequence[tuple[pa.Table, np.ndarray]], rng: np.random.Generator
) -> tuple[pa.Table, np.ndarray]:
    """Mix what waits."""
    table = pa.concat_tables([table for table, _ in waiting])
    classes = np.concatenate([classes for _, classes in waiting])
    order = rng.permutation(len(classes))
    return table.take(order), classes[order]


def _cut(
    table: pa.Table, classes: np.ndarray, count: int, size: int
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Cut the first products into batches."""
    for start in range(0, count, size):
        stop = min(start + size, count)
        yield table[start:stop], classes[start:stop]
