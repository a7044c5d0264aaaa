"""Shapes: furniture, linen, food, decoration and animals."""

import math

from rakuten.sample.canvas import BLACK, Canvas, blend, hsv, shade
from rakuten.sample.motifs import PAPER, STEEL, WOOD, any_colour, art, leaf, wood

LEAF = (70, 130, 60)


def chair(c: Canvas) -> None:
    """A chair, a bar stool or an armchair."""
    rng = c.rng
    leg = wood(c)
    kind = rng.unit()
    if kind < 0.4:
        for x in (-0.4, 0.4):
            c.line([(x, 0.15), (1.3 * x, 0.95)], leg, 0.06)
            c.line([(0.8 * x, 0.1), (x, 0.8)], shade(leg, 0.75), 0.05)
        c.block(-0.42, -0.95, 0.42, 0.05, shade(c.main, 0.85), 0.2)
        c.poly([(-0.45, 0.0), (0.45, 0.0), (0.55, 0.2), (-0.55, 0.2)], c.main)
    elif kind < 0.65:
        c.block(-0.35, -0.9, 0.35, -0.35, shade(c.main, 0.85), 0.12)
        c.disc(0, -0.25, 0.48, c.main, 0.14)
        c.rect(-0.05, -0.15, 0.05, 0.8, STEEL)
        c.disc(0, 0.85, 0.42, STEEL, 0.1)
        c.ring(0, 0.4, 0.25, 0.03, STEEL, 0.07)
    else:
        c.block(-0.6, -0.75, 0.6, 0.4, shade(c.main, 0.8), 0.25)
        c.block(-0.55, 0.05, 0.55, 0.5, c.main, 0.1)
        for x in (-0.8, 0.55):
            c.block(x, -0.15, x + 0.25, 0.65, shade(c.main, 0.92), 0.12)
        for x in (-0.65, 0.58):
            c.rect(x, 0.65, x + 0.07, 0.92, leg)


def table(c: Canvas) -> None:
    """A table, a desk or a bench, seen a little from above."""
    rng = c.rng
    tone = wood(c)
    y = rng.between(-0.4, 0.1)
    leg = rng.pick((tone, (52, 50, 50), STEEL))
    for x in (-0.75, 0.75):
        c.line([(0.9 * x, y + 0.1), (x * rng.between(0.9, 1.05), 0.85)], shade(leg, 0.85), 0.07)
        c.line([(0.72 * x, y), (0.7 * x, 0.6)], shade(leg, 0.65), 0.06)
    if rng.chance(0.3):
        c.disc(0, y + 0.05, 0.95, shade(tone, 0.75), 0.25)
        c.disc(0, y, 0.95, tone, 0.24)
        return
    c.poly([(-0.68, y - 0.2), (0.68, y - 0.2), (0.95, y + 0.1), (-0.95, y + 0.1)], tone)
    c.rect(-0.95, y + 0.1, 0.95, y + 0.18, shade(tone, 0.7))
    if rng.chance(0.4):
        c.rect(-0.7, 0.5, 0.7, 0.57, shade(tone, 0.85))


