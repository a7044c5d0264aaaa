"""The answer to a product: the predictions of models side by side, and the explanation."""

from dataclasses import dataclass
from textwrap import shorten

import streamlit as st

from demo import components, heatmap, page_review, view_models
from demo.builds import Build
from demo.catalogue import Catalogue, data_url
from demo.engine import Answer, Engine
from demo.shared import failures_shown, heading, language, reviews, t
from demo.translations import number, percent
from rakuten.category_names import category
from rakuten.image import preprocessing
from rakuten.model_names import title as model
from rakuten.serving import explanation, package
from rakuten.serving.interface import Prediction, Product


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


def show(answer: Answer, request: Request, opened: Build) -> None:
    """Show the prediction, and beside it that of another model if the visitor chose one.

    Args:
        answer: Of the build's engine.
        request: The product.
        opened: The build.
    """
    with st.container(horizontal=True, horizontal_alignment="distribute", key="answer"):
        heading("answer")
        other = st.selectbox(
            t("compare_with"),
            ["", *opened.engine.others],
            format_func=lambda name: model(name, language()) if name else t("compare_with"),
            key="other_model",
            label_visibility="collapsed",
            width=250,
        )
    text = shorten(request.title or request.description, 90, placeholder=" …")
    kind = "subject" if request.example is None else "subject_example"
    name = t(kind, title=text) if text else t("subject_image")
    st.html(components.subject(name, _thumbnail(request.image)))
    if other:
        first, second = st.columns(2, gap="medium")
        with first:
            _show_model(package.DEFAULT_MODEL, opened.engine)
            show_prediction(answer.prediction)
        with second:
            _show_model(other, opened.engine)
            with failures_shown():
                with st.spinner(t("model_loading", model=model(other, language()))):
                    product = Product(request.title, request.description, request.image)
                    prediction = opened.engine.other(other, answer, product)
                show_prediction(prediction)
    else:
        show_prediction(answer.prediction)
    if request.example is not None:
        _show_truth(request, opened)


def show_prediction(prediction: Prediction) -> None:
    """Show the category and the five most probable ones."""
    code, probability = prediction.code, percent(prediction.probability, language(), digits=1)
    name = category(code, language())
    clear = prediction.probability >= view_models.CLEAR
    if clear:
        confidence = t(view_models.confidence(prediction.probability))
        shown = components.verdict(name, t("code", code=code), f"{confidence} · {probability}")
    else:
        note = t("most_probable", category=name, code=code)
        shown = components.verdict(t("no_clear_category"), note, probability)
    st.html(shown)
    heading("top", level=3)
    st.html(components.bars(view_models.top_bars(prediction, language()), clear=clear))


def _show_model(name: str, engine: Engine) -> None:
    """Name the model above its prediction, and the products that it knows."""
    rows = engine.fitted_on(name)
    st.html(components.model_name(model(name, language()), t(f"fitted_{rows}")))


def show_contributions(prediction: Prediction) -> None:
    """Show the contributions of text and image to the first model's most probable category."""
    name = category(prediction.code, language())
    st.subheader(t("contributions_of", category=name), anchor=False)
    st.html(components.sentence(view_models.evidence_sentence(prediction, language())))
    st.html(
        components.two_sided(
            view_models.sides(prediction, language()),
            against=t("against"),
            favour=t("for"),
            labels=view_models.axis_labels(language()),
        )
    )
    used = t("contributions_model", model=model(package.DEFAULT_MODEL, language()))
    st.html(components.note(" ".join((used, t("contributions_note")))))


def show_explanation(answer: Answer, request: Request, opened: Build) -> None:
    """Show the explanation; the slow heatmap is computed last.

    Args:
        answer: Of the build's engine.
        request: The product.
        opened: The build.
    """
    st.divider()
    left, right = st.columns(2, gap="large")
    with right:
        heading("regions", t("regions_note"))
        regions = st.container(key="heatmap")
    with left:
        least = number(view_models.MIN_EFFECT, language(), digits=1)
        heading("words", t("words_note", least=least))
        _show_words(answer, opened.engine)
    st.divider()
    heading("similar", t("similar_note"))
    _show_similar(answer, opened.engine, opened.catalogue)
    with regions:
        _show_regions(answer, request, opened.engine)


def _thumbnail(image: bytes | None) -> str | None:
    """Shrink the image of a product that was classified."""
    return None if image is None else data_url(preprocessing.decode(image), side=96)


def _show_truth(request: Request, opened: Build) -> None:
    """Show an example's category, and the evaluated prediction if it had the same inputs."""
    truth = opened.catalogue.code(request.example)
    text, kind = t("truth", category=category(truth, language()), code=truth), "plain"
    if request.image == opened.catalogue.image(request.example):
        row = opened.predictions.set_index("id").loc[request.example]
        code, kind = int(row["predicted"]), "right" if row["predicted"] == truth else "wrong"
        figures = {"code": code, "probability": percent(row["probability"], language(), digits=1)}
        evaluated = t(f"evaluated_{kind}", category=category(code, language()), **figures)
        text = f"{text} {evaluated}"
    st.html(components.note(text, kind=kind))
    if reviews():
        page_review.form(request.example, opened.catalogue)


def _show_words(answer: Answer, engine: Engine) -> None:
    """Show the texts with marked words, and a table of the strongest."""
    with st.spinner(t("words_working")):
        effects = engine.word_effects(answer)
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
    else:
        st.html(components.note(t("words_faint")))


def _show_similar(answer: Answer, engine: Engine, products: Catalogue) -> None:
    """Show the most similar training products by text and by image."""
    for column, kind in zip(st.columns(2, gap="large"), ("text", "image"), strict=True):
        with column:
            heading(f"similar_{kind}", level=3)
            found = engine.similar(answer, kind)
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


def _show_regions(answer: Answer, request: Request, engine: Engine) -> None:
    """Show the heatmap of region effects."""
    if request.image is None:
        st.html(components.note(t("regions_none")))
        return
    bar, image, table = st.empty(), st.empty(), st.empty()  # empty: not those of the last product

    def advance(done: int, total: int) -> None:
        bar.progress(done / total, t("regions_working", done=done, total=total))

    if answer.regions is None:
        advance(0, explanation.GRID**2)
    effects = engine.region_effects(answer, advance)
    bar.empty()
    pixels = heatmap.network_view(answer.prepared.image, crop=engine.crops_borders)
    image.image(heatmap.draw(pixels, effects), alt=t("regions_alt"))
    cells = heatmap.strongest(effects)
    if not cells:
        table.html(components.note(t("regions_faint")))
        return
    rows = [
        (
            t("cell", cell=heatmap.name(cell), place=t(heatmap.place(cell, len(effects)))),
            t("for" if effects[cell] > 0 else "against"),
            number(float(effects[cell]), language(), sign=True),
        )
        for cell in cells
    ]
    header = [t("region"), t("direction"), t("effect")]
    table.html(components.table(header, rows, label=t("regions")))
