"""The tab "Compare models": the results of the evaluate stage by model."""

import streamlit as st

from demo import catalogue, charts, components, view_models
from demo.shared import RESULTS, complete, heading, language, results, t
from demo.translations import count, percent
from rakuten.category_names import GROUPS
from rakuten.evaluation.published import TEST_ROWS
from rakuten.model_names import ENSEMBLES, named
from rakuten.model_names import title as model
from rakuten.sample.dataset import SAMPLE, is_sample

DEFAULT = named("ensemble", "fusion")
"""The model shown first."""

_FORMATS = {"accuracy": ".0%", "loss": "d"}
RELIABLE = (named("study", "fusion"), *ENSEMBLES)
"""Models in the reliability chart by default."""


def show() -> None:
    """Draw the tab."""
    if not complete(RESULTS, "missing_reports"):
        return
    comparison = results().tables["comparison"]
    _show_metrics(comparison)
    st.divider()
    _show_published(results().tables["intervals"])
    st.divider()
    _show_one_model(list(comparison["model"]))
    st.divider()
    _show_reliability(results().tables["calibration"])
    st.divider()
    _show_curves()


def _show_metrics(comparison) -> None:
    """Show the table of all models."""
    rows = count(int(comparison["rows"].max()), language())
    heading("metrics", t("metrics_note", rows=rows, data=_data()))
    cells, best = view_models.metric_rows(comparison, language())
    header = [t(name) for name in ("model", *view_models.METRICS)]
    st.html(components.table(header, cells, label=t("metrics"), bold=best))


def _data() -> str:
    """Name the data in the language of this visit."""
    name = catalogue.dataset_name()
    return name.replace(SAMPLE, t("data_sample")) if is_sample(name) else name


def _show_published(intervals) -> None:
    """Show the published accuracies and ours, each with the products that it was measured on."""
    on_sample = is_sample(catalogue.dataset_name())
    heading("gauge", t("gauge_sample" if on_sample else "gauge_data"))
    left, right = st.columns(2, gap="large")
    labels = [percent(share, language()) for share in (0.0, 0.5, 1.0)]
    title = t("gauge_published", rows=count(TEST_ROWS, language()))
    ranges = view_models.published_ranges(language())
    left.html(components.gauge(title, ranges, kind="published", labels=labels))
    rows = count(int(intervals["rows"].max()), language())
    title = t("gauge_here", rows=rows, data=_data())
    ranges = view_models.measured_ranges(intervals, language())
    right.html(components.gauge(title, ranges, kind="here", labels=labels))
    right.html(components.note(t("gauge_interval")))


def _show_one_model(models: list[str]) -> None:
    """Show the confusion matrix and the F1 per category of one model."""
    left, right = st.columns(2, gap="large")
    st.session_state.setdefault("chosen_model", DEFAULT if DEFAULT in models else models[0])
    chosen = left.selectbox(
        t("choose_model"),
        models,
        format_func=lambda name: model(name, language()),
        key="chosen_model",
    )
    group = right.selectbox(
        t("choose_group"),
        ["", *GROUPS],
        format_func=lambda name: GROUPS[name][language()] if name else t("all_categories"),
        key="chosen_group",
    )
    left, right = st.columns(2, gap="large")
    with left:
        heading("confusion", t("confusion_note"), level=3)
        confusion = results().tables["confusion"]
        cells = view_models.confusion_cells(confusion, chosen, group, language())
        titles = {name: t(name) for name in ("actual", "predicted", "rows", "share")}
        chart = charts.confusion(cells, titles, named=bool(group))
        st.altair_chart(chart, alt=t("confusion"))
        _show_errors(cells)
    with right:
        heading("per_category", t("per_category_note"), level=3)
        bars = view_models.f1_bars(results().tables["categories"], chosen, group, language())
        titles = {name: t(name) for name in ("category", "rows")}
        st.altair_chart(charts.category_f1(bars, titles), alt=t("per_category"))


def _show_errors(cells) -> None:
    """Show the most frequent errors."""
    heading("main_errors", level=3)
    errors = view_models.main_errors(cells)
    if errors.empty:
        st.html(components.note(t("no_errors")))
        return
    rows = [
        (row["actual_name"], row["predicted_name"], str(row["rows"]),
         percent(row["share"], language()))
        for row in errors.to_dict("records")
    ]  # fmt: skip
    header = [t(name) for name in ("actual", "predicted", "rows", "share")]
    st.html(components.table(header, rows, label=t("main_errors"), texts=2))


def _show_reliability(calibration) -> None:
    """Show the reliability chart."""
    heading("reliability", t("reliability_note"))
    models = list(dict.fromkeys(calibration["model"]))
    first = [name for name in RELIABLE if name in models]
    st.session_state.setdefault("reliable_models", first)
    chosen = st.multiselect(
        t("choose_models"),
        models,
        format_func=lambda name: model(name, language()),
        key="reliable_models",
    )
    points = view_models.reliability_points(calibration, chosen, language())
    titles = {name: t(name) for name in ("model", "confidence", "accuracy", "rows")}
    st.altair_chart(charts.reliability(points, titles), alt=t("reliability"))


def _show_curves() -> None:
    """Show the training curves of the nets."""
    heading("curves", t("curves_note"))
    for column, measure in zip(st.columns(2, gap="large"), ("accuracy", "loss"), strict=True):
        points = view_models.curve_points(results().histories, measure, language())
        titles = {name: t(name) for name in ("model", "epoch", "part")}
        chart = charts.curves(
            points, titles | {"value": t(measure)}, number_format=_FORMATS[measure]
        )
        column.altair_chart(chart, alt=f"{t('curves')} - {t(measure)}")
