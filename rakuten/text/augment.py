"""Texts that do not conform: typos, capitals, lost accents, cut titles, missing descriptions.

For measuring how models face them, and for training on them. What happens to a product depends on
the seed and its id alone, never on the products beside it.
"""

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

TYPO_RATE = 0.3
"""Share of the words of at least four letters that get a typo."""

_ROWS = ("azertyuiop", "qsdfghjklm", "wxcvbn")  # the letters of a French keyboard
_NEIGHBOURS = {
    letter: row[max(place - 1, 0) : place] + row[place + 1 : place + 2]
    for row in (*_ROWS, *map(str.upper, _ROWS))
    for place, letter in enumerate(row)
}
_LIGATURES = str.maketrans(
    {"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss", "ø": "o", "Ø": "O"}
)

Pair = tuple[str, str]
"""A plain title and a plain description."""


def add_typos(text: str, generator: np.random.Generator) -> str:
    """Mistype some words: two letters swapped, one lost, one doubled, or a neighbouring key."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if sum(map(str.isalpha, word)) >= 4 and generator.random() < TYPO_RATE:
            words[place] = _mistype(word, generator)
    return " ".join(words)


def strip_accents(text: str) -> str:
    """Take the accents of Latin letters and ligatures away: `Cœur brodé` becomes `Coeur brode`."""
    return "".join(map(_strip_accent, text.translate(_LIGATURES)))


def cut_title(title: str) -> str:
    """Keep the first half of the words, rounded up."""
    words = title.split()
    return " ".join(words[: (len(words) + 1) // 2])


PERTURBATIONS: dict[str, Callable[[Pair, np.random.Generator], Pair]] = {
    "typos": lambda pair, generator: tuple(add_typos(text, generator) for text in pair),
    "upper_case": lambda pair, _: tuple(map(str.upper, pair)),
    "lower_case": lambda pair, _: tuple(map(str.lower, pair)),
    "no_accents": lambda pair, _: tuple(map(strip_accents, pair)),
    "cut_title": lambda pair, _: (cut_title(pair[0]), pair[1]),
    # a title stays a text; a product whose only text is its description keeps it
    "no_description": lambda pair, _: (pair[0], "") if pair[0] else pair,
}
"""By name: a title and a description -> both as a careless seller would have typed them."""


def perturb(
    name: str, titles: Sequence[str], bodies: Sequence[str], ids: np.ndarray, *, seed: int
) -> tuple[list[str], list[str]]:
    """Perturb the texts of products.

    Args:
        name: A key of `PERTURBATIONS`.
        titles: n plain titles, "" where missing.
        bodies: n plain descriptions, "" where missing.
        ids: int64 (n,), the products.
        seed: Seed of the draws.

    Returns:
        The n titles and the n descriptions.

    Raises:
        ValueError: If there is no such perturbation; the message lists those that there are.
    """
    if name not in PERTURBATIONS:
        raise ValueError(f"no perturbation {name!r}: expected one of {', '.join(PERTURBATIONS)}")
    change = PERTURBATIONS[name]
    place = list(PERTURBATIONS).index(name)
    pairs = [
        change(pair, np.random.default_rng([seed, int(product), place]))
        for product, *pair in zip(ids, titles, bodies, strict=True)
    ]
    return [title for title, _ in pairs], [body for _, body in pairs]


def augment(
    titles: Sequence[str], bodies: Sequence[str], ids: np.ndarray, *, copies: int, seed: int
) -> tuple[list[str], list[str], np.ndarray]:
    """Make perturbed copies to train on, each under one of `PERTURBATIONS` drawn for it.

    Args:
        titles: n plain titles.
        bodies: n plain descriptions.
        ids: int64 (n,), the products.
        copies: Copies of each product, at least 0.
        seed: Seed of the draws.

    Returns:
        Titles and descriptions of the n * copies copies, copy by copy in the order of the products,
        and the positions of their originals, int64.
    """
    made: list[Pair] = []
    names = list(PERTURBATIONS)
    for copy in range(copies):
        for product, *pair in zip(ids, titles, bodies, strict=True):
            generator = np.random.default_rng([seed, int(product), len(PERTURBATIONS) + copy])
            name = names[generator.integers(len(names))]
            made.append(PERTURBATIONS[name](pair, generator))
    originals = np.tile(np.arange(len(titles), dtype=np.int64), copies)
    return [title for title, _ in made], [body for _, body in made], originals


def _strip_accent(letter: str) -> str:
    """Take the accents off one letter, if it is Latin."""
    plain = unicodedata.normalize("NFD", letter)[0]
    return plain if plain.isascii() else letter


def _mistype(word: str, generator: np.random.Generator) -> str:
    """Mistype one word, in a place after its first letter; the result always differs."""
    place = int(generator.integers(1, len(word) - 1))
    before, letter, after = word[:place], word[place], word[place + 1 :]
    neighbours = _NEIGHBOURS.get(strip_accents(letter), "")
    kinds = [before + after, before + letter + letter + after]
    if after[0] != letter:
        kinds.append(before + after[0] + letter + after[1:])
    if neighbours:
        kinds.append(before + neighbours[generator.integers(len(neighbours))] + after)
    return kinds[generator.integers(len(kinds))]