def cabinet(c: Canvas) -> None:
    """A wardrobe, chest, sideboard or shelf."""
    rng = c.rng
    tone = wood(c)
    w, h = rng.between(0.45, 0.85), rng.between(0.4, 0.85)
    c.cuboid(-w, -h, w - 0.1, h, 0.2, tone)
    rows, columns = rng.integer(1, 4), rng.integer(1, 3)
    open_shelf = rng.chance(0.35)
    for k in range(rows * columns):
        dx, dy = (2 * w - 0.14) / columns, (2 * h - 0.06) / rows
        x, y = -w + 0.03 + (k % columns) * dx, -h + 0.04 + (k // columns) * dy
        inner = shade(tone, 0.5) if open_shelf else shade(tone, rng.pick((0.9, 0.93, 1.06)))
        c.rect(x, y, x + dx - 0.03, y + dy - 0.03, inner)
        if not open_shelf:
            c.rect(x + 0.4 * dx, y + 0.12, x + 0.6 * dx, y + 0.15, (60, 58, 56))
        elif rng.chance(0.5):
            c.stripes(x, y + 0.2 * dy, x + 0.6 * dx, y + dy - 0.04, 4, any_colour(c), 0.8)
    for x in (-w, w - 0.18):
        c.rect(x, h, x + 0.08, min(0.97, h + 0.12), shade(tone, 0.6))


def bed(c: Canvas) -> None:
    """A bed, a mattress or a sofa."""
    rng = c.rng
    if rng.chance(0.4):
        c.block(-0.9, -0.4, 0.9, 0.3, shade(c.main, 0.85), 0.12)
        for k in range(rng.integer(2, 3)):
            c.block(-0.72 + 0.5 * k, -0.35, -0.24 + 0.5 * k, 0.12, shade(c.main, 0.95), 0.06)
        c.block(-0.75, 0.05, 0.75, 0.35, c.main, 0.06)
        for x in (-0.95, 0.72):
            c.block(x, -0.15, x + 0.23, 0.5, shade(c.main, 0.78), 0.08)
        c.rect(-0.9, 0.42, 0.9, 0.52, shade(c.main, 0.6))
        return
    sheet = rng.pick(((240, 238, 234), blend(c.main, PAPER, 0.6)))
    if rng.chance(0.6):
        c.rect(-0.55, -0.8, 0.75, 0.0, wood(c))
    c.poly([(-0.55, -0.1), (0.72, -0.1), (0.9, 0.45), (-0.95, 0.45)], sheet)
    c.rect(-0.95, 0.45, 0.9, 0.72, shade(sheet, 0.85))
    c.bars(-0.95, 0.5, 0.9, 0.72, 3, shade(sheet, 0.75), 0.2)
    for x in (-0.4, 0.2):
        c.block(x, -0.15, x + 0.4, 0.05, shade(sheet, 1.05), 0.08)
    if rng.chance(0.6):
        c.poly([(-0.72, 0.15), (0.8, 0.15), (0.9, 0.45), (-0.95, 0.45)], c.main)


def cushion(c: Canvas) -> None:
    """A square cushion with a print."""
    rng = c.rng
    tone = rng.pick((c.main, blend(c.main, PAPER, 0.7), (222, 212, 196)))
    c.poly(
        [
            (-0.9, -0.95),
            (0, -0.84),
            (0.9, -0.95),
            (0.84, 0),
            (0.95, 0.92),
            (0, 0.84),
            (-0.95, 0.92),
            (-0.84, 0),
        ],
        tone,
    )
    motif = rng.integer(0, 5)
    if motif == 0:
        c.dots(-0.75, -0.75, 0.75, 0.75, rng.integer(12, 40), (c.accent, c.light, c.dark), 0.08)
    elif motif == 1:
        c.stripes(-0.78, -0.8, 0.8, 0.8, rng.integer(4, 10), c.accent)
    elif motif == 2:
        for k in range(16):
            x, y = -0.6 + (k % 4) * 0.4, -0.6 + (k // 4) * 0.4
            c.poly(
                [(x, y - 0.19), (x + 0.19, y), (x, y + 0.19), (x - 0.19, y)],
                (c.accent, c.dark)[k % 2],
            )
    elif motif == 3:
        c.words(-0.6, -0.3, 0.65, 0.3, c.dark)
        c.words(-0.5, 0.15, 0.55, 0.2, c.accent)
    elif motif == 4:
        for _ in range(rng.integer(4, 9)):
            leaf(
                c,
                rng.between(-0.4, 0.4),
                0.7,
                rng.between(0.6, 1.3),
                rng.between(-60, 60),
                c.accent,
            )
    else:
        c.disc(0, 0.15, 0.45, c.dark)
        c.disc(0, -0.35, 0.28, c.dark)
        for side in (-1, 1):
            c.poly([(side * 0.08, -0.5), (side * 0.27, -0.45), (side * 0.22, -0.75)], c.dark)


def curtain(c: Canvas) -> None:
    """Curtains on a rod."""
    rng = c.rng
    c.line([(-0.97, -0.88), (0.97, -0.88)], (70, 66, 62), 0.05)
    gap = rng.chance(0.6)
    for left, right in ((-0.95, -0.1), (0.1, 0.95)) if gap else ((-0.9, 0.9),):
        if gap:
            c.rect(min(left, -0.1), -0.85, max(right, 0.1), -0.84, c.dark)
        count = 7 if gap else 13
        step = (right - left) / count
        for k in range(count):
            tone = shade(c.main, (0.8, 1.0, 1.1, 0.92)[k % 4])
            c.rect(left + k * step, -0.86, left + (k + 1) * step + 0.01, 0.95, tone)
        if rng.chance(0.4):
            c.dots(left, -0.7, right, 0.9, 14, (c.accent, c.light), 0.06)


def linen(c: Canvas) -> None:
    """Folded towels, blankets or sheets."""
    rng = c.rng
    count = rng.integer(2, 5)
    for k in range(count):
        top = 0.85 - 1.4 * (k + 1) / count
        tone = shade(rng.pick((c.main, c.accent, c.light, c.main)), rng.between(0.85, 1.1))
        tall = 1.35 / count
        c.block(-0.85, top, 0.85, top + tall, tone, 0.35 * tall)
        for row in (0.35, 0.65):
            c.line([(-0.8, top + row * tall), (0.8, top + row * tall)], shade(tone, 0.8), 0.02)
        if rng.chance(0.4):
            c.rect(-0.2, top, 0.1, top + tall, c.light)


def jar(c: Canvas) -> None:
    """A jar, a tin or a bottle with a label."""
    rng = c.rng
    stuff = hsv(rng.between(-0.05, 0.15), 0.8, rng.between(0.4, 0.9))
    kind = rng.unit()
    if kind < 0.4:
        c.tube(-0.55, -0.55, 0.55, 0.9, stuff)
        c.block(-0.52, -0.85, 0.52, -0.52, rng.pick(((200, 170, 80), c.main, BLACK)), 0.06)
        c.block(-0.55, -0.2, 0.55, 0.6, PAPER, 0.02)
    elif kind < 0.65:
        c.can(-0.55, -0.75, 0.55, 0.8, c.main, STEEL)
        c.rect(-0.55, -0.3, 0.55, 0.5, c.light)
    else:
        glass = rng.pick(((60, 80, 40), (90, 50, 30), stuff))
        c.tube(-0.3, -0.3, 0.3, 0.95, glass)
        c.poly([(-0.3, -0.3), (-0.11, -0.6), (0.11, -0.6), (0.3, -0.3)], glass)
        c.tube(-0.11, -0.85, 0.11, -0.58, glass)
        c.rect(-0.12, -0.97, 0.12, -0.82, c.accent)
        c.rect(-0.3, 0.05, 0.3, 0.7, PAPER)
    c.words(-0.28, 0.0, 0.3, 0.13, c.dark)
    c.disc(0.0, 0.35, 0.14, stuff)


def packet(c: Canvas) -> None:
    """A bag or carton that shows its contents."""
    rng = c.rng
    if rng.chance(0.5):
        c.poly([(-0.6, -0.9), (0.6, -0.9), (0.68, 0.9), (-0.68, 0.9)], c.main)
        c.rect(-0.62, -0.97, 0.62, -0.85, shade(c.main, 0.75))
        c.rect(-0.69, 0.85, 0.69, 0.95, shade(c.main, 0.75))
    else:
        c.cuboid(-0.62, -0.75, 0.42, 0.92, 0.22, c.main)
    c.rect(-0.55, -0.65, 0.35, -0.2, c.light)
    c.words(-0.5, -0.55, 0.35, 0.22, c.dark, 0.22)
    for _ in range(rng.integer(3, 9)):
        c.ball(
            rng.between(-0.4, 0.25),
            rng.between(0.1, 0.7),
            rng.between(0.1, 0.18),
            hsv(rng.between(-0.03, 0.13), 0.8, rng.between(0.4, 0.9)),
        )


def lamp(c: Canvas) -> None:
    """A table, floor or hanging lamp, or a bulb."""
    rng = c.rng
    glow = (252, 236, 180)
    kind = rng.integer(0, 3)
    if kind == 0:
        c.poly([(-0.35, -0.9), (0.35, -0.9), (0.65, -0.1), (-0.65, -0.1)], blend(c.main, glow, 0.5))
        c.tube(-0.07, -0.1, 0.07, 0.8, c.dark)
        c.disc(0, 0.82, 0.4, shade(c.dark, 0.9), 0.1)
    elif kind == 1:
        c.line([(0, -0.98), (0, -0.4)], BLACK, 0.025)
        c.poly([(-0.15, -0.45), (0.15, -0.45), (0.75, 0.4), (-0.75, 0.4)], c.main)
        c.disc(0, 0.4, 0.75, glow, 0.16)
    elif kind == 2:
        c.disc(0, -0.25, 0.55, glow, 0.6)
        c.poly([(-0.35, 0.2), (0.35, 0.2), (0.22, 0.5), (-0.22, 0.5)], glow)
        c.tube(-0.2, 0.5, 0.2, 0.9, STEEL)
        c.bars(-0.2, 0.52, 0.2, 0.88, 5, (120, 122, 126), 0.3)
    else:
        previous = (-0.95, -0.6)
        for k in range(9):
            point = (-0.95 + 0.24 * k, -0.6 + 0.5 * math.sin(k * 1.3) + 0.09 * k)
            c.line([previous, point], (60, 70, 60), 0.02)
            c.ball(point[0], point[1] + 0.12, 0.1, rng.pick((glow, hsv(k / 9, 0.7, 0.98))))
            previous = point


def vase(c: Canvas) -> None:
    """A vase or pot with flowers or leaves, or a candle."""
    rng = c.rng
    if rng.chance(0.25):
        for k in range(rng.integer(1, 3)):
            x, top = -0.5 + 0.5 * k, rng.between(-0.5, 0.1)
            c.tube(x - 0.22, top, x + 0.22, 0.85, blend(c.main, PAPER, 0.3))
            c.line([(x, top), (x, top - 0.12)], BLACK, 0.02)
            c.disc(x, top - 0.22, 0.06, (252, 200, 80), 0.13)
        return
    for _ in range(rng.integer(5, 11)):
        leaf(
            c,
            rng.between(-0.12, 0.12),
            0.2,
            rng.between(0.7, 1.2),
            rng.between(-50, 50),
            hsv(rng.between(0.22, 0.4), 0.6, 0.6),
        )
    for _ in range(rng.integer(0, 7)):
        x, y, r = rng.between(-0.6, 0.6), rng.between(-0.85, -0.1), rng.between(0.1, 0.18)
        tone = hsv(rng.pick((0.95, 0.0, 0.12, 0.8)), 0.6, 0.95)
        for k in range(5):
            c.disc(x + r * math.cos(k * 1.257), y + r * math.sin(k * 1.257), 0.7 * r, tone)
        c.disc(x, y, 0.4 * r, (250, 210, 80))
    c.poly(
        [(-0.2, 0.1), (0.2, 0.1), (0.42, 0.5), (0.26, 0.95), (-0.26, 0.95), (-0.42, 0.5)], c.main
    )
    c.poly(
        [(-0.2, 0.1), (-0.05, 0.1), (-0.18, 0.5), (-0.1, 0.95), (-0.26, 0.95), (-0.42, 0.5)],
        shade(c.main, 1.15),
    )


def framed(c: Canvas) -> None:
    """A framed print, a clock or a mirror."""
    rng = c.rng
    rim = rng.pick((wood(c), (200, 170, 90), BLACK))
    kind = rng.unit()
    if kind < 0.5:
        w, h = rng.pick(((0.95, 0.65), (0.7, 0.95), (0.85, 0.85)))
        c.rect(-w, -h, w, h, rim)
        c.rect(-w + 0.07, -h + 0.07, w - 0.07, h - 0.07, PAPER)
        art(c, -w + 0.14, -h + 0.14, w - 0.14, h - 0.14, 0.2)
    else:
        c.disc(0, 0, 0.95, rim)
        c.disc(0, 0, 0.8, PAPER if kind < 0.85 else (200, 216, 226))
        if kind < 0.85:
            for k in range(12):
                u, q = math.cos(k * 0.5236), math.sin(k * 0.5236)
                c.line([(0.62 * u, 0.62 * q), (0.74 * u, 0.74 * q)], BLACK, 0.04)
            c.line([(0, 0), (0.3, -0.4)], BLACK, 0.05)
            c.line([(0, 0), (-0.15, -0.6)], BLACK, 0.035)
        else:
            c.line([(-0.4, 0.3), (0.3, -0.4)], (236, 244, 248), 0.1)


def wall_sticker(c: Canvas) -> None:
    """A tree, birds or stars to stick on a wall; an ornament."""
    rng = c.rng
    if rng.chance(0.5):
        c.line([(0, 0.95), (0.05, 0.1), (-0.1, -0.4)], c.dark, 0.09)
        for _ in range(rng.integer(8, 14)):
            x, y = rng.between(-0.8, 0.8), rng.between(-0.9, 0.1)
            c.line([(0, 0.2), (x, y)], c.dark, 0.025)
            c.disc(x, y, rng.between(0.08, 0.16), rng.pick((c.main, c.accent, LEAF)))
        return
    for _ in range(rng.integer(4, 12)):
        x, y, r = rng.between(-0.75, 0.75), rng.between(-0.75, 0.75), rng.between(0.1, 0.25)
        tone = rng.pick((c.main, c.accent, c.dark))
        if rng.chance(0.5):
            c.poly(
                [
                    (
                        (r if k % 2 else 0.42 * r) * math.cos(k * 0.628) + x,
                        (r if k % 2 else 0.42 * r) * math.sin(k * 0.628) + y,
                    )
                    for k in range(10)
                ],
                tone,
            )
        else:
            for side in (-1, 1):
                c.disc(x + side * 0.45 * r, y - 0.2 * r, 0.5 * r, tone, 0.4 * r)
                c.disc(x + side * 0.35 * r, y + 0.3 * r, 0.35 * r, tone, 0.3 * r)


def dog(c: Canvas) -> None:
    """A dog or cat in a coat or on its bed."""
    rng = c.rng
    fur = blend((220, 180, 130), (70, 50, 40), rng.unit())
    if rng.chance(0.35):
        c.disc(0, 0.45, 0.95, shade(c.main, 0.8), 0.45)
        c.disc(0, 0.4, 0.72, blend(c.main, PAPER, 0.6), 0.3)
    for x in (-0.45, -0.25, 0.3, 0.48):
        c.rect(x - 0.07, 0.2, x + 0.07, 0.85, shade(fur, 0.85))
    c.disc(0, 0.12, 0.62, fur, 0.3)
    c.line([(0.55, 0.0), (0.85, -0.4)], fur, 0.09)
    if rng.chance(0.75):
        c.block(-0.5, -0.2, 0.42, 0.36, c.main, 0.15)
        c.bars(-0.48, -0.1, 0.4, 0.3, 3, c.accent, 0.3)
    c.ball(-0.55, -0.35, 0.34, fur, 0.32)
    for side in (-1, 1):
        if rng.chance(0.5):
            c.disc(-0.55 + side * 0.3, -0.4, 0.1, shade(fur, 0.65), 0.24)
        else:
            c.poly(
                [
                    (-0.55 + side * 0.1, -0.58),
                    (-0.55 + side * 0.32, -0.5),
                    (-0.55 + side * 0.28, -0.85),
                ],
                shade(fur, 0.8),
            )
        c.disc(-0.55 + side * 0.12, -0.4, 0.045, BLACK)
    c.disc(-0.58, -0.22, 0.08, BLACK, 0.06)
    c.rect(-0.75, -0.08, -0.3, 0.0, c.accent)


def pet_things(c: Canvas) -> None:
    """A collar, a bowl, a cage, a basket."""
    rng = c.rng
    kind = rng.integer(0, 3)
    if kind == 0:
        c.ring(0, 0, 0.75, 0.16, c.main, 0.55)
        c.block(-0.15, 0.4, 0.15, 0.68, STEEL, 0.04)
        c.disc(0.3, 0.75, 0.14, (206, 170, 70))
        for k in range(9):
            c.disc(0.75 * math.cos(k * 0.7), 0.55 * math.sin(k * 0.7), 0.035, STEEL)
    elif kind == 1:
        c.poly([(-0.7, -0.2), (0.7, -0.2), (0.95, 0.55), (-0.95, 0.55)], c.main)
        c.disc(0, -0.2, 0.7, STEEL, 0.22)
        c.disc(0, -0.17, 0.58, (150, 100, 60), 0.16)
        c.words(-0.4, 0.1, 0.5, 0.2, c.light)
    elif kind == 2:
        c.arc(0, -0.1, 0.75, 180, 360, (120, 122, 126), 0.03)
        for k in range(11):
            x = -0.75 + 0.15 * k
            c.line([(x, -0.1 - math.sqrt(max(0, 0.56 - x * x))), (x, 0.7)], (120, 122, 126), 0.02)
        c.rect(-0.85, 0.65, 0.85, 0.9, c.main)
        c.disc(0.1, 0.25, 0.16, hsv(rng.unit(), 0.8, 0.9), 0.22)
    else:
        c.disc(0, 0.2, 0.95, shade(c.main, 0.75), 0.6)
        c.disc(0, 0.12, 0.92, c.main, 0.52)
        c.disc(0, 0.1, 0.62, blend(c.main, PAPER, 0.65), 0.3)


def parcel(c: Canvas) -> None:
    """A plain carton, as shops show in place of a missing image."""
    c.cuboid(-0.75, -0.45, 0.45, 0.75, 0.4, c.rng.pick((WOOD, c.main, c.light)))
    c.rect(-0.2, -0.45, -0.05, 0.75, shade(c.main, 0.9))
    c.words(-0.65, 0.3, -0.22, 0.12, c.dark)
    c.rect(0.05, 0.2, 0.4, 0.6, PAPER)


def bag(c: Canvas) -> None:
    """A bag, a pouch or a cover."""
    rng = c.rng
    c.arc(0, -0.4, 0.35, 180, 360, c.dark, 0.07, 0.45)
    c.block(-0.8, -0.45, 0.8, 0.85, c.main, 0.2)
    c.block(-0.8, -0.45, 0.8, 0.05, shade(c.main, 0.88), 0.2)
    c.line([(-0.7, 0.05), (0.7, 0.05)], c.dark, 0.02)
    c.block(-0.5, 0.25, 0.5, 0.75, shade(c.main, rng.pick((0.8, 1.12))), 0.08)
    c.rect(-0.08, 0.0, 0.08, 0.15, STEEL)


def rug(c: Canvas) -> None:
    """A flat sheet: rug, mat, tarpaulin or cloth, plain or patterned."""
    rng = c.rng
    c.poly([(-0.95, 0.6), (-0.55, -0.55), (0.95, -0.6), (0.75, 0.65)], c.main)
    if rng.chance(0.6):
        for k in range(1, 7):
            q = k / 7
            c.line(
                [(-0.95 + 0.4 * q, 0.6 - 1.15 * q), (0.75 + 0.2 * q, 0.65 - 1.25 * q)],
                (c.accent, c.light)[k % 2],
                0.06,
            )
    c.line([(-0.95, 0.6), (0.75, 0.65)], shade(c.main, 0.6), 0.04)
