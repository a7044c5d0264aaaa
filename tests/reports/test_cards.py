"""The cards as files: whether they are stale, and their links."""

import re
import shutil

import pytest
from repository import ROOT

from rakuten.reports import cards, report_tables

CARDS = (cards.MODEL_CARD, cards.DATA_CARD)


def test_the_cards_show_the_figures_of_the_reports(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert cards.main(["check"]) == 0, capsys.readouterr().out


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the files that the cards are written from."""
    for name in ("params.yaml", "rakuten/data/resources.yaml", "dvc.yaml", "data.dvc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "reports", tmp_path / "reports")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("reports/clean.json", '"name": "', '"name": "not '),
        ("reports/evaluate/tables/slices.csv", "late_fusion,language,fr,", "\\g<0>9"),
        ("reports/robust_text/table.csv", "typos,text_ensemble,plain,", "\\g<0>1"),
        ("rakuten/data/resources.yaml", "Princeton University", "somebody"),
        ("params.yaml", "text_similarity: 0.85", "text_similarity: 0.9"),
    ],
)
def test_a_changed_report_makes_a_card_stale(folder, capsys, path, old, new):
    cards.main(["write"])
    assert cards.main(["check"]) == 0
    text, number = re.subn(re.escape(old), new, (folder / path).read_text())
    assert number
    (folder / path).write_text(text)
    assert cards.main(["check"]) == 1
    assert "run 'make readme'" in capsys.readouterr().out
    cards.main(["write"])
    assert cards.main(["check"]) == 0


def test_a_missing_card_is_stale(folder, capsys):
    assert cards.main(["check"]) == 1
    assert capsys.readouterr().out.count("run 'make readme'") == 2


@pytest.mark.parametrize("path", CARDS)
def test_every_file_that_a_card_links_to_exists(path):
    links = re.findall(r"\]\((?!https?://|#)([^)]+)\)", (ROOT / path).read_text())
    assert links
    for link in links:
        assert ((ROOT / path).parent / link.partition("#")[0]).exists(), link


def test_the_readme_links_to_the_cards():
    text = (ROOT / "README.md").read_text()
    for path in CARDS:
        assert f"({path})" in text


def test_a_table_keeps_the_word_none_and_empty_groups(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("language,group,share\nnone,,0.6\nnan,toys,\n")
    table = report_tables.read_table(path)
    assert table["language"].tolist() == ["none", "nan"]
    assert table["group"].tolist() == ["", "toys"]
    assert table["share"].isna().tolist() == [False, True]
    assert list(report_tables.read_tables(tmp_path)) == ["table"]
