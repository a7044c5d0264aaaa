"""Shapes: garden, pool and tools."""

import math

from rakuten.sample.canvas import BLACK, Canvas, hsv, shade
from rakuten.sample.motifs import GREY, STEEL, WOOD, leaf, wood

WATER = (90, 180, 220)


def parasol(c: Canvas) -> None:
    """A parasol, a pergola or an awning."""
    rng = c.rng
    kind = rng.integer(0, 2)
    if kind == 0:
        c.rect(-0.03, -0.7, 0.03, 0.85, STEEL)
        for k in range(6):
            x = -0.95 + 1.9 * k / 6
            c.poly(
                [(0, -0.92), (x, -0.25), (x + 1.9 / 6, -0.25)],
                shade((c.main, c.light)[k % 2], 0.9 + 0.03 * k),
            )
        c.disc(0, 0.88, 0.3, GREY, 0.08)
    elif kind == 1:
        post = wood(c)
        for x in (-0.85, 0.55):
            c.rect(x, -0.45, x + 0.07, 0.85, post)
        for x in (-0.5, 0.85):
            c.rect(x, -0.6, x + 0.06, 0.55, shade(post, 0.7))
        c.poly([(-0.9, -0.45), (0.65, -0.45), (0.97, -0.68), (-0.5, -0.68)], c.main)
        c.poly([(-0.9, -0.45), (0.65, -0.45), (0.65, -0.35), (-0.9, -0.35)], shade(c.main, 0.7))
    else:
        c.rect(-0.9, -0.6, 0.9, -0.48, (230, 230, 232))
        count = 9
        for k in range(count):
            x = -0.9 + 1.8 * k / count
            c.poly(
                [
                    (x, -0.48),
                    (x + 1.8 / count, -0.48),
                    (1.1 * (x + 1.8 / count), 0.3),
                    (1.1 * x, 0.3),
                ],
                (c.main, c.light)[k % 2],
            )
        c.rect(-0.98, 0.3, 0.98, 0.38, shade(c.main, 0.7))


def garden_seat(c: Canvas) -> None:
    """A garden chair, a bench or a deck chair of slats."""
    rng = c.rng
    tone = rng.pick((wood(c), (70, 74, 78), c.main))
    if rng.chance(0.5):
        for x in (-0.8, 0.7):
            c.rect(x, -0.1, x + 0.09, 0.85, shade(tone, 0.8))
        c.bars(-0.8, -0.75, 0.8, 0.0, 5, tone, 0.7)
        c.bars(-0.88, 0.1, 0.88, 0.4, 3, shade(tone, 1.1), 0.75)
        return
    c.line([(-0.95, -0.55), (-0.2, 0.35), (0.85, 0.35)], tone, 0.06)
    for k in range(7):
        c.line(
            [(-0.9 + 0.1 * k, -0.6 + 0.13 * k), (-0.75 + 0.1 * k, -0.5 + 0.13 * k)], c.accent, 0.09
        )
    c.rect(-0.15, 0.22, 0.8, 0.33, c.accent)
    for x in (-0.4, 0.7):
        c.line([(x, 0.35), (x + 0.08, 0.85)], tone, 0.06)
    c.line([(-0.6, 0.85), (-0.2, 0.3)], tone, 0.05)


def flower_pot(c: Canvas) -> None:
    """Pots and planters, empty or planted."""
    rng = c.rng
    tone = rng.pick(((190, 104, 70), c.main, GREY, (60, 62, 64)))
    if rng.chance(0.65):
        for _ in range(rng.integer(6, 14)):
            leaf(
                c,
                rng.between(-0.3, 0.3),
                0.05,
                rng.between(0.4, 1.0),
                rng.between(-60, 60),
                hsv(rng.between(0.22, 0.38), 0.7, 0.55),
            )
    if rng.chance(0.4):
        c.cuboid(-0.8, 0.1, 0.6, 0.8, 0.25, tone)
    else:
        c.poly([(-0.55, 0.0), (0.55, 0.0), (0.36, 0.92), (-0.36, 0.92)], tone)
        c.poly([(-0.55, 0.0), (-0.25, 0.0), (-0.16, 0.92), (-0.36, 0.92)], shade(tone, 1.15))
        c.rect(-0.62, -0.08, 0.62, 0.12, shade(tone, 0.9))


