"""Decode image files, prepare them as network input, and measure the white border.

The challenge's images are 500x500 JPEGs that show the product on a white background. Training and
prediction use the same decoder, Pillow: TensorFlow's default gives other pixels.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps, UnidentifiedImageError

from rakuten.storage import MAX_PIXELS

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""Formats that are decoded, whatever the file's name. None of them starts another program."""

RESIZE = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
"""Pillow's filters by name. Both are wider when they reduce, which prevents aliasing."""

_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    IndexError,
    EOFError,
    struct.error,
    zlib.error,
)
"""Exceptions that Pillow raises on truncated or damaged files."""


class ImageError(ValueError):
    """Bytes that cannot be decoded into an image."""

    @classmethod
    def undecodable(cls, content: bytes, reason: str) -> Self:
        """Describe the bytes that were received instead of an image."""
        start = content[:8].hex(" ") or "nothing"
        return cls(
            f"cannot decode {len(content):,} bytes that start with {start}: {reason}; expected a "
            f"whole {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file, replace it with the original"
        )


class TooLargeError(ImageError):
    """An image with more than `MAX_PIXELS`."""

    @classmethod
    def claimed(cls, content: bytes, pixels: str) -> Self:
        """Describe the pixels that a file claims to have."""
        return cls(
            f"cannot decode {len(content):,} bytes that claim {pixels} pixels: expected at most "
            f"{MAX_PIXELS:,}, replace the file with a smaller image"
        )


class ChoiceError(ValueError):
    """A parameter that must list some of several names."""

    def __init__(self, parameter: str, problem: str, known: Iterable[str]):
        super().__init__(parameter, problem, tuple(known))

    def __str__(self) -> str:
        parameter, problem, known = self.args
        return (
            f"{parameter} {problem}, expected a list of some of {', '.join(known)}: correct "
            f"encode_image.{parameter} in params.yaml"
        )


class Facts(NamedTuple):
    """Facts about one image, in pixels of the upright image.

    The box around the product has columns left..right-1 and rows top..bottom-1. `border_share` is
    the share of the image outside the box, 0 to 1. The means are over the box, 0 to 255.
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


BLUR_SHARE = 1 / 250
"""Standard deviation of the blur, relative to the longer side: 2 of the challenge's 500 pixels."""

ROTATION = 10.0
"""Degrees, counterclockwise."""

JPEG_QUALITY = 15
"""On libjpeg's scale of 1 to 95: blocks and ringing are clearly visible."""

BRIGHTER, DARKER = 1.4, 0.6
"""Factors on every channel, clipped at 255."""


def _blur(image: Image.Image) -> Image.Image:
    """Blur as an unfocused camera does."""
    return image.filter(ImageFilter.GaussianBlur(max(image.size) * BLUR_SHARE))


def _rotate(image: Image.Image) -> Image.Image:
    """Rotate on a larger canvas and fill it with white."""
    bilinear = Image.Resampling.BILINEAR
    return image.rotate(ROTATION, bilinear, expand=True, fillcolor="white")


def _grey(image: Image.Image) -> Image.Image:
    """Remove the colours, keep the brightness (ITU-R 601-2)."""
    return image.convert("L").convert("RGB")


def _recompress(image: Image.Image) -> Image.Image:
    """Save as a JPEG of low quality and read it again."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=JPEG_QUALITY)
    return Image.open(content, formats=("JPEG",)).convert("RGB")


def _brighten(image: Image.Image) -> Image.Image:
    """Overexpose."""
    return ImageEnhance.Brightness(image).enhance(BRIGHTER)


def _darken(image: Image.Image) -> Image.Image:
    """Underexpose: the border is no longer white, so it is not cropped."""
    return ImageEnhance.Brightness(image).enhance(DARKER)


VIEWS: dict[str, Callable[[Image.Image], Image.Image] | None] = {
    "original": None,
    "flip": ImageOps.mirror,
    "blur": _blur,
    "rotate": _rotate,
    "grey": _grey,
    "jpeg": _recompress,
    "bright": _brighten,
    "dark": _darken,
}
"""Deterministic variants of an upright RGB image by name: unchanged, mirrored, and degraded in
several ways. They are applied before the border is detected."""

CROPS = ("product", "whole")
"""What a network sees of a view: the product without its near-white border, and the whole image."""


def decode(content: bytes) -> np.ndarray:
    """Decode an image into upright RGB, with transparent parts on white.

    Args:
        content: A whole file in one of `FORMATS`: RGB, greyscale, palette, CMYK or with alpha. The
            first frame of an animation is used. An EXIF orientation is applied.

    Returns:
        uint8 (height, width, 3), read-only.

    Raises:
        ImageError: If the bytes are empty, not an image, truncated or damaged.
        TooLargeError: If the image has more than `MAX_PIXELS`.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooLargeError.claimed(content, f"more than {MAX_PIXELS:,}") from error
    except UnidentifiedImageError as error:
        raise ImageError.undecodable(content, "not an image") from error
    except _DECODING_ERRORS as error:
        raise ImageError.undecodable(content, f"truncated or damaged ({error})") from error
    if image.width * image.height > MAX_PIXELS:
        raise TooLargeError.claimed(content, f"{image.width}x{image.height}")
    try:
        image.load()
        upright = _upright(image)
    except _DECODING_ERRORS as error:
        reason = f"truncated or damaged {image.format} ({error})"
        raise ImageError.undecodable(content, reason) from error
    return np.asarray(_to_rgb(upright))


