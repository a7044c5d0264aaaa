"""Resources that all visitors share, and helpers for text on the page."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from demo import components
from demo.builds import UNREADABLE, Build, Latest, Results
from demo.paths import MODELS_NEED, PACKAGE, PRODUCTS_NEED, REPORTS_NEED, missing
from demo.translations import translate
from rakuten.serving import rebuilds

BUILD = Latest(Build, (*MODELS_NEED, *PRODUCTS_NEED), name="build", folders=[PACKAGE])
RESULTS = Latest(Results, REPORTS_NEED, name="results")

REVIEW = "--review"
"""The option of `python -m demo`, passed on to the page."""

logger = logging.getLogger(__name__)


def build() -> Build:
    """Return the build that `complete` opened; the next call may return a newer one."""
    return BUILD.current()


def results() -> Results:
    """Return the results that the page shows; `complete` opens them."""
    return RESULTS.current()


def reviews() -> bool:
    """Return whether the page was started for reviewers, who may correct labels."""
    return REVIEW in sys.argv


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
    """Open the latest files; if that fails, show why, what to run or that DVC is rebuilding them.

    Args:
        latest: Opens them.
        key: The message that names missing files.
    """
    try:
        if latest.refresh():
            return True
    except UNREADABLE as error:
        logger.warning("the files cannot be opened", exc_info=error)
        reason = str(error) if isinstance(error, (OSError, ValueError)) else repr(error)
        st.error(t("unreadable", reason=reason))
        return False
    absent = missing(latest.needs)
    if not absent or rebuilds.writer(patience=rebuilds.PATIENCE) is not None:
        st.info(t("rebuilding", files=", ".join(map(str, absent or latest.needs))))
        _draw_again_when_open(latest)
    else:
        st.error(t(key, files=", ".join(absent)))
    return False


@contextmanager
def failures_shown(key: str = "error_other") -> Iterator[None]:
    """Show a message if a product cannot be classified, or what else the message says."""
    try:
        yield
    except (ValueError, OSError) as error:  # an image that cannot be decoded is a ValueError
        logger.warning("a product could not be processed", exc_info=error)
        st.error(t(key, reason=str(error)))


@st.fragment(run_every=2)
def _draw_again_when_open(latest: Latest) -> None:
    """Draw the page again once the files are opened, or cannot be."""
    try:
        finished = latest.refresh()
    except UNREADABLE:
        finished = True  # `complete` shows the error
    if finished:
        st.rerun()
