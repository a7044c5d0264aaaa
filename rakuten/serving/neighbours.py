"""The products most like another one, by the cosine of their vectors.

A product may lack a description or a picture; its vector of that kind is then zeros. Two products
are compared by the kinds that both have.
"""

from collections.abc import Mapping

import numpy as np

CHUNK = 4096
"""Rows widened to float32 at once: the vectors of a whole catalogue are kept in float16."""


def nearest(
    query: Mapping[str, np.ndarray], vectors: Mapping[str, np.ndarray], *, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows most similar to a product.

    Args:
        query: The product's vector float (d,) of each kind; zeros where it lacks it.
        vectors: Those of n others float (n, d), of the same kinds at least.
        count: Rows to find.

    Returns:
        Positions int64 (m,), most similar first, and similarities float32 (m,), -1 to 1; m is at
        most `count`, less where fewer share a kind with the product.
    """
    similar = similarities(query, vectors)
    order = np.argsort(-similar, kind="stable")[:count]  # NaN sorts last
    order = order[~np.isnan(similar[order])]
    return order, similar[order]


def similarities(query: Mapping[str, np.ndarray], vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Compare a product with others.

    Args:
        query: As for `nearest`.
        vectors: As for `nearest`.

    Returns:
        float32 (n,), the mean cosine over the kinds that both have; NaN where they share none.
    """
    sizes = {len(vectors[kind]) for kind in query}
    if len(sizes) != 1:
        raise ValueError(f"vectors of {sorted(sizes)} rows: expected the same products, of a kind")
    total = np.zeros(sizes.pop(), np.float32)
    shared = np.zeros(len(total), np.int64)
    for kind, vector in query.items():
        vector = vector.astype(np.float32)
        length = np.linalg.norm(vector)
        if not length:
            continue
        for start in range(0, len(total), CHUNK):
            rows = vectors[kind][start : start + CHUNK].astype(np.float32)
            lengths = np.linalg.norm(rows, axis=1)
            given = lengths > 0
            cosines = rows[given] @ (vector / length) / lengths[given]
            total[start : start + CHUNK][given] += cosines
            shared[start : start + CHUNK] += given
    found = np.full(len(total), np.nan, np.float32)
    np.divide(total, shared, out=found, where=shared > 0)
    return found