def border_box(pixels: np.ndarray, *, tolerance: int) -> tuple[int, int, int, int]:
    """Find the product inside its near-white border.

    Args:
        pixels: uint8 (height, width, 3).
        tolerance: A pixel is border if all its channels are at least 255 - tolerance. At 0 only
            pure white is border, and JPEG noise counts as product.

    Returns:
        (left, top, right, bottom): the smallest box of columns left..right-1 and rows
        top..bottom-1 that contains all other pixels. The whole image if there are none.
    """
    height, width, _ = pixels.shape
    product = pixels < 255 - tolerance  # (height, width, 3)
    rows = np.flatnonzero(product.reshape(height, -1).any(axis=1))
    if not rows.size:
        return 0, 0, width, height
    columns = np.flatnonzero(np.any(product[rows[0] : rows[-1] + 1].any(axis=0), axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def check_names(parameter: str, names: Sequence[str], known: Iterable[str]) -> None:
    """Check a parameter that lists names.

    Args:
        parameter: Its name, for the message.
        names: Different names, at least one.
        known: The names that exist.

    Raises:
        ChoiceError: If it is not a list, is empty, or has an unknown or repeated name.
    """
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise ChoiceError(parameter, f"is {names!r}, not a list", known)
    if not names:
        raise ChoiceError(parameter, "is empty", known)
    if unknown := [name for name in names if name not in known]:
        raise ChoiceError(parameter, f"has no {', '.join(map(repr, unknown))}", known)
    if len(set(names)) < len(names):
        raise ChoiceError(parameter, f"repeats a name: {', '.join(names)}", known)


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How images become the square inputs of a network.

    Attributes:
        size: Side of the network's input in pixels.
        resize: A key of `RESIZE`. The aspect ratio is not kept.
        views: Names of v `VIEWS`, at least one.
        crops: Names of c `CROPS`, at least one; their order does not matter.
        border_tolerance: Levels below 255 that still count as white, as `tolerance` of
            `border_box`.

    Raises:
        ChoiceError: As for `check_names`.
    """

    size: int
    resize: str
    views: Sequence[str]
    crops: Sequence[str]
    border_tolerance: int

    def __post_init__(self) -> None:
        check_names("views", self.views, VIEWS)
        check_names("crops", self.crops, CROPS)


class Prepared(NamedTuple):
    """An image as the inputs of a network.

    Attributes:
        pixels: uint8 (v * c, size, size, 3), RGB: the crops of the first view in the order of
            `CROPS`, then those of the next.
        facts: float64 (v, fields of `Facts`): of each view before it is cropped and resized.
    """

    pixels: np.ndarray
    facts: np.ndarray

    def first_view(self) -> "Prepared":
        """Leave out all views but the first."""
        crops = len(self.pixels) // len(self.facts)
        return Prepared(self.pixels[:crops], self.facts[:1])

    def cover(self, rows: tuple[float, float], columns: tuple[float, float]) -> "Prepared":
        """Cover a rectangle of the first view with the mean colour of each input.

        Args:
            rows: Top and bottom, 0 to 1, relative to the first crop of the view.
            columns: Left and right, likewise.

        Returns:
            The first view alone, with the same rectangle covered in every crop. Views that mirror
            or rotate the image show that part of it elsewhere.
        """
        view = self.first_view()
        covered, size, facts = view.pixels.copy(), view.pixels.shape[1], Facts(*view.facts[0])
        for crop, pixels in enumerate(covered):
            spans = [rows, columns]
            if crop == 1:  # the whole image, after the product
                spans = [
                    _within(rows, facts.top, facts.bottom, facts.height),
                    _within(columns, facts.left, facts.right, facts.width),
                ]
            down, across = (slice(*(round(size * end) for end in span)) for span in spans)
            pixels[down, across] = view.pixels[crop].mean(axis=(0, 1)).round()
        return view._replace(pixels=covered)


def _within(span: tuple[float, float], start: float, end: float, length: float) -> tuple:
    """Convert shares of start..end to shares of the length."""
    return tuple((start + share * (end - start)) / length for share in span)


def prepare(content: bytes | np.ndarray, preparation: Preparation) -> Prepared:
    """Make the inputs of a network from an image, which is decoded once for all views.

    Args:
        content: Bytes as for `decode`, or an array as it returns.
        preparation: The views, and how they are cropped and resized.

    Returns:
        Pixels of every crop and facts of every view. The facts describe the border whether it is
        cropped or not.

    Raises:
        ImageError: As for `decode`.
    """
    original = content if isinstance(content, np.ndarray) else decode(content)
    side, resize = preparation.size, RESIZE[preparation.resize]
    inputs, facts = [], []
    for change in (VIEWS[name] for name in preparation.views):
        pixels = original if change is None else np.asarray(change(Image.fromarray(original)))
        box = border_box(pixels, tolerance=preparation.border_tolerance)
        shown = {"product": _crop(pixels, box), "whole": pixels}
        facts.append(_describe(pixels, shown["product"], box))
        for crop in (shown[name] for name in CROPS if name in preparation.crops):
            inputs.append(np.asarray(Image.fromarray(crop).resize((side, side), resize)))
    return Prepared(np.stack(inputs), np.array(facts, np.float64))


def _describe(pixels: np.ndarray, product: np.ndarray, box: tuple[int, int, int, int]) -> Facts:
    """Collect the facts of an image and of the product in its box."""
    height, width, _ = pixels.shape
    area = product.shape[0] * product.shape[1]
    means = product.sum(axis=0, dtype=np.uint32).sum(axis=0, dtype=np.float64) / area
    return Facts(width, height, *box, 1.0 - area / (width * height), *means.tolist())


def _crop(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Crop an image to a box, without a copy."""
    left, top, right, bottom = box
    return pixels[top:bottom, left:right]


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, unless the EXIF block is damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except _DECODING_ERRORS:
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode of the `FORMATS` to RGB."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16 bits a pixel: keep the upper eight
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
