"""The common style of all charts: fonts, colours, title line, labels.

Charts are `matplotlib.figure.Figure` objects drawn with Agg: no window, no pyplot, no global state.
The name of the data set stands in the upper right corner of every chart, so that figures of the
sample cannot be taken for figures of the real catalogue. A legend stands in one line below the
title, never on the data.

Line styles have one meaning in all charts: a solid line joins measurements on held-out products,
a dashed line measurements on train products, a dotted line is a reference.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Final, Literal

import matplotlib.style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from rakuten import category_names
from rakuten.categories import CODES, GROUPS

INK, GREY, LIGHT, NEUTRAL = "#222222", "#6b6b6b", "#d9d9d9", "#9a9a9a"

GROUP_COLOURS = {"books": "#0072b2", "toys": "#d55e00", "games": "#b0508c"}
"""Colour of each group of confusable categories."""

GROUP_OF = {code: group for group, codes in GROUPS.items() for code in codes}
"""The group of each code that belongs to one."""

CATEGORY_ORDER = (
    *(code for codes in GROUPS.values() for code in codes),
    *(code for code in CODES if code not in GROUP_OF),
)
"""The order of the categories in confusion matrices: confusable groups first."""

LINE_STYLES: dict[str, Literal["dashed", "solid"]] = {"train": "dashed", "validation": "solid"}
"""Line style of each part of the data in training curves."""

REFERENCE: Final = "dotted"
"""Line style of a reference: a mean, a median, a diagonal, a chosen epoch."""

WIDTH = 10.0
"""Width of every chart in inches: 1,000 pixels, about the width of a page on GitHub."""

_TITLE_HEIGHT, _LEGEND_HEIGHT = 0.42, 0.26  # inches

STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "figure.dpi": 100,
}
"""Settings on top of matplotlib's defaults."""


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw with `STYLE`, independently of matplotlib's settings outside."""

    @wraps(draw)
    def wrapper(*args, **kwargs) -> Figure:
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return wrapper


def new_figure(height: float, title: str, data: str, *, legend: Sequence[Artist] = ()) -> Figure:
    """Create a figure with its title at the left, the data set at the right, and a legend below.

    Args:
        height: Height in inches.
        title: Title of the chart.
        data: Name of the data set.
        legend: Handles with labels, shown in one line.
    """
    head = _TITLE_HEIGHT + (_LEGEND_HEIGHT if legend else 0)
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - head / height), w_pad=0.1, h_pad=0.06)
    figure = Figure(figsize=(WIDTH, height), layout=layout)
    FigureCanvasAgg(figure)
    top = 1 - 0.24 / height
    figure.text(0.012, top, title, fontsize=13, fontweight="bold", va="center")
    figure.text(0.988, top, f"data: {data}", fontsize=9, color=GREY, va="center", ha="right")
    if legend:
        line = figure.legend(
            handles=list(legend), loc="upper left", ncols=len(legend), borderaxespad=0,
            bbox_to_anchor=(0.012, 1 - _TITLE_HEIGHT / height), borderpad=0.2, columnspacing=1.6,
        )  # fmt: skip
        line.set_in_layout(False)
    return figure


def no_data(axes: Axes, reason: str) -> None:
    """Write into empty axes why there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, reason, ha="center", va="center", color=GREY, transform=axes.transAxes)


def category_axis(axes: Axes, labels: Sequence[str]) -> None:
    """Label the rows of a horizontal chart, the first row at the bottom."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(-0.7, len(labels) - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")


def note(text: str) -> Line2D:
    """Make a legend entry of text alone."""
    return Line2D([], [], linestyle="", label=text)


def reference(label: str) -> Line2D:
    """Make the legend entry of a reference line."""
    return Line2D([], [], color=INK, linestyle=REFERENCE, linewidth=1.4, label=label)


def percent_axis() -> PercentFormatter:
    """Format the ticks of an axis of shares: 0.25 becomes `25 %`."""
    return PercentFormatter(1, symbol=" %")


def tint(colour: str, strength: float) -> str:
    """Mix a colour with white: strength 0 is white, 1 the colour itself."""
    red, green, blue = (1 - strength * (1 - channel) for channel in to_rgb(colour))
    return to_hex((red, green, blue))


def category_label(code: int) -> str:
    """Label a category: `10 Books for adults`."""
    return f"{code} {category_names.category(code, 'en')}"


def group_label(group: str) -> str:
    """Label a group of confusable categories: `Books and magazines`."""
    return category_names.group(group, "en")
