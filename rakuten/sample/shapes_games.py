"""Shape programs: video games, cards, board games and figures."""

import math

from rakuten.sample.brush import BLACK, Brush, blend, hsv, shade
from rakuten.sample.motifs import GREY, PAPER, SKIN, STEEL, any_colour, art, person


def game_case(b: Brush) -> None:
    """A plastic game case: a coloured band with the system's name, a scene, a spine."""
    d = b.draws
    w = d.between(0.62, 0.72) if d.chance(0.75) else 0.95
    band = d.pick(((20, 60, 160), (20, 130, 60), (200, 200, 206), (190, 24, 30), BLACK))
    b.rect(-w - 0.06, -0.97, w, 0.97, shade(band, 0.7))
    art(b, -w, -0.97, w, 0.97, 0.95)
    if d.chance(0.8):
        b.rect(-w, -0.97, w, -0.76, band)
        b.words(-0.9 * w, -0.91, 0.4 * w, 0.1, (240, 240, 242), 0.2)
    b.words(
        -0.8 * w, d.pick((-0.6, -0.5, 0.3)), w, d.between(0.16, 0.26), any_colour(b, 0.7, 1), 0.24
    )
    b.rect(-0.95 * w, 0.78, -0.7 * w, 0.94, (240, 240, 240))
    b.disc(0.82 * w, 0.87, 0.07, shade(band, 1.3))


def poster(b: Brush) -> None:
    """Key art of a game to download: dark, a hero in a glow, a large title."""
    d = b.draws
    wide = d.chance(0.4)
    w, h = (0.98, 0.56) if wide else (0.7, 0.98)
    deep = hsv(d.unit(), 0.8, 0.25)
    b.rect(-w, -h, w, h, deep)
    for k in range(6):
        r = 0.9 * min(w, h) * (1 - k / 7)
        b.disc(0, -0.05 * h, r, blend(deep, any_colour(b, 0.9, 1), 0.12 + 0.06 * k))
    for _ in range(d.integer(4, 12)):
        angle = d.between(0, 6.28)
        x, y = 0.85 * w * math.cos(angle), 0.85 * h * math.sin(angle)
        b.line([(0, 0), (x, y)], blend(deep, (255, 200, 120), d.unit()), 0.02)
    for k in range(d.integer(1, 4)):
        person(
            b,
            (k - 1) * 0.3 * w + 0.1,
            0.93 * h,
            1.35 * h * d.between(0.7, 1),
            any_colour(b, 0.6, 0.5),
        )
    b.rect(-w, 0.45 * h, w, 0.95 * h, shade(deep, 0.7))
    b.words(
        -0.85 * w,
        0.5 * h,
        0.95 * w,
        0.3 * h if not wide else 0.36 * h,
        d.pick(((240, 220, 160), b.light)),
        0.2,
    )


def cartridge(b: Brush) -> None:
    """A loose cartridge or a disc."""
    d = b.draws
    if d.chance(0.45):
        b.disc(0, 0, 0.95, STEEL)
        for k in range(7):
            a = k * 0.9 + d.unit()
            b.poly(
                [
                    (0, 0),
                    (0.9 * math.cos(a), 0.9 * math.sin(a)),
                    (0.9 * math.cos(a + 0.4), 0.9 * math.sin(a + 0.4)),
                ],
                hsv(k / 7, 0.25, 0.95),
            )
        b.disc(0, 0, 0.3, b.main)
        b.disc(0, 0, 0.12, b.ground)
        return
    b.block(-0.8, -0.85, 0.8, 0.85, d.pick((GREY, (90, 90, 96), b.main)), 0.12)
    b.bars(-0.7, -0.8, 0.7, -0.55, 4, (70, 70, 74))
    art(b, -0.6, -0.45, 0.6, 0.6, 0.9)
    b.words(-0.55, -0.4, 0.6, 0.2, b.light, 0.24)