def pool(c: Canvas) -> None:
    """A pool above the ground, round, oval or with wooden sides; a spa."""
    rng = c.rng
    side = rng.pick(((230, 232, 236), WOOD, (120, 150, 180), c.main))
    ry = rng.between(0.25, 0.4)
    low = rng.between(0.2, 0.45)
    c.disc(0, low, 0.95, shade(side, 0.8), ry)
    c.rect(-0.95, -0.05, 0.95, low, side)
    c.stripes(-0.95, -0.05, 0.95, low + 0.6 * ry, rng.integer(7, 14), shade(side, 0.85), 0.25)
    c.disc(0, -0.05, 0.97, (240, 242, 244), ry + 0.03)
    c.disc(0, -0.04, 0.88, shade(WATER, 0.9), ry - 0.03)
    c.disc(0, 0.0, 0.8, WATER, ry - 0.08)
    for _ in range(rng.integer(2, 6)):
        x, y = rng.between(-0.55, 0.4), rng.between(-0.1, 0.1)
        c.line([(x, y), (x + 0.15, y - 0.02), (x + 0.28, y)], (190, 230, 245), 0.025)
    if rng.chance(0.5):
        for x in (0.45, 0.65):
            c.line([(x, -0.55), (x, low + 0.3)], STEEL, 0.04)
        for k in range(5):
            c.line([(0.45, -0.35 + 0.2 * k), (0.65, -0.35 + 0.2 * k)], STEEL, 0.04)


