"""Titles and descriptions as sellers wrote them to plain text: tags and entities taken off."""

import re
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning
from bs4.dammit import EntitySubstitution
from bs4.exceptions import ParserRejectedMarkup

if TYPE_CHECKING:
    import pandas as pd

_PLAIN_TAG = re.compile(
    r"<(?:/?(?:a|b|big|blockquote|center|dd|div|dl|dt|em|font|h[1-6]|i|li|ol|p|small|span|strong"
    r"|sub|sup|table|tbody|td|th|thead|tr|u|ul)|br|hr|img)"
    r"(?:[ \t\r\n]+[a-z][a-z-]*(?:=(?:\"[^\"<>]*\"|'[^'<>]*'|[^ \t\r\n\"'<>=`/]+))?)*[ \t\r\n]*/?>",
    re.IGNORECASE | re.ASCII,
)
_BROKEN_REFERENCE = re.compile("&#(?!(?:[0-9]+|x[0-9a-f]+);)", re.IGNORECASE)  # ends all parsing
_REFERENCE = re.compile(  # entities, and the numbers of characters that nobody disputes
    r"&(?:#0*(3[2-9]|[4-9]\d|1[01]\d|12[0-6]|1[6-9]\d|[2-9]\d\d|[1-9]\d{3})|([a-z][a-z0-9]*));",
    re.IGNORECASE | re.ASCII,
)


def plain_text(text: str) -> str:
    """Turn a title or a description into plain text.

    Tags that Beautiful Soup replaces by a space whatever stands around them are replaced here, and
    entities of its own table where nothing else is left; the rest goes through Beautiful Soup.

    Args:
        text: As the challenge gives it, with or without HTML.

    Returns:
        The text of `BeautifulSoup(text, "html.parser").get_text(" ")` with white space collapsed to
        single spaces; markup that the parser rejects stays as it is.
    """
    if "<" in text and not _BROKEN_REFERENCE.search(text):
        without = _PLAIN_TAG.sub(" ", text)
        text = text if "<" in without else without
    if "<" not in text and "&" in text and text.count("&") == len(_REFERENCE.findall(text)):
        text = _REFERENCE.sub(_character, text)
    elif "<" in text or "&" in text:
        text = _parse(text)
    return " ".join(text.encode(errors="replace").decode().split())


def plain_texts(table: "pd.DataFrame") -> tuple[list[str], list[str]]:
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


def _character(reference: re.Match) -> str:
    """Look a reference up as Beautiful Soup does: of unknown names only the semicolon goes."""
    number, name = reference.groups()
    if number:
        return chr(int(number))
    return EntitySubstitution.HTML_ENTITY_TO_CHARACTER.get(name, f"&{name}")


def _parse(text: str) -> str:
    """Let Beautiful Soup read a text; what it thinks of the seller's style is nobody's concern."""
    with warnings.catch_warnings(), suppress(ParserRejectedMarkup, ValueError):
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        return BeautifulSoup(text, "html.parser").get_text(" ")
    return text  # rejected, or a reference with thousands of digits
