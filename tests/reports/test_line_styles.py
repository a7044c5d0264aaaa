"""Training curves have one meaning for solid and dashed in all charts of the project."""

import json

import numpy as np
import pandas as pd
import pytest
from repository import ROOT

from demo import charts, translations, view_models
from rakuten.reports import model_charts
from rakuten.reports.chart_style import LINE_STYLES

PARTS = ["train", "validation"]
HISTORY = pd.DataFrame(
    {"epoch": [1, 2]}
    | {f"{part}_{measure}": np.ones(2) for part in PARTS for measure in ("loss", "accuracy")}
)


def style(dash):
    """Name the style of Vega's lengths of dash and gap."""
    dash, gap = dash
    return "dashed" if gap and dash > 1 else "dotted" if gap else "solid"


def test_charts_in_reports():
    axes = model_charts.curves({"text": HISTORY}, "test rows").axes
    names = {"--": "dashed", "-": "solid"}
    for panel in axes:
        lines = {line.get_label().split()[0]: line.get_linestyle() for line in panel.lines}
        assert {part: names[lines[part]] for part in PARTS} == LINE_STYLES


def test_the_page_of_dvc():
    template = json.loads((ROOT / ".dvc/plots/curves.json").read_text())
    scale = template["spec"]["encoding"]["strokeDash"]["scale"]
    found = dict(zip(scale["domain"], map(style, scale["range"]), strict=True))
    assert found == LINE_STYLES


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_demo(language):
    table = view_models.curve_points({"text": HISTORY}, "loss", language)
    words = dict.fromkeys(["model", "epoch", "part", "value"], "")
    chart = charts.curves(table, words, number_format=".2f").to_dict()
    scale = chart["encoding"]["strokeDash"]["scale"]
    parts = [translations.translate(part, language) for part in PARTS]
    assert scale["domain"] == parts
    found = dict(zip(PARTS, map(style, scale["range"]), strict=True))
    assert found == LINE_STYLES


def test_a_dotted_line_is_a_reference():
    template = json.loads((ROOT / ".dvc/plots/calibration.json").read_text())
    diagonal = template["spec"]["layer"][0]["mark"]
    assert style(diagonal["strokeDash"]) == "dotted"
    table = pd.DataFrame(
        {"model": ["a", "a"], "confidence": [0.1, 0.9], "accuracy": [0.2, 0.8], "rows": 9}
    )
    words = dict.fromkeys(["model", "confidence", "accuracy", "rows"], "")
    layers = charts.reliability(table, words).to_dict()["layer"]
    assert style(layers[0]["mark"]["strokeDash"]) == "dotted"
