"""Images of the synthetic catalogue: a shape, a pose, colours, lighting and a background.

An image of 500x500 pixels takes about four milliseconds: polygons at double size, one
multiplication with a precomputed tile of light and grain, one JPEG.
"""

import functools
import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops

from rakuten.sample.canvas import WHITE, Box, Canvas, Colour, blend, hsv, shade
from rakuten.sample.programs import COMMON, HUES, PROGRAMS
from rakuten.sample.random_stream import RandomStream
from rakuten.sample.text import confusable

SIDE = 500  # pixels of the square image, as in the challenge
COMMON_SHARE = 0.03  # share of images unrelated to the category
BORROWED_SHARE = 0.035  # share of images from a confusable category
PHOTO = 0.22  # share of photos taken at home; more where used goods are sold
PHOTO_USED = {10: 0.3, 60: 0.3, 1140: 0.35, 1160: 0.4, 1180: 0.5, 1281: 0.3, 2280: 0.4, 2403: 0.55,
              2462: 0.75}  # fmt: skip
LIGHTS = 16
_TILE = 640
_LIGHT_KEY = 500_500


def draw_image(rng: RandomStream, code: int, quality: int) -> bytes:
    """Draw the image of one product.

    Args:
        rng: The product's random stream.
        code: The product's true `prdtypecode`.
        quality: JPEG quality, 1 to 95.

    Returns:
        A 500x500 RGB JPEG: the product lies on a white border of varying width, or fills the
        image.
    """
    content = io.BytesIO()
    compose(rng, code).save(content, "JPEG", quality=quality)
    return content.getvalue()


