import numpy as np
import pytest
from scipy import sparse

from rakuten.evaluation import similarity


def lines(count, seed, *, columns=400):
    """Rows of length 1 with few frequent and many rare terms, some of them empty or twins."""
    generator = np.random.default_rng(seed)
    dense = np.zeros((count, columns))
    for row in dense:
        terms = (columns * generator.random(30) ** 4).astype(int)  # the first are the frequent
        row[terms] = generator.uniform(0.2, 1, 30) * (1 + np.log1p(terms))
    for row in range(0, count, 4):  # near a neighbour, at any distance
        dense[row] = dense[(row + 1) % count]
        dense[row, generator.integers(columns, size=row % 30)] *= 1.0 + (row % 7)
    dense[count // 2] = dense[count // 2 + 1]
    dense[[3, count - 1]] = 0
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    return sparse.csr_array((dense / np.where(lengths, lengths, 1)).astype(np.float32))


def brute(rows, others, least):
    """Compare every pair in full."""
    cosines = (rows @ others.T).toarray().round(6)
    best = cosines.argmax(axis=1)
    value = cosines[np.arange(len(best)), best]
    found = value >= np.float32(least)
    return np.where(found, best, -1), np.where(found, value, 0)


@pytest.mark.parametrize("least", [1e-5, 0.009, 0.05, 0.3, 0.6, 0.85, 0.97, 1.0])
@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_what_comparing_every_pair_gives(least, threads):
    others = lines(300, 1)
    rows = sparse.vstack([lines(150, 2), others[::5]], format="csr")
    best, cosines = similarity.most_similar(rows, others, least=least, digits=6, threads=threads)
    expected, values = brute(rows, others, least)
    assert best.tolist() == expected.tolist()
    np.testing.assert_allclose(cosines, values, atol=2e-6)
    assert (best >= 0).sum() >= 59


def test_frequent_terms_are_left_out_up_to_their_share():
    rows = lines(200, 5)
    counts = similarity._counts(rows)
    rare = similarity._rare_part(rows, counts, 0.4)
    kept = rare.multiply(rare).sum(axis=1)
    there = rows.multiply(rows).sum(axis=1) > 0
    assert (kept[there] >= 0.6 - 1e-6).all()
    assert counts[rare.indices].sum() < 0.25 * counts[rows.indices].sum()
    assert (rare != rows.multiply(rare != 0)).nnz == 0  # what is kept is unchanged
