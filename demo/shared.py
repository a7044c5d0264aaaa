"""Resources that all visitors share, and helpers for text on the page."""

import streamlit as st

from demo import components
from demo.catalogue import Catalogue
from demo.engine import Engine
from demo.paths import missing
from demo.translations import translate


@st.cache_resource(show_spinner=False)
def catalogue() -> Catalogue:
    """Open the products."""
    return Catalogue()


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """Load the models."""
    table = catalogue().table
    return Engine(table.index[table["part"] == "train"].to_numpy())


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


def complete(paths: tuple, key: str) -> bool:
    """Check that files exist; if not, show what to run."""
    absent = missing(paths)
    if absent:
        st.error(t(key, files=", ".join(absent)))
    return not absent
