"""Shapes: books, magazines and stationery."""

from rakuten.sample.canvas import BLACK, Canvas, blend, hsv, shade
from rakuten.sample.motifs import GREY, PAPER, STEEL, any_colour, art, face, person


def novel(c: Canvas) -> None:
    """A plain cover: a ground, a title, an author, sometimes an image."""
    rng = c.rng
    w = rng.between(0.58, 0.72)
    c.rect(-w - 0.03, -0.97, w + 0.02, 0.99, shade(c.main, 0.55))
    c.rect(-w, -0.98, w, 0.97, c.main)
    ink = c.light if sum(c.main) < 380 else c.dark
    top = rng.pick((-0.86, -0.7, -0.3, 0.4))
    if rng.chance(0.55):
        at = -0.42 if top < -0.4 else -0.9
        art(
            c,
            -w * rng.between(0.7, 1),
            at,
            w * rng.between(0.7, 1),
            at + rng.between(0.7, 1.1),
            0.2,
        )
    if rng.chance(0.4):
        c.rect(-w, top - 0.06, w, top + 0.4, c.accent)
    for row in range(rng.integer(1, 2)):
        size = rng.between(0.1, 0.17)
        c.words(-0.8 * w, top + 0.2 * row, 0.85 * w, size, ink)
    c.words(-0.5 * w, rng.pick((0.78, 0.82, -0.95)), 0.7 * w, 0.07, ink)


def leather(c: Canvas) -> None:
    """An old binding: dark leather, gilt rules, a label; or its spine."""
    rng = c.rng
    hide = hsv(rng.between(0.0, 0.1), 0.6, rng.between(0.25, 0.55))
    gilt = (205, 170, 90)
    if rng.chance(0.5):
        c.rect(-0.68, -0.96, 0.68, 0.96, hide)
        for inset in (0.06, 0.1):
            edge = [(-0.68 + inset, -0.96 + inset), (0.68 - inset, -0.96 + inset),
                    (0.68 - inset, 0.96 - inset), (-0.68 + inset, 0.96 - inset)]  # fmt: skip
            c.line([*edge, edge[0]], gilt, 0.015)
        c.words(-0.5, -0.5, 0.5, 0.12, gilt)
        c.disc(0, 0.25, 0.2, shade(hide, 1.3))
        return
    count = rng.integer(2, 7)
    for k in range(count):
        x = -0.9 + 1.8 * k / count
        top = -rng.between(0.75, 0.95)
        c.tube(x, top, x + 1.7 / count, 0.9, shade(hide, rng.between(0.8, 1.5)))
        for y in (top + 0.15, -0.3, 0.3, 0.7):
            c.rect(x, y, x + 1.7 / count, y + 0.03, gilt)


