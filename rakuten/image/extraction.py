"""Features and facts of the images of a product table.

Each distinct image goes through the network once per view. Images are read and decoded in the
background while the network computes. Finished features go to a `FeatureStore`, where later runs
find them.
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
from rakuten.image.preprocessing import Facts, Preparation, Prepared

if TYPE_CHECKING:
    import pandas as pd

PART_BATCHES = 4
"""Batches in one part file of the store: at most these are lost when the process is killed."""

WEIGHTS = {"vgg16": "vgg16.npz", "resnet50": "backbone/resnet50.npz"}
"""By backbone, the file of its weights within the folder of the resources."""


class Extractor(Protocol):
    """A network, such as `backbones.Extractor` or `encoder.ImageEncoder`.

    Attributes:
        widths: Numbers per image of each kind of features.
        dtype: Type of all features.
    """

    widths: dict[str, int]
    dtype: type[np.floating]

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the features of images.

        Args:
            pixels: uint8 (n, size, size, 3), RGB.

        Returns:
            (n, width) of each kind.
        """


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
        size: Side of the network's input in pixels.
        crop_borders: Whether to crop the near-white border.
        border_tolerance: Levels below 255 that still count as white.
        batch_size: Images in one call of the network.

    Raises:
        ValueError: If the backbone is unknown.
    """

    backbone: str
    precision: str
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

    @property
    def weights(self) -> str:
        """The file of the backbone's weights, within the folder of the resources."""
        return WEIGHTS[self.backbone]

    @property
    def preparation(self) -> Preparation:
        """How the network's inputs are made."""
        return Preparation(
            size=self.size,
            resize="bilinear",
            views=("original",),
            crops=("product",) if self.crop_borders else ("whole",),
            border_tolerance=self.border_tolerance,
        )


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


def fingerprint(preparation: Preparation, network: str) -> str:
    """Identify everything that an image's features depend on besides the image.

    Args:
        preparation: How images are prepared.
        network: Identifies the network, its weights and its batches: `backbones.fingerprint` or
            `encoder.fingerprint`.

    Returns:
        32 hexadecimal digits that change with both, with the version of the decoder and with code
        of image preparation that can change values.
    """
    lists = {"views": list(preparation.views), "crops": sorted(preparation.crops)}
    values = asdict(preparation) | lists
    code = feature_store.code_digest(preprocessing, compute_features, _average_crops)
    return feature_store.fingerprint(values, network, code, PIL.__version__)


def extract(
    images: ImageSet,
    archive: Archive,
    network: Extractor,
    store: FeatureStore | None,
    *,
    preparation: Preparation,
    batch_size: int,
    progress: Callable,
) -> dict[str, np.ndarray]:
    """Compute the features and facts of images, or find them in the store.

    Args:
        images: The m distinct images of n products.
        archive: Contains them.
        network: Not called if the store has all images.
        store: Finished features under the same `fingerprint`; new ones are added. None computes
            everything and stores nothing.
        preparation: The size of the network's input and the v views.
        batch_size: Images in one call of the network.
        progress: Makes a progress bar, as `stage_log.progress` does. It counts images, not views.

    Returns:
        In the order of `images.names`: (m, v, width) of each kind of features, of the network's
        type, and "facts" float64 (m, v, fields of `Facts`).

    Raises:
        ImageError: If an image cannot be decoded; the message names it.
    """
    total, views = len(images.names), len(preparation.views)
    arrays = {
        kind: np.zeros((total, views, width), network.dtype)
        for kind, width in network.widths.items()
    }
    arrays["facts"] = np.zeros((total, views, len(Facts._fields)))
    missing = np.ones(total, bool)
    for rows, part in store.load(images.digests) if store else ():
        _insert(arrays, rows, part)
        missing[rows] = False
    todo = np.flatnonzero(missing)
    if len(todo):
        names = [images.names[row] for row in todo]
        prepared = _prepare_in_background(names, archive, preparation, 2 * batch_size)
        step, known = PART_BATCHES * batch_size, total - len(todo)
        with progress(
            None, total=total, unit="image", description="features", initial=known
        ) as bar:
            for rows in np.split(todo, range(step, len(todo), step)):
                part = compute_features(prepared, len(rows), network, batch_size, bar.update)
                if store:
                    store.save([images.digests[row] for row in rows], **part)
                _insert(arrays, rows, part)
    return arrays


