"""A canvas for the synthetic images: flat shapes under one affine pose, drawn at double size.

The functions of the shape modules draw in product coordinates: x to the right, y downwards, the
product within -1..1. The canvas rotates, scales and shifts them, so that a shape is written once,
upright, and drawn in any pose.
"""

import colorsys
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from rakuten.sample.random_stream import RandomStream

Colour = tuple[int, int, int]
Point = tuple[float, float]
Box = tuple[int, int, int, int]  # left, top, right, bottom

OVERSAMPLING = 2
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (24, 24, 26)

_CIRCLE = [(math.cos(a * math.pi / 14), math.sin(a * math.pi / 14)) for a in range(28)]

# Letters as strokes on a grid of 3 columns and 5 rows: pairs of column and row, "|" lifts the pen.
_STROKES = {
    "A": "04 01 10 21 24|02 22", "B": "00 04 14 23 12 02|12 21 10 00", "C": "21 10 01 03 14 23",
    "D": "00 04 14 23 21 10 00", "E": "20 00 04 24|02 12", "F": "20 00 04|02 12",
    "G": "21 10 01 03 14 23 22 12", "H": "00 04|20 24|02 22", "I": "10 14", "J": "20 23 14 03",
    "K": "00 04|20 02 24", "L": "00 04 24", "M": "04 00 12 20 24", "N": "04 00 24 20",
    "O": "10 01 03 14 23 21 10", "P": "04 00 10 21 12 02", "Q": "10 01 03 14 23 21 10|13 24",
    "R": "04 00 10 21 12 02 24", "S": "21 10 01 23 14 03", "T": "00 20|10 14",
    "U": "00 03 14 23 20", "V": "00 14 20", "W": "00 04 12 24 20", "X": "00 24|20 04",
    "Y": "00 12 20|12 14", "Z": "00 20 04 24", "0": "10 01 03 14 23 21 10", "1": "01 10 14",
    "2": "01 10 21 04 24", "3": "00 20 12 23 14 03", "4": "14 10 03 23", "5": "20 00 02 22 23 04",
    "6": "20 02 03 14 23 12 02", "7": "00 20 14", "8": "10 01 23 14 03 21 10",
    "9": "04 22 21 10 01 12 22",
}  # fmt: skip
LETTERS = {
    letter: [[(int(p[0]) / 2, int(p[1]) / 4) for p in run.split()] for run in runs.split("|")]
    for letter, runs in _STROKES.items()
}
_ALPHABET = "AAABCDEEEEFGHIIJKLLMMNNOOPQRRSSTTUUVWXYZ"


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Convert hue (turns), saturation and value (0..1) to an RGB colour below pure white."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(1.0, saturation), min(1.0, value))
    return int(250 * red), int(250 * green), int(250 * blue)


def shade(colour: Colour, factor: float) -> Colour:
    """Darken (factor below 1) or lighten (above 1) a colour, never up to pure white."""
    red, green, blue = (min(250, max(0, int(part * factor))) for part in colour)
    return red, green, blue


def blend(one: Colour, other: Colour, share: float) -> Colour:
    """Mix two colours; `share` is that of the other."""
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


