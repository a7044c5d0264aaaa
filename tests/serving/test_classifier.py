"""The packaged classifier: raw products in, the metrics of the evaluate stage out."""

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from repository import ROOT

from rakuten import storage
from rakuten.categories import CODES, NAMES
from rakuten.data import products
from rakuten.evaluation import metrics
from rakuten.image import preprocessing
from rakuten.model_names import named
from rakuten.serving.classifier import Prepared, Product, ProductClassifier


def jpeg(colour=(200, 30, 30), size=(60, 40)):
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "JPEG")
    return content.getvalue()


def probabilities(*labels):
    """Rows that favour a category each; None is a row of NaN."""
    rows = np.full((len(labels), 27), 0.01, np.float32)
    for row, label in zip(rows, labels, strict=True):
        row[label or 0] = 0.74
        if label is None:
            row[:] = np.nan
    return rows


@pytest.fixture
def package(tmp_path):
    """A package whose fusion gives text twice the weight of the image."""
    weights, biases = np.array([2.0, 1.0]), np.zeros(27)
    storage.write_arrays(tmp_path / "fusion/weights.npz", weights=weights, biases=biases)
    summary = {
        "dataset": {"name": "small"},
        "models": {"text": True, "image": True},
        "test": {},
        "threads": 1,
        "extract": {
            "backbone": "vgg16", "precision": "float32", "views": ["product"], "size": 32,
            "crop_borders": True, "border_tolerance": 16, "batch_size": 2,
        },
        "encode": {"encoder": "none"},
        "text_ensemble": {},
        "categories": list(CODES),
        "prior": [0.5] + [0.5 / 26] * 26,
    }  # fmt: skip
    storage.write_json(tmp_path / "package.json", summary)
    return tmp_path


class Constant:
    """A model that returns fixed probabilities."""

    def __init__(self, rows):
        self.rows = rows

    def probabilities(self, _):
        return self.rows


def test_products_are_prepared_as_in_training(package):
    loaded = ProductClassifier.load(package)
    prepared = loaded.prepare(Product("<b>Été</b> &amp; co", "x<br/>y", jpeg()))
    assert (prepared.title, prepared.description) == ("Été & co", "x y")
    pixels, facts = prepared.image
    expected = preprocessing.prepare(
        jpeg(), views=["product"], crop_borders=True, border_tolerance=16, size=32
    )
    np.testing.assert_array_equal(pixels, expected[0])
    assert facts == expected[1]
    assert loaded.prepare(Product("x")).image is None


