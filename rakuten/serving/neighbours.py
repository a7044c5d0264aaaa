"""Find the products most similar to another one, by the cosine of their vectors.

A product may have no description or no image; its vector of that kind is then zeros. Two products
are compared by the kinds that both have.
"""

from collections.abc import Mapping

import numpy as np

CHUNK = 4096
"""Rows converted to float32 at once: the vectors of a whole catalogue are kept in float16."""


def nearest(
    query: Mapping[str, np.ndarray], vectors: Mapping[str, np.ndarray], *, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows most similar to a product.

    Args:
        query: The product's vector float (d,) of each kind; zeros if it has none.
        vectors: Vectors of n other products float (n, d), of at least the same kinds.
        count: Number of rows to find.

    Returns:
        Positions int64 (m,), most similar first, and similarities float32 (m,), -1 to 1; m is at
        most `count`, less if fewer products share a kind with the product.
    """
    similar = similarities(query, vectors)
    order = np.argsort(-similar, kind="stable")[:count]  # NaN sorts last
    order = order[~np.isnan(similar[order])]
    return order, similar[order]


def similarities(query: Mapping[str, np.ndarray], vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Compare a product with others.

    Args:
        query: See `nearest`.
        vectors: See `nearest`.

    Returns:
        float32 (n,), the mean cosine over the kinds that both have; NaN where they share none.

    Raises:
        ValueError: If the vectors of different kinds have different numbers of rows.
    """
    sizes = {len(vectors[kind]) for kind in query}
    if len(sizes) != 1:
        raise ValueError(
            f"vectors of {sorted(sizes)} rows: expected every kind for the same products"
        )
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
            present = lengths > 0
            cosines = rows[present] @ (vector / length) / lengths[present]
            total[start : start + CHUNK][present] += cosines
            shared[start : start + CHUNK] += present
    found = np.full(len(total), np.nan, np.float32)
    np.divide(total, shared, out=found, where=shared > 0)
    return found
