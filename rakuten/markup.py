"""Titles and descriptions as sellers wrote them to plain text: tags and entities taken off."""

import re
import warnings
from contextlib import suppress

import pandas as pd
from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning
from bs4.exceptions import ParserRejectedMarkup

_PLAIN_TAG = re.compile(
    r"<(?:/?(?:a|b|big|blockquote|center|dd|div|dl|dt|em|font|h[1-6]|i|li|ol|p|small|span|strong"
    r"|sub|sup|table|tbody|td|th|thead|tr|u|ul)|br|hr|img)"
    r"(?:[ \t\r\n]+[a-z][a-z-]*(?:=(?:\"[^\"<>]*\"|'[^'<>]*'|[^ \t\r\n\"'<>=`/]+))?)*[ \t\r\n]*/?>",
    re.IGNORECASE | re.ASCII,
)
_BROKEN_REFERENCE = re.compile("&#(?!(?:[0-9]+|x[0-9a-f]+);)", re.IGNORECASE)  # ends all parsing


def plain_text(text: str) -> str:
    """Turn a title or a description into plain text.

    Tags that Beautiful Soup replaces by a space whatever stands around them are replaced here;
    anything else with markup or an entity goes through Beautiful Soup.

    Args:
        text: As the challenge gives it, with or without HTML.

    Returns:
        The text of `BeautifulSoup(text, "html.parser").get_text(" ")` with white space collapsed to
        single spaces; markup that the parser rejects stays as it is.
    """
    if "<" in text and not _BROKEN_REFERENCE.search(text):
        without = _PLAIN_TAG.sub(" ", text)
        text = text if "<" in without else without
    if "<" in text or "&" in text:
        text = _parse(text)
    return " ".join(text.encode(errors="replace").decode().split())


def plain_texts(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Take markup and entities off the titles and descriptions of a product table.

    Args:
        table: Columns designation and description, str or missing; n rows.

    Returns:
        The n titles and the n descriptions as plain text, case and accents kept, "" where missing.
    """
    return (
        list(map(plain_text, table["designation"].fillna(""))),
        list(map(plain_text, table["description"].fillna(""))),
    )


def join_texts(designation: str, description: str) -> str:
    """Put the plain text of a title and its description together, with a space between them."""
    return f"{plain_text(designation)} {plain_text(description)}".strip()


def _parse(text: str) -> str:
    """Let Beautiful Soup read a text; what it thinks of the seller's style is nobody's concern."""
    with warnings.catch_warnings(), suppress(ParserRejectedMarkup, ValueError):
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        return BeautifulSoup(text, "html.parser").get_text(" ")
    return text  # rejected, or a reference with thousands of digits
