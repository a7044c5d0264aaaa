"""Shapes: products for small children."""

from rakuten.sample.canvas import Canvas, blend, shade
from rakuten.sample.motifs import PAPER, STEEL, wood


def stroller(c: Canvas) -> None:
    """A pushchair or a car seat."""
    frame = (70, 72, 78)
    if c.rng.chance(0.35):
        c.block(-0.62, 0.2, 0.62, 0.85, shade(c.main, 0.6), 0.2)
        c.block(-0.5, -0.9, 0.5, 0.5, c.main, 0.3)
        c.block(-0.34, -0.45, 0.34, 0.4, shade(c.main, 0.8), 0.2)
        c.block(-0.3, -0.85, 0.3, -0.5, shade(c.main, 1.15), 0.15)
        c.block(-0.45, 0.25, 0.45, 0.65, shade(c.main, 1.1), 0.12)
        for side in (-1, 1):
            c.line([(side * 0.2, -0.5), (side * 0.06, 0.1)], frame, 0.06)
            c.block(side * 0.55 - 0.1, -0.2, side * 0.55 + 0.1, 0.4, c.accent, 0.08)
        c.line([(0, 0.1), (0, 0.35)], frame, 0.06)
        return
    c.line([(-0.5, 0.7), (0.5, -0.35), (0.8, -0.75)], frame, 0.05)
    c.line([(0.45, 0.75), (-0.4, 0.1)], frame, 0.05)
    for x in (-0.52, 0.45):
        c.ring(x, 0.74, 0.17, 0.06, (44, 44, 48))
        c.disc(x, 0.74, 0.05, STEEL)
    c.poly(
        [(-0.75, 0.1), (-0.45, 0.5), (0.25, 0.45), (0.6, -0.2), (0.35, -0.25), (0.1, 0.15)], c.main
    )
    c.poly(
        [(0.1, 0.15), (0.6, -0.2), (0.55, -0.65), (0.15, -0.85), (-0.25, -0.6), (-0.1, -0.2)],
        shade(c.main, 0.8),
    )
    c.line([(-0.1, -0.2), (0.15, -0.85)], shade(c.main, 0.6), 0.02)
    c.line([(0.1, 0.15), (0.3, 0.4)], c.accent, 0.07)


def bottle_baby(c: Canvas) -> None:
    """Feeding bottles, cups or dummies."""
    rng = c.rng
    for k in range(rng.pick((1, 1, 2, 3))):
        x = (0, -0.6, 0.6)[k]
        tone = blend(c.main, PAPER, 0.55)
        c.tube(x - 0.24, -0.3, x + 0.24, 0.9, tone)
        c.rect(x - 0.24, 0.2, x + 0.24, 0.86, blend(tone, PAPER, 0.6))
        c.rect(x - 0.27, -0.45, x + 0.27, -0.28, c.accent)
        c.disc(x, -0.55, 0.18, (236, 208, 160), 0.14)
        c.disc(x, -0.74, 0.08, (236, 208, 160), 0.16)
        for y in range(5):
            c.line([(x + 0.08, y * 0.18), (x + 0.2, y * 0.18)], c.dark, 0.012)


def baby_wear(c: Canvas) -> None:
    """A bib, a bodysuit, or a sleeping bag with a small print."""
    rng = c.rng
    tone = blend(c.main, (250, 246, 240), rng.between(0.2, 0.7))
    kind = rng.integer(0, 2)
    if kind == 0:
        c.disc(0, 0.3, 0.65, tone)
        c.block(-0.62, -0.5, 0.62, 0.5, tone, 0.2)
        c.disc(0, -0.55, 0.32, c.ground)
        c.ring(0, 0.25, 0.6, 0.05, c.accent)
    elif kind == 1:
        c.poly([(-0.4, -0.8), (0.4, -0.8), (0.9, -0.4), (0.7, -0.1), (0.45, -0.3), (0.45, 0.5),
                (0.15, 0.9), (-0.15, 0.9), (-0.45, 0.5), (-0.45, -0.3), (-0.7, -0.1), (-0.9, -0.4)],
               tone)  # fmt: skip
        c.disc(0, -0.8, 0.2, c.ground, 0.14)
    else:
        c.poly([(-0.35, -0.9), (0.35, -0.9), (0.5, -0.2), (0.72, 0.8), (0.4, 0.95), (-0.4, 0.95),
                (-0.72, 0.8), (-0.5, -0.2)], tone)  # fmt: skip
        c.line([(0, -0.7), (0, 0.9)], shade(tone, 0.75), 0.02)
    c.dots(-0.35, -0.2, 0.35, 0.6, rng.integer(4, 14), (c.accent, c.light, c.main), 0.06)


def cot(c: Canvas) -> None:
    """A cot, a gate, a high chair."""
    rng = c.rng
    tone = wood(c)
    if rng.chance(0.6):
        c.rect(-0.85, 0.3, 0.85, 0.5, blend(c.main, PAPER, 0.5))
        c.rect(-0.9, -0.4, 0.9, -0.3, tone)
        c.rect(-0.9, 0.5, 0.9, 0.62, tone)
        c.stripes(-0.88, -0.3, 0.9, 0.5, 14, tone, 0.35)
        for x in (-0.9, 0.82):
            c.rect(x, -0.6, x + 0.09, 0.9, shade(tone, 0.85))
        return
    for x in (-0.35, 0.35):
        c.line([(x, 0.0), (1.6 * x, 0.92)], tone, 0.06)
        c.line([(0.8 * x, 0.0), (1.3 * x, 0.8)], shade(tone, 0.8), 0.05)
    c.block(-0.4, -0.9, 0.4, 0.1, c.main, 0.12)
    c.block(-0.55, -0.15, 0.55, 0.0, shade(tone, 1.1), 0.06)
