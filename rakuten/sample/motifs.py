"""Colours and small motifs that several shape programs use."""

import math

from rakuten.sample.canvas import BLACK, Canvas, Colour, blend, hsv, shade

SKIN = (232, 190, 160)
PAPER = (246, 243, 234)
GREY = (150, 152, 156)
STEEL = (188, 192, 198)
WOOD = (182, 136, 88)


def any_colour(c: Canvas, saturation=0.75, value=0.85) -> Colour:
    """Draw a colour of any hue."""
    rng = c.rng
    return hsv(rng.unit(), saturation * rng.between(0.5, 1.3), value * rng.between(0.7, 1.15))


def wood(c: Canvas) -> Colour:
    """Draw a tone of wood, or white, black or the product's colour as on furniture."""
    rng = c.rng
    tone = blend((214, 176, 126), (90, 58, 36), rng.unit())
    return rng.pick((tone, tone, tone, (238, 238, 236), (52, 50, 50), c.main))


def person(c: Canvas, x, y, height, cloth: Colour, skin: Colour = SKIN, head=0.16) -> None:
    """Draw a standing figure with its feet at (x, y); `head` is the head's share of the height."""
    rng, h = c.rng, height
    reach = h * rng.between(0.16, 0.3)
    lift = y - h * rng.between(0.3, 0.75)
    legs = shade(cloth, 0.6)
    c.line([(x, y - 0.42 * h), (x - 0.1 * h, y)], legs, 0.11 * h)
    c.line([(x, y - 0.42 * h), (x + 0.1 * h, y)], legs, 0.11 * h)
    c.line([(x - 0.1 * h, y - 0.7 * h), (x - reach, lift)], shade(cloth, 0.85), 0.08 * h)
    c.line([(x + 0.1 * h, y - 0.7 * h), (x + reach, y - 0.45 * h)], shade(cloth, 0.85), 0.08 * h)
    c.poly(
        [(x - 0.13 * h, y - 0.76 * h), (x + 0.13 * h, y - 0.76 * h), (x + 0.1 * h, y - 0.38 * h),
         (x - 0.1 * h, y - 0.38 * h)], cloth)  # fmt: skip
    top = y - 0.76 * h - 0.8 * head * h
    c.disc(x, top, 0.62 * head * h, skin, 0.75 * head * h)
    hair = rng.pick((BLACK, (110, 70, 40), (210, 170, 80), shade(cloth, 0.5)))
    c.disc(x, top - 0.42 * head * h, 0.64 * head * h, hair, 0.4 * head * h)


def face(c: Canvas, x, y, size) -> None:
    """Draw a head with shoulders, as on a magazine."""
    rng = c.rng
    skin = blend(SKIN, (120, 80, 60), 0.5 * rng.unit())
    hair = rng.pick((BLACK, (110, 70, 40), (214, 176, 90), (150, 60, 40)))
    c.disc(x, y - 0.1 * size, 0.62 * size, hair, 0.75 * size)
    c.poly([(x - size, y + 1.3 * size), (x - 0.5 * size, y + 0.62 * size),
            (x + 0.5 * size, y + 0.62 * size), (x + size, y + 1.3 * size)], c.accent)  # fmt: skip
    c.rect(x - 0.2 * size, y + 0.3 * size, x + 0.2 * size, y + 0.72 * size, shade(skin, 0.85))
    c.disc(x, y, 0.44 * size, skin, 0.58 * size)
    for side in (-1, 1):
        c.disc(x + side * 0.17 * size, y - 0.06 * size, 0.06 * size, BLACK, 0.04 * size)
    c.line([(x - 0.14 * size, y + 0.28 * size), (x + 0.14 * size, y + 0.28 * size)], (180, 50, 60),
           0.06 * size)  # fmt: skip


def leaf(c: Canvas, x, y, size, angle, colour) -> None:
    """Draw a long leaf from (x, y), `angle` degrees off the upright."""
    a = math.radians(angle)
    tip = (x + size * math.sin(a), y - size * math.cos(a))
    mid = (x + 0.55 * size * math.sin(a), y - 0.55 * size * math.cos(a))
    off = (0.13 * size * math.cos(a), 0.13 * size * math.sin(a))
    c.poly(
        [(x, y), (mid[0] - off[0], mid[1] - off[1]), tip, (mid[0] + off[0], mid[1] + off[1])],
        colour,
    )
    c.line([(x, y), tip], shade(colour, 0.7), 0.012)


def art(c: Canvas, left, top, right, bottom, lively=0.5) -> None:
    """Draw a small scene in a rectangle: sky, ground, a light, and a figure or an object."""
    rng = c.rng
    sky = any_colour(c, 0.5 + 0.5 * lively, 0.6 + 0.3 * rng.unit())
    low = any_colour(c, 0.8, 0.5)
    width, height = right - left, bottom - top
    for k in range(8):
        y = top + k * height / 8
        c.rect(left, y, right, min(bottom, y + height / 7.5), blend(sky, low, k / 8))
    glow = 0.14 * min(width, height) * rng.between(0.6, 1.5)
    x = rng.between(left + 1.5 * glow, right - 1.5 * glow)
    c.disc(x, top + 0.3 * height, glow, shade(sky, 1.6))
    ground = shade(low, rng.between(0.5, 1.3))
    ridge = [(left + width * k / 6, bottom - height * rng.between(0.12, 0.4)) for k in range(7)]
    c.poly([*ridge, (right, bottom), (left, bottom)], ground)
    centre = (left + right) / 2
    theme = rng.unit()
    if theme < 0.3 + 0.3 * lively:
        for k in range(rng.integer(1, 3)):
            at = centre + width * (0.24 * (k % 2 * 2 - 1) * (k > 0) + rng.between(-0.1, 0.1))
            person(c, at, bottom - 0.03 * height, 0.75 * min(height, 1.3 * width), any_colour(c))
    elif theme < 0.7:
        r = 0.3 * min(width, height)
        sides = rng.integer(3, 8)
        turn = rng.between(0, 6.28)
        c.poly([(centre + r * math.cos(turn + k * 6.28 / sides),
                 top + 0.55 * height + r * math.sin(turn + k * 6.28 / sides) * rng.between(0.6, 1))
                for k in range(sides)], any_colour(c))  # fmt: skip
    else:
        for _ in range(rng.integer(4, 12)):
            w = 0.08 * width * rng.between(0.5, 1.6)
            x = rng.between(left + w, right - w)
            tall = height * rng.between(0.2, 0.6)
            c.rect(x - w, bottom - tall, x + w, bottom, shade(low, rng.between(0.4, 1.2)))
