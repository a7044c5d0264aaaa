"""The pictures of a product table -> features and facts, without ever waiting for the decoder.

Convolutions take nearly all the time. ImageSet are therefore read and decoded ahead of them in the
background, each distinct picture goes through the network once a view, and finished parts are kept
so that an interrupted run goes on from where it was.
"""

import hashlib
import inspect
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import PIL

from rakuten import prefetch
from rakuten.image import preprocessing

if TYPE_CHECKING:
    import pandas as pd

SHARD_BATCHES = 4
"""Batches kept together as one finished part: the most that a kill can cost."""

WEIGHTS = {"vgg16": "vgg16.npz", "resnet50": "backbone/resnet50.npz"}
"""By backbone, the file of its weights within the folder of the resources."""

DTYPES = {"average": np.float32, "grid": np.float16, "middle": np.float16}
"""The kinds of features: of the first view the averages, of every view the grid and the middle."""

Extractor = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Pixels uint8 (n, size, size, 3) -> for each of `DTYPES` (n, width); a picture's own affair."""


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
        backbone: Name of the network.
        precision: What it computes in.
        views: Names of `preprocessing.VIEWS`, at least one. The nets train on the first.
        size: Side of the network's input in pixels.
        crop_borders: Whether the near-white border is cut off.
        border_tolerance: Levels below 255 that still count as white.
        batch_size: ImageSet in one call of the network.

    Raises:
        ValueError: If the backbone or a view is unknown, or a view named twice, or there is none.
    """

    backbone: str
    precision: str
    views: Sequence[str]
    size: int
    crop_borders: bool
    border_tolerance: int
    batch_size: int

    def __post_init__(self) -> None:
        if self.backbone not in WEIGHTS:
            raise ValueError(
                f"extract.backbone is {self.backbone!r}, expected one of {', '.join(WEIGHTS)}: "
                "correct it in params.yaml"
            )
        preprocessing.check_views(self.views)

    @property
    def weights(self) -> str:
        """The file of the backbone's weights, within the folder of the resources."""
        return WEIGHTS[self.backbone]


@dataclass(frozen=True)
class ImageSet:
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


def find_images(names: Sequence[str], archive: Archive) -> ImageSet:
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
    return ImageSet(tuple(distinct), tuple(first), rows)


def fingerprint(pictures: ImageSet, settings: Settings, network: str) -> str:
    """Name what finished parts belong to, so that none is taken for another's.

    Args:
        pictures: The pictures to compute.
        settings: How they are prepared and batched.
        network: What identifies the network and its weights.

    Returns:
        32 hexadecimal digits that change with any of these, with the code that prepares pictures
        and with the version of the decoder.
    """
    code = [inspect.getsource(module) for module in (preprocessing, sys.modules[__name__])]
    parts = [asdict(settings), network, pictures.digests, code, PIL.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def extract(
    pictures: ImageSet,
    archive: Archive,
    build: Callable[[], Extractor],
    shards: Shards,
    progress: Callable,
    settings: Settings,
    widths: Mapping[str, int],
) -> tuple[dict[str, np.ndarray], "pd.DataFrame"]:
    """Compute the features and the facts of products' pictures.

    Args:
        pictures: The m distinct pictures of n products.
        archive: Where their bytes are.
        build: Makes the extractor; not called if nothing is left to compute.
        shards: Finished parts of an earlier run under the same `fingerprint`, and room for more.
        progress: A bar such as `stage_log.progress`; it counts pictures, all views of one at once.
        settings: How pictures are prepared and batched, and their v views.
        widths: Numbers per picture of each of `DTYPES`, as the extractor gives them.

    Returns:
        "average" float32 (m, width) of the first view, "grid" and "middle" float16 (v, m, width)
        of all; and the facts, m rows with the columns of `preprocessing.Facts`. All in the order of
        `pictures.names`.

    Raises:
        images.ImageError: If a picture cannot be decoded; the message names it.
    """
    import pandas as pd  # who prepares single pictures does without

    total = len(pictures.names)
    whole = _make_room(total, len(settings.views), widths)
    bounds = range(0, total, SHARD_BATCHES * settings.batch_size)
    spans = [(start, min(start + bounds.step, total)) for start in bounds]
    missing = []
    for number, span in enumerate(spans):
        part = shards.load(number)
        if part is None:
            missing.append(number)
        else:
            _put_in_place(whole, part, span)
    todo = [name for number in missing for name in pictures.names[slice(*spans[number])]]
    if missing:
        compute = build()
        prepared = _prepare_ahead(todo, archive, settings)
        with progress(
            None, total=total, unit="image", description="features", initial=total - len(todo)
        ) as bar:
            for number in missing:
                start, stop = spans[number]
                part = compute_features(
                    prepared, stop - start, compute, settings.batch_size, bar.update
                )
                shards.save(number, **part)
                _put_in_place(whole, part, spans[number])
    return whole, pd.DataFrame(whole.pop("facts"), columns=preprocessing.Facts._fields)


def to_products(
    pictures: ImageSet,
    ids: np.ndarray,
    arrays: Mapping[str, np.ndarray],
    facts: "pd.DataFrame",
    views: Sequence[str],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], "pd.DataFrame"]:
    """Give every product the features and the facts of its picture.

    Args:
        pictures: The m distinct pictures of n products.
        ids: int64 (n,), ascending.
        arrays: As `extract` gives them, in the order of `pictures.names`.
        facts: m rows with the columns of `preprocessing.Facts`, in the same order.
        views: Names of the v views.

    Returns:
        The first view's averages: ids (n,), present bool (n,), features float32 (n, d). What is
        pooled otherwise: ids, present, views str (v,), grid float16 (v, n, 4 d), middle float16
        (v, n, m). Rows of zeros where there is no picture. And a table of n rows in the same order:
        id, has_image, and the facts, whole numbers 0 and others NaN where there is no picture.
    """
    present, rows = pictures.present, pictures.rows[pictures.present]
    owners = {"ids": ids, "present": present}
    products = {kind: _spread_rows(array, present, rows) for kind, array in arrays.items()}
    features = owners | {"features": products.pop("average")}
    pooled = owners | {"views": np.array(views, dtype=np.str_)} | products
    table = facts.iloc[rows].set_axis(np.flatnonzero(present)).reindex(np.arange(len(ids)))
    counts = {
        name: kind for name, kind in preprocessing.Facts.__annotations__.items() if kind is int
    }
    table = table.fillna(dict.fromkeys(counts, 0)).astype(dict.fromkeys(counts, np.int64))
    table.insert(0, "id", ids)
    table.insert(1, "has_image", present)
    return features, pooled, table


