"""Titles and descriptions of the synthetic catalogue, generated from word tables and templates.

The tables are in `words.yaml`. A template has {slots} and [optional parts]. A slot is filled from
the category's table, else from the shared table, else by one of `MAKERS`. Then come the defects of
a real marketplace: vague titles, borrowed words, typos, capitals, lost accents, keyword noise, HTML
and entities.
"""

import functools
import math
import re
import unicodedata
from collections.abc import Callable
from html.entities import codepoint2name
from pathlib import Path

from rakuten import storage
from rakuten.categories import GROUPS
from rakuten.sample.random_stream import RandomStream

WORDS = Path(__file__).with_name("words.yaml")

MIN_TITLE, MAX_TITLE = 11, 250  # characters, as in the challenge
VAGUE = 0.12  # share of products whose text does not name the product
BORROW = 0.01  # share of product nouns taken from a category that is easily confused
BORROW_IN_GROUP = 0.05  # the same for the categories of categories.GROUPS
OWN_SENTENCE = 0.66  # share of description sentences about the category
MARKED = 0.40  # share of titles with a mark of the category, where it has any
MAX_SENTENCES = 110

GROUPED = frozenset(code for group in GROUPS.values() for code in group)
GAMES = frozenset({40, 60, 1140, 1160, 1180, 2462, 2905})  # named after a film, game or comic

_PART = re.compile(r"\{(\w+)\}|\[([^\]]*)\]")
_CONTRACTED = {"de le": "du ", "de les": "des ", "à le": "au ", "à les": "aux "}
_ARTICLE = re.compile(r"\b((?:de|à) les?) (?=\w)")
_ELIDED = re.compile(r"\bde (?=[AEIOUYÉÈaeiouéèê])")
_POOL_SEED = 20_200


@functools.cache
def word_tables() -> tuple[dict[str, list[str]], dict[int, dict], dict[int, list[int]]]:
    """Read the word tables: shared slots, slots by category, easily confused categories."""
    words = storage.read_yaml(WORDS)
    shared = {slot: _items(value) for slot, value in words["shared"].items()}
    categories = {
        code: {s: _items(v) if isinstance(v, str) else v for s, v in entry.items()}
        for code, entry in words["categories"].items()
    }
    return shared, categories, words["near"]


def _items(value: str) -> list[str]:
    return [item.strip() for item in value.split("|") if item.strip()]


def confusable(code: int) -> list[int]:
    """List the categories that are easily confused with `code`, nearest first."""
    return word_tables()[2][code]


def write_text(rng: RandomStream, code: int) -> tuple[str, str | None]:
    """Write the title and the description of one product.

    Args:
        rng: The product's random stream.
        code: The product's true `prdtypecode`.

    Returns:
        The designation (11 to 250 characters, HTML-free) and the description (HTML and entities
        included), or None for products without one.
    """
    shared, categories, near = word_tables()
    own = categories[code]
    vague = rng.chance(VAGUE)
    language = _language(rng, own)
    writer = _Writer(rng, code, shared, own)
    if not vague and rng.chance(BORROW_IN_GROUP if code in GROUPED else BORROW):
        other = categories[rng.pick(near[code], 1.5)]
        writer.own = own | {key: other[key] for key in ("noun", "en_noun", "de_noun")}
    if vague:
        language = "fr"
        writer.extras, templates = shared["extra_vague"], shared[_table_of("vague", code)]
    else:
        templates = own[{"fr": "titles", "en": "en_titles", "de": "de_titles"}[language]]
    title = writer.fill(rng.pick(templates))
    if not vague and "mark" in own and rng.chance(MARKED):
        title = f"{title} - {writer.fill(rng.pick(own['mark']))}"
    title = _finish_title(rng, writer, title, language)
    if rng.chance(own["missing"] / 100):
        return title, None
    return title, _describe(rng, writer, title, vague, language)


def _language(rng: RandomStream, own: dict) -> str:
    roll = 100 * rng.unit()
    if roll < own["english"]:
        return "en"
    return "de" if roll < own["english"] + own["german"] else "fr"


class _Writer:
    """Fills templates for one product, and repeats its names."""

    def __init__(self, rng: RandomStream, code: int, shared: dict, own: dict):
        self.rng, self.code, self.shared, self.own = rng, code, shared, own
        self.extras = shared[_table_of("extra", code)]
        self.kept: dict[str, str] = {}

    def fill(self, template: str) -> str:
        """Fill the slots of a template, and contract French articles."""
        return _contract(_PART.sub(self._part, template))

    def _part(self, match: re.Match) -> str:
        slot, optional = match.groups()
        if slot is None:
            return _PART.sub(self._part, optional) if self.rng.chance(0.5) else ""
        items = self.own.get(slot) or self.shared.get(slot)
        if items:
            return _PART.sub(self._part, self.rng.pick(items, 1.0 if slot == "rare" else 1.3))
        if slot in KEPT and slot in self.kept and self.rng.chance(0.7):
            return self.kept[slot]
        value = MAKERS[slot](self.rng, self.code)
        self.kept[slot] = value
        return value


