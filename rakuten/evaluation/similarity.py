"""The most similar row of a large sparse matrix, exactly, without comparing every pair in full.

A frequent term pairs a row with most others and tells little. So each row is first compared by its
rare terms alone; what they leave open is bounded by the angles, and only pairs that may reach the
least cosine are compared in full. In the manner of Bayardo, Ma and Srikant, "Scaling Up All Pairs
Similarity Search", 2007, with partial products in the place of a mere common term.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse

BLOCK = 64
"""Rows compared at once: their partial products with 60,000 rows are some 10 MB."""

ROUNDING = 1e-4
"""More than sums of some hundred 32-bit floats are off."""

_FREQUENT = 2 / 3
"""How far the frequent terms may turn a row, as a share of the angle at which its rare terms would
bound nothing any more. More of them make fewer products, and more pairs to compare in full."""

_LOW = 0.01
"""Below this least cosine the angles leave rounding no room, and all terms count as rare."""


def most_similar(
    rows: sparse.csr_array,
    others: sparse.csr_array,
    *,
    least: float,
    digits: int,
    threads: int,
    progress: Callable[..., Iterable] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each row the other row of the largest cosine, if it reaches the least.

    Args:
        rows: float32 (n, d), each of length 1 or without an entry, entries at least 0, columns
            sorted.
        others: float32 (m, d), as `rows`.
        least: The least cosine, above 0 and up to 1; compared after rounding.
        digits: Decimals that cosines are rounded to.
        threads: Blocks compared at the same time; changes nothing in the result.
        progress: Wraps the iterable of finished blocks in a bar, as `stage_log.progress` does.

    Returns:
        int64 (n,): number of the other row, the first of equally similar ones, -1 where none
        reaches `least`; float32 (n,): the cosine, 0 where there is none.
    """
    turned = _FREQUENT * np.arcsin(least) if least >= _LOW else 0.0
    rare = _rare_part(rows, _counts(others), np.sin(turned) ** 2)
    # Rare terms of a row lie at `turned` from it at most: an other row that is near enough to the
    # row lies, as far as they see, at no more than both angles together.
    promising = np.cos(turned) * np.cos(turned + np.arccos(least)) - ROUNDING
    columns = others.T.tocsr()

    def compare(start: int) -> tuple[np.ndarray, np.ndarray]:
        partial = rare[start : start + BLOCK] @ columns  # (block, m)
        entries = np.flatnonzero(partial.data >= promising)
        at = np.searchsorted(partial.indptr, entries, side="right") - 1
        candidates = partial.indices[entries]
        best = np.full(partial.shape[0], -1, np.int64)
        cosines = np.zeros(partial.shape[0], np.float32)
        terms = np.zeros(rows.shape[1], np.float32)
        for row in np.unique(at):
            found = np.sort(candidates[at == row])
            inside = slice(*rows.indptr[start + row : start + row + 2])
            terms[rows.indices[inside]] = rows.data[inside]
            whole = (others[found] @ terms).round(digits)
            terms[rows.indices[inside]] = 0
            first = whole.argmax()
            if whole[first] >= np.float32(least):
                best[row], cosines[row] = found[first], whole[first]
        return best, cosines

    starts = range(0, rows.shape[0], BLOCK)
    with ThreadPoolExecutor(threads) as pool:
        results = pool.map(compare, starts)
        if progress:
            results = progress(results, total=len(starts), unit="block", description="near texts")
        best, cosines = (np.concatenate(values) for values in zip(*results, strict=True))
    return best, cosines


def _counts(matrix: sparse.csr_array) -> np.ndarray:
    """Count the rows in which each column has an entry: int64 (d,)."""
    return np.bincount(matrix.indices, minlength=matrix.shape[1])


def _rare_part(rows: sparse.csr_array, counts: np.ndarray, share: float) -> sparse.csr_array:
    """Leave out of each row the costliest entries for what they weigh, up to a share of its square.

    Args:
        rows: float32 (n, d), of length 1.
        counts: int64 (d,), what an entry costs.
        share: Of a row's squared length, 0 to 1.
    """
    number = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    squares = rows.data.astype(np.float64) ** 2
    order = np.lexsort((-counts[rows.indices] / np.maximum(squares, 1e-30), number))
    sums = np.cumsum(squares[order])
    before = np.concatenate([[0.0], sums])[rows.indptr[:-1]]
    kept = np.ones(len(squares), bool)
    kept[order[sums - before[number] <= share]] = False
    ends = np.concatenate([[0], np.cumsum(kept)])[rows.indptr]
    return sparse.csr_array((rows.data[kept], rows.indices[kept], ends), shape=rows.shape)
