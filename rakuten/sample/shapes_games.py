"""Shapes: video games, cards, board games and figures."""

import math

from rakuten.sample.canvas import BLACK, Canvas, blend, hsv, shade
from rakuten.sample.motifs import GREY, PAPER, SKIN, STEEL, any_colour, art, person


def game_case(c: Canvas) -> None:
    """A plastic game case: a coloured band with the system's name, a scene, a spine."""
    rng = c.rng
    w = rng.between(0.62, 0.72) if rng.chance(0.75) else 0.95
    band = rng.pick(((20, 60, 160), (20, 130, 60), (200, 200, 206), (190, 24, 30), BLACK))
    c.rect(-w - 0.06, -0.97, w, 0.97, shade(band, 0.7))
    art(c, -w, -0.97, w, 0.97, 0.95)
    if rng.chance(0.8):
        c.rect(-w, -0.97, w, -0.76, band)
        c.words(-0.9 * w, -0.91, 0.4 * w, 0.1, (240, 240, 242), 0.2)
    c.words(
        -0.8 * w,
        rng.pick((-0.6, -0.5, 0.3)),
        w,
        rng.between(0.16, 0.26),
        any_colour(c, 0.7, 1),
        0.24,
    )
    c.rect(-0.95 * w, 0.78, -0.7 * w, 0.94, (240, 240, 240))
    c.disc(0.82 * w, 0.87, 0.07, shade(band, 1.3))


def poster(c: Canvas) -> None:
    """Key art of a game to download: dark, a hero in a glow, a large title."""
    rng = c.rng
    wide = rng.chance(0.4)
    w, h = (0.98, 0.56) if wide else (0.7, 0.98)
    deep = hsv(rng.unit(), 0.8, 0.25)
    c.rect(-w, -h, w, h, deep)
    for k in range(6):
        r = 0.9 * min(w, h) * (1 - k / 7)
        c.disc(0, -0.05 * h, r, blend(deep, any_colour(c, 0.9, 1), 0.12 + 0.06 * k))
    for _ in range(rng.integer(4, 12)):
        angle = rng.between(0, 6.28)
        x, y = 0.85 * w * math.cos(angle), 0.85 * h * math.sin(angle)
        c.line([(0, 0), (x, y)], blend(deep, (255, 200, 120), rng.unit()), 0.02)
    for k in range(rng.integer(1, 4)):
        person(
            c,
            (k - 1) * 0.3 * w + 0.1,
            0.93 * h,
            1.35 * h * rng.between(0.7, 1),
            any_colour(c, 0.6, 0.5),
        )
    c.rect(-w, 0.45 * h, w, 0.95 * h, shade(deep, 0.7))
    c.words(
        -0.85 * w,
        0.5 * h,
        0.95 * w,
        0.3 * h if not wide else 0.36 * h,
        rng.pick(((240, 220, 160), c.light)),
        0.2,
    )


def cartridge(c: Canvas) -> None:
    """A loose cartridge or a disc."""
    rng = c.rng
    if rng.chance(0.45):
        c.disc(0, 0, 0.95, STEEL)
        for k in range(7):
            a = k * 0.9 + rng.unit()
            c.poly(
                [
                    (0, 0),
                    (0.9 * math.cos(a), 0.9 * math.sin(a)),
                    (0.9 * math.cos(a + 0.4), 0.9 * math.sin(a + 0.4)),
                ],
                hsv(k / 7, 0.25, 0.95),
            )
        c.disc(0, 0, 0.3, c.main)
        c.disc(0, 0, 0.12, c.ground)
        return
    c.block(-0.8, -0.85, 0.8, 0.85, rng.pick((GREY, (90, 90, 96), c.main)), 0.12)
    c.bars(-0.7, -0.8, 0.7, -0.55, 4, (70, 70, 74))
    art(c, -0.6, -0.45, 0.6, 0.6, 0.9)
    c.words(-0.55, -0.4, 0.6, 0.2, c.light, 0.24)


