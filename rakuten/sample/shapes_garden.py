"""Shape programs: garden, pool and tools."""

import math

from rakuten.sample.brush import BLACK, Brush, hsv, shade
from rakuten.sample.motifs import GREY, STEEL, WOOD, leaf, wood

WATER = (90, 180, 220)


def parasol(b: Brush) -> None:
    """A parasol, a pergola or an awning."""
    d = b.draws
    kind = d.integer(0, 2)
    if kind == 0:
        b.rect(-0.03, -0.7, 0.03, 0.85, STEEL)
        for k in range(6):
            x = -0.95 + 1.9 * k / 6
            b.poly(
                [(0, -0.92), (x, -0.25), (x + 1.9 / 6, -0.25)],
                shade((b.main, b.light)[k % 2], 0.9 + 0.03 * k),
            )
        b.disc(0, 0.88, 0.3, GREY, 0.08)
    elif kind == 1:
        post = wood(b)
        for x in (-0.85, 0.55):
            b.rect(x, -0.45, x + 0.07, 0.85, post)
        for x in (-0.5, 0.85):
            b.rect(x, -0.6, x + 0.06, 0.55, shade(post, 0.7))
        b.poly([(-0.9, -0.45), (0.65, -0.45), (0.97, -0.68), (-0.5, -0.68)], b.main)
        b.poly([(-0.9, -0.45), (0.65, -0.45), (0.65, -0.35), (-0.9, -0.35)], shade(b.main, 0.7))
    else:
        b.rect(-0.9, -0.6, 0.9, -0.48, (230, 230, 232))
        count = 9
        for k in range(count):
            x = -0.9 + 1.8 * k / count
            b.poly(
                [
                    (x, -0.48),
                    (x + 1.8 / count, -0.48),
                    (1.1 * (x + 1.8 / count), 0.3),
                    (1.1 * x, 0.3),
                ],
                (b.main, b.light)[k % 2],
            )
        b.rect(-0.98, 0.3, 0.98, 0.38, shade(b.main, 0.7))


def garden_seat(b: Brush) -> None:
    """A garden chair, a bench or a deck chair of slats."""
    d = b.draws
    tone = d.pick((wood(b), (70, 74, 78), b.main))
    if d.chance(0.5):
        for x in (-0.8, 0.7):
            b.rect(x, -0.1, x + 0.09, 0.85, shade(tone, 0.8))
        b.bars(-0.8, -0.75, 0.8, 0.0, 5, tone, 0.7)
        b.bars(-0.88, 0.1, 0.88, 0.4, 3, shade(tone, 1.1), 0.75)
        return
    b.line([(-0.95, -0.55), (-0.2, 0.35), (0.85, 0.35)], tone, 0.06)
    for k in range(7):
        b.line(
            [(-0.9 + 0.1 * k, -0.6 + 0.13 * k), (-0.75 + 0.1 * k, -0.5 + 0.13 * k)], b.accent, 0.09
        )
    b.rect(-0.15, 0.22, 0.8, 0.33, b.accent)
    for x in (-0.4, 0.7):
        b.line([(x, 0.35), (x + 0.08, 0.85)], tone, 0.06)
    b.line([(-0.6, 0.85), (-0.2, 0.3)], tone, 0.05)


def flower_pot(b: Brush) -> None:
    """Pots and planters, empty or planted."""
    d = b.draws
    tone = d.pick(((190, 104, 70), b.main, GREY, (60, 62, 64)))
    if d.chance(0.65):
        for _ in range(d.integer(6, 14)):
            leaf(
                b,
                d.between(-0.3, 0.3),
                0.05,
                d.between(0.4, 1.0),
                d.between(-60, 60),
                hsv(d.between(0.22, 0.38), 0.7, 0.55),
            )
    if d.chance(0.4):
        b.cuboid(-0.8, 0.1, 0.6, 0.8, 0.25, tone)
    else:
        b.poly([(-0.55, 0.0), (0.55, 0.0), (0.36, 0.92), (-0.36, 0.92)], tone)
        b.poly([(-0.55, 0.0), (-0.25, 0.0), (-0.16, 0.92), (-0.36, 0.92)], shade(tone, 1.15))
        b.rect(-0.62, -0.08, 0.62, 0.12, shade(tone, 0.9))


