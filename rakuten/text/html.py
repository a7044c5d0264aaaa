"""Plain text of titles and descriptions: HTML tags and entities removed."""

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning
from bs4.exceptions import ParserRejectedMarkup

if TYPE_CHECKING:
    import pandas as pd


def plain_text(text: str) -> str:
    """Turn a title or a description into plain text.

    Args:
        text: As the challenge gives it, with or without HTML.

    Returns:
        The text of `BeautifulSoup(text, "html.parser").get_text(" ")` with white space collapsed to
        single spaces. Markup that the parser rejects stays as it is. A lone surrogate becomes "?".
    """
    if "<" in text or "&" in text:
        text = _parse(text)
    return " ".join(text.encode(errors="replace").decode().split())


def plain_texts(table: "pd.DataFrame") -> tuple[list[str], list[str]]:
    """Turn the titles and descriptions of a product table into plain text.

    Args:
        table: Columns designation and description, str or missing; n rows.

    Returns:
        The n titles and the n descriptions as plain text, case and accents kept, "" where missing.
    """
    return (
        list(map(plain_text, table["designation"].fillna(""))),
        list(map(plain_text, table["description"].fillna(""))),
    )


def _parse(text: str) -> str:
    """Read a text with Beautiful Soup; its warnings about malformed markup are ignored."""
    with warnings.catch_warnings(), suppress(ParserRejectedMarkup, ValueError):
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        return BeautifulSoup(text, "html.parser").get_text(" ")
    return text  # rejected markup, or a character number with thousands of digits
