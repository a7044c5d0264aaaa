"""Scores of all models in one order, and the slices of products."""

import numpy as np
import pytest
from evaluation_cases import described, model_arrays, product_tables, random_problem

from rakuten.evaluation import inputs, metrics


def test_describe_cuts_by_language_description_and_modality():
    rows = described()
    assert rows["language"].tolist() == ["fr", "en", "other", "fr", "none"]
    assert rows["description"].tolist() == ["given", "missing", "missing", "given", "missing"]
    assert rows["modality"].tolist() == ["both", "text only", "both", "both", "image only"]
    assert rows["part"].tolist() == ["train", "test", "test", "test", "test"]
    for cut, values in inputs.SLICES.items():
        assert set(rows[cut]) <= set(values)


def test_describe_refuses_parts_of_other_products():
    products, parts = product_tables()
    with pytest.raises(ValueError, match="parts are of other products: row 1 is id 4, expected 3"):
        inputs.describe(products, parts.assign(id=[2, 4, 5, 8, 9]), np.ones(5, bool))


def test_gather_orders_models_and_masks_absent_products():
    _, scores = random_problem(rows=3)
    outputs = {
        "text": model_arrays([1, 2, 3], [True, True, False], probabilities=scores, hidden=scores),
        "fusion": model_arrays([1, 2, 3], [True, True, True], probabilities=scores),
        "text_ensemble": model_arrays([1, 2, 3], [False, True, True], probabilities=scores),
    }
    baselines = {"text": model_arrays([1, 2, 3], [True, False, False], linear_svm=scores)}
    gathered = inputs.gather(np.array([1, 2, 3]), outputs, baselines)
    assert list(gathered) == ["text", "text_linear_svm", "fusion", "text_ensemble"]
    assert metrics.scored(gathered["text"]).tolist() == [True, True, False]
    assert metrics.scored(gathered["text_linear_svm"]).tolist() == [True, False, False]
    assert metrics.scored(gathered["text_ensemble"]).tolist() == [False, True, True]
    np.testing.assert_array_equal(gathered["fusion"], scores)


def test_gather_refuses_other_products_and_other_shapes():
    _, scores = random_problem(rows=3)
    good = {"text": model_arrays([1, 2, 3], [True] * 3, probabilities=scores)}
    shuffled = {"text": model_arrays([1, 3, 2], [True] * 3, probabilities=scores)}
    narrow = {"text": model_arrays([1, 2, 3], [True] * 3, probabilities=scores[:, :26])}
    with pytest.raises(ValueError, match="outputs of text are of other products"):
        inputs.gather(np.array([1, 2, 3]), shuffled, {})
    with pytest.raises(ValueError, match=r"text: expected shape \(3, 27\), received \(3, 26\)"):
        inputs.gather(np.array([1, 2, 3]), narrow, {})
    with pytest.raises(ValueError, match="baselines of text hold 2 products, expected 3"):
        baselines = {"text": model_arrays([1, 2], [True] * 2, linear_svm=scores[:2])}
        inputs.gather(np.array([1, 2, 3]), good, baselines)
