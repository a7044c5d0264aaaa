"""Find validation and test products whose text or image is almost that of a train product.

Sellers list one product in many variants, with texts that differ in a word and images that differ
in compression. `rakuten.data.splits` keeps exact duplicates in one part; near-duplicates are found
here. Tables are sorted by id and do not depend on the order of the rows.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from rakuten import stage_log
from rakuten.evaluation.image_hash import HASH_BITS, are_plain
from rakuten.storage import DIGITS

NGRAM = 4
"""Characters per n-gram: shorter ones are in every text, longer ones miss inflected words."""

NGRAM_COLUMNS = 2**21
"""Columns of the hashed n-grams: 84,916 products have some 800,000 distinct ones."""

TEXT_BLOCK = 64
"""Texts compared at once: a block's products with 60,000 others take some 30 MB."""

PAIRS = 4096
"""Pairs compared in full at once: long descriptions have thousands of n-grams."""

MARGIN = 0.1
"""Smaller: more pairs to compare in full. Larger: a slower first comparison."""

HASH_BLOCK = 16
"""Hashes compared at once."""

TEXT_COLUMNS = ["id", "part", "train_id", "similarity", "same_label"]
IMAGE_COLUMNS = ["id", "part", "train_id", "distance", "same_label"]


def near_duplicate_texts(
    ids: np.ndarray,
    texts: Sequence[str],
    labels: np.ndarray,
    parts: np.ndarray,
    *,
    text_similarity: float,
    threads: int,
) -> pd.DataFrame:
    """Find each product's most similar train text.

    The similarity is the cosine of the texts' character 4-grams within words, weighted
    (1 + ln count) * idf with the idf of the train texts. A changed number or colour lowers it
    little, another subject in the same phrases a lot. N-grams are hashed, so that those which are
    in no train text count as differences.

    Args:
        ids: int64 (n,), unique, in any order.
        texts: The n plain texts, title and description; texts without an n-gram match nothing.
        labels: int64 (n,), class indices or codes.
        parts: str (n,), each one of `rakuten.data.examples.PARTS`.
        text_similarity: Minimum cosine of a near-duplicate, above 0 and at most 1.
        threads: Blocks compared concurrently; does not change the result.

    Returns:
        `id`, `part`, `train_id`, `similarity` (six decimals), `same_label` (bool): one row for each
        product outside train whose most similar train product reaches `text_similarity`; of
        equally similar ones, that with the smallest id.

    Raises:
        ValueError: If `text_similarity` is outside its range.
    """
    if not 0 < text_similarity <= 1:
        raise ValueError(
            f"text_similarity is {text_similarity}: expected a cosine above 0 and at most 1"
        )
    order = np.argsort(ids, kind="stable")
    train, others = _train_and_others(order, parts)
    if not (train.size and others.size):
        best, cosines = np.full(others.size, -1), np.zeros(others.size)
    else:
        given = np.asarray(texts, dtype=object)
        grams = _tfidf_ngrams(given[others], given[train])
        best, cosines = most_similar(*grams, min_cosine=text_similarity, threads=threads)
    found = best >= 0
    table = _pairs(ids, labels, parts, others[found], train[best[found]])
    return table.assign(similarity=cosines[found])[TEXT_COLUMNS]


