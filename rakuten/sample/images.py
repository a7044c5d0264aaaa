"""Pictures of the synthetic catalogue: a shape program, a pose, colours, light and background.

Cheap by design, some four milliseconds for a picture of 500x500 pixels: polygons at double size,
one multiplication with a ready tile of light and grain, one JPEG.
"""

import functools
import io
import math

import numpy as np
from PIL import Image, ImageChops

from rakuten.sample.brush import WHITE, Box, Brush, Colour, blend, hsv, shade
from rakuten.sample.draws import Draws
from rakuten.sample.programs import COMMON, HUES, PROGRAMS
from rakuten.sample.text import confusable

SIDE = 500  # pixels of the square picture, as in the challenge
COMMON_SHARE = 0.03  # share of pictures that say nothing of the category
BORROWED_SHARE = 0.035  # share of pictures of a product of a confusable category
PHOTO = 0.22  # share of pictures taken at home; more where used goods are sold
PHOTO_USED = {10: 0.3, 60: 0.3, 1140: 0.35, 1160: 0.4, 1180: 0.5, 1281: 0.3, 2280: 0.4, 2403: 0.55,
              2462: 0.75}  # fmt: skip
LIGHTS = 16
_TILE = 640
_LIGHT_KEY = 500_500


def draw_image(draws: Draws, code: int, quality: int) -> bytes:
    """Draw the picture of one product.

    Args:
        draws: The product's own stream of random values.
        code: The `prdtypecode` of what the product really is.
        quality: JPEG quality, 1 to 95.

    Returns:
        A 500x500 RGB JPEG: the product lies on a white border of varying width, or fills the
        picture.
    """
    content = io.BytesIO()
    compose(draws, code).save(content, "JPEG", quality=quality)
    return content.getvalue()


