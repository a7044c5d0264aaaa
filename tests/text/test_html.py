import warnings

import numpy as np
import pandas as pd
import pytest
from naive_text import TAGS, WORDS, Naive, random_lines

from rakuten.text.html import plain_text, plain_texts


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ("Table basse", "Table basse"),
        ("  Table\t\n basse\xa0ronde ", "Table basse ronde"),
        ("<p>Table<br>basse</p>", "Table basse"),
        ("<b>T</b>able", "T able"),
        ("H&amp;M &eacute;t&eacute; &#233;t&#xe9;", "H&M été été"),
        ("a < b et c > d", "a < b et c > d"),
        ("R&D &foo; &amp;eacute; &eacute;.", "R&D &foo &eacute; é."),
        ("&lt;b&gt;x&lt;/b&gt;", "<b>x</b>"),
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
    assert plain_text(html) == plain


def test_plain_text_with_an_endless_character_number():
    assert plain_text(f"a &#{'9' * 5000}; b").startswith("a &#999")


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
    titles, descriptions = plain_texts(table)
    assert titles == ["Lampe déco", "", "Jeu", "PS4"]
    assert descriptions == ["", "Un lit", "", "a b"]
    assert plain_texts(table[:0]) == ([], [])


def test_plain_text_equals_beautiful_soup():
    lines = random_lines(1200, TAGS + WORDS[:20])
    assert sum("<" in line for line in lines) > 800
    for line in lines:
        assert plain_text(line) == " ".join(Naive.plain(line).split()), line


def test_parser_warnings_are_silenced():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plain_text("http://boutique.fr/?a&amp;b") == "http://boutique.fr/?a&b"
        assert plain_text('<?xml version="1.0"?><a>x</a>').endswith("x")