def pile_of_books(c: Canvas) -> None:
    """Several volumes, lying on each other or spread side by side."""
    rng = c.rng
    count = rng.integer(2, 6)
    if rng.chance(0.4):
        for k in range(count):
            y = 0.8 - 1.5 * (k + 1) / count
            left, tall, colour = -0.9 + rng.between(0, 0.2), 1.4 / count, any_colour(c)
            c.rect(left, y, left + 1.6, y + tall, colour)
            c.rect(left + 1.5, y + 0.1 * tall, left + 1.62, y + 0.85 * tall, PAPER)
            c.words(left + 0.2, y + 0.3 * tall, left + 1.2, 0.35 * tall, c.light)
        return
    columns = 2 if count <= 4 else 3
    for k in range(count):
        x = -0.98 + (k % columns) * 1.96 / columns
        y = -0.95 + (k // columns) * 0.98
        w, h = 1.75 / columns, 0.9 if count > columns else 1.5
        colour = any_colour(c)
        c.rect(x, y, x + w, y + h, colour)
        if rng.chance(0.7):
            art(c, x + 0.05, y + 0.28 * h, x + w - 0.05, y + 0.9 * h, 0.7)
        c.words(
            x + 0.06,
            y + 0.06 * h,
            x + w - 0.05,
            0.12 * h,
            rng.pick((c.light, BLACK, (210, 40, 40))),
        )


def comic(c: Canvas) -> None:
    """An album or manga: one lively image over the whole cover, a lettered title."""
    rng = c.rng
    w = rng.between(0.62, 0.8)
    art(c, -w, -0.98, w, 0.98, 1.0)
    title = any_colour(c, 0.9, 1.0)
    if rng.chance(0.5):
        c.rect(-w, -0.98, w, -0.6, shade(title, 0.5))
    c.words(-0.92 * w, -0.93, w, rng.between(0.2, 0.28), title, 0.24)
    if rng.chance(0.5):
        person(c, rng.between(-0.3, 0.3), 0.95, 1.3, any_colour(c), head=0.3)
    c.disc(0.75 * w, 0.8, 0.1, c.light)


def magazine(c: Canvas) -> None:
    """A magazine: masthead, a face or a scene, headlines down the side, a bar code."""
    rng = c.rng
    w = rng.between(0.7, 0.76)
    c.rect(-w, -0.98, w, 0.98, c.main)
    if rng.chance(0.55):
        face(c, rng.between(-0.2, 0.25), 0.1, rng.between(0.55, 0.75))
        for left, right in ((-w - 0.5, -w), (w, w + 0.5)):
            c.rect(left, -0.98, right, 1.4, c.ground)
        c.rect(-w, 0.98, w, 1.4, c.ground)
    else:
        art(c, -w, -0.5, w, 0.98, 0.5)
    mast = rng.pick(((214, 30, 40), c.accent, (240, 210, 40), c.dark))
    if rng.chance(0.7):
        c.rect(-w, -0.98, w, -0.58, mast)
        c.words(-0.92 * w, -0.93, w, 0.3, c.light, 0.26)
    else:
        c.words(-0.92 * w, -0.95, w, 0.32, mast, 0.26)
    side = rng.pick((-0.95 * w, 0.25 * w))
    for k in range(rng.integer(3, 5)):
        y = -0.42 + 0.3 * k
        c.words(side, y, side + 0.68 * w, 0.075, rng.pick((c.light, (250, 220, 60), mast)), 0.22)
        c.words(side, y + 0.11, side + 0.6 * w, 0.045, c.light)
    c.rect(0.5 * w, 0.78, 0.95 * w, 0.95, PAPER)
    c.stripes(0.53 * w, 0.8, 0.92 * w, 0.93, 12, BLACK)


def newspaper(c: Canvas) -> None:
    """An old paper: yellowed, a title, columns of print, an engraving."""
    rng = c.rng
    w = rng.between(0.66, 0.78)
    paper = blend(PAPER, (200, 178, 130), rng.unit())
    ink = (70, 66, 60)
    c.rect(-w, -0.98, w, 0.98, paper)
    c.words(-0.85 * w, -0.92, 0.9 * w, 0.2, ink, 0.2)
    c.line([(-0.93 * w, -0.66), (0.93 * w, -0.66)], ink, 0.015)
    columns = rng.integer(2, 4)
    start = -0.6
    if rng.chance(0.65):
        c.rect(-0.7 * w, -0.58, 0.7 * w, 0.2, blend(paper, ink, 0.45))
        person(c, -0.15, 0.18, 0.7, blend(paper, ink, 0.7), blend(paper, ink, 0.2))
        person(c, 0.2, 0.18, 0.62, blend(paper, ink, 0.9), blend(paper, ink, 0.25))
        start = 0.27
    for k in range(columns):
        x = -0.93 * w + 1.88 * w * k / columns
        c.lines(
            x, start, x + 1.7 * w / columns, 0.93, int(16 * (0.95 - start)), blend(paper, ink, 0.6)
        )


def sheet_music(c: Canvas) -> None:
    """A score: a title and staves with notes."""
    rng = c.rng
    c.rect(-0.72, -0.98, 0.72, 0.98, rng.pick((PAPER, c.light, blend(PAPER, c.main, 0.3))))
    c.words(-0.5, -0.88, 0.55, 0.14, c.dark)
    for k in range(rng.integer(4, 6)):
        y = -0.5 + 0.26 * k
        for row in range(5):
            c.line([(-0.64, y + 0.03 * row), (0.64, y + 0.03 * row)], GREY, 0.008)
        for _ in range(rng.integer(6, 10)):
            x, n = rng.between(-0.58, 0.58), y + 0.03 * rng.integer(0, 4)
            c.disc(x, n, 0.024, BLACK, 0.018)
            c.line([(x + 0.022, n), (x + 0.022, n - 0.1)], BLACK, 0.01)


def notebook(c: Canvas) -> None:
    """A notebook: plain or patterned cover, an elastic or a spiral."""
    rng = c.rng
    w = rng.between(0.6, 0.74)
    c.block(-w + 0.03, -0.93, w + 0.05, 0.97, PAPER, 0.06)
    c.block(-w, -0.97, w, 0.94, c.main, 0.07)
    motif = rng.unit()
    if motif < 0.3:
        c.dots(-w + 0.1, -0.85, w - 0.1, 0.85, rng.integer(10, 30), (c.accent, c.light), 0.06)
    elif motif < 0.6:
        c.rect(-0.4, -0.5, 0.4, -0.1, c.light)
        c.words(-0.32, -0.4, 0.38, 0.13, c.dark)
    elif motif < 0.8:
        c.disc(0.05, -0.05, 0.38, c.accent)
        c.disc(0.05, -0.05, 0.26, c.light)
    if rng.chance(0.5):
        for k in range(18):
            c.ring(-w, -0.88 + 0.1 * k, 0.05, 0.02, STEEL, 0.03)
    elif rng.chance(0.6):
        c.rect(0.7 * w, -0.97, 0.78 * w, 0.94, c.dark)


def pens(c: Canvas) -> None:
    """Pens, pencils or felt-tips in a row."""
    rng = c.rng
    count = rng.pick((1, 2, 3, 5, 6, 8, 10))
    step = 1.5 / max(count, 3)
    for k in range(count):
        x = (k - (count - 1) / 2) * step
        colour = hsv(k / count + 0.1, 0.8, 0.85) if count > 3 else c.main
        w = min(0.09, 0.4 * step)
        c.tube(x - w, -0.5, x + w, 0.92, colour)
        c.poly(
            [(x - w, -0.5), (x + w, -0.5), (x + 0.25 * w, -0.86), (x - 0.25 * w, -0.86)], c.light
        )
        c.poly([(x - 0.3 * w, -0.82), (x + 0.3 * w, -0.82), (x, -0.96)], shade(colour, 0.6))
        c.rect(x - w, -0.1, x + w, 0.0, shade(colour, 0.55))


def office(c: Canvas) -> None:
    """Binder, envelopes, a stapler, a roll of tape."""
    rng = c.rng
    kind = rng.integer(0, 3)
    if kind == 0:
        c.cuboid(-0.5, -0.8, 0.2, 0.9, 0.5, c.main)
        c.rect(-0.35, -0.5, 0.05, 0.1, PAPER)
        c.ring(-0.15, 0.55, 0.12, 0.04, STEEL)
    elif kind == 1:
        for k in range(rng.integer(1, 4)):
            s = 0.12 * k
            tone = rng.pick((PAPER, (214, 180, 130), c.light))
            c.rect(-0.9 + s, -0.6 + s, 0.6 + s, 0.35 + s, shade(tone, 0.95))
            c.line([(-0.9 + s, -0.6 + s), (-0.15 + s, -0.05 + s), (0.6 + s, -0.6 + s)], GREY, 0.015)
    elif kind == 2:
        c.poly([(-0.9, 0.4), (0.9, 0.4), (0.85, 0.55), (-0.9, 0.55)], STEEL)
        c.poly([(-0.9, -0.1), (0.7, -0.45), (0.92, -0.1), (0.85, 0.2), (-0.85, 0.32)], c.main)
        c.poly([(-0.8, 0.0), (0.6, -0.32), (0.6, -0.22), (-0.8, 0.1)], shade(c.main, 1.2))
    else:
        c.disc(0, 0, 0.9, shade(c.main, 0.8))
        c.disc(0, -0.04, 0.86, c.main)
        c.disc(0, -0.02, 0.55, shade(PAPER, 0.8))
        c.disc(0, 0.02, 0.47, c.ground)
