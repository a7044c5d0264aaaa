"""Shape programs: furniture, linen, food, decoration and animals."""

import math

from rakuten.sample.brush import BLACK, Brush, blend, hsv, shade
from rakuten.sample.motifs import PAPER, STEEL, WOOD, any_colour, art, leaf, wood

LEAF = (70, 130, 60)


def chair(b: Brush) -> None:
    """A chair, a bar stool or an armchair."""
    d = b.draws
    leg = wood(b)
    kind = d.unit()
    if kind < 0.4:
        for x in (-0.4, 0.4):
            b.line([(x, 0.15), (1.3 * x, 0.95)], leg, 0.06)
            b.line([(0.8 * x, 0.1), (x, 0.8)], shade(leg, 0.75), 0.05)
        b.block(-0.42, -0.95, 0.42, 0.05, shade(b.main, 0.85), 0.2)
        b.poly([(-0.45, 0.0), (0.45, 0.0), (0.55, 0.2), (-0.55, 0.2)], b.main)
    elif kind < 0.65:
        b.block(-0.35, -0.9, 0.35, -0.35, shade(b.main, 0.85), 0.12)
        b.disc(0, -0.25, 0.48, b.main, 0.14)
        b.rect(-0.05, -0.15, 0.05, 0.8, STEEL)
        b.disc(0, 0.85, 0.42, STEEL, 0.1)
        b.ring(0, 0.4, 0.25, 0.03, STEEL, 0.07)
    else:
        b.block(-0.6, -0.75, 0.6, 0.4, shade(b.main, 0.8), 0.25)
        b.block(-0.55, 0.05, 0.55, 0.5, b.main, 0.1)
        for x in (-0.8, 0.55):
            b.block(x, -0.15, x + 0.25, 0.65, shade(b.main, 0.92), 0.12)
        for x in (-0.65, 0.58):
            b.rect(x, 0.65, x + 0.07, 0.92, leg)


def table(b: Brush) -> None:
    """A table, a desk or a bench, seen a little from above."""
    d = b.draws
    tone = wood(b)
    y = d.between(-0.4, 0.1)
    leg = d.pick((tone, (52, 50, 50), STEEL))
    for x in (-0.75, 0.75):
        b.line([(0.9 * x, y + 0.1), (x * d.between(0.9, 1.05), 0.85)], shade(leg, 0.85), 0.07)
        b.line([(0.72 * x, y), (0.7 * x, 0.6)], shade(leg, 0.65), 0.06)
    if d.chance(0.3):
        b.disc(0, y + 0.05, 0.95, shade(tone, 0.75), 0.25)
        b.disc(0, y, 0.95, tone, 0.24)
        return
    b.poly([(-0.68, y - 0.2), (0.68, y - 0.2), (0.95, y + 0.1), (-0.95, y + 0.1)], tone)
    b.rect(-0.95, y + 0.1, 0.95, y + 0.18, shade(tone, 0.7))
    if d.chance(0.4):
        b.rect(-0.7, 0.5, 0.7, 0.57, shade(tone, 0.85))