def compose(draws: Draws, code: int) -> Image.Image:
    """Compose the picture of one product as an RGB image of 500x500 pixels."""
    photo = draws.chance(PHOTO_USED.get(code, PHOTO))
    picture = Image.new("RGB", (SIDE, SIDE), WHITE)
    size = _frame_size(draws, photo)
    roll = draws.unit()
    if roll < 0.05:
        half = size // 2
        for place in range(draws.integer(2, 4)):
            tile = _frame(draws, code, half - 4, photo)
            corner = (SIDE - size) // 2
            picture.paste(tile, (corner + place % 2 * half, corner + place // 2 * half))
        return picture
    if roll < 0.13:
        frame = _frame(draws, code, max(110, size // 3), photo).resize((size, size))
    else:
        frame = _frame(draws, code, size, photo)
    if photo and draws.chance(0.25):
        cut = int(size * draws.between(0.05, 0.14))
        box = (cut, 0, size - cut, size) if draws.chance(0.6) else (0, cut, size, size - cut)
        frame = frame.crop(box)
    if frame.size == picture.size:
        return frame
    picture.paste(frame, ((SIDE - frame.width) // 2, (SIDE - frame.height) // 2))
    return picture


def _frame_size(draws: Draws, photo: bool) -> int:
    """Draw the side of the square that the product occupies: 356 pixels on average."""
    roll = draws.unit()
    if roll < (0.6 if photo else 0.17):
        return SIDE
    if roll > 0.9:
        return draws.integer(130, 250)
    return draws.integer(230, 470)


def _frame(draws: Draws, code: int, size: int, photo: bool) -> Image.Image:
    """Draw one product in its frame, lit, on white or on a surface."""
    ground = _surface(draws) if photo else WHITE
    brush = Brush(draws, size, ground, _colours(draws, code))
    if photo:
        _furnish(brush)
    _pose(brush, 0.86 if photo else 1.0)
    if not photo and draws.chance(0.35):
        brush.disc(0.05, 0.93, 0.8, (226, 226, 228), 0.07)
    _program(draws, code)(brush)
    if draws.chance(0.10):
        _overlay(brush)
    # White is left as it is by all that follows: around the product there is nothing to do.
    box = (0, 0, size, size) if photo else brush.extent()
    piece = brush.finish(box)
    if draws.chance(0.6):
        piece = piece.point(_tone_curve(draws))
    lit = ImageChops.multiply(piece, _light(draws, size, box))
    if photo:
        return lit
    piece.paste(lit, mask=piece.convert("L").point(_NOT_WHITE, "1"))
    frame = Image.new("RGB", (size, size), WHITE)
    frame.paste(piece, box)
    return frame


_NOT_WHITE = [255] * 253 + [0] * 3


def _program(draws: Draws, code: int):
    """Choose what is drawn: the category's own, that of a confusable one, or anything."""
    roll = draws.unit()
    if roll < COMMON_SHARE:
        choices = COMMON
    elif roll < COMMON_SHARE + BORROWED_SHARE:
        choices = PROGRAMS[draws.pick(confusable(code), 1.5)]
    else:
        choices = PROGRAMS[code]
    return draws.pick([program for program, weight in choices for _ in range(weight)])


def _colours(draws: Draws, code: int) -> tuple[Colour, Colour, Colour, Colour]:
    """Choose the product's colour, an accent, a light and a dark one."""
    centre, stray = HUES[code]
    hue = centre + draws.spread(stray) if draws.chance(0.65) else draws.unit()
    saturation, value = draws.between(0.2, 1.0), draws.between(0.4, 1.0) ** 0.7
    main = hsv(hue, saturation, value)
    if draws.chance(0.2):
        grey = draws.integer(30, 235)
        main = (grey, grey, min(250, grey + 4))
    accent = hsv(
        hue + draws.pick((0.08, 0.33, 0.5, 0.67)), draws.between(0.5, 1), draws.between(0.5, 1)
    )
    light = blend(main, (248, 246, 240), draws.between(0.65, 0.95))
    return main, accent, light, shade(main, draws.between(0.25, 0.45))


def _surface(draws: Draws) -> Colour:
    """Choose the colour of a table, wall or cloth."""
    if draws.chance(0.4):
        return blend((206, 170, 126), (88, 60, 40), draws.unit())
    return hsv(draws.unit(), draws.between(0.03, 0.4), draws.between(0.3, 0.95))


def _furnish(brush: Brush) -> None:
    """Draw what lies behind a product at home: boards, a wall, a cloth."""
    draws, ground = brush.draws, brush.ground
    kind = draws.unit()
    if kind < 0.35:
        count = draws.integer(4, 9)
        brush.bars(
            -1, -1, 1, 1, count, shade(ground, draws.between(0.86, 0.96)), draws.between(0.3, 0.7)
        )
        brush.bars(-1, -1, 1, 1, count, shade(ground, 0.6), 0.04)
    elif kind < 0.7:
        level = draws.between(-0.5, 0.4)
        wall = hsv(draws.unit(), draws.between(0.0, 0.3), draws.between(0.4, 0.95))
        brush.rect(-1, -1, 1, level, wall)
        brush.rect(-1, level, 1, level + 0.03, shade(ground, 0.7))
        if draws.chance(0.3):
            brush.rect(-0.95, -0.9, -0.4, level - 0.1, shade(wall, 0.8))
    elif kind < 0.8:
        brush.dots(-1, -1, 1, 1, 40, (shade(ground, 0.9), shade(ground, 1.1)), 0.08)
    for radius, factor in ((0.95, 0.97), (0.85, 0.93), (0.75, 0.88)):
        if kind >= 0.7:
            brush.disc(0.04, 0.1, radius, shade(ground, factor))


def _pose(brush: Brush, size: float) -> None:
    """Turn, stretch, shear and shift the product, within its frame."""
    draws = brush.draws
    roll = draws.unit()
    turn = draws.spread(2.5) if roll < 0.6 else draws.spread(12)
    if roll > 0.93:
        turn = draws.between(-90, 90)
    angle = math.radians(turn)
    size *= min(1.0, 1.12 / (abs(math.cos(angle)) + abs(math.sin(angle))))
    size *= draws.between(0.8, 1.0)
    stretch = 1.0 + draws.spread(0.09)
    brush.pose(
        turn=turn,
        width=size * min(1.0, stretch) * (-1 if draws.chance(0.35) else 1),
        height=size * min(1.0, 1 / stretch),
        shear=draws.spread(0.05),
        shift=(draws.spread(0.03), draws.spread(0.03)),
    )


def _overlay(brush: Brush) -> None:
    """Add what sellers write over pictures: a measure, a badge, a shop's name."""
    draws = brush.draws
    brush.pose()
    kind = draws.integer(0, 2)
    if kind == 0:
        brush.line([(-0.9, 0.96), (0.9, 0.96)], (40, 40, 44), 0.02)
        brush.words(-0.15, 0.84, 0.3, 0.09, (40, 40, 44))
    elif kind == 1:
        brush.disc(0.74, -0.74, 0.22, (214, 30, 40))
        brush.words(0.58, -0.8, 0.95, 0.13, (250, 250, 250), 0.2)
    else:
        brush.words(-0.95, 0.86, 0.6, 0.1, (150, 150, 154))


def _tone_curve(draws: Draws) -> list[int]:
    """Make lookup tables for contrast, gamma and a colour cast; white stays white."""
    levels = np.linspace(0.0, 1.0, 256)
    lift, gamma = draws.between(0.0, 0.12), 2.0 ** draws.spread(0.35)
    tables = []
    for _ in range(3):
        table = lift + (1.0 - lift) * levels ** (gamma * (1 + draws.spread(0.06)))
        tables.append((255 * table).round().clip(0, 255).astype(int))
    tables = np.stack(tables)
    tables[:, :253] = tables[:, :253].clip(max=251)
    tables[:, 253:] = 255
    return tables.ravel().tolist()


def _light(draws: Draws, size: int, box: Box) -> Image.Image:
    """Cut light and grain for a box of a frame of the given side from one of the ready tiles."""
    tile = _lights()[draws.integer(0, LIGHTS - 1)]
    x, y = draws.integer(0, _TILE - size), draws.integer(0, _TILE - size)
    way = draws.integer(0, 5)
    left, top, right, bottom = _before(box, way, size)
    piece = tile.crop((x + left, y + top, x + right, y + bottom))
    return piece.transpose(way) if way < 4 else piece


def _before(box: Box, way: int, size: int) -> Box:
    """Find the box that a transposition of a square of the given side brings to `box`."""
    left, top, right, bottom = box
    match way:
        case Image.Transpose.FLIP_LEFT_RIGHT:
            return size - right, top, size - left, bottom
        case Image.Transpose.FLIP_TOP_BOTTOM:
            return left, size - bottom, right, size - top
        case Image.Transpose.ROTATE_90:
            return size - bottom, left, size - top, right
        case Image.Transpose.ROTATE_180:
            return size - right, size - bottom, size - left, size - top
    return box


@functools.cache
def _lights() -> tuple[Image.Image, ...]:
    """Make the tiles: slopes and spots of light, coarse blotches, fine grain, a faint cast."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(_LIGHT_KEY)))
    y, x = np.mgrid[0:_TILE, 0:_TILE].astype(np.float32) / _TILE - 0.5
    tiles = []
    for _ in range(LIGHTS):
        angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.5)
        slope = (np.cos(angle) * x + np.sin(angle) * y) * depth
        centre = rng.uniform(-0.4, 0.4, 2)
        spot = -rng.uniform(0, 0.7) * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2)
        coarse = rng.normal(0, rng.uniform(4, 22), (20, 20)).clip(-80, 80) + 128
        blotches = Image.fromarray(coarse.astype(np.uint8)).resize((_TILE, _TILE), Image.BICUBIC)
        light = slope + spot + (np.asarray(blotches, np.float32) - 128) / 400
        light = 1.0 - (np.quantile(light, 0.8) - light)
        grain = rng.normal(0, rng.uniform(0.004, 0.03), (_TILE, _TILE)).astype(np.float32)
        cast = rng.uniform(0.93, 1.0, 3).astype(np.float32)
        light += grain
        bands = [(255 * (light * part).clip(0.12, 1.0)).round().astype(np.uint8) for part in cast]
        tiles.append(Image.merge("RGB", [Image.fromarray(band) for band in bands]))
    return tuple(tiles)
