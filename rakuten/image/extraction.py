"""Features and facts of the images of a product table.

Each distinct image goes through the network once per view, always in a batch of the same size, so
that its features do not depend on the other images. Images are read and decoded in the background
while the network computes. Finished features go to a `FeatureStore`, where later runs find them.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import PIL

from rakuten import feature_store, prefetch
from rakuten.feature_store import FeatureStore
from rakuten.image import preprocessing

if TYPE_CHECKING:
    import pandas as pd

PART_BATCHES = 4
"""Batches in one part file of the store: at most these are lost when the process is killed."""

WEIGHTS = {"vgg16": "vgg16.npz", "resnet50": "backbone/resnet50.npz"}
"""By backbone, the file of its weights within the folder of the resources."""

DTYPES = {"average": np.float32, "grid": np.float16, "middle": np.float16}
"""The kinds of features: "average" of the first view, "grid" and "middle" of every view."""

Extractor = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Pixels uint8 (n, size, size, 3) -> (n, width) of each of `DTYPES`."""

Prepared = tuple[np.ndarray, preprocessing.Facts]
"""Pixels uint8 (v, size, size, 3) of an image's views, and its facts."""


class Archive(Protocol):
    """A source of images by name, such as `storage.ImageArchive`."""

    def __contains__(self, name: str) -> bool: ...

    def read(self, name: str) -> bytes:
        """Read the bytes of an image."""

    def digest(self, name: str) -> str:
        """Hash the bytes of an image."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section `extract` of params.yaml.

    Attributes:
        backbone: Name of the network.
        precision: Number format of the network.
        views: Names of `preprocessing.VIEWS`, at least one. The nets train on the first.
        size: Side of the network's input in pixels.
        crop_borders: Whether to crop the near-white border.
        border_tolerance: Levels below 255 that still count as white.
        batch_size: Images in one call of the network.

    Raises:
        ValueError: If the backbone or a view is unknown, or a view is repeated, or there is none.
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
    """The distinct images of n products.

    Attributes:
        names: m names, each the first in product order with these bytes.
        digests: m digests of the bytes, in the order of `names`.
        rows: int64 (n,), the position in `names` of each product's image, -1 if it has none.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    rows: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """Which products have an image: bool (n,)."""
        return self.rows >= 0


def find_images(names: Sequence[str], archive: Archive) -> ImageSet:
    """Find the distinct images of products by the digests of their bytes.

    Args:
        names: The archive's name of each product's image, n in product order. A product has no
            image if the archive does not contain its name.
        archive: The images.

    Returns:
        The distinct images, in the order of the first product that has them.
    """
    first: dict[str, int] = {}  # digest -> position
    distinct: list[str] = []
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


def fingerprint(settings: Settings, network: str) -> str:
    """Identify everything that an image's features depend on besides the image.

    Args:
        settings: How images are prepared and batched.
        network: Identifies the network and its weights: `backbones.fingerprint`.

    Returns:
        32 hexadecimal digits that change with both, with the version of the decoder and with code
        of image preparation and batching that can change values.
    """
    code = feature_store.code_digest(preprocessing, prepare, compute_features, full_batches)
    return feature_store.fingerprint(asdict(settings), network, code, PIL.__version__)


def extract(
    images: ImageSet,
    archive: Archive,
    build: Callable[[], Extractor],
    store: FeatureStore | None,
    progress: Callable,
    settings: Settings,
    widths: Mapping[str, int],
) -> tuple[dict[str, np.ndarray], "pd.DataFrame"]:
    """Compute the features and facts of images, or find them in the store.

    Args:
        images: The m distinct images of n products.
        archive: Contains them.
        build: Builds the extractor. Not called if the store has all images.
        store: Finished features under the same `fingerprint`; new ones are added. None computes
            everything and stores nothing.
        progress: Makes a progress bar, as `stage_log.progress` does. It counts images, not views.
        settings: Preparation, batch size and the v views.
        widths: Numbers per image of each of `DTYPES`, as the extractor returns them.

    Returns:
        "average" float32 (m, width) of the first view, "grid" and "middle" float16 (v, m, width)
        of all views; and the facts, m rows with the columns of `preprocessing.Facts`. All in the
        order of `images.names`.

    Raises:
        ImageError: If an image cannot be decoded; the message names it.
    """
    import pandas as pd  # imported lazily: prediction of a title does not need it

    total = len(images.names)
    arrays = _allocate(total, len(settings.views), widths)
    missing = np.ones(total, bool)
    for rows, part in store.load(images.digests) if store else ():
        _insert(arrays, rows, part)
        missing[rows] = False
    todo = np.flatnonzero(missing)
    if len(todo):
        compute = full_batches(build(), settings.batch_size)
        prepared = _prepare_in_background([images.names[row] for row in todo], archive, settings)
        step, known = PART_BATCHES * settings.batch_size, total - len(todo)
        with progress(
            None, total=total, unit="image", description="features", initial=known
        ) as bar:
            for rows in np.split(todo, range(step, len(todo), step)):
                found = compute_features(
                    prepared, len(rows), compute, settings.batch_size, bar.update
                )
                part = _images_first(found)
                if store:
                    store.save([images.digests[row] for row in rows], **part)
                _insert(arrays, rows, part)
    return arrays, pd.DataFrame(arrays.pop("facts"), columns=preprocessing.Facts._fields)


