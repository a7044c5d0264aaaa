"""The tab "Classify": a product in, a category and its explanation out."""

import logging
from dataclasses import dataclass
from textwrap import shorten

import streamlit as st

from demo import components, examples, heatmap, uploads, view_models
from demo.engine import Answer
from demo.paths import MODELS_NEED, PRODUCTS_NEED
from demo.shared import build, catalogue, complete, engine, heading, language, t
from demo.translations import number, percent
from rakuten.category_names import GROUPS, category
from rakuten.image import preprocessing
from rakuten.serving import explanation

logger = logging.getLogger(__name__)

MAX_TITLE, MAX_DESCRIPTION = 1_000, 20_000
"""Characters; the challenge's longest are 250 and 9,700."""


@dataclass(frozen=True)
class Request:
    """A product to classify.

    Attributes:
        title: As typed.
        description: As typed.
        image: Content of an image file, None without one.
        example: The id of the example, None for the visitor's own product.
    """

    title: str
    description: str
    image: bytes | None
    example: int | None


def show() -> None:
    """Draw the tab."""
    if not complete((*MODELS_NEED, *PRODUCTS_NEED), "missing_build", kept=True):
        return
    _show_examples()
    st.space("small")
    left, right = st.columns([5, 7], gap="large")
    with left:
        heading("own")
        error = _show_form()
        if error:
            st.error(error)
    request = st.session_state.get("request")
    with right:
        if request is None or error:
            st.html(components.note(t("answer_waits"), kind="empty"))
            engine()  # load the models while the visitor reads
            return
        answer = _answer(request)
        if answer is None:
            return
        _show_answer(answer, request)
    _show_explanation(answer, request)


def _show_examples() -> None:
    """Draw a button with a thumbnail for each example."""
    heading("examples", t("examples_help"))
    products, style = catalogue(), ""
    with st.container(key="examples"):
        for start in range(0, examples.COUNT, 6):
            row = build().examples[start : start + 6]
            for column, example in zip(st.columns(6), row, strict=False):
                group = GROUPS.get(example.group, {}).get(language(), "")
                kind = t(f"kind_{example.kind}", group=group)
                title = _plain(shorten(products.title(example.product), 48, placeholder=" …"))
                column.button(
                    f"**{kind}** *{title or t('no_title')}*",
                    key=f"example-{example.product}",
                    on_click=_use_example,
                    args=(example,),
                    width="stretch",
                    wrap=True,
                )
                image = products.thumbnail(example.product) if example.with_image else None
                if image:
                    style += f".st-key-example-{example.product} button::before"
                    style += f'{{background-color:#fff;background-image:url("{image}")}}'
    st.html(f"<style>{style}</style>")


def _use_example(example: examples.Example) -> None:
    """Fill the form with an example and classify it."""
    products, state = catalogue(), st.session_state
    state.title = products.title(example.product)[:MAX_TITLE]
    state.description = products.description(example.product)[:MAX_DESCRIPTION]
    state.example_image = products.image(example.product) if example.with_image else None
    state.example, state.keep_image = example.product, True
    state.uploads = state.get("uploads", 0) + 1  # a new, empty uploader
    image = state.example_image
    state.request = Request(state.title, state.description, image, example.product)


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
            t("description"), key="description", max_chars=MAX_DESCRIPTION, height=140
        )
        upload = st.file_uploader(t("image"), key=f"upload-{state.get('uploads', 0)}")
        kept = state.get("example_image")
        if kept is not None:
            shown, box = st.columns([1, 3], vertical_alignment="center")
            shown.image(kept, alt=t("example_image_alt"), width=72)
            keep = box.checkbox(t("example_image"), key="keep_image")
        sent = st.form_submit_button(t("submit"), type="primary", width="stretch")
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


def _show_answer(answer: Answer, request: Request) -> None:
    """Show the category, the most probable ones and the contributions."""
    first, code = answer.prediction, answer.prediction.code
    heading("answer")
    if st.session_state.get("shown") != request:
        st.session_state.shown = request
        st.html(components.bring_into_view(), unsafe_allow_javascript=True)
    st.html(
        components.verdict(
            category(code, language()),
            t("code", code=code),
            percent(first.probability, language(), digits=1),
            t(view_models.confidence(first.probability)),
        )
    )
    if request.example is not None:
        _show_truth(request.example, request.image)
    heading("top", level=3)
    st.html(components.bars(view_models.top_bars(first, language())))
    heading("contributions", level=3)
    st.html(components.sentence(view_models.evidence_sentence(first, language())))
    rows = view_models.sides(first, language())
    st.html(components.two_sided(rows, against=t("against"), favour=t("for")))
    st.html(components.note(t("contributions_note")))


