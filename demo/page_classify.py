"""The tab "Classify": a product in, a category and its reasons out."""

import logging
from dataclasses import dataclass
from textwrap import shorten

import streamlit as st

from demo import catalogue as catalogues
from demo import heat, samples, snippets, uploads, view_models
from demo.category_names import GROUPS, category
from demo.engine import Answer
from demo.paths import MODELS_NEED, PRODUCTS_NEED
from demo.shared import catalogue, complete, engine, heading, language, words
from demo.wording import number, percent
from rakuten.image import preprocessing
from rakuten.serving import explanation

_LOG = logging.getLogger(__name__)

MAX_TITLE, MAX_DESCRIPTION = 1_000, 20_000
"""Characters; the challenge's longest are 250 and 9,700."""


@dataclass(frozen=True)
class Request:
    """What is to be classified.

    Attributes:
        title: As typed.
        description: As typed.
        picture: A whole file, None without one.
        name: The file's name.
        sample: The sample's id, None for a visitor's own product.
    """

    title: str
    description: str
    picture: bytes | None
    name: str
    sample: int | None


def show() -> None:
    """Draw the tab."""
    if not complete((*MODELS_NEED, *PRODUCTS_NEED), "missing_build"):
        return
    _show_samples()
    st.space("small")
    left, right = st.columns([5, 7], gap="large")
    with left:
        heading("own")
        fault = _ask()
        if fault:
            st.error(fault)
    request = st.session_state.get("request")
    with right:
        if request is None or fault:
            st.html(snippets.note(words("answer_waits"), kind="empty"))
            engine()  # loads behind what is shown
            return
        answer = _answer(request)
        if answer is None:
            return
        _show_answer(answer, request)
    _show_reasons(answer, request)


@st.cache_data(show_spinner=False)
def _samples() -> list[samples.Sample]:
    """Choose the products to offer, once."""
    return samples.choose(samples.candidates(catalogues.predictions(), catalogue().table))


def _show_samples() -> None:
    """Draw a button with a small picture for each sample."""
    heading("samples", words("samples_help"))
    products, style = catalogue(), ""
    with st.container(key="samples"):
        for start in range(0, samples.COUNT, 6):
            row = _samples()[start : start + 6]
            for column, sample in zip(st.columns(6), row, strict=False):
                group = GROUPS.get(sample.group, {}).get(language(), "")
                kind = words(f"kind_{sample.kind}", group=group)
                title = _plain(shorten(products.title(sample.product), 48, placeholder=" …"))
                column.button(
                    f"**{kind}** *{title or words('no_title')}*",
                    key=f"sample-{sample.product}",
                    on_click=_take_sample,
                    args=(sample,),
                    width="stretch",
                    wrap=True,
                )
                picture = products.thumbnail(sample.product) if sample.with_picture else None
                if picture:
                    style += f".st-key-sample-{sample.product} button::before"
                    style += f'{{background-color:#fff;background-image:url("{picture}")}}'
    st.html(f"<style>{style}</style>")


def _take_sample(sample: samples.Sample) -> None:
    """Fill the form with a sample and ask for it."""
    products, state = catalogue(), st.session_state
    state.title = products.title(sample.product)[:MAX_TITLE]
    state.description = products.description(sample.product)[:MAX_DESCRIPTION]
    state.sample_picture = products.picture(sample.product) if sample.with_picture else None
    state.sample, state.keep_picture = sample.product, True
    state.uploads = state.get("uploads", 0) + 1  # a new, empty uploader
    picture = state.sample_picture
    state.request = Request(state.title, state.description, picture, "", sample.product)


def _ask() -> str | None:
    """Draw the form; where it is sent, note the request or say what is wrong."""
    state = st.session_state
    with st.form("product", border=False):
        title = st.text_input(
            words("title"),
            key="title",
            max_chars=MAX_TITLE,
            placeholder=words("title_placeholder"),
        )
        description = st.text_area(
            words("description"), key="description", max_chars=MAX_DESCRIPTION, height=140
        )
        upload = st.file_uploader(words("picture"), key=f"upload-{state.get('uploads', 0)}")
        kept = state.get("sample_picture")
        if kept is not None:
            shown, box = st.columns([1, 3], vertical_alignment="center")
            shown.image(kept, alt=words("sample_picture_alt"), width=72)
            keep = box.checkbox(words("sample_picture"), key="keep_picture")
        sent = st.form_submit_button(words("submit"), type="primary", width="stretch")
    if not sent:
        return None
    state.request = None
    picture, name = None, ""
    if upload is not None:
        picture, name = upload.getvalue(), upload.name
        fault = uploads.fault(picture)
        if fault:
            size = number(len(picture) / 1e6, language(), digits=1)
            return words(fault, name=name, size=size)
    elif kept is not None and keep:
        picture = kept
    if not (title.strip() or description.strip() or picture):
        return words("fault_nothing")
    state.request = Request(title, description, picture, name, _same_sample(title, description))
    return None


def _same_sample(title: str, description: str) -> int | None:
    """Name the sample if its texts are as they were: its true category is then known."""
    product = st.session_state.get("sample")
    if product is None:
        return None
    texts = catalogue().title(product)[:MAX_TITLE], catalogue().description(product)
    return product if texts == (title, description) else None


