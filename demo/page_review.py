"""The tab "Review labels": suspect labels of the audit, and corrections of them."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from demo import components
from demo.catalogue import Catalogue
from demo.paths import CORRECTIONS, SUSPECTS
from demo.shared import BUILD, build, complete, failures_shown, heading, language, t
from demo.translations import percent
from rakuten import storage
from rakuten.categories import CODES
from rakuten.category_names import category
from rakuten.data import corrections

PER_PAGE = 10


def show() -> None:
    """Draw the tab."""
    if not complete(BUILD, "missing_build"):
        return
    products = build().catalogue
    suspects = _suspects(products)
    heading("review", t("review_note", count=len(suspects)))
    if suspects:
        last = (len(suspects) - 1) // PER_PAGE + 1
        page = st.number_input(t("review_page", last=last), 1, last, key="review_page")
        with failures_shown("error_review"):
            rows = corrections.read(CORRECTIONS)
            for suspect in suspects[(page - 1) * PER_PAGE : page * PER_PAGE]:
                left, right = st.columns([1, 1], gap="large", vertical_alignment="center")
                left.html(components.cards([_card(suspect, products)]))
                with right:
                    _form(suspect["id"], products, rows)
    _show_file()


def form(product: int, products: Catalogue) -> None:
    """Draw the choice of a product's right category; store it when it is saved.

    If another reviewer has saved since it was drawn, their choice is shown and nothing is stored.

    Args:
        product: The product's id.
        products: The catalogue.
    """
    with failures_shown("error_review"):
        _form(product, products, corrections.read(CORRECTIONS))


def _form(product: int, products: Catalogue, rows: pd.DataFrame) -> None:
    """Draw the choice for a product, with the corrections that are stored."""
    given = products.code(product)
    key, seen = f"right-{product}-{given}", f"seen-{product}-{given}"
    state = st.session_state
    with failures_shown("error_review"):
        right = _corrected(rows, product, given)
        changed = state.setdefault(seen, right) != right  # by another reviewer
        if changed or key not in state:
            state[key] = right
        chosen = st.selectbox(t("right_category"), CODES, format_func=_name, key=key)
        if st.button(t("save"), key=f"save-{product}"):
            if changed:
                st.html(components.note(t("review_stale"), kind="notice"))
            else:
                corrections.record(CORRECTIONS, product, given, chosen)
                right = chosen
        state[seen] = right
        if right != given:
            text = t("corrected", given=_name(given), right=_name(right))
            st.html(components.note(text, kind="right"))


def _suspects(products: Catalogue) -> Sequence[dict]:
    """Read the suspect labels, without those of other data than the catalogue's."""
    if not SUSPECTS.exists():
        return []
    table = storage.read_csv(SUSPECTS)
    codes = table["id"].map(products.table["prdtypecode"])
    return table[codes == table["given"]].to_dict("records")


def _corrected(rows: pd.DataFrame, product: int, given: int) -> int:
    """Look up the code that an import would give to a product that has the code `given`."""
    own = rows[rows["id"] == product]
    known = (own[["given", "corrected"]] == given).to_numpy().any()
    return int(own["corrected"].iloc[-1]) if known else given


def _card(suspect: dict, products: Catalogue) -> components.Card:
    """Show a product with its given and its suggested category."""
    probability = percent(suspect["probability_suggested"], language(), digits=0)
    return components.Card(
        products.thumbnail(suspect["id"]),
        t("no_image"),
        products.title(suspect["id"]) or t("no_title"),
        (
            t("given_is", category=_name(suspect["given"])),
            t("suggested_is", category=_name(suspect["suggested"]), probability=probability),
        ),
    )


def _show_file() -> None:
    """Offer the file of all corrections, and name the command that applies them."""
    if not CORRECTIONS.exists():
        return
    st.divider()
    st.html(components.note(t("review_import", file=CORRECTIONS)))
    content = storage.read_bytes(CORRECTIONS)
    st.download_button(t("download"), content, CORRECTIONS.name, "text/csv")


def _name(code: int) -> str:
    """Name a category with its code."""
    return f"{category(int(code), language())} ({code})"
