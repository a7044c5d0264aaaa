"""The image with region effects: tinted, the strongest regions outlined and named."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rakuten.image import preprocessing

FOR, AGAINST = (13, 148, 136), (234, 120, 20)
"""Colours of evidence for and against the category: teal and orange."""

MIN_EFFECT, FULL_EFFECT = 0.1, 1.0
"""Effects of a region in log-odds: below the first it is not outlined, from the second it has the
full tint. The same for every product."""

STRONGEST = 3
SIDE = 560
OPACITY = 0.72


def network_view(image: preprocessing.Prepared, *, crop: bool) -> np.ndarray:
    """Restore the aspect ratio of the network's first input, to which region effects refer.

    Args:
        image: The inputs of the network.
        crop: Whether the border of the first input is cropped.

    Returns:
        uint8 (height, width, 3), the longer side `SIDE`.
    """
    facts = preprocessing.Facts(*image.facts[0].tolist())
    width, height = facts.width, facts.height
    if crop:
        width, height = facts.right - facts.left, facts.bottom - facts.top
    size = _shown_size(width, height)
    return np.asarray(Image.fromarray(image.pixels[0]).resize(size, Image.Resampling.BICUBIC))


def strongest(effects: np.ndarray) -> list[tuple[int, int]]:
    """Find the cells with the largest effects, for or against.

    Args:
        effects: float (grid, grid).

    Returns:
        At most `STRONGEST` pairs of row and column, the strongest first, none below `MIN_EFFECT`.
    """
    sizes = np.abs(effects)
    order = np.argsort(-sizes, axis=None, kind="stable")[:STRONGEST]
    cells = [tuple(map(int, np.unravel_index(at, effects.shape))) for at in order]
    return [cell for cell in cells if sizes[cell] >= MIN_EFFECT]


def name(cell: tuple[int, int]) -> str:
    """Name a cell as on a map: columns A, B, ... from the left, rows 1, 2, ... from the top."""
    row, column = cell
    return f"{chr(ord('A') + column)}{row + 1}"


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
    size = _shown_size(width, height)
    base = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    strength = Image.fromarray((effects / FULL_EFFECT).astype(np.float32))
    strength = np.asarray(strength.resize(size, Image.Resampling.BILINEAR))[..., None]
    grey = np.asarray(base.convert("L").convert("RGB"), np.float32) * 0.5 + 127 * 0.5
    colour = np.where(strength > 0, np.float32(FOR), np.float32(AGAINST))
    alpha = np.minimum(np.abs(strength), 1) * OPACITY
    tinted = (0.6 * np.asarray(base, np.float32) + 0.4 * grey) * (1 - alpha) + colour * alpha
    image = Image.fromarray(tinted.round().clip(0, 255).astype(np.uint8))
    _outline(image, effects)
    return np.asarray(image)


def _shown_size(width: float, height: float) -> tuple[int, int]:
    """Scale the longer side to `SIDE`."""
    scale = SIDE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _outline(image: Image.Image, effects: np.ndarray) -> None:
    """Outline and name the strongest cells."""
    pen, grid = ImageDraw.Draw(image), len(effects)
    font = ImageFont.load_default(size=22)
    for row, column in strongest(effects):
        colour = FOR if effects[row, column] > 0 else AGAINST
        left, right = (round(at * image.width / grid) for at in (column, column + 1))
        top, bottom = (round(at * image.height / grid) for at in (row, row + 1))
        pen.rectangle((left, top, right - 1, bottom - 1), outline="white", width=5)
        pen.rectangle((left + 1, top + 1, right - 2, bottom - 2), outline=colour, width=3)
        middle = (left + right) // 2, (top + bottom) // 2
        pen.ellipse((middle[0] - 18, middle[1] - 18, middle[0] + 18, middle[1] + 18), fill="white")
        pen.text(middle, name((row, column)), fill="black", font=font, anchor="mm")
