"""Shape programs: books, magazines and stationery."""

from rakuten.sample.brush import BLACK, Brush, blend, hsv, shade
from rakuten.sample.motifs import GREY, PAPER, STEEL, any_colour, art, face, person


def novel(b: Brush) -> None:
    """A plain cover: a ground, a title, an author, sometimes a picture."""
    d = b.draws
    w = d.between(0.58, 0.72)
    b.rect(-w - 0.03, -0.97, w + 0.02, 0.99, shade(b.main, 0.55))
    b.rect(-w, -0.98, w, 0.97, b.main)
    ink = b.light if sum(b.main) < 380 else b.dark
    top = d.pick((-0.86, -0.7, -0.3, 0.4))
    if d.chance(0.55):
        at = -0.42 if top < -0.4 else -0.9
        art(b, -w * d.between(0.7, 1), at, w * d.between(0.7, 1), at + d.between(0.7, 1.1), 0.2)
    if d.chance(0.4):
        b.rect(-w, top - 0.06, w, top + 0.4, b.accent)
    for row in range(d.integer(1, 2)):
        size = d.between(0.1, 0.17)
        b.words(-0.8 * w, top + 0.2 * row, 0.85 * w, size, ink)
    b.words(-0.5 * w, d.pick((0.78, 0.82, -0.95)), 0.7 * w, 0.07, ink)


def leather(b: Brush) -> None:
    """An old binding: dark leather, gilt rules, a label; or its spine."""
    d = b.draws
    hide = hsv(d.between(0.0, 0.1), 0.6, d.between(0.25, 0.55))
    gilt = (205, 170, 90)
    if d.chance(0.5):
        b.rect(-0.68, -0.96, 0.68, 0.96, hide)
        for inset in (0.06, 0.1):
            edge = [(-0.68 + inset, -0.96 + inset), (0.68 - inset, -0.96 + inset),
                    (0.68 - inset, 0.96 - inset), (-0.68 + inset, 0.96 - inset)]  # fmt: skip
            b.line([*edge, edge[0]], gilt, 0.015)
        b.words(-0.5, -0.5, 0.5, 0.12, gilt)
        b.disc(0, 0.25, 0.2, shade(hide, 1.3))
        return
    count = d.integer(2, 7)
    for k in range(count):
        x = -0.9 + 1.8 * k / count
        top = -d.between(0.75, 0.95)
        b.tube(x, top, x + 1.7 / count, 0.9, shade(hide, d.between(0.8, 1.5)))
        for y in (top + 0.15, -0.3, 0.3, 0.7):
            b.rect(x, y, x + 1.7 / count, y + 0.03, gilt)


