"""Perceptual hashes of product images, for finding near-duplicates."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from PIL import Image
from scipy.fft import dctn

from rakuten import prefetch, stage_log
from rakuten.image import preprocessing

HASH_BITS = 64


def perceptual_hash(pixels: np.ndarray, box: tuple[int, int, int, int] | None = None) -> np.uint64:
    """Compute the 64-bit pHash of an image, which scaling and compression hardly change.

    The image is reduced to 32 x 32 grey values. Each bit tells whether one of the 8 x 8 lowest
    coefficients of their cosine transform is above the median of all but the first. The simpler
    dHash, which compares neighbouring pixels, confuses different products that are dark in the
    middle of every row.

    Args:
        pixels: uint8 (height, width, 3).
        box: (left, top, right, bottom) of the region to hash, e.g. of `preprocessing.border_box`,
            so that the width of the border does not matter; the whole image if None.

    Returns:
        The bits row by row, the first the most significant. For an image of one colour, no bit
        but the first is set.
    """
    image = Image.fromarray(pixels)
    small = image.crop(box or (0, 0, *image.size)).convert("L")
    greys = np.asarray(small.resize((32, 32), Image.Resampling.BILINEAR), dtype=np.float64)
    lowest = dctn(greys, norm="ortho")[:8, :8].round(6)  # one colour: exactly 0 instead of 1e-14
    bits = np.packbits(lowest > np.median(lowest.ravel()[1:]))
    return np.uint64(int.from_bytes(bits.tobytes(), "big"))


def hash_images(
    read: Callable[[str], bytes], names: Sequence[str], facts: pd.DataFrame, *, threads: int
) -> np.ndarray:
    """Hash the images of products, each without its border.

    Args:
        read: A function from a name to an image's bytes; called in this thread.
        names: The n products' image names.
        facts: Columns has_image, left, top, right and bottom, n rows.
        threads: Images decoded concurrently; does not change the result.

    Returns:
        uint64 (n,) of `perceptual_hash`, 0 without an image.
    """
    hashes = np.zeros(len(names), np.uint64)
    rows = np.flatnonzero(facts["has_image"]).tolist()
    boxes = facts[["left", "top", "right", "bottom"]].to_numpy(np.int64)[rows].tolist()

    def hash_one(item: tuple[bytes, tuple[int, int, int, int]]) -> np.uint64:
        content, box = item
        return perceptual_hash(preprocessing.decode(content), box)

    contents = ((read(names[row]), tuple(box)) for row, box in zip(rows, boxes, strict=True))
    found = prefetch.map_in_order(hash_one, contents, threads=threads, buffer_size=8 * threads)
    bar = stage_log.progress(found, total=len(rows), unit="image", description="hashes")
    hashes[rows] = np.fromiter(bar, np.uint64, len(rows))
    return hashes


def are_plain(hashes: np.ndarray, *, min_structure: int) -> np.ndarray:
    """Find the hashes of plain images.

    Args:
        hashes: uint64 (n,) of `perceptual_hash`.
        min_structure: Minimum number of ones and of zeros among the bits. Blank images have no
            ones, gradients from dark to light no zeros.

    Returns:
        bool (n,).
    """
    ones = np.bitwise_count(np.asarray(hashes, dtype=np.uint64)).astype(np.int64)
    return np.minimum(ones, HASH_BITS - ones) < min_structure
