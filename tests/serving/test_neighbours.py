"""The most similar products, compared with a literal example."""

import numpy as np
import pytest

from rakuten.serving import neighbours

VECTORS = {
    "title": np.array([[1, 0], [0.6, 0.8], [0, 0], [-1, 0], [0, 2]], np.float16),
    "description": np.array([[0, 1], [0, 0], [0, 0], [1, 0], [0, 0]], np.float16),
}


def test_similarity_is_the_mean_cosine_of_what_both_have():
    query = {"title": np.array([2.0, 0.0]), "description": np.array([0.0, 1.0])}
    expected = [1.0, 0.6, np.nan, -0.5, 0.0]
    np.testing.assert_allclose(neighbours.similarities(query, VECTORS), expected, atol=1e-3)


def test_the_nearest_come_first_and_products_without_a_shared_kind_are_left_out():
    query = {"title": np.array([1.0, 0.0]), "description": np.zeros(2)}
    rows, similar = neighbours.nearest(query, VECTORS, count=9)
    assert rows.tolist() == [0, 1, 4, 3]
    np.testing.assert_allclose(similar, [1.0, 0.6, 0.0, -1.0], atol=1e-3)
    assert neighbours.nearest(query, VECTORS, count=2)[0].tolist() == [0, 1]


def test_a_product_without_anything_has_no_neighbours():
    rows, similar = neighbours.nearest({"title": np.zeros(2)}, VECTORS, count=3)
    assert rows.size == similar.size == 0


def test_chunks_change_nothing(monkeypatch):
    query = {"title": np.array([0.3, 0.4]), "description": np.array([1.0, 1.0])}
    whole = neighbours.similarities(query, VECTORS)
    monkeypatch.setattr(neighbours, "CHUNK", 2)
    np.testing.assert_array_equal(neighbours.similarities(query, VECTORS), whole)


def test_kinds_of_different_products_are_refused():
    vectors = {"title": np.ones((2, 2)), "description": np.ones((3, 2))}
    query = {"title": np.ones(2), "description": np.ones(2)}
    with pytest.raises(ValueError, match=r"vectors of \[2, 3\] rows"):
        neighbours.similarities(query, vectors)