def controller(b: Brush) -> None:
    """A gamepad: two grips, two sticks, a cross, four buttons."""
    d = b.draws
    body = d.pick((BLACK, (60, 62, 68), b.main, (226, 228, 232)))
    grip = d.between(0.55, 0.8)
    for side in (-1, 1):
        b.poly(
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
        b.disc(side * 0.62, -0.14, 0.34, body, 0.32)
        b.rect(side * 0.62 - 0.2, -0.5, side * 0.62 + 0.2, -0.38, shade(body, 0.65))
        b.disc(side * 0.27, 0.16, 0.16, shade(body, 0.6))
        b.disc(side * 0.27, 0.14, 0.11, shade(body, 1.5) if sum(body) < 300 else (70, 70, 74))
    b.rect(-0.62, -0.42, 0.62, 0.24, body)
    mark = (214, 214, 218) if sum(body) < 300 else (60, 60, 64)
    b.rect(-0.76, -0.17, -0.48, -0.09, mark)
    b.rect(-0.66, -0.27, -0.58, 0.01, mark)
    for k, (x, y) in enumerate(((0.62, -0.27), (0.74, -0.14), (0.62, -0.01), (0.5, -0.14))):
        b.disc(x, y, 0.06, hsv(k / 4 + 0.1, 0.8, 0.9) if d.chance(0.7) else mark)
    b.block(-0.18, -0.34, 0.18, -0.12, shade(body, 0.7), 0.05)


def handheld(b: Brush) -> None:
    """A pocket console: a screen with a scene, a cross and buttons."""
    d = b.draws
    body = d.pick((b.main, (226, 228, 232), (60, 62, 68), hsv(d.unit(), 0.8, 0.9)))
    dark = (50, 52, 58)
    if d.chance(0.6):
        b.block(-0.98, -0.5, 0.98, 0.5, shade(body, 0.75), 0.4)
        b.block(-0.96, -0.48, 0.96, 0.46, body, 0.4)
        b.rect(-0.52, -0.4, 0.52, 0.36, dark)
        art(b, -0.46, -0.34, 0.46, 0.3, 1.0)
        cross, keys = (-0.74, -0.05), (0.74, -0.05)
    else:
        b.block(-0.6, -0.97, 0.6, 0.97, shade(body, 0.75), 0.15)
        b.block(-0.58, -0.95, 0.57, 0.93, body, 0.15)
        b.rect(-0.46, -0.82, 0.46, 0.02, dark)
        art(b, -0.38, -0.74, 0.38, -0.06, 1.0)
        cross, keys = (-0.3, 0.4), (0.3, 0.4)
    x, y = cross
    b.rect(x - 0.16, y - 0.05, x + 0.16, y + 0.05, dark)
    b.rect(x - 0.05, y - 0.16, x + 0.05, y + 0.16, dark)
    for dx, dy in ((-0.1, 0.08), (0.1, -0.08), (0.1, 0.12)):
        b.disc(keys[0] + dx, keys[1] + dy, 0.07, d.pick(((200, 40, 60), dark, b.accent)))


def console(b: Brush) -> None:
    """A home console, often with a pad before it."""
    d = b.draws
    body = d.pick((BLACK, (60, 62, 68), (208, 208, 210), b.main))
    b.cuboid(-0.9, -0.15, 0.55, 0.25, 0.4, body)
    b.rect(-0.85, -0.02, 0.5, 0.03, shade(body, 0.5 if sum(body) > 300 else 1.8))
    b.disc(-0.7, 0.13, 0.04, (60, 200, 90))
    b.rect(0.1, 0.09, 0.4, 0.18, shade(body, 0.6))
    if d.chance(0.75):
        for x in (-0.45, 0.45)[: d.integer(1, 2)]:
            b.block(x - 0.36, 0.48, x + 0.36, 0.82, shade(body, 0.85), 0.16)
            b.disc(x - 0.2, 0.63, 0.08, shade(body, 1.6))
            for k in range(3):
                b.disc(x + 0.12 + 0.09 * k, 0.62, 0.035, hsv(k / 3, 0.8, 0.9))
            b.line([(x, 0.48), (x + 0.1, 0.35), (0.2, 0.25)], shade(body, 0.6), 0.025)


def games_on_table(b: Brush) -> None:
    """A lot photographed at home: a console or pad among cases."""
    d = b.draws
    count = d.integer(3, 8)
    for k in range(count):
        x, y = -0.95 + (k % 4) * 0.5, -0.85 + (k // 4) * 0.85
        band = d.pick(((20, 60, 160), (20, 130, 60), (210, 210, 214), BLACK))
        b.rect(x, y, x + 0.44, y + 0.68, shade(band, 0.8))
        art(b, x + 0.03, y + 0.12, x + 0.42, y + 0.66, 0.9)
    if d.chance(0.6):
        body = d.pick((BLACK, (70, 72, 78), (214, 214, 218)))
        b.cuboid(-0.1, 0.35, 0.8, 0.7, 0.15, body)
        b.rect(0.0, 0.48, 0.6, 0.52, shade(body, 1.7))


def gadget(b: Brush) -> None:
    """A cable, a charger, a case or a headset."""
    d = b.draws
    kind = d.integer(0, 3)
    tone = d.pick((BLACK, (70, 72, 78), (226, 226, 230), b.main))
    if kind == 0:
        for k in range(d.integer(2, 4)):
            b.ring(0, 0.05, 0.75 - 0.09 * k, 0.045, tone, 0.6 - 0.08 * k)
        b.line([(0.6, 0.3), (0.9, 0.75)], tone, 0.05)
        b.block(0.78, 0.66, 0.98, 0.95, shade(tone, 0.8), 0.03)
        b.block(-0.95, 0.55, -0.55, 0.85, shade(tone, 1.1), 0.05)
    elif kind == 1:
        b.block(-0.6, -0.7, 0.6, 0.6, tone, 0.12)
        b.block(-0.5, -0.6, 0.5, 0.3, shade(tone, 1.2), 0.1)
        b.disc(0, 0.45, 0.05, (60, 200, 90))
        for x in (-0.25, 0.25):
            b.rect(x - 0.04, 0.6, x + 0.04, 0.9, STEEL)
    elif kind == 2:
        b.block(-0.95, -0.55, 0.95, 0.55, b.main, 0.3)
        b.line([(-0.9, 0.05), (0.9, 0.05)], shade(b.main, 0.5), 0.03)
        b.block(-0.5, -0.4, 0.5, -0.1, shade(b.main, 1.15), 0.1)
        b.arc(0, -0.55, 0.2, 180, 360, b.dark, 0.05)
    else:
        b.arc(0, 0.1, 0.75, 180, 360, tone, 0.13)
        for side in (-1, 1):
            b.disc(side * 0.74, 0.25, 0.24, shade(tone, 0.75), 0.36)
            b.disc(side * 0.68, 0.25, 0.16, b.accent, 0.28)
        b.line([(-0.7, 0.5), (-0.3, 0.8)], tone, 0.04)


def cards(b: Brush) -> None:
    """A trading card: border, name, picture, text box; or several in a fan."""
    d = b.draws
    count = 1 if d.chance(0.72) else d.integer(2, 4)
    for k in range(count):
        x = 0.0 if count == 1 else -0.5 + 1.0 * k / (count - 1)
        w, h = (0.69, 0.97) if count == 1 else (0.42, 0.62)
        y = 0 if count == 1 else 0.15 * (k % 2)
        edge = d.pick(((236, 206, 60), BLACK, (30, 60, 140), (200, 200, 204), (120, 70, 40)))
        b.block(x - w, y - h, x + w, y + h, edge, 0.06)
        ground = any_colour(b, 0.5, 0.9)
        b.rect(x - 0.91 * w, y - 0.93 * h, x + 0.91 * w, y + 0.93 * h, ground)
        b.words(x - 0.84 * w, y - 0.89 * h, x + 0.5 * w, 0.08 * h, BLACK)
        b.disc(x + 0.76 * w, y - 0.85 * h, 0.06 * h, any_colour(b, 1, 1))
        art(b, x - 0.82 * w, y - 0.76 * h, x + 0.82 * w, y + 0.08 * h, 1.0)
        b.rect(x - 0.84 * w, y + 0.14 * h, x + 0.84 * w, y + 0.86 * h, blend(ground, PAPER, 0.6))
        b.lines(
            x - 0.76 * w, y + 0.2 * h, x + 0.76 * w, y + 0.78 * h, d.integer(4, 7), (80, 76, 72)
        )


def board_game(b: Brush) -> None:
    """The box of a board game: a scene on the lid, a thick side."""
    d = b.draws
    h = d.pick((0.55, 0.7, 0.8))
    b.cuboid(-0.88, -h + 0.12, 0.72, h, d.between(0.12, 0.3), b.main)
    art(b, -0.84, -h + 0.16, 0.68, h - 0.04, 0.9)
    b.words(
        -0.75,
        d.pick((-0.4, 0.15)),
        0.7,
        d.between(0.2, 0.3),
        d.pick((b.light, (250, 220, 60))),
        0.26,
    )


def board(b: Brush) -> None:
    """A board with squares and pawns, or dice and chips, or puzzle pieces."""
    d = b.draws
    kind = d.integer(0, 2)
    if kind == 0:
        n = d.pick((5, 6, 8))
        b.rect(-0.95, -0.95, 0.95, 0.95, b.dark)
        step = 1.8 / n
        for k in range(n * n):
            x, y = -0.9 + k % n * step, -0.9 + k // n * step
            b.rect(x, y, x + step, y + step, (b.light, b.main)[(k + k // n) % 2])
            if d.chance(0.2):
                b.ball(x + step / 2, y + step / 2, 0.33 * step, any_colour(b))
    elif kind == 1:
        for k in range(d.integer(2, 5)):
            x, y = -0.5 + (k % 2) * 0.85, -0.6 + (k // 2) * 0.62
            b.cuboid(x - 0.25, y - 0.18, x + 0.2, y + 0.26, 0.15, any_colour(b, 0.8, 0.95))
            for _ in range(d.integer(1, 5)):
                b.disc(
                    x + d.between(-0.18, 0.13), y + d.between(-0.1, 0.18), 0.045, (245, 245, 245)
                )
    else:
        for k in range(16):
            x, y = -0.9 + (k % 4) * 0.46, -0.9 + (k // 4) * 0.46
            if d.chance(0.85):
                tone = blend(b.main, hsv(k / 16, 0.6, 0.9), 0.6)
                b.rect(x, y, x + 0.43, y + 0.43, tone)
                b.disc(x + 0.43, y + 0.21, 0.07, shade(tone, 0.9))
                b.disc(x + 0.21, y + 0.43, 0.07, shade(tone, 1.1))


def figure(b: Brush) -> None:
    """A collector's figure: big head or hero, on a stand."""
    d = b.draws
    if d.chance(0.6):
        b.disc(0, 0.9, 0.5, BLACK, 0.09)
    person(
        b, 0, 0.88, 1.75, b.main, blend(SKIN, b.accent, 0.6 * d.chance(0.3)), d.between(0.16, 0.42)
    )
    if d.chance(0.5):
        b.line([(0.35, 0.2), (0.6, -0.8)], STEEL, 0.05)
    if d.chance(0.4):
        b.poly([(-0.2, -0.45), (-0.55, 0.55), (0.1, 0.5)], b.accent)
    b.rect(-0.14, 0.0, 0.14, 0.06, b.accent)


def miniature(b: Brush) -> None:
    """One to four unpainted or painted warriors on round bases."""
    d = b.draws
    count = d.pick((1, 1, 2, 3, 4))
    tone = d.pick((GREY, (120, 124, 128), (150, 130, 100), b.main))
    for k in range(count):
        x = 0 if count == 1 else -0.65 + 1.3 * k / (count - 1)
        h = 1.6 if count == 1 else 1.1
        b.disc(x, 0.82, 0.27 * h, (46, 48, 44), 0.09 * h)
        person(b, x, 0.8, h, shade(tone, d.between(0.8, 1.2)), shade(tone, 1.15), 0.15)
        b.line([(x + 0.2 * h, 0.7), (x + 0.28 * h, 0.8 - 1.1 * h)], shade(tone, 0.6), 0.03 * h)
        b.disc(x - 0.2 * h, 0.8 - 0.5 * h, 0.13 * h, shade(tone, 0.75), 0.17 * h)
        if d.chance(0.5):
            b.poly(
                [
                    (x - 0.05 * h, 0.85 - 0.98 * h),
                    (x - 0.15 * h, 0.75 - 1.1 * h),
                    (x + 0.05 * h, 0.8 - h),
                ],
                STEEL,
            )


def keyring(b: Brush) -> None:
    """A keyring, a badge or a mug with an emblem."""
    d = b.draws
    if d.chance(0.5):
        b.ring(0, -0.72, 0.2, 0.05, STEEL)
        for k in range(3):
            b.ring(0, -0.42 + 0.1 * k, 0.06, 0.025, STEEL)
        b.disc(0, 0.35, 0.55, b.dark)
        b.disc(0, 0.33, 0.48, b.main)
    else:
        b.ring(0.62, 0.05, 0.27, 0.1, b.light if sum(b.light) < 720 else GREY, 0.34)
        b.tube(-0.65, -0.7, 0.5, 0.8, blend(b.light, GREY, 0.15))
    sides = d.integer(4, 9)
    b.poly([((0.32 if k % 2 else 0.16) * math.cos(k * math.pi / sides) - 0.05,
             0.25 + (0.32 if k % 2 else 0.16) * math.sin(k * math.pi / sides))
            for k in range(2 * sides)], b.accent)  # fmt: skip
