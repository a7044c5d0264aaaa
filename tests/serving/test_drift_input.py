"""Measuring a file of new products."""

import io

import numpy as np
import pandas as pd
import pytest
from package_cases import jpeg, write_package
from PIL import Image
from prediction_cases import ToyClassifier, challenge_rows, write_csv

from rakuten import stage_log
from rakuten.data.products import image_name
from rakuten.evaluation import drift, product_measures
from rakuten.serving import batch_prediction, drift_input
from rakuten.serving.errors import InputError

COUNT = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_package(tmp_path_factory.mktemp("drift") / "package")


@pytest.fixture
def source(tmp_path):
    return write_csv(tmp_path / "new.csv", challenge_rows(COUNT))


@pytest.fixture
def predicted():
    """What `predict` writes for these products."""
    return pd.DataFrame(
        {
            "index": [row[0] for row in challenge_rows(COUNT)],
            "prdtypecode": [10, 40, 50, 60, 10],
            "probability": [0.9, 0.8, 0.7, 0.6, 0.5],
            "text_contribution": 1.0,
            "image_contribution": [0.5, None, None, None, None],
        }
    )


@pytest.fixture
def images(tmp_path):
    """The images of the first three products: red, grey, damaged."""
    target = tmp_path / "images"
    target.mkdir()
    grey = io.BytesIO()
    Image.new("L", (20, 20), 100).save(grey, "JPEG")
    contents = [jpeg((200, 30, 30)), grey.getvalue(), b"damaged"]
    for row, content in zip(challenge_rows(COUNT), contents, strict=False):
        (target / image_name(row[4], row[3])).write_bytes(content)
    return target


def measure(folder, source, table, images=None):
    path = source.with_name("predictions.csv")
    table.to_csv(path, index=False)
    return drift_input.measure(source, path, images, folder, progress=stage_log.progress)


def test_every_measurement_is_made(folder, source, predicted, images):
    found, text_alone = measure(folder, source, predicted, images)
    assert not text_alone
    assert set(found) == set(drift.MEASURES)
    assert len(found) == COUNT
    assert found["category"].tolist() == [10, 40, 50, 60, 10]
    assert found["missing_description"].tolist() == [True, False, False, True, False]
    assert found["missing_image"].tolist() == [False, False, True, True, True]
    assert found["colour"][0] > 100
    assert found["colour"][1] == 0
    np.testing.assert_allclose(found["brightness"][1], 100, atol=2)
    assert found["unknown_terms"].eq(1).all()  # the package knows produit0 to produit26


def test_products_without_anything_to_predict_from_have_no_category(folder, source, predicted):
    table = predicted.assign(text_contribution=[1.0, None, None, None, 1.0])
    table["image_contribution"] = [None, 0.5, None, None, None]
    found, _ = measure(folder, source, table)
    assert found["category"].isna().tolist() == [False, False, True, True, False]
    assert found["confidence"].isna().tolist() == [False, False, True, True, False]


def test_without_images_nothing_about_them_is_measured(folder, source, predicted):
    alone = predicted.assign(image_contribution=np.nan)
    found, text_alone = measure(folder, source, alone)
    assert text_alone
    assert set(drift.MEASURES) - set(found) == {
        "missing_image", "border_share", "brightness", "colour"
    }  # fmt: skip


def test_a_large_file_is_thinned_evenly(folder, source, predicted, monkeypatch):
    monkeypatch.setattr(product_measures, "MAX_PRODUCTS", 3)
    found, _ = measure(folder, source, predicted)
    assert found["category"].tolist() == [10, 50, 10]
    assert found["missing_description"].tolist() == [True, False, False]


def test_predictions_in_parquet_are_read(folder, source, predicted, tmp_path):
    predicted.to_parquet(tmp_path / "p.parquet")
    found, _ = drift_input.measure(
        source, tmp_path / "p.parquet", None, folder, progress=stage_log.progress
    )
    assert found["category"].tolist() == [10, 40, 50, 60, 10]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda p: p.drop(columns="probability"), "no column probability.* without --submission"),
        (lambda p: p.head(2), "2 predictions of 5 products: pass the file that"),
        (lambda p: p.assign(index=p["index"] + 1), "expected index 84916 in row 1, received 84917"),
        (lambda p: p.assign(text_contribution=np.nan), "default model.* without --model"),
        (lambda p: p.assign(probability=["0,9", *"0000"]), "row 1: .* received 10 and 0,9;"),
        (lambda p: p.assign(probability=[0.9, 80, 0, 0, 0]), "row 2: .* a probability from 0 to 1"),
        (lambda p: p.assign(prdtypecode=7), "row 1: expected a category code .* received 7"),
        (
            lambda p: p.assign(prdtypecode=["10", "40", "", "", ""]),
            "row 3: .* received nan and",
        ),
    ],
)
def test_predictions_of_something_else_are_refused(folder, source, predicted, wrong, message):
    with pytest.raises(InputError, match=message):
        measure(folder, source, wrong(predicted))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predictions_of_products_of_which_one_has_no_number_are_read(folder, tmp_path, suffix):
    rows = challenge_rows(3)
    rows[0][0], rows[1][0] = "A-1", 123456789012345678
    source, out = write_csv(tmp_path / "new.csv", rows), tmp_path / f"p{suffix}"
    options = {"images": None, "model": "late_fusion", "top": 1, "submission": False}
    batch_prediction.predict_file(
        batch_prediction.Options(source, out, package=folder, restart=False, **options),
        ToyClassifier(),
    )
    found, _ = drift_input.measure(source, out, None, folder, progress=stage_log.progress)
    assert len(found) == 3


def test_a_file_that_is_no_table_is_refused(folder, source, tmp_path):
    (tmp_path / "p.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match=r"cannot be read .*: pass the file that"):
        drift_input.measure(
            source, tmp_path / "p.parquet", None, folder, progress=stage_log.progress
        )


def test_images_of_other_products_are_refused_at_once(folder, source, predicted, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "image_1_product_2.jpg").write_bytes(jpeg())
    with pytest.raises(InputError, match="contains none of the images named in the table"):
        measure(folder, source, predicted, other)
