"""The image with region effects: tinted, the strongest regions outlined and numbered."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rakuten.image import preprocessing

FOR, AGAINST = (13, 148, 136), (234, 120, 20)
"""Colours of evidence for and against the category: teal and orange."""

MIN_EFFECT = 0.05
"""Least effect in log-odds that is shown."""

STRONGEST = 3
SIDE = 560
OPACITY = 0.72


def network_view(content: bytes, facts: np.ndarray, *, crop: bool) -> np.ndarray:
    """Decode an image and crop it as the network sees it in the view with these facts.

    Args:
        content: An image file.
        facts: float64 (fields of `rakuten.image.preprocessing.Facts`,).
        crop: Whether to crop the border.

    Returns:
        uint8 (height, width, 3).
    """
    pixels, named = preprocessing.decode(content), preprocessing.Facts(*facts.tolist())
    if crop:
        left, top, right, bottom = map(int, (named.left, named.top, named.right, named.bottom))
        pixels = pixels[top:bottom, left:right]
    return pixels


def strongest(effects: np.ndarray) -> list[tuple[int, int]]:
    """Find the cells with the largest effects, for or against.

    Args:
        effects: float (grid, grid).

    Returns:
        At most `STRONGEST` pairs of row and column, the strongest first, without cells below
        `MIN_EFFECT` or a quarter of the strongest.
    """
    sizes = np.abs(effects)
    order = np.argsort(-sizes, axis=None, kind="stable")[:STRONGEST]
    cells = [tuple(map(int, np.unravel_index(at, effects.shape))) for at in order]
    least = max(MIN_EFFECT, sizes.max() / 4)
    return [cell for cell in cells if sizes[cell] >= least]


def place(cell: tuple[int, int], grid: int) -> str:
    """Return the key in `demo.translations.TEXTS` for the third of the image that has a cell."""
    row, column = ((2 * at + 1) * 3 // (2 * grid) for at in cell)
    return f"place_{row}{column}"


def draw(pixels: np.ndarray, effects: np.ndarray) -> np.ndarray:
    """Tint an image by effects.

    Args:
        pixels: uint8 (height, width, 3).
        effects: float (grid, grid), rows from the top.

    Returns:
        uint8 (height, width, 3), its longer side `SIDE`.
    """
    height, width, _ = pixels.shape
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    base = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    limit = max(np.abs(effects).max(), 4 * MIN_EFFECT)
    strength = Image.fromarray((effects / limit).astype(np.float32))
    strength = np.asarray(strength.resize(size, Image.Resampling.BILINEAR))[..., None]
    grey = np.asarray(base.convert("L").convert("RGB"), np.float32) * 0.5 + 127 * 0.5
    colour = np.where(strength > 0, np.float32(FOR), np.float32(AGAINST))
    alpha = np.minimum(np.abs(strength), 1) * OPACITY
    tinted = (0.6 * np.asarray(base, np.float32) + 0.4 * grey) * (1 - alpha) + colour * alpha
    image = Image.fromarray(tinted.round().clip(0, 255).astype(np.uint8))
    _outline(image, effects)
    return np.asarray(image)


def _outline(image: Image.Image, effects: np.ndarray) -> None:
    """Outline and number the strongest cells."""
    pen, grid = ImageDraw.Draw(image), len(effects)
    font = ImageFont.load_default(size=22)
    for rank, (row, column) in enumerate(strongest(effects), start=1):
        colour = FOR if effects[row, column] > 0 else AGAINST
        left, right = (round(at * image.width / grid) for at in (column, column + 1))
        top, bottom = (round(at * image.height / grid) for at in (row, row + 1))
        pen.rectangle((left, top, right - 1, bottom - 1), outline="white", width=5)
        pen.rectangle((left + 1, top + 1, right - 2, bottom - 2), outline=colour, width=3)
        middle = (left + right) // 2, (top + bottom) // 2
        pen.ellipse((middle[0] - 16, middle[1] - 16, middle[0] + 16, middle[1] + 16), fill="white")
        pen.text(middle, str(rank), fill="black", font=font, anchor="mm")
