"""Shape programs: toys, models, sport and things for small children."""

import math

from rakuten.sample.brush import BLACK, Brush, blend, hsv, shade
from rakuten.sample.motifs import GREY, PAPER, SKIN, STEEL, WOOD, wood


def plush(b: Brush) -> None:
    """A soft animal: round body and head, ears, paws."""
    d = b.draws
    fur = d.pick(((190, 140, 90), (226, 200, 170), (240, 170, 190), GREY, b.main))
    inner = blend(fur, (250, 240, 225), 0.6)
    long_ears = d.chance(0.35)
    for side in (-1, 1):
        b.disc(side * 0.42, 0.75, 0.24, shade(fur, 0.9), 0.2)
        b.disc(side * 0.55, 0.25, 0.18, shade(fur, 0.92), 0.32)
        b.disc(side * (0.22 if long_ears else 0.38), -0.82, 0.12 if long_ears else 0.19,
               shade(fur, 0.85), 0.3 if long_ears else 0.19)  # fmt: skip
    b.ball(0, 0.38, 0.52, fur, 0.55)
    b.disc(0, 0.42, 0.3, inner, 0.34)
    b.ball(0, -0.42, 0.47, fur, 0.42)
    b.disc(0, -0.28, 0.2, inner, 0.15)
    b.disc(0, -0.35, 0.06, BLACK, 0.045)
    for side in (-1, 1):
        b.disc(side * 0.17, -0.5, 0.05, BLACK)
    if d.chance(0.4):
        b.rect(-0.3, -0.06, 0.3, 0.06, b.accent)


def vehicle(b: Brush) -> None:
    """A toy or model car, lorry or tractor from the side."""
    d = b.draws
    wheel = d.between(0.16, 0.32)
    b.block(-0.95, -0.15, 0.95, 0.4, b.main, 0.14)
    roof = d.between(0.3, 0.55)
    b.poly([(-0.6, -0.14), (-0.42, -roof), (0.35, -roof), (0.65, -0.14)], shade(b.main, 0.9))
    b.poly(
        [(-0.5, -0.16), (-0.37, 0.05 - roof), (-0.05, 0.05 - roof), (-0.05, -0.16)], (170, 205, 225)
    )
    b.poly(
        [(0.02, -0.16), (0.02, 0.05 - roof), (0.31, 0.05 - roof), (0.52, -0.16)], (170, 205, 225)
    )
    b.rect(-0.95, 0.1, 0.95, 0.18, b.accent)
    for x in (-0.55, 0.55):
        b.disc(x, 0.45, wheel, (40, 40, 44))
        b.disc(x, 0.45, 0.55 * wheel, STEEL)
        b.disc(x, 0.45, 0.2 * wheel, b.accent)
    b.disc(0.9, 0.05, 0.06, (250, 230, 120))


