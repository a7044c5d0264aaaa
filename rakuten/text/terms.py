"""Plain text to many sparse terms: words of title and description, characters of the title.

What the best text model reads beside sentence vectors. Nothing is lemmatised or removed, accents
stay: on real rows the study's cleaning costs as much as it helps. Characters forgive typos, endings
and compounds, in any language.

Terms are counted here as scikit-learn's CountVectorizer does, which tests hold against it: its
import takes longer than to classify some thousand titles.
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

import numpy as np
from scipy import sparse

BLOCKS = ("words", "characters")
"""The blocks of columns, in their order. Each has rows of length 1, so that they count the same."""

Terms = dict[str, tuple[dict[str, int], np.ndarray]]
"""By block the column of each term, in column order, and their inverse document frequencies,
float32 (d,)."""

_WORD = re.compile(r"\b\w+\b")


def fit(
    titles: Sequence[str],
    bodies: Sequence[str],
    *,
    word_ngrams: int,
    character_ngrams: int,
    min_df: int,
    max_terms: int,
) -> Terms:
    """Choose the terms of each block and weigh them.

    Args:
        titles: Plain titles of n products of the train part.
        bodies: Plain descriptions of the same products.
        word_ngrams: Longest run of words.
        character_ngrams: Longest run of characters within a word, at least 2, its shortest.
        min_df: Products that a term must occur in, at least.
        max_terms: Terms kept in a block, those of most products, ties in alphabetical order.

    Returns:
        The terms; a block is empty where no term is frequent enough.

    Raises:
        ValueError: If the runs of words are below 1 or those of characters below 2.
    """
    if word_ngrams < 1 or character_ngrams < 2:
        raise ValueError(
            f"word_ngrams is {word_ngrams} and character_ngrams {character_ngrams}: expected at "
            "least 1 and 2, correct text_ensemble in params.yaml"
        )
    longest = {"words": word_ngrams, "characters": character_ngrams}
    terms: Terms = {}
    for block, texts in _texts(titles, bodies).items():
        found = Counter()
        for text in texts:
            found.update(set(_ANALYZERS[block](text, longest[block])))
        names = sorted(name for name, count in found.items() if count >= min_df)
        frequencies = np.array([found[name] for name in names], np.int64)
        chosen = np.sort(np.argsort(-frequencies, kind="stable")[:max_terms])
        idf = np.log((1 + len(texts)) / (1 + frequencies[chosen])) + 1
        kept = _columns([names[place] for place in chosen])
        terms[block] = kept, idf.astype(np.float32)
    return terms


def transform(
    titles: Sequence[str],
    bodies: Sequence[str],
    terms: Terms,
    *,
    word_ngrams: int,
    character_ngrams: int,
) -> sparse.csr_array:
    """Weigh the terms of products: (1 + ln count) * idf.

    Args:
        titles: Plain titles of n products.
        bodies: Plain descriptions of the same products.
        terms: What `fit` returned.
        word_ngrams: As in `fit`.
        character_ngrams: As in `fit`.

    Returns:
        float32 CSR (n, d), the blocks side by side, each with rows of length 1, or 0 where no term
        is known; columns ascend in a row.
    """
    longest = {"words": word_ngrams, "characters": character_ngrams}
    blocks = []
    for block, texts in _texts(titles, bodies).items():
        columns, idf = terms[block]
        runs = (_ANALYZERS[block](text, longest[block]) for text in texts)
        blocks.append(_weigh(_count(runs, columns), idf))
    return sparse.csr_array(sparse.hstack(blocks, format="csr"))


def arrays(terms: Terms) -> dict[str, np.ndarray]:
    """Take the inverse document frequencies as plain arrays."""
    return {f"idf/{block}": idf for block, (_, idf) in terms.items()}


def restore(names: Mapping[str, list[str]], stored: Mapping[str, np.ndarray]) -> Terms:
    """Assemble the terms from their names by block and what `arrays` returned."""
    return {block: (_columns(names[block]), stored[f"idf/{block}"]) for block in BLOCKS}


def _texts(titles: Sequence[str], bodies: Sequence[str]) -> dict[str, list[str]]:
    """Choose what each block reads."""
    both = [f"{title} {body}" for title, body in zip(titles, bodies, strict=True)]
    return {"words": both, "characters": list(titles)}


def _columns(names: Sequence[str]) -> dict[str, int]:
    """Number the terms of a block."""
    return {name: column for column, name in enumerate(names)}


def _count(runs: Iterable[list[str]], columns: Mapping[str, int]) -> sparse.csr_array:
    """Count the terms of a block, float32 (n, d), columns ascending in a row."""
    found, ends = array("i"), [0]
    for terms in runs:
        found.extend(map(columns.get, terms, repeat(-1)))
        ends.append(len(found))
    places = np.frombuffer(found, np.intc)
    known = places >= 0
    ends = np.concatenate([[0], np.cumsum(known)])[ends].astype(np.int32)  # for scikit-learn
    ones = np.ones(ends[-1], np.float32)
    counts = sparse.csr_array((ones, places[known], ends), shape=(len(ends) - 1, len(columns)))
    counts.sum_duplicates()
    return counts


def _weigh(counts: sparse.csr_array, idf: np.ndarray) -> sparse.csr_array:
    """Turn counts into weights, with rows of length 1."""
    values = (np.log(counts.data) + 1) * idf[counts.indices]
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    lengths = np.sqrt(np.bincount(rows, weights=values * values, minlength=counts.shape[0]))
    weights = (values / lengths[rows]).astype(np.float32)
    return sparse.csr_array((weights, counts.indices, counts.indptr), shape=counts.shape)


def _word_runs(text: str, longest: int) -> list[str]:
    """List the words of a text, then its runs of two, and so on."""
    words = _WORD.findall(text.lower())
    runs = [
        " ".join(words[start : start + length])
        for length in range(2, longest + 1)
        for start in range(len(words) - length + 1)
    ]
    return words + runs


def _character_runs(text: str, longest: int) -> list[str]:
    """List the runs of characters of each word of a text, a space before and behind it."""
    runs = []
    for word in text.lower().split():
        padded = f" {word} "
        for length in range(2, longest + 1):
            if length >= len(padded):  # a short word counts once
                runs.append(padded)
                break
            last = len(padded) - length + 1
            runs += [padded[start : start + length] for start in range(last)]
    return runs


_ANALYZERS = dict(zip(BLOCKS, (_word_runs, _character_runs), strict=True))
