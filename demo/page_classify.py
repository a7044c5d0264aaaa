"""The tab "Classify": a product in, a category and its explanation out."""

import logging
from pathlib import Path
from textwrap import shorten

import streamlit as st

from demo import answer, components, examples, uploads
from demo.answer import Request
from demo.engine import Answer
from demo.shared import BUILD, build, catalogue, complete, engine, heading, language, t
from demo.translations import number
from rakuten.category_names import GROUPS
from rakuten.image import preprocessing
from rakuten.model_names import named
from rakuten.model_names import title as model
from rakuten.serving.classifier import Prediction, Product

logger = logging.getLogger(__name__)

MODEL = named("ensemble", "fusion")
"""The model that classifies."""

UPLOADS = Path(__file__).with_name("uploads.js")

MAX_TITLE, MAX_DESCRIPTION = 1_000, 20_000
"""Characters; the challenge's longest are 250 and 9,700."""


def show() -> None:
    """Draw the tab: the form and, beside it, the answer; at first that of an example."""
    if not complete(BUILD, "missing_build"):
        return
    state = st.session_state
    if "request" not in state and build().examples:
        state.request = state.shown = _request(build().examples[0])
    left, right = st.columns([5, 7], gap="large")
    with left:
        error = _show_form()
        if error:
            st.error(error)
        _show_examples()
    request = state.get("request")
    with right:
        if request is None:
            st.html(components.note(t("answer_waits"), kind="empty"))
            return
        found = _answer(request)
        if found is None:
            return
        answer.show(request, {MODEL: found.prediction} | _other_prediction(found, request))
        if state.get("shown") != request:
            state.shown = request
            st.html(components.bring_into_view(), unsafe_allow_javascript=True)
        st.selectbox(
            t("other_model"),
            [None, *engine().other_models],
            format_func=lambda name: model(name, language()) if name else t("other_model_none"),
            key="other_model",
        )
        answer.show_contributions(found.prediction)
    answer.show_explanation(found, request)


def _show_examples() -> None:
    """Draw a strip of buttons with thumbnails, one for each example."""
    heading("examples", level=3)
    products, style = catalogue(), ""
    with st.container(key="examples", horizontal=True, gap="small"):
        for example in build().examples:
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


def _request(example: examples.Example) -> Request:
    """Convert an example to a request."""
    products = catalogue()
    return Request(
        products.title(example.product)[:MAX_TITLE],
        products.description(example.product)[:MAX_DESCRIPTION],
        products.image(example.product) if example.with_image else None,
        example.product,
    )


def _use_example(example: examples.Example) -> None:
    """Fill the form with an example and classify it."""
    st.session_state.request = _request(example)
    _fill(st.session_state.request)


def _fill(request: Request) -> None:
    """Fill the form."""
    state = st.session_state
    state.title, state.description = request.title, request.description
    state.example, state.example_image, state.keep_image = request.example, request.image, True
    state.uploads = state.get("uploads", 0) + 1  # a new, empty uploader


def _show_form() -> str | None:
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
    state.request = Request(title, description, image, _unchanged_example(title, description))
    return None


def _unchanged_example(title: str, description: str) -> int | None:
    """Return the id of the example if its texts are unchanged: its true category is known."""
    product = st.session_state.get("example")
    if product is None:
        return None
    texts = catalogue().title(product)[:MAX_TITLE], catalogue().description(product)
    return product if texts == (title, description) else None


def _answer(request: Request) -> Answer | None:
    """Classify the product; show a message if that fails."""
    with st.spinner(t("loading" if not st.session_state.get("loaded") else "working")):
        try:
            found = engine().answer(request.title, request.description, request.image)
        except (preprocessing.ImageError, ValueError, OSError) as error:
            logger.warning("a product could not be classified", exc_info=error)
            st.error(t("error_other", reason=str(error)))
            return None
    st.session_state.loaded = True
    return found


def _other_prediction(found: Answer, request: Request) -> dict[str, Prediction | None]:
    """Classify the product with the model that the visitor compares, if there is one."""
    name = st.session_state.get("other_model")
    if name not in engine().other_models:  # none, or one that the last package had
        return {}
    product = Product(request.title, request.description, request.image)
    with st.spinner(t("working")):
        return {name: engine().other_prediction(found, name, product)}


def _plain(text: str) -> str:
    """Escape the characters of Markdown in a button's label."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-.!|~<>$:&" else c for c in text)
