import warnings

import numpy as np
import pandas as pd
import pytest
from bs4.dammit import EntitySubstitution
from naive_text import TAGS, WORDS, Naive, random_lines

from rakuten.text import html as markup


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ("Table basse", "Table basse"),
        ("  Table\t\n basse\xa0ronde ", "Table basse ronde"),
        ("<p>Table<br>basse</p>", "Table basse"),
        ("<b>T</b>able", "T able"),
        ("H&amp;M &eacute;t&eacute; &#233;t&#xe9;", "H&M été été"),
        ("a < b et c > d", "a < b et c > d"),
        ('<a href="x>y">lien</a>', "lien"),
        ("<script>var a;</script>Lampe<style>p{}</style>", "Lampe"),
        ("<!-- caché -->Lampe", "Lampe"),
        ("<br/><p></p>", ""),
        ("&nbsp;", ""),
        ("", ""),
        ("a\x00b", "a\x00b"),
        ("<![foo bar", "<![foo bar"),
        ("\ud800x", "?x"),
    ],
)
def test_plain_text(html, plain):
    assert markup.plain_text(html) == plain


def test_plain_text_with_a_number_beyond_reason():
    assert markup.plain_text(f"a &#{'9' * 5000}; b").startswith("a &#999")


@pytest.mark.parametrize("kind", ["str", object])
def test_plain_texts_of_a_table(kind):
    table = pd.DataFrame(
        {
            "designation": ["<b>Lampe</b>  d&eacute;co", None, "Jeu", "PS4"],
            "description": [np.nan, "<p>Un&nbsp;lit</p>", "", "a<br/>b"],
        },
        dtype=kind,
        index=[7, 7, 0, 3],
    )
    titles, bodies = markup.plain_texts(table)
    assert titles == ["Lampe déco", "", "Jeu", "PS4"]
    assert bodies == ["", "Un lit", "", "a b"]
    assert markup.plain_texts(table[:0]) == ([], [])


def test_plain_text_equals_beautiful_soup():
    lines = random_lines(1200, TAGS + WORDS[:20])
    assert sum("<" in line for line in lines) > 800
    for line in lines:
        assert markup.plain_text(line) == " ".join(Naive.plain(line).split()), line


def test_references_equal_beautiful_soup():
    """Every number up to four digits and every name of its table, alone and among words."""
    names = [*EntitySubstitution.HTML_ENTITY_TO_CHARACTER, "foo", "Eacute", "EACUTE", "a1"]
    references = [*(f"&#{n};" for n in range(1, 10_000, 3)), *(f"&{name};" for name in names)]
    for start in range(0, len(references), 40):
        for glue in ("", " ", "x", "&amp;", ";"):
            line = glue.join(references[start : start + 40])
            assert markup.plain_text(line) == " ".join(Naive.plain(line).split()), line
    for line in ("&#x41;", "&eacute", "&amp;eacute;", "a & b &eacute;", "&lt;b&gt;x&lt;/b&gt;"):
        assert markup.plain_text(line) == " ".join(Naive.plain(line).split()), line


def test_nothing_is_said_of_the_seller_s_style():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert markup.plain_text("http://boutique.fr/?a&amp;b") == "http://boutique.fr/?a&b"
        assert markup.plain_text('<?xml version="1.0"?><a>x</a>').endswith("x")