def compose(rng: RandomStream, code: int) -> Image.Image:
    """Compose the image of one product in RGB, of 500x500 pixels."""
    photo = rng.chance(PHOTO_USED.get(code, PHOTO))
    image = Image.new("RGB", (SIDE, SIDE), WHITE)
    size = _frame_size(rng, photo)
    roll = rng.unit()
    if roll < 0.05:
        half = size // 2
        for place in range(rng.integer(2, 4)):
            tile = _frame(rng, code, half - 4, photo)
            corner = (SIDE - size) // 2
            image.paste(tile, (corner + place % 2 * half, corner + place // 2 * half))
        return image
    if roll < 0.13:
        frame = _frame(rng, code, max(110, size // 3), photo).resize((size, size))
    else:
        frame = _frame(rng, code, size, photo)
    if photo and rng.chance(0.25):
        cut = int(size * rng.between(0.05, 0.14))
        box = (cut, 0, size - cut, size) if rng.chance(0.6) else (0, cut, size, size - cut)
        frame = frame.crop(box)
    if frame.size == image.size:
        return frame
    image.paste(frame, ((SIDE - frame.width) // 2, (SIDE - frame.height) // 2))
    return image


def _frame_size(rng: RandomStream, photo: bool) -> int:
    """Draw the side of the square that the product occupies: 356 pixels on average."""
    roll = rng.unit()
    if roll < (0.6 if photo else 0.17):
        return SIDE
    if roll > 0.9:
        return rng.integer(130, 250)
    return rng.integer(230, 470)


def _frame(rng: RandomStream, code: int, size: int, photo: bool) -> Image.Image:
    """Draw one product in its frame, lit, on white or on a surface."""
    ground = _surface(rng) if photo else WHITE
    canvas = Canvas(rng, size, ground, _colours(rng, code))
    if photo:
        _furnish(canvas)
    _pose(canvas, 0.86 if photo else 1.0)
    if not photo and rng.chance(0.35):
        canvas.disc(0.05, 0.93, 0.8, (226, 226, 228), 0.07)
    _shape(rng, code)(canvas)
    if rng.chance(0.10):
        _overlay(canvas)
    # Nothing below changes white pixels, so only the box around the product is processed.
    box = (0, 0, size, size) if photo else canvas.extent()
    piece = canvas.finish(box)
    if rng.chance(0.6):
        piece = piece.point(_tone_curve(rng))
    lit = ImageChops.multiply(piece, light(rng, size, box))
    if photo:
        return lit
    piece.paste(lit, mask=piece.convert("L").point(_NOT_WHITE, "1"))
    frame = Image.new("RGB", (size, size), WHITE)
    frame.paste(piece, box)
    return frame


_NOT_WHITE = [255] * 253 + [0] * 3


def _shape(rng: RandomStream, code: int) -> Callable[[Canvas], None]:
    """Choose a shape: of the category, of a confusable one, or any."""
    roll = rng.unit()
    if roll < COMMON_SHARE:
        choices = COMMON
    elif roll < COMMON_SHARE + BORROWED_SHARE:
        choices = PROGRAMS[rng.pick(confusable(code), 1.5)]
    else:
        choices = PROGRAMS[code]
    shape: Callable[[Canvas], None] = rng.pick(
        [shape for shape, weight in choices for _ in range(weight)]
    )
    return shape


def _colours(rng: RandomStream, code: int) -> tuple[Colour, Colour, Colour, Colour]:
    """Choose the product's colour, an accent, a light and a dark one."""
    centre, deviation = HUES[code]
    hue = centre + rng.spread(deviation) if rng.chance(0.65) else rng.unit()
    saturation, value = rng.between(0.2, 1.0), rng.between(0.4, 1.0) ** 0.7
    main = hsv(hue, saturation, value)
    if rng.chance(0.2):
        grey = rng.integer(30, 235)
        main = (grey, grey, min(250, grey + 4))
    accent = hsv(hue + rng.pick((0.08, 0.33, 0.5, 0.67)), rng.between(0.5, 1), rng.between(0.5, 1))
    light = blend(main, (248, 246, 240), rng.between(0.65, 0.95))
    return main, accent, light, shade(main, rng.between(0.25, 0.45))


def _surface(rng: RandomStream) -> Colour:
    """Choose the colour of a table, wall or cloth."""
    if rng.chance(0.4):
        return blend((206, 170, 126), (88, 60, 40), rng.unit())
    return hsv(rng.unit(), rng.between(0.03, 0.4), rng.between(0.3, 0.95))


def _furnish(canvas: Canvas) -> None:
    """Draw a background as in a home: boards, a wall, a cloth."""
    rng, ground = canvas.rng, canvas.ground
    kind = rng.unit()
    if kind < 0.35:
        count = rng.integer(4, 9)
        canvas.bars(
            -1, -1, 1, 1, count, shade(ground, rng.between(0.86, 0.96)), rng.between(0.3, 0.7)
        )
        canvas.bars(-1, -1, 1, 1, count, shade(ground, 0.6), 0.04)
    elif kind < 0.7:
        level = rng.between(-0.5, 0.4)
        wall = hsv(rng.unit(), rng.between(0.0, 0.3), rng.between(0.4, 0.95))
        canvas.rect(-1, -1, 1, level, wall)
        canvas.rect(-1, level, 1, level + 0.03, shade(ground, 0.7))
        if rng.chance(0.3):
            canvas.rect(-0.95, -0.9, -0.4, level - 0.1, shade(wall, 0.8))
    elif kind < 0.8:
        canvas.dots(-1, -1, 1, 1, 40, (shade(ground, 0.9), shade(ground, 1.1)), 0.08)
    for radius, factor in ((0.95, 0.97), (0.85, 0.93), (0.75, 0.88)):
        if kind >= 0.7:
            canvas.disc(0.04, 0.1, radius, shade(ground, factor))


def _pose(canvas: Canvas, size: float) -> None:
    """Rotate, scale, shear and shift the product within its frame."""
    rng = canvas.rng
    roll = rng.unit()
    turn = rng.spread(2.5) if roll < 0.6 else rng.spread(12)
    if roll > 0.93:
        turn = rng.between(-90, 90)
    angle = math.radians(turn)
    size *= min(1.0, 1.12 / (abs(math.cos(angle)) + abs(math.sin(angle))))
    size *= rng.between(0.8, 1.0)
    stretch = 1.0 + rng.spread(0.09)
    canvas.pose(
        turn=turn,
        width=size * min(1.0, stretch) * (-1 if rng.chance(0.35) else 1),
        height=size * min(1.0, 1 / stretch),
        shear=rng.spread(0.05),
        shift=(rng.spread(0.03), rng.spread(0.03)),
    )


def _overlay(canvas: Canvas) -> None:
    """Add what sellers write over images: a measure, a badge, a shop's name."""
    rng = canvas.rng
    canvas.pose()
    kind = rng.integer(0, 2)
    if kind == 0:
        canvas.line([(-0.9, 0.96), (0.9, 0.96)], (40, 40, 44), 0.02)
        canvas.words(-0.15, 0.84, 0.3, 0.09, (40, 40, 44))
    elif kind == 1:
        canvas.disc(0.74, -0.74, 0.22, (214, 30, 40))
        canvas.words(0.58, -0.8, 0.95, 0.13, (250, 250, 250), 0.2)
    else:
        canvas.words(-0.95, 0.86, 0.6, 0.1, (150, 150, 154))


def _tone_curve(rng: RandomStream) -> list[int]:
    """Make lookup tables for contrast, gamma and a colour cast; white stays white."""
    levels = np.linspace(0.0, 1.0, 256)
    lift, gamma = rng.between(0.0, 0.12), 2.0 ** rng.spread(0.35)
    channels = []
    for _ in range(3):
        table = lift + (1.0 - lift) * levels ** (gamma * (1 + rng.spread(0.06)))
        channels.append((255 * table).round().clip(0, 255).astype(int))
    tables = np.stack(channels)
    tables[:, :253] = tables[:, :253].clip(max=251)
    tables[:, 253:] = 255
    return [int(level) for level in tables.ravel()]


def light(rng: RandomStream, size: int, box: Box) -> Image.Image:
    """Cut a box of light and grain from one of the precomputed tiles.

    Args:
        rng: The product's random stream.
        size: Side of the frame, in pixels.
        box: The part of the frame.

    Returns:
        An RGB image of the size of the box.
    """
    tile = _light_tiles()[rng.integer(0, LIGHTS - 1)]
    x, y = rng.integer(0, _TILE - size), rng.integer(0, _TILE - size)
    way = rng.integer(0, 5)
    left, top, right, bottom = _before(box, way, size)
    piece = tile.crop((x + left, y + top, x + right, y + bottom))
    return piece.transpose(Image.Transpose(way)) if way < 4 else piece


def _before(box: Box, way: int, size: int) -> Box:
    """Find the box that a transposition of a square moves to `box`."""
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
def _light_tiles() -> tuple[Image.Image, ...]:
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
        blotches = Image.fromarray(coarse.astype(np.uint8)).resize(
            (_TILE, _TILE), Image.Resampling.BICUBIC
        )
        light = slope + spot + (np.asarray(blotches, np.float32) - 128) / 400
        light = 1.0 - (np.quantile(light, 0.8) - light)
        grain = rng.normal(0, rng.uniform(0.004, 0.03), (_TILE, _TILE)).astype(np.float32)
        cast = rng.uniform(0.93, 1.0, 3).astype(np.float32)
        light += grain
        bands = [(255 * (light * part).clip(0.12, 1.0)).round().astype(np.uint8) for part in cast]
        tiles.append(Image.merge("RGB", [Image.fromarray(band) for band in bands]))
    return tuple(tiles)