def controller(c: Canvas) -> None:
    """A gamepad: two grips, two sticks, a cross, four buttons."""
    rng = c.rng
    body = rng.pick((BLACK, (60, 62, 68), c.main, (226, 228, 232)))
    grip = rng.between(0.55, 0.8)
    for side in (-1, 1):
        c.poly(
            [
                (side * 0.25, -0.35),
                (side * 0.8, -0.42),
                (side * 0.98, grip - 0.15),
                (side * 0.88, grip),
                (side * 0.66, grip - 0.05),
                (side * 0.4, 0.22),
            ],
            shade(body, 0.9),
        )
        c.disc(side * 0.62, -0.14, 0.34, body, 0.32)
        c.rect(side * 0.62 - 0.2, -0.5, side * 0.62 + 0.2, -0.38, shade(body, 0.65))
        c.disc(side * 0.27, 0.16, 0.16, shade(body, 0.6))
        c.disc(side * 0.27, 0.14, 0.11, shade(body, 1.5) if sum(body) < 300 else (70, 70, 74))
    c.rect(-0.62, -0.42, 0.62, 0.24, body)
    mark = (214, 214, 218) if sum(body) < 300 else (60, 60, 64)
    c.rect(-0.76, -0.17, -0.48, -0.09, mark)
    c.rect(-0.66, -0.27, -0.58, 0.01, mark)
    for k, (x, y) in enumerate(((0.62, -0.27), (0.74, -0.14), (0.62, -0.01), (0.5, -0.14))):
        c.disc(x, y, 0.06, hsv(k / 4 + 0.1, 0.8, 0.9) if rng.chance(0.7) else mark)
    c.block(-0.18, -0.34, 0.18, -0.12, shade(body, 0.7), 0.05)


def handheld(c: Canvas) -> None:
    """A pocket console: a screen with a scene, a cross and buttons."""
    rng = c.rng
    body = rng.pick((c.main, (226, 228, 232), (60, 62, 68), hsv(rng.unit(), 0.8, 0.9)))
    dark = (50, 52, 58)
    if rng.chance(0.6):
        c.block(-0.98, -0.5, 0.98, 0.5, shade(body, 0.75), 0.4)
        c.block(-0.96, -0.48, 0.96, 0.46, body, 0.4)
        c.rect(-0.52, -0.4, 0.52, 0.36, dark)
        art(c, -0.46, -0.34, 0.46, 0.3, 1.0)
        cross, keys = (-0.74, -0.05), (0.74, -0.05)
    else:
        c.block(-0.6, -0.97, 0.6, 0.97, shade(body, 0.75), 0.15)
        c.block(-0.58, -0.95, 0.57, 0.93, body, 0.15)
        c.rect(-0.46, -0.82, 0.46, 0.02, dark)
        art(c, -0.38, -0.74, 0.38, -0.06, 1.0)
        cross, keys = (-0.3, 0.4), (0.3, 0.4)
    x, y = cross
    c.rect(x - 0.16, y - 0.05, x + 0.16, y + 0.05, dark)
    c.rect(x - 0.05, y - 0.16, x + 0.05, y + 0.16, dark)
    for dx, dy in ((-0.1, 0.08), (0.1, -0.08), (0.1, 0.12)):
        c.disc(keys[0] + dx, keys[1] + dy, 0.07, rng.pick(((200, 40, 60), dark, c.accent)))


def console(c: Canvas) -> None:
    """A home console, often with a pad before it."""
    rng = c.rng
    body = rng.pick((BLACK, (60, 62, 68), (208, 208, 210), c.main))
    c.cuboid(-0.9, -0.15, 0.55, 0.25, 0.4, body)
    c.rect(-0.85, -0.02, 0.5, 0.03, shade(body, 0.5 if sum(body) > 300 else 1.8))
    c.disc(-0.7, 0.13, 0.04, (60, 200, 90))
    c.rect(0.1, 0.09, 0.4, 0.18, shade(body, 0.6))
    if rng.chance(0.75):
        for x in (-0.45, 0.45)[: rng.integer(1, 2)]:
            c.block(x - 0.36, 0.48, x + 0.36, 0.82, shade(body, 0.85), 0.16)
            c.disc(x - 0.2, 0.63, 0.08, shade(body, 1.6))
            for k in range(3):
                c.disc(x + 0.12 + 0.09 * k, 0.62, 0.035, hsv(k / 3, 0.8, 0.9))
            c.line([(x, 0.48), (x + 0.1, 0.35), (0.2, 0.25)], shade(body, 0.6), 0.025)


