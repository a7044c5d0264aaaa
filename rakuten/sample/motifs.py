"""Colours and small motifs that several shape programs use."""

import math

from rakuten.sample.brush import BLACK, Brush, Colour, blend, hsv, shade

SKIN = (232, 190, 160)
PAPER = (246, 243, 234)
GREY = (150, 152, 156)
STEEL = (188, 192, 198)
WOOD = (182, 136, 88)


def any_colour(b: Brush, saturation=0.75, value=0.85) -> Colour:
    """Draw a colour of any hue."""
    d = b.draws
    return hsv(d.unit(), saturation * d.between(0.5, 1.3), value * d.between(0.7, 1.15))


def wood(b: Brush):
    """Draw a tone of wood, or white, black or the product's colour as on furniture."""
    d = b.draws
    tone = blend((214, 176, 126), (90, 58, 36), d.unit())
    return d.pick((tone, tone, tone, (238, 238, 236), (52, 50, 50), b.main))


def person(b: Brush, x, y, height, cloth: Colour, skin: Colour = SKIN, head=0.16) -> None:
    """Draw a standing figure with its feet at (x, y); `head` is the head's share of the height."""
    d, h = b.draws, height
    reach = h * d.between(0.16, 0.3)
    lift = y - h * d.between(0.3, 0.75)
    legs = shade(cloth, 0.6)
    b.line([(x, y - 0.42 * h), (x - 0.1 * h, y)], legs, 0.11 * h)
    b.line([(x, y - 0.42 * h), (x + 0.1 * h, y)], legs, 0.11 * h)
    b.line([(x - 0.1 * h, y - 0.7 * h), (x - reach, lift)], shade(cloth, 0.85), 0.08 * h)
    b.line([(x + 0.1 * h, y - 0.7 * h), (x + reach, y - 0.45 * h)], shade(cloth, 0.85), 0.08 * h)
    b.poly(
        [(x - 0.13 * h, y - 0.76 * h), (x + 0.13 * h, y - 0.76 * h), (x + 0.1 * h, y - 0.38 * h),
         (x - 0.1 * h, y - 0.38 * h)], cloth)  # fmt: skip
    top = y - 0.76 * h - 0.8 * head * h
    b.disc(x, top, 0.62 * head * h, skin, 0.75 * head * h)
    hair = d.pick((BLACK, (110, 70, 40), (210, 170, 80), shade(cloth, 0.5)))
    b.disc(x, top - 0.42 * head * h, 0.64 * head * h, hair, 0.4 * head * h)


def face(b: Brush, x, y, size) -> None:
    """Draw a head with shoulders, as on a magazine."""
    d = b.draws
    skin = blend(SKIN, (120, 80, 60), 0.5 * d.unit())
    hair = d.pick((BLACK, (110, 70, 40), (214, 176, 90), (150, 60, 40)))
    b.disc(x, y - 0.1 * size, 0.62 * size, hair, 0.75 * size)
    b.poly([(x - size, y + 1.3 * size), (x - 0.5 * size, y + 0.62 * size),
            (x + 0.5 * size, y + 0.62 * size), (x + size, y + 1.3 * size)], b.accent)  # fmt: skip
    b.rect(x - 0.2 * size, y + 0.3 * size, x + 0.2 * size, y + 0.72 * size, shade(skin, 0.85))
    b.disc(x, y, 0.44 * size, skin, 0.58 * size)
    for side in (-1, 1):
        b.disc(x + side * 0.17 * size, y - 0.06 * size, 0.06 * size, BLACK, 0.04 * size)
    b.line([(x - 0.14 * size, y + 0.28 * size), (x + 0.14 * size, y + 0.28 * size)], (180, 50, 60),
           0.06 * size)  # fmt: skip


def leaf(b: Brush, x, y, size, angle, colour) -> None:
    """Draw a long leaf from (x, y), `angle` degrees off the upright."""
    a = math.radians(angle)
    tip = (x + size * math.sin(a), y - size * math.cos(a))
    mid = (x + 0.55 * size * math.sin(a), y - 0.55 * size * math.cos(a))
    off = (0.13 * size * math.cos(a), 0.13 * size * math.sin(a))
    b.poly(
        [(x, y), (mid[0] - off[0], mid[1] - off[1]), tip, (mid[0] + off[0], mid[1] + off[1])],
        colour,
    )
    b.line([(x, y), tip], shade(colour, 0.7), 0.012)


def art(b: Brush, left, top, right, bottom, lively=0.5) -> None:
    """Paint a small scene into a rectangle: sky, ground, a light, and someone or something."""
    d = b.draws
    sky = any_colour(b, 0.5 + 0.5 * lively, 0.6 + 0.3 * d.unit())
    low = any_colour(b, 0.8, 0.5)
    width, height = right - left, bottom - top
    for k in range(8):
        y = top + k * height / 8
        b.rect(left, y, right, min(bottom, y + height / 7.5), blend(sky, low, k / 8))
    glow = 0.14 * min(width, height) * d.between(0.6, 1.5)
    x = d.between(left + 1.5 * glow, right - 1.5 * glow)
    b.disc(x, top + 0.3 * height, glow, shade(sky, 1.6))
    ground = shade(low, d.between(0.5, 1.3))
    ridge = [(left + width * k / 6, bottom - height * d.between(0.12, 0.4)) for k in range(7)]
    b.poly([*ridge, (right, bottom), (left, bottom)], ground)
    centre = (left + right) / 2
    theme = d.unit()
    if theme < 0.3 + 0.3 * lively:
        for k in range(d.integer(1, 3)):
            at = centre + width * (0.24 * (k % 2 * 2 - 1) * (k > 0) + d.between(-0.1, 0.1))
            person(b, at, bottom - 0.03 * height, 0.75 * min(height, 1.3 * width), any_colour(b))
    elif theme < 0.7:
        r = 0.3 * min(width, height)
        sides = d.integer(3, 8)
        turn = d.between(0, 6.28)
        b.poly([(centre + r * math.cos(turn + k * 6.28 / sides),
                 top + 0.55 * height + r * math.sin(turn + k * 6.28 / sides) * d.between(0.6, 1))
                for k in range(sides)], any_colour(b))  # fmt: skip
    else:
        for _ in range(d.integer(4, 12)):
            w = 0.08 * width * d.between(0.5, 1.6)
            x = d.between(left + w, right - w)
            tall = height * d.between(0.2, 0.6)
            b.rect(x - w, bottom - tall, x + w, bottom, shade(low, d.between(0.4, 1.2)))
