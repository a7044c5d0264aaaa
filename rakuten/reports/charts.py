"""Pictures: tables and arrays in, matplotlib figures out.

Each function returns a `matplotlib.figure.Figure` of its own, drawn by Agg: no window, no pyplot,
no state left behind. `data` names the data set and stands in every picture's upper right corner:
a figure of the sample must never pass for one of the real catalogue.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter
from matplotlib.transforms import Bbox

from rakuten.categories import CODES, GROUPS, NAMES, NUM_CATEGORIES, to_labels
from rakuten.model_names import BY_NAME, ENSEMBLES, TRAINED, named

INK, GREY, LIGHT = "#222222", "#6b6b6b", "#d9d9d9"

MARKERS = {"text": "o", "image": "s", "fusion": "D"}
"""The marker of each modality."""

GROUP_COLOURS = {"books": "#0072b2", "toys": "#d55e00", "games": "#b0508c"}

GAP_COLOURS = {"no_description": "#0072b2", "no_text": "#d55e00", "no_image": "#b0508c"}

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
"""The common look, on top of matplotlib's defaults."""

_BLUES = LinearSegmentedColormap.from_list("blues", ["#ffffff", "#9ecae1", "#2171b5", "#08306b"])
_NUMBER = FuncFormatter(lambda value, _: f"{value:,.0f}")


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw with the common look, whatever matplotlib's settings are outside."""

    @wraps(draw)
    def wrapper(*args, **kwargs) -> Figure:
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return wrapper


def catalogue_pictures(
    tables: Mapping[str, pd.DataFrame],
    lengths_of: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    data: str,
) -> dict[str, Figure]:
    """Draw all pictures of the stage `explore`.

    Args:
        tables: Tables of `exploration.tables`.
        lengths_of: Arrays of `exploration.text_lengths`.
        units: What each of them is, with its unit.
        data: Name of the data set.

    Returns:
        Figures by file name.
    """
    return {
        "balance": class_balance(tables["balance"], data),
        "missing": missing_values(tables["missing"], data),
        "lengths": lengths(lengths_of, units, data),
        "languages": languages(tables["languages"], data),
        "borders": borders(tables["images"], data),
        "colours": mean_colours(tables["images"], data),
        "projection": projection(tables["projection"], data),
    }


def model_pictures(
    tables: Mapping[str, pd.DataFrame],
    counts: Mapping[str, np.ndarray],
    histories: Mapping[str, pd.DataFrame],
    data: str,
) -> dict[str, Figure]:
    """Draw all pictures of the stage `evaluate`.

    Args:
        tables: Tables of `metrics.tables`.
        counts: Confusion int64 (27, 27) by model.
        histories: Training curves by net, of those that are trained in epochs.
        data: Name of the data set.

    Returns:
        Figures by file name.
    """
    return {
        **{f"confusion_{m}": confusion(values, m, data) for m, values in counts.items()},
        "categories": category_scores(tables["categories"], data),
        "comparison": comparison(tables["comparison"], data),
        "calibration": calibration(tables["calibration"], tables["comparison"], data),
        "curves": curves(histories, data),
    }


