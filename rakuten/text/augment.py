"""Perturbations of texts: typos, capitals, lost accents, cut titles, missing descriptions.

They serve to measure the robustness of models and to augment the train part. The perturbation of a
product depends on the seed and its id only, not on the other products.
"""

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

TYPO_RATE = 0.3
"""Probability that a word of at least four letters gets a typo."""

_ROWS = ("azertyuiop", "qsdfghjklm", "wxcvbn")  # rows of a French keyboard
_NEIGHBOURS = {
    letter: row[max(i - 1, 0) : i] + row[i + 1 : i + 2]
    for row in (*_ROWS, *map(str.upper, _ROWS))
    for i, letter in enumerate(row)
}
_LIGATURES = str.maketrans(
    {"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss", "ø": "o", "Ø": "O"}
)

Pair = tuple[str, str]
"""A plain title and a plain description."""


def add_typos(text: str, generator: np.random.Generator) -> str:
    """Add typos to words: swap two letters, drop or double one, or hit a neighbouring key.

    Args:
        text: Words separated by spaces.
        generator: Draws the words (see `TYPO_RATE`) and their typos.

    Returns:
        The text; the first letter of each word stays.
    """
    words = text.split(" ")
    for i, word in enumerate(words):
        if sum(map(str.isalpha, word)) >= 4 and generator.random() < TYPO_RATE:
            words[i] = _add_typo(word, generator)
    return " ".join(words)


def strip_accents(text: str) -> str:
    """Remove accents and ligatures from Latin letters: `Cœur brodé` becomes `Coeur brode`."""
    return "".join(map(_strip_accent, text.translate(_LIGATURES)))


def cut_title(title: str) -> str:
    """Keep the first half of the words, rounded up to whole words."""
    words = title.split()
    return " ".join(words[: (len(words) + 1) // 2])


PERTURBATIONS: dict[str, Callable[[Pair, np.random.Generator], Pair]] = {
    "typos": lambda pair, generator: (add_typos(pair[0], generator), add_typos(pair[1], generator)),
    "upper_case": lambda pair, _: (pair[0].upper(), pair[1].upper()),
    "lower_case": lambda pair, _: (pair[0].lower(), pair[1].lower()),
    "no_accents": lambda pair, _: (strip_accents(pair[0]), strip_accents(pair[1])),
    "cut_title": lambda pair, _: (cut_title(pair[0]), pair[1]),
    # a product without a title keeps its description: its text must not become empty
    "no_description": lambda pair, _: (pair[0], "") if pair[0] else pair,
}
"""By name: a function of a title and a description that returns both perturbed."""


def perturb(
    name: str, titles: Sequence[str], descriptions: Sequence[str], ids: np.ndarray, *, seed: int
) -> tuple[list[str], list[str]]:
    """Perturb the texts of products.

    Args:
        name: A key of `PERTURBATIONS`.
        titles: n plain titles, "" where missing.
        descriptions: n plain descriptions, "" where missing.
        ids: int64 (n,), the products.
        seed: Seed of the random draws.

    Returns:
        The n titles and the n descriptions.

    Raises:
        ValueError: If `name` is unknown; the message lists the known ones.
    """
    if name not in PERTURBATIONS:
        raise ValueError(f"no perturbation {name!r}: expected one of {', '.join(PERTURBATIONS)}")
    change = PERTURBATIONS[name]
    stream = list(PERTURBATIONS).index(name)  # each perturbation has its own random numbers
    pairs = [
        change((title, description), np.random.default_rng([seed, int(product), stream]))
        for product, title, description in zip(ids, titles, descriptions, strict=True)
    ]
    return [title for title, _ in pairs], [description for _, description in pairs]


def augment(
    titles: Sequence[str], descriptions: Sequence[str], ids: np.ndarray, *, copies: int, seed: int
) -> tuple[list[str], list[str], np.ndarray]:
    """Make perturbed copies of train products, each by one of `PERTURBATIONS` drawn at random.

    Args:
        titles: n plain titles.
        descriptions: n plain descriptions.
        ids: int64 (n,), the products.
        copies: Number of copies of each product, at least 0.
        seed: Seed of the random draws.

    Returns:
        Titles and descriptions of the n * copies copies, and the positions of their originals,
        int64 (n * copies,). The first copies of all products come first, then the second ones.
    """
    perturbed: list[Pair] = []
    names = list(PERTURBATIONS)
    for copy in range(copies):
        for product, title, description in zip(ids, titles, descriptions, strict=True):
            generator = np.random.default_rng([seed, int(product), len(PERTURBATIONS) + copy])
            name = names[generator.integers(len(names))]
            perturbed.append(PERTURBATIONS[name]((title, description), generator))
    originals = np.tile(np.arange(len(titles), dtype=np.int64), copies)
    new_titles = [title for title, _ in perturbed]
    return new_titles, [description for _, description in perturbed], originals


def _strip_accent(letter: str) -> str:
    """Remove the accents of one letter if it is Latin."""
    plain = unicodedata.normalize("NFD", letter)[0]
    return plain if plain.isascii() else letter


def _add_typo(word: str, generator: np.random.Generator) -> str:
    """Add a typo after the first letter of a word; the result always differs."""
    i = int(generator.integers(1, len(word) - 1))
    before, letter, after = word[:i], word[i], word[i + 1 :]
    neighbours = _NEIGHBOURS.get(strip_accents(letter), "")
    candidates = [before + after, before + letter + letter + after]
    if after[0] != letter:
        candidates.append(before + after[0] + letter + after[1:])
    if neighbours:
        candidates.append(before + neighbours[generator.integers(len(neighbours))] + after)
    return candidates[generator.integers(len(candidates))]
