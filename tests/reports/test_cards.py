"""The cards as files; what they say is in test_model_card.py and test_data_card.py."""

import re
import shutil

import pytest
from conftest import ROOT
from test_pipeline import STAGES, reached

from rakuten.reports import cards


def test_the_cards_show_the_figures_of_the_reports(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert cards.main(["check"]) == 0, capsys.readouterr().out


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of what the cards are written from."""
    for name in ("params.yaml", "rakuten/data/resources.yaml", "dvc.yaml", "data.dvc"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "reports", tmp_path / "reports")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("reports/clean.json", '"name": "', '"name": "not '),
        (
            "reports/evaluate/tables/slices.csv",
            "late_fusion,language,fr,",
            "late_fusion,language,fr,9",
        ),
        (
            "reports/robust_text/table.csv",
            "typos,text_ensemble,plain,",
            "typos,text_ensemble,plain,1",
        ),
        ("rakuten/data/resources.yaml", "Princeton University", "somebody"),
        ("params.yaml", "text_similarity: 0.85", "text_similarity: 0.9"),
    ],
)
def test_a_changed_report_makes_a_card_stale(folder, capsys, path, old, new):
    cards.main(["write"])
    assert cards.main(["check"]) == 0
    text = (folder / path).read_text()
    assert old in text
    (folder / path).write_text(text.replace(old, new))
    assert cards.main(["check"]) == 1
    assert "run 'make readme'" in capsys.readouterr().out
    cards.main(["write"])
    assert cards.main(["check"]) == 0


def test_a_missing_card_is_stale(folder, capsys):
    assert cards.main(["check"]) == 1
    assert capsys.readouterr().out.count("run 'make readme'") == 2


def test_no_stage_reaches_the_cards():
    """An edit to a sentence must not retrain a net."""
    for name in STAGES:
        used = reached(ROOT / "stages" / f"{name}.py")
        assert not used & {"cards", "model_card", "data_card", "markdown", "readme"}


def test_every_file_that_a_card_links_to_exists():
    for path in cards.CARDS:
        text = (ROOT / path).read_text()
        links = re.findall(r"\]\((?!https?://|#)([^)]+)\)", text)
        assert links
        for link in links:
            assert ((ROOT / path).parent / link).exists(), f"{path}: {link}"


def test_the_readme_links_to_the_cards():
    text = (ROOT / "README.md").read_text()
    for path in cards.CARDS:
        assert f"({path})" in text


def test_words_like_none_stay_words(folder):
    table = folder / "reports/explore/tables/languages.csv"
    table.write_text("language,products,share\nnone,3,0.6\nnan,2,0.4\n")
    assert cards.read(folder).tables["explore/tables/languages"]["language"].tolist() == [
        "none",
        "nan",
    ]