def to_products(
    images: ImageSet, ids: np.ndarray, arrays: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Give every product the features and facts of its image.

    Args:
        images: The m distinct images of n products.
        ids: int64 (n,), ascending.
        arrays: As `extract` returns them, in the order of `images.names`.

    Returns:
        ids (n,), present bool (n,), and (v, n, width) of each kind of features and of the facts,
        with rows of zeros for products without image.
    """
    present, rows = images.present, images.rows[images.present]
    products = {"ids": ids, "present": present}
    for kind, array in arrays.items():
        products[kind] = np.zeros((array.shape[1], len(ids), array.shape[2]), array.dtype)
        for view, values in enumerate(products[kind]):  # one view at a time saves memory
            values[present] = array[rows, view]
    return products


def facts_table(products: Mapping[str, np.ndarray]) -> "pd.DataFrame":
    """Make a table of the facts of the first view.

    Args:
        products: As `to_products` returns them.

    Returns:
        n rows: id, has_image and the columns of `Facts`; without image, integers are 0 and floats
        NaN.
    """
    import pandas as pd  # imported lazily: prediction of a title does not need it

    table = pd.DataFrame(products["facts"][0], columns=Facts._fields)
    counts = [name for name, kind in Facts.__annotations__.items() if kind is int]
    floats = table.columns.difference(counts)
    table.loc[~products["present"], floats] = np.nan
    table = table.astype(dict.fromkeys(counts, np.int64))
    table.insert(0, "id", products["ids"])
    table.insert(1, "has_image", products["present"])
    return table


def compute_features(
    prepared: Iterator[Prepared],
    count: int,
    network: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    batch_size: int,
    on_batch: Callable[[int], object],
) -> dict[str, np.ndarray]:
    """Compute the features of the next images, batch by batch.

    Args:
        prepared: Images as `preprocessing.prepare` returns them, all with v views.
        count: Number of images, at least 1.
        network: Computes features, see `Extractor`.
        batch_size: Images in one call of the network. The last batch may be smaller.
        on_batch: Called with the number of images after each batch.

    Returns:
        (count, v, width) of each kind of features, averaged over the crops of a view, and "facts"
        float64 (count, v, fields of `Facts`).
    """
    parts = []
    for start in range(0, count, batch_size):
        batch = list(itertools.islice(prepared, min(batch_size, count - start)))
        inputs = np.stack([image.pixels for image in batch], axis=1)  # (v * c, n, size, size, 3)
        facts = np.stack([image.facts for image in batch])  # (n, v, fields)
        found = [network(pixels) for pixels in inputs]
        part = {kind: _average_crops([one[kind] for one in found], facts) for kind in found[0]}
        parts.append(part | {"facts": facts})
        on_batch(len(batch))
    return {kind: np.concatenate([part[kind] for part in parts]) for kind in parts[0]}


def _average_crops(arrays: Sequence[np.ndarray], facts: np.ndarray) -> np.ndarray:
    """Average the features of the crops of each view: v * c times (n, width) -> (n, v, width)."""
    count, views, _ = facts.shape
    stacked = np.stack(arrays, axis=1).reshape(count, views, -1, arrays[0].shape[1])
    return stacked.mean(axis=2, dtype=np.float32).astype(arrays[0].dtype)


def _insert(
    arrays: dict[str, np.ndarray], rows: np.ndarray, part: Mapping[str, np.ndarray]
) -> None:
    """Copy the features of some images to their rows."""
    for kind, array in arrays.items():
        array[rows] = part[kind]


def _prepare_in_background(
    names: list[str], archive: Archive, preparation: Preparation, buffer_size: int
) -> Iterator[Prepared]:
    """Prepare images in threads, before they are needed."""
    # The archive is read in this thread: it is fast, and archives are not thread-safe.
    contents = ((name, archive.read(name)) for name in names)
    return prefetch.map_in_order(
        partial(_prepare_named, preparation=preparation),
        contents,
        threads=prefetch.available_cpus(),
        buffer_size=buffer_size,
    )


def _prepare_named(named: tuple[str, bytes], preparation: Preparation) -> Prepared:
    """Prepare one image; an error names it."""
    name, content = named
    try:
        return preprocessing.prepare(content, preparation)
    except preprocessing.ImageError as error:
        raise type(error)(f"{name} in the image archive: {error}") from error
