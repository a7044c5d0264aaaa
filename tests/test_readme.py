from pathlib import Path

import pytest

from rakuten import readme

ROOT = Path(__file__).parents[1]


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