@styled
def confusion(counts: np.ndarray, model: str, data: str) -> Figure:
    """Draw which category is taken for which, in per cent of the actual category.

    Args:
        counts: int64 (27, 27), rows actual, columns predicted, in the order of the class indices;
            drawn with the categories of a group next to each other, each group outlined.
        model: Name of the model.
        data: Name of the data set.

    Returns:
        The figure; a row without products stays blank.
    """
    order = _grouped_order()
    rows = counts.sum(axis=1)
    share = 100 * counts / np.maximum(rows, 1)[:, None]
    figure, axes = _figure(
        (13, 11.5),
        f"{BY_NAME[model].title}: confusion on test: {_accuracy(counts)}",
        data,
    )
    axes.imshow(share[np.ix_(order, order)], cmap=_BLUES, vmin=0, vmax=100, aspect="equal")
    for row, actual in enumerate(order):
        for column, predicted in enumerate(order):
            value = share[actual, predicted]
            if value >= 0.5:
                shade = "white" if value > 55 else INK
                axes.text(
                    column, row, f"{value:.0f}", ha="center", va="center", color=shade, fontsize=8
                )
    start = 0
    for group, codes in GROUPS.items():
        corner, size = (start - 0.5, start - 0.5), len(codes)
        axes.add_patch(
            Rectangle(
                corner, size, size, fill=False, linewidth=2.5, zorder=3,
                edgecolor=GROUP_COLOURS[group], label=f"{group} (alike categories)",
            )
        )  # fmt: skip
        start += size
    names = [_category(CODES[label]) for label in order]
    counted = [f"{name}  ({rows[label]:,})" for name, label in zip(names, order, strict=True)]
    axes.set_xticks(range(NUM_CATEGORIES), names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(NUM_CATEGORIES), counted)
    axes.set_xlabel("predicted category")
    axes.set_ylabel("actual category (test products)")
    groups = {code: group for group, codes in GROUPS.items() for code in codes}
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        for label, position in zip(labels, order, strict=True):
            label.set_color(GROUP_COLOURS.get(groups.get(CODES[position], ""), INK))
    handles = [*axes.patches, Line2D([], [], linestyle="", label="cells: % of the actual category")]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
    axes.set_xticks(np.arange(NUM_CATEGORIES - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(NUM_CATEGORIES - 1) + 0.5, minor=True)
    axes.grid(which="minor", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    return figure


@styled
def category_scores(categories: pd.DataFrame, data: str) -> Figure:
    """Draw the F1 of each category, one panel per modality, the best model beside the study's net.

    Args:
        categories: Table of `metrics.category_table` with one or more of the models in use.
        data: Name of the data set.

    Returns:
        The figure, categories from best to worst by the last model that has scores; a line joins
        the two models of a modality.
    """
    models = [model for model in TRAINED if categories["model"].eq(model).any()]
    scores = {
        model: categories[categories["model"].eq(model)].set_index("code")["f1"] for model in models
    }
    scores = {model: values for model, values in scores.items() if values.notna().any()}
    panels = list(dict.fromkeys(BY_NAME[model].modality for model in scores))
    figure, grid = _figure(
        (5.2 + 2.9 * max(len(panels), 1), 9.5),
        "F1 of each category on test",
        data,
        shape=(1, max(len(panels), 1)),
        sharey=True,
    )
    grid = np.ravel(grid)
    if not scores:
        return _empty(figure, grid[0], "No model has scored a product of the test part.")
    support = categories.groupby("code")["support"].max()
    order = list(scores.values())[-1].sort_values(kind="stable").index
    places = np.arange(len(order))
    for axes, modality in zip(grid, panels, strict=True):
        shown = {
            m: values[order] for m, values in scores.items() if BY_NAME[m].modality == modality
        }
        if len(shown) == 2:
            net, best = shown.values()
            axes.hlines(places, net, best, color=_tint(BY_NAME[modality].colour, 0.4), linewidth=2)
        for model, values in shown.items():
            best = model in ENSEMBLES
            axes.scatter(
                values,
                places,
                facecolor=BY_NAME[model].colour if best else "white",
                edgecolor=BY_NAME[model].colour,
                marker=MARKERS[BY_NAME[model].modality],
                s=28 if best else 46,  # equal scores stay visible
                linewidth=1.4,
                label=BY_NAME[model].title,
                zorder=3 if best else 2,
            )
        axes.set_xlim(-0.04, 1.04)
        axes.set_xlabel("F1")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="both")
        _legend_above(axes, len(shown))
    grid[0].set_yticks(places, [f"{_category(code)}  ({support[code]:,})" for code in order])
    grid[0].set_ylim(-0.7, len(order) - 0.3)
    grid[0].set_ylabel("category (test products)")
    return figure


@styled
def comparison(table: pd.DataFrame, data: str) -> Figure:
    """Draw accuracy and F1 of all models, the published accuracy as a hollow marker.

    Args:
        table: Table of `metrics.comparison_table`.
        data: Name of the data set, of our own figures.

    Returns:
        The figure, one line per model in the order of the table, from top to bottom.
    """
    figure, axes = _figure((10, 1.9 + 0.5 * len(table)), "Models on the test part", data)
    places = np.arange(len(table))[::-1]
    colours = [BY_NAME[model].colour for model in table["model"]]
    axes.barh(places, table["accuracy"].fillna(0), height=0.62, color=colours)
    for width, colour in ((5, "white"), (2.2, INK)):  # a rim, to be seen on dark bars too
        axes.scatter(
            table["macro_f1"], places, marker="|", s=260, linewidth=width, color=colour, zorder=3
        )
    axes.scatter(
        table["published_accuracy"],
        places,
        s=110,
        marker="o",
        facecolor="white",
        edgecolor=INK,
        linewidth=1.6,
        zorder=4,
    )
    for place, (value, macro) in zip(
        places, table[["accuracy", "macro_f1"]].to_numpy(), strict=True
    ):
        note = "no test product" if np.isnan(value) else f"{value:.1%}  (macro F1 {macro:.1%})"
        axes.text(1.02, place, note.replace("%", " %"), va="center", fontsize=9)
    axes.set_yticks(places, table["title"])
    for label, baseline in zip(axes.get_yticklabels(), table["baseline"], strict=True):
        label.set_fontweight("normal" if baseline else "bold")
    axes.set_xlim(0, 1)
    axes.set_xlabel("accuracy, macro F1")
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    handles = [
        Patch(color=INK, label="accuracy: best"),
        Patch(color=GREY, label="net"),
        Patch(color=_tint(GREY, 0.4), label="baseline"),
        Line2D([], [], color=INK, marker="|", markersize=13, linestyle="", markeredgewidth=2.2,
               label="macro F1"),
        Line2D([], [], color=INK, marker="o", markersize=9, markerfacecolor="white", linestyle="",
               label="published accuracy (real data)"),
    ]  # fmt: skip
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=5, borderaxespad=0.2
    )
    return figure


