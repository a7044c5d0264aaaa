"""Charts of the models show what the tables hold."""

import itertools

import numpy as np
import pandas as pd
import pytest
from chart_cases import DATA, texts
from matplotlib.colors import to_hex

from rakuten.categories import CODES, GROUPS
from rakuten.model_names import BY_NAME
from rakuten.reports import model_charts


def category_tables(scores):
    """A table of `tables.category_table` with one F1 for all categories of each model."""
    return pd.concat(
        pd.DataFrame({"model": model, "code": CODES, "f1": f1, "support": 5})
        for model, f1 in scores.items()
    )


def comparison_table():
    return pd.DataFrame(
        {
            "model": ["text", "text_linear_svm", "image", "text_ensemble"],
            "title": ["Text net", "Linear SVM on text", "Image net", "Text ensemble"],
            "modality": ["text", "text", "image", "text"],
            "baseline": [False, True, False, False],
            "accuracy": [0.8, 0.7, np.nan, 0.85],
            "macro_f1": [0.6, 0.5, np.nan, 0.7],
            "ece": [0.05, np.nan, np.nan, 0.021],
            "published_accuracy": [0.772, np.nan, 0.593, np.nan],
        }
    )


def calibration_bins(**accuracies):
    """A table of `tables.calibration_table` with two bins of each model."""
    return pd.concat(
        pd.DataFrame(
            {
                "model": model,
                "bin": [1, 2],
                "rows": 100,
                "confidence": [0.3, 0.9],
                "accuracy": accuracy,
            }
        )
        for model, accuracy in accuracies.items()
    )


def history(epochs=5, validation=True):
    epoch = np.arange(1, epochs + 1)
    curves = {"epoch": epoch, "train_loss": 1 / epoch, "train_accuracy": 1 - 1 / (epoch + 1)}
    if validation:
        curves["validation_loss"] = [2, 1, 0.5, 0.7, 0.9][:epochs]
        curves["validation_accuracy"] = 1 - 1 / (epoch + 2)
    return pd.DataFrame(curves)


def confusion_table(model, *rows):
    """A table of `tables.confusion_table` of one model: actual, predicted, number of products."""
    columns = ["actual_code", "predicted_code", "rows"]
    return pd.DataFrame(rows, columns=columns).assign(model=model)


def all_correct(model):
    return confusion_table(model, *((code, code, 1) for code in CODES))


def test_every_chart_names_its_data_and_has_axis_labels():
    tables = {
        "comparison": comparison_table(),
        "categories": category_tables({"text": 0.5}),
        "calibration": calibration_bins(text=[0.2, 0.8]),
        "confusion": all_correct("text"),
    }
    charts = model_charts.draw(tables, {"text": history()}, DATA)
    assert set(charts) == {
        "categories", "comparison", "calibration", "curves",
        "confusion_text", "confusion_image", "confusion_text_ensemble",
    }  # fmt: skip
    for name, figure in charts.items():
        assert f"data: {DATA}" in texts(figure), name
        assert any(axes.get_xlabel() for axes in figure.axes), name


def test_legends_and_titles_are_within_the_chart_and_off_the_data():
    models = ["text", "image", "text_ensemble", "image_ensemble"]
    table = comparison_table().assign(model=models)
    figures = [
        model_charts.comparison(table, DATA),
        model_charts.category_scores(category_tables(dict.fromkeys(models, 0.5)), DATA),
        model_charts.calibration(
            calibration_bins(**{model: [0.2, 0.8] for model in models}), table, DATA
        ),
        model_charts.confusion(all_correct("text"), "text", DATA),
        model_charts.curves(dict.fromkeys(["text", "image", "fusion"], history()), DATA),
    ]
    for figure in figures:
        figure.draw_without_rendering()
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert box.x1 < figure.bbox.x1
        for axes in figure.axes:
            assert axes.get_legend() is None
            outline = axes.get_tightbbox()
            assert not box.overlaps(outline)
            assert outline.x0 >= 0
            assert outline.x1 <= figure.bbox.x1 + 1


def test_confusion_shows_percent_of_the_actual_category():
    table = confusion_table(
        "text", (10, 10, 3), (10, 2280, 1), (1160, 1160, 996), (1160, 1180, 4)
    )  # the last is 0.4 %, left blank
    figure = model_charts.confusion(table, "text", DATA)
    axes = figure.axes[0]
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "75", (1, 0): "25", (13, 13): "100"}
    assert axes.get_yticklabels()[0].get_text() == "10 Books for adults  (4)"
    assert "Text net: confusion on test: 99.5 % of 1,004 products correct" in texts(figure)


