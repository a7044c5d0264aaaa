"""Charts of the data show what the tables hold, with the same bytes each time."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from chart_cases import DATA, png, texts
from matplotlib.colors import to_hex

from rakuten.categories import CODES, SIZES
from rakuten.evaluation import exploration
from rakuten.reports import data_charts


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
def tables():
    """The tables of the catalogue."""
    frame, features = catalogue()
    return exploration.tables(frame, features, points=150, words=3, seed=0)


@pytest.fixture(scope="module")
def charts(tables):
    return data_charts.draw(tables, DATA)


def test_every_chart_names_its_data_and_has_axis_labels(charts):
    assert set(charts) == {
        "balance", "missing", "lengths", "languages", "borders", "colours", "projection",
    }  # fmt: skip
    for name, figure in charts.items():
        assert f"data: {DATA}" in texts(figure), name
        assert any(axes.get_xlabel() for axes in figure.axes), name


def test_charts_neither_change_nor_depend_on_matplotlib_settings(tables):
    before = dict(mpl.rcParams)
    usual = png(data_charts.languages(tables["languages"], DATA))
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "figure.dpi": 20}):
        assert png(data_charts.languages(tables["languages"], DATA)) == usual


@pytest.mark.slow
def test_equal_tables_give_equal_bytes(tables, charts):
    assert png(data_charts.projection(tables["projection"], DATA)) == png(charts["projection"])


def test_balance_counts_every_category_largest_on_top(tables):
    table = tables["balance"].assign(products=[SIZES[code] for code in CODES])
    figure = data_charts.class_balance(table, DATA)
    axes = figure.axes[0]
    assert axes.get_yticklabels()[-1].get_text() == "2583 Pools and spas"
    assert "10,209  (12.0 %)" in texts(figure)
    np.testing.assert_allclose(
        axes.collections[0].get_offsets()[:, 0], sorted(SIZES.values()), rtol=1e-4
    )


def test_missing_values_have_a_panel_only_where_something_is_missing(tables):
    figure = data_charts.missing_values(tables["missing"], DATA)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["no description: 66.5 % of all"]
    assert {"no text at all: none", "no image: none"} <= set(texts(figure))
    complete = tables["missing"].assign(no_description=0)
    assert "No value is missing." in texts(data_charts.missing_values(complete, DATA))


def test_no_label_is_on_the_line_of_the_mean(tables):
    axes = data_charts.missing_values(tables["missing"], DATA).axes[0]
    axes.figure.draw_without_rendering()
    (line,) = axes.lines
    position = axes.transData.transform((line.get_xdata()[0], 0))[0]
    for label in axes.texts:
        box = label.get_window_extent()
        assert not box.x0 <= position <= box.x1


def test_no_legend_is_on_the_data(charts):
    for name, figure in charts.items():
        figure.draw_without_rendering()
        assert all(axes.get_legend() is None for axes in figure.axes), name
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert box.x1 < figure.bbox.x1, name
            for axes in figure.axes:
                assert not box.overlaps(axes.get_tightbbox()), name


def lengths_of(titles):
    """Figure of the lengths of `titles`; no product has a description or a token."""
    frame, _ = catalogue(len(titles))
    frame = frame.assign(designation=["x" * length for length in titles])
    frame = frame.assign(has_description=False, has_text=False)
    return data_charts.lengths(
        exploration.length_histograms(frame), exploration.length_table(frame), DATA
    )


def test_lengths_mark_the_median_and_count_the_products():
    shown = texts(lengths_of([5, 10, 2000]))
    assert "Title: median 10" in shown
    assert "3 products" in shown
    assert shown.count("no product has one") == 2


def test_lengths_count_every_product_once():
    axes = lengths_of([1, 1, 2, 3, 7, 20, 9700]).axes[0]
    stairs = axes.patches[0].get_data()
    assert (stairs.values * np.diff(np.log2(stairs.edges))).sum() == pytest.approx(7)


def test_rare_languages_are_one_bar():
    counts = np.arange(6, 0, -1)
    table = pd.DataFrame({"language": list("abcdef"), "products": counts, "share": counts / 21})
    figure = data_charts.languages(table, DATA, most=4)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["2 others", "d", "c", "b", "a"]  # from the bottom
    assert "14.3 %  (3)" in texts(figure)


def test_swatches_show_the_mean_colour(tables):
    table = tables["images"].assign(red=255.0, green=0.0, blue=51.0)
    axes = data_charts.mean_colours(table, DATA).axes[0]
    assert {to_hex(patch.get_facecolor()) for patch in axes.patches} == {"#ff0033"}


def test_projection_labels_every_category_without_overlap():
    """Even if all centroids are close together."""
    x, y = np.random.default_rng(0).normal(size=(2, 27))
    points = pd.DataFrame({"code": CODES, "x": x, "y": y})
    figure = data_charts.projection(points.assign(x_variance=0.3, y_variance=0.2), DATA)
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


def test_without_images_the_charts_say_so(tables):
    none = tables["images"].assign(products=0)
    assert "No product has an image." in texts(data_charts.borders(none, DATA))
    assert "No product has an image." in texts(data_charts.mean_colours(none, DATA))
    points = tables["projection"].iloc[:0]
    assert "Fewer than three products have an image." in texts(data_charts.projection(points, DATA))
