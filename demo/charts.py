"""Charts, in colours that are legible on white and on black."""

import altair as alt
import pandas as pd

RED, TEAL, AMBER, BLUE = "#d9475a", "#179b93", "#c98a1b", "#5b7fd0"
COLOURS = [RED, TEAL, AMBER, BLUE, "#9467bd", "#7f8c8d"]

_LABELS = 1000  # pixels before a label is cut


def confusion(table: pd.DataFrame, words: dict[str, str], *, named: bool) -> alt.LayerChart:
    """Draw a confusion matrix.

    Args:
        table: Columns actual, predicted (labels), actual_name, predicted_name, rows, share; in the
            order of the axes.
        words: Titles: actual, predicted, rows, share.
        named: Whether labels are names, which need more space, and cells show their numbers.
    """
    order = list(dict.fromkeys(table["actual"]))
    axis = {"sort": order, "scale": alt.Scale(domain=order)}
    base = alt.Chart(table).encode(
        x=alt.X("predicted:N", title=words["predicted"], axis=_axis(labelAngle=-90), **axis),
        y=alt.Y("actual:N", title=words["actual"], axis=_axis(), **axis),
    )
    cells = base.mark_rect(color=RED, cornerRadius=2, stroke="#88888822", strokeWidth=0.5).encode(
        opacity=alt.Opacity(
            "share:Q", scale=alt.Scale(domain=[0, 1], range=[0.03, 1]), legend=None
        ),
        tooltip=[
            alt.Tooltip("actual_name:N", title=words["actual"]),
            alt.Tooltip("predicted_name:N", title=words["predicted"]),
            alt.Tooltip("rows:Q", title=words["rows"]),
            alt.Tooltip("share:Q", title=words["share"], format=".0%"),
        ],
    )
    side = max(260, 19 * len(order)) if not named else max(340, 80 * len(order))
    if not named:
        return alt.layer(cells).properties(height=side)
    strong = alt.datum.share > 0.55
    numbers = base.transform_filter(alt.datum.rows > 0).mark_text(fontSize=14, fontWeight="bold")
    light = numbers.transform_filter(strong).mark_text(color="white", fontSize=14)
    dark = numbers.transform_filter(~strong).mark_text(color="#8a8f98", fontSize=14)
    text = [one.encode(text="rows:Q") for one in (light, dark)]
    return alt.layer(cells, *text).properties(height=side)


def category_f1(table: pd.DataFrame, words: dict[str, str]) -> alt.LayerChart:
    """Draw one bar for each category.

    Args:
        table: Columns category (label), f1, support, value (f1 as text); in the order of the bars.
        words: Titles: category, rows.
    """
    base = alt.Chart(table).encode(
        y=alt.Y("category:N", sort=list(table["category"]), title=None, axis=_axis()),
        x=alt.X("f1:Q", title="F1", scale=alt.Scale(domain=[0, 1.08], nice=False),
                axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format=".0%")),
        tooltip=[
            alt.Tooltip("category:N", title=words["category"]),
            alt.Tooltip("f1:Q", title="F1", format=".0%"),
            alt.Tooltip("support:Q", title=words["rows"]),
        ],
    )  # fmt: skip
    bars = base.mark_bar(color=TEAL, cornerRadiusEnd=3, height={"band": 0.62})
    values = base.mark_text(align="left", dx=4, fontSize=11, color="#7d828c").encode(text="value:N")
    return alt.layer(bars, values).properties(height=max(150, 24 * len(table)))


def reliability(table: pd.DataFrame, words: dict[str, str]) -> alt.LayerChart:
    """Draw accuracy against predicted probability.

    Args:
        table: Columns model (name), confidence, accuracy, rows.
        words: Titles: model, confidence, accuracy, rows.
    """
    ideal = alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]}))
    diagonal = ideal.mark_line(color="#8a8f98", strokeDash=[1, 3]).encode(x="x:Q", y="y:Q")
    percent = alt.Axis(format=".0%", tickCount=5)
    share = alt.Scale(domain=[0, 1])
    names = list(dict.fromkeys(table["model"]))
    lines = alt.Chart(table).mark_line(point={"size": 45}, strokeWidth=2).encode(
        x=alt.X("confidence:Q", title=words["confidence"], axis=percent, scale=share),
        y=alt.Y("accuracy:Q", title=words["accuracy"], axis=percent, scale=share),
        color=_series("model", names),
        shape=alt.Shape("model:N", scale=alt.Scale(domain=names), legend=_legend()),
        tooltip=[
            alt.Tooltip("model:N", title=words["model"]),
            alt.Tooltip("confidence:Q", title=words["confidence"], format=".0%"),
            alt.Tooltip("accuracy:Q", title=words["accuracy"], format=".0%"),
            alt.Tooltip("rows:Q", title=words["rows"]),
        ],
    )  # fmt: skip
    return alt.layer(diagonal, lines).properties(height=360)


def curves(table: pd.DataFrame, words: dict[str, str], *, number_format: str) -> alt.Chart:
    """Draw one metric by epoch.

    Args:
        table: Columns model (name), epoch, part (name), value: train dashed, then validation
            solid, as in all charts of the project.
        words: Titles: model, epoch, part, value.
        number_format: Format of the values on the axis, in D3's notation.
    """
    names = list(dict.fromkeys(table["model"]))
    parts = list(dict.fromkeys(table["part"]))
    return alt.Chart(table).mark_line(strokeWidth=2).encode(
        x=alt.X("epoch:Q", title=words["epoch"], axis=alt.Axis(tickMinStep=1, format="d")),
        y=alt.Y("value:Q", title=words["value"], axis=alt.Axis(format=number_format, tickCount=5)),
        color=_series("model", names),
        strokeDash=alt.StrokeDash(
            "part:N", sort=parts, legend=None,
            scale=alt.Scale(domain=parts, range=[[5, 4], [1, 0]]),
        ),
        tooltip=[
            alt.Tooltip("model:N", title=words["model"]),
            alt.Tooltip("part:N", title=words["part"]),
            alt.Tooltip("epoch:Q", title=words["epoch"]),
            alt.Tooltip("value:Q", title=words["value"], format=".3f"),
        ],
    ).properties(height=320)  # fmt: skip


def _axis(**options) -> alt.Axis:
    """Label every category in full."""
    return alt.Axis(labelLimit=_LABELS, labelOverlap=False, ticks=False, domain=False, **options)


def _series(field: str, names: list[str]) -> alt.Color:
    """Assign a colour to each name, with the legend below the chart."""
    colours = (COLOURS * len(names))[: len(names)]
    return alt.Color(f"{field}:N", scale=alt.Scale(domain=names, range=colours), legend=_legend())


def _legend() -> alt.Legend:
    """Put the legend below the chart, so that it takes no width on a phone."""
    return alt.Legend(title=None, orient="bottom", columns=2, labelLimit=_LABELS)
