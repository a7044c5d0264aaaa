"""Shapes: toys, models and sport."""

import math

from rakuten.sample.canvas import BLACK, Canvas, blend, hsv, shade
from rakuten.sample.motifs import GREY, SKIN, STEEL, WOOD, wood


def plush(c: Canvas) -> None:
    """A soft animal: round body and head, ears, paws."""
    rng = c.rng
    fur = rng.pick(((190, 140, 90), (226, 200, 170), (240, 170, 190), GREY, c.main))
    inner = blend(fur, (250, 240, 225), 0.6)
    long_ears = rng.chance(0.35)
    for side in (-1, 1):
        c.disc(side * 0.42, 0.75, 0.24, shade(fur, 0.9), 0.2)
        c.disc(side * 0.55, 0.25, 0.18, shade(fur, 0.92), 0.32)
        c.disc(side * (0.22 if long_ears else 0.38), -0.82, 0.12 if long_ears else 0.19,
               shade(fur, 0.85), 0.3 if long_ears else 0.19)  # fmt: skip
    c.ball(0, 0.38, 0.52, fur, 0.55)
    c.disc(0, 0.42, 0.3, inner, 0.34)
    c.ball(0, -0.42, 0.47, fur, 0.42)
    c.disc(0, -0.28, 0.2, inner, 0.15)
    c.disc(0, -0.35, 0.06, BLACK, 0.045)
    for side in (-1, 1):
        c.disc(side * 0.17, -0.5, 0.05, BLACK)
    if rng.chance(0.4):
        c.rect(-0.3, -0.06, 0.3, 0.06, c.accent)


def vehicle(c: Canvas) -> None:
    """A toy or model car, lorry or tractor from the side."""
    rng = c.rng
    wheel = rng.between(0.16, 0.32)
    c.block(-0.95, -0.15, 0.95, 0.4, c.main, 0.14)
    roof = rng.between(0.3, 0.55)
    c.poly([(-0.6, -0.14), (-0.42, -roof), (0.35, -roof), (0.65, -0.14)], shade(c.main, 0.9))
    c.poly(
        [(-0.5, -0.16), (-0.37, 0.05 - roof), (-0.05, 0.05 - roof), (-0.05, -0.16)], (170, 205, 225)
    )
    c.poly(
        [(0.02, -0.16), (0.02, 0.05 - roof), (0.31, 0.05 - roof), (0.52, -0.16)], (170, 205, 225)
    )
    c.rect(-0.95, 0.1, 0.95, 0.18, c.accent)
    for x in (-0.55, 0.55):
        c.disc(x, 0.45, wheel, (40, 40, 44))
        c.disc(x, 0.45, 0.55 * wheel, STEEL)
        c.disc(x, 0.45, 0.2 * wheel, c.accent)
    c.disc(0.9, 0.05, 0.06, (250, 230, 120))


