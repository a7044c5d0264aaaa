"""The tab "Hardest confusions": the pairs of categories that the best fusion mixes up."""

import streamlit as st

from demo import catalogue as catalogues
from demo import snippets, view_models
from demo.paths import PRODUCTS_NEED
from demo.shared import catalogue, complete, heading, language, words
from demo.wording import percent
from rakuten.category_names import category

PAIRS = 8
EXAMPLES = 6


def show() -> None:
    """Draw the tab."""
    if not complete(PRODUCTS_NEED, "missing_build"):
        return
    said = catalogues.predictions()
    errors = int((said["actual"] != said["predicted"]).sum())
    heading("pairs", words("pairs_note", errors=errors, rows=len(said)))
    pairs = view_models.confused_pairs(said, PAIRS)
    if not pairs:
        st.html(snippets.note(words("pairs_none")))
    for start in range(0, len(pairs), 2):
        for column, pair in zip(st.columns(2), pairs[start : start + 2], strict=False):
            with column.container(border=True, height="stretch"):
                _show_pair(*pair)


def _show_pair(codes: tuple[int, int], records: list[dict]) -> None:
    """Name two categories and show products of one that were taken for the other."""
    names = [f"{category(code, language())} ({code})" for code in codes]
    st.subheader(words("pair", first=names[0], second=names[1]), anchor=False)
    count = "one_error" if len(records) == 1 else "many_errors"
    st.html(snippets.note(words(count, count=len(records))))
    st.html(snippets.cards(map(_card, records[:EXAMPLES]), wide=True))


def _card(record: dict) -> snippets.Card:
    """Show a product that was taken for another category's."""
    products = catalogue()
    said = category(int(record["predicted"]), language())
    return snippets.Card(
        products.thumbnail(record["id"]),
        words("no_picture"),
        products.title(record["id"]) or words("no_title"),
        (
            words("true_is", category=category(int(record["actual"]), language())),
            words(
                "said_is",
                category=said,
                probability=percent(record["probability"], language(), digits=0),
            ),
        ),
    )