@styled
def calibration(bins: pd.DataFrame, comparison: pd.DataFrame, data: str) -> Figure:
    """Draw accuracy over confidence, one panel per model: right as often as sure on the diagonal.

    Args:
        bins: Table of `metrics.calibration_table`.
        comparison: Table of `metrics.comparison_table`, for titles and calibration errors.
        data: Name of the data set.

    Returns:
        The figure, a column per modality; each bin with the interval that its number of products
        leaves to its accuracy (Wilson, 95 %).
    """
    models = [model for model in TRAINED if bins["model"].eq(model).any()]
    figures = comparison.set_index("model")
    columns = list(dict.fromkeys(BY_NAME[model].modality for model in models))
    roles = list(dict.fromkeys(BY_NAME[model].role for model in models))
    shape = (max(len(roles), 1), max(len(columns), 1))
    figure, grid = _figure(
        (1.2 + 3.6 * max(shape[1], 2), 0.9 + 3.7 * shape[0]),
        "Calibration on test: how often a model is right when it is so sure",
        data,
        shape=shape,
    )
    grid = np.reshape(grid, shape)
    if not models:
        return _empty(figure, grid[0, 0], "No model has given probabilities to a test product.")
    for row, role in enumerate(roles):
        for column, modality in enumerate(columns):
            axes, model = grid[row, column], named(role, modality)
            if model not in models:
                axes.set_axis_off()
                continue
            own, colour = bins[bins["model"].eq(model)], BY_NAME[model].colour
            low, high = _wilson(own["accuracy"].to_numpy(), own["rows"].to_numpy())
            axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.2)
            axes.vlines(own["confidence"], low, high, color=_tint(colour, 0.4), linewidth=2)
            axes.plot(
                own["confidence"], own["accuracy"], color=colour, linewidth=1.2,
                marker=MARKERS[BY_NAME[model].modality], markersize=5,
            )  # fmt: skip
            error = f"{figures.loc[model, 'ece']:.1%}".replace("%", " %")
            axes.set_title(f"{figures.loc[model, 'title']}: ECE {error}", pad=10)
            axes.set_xlim(0, 1.02)
            axes.set_ylim(0, 1.02)
            axes.set_aspect("equal")
            axes.grid(axis="both")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
            if model == next(m for m in models if BY_NAME[m].role == role):
                axes.set_ylabel("accuracy of the bin")
            if role == roles[-1] or named(roles[-1], modality) not in models:
                axes.set_xlabel("mean confidence of the bin")
    note = "below the line: too sure\nECE: mean distance from it\nbars: 95 % interval of a bin"
    grid[0, 0].text(0.99, 0.03, note, ha="right", fontsize=8, color=GREY)
    return figure


