import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from rakuten.data.examples import (
    check_ids,
    join,
    out_of_fold_outputs,
    side_by_side,
    sparse_arrays,
    sparse_features,
)

IDS = np.array([2, 5, 9, 11])
PRODUCTS = pd.DataFrame({"id": IDS, "label": [0, 1, 1, 26]})
PARTS = pd.DataFrame({"id": IDS, "part": ["train", "train", "validation", "test"]})
PRESENT = np.array([True, False, True, True])


def examples():
    return join(PRODUCTS, PARTS, IDS, PRESENT, np.zeros((4, 2), np.float32))


def test_rows_are_those_of_the_part_that_have_the_modality():
    assert examples().rows("train").tolist() == [0]
    assert examples().rows("validation").tolist() == [2]


def test_features_of_selects_rows_and_needs_a_feature_matrix():
    features = np.arange(8, dtype=np.float32).reshape(4, 2)
    joined = join(PRODUCTS, PARTS, IDS, PRESENT, features)
    np.testing.assert_array_equal(joined.features_of(np.array([2, 0])), features[[2, 0]])
    without = join(PRODUCTS, PARTS, IDS, PRESENT, None)
    with pytest.raises(ValueError, match="no feature matrix"):
        without.features_of(np.array([0]))


def test_prior_counts_all_train_rows():
    prior = examples().prior()
    assert prior.shape == (27,)
    assert prior[[0, 1, 26]].tolist() == [0.5, 0.5, 0.0]


def test_products_in_another_order_are_rejected():
    with pytest.raises(ValueError, match="features are of other products: row 0 is id 5"):
        join(PRODUCTS, PARTS, IDS[[1, 0, 2, 3]], PRESENT, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="parts are of other products"):
        join(PRODUCTS, PARTS.iloc[::-1], IDS, PRESENT, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="features hold 3 products, expected 4"):
        join(PRODUCTS, PARTS, IDS[:3], PRESENT, np.zeros((3, 2)))


def test_equal_ids_pass():
    assert check_ids(IDS, IDS.copy(), "parts") is None


def test_sparse_features_are_restored_from_arrays():
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


def rows_of(*values):
    """Probabilities that differ between rows, 27 numbers each."""
    return np.repeat(np.array(values, np.float32)[:, None], 27, axis=1)


def test_train_rows_get_out_of_fold_probabilities_and_others_predictions():
    requested = []

    def predict(rows):
        requested.append(rows.tolist())
        return rows_of(*rows)

    outputs = out_of_fold_outputs(examples(), rows_of(0.5), predict)
    assert requested == [[2, 3]]
    np.testing.assert_array_equal(outputs["ids"], IDS)
    assert outputs["present"].tolist() == [True, False, True, True]
    found = outputs["probabilities"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[[0, 2, 3]], rows_of(0.5, 2, 3))
    np.testing.assert_array_equal(found[1], examples().prior())


def test_without_a_train_row_every_product_counts_as_missing():
    def never(rows):
        raise AssertionError(rows)

    absent = join(PRODUCTS, PARTS, IDS, np.array([False, False, True, True]), None)
    outputs = out_of_fold_outputs(absent, np.zeros((0, 27), np.float32), never)
    assert not outputs["present"].any()
    np.testing.assert_array_equal(outputs["probabilities"], np.tile(absent.prior(), (4, 1)))


def test_predict_is_not_called_if_all_products_are_train():
    def never(rows):
        raise AssertionError(rows)

    train = join(PRODUCTS, PARTS.assign(part="train"), IDS, PRESENT, None)
    outputs = out_of_fold_outputs(train, rows_of(1, 2, 3), never)
    np.testing.assert_array_equal(outputs["probabilities"][PRESENT], rows_of(1, 2, 3))
