"""The packaged classifier: raw products in, the outputs of the refitted ensembles out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from package_cases import (
    IMAGE_SPEC,
    LABELS,
    SECTION,
    colour,
    jpeg,
    raw_test_products,
    title,
    write_package,
)
from repository import ROOT

from rakuten import onnx_models, storage
from rakuten.categories import CODES
from rakuten.category_names import category
from rakuten.evaluation import metrics
from rakuten.image import preprocessing
from rakuten.model_names import MAIN
from rakuten.models import calibration, image_ensemble, late_fusion, text_ensemble
from rakuten.serving.classifier import Prepared, Product, ProductClassifier
from rakuten.text import html

PREPARATION = IMAGE_SPEC.preparation(**SECTION)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_package(tmp_path_factory.mktemp("package"))


@pytest.fixture
def package(written, tmp_path):
    """A package whose fusion gives text twice the weight of the image."""
    return Path(shutil.copytree(written, tmp_path / "package"))


def both(labels):
    """Products with text and image."""
    return [Product(title(k), "beau", jpeg(colour(k))) for k in labels.tolist()]


def test_products_are_prepared_as_in_training(package):
    loaded = ProductClassifier.load(package)
    prepared = loaded.prepare(Product("<b>Été</b> &amp; co", "x<br/>y", jpeg()))
    assert (prepared.title, prepared.description) == ("Été & co", "x y")
    expected = preprocessing.prepare(jpeg(), PREPARATION)
    np.testing.assert_array_equal(prepared.image.pixels, expected.pixels)
    np.testing.assert_array_equal(prepared.image.facts, expected.facts)
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
    for other in others:
        np.testing.assert_array_equal(other.pixels, first.pixels)
        np.testing.assert_array_equal(other.facts, first.facts)


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
    given = [
        Product(title(3)), Product(image=jpeg(colour(7))), Product(title(5), "", jpeg(colour(9))),
        Product(),
    ]  # fmt: skip
    text, image, both, neither = loaded.predict(given, top=2)
    assert (text.code, text.name) == (CODES[3], category(CODES[3], "fr"))
    assert text.text_contribution > 0
    assert text.image_contribution is None
    assert image.code == CODES[7]
    assert image.text_contribution is None
    assert None not in (both.text_contribution, both.image_contribution)
    assert neither.code == CODES[0]
    assert neither.probability == pytest.approx(0.5)
    assert (neither.text_contribution, neither.image_contribution) == (None, None)
    found = loaded.probabilities([loaded.prepare(product) for product in given])
    np.testing.assert_array_equal(found.fused[0], found.text[0])
    np.testing.assert_array_equal(found.fused[1], found.image[1])
    weights = calibration.read(package / "fusion")  # the text counts twice
    expected = late_fusion.fuse(weights, found.text[2:3], found.image[2:3])
    np.testing.assert_array_equal(found.fused[2:3], expected)
    np.testing.assert_allclose(found.fused.sum(axis=1), 1, rtol=1e-5)
    assert loaded.classify([]) == []


@pytest.mark.parametrize("modality", ["text", "image"])
def test_an_ensemble_alone_leaves_out_what_it_does_not_use(package, modality):
    fused = ProductClassifier.load(package)
    alone = ProductClassifier.load(package, model=f"{modality}_ensemble")
    given = both(LABELS[:12:4])
    prepared = [alone.prepare(product) for product in given]
    found = alone.probabilities(prepared)
    sides = fused.probabilities([fused.prepare(product) for product in given])
    np.testing.assert_allclose(found.fused, getattr(sides, modality), rtol=1e-5)
    other = "image" if modality == "text" else "text"
    assert np.isnan(getattr(found, other)).all()
    unused = Product(image=b"no image") if modality == "text" else Product(title(3))
    assert alone.prepare(unused) == Prepared("", "", None)
    (prediction,) = alone.predict([unused])
    assert prediction.probability == pytest.approx(0.5)


def test_a_missing_package_or_one_with_other_categories_is_refused(package, tmp_path):
    with pytest.raises(FileNotFoundError, match="run 'make repro'"):
        ProductClassifier.load(tmp_path / "absent")
    summary = storage.read_json(package / "package.json") | {"categories": [1, 2]}
    storage.write_json(package / "package.json", summary)
    with pytest.raises(ValueError, match="has 2 categories: expected the 27"):
        ProductClassifier.load(package)


def test_a_package_of_an_older_version_is_refused(package):
    summary = storage.read_json(package / "package.json")
    del summary["backbone"]
    storage.write_json(package / "package.json", summary)
    with pytest.raises(ValueError, match=r"has no backbone.*run 'make repro'"):
        ProductClassifier.load(package)


@pytest.mark.parametrize(
    ("section", "key", "change"),
    [
        ("encode_image", "augment", "add"),
        ("encode_image", "border_tolerance", "remove"),
        ("image_encoder", "layout", "remove"),
        ("text_encoder", "width", "remove"),
        ("text_ensemble", "svd", "add"),
        ("text_ensemble", "folds", "remove"),
        ("text_ensemble", None, "remove"),
        ("backbone", "std", "remove"),
        ("extract", "crops", "add"),
        ("threads", None, "remove"),
    ],
)
def test_a_package_with_other_settings_is_refused_when_it_is_opened(package, section, key, change):
    summary = storage.read_json(package / "package.json")
    if key is None:
        del summary[section]
    elif change == "add":
        summary[section][key] = 1
    else:
        del summary[section][key]
    storage.write_json(package / "package.json", summary)
    message = (
        rf"package\.json has other keys than expected .*{key or section}.*"
        r"run 'make repro'.*'python -m rakuten register', 'python -m rakuten promote'"
    )
    with pytest.raises(ValueError, match=message):
        ProductClassifier.load(package)


def test_an_error_of_a_model_is_not_taken_for_another_version(package, monkeypatch):
    def fail(folder):
        raise KeyError("a bug")

    monkeypatch.setattr(calibration, "read", fail)
    with pytest.raises(KeyError, match="a bug"):
        ProductClassifier.load(package)


def test_without_a_text_encoder_text_is_classified_by_its_terms(package):
    summary = storage.read_json(package / "package.json") | {"text_encoder": None}
    storage.write_json(package / "package.json", summary)
    loaded = ProductClassifier.load(package)
    assert loaded.model.text_vectors([loaded.prepare(Product("x"))]) == {}


def test_a_small_package_finds_the_categories(package):
    loaded = ProductClassifier.load(package)
    given = both(LABELS)
    found = loaded.probabilities([loaded.prepare(product) for product in given])
    for output in (found.text, found.image, found.fused):
        assert (output.argmax(axis=1) == LABELS).mean() > 0.9


@pytest.mark.parametrize("threads", [1, 3])
def test_a_prediction_depends_on_the_product_alone(package, threads):
    """Not on the batch, nor on the number of threads."""
    first = ProductClassifier.load(package)
    given = [first.prepare(product) for product in both(LABELS[:80:4])]
    expected = first.probabilities(given)
    other = ProductClassifier.load(package, threads=threads)
    for batch in (given, given[::-1]):
        features = other.model.image_features(batch)
        vectors = other.model.text_vectors(batch)
        for row, product in enumerate(batch):
            for kind, array in other.model.image_features([product]).items():
                assert array[:, 0].tobytes() == features[kind][:, row].tobytes()
            for kind, array in other.model.text_vectors([product]).items():
                assert array[0].tobytes() == vectors[kind][row].tobytes()
    for row, product in enumerate(given):
        alone = other.probabilities([product])
        for name in ("text", "image", "fused"):
            np.testing.assert_allclose(
                getattr(alone, name)[0], getattr(expected, name)[row], rtol=1e-5, atol=1e-6
            )
        assert alone.image[0].tobytes() == expected.image[row].tobytes()
    again = other.probabilities(given)
    for name in ("text", "image", "fused"):
        assert getattr(again, name).tobytes() == getattr(expected, name).tobytes()


def test_features_that_were_computed_before_give_the_same_prediction(package):
    loaded = ProductClassifier.load(package)
    given = [loaded.prepare(product) for product in [*both(LABELS[:3]), Product("x")]]
    encoded = [loaded.encode_image(product) for product in given]
    assert [product.image for product in encoded] == [None] * 4
    assert encoded[3] is given[3]
    expected, found = loaded.probabilities(given), loaded.probabilities(encoded)
    for name in ("text", "image", "fused"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()
    for kind, array in loaded.model.image_features(given[:3]).items():
        assert array.tobytes() == loaded.model.image_features(encoded[:3])[kind].tobytes()


def test_after_the_warm_up_no_file_is_read(package):
    loaded = ProductClassifier.load(package)
    loaded.warm_up()
    for path in package.rglob("*.*"):
        path.write_bytes(b"")
    (found,) = loaded.predict([Product(title(3), image=jpeg(colour(3)))])
    assert found.code == CODES[3]


PREDICT = """
import sys
from rakuten.serving import predict_command
words = ["--title", {title!r}, "--image", {image!r}, "--package", {package!r}]
assert predict_command.main(words) == 0
import demo.engine, rakuten.distributed.prediction, rakuten.serving.batch_prediction
import rakuten.serving.explanation, rakuten.tracking.served
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""


