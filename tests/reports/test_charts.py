"""Pictures say what the tables say, the same bytes each time, readable."""

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from rakuten.categories import CODES, GROUPS, NAMES, SIZES, to_labels
from rakuten.evaluation import exploration
from rakuten.model_names import BY_NAME
from rakuten.reports import charts

DATA = "twelve test rows"


def texts(figure):
    """All that is written in a figure."""
    found = figure.findobj(mpl.text.Text)
    return [text.get_text() for text in found if text.get_text() and text.get_visible()]


def png(figure):
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def category_tables(scores):
    """A table of `metrics.category_table` with one F1 for all categories of each model."""
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
    """A table of `metrics.calibration_table` with two bins of each model."""
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


def catalogue(rows=200, seed=0):
    """A catalogue in the form of `exploration.join`, and its features."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % 27
    frame = pd.DataFrame(
        {
            "id": np.arange(rows),
            "designation": ["titre"] * rows,
            "description": [None if row % 3 else "x" * (row + 1) for row in range(rows)],
            "label": labels,
            "has_text": True,
            "language": generator.choice(["fr", "en", "de"], rows),
            "tokens": "titre",
            "num_tokens": 1 + np.arange(rows) % 7,
            "has_image": True,
            "has_description": [row % 3 == 0 for row in range(rows)],
            "border_share": generator.uniform(0, 0.6, rows),
            **{f"mean_{c}": generator.uniform(0, 255, rows) for c in ("red", "green", "blue")},
        }
    )
    features = generator.normal(size=(rows, 8)).astype(np.float32)
    arrays = {"ids": np.arange(rows), "present": np.ones(rows, bool), "features": features}
    return frame, arrays


@pytest.fixture(scope="module")
def explored():
    """The tables of the catalogue."""
    frame, features = catalogue()
    tables = exploration.tables(frame, features, points=150, words=3, seed=0)
    return frame, tables


@pytest.fixture(scope="module")
def pictures(explored):
    """Every picture of both stages."""
    frame, tables = explored
    drawn = charts.catalogue_pictures(
        tables, exploration.text_lengths(frame), exploration.LENGTHS, DATA
    )
    models = {
        "comparison": comparison_table(),
        "categories": category_tables({"text": 0.5}),
        "calibration": calibration_bins(text=[0.2, 0.8]),
    }
    counts = {"fusion": np.eye(27, dtype=np.int64)}
    return drawn | charts.model_pictures(models, counts, {"text": history()}, DATA)


def test_every_picture_names_its_data_and_has_units(pictures):
    assert set(pictures) == {
        "balance", "missing", "lengths", "languages", "borders", "colours", "projection",
        "confusion_fusion", "categories", "comparison", "calibration", "curves",
    }  # fmt: skip
    for name, picture in pictures.items():
        assert f"data: {DATA}" in texts(picture), name
        labels = [axes.get_xlabel() for axes in picture.axes]
        assert any(labels), name


def test_pictures_leave_no_state_behind(explored):
    """Neither settings nor open figures; and settings outside do not reach the picture."""
    before = dict(mpl.rcParams)
    usual = png(charts.languages(explored[1]["languages"], DATA))
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "figure.dpi": 20}):
        assert png(charts.languages(explored[1]["languages"], DATA)) == usual


def test_the_same_table_gives_the_same_bytes(explored, pictures):
    again = charts.projection(explored[1]["projection"], DATA)
    assert png(again) == png(pictures["projection"])


def test_confusion_shows_per_cent_of_the_actual_category():
    counts = np.zeros((27, 27), np.int64)
    books = to_labels([10, 2280])
    counts[books[0], books[0]], counts[books[0], books[1]] = 3, 1
    counts[5, 5] = 996
    counts[5, 6] = 4  # 0.4 %, left blank
    figure = charts.confusion(counts, "text", DATA)
    axes = figure.axes[0]
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "75", (1, 0): "25", (13, 13): "100"}
    assert axes.get_yticklabels()[0].get_text() == "10 livres adulte  (4)"
    assert "Confusion of the text model on test: 99.5 % of 1,004 products right" in texts(figure)


def test_confusion_puts_alike_categories_side_by_side_and_outlines_them():
    figure = charts.confusion(np.eye(27, dtype=np.int64), "text", DATA)
    axes = figure.axes[0]
    codes = [int(label.get_text().split()[0]) for label in axes.get_xticklabels()]
    assert codes[:12] == [code for group in GROUPS.values() for code in group]
    assert sorted(codes) == list(CODES)
    outlines = [(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in axes.patches]
    assert outlines == [(-0.5, -0.5, 4, 4), (3.5, 3.5, 4, 4), (7.5, 7.5, 4, 4)]


def test_confusion_of_no_product_is_blank():
    figure = charts.confusion(np.zeros((27, 27), np.int64), "image", DATA)
    assert not figure.axes[0].texts
    assert "Image net: confusion on test: no product" in texts(figure)


def test_confusion_names_the_best_models_in_words():
    figure = charts.confusion(np.eye(27, dtype=np.int64), "late_fusion", DATA)
    title = "Late fusion: confusion on test: 100.0 % of 27 products right"
    assert title in texts(figure)


def test_category_scores_order_by_the_last_model_and_skip_one_without_scores():
    table = category_tables({"text": 0.4, "image": np.nan, "fusion": np.linspace(0, 1, 27)})
    panels = charts.category_scores(table, DATA).axes
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    assert labels[-1] == f"{CODES[-1]} {NAMES[CODES[-1]].replace('_', ' ')}  (5)"
    legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in panels]
    assert legends == [["Text net"], ["Fusion net"]]


def test_category_scores_join_the_best_model_with_the_net_of_its_modality():
    scores = {
        "text": 0.4,
        "image": 0.3,
        "text_ensemble": np.linspace(0.5, 1, 27),
        "late_fusion": 0.9,
    }
    panels = charts.category_scores(category_tables(scores), DATA).axes
    legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in panels]
    assert legends == [["Text net", "Text ensemble"], ["Image net"], ["Late fusion"]]
    lines, net, best = panels[0].collections
    ends = np.array([segment[:, 0] for segment in lines.get_segments()])
    np.testing.assert_allclose(ends[:, 0], 0.4)
    np.testing.assert_allclose(ends[:, 1], np.linspace(0.5, 1, 27))
    assert net.get_offsets()[:, 0].tolist() == [0.4] * 27
    np.testing.assert_allclose(best.get_offsets()[:, 0], np.linspace(0.5, 1, 27))
    assert len(panels[1].collections) == len(panels[2].collections) == 1


def test_comparison_draws_the_published_accuracy_hollow():
    figure = charts.comparison(comparison_table(), DATA)
    axes = figure.axes[0]
    bars, published = [bar.get_width() for bar in axes.patches], axes.collections[-1]
    assert bars == [0.8, 0.7, 0, 0.85]
    colours = [to_hex(bar.get_facecolor()) for bar in axes.patches]
    assert colours[0] == BY_NAME["text"].colour
    assert colours[3] == BY_NAME["text_ensemble"].colour
    assert len(set(colours)) == 4
    drawn = np.ma.compressed(np.ma.masked_invalid(published.get_offsets()[:, 0]))
    assert drawn.tolist() == [0.772, 0.593]
    assert to_hex(published.get_facecolor()[0]) == "#ffffff"
    assert "published accuracy (real data)" in texts(figure)
    assert "no test product" in texts(figure)
    assert "80.0 %  (macro F1 60.0 %)" in texts(figure)


def test_calibration_draws_each_model_with_its_error_and_the_noise_of_its_bins():
    bins = calibration_bins(text=[0.5, 0.8], text_ensemble=[0.35, 1.0])
    figure = charts.calibration(bins, comparison_table(), DATA)
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


def test_calibration_can_do_without_some_models_or_all():
    bins = calibration_bins(text=[0.5, 0.8], image_ensemble=[0.35, 1.0])
    named = pd.concat(
        [comparison_table(), comparison_table().tail(1).assign(model="image_ensemble")]
    )
    shown = [axes for axes in charts.calibration(bins, named, DATA).axes if axes.axison]
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in shown)
    assert len(shown) == 2
    nothing = charts.calibration(bins.iloc[:0], comparison_table(), DATA)
    assert "No model has given probabilities to a test product." in texts(nothing)


def test_curves_mark_the_epoch_whose_weights_are_kept():
    figure = charts.curves({"text": history()}, DATA)
    marked = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert marked == [3]


def test_curves_can_do_without_training_or_validation():
    empty = history().iloc[:0]
    figure = charts.curves({"text": empty, "image": history(validation=False)}, DATA)
    assert "text: not trained" in texts(figure)
    names = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert names == ["train (dropout on)"]


def test_balance_counts_every_category_largest_on_top(explored):
    table = explored[1]["balance"].assign(products=[SIZES[code] for code in CODES])
    figure = charts.class_balance(table, DATA)
    axes = figure.axes[0]
    assert axes.get_yticklabels()[-1].get_text() == "2583 piscine spa"
    assert "10,209  (12.0 %)" in texts(figure)
    np.testing.assert_allclose(
        axes.collections[0].get_offsets()[:, 0], sorted(SIZES.values()), rtol=1e-4
    )


def test_missing_values_say_where_nothing_is_missing(explored):
    figure = charts.missing_values(explored[1]["missing"], DATA)
    assert texts(figure).count("none missing") == 2  # neither texts nor images
    assert "no description: 66.5 % of all" in texts(figure)


def test_lengths_mark_the_median_and_count_the_products():
    values = {"title": np.array([5, 10, 2000]), "tokens": np.zeros(0, np.int64)}
    figure = charts.lengths(values, exploration.LENGTHS, DATA)
    assert "median 10" in texts(figure)
    assert "3 products" in texts(figure)
    assert "no product has one" in texts(figure)


def test_lengths_count_every_product_once():
    lengths = np.array([1, 1, 2, 3, 7, 20, 9700])
    axes = charts.lengths({"title": lengths}, exploration.LENGTHS, DATA).axes[0]
    stairs = axes.patches[0].get_data()
    assert (stairs.values * np.diff(np.log(stairs.edges))).sum() == pytest.approx(7)


def test_languages_sum_up_the_rare_ones():
    counts = np.arange(6, 0, -1)
    table = pd.DataFrame({"language": list("abcdef"), "products": counts, "share": counts / 21})
    figure = charts.languages(table, DATA, most=4)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["a", "b", "c", "d", "2 others"]
    assert "14.3 %  (3)" in texts(figure)


def test_colours_are_drawn_in_themselves(explored):
    table = explored[1]["images"].assign(red=255.0, green=0.0, blue=51.0)
    axes = charts.mean_colours(table, DATA).axes[0]
    assert {to_hex(patch.get_facecolor()) for patch in axes.patches} == {"#ff0033"}


def test_projection_labels_every_category_without_overlap():
    """Even where all centres lie close together."""
    x, y = np.random.default_rng(0).normal(size=(2, 27))
    points = pd.DataFrame({"code": CODES, "x": x, "y": y})
    figure = charts.projection(points.assign(x_variance=0.3, y_variance=0.2), DATA)
    figure.draw_without_rendering()
    labels = [text for text in figure.axes[1].texts if text.get_text()]
    assert {int(label.get_text().split()[0]) for label in labels} == set(CODES)
    boxes = [
        mpl.text.Text.get_window_extent(label, figure.canvas.get_renderer()) for label in labels
    ]
    overlapping = [
        (a, b)
        for a in range(27)
        for b in range(a)
        if boxes[a].shrunk(0.98, 0.9).overlaps(boxes[b].shrunk(0.98, 0.9))
    ]
    assert not overlapping


def test_without_images_the_pictures_say_so(explored):
    none = explored[1]["images"].assign(products=0)
    assert "No product has an image." in texts(charts.borders(none, DATA))
    assert "No product has an image." in texts(charts.mean_colours(none, DATA))
    points = explored[1]["projection"].iloc[:0]
    assert "Fewer than three products have an image." in texts(charts.projection(points, DATA))