def pool(b: Brush) -> None:
    """A pool above the ground, round, oval or with wooden sides; a spa."""
    d = b.draws
    side = d.pick(((230, 232, 236), WOOD, (120, 150, 180), b.main))
    ry = d.between(0.25, 0.4)
    low = d.between(0.2, 0.45)
    b.disc(0, low, 0.95, shade(side, 0.8), ry)
    b.rect(-0.95, -0.05, 0.95, low, side)
    b.stripes(-0.95, -0.05, 0.95, low + 0.6 * ry, d.integer(7, 14), shade(side, 0.85), 0.25)
    b.disc(0, -0.05, 0.97, (240, 242, 244), ry + 0.03)
    b.disc(0, -0.04, 0.88, shade(WATER, 0.9), ry - 0.03)
    b.disc(0, 0.0, 0.8, WATER, ry - 0.08)
    for _ in range(d.integer(2, 6)):
        x, y = d.between(-0.55, 0.4), d.between(-0.1, 0.1)
        b.line([(x, y), (x + 0.15, y - 0.02), (x + 0.28, y)], (190, 230, 245), 0.025)
    if d.chance(0.5):
        for x in (0.45, 0.65):
            b.line([(x, -0.55), (x, low + 0.3)], STEEL, 0.04)
        for k in range(5):
            b.line([(0.45, -0.35 + 0.2 * k), (0.65, -0.35 + 0.2 * k)], STEEL, 0.04)