def _contract(text: str) -> str:
    text = _ARTICLE.sub(lambda match: _CONTRACTED[match[1]], text)
    return " ".join(_ELIDED.sub("d'", text).split())


def _finish_title(rng: RandomStream, writer: _Writer, title: str, language: str) -> str:
    """Add keyword noise, set the letter case, make typos, keep to the length limits."""
    if language == "fr":
        goal = writer.own["length"] * math.exp(rng.spread(0.42)) - 7
        while len(title) < goal:
            title = f"{title}{rng.pick(_JOINTS)}{writer.fill(rng.pick(writer.extras))}"
        if rng.chance(0.05):
            title = f"{title} {writer.fill(rng.pick(writer.own['en_noun']))}"
    while len(title) < MIN_TITLE:
        title = f"{title} {writer.fill('{name}')}"
    style = rng.unit()
    if style < 0.06:
        title = title.upper()
    elif style < 0.72 and language != "de":
        title = " ".join(word[:1].upper() + word[1:] for word in title.split(" "))
    else:
        title = title[:1].upper() + title[1:]
    if rng.chance(0.10):
        title = _strip_accents(title)
    if rng.chance(0.16):
        title = _typos(rng, title, 0.15)
    if rng.chance(0.10):
        title = title.replace("'", "&#39;") if rng.chance(0.3) else title + " " + "!" * 2
    limit = 140 if rng.chance(0.7) else MAX_TITLE
    return title[:limit].strip().ljust(MIN_TITLE, ".")


def _table_of(kind: str, code: int) -> str:
    """Name the shared table: by the category's group if vague, by its kind for extras."""
    if kind == "vague":
        group = next((name for name, codes in GROUPS.items() if code in codes), None)
        return f"vague_{group}" if group else "vague"
    if code in GROUPS["books"]:
        return "extra_books"
    return "extra_games" if code in GAMES else "extra_wares"


_JOINTS = (" ", " ", " - ", " - ", ", ", " | ", " / ", " ")


def _describe(rng: RandomStream, writer: _Writer, title: str, vague: bool, language: str) -> str:
    """Write a description of some sentences, as plain text or in a seller's HTML."""
    own, shared = writer.own, writer.shared
    prefix = "" if language == "fr" or rng.chance(0.25) else f"{language}_"
    about = own[f"{prefix}text"]
    filler = shared[f"{prefix}filler"]
    count = min(MAX_SENTENCES, max(1, round(10.0 * math.exp(rng.spread(0.85)))))
    if rng.chance(0.12):
        count = 1
    sentences = [title] if rng.chance(0.25) else []  # sellers repeat their title
    for _ in range(count):
        source = about if not vague and rng.chance(OWN_SENTENCE) else filler
        sentence = writer.fill(rng.pick(source))
        sentence = sentence[:1].upper() + sentence[1:]
        if sentence not in sentences:
            sentences.append(sentence)
    if not vague and rng.chance(0.45):
        sentences.append(writer.fill(rng.pick(shared["signature"])))
    if rng.chance(0.12):
        sentences = [_typos(rng, sentence, 0.04) for sentence in sentences]
    layout = rng.unit()
    if layout < 0.42:
        text = _escape(rng, " ".join(sentences))
    elif layout < 0.58:
        text = "<br />".join(_escape(rng, sentence) for sentence in sentences)
    elif layout < 0.76:
        text = "".join(f"<p>{_escape(rng, sentence)}</p>" for sentence in sentences)
    else:
        text = _data_sheet(rng, writer, title, sentences)
    return text


def _data_sheet(rng: RandomStream, writer: _Writer, title: str, sentences: list[str]) -> str:
    """Set sentences under a bold title, followed by a list of labels and values."""
    values = ("{brand}", "{ref}", "{material}", "{colour}", "{dim} cm", "{n} g", "{country}")
    rows = []
    for label, value in zip(writer.shared["label"], values, strict=False):
        if rng.chance(0.6):
            filled = _escape(rng, writer.fill(value))
            rows.append(f"<li><b>{_escape(rng, label)}</b>&nbsp;: {filled}</li>")
    body = "<br /><br />".join(_escape(rng, sentence) for sentence in sentences)
    return f"<b>{_escape(rng, title)}</b><br />{body}<ul>{''.join(rows)}</ul>"


