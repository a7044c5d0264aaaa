"""Resources that all visitors share, and helpers for text on the page."""

import streamlit as st

from demo import components
from demo.builds import Build, Latest, Results
from demo.catalogue import Catalogue
from demo.engine import Engine
from demo.paths import MODELS_NEED, PACKAGE, PRODUCTS_NEED, REPORTS_NEED, missing
from demo.translations import translate
from rakuten.serving import rebuilds

BUILD = Latest(Build, (*MODELS_NEED, *PRODUCTS_NEED), name="build", folders=[PACKAGE])
RESULTS = Latest(Results, REPORTS_NEED, name="results")


def build() -> Build:
    """Return the build that the page shows; `complete` opens it."""
    return BUILD.current()


def catalogue() -> Catalogue:
    """Return the products."""
    return build().catalogue


def engine() -> Engine:
    """Return the models."""
    return build().engine


def results() -> Results:
    """Return the results that the page shows; `complete` opens them."""
    return RESULTS.current()


def language() -> str:
    """Return the language of this visit."""
    return st.session_state.get("language", "fr")


def t(key: str, **values: object) -> str:
    """Translate a text of the page into the language of this visit."""
    return translate(key, language(), **values)


def heading(key: str, note: str = "", level: int = 2) -> None:
    """Write a heading with an optional note."""
    (st.header if level == 2 else st.subheader)(t(key), anchor=False)
    if note:
        st.html(components.note(note))


def complete(latest: Latest, key: str) -> bool:
    """Open the latest files; if there are none, show what to run or that DVC is rebuilding them.

    Args:
        latest: Opens them.
        key: The message that names missing files.
    """
    if latest.refresh():
        return True
    absent = missing(latest.needs)
    if not absent or rebuilds.writer(patience=rebuilds.PATIENCE) is not None:
        st.info(t("rebuilding", files=", ".join(map(str, absent or latest.needs))))
        _draw_again_when_open(latest)
    else:
        st.error(t(key, files=", ".join(absent)))
    return False


@st.fragment(run_every=2)
def _draw_again_when_open(latest: Latest) -> None:
    """Draw the page again once the files can be opened."""
    if latest.refresh():
        st.rerun()
