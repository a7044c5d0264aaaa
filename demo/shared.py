"""What every visitor shares, opened once, and short ways to write on the page."""

import streamlit as st

from demo import snippets
from demo.catalogue import Catalogue
from demo.engine import Engine
from demo.paths import missing
from demo.wording import say


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
    """Tell the language of this visit."""
    return st.session_state.get("language", "fr")


def words(key: str, **values: object) -> str:
    """Write a text in the language of this visit."""
    return say(key, language(), **values)


def heading(key: str, note: str = "", level: int = 2) -> None:
    """Write a heading and, below it, its small print."""
    (st.header if level == 2 else st.subheader)(words(key), anchor=False)
    if note:
        st.html(snippets.note(note))


def complete(paths: tuple, key: str) -> bool:
    """Tell whether files are there; if not, say on the page what to run."""
    lacking = missing(paths)
    if lacking:
        st.error(words(key, files=", ".join(lacking)))
    return not lacking