def test_confusion_outlines_confusable_groups():
    figure = model_charts.confusion(all_correct("text"), "text", DATA)
    axes = figure.axes[0]
    codes = [int(label.get_text().split()[0]) for label in axes.get_xticklabels()]
    assert codes[:12] == [code for group in GROUPS.values() for code in group]
    assert sorted(codes) == list(CODES)
    outlines = [(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in axes.patches]
    assert outlines == [(-0.5, -0.5, 4, 4), (3.5, 3.5, 4, 4), (7.5, 7.5, 4, 4)]


def test_confusion_of_a_model_without_products_is_blank():
    figure = model_charts.confusion(all_correct("text"), "image", DATA)
    assert not figure.axes[0].texts
    assert "Image net: confusion on test: no product" in texts(figure)


def test_category_scores_order_by_the_last_model_and_skip_one_without_scores():
    table = category_tables({"text": 0.4, "image": np.nan, "fusion": np.linspace(0, 1, 27)})
    panels = model_charts.category_scores(table, DATA).axes
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    assert labels[-1] == f"{CODES[-1]} PC games to download  (5)"
    assert [axes.get_title(loc="left") for axes in panels] == ["Text net", "Fusion net"]


def test_category_scores_join_the_ensemble_and_the_net_of_a_modality():
    scores = {
        "text": 0.4,
        "image": 0.3,
        "text_ensemble": np.linspace(0.5, 1, 27),
        "late_fusion": 0.9,
    }
    panels = model_charts.category_scores(category_tables(scores), DATA).axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == ["Text net\nText ensemble", "Image net", "Late fusion"]
    lines, net, best = panels[0].collections
    ends = np.array([segment[:, 0] for segment in lines.get_segments()])
    np.testing.assert_allclose(ends[:, 0], 0.4)
    np.testing.assert_allclose(ends[:, 1], np.linspace(0.5, 1, 27))
    assert net.get_offsets()[:, 0].tolist() == [0.4] * 27
    np.testing.assert_allclose(best.get_offsets()[:, 0], np.linspace(0.5, 1, 27))
    assert len(panels[1].collections) == len(panels[2].collections) == 1


def test_comparison_draws_the_published_accuracy_hollow():
    figure = model_charts.comparison(comparison_table(), DATA)
    axes = figure.axes[0]
    accuracy, macro_f1 = axes.containers
    published = axes.collections[-1]
    assert [bar.get_width() for bar in accuracy] == [0.8, 0.7, 0, 0.85]
    assert [bar.get_width() for bar in macro_f1] == [0.6, 0.5, 0, 0.7]
    colours = [to_hex(bar.get_facecolor()) for bar in accuracy]
    assert colours[0] == BY_NAME["text"].colour
    assert colours[3] == BY_NAME["text_ensemble"].colour
    assert len(set(colours)) == 4
    drawn = np.ma.compressed(np.ma.masked_invalid(published.get_offsets()[:, 0]))
    assert drawn.tolist() == [0.772, 0.593]
    assert to_hex(published.get_facecolor()[0]) == "#ffffff"
    assert "published accuracy (real data)" in texts(figure)
    assert "no test product" in texts(figure)
    assert "80.0 %  (macro F1 60.0 %)" in texts(figure)


def test_no_mark_of_the_comparison_hides_another():
    """Even if accuracy, macro F1 and published accuracy are equal."""
    equal = comparison_table().assign(accuracy=0.8, macro_f1=0.8, published_accuracy=0.8)
    axes = model_charts.comparison(equal, DATA).axes[0]
    axes.figure.draw_without_rendering()
    accuracy, macro_f1 = axes.containers
    (published,) = axes.collections
    half = np.sqrt(published.get_sizes()[0]) / 2 * axes.figure.dpi / 72
    marks = [mark[1] for mark in axes.transData.transform(published.get_offsets())]
    lanes = [(bar.get_window_extent().y0, bar.get_window_extent().y1) for bar in accuracy]
    lanes += [(bar.get_window_extent().y0, bar.get_window_extent().y1) for bar in macro_f1]
    lanes = sorted([*lanes, *((mark - half, mark + half) for mark in marks)])
    assert len(lanes) == 12
    assert all(low[1] <= high[0] + 0.5 for low, high in itertools.pairwise(lanes))


def test_calibration_shows_the_error_of_each_model_and_the_interval_of_each_bin():
    bins = calibration_bins(text=[0.5, 0.8], text_ensemble=[0.35, 1.0])
    figure = model_charts.calibration(bins, comparison_table(), DATA)
    net, best = figure.axes
    assert [net.get_title(loc="left"), best.get_title(loc="left")] == [
        "Text net: ECE 5.0 %",
        "Text ensemble: ECE 2.1 %",
    ]
    diagonal, curve = best.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert curve.get_xydata().tolist() == [[0.3, 0.35], [0.9, 1.0]]
    (noise,) = net.collections
    ends = np.array([segment[:, 1] for segment in noise.get_segments()])
    assert ends[0] == pytest.approx([0.4038, 0.5962], abs=1e-3)  # Wilson's of 50 in 100


def test_calibration_without_some_or_all_models():
    bins = calibration_bins(text=[0.5, 0.8], image_ensemble=[0.35, 1.0])
    named = pd.concat(
        [comparison_table(), comparison_table().tail(1).assign(model="image_ensemble")]
    )
    shown = [axes for axes in model_charts.calibration(bins, named, DATA).axes if axes.axison]
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in shown)
    assert len(shown) == 2
    nothing = model_charts.calibration(bins.iloc[:0], comparison_table(), DATA)
    assert "No model has probabilities for a test product." in texts(nothing)


def test_curves_mark_the_epoch_whose_weights_are_kept():
    figure = model_charts.curves({"text": history()}, DATA)
    marked = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert marked == [3]


def test_curves_without_training_or_validation():
    empty = history().iloc[:0]
    figure = model_charts.curves({"text": empty, "image": history(validation=False)}, DATA)
    assert "Text net: not trained" in texts(figure)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["train (with dropout)"]