def pool_plan(c: Canvas) -> None:
    """A pool from above: water, an edge, a cover."""
    rng = c.rng
    c.block(-0.97, -0.65, 0.97, 0.65, rng.pick(((224, 216, 200), WOOD, (200, 204, 208))), 0.1)
    c.block(-0.82, -0.5, 0.82, 0.5, shade(WATER, 0.85), rng.pick((0.05, 0.3)))
    for k in range(14):
        x, y = -0.7 + 0.22 * (k % 7), -0.35 + 0.45 * (k // 7) + rng.between(-0.1, 0.1)
        c.line([(x, y), (x + 0.1, y - 0.06), (x + 0.2, y)], (150, 215, 240), 0.03)
    if rng.chance(0.4):
        c.rect(
            -0.82,
            -0.5,
            rng.between(-0.3, 0.5),
            0.5,
            rng.pick(((40, 90, 170), (60, 150, 200), BLACK)),
        )


def pump(c: Canvas) -> None:
    """A filter with its pump, or a heat pump."""
    rng = c.rng
    if rng.chance(0.35):
        c.cuboid(-0.8, -0.55, 0.6, 0.6, 0.25, rng.pick(((226, 228, 230), (90, 94, 100), c.main)))
        c.disc(-0.25, 0.0, 0.45, (50, 52, 56))
        for k in range(4):
            c.ring(-0.25, 0.0, 0.1 + 0.1 * k, 0.02, STEEL)
        c.rect(0.3, -0.4, 0.52, -0.2, (40, 60, 80))
        return
    tone = rng.pick(((230, 232, 230), (60, 62, 68), c.main, (40, 90, 160)))
    c.disc(-0.25, 0.1, 0.52, shade(tone, 0.85), 0.6)
    c.disc(-0.3, 0.0, 0.44, tone, 0.48)
    c.block(-0.4, -0.85, -0.1, -0.45, (50, 52, 56), 0.06)
    c.line([(-0.55, -0.65), (0.05, -0.65)], (50, 52, 56), 0.09)
    c.block(0.2, 0.3, 0.95, 0.75, (60, 62, 68), 0.08)
    c.stripes(0.4, 0.3, 0.95, 0.75, 6, (90, 94, 98), 0.4)
    c.line([(0.1, -0.6), (0.5, -0.4), (0.5, 0.3)], (210, 212, 214), 0.1)
    c.rect(-0.7, 0.7, 0.9, 0.85, (70, 72, 76))


def bucket(c: Canvas) -> None:
    """Pool chemicals: a bucket, a can or a bottle with a blue label."""
    rng = c.rng
    tone = rng.pick(((236, 238, 240), (40, 100, 180), c.main, (240, 240, 232)))
    if rng.chance(0.5):
        c.poly([(-0.62, -0.6), (0.62, -0.6), (0.52, 0.92), (-0.52, 0.92)], tone)
        c.poly([(-0.62, -0.6), (-0.4, -0.6), (-0.34, 0.92), (-0.52, 0.92)], shade(tone, 0.85))
        c.block(-0.68, -0.78, 0.68, -0.55, shade(rng.pick((tone, (40, 100, 180))), 0.9), 0.06)
    else:
        c.block(-0.52, -0.6, 0.52, 0.94, tone, 0.14)
        c.rect(-0.16, -0.88, 0.16, -0.58, rng.pick(((200, 40, 40), (40, 100, 180), BLACK)))
        c.block(0.2, -0.5, 0.44, -0.1, c.ground, 0.1)
    c.rect(-0.48, -0.05, 0.48, 0.75, rng.pick(((40, 110, 190), (60, 170, 200), c.accent)))
    c.words(-0.4, 0.05, 0.42, 0.17, (245, 246, 248), 0.2)
    c.disc(0.2, 0.52, 0.14, (200, 235, 248))
    c.lines(-0.42, 0.35, 0.0, 0.7, 4, (225, 236, 244))


def pool_fitting(c: Canvas) -> None:
    """A pool robot, a skimmer, a nozzle, a hose, a ladder."""
    rng = c.rng
    kind = rng.integer(0, 4)
    white = (232, 234, 236)
    if kind == 0:
        tone = rng.pick((c.main, (40, 100, 180), (60, 62, 68)))
        c.block(-0.8, -0.35, 0.8, 0.4, tone, 0.25)
        c.block(-0.45, -0.6, 0.45, -0.1, shade(tone, 1.2), 0.2)
        for x in (-0.95, 0.7):
            c.block(x, -0.1, x + 0.26, 0.7, (44, 46, 50), 0.12)
        c.line([(0.2, -0.55), (0.6, -0.9), (0.95, -0.8)], (60, 130, 190), 0.05)
    elif kind == 1:
        c.block(-0.8, -0.8, 0.6, 0.2, white, 0.06)
        c.block(-0.62, -0.62, 0.42, 0.02, shade(white, 0.6), 0.04)
        c.tube(-0.3, 0.2, 0.3, 0.9, shade(white, 0.92))
    elif kind == 2:
        c.disc(0, 0, 0.9, shade(white, 0.85))
        c.disc(-0.03, -0.03, 0.84, white)
        c.disc(0, 0, 0.5, shade(white, 0.75))
        for k in range(8):
            c.disc(0.67 * math.cos(k * 0.785), 0.67 * math.sin(k * 0.785), 0.05, GREY)
        c.disc(0, 0, 0.26, rng.pick(((50, 54, 60), WATER)))
    elif kind == 3:
        tone = rng.pick(((60, 130, 190), white, (60, 62, 68), (70, 150, 80)))
        for k in range(rng.integer(4, 6)):
            c.ring(0, 0, 0.9 - 0.13 * k, 0.1, shade(tone, 0.8 + 0.07 * (k % 3)), 0.75 - 0.1 * k)
    else:
        for x in (-0.4, 0.4):
            c.line([(x, 0.95), (x, -0.5)], STEEL, 0.08)
            c.arc(x + 0.2, -0.5, 0.2, 180, 360, STEEL, 0.08, 0.4)
        for k in range(rng.integer(3, 4)):
            c.rect(-0.4, -0.15 + 0.32 * k, 0.4, -0.07 + 0.32 * k, white)


def mower(c: Canvas) -> None:
    """A mower, a blower or a pressure washer on wheels."""
    rng = c.rng
    tone = rng.pick((c.main, (220, 90, 30), (50, 130, 60), (200, 40, 40), (236, 200, 40)))
    c.line([(-0.95, -0.85), (0.0, 0.3)], (54, 56, 60), 0.06)
    c.line([(-0.95, -0.85), (-0.7, -0.9)], (54, 56, 60), 0.06)
    c.poly([(-0.7, -0.2), (-0.15, 0.0), (-0.2, 0.55), (-0.75, 0.5)], (60, 62, 66))
    c.block(-0.3, 0.1, 0.9, 0.6, tone, 0.15)
    c.block(0.0, -0.25, 0.6, 0.2, (60, 62, 66), 0.1)
    c.block(0.1, -0.4, 0.45, -0.15, shade(tone, 1.1), 0.06)
    for x, r in ((-0.2, 0.26), (0.72, 0.2)):
        c.disc(x, 0.66, r, (40, 40, 44))
        c.disc(x, 0.66, 0.5 * r, GREY)


def hand_tool(c: Canvas) -> None:
    """Shears, a drill, a saw, spanners, a rake."""
    rng = c.rng
    grip = rng.pick((c.main, (220, 90, 30), (50, 130, 60), (200, 40, 40), BLACK))
    kind = rng.integer(0, 4)
    if kind == 0:
        for side in (-1, 1):
            c.poly(
                [(0, 0.05), (side * 0.12, -0.9), (side * 0.02, -0.95), (-side * 0.08, 0.0)], STEEL
            )
            c.line([(0, 0.05), (-side * 0.35, 0.9)], grip, 0.14)
        c.disc(0, 0.05, 0.09, (70, 72, 76))
    elif kind == 1:
        c.block(-0.6, -0.6, 0.45, -0.1, grip, 0.12)
        c.poly([(-0.45, -0.12), (-0.05, -0.12), (0.0, 0.7), (-0.4, 0.7)], shade(grip, 0.8))
        c.block(-0.55, 0.6, 0.15, 0.9, (50, 52, 56), 0.06)
        c.tube(0.45, -0.48, 0.68, -0.22, (70, 72, 76))
        c.line([(0.68, -0.35), (0.97, -0.35)], STEEL, 0.05)
    elif kind == 2:
        teeth = [(-0.35 + 0.1 * k, 0.25 - 0.05 * k + 0.1 * (k % 2)) for k in range(14)]
        c.poly([(-0.35, -0.2), (0.95, -0.35), *reversed(teeth)], STEEL)
        c.block(-0.95, -0.3, -0.3, 0.45, grip, 0.18)
        c.block(-0.78, -0.12, -0.5, 0.25, c.ground, 0.1)
    elif kind == 3:
        for k in range(rng.integer(1, 6)):
            x = -0.8 + 0.3 * k
            c.line([(x, -0.6), (x, 0.65)], STEEL, 0.11)
            c.disc(x, -0.7, 0.14, STEEL)
            c.disc(x, -0.78, 0.08, c.ground)
            c.ring(x, 0.75, 0.1, 0.06, STEEL)
    else:
        c.line([(-0.05, 0.95), (0.05, -0.3)], rng.pick((WOOD, grip)), 0.07)
        c.rect(-0.5, -0.4, 0.6, -0.3, grip)
        for k in range(9):
            c.line([(-0.46 + 0.125 * k, -0.35), (-0.55 + 0.145 * k, -0.9)], (80, 82, 86), 0.035)


def hose(c: Canvas) -> None:
    """A coiled garden hose or a strap."""
    rng = c.rng
    tone = rng.pick(((60, 140, 70), (220, 180, 40), c.main, (60, 62, 66)))
    for k in range(rng.integer(4, 6)):
        c.ring(
            0.02 * k,
            0.02 * k,
            0.88 - 0.09 * k,
            0.075,
            shade(tone, 0.75 + 0.08 * (k % 4)),
            0.8 - 0.08 * k,
        )
    c.line([(0.6, 0.5), (0.9, 0.9)], tone, 0.08)
    c.block(0.78, 0.78, 0.99, 0.99, c.accent, 0.05)
