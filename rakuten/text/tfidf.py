"""Tokens to TF-IDF: a vocabulary fitted on train rows, and features from it alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer


def fit(
    tokens: Sequence[str],
    *,
    max_features: int,
    min_df: int,
    max_df: float,
    ngram_max: int,
) -> tuple[list[str], np.ndarray]:
    """Choose the vocabulary and weigh its terms.

    Args:
        tokens: Tokens of n products of the train part, joined by single spaces.
        max_features: The most frequent terms kept, ties in alphabetical order.
        min_df: Products that a term must occur in, at least.
        max_df: Share of the products that a term may occur in, at most, in (0, 1].
        ngram_max: Length of the longest term in tokens; 1 takes single tokens.

    Returns:
        The terms in column order (alphabetical), and their inverse document frequencies, float32
        (d,): ln((1 + n) / (1 + df)) + 1. Both empty if no product has a token.
    """
    from sklearn.feature_extraction.text import TfidfTransformer  # seconds: once it is needed

    if not any(tokens):
        return [], np.zeros(0, np.float32)
    counter = _counter(ngram_max).set_params(min_df=min_df, max_df=float(max_df))
    counts = counter.fit_transform(tokens)
    totals = np.asarray(counts.sum(axis=0, dtype=np.int64)).ravel()
    # scikit-learn's own max_features breaks ties as the processor's sort happens to.
    columns = np.sort(np.argsort(-totals, kind="stable")[:max_features])
    idf = TfidfTransformer().fit(counts[:, columns]).idf_
    return counter.get_feature_names_out()[columns].tolist(), idf.astype(np.float32)


def transform(
    tokens: Sequence[str],
    vocabulary: Sequence[str],
    idf: np.ndarray,
    *,
    ngram_max: int,
    sublinear_tf: bool,
) -> sparse.csr_array:
    """Weigh the terms of products.

    Args:
        tokens: Tokens of n products, joined by single spaces.
        vocabulary: The d terms in column order.
        idf: float32 (d,), inverse document frequencies.
        ngram_max: As in `fit`.
        sublinear_tf: Whether a term's count c becomes 1 + ln(c).

    Returns:
        float32 CSR (n, d), rows of length 1, or 0 where no term is known; columns ascend in a row.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    if not len(vocabulary):
        return sparse.csr_array((len(tokens), 0), dtype=np.float32)
    counter = _counter(ngram_max).set_params(vocabulary=vocabulary)
    weigher = TfidfTransformer(sublinear_tf=sublinear_tf)
    weigher.idf_ = idf
    features = sparse.csr_array(weigher.transform(counter.transform(tokens)), dtype=np.float32)
    features.sort_indices()
    return features


def _counter(ngram_max: int) -> "CountVectorizer":
    """Count terms of texts that are tokenized already."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(
        lowercase=False,
        tokenizer=str.split,
        token_pattern=None,
        ngram_range=(1, ngram_max),
        dtype=np.float32,
    )
