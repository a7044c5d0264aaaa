"""The reference of a package: measurements of the training data."""

import numpy as np
import pandas as pd
import pytest

from rakuten import storage
from rakuten.categories import CODES
from rakuten.evaluation import drift, product_measures
from rakuten.image.preprocessing import Facts
from rakuten.serving import drift_reference, package

COUNT = 6


@pytest.fixture
def labelled():
    """The arguments of `build`: six products, two in each part."""
    ids = np.arange(10, 10 + COUNT)
    texts = [f"titre {number}" for number in range(COUNT)]
    products = pd.DataFrame({"id": ids, "designation": texts, "description": [None, *texts[1:]]})
    products = products.assign(language="fr", tokens="titre inconnu")
    images = pd.DataFrame(np.full((COUNT, len(Facts._fields)), 0.5), columns=Facts._fields)
    images = images.assign(id=ids, has_image=[True] * 5 + [False])
    parts = pd.DataFrame({"part": ["train", "validation", "test"] * 2})
    outputs = {
        name: {
            "ids": ids,
            "present": np.ones(COUNT, bool),
            "probabilities": np.eye(27)[np.arange(COUNT) + shift],
        }
        for name, shift in (("late_fusion", 0), ("text_ensemble", 3))
    }
    return {"products": products, "parts": parts, "images": images, "outputs": outputs,
            "vocabulary": ["titre"]}  # fmt: skip


def test_it_holds_all_measurements_and_no_text_or_id(labelled):
    table = drift_reference.build(**labelled)
    both = {name for name in table if not name.endswith("_from_text")}
    assert both == set(drift.MEASURES)
    assert table["missing_image"].tolist() == [False] * 5 + [True]
    assert table["missing_description"].tolist() == [True] + [False] * 5
    assert not table.isin(labelled["products"]["designation"].tolist()).to_numpy().any()
    assert not table.isin(labelled["products"]["id"].tolist()[1:]).to_numpy().any()


def test_confidence_and_unknown_terms_are_of_products_that_no_model_was_fitted_on(labelled):
    table = drift_reference.build(**labelled)
    held_out = [False, True, True] * 2
    assert table["confidence"].notna().tolist() == held_out
    assert table["confidence_from_text"].notna().tolist() == held_out
    assert table["unknown_terms"].fillna(-1).tolist() == [-1, 0.5, 0.5] * 2
    assert table["category"].tolist() == list(CODES[:COUNT])


def test_text_alone_is_compared_with_predictions_from_text_alone(labelled):
    table = drift_reference.build(**labelled)
    alone = drift_reference.select(table, text_alone=True)
    assert alone["category"].tolist() == list(CODES[3 : 3 + COUNT])
    both = drift_reference.select(table, text_alone=False)
    assert both["category"].tolist() == list(CODES[:COUNT])
    assert set(alone) == set(both) == set(drift.MEASURES)


def test_a_large_catalogue_is_thinned_evenly(labelled, monkeypatch):
    monkeypatch.setattr(product_measures, "MAX_PRODUCTS", 3)
    table = drift_reference.build(**labelled)
    assert table["category"].tolist() == [CODES[0], CODES[2], CODES[5]]


def test_tables_of_other_products_are_refused(labelled):
    with pytest.raises(ValueError, match="images are of other products"):
        drift_reference.build(**labelled | {"images": labelled["images"].assign(id=range(COUNT))})
    other = {"text_ensemble": labelled["outputs"]["text_ensemble"] | {"ids": np.arange(COUNT)}}
    with pytest.raises(ValueError, match="outputs of text_ensemble are of other products"):
        drift_reference.build(**labelled | {"outputs": labelled["outputs"] | other})


def test_it_survives_its_file(labelled, tmp_path):
    table = drift_reference.build(**labelled)
    storage.write_table(tmp_path / drift_reference.FILE, table)
    pd.testing.assert_frame_equal(drift_reference.read(tmp_path), table, check_dtype=False)


def test_an_older_package_names_the_remedy(tmp_path):
    with pytest.raises(package.OutdatedError, match=r"without reference.parquet.* 'make repro'"):
        drift_reference.read(tmp_path)