def _escape(rng: RandomStream, text: str) -> str:
    """Write special characters as the entities that sellers' tools leave behind."""
    text = text.replace("&", "&amp;")
    style = rng.unit()
    if style < 0.22:
        return "".join(_ENTITIES.get(letter, letter) for letter in text)
    if style < 0.75:
        text = text.replace("'", "&#39;").replace("+", "&#43;")
    if style > 0.65:
        text = text.replace(" : ", "&nbsp;: ")
    return text


_ENTITIES = {letter: f"&{codepoint2name[ord(letter)]};" for letter in "éèêëàâçîïôûùüöäßÉÀ«»°œ"} | {
    "'": "&#39;",
    "+": "&#43;",
}


def _strip_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize(
        "NFC", "".join(c for c in decomposed if not unicodedata.combining(c))
    )


def _typos(rng: RandomStream, text: str, share: float) -> str:
    """Drop, double or swap a letter in a share of the longer words."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if len(word) > 4 and word.isalpha() and rng.chance(share):
            at = rng.integer(1, len(word) - 3)
            words[place] = rng.pick(
                (
                    word[:at] + word[at + 1 :],
                    word[:at] + word[at] + word[at:],
                    word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                )
            )
    return " ".join(words)


def _invented(rng: RandomStream) -> str:
    """Build a name of two or three syllables."""
    return "".join(_syllable(rng) for _ in range(2 + rng.chance(0.55))).capitalize()


def _syllable(rng: RandomStream) -> str:
    shared = word_tables()[0]
    closed = rng.chance(0.5)
    return (
        rng.pick(shared["onset"])
        + rng.pick(shared["vowel"])
        + (rng.pick(shared["coda"]) if closed else "")
    )


@functools.cache
def _pool(key: int, size: int) -> list[str]:
    """Build a fixed list of invented names, the same for every seed."""
    rng = RandomStream(_POOL_SEED, key)
    return [_invented(rng) for _ in range(size)]


def _brand(rng: RandomStream, code: int) -> str:
    """Choose a brand: of the category, shared by all categories, or a new one."""
    roll = rng.unit()
    if roll < 0.40:
        return rng.pick(_pool(code, 30), 1.5)
    return rng.pick(_pool(0, 200), 1.3) if roll < 0.75 else _invented(rng)


def _saga(rng: RandomStream, code: int) -> str:
    """Choose a film, game or comic: one list for all categories, with other weights in each."""
    pool = _pool(1, 150)
    at = int(len(pool) * rng.unit() ** 2.0)
    saga = pool[(at + code % 97) % len(pool)] if rng.chance(0.8) else _invented(rng)
    return f"{saga} {rng.pick(_pool(2, 60))}" if rng.chance(0.3) else saga


def _name(rng: RandomStream, code: int) -> str:
    return rng.pick(_pool(3, 300), 1.2) if rng.chance(0.35) else _invented(rng)


def _author(rng: RandomStream, code: int) -> str:
    shared = word_tables()[0]
    surname = _syllable(rng) + rng.pick(shared["ending"])
    return f"{rng.pick(shared['first'])} {surname.capitalize()}"


def _reference(rng: RandomStream, code: int) -> str:
    letters = "".join(rng.pick("abcdefghjkmprstvwxz") for _ in range(rng.integer(2, 4)))
    return f"{letters}{rng.integer(10, 99999)}".capitalize()


def _size(rng: RandomStream, code: int) -> str:
    sides = [str(rng.integer(2, 50) * rng.pick((1, 2, 5, 10))) for _ in range(3)]
    return rng.pick(("x", " x ")).join(sides[: rng.pick((2, 2, 3))])


def _date(rng: RandomStream, code: int) -> str:
    return f"{rng.integer(1, 28):02d}/{rng.integer(1, 12):02d}/{rng.integer(1900, 2018)}"


def _card(rng: RandomStream, code: int) -> str:
    total = rng.pick((64, 83, 102, 108, 111, 146, 160, 214))
    return rng.pick((f"{rng.integer(1, total)}/{total}", _reference(rng, code)))


KEPT = frozenset({"saga", "brand", "name", "author"})
MAKERS: dict[str, Callable[[RandomStream, int], str]] = {
    "brand": _brand,
    "saga": _saga,
    "name": _name,
    "author": _author,
    "ref": _reference,
    "dim": _size,
    "date": _date,
    "cardno": _card,
    "num": lambda rng, code: str(rng.integer(1, 12)),
    "n": lambda rng, code: str(rng.pick((2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 20, 24, 36, 50))),
    "hundreds": lambda rng, code: str(rng.integer(2, 40) * rng.pick((10, 20, 50))),
    "year": lambda rng, code: str(rng.integer(1930, 2019)),
    "century": lambda rng, code: rng.pick(("XVIe", "XVIIe", "XVIIIe", "XIXe", "XXe")),
    "issue": lambda rng, code: str(rng.integer(1, 2400)),
}
"""Slots that are generated: functions of the random stream and the category's code."""
