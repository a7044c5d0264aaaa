"""Visits of the tab "Classify" that last longer than a build, without a browser."""

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from demo import page_classify, shared
from demo.builds import Latest
from demo.engine import Answer
from demo.examples import Example
from demo.paths import CORRECTIONS
from rakuten.data import corrections
from rakuten.serving.interface import Choice, Prediction, Prepared, Probabilities
from rakuten.serving.package import OutdatedError

PREDICTION = Prediction((Choice(2583, "Piscine", 0.9), Choice(10, "Livre", 0.1)), 2.0, None)


class Catalogue:
    """Products by id: title and description, category 2583, no image."""

    def __init__(self, products):
        self._products = products

    def title(self, product):
        return self._products[product][0]

    def description(self, product):
        return self._products[product][1]

    def code(self, product):
        assert product in self._products
        return 2583

    def image(self, product):
        assert product in self._products

    def thumbnail(self, product):
        return self.image(product)


@dataclass
class Engine:
    """Gives every product one prediction; `fault` is what its other models raise."""

    others: tuple = ("fusion", "text")
    fault: Exception | None = None
    used: list = field(default_factory=list)

    def answer(self, title, description, image):
        self.used.append("answer")
        product = Prepared(title, description, None)
        return Answer(PREDICTION, product, Probabilities(*[None] * 3), product)

    def other(self, name, answer, product):
        self.used.append(name)
        if self.fault:
            raise self.fault
        return PREDICTION

    def fitted_on(self, name):
        return "train"

    def word_effects(self, answer):
        self.used.append("words")
        return []

    def similar(self, answer, kind):
        self.used.append(kind)
        return []


def build(products, **options):
    """Make a build whose first product is the example."""
    ids = list(products)
    predictions = pd.DataFrame({"id": ids, "actual": 2583, "predicted": 2583, "probability": 0.9})
    return SimpleNamespace(
        catalogue=Catalogue(products),
        predictions=predictions,
        examples=[Example(ids[0], "plain")],
        engine=Engine(**options),
    )


POOL, BOOK = {1: ("Piscine ronde", "Avec filtre")}, {2: ("Un livre", "")}


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """The build on disk: `disk.write` replaces it, by another or by an error of opening it."""
    stamped = tmp_path / "package.json"

    def create(root):
        if isinstance(disk.build, Exception):
            raise disk.build
        return disk.build

    def write(build):
        disk.build = build
        disk.version += 1
        stamped.write_text("x" * disk.version)

    disk = SimpleNamespace(build=None, version=0, write=write)
    monkeypatch.chdir(tmp_path)
    latest = Latest(create, [stamped], name="build")
    for module in (shared, page_classify):
        monkeypatch.setattr(module, "BUILD", latest)
    return disk


def draw():
    import streamlit as st

    from demo import page_classify

    if "other_model" in st.session_state:  # as app.py does
        st.session_state.other_model = st.session_state.other_model
    page_classify.show()


def open_page():
    page = AppTest.from_function(draw, default_timeout=60).run()
    assert not page.exception
    return page


def text(page):
    """The HTML of the page."""
    return "\n".join(one.proto.body for one in page.get("html"))


@pytest.mark.slow
@pytest.mark.parametrize("clicked", [False, True])
@pytest.mark.parametrize(
    "after", [BOOK, {1: ("Un livre", "")}], ids=["other ids", "other products with the same ids"]
)
def test_an_example_that_a_rebuild_replaced_is_dropped(disk, clicked, after):
    disk.write(build(POOL))
    page = open_page()
    if clicked:
        page.button(key="example-1").click().run()
    assert "Piscine ronde" in text(page)
    disk.write(build(after))
    page.run()
    assert not page.exception
    assert "Piscine ronde" not in text(page)
    assert page.session_state.request.example == next(iter(after))
    assert "Un livre" in text(page)


@pytest.mark.slow
def test_a_reviewer_corrects_the_label_of_an_example(disk, monkeypatch):
    disk.write(build(POOL))
    assert not [one for one in open_page().selectbox if one.key == "right-1-2583"]
    monkeypatch.setattr(sys, "argv", ["app.py", shared.REVIEW])
    page = open_page()
    page.selectbox(key="right-1-2583").set_value(10)
    page.button(key="save-1").click().run()
    assert not page.exception
    assert corrections.read(CORRECTIONS).to_numpy().tolist() == [[1, 2583, 10]]
    assert "Corrigée" in text(page)


@pytest.mark.slow
def test_a_form_with_an_example_that_a_rebuild_replaced_can_be_sent(disk):
    disk.write(build(POOL))
    page = open_page()
    page.button(key="example-1").click().run()
    page.text_input(key="title").set_value("Piscine carrée")
    send(page)
    disk.write(build(BOOK))
    send(page)
    assert not page.exception
    assert page.session_state.request.title == "Piscine carrée"
    assert page.session_state.request.example is None


def send(page):
    """Click the form's button."""
    button = next(one for one in page.button if one.label == "Classer")
    button.click().run()


@pytest.mark.slow
def test_an_example_with_a_long_description_stays_an_example(disk):
    disk.write(build({1: ("Piscine", "x" * (page_classify.MAX_DESCRIPTION + 1))}))
    page = open_page()
    page.button(key="example-1").click().run()
    send(page)
    assert page.session_state.request.example == 1


@pytest.mark.slow
def test_a_model_that_a_rebuilt_package_lacks_is_not_compared(disk):
    disk.write(build(POOL))
    page = open_page()
    page.selectbox(key="other_model").set_value("fusion").run()
    assert "fusion" in disk.build.engine.used
    disk.write(build(POOL, others=("text",)))
    page.run()
    assert not page.exception
    assert page.selectbox(key="other_model").value == ""


@pytest.mark.slow
def test_an_error_of_the_other_model_is_shown(disk):
    disk.write(build(POOL, fault=OSError("no file with the weights")))
    page = open_page()
    page.selectbox(key="other_model").set_value("fusion").run()
    assert not page.exception
    assert "no file with the weights" in page.error[0].value


def test_a_page_is_drawn_from_one_build(disk):
    """While a visitor waits for an answer, another one opens a newer build."""
    old, new = build(POOL), build(BOOK)
    answer = old.engine.answer

    def answer_meanwhile(*product):
        disk.write(new)
        assert shared.BUILD.refresh()
        return answer(*product)

    old.engine.answer = answer_meanwhile
    disk.write(old)
    page = open_page()
    assert shared.build() is new
    assert old.engine.used == ["answer", "words", "text", "image"]
    assert new.engine.used == []
    assert "Piscine ronde" in text(page)
    page.button(key="example-1").click().run()  # the new build has no such example
    assert not page.exception
    assert page.session_state.request.example == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OutdatedError("build/package", "has no backbone"), "make repro"),
        (KeyError("average"), "KeyError('average')"),
    ],
)
def test_files_that_cannot_be_opened_are_explained(disk, error, words):
    disk.write(error)
    page = open_page()
    (shown,) = page.error
    assert words in shown.value
    disk.write(build(POOL))
    page.run()
    assert "Piscine ronde" in text(page)
