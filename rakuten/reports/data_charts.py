"""Charts of the data, drawn from the tables of the stage `explore`."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from rakuten.reports.chart_style import (
    GREY,
    GROUP_COLOURS,
    GROUP_OF,
    INK,
    LIGHT,
    NEUTRAL,
    REFERENCE,
    category_axis,
    category_label,
    group_label,
    new_figure,
    no_data,
    note,
    percent_axis,
    reference,
    styled,
)
from rakuten.reports.formats import percent

GAPS = {
    "no_description": ("no description", "#0072b2"),
    "no_text": ("no text at all", "#d55e00"),
    "no_image": ("no image", "#b0508c"),
}
"""Title and colour of each column of `exploration.missing_table`."""

BLUE, LIGHT_BLUE = "#0072b2", "#7fb2d5"

_INTEGER = FuncFormatter(lambda value, _: f"{value:,.0f}")


def draw(tables: Mapping[str, pd.DataFrame], data: str) -> dict[str, Figure]:
    """Draw all charts of the data.

    Args:
        tables: Tables of `exploration.tables`.
        data: Name of the data set.

    Returns:
        Figures by file name.
    """
    return {
        "balance": class_balance(tables["balance"], data),
        "missing": missing_values(tables["missing"], data),
        "lengths": lengths(tables["length_histograms"], tables["lengths"], data),
        "languages": languages(tables["languages"], data),
        "borders": borders(tables["images"], data),
        "colours": mean_colours(tables["images"], data),
        "projection": projection(tables["projection"], data),
    }


@styled
def class_balance(balance: pd.DataFrame, data: str) -> Figure:
    """Draw the number of products of each category beside its share in the challenge's data.

    Args:
        balance: Table of `exploration.balance_table`.
        data: Name of the data set.

    Returns:
        The figure, largest category on top.
    """
    table = balance.sort_values("products", kind="stable", ignore_index=True)
    total = table["products"].sum()
    mark = Line2D([], [], color=INK, marker="|", markersize=11, markeredgewidth=2, linestyle="",
                  label="share in the challenge's 84,916 products")  # fmt: skip
    legend = [*_group_handles("in no group", NEUTRAL), mark]
    title = f"Products of each category: {total:,}"
    figure = new_figure(8.6, title, data, legend=legend)
    axes = figure.subplots()
    colours = [GROUP_COLOURS.get(group, NEUTRAL) for group in table["group"]]
    axes.barh(table.index, table["products"], color=colours, height=0.72)
    expected = table["challenge_share"] * total
    axes.scatter(expected, table.index, marker="|", s=150, linewidth=2, color=INK, zorder=3)
    limit = max(table["products"].max(), expected.max(), 1)
    for place, (count, other) in enumerate(zip(table["products"], expected, strict=True)):
        label = f"{count:,}  ({percent(count / max(total, 1))})"
        axes.text(max(count, other) + 0.012 * limit, place, label, va="center", fontsize=8.5)
    axes.set_xlim(0, 1.18 * limit)
    category_axis(axes, [category_label(code) for code in table["code"]])
    axes.set_xlabel("products")
    axes.xaxis.set_major_formatter(_INTEGER)
    return figure


@styled
def missing_values(missing: pd.DataFrame, data: str) -> Figure:
    """Draw the share of each category that lacks a description, all text, or an image.

    Args:
        missing: Table of `exploration.missing_table`.
        data: Name of the data set.

    Returns:
        The figure, a panel for each kind of value that is missing somewhere; the category with
        the fewest descriptions on top.
    """
    shares = missing[list(GAPS)].div(missing["products"].clip(lower=1), axis=0)
    order = shares["no_description"].to_numpy().argsort(kind="stable")
    totals = missing[list(GAPS)].sum() / max(missing["products"].sum(), 1)
    present = [gap for gap in GAPS if totals[gap] > 0]
    legend: list[Artist] = [reference("share of all products")] if present else []
    legend += [note(f"{GAPS[gap][0]}: none") for gap in GAPS if gap not in present]
    figure = new_figure(8.4, "Missing values", data, legend=legend)
    grid = figure.subplots(1, max(len(present), 1), sharey=True, squeeze=False)[0]
    if not present:
        no_data(grid[0], "No value is missing.")
        return figure
    labels = [category_label(code) for code in missing["code"].to_numpy()[order]]
    places = np.arange(len(order))
    right = 1.02 + 0.08 * len(present)  # the numbers need more of a narrow panel
    for axes, gap in zip(grid, present, strict=True):
        title, colour = GAPS[gap]
        values = shares[gap].to_numpy()[order]
        axes.barh(places, values, color=colour, height=0.72)
        axes.axvline(totals[gap], color=INK, linestyle=REFERENCE, linewidth=1.4)
        for place, value in zip(places, values, strict=True):  # a column beside the bars
            label = percent(value, 0) if value else "-"
            axes.text(right - 0.01, place, label, va="center", ha="right", fontsize=8.5)
        axes.set_title(f"{title}: {percent(totals[gap])} of all")
        axes.set_xlim(0, right)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.xaxis.set_major_formatter(percent_axis())
        axes.set_xlabel("share of the category")
        category_axis(axes, labels)
    return figure


@styled
def lengths(histograms: pd.DataFrame, quartiles: pd.DataFrame, data: str) -> Figure:
    """Draw the lengths of titles, descriptions and cleaned texts on a logarithmic scale.

    Args:
        histograms: Table of `exploration.length_histograms`.
        quartiles: Table of `exploration.length_table`.
        data: Name of the data set.

    Returns:
        The figure, one histogram per measure, its median marked. The height of a bar is its
        number of products divided by its width in doublings of the length.
    """
    figure = new_figure(3.9, "Length of the texts", data, legend=[reference("median")])
    grid = figure.subplots(1, len(quartiles), squeeze=False)[0]
    for axes, row in zip(grid, quartiles.to_dict("records"), strict=True):
        text, _, unit = row["measure"].partition(", ")
        name = text.partition(" ")[0].capitalize()
        bins = histograms[histograms["measure"].eq(row["measure"])]
        axes.set_xlabel(unit or text)
        if bins.empty:
            axes.set_title(name)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.text(0.5, 0.5, "no product has one", ha="center", transform=axes.transAxes)
            continue
        edges = [*bins["low"], bins["high"].iloc[-1]]
        density = bins["products"].to_numpy() / np.diff(np.log2(edges))  # area shows the count
        axes.stairs(density, edges, fill=True, color=LIGHT_BLUE)
        axes.axvline(row["median"], color=INK, linestyle=REFERENCE, linewidth=1.4)
        axes.set_xscale("log")
        wide = edges[-1] > 20 * edges[0]
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if wide else (1, 2, 3, 5, 7)))
        axes.xaxis.set_major_formatter(_INTEGER)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(_INTEGER)
        axes.set_ylim(0, 1.06 * density.max())
        axes.set_title(f"{name}: median {row['median']:,.0f}", pad=22)
        axes.annotate(
            f"{bins['products'].sum():,} products", (0, 1), (0, 6), xycoords="axes fraction",
            textcoords="offset points", fontsize=9, color=GREY,
        )  # fmt: skip
    grid[0].set_ylabel("products per doubling of the length")
    return figure


@styled
def languages(table: pd.DataFrame, data: str, *, most: int = 15) -> Figure:
    """Draw the languages of the texts.

    Args:
        table: Table of `exploration.language_table`.
        data: Name of the data set.
        most: Number of languages shown; the others are one bar.

    Returns:
        The figure, most frequent language on top.
    """
    shown, rest = table.iloc[:most], table.iloc[most:]
    names = shown["language"].replace("none", "no text").tolist()
    counts, shares = shown["products"].tolist(), shown["share"].tolist()
    if len(rest):
        names.append(f"{len(rest)} others")
        counts.append(int(rest["products"].sum()))
        shares.append(float(rest["share"].sum()))
    height = 1.7 + 0.3 * len(names)
    legend = [
        Patch(color=BLUE, label="reported separately in the results"),
        Patch(color=NEUTRAL, label="reported as other languages"),
    ]
    figure = new_figure(height, "Languages detected by langid", data, legend=legend)
    axes = figure.subplots()
    colours = [BLUE if name in ("fr", "en") else NEUTRAL for name in names]
    places = np.arange(len(names))[::-1]
    axes.barh(places, shares, color=colours, height=0.72)
    for place, count, share in zip(places, counts, shares, strict=True):
        axes.text(share + 0.01, place, f"{percent(share)}  ({count:,})", va="center", fontsize=9)
    category_axis(axes, names[::-1])
    axes.set_xticks(np.linspace(0, 1, 11 if max(shares, default=1) > 0.4 else 21))
    axes.set_xlim(0, 1.22 * max(shares, default=1))
    axes.xaxis.set_major_formatter(percent_axis())
    axes.set_xlabel("share of products")
    return figure


@styled
def borders(images: pd.DataFrame, data: str) -> Figure:
    """Draw the share of the image that is white border, per category.

    Args:
        images: Table of `exploration.image_table`.
        data: Name of the data set.

    Returns:
        The figure: median and quartiles, the widest borders on top.
    """
    legend = [
        Line2D([], [], color=BLUE, marker="o", linestyle="", label="median"),
        Line2D([], [], color=LIGHT_BLUE, linewidth=7, label="first to third quartile"),
    ]
    figure = new_figure(8.6, "White border around the product", data, legend=legend)
    axes = figure.subplots()
    table = images[images["products"] > 0].sort_values("border_median", kind="stable")
    if table.empty:
        no_data(axes, "No product has an image.")
        return figure
    places = np.arange(len(table))
    axes.hlines(places, table["border_q25"], table["border_q75"], color=LIGHT_BLUE, linewidth=7)
    axes.scatter(table["border_median"], places, color=BLUE, s=42, zorder=3)
    category_axis(axes, [category_label(code) for code in table["code"]])
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(percent_axis())
    axes.set_xlabel("border, share of the image's area")
    return figure


@styled
def mean_colours(images: pd.DataFrame, data: str) -> Figure:
    """Draw the mean colour of each category's products and its spread.

    Args:
        images: Table of `exploration.image_table`.
        data: Name of the data set.

    Returns:
        The figure: a swatch in the mean colour, and the mean of each channel with its standard
        deviation over the products; brightest category on top.
    """
    channels = {"red": ("#d62728", "o"), "green": ("#2ca02c", "^"), "blue": ("#1f77b4", "s")}
    legend: list[Artist] = [
        Line2D([], [], color=colour, marker=marker, markersize=5, linewidth=1, label=channel)
        for channel, (colour, marker) in channels.items()
    ]
    legend.append(note("bars: standard deviation over products"))
    title = "Mean colour of the product, border removed"
    figure = new_figure(8.6, title, data, legend=legend)
    axes = figure.subplots()
    table = images[images["products"] > 0]
    if table.empty:
        no_data(axes, "No product has an image.")
        return figure
    brightness = table[list(channels)].sum(axis=1).sort_values(kind="stable")
    table = table.loc[brightness.index]
    places = np.arange(len(table))
    for offset, (channel, (colour, marker)) in zip((0.22, 0, -0.22), channels.items(), strict=True):
        axes.errorbar(
            table[channel],
            places + offset,
            xerr=table[f"{channel}_std"].fillna(0),
            fmt=marker,
            color=colour,
            markersize=5,
            elinewidth=1,
            alpha=0.9,
        )
    swatches = table[list(channels)].to_numpy() / 255
    axes.barh(places, 16, left=-22, height=0.9, color=swatches, edgecolor=LIGHT, linewidth=0.5)
    category_axis(axes, [category_label(code) for code in table["code"]])
    axes.set_xlim(-22, 255)
    axes.set_xticks([0, 64, 128, 192, 255])
    axes.set_xlabel("mean of the channel, 0 to 255")
    axes.spines["left"].set_visible(False)
    return figure


@styled
def projection(points: pd.DataFrame, data: str) -> Figure:
    """Draw the first two principal components of the image features.

    Args:
        points: Table of `exploration.projection_table`.
        data: Name of the data set.

    Returns:
        The figure: products at the top; below, on a larger scale, the centroid of each category.
        Confusable groups are coloured.
    """
    title = "Image features: first two principal components"
    legend = _group_handles("in no group", "#b0b0b0")
    figure = new_figure(12, title, data, legend=legend)
    top, bottom = figure.subplots(2, 1, height_ratios=(5, 6))
    if points.empty:
        bottom.set_axis_off()
        no_data(top, "Fewer than three products have an image.")
        return figure
    colours = points["code"].map(GROUP_OF).map(GROUP_COLOURS).fillna("#b0b0b0")
    size = float(np.clip(12_000 / len(points), 3, 18))
    top.scatter(points["x"], points["y"], s=size, c=colours, alpha=0.6, linewidth=0)
    centroids = points.groupby("code")[["x", "y"]].mean()
    inks = [GROUP_COLOURS.get(GROUP_OF.get(code, ""), INK) for code in centroids.index]
    bottom.scatter(centroids["x"], centroids["y"], s=28, c=inks, zorder=3)
    bottom.margins(0.12)
    x_share, y_share = (percent(share) for share in points[["x_variance", "y_variance"]].iloc[0])
    for axes, name in ((top, f"{len(points):,} products"), (bottom, "Centroids of the categories")):
        axes.set_title(name)
        axes.set_xlabel(f"first component ({x_share} of the variance)")
        axes.set_ylabel(f"second component ({y_share} of the variance)")
        axes.grid(True, axis="both")
    names = [category_label(code) for code in centroids.index]
    _label_points(figure, bottom, centroids.to_numpy(), names, inks)
    return figure


def _group_handles(rest: str, colour: str) -> list[Artist]:
    """Legend entries of the groups, and one for all other categories."""
    named = [Patch(color=own, label=group_label(group)) for group, own in GROUP_COLOURS.items()]
    return [*named, Patch(color=colour, label=rest)]


def _label_points(
    figure: Figure, axes: Axes, places: np.ndarray, names: Sequence[str], inks: Sequence[str]
) -> None:
    """Write each name beside its point (n, 2), at the nearest position that is still free."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()  # applies the layout, so that pixel positions are final
    pixels = axes.transData.transform(places)
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in pixels]
    inside = axes.get_window_extent(renderer)
    for (x, y), place, name, ink in zip(pixels, places, names, inks, strict=True):
        label = axes.annotate(
            name, place, (0, 0), textcoords="offset pixels", fontsize=8, color=ink, va="center"
        )
        box = label.get_window_extent(renderer)
        width, height = box.width, box.height
        offsets = [
            (step * side + (side < 0) * -width, step * rise)
            for step in range(7, 240, 6)
            for rise in (0, 1, -1, 2, -2)
            for side in (1, -1)
        ]
        boxes = [Bbox.from_bounds(x + dx, y + dy - height / 2, width, height) for dx, dy in offsets]
        free = (
            number
            for number, box in enumerate(boxes)
            if inside.containsx(box.x0)
            and inside.containsx(box.x1)
            and inside.containsy(box.y0)
            and inside.containsy(box.y1)
            and not any(box.overlaps(other) for other in taken)
        )
        number = next(free, 0)
        label.set_position(offsets[number])
        taken.append(boxes[number])
        start = (offsets[number][0] + (offsets[number][0] < 0) * width, offsets[number][1])
        if np.hypot(*start) > 14:
            line = {"arrowstyle": "-", "color": ink, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", place, start, textcoords="offset pixels", arrowprops=line)
