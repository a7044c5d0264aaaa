"""The pictures of a product table -> features and facts, without ever waiting for the decoder.

Convolutions take nearly all the time. Pictures are therefore read and decoded ahead of them in the
background, each distinct picture goes through the network once, and finished parts are kept so
that an interrupted run goes on from where it was.
"""

import hashlib
import inspect
import itertools
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Protocol

import numpy as np
import pandas as pd
import PIL

from rakuten import images

SHARD_BATCHES = 4
"""Batches kept together as one finished part: the most that a kill can cost."""

Extractor = Callable[[np.ndarray], np.ndarray]
"""Pixels uint8 (n, size, size, 3) -> features float32 (n, d); a picture's own affair each."""


class Archive(Protocol):
    """Where pictures are read from by name: `storage.ImageArchive`."""

    def __contains__(self, name: str) -> bool: ...

    def read(self, name: str) -> bytes:
        """Read one picture's bytes."""

    def digest(self, name: str) -> str:
        """Hash one picture's bytes."""


class Shards(Protocol):
    """Where finished parts are kept: `storage.Shards`."""

    def load(self, number: int) -> dict[str, np.ndarray] | None:
        """Read part `number`, or None if it has not been computed."""

    def save(self, number: int, **arrays: np.ndarray) -> None:
        """Keep part `number`."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section `extract` of params.yaml.

    Attributes:
        size: Side of the network's input in pixels.
        crop_borders: Whether the near-white border is cut off.
        border_tolerance: Levels below 255 that still count as white.
        batch_size: Pictures in one call of the network.
    """

    size: int
    crop_borders: bool
    border_tolerance: int
    batch_size: int


@dataclass(frozen=True)
class Pictures:
    """The distinct pictures of n products.

    Attributes:
        names: m names, each the first in product order that has these bytes.
        digests: m digests of the bytes, in the order of `names`.
        rows: int64 (n,), the position in `names` of each product's picture, -1 if it has none.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    rows: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """Which products have a picture: bool (n,)."""
        return self.rows >= 0


def find_pictures(names: Sequence[str], archive: Archive) -> Pictures:
    """Look up the pictures of products, those with the same bytes once.

    Args:
        names: The archive's name of each product's picture, n in product order; a name that the
            archive lacks means that the product has none.
        archive: The pictures.

    Returns:
        The distinct pictures, in the order in which the products need them.
    """
    first: dict[str, int] = {}  # digest -> position
    distinct = []
    rows = np.full(len(names), -1, np.int64)
    for row, name in enumerate(names):
        if name not in archive:
            continue
        digest = archive.digest(name)
        if digest not in first:
            first[digest] = len(distinct)
            distinct.append(name)
        rows[row] = first[digest]
    return Pictures(tuple(distinct), tuple(first), rows)


def fingerprint(pictures: Pictures, settings: Settings, network: str) -> str:
    """Name what finished parts belong to, so that none is taken for another's.

    Args:
        pictures: The pictures to compute.
        settings: How they are prepared and batched.
        network: What identifies the network and its weights.

    Returns:
        32 hexadecimal digits that change with any of these, with the code that prepares pictures
        and with the version of the decoder.
    """
    code = [inspect.getsource(module) for module in (images, sys.modules[__name__])]
    parts = [asdict(settings), network, pictures.digests, code, PIL.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def extract(
    pictures: Pictures,
    archive: Archive,
    build: Callable[[], Extractor],
    shards: Shards,
    progress: Callable,
    settings: Settings,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Compute the features and the facts of products' pictures.

    Args:
        pictures: The m distinct pictures of n products.
        archive: Where their bytes are.
        build: Makes the extractor; not called if nothing is left to compute.
        shards: Finished parts of an earlier run under the same `fingerprint`, and room for more.
        progress: A bar such as `journal.progress`.
        settings: How pictures are prepared and batched.

    Returns:
        features float32 (m, d), (0, 0) if there are no pictures; and the facts, m rows with the
        columns of `images.Facts`. Both in the order of `pictures.names`.

    Raises:
        images.ImageError: If a picture cannot be decoded; the message names it.
    """
    total = len(pictures.names)
    bounds = range(0, total, SHARD_BATCHES * settings.batch_size)
    spans = [(start, min(start + bounds.step, total)) for start in bounds]
    parts = [shards.load(number) for number in range(len(spans))]
    missing = [number for number, part in enumerate(parts) if part is None]
    todo = [name for number in missing for name in pictures.names[slice(*spans[number])]]
    if missing:
        compute = build()
        prepared = _prepare_ahead(todo, archive, settings)
        with progress(
            None, total=total, unit="image", description="features", initial=total - len(todo)
        ) as bar:
            for number in missing:
                start, stop = spans[number]
                part = _compute_part(prepared, stop - start, compute, settings.batch_size, bar)
                shards.save(number, **part)
                parts[number] = part
    return _join_parts(parts)