def pool_plan(b: Brush) -> None:
    """A pool from above: water, an edge, a cover."""
    d = b.draws
    b.block(-0.97, -0.65, 0.97, 0.65, d.pick(((224, 216, 200), WOOD, (200, 204, 208))), 0.1)
    b.block(-0.82, -0.5, 0.82, 0.5, shade(WATER, 0.85), d.pick((0.05, 0.3)))
    for k in range(14):
        x, y = -0.7 + 0.22 * (k % 7), -0.35 + 0.45 * (k // 7) + d.between(-0.1, 0.1)
        b.line([(x, y), (x + 0.1, y - 0.06), (x + 0.2, y)], (150, 215, 240), 0.03)
    if d.chance(0.4):
        b.rect(
            -0.82, -0.5, d.between(-0.3, 0.5), 0.5, d.pick(((40, 90, 170), (60, 150, 200), BLACK))
        )


def pump(b: Brush) -> None:
    """A filter with its pump, or a heat pump."""
    d = b.draws
    if d.chance(0.35):
        b.cuboid(-0.8, -0.55, 0.6, 0.6, 0.25, d.pick(((226, 228, 230), (90, 94, 100), b.main)))
        b.disc(-0.25, 0.0, 0.45, (50, 52, 56))
        for k in range(4):
            b.ring(-0.25, 0.0, 0.1 + 0.1 * k, 0.02, STEEL)
        b.rect(0.3, -0.4, 0.52, -0.2, (40, 60, 80))
        return
    tone = d.pick(((230, 232, 230), (60, 62, 68), b.main, (40, 90, 160)))
    b.disc(-0.25, 0.1, 0.52, shade(tone, 0.85), 0.6)
    b.disc(-0.3, 0.0, 0.44, tone, 0.48)
    b.block(-0.4, -0.85, -0.1, -0.45, (50, 52, 56), 0.06)
    b.line([(-0.55, -0.65), (0.05, -0.65)], (50, 52, 56), 0.09)
    b.block(0.2, 0.3, 0.95, 0.75, (60, 62, 68), 0.08)
    b.stripes(0.4, 0.3, 0.95, 0.75, 6, (90, 94, 98), 0.4)
    b.line([(0.1, -0.6), (0.5, -0.4), (0.5, 0.3)], (210, 212, 214), 0.1)
    b.rect(-0.7, 0.7, 0.9, 0.85, (70, 72, 76))


def bucket(b: Brush) -> None:
    """Pool chemicals: a bucket, a can or a bottle with a blue label."""
    d = b.draws
    tone = d.pick(((236, 238, 240), (40, 100, 180), b.main, (240, 240, 232)))
    if d.chance(0.5):
        b.poly([(-0.62, -0.6), (0.62, -0.6), (0.52, 0.92), (-0.52, 0.92)], tone)
        b.poly([(-0.62, -0.6), (-0.4, -0.6), (-0.34, 0.92), (-0.52, 0.92)], shade(tone, 0.85))
        b.block(-0.68, -0.78, 0.68, -0.55, shade(d.pick((tone, (40, 100, 180))), 0.9), 0.06)
    else:
        b.block(-0.52, -0.6, 0.52, 0.94, tone, 0.14)
        b.rect(-0.16, -0.88, 0.16, -0.58, d.pick(((200, 40, 40), (40, 100, 180), BLACK)))
        b.block(0.2, -0.5, 0.44, -0.1, b.ground, 0.1)
    b.rect(-0.48, -0.05, 0.48, 0.75, d.pick(((40, 110, 190), (60, 170, 200), b.accent)))
    b.words(-0.4, 0.05, 0.42, 0.17, (245, 246, 248), 0.2)
    b.disc(0.2, 0.52, 0.14, (200, 235, 248))
    b.lines(-0.42, 0.35, 0.0, 0.7, 4, (225, 236, 244))


def pool_fitting(b: Brush) -> None:
    """A pool robot, a skimmer, a nozzle, a hose, a ladder."""
    d = b.draws
    kind = d.integer(0, 4)
    white = (232, 234, 236)
    if kind == 0:
        tone = d.pick((b.main, (40, 100, 180), (60, 62, 68)))
        b.block(-0.8, -0.35, 0.8, 0.4, tone, 0.25)
        b.block(-0.45, -0.6, 0.45, -0.1, shade(tone, 1.2), 0.2)
        for x in (-0.95, 0.7):
            b.block(x, -0.1, x + 0.26, 0.7, (44, 46, 50), 0.12)
        b.line([(0.2, -0.55), (0.6, -0.9), (0.95, -0.8)], (60, 130, 190), 0.05)
    elif kind == 1:
        b.block(-0.8, -0.8, 0.6, 0.2, white, 0.06)
        b.block(-0.62, -0.62, 0.42, 0.02, shade(white, 0.6), 0.04)
        b.tube(-0.3, 0.2, 0.3, 0.9, shade(white, 0.92))
    elif kind == 2:
        b.disc(0, 0, 0.9, shade(white, 0.85))
        b.disc(-0.03, -0.03, 0.84, white)
        b.disc(0, 0, 0.5, shade(white, 0.75))
        for k in range(8):
            b.disc(0.67 * math.cos(k * 0.785), 0.67 * math.sin(k * 0.785), 0.05, GREY)
        b.disc(0, 0, 0.26, d.pick(((50, 54, 60), WATER)))
    elif kind == 3:
        tone = d.pick(((60, 130, 190), white, (60, 62, 68), (70, 150, 80)))
        for k in range(d.integer(4, 6)):
            b.ring(0, 0, 0.9 - 0.13 * k, 0.1, shade(tone, 0.8 + 0.07 * (k % 3)), 0.75 - 0.1 * k)
    else:
        for x in (-0.4, 0.4):
            b.line([(x, 0.95), (x, -0.5)], STEEL, 0.08)
            b.arc(x + 0.2, -0.5, 0.2, 180, 360, STEEL, 0.08, 0.4)
        for k in range(d.integer(3, 4)):
            b.rect(-0.4, -0.15 + 0.32 * k, 0.4, -0.07 + 0.32 * k, white)


def mower(b: Brush) -> None:
    """A mower, a blower or a pressure washer on wheels."""
    d = b.draws
    tone = d.pick((b.main, (220, 90, 30), (50, 130, 60), (200, 40, 40), (236, 200, 40)))
    b.line([(-0.95, -0.85), (0.0, 0.3)], (54, 56, 60), 0.06)
    b.line([(-0.95, -0.85), (-0.7, -0.9)], (54, 56, 60), 0.06)
    b.poly([(-0.7, -0.2), (-0.15, 0.0), (-0.2, 0.55), (-0.75, 0.5)], (60, 62, 66))
    b.block(-0.3, 0.1, 0.9, 0.6, tone, 0.15)
    b.block(0.0, -0.25, 0.6, 0.2, (60, 62, 66), 0.1)
    b.block(0.1, -0.4, 0.45, -0.15, shade(tone, 1.1), 0.06)
    for x, r in ((-0.2, 0.26), (0.72, 0.2)):
        b.disc(x, 0.66, r, (40, 40, 44))
        b.disc(x, 0.66, 0.5 * r, GREY)


def hand_tool(b: Brush) -> None:
    """Shears, a drill, a saw, spanners, a rake."""
    d = b.draws
    grip = d.pick((b.main, (220, 90, 30), (50, 130, 60), (200, 40, 40), BLACK))
    kind = d.integer(0, 4)
    if kind == 0:
        for side in (-1, 1):
            b.poly(
                [(0, 0.05), (side * 0.12, -0.9), (side * 0.02, -0.95), (-side * 0.08, 0.0)], STEEL
            )
            b.line([(0, 0.05), (-side * 0.35, 0.9)], grip, 0.14)
        b.disc(0, 0.05, 0.09, (70, 72, 76))
    elif kind == 1:
        b.block(-0.6, -0.6, 0.45, -0.1, grip, 0.12)
        b.poly([(-0.45, -0.12), (-0.05, -0.12), (0.0, 0.7), (-0.4, 0.7)], shade(grip, 0.8))
        b.block(-0.55, 0.6, 0.15, 0.9, (50, 52, 56), 0.06)
        b.tube(0.45, -0.48, 0.68, -0.22, (70, 72, 76))
        b.line([(0.68, -0.35), (0.97, -0.35)], STEEL, 0.05)
    elif kind == 2:
        teeth = [(-0.35 + 0.1 * k, 0.25 - 0.05 * k + 0.1 * (k % 2)) for k in range(14)]
        b.poly([(-0.35, -0.2), (0.95, -0.35), *reversed(teeth)], STEEL)
        b.block(-0.95, -0.3, -0.3, 0.45, grip, 0.18)
        b.block(-0.78, -0.12, -0.5, 0.25, b.ground, 0.1)
    elif kind == 3:
        for k in range(d.integer(1, 6)):
            x = -0.8 + 0.3 * k
            b.line([(x, -0.6), (x, 0.65)], STEEL, 0.11)
            b.disc(x, -0.7, 0.14, STEEL)
            b.disc(x, -0.78, 0.08, b.ground)
            b.ring(x, 0.75, 0.1, 0.06, STEEL)
    else:
        b.line([(-0.05, 0.95), (0.05, -0.3)], d.pick((WOOD, grip)), 0.07)
        b.rect(-0.5, -0.4, 0.6, -0.3, grip)
        for k in range(9):
            b.line([(-0.46 + 0.125 * k, -0.35), (-0.55 + 0.145 * k, -0.9)], (80, 82, 86), 0.035)


def hose(b: Brush) -> None:
    """A coiled garden hose or a strap."""
    d = b.draws
    tone = d.pick(((60, 140, 70), (220, 180, 40), b.main, (60, 62, 66)))
    for k in range(d.integer(4, 6)):
        b.ring(
            0.02 * k,
            0.02 * k,
            0.88 - 0.09 * k,
            0.075,
            shade(tone, 0.75 + 0.08 * (k % 4)),
            0.8 - 0.08 * k,
        )
    b.line([(0.6, 0.5), (0.9, 0.9)], tone, 0.08)
    b.block(0.78, 0.78, 0.99, 0.99, b.accent, 0.05)
