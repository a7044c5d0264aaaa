"""Plain text to many sparse terms: words of title and description, characters of the title.

What the best text model reads beside sentence vectors. Nothing is lemmatised or removed, accents
stay: on real rows the study's cleaning costs as much as it helps. Characters forgive typos, endings
and compounds, in any language.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

BLOCKS = ("words", "characters")
"""The blocks of columns, in their order. Each has rows of length 1, so that they count the same."""

Terms = dict[str, tuple[list[str], np.ndarray]]
"""By block the terms in column order and their inverse document frequencies, float32 (d,)."""


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
            "least 1 and 2, correct best_text in params.yaml"
        )
    ngrams = {"word_ngrams": word_ngrams, "character_ngrams": character_ngrams}
    terms: Terms = {}
    for block, texts in _texts(titles, bodies).items():
        counter = _counter(block, **ngrams)
        try:
            counts = counter.fit_transform(texts)
        except ValueError:  # scikit-learn's word for: no text holds any term
            terms[block] = [], np.zeros(0, np.float32)
            continue
        frequencies = np.bincount(counts.indices, minlength=counts.shape[1])
        frequent = np.flatnonzero(frequencies >= min_df)
        order = np.argsort(-frequencies[frequent], kind="stable")[:max_terms]
        columns = np.sort(frequent[order])
        names = counter.get_feature_names_out()[columns].tolist()
        idf = np.log((1 + len(texts)) / (1 + frequencies[columns])) + 1
        terms[block] = names, idf.astype(np.float32)
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
    ngrams = {"word_ngrams": word_ngrams, "character_ngrams": character_ngrams}
    blocks = []
    for block, texts in _texts(titles, bodies).items():
        names, idf = terms[block]
        if not names or not texts:  # scikit-learn weighs no empty table
            continue
        weigher = TfidfTransformer(sublinear_tf=True)
        weigher.idf_ = idf
        counter = _counter(block, **ngrams).set_params(vocabulary=names)
        blocks.append(weigher.transform(counter.transform(texts)))
    if not blocks:
        width = sum(len(names) for names, _ in terms.values())
        return sparse.csr_array((len(titles), width), dtype=np.float32)
    features = sparse.csr_array(sparse.hstack(blocks, format="csr"), dtype=np.float32)
    features.sort_indices()
    return features


def arrays(terms: Terms) -> dict[str, np.ndarray]:
    """Take the inverse document frequencies as plain arrays."""
    return {f"idf/{block}": idf for block, (_, idf) in terms.items()}


def restore(names: Mapping[str, list[str]], stored: Mapping[str, np.ndarray]) -> Terms:
    """Assemble the terms from their names by block and what `arrays` returned."""
    return {block: (names[block], stored[f"idf/{block}"]) for block in BLOCKS}


def _texts(titles: Sequence[str], bodies: Sequence[str]) -> dict[str, list[str]]:
    """Choose what each block reads."""
    both = [f"{title} {body}" for title, body in zip(titles, bodies, strict=True)]
    return {"words": both, "characters": list(titles)}


def _counter(block: str, *, word_ngrams: int, character_ngrams: int) -> CountVectorizer:
    """Count the terms of one block."""
    if block == "words":
        return CountVectorizer(
            token_pattern=r"(?u)\b\w+\b", ngram_range=(1, word_ngrams), dtype=np.float32
        )
    return CountVectorizer(analyzer="char_wb", ngram_range=(2, character_ngrams), dtype=np.float32)