def spread(
    pictures: Pictures, ids: np.ndarray, features: np.ndarray, facts: pd.DataFrame, width: int
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Give every product the features and the facts of its picture.

    Args:
        pictures: The m distinct pictures of n products.
        ids: int64 (n,), ascending.
        features: float32 (m, width), in the order of `pictures.names`.
        facts: m rows with the columns of `images.Facts`, in the same order.
        width: Number of features of one picture.

    Returns:
        Arrays ids (n,), present bool (n,), features float32 (n, width), rows of zeros where there
        is no picture; and a table of n rows in the same order: id, has_image, and the facts, whole
        numbers 0 and others NaN where there is no picture.
    """
    present, rows = pictures.present, pictures.rows[pictures.present]
    spread_features = np.zeros((len(ids), width), np.float32)
    if rows.size:
        spread_features[present] = features[rows]
    table = facts.iloc[rows].set_axis(np.flatnonzero(present)).reindex(np.arange(len(ids)))
    counts = {name: kind for name, kind in images.Facts.__annotations__.items() if kind is int}
    table = table.fillna(dict.fromkeys(counts, 0)).astype(dict.fromkeys(counts, np.int64))
    table.insert(0, "id", ids)
    table.insert(1, "has_image", present)
    return {"ids": ids, "present": present, "features": spread_features}, table


def _compute_part(
    prepared: Iterator, count: int, compute: Extractor, batch_size: int, bar
) -> dict[str, np.ndarray]:
    """Take the next `count` prepared pictures through the network, batch by batch."""
    features, facts = [], []
    for start in range(0, count, batch_size):
        batch = list(itertools.islice(prepared, min(batch_size, count - start)))
        features.append(compute(np.stack([pixels for pixels, _ in batch])))
        facts += [row for _, row in batch]
        bar.update(len(batch))
    return {"features": np.concatenate(features), "facts": np.array(facts, np.float64)}


def _join_parts(parts: list[dict[str, np.ndarray]]) -> tuple[np.ndarray, pd.DataFrame]:
    """Concatenate finished parts in their order."""
    if not parts:
        return np.zeros((0, 0), np.float32), pd.DataFrame(columns=images.Facts._fields, dtype=float)
    facts = np.concatenate([part["facts"] for part in parts])
    table = pd.DataFrame(facts, columns=images.Facts._fields)
    return np.concatenate([part["features"] for part in parts]), table


def _prepare_ahead(
    names: list[str], archive: Archive, settings: Settings
) -> Iterator[tuple[np.ndarray, images.Facts]]:
    """Prepare pictures in their order, two batches ahead of whoever takes them.

    Pillow lets go of the interpreter while it decodes, so threads suffice. The archive is read in
    the taker's thread: it is no matter of milliseconds and archives are not safe to share.
    """
    prepare = partial(_prepare_named, settings=settings)
    waiting: deque = deque()
    pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")
    try:
        for name in names:
            waiting.append(pool.submit(prepare, name, archive.read(name)))
            if len(waiting) > 2 * settings.batch_size:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_named(
    name: str, content: bytes, settings: Settings
) -> tuple[np.ndarray, images.Facts]:
    """Prepare one picture; an error names it."""
    try:
        return images.prepare(
            content,
            crop_borders=settings.crop_borders,
            border_tolerance=settings.border_tolerance,
            size=settings.size,
        )
    except images.ImageError as error:
        raise images.ImageError(f"{name} in the image archive: {error}") from error
