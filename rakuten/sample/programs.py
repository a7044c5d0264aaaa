"""The shapes of each category, their weights, and the category's colours."""

from collections.abc import Callable

from rakuten.sample import shapes_baby as baby
from rakuten.sample import shapes_games as games
from rakuten.sample import shapes_garden as garden
from rakuten.sample import shapes_home as home
from rakuten.sample import shapes_paper as paper
from rakuten.sample import shapes_toys as toys
from rakuten.sample.canvas import Canvas

Weighted = tuple[tuple[Callable[[Canvas], None], int], ...]

COMMON: Weighted = (
    (home.parcel, 2),
    (home.bag, 2),
    (home.packet, 1),
    (home.rug, 1),
    (games.gadget, 1),
    (games.figure, 1),
    (games.poster, 1),
    (home.jar, 1),
)
"""Shapes that occur in every category, with their weights."""

PROGRAMS: dict[int, Weighted] = {
    10: ((paper.novel, 6), (paper.leather, 3), (paper.pile_of_books, 1), (paper.newspaper, 1)),
    40: ((games.game_case, 7), (games.poster, 1), (games.cartridge, 2), (games.gadget, 1)),
    50: ((games.controller, 5), (games.gadget, 5), (games.handheld, 1)),
    60: ((games.handheld, 6), (games.console, 4), (games.controller, 1)),
    1140: ((games.figure, 7), (games.keyring, 4), (games.miniature, 1), (toys.plush, 1)),
    1160: ((games.cards, 9), (games.board_game, 1)),
    1180: ((games.miniature, 7), (games.figure, 1), (games.board_game, 1)),
    1280: ((toys.plush, 3), (toys.vehicle, 3), (toys.doll, 3), (toys.blocks, 3), (toys.pots, 2),
          (toys.drone, 1), (toys.balls, 1)),
    1281: ((games.board_game, 5), (games.board, 5), (games.cards, 1), (toys.blocks, 1)),
    1300: ((toys.drone, 4), (toys.parts, 4), (toys.vehicle, 2), (toys.train, 2)),
    1301: ((toys.socks, 4), (toys.darts, 4), (toys.football_table, 3)),
    1302: ((toys.swing_set, 3), (toys.lure, 3), (toys.tent, 2), (toys.ride, 3), (toys.balls, 2),
          (toys.plush, 1), (toys.blocks, 1)),
    1320: ((baby.stroller, 4), (baby.bottle_baby, 3), (baby.baby_wear, 3), (baby.cot, 3),
          (home.bag, 1)),
    1560: ((home.chair, 4), (home.table, 4), (home.cabinet, 4), (home.bed, 4)),
    1920: ((home.cushion, 6), (home.curtain, 3), (home.linen, 3), (home.bed, 1)),
    1940: ((home.jar, 6), (home.packet, 5)),
    2060: ((home.lamp, 4), (home.vase, 3), (home.framed, 3), (home.wall_sticker, 4),
          (home.rug, 1), (home.cushion, 1)),
    2220: ((home.dog, 5), (home.pet_things, 5), (home.packet, 1)),
    2280: ((paper.magazine, 6), (paper.newspaper, 4), (paper.novel, 1)),
    2403: ((paper.pile_of_books, 4), (paper.comic, 4), (paper.novel, 2), (paper.sheet_music, 1),
          (paper.leather, 1)),
    2462: ((games.games_on_table, 5), (games.console, 3), (games.game_case, 3),
          (games.controller, 1)),
    2522: ((paper.notebook, 5), (paper.pens, 4), (paper.office, 4)),
    2582: ((garden.parasol, 4), (garden.garden_seat, 4), (garden.flower_pot, 3),
          (home.table, 1), (home.rug, 1)),
    2583: ((garden.pool, 4), (garden.pump, 4), (garden.bucket, 3), (garden.pool_fitting, 5),
          (garden.pool_plan, 3)),
    2585: ((garden.mower, 3), (garden.hand_tool, 7), (garden.hose, 2), (toys.parts, 1)),
    2705: ((paper.novel, 9), (paper.comic, 1)),
    2905: ((games.poster, 9), (games.game_case, 1)),
}  # fmt: skip
"""By category, its shapes with their weights."""

HUES = {
    10: (0.08, 0.3), 40: (0.62, 0.4), 50: (0.0, 0.5), 60: (0.58, 0.4), 1140: (0.05, 0.5),
    1160: (0.13, 0.4), 1180: (0.25, 0.3), 1280: (0.95, 0.5), 1281: (0.03, 0.4), 1300: (0.0, 0.3),
    1301: (0.55, 0.5), 1302: (0.3, 0.4), 1320: (0.55, 0.3), 1560: (0.08, 0.1), 1920: (0.9, 0.5),
    1940: (0.07, 0.12), 2060: (0.1, 0.5), 2220: (0.0, 0.4), 2280: (0.0, 0.3), 2403: (0.1, 0.5),
    2462: (0.6, 0.3), 2522: (0.6, 0.4), 2582: (0.25, 0.25), 2583: (0.56, 0.1), 2585: (0.2, 0.2),
    2705: (0.6, 0.4), 2905: (0.7, 0.3),
}  # fmt: skip
"""By category, the mean hue of its colours (turns) and the standard deviation around it."""