def blocks(c: Canvas) -> None:
    """Bright blocks, rings or shapes of wood or plastic."""
    rng = c.rng
    if rng.chance(0.4):
        for k in range(5):
            w = 0.8 - 0.13 * k
            c.block(-w, 0.6 - 0.28 * k, w, 0.86 - 0.28 * k, hsv(0.0 + k / 6, 0.8, 0.95), 0.13)
        c.ball(0, -0.62, 0.2, c.main)
        return
    for k in range(rng.integer(5, 10)):
        x, y = -0.7 + (k % 4) * 0.42, 0.5 - (k // 4) * 0.5
        tone = hsv(rng.unit(), 0.8, 0.95)
        if rng.chance(0.7):
            c.cuboid(x, y, x + 0.38, y + 0.38, 0.14, tone)
            c.words(x + 0.1, y + 0.08, x + 0.3, 0.22, (250, 250, 250), 0.2)
        else:
            c.ball(x + 0.2, y + 0.2, 0.2, tone)


def doll(c: Canvas) -> None:
    """A doll or a toy robot."""
    rng = c.rng
    if rng.chance(0.5):
        c.poly([(-0.2, -0.3), (0.2, -0.3), (0.6, 0.6), (-0.6, 0.6)], c.main)
        for side in (-1, 1):
            c.line([(side * 0.18, -0.25), (side * 0.5, 0.15)], SKIN, 0.09)
            c.line([(side * 0.15, 0.6), (side * 0.15, 0.92)], SKIN, 0.09)
        hair = rng.pick(((214, 176, 90), (110, 70, 40), (220, 120, 160)))
        c.disc(0, -0.55, 0.4, hair, 0.45)
        c.disc(0, -0.52, 0.28, SKIN, 0.31)
        for side in (-1, 1):
            c.disc(side * 0.1, -0.54, 0.045, (60, 110, 180))
        c.arc(0, -0.45, 0.12, 20, 160, (200, 60, 80), 0.025)
        c.bars(-0.35, 0.2, 0.35, 0.5, 3, c.accent)
        return
    for side in (-1, 1):
        c.rect(side * 0.3 - 0.12, 0.45, side * 0.3 + 0.12, 0.9, shade(c.main, 0.7))
        c.rect(side * 0.6 - 0.1, -0.1, side * 0.6 + 0.1, 0.4, c.accent)
    c.block(-0.48, -0.2, 0.48, 0.5, c.main, 0.1)
    c.block(-0.35, -0.8, 0.35, -0.25, shade(c.main, 1.15), 0.1)
    for side in (-1, 1):
        c.disc(side * 0.15, -0.55, 0.1, (250, 230, 90))
    c.rect(-0.2, -0.38, 0.2, -0.32, BLACK)
    c.dots(-0.35, -0.05, 0.35, 0.35, 5, (c.accent, c.light), 0.06)
    c.line([(0, -0.8), (0, -0.95)], STEEL, 0.04)


def pots(c: Canvas) -> None:
    """Pots of slime or dough in many colours."""
    rng = c.rng
    count = rng.pick((1, 2, 4, 6))
    for k in range(count):
        x = 0 if count == 1 else -0.55 + (k % 3) * 0.55
        y = 0.3 if count < 4 else -0.25 + (k // 3) * 0.85
        s = 1.6 if count == 1 else 0.72
        tone = hsv(rng.unit(), 0.7, 0.95)
        c.can(x - 0.3 * s, y - 0.35 * s, x + 0.3 * s, y + 0.3 * s, tone)
        c.disc(x, y - 0.38 * s, 0.26 * s, shade(tone, 1.15), 0.16 * s)


def drone(c: Canvas) -> None:
    """A quadcopter from above."""
    rng = c.rng
    body = rng.pick((BLACK, (226, 228, 232), (70, 72, 78), c.main))
    s = rng.between(0.55, 0.68)
    for x, y in ((-s, -s), (s, -s), (-s, s), (s, s)):
        c.line([(0, 0), (x, 0.75 * y)], shade(body, 0.8), 0.1)
    for x, y in ((-s, -s), (s, -s), (-s, s), (s, s)):
        a = rng.between(0, 3.14)
        u, v = 0.33 * math.cos(a), 0.33 * math.sin(a)
        c.line([(x - u, 0.75 * y - v), (x + u, 0.75 * y + v)], (90, 92, 96), 0.06)
        c.disc(x, 0.75 * y, 0.1, shade(body, 0.7))
        if rng.chance(0.5):
            c.ring(x, 0.75 * y, 0.34, 0.035, shade(body, 0.9))
    c.block(-0.3, -0.36, 0.3, 0.36, body, 0.15)
    c.disc(0, 0.25, 0.11, (40, 44, 60))
    c.rect(-0.15, -0.2, 0.15, -0.08, c.accent)


def parts(c: Canvas) -> None:
    """Spare parts: gears, wheels, a motor, screws, a propeller."""
    rng = c.rng
    kind = rng.integer(0, 3)
    metal = rng.pick((STEEL, (70, 72, 78), c.main, (196, 150, 60)))
    if kind == 0:
        for x, y, r in ((-0.4, -0.3, 0.5), (0.45, 0.35, 0.42))[: rng.integer(1, 2)]:
            teeth = rng.integer(10, 18)
            c.poly([(x + r * (1 if k % 4 < 2 else 0.84) * math.cos(k * math.pi / teeth / 2),
                     y + r * (1 if k % 4 < 2 else 0.84) * math.sin(k * math.pi / teeth / 2))
                    for k in range(4 * teeth)], metal)  # fmt: skip
            c.disc(x, y, 0.55 * r, shade(metal, 0.8))
            c.disc(x, y, 0.2 * r, c.ground)
    elif kind == 1:
        for x, y in ((-0.48, -0.45), (0.48, -0.45), (-0.48, 0.48), (0.48, 0.48))[
            : rng.pick((1, 2, 4))
        ]:
            c.disc(x, y, 0.44, (44, 44, 48))
            c.disc(x, y, 0.3, metal)
            for k in range(6):
                c.disc(
                    x + 0.2 * math.cos(k * 1.05),
                    y + 0.2 * math.sin(k * 1.05),
                    0.06,
                    shade(metal, 0.5),
                )
    elif kind == 2:
        c.tube(-0.5, -0.4, 0.5, 0.6, metal)
        c.rect(-0.1, -0.85, 0.1, -0.4, STEEL)
        c.bars(-0.5, -0.2, 0.5, 0.3, 4, shade(metal, 0.6))
        for k in range(3):
            c.line([(-0.3 + 0.3 * k, 0.6), (-0.5 + 0.3 * k, 0.95)], hsv(k / 3, 0.8, 0.7), 0.05)
    else:
        for k in range(rng.integer(2, 4)):
            y = -0.7 + 0.45 * k
            c.poly(
                [
                    (-0.95, y),
                    (-0.1, y - 0.1),
                    (0.1, y + 0.05),
                    (0.95, y - 0.05),
                    (0.95, y + 0.08),
                    (0.1, y + 0.16),
                    (-0.1, y + 0.02),
                    (-0.95, y + 0.12),
                ],
                metal,
            )
            c.disc(0, y + 0.03, 0.09, c.accent)


def train(c: Canvas) -> None:
    """A model locomotive or wagon on a track."""
    rng = c.rng
    c.rect(-0.98, 0.5, 0.98, 0.55, STEEL)
    c.stripes(-0.98, 0.55, 0.98, 0.62, 14, (110, 80, 50))
    c.block(-0.92, -0.3, 0.92, 0.3, c.main, 0.08)
    c.rect(-0.92, 0.02, 0.92, 0.1, c.accent)
    if rng.chance(0.5):
        for k in range(5):
            c.rect(-0.8 + 0.34 * k, -0.2, -0.56 + 0.34 * k, -0.02, (170, 205, 225))
    else:
        c.rect(0.3, -0.65, 0.92, -0.3, shade(c.main, 0.8))
        c.tube(-0.7, -0.6, -0.5, -0.3, (50, 50, 54))
    for k in range(5):
        c.disc(-0.75 + 0.37 * k, 0.38, 0.13, (44, 44, 48))
        c.disc(-0.75 + 0.37 * k, 0.38, 0.05, STEEL)


def swing_set(c: Canvas) -> None:
    """A frame with swings and a slide."""
    rng = c.rng
    beam = rng.pick((WOOD, c.main, (60, 130, 70)))
    c.line([(-0.9, -0.7), (0.6, -0.7)], beam, 0.07)
    for x in (-0.9, 0.6):
        c.line([(x, -0.7), (x - 0.12, 0.85)], beam, 0.06)
        c.line([(x, -0.7), (x + 0.14, 0.85)], beam, 0.06)
    for x in (-0.55, -0.05):
        for side in (-0.1, 0.1):
            c.line([(x + side, -0.7), (x + side, 0.3)], GREY, 0.015)
        c.rect(x - 0.15, 0.3, x + 0.15, 0.36, c.accent)
    if rng.chance(0.7):
        c.poly([(0.45, -0.1), (0.6, -0.1), (0.98, 0.8), (0.8, 0.85)], hsv(rng.unit(), 0.8, 0.9))


def lure(c: Canvas) -> None:
    """Fishing lures with hooks."""
    rng = c.rng
    count = rng.pick((1, 1, 2, 4, 6))
    for k in range(count):
        y = 0 if count == 1 else -0.75 + 1.5 * k / (count - 1)
        h = 0.3 if count == 1 else 0.9 / count
        tone = hsv(rng.unit(), 0.7, 0.85)
        c.disc(-0.05, y, 0.75, tone, h)
        c.disc(-0.05, y + 0.35 * h, 0.62, shade(tone, 1.25), 0.5 * h)
        c.poly([(0.6, y), (0.95, y - h), (0.95, y + h)], shade(tone, 0.8))
        c.disc(-0.58, y - 0.2 * h, 0.3 * h, (250, 240, 120))
        c.disc(-0.58, y - 0.2 * h, 0.15 * h, BLACK)
        for x in (-0.35, 0.3):
            c.arc(x, y + 1.15 * h, 0.1, 0, 200, (80, 82, 86), 0.02)


def tent(c: Canvas) -> None:
    """A play tent, a garden house or a camping tent."""
    rng = c.rng
    if rng.chance(0.5):
        c.poly([(0, -0.85), (0.95, 0.75), (-0.95, 0.75)], c.main)
        c.poly([(0, -0.85), (0.95, 0.75), (0.45, 0.75)], shade(c.main, 0.75))
        c.poly([(-0.15, -0.2), (0.25, 0.75), (-0.5, 0.75)], shade(c.main, 0.4))
        c.line([(0, -0.85), (0, -0.97)], WOOD, 0.04)
        return
    c.rect(-0.8, -0.2, 0.8, 0.85, c.main)
    c.bars(-0.8, -0.2, 0.8, 0.85, 8, shade(c.main, 0.9), 0.1)
    c.poly([(-0.95, -0.2), (0, -0.9), (0.95, -0.2)], c.accent)
    c.rect(-0.25, 0.1, 0.25, 0.85, shade(c.main, 0.5))
    c.rect(0.4, 0.1, 0.65, 0.4, (190, 215, 230))


def ride(c: Canvas) -> None:
    """A scooter, a child's bike, or a bicycle light."""
    rng = c.rng
    if rng.chance(0.3):
        c.tube(-0.35, -0.5, 0.35, 0.8, (44, 46, 50))
        c.block(-0.5, -0.85, 0.5, -0.4, (60, 62, 68), 0.08)
        c.disc(0, -0.62, 0.28, (250, 245, 210), 0.2)
        c.rect(-0.2, 0.2, 0.2, 0.3, c.accent)
        return
    for x in (-0.6, 0.6):
        c.ring(x, 0.5, 0.34, 0.06, (44, 44, 48))
        for k in range(4):
            u, s = 0.32 * math.cos(k * 0.785), 0.32 * math.sin(k * 0.785)
            c.line([(x - u, 0.5 - s), (x + u, 0.5 + s)], STEEL, 0.012)
    frame = [(-0.6, 0.5), (-0.15, -0.1), (0.45, -0.1), (0.0, 0.5)]
    if rng.chance(0.4):
        frame = [(-0.6, 0.45), (0.4, 0.42)]
    c.line([*frame, frame[0]], c.main, 0.07)
    c.line([(0.6, 0.5), (0.42, -0.5)], c.main, 0.06)
    c.line([(0.25, -0.52), (0.6, -0.52)], (44, 44, 48), 0.07)
    if len(frame) == 4:
        c.block(-0.34, -0.25, 0.0, -0.15, (44, 44, 48), 0.04)


def balls(c: Canvas) -> None:
    """Balls, balloons, skittles, squeaky toys."""
    rng = c.rng
    single = ((0, 0, 0.92),)
    several = ((-0.45, -0.4, 0.44), (0.5, -0.35, 0.4), (0.0, 0.5, 0.42), (-0.65, 0.55, 0.26))
    for x, y, r in single if rng.chance(0.5) else several[: rng.integer(2, 4)]:
        tone = hsv(rng.unit(), 0.7, 0.92)
        c.ball(x, y, r, tone)
        if rng.chance(0.6):
            c.arc(x, y, 0.6 * r, 200, 340, c.light, 0.06)
            c.arc(x, y + 0.6 * r, 0.7 * r, 200, 340, c.dark, 0.04)


def socks(c: Canvas) -> None:
    """Pairs of socks or small shoes."""
    rng = c.rng
    count = rng.pick((1, 2, 3))
    for k in range(count):
        tone = hsv(rng.unit(), 0.5, 0.9)
        for side in (0, 1):
            x = -0.85 + k * 0.6 + side * 0.3 if count > 1 else -0.6 + side * 0.75
            z = 0.75 if count > 1 else 1.2
            c.poly(
                [
                    (x, -0.7),
                    (x + 0.24 * z, -0.7),
                    (x + 0.26 * z, 0.3),
                    (x + 0.5 * z, 0.45),
                    (x + 0.5 * z, 0.7),
                    (x + 0.1, 0.72),
                    (x, 0.4),
                ],
                shade(tone, 1 - 0.12 * side),
            )
            c.rect(x, -0.7, x + 0.24 * z, -0.55, c.light)
            c.bars(x, -0.4, x + 0.25 * z, 0.1, 3, c.accent)


def darts(c: Canvas) -> None:
    """Darts, cues, a target."""
    rng = c.rng
    kind = rng.integer(0, 2)
    if kind == 0:
        for k in range(10):
            tone = (BLACK, (230, 220, 190), (180, 40, 40), (40, 110, 60))[k % 4]
            c.disc(0, 0, 0.95 * (1 - k / 10), tone)
        for k in range(10):
            a = k * 0.628
            c.line(
                [(0.12 * math.cos(a), 0.12 * math.sin(a)), (0.8 * math.cos(a), 0.8 * math.sin(a))],
                STEEL,
                0.012,
            )
    elif kind == 1:
        for k in range(rng.integer(2, 4)):
            y = -0.6 + 0.42 * k
            c.line([(-0.95, y), (0.1, y)], STEEL, 0.03)
            c.line([(-0.6, y), (0.1, y)], (196, 150, 60), 0.08)
            c.line([(0.1, y), (0.5, y)], BLACK, 0.05)
            c.poly(
                [
                    (0.45, y),
                    (0.6, y - 0.17),
                    (0.95, y - 0.17),
                    (0.85, y),
                    (0.95, y + 0.17),
                    (0.6, y + 0.17),
                ],
                c.main,
            )
    else:
        for k in range(rng.integer(1, 3)):
            x = -0.15 + 0.2 * k
            c.line([(x - 0.5, 0.95), (x + 0.5, -0.95)], WOOD, 0.05)
            c.line([(x - 0.5, 0.95), (x - 0.1, 0.2)], c.dark, 0.065)
        for k in range(rng.integer(0, 5)):
            c.ball(-0.7 + 0.3 * k, 0.7, 0.13, hsv(k / 5, 0.85, 0.9))


def football_table(c: Canvas) -> None:
    """A table football or billiard table."""
    rng = c.rng
    frame = wood(c)
    felt = rng.pick(((30, 120, 60), (30, 90, 160), (150, 30, 40)))
    c.poly([(-0.7, -0.45), (0.7, -0.45), (0.95, 0.2), (-0.95, 0.2)], shade(frame, 1.1))
    c.poly([(-0.6, -0.38), (0.6, -0.38), (0.8, 0.12), (-0.8, 0.12)], felt)
    c.rect(-0.95, 0.2, 0.95, 0.45, frame)
    for x in (-0.8, 0.65):
        c.rect(x, 0.45, x + 0.15, 0.95, shade(frame, 0.75))
    if rng.chance(0.6):
        for k in range(5):
            x = -0.55 + 0.27 * k
            c.line([(x, -0.55), (1.25 * x, 0.3)], STEEL, 0.025)
            c.dots(1.1 * x - 0.06, -0.3, 1.1 * x + 0.06, 0.1, 3, (c.main, c.accent), 0.04)
    else:
        c.dots(-0.5, -0.3, 0.5, 0.1, 8, (c.main, c.accent, c.light), 0.045)