def cabinet(b: Brush) -> None:
    """A wardrobe, chest, sideboard or shelf."""
    d = b.draws
    tone = wood(b)
    w, h = d.between(0.45, 0.85), d.between(0.4, 0.85)
    b.cuboid(-w, -h, w - 0.1, h, 0.2, tone)
    rows, columns = d.integer(1, 4), d.integer(1, 3)
    open_shelf = d.chance(0.35)
    for k in range(rows * columns):
        dx, dy = (2 * w - 0.14) / columns, (2 * h - 0.06) / rows
        x, y = -w + 0.03 + (k % columns) * dx, -h + 0.04 + (k // columns) * dy
        inner = shade(tone, 0.5) if open_shelf else shade(tone, d.pick((0.9, 0.93, 1.06)))
        b.rect(x, y, x + dx - 0.03, y + dy - 0.03, inner)
        if not open_shelf:
            b.rect(x + 0.4 * dx, y + 0.12, x + 0.6 * dx, y + 0.15, (60, 58, 56))
        elif d.chance(0.5):
            b.stripes(x, y + 0.2 * dy, x + 0.6 * dx, y + dy - 0.04, 4, any_colour(b), 0.8)
    for x in (-w, w - 0.18):
        b.rect(x, h, x + 0.08, min(0.97, h + 0.12), shade(tone, 0.6))


def bed(b: Brush) -> None:
    """A bed, a mattress or a sofa."""
    d = b.draws
    if d.chance(0.4):
        b.block(-0.9, -0.4, 0.9, 0.3, shade(b.main, 0.85), 0.12)
        for k in range(d.integer(2, 3)):
            b.block(-0.72 + 0.5 * k, -0.35, -0.24 + 0.5 * k, 0.12, shade(b.main, 0.95), 0.06)
        b.block(-0.75, 0.05, 0.75, 0.35, b.main, 0.06)
        for x in (-0.95, 0.72):
            b.block(x, -0.15, x + 0.23, 0.5, shade(b.main, 0.78), 0.08)
        b.rect(-0.9, 0.42, 0.9, 0.52, shade(b.main, 0.6))
        return
    sheet = d.pick(((240, 238, 234), blend(b.main, PAPER, 0.6)))
    if d.chance(0.6):
        b.rect(-0.55, -0.8, 0.75, 0.0, wood(b))
    b.poly([(-0.55, -0.1), (0.72, -0.1), (0.9, 0.45), (-0.95, 0.45)], sheet)
    b.rect(-0.95, 0.45, 0.9, 0.72, shade(sheet, 0.85))
    b.bars(-0.95, 0.5, 0.9, 0.72, 3, shade(sheet, 0.75), 0.2)
    for x in (-0.4, 0.2):
        b.block(x, -0.15, x + 0.4, 0.05, shade(sheet, 1.05), 0.08)
    if d.chance(0.6):
        b.poly([(-0.72, 0.15), (0.8, 0.15), (0.9, 0.45), (-0.95, 0.45)], b.main)


def cushion(b: Brush) -> None:
    """A square cushion with a print."""
    d = b.draws
    tone = d.pick((b.main, blend(b.main, PAPER, 0.7), (222, 212, 196)))
    b.poly(
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
    motif = d.integer(0, 5)
    if motif == 0:
        b.dots(-0.75, -0.75, 0.75, 0.75, d.integer(12, 40), (b.accent, b.light, b.dark), 0.08)
    elif motif == 1:
        b.stripes(-0.78, -0.8, 0.8, 0.8, d.integer(4, 10), b.accent)
    elif motif == 2:
        for k in range(16):
            x, y = -0.6 + (k % 4) * 0.4, -0.6 + (k // 4) * 0.4
            b.poly(
                [(x, y - 0.19), (x + 0.19, y), (x, y + 0.19), (x - 0.19, y)],
                (b.accent, b.dark)[k % 2],
            )
    elif motif == 3:
        b.words(-0.6, -0.3, 0.65, 0.3, b.dark)
        b.words(-0.5, 0.15, 0.55, 0.2, b.accent)
    elif motif == 4:
        for _ in range(d.integer(4, 9)):
            leaf(b, d.between(-0.4, 0.4), 0.7, d.between(0.6, 1.3), d.between(-60, 60), b.accent)
    else:
        b.disc(0, 0.15, 0.45, b.dark)
        b.disc(0, -0.35, 0.28, b.dark)
        for side in (-1, 1):
            b.poly([(side * 0.08, -0.5), (side * 0.27, -0.45), (side * 0.22, -0.75)], b.dark)


def curtain(b: Brush) -> None:
    """Curtains on a rod."""
    d = b.draws
    b.line([(-0.97, -0.88), (0.97, -0.88)], (70, 66, 62), 0.05)
    gap = d.chance(0.6)
    for left, right in ((-0.95, -0.1), (0.1, 0.95)) if gap else ((-0.9, 0.9),):
        if gap:
            b.rect(min(left, -0.1), -0.85, max(right, 0.1), -0.84, b.dark)
        count = 7 if gap else 13
        step = (right - left) / count
        for k in range(count):
            tone = shade(b.main, (0.8, 1.0, 1.1, 0.92)[k % 4])
            b.rect(left + k * step, -0.86, left + (k + 1) * step + 0.01, 0.95, tone)
        if d.chance(0.4):
            b.dots(left, -0.7, right, 0.9, 14, (b.accent, b.light), 0.06)


def linen(b: Brush) -> None:
    """Folded towels, blankets or sheets."""
    d = b.draws
    count = d.integer(2, 5)
    for k in range(count):
        top = 0.85 - 1.4 * (k + 1) / count
        tone = shade(d.pick((b.main, b.accent, b.light, b.main)), d.between(0.85, 1.1))
        tall = 1.35 / count
        b.block(-0.85, top, 0.85, top + tall, tone, 0.35 * tall)
        for row in (0.35, 0.65):
            b.line([(-0.8, top + row * tall), (0.8, top + row * tall)], shade(tone, 0.8), 0.02)
        if d.chance(0.4):
            b.rect(-0.2, top, 0.1, top + tall, b.light)


def jar(b: Brush) -> None:
    """A jar, a tin or a bottle with a label."""
    d = b.draws
    stuff = hsv(d.between(-0.05, 0.15), 0.8, d.between(0.4, 0.9))
    kind = d.unit()
    if kind < 0.4:
        b.tube(-0.55, -0.55, 0.55, 0.9, stuff)
        b.block(-0.52, -0.85, 0.52, -0.52, d.pick(((200, 170, 80), b.main, BLACK)), 0.06)
        b.block(-0.55, -0.2, 0.55, 0.6, PAPER, 0.02)
    elif kind < 0.65:
        b.can(-0.55, -0.75, 0.55, 0.8, b.main, STEEL)
        b.rect(-0.55, -0.3, 0.55, 0.5, b.light)
    else:
        glass = d.pick(((60, 80, 40), (90, 50, 30), stuff))
        b.tube(-0.3, -0.3, 0.3, 0.95, glass)
        b.poly([(-0.3, -0.3), (-0.11, -0.6), (0.11, -0.6), (0.3, -0.3)], glass)
        b.tube(-0.11, -0.85, 0.11, -0.58, glass)
        b.rect(-0.12, -0.97, 0.12, -0.82, b.accent)
        b.rect(-0.3, 0.05, 0.3, 0.7, PAPER)
    b.words(-0.28, 0.0, 0.3, 0.13, b.dark)
    b.disc(0.0, 0.35, 0.14, stuff)


def packet(b: Brush) -> None:
    """A bag or carton with a picture of what is in it."""
    d = b.draws
    if d.chance(0.5):
        b.poly([(-0.6, -0.9), (0.6, -0.9), (0.68, 0.9), (-0.68, 0.9)], b.main)
        b.rect(-0.62, -0.97, 0.62, -0.85, shade(b.main, 0.75))
        b.rect(-0.69, 0.85, 0.69, 0.95, shade(b.main, 0.75))
    else:
        b.cuboid(-0.62, -0.75, 0.42, 0.92, 0.22, b.main)
    b.rect(-0.55, -0.65, 0.35, -0.2, b.light)
    b.words(-0.5, -0.55, 0.35, 0.22, b.dark, 0.22)
    for _ in range(d.integer(3, 9)):
        b.ball(
            d.between(-0.4, 0.25),
            d.between(0.1, 0.7),
            d.between(0.1, 0.18),
            hsv(d.between(-0.03, 0.13), 0.8, d.between(0.4, 0.9)),
        )


def lamp(b: Brush) -> None:
    """A table, floor or hanging lamp, or a bulb."""
    d = b.draws
    glow = (252, 236, 180)
    kind = d.integer(0, 3)
    if kind == 0:
        b.poly([(-0.35, -0.9), (0.35, -0.9), (0.65, -0.1), (-0.65, -0.1)], blend(b.main, glow, 0.5))
        b.tube(-0.07, -0.1, 0.07, 0.8, b.dark)
        b.disc(0, 0.82, 0.4, shade(b.dark, 0.9), 0.1)
    elif kind == 1:
        b.line([(0, -0.98), (0, -0.4)], BLACK, 0.025)
        b.poly([(-0.15, -0.45), (0.15, -0.45), (0.75, 0.4), (-0.75, 0.4)], b.main)
        b.disc(0, 0.4, 0.75, glow, 0.16)
    elif kind == 2:
        b.disc(0, -0.25, 0.55, glow, 0.6)
        b.poly([(-0.35, 0.2), (0.35, 0.2), (0.22, 0.5), (-0.22, 0.5)], glow)
        b.tube(-0.2, 0.5, 0.2, 0.9, STEEL)
        b.bars(-0.2, 0.52, 0.2, 0.88, 5, (120, 122, 126), 0.3)
    else:
        previous = (-0.95, -0.6)
        for k in range(9):
            point = (-0.95 + 0.24 * k, -0.6 + 0.5 * math.sin(k * 1.3) + 0.09 * k)
            b.line([previous, point], (60, 70, 60), 0.02)
            b.ball(point[0], point[1] + 0.12, 0.1, d.pick((glow, hsv(k / 9, 0.7, 0.98))))
            previous = point


def vase(b: Brush) -> None:
    """A vase or pot with flowers or leaves, or a candle."""
    d = b.draws
    if d.chance(0.25):
        for k in range(d.integer(1, 3)):
            x, top = -0.5 + 0.5 * k, d.between(-0.5, 0.1)
            b.tube(x - 0.22, top, x + 0.22, 0.85, blend(b.main, PAPER, 0.3))
            b.line([(x, top), (x, top - 0.12)], BLACK, 0.02)
            b.disc(x, top - 0.22, 0.06, (252, 200, 80), 0.13)
        return
    for _ in range(d.integer(5, 11)):
        leaf(
            b,
            d.between(-0.12, 0.12),
            0.2,
            d.between(0.7, 1.2),
            d.between(-50, 50),
            hsv(d.between(0.22, 0.4), 0.6, 0.6),
        )
    for _ in range(d.integer(0, 7)):
        x, y, r = d.between(-0.6, 0.6), d.between(-0.85, -0.1), d.between(0.1, 0.18)
        tone = hsv(d.pick((0.95, 0.0, 0.12, 0.8)), 0.6, 0.95)
        for k in range(5):
            b.disc(x + r * math.cos(k * 1.257), y + r * math.sin(k * 1.257), 0.7 * r, tone)
        b.disc(x, y, 0.4 * r, (250, 210, 80))
    b.poly(
        [(-0.2, 0.1), (0.2, 0.1), (0.42, 0.5), (0.26, 0.95), (-0.26, 0.95), (-0.42, 0.5)], b.main
    )
    b.poly(
        [(-0.2, 0.1), (-0.05, 0.1), (-0.18, 0.5), (-0.1, 0.95), (-0.26, 0.95), (-0.42, 0.5)],
        shade(b.main, 1.15),
    )


def framed(b: Brush) -> None:
    """A picture in a frame, a clock or a mirror."""
    d = b.draws
    rim = d.pick((wood(b), (200, 170, 90), BLACK))
    kind = d.unit()
    if kind < 0.5:
        w, h = d.pick(((0.95, 0.65), (0.7, 0.95), (0.85, 0.85)))
        b.rect(-w, -h, w, h, rim)
        b.rect(-w + 0.07, -h + 0.07, w - 0.07, h - 0.07, PAPER)
        art(b, -w + 0.14, -h + 0.14, w - 0.14, h - 0.14, 0.2)
    else:
        b.disc(0, 0, 0.95, rim)
        b.disc(0, 0, 0.8, PAPER if kind < 0.85 else (200, 216, 226))
        if kind < 0.85:
            for k in range(12):
                c, q = math.cos(k * 0.5236), math.sin(k * 0.5236)
                b.line([(0.62 * c, 0.62 * q), (0.74 * c, 0.74 * q)], BLACK, 0.04)
            b.line([(0, 0), (0.3, -0.4)], BLACK, 0.05)
            b.line([(0, 0), (-0.15, -0.6)], BLACK, 0.035)
        else:
            b.line([(-0.4, 0.3), (0.3, -0.4)], (236, 244, 248), 0.1)


def wall_sticker(b: Brush) -> None:
    """A tree, birds or stars to stick on a wall; an ornament."""
    d = b.draws
    if d.chance(0.5):
        b.line([(0, 0.95), (0.05, 0.1), (-0.1, -0.4)], b.dark, 0.09)
        for _ in range(d.integer(8, 14)):
            x, y = d.between(-0.8, 0.8), d.between(-0.9, 0.1)
            b.line([(0, 0.2), (x, y)], b.dark, 0.025)
            b.disc(x, y, d.between(0.08, 0.16), d.pick((b.main, b.accent, LEAF)))
        return
    for _ in range(d.integer(4, 12)):
        x, y, r = d.between(-0.75, 0.75), d.between(-0.75, 0.75), d.between(0.1, 0.25)
        tone = d.pick((b.main, b.accent, b.dark))
        if d.chance(0.5):
            b.poly(
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
                b.disc(x + side * 0.45 * r, y - 0.2 * r, 0.5 * r, tone, 0.4 * r)
                b.disc(x + side * 0.35 * r, y + 0.3 * r, 0.35 * r, tone, 0.3 * r)


def dog(b: Brush) -> None:
    """A dog or cat in a coat or on its bed."""
    d = b.draws
    fur = blend((220, 180, 130), (70, 50, 40), d.unit())
    if d.chance(0.35):
        b.disc(0, 0.45, 0.95, shade(b.main, 0.8), 0.45)
        b.disc(0, 0.4, 0.72, blend(b.main, PAPER, 0.6), 0.3)
    for x in (-0.45, -0.25, 0.3, 0.48):
        b.rect(x - 0.07, 0.2, x + 0.07, 0.85, shade(fur, 0.85))
    b.disc(0, 0.12, 0.62, fur, 0.3)
    b.line([(0.55, 0.0), (0.85, -0.4)], fur, 0.09)
    if d.chance(0.75):
        b.block(-0.5, -0.2, 0.42, 0.36, b.main, 0.15)
        b.bars(-0.48, -0.1, 0.4, 0.3, 3, b.accent, 0.3)
    b.ball(-0.55, -0.35, 0.34, fur, 0.32)
    for side in (-1, 1):
        if d.chance(0.5):
            b.disc(-0.55 + side * 0.3, -0.4, 0.1, shade(fur, 0.65), 0.24)
        else:
            b.poly(
                [
                    (-0.55 + side * 0.1, -0.58),
                    (-0.55 + side * 0.32, -0.5),
                    (-0.55 + side * 0.28, -0.85),
                ],
                shade(fur, 0.8),
            )
        b.disc(-0.55 + side * 0.12, -0.4, 0.045, BLACK)
    b.disc(-0.58, -0.22, 0.08, BLACK, 0.06)
    b.rect(-0.75, -0.08, -0.3, 0.0, b.accent)


def pet_things(b: Brush) -> None:
    """A collar, a bowl, a cage, a basket."""
    d = b.draws
    kind = d.integer(0, 3)
    if kind == 0:
        b.ring(0, 0, 0.75, 0.16, b.main, 0.55)
        b.block(-0.15, 0.4, 0.15, 0.68, STEEL, 0.04)
        b.disc(0.3, 0.75, 0.14, (206, 170, 70))
        for k in range(9):
            b.disc(0.75 * math.cos(k * 0.7), 0.55 * math.sin(k * 0.7), 0.035, STEEL)
    elif kind == 1:
        b.poly([(-0.7, -0.2), (0.7, -0.2), (0.95, 0.55), (-0.95, 0.55)], b.main)
        b.disc(0, -0.2, 0.7, STEEL, 0.22)
        b.disc(0, -0.17, 0.58, (150, 100, 60), 0.16)
        b.words(-0.4, 0.1, 0.5, 0.2, b.light)
    elif kind == 2:
        b.arc(0, -0.1, 0.75, 180, 360, (120, 122, 126), 0.03)
        for k in range(11):
            x = -0.75 + 0.15 * k
            b.line([(x, -0.1 - math.sqrt(max(0, 0.56 - x * x))), (x, 0.7)], (120, 122, 126), 0.02)
        b.rect(-0.85, 0.65, 0.85, 0.9, b.main)
        b.disc(0.1, 0.25, 0.16, hsv(d.unit(), 0.8, 0.9), 0.22)
    else:
        b.disc(0, 0.2, 0.95, shade(b.main, 0.75), 0.6)
        b.disc(0, 0.12, 0.92, b.main, 0.52)
        b.disc(0, 0.1, 0.62, blend(b.main, PAPER, 0.65), 0.3)


def parcel(b: Brush) -> None:
    """A plain carton: what any shop shows when it has nothing better."""
    b.cuboid(-0.75, -0.45, 0.45, 0.75, 0.4, b.draws.pick((WOOD, b.main, b.light)))
    b.rect(-0.2, -0.45, -0.05, 0.75, shade(b.main, 0.9))
    b.words(-0.65, 0.3, -0.22, 0.12, b.dark)
    b.rect(0.05, 0.2, 0.4, 0.6, PAPER)


def bag(b: Brush) -> None:
    """A bag, a pouch or a cover."""
    d = b.draws
    b.arc(0, -0.4, 0.35, 180, 360, b.dark, 0.07, 0.45)
    b.block(-0.8, -0.45, 0.8, 0.85, b.main, 0.2)
    b.block(-0.8, -0.45, 0.8, 0.05, shade(b.main, 0.88), 0.2)
    b.line([(-0.7, 0.05), (0.7, 0.05)], b.dark, 0.02)
    b.block(-0.5, 0.25, 0.5, 0.75, shade(b.main, d.pick((0.8, 1.12))), 0.08)
    b.rect(-0.08, 0.0, 0.08, 0.15, STEEL)


def rug(b: Brush) -> None:
    """A flat sheet: rug, mat, tarpaulin or cloth, plain or patterned."""
    d = b.draws
    b.poly([(-0.95, 0.6), (-0.55, -0.55), (0.95, -0.6), (0.75, 0.65)], b.main)
    if d.chance(0.6):
        for k in range(1, 7):
            q = k / 7
            b.line(
                [(-0.95 + 0.4 * q, 0.6 - 1.15 * q), (0.75 + 0.2 * q, 0.65 - 1.25 * q)],
                (b.accent, b.light)[k % 2],
                0.06,
            )
    b.line([(-0.95, 0.6), (0.75, 0.65)], shade(b.main, 0.6), 0.04)