def _answer(request: Request) -> Answer | None:
    """Ask the model; say in words where it cannot answer."""
    with st.spinner(words("loading" if not st.session_state.get("loaded") else "working")):
        try:
            found = engine().answer(request.title, request.description, request.picture)
        except (preprocessing.ImageError, ValueError, OSError, RuntimeError) as error:
            _LOG.warning("a product could not be classified", exc_info=error)
            st.error(words("fault_other", reason=str(error)))
            return None
    st.session_state.loaded = True
    return found


def _show_answer(answer: Answer, request: Request) -> None:
    """Write the category, the next likely ones and who spoke for it."""
    first, code = answer.prediction, answer.prediction.code
    heading("answer")
    if st.session_state.get("shown") != request:
        st.session_state.shown = request
        st.html(snippets.bring_into_view(), unsafe_allow_javascript=True)
    st.html(
        snippets.verdict(
            category(code, language()),
            words("code", code=code),
            percent(first.probability, language(), digits=1),
            words(view_models.confidence(first.probability)),
        )
    )
    if request.sample is not None:
        truth = catalogue().code(request.sample)
        kind = "right" if truth == code else "wrong"
        name = category(truth, language())
        st.html(snippets.note(words(f"truth_{kind}", category=name, code=truth), kind=kind))
    heading("top", level=3)
    st.html(snippets.bars(view_models.top_bars(first, language())))
    heading("shares", level=3)
    st.html(snippets.spoken(view_models.sides_sentence(first, language())))
    rows = view_models.sides(first, language())
    st.html(snippets.two_sided(rows, against=words("against"), favour=words("for")))
    st.html(snippets.note(words("shares_note")))


def _show_reasons(answer: Answer, request: Request) -> None:
    """Write the reasons in the order in which they are known: the slow map comes last."""
    st.divider()
    left, right = st.columns(2, gap="large")
    with right:
        heading("regions", words("regions_note"))
        regions = st.container(key="heat")
    with left:
        heading("words", words("words_note"))
        _show_words(answer)
    st.divider()
    heading("similar", words("similar_note"))
    _show_similar(answer)
    with regions:
        _show_regions(answer, request)


def _show_words(answer: Answer) -> None:
    """Write the texts with their words marked, and a table of the strongest."""
    with st.spinner(words("words_working")):
        effects = engine().words(answer)
    if not effects:
        st.html(snippets.note(words("words_none")))
        return
    texts = {"title": answer.prepared.title, "description": answer.prepared.description}
    content = ""
    for field, text in texts.items():
        if text:
            pieces = view_models.marks(text, field, effects, language())
            label = words(field).split(" (")[0]
            content += snippets.paragraph(label, snippets.marked(pieces))
    st.html(content)
    if len(effects) >= explanation.MAX_WORDS:
        st.html(snippets.note(words("words_limited", count=len(effects))))
    rows = view_models.word_rows(effects, language())
    if rows:
        header = [words(name) for name in ("word", "where", "direction", "effect")]
        st.html(snippets.table(header, rows, label=words("words")))


def _show_similar(answer: Answer) -> None:
    """Draw the nearest train products by text and by picture."""
    products = catalogue()
    for column, kind in zip(st.columns(2, gap="large"), ("text", "image"), strict=True):
        with column:
            heading(f"similar_{kind}", level=3)
            found = engine().similar(answer, kind)
            if not found:
                st.html(snippets.note(words(f"similar_none_{kind}")))
                continue
            st.html(
                snippets.cards(
                    snippets.Card(
                        products.thumbnail(product),
                        words("no_picture"),
                        products.title(product) or words("no_title"),
                        (
                            category(products.code(product), language()),
                            words("similarity", value=percent(value, language())),
                        ),
                    )
                    for product, value in found
                )
            )


def _show_regions(answer: Answer, request: Request) -> None:
    """Draw the picture with the parts that counted."""
    if request.picture is None:
        st.html(snippets.note(words("regions_none")))
        return
    bar = st.empty()

    def advance(done: int, total: int) -> None:
        bar.progress(done / total, words("regions_working", done=done, total=total))

    if answer.regions is None:
        advance(0, explanation.GRID**2)
    effects = engine().regions(answer, advance)
    bar.empty()
    crop = engine().crops_borders
    pixels = heat.product_part(request.picture, answer.prepared.image[1], crop=crop)
    st.image(heat.draw(pixels, effects), alt=words("regions_alt"))
    cells = heat.strongest(effects)
    if not cells:
        st.html(snippets.note(words("regions_faint")))
        return
    rows = [
        (
            f"{rank} - {words(heat.place(cell, len(effects)))}",
            words("for" if effects[cell] > 0 else "against"),
            number(float(effects[cell]), language(), sign=True),
        )
        for rank, cell in enumerate(cells, start=1)
    ]
    header = [words("region"), words("direction"), words("effect")]
    st.html(snippets.table(header, rows, label=words("regions")))


def _plain(text: str) -> str:
    """Keep characters that Markdown would read from changing a button's label."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-.!|~<>$:&" else c for c in text)
