"""The tab "Frequent confusions": the pairs of categories that late_fusion confuses most."""

import streamlit as st

from demo import components, view_models
from demo.catalogue import Catalogue
from demo.shared import BUILD, build, complete, heading, language, t
from demo.translations import percent
from rakuten.category_names import category

PAIRS = 8
EXAMPLES = 6


def show() -> None:
    """Draw the tab."""
    if not complete(BUILD, "missing_build"):
        return
    opened = build()
    predictions = opened.predictions
    errors = int((predictions["actual"] != predictions["predicted"]).sum())
    heading("pairs", t("pairs_note", errors=errors, rows=len(predictions)))
    pairs = view_models.confused_pairs(predictions, PAIRS)
    if not pairs:
        st.html(components.note(t("pairs_none")))
    for start in range(0, len(pairs), 2):
        for column, pair in zip(st.columns(2), pairs[start : start + 2], strict=False):
            with column.container(border=True, height="stretch"):
                _show_pair(*pair, opened.catalogue)


def _show_pair(codes: tuple[int, int], records: list[dict], products: Catalogue) -> None:
    """Show two categories and the products of one that were predicted as the other."""
    names = [f"{category(code, language())} ({code})" for code in codes]
    st.subheader(t("pair", first=names[0], second=names[1]), anchor=False)
    count = "one_error" if len(records) == 1 else "many_errors"
    st.html(components.note(t(count, count=len(records))))
    st.html(components.cards([_card(one, products) for one in records[:EXAMPLES]], wide=True))


def _card(record: dict, products: Catalogue) -> components.Card:
    """Show a misclassified product."""
    predicted = category(int(record["predicted"]), language())
    return components.Card(
        products.thumbnail(record["id"]),
        t("no_image"),
        products.title(record["id"]) or t("no_title"),
        (
            t("true_is", category=category(int(record["actual"]), language())),
            t(
                "predicted_is",
                category=predicted,
                probability=percent(record["probability"], language(), digits=0),
            ),
        ),
    )
