"""From the bytes of a product's picture to the pixels a network sees, and what the border tells.

The challenge's pictures are 500x500 JPEGs with the product somewhere on a white frame. One decoder,
Pillow, serves training and prediction alike: TensorFlow's gives other pixels by default.
"""

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""What is decoded, whatever the file's name says; no format that runs another program."""

MAX_PIXELS = 25_000_000
"""Pictures larger than this are refused before they are decoded: a few KB can claim gigapixels."""

RESAMPLING = Image.Resampling.BILINEAR
"""Pillow's triangle filter, widened when it shrinks, so that fine patterns do not alias."""

_BROKEN = (OSError, SyntaxError, ValueError, IndexError, EOFError, struct.error, zlib.error)
"""What Pillow raises on bytes that are not a whole picture."""


class ImageError(ValueError):
    """Bytes that cannot be decoded into a picture; the message says what came."""


class Facts(NamedTuple):
    """What is known of one picture; the box is in pixels of the upright picture.

    The box holds columns left..right-1 and rows top..bottom-1. `border_share` is the share of the
    frame outside it, 0 to 1. The means are over the box, 0 to 255.
    """

    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int
    border_share: float
    mean_red: float
    mean_green: float
    mean_blue: float


def decode(content: bytes) -> np.ndarray:
    """Decode a picture into RGB, upright, transparent parts on white.

    Args:
        content: A whole file in one of `FORMATS`: RGB, greyscale, palette, CMYK or with alpha; of
            an animation the first frame counts. An EXIF orientation is applied.

    Returns:
        uint8 (height, width, 3), read-only.

    Raises:
        ImageError: If the bytes are empty, no picture, cut short, damaged, or claim more than
            `MAX_PIXELS`.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_refusal(content, f"too large ({error})")) from error
    except UnidentifiedImageError as error:
        raise ImageError(_refusal(content, "not a picture")) from error
    except _BROKEN as error:
        raise ImageError(_refusal(content, f"truncated or damaged ({error})")) from error
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width}x{image.height} pixels, at most {MAX_PIXELS:,} are accepted"
        raise ImageError(_refusal(content, f"too large ({size})"))
    try:
        image.load()
        image = _upright(image)
    except _BROKEN as error:
        reason = f"truncated or damaged {image.format} ({error})"
        raise ImageError(_refusal(content, reason)) from error
    return np.asarray(_to_rgb(image))


def border_box(pixels: np.ndarray, *, tolerance: int) -> tuple[int, int, int, int]:
    """Find the product inside its near-white border.

    Args:
        pixels: uint8 (height, width, 3).
        tolerance: A pixel is border while all its channels are at least 255 - tolerance; 0 means
            pure white only, and JPEG noise then counts as product.

    Returns:
        (left, top, right, bottom): the smallest box of columns left..right-1 and rows
        top..bottom-1 that holds every other pixel. The whole frame if there is none.
    """
    height, width, _ = pixels.shape
    marks = pixels < 255 - tolerance  # (height, width, 3)
    rows = np.flatnonzero(marks.reshape(height, -1).any(axis=1))
    if not rows.size:
        return 0, 0, width, height
    columns = np.flatnonzero(marks[rows[0] : rows[-1] + 1].any(axis=0).any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def prepare(
    content: bytes, *, crop_borders: bool, border_tolerance: int, size: int
) -> tuple[np.ndarray, Facts]:
    """Make the square input of a network from the bytes of a picture.

    Args:
        content: As for `decode`.
        crop_borders: Cut the near-white border off first; the facts describe it either way.
        border_tolerance: As `tolerance` of `border_box`.
        size: Side of the result in pixels.

    Returns:
        pixels uint8 (size, size, 3), RGB, resized with `RESAMPLING` without keeping the ratio of
        width to height; and the facts of the picture.

    Raises:
        ImageError: As for `decode`.
    """
    pixels = decode(content)
    height, width, _ = pixels.shape
    box = border_box(pixels, tolerance=border_tolerance)
    left, top, right, bottom = box
    product = pixels[top:bottom, left:right]
    area = product.shape[0] * product.shape[1]
    means = product.sum(axis=0, dtype=np.uint32).sum(axis=0, dtype=np.float64) / area
    facts = Facts(width, height, *box, 1.0 - area / (width * height), *means.tolist())
    image = Image.fromarray(product if crop_borders else pixels)
    return np.asarray(image.resize((size, size), RESAMPLING)), facts


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; a damaged EXIF block is no reason to refuse the picture."""
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode that `FORMATS` decode to."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16 bits a pixel: keep the upper eight
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _refusal(content: bytes, reason: str) -> str:
    """Say what came instead of a picture."""
    start = content[:8].hex(" ") or "nothing"
    return (
        f"cannot decode {len(content):,} bytes that start with {start}: {reason}; expected a whole "
        f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]} file, replace it with the original"
    )