def prepare(
    content: bytes | np.ndarray, settings: Settings
) -> tuple[np.ndarray, preprocessing.Facts]:
    """Prepare a picture as the settings say, see `preprocessing.prepare`."""
    return preprocessing.prepare(
        content,
        views=settings.views,
        crop_borders=settings.crop_borders,
        border_tolerance=settings.border_tolerance,
        size=settings.size,
    )


def compute_features(
    prepared: Iterator[tuple[np.ndarray, preprocessing.Facts]],
    count: int,
    compute: Extractor,
    batch_size: int,
    advance: Callable[[int], object],
) -> dict[str, np.ndarray]:
    """Take the next pictures through the network, batch by batch.

    Args:
        prepared: What `prepare` gives of each picture.
        count: How many to take, at least 1.
        compute: The network.
        batch_size: ImageSet in one call of it.
        advance: Told how many pictures each call took.

    Returns:
        "average", "grid" and "middle" as `extract` returns them, and "facts" float64
        (count, fields of `preprocessing.Facts`).
    """
    batches, facts = [], []
    for start in range(0, count, batch_size):
        batch = list(itertools.islice(prepared, min(batch_size, count - start)))
        views = np.stack([pixels for pixels, _ in batch], axis=1)  # (v, n, size, size, 3)
        found = [compute(pixels) for pixels in views]
        batches.append({kind: np.stack([view[kind] for view in found]) for kind in DTYPES})
        facts += [row for _, row in batch]
        advance(len(batch))
    part = {kind: np.concatenate([batch[kind] for batch in batches], axis=1) for kind in DTYPES}
    return part | {"average": part["average"][0], "facts": np.array(facts, np.float64)}


def _make_room(total: int, num_views: int, widths: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Allocate the whole once, so that parts need not lie beside it; pictures are axis -2."""
    views = {"average": (), "grid": (num_views,), "middle": (num_views,)}
    whole = {
        kind: np.zeros((*views[kind], total, widths[kind]), dtype) for kind, dtype in DTYPES.items()
    }
    return whole | {"facts": np.zeros((total, len(preprocessing.Facts._fields)), np.float64)}


def _put_in_place(
    whole: dict[str, np.ndarray], part: Mapping[str, np.ndarray], span: tuple[int, int]
) -> None:
    """Copy a finished part to its pictures' places."""
    for kind, array in whole.items():
        array[..., slice(*span), :] = part[kind]


def _spread_rows(array: np.ndarray, present: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Give products their pictures' rows, zeros to those without: (..., m, d) -> (..., n, d)."""
    whole = np.zeros((*array.shape[:-2], len(present), array.shape[-1]), array.dtype)
    for index in np.ndindex(array.shape[:-2]):  # a view at a time: there may be gigabytes
        whole[index][present] = array[index][rows]
    return whole


def _prepare_ahead(
    names: list[str], archive: Archive, settings: Settings
) -> Iterator[tuple[np.ndarray, preprocessing.Facts]]:
    """Prepare pictures in their order, two batches ahead of whoever takes them.

    The archive is read in the taker's thread: it is no matter of milliseconds and archives are not
    safe to share.
    """
    contents = ((name, archive.read(name)) for name in names)
    prepare = partial(_prepare_named, settings=settings)
    return prefetch.map_in_order(
        prepare,
        contents,
        threads=prefetch.available_cpus(),
        buffer_size=2 * settings.batch_size,
    )


def _prepare_named(
    named: tuple[str, bytes], settings: Settings
) -> tuple[np.ndarray, preprocessing.Facts]:
    """Prepare one picture; an error names it."""
    name, content = named
    try:
        return prepare(content, settings)
    except preprocessing.ImageError as error:
        raise type(error)(f"{name} in the image archive: {error}") from error
