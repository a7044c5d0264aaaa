import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from rakuten.examples import check_ids, join, side_by_side, sparse_arrays, sparse_features

IDS = np.array([2, 5, 9, 11])
PRODUCTS = pd.DataFrame({"id": IDS, "label": [0, 1, 1, 26]})
PARTS = pd.DataFrame({"id": IDS, "part": ["train", "train", "validation", "test"]})
PRESENT = np.array([True, False, True, True])


def examples():
    return join(PRODUCTS, PARTS, IDS, PRESENT, np.zeros((4, 2), np.float32))


def test_rows_are_those_of_the_part_that_have_the_modality():
    assert examples().rows("train").tolist() == [0]
    assert examples().rows("validation").tolist() == [2]


def test_prior_counts_all_train_rows():
    prior = examples().prior()
    assert prior.shape == (27,)
    assert prior[[0, 1, 26]].tolist() == [0.5, 0.5, 0.0]


def test_products_in_another_order_are_refused():
    with pytest.raises(ValueError, match="features are of other products: row 0 is id 5"):
        join(PRODUCTS, PARTS, IDS[[1, 0, 2, 3]], PRESENT, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="parts are of other products"):
        join(PRODUCTS, PARTS.iloc[::-1], IDS, PRESENT, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="features hold 3 products, expected 4"):
        join(PRODUCTS, PARTS, IDS[:3], PRESENT, np.zeros((3, 2)))


def test_equal_ids_pass():
    assert check_ids(IDS, IDS.copy(), "parts") is None


def test_sparse_features_come_back():
    matrix = sparse.random_array((4, 6), density=0.5, format="csr", rng=0, dtype=np.float32)
    read = sparse_features(sparse_arrays(matrix))
    np.testing.assert_array_equal(read.toarray(), matrix.toarray())


def test_side_by_side_keeps_text_left_and_image_right():
    text = {"ids": IDS, "present": np.array([1, 0, 0, 1], bool), "hidden": np.full((4, 2), 1.0)}
    image = {"ids": IDS, "present": np.array([0, 0, 1, 1], bool), "hidden": np.full((4, 3), 2.0)}
    both = side_by_side(text, image)
    assert both["features"].tolist() == [[1, 1, 2, 2, 2]] * 4
    assert both["present"].tolist() == [True, False, True, True]
    with pytest.raises(ValueError, match="image outputs hold 3 products"):
        side_by_side(text, image | {"ids": IDS[:3]})