@styled
def curves(histories: Mapping[str, pd.DataFrame], data: str) -> Figure:
    """Draw loss and accuracy over the epochs, one column per net.

    Args:
        histories: By model: `epoch`, `train_loss`, `train_accuracy`, `validation_loss`,
            `validation_accuracy`; empty if the model was not trained, the columns of validation
            absent if there was none.
        data: Name of the data set.

    Returns:
        The figure; a dotted line marks the epoch of the lowest validation loss, whose weights
        are kept.
    """
    figure, grid = _figure(
        (4 * len(histories), 6), "Training curves", data, shape=(2, len(histories))
    )
    grid = grid.reshape(2, -1)
    for column, (model, history) in enumerate(histories.items()):
        colour = BY_NAME[model].colour
        trained = len(history) > 0
        for row, measure in enumerate(("loss", "accuracy")):
            axes = grid[row, column]
            if not trained:
                axes.set_axis_off()
                continue
            for part, style in (("train", "--"), ("validation", "-")):
                name = f"{part}_{measure}"
                if name in history:
                    axes.plot(
                        history["epoch"], history[name], style, color=colour, linewidth=1.8,
                        marker="." if len(history) == 1 else None,
                        label="train (dropout on)" if part == "train" else part,
                    )  # fmt: skip
            if "validation_loss" in history:
                best = history["epoch"][history["validation_loss"].idxmin()]
                axes.axvline(best, color=GREY, linestyle=":", linewidth=1.2, label="weights kept")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="both")
        grid[0, column].set_title(model if trained else f"{model}: not trained")
        if trained:
            grid[0, column].set_ylim(bottom=0)
            grid[1, column].set_ylim(0, 1)
            grid[1, column].yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
            grid[1, column].set_xlabel("epoch")
            grid[0, column].legend(loc="best")
    grid[0, 0].set_ylabel("cross-entropy (nats)")
    grid[1, 0].set_ylabel("accuracy")
    figure.align_ylabels(grid[:, 0])
    return figure


@styled
def class_balance(balance: pd.DataFrame, data: str) -> Figure:
    """Draw the number of products of each category, beside its share of the challenge.

    Args:
        balance: Table of `exploration.balance_table`.
        data: Name of the data set.

    Returns:
        The figure, largest category on top.
    """
    table = balance.sort_values("products", kind="stable", ignore_index=True)
    total = table["products"].sum()
    figure, axes = _figure((10, 8.5), f"Products of each category: {total:,}", data)
    colours = [GROUP_COLOURS.get(group, "#9a9a9a") for group in table["group"]]
    axes.barh(table.index, table["products"], color=colours, height=0.72)
    expected = table["challenge_share"] * total
    axes.scatter(expected, table.index, marker="|", s=150, linewidth=2, color=INK, zorder=3)
    limit = max(table["products"].max(), expected.max(), 1)
    for place, (count, mark) in enumerate(zip(table["products"], expected, strict=True)):
        note = f"{count:,}  ({count / max(total, 1):.1%})".replace("%", " %")
        axes.text(max(count, mark) + 0.012 * limit, place, note, va="center", fontsize=8.5)
    axes.set_xlim(0, 1.18 * limit)
    axes.set_ylim(-0.7, len(table) - 0.3)
    axes.set_yticks(table.index, [_category(code) for code in table["code"]])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("products")
    axes.xaxis.set_major_formatter(_NUMBER)
    axes.grid(axis="x")
    handles = [Patch(color=colour, label=group) for group, colour in GROUP_COLOURS.items()]
    handles.append(Patch(color="#9a9a9a", label="in no group"))
    handles.append(
        Line2D([], [], color=INK, marker="|", markersize=11, markeredgewidth=2, linestyle="",
               label="as in the challenge's\n84,916 products")
    )  # fmt: skip
    axes.legend(handles=handles, loc="lower right", title="alike categories", alignment="left")
    return figure


