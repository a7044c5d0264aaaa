"""Resources that all visitors share, and helpers for text on the page."""

import streamlit as st

from demo import components
from demo.builds import Build, Builds
from demo.catalogue import Catalogue
from demo.engine import Engine
from demo.paths import missing
from demo.translations import translate
from rakuten.serving import rebuilds


@st.cache_resource(show_spinner=False)
def _builds() -> Builds:
    return Builds()


def build() -> Build:
    """Return the build that the page shows; `complete` opens it."""
    return _builds().current()


def catalogue() -> Catalogue:
    """Return the products."""
    return build().catalogue


def engine() -> Engine:
    """Return the models; takes seconds the first time."""
    return build().engine


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


def complete(paths: tuple, key: str, *, kept: bool = False) -> bool:
    """Check that files exist; if not, show what to run or that DVC is rebuilding them.

    Args:
        paths: The files.
        key: The message that names missing files.
        kept: Whether a build that was opened before is enough.
    """
    absent = missing(paths)
    if kept and _builds().refresh(complete=not absent):
        return True
    if not absent and not kept:
        return True
    if not absent or rebuilds.writer(patience=rebuilds.PATIENCE) is not None:
        st.info(t("rebuilding", files=", ".join(map(str, absent or paths))))
        _draw_again_when_complete(paths)
    else:
        st.error(t(key, files=", ".join(absent)))
    return False


@st.fragment(run_every=2)
def _draw_again_when_complete(paths: tuple) -> None:
    """Draw the page again once the files exist."""
    if not missing(paths):
        st.rerun()