class Canvas:
    """A square frame to draw on, with a pose and a choice of colours.

    Attributes:
        rng: The product's random stream.
        image: The frame at double size; `finish` reduces it.
        ground: The colour of the empty frame.
        main: The product's colour; `accent`, `light` and `dark` go with it.
    """

    def __init__(self, rng: RandomStream, size: int, ground: Colour, colours: Sequence[Colour]):
        self.rng = rng
        self.image = Image.new("RGB", (size * OVERSAMPLING, size * OVERSAMPLING), ground)
        self._pen = ImageDraw.Draw(self.image)
        self._unit = size * OVERSAMPLING / 2
        self.main, self.accent, self.light, self.dark = colours
        self.ground = ground
        self._size = size
        self._points: list[Point] = []  # all that was drawn through, in pixels of the image
        self._widest = 0
        self.pose()

    def pose(self, turn=0.0, width=1.0, height=1.0, shear=0.0, shift: Point = (0.0, 0.0)) -> None:
        """Set the pose: rotate by `turn` degrees, scale, shear and shift in product units."""
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        unit = self._unit
        self.mirrored = width * height < 0
        self._matrix = (
            unit * width * cos,
            unit * (shear * width * cos - height * sin),
            unit * width * sin,
            unit * (shear * width * sin + height * cos),
            unit * (1 + shift[0]),
            unit * (1 + shift[1]),
        )
        self._scale = unit * math.sqrt(abs(width * height))

    def _at(self, points: Sequence[Point]) -> list[Point]:
        a, b, c, d, e, f = self._matrix
        placed = [(a * x + b * y + e, c * x + d * y + f) for x, y in points]
        self._points += placed
        return placed

    def poly(self, points: Sequence[Point], fill: Colour) -> None:
        """Fill a polygon."""
        self._pen.polygon(self._at(points), fill=fill)

    def rect(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """Fill a rectangle."""
        self.poly(((left, top), (right, top), (right, bottom), (left, bottom)), fill)

    def block(self, left, top, right, bottom, fill: Colour, corner=0.1) -> None:
        """Fill a rectangle with cut corners."""
        r = min(corner, (right - left) / 2, (bottom - top) / 2)
        q = 0.3 * r
        self.poly(
            (
                (left + r, top), (right - r, top), (right - q, top + q), (right, top + r),
                (right, bottom - r), (right - q, bottom - q), (right - r, bottom),
                (left + r, bottom), (left + q, bottom - q), (left, bottom - r),
                (left, top + r), (left + q, top + q),
            ),
            fill,
        )  # fmt: skip

    def disc(self, x: float, y: float, rx: float, fill: Colour, ry: float | None = None) -> None:
        """Fill an ellipse with its axes along the pose."""
        ry = rx if ry is None else ry
        self.poly([(x + rx * c, y + ry * s) for c, s in _CIRCLE], fill)

    def ring(self, x, y, radius: float, width: float, colour: Colour, ry=None) -> None:
        """Draw an ellipse's outline of the given width."""
        ry = radius if ry is None else ry
        self.line(
            [(x + radius * c, y + ry * s) for c, s in (*_CIRCLE, *_CIRCLE[:2])], colour, width
        )

    def line(self, points: Sequence[Point], colour: Colour, width: float = 0.02) -> None:
        """Draw a line through points, its width in product units."""
        pixels = max(1, round(width * self._scale))
        self._widest = max(self._widest, pixels)
        self._pen.line(self._at(points), fill=colour, width=pixels, joint="curve")

    def arc(self, x, y, radius, start, stop, colour: Colour, width=0.03, ry=None) -> None:
        """Draw part of an ellipse, from `start` to `stop` degrees clockwise from the right."""
        ry = radius if ry is None else ry
        steps = [math.radians(start + (stop - start) * k / 14) for k in range(15)]
        self.line([(x + radius * math.cos(t), y + ry * math.sin(t)) for t in steps], colour, width)

    def ball(self, x: float, y: float, radius: float, colour: Colour, ry=None) -> None:
        """Fill an ellipse with a lit and a dark side."""
        ry = radius if ry is None else ry
        self.disc(x, y, radius, shade(colour, 0.78), ry)
        self.disc(x - 0.08 * radius, y - 0.1 * ry, 0.88 * radius, colour, 0.86 * ry)
        self.disc(x - 0.3 * radius, y - 0.38 * ry, 0.36 * radius, shade(colour, 1.14), 0.3 * ry)

    def tube(self, left, top, right, bottom, colour: Colour) -> None:
        """Fill an upright rectangle shaded like a cylinder."""
        width = right - left
        for share, factor in ((0.0, 0.72), (0.14, 0.92), (0.3, 1.1), (0.48, 1.0), (0.74, 0.85)):
            self.rect(left + share * width, top, right, bottom, shade(colour, factor))

    def can(self, left, top, right, bottom, colour: Colour, lid: Colour | None = None) -> None:
        """Draw a cylinder seen a little from above."""
        x, rx = (left + right) / 2, (right - left) / 2
        ry = 0.18 * rx
        self.disc(x, bottom, rx, shade(colour, 0.75), ry)
        self.tube(left, top, right, bottom, colour)
        self.disc(x, top, rx, lid or shade(colour, 1.12), ry)

    def cuboid(self, left, top, right, bottom, depth: float, colour: Colour) -> None:
        """Draw a box: front face, with its side and top receding to the upper right."""
        rise = 0.5 * depth
        self.poly(
            (
                (right, top),
                (right + depth, top - rise),
                (right + depth, bottom - rise),
                (right, bottom),
            ),
            shade(colour, 0.62),
        )  # fmt: skip
        self.poly(
            ((left, top), (left + depth, top - rise), (right + depth, top - rise), (right, top)),
            shade(colour, 1.16),
        )
        self.rect(left, top, right, bottom, colour)

    def words(self, left, top, right, height: float, colour: Colour, weight=0.16) -> None:
        """Write one or two random words between `left` and `right`."""
        step = 0.78 * height
        count = max(1, int((right - left) / step))
        for place in range(count):
            if place and self.rng.chance(0.16):
                continue
            x = left + place * step
            for run in LETTERS[self.rng.pick(_ALPHABET)]:
                points = [(x + 0.5 * height * u, top + height * v) for u, v in run]
                if self.mirrored:
                    points = [(left + right - u, v) for u, v in points]
                self.line(points, colour, weight * height)

    def lines(self, left, top, right, bottom, count: int, colour: Colour) -> None:
        """Draw rows that look like small print."""
        step = (bottom - top) / max(1, count)
        for row in range(count):
            end = right - (right - left) * (0.5 * self.rng.unit() if self.rng.chance(0.3) else 0)
            y = top + (row + 0.5) * step
            self.line(((left, y), (end, y)), colour, 0.4 * step)

    def stripes(self, left, top, right, bottom, count: int, colour: Colour, share=0.5) -> None:
        """Draw vertical stripes over a rectangle."""
        step = (right - left) / max(1, count)
        for k in range(count):
            self.rect(left + k * step, top, left + (k + share) * step, bottom, colour)

    def bars(self, left, top, right, bottom, count: int, colour: Colour, share=0.5) -> None:
        """Draw horizontal stripes over a rectangle."""
        step = (bottom - top) / max(1, count)
        for k in range(count):
            self.rect(left, top + k * step, right, top + (k + share) * step, colour)

    def dots(self, left, top, right, bottom, count: int, colours: Sequence[Colour], size) -> None:
        """Scatter discs over a rectangle."""
        for _ in range(count):
            r = size * self.rng.between(0.6, 1.4)
            x = self.rng.between(left + r, right - r)
            y = self.rng.between(top + r, bottom - r)
            self.disc(x, y, r, self.rng.pick(colours))

    def extent(self) -> Box:
        """Compute a box of the finished frame outside of which nothing was drawn."""
        margin = self._widest / 2 + 4  # a line's half width, its joints and rounding
        left, top = (min(part) for part in zip(*self._points, strict=True))
        right, bottom = (max(part) for part in zip(*self._points, strict=True))
        return (
            max(0, int((left - margin) / OVERSAMPLING)),
            max(0, int((top - margin) / OVERSAMPLING)),
            min(self._size, int((right + margin) / OVERSAMPLING) + 1),
            min(self._size, int((bottom + margin) / OVERSAMPLING) + 1),
        )

    def finish(self, box: Box) -> Image.Image:
        """Reduce a box of the frame to its final size, with smooth edges."""
        left, top, right, bottom = (OVERSAMPLING * edge for edge in box)
        return self.image.reduce(OVERSAMPLING, (left, top, right, bottom))