@styled
def missing_values(missing: pd.DataFrame, data: str) -> Figure:
    """Draw which share of each category lacks a description, all text, or an image.

    Args:
        missing: Table of `exploration.missing_table`.
        data: Name of the data set.

    Returns:
        The figure, the category with the fewest descriptions on top.
    """
    shares = missing[list(GAP_COLOURS)].div(missing["products"].clip(lower=1), axis=0)
    order = shares["no_description"].to_numpy().argsort(kind="stable")
    totals = missing[list(GAP_COLOURS)].sum() / max(missing["products"].sum(), 1)
    figure, grid = _figure((12, 8.5), "Missing values", data, shape=(1, 3), sharey=True)
    places = np.arange(len(order))
    titles = {
        "no_description": "no description",
        "no_text": "no text at all",
        "no_image": "no image",
    }
    for axes, (gap, colour) in zip(grid, GAP_COLOURS.items(), strict=True):
        values = shares[gap].to_numpy()[order]
        axes.barh(places, values, color=colour, height=0.72)
        axes.axvline(totals[gap], color=INK, linestyle=":", linewidth=1.2)
        for place, value in zip(places[values > 0], values[values > 0], strict=True):
            note = f"{value:.0%}".replace("%", " %")
            backing = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
            axes.text(value + 0.015, place, note, va="center", fontsize=8.5, bbox=backing)
        if not values.any():
            axes.text(0.5, 0.5, "none missing", ha="center", color=GREY, transform=axes.transAxes)
        axes.set_title(f"{titles[gap]}: {totals[gap]:.1%} of all".replace("%", " %"))
        axes.set_xlim(0, 1.12)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.set_xlabel("share of the category's products")
        axes.set_ylim(-0.7, len(order) - 0.3)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
    grid[0].set_yticks(places, [_category(code) for code in missing["code"].to_numpy()[order]])
    return figure


@styled
def lengths(values: Mapping[str, np.ndarray], units: Mapping[str, str], data: str) -> Figure:
    """Draw how long the texts are, on a logarithmic scale.

    Args:
        values: int64 arrays by name, one value per product that has such a text.
        units: What each is, with its unit, for the axis.
        data: Name of the data set.

    Returns:
        The figure, one histogram per array, its median marked.
    """
    figure, grid = _figure(
        (4.2 * len(values), 4.2), "Length of the texts", data, shape=(1, len(values))
    )
    for axes, (name, lengths_) in zip(np.ravel(grid), values.items(), strict=True):
        axes.set_xlabel(units[name])
        positive = lengths_[lengths_ > 0]
        if not positive.size:
            axes.set_yticks([])
            axes.set_xticks([])
            axes.text(0.5, 0.5, "no product has one", ha="center", transform=axes.transAxes)
            continue
        edges = np.geomspace(positive.min(), positive.max() + 1, 31)
        edges = np.unique(np.round(edges))
        counts, edges = np.histogram(positive, edges)
        density = counts / np.diff(np.log(edges))  # equal areas for equal counts on a log axis
        axes.stairs(density, edges, fill=True, color="#7fb2d5")
        median = np.median(positive)
        axes.axvline(median, color=INK, linestyle=":", linewidth=1.4)
        axes.text(
            median, 1.0, f"median {median:,.0f}", transform=axes.get_xaxis_transform(),
            va="bottom", ha="center", fontsize=9,
        )  # fmt: skip
        axes.set_xscale("log")
        wide = positive.max() > 20 * positive.min()
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if wide else (1, 1.5, 2, 3, 5, 7)))
        axes.xaxis.set_major_formatter(_NUMBER)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylim(0, 1.06 * density.max())
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_title(f"{positive.size:,} products", fontweight="normal", fontsize=9, pad=18)
    np.ravel(grid)[0].set_ylabel("density of products")
    return figure


