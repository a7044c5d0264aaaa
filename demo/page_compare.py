"""The tab "Compare models": what the evaluate stage found, by model."""

import streamlit as st

from demo import charts, snippets, view_models
from demo.paths import NETS, REPORTS_NEED, TABLES, history
from demo.shared import complete, heading, language, words
from demo.wording import percent
from rakuten import storage
from rakuten.category_names import GROUPS
from rakuten.model_names import title as model

BEST = "late_fusion"
_FORMS = {"accuracy": ".0%", "loss": "d"}
RELIABLE = ("fusion", "text_ensemble", "image_ensemble", "late_fusion")
"""Models whose reliability is drawn at first."""


def show() -> None:
    """Draw the tab."""
    if not complete(REPORTS_NEED, "missing_reports"):
        return
    comparison = _table("comparison")
    _show_metrics(comparison)
    st.divider()
    _show_one_model(list(comparison["model"]))
    st.divider()
    _show_reliability(_table("calibration"))
    st.divider()
    _show_curves()


@st.cache_data(show_spinner=False)
def _read(path: str, changed: float):
    """Read a table again when its file has changed."""
    return storage.read_csv(path)


def _table(name: str):
    """Read one of the evaluate stage's tables."""
    path = TABLES / f"{name}.csv"
    return _read(str(path), path.stat().st_mtime)


def _show_metrics(comparison) -> None:
    """Write the table of all models."""
    heading("metrics", words("metrics_note", rows=int(comparison["rows"].max())))
    rows, best = view_models.metric_rows(comparison, language())
    header = [words(name) for name in ("model", *view_models.METRICS, "published")]
    st.html(snippets.table(header, rows, label=words("metrics"), bold=best))


def _show_one_model(models: list[str]) -> None:
    """Draw the confusions and the categories of one model."""
    left, right = st.columns(2, gap="large")
    st.session_state.setdefault("chosen_model", BEST if BEST in models else models[0])
    chosen = left.selectbox(
        words("choose_model"),
        models,
        format_func=lambda name: model(name, language()),
        key="chosen_model",
    )
    group = right.selectbox(
        words("choose_group"),
        ["", *GROUPS],
        format_func=lambda name: GROUPS[name][language()] if name else words("all_categories"),
        key="chosen_group",
    )
    left, right = st.columns(2, gap="large")
    with left:
        heading("confusion", words("confusion_note"), level=3)
        cells = view_models.confusion_cells(_table("confusion"), chosen, group, language())
        titles = {name: words(name) for name in ("actual", "predicted", "rows", "share")}
        chart = charts.confusion(cells, titles, named=bool(group))
        st.altair_chart(chart, alt=words("confusion"))
        _show_errors(cells)
    with right:
        heading("per_category", words("per_category_note"), level=3)
        bars = view_models.f1_bars(_table("categories"), chosen, group, language())
        titles = {name: words(name) for name in ("category", "rows")}
        st.altair_chart(charts.category_f1(bars, titles), alt=words("per_category"))


def _show_errors(cells) -> None:
    """Write the most frequent errors."""
    heading("main_errors", level=3)
    errors = view_models.main_errors(cells)
    if errors.empty:
        st.html(snippets.note(words("no_errors")))
        return
    rows = [
        (row["actual_name"], row["predicted_name"], str(row["rows"]),
         percent(row["share"], language()))
        for row in errors.to_dict("records")
    ]  # fmt: skip
    header = [words(name) for name in ("actual", "predicted", "rows", "share")]
    st.html(snippets.table(header, rows, label=words("main_errors"), texts=2))


def _show_reliability(calibration) -> None:
    """Draw how far models' probabilities can be trusted."""
    heading("reliability", words("reliability_note"))
    models = list(dict.fromkeys(calibration["model"]))
    first = [name for name in RELIABLE if name in models]
    st.session_state.setdefault("reliable_models", first)
    chosen = st.multiselect(
        words("choose_models"),
        models,
        format_func=lambda name: model(name, language()),
        key="reliable_models",
    )
    points = view_models.reliability_points(calibration, chosen, language())
    titles = {name: words(name) for name in ("model", "confidence", "accuracy", "rows")}
    st.altair_chart(charts.reliability(points, titles), alt=words("reliability"))


def _show_curves() -> None:
    """Draw how the nets learnt."""
    heading("curves", words("curves_note"))
    histories = {}
    for net in NETS:
        path = history(net)
        histories[net] = _read(str(path), path.stat().st_mtime)
    for column, measure in zip(st.columns(2, gap="large"), ("accuracy", "loss"), strict=True):
        points = view_models.curve_points(histories, measure, language())
        titles = {name: words(name) for name in ("model", "epoch", "part")}
        chart = charts.curves(points, titles | {"value": words(measure)}, form=_FORMS[measure])
        column.altair_chart(chart, alt=f"{words('curves')} - {words(measure)}")
