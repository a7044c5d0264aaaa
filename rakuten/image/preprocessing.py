"""From the bytes of a product's picture to the pixels a network sees, and what the border tells.

The challenge's pictures are 500x500 JPEGs with the product somewhere on a white frame. One decoder,
Pillow, serves training and prediction alike: TensorFlow's gives other pixels by default.
"""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps, UnidentifiedImageError

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


class TooLargeError(ImageError):
    """A picture that claims more than `MAX_PIXELS`."""


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


class View(NamedTuple):
    """One way to look at a decoded picture: the same picture always gives the same view.

    Attributes:
        change: Upright RGB -> RGB, before the border is looked for; None leaves the picture as it
            is.
        crop: Whether the border is cut off, if borders are cut off at all.
    """

    change: Callable[[Image.Image], Image.Image] | None = None
    crop: bool = True


BLUR_SHARE = 1 / 250
"""Standard deviation of the blur in longer sides: 2 pixels of the challenge's 500."""

ROTATION = 10.0
"""Degrees, counterclockwise."""

JPEG_QUALITY = 15
"""Of libjpeg's 1 to 95: blocks and rings are plain to see."""

BRIGHTER, DARKER = 1.4, 0.6
"""Factors on every channel, cut off at 255."""


def _blur(image: Image.Image) -> Image.Image:
    """Blur as an unsteady or unfocused camera does."""
    return image.filter(ImageFilter.GaussianBlur(max(image.size) * BLUR_SHARE))


def _rotate(image: Image.Image) -> Image.Image:
    """Turn the picture within a larger frame, white where there was none."""
    bilinear = Image.Resampling.BILINEAR
    return image.rotate(ROTATION, bilinear, expand=True, fillcolor="white")


def _grey(image: Image.Image) -> Image.Image:
    """Take the colours away, keep the brightness (ITU-R 601-2)."""
    return image.convert("L").convert("RGB")


def _recompress(image: Image.Image) -> Image.Image:
    """Save as a poor JPEG and read that again."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=JPEG_QUALITY)
    return Image.open(content, formats=("JPEG",)).convert("RGB")


def _brighten(image: Image.Image) -> Image.Image:
    """Expose the picture for longer."""
    return ImageEnhance.Brightness(image).enhance(BRIGHTER)


def _darken(image: Image.Image) -> Image.Image:
    """Expose the picture too briefly: its border is no longer white, so nothing is cut off."""
    return ImageEnhance.Brightness(image).enhance(DARKER)


VIEWS = {
    "product": View(),
    "flip": View(ImageOps.mirror),
    "whole": View(crop=False),
    "blur": View(_blur),
    "rotate": View(_rotate),
    "grey": View(_grey),
    "jpeg": View(_recompress),
    "bright": View(_brighten),
    "dark": View(_darken),
}
"""The views by name: as it is, mirrored, with its border, and what may befall a picture."""


def decode(content: bytes) -> np.ndarray:
    """Decode a picture into RGB, upright, transparent parts on white.

    Args:
        content: A whole file in one of `FORMATS`: RGB, greyscale, palette, CMYK or with alpha; of
            an animation the first frame counts. An EXIF orientation is applied.

    Returns:
        uint8 (height, width, 3), read-only.

    Raises:
        ImageError: If the bytes are empty, no picture, cut short or damaged.
        TooLargeError: If they claim more than `MAX_PIXELS`.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        claimed = f"more than {2 * Image.MAX_IMAGE_PIXELS:,}"
        raise TooLargeError(_too_large(content, claimed)) from error
    except UnidentifiedImageError as error:
        raise ImageError(_refusal(content, "not a picture")) from error
    except _BROKEN as error:
        raise ImageError(_refusal(content, f"truncated or damaged ({error})")) from error
    if image.width * image.height > MAX_PIXELS:
        raise TooLargeError(_too_large(content, f"{image.width}x{image.height}"))
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


def check_views(views: Sequence[str]) -> None:
    """Refuse names of views that cannot be made.

    Args:
        views: Keys of `VIEWS`, at least one, none twice.

    Raises:
        ValueError: If it is no list, is empty, or has an unknown or repeated name; the message
            lists the names that there are.
    """
    known = f"expected a list of some of {', '.join(VIEWS)}: correct extract.views in params.yaml"
    if isinstance(views, str) or not isinstance(views, Sequence):
        raise ValueError(f"views is {views!r}, no list, {known}")
    if not views:
        raise ValueError(f"views is empty, {known}")
    unknown = [name for name in views if name not in VIEWS]
    if unknown:
        raise ValueError(f"views has no {', '.join(map(repr, unknown))}, {known}")
    if len(set(views)) < len(views):
        raise ValueError(f"views has a name twice, {', '.join(views)}; {known}")


def prepare(
    content: bytes | np.ndarray,
    *,
    views: Sequence[str],
    crop_borders: bool,
    border_tolerance: int,
    size: int,
) -> tuple[np.ndarray, Facts]:
    """Make the square inputs of a network from a picture, decoded once.

    Args:
        content: Bytes as for `decode`, or what it returns.
        views: v names of `VIEWS`.
        crop_borders: Cut the near-white border off first, except in views that keep it; the facts
            describe it either way.
        border_tolerance: As `tolerance` of `border_box`.
        size: Side of the result in pixels.

    Returns:
        pixels uint8 (v, size, size, 3), RGB, in the order of `views`, resized with `RESAMPLING`
        without keeping the ratio of width to height; and the facts of the unchanged picture.

    Raises:
        ImageError: As for `decode`.
        ValueError: As for `check_views`.
    """
    check_views(views)
    pixels = content if isinstance(content, np.ndarray) else decode(content)
    height, width, _ = pixels.shape
    box = border_box(pixels, tolerance=border_tolerance)
    product = _cut(pixels, box)
    area = product.shape[0] * product.shape[1]
    means = product.sum(axis=0, dtype=np.uint32).sum(axis=0, dtype=np.float64) / area
    facts = Facts(width, height, *box, 1.0 - area / (width * height), *means.tolist())
    made = np.empty((len(views), size, size, 3), np.uint8)
    for number, view in enumerate(VIEWS[name] for name in views):
        seen = pixels if view.change is None else np.asarray(view.change(Image.fromarray(pixels)))
        if crop_borders and view.crop:
            seen = _cut(seen, border_box(seen, tolerance=border_tolerance))
        made[number] = Image.fromarray(seen).resize((size, size), RESAMPLING)
    return made, facts


def _cut(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Cut a box out of a picture, without a copy."""
    left, top, right, bottom = box
    return pixels[top:bottom, left:right]


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


def _too_large(content: bytes, claimed: str) -> str:
    """Say how many pixels a picture claims, and how many it may have."""
    return (
        f"cannot decode {len(content):,} bytes that claim {claimed} pixels: expected at most "
        f"{MAX_PIXELS:,}, replace the file with a smaller picture"
    )


def _refusal(content: bytes, reason: str) -> str:
    """Say what came instead of a picture."""
    start = content[:8].hex(" ") or "nothing"
    return (
        f"cannot decode {len(content):,} bytes that start with {start}: {reason}; expected a whole "
        f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]} file, replace it with the original"
    )
