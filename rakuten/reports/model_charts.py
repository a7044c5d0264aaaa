"""Charts of the models, drawn from the tables of the stage `evaluate` and training histories."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from scipy.stats import binomtest

from rakuten.categories import GROUPS, NUM_CATEGORIES
from rakuten.model_names import BY_NAME, ENSEMBLES, MAIN
from rakuten.reports.chart_style import (
    CATEGORY_ORDER,
    GREY,
    GROUP_COLOURS,
    GROUP_OF,
    INK,
    LINE_STYLES,
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
    tint,
)
from rakuten.reports.formats import percent

MARKERS = {"text": "o", "image": "s", "fusion": "D"}
"""The marker of each modality."""

CURVES = {"train": "train (with dropout)", "validation": "validation"}
"""Legend of each part of the data in training curves."""

_BLUES = LinearSegmentedColormap.from_list("blues", ["#ffffff", "#9ecae1", "#2171b5", "#08306b"])


def draw(
    tables: Mapping[str, pd.DataFrame], histories: Mapping[str, pd.DataFrame], data: str
) -> dict[str, Figure]:
    """Draw all charts of the models.

    Args:
        tables: Tables of `tables.tables`.
        histories: Training history by net.
        data: Name of the data set.

    Returns:
        Figures by file name.
    """
    models = [model for model in MAIN if tables["comparison"]["model"].eq(model).any()]
    return {
        **{f"confusion_{model}": confusion(tables["confusion"], model, data) for model in models},
        "categories": category_scores(tables["categories"], data),
        "comparison": comparison(tables["comparison"], data),
        "calibration": calibration(tables["calibration"], tables["comparison"], data),
        "curves": curves(histories, data),
    }


@styled
def confusion(table: pd.DataFrame, model: str, data: str) -> Figure:
    """Draw the confusion matrix of a model, in percent of the actual category.

    Args:
        table: Table of `tables.confusion_table`.
        model: Name of the model.
        data: Name of the data set.

    Returns:
        The figure, confusable groups outlined; a row without products stays blank.
    """
    order = CATEGORY_ORDER
    own = table[table["model"].eq(model)]
    pairs = own.pivot_table(
        index="actual_code", columns="predicted_code", values="rows", aggfunc="sum"
    )
    counts = pairs.reindex(index=order, columns=order).fillna(0).to_numpy(np.int64)
    total, rows = int(counts.sum()), counts.sum(axis=1)
    share = 100 * counts / np.maximum(rows, 1)[:, None]
    correct = (
        f"{percent(np.trace(counts) / total)} of {total:,} products correct"
        if total
        else "no product"
    )
    title = f"{BY_NAME[model].title}: confusion on test: {correct}"
    legend: list[Artist] = [
        Patch(fill=False, linewidth=2.5, edgecolor=colour, label=group_label(group))
        for group, colour in GROUP_COLOURS.items()
    ]
    legend.append(note("cells: % of the actual category"))
    figure = new_figure(8.3, title, data, legend=legend)
    axes = figure.subplots()
    axes.imshow(share, cmap=_BLUES, vmin=0, vmax=100, aspect="auto")
    for row, column in np.argwhere(share >= 0.5):
        value = share[row, column]
        axes.text(
            column, row, f"{value:.0f}", ha="center", va="center", fontsize=7.5,
            color="white" if value > 55 else INK,
        )  # fmt: skip
    _outline_groups(axes)
    counted = [
        f"{category_label(code)}  ({number:,})" for code, number in zip(order, rows, strict=True)
    ]
    axes.set_xticks(range(NUM_CATEGORIES), [str(code) for code in order], rotation=90)
    axes.set_yticks(range(NUM_CATEGORIES), counted)
    axes.set_xlabel("predicted category, in the order of the rows")
    axes.set_ylabel("actual category (test products)")
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        for label, code in zip(labels, order, strict=True):
            label.set_color(GROUP_COLOURS.get(GROUP_OF.get(code, ""), INK))
    axes.set_xticks(np.arange(NUM_CATEGORIES - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(NUM_CATEGORIES - 1) + 0.5, minor=True)
    axes.grid(which="minor", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    return figure


def _outline_groups(axes: Axes) -> None:
    """Draw a square around each confusable group; the groups come first in the matrix."""
    start = 0
    for group, codes in GROUPS.items():
        size = len(codes)
        axes.add_patch(
            Rectangle(
                (start - 0.5, start - 0.5), size, size, fill=False, linewidth=2.5, zorder=3,
                edgecolor=GROUP_COLOURS[group],
            )
        )  # fmt: skip
        start += size


@styled
def category_scores(categories: pd.DataFrame, data: str) -> Figure:
    """Draw the F1 of each category, one panel per modality: the ensemble beside the study's net.

    Args:
        categories: Table of `tables.category_table`.
        data: Name of the data set.

    Returns:
        The figure, categories from best to worst by the last model of `MAIN` that has scores; a
        line joins the two models of a modality.
    """
    scores = {
        model: categories[categories["model"].eq(model)].set_index("code")["f1"] for model in MAIN
    }
    scores = {model: values for model, values in scores.items() if values.notna().any()}
    panels = list(dict.fromkeys(BY_NAME[model].modality for model in scores))
    columns = max(len(panels), 1)
    legend: list[Artist] = [
        Line2D([], [], color=GREY, marker="o", markersize=8, markerfacecolor="white",
               markeredgewidth=1.4, linestyle="", label="net of the study"),
        Line2D([], [], color=INK, marker="o", markersize=4.5, linestyle="", label="ensemble"),
    ]  # fmt: skip
    figure = new_figure(9, "F1 of each category on test", data, legend=legend)
    grid = np.ravel(figure.subplots(1, columns, sharey=True))
    if not scores:
        no_data(grid[0], "No model has scored a product of the test part.")
        return figure
    support = categories.groupby("code")["support"].max()
    order = list(scores.values())[-1].sort_values(kind="stable").index
    labels = [f"{category_label(code)}  ({support[code]:,})" for code in order]
    places = np.arange(len(order))
    for axes, modality in zip(grid, panels, strict=True):
        shown = {
            m: values[order] for m, values in scores.items() if BY_NAME[m].modality == modality
        }
        if len(shown) == 2:
            net, ensemble = shown.values()
            colour = tint(BY_NAME[modality].colour, 0.4)
            axes.hlines(places, net, ensemble, color=colour, linewidth=2)
        for model, values in shown.items():
            filled = model in ENSEMBLES
            axes.scatter(
                values,
                places,
                facecolor=BY_NAME[model].colour if filled else "white",
                edgecolor=BY_NAME[model].colour,
                marker=MARKERS[modality],
                s=18 if filled else 66,  # equal scores stay visible
                linewidth=1.4,
                zorder=3 if filled else 2,
            )
        axes.set_title("\n".join(BY_NAME[model].title for model in shown))
        axes.set_xlim(-0.06, 1.06)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.xaxis.set_major_formatter(percent_axis())
        axes.set_xlabel("F1")
        category_axis(axes, labels)
        axes.grid(True, axis="both")
    grid[0].set_ylabel("category (test products)")
    return figure


@styled
def comparison(table: pd.DataFrame, data: str) -> Figure:
    """Draw accuracy and macro F1 of all models, and the published accuracy above its bar.

    Args:
        table: Table of `tables.comparison_table`.
        data: Name of the data set of our own figures.

    Returns:
        The figure: for each model, in the order of the table from top to bottom, a lane for the
        published accuracy, a bar of the accuracy, and a thin bar of the macro F1. The lanes do not
        overlap, so that no mark can hide another.
    """
    legend = [
        Patch(color=INK, label="ensemble"),
        Patch(color=GREY, label="net"),
        Patch(color=tint(GREY, 0.4), label="baseline"),
        Patch(color=NEUTRAL, label="thick: accuracy"),
        Line2D([], [], color=NEUTRAL, linewidth=3, label="thin: macro F1"),
        Line2D([], [], color=INK, marker="v", markersize=8, markerfacecolor="white", linestyle="",
               label="published accuracy (real data)"),
    ]  # fmt: skip
    figure = new_figure(1.6 + 0.5 * len(table), "Models on the test part", data, legend=legend)
    axes = figure.subplots()
    places = np.arange(len(table))[::-1]
    colours = [BY_NAME[model].colour for model in table["model"]]
    axes.barh(places, table["accuracy"].fillna(0), height=0.42, color=colours)
    axes.barh(places - 0.32, table["macro_f1"].fillna(0), height=0.12, color=colours)
    axes.scatter(
        table["published_accuracy"],
        places + 0.34,
        s=62,
        marker="v",
        facecolor="white",
        edgecolor=INK,
        linewidth=1.4,
        zorder=4,
        clip_on=False,
    )
    for place, row in zip(places, table.to_dict("records"), strict=True):
        scores = f"{percent(row['accuracy'])}  (macro F1 {percent(row['macro_f1'])})"
        shown = "no test product" if np.isnan(row["accuracy"]) else scores
        axes.text(1.02, place, shown, va="center", fontsize=9)
    category_axis(axes, table["title"].tolist()[::-1])
    for label, baseline in zip(axes.get_yticklabels(), table["baseline"][::-1], strict=True):
        label.set_fontweight("normal" if baseline else "bold")
    axes.set_xlim(0, 1)
    axes.set_xlabel("accuracy, macro F1")
    axes.xaxis.set_major_formatter(percent_axis())
    return figure


@styled
def calibration(bins: pd.DataFrame, comparison: pd.DataFrame, data: str) -> Figure:
    """Draw accuracy over confidence, one panel per model; the diagonal is perfect calibration.

    Args:
        bins: Table of `tables.calibration_table`.
        comparison: Table of `tables.comparison_table`, for titles and calibration errors.
        data: Name of the data set.

    Returns:
        The figure, a row per role and a column per modality; each bin with the 95 % interval of
        its accuracy (Wilson, 1927).
    """
    models = [model for model in MAIN if bins["model"].eq(model).any()]
    columns = list(dict.fromkeys(BY_NAME[model].modality for model in models))
    roles = list(dict.fromkeys(BY_NAME[model].role for model in models))
    shape = (max(len(roles), 1), max(len(columns), 1))
    legend = [
        reference("perfect calibration; below it: overconfident"),
        Line2D([], [], color=NEUTRAL, linewidth=2, label="95 % interval"),
        note("ECE: mean distance from the dotted line"),
    ]
    title = "Calibration on test: accuracy at each level of confidence"
    figure = new_figure(1 + 3 * shape[0], title, data, legend=legend)
    grid = figure.subplots(*shape, squeeze=False)
    if not models:
        no_data(grid[0, 0], "No model has probabilities for a test product.")
        return figure
    for axes in grid.flat:
        axes.set_axis_off()
    errors = comparison.set_index("model")["ece"]
    for model in models:
        row, column = roles.index(BY_NAME[model].role), columns.index(BY_NAME[model].modality)
        axes = grid[row, column]
        axes.set_axis_on()
        _reliability(axes, bins[bins["model"].eq(model)], model)
        axes.set_title(f"{BY_NAME[model].title}: ECE {percent(errors[model])}", pad=10)
        if not any(other.axison for other in grid[row, :column]):
            axes.set_ylabel("accuracy of the bin")
        axes.set_xlabel("mean confidence of the bin")
    return figure


def _reliability(axes: Axes, bins: pd.DataFrame, model: str) -> None:
    """Draw the bins of one model with their intervals."""
    colour = BY_NAME[model].colour
    correct = (bins["accuracy"] * bins["rows"]).round().astype(int)
    counts = zip(correct, bins["rows"], strict=True)
    intervals = [binomtest(*count).proportion_ci(method="wilson") for count in counts]
    low, high = np.transpose([(one.low, one.high) for one in intervals])
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=REFERENCE, linewidth=1.2)
    axes.vlines(bins["confidence"], low, high, color=tint(colour, 0.4), linewidth=2)
    axes.plot(
        bins["confidence"], bins["accuracy"], color=colour, linewidth=1.2,
        marker=MARKERS[BY_NAME[model].modality], markersize=5.5, markeredgecolor="white",
        markeredgewidth=0.6,
    )  # fmt: skip
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_aspect("equal")
    axes.grid(True, axis="both")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([0, 0.25, 0.5, 0.75, 1])
        axis.set_major_formatter(percent_axis())


@styled
def curves(histories: Mapping[str, pd.DataFrame], data: str) -> Figure:
    """Draw loss and accuracy over the epochs, one column per net.

    Args:
        histories: By model: `epoch`, `train_loss`, `train_accuracy`, `validation_loss`,
            `validation_accuracy`; empty if the model was not trained, without the columns of
            validation if there was none.
        data: Name of the data set.

    Returns:
        The figure; a dotted line marks the epoch of the lowest validation loss, whose weights
        are kept.
    """
    legend = [
        Line2D([], [], color=INK, linewidth=1.8, linestyle=style, label=CURVES[part])
        for part, style in LINE_STYLES.items()
        if any(f"{part}_loss" in history for history in histories.values() if len(history))
    ]
    if any("validation_loss" in history for history in histories.values() if len(history)):
        legend.append(reference("epoch whose weights are kept"))
    figure = new_figure(6, "Training curves", data, legend=legend)
    grid = figure.subplots(2, len(histories), squeeze=False)
    for column, (model, history) in enumerate(histories.items()):
        top, bottom = grid[:, column]
        if history.empty:
            top.set_title(f"{BY_NAME[model].title}: not trained")
            top.set_axis_off()
            bottom.set_axis_off()
            continue
        for axes, measure in ((top, "loss"), (bottom, "accuracy")):
            _curve(axes, history, measure, BY_NAME[model].colour)
            axes.set_title(f"{BY_NAME[model].title}: {measure}")
            axes.set_xlabel("epoch")
        top.set_ylim(bottom=0)
        bottom.set_ylim(0, 1.02)
        bottom.yaxis.set_major_formatter(percent_axis())
    grid[0, 0].set_ylabel("cross-entropy (nats)")
    grid[1, 0].set_ylabel("accuracy")
    figure.align_ylabels(grid[:, 0])
    return figure


def _curve(axes: Axes, history: pd.DataFrame, measure: str, colour: str) -> None:
    """Draw one measure of train and validation over the epochs."""
    for part, style in LINE_STYLES.items():
        name = f"{part}_{measure}"
        if name in history:
            axes.plot(
                history["epoch"], history[name], linestyle=style, color=colour, linewidth=1.8,
                marker="." if len(history) == 1 else None,
                label=part,
            )  # fmt: skip
    if "validation_loss" in history:
        best = history["epoch"].iloc[history["validation_loss"].argmin()]
        axes.axvline(best, color=GREY, linestyle=REFERENCE, linewidth=1.2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(True, axis="both")
