"""Measurements of products for the comparison of catalogues."""

import numpy as np
import pandas as pd

from rakuten.categories import CODES
from rakuten.evaluation import drift, product_measures
from rakuten.image.preprocessing import Facts


def test_texts_are_measured():
    found = product_measures.measure_texts(
        ["Piscine bleue", "", " x "],
        ["", "Deux mots", "  "],
        ["fr", "fr", ""],
        ["piscine bleu piscine", "deux mot", ""],
        ["bleu", "mot", "deux"],
    )
    expected = pd.DataFrame(
        {
            "language": pd.Series(["fr", "fr", None], dtype=object),
            "unknown_terms": np.array([2 / 3, 0, np.nan], np.float32),
            "missing_title": [False, True, False],
            "title_length": np.array([13, np.nan, 1], np.float32),
            "missing_description": [True, False, True],
            "description_length": np.array([np.nan, 9, np.nan], np.float32),
        }
    )
    pd.testing.assert_frame_equal(found, expected)


def test_images_are_measured():
    facts = Facts(500, 500, 0, 0, 500, 500, 0.25, 255, 0, 55)
    grey = facts._replace(mean_red=100, mean_green=100, mean_blue=100)
    found = product_measures.measure_images(np.array([facts, [np.nan] * 10, grey]))
    assert found["missing_image"].tolist() == [False, True, False]
    np.testing.assert_allclose(found["border_share"], [0.25, np.nan, 0.25])
    np.testing.assert_allclose(found["brightness"], [0.299 * 255 + 0.114 * 55, np.nan, 100], 1e-6)
    np.testing.assert_allclose(found["colour"], [255, np.nan, 0])


def test_predictions_are_measured_where_there_are_any():
    probabilities = np.full((2, 27), 0.01)
    probabilities[:, 3] = 0.74
    found = product_measures.measure_probabilities(probabilities, np.array([True, False]))
    np.testing.assert_allclose(found["category"], [CODES[3], np.nan])
    np.testing.assert_allclose(found["confidence"], [0.74, np.nan])


def test_every_measurement_is_made():
    texts = product_measures.measure_texts(["a"], [""], ["fr"], ["a"], ["a"])
    images = product_measures.measure_images(np.ones((1, 10)))
    predictions = product_measures.measure_probabilities(np.eye(27)[:1], np.array([True]))
    assert {*texts, *images, *predictions} == set(drift.MEASURES)