@styled
def languages(table: pd.DataFrame, data: str, *, most: int = 15) -> Figure:
    """Draw the languages of the texts.

    Args:
        table: Table of `exploration.language_table`.
        data: Name of the data set.
        most: Number of languages shown; the rest are summed up.

    Returns:
        The figure, most frequent language on top.
    """
    shown = table.iloc[:most]
    rest = table.iloc[most:]
    names, counts, shares = (shown[name].tolist() for name in ("language", "products", "share"))
    if len(rest):
        names.append(f"{len(rest)} others")
        counts.append(int(rest["products"].sum()))
        shares.append(float(rest["share"].sum()))
    figure, axes = _figure(
        (9, 1.6 + 0.34 * len(names)), "Language of the texts, as langid sees it", data
    )
    places = np.arange(len(names))[::-1]
    colours = ["#0072b2" if name in ("fr", "en") else "#9a9a9a" for name in names]
    axes.barh(places, shares, color=colours, height=0.72)
    for place, count, share in zip(places, counts, shares, strict=True):
        note = f"{share:.1%}  ({count:,})".replace("%", " %")
        axes.text(share + 0.01, place, note, va="center", fontsize=9)
    axes.set_yticks(places, [{"none": "no text"}.get(name, name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.set_xticks(np.linspace(0, 1, 11 if max(shares, default=1) > 0.4 else 21))
    axes.set_xlim(0, 1.22 * max(shares, default=1))
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel("share of products")
    axes.grid(axis="x")
    return figure


@styled
def borders(images: pd.DataFrame, data: str) -> Figure:
    """Draw how much of the frame is white border, per category.

    Args:
        images: Table of `exploration.image_table`.
        data: Name of the data set.

    Returns:
        The figure: median and quartiles, the widest borders on top.
    """
    figure, axes = _figure((10, 8.5), "White border around the product", data)
    table = images[images["products"] > 0].sort_values("border_median", kind="stable")
    if table.empty:
        return _empty(figure, axes, "No product has an image.")
    places = np.arange(len(table))
    axes.hlines(places, table["border_q25"], table["border_q75"], color="#7fb2d5", linewidth=7)
    axes.scatter(table["border_median"], places, color="#0072b2", s=42, zorder=3)
    axes.set_yticks(places, [_category(code) for code in table["code"]])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.7, len(table) - 0.3)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel("share of the frame's area that is border")
    axes.grid(axis="x")
    handles = [
        Line2D([], [], color="#0072b2", marker="o", linestyle="", label="median"),
        Line2D([], [], color="#7fb2d5", linewidth=7, label="middle half of the products"),
    ]
    axes.legend(handles=handles, loc="lower right")
    return figure


@styled
def mean_colours(images: pd.DataFrame, data: str) -> Figure:
    """Draw the mean colour of each category's products, and how far products spread about it.

    Args:
        images: Table of `exploration.image_table`.
        data: Name of the data set.

    Returns:
        The figure: a swatch in the very colour, and the mean of each channel with its deviation
        over the products; brightest category on top.
    """
    figure, axes = _figure((10, 8.5), "Mean colour of the product, border cut off", data)
    table = images[images["products"] > 0]
    if table.empty:
        return _empty(figure, axes, "No product has an image.")
    channels = {"red": "#d62728", "green": "#2ca02c", "blue": "#1f77b4"}
    brightness = table[list(channels)].sum(axis=1).sort_values(kind="stable")
    table = table.loc[brightness.index]
    places = np.arange(len(table))
    markers = {"red": "o", "green": "^", "blue": "s"}
    for offset, (channel, colour) in zip((0.22, 0, -0.22), channels.items(), strict=True):
        axes.errorbar(
            table[channel],
            places + offset,
            xerr=table[f"{channel}_std"].fillna(0),
            fmt=markers[channel],
            color=colour,
            markersize=5,
            elinewidth=1,
            alpha=0.9,
            label=channel,
        )
    swatches = table[list(channels)].to_numpy() / 255
    axes.barh(places, 16, left=-22, height=0.9, color=swatches, edgecolor=LIGHT, linewidth=0.5)
    axes.set_yticks(places, [_category(code) for code in table["code"]])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.7, len(table) - 0.3)
    axes.set_xlim(-22, 255)
    axes.set_xticks([0, 64, 128, 192, 255])
    axes.set_xlabel("mean of the channel, 0 to 255; bars: one standard deviation between products")
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    _legend_above(axes, 3)
    return figure


@styled
def projection(points: pd.DataFrame, data: str) -> Figure:
    """Draw image features on their two main directions: products, and the categories' centres.

    Args:
        points: Table of `exploration.projection_table`.
        data: Name of the data set.

    Returns:
        The figure: products at the left, at the right the same plane drawn closer, with the mean
        place of each category's products; groups of alike categories in colour.
    """
    title = "Image features on their two main directions"
    figure, (left, right) = _figure((15, 8), title, data, shape=(1, 2))
    if points.empty:
        right.set_axis_off()
        return _empty(figure, left, "Fewer than three products have an image.")
    groups = {code: group for group, codes in GROUPS.items() for code in codes}
    colours = points["code"].map(groups).map(GROUP_COLOURS).fillna("#b0b0b0")
    size = float(np.clip(12_000 / len(points), 3, 18))
    left.scatter(points["x"], points["y"], s=size, c=colours, alpha=0.5, linewidth=0)
    centres = points.groupby("code")[["x", "y"]].mean()
    inks = [GROUP_COLOURS.get(groups.get(code, ""), INK) for code in centres.index]
    right.scatter(centres["x"], centres["y"], s=28, c=inks, zorder=3)
    right.margins(0.12)
    x_share, y_share = points[["x_variance", "y_variance"]].iloc[0]
    left.set_ylabel(f"second component ({y_share:.1%} of the variance)".replace("%", " %"))
    for axes, name in ((left, f"{len(points):,} products"), (right, "centres of the categories")):
        axes.set_title(name)
        axes.set_xlabel(f"first component ({x_share:.1%} of the variance)".replace("%", " %"))
        axes.grid(axis="both")
    handles = [Patch(color=colour, label=name) for name, colour in GROUP_COLOURS.items()]
    handles.append(Patch(color="#b0b0b0", label="others"))
    left.legend(handles=handles, loc="upper right", ncols=4, bbox_to_anchor=(1, 1.06))
    names = [_category(code) for code in centres.index]
    _label_points(right, centres.to_numpy(), names, inks)
    return figure


def _figure(
    size: tuple[float, float],
    title: str,
    data: str,
    *,
    shape: tuple[int, int] = (1, 1),
    sharey: bool = False,
) -> tuple[Figure, Axes | np.ndarray]:
    """Begin a figure: title at the left, data set at the right, axes below."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - 0.42 / size[1]), w_pad=0.1, h_pad=0.06)
    top = 1 - 0.24 / size[1]
    figure.text(0.012, top, title, fontsize=13, fontweight="bold", va="center")
    figure.text(0.988, top, f"data: {data}", fontsize=9, color=GREY, va="center", ha="right")
    return figure, figure.subplots(*shape, sharey=sharey)


def _label_points(axes: Axes, places: np.ndarray, names: Sequence[str], inks: Sequence) -> None:
    """Write each name beside its point (n, 2), at the nearest spot that is still free."""
    figure = axes.get_figure()
    figure.draw_without_rendering()  # lets the layout settle, so that pixels are final
    renderer = figure.canvas.get_renderer()
    pixels = axes.transData.transform(places)
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in pixels]
    room = axes.get_window_extent(renderer)
    for (x, y), place, name, ink in zip(pixels, places, names, inks, strict=True):
        label = axes.annotate(
            name, place, (0, 0), textcoords="offset pixels", fontsize=8, color=ink, va="center"
        )
        box = label.get_window_extent(renderer)
        width, height = box.width, box.height
        spots = [
            (step * side + (side < 0) * -width, step * rise)
            for step in range(7, 240, 6)
            for rise in (0, 1, -1, 2, -2)
            for side in (1, -1)
        ]
        boxes = [Bbox.from_bounds(x + dx, y + dy - height / 2, width, height) for dx, dy in spots]
        free = (
            number
            for number, box in enumerate(boxes)
            if room.containsx(box.x0)
            and room.containsx(box.x1)
            and room.containsy(box.y0)
            and room.containsy(box.y1)
            and not any(box.overlaps(other) for other in taken)
        )
        number = next(free, 0)
        label.set_position(spots[number])
        taken.append(boxes[number])
        start = (spots[number][0] + (spots[number][0] < 0) * width, spots[number][1])
        if np.hypot(*start) > 14:
            line = {"arrowstyle": "-", "color": ink, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", place, start, textcoords="offset pixels", arrowprops=line)


def _empty(figure: Figure, axes: Axes, reason: str) -> Figure:
    """Say why there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, reason, ha="center", va="center", color=GREY, transform=axes.transAxes)
    return figure


def _legend_above(axes: Axes, columns: int) -> None:
    """Put the legend in one line above the axes."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)


def _tint(colour: str, strength: float) -> tuple[float, ...]:
    """Mix a colour with white, opaque."""
    return tuple(1 - strength * (1 - channel) for channel in to_rgb(colour))


def _category(code: int) -> str:
    """Name a category for people: `10 livres adulte`."""
    return f"{code} {NAMES[code].replace('_', ' ')}"


def _grouped_order() -> Sequence[int]:
    """Order the class indices so that the categories of a group are neighbours."""
    grouped = [code for codes in GROUPS.values() for code in codes]
    return to_labels([*grouped, *(code for code in CODES if code not in grouped)]).tolist()


def _wilson(share: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bound a share of so many rows, 95 % (Wilson, 1927)."""
    z = 1.96
    middle = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z * np.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2)) / (1 + z**2 / rows)
    return middle - half, middle + half


def _accuracy(counts: np.ndarray) -> str:
    """Sum up a confusion in words."""
    total = counts.sum()
    if not total:
        return "no product"
    share = f"{np.trace(counts) / total:.1%}".replace("%", " %")
    return f"{share} of {total:,} products right"