def most_similar(
    rows: sparse.csr_array, others: sparse.csr_array, *, min_cosine: float, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the other row with the largest cosine for each row.

    First, the other rows are compared without their most frequent columns, which cost most. The
    norm of the removed part is below `min_cosine` - `MARGIN`, so it adds less than that to a
    cosine, and pairs below `MARGIN` cannot reach `min_cosine`. The others are compared in full.

    Args:
        rows: float32 (n, d), rows of unit norm or without an entry.
        others: float32 (m, d), likewise.
        min_cosine: Minimum cosine, above 0, compared after rounding to `DIGITS` decimals.
        threads: Blocks compared concurrently; does not change the result.

    Returns:
        int64 (n,), position in `others`, the first of equal cosines, -1 if none reaches
        `min_cosine`;
        float64 (n,), the rounded cosine, at most 1, and 0 if there is none.
    """
    max_norm = max(min_cosine - MARGIN, 0.0)
    columns = sparse.csr_array(_remove_frequent_columns(others, max_norm).T)
    least = min_cosine - max_norm - 10.0**-DIGITS  # rounding may raise a cosine

    def compare(start: int) -> tuple[np.ndarray, np.ndarray]:
        block = rows[start : start + TEXT_BLOCK]
        partial = (block @ columns).tocoo()
        near = partial.data >= least
        row, other = (positions[near] for positions in partial.coords)
        sums = np.zeros(len(row))
        for pairs in (slice(at, at + PAIRS) for at in range(0, len(row), PAIRS)):
            products = block[row[pairs]].multiply(others[other[pairs]])
            sums[pairs] = products.sum(axis=1, dtype=np.float64)
        cosines = np.minimum(sums.round(DIGITS), 1.0)
        ranked = np.lexsort((-other, cosines))  # the best pair of a row is its last
        ranked = ranked[cosines[ranked] >= min_cosine]
        best, values = np.full(block.shape[0], -1), np.zeros(block.shape[0])
        best[row[ranked]], values[row[ranked]] = other[ranked], cosines[ranked]
        return best, values

    starts = range(0, rows.shape[0], TEXT_BLOCK)
    with ThreadPoolExecutor(threads) as workers:  # SciPy's sparse product releases the GIL
        results = stage_log.progress(
            workers.map(compare, starts), total=len(starts), unit="block", description="texts"
        )
        best, cosines = (np.concatenate(values) for values in zip(*results, strict=True))
    return best, cosines


def near_duplicate_images(
    ids: np.ndarray,
    hashes: np.ndarray,
    labels: np.ndarray,
    parts: np.ndarray,
    present: np.ndarray,
    *,
    hash_distance: int,
    min_structure: int,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Find each product's nearest train image by the Hamming distance of perceptual hashes.

    Args:
        ids: int64 (n,), unique, in any order.
        hashes: uint64 (n,) of `image_hash.perceptual_hash`; ignored without an image.
        labels: int64 (n,), class indices or codes.
        parts: str (n,), each one of `rakuten.data.examples.PARTS`.
        present: bool (n,), whether the product has an image.
        hash_distance: Maximum distance of near-duplicates, 0 to 64 bits.
        min_structure: As for `image_hash.are_plain`; plain images match nothing.

    Returns:
        `id`, `part`, `train_id`, `distance` (int64, bits), `same_label` (bool): one row for each
        product outside train whose nearest train product is within `hash_distance`; of equally
        near ones, that with the smallest id. And the numbers of `images` and of plain images
        (`plain`, see `min_structure`).

    Raises:
        ValueError: If `hash_distance` is outside its range.
    """
    if not 0 <= hash_distance <= HASH_BITS:
        raise ValueError(f"hash_distance is {hash_distance}: expected 0 to {HASH_BITS} bits")
    hashes = np.asarray(hashes, dtype=np.uint64)
    usable = present & ~are_plain(hashes, min_structure=min_structure)
    counts = {"images": int(present.sum()), "plain": int((present & ~usable).sum())}
    order = np.argsort(ids, kind="stable")
    train, others = _train_and_others(order[usable[order]], parts)
    best = np.zeros(others.size, np.int64)
    distance = np.full(others.size, HASH_BITS + 1, np.int64)
    for start in range(0, others.size if train.size else 0, HASH_BLOCK):
        block = slice(start, start + HASH_BLOCK)
        bits = np.bitwise_count(hashes[others[block], None] ^ hashes[train])  # (block, train) uint8
        best[block] = bits.argmin(axis=1)  # the first of equals, that is the smallest id
        distance[block] = bits.min(axis=1)
    found = distance <= hash_distance
    table = _pairs(ids, labels, parts, others[found], train[best[found]])
    return table.assign(distance=distance[found])[IMAGE_COLUMNS], counts


def _train_and_others(order: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Separate positions of train rows from all others, each in the given order."""
    in_train = np.asarray(parts)[order] == "train"
    return order[in_train], order[~in_train]


def _tfidf_ngrams(
    others: np.ndarray, train: np.ndarray
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Convert texts to float32 rows of unit norm, zeros for a text without an n-gram."""
    vectorizer = HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(NGRAM, NGRAM),
        n_features=NGRAM_COLUMNS,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    tfidf = TfidfTransformer(sublinear_tf=True)
    train_grams = tfidf.fit_transform(vectorizer.transform(train))
    other_grams = tfidf.transform(vectorizer.transform(others))
    return sparse.csr_array(other_grams), sparse.csr_array(train_grams)


def _remove_frequent_columns(matrix: sparse.csr_array, max_norm: float) -> sparse.csr_array:
    """Remove each row's most frequent columns, as long as their norm stays below `max_norm`."""
    counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
    order = np.argsort(counts, kind="stable")
    ranked = matrix[:, order].sorted_indices()  # the rarest first
    sums = np.concatenate([[0.0], np.cumsum(np.square(ranked.data, dtype=np.float64))])
    rest = np.repeat(sums[ranked.indptr[1:]], np.diff(ranked.indptr)) - sums[:-1]
    ranked.data[rest < max_norm**2] = 0.0
    ranked.eliminate_zeros()
    return ranked[:, np.argsort(order)]


def _pairs(
    ids: np.ndarray,
    labels: np.ndarray,
    parts: np.ndarray,
    rows: np.ndarray,
    train_rows: np.ndarray,
) -> pd.DataFrame:
    """List rows beside their near-duplicates in train."""
    ids, labels = np.asarray(ids), np.asarray(labels)
    return pd.DataFrame(
        {
            "id": ids[rows],
            "part": np.asarray(parts, dtype=object)[rows],
            "train_id": ids[train_rows],
            "same_label": labels[rows] == labels[train_rows],
        }
    )
