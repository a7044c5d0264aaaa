"""Corrections of labels on the page, without a browser."""

import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from repository import ROOT
from streamlit.testing.v1 import AppTest

from demo import page_review, shared
from demo.paths import CORRECTIONS, SUSPECTS
from rakuten import storage
from rakuten.data import corrections
from rakuten.sample.dataset import SAMPLE

CODES = dict(enumerate([10, 40, 50, *[60] * 10]))


class Catalogue:
    """Products 0 to 12 without images."""

    def __init__(self):
        self.table = pd.DataFrame({"prdtypecode": CODES})

    def code(self, product):
        return CODES[product]

    def title(self, product):
        return f"Titre {product}"

    def thumbnail(self, product):
        return None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with suspect labels, and a build that is open."""
    monkeypatch.chdir(tmp_path)
    rows = [(product, code, 2905, 0.9) for product, code in CODES.items()]
    stale = (1, 2280, 2905, 0.9)  # of other data
    table = [*rows, stale]
    columns = ["id", "given", "suggested", "probability_suggested"]
    storage.write_csv(SUSPECTS, pd.DataFrame(table, columns=columns))
    monkeypatch.setattr(page_review, "complete", lambda *_: True)
    monkeypatch.setattr(page_review, "build", lambda: SimpleNamespace(catalogue=Catalogue()))
    return tmp_path


def open_page():
    def draw():
        from demo import page_review

        page_review.show()

    page = AppTest.from_function(draw, default_timeout=60).run()
    assert not page.exception
    return page


def text(page):
    return "\n".join(one.proto.body for one in page.get("html"))


def held():
    return corrections.read(CORRECTIONS).to_numpy().tolist()


def correct(page, product, code):
    page.selectbox(key=f"right-{product}-{CODES[product]}").set_value(code)
    return page.button(key=f"save-{product}").click().run()


@pytest.mark.slow
def test_suspects_are_listed_page_by_page(folder):
    page = open_page()
    shown = text(page)
    assert "Titre 0" in shown
    assert "Titre 10" not in shown
    assert ": 13." in shown  # without the stale one
    assert "Suggérée\xa0: Jeux PC à télécharger (2905), 90\xa0%" in shown.replace("&#x27;", "'")
    assert not page.get("download_button")
    page.number_input(key="review_page").set_value(2).run()
    assert "Titre 10" in text(page)


def test_the_corrections_are_read_once(folder, monkeypatch):
    reads, read = [], corrections.read
    monkeypatch.setattr(corrections, "read", lambda path: reads.append(path) or read(path))
    open_page()
    assert reads == [CORRECTIONS]


@pytest.mark.slow
def test_two_sessions_correct_withdraw_and_download(folder):
    first, second = open_page(), open_page()
    correct(first, 0, 2905)
    correct(second, 1, 60)
    assert held() == [[0, 10, 2905], [1, 40, 60]]
    assert "Corrigée" in text(second)
    assert first.run().selectbox(key="right-1-40").value == 60
    correct(first, 0, 10)
    assert held() == [[1, 40, 60]]
    (download,) = first.get("download_button")
    assert download.proto.label == "Télécharger les corrections"


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [40, 50])
def test_a_choice_made_before_another_reviewer_saved_replaces_nothing(folder, chosen):
    first, second = open_page(), open_page()
    correct(second, 1, 60)
    correct(first, 1, chosen)
    assert held() == [[1, 40, 60]]
    assert first.selectbox(key="right-1-40").value == 60
    assert "Corrigée entre-temps" in text(first)
    correct(first, 1, chosen)  # now they have seen it
    assert held() == ([[1, 40, 50]] if chosen == 50 else [])
    assert "entre-temps" not in text(first)


def test_a_label_that_was_corrected_back_is_shown_as_the_import_leaves_it(folder):
    for step in ((0, 10, 2905), (0, 2905, 10)):
        corrections.record(CORRECTIONS, *step)
    page = open_page()
    assert page.selectbox(key="right-0-10").value == 10
    assert "Corrigée" not in text(page)


@pytest.mark.slow
def test_a_label_that_changed_elsewhere_is_corrected_again(folder):
    corrections.record(CORRECTIONS, 0, 40, 50)  # then another file: 50 to 10
    page = correct(open_page(), 0, 60)
    assert held() == [[0, 40, 50], [0, 10, 60]]
    assert page.selectbox(key="right-0-10").value == 60
    assert open_page().selectbox(key="right-0-10").value == 60


def test_a_damaged_file_is_a_message_and_stays(folder):
    storage.write_text(CORRECTIONS, "id,given\n")
    page = open_page()
    assert "columns missing from corrections_demo.csv" in page.error[0].value
    assert storage.read_text(CORRECTIONS) == "id,given\n"


def test_without_suspects_nothing_is_listed(folder):
    (folder / SUSPECTS).unlink()
    page = open_page()
    assert ": 0." in text(page)
    assert not page.selectbox


@pytest.mark.parametrize("options", [[], [shared.REVIEW]])
def test_only_reviewers_have_the_tab(tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["app.py", *options])
    page = AppTest.from_file(str(ROOT / "demo/app.py"), default_timeout=60).run()
    assert not page.exception
    assert ("Vérifier les étiquettes" in [tab.label for tab in page.tabs]) == bool(options)


@pytest.mark.parametrize(
    ("name", "expected"),
    [(SAMPLE, True), (f"{SAMPLE} (5 % of the products)", True), ("mine", False)],
)
def test_the_page_says_that_results_are_of_the_sample(tmp_path, monkeypatch, name, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["app.py"])
    storage.write_json("data/dataset.json", {"name": name})
    page = AppTest.from_file(str(ROOT / "demo/app.py"), default_timeout=60).run()
    assert any("produits synthétiques" in one.body for one in page.get("html")) == expected