def to_products(
    images: ImageSet,
    ids: np.ndarray,
    arrays: Mapping[str, np.ndarray],
    facts: "pd.DataFrame",
    views: Sequence[str],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], "pd.DataFrame"]:
    """Give every product the features and facts of its image.

    Args:
        images: The m distinct images of n products.
        ids: int64 (n,), ascending.
        arrays: As `extract` returns them, in the order of `images.names`.
        facts: m rows with the columns of `preprocessing.Facts`, in the same order.
        views: Names of the v views.

    Returns:
        The averages of the first view: ids (n,), present bool (n,), features float32 (n, d). The
        other features: ids, present, views str (v,), grid float16 (v, n, 4 d), middle float16
        (v, n, m). Both have rows of zeros for products without image. And a table of n rows in the
        same order: id, has_image and the facts; without image, integers are 0 and floats NaN.
    """
    present, rows = images.present, images.rows[images.present]
    owners = {"ids": ids, "present": present}
    products = {kind: _product_rows(array, present, rows) for kind, array in arrays.items()}
    features = owners | {"features": products.pop("average")}
    pooled = owners | {"views": np.array(views, dtype=np.str_)} | products
    table = facts.iloc[rows].set_axis(np.flatnonzero(present)).reindex(np.arange(len(ids)))
    counts = [name for name, kind in preprocessing.Facts.__annotations__.items() if kind is int]
    table = table.fillna(dict.fromkeys(counts, 0)).astype(dict.fromkeys(counts, np.int64))
    table.insert(0, "id", ids)
    table.insert(1, "has_image", present)
    return features, pooled, table


def prepare(content: bytes | np.ndarray, settings: Settings) -> Prepared:
    """Prepare an image according to the settings, see `preprocessing.prepare`."""
    return preprocessing.prepare(
        content,
        views=settings.views,
        crop_borders=settings.crop_borders,
        border_tolerance=settings.border_tolerance,
        size=settings.size,
    )


def compute_features(
    prepared: Iterator[Prepared],
    count: int,
    compute: Extractor,
    batch_size: int,
    on_batch: Callable[[int], object],
) -> dict[str, np.ndarray]:
    """Compute the features of the next images, batch by batch.

    Args:
        prepared: Images as `prepare` returns them.
        count: Number of images, at least 1.
        compute: The network.
        batch_size: Images in one call of the network. The last batch may be smaller.
        on_batch: Called with the number of images after each batch.

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
        on_batch(len(batch))
    part = {kind: np.concatenate([batch[kind] for batch in batches], axis=1) for kind in DTYPES}
    return part | {"average": part["average"][0], "facts": np.array(facts, np.float64)}


def full_batches(compute: Extractor, batch_size: int) -> Extractor:
    """Fill the batches of a network with zeros up to one size.

    The last bits of float features depend on the batch size, because the network adds in another
    order.

    Args:
        compute: The network.
        batch_size: Images in every call of it.

    Returns:
        A function of at most `batch_size` images that returns the features of these images only.
    """

    def compute_full(pixels: np.ndarray) -> dict[str, np.ndarray]:
        count = len(pixels)
        padding = np.zeros((batch_size - count, *pixels.shape[1:]), pixels.dtype)
        found = compute(np.concatenate([pixels, padding]) if len(padding) else pixels)
        return {kind: array[:count] for kind, array in found.items()}

    return compute_full


def _allocate(total: int, num_views: int, widths: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Allocate the whole result; images are axis -2."""
    views = {"average": (), "grid": (num_views,), "middle": (num_views,)}
    arrays = {
        kind: np.zeros((*views[kind], total, widths[kind]), dtype) for kind, dtype in DTYPES.items()
    }
    return arrays | {"facts": np.zeros((total, len(preprocessing.Facts._fields)), np.float64)}


def _images_first(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Move the axis of images from -2 to 0."""
    return {kind: np.moveaxis(array, -2, 0) for kind, array in found.items()}


def _insert(
    arrays: dict[str, np.ndarray], rows: np.ndarray, part: Mapping[str, np.ndarray]
) -> None:
    """Copy the features of some images, images first, to their rows."""
    for kind, array in arrays.items():
        array[..., rows, :] = np.moveaxis(part[kind], 0, -2)


def _product_rows(array: np.ndarray, present: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Repeat the rows of images for products: (..., m, d) -> (..., n, d), zeros without image."""
    products = np.zeros((*array.shape[:-2], len(present), array.shape[-1]), array.dtype)
    for index in np.ndindex(array.shape[:-2]):  # one view at a time: several GB in all
        products[index][present] = array[index][rows]
    return products


def _prepare_in_background(
    names: list[str], archive: Archive, settings: Settings
) -> Iterator[Prepared]:
    """Prepare images in threads, two batches before they are needed."""
    # The archive is read in this thread: it is fast, and archives are not thread-safe.
    contents = ((name, archive.read(name)) for name in names)
    return prefetch.map_in_order(
        partial(_prepare_named, settings=settings),
        contents,
        threads=prefetch.available_cpus(),
        buffer_size=2 * settings.batch_size,
    )


def _prepare_named(named: tuple[str, bytes], settings: Settings) -> Prepared:
    """Prepare one image; an error names it."""
    name, content = named
    try:
        return prepare(content, settings)
    except preprocessing.ImageError as error:
        raise type(error)(f"{name} in the image archive: {error}") from error