def blocks(b: Brush) -> None:
    """Bright blocks, rings or shapes of wood or plastic."""
    d = b.draws
    if d.chance(0.4):
        for k in range(5):
            w = 0.8 - 0.13 * k
            b.block(-w, 0.6 - 0.28 * k, w, 0.86 - 0.28 * k, hsv(0.0 + k / 6, 0.8, 0.95), 0.13)
        b.ball(0, -0.62, 0.2, b.main)
        return
    for k in range(d.integer(5, 10)):
        x, y = -0.7 + (k % 4) * 0.42, 0.5 - (k // 4) * 0.5
        tone = hsv(d.unit(), 0.8, 0.95)
        if d.chance(0.7):
            b.cuboid(x, y, x + 0.38, y + 0.38, 0.14, tone)
            b.words(x + 0.1, y + 0.08, x + 0.3, 0.22, (250, 250, 250), 0.2)
        else:
            b.ball(x + 0.2, y + 0.2, 0.2, tone)


def doll(b: Brush) -> None:
    """A doll or a toy robot."""
    d = b.draws
    if d.chance(0.5):
        b.poly([(-0.2, -0.3), (0.2, -0.3), (0.6, 0.6), (-0.6, 0.6)], b.main)
        for side in (-1, 1):
            b.line([(side * 0.18, -0.25), (side * 0.5, 0.15)], SKIN, 0.09)
            b.line([(side * 0.15, 0.6), (side * 0.15, 0.92)], SKIN, 0.09)
        hair = d.pick(((214, 176, 90), (110, 70, 40), (220, 120, 160)))
        b.disc(0, -0.55, 0.4, hair, 0.45)
        b.disc(0, -0.52, 0.28, SKIN, 0.31)
        for side in (-1, 1):
            b.disc(side * 0.1, -0.54, 0.045, (60, 110, 180))
        b.arc(0, -0.45, 0.12, 20, 160, (200, 60, 80), 0.025)
        b.bars(-0.35, 0.2, 0.35, 0.5, 3, b.accent)
        return
    for side in (-1, 1):
        b.rect(side * 0.3 - 0.12, 0.45, side * 0.3 + 0.12, 0.9, shade(b.main, 0.7))
        b.rect(side * 0.6 - 0.1, -0.1, side * 0.6 + 0.1, 0.4, b.accent)
    b.block(-0.48, -0.2, 0.48, 0.5, b.main, 0.1)
    b.block(-0.35, -0.8, 0.35, -0.25, shade(b.main, 1.15), 0.1)
    for side in (-1, 1):
        b.disc(side * 0.15, -0.55, 0.1, (250, 230, 90))
    b.rect(-0.2, -0.38, 0.2, -0.32, BLACK)
    b.dots(-0.35, -0.05, 0.35, 0.35, 5, (b.accent, b.light), 0.06)
    b.line([(0, -0.8), (0, -0.95)], STEEL, 0.04)


def pots(b: Brush) -> None:
    """Pots of slime or dough in many colours."""
    d = b.draws
    count = d.pick((1, 2, 4, 6))
    for k in range(count):
        x = 0 if count == 1 else -0.55 + (k % 3) * 0.55
        y = 0.3 if count < 4 else -0.25 + (k // 3) * 0.85
        s = 1.6 if count == 1 else 0.72
        tone = hsv(d.unit(), 0.7, 0.95)
        b.can(x - 0.3 * s, y - 0.35 * s, x + 0.3 * s, y + 0.3 * s, tone)
        b.disc(x, y - 0.38 * s, 0.26 * s, shade(tone, 1.15), 0.16 * s)


def drone(b: Brush) -> None:
    """A quadcopter from above."""
    d = b.draws
    body = d.pick((BLACK, (226, 228, 232), (70, 72, 78), b.main))
    s = d.between(0.55, 0.68)
    for x, y in ((-s, -s), (s, -s), (-s, s), (s, s)):
        b.line([(0, 0), (x, 0.75 * y)], shade(body, 0.8), 0.1)
    for x, y in ((-s, -s), (s, -s), (-s, s), (s, s)):
        a = d.between(0, 3.14)
        u, v = 0.33 * math.cos(a), 0.33 * math.sin(a)
        b.line([(x - u, 0.75 * y - v), (x + u, 0.75 * y + v)], (90, 92, 96), 0.06)
        b.disc(x, 0.75 * y, 0.1, shade(body, 0.7))
        if d.chance(0.5):
            b.ring(x, 0.75 * y, 0.34, 0.035, shade(body, 0.9))
    b.block(-0.3, -0.36, 0.3, 0.36, body, 0.15)
    b.disc(0, 0.25, 0.11, (40, 44, 60))
    b.rect(-0.15, -0.2, 0.15, -0.08, b.accent)


def parts(b: Brush) -> None:
    """Spare parts: gears, wheels, a motor, screws, a propeller."""
    d = b.draws
    kind = d.integer(0, 3)
    metal = d.pick((STEEL, (70, 72, 78), b.main, (196, 150, 60)))
    if kind == 0:
        for x, y, r in ((-0.4, -0.3, 0.5), (0.45, 0.35, 0.42))[: d.integer(1, 2)]:
            teeth = d.integer(10, 18)
            b.poly([(x + r * (1 if k % 4 < 2 else 0.84) * math.cos(k * math.pi / teeth / 2),
                     y + r * (1 if k % 4 < 2 else 0.84) * math.sin(k * math.pi / teeth / 2))
                    for k in range(4 * teeth)], metal)  # fmt: skip
            b.disc(x, y, 0.55 * r, shade(metal, 0.8))
            b.disc(x, y, 0.2 * r, b.ground)
    elif kind == 1:
        for x, y in ((-0.48, -0.45), (0.48, -0.45), (-0.48, 0.48), (0.48, 0.48))[
            : d.pick((1, 2, 4))
        ]:
            b.disc(x, y, 0.44, (44, 44, 48))
            b.disc(x, y, 0.3, metal)
            for k in range(6):
                b.disc(
                    x + 0.2 * math.cos(k * 1.05),
                    y + 0.2 * math.sin(k * 1.05),
                    0.06,
                    shade(metal, 0.5),
                )
    elif kind == 2:
        b.tube(-0.5, -0.4, 0.5, 0.6, metal)
        b.rect(-0.1, -0.85, 0.1, -0.4, STEEL)
        b.bars(-0.5, -0.2, 0.5, 0.3, 4, shade(metal, 0.6))
        for k in range(3):
            b.line([(-0.3 + 0.3 * k, 0.6), (-0.5 + 0.3 * k, 0.95)], hsv(k / 3, 0.8, 0.7), 0.05)
    else:
        for k in range(d.integer(2, 4)):
            y = -0.7 + 0.45 * k
            b.poly(
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
            b.disc(0, y + 0.03, 0.09, b.accent)


def train(b: Brush) -> None:
    """A model locomotive or wagon on a track."""
    d = b.draws
    b.rect(-0.98, 0.5, 0.98, 0.55, STEEL)
    b.stripes(-0.98, 0.55, 0.98, 0.62, 14, (110, 80, 50))
    b.block(-0.92, -0.3, 0.92, 0.3, b.main, 0.08)
    b.rect(-0.92, 0.02, 0.92, 0.1, b.accent)
    if d.chance(0.5):
        for k in range(5):
            b.rect(-0.8 + 0.34 * k, -0.2, -0.56 + 0.34 * k, -0.02, (170, 205, 225))
    else:
        b.rect(0.3, -0.65, 0.92, -0.3, shade(b.main, 0.8))
        b.tube(-0.7, -0.6, -0.5, -0.3, (50, 50, 54))
    for k in range(5):
        b.disc(-0.75 + 0.37 * k, 0.38, 0.13, (44, 44, 48))
        b.disc(-0.75 + 0.37 * k, 0.38, 0.05, STEEL)


def swing_set(b: Brush) -> None:
    """A frame with swings and a slide."""
    d = b.draws
    beam = d.pick((WOOD, b.main, (60, 130, 70)))
    b.line([(-0.9, -0.7), (0.6, -0.7)], beam, 0.07)
    for x in (-0.9, 0.6):
        b.line([(x, -0.7), (x - 0.12, 0.85)], beam, 0.06)
        b.line([(x, -0.7), (x + 0.14, 0.85)], beam, 0.06)
    for x in (-0.55, -0.05):
        for side in (-0.1, 0.1):
            b.line([(x + side, -0.7), (x + side, 0.3)], GREY, 0.015)
        b.rect(x - 0.15, 0.3, x + 0.15, 0.36, b.accent)
    if d.chance(0.7):
        b.poly([(0.45, -0.1), (0.6, -0.1), (0.98, 0.8), (0.8, 0.85)], hsv(d.unit(), 0.8, 0.9))


def lure(b: Brush) -> None:
    """Fishing lures with hooks."""
    d = b.draws
    count = d.pick((1, 1, 2, 4, 6))
    for k in range(count):
        y = 0 if count == 1 else -0.75 + 1.5 * k / (count - 1)
        h = 0.3 if count == 1 else 0.9 / count
        tone = hsv(d.unit(), 0.7, 0.85)
        b.disc(-0.05, y, 0.75, tone, h)
        b.disc(-0.05, y + 0.35 * h, 0.62, shade(tone, 1.25), 0.5 * h)
        b.poly([(0.6, y), (0.95, y - h), (0.95, y + h)], shade(tone, 0.8))
        b.disc(-0.58, y - 0.2 * h, 0.3 * h, (250, 240, 120))
        b.disc(-0.58, y - 0.2 * h, 0.15 * h, BLACK)
        for x in (-0.35, 0.3):
            b.arc(x, y + 1.15 * h, 0.1, 0, 200, (80, 82, 86), 0.02)


def tent(b: Brush) -> None:
    """A play tent, a garden house or a camping tent."""
    d = b.draws
    if d.chance(0.5):
        b.poly([(0, -0.85), (0.95, 0.75), (-0.95, 0.75)], b.main)
        b.poly([(0, -0.85), (0.95, 0.75), (0.45, 0.75)], shade(b.main, 0.75))
        b.poly([(-0.15, -0.2), (0.25, 0.75), (-0.5, 0.75)], shade(b.main, 0.4))
        b.line([(0, -0.85), (0, -0.97)], WOOD, 0.04)
        return
    b.rect(-0.8, -0.2, 0.8, 0.85, b.main)
    b.bars(-0.8, -0.2, 0.8, 0.85, 8, shade(b.main, 0.9), 0.1)
    b.poly([(-0.95, -0.2), (0, -0.9), (0.95, -0.2)], b.accent)
    b.rect(-0.25, 0.1, 0.25, 0.85, shade(b.main, 0.5))
    b.rect(0.4, 0.1, 0.65, 0.4, (190, 215, 230))


def ride(b: Brush) -> None:
    """A scooter, a child's bike, or a bicycle light."""
    d = b.draws
    if d.chance(0.3):
        b.tube(-0.35, -0.5, 0.35, 0.8, (44, 46, 50))
        b.block(-0.5, -0.85, 0.5, -0.4, (60, 62, 68), 0.08)
        b.disc(0, -0.62, 0.28, (250, 245, 210), 0.2)
        b.rect(-0.2, 0.2, 0.2, 0.3, b.accent)
        return
    for x in (-0.6, 0.6):
        b.ring(x, 0.5, 0.34, 0.06, (44, 44, 48))
        for k in range(4):
            c, s = 0.32 * math.cos(k * 0.785), 0.32 * math.sin(k * 0.785)
            b.line([(x - c, 0.5 - s), (x + c, 0.5 + s)], STEEL, 0.012)
    frame = [(-0.6, 0.5), (-0.15, -0.1), (0.45, -0.1), (0.0, 0.5)]
    if d.chance(0.4):
        frame = [(-0.6, 0.45), (0.4, 0.42)]
    b.line([*frame, frame[0]], b.main, 0.07)
    b.line([(0.6, 0.5), (0.42, -0.5)], b.main, 0.06)
    b.line([(0.25, -0.52), (0.6, -0.52)], (44, 44, 48), 0.07)
    if len(frame) == 4:
        b.block(-0.34, -0.25, 0.0, -0.15, (44, 44, 48), 0.04)


def balls(b: Brush) -> None:
    """Balls, balloons, quilles, squeezy toys."""
    d = b.draws
    single = ((0, 0, 0.92),)
    several = ((-0.45, -0.4, 0.44), (0.5, -0.35, 0.4), (0.0, 0.5, 0.42), (-0.65, 0.55, 0.26))
    for x, y, r in single if d.chance(0.5) else several[: d.integer(2, 4)]:
        tone = hsv(d.unit(), 0.7, 0.92)
        b.ball(x, y, r, tone)
        if d.chance(0.6):
            b.arc(x, y, 0.6 * r, 200, 340, b.light, 0.06)
            b.arc(x, y + 0.6 * r, 0.7 * r, 200, 340, b.dark, 0.04)


def socks(b: Brush) -> None:
    """Pairs of socks or small shoes."""
    d = b.draws
    count = d.pick((1, 2, 3))
    for k in range(count):
        tone = hsv(d.unit(), 0.5, 0.9)
        for side in (0, 1):
            x = -0.85 + k * 0.6 + side * 0.3 if count > 1 else -0.6 + side * 0.75
            z = 0.75 if count > 1 else 1.2
            b.poly(
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
            b.rect(x, -0.7, x + 0.24 * z, -0.55, b.light)
            b.bars(x, -0.4, x + 0.25 * z, 0.1, 3, b.accent)


def darts(b: Brush) -> None:
    """Darts, cues, a target."""
    d = b.draws
    kind = d.integer(0, 2)
    if kind == 0:
        for k in range(10):
            tone = (BLACK, (230, 220, 190), (180, 40, 40), (40, 110, 60))[k % 4]
            b.disc(0, 0, 0.95 * (1 - k / 10), tone)
        for k in range(10):
            a = k * 0.628
            b.line(
                [(0.12 * math.cos(a), 0.12 * math.sin(a)), (0.8 * math.cos(a), 0.8 * math.sin(a))],
                STEEL,
                0.012,
            )
    elif kind == 1:
        for k in range(d.integer(2, 4)):
            y = -0.6 + 0.42 * k
            b.line([(-0.95, y), (0.1, y)], STEEL, 0.03)
            b.line([(-0.6, y), (0.1, y)], (196, 150, 60), 0.08)
            b.line([(0.1, y), (0.5, y)], BLACK, 0.05)
            b.poly(
                [
                    (0.45, y),
                    (0.6, y - 0.17),
                    (0.95, y - 0.17),
                    (0.85, y),
                    (0.95, y + 0.17),
                    (0.6, y + 0.17),
                ],
                b.main,
            )
    else:
        for k in range(d.integer(1, 3)):
            x = -0.15 + 0.2 * k
            b.line([(x - 0.5, 0.95), (x + 0.5, -0.95)], WOOD, 0.05)
            b.line([(x - 0.5, 0.95), (x - 0.1, 0.2)], b.dark, 0.065)
        for k in range(d.integer(0, 5)):
            b.ball(-0.7 + 0.3 * k, 0.7, 0.13, hsv(k / 5, 0.85, 0.9))


def football_table(b: Brush) -> None:
    """A table football or billiard table."""
    d = b.draws
    frame = wood(b)
    felt = d.pick(((30, 120, 60), (30, 90, 160), (150, 30, 40)))
    b.poly([(-0.7, -0.45), (0.7, -0.45), (0.95, 0.2), (-0.95, 0.2)], shade(frame, 1.1))
    b.poly([(-0.6, -0.38), (0.6, -0.38), (0.8, 0.12), (-0.8, 0.12)], felt)
    b.rect(-0.95, 0.2, 0.95, 0.45, frame)
    for x in (-0.8, 0.65):
        b.rect(x, 0.45, x + 0.15, 0.95, shade(frame, 0.75))
    if d.chance(0.6):
        for k in range(5):
            x = -0.55 + 0.27 * k
            b.line([(x, -0.55), (1.25 * x, 0.3)], STEEL, 0.025)
            b.dots(1.1 * x - 0.06, -0.3, 1.1 * x + 0.06, 0.1, 3, (b.main, b.accent), 0.04)
    else:
        b.dots(-0.5, -0.3, 0.5, 0.1, 8, (b.main, b.accent, b.light), 0.045)


def stroller(b: Brush) -> None:
    """A pushchair or a car seat."""
    frame = (70, 72, 78)
    if b.draws.chance(0.35):
        b.block(-0.62, 0.2, 0.62, 0.85, shade(b.main, 0.6), 0.2)
        b.block(-0.5, -0.9, 0.5, 0.5, b.main, 0.3)
        b.block(-0.34, -0.45, 0.34, 0.4, shade(b.main, 0.8), 0.2)
        b.block(-0.3, -0.85, 0.3, -0.5, shade(b.main, 1.15), 0.15)
        b.block(-0.45, 0.25, 0.45, 0.65, shade(b.main, 1.1), 0.12)
        for side in (-1, 1):
            b.line([(side * 0.2, -0.5), (side * 0.06, 0.1)], frame, 0.06)
            b.block(side * 0.55 - 0.1, -0.2, side * 0.55 + 0.1, 0.4, b.accent, 0.08)
        b.line([(0, 0.1), (0, 0.35)], frame, 0.06)
        return
    b.line([(-0.5, 0.7), (0.5, -0.35), (0.8, -0.75)], frame, 0.05)
    b.line([(0.45, 0.75), (-0.4, 0.1)], frame, 0.05)
    for x in (-0.52, 0.45):
        b.ring(x, 0.74, 0.17, 0.06, (44, 44, 48))
        b.disc(x, 0.74, 0.05, STEEL)
    b.poly(
        [(-0.75, 0.1), (-0.45, 0.5), (0.25, 0.45), (0.6, -0.2), (0.35, -0.25), (0.1, 0.15)], b.main
    )
    b.poly(
        [(0.1, 0.15), (0.6, -0.2), (0.55, -0.65), (0.15, -0.85), (-0.25, -0.6), (-0.1, -0.2)],
        shade(b.main, 0.8),
    )
    b.line([(-0.1, -0.2), (0.15, -0.85)], shade(b.main, 0.6), 0.02)
    b.line([(0.1, 0.15), (0.3, 0.4)], b.accent, 0.07)


def bottle_baby(b: Brush) -> None:
    """Feeding bottles, cups or dummies."""
    d = b.draws
    for k in range(d.pick((1, 1, 2, 3))):
        x = (0, -0.6, 0.6)[k]
        tone = blend(b.main, PAPER, 0.55)
        b.tube(x - 0.24, -0.3, x + 0.24, 0.9, tone)
        b.rect(x - 0.24, 0.2, x + 0.24, 0.86, blend(tone, PAPER, 0.6))
        b.rect(x - 0.27, -0.45, x + 0.27, -0.28, b.accent)
        b.disc(x, -0.55, 0.18, (236, 208, 160), 0.14)
        b.disc(x, -0.74, 0.08, (236, 208, 160), 0.16)
        for y in range(5):
            b.line([(x + 0.08, y * 0.18), (x + 0.2, y * 0.18)], b.dark, 0.012)


def baby_wear(b: Brush) -> None:
    """A bib, a body, or a sleeping bag with a small print."""
    d = b.draws
    tone = blend(b.main, (250, 246, 240), d.between(0.2, 0.7))
    kind = d.integer(0, 2)
    if kind == 0:
        b.disc(0, 0.3, 0.65, tone)
        b.block(-0.62, -0.5, 0.62, 0.5, tone, 0.2)
        b.disc(0, -0.55, 0.32, b.ground)
        b.ring(0, 0.25, 0.6, 0.05, b.accent)
    elif kind == 1:
        b.poly([(-0.4, -0.8), (0.4, -0.8), (0.9, -0.4), (0.7, -0.1), (0.45, -0.3), (0.45, 0.5),
                (0.15, 0.9), (-0.15, 0.9), (-0.45, 0.5), (-0.45, -0.3), (-0.7, -0.1), (-0.9, -0.4)],
               tone)  # fmt: skip
        b.disc(0, -0.8, 0.2, b.ground, 0.14)
    else:
        b.poly([(-0.35, -0.9), (0.35, -0.9), (0.5, -0.2), (0.72, 0.8), (0.4, 0.95), (-0.4, 0.95),
                (-0.72, 0.8), (-0.5, -0.2)], tone)  # fmt: skip
        b.line([(0, -0.7), (0, 0.9)], shade(tone, 0.75), 0.02)
    b.dots(-0.35, -0.2, 0.35, 0.6, d.integer(4, 14), (b.accent, b.light, b.main), 0.06)


def cot(b: Brush) -> None:
    """A cot, a gate, a high chair."""
    d = b.draws
    tone = wood(b)
    if d.chance(0.6):
        b.rect(-0.85, 0.3, 0.85, 0.5, blend(b.main, PAPER, 0.5))
        b.rect(-0.9, -0.4, 0.9, -0.3, tone)
        b.rect(-0.9, 0.5, 0.9, 0.62, tone)
        b.stripes(-0.88, -0.3, 0.9, 0.5, 14, tone, 0.35)
        for x in (-0.9, 0.82):
            b.rect(x, -0.6, x + 0.09, 0.9, shade(tone, 0.85))
        return
    for x in (-0.35, 0.35):
        b.line([(x, 0.0), (1.6 * x, 0.92)], tone, 0.06)
        b.line([(0.8 * x, 0.0), (1.3 * x, 0.8)], shade(tone, 0.8), 0.05)
    b.block(-0.4, -0.9, 0.4, 0.1, b.main, 0.12)
    b.block(-0.55, -0.15, 0.55, 0.0, shade(tone, 1.1), 0.06)
