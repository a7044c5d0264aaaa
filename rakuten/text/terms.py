"""TF-IDF of word n-grams (title and description) and of character n-grams (title).

These are features of the text ensemble, beside sentence vectors. Text is only lowercased:
on real rows the study's cleaning gains nothing here. Character n-grams tolerate typos, endings and
compounds in any language.

The result equals scikit-learn's TfidfVectorizer, which tests compare. scikit-learn is not used
because its import would double the time that the prediction of one title takes.
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

import numpy as np
from scipy import sparse

BLOCKS = ("words", "characters")
"""The blocks of features. Each has rows of L2 norm 1, so that both weigh the same."""

Terms = dict[str, tuple[dict[str, int], np.ndarray]]
"""By block: the column of each term, in column order, and the inverse document frequencies,
float32 (d,)."""

_WORD = re.compile(r"\b\w+\b")


def fit(
    titles: Sequence[str],
    descriptions: Sequence[str],
    *,
    word_ngrams: int,
    character_ngrams: int,
    min_df: int,
    max_terms: int,
) -> Terms:
    """Choose the terms of each block and compute their inverse document frequencies.

    Args:
        titles: Plain titles of n products of the train part.
        descriptions: Plain descriptions of the same products.
        word_ngrams: Maximum number of words in an n-gram, at least 1.
        character_ngrams: Maximum number of characters in an n-gram within a word, at least 2,
            which is also the minimum.
        min_df: Minimum number of products in which a term occurs.
        max_terms: Maximum number of terms in a block; those in the most products are kept, ties
            in alphabetical order.

    Returns:
        The terms; a block is empty where no term is frequent enough.

    Raises:
        ValueError: If `word_ngrams` is below 1 or `character_ngrams` below 2.
    """
    if word_ngrams < 1 or character_ngrams < 2:
        raise ValueError(
            f"word_ngrams is {word_ngrams} and character_ngrams {character_ngrams}: expected at "
            "least 1 and 2, correct text_ensemble in params.yaml"
        )
    longest = {"words": word_ngrams, "characters": character_ngrams}
    terms: Terms = {}
    for block, texts in _texts(titles, descriptions).items():
        found: Counter[str] = Counter()
        for text in texts:
            found.update(set(_ANALYZERS[block](text, longest[block])))
        names = sorted(name for name, count in found.items() if count >= min_df)
        frequencies = np.array([found[name] for name in names], np.int64)
        chosen = np.sort(np.argsort(-frequencies, kind="stable")[:max_terms])
        idf = np.log((1 + len(texts)) / (1 + frequencies[chosen])) + 1
        columns = _columns([names[position] for position in chosen])
        terms[block] = columns, idf.astype(np.float32)
    return terms


def transform(
    titles: Sequence[str],
    descriptions: Sequence[str],
    terms: Terms,
    *,
    word_ngrams: int,
    character_ngrams: int,
) -> dict[str, sparse.csr_array]:
    """Compute TF-IDF features: (1 + ln count) * idf, rows of each block divided by their norm.

    Args:
        titles: Plain titles of n products.
        descriptions: Plain descriptions of the same products.
        terms: What `fit` returned.
        word_ngrams: As in `fit`.
        character_ngrams: As in `fit`.

    Returns:
        float32 CSR (n, d) by block, rows of L2 norm 1, or 0 without any known term; column indices
        are sorted within a row.
    """
    longest = {"words": word_ngrams, "characters": character_ngrams}
    features = {}
    for block, texts in _texts(titles, descriptions).items():
        columns, idf = terms[block]
        ngrams = (_ANALYZERS[block](text, longest[block]) for text in texts)
        features[block] = _weigh(_count(ngrams, columns), idf)
    return features


def arrays(terms: Terms) -> dict[str, np.ndarray]:
    """Return the inverse document frequencies by name, float32 (d,), to be saved."""
    return {f"idf/{block}": idf for block, (_, idf) in terms.items()}


def restore(names: Mapping[str, list[str]], stored: Mapping[str, np.ndarray]) -> Terms:
    """Restore the terms that were saved.

    Args:
        names: The terms of each block, in column order.
        stored: What `arrays` returned.

    Returns:
        The terms, as `fit` returned them.
    """
    return {block: (_columns(names[block]), stored[f"idf/{block}"]) for block in BLOCKS}


def _texts(titles: Sequence[str], descriptions: Sequence[str]) -> dict[str, list[str]]:
    """Select the texts of each block."""
    pairs = zip(titles, descriptions, strict=True)
    both = [f"{title} {description}" for title, description in pairs]
    return {"words": both, "characters": list(titles)}


def _columns(names: Sequence[str]) -> dict[str, int]:
    """Number the terms of a block."""
    return {name: column for column, name in enumerate(names)}


def _count(ngrams: Iterable[list[str]], columns: Mapping[str, int]) -> sparse.csr_array:
    """Count the terms of a block, float32 (n, d)."""
    found, ends = array("i"), [0]
    for terms in ngrams:
        found.extend(map(columns.get, terms, repeat(-1)))
        ends.append(len(found))
    indices = np.frombuffer(found, np.intc)
    known = indices >= 0
    indptr = np.concatenate([[0], np.cumsum(known)])[ends].astype(np.int32)  # as in scikit-learn
    ones = np.ones(indptr[-1], np.float32)
    shape = (len(indptr) - 1, len(columns))
    counts = sparse.csr_array((ones, indices[known], indptr), shape=shape)
    counts.sum_duplicates()
    return counts


def _weigh(counts: sparse.csr_array, idf: np.ndarray) -> sparse.csr_array:
    """Turn counts into TF-IDF weights with rows of L2 norm 1."""
    values = (np.log(counts.data) + 1) * idf[counts.indices]
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    lengths = np.sqrt(np.bincount(rows, weights=values * values, minlength=counts.shape[0]))
    weights = (values / lengths[rows]).astype(np.float32)
    return sparse.csr_array((weights, counts.indices, counts.indptr), shape=counts.shape)


def _word_ngrams(text: str, longest: int) -> list[str]:
    """List the words of a text, then its pairs of words, and so on."""
    words = _WORD.findall(text.lower())
    return words + [
        " ".join(words[start : start + length])
        for length in range(2, longest + 1)
        for start in range(len(words) - length + 1)
    ]


def _character_ngrams(text: str, longest: int) -> list[str]:
    """List the character n-grams of each word of a text, a space on both sides of it."""
    ngrams: list[str] = []
    for word in text.lower().split():
        padded = f" {word} "
        for length in range(2, longest + 1):
            if length >= len(padded):  # a short word counts once
                ngrams.append(padded)
                break
            last = len(padded) - length + 1
            ngrams += [padded[start : start + length] for start in range(last)]
    return ngrams


_ANALYZERS = {"words": _word_ngrams, "characters": _character_ngrams}
