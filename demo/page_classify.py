"""The tab "Classify": a product in, a category and its explanation out."""

from pathlib import Path
from textwrap import shorten

import streamlit as st

from demo import answer, components, examples, uploads
from demo.answer import Request
from demo.builds import Build
from demo.engine import Answer, Engine
from demo.shared import BUILD, build, complete, failures_shown, heading, language, t
from demo.translations import number
from rakuten.category_names import GROUPS

UPLOADS = Path(__file__).with_name("uploads.js")

MAX_TITLE, MAX_DESCRIPTION = 1_000, 20_000
"""Characters; the challenge's longest are 250 and 9,700."""


def show() -> None:
    """Draw the tab: the form and, beside it, the answer; at first that of an example."""
    if not complete(BUILD, "missing_build"):
        return
    opened = build()  # once: another visitor may open a newer one meanwhile
    state = st.session_state
    _drop_replaced_example(opened)
    if "request" not in state and opened.examples:
        state.request = state.shown = _request(opened.examples[0], opened)
    left, right = st.columns([5, 7], gap="large")
    with left:
        error = _show_form(opened)
        if error:
            st.error(error)
        _show_examples(opened)
    request = state.get("request")
    with right:
        if request is None:
            st.html(components.note(t("answer_waits"), kind="empty"))
            return
        found = _answer(request, opened.engine)
        if found is None:
            return
        answer.show(found, request, opened)
        if state.get("shown") != request:
            state.shown = request
            st.html(components.bring_into_view(), unsafe_allow_javascript=True)
        answer.show_contributions(found.prediction)
    answer.show_explanation(found, request, opened)


def _show_examples(opened: Build) -> None:
    """Draw a strip of buttons with thumbnails, one for each example."""
    heading("examples", level=3)
    products, style = opened.catalogue, ""
    with st.container(key="examples", horizontal=True, gap="small"):
        for example in opened.examples:
            group = GROUPS.get(example.group, {}).get(language(), "")
            kind = t(f"kind_{example.kind}", group=group)
            title = _plain(shorten(products.title(example.product), 48, placeholder=" …"))
            st.button(
                f"**{kind}** *{title or t('no_title')}*",
                key=f"example-{example.product}",
                on_click=_use_example,
                args=(example,),
                wrap=True,
            )
            image = products.thumbnail(example.product) if example.with_image else None
            if image:
                style += f".st-key-example-{example.product} button::before"
                style += f'{{background-color:#fff;background-image:url("{image}")}}'
    st.html(f"<style>{style}</style>")


def _request(example: examples.Example, opened: Build) -> Request:
    """Convert an example to a request."""
    products = opened.catalogue
    return Request(
        products.title(example.product)[:MAX_TITLE],
        products.description(example.product)[:MAX_DESCRIPTION],
        products.image(example.product) if example.with_image else None,
        example.product,
    )


def _use_example(example: examples.Example) -> None:
    """Fill the form with an example and classify it."""
    opened = build()
    if example in opened.examples:  # a build opened since the button was drawn may lack it
        st.session_state.request = _request(example, opened)
        _fill(st.session_state.request)


def _fill(request: Request) -> None:
    """Fill the form."""
    state = st.session_state
    state.title, state.description = request.title, request.description
    state.example, state.example_image, state.keep_image = request.example, request.image, True
    state.uploads = state.get("uploads", 0) + 1  # a new, empty uploader


def _drop_replaced_example(opened: Build) -> None:
    """Drop the example if it comes from an older build with other data or another split."""
    state = st.session_state
    request = state.get("request")
    if request is None or request.example is None:
        return
    if not _has_texts(opened, request.example, request.title, request.description):
        del state.request
        state.example = None


def _show_form(opened: Build) -> str | None:
    """Draw the form; when submitted, store the request or return an error message."""
    state = st.session_state
    with st.form("product", border=False):
        title = st.text_input(
            t("title"),
            key="title",
            max_chars=MAX_TITLE,
            placeholder=t("title_placeholder"),
        )
        description = st.text_area(
            t("description"), key="description", max_chars=MAX_DESCRIPTION, height=104
        )
        upload = st.file_uploader(t("image"), key=f"upload-{state.get('uploads', 0)}")
        kept = state.get("example_image")
        row = st.container(key="kept", horizontal=True, vertical_alignment="center")
        if kept is not None:
            row.image(kept, alt=t("example_image_alt"), width=56)
            keep = row.checkbox(t("example_image"), key="keep_image")
        with st.container(horizontal=True):
            sent = st.form_submit_button(t("submit"), type="primary", width="stretch")
            empty = Request("", "", None, None)
            st.form_submit_button(t("clear"), on_click=_fill, args=(empty,))
    st.html(components.script(UPLOADS), unsafe_allow_javascript=True)
    if not sent:
        return None
    state.request = None
    image = None
    if upload is not None:
        image = upload.getvalue()
        error = uploads.check(image)
        if error:
            size = number(len(image) / 1e6, language(), digits=1)
            return t(error, name=upload.name, size=size)
    elif kept is not None and keep:
        image = kept
    if not (title.strip() or description.strip() or image):
        return t("error_nothing")
    example = state.get("example")
    if example is not None and not _has_texts(opened, example, title, description):
        example = None
    state.request = Request(title, description, image, example)
    return None


def _has_texts(opened: Build, product: int, title: str, description: str) -> bool:
    """Return whether a test product has these texts: then its true category can be shown."""
    if not (opened.predictions["id"] == product).any():
        return False
    texts = opened.catalogue.title(product), opened.catalogue.description(product)
    return (title, description) == (texts[0][:MAX_TITLE], texts[1][:MAX_DESCRIPTION])


def _answer(request: Request, engine: Engine) -> Answer | None:
    """Classify the product; show a message if that fails."""
    found = None
    loading = t("loading" if not st.session_state.get("loaded") else "working")
    with failures_shown(), st.spinner(loading):
        found = engine.answer(request.title, request.description, request.image)
        st.session_state.loaded = True
    return found


def _plain(text: str) -> str:
    """Escape the characters of Markdown in a button's label."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-.!|~<>$:&" else c for c in text)