@pytest.mark.slow
def test_a_product_with_text_and_image_is_classified_without_tensorflow(package, tmp_path):
    """On the command line; nor do the server, the demo and Ray import it."""
    (tmp_path / "a.jpg").write_bytes(jpeg(colour(3)))
    code = PREDICT.format(title=title(3), image=str(tmp_path / "a.jpg"), package=str(package))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert category(CODES[3], "fr") in done.stdout


SCRIPT = """
{first}
from rakuten.serving.classifier import Product, ProductClassifier

if __name__ == "__main__":
    loaded = ProductClassifier.load({package!r})
    (found,) = loaded.predict([Product({title!r}, "", {image!r})])
    print(found.code, found.probability, found.text_contribution, found.image_contribution)
"""


def run_script(tmp_path, package, *, first="", as_file):
    """Run a user's script; a module `tensorflow` stands for the library."""
    (tmp_path / "tensorflow.py").touch()
    image = tmp_path / "a.jpg"
    image.write_bytes(jpeg(colour(5)))
    code = SCRIPT.format(first=first, package=str(package), title=title(5), image=str(image))
    (tmp_path / "script.py").write_text(code)
    command = [sys.executable, *(["script.py"] if as_file else ["-c", code])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_images_are_classified_where_tensorflow_was_imported_first(package, tmp_path):
    """ONNX Runtime would crash this process: another one encodes."""
    expected = run_script(tmp_path, package, as_file=False)
    assert expected.stdout.startswith(str(CODES[5]))
    found = run_script(tmp_path, package, first="import tensorflow", as_file=False)
    assert found.stdout == expected.stdout, found.stderr


@pytest.mark.slow
def test_a_script_that_cannot_encode_after_tensorflow_gets_the_reason(package, tmp_path):
    """The other process runs the script's imports again, TensorFlow first."""
    found = run_script(tmp_path, package, first="import tensorflow", as_file=True)
    assert found.returncode == 1
    assert onnx_models.ImportOrderError.__name__ in found.stderr.splitlines()[-1]
    assert "import rakuten.onnx_models first" in found.stderr.splitlines()[-1]


@pytest.mark.slow
def test_the_classifier_reproduces_the_refitted_ensembles(built_repository):
    """From raw rows and image files; the ensembles read the features that the stages computed."""
    build = built_repository / "build"
    loaded = ProductClassifier.load(build / "package")
    table, rows, raw = raw_test_products(built_repository)
    found = loaded.probabilities([loaded.prepare(product) for product in raw])

    settings = text_ensemble.Settings(**loaded.summary["text_ensemble"])
    vectors = storage.read_arrays(build / "encode_text/vectors.npz")
    features = storage.read_arrays(build / "encode_image/features.npz")
    all_texts = text_ensemble.Texts(vectors.pop("ids"), *html.plain_texts(table), vectors)
    by_text = text_ensemble.read(build / "refit/text", settings)
    by_image = image_ensemble.read(build / "refit/image")
    text = by_text.probabilities(all_texts.take(rows))
    image = by_image.probabilities(image_ensemble.views(features, rows))
    fused = late_fusion.fuse(calibration.read(build / "late_fusion"), text, image)
    labels = table["label"].to_numpy()[rows]
    for ours, expected in ((found.text, text), (found.image, image), (found.fused, fused)):
        measured, wanted = metrics.measure(labels, ours), metrics.measure(labels, expected)
        assert measured == pytest.approx(wanted, abs=2e-6)
    codes = [prediction.code for prediction in loaded.predict(raw[:20])]
    assert codes == np.array(CODES)[found.fused[:20].argmax(axis=1)].tolist()


@pytest.mark.slow
def test_the_package_holds_the_figures_and_predictions_of_the_evaluation(built_repository):
    """Those of the fit on train rows: the packaged ensembles have seen the test rows."""
    folder = built_repository / "build/package"
    summary = storage.read_json(folder / "package.json")
    tested = storage.read_arrays(folder / "test.npz")
    evaluated = storage.read_json(built_repository / "reports/evaluate/models.json")
    for name in MAIN:
        assert summary["test"][name] == pytest.approx(evaluated[name]["test"])
    measured = metrics.measure(tested["labels"], tested["probabilities"])
    assert measured == summary["test"]["late_fusion"]
    stored = pd.read_csv(built_repository / "reports/evaluate/tables/predictions_late_fusion.csv")
    assert tested["ids"].tolist() == stored["id"].tolist()
    assert summary["fitted_on"]["rows"] == "all"
    assert summary["fitted_on"]["products"] > 3 * len(stored)


@pytest.mark.parametrize(
    "module", ["rakuten.serving.classifier", "rakuten.serving.batch_prediction"]
)
def test_prediction_imports_no_slow_library(module):
    """Each of these takes longer than to classify a thousand titles."""
    heavy = (
        "tensorflow",
        "keras",
        "pandas",
        "sklearn",
        "scipy.stats",
        "scipy.optimize",
        "nltk",
        "mlflow",
    )
    code = f"import {module}, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
