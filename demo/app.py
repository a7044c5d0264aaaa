"""The page. Started by `python -m demo`, which sets its options."""

from pathlib import Path

import streamlit as st

from demo import catalogue, page_classify, page_compare, page_confusions, snippets
from demo.paths import DATASET
from demo.shared import language, words
from demo.wording import LANGUAGES

HERE = Path(__file__).parent
PAGES = {
    "tab_classify": page_classify.show,
    "tab_compare": page_compare.show,
    "tab_confusions": page_confusions.show,
}

KEPT = {"title", "description", "keep_picture", "chosen_model", "chosen_group", "reliable_models"}
"""What a visitor set in one tab and finds again after a look at another."""


def main() -> None:
    """Draw the page for this visit."""
    st.set_page_config(
        page_title=words("page_title"), page_icon=str(HERE / "icon.png"), layout="wide"
    )
    st.html(HERE / "style.css")
    for key in KEPT & st.session_state.keys():
        st.session_state[key] = st.session_state[key]  # Streamlit forgets what it does not draw
    _show_header()
    _show_tabs()


def _show_header() -> None:
    """Write the title, the switch of languages and what the data are."""
    title, switch = st.columns([5, 1.4], vertical_alignment="top")
    with switch:
        st.radio(
            words("language"),
            list(LANGUAGES),
            format_func=LANGUAGES.get,
            key="language",
            horizontal=True,
            label_visibility="collapsed",
        )
    with title:
        st.title(words("page_title"), anchor=False)
        st.html(f'<div class="rk-lead">{snippets.escape(words("page_lead"))}</div>')
    _set_language()
    if DATASET.exists():
        name = catalogue.dataset_name()
        if name == catalogue.SYNTHETIC:
            st.html(snippets.note(words("synthetic"), kind="notice"))
        else:
            st.html(snippets.note(words("dataset", name=name)))


def _set_language() -> None:
    """Tell browsers and screen readers the language, and the uploader, which knows no other."""
    label = words("choose_file")
    st.html(
        f"<script>document.documentElement.lang={language()!r}</script>"
        "<style>[data-testid=stFileUploaderDropzone] [data-testid=stBaseButton-secondary]::after"
        f'{{content:"{label}"}}</style>',
        unsafe_allow_javascript=True,
    )


def _show_tabs() -> None:
    """Draw the chosen tab alone; a change of language keeps it."""
    state = st.session_state
    labels = [words(key) for key in PAGES]
    if state.get("tabs_language") != language():  # a default that moved would undo clicks
        state.tabs_language, state.first_tab = language(), state.get("chosen_tab", 0)
    tabs = st.tabs(
        labels, default=labels[state.first_tab], key=f"tabs-{language()}", on_change="rerun"
    )
    for number, (tab, show) in enumerate(zip(tabs, PAGES.values(), strict=True)):
        if tab.open:
            state.chosen_tab = number
            with tab:
                show()


main()
