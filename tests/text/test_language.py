import random

import langid
import pytest

from rakuten.text.language import detect_language

TEXTS = [
    "Piscine hors sol ronde avec pompe de filtration et échelle",
    "Stainless steel water bottle, keeps drinks cold for a whole day",
    "Ein großer Tisch aus Eiche für den Garten und die Küche",
    "Lot de 3 coussins",
    "PS4",
    "",
    " ",
    "12345 67890",
    "日本語の本",
    "Ж" * 3,
    "\x00\x01",
    "bonjour " * 3000,
    "a" * 70_000,
]


def random_texts(count: int) -> list[str]:
    """Texts of one to sixty words of several languages and noise, from a fixed seed."""
    generator = random.Random(5)
    words = [*" ".join(TEXTS[:10]).split(), "le", "the", "und", "di", "ñ", "œuvre", "x9", "§"]
    return [" ".join(generator.choices(words, k=generator.randint(1, 60))) for _ in range(count)]


@pytest.mark.parametrize(("text", "code"), list(zip(TEXTS[:3], ["fr", "en", "de"], strict=True)))
def test_known_languages(text, code):
    assert detect_language(text) == code


def test_labels_equal_langid():
    for text in TEXTS + random_texts(80):
        assert detect_language(text) == langid.classify(text)[0], text
