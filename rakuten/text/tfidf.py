"""TF-IDF features of cleaned tokens, with a vocabulary fitted on train rows."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer


def fit(
    tokens: Sequence[str],
    *,
    max_features: int,
    min_df: int,
    max_df: float,
    ngram_max: int,
) -> tuple[list[str], np.ndarray]:
    """Choose the vocabulary and compute its inverse document frequencies.

    Args:
        tokens: Tokens of n products of the train part, joined by single spaces.
        max_features: Number of terms to keep, the most frequent ones; ties in alphabetical order.
        min_df: Minimum number of products in which a term occurs.
        max_df: Maximum share of the products in which a term occurs, in (0, 1].
        ngram_max: Length of the longest term in tokens; 1 keeps single tokens only.

    Returns:
        The terms in column order (alphabetical), and their inverse document frequencies, float32
        (d,): ln((1 + n) / (1 + df)) + 1. Both empty if no product has a token.
    """
    if not any(tokens):
        return [], np.zeros(0, np.float32)
    counter = _counter(ngram_max).set_params(min_df=min_df, max_df=float(max_df))
    counts = counter.fit_transform(tokens)
    totals = np.asarray(counts.sum(axis=0, dtype=np.int64)).ravel()
    # max_features of scikit-learn breaks ties by an unstable sort: the result may differ by CPU.
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
    """Compute TF-IDF features.

    Args:
        tokens: Tokens of n products, joined by single spaces.
        vocabulary: The d terms in column order.
        idf: float32 (d,), inverse document frequencies.
        ngram_max: As in `fit`.
        sublinear_tf: Whether a term's count c becomes 1 + ln(c).

    Returns:
        float32 CSR (n, d), rows of L2 norm 1, or 0 without any known term; column indices are
        sorted within a row.
    """
    if not len(vocabulary):
        return sparse.csr_array(np.zeros((len(tokens), 0), np.float32))
    counter = _counter(ngram_max).set_params(vocabulary=vocabulary)
    transformer = TfidfTransformer(sublinear_tf=sublinear_tf)
    transformer.idf_ = idf
    features = sparse.csr_array(transformer.transform(counter.transform(tokens)), dtype=np.float32)
    features.sort_indices()
    return features


def _counter(ngram_max: int) -> CountVectorizer:
    """Make a vectorizer of texts whose tokens are separated by spaces."""
    return CountVectorizer(
        lowercase=False,
        tokenizer=str.split,
        token_pattern=None,
        ngram_range=(1, ngram_max),
        dtype=np.float32,
    )