def games_on_table(c: Canvas) -> None:
    """A lot photographed at home: a console or pad among cases."""
    rng = c.rng
    count = rng.integer(3, 8)
    for k in range(count):
        x, y = -0.95 + (k % 4) * 0.5, -0.85 + (k // 4) * 0.85
        band = rng.pick(((20, 60, 160), (20, 130, 60), (210, 210, 214), BLACK))
        c.rect(x, y, x + 0.44, y + 0.68, shade(band, 0.8))
        art(c, x + 0.03, y + 0.12, x + 0.42, y + 0.66, 0.9)
    if rng.chance(0.6):
        body = rng.pick((BLACK, (70, 72, 78), (214, 214, 218)))
        c.cuboid(-0.1, 0.35, 0.8, 0.7, 0.15, body)
        c.rect(0.0, 0.48, 0.6, 0.52, shade(body, 1.7))


def gadget(c: Canvas) -> None:
    """A cable, a charger, a case or a headset."""
    rng = c.rng
    kind = rng.integer(0, 3)
    tone = rng.pick((BLACK, (70, 72, 78), (226, 226, 230), c.main))
    if kind == 0:
        for k in range(rng.integer(2, 4)):
            c.ring(0, 0.05, 0.75 - 0.09 * k, 0.045, tone, 0.6 - 0.08 * k)
        c.line([(0.6, 0.3), (0.9, 0.75)], tone, 0.05)
        c.block(0.78, 0.66, 0.98, 0.95, shade(tone, 0.8), 0.03)
        c.block(-0.95, 0.55, -0.55, 0.85, shade(tone, 1.1), 0.05)
    elif kind == 1:
        c.block(-0.6, -0.7, 0.6, 0.6, tone, 0.12)
        c.block(-0.5, -0.6, 0.5, 0.3, shade(tone, 1.2), 0.1)
        c.disc(0, 0.45, 0.05, (60, 200, 90))
        for x in (-0.25, 0.25):
            c.rect(x - 0.04, 0.6, x + 0.04, 0.9, STEEL)
    elif kind == 2:
        c.block(-0.95, -0.55, 0.95, 0.55, c.main, 0.3)
        c.line([(-0.9, 0.05), (0.9, 0.05)], shade(c.main, 0.5), 0.03)
        c.block(-0.5, -0.4, 0.5, -0.1, shade(c.main, 1.15), 0.1)
        c.arc(0, -0.55, 0.2, 180, 360, c.dark, 0.05)
    else:
        c.arc(0, 0.1, 0.75, 180, 360, tone, 0.13)
        for side in (-1, 1):
            c.disc(side * 0.74, 0.25, 0.24, shade(tone, 0.75), 0.36)
            c.disc(side * 0.68, 0.25, 0.16, c.accent, 0.28)
        c.line([(-0.7, 0.5), (-0.3, 0.8)], tone, 0.04)


def cards(c: Canvas) -> None:
    """A trading card: border, name, image, text box; or several in a fan."""
    rng = c.rng
    count = 1 if rng.chance(0.72) else rng.integer(2, 4)
    for k in range(count):
        x = 0.0 if count == 1 else -0.5 + 1.0 * k / (count - 1)
        w, h = (0.69, 0.97) if count == 1 else (0.42, 0.62)
        y = 0 if count == 1 else 0.15 * (k % 2)
        edge = rng.pick(((236, 206, 60), BLACK, (30, 60, 140), (200, 200, 204), (120, 70, 40)))
        c.block(x - w, y - h, x + w, y + h, edge, 0.06)
        ground = any_colour(c, 0.5, 0.9)
        c.rect(x - 0.91 * w, y - 0.93 * h, x + 0.91 * w, y + 0.93 * h, ground)
        c.words(x - 0.84 * w, y - 0.89 * h, x + 0.5 * w, 0.08 * h, BLACK)
        c.disc(x + 0.76 * w, y - 0.85 * h, 0.06 * h, any_colour(c, 1, 1))
        art(c, x - 0.82 * w, y - 0.76 * h, x + 0.82 * w, y + 0.08 * h, 1.0)
        c.rect(x - 0.84 * w, y + 0.14 * h, x + 0.84 * w, y + 0.86 * h, blend(ground, PAPER, 0.6))
        c.lines(
            x - 0.76 * w, y + 0.2 * h, x + 0.76 * w, y + 0.78 * h, rng.integer(4, 7), (80, 76, 72)
        )


def board_game(c: Canvas) -> None:
    """The box of a board game: a scene on the lid, a thick side."""
    rng = c.rng
    h = rng.pick((0.55, 0.7, 0.8))
    c.cuboid(-0.88, -h + 0.12, 0.72, h, rng.between(0.12, 0.3), c.main)
    art(c, -0.84, -h + 0.16, 0.68, h - 0.04, 0.9)
    c.words(
        -0.75,
        rng.pick((-0.4, 0.15)),
        0.7,
        rng.between(0.2, 0.3),
        rng.pick((c.light, (250, 220, 60))),
        0.26,
    )


def board(c: Canvas) -> None:
    """A board with squares and pawns, or dice and chips, or puzzle pieces."""
    rng = c.rng
    kind = rng.integer(0, 2)
    if kind == 0:
        n = rng.pick((5, 6, 8))
        c.rect(-0.95, -0.95, 0.95, 0.95, c.dark)
        step = 1.8 / n
        for k in range(n * n):
            x, y = -0.9 + k % n * step, -0.9 + k // n * step
            c.rect(x, y, x + step, y + step, (c.light, c.main)[(k + k // n) % 2])
            if rng.chance(0.2):
                c.ball(x + step / 2, y + step / 2, 0.33 * step, any_colour(c))
    elif kind == 1:
        for k in range(rng.integer(2, 5)):
            x, y = -0.5 + (k % 2) * 0.85, -0.6 + (k // 2) * 0.62
            c.cuboid(x - 0.25, y - 0.18, x + 0.2, y + 0.26, 0.15, any_colour(c, 0.8, 0.95))
            for _ in range(rng.integer(1, 5)):
                c.disc(
                    x + rng.between(-0.18, 0.13),
                    y + rng.between(-0.1, 0.18),
                    0.045,
                    (245, 245, 245),
                )
    else:
        for k in range(16):
            x, y = -0.9 + (k % 4) * 0.46, -0.9 + (k // 4) * 0.46
            if rng.chance(0.85):
                tone = blend(c.main, hsv(k / 16, 0.6, 0.9), 0.6)
                c.rect(x, y, x + 0.43, y + 0.43, tone)
                c.disc(x + 0.43, y + 0.21, 0.07, shade(tone, 0.9))
                c.disc(x + 0.21, y + 0.43, 0.07, shade(tone, 1.1))


def figure(c: Canvas) -> None:
    """A collector's figure: big head or hero, on a stand."""
    rng = c.rng
    if rng.chance(0.6):
        c.disc(0, 0.9, 0.5, BLACK, 0.09)
    person(
        c,
        0,
        0.88,
        1.75,
        c.main,
        blend(SKIN, c.accent, 0.6 * rng.chance(0.3)),
        rng.between(0.16, 0.42),
    )
    if rng.chance(0.5):
        c.line([(0.35, 0.2), (0.6, -0.8)], STEEL, 0.05)
    if rng.chance(0.4):
        c.poly([(-0.2, -0.45), (-0.55, 0.55), (0.1, 0.5)], c.accent)
    c.rect(-0.14, 0.0, 0.14, 0.06, c.accent)


def miniature(c: Canvas) -> None:
    """One to four unpainted or painted warriors on round bases."""
    rng = c.rng
    count = rng.pick((1, 1, 2, 3, 4))
    tone = rng.pick((GREY, (120, 124, 128), (150, 130, 100), c.main))
    for k in range(count):
        x = 0 if count == 1 else -0.65 + 1.3 * k / (count - 1)
        h = 1.6 if count == 1 else 1.1
        c.disc(x, 0.82, 0.27 * h, (46, 48, 44), 0.09 * h)
        person(c, x, 0.8, h, shade(tone, rng.between(0.8, 1.2)), shade(tone, 1.15), 0.15)
        c.line([(x + 0.2 * h, 0.7), (x + 0.28 * h, 0.8 - 1.1 * h)], shade(tone, 0.6), 0.03 * h)
        c.disc(x - 0.2 * h, 0.8 - 0.5 * h, 0.13 * h, shade(tone, 0.75), 0.17 * h)
        if rng.chance(0.5):
            c.poly(
                [
                    (x - 0.05 * h, 0.85 - 0.98 * h),
                    (x - 0.15 * h, 0.75 - 1.1 * h),
                    (x + 0.05 * h, 0.8 - h),
                ],
                STEEL,
            )


def keyring(c: Canvas) -> None:
    """A keyring, a badge or a mug with an emblem."""
    rng = c.rng
    if rng.chance(0.5):
        c.ring(0, -0.72, 0.2, 0.05, STEEL)
        for k in range(3):
            c.ring(0, -0.42 + 0.1 * k, 0.06, 0.025, STEEL)
        c.disc(0, 0.35, 0.55, c.dark)
        c.disc(0, 0.33, 0.48, c.main)
    else:
        c.ring(0.62, 0.05, 0.27, 0.1, c.light if sum(c.light) < 720 else GREY, 0.34)
        c.tube(-0.65, -0.7, 0.5, 0.8, blend(c.light, GREY, 0.15))
    sides = rng.integer(4, 9)
    c.poly([((0.32 if k % 2 else 0.16) * math.cos(k * math.pi / sides) - 0.05,
             0.25 + (0.32 if k % 2 else 0.16) * math.sin(k * math.pi / sides))
            for k in range(2 * sides)], c.accent)  # fmt: skip