def test_an_image_may_be_content_path_or_pixels(package, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    loaded = ProductClassifier.load(package)
    given = (
        jpeg(),
        tmp_path / "a.jpg",
        str(tmp_path / "a.jpg"),
        preprocessing.decode(jpeg()),
    )
    first, *others = [loaded.prepare(Product(image=one)).image for one in given]
    for pixels, facts in others:
        np.testing.assert_array_equal(pixels, first[0])
        assert facts == first[1]


def test_bad_products_are_refused_with_the_reason(package):
    loaded = ProductClassifier.load(package)
    with pytest.raises(preprocessing.ImageError, match="cannot decode 3 bytes"):
        loaded.prepare(Product("x", image=b"abc"))
    with pytest.raises(preprocessing.ImageError, match="the image is float64"):
        loaded.prepare(Product("x", image=np.zeros((4, 4, 3))))
    with pytest.raises(FileNotFoundError, match=r"absent\.jpg is not a file"):
        loaded.prepare(Product("x", image="absent.jpg"))
    with pytest.raises(TypeError, match="title is float, expected str"):
        loaded.prepare(Product(float("nan")))


@pytest.mark.parametrize("top", [-1, 0, 28])
def test_an_impossible_number_of_categories_is_refused(package, top):
    with pytest.raises(ValueError, match=f"expected 1 to 27 categories, received {top}"):
        ProductClassifier.load(package).classify([Prepared("a", "", None)], top=top)


def test_missing_parts_leave_the_others(package):
    """Text alone, image alone, both, neither: the prior."""
    loaded = ProductClassifier.load(package)
    loaded.__dict__["_text"] = Constant(probabilities(3, 5))
    seen = preprocessing.prepare(
        jpeg(), views=["product"], crop_borders=True, border_tolerance=16, size=32
    )
    ones = {"average": 512, "grid": 2048, "middle": 512}
    loaded.__dict__["_network"] = lambda pixels: {
        kind: np.ones((len(pixels), width), np.float32) for kind, width in ones.items()
    }
    loaded.__dict__["_image"] = Constant(probabilities(7, 9))
    given = [
        Prepared("a", "", None), Prepared("", "", seen), Prepared("", "b", seen),
        Prepared("", "", None),
    ]  # fmt: skip
    text, image, both, neither = loaded.classify(given, top=2)
    assert (text.code, text.name) == (CODES[3], NAMES[CODES[3]])
    assert text.text_contribution > 0
    assert text.image_contribution is None
    assert image.code == CODES[7]
    assert image.text_contribution is None
    assert [choice.code for choice in both.top] == [CODES[5], CODES[9]]  # the text counts twice
    assert both.text_contribution > 0 > both.image_contribution
    assert neither.code == CODES[0]
    assert neither.probability == pytest.approx(0.5)
    assert (neither.text_contribution, neither.image_contribution) == (None, None)
    found = loaded.probabilities(given)
    np.testing.assert_allclose(found.fused.sum(axis=1), 1, rtol=1e-5)
    assert loaded.classify([]) == []


def test_a_missing_package_or_one_with_other_categories_is_refused(package, tmp_path):
    with pytest.raises(FileNotFoundError, match="run 'dvc repro package'"):
        ProductClassifier.load(tmp_path / "absent")
    summary = storage.read_json(package / "package.json") | {"categories": [1, 2]}
    storage.write_json(package / "package.json", summary)
    with pytest.raises(ValueError, match="has 2 categories: expected the 27"):
        ProductClassifier.load(package)


def test_text_is_classified_without_tensorflow():
    code = "import rakuten.serving.classifier, sys; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_classifier_reproduces_the_evaluation(built_repository):
    """With raw rows and image files, through the classifier alone."""
    loaded = ProductClassifier.load(built_repository / "build/package")
    table = products.join(
        storage.read_csv(built_repository / "data/X_train.csv", **products.CSV_FORMAT),
        storage.read_csv(built_repository / "data/Y_train.csv", **products.CSV_FORMAT),
    )
    parts = storage.read_table(built_repository / "build/split/parts.parquet")
    test = table[(parts["part"] == "test").to_numpy()]
    texts = test[["designation", "description"]].fillna("").to_numpy().tolist()
    with storage.ImageArchive(built_repository / "data/images.zip") as archive:
        names = [f"image_train/{name}" for name in products.image_names(test)]
        contents = [archive.read(name) for name in names]
    raw = [Product(*pair, content) for pair, content in zip(texts, contents, strict=True)]
    found = loaded.probabilities([loaded.prepare(product) for product in raw])
    expected = storage.read_json(built_repository / "reports/evaluate/models.json")
    labels = test["label"].to_numpy()
    outputs = (("text", found.text), ("image", found.image), ("fusion", found.fused))
    for name, output in outputs:
        measured = metrics.measure(labels, output)
        for metric, value in expected[named("ensemble", name)]["test"].items():
            if metric in measured:
                assert measured[metric] == pytest.approx(value, abs=2e-6), (name, metric)
    codes = [prediction.code for prediction in loaded.predict(raw[:20])]
    assert codes == np.array(CODES)[found.fused[:20].argmax(axis=1)].tolist()
    stored = pd.read_csv(built_repository / "reports/evaluate/tables/predictions_late_fusion.csv")
    assert len(stored) == len(test)


@pytest.mark.parametrize(
    "module", ["rakuten.serving.classifier", "rakuten.serving.batch_prediction"]
)
def test_slow_imports_are_left_to_images(module):
    """Each of these takes longer than to classify a thousand titles."""
    heavy = ("tensorflow", "pandas", "sklearn", "scipy.stats", "scipy.optimize", "nltk", "mlflow")
    code = f"import {module}, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
