import json
from pathlib import Path

import pytest

from rakuten.reports import readme

ROOT = Path(__file__).parents[2]

PART = dict.fromkeys(("accuracy", "weighted_f1", "macro_f1", "log_loss", "ece"), 0.5) | {"rows": 20}
MODELS_JSON = json.dumps({"fusion": dict.fromkeys(("train", "validation", "test"), PART)})


def test_fill_replaces_what_stands_between_the_markers():
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
    assert readme.fill(text, {"x": "new \\1\n"}) == "a\n<!-- x -->\nnew \\1\n<!-- /x -->\nb\n"


def test_fill_names_a_missing_marker():
    with pytest.raises(ValueError, match="no markers <!-- y -->"):
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


def test_the_differences_are_a_section_of_a_line_each(monkeypatch, tmp_path):
    columns = "model,minus,rows_of,metric,value,low,high,rows\n"
    write = tmp_path / "reports/evaluate/tables/intervals.csv"
    write.parent.mkdir(parents=True)
    write.write_text(
        f"{columns}fusion,,scored,weighted_f1,0.8,0.7,0.9,20\n"
        "fusion,text,both modalities,weighted_f1,0.021,0.008,0.034,16\n"
    )
    for name, content in {
        "clean.json": '{"dataset": {"name": "tiny"}, "products": 100}',
        "split.json": '{"parts": {"train": 80, "test": 20}}',
        "evaluate/models.json": MODELS_JSON,
    }.items():
        (tmp_path / "reports" / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    section = readme.sections()["differences"]
    assert [line for line in section.splitlines() if line.startswith("-")] == [
        "- fusion minus text: +2.1 points weighted F1 [0.8, 3.4], 16 rows with both"
    ]
    assert "interval" in section.split("\n- ")[0]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


def test_every_target_and_file_named_in_the_readme_exists():
    import re

    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", text, re.MULTILINE))
    assert {a or b for a, b in named} <= targets
    links = re.findall(r"\]\((?!https?://|#)([^)]+)\)", text)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
