"""The page. Started by `python -m demo`, which sets its options."""

from pathlib import Path

import streamlit as st

from demo import catalogue, components, page_classify, page_compare, page_confusions, page_review
from demo.paths import DATASET
from demo.shared import language, reviews, t
from demo.translations import LANGUAGES
from rakuten.sample.dataset import is_sample

HERE = Path(__file__).parent
PAGES = {
    "tab_classify": page_classify.show,
    "tab_compare": page_compare.show,
    "tab_confusions": page_confusions.show,
}

KEPT = {
    "title",
    "description",
    "keep_image",
    "other_model",
    "chosen_model",
    "chosen_group",
    "reliable_models",
    "review_page",
}
"""Widgets that keep their values when the visitor changes the tab."""


def main() -> None:
    """Draw the page."""
    st.set_page_config(page_title=t("page_title"), page_icon=str(HERE / "icon.png"), layout="wide")
    st.html(HERE / "style.css")
    for key in KEPT & st.session_state.keys():
        st.session_state[key] = st.session_state[key]  # Streamlit drops values of hidden widgets
    _show_header()
    _show_tabs()


def _show_header() -> None:
    """Draw the title, the language switch and the name of the data."""
    with st.container(key="header", horizontal=True, horizontal_alignment="distribute"):
        heading = st.container()
        st.radio(
            t("language"),
            list(LANGUAGES),
            format_func=LANGUAGES.get,
            key="language",
            horizontal=True,
            label_visibility="collapsed",
        )
    heading.title(t("page_title"), anchor=False)
    st.html(f'<div class="rk-lead">{components.escape(t("page_lead"))}</div>')
    _set_language()
    if DATASET.exists():
        name = catalogue.dataset_name()
        if is_sample(name):
            st.html(components.note(t("synthetic"), kind="notice"))
        else:
            st.html(components.note(t("dataset", name=name)))


def _set_language() -> None:
    """Set the language of the document, and labels that Streamlit would show in English."""
    st.html(
        f"<script>document.documentElement.lang={language()!r}</script>"
        "<style>[data-testid=stFileUploaderDropzone] [data-testid=stBaseButton-secondary]::after"
        f'{{content:"{t("choose_file")}"}}'
        f'[data-testid=stBaseButton-primaryFormSubmit]:disabled::after{{content:"{t("uploading")}"}}'
        "</style>",
        unsafe_allow_javascript=True,
    )


def _show_tabs() -> None:
    """Draw the chosen tab only; it stays chosen when the language changes."""
    state = st.session_state
    pages = PAGES | ({"tab_review": page_review.show} if reviews() else {})
    labels = [t(key) for key in pages]
    if state.get("tabs_language") != language():  # a changed default would undo clicks
        state.tabs_language, state.first_tab = language(), state.get("chosen_tab", 0)
    tabs = st.tabs(
        labels, default=labels[state.first_tab], key=f"tabs-{language()}", on_change="rerun"
    )
    for number, (tab, show) in enumerate(zip(tabs, pages.values(), strict=True)):
        if tab.open:
            state.chosen_tab = number
            with tab:
                show()


main()