def _show_truth(example: int, image: bytes | None) -> None:
    """Show an example's category, and the evaluated prediction if it had the same inputs."""
    truth = catalogue().code(example)
    st.html(components.note(t("truth", category=category(truth, language()), code=truth)))
    if image == catalogue().image(example):
        row = build().predictions.set_index("id").loc[example]
        code, kind = int(row["predicted"]), "right" if row["predicted"] == truth else "wrong"
        figures = {"code": code, "probability": percent(row["probability"], language(), digits=1)}
        shown = t(f"evaluated_{kind}", category=category(code, language()), **figures)
        st.html(components.note(shown, kind=kind))


def _show_explanation(answer: Answer, request: Request) -> None:
    """Show the explanation; the slow heatmap is computed last."""
    st.divider()
    left, right = st.columns(2, gap="large")
    with right:
        heading("regions", t("regions_note"))
        regions = st.container(key="heatmap")
    with left:
        heading("words", t("words_note"))
        _show_words(answer)
    st.divider()
    heading("similar", t("similar_note"))
    _show_similar(answer)
    with regions:
        _show_regions(answer, request)


def _show_words(answer: Answer) -> None:
    """Show the texts with marked words, and a table of the strongest."""
    with st.spinner(t("words_working")):
        effects = engine().word_effects(answer)
    if not effects:
        st.html(components.note(t("words_none")))
        return
    texts = {"title": answer.prepared.title, "description": answer.prepared.description}
    content = ""
    for field, text in texts.items():
        if text:
            pieces = view_models.marks(text, field, effects, language())
            label = t(field).split(" (")[0]
            content += components.paragraph(label, components.marked(pieces))
    st.html(content)
    if len(effects) >= explanation.MAX_WORDS:
        st.html(components.note(t("words_limited", count=len(effects))))
    rows = view_models.word_rows(effects, language())
    if rows:
        header = [t(name) for name in ("word", "where", "direction", "effect")]
        st.html(components.table(header, rows, label=t("words")))


def _show_similar(answer: Answer) -> None:
    """Show the most similar training products by text and by image."""
    products = catalogue()
    for column, kind in zip(st.columns(2, gap="large"), ("text", "image"), strict=True):
        with column:
            heading(f"similar_{kind}", level=3)
            found = engine().similar(answer, kind)
            if not found:
                st.html(components.note(t(f"similar_none_{kind}")))
                continue
            st.html(
                components.cards(
                    components.Card(
                        products.thumbnail(product),
                        t("no_image"),
                        products.title(product) or t("no_title"),
                        (
                            category(products.code(product), language()),
                            t("similarity", value=percent(value, language())),
                        ),
                    )
                    for product, value in found
                )
            )


def _show_regions(answer: Answer, request: Request) -> None:
    """Show the heatmap of region effects."""
    if request.image is None:
        st.html(components.note(t("regions_none")))
        return
    bar = st.empty()

    def advance(done: int, total: int) -> None:
        bar.progress(done / total, t("regions_working", done=done, total=total))

    if answer.regions is None:
        advance(0, explanation.GRID**2)
    effects = engine().region_effects(answer, advance)
    bar.empty()
    pixels = heatmap.network_view(answer.prepared.image, crop=engine().crops_borders)
    st.image(heatmap.draw(pixels, effects), alt=t("regions_alt"))
    cells = heatmap.strongest(effects)
    if not cells:
        st.html(components.note(t("regions_faint")))
        return
    rows = [
        (
            f"{rank} - {t(heatmap.place(cell, len(effects)))}",
            t("for" if effects[cell] > 0 else "against"),
            number(float(effects[cell]), language(), sign=True),
        )
        for rank, cell in enumerate(cells, start=1)
    ]
    header = [t("region"), t("direction"), t("effect")]
    st.html(components.table(header, rows, label=t("regions")))


def _plain(text: str) -> str:
    """Escape the characters of Markdown in a button's label."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-.!|~<>$:&" else c for c in text)