def pile_of_books(b: Brush) -> None:
    """Several volumes, lying on each other or spread side by side."""
    d = b.draws
    count = d.integer(2, 6)
    if d.chance(0.4):
        for k in range(count):
            y = 0.8 - 1.5 * (k + 1) / count
            left, tall, colour = -0.9 + d.between(0, 0.2), 1.4 / count, any_colour(b)
            b.rect(left, y, left + 1.6, y + tall, colour)
            b.rect(left + 1.5, y + 0.1 * tall, left + 1.62, y + 0.85 * tall, PAPER)
            b.words(left + 0.2, y + 0.3 * tall, left + 1.2, 0.35 * tall, b.light)
        return
    columns = 2 if count <= 4 else 3
    for k in range(count):
        x = -0.98 + (k % columns) * 1.96 / columns
        y = -0.95 + (k // columns) * 0.98
        w, h = 1.75 / columns, 0.9 if count > columns else 1.5
        colour = any_colour(b)
        b.rect(x, y, x + w, y + h, colour)
        if d.chance(0.7):
            art(b, x + 0.05, y + 0.28 * h, x + w - 0.05, y + 0.9 * h, 0.7)
        b.words(
            x + 0.06, y + 0.06 * h, x + w - 0.05, 0.12 * h, d.pick((b.light, BLACK, (210, 40, 40)))
        )


def comic(b: Brush) -> None:
    """An album or manga: one lively picture over the whole cover, a lettered title."""
    d = b.draws
    w = d.between(0.62, 0.8)
    art(b, -w, -0.98, w, 0.98, 1.0)
    title = any_colour(b, 0.9, 1.0)
    if d.chance(0.5):
        b.rect(-w, -0.98, w, -0.6, shade(title, 0.5))
    b.words(-0.92 * w, -0.93, w, d.between(0.2, 0.28), title, 0.24)
    if d.chance(0.5):
        person(b, d.between(-0.3, 0.3), 0.95, 1.3, any_colour(b), head=0.3)
    b.disc(0.75 * w, 0.8, 0.1, b.light)


def magazine(b: Brush) -> None:
    """A magazine: masthead, a face or a scene, headlines down the side, a bar code."""
    d = b.draws
    w = d.between(0.7, 0.76)
    b.rect(-w, -0.98, w, 0.98, b.main)
    if d.chance(0.55):
        face(b, d.between(-0.2, 0.25), 0.1, d.between(0.55, 0.75))
        for left, right in ((-w - 0.5, -w), (w, w + 0.5)):
            b.rect(left, -0.98, right, 1.4, b.ground)
        b.rect(-w, 0.98, w, 1.4, b.ground)
    else:
        art(b, -w, -0.5, w, 0.98, 0.5)
    mast = d.pick(((214, 30, 40), b.accent, (240, 210, 40), b.dark))
    if d.chance(0.7):
        b.rect(-w, -0.98, w, -0.58, mast)
        b.words(-0.92 * w, -0.93, w, 0.3, b.light, 0.26)
    else:
        b.words(-0.92 * w, -0.95, w, 0.32, mast, 0.26)
    side = d.pick((-0.95 * w, 0.25 * w))
    for k in range(d.integer(3, 5)):
        y = -0.42 + 0.3 * k
        b.words(side, y, side + 0.68 * w, 0.075, d.pick((b.light, (250, 220, 60), mast)), 0.22)
        b.words(side, y + 0.11, side + 0.6 * w, 0.045, b.light)
    b.rect(0.5 * w, 0.78, 0.95 * w, 0.95, PAPER)
    b.stripes(0.53 * w, 0.8, 0.92 * w, 0.93, 12, BLACK)


def newspaper(b: Brush) -> None:
    """An old paper: yellowed, a title, columns of print, an engraving."""
    d = b.draws
    w = d.between(0.66, 0.78)
    paper = blend(PAPER, (200, 178, 130), d.unit())
    ink = (70, 66, 60)
    b.rect(-w, -0.98, w, 0.98, paper)
    b.words(-0.85 * w, -0.92, 0.9 * w, 0.2, ink, 0.2)
    b.line([(-0.93 * w, -0.66), (0.93 * w, -0.66)], ink, 0.015)
    columns = d.integer(2, 4)
    start = -0.6
    if d.chance(0.65):
        b.rect(-0.7 * w, -0.58, 0.7 * w, 0.2, blend(paper, ink, 0.45))
        person(b, -0.15, 0.18, 0.7, blend(paper, ink, 0.7), blend(paper, ink, 0.2))
        person(b, 0.2, 0.18, 0.62, blend(paper, ink, 0.9), blend(paper, ink, 0.25))
        start = 0.27
    for k in range(columns):
        x = -0.93 * w + 1.88 * w * k / columns
        b.lines(
            x, start, x + 1.7 * w / columns, 0.93, int(16 * (0.95 - start)), blend(paper, ink, 0.6)
        )


def sheet_music(b: Brush) -> None:
    """A score: a title and staves with notes."""
    d = b.draws
    b.rect(-0.72, -0.98, 0.72, 0.98, d.pick((PAPER, b.light, blend(PAPER, b.main, 0.3))))
    b.words(-0.5, -0.88, 0.55, 0.14, b.dark)
    for k in range(d.integer(4, 6)):
        y = -0.5 + 0.26 * k
        for row in range(5):
            b.line([(-0.64, y + 0.03 * row), (0.64, y + 0.03 * row)], GREY, 0.008)
        for _ in range(d.integer(6, 10)):
            x, n = d.between(-0.58, 0.58), y + 0.03 * d.integer(0, 4)
            b.disc(x, n, 0.024, BLACK, 0.018)
            b.line([(x + 0.022, n), (x + 0.022, n - 0.1)], BLACK, 0.01)


def notebook(b: Brush) -> None:
    """A notebook: plain or patterned cover, an elastic or a spiral."""
    d = b.draws
    w = d.between(0.6, 0.74)
    b.block(-w + 0.03, -0.93, w + 0.05, 0.97, PAPER, 0.06)
    b.block(-w, -0.97, w, 0.94, b.main, 0.07)
    motif = d.unit()
    if motif < 0.3:
        b.dots(-w + 0.1, -0.85, w - 0.1, 0.85, d.integer(10, 30), (b.accent, b.light), 0.06)
    elif motif < 0.6:
        b.rect(-0.4, -0.5, 0.4, -0.1, b.light)
        b.words(-0.32, -0.4, 0.38, 0.13, b.dark)
    elif motif < 0.8:
        b.disc(0.05, -0.05, 0.38, b.accent)
        b.disc(0.05, -0.05, 0.26, b.light)
    if d.chance(0.5):
        for k in range(18):
            b.ring(-w, -0.88 + 0.1 * k, 0.05, 0.02, STEEL, 0.03)
    elif d.chance(0.6):
        b.rect(0.7 * w, -0.97, 0.78 * w, 0.94, b.dark)


def pens(b: Brush) -> None:
    """Pens, pencils or felt-tips in a row."""
    d = b.draws
    count = d.pick((1, 2, 3, 5, 6, 8, 10))
    step = 1.5 / max(count, 3)
    for k in range(count):
        x = (k - (count - 1) / 2) * step
        colour = hsv(k / count + 0.1, 0.8, 0.85) if count > 3 else b.main
        w = min(0.09, 0.4 * step)
        b.tube(x - w, -0.5, x + w, 0.92, colour)
        b.poly(
            [(x - w, -0.5), (x + w, -0.5), (x + 0.25 * w, -0.86), (x - 0.25 * w, -0.86)], b.light
        )
        b.poly([(x - 0.3 * w, -0.82), (x + 0.3 * w, -0.82), (x, -0.96)], shade(colour, 0.6))
        b.rect(x - w, -0.1, x + w, 0.0, shade(colour, 0.55))


def office(b: Brush) -> None:
    """Binder, envelopes, a stapler, a roll of tape."""
    d = b.draws
    kind = d.integer(0, 3)
    if kind == 0:
        b.cuboid(-0.5, -0.8, 0.2, 0.9, 0.5, b.main)
        b.rect(-0.35, -0.5, 0.05, 0.1, PAPER)
        b.ring(-0.15, 0.55, 0.12, 0.04, STEEL)
    elif kind == 1:
        for k in range(d.integer(1, 4)):
            s = 0.12 * k
            tone = d.pick((PAPER, (214, 180, 130), b.light))
            b.rect(-0.9 + s, -0.6 + s, 0.6 + s, 0.35 + s, shade(tone, 0.95))
            b.line([(-0.9 + s, -0.6 + s), (-0.15 + s, -0.05 + s), (0.6 + s, -0.6 + s)], GREY, 0.015)
    elif kind == 2:
        b.poly([(-0.9, 0.4), (0.9, 0.4), (0.85, 0.55), (-0.9, 0.55)], STEEL)
        b.poly([(-0.9, -0.1), (0.7, -0.45), (0.92, -0.1), (0.85, 0.2), (-0.85, 0.32)], b.main)
        b.poly([(-0.8, 0.0), (0.6, -0.32), (0.6, -0.22), (-0.8, 0.1)], shade(b.main, 1.2))
    else:
        b.disc(0, 0, 0.9, shade(b.main, 0.8))
        b.disc(0, -0.04, 0.86, b.main)
        b.disc(0, -0.02, 0.55, shade(PAPER, 0.8))
        b.disc(0, 0.02, 0.47, b.ground)
