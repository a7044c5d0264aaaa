"""Drift on new products of the sample: no alarm where they are like it, one where they are not."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from rakuten import storage
from rakuten.data import products
from rakuten.evaluation import drift
from rakuten.reports import drift_command
from rakuten.sample.catalogue import write_sample
from rakuten.serving import batch_prediction, drift_input, drift_reference
from rakuten.text.language import detect_language

pytestmark = pytest.mark.xdist_group("drift")  # its tests share fixtures that take long

DRAWS, DRAWN, CHANGED = 20, 500, 300


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Another catalogue of the synthetic sample's kind."""
    folder = tmp_path_factory.mktemp("fresh") / "catalogue"
    write_sample(folder, products=1350, test_products=0, seed=101)
    return folder


@pytest.fixture
def drop(fresh):
    """Some of its products; the index has no name, as in the challenge."""
    table = storage.read_csv(fresh / "X_train_update.csv", **products.CSV_FORMAT)
    return table.rename(columns={products.UNNAMED: ""}).sample(CHANGED, random_state=0)


@pytest.fixture
def run(built_repository, tmp_path, monkeypatch):
    """Run the command with the built package; return its exit status and what drifts."""
    monkeypatch.chdir(built_repository)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))  # its runs go to an MLflow store of its own
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def compare(table, images):
        source, out = tmp_path / "drop.csv", tmp_path / "found"
        table.to_csv(source, index=False)
        status = drift_command.main([str(source), "--images", str(images), "-o", str(out)])
        found = json.loads((out / "drift.json").read_text())["measurements"]
        return status, {one["name"] for one in found if one["drift"]}

    return compare


@pytest.mark.slow(minutes=3)
def test_draws_like_the_sample_raise_no_alarm_and_a_missing_category_does(
    built_repository, fresh, tmp_path
):
    package, limits = built_repository / "build/package", storage.read_params("drift")
    source, images = fresh / "X_train_update.csv", fresh / "images.zip"
    options = batch_prediction.Options(
        source, tmp_path / "p.csv", images, package, "late_fusion", 1, False, False
    )
    batch_prediction.predict_file(options, batch_prediction.ProductClassifier.load)
    measured, _ = drift_input.measure(
        source, options.out, images, package, progress=lambda items, **_: items
    )
    reference = drift_reference.select(drift_reference.read(package), text_alone=False)
    for seed in range(DRAWS):
        found = drift.compare(reference, measured.sample(DRAWN, random_state=seed), **limits)
        assert not [one for one in found if one.drift]

    labels = storage.read_csv(fresh / "Y_train_CVw08PX.csv")["prdtypecode"]
    code = int(labels.mode()[0])
    others = measured[labels.ne(code).to_numpy()].sample(DRAWN, random_state=0)
    (one,) = [one for one in drift.compare(reference, others, **limits) if one.drift]
    assert (one.name, one.missing) == ("category", (str(code),))


@pytest.mark.slow(minutes=1)
def test_english_titles_are_found(run, fresh, drop):
    titles = storage.read_csv(fresh / "X_train_update.csv")["designation"]
    english = titles[titles.map(detect_language).eq("en")].to_numpy()
    drop["designation"] = np.random.default_rng(0).choice(english, len(drop))
    status, found = run(drop, fresh / "images.zip")
    assert status == 1
    assert "language" in found


@pytest.mark.slow(minutes=1)
def test_missing_descriptions_are_found(run, fresh, drop):
    status, found = run(drop.assign(description=""), fresh / "images.zip")
    assert status == 1
    assert "missing_description" in found


@pytest.mark.slow(minutes=1)
def test_grey_images_are_found(run, fresh, drop, tmp_path):
    names = set(products.image_names(drop))
    with (
        zipfile.ZipFile(fresh / "images.zip") as archive,
        zipfile.ZipFile(tmp_path / "grey.zip", "w") as grey,
    ):
        for name in archive.namelist():
            if name.rpartition("/")[2] in names:
                content = io.BytesIO()
                Image.open(archive.open(name)).convert("L").save(content, "JPEG")
                grey.writestr(name, content.getvalue())
    status, found = run(drop, tmp_path / "grey.zip")
    assert status == 1
    assert "colour" in found
    assert "border_share" not in found
