import re

import pandas as pd
import pytest
from repository import ROOT

from rakuten.reports import readme


def test_fill_replaces_what_stands_between_the_markers():
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
    assert readme.fill(text, {"x": "new \\1\n"}) == "a\n<!-- x -->\nnew \\1\n<!-- /x -->\nb\n"


def test_fill_names_a_missing_marker():
    with pytest.raises(ValueError, match="expected the markers <!-- y -->"):
        readme.fill("a", {"y": "b"})


def test_the_readme_shows_the_figures_of_the_reports(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert readme.main(["check"]) == 0, capsys.readouterr().out


def test_the_terminal_table_shows_every_model_and_the_reference(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    readme.main(["show"])
    shown = capsys.readouterr().out
    for word in ("Text net", "Image net", "Fusion net", "published accuracy", "0.593", "Data: "):
        assert word in shown
    for word in ("Text ensemble", "Image ensemble", "Late fusion", "calibration error"):
        assert word in shown
    assert "late_fusion minus fusion: " in shown
    assert "points weighted F1" in shown


def test_the_differences_are_a_section_with_a_line_each():
    row = {"model": "fusion", "minus": "text", "rows_of": "both modalities"}
    row |= {"metric": "weighted_f1", "value": 0.021, "low": 0.008, "high": 0.034, "rows": 16}
    section = readme.differences(pd.DataFrame([row]))
    assert [line for line in section.splitlines() if line.startswith("-")] == [
        "- fusion minus text: +2.1 points weighted F1 [0.8, 3.4], 16 rows with both"
    ]
    assert "interval" in section.split("\n- ")[0]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


def test_every_target_and_file_named_in_the_readme_exists():
    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", text, re.MULTILINE))
    assert {a or b for a, b in named} <= targets
    links = re.findall(r"\]\((?!https?://|#)([^)]+)\)", text)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_difference_lines_say_what_was_compared_on_which_rows():
    def row(model, minus, rows_of, rows, *bounds, metric="weighted_f1"):
        names = ["model", "minus", "rows_of", "rows", "value", "low", "high", "metric"]
        return dict(zip(names, (model, minus, rows_of, rows, *bounds, metric), strict=True))

    table = pd.DataFrame(
        [
            row("text_ensemble", "", "scored", 180, 0.8, 0.7, 0.9),
            row("text_ensemble", "text", "scored by both", 1800, -0.0114, -0.03, -0.0002),
            row("text_ensemble", "text", "scored by both", 1800, 0.5, 0.4, 0.6, metric="accuracy"),
            row("late_fusion", "text_ensemble", "scored by both", 180, 0.03, 0.01, 0.05),
            row("late_fusion", "text_ensemble", "both modalities", 160, 0.021, 0.008, 0.034),
            row("fusion", "text", "scored by both", 160, 0.1, 0.05, 0.15),
            row("fusion", "text", "both modalities", 160, 0.1, 0.05, 0.15),
        ]
    )
    assert readme.difference_lines(table) == [
        "text_ensemble minus text: -1.1 points weighted F1 [-3.0, 0.0], 1,800 rows",
        "late_fusion minus text_ensemble: +3.0 points weighted F1 [1.0, 5.0], 180 rows",
        "late_fusion minus text_ensemble: +2.1 points weighted F1 [0.8, 3.4], 160 rows with both",
        "fusion minus text: +10.0 points weighted F1 [5.0, 15.0], 160 rows with both",
    ]


def test_results_table_shows_the_published_accuracy_beside_ours():
    def part(accuracy, loss):
        metrics = {"accuracy": accuracy, "weighted_f1": accuracy, "macro_f1": 0.5, "rows": 16984}
        return metrics | {"log_loss": loss, "ece": None if loss is None else 0.041}

    nothing = dict.fromkeys(["accuracy", "weighted_f1", "macro_f1", "log_loss", "ece"])
    tests = {
        "text": part(0.772, 0.9),
        "text_linear_svm": part(0.75, None),
        "image": nothing | {"rows": 0},
        "text_ensemble": part(0.85, 0.5),
    }
    metrics = {model: {"train": test, "test": test} for model, test in tests.items()}
    assert readme.results_table(metrics).splitlines()[1:] == [
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| **Text net** | 77.2 % | 77.2 % | 50.0 % | 0.900 | 77.2 % |",
        "| Linear SVM on text | 75.0 % | 75.0 % | 50.0 % | - | - |",
        "| **Image net** | - | - | - | - | 59.3 % |",
        "| **Text ensemble** | 85.0 % | 85.0 % | 50.0 % | 0.500 | - |",
    ]
