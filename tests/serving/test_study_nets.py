"""The packaged nets of the study: raw products or features in, the outputs of the stages out."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from package_cases import (
    BACKBONE,
    EXTRACT,
    LABELS,
    colour,
    jpeg,
    raw_test_products,
    title,
    write_package,
)
from repository import ROOT
from scipy import sparse

from rakuten import storage
from rakuten.categories import CODES
from rakuten.data import examples
from rakuten.evaluation import metrics
from rakuten.image import extraction, preprocessing
from rakuten.models import numpy_nets
from rakuten.serving.classifier import Prepared, Product, ProductClassifier
from rakuten.text import cleaning, tfidf

NETS = ("text", "image", "fusion")
MISSING = np.array([0.5] + [0.5 / 26] * 26, np.float32)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_package(tmp_path_factory.mktemp("package"))


def both(labels):
    return [Product(title(k), "beau", jpeg(colour(k))) for k in labels.tolist()]


def prepare(classifier, given):
    return [classifier.prepare(product) for product in given]


def features(package, given):
    """The features of the stages: TF-IDF (n, 27) and image features (n, 3)."""
    settings = storage.read_yaml(ROOT / "params.yaml")
    cleaner = cleaning.Cleaner(package / "study/nltk", **settings["clean"])
    columns = cleaner.clean([p.title for p in given], [p.description for p in given])
    vocabulary = storage.read_json(package / "study/text/vocabulary.json")
    idf = storage.read_array(package / "study/text/idf.npy")
    terms = tfidf.transform(columns["tokens"], vocabulary, idf, ngram_max=1, sublinear_tf=False)
    preparation = extraction.Settings(**EXTRACT).preparation
    pixels = [preprocessing.prepare(p.image, preparation).pixels[0] for p in given]
    scaled = (np.array(pixels) - np.array(BACKBONE.mean)) / np.array(BACKBONE.std)
    return terms, scaled.mean(axis=(1, 2)).astype(np.float32)


def test_products_get_the_outputs_of_the_nets_on_the_features_of_the_stages(written):
    given = [*both(LABELS[::4]), Product("<b>produit&amp;amp;</b> produit4", "", jpeg((9, 9, 9)))]
    text, image = features(written, given)
    nets = {name: numpy_nets.read(written / "study" / name) for name in NETS}
    hidden = [nets["text"].hidden(text, threads=1), nets["image"].hidden(image, threads=1)]
    inputs = {"text": text, "image": image, "fusion": np.concatenate(hidden, axis=1)}
    for name, net in nets.items():
        loaded = ProductClassifier.load(written, model=name)
        found = loaded.probabilities(prepare(loaded, given))
        expected = net.probabilities(inputs[name], threads=1)
        np.testing.assert_allclose(found.fused, expected, rtol=1e-4, atol=1e-6)
        used = ("text", "image") if name == "fusion" else (name,)
        for side in ("text", "image"):
            shown = getattr(found, side)
            if side in used:
                wanted = nets[side].probabilities(inputs[side], threads=1)
                np.testing.assert_allclose(shown, wanted, rtol=1e-4, atol=1e-6)
            else:
                assert np.isnan(shown).all()


@pytest.mark.parametrize("name", ["text", "image"])
def test_the_nets_find_the_categories(written, name):
    loaded = ProductClassifier.load(written, model=name)
    found = loaded.predict(both(LABELS[::4]))
    right = [one.code == code for one, code in zip(found, CODES, strict=True)]
    assert np.mean(right) > 0.9
    assert {(one.text_contribution, one.image_contribution) for one in found} == {(None, None)}


def test_a_missing_modality_is_zeros_for_the_fusion_net(written):
    loaded = ProductClassifier.load(written, model="fusion")
    whole, *_ = both(LABELS[8:9])
    given = [whole, Product(whole.title, "beau"), Product(image=whole.image), Product("<b></b>")]
    found = loaded.probabilities(prepare(loaded, given))
    text, image = features(written, [whole])
    nets = {name: numpy_nets.read(written / "study" / name) for name in NETS}
    sides = nets["text"].hidden(text, threads=1), nets["image"].hidden(image, threads=1)
    blank = [np.zeros_like(side) for side in sides]
    for row, pair in enumerate([sides, (sides[0], blank[1]), (blank[0], sides[1])]):
        expected = nets["fusion"].probabilities(np.concatenate(pair, axis=1), threads=1)
        np.testing.assert_allclose(found.fused[row], expected[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found.fused[3], MISSING)
    assert np.isnan(found.text[2:]).all()
    assert np.isnan(found.image[[1, 3]]).all()


@pytest.mark.parametrize(
    ("name", "unused"), [("text", Product(image=b"no image")), ("image", Product(title(4), "x"))]
)
def test_a_net_of_one_modality_leaves_the_other_out(written, name, unused):
    loaded = ProductClassifier.load(written, model=name)
    assert loaded.prepare(unused) == Prepared("", "", None)
    found = loaded.probabilities([loaded.prepare(unused)])
    np.testing.assert_array_equal(found.fused, MISSING[None])


def test_a_net_that_was_not_trained_adds_nothing(written, tmp_path):
    package = Path(shutil.copytree(written, tmp_path / "package"))
    summary = storage.read_json(package / "package.json")
    summary["models"]["image"] = False
    storage.write_json(package / "package.json", summary)
    loaded = ProductClassifier.load(package, model="fusion")
    whole, *_ = both(LABELS[8:9])
    found = loaded.probabilities(prepare(loaded, [whole, Product(whole.title, "beau")]))
    np.testing.assert_allclose(found.fused[0], found.fused[1], rtol=1e-5)


def test_predictions_do_not_depend_on_threads_or_the_batch(written):
    given = both(LABELS[:40:4])
    one = ProductClassifier.load(written, model="fusion", threads=1)
    other = ProductClassifier.load(written, model="fusion", threads=3)
    expected = one.probabilities(prepare(one, given))
    again = other.probabilities(prepare(other, given))
    assert again.fused.tobytes() == expected.fused.tobytes()
    for row, product in enumerate(given):
        alone = other.probabilities([other.prepare(product)])
        np.testing.assert_allclose(alone.fused[0], expected.fused[row], rtol=1e-4, atol=1e-6)


def test_encoded_images_give_the_same_as_pixels(written):
    """A file of products is predicted in this way."""
    loaded = ProductClassifier.load(written, model="fusion")
    loaded.warm_up()
    prepared = prepare(loaded, both(LABELS[:12:4]))
    encoded = [loaded.encode_image(product) for product in prepared]
    assert {product.image for product in encoded} == {None}
    found = loaded.probabilities(encoded).fused
    assert found.tobytes() == loaded.probabilities(prepared).fused.tobytes()


def test_features_give_the_same_as_products(written):
    given = both(LABELS[::4])
    text, image = features(written, given)
    arguments = {"text": {"text": text}, "image": {"image": image}}
    arguments["fusion"] = arguments["text"] | arguments["image"]
    for name, values in arguments.items():
        loaded = ProductClassifier.load(written, model=name)
        expected = loaded.probabilities(prepare(loaded, given)).fused
        found = loaded.from_features(**values)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    dense = loaded.from_features(text=text.toarray(), image=image)
    np.testing.assert_allclose(dense, expected, rtol=1e-4, atol=1e-6)
    alone = loaded.probabilities([loaded.prepare(Product(p.title, p.description)) for p in given])
    np.testing.assert_allclose(loaded.from_features(text=text), alone.fused, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("trained", [True, False])
def test_features_of_products_without_a_modality_give_the_same_as_products(
    written, tmp_path, trained
):
    package = Path(shutil.copytree(written, tmp_path / "package"))
    summary = storage.read_json(package / "package.json")
    summary["models"]["image"] = trained
    storage.write_json(package / "package.json", summary)
    whole = both(LABELS[8:20:4])
    given = [*whole, Product(whole[1].title), Product(image=whole[2].image), Product("inconnu")]
    given.append(Product())
    text_present = np.array([1, 1, 1, 1, 0, 1, 0], bool)
    image_present = np.array([1, 1, 1, 0, 1, 0, 0], bool)
    found = features(package, [*whole, whole[1], whole[2], *whole[:2]])
    known = np.array([1, 1, 1, 1, 0, 0, 0], np.float32)  # the word "inconnu" is no term
    text = sparse.csr_array(found[0].multiply(known[:, None]))
    image = found[1] * image_present[:, None]  # zeros, as the stage `extract` writes
    values = {
        "text": {"text": text, "text_present": text_present},
        "image": {"image": image, "image_present": image_present},
    }
    values["fusion"] = values["text"] | values["image"]
    for name in NETS if trained else ("text", "fusion"):
        loaded = ProductClassifier.load(package, model=name)
        expected = loaded.probabilities(prepare(loaded, given)).fused
        found = loaded.from_features(**values[name])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(found[6], MISSING)


def test_features_that_do_not_fit_are_refused(written):
    text, image = sparse.csr_array(np.eye(27, dtype=np.float32)), np.zeros((27, 3), np.float32)
    net = ProductClassifier.load(written, model="text")
    with pytest.raises(ValueError, match=r"text net predicts .* of text, received those of"):
        net.from_features(text=text, image=image)
    fusion = ProductClassifier.load(written, model="fusion")
    with pytest.raises(ValueError, match="received those of nothing"):
        fusion.from_features()
    with pytest.raises(ValueError, match=r"products: \{'text': 27, 'image': 2\}"):
        fusion.from_features(text=text, image=image[:2])
    with pytest.raises(ValueError, match="features have 27 columns, the net expects 3"):
        fusion.from_features(image=np.zeros((2, 27), np.float32))
    with pytest.raises(ValueError, match="image_present without features: pass image"):
        fusion.from_features(text=text, image_present=np.ones(27, bool))
    for mask, shown in ((np.ones(2, bool), r"bool \(2,\)"), (np.ones(27), r"float64 \(27,\)")):
        with pytest.raises(ValueError, match=rf"text_present is {shown}, expected bool \(27,\)"):
            fusion.from_features(text=text, text_present=mask)
    with pytest.raises(ValueError, match="the ensembles predict from texts and images"):
        ProductClassifier.load(written).from_features(text=text)


CODE = """
import sys
from rakuten.serving.classifier import Product, ProductClassifier
loaded = ProductClassifier.load({package!r}, model="fusion")
loaded.predict([Product("produit4", "", {image!r})])
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""


@pytest.mark.slow
def test_the_fusion_net_predicts_without_tensorflow(written):
    code = CODE.format(package=str(written), image=jpeg())
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.slow(minutes=1)
def test_the_packaged_nets_reproduce_the_evaluation(built_repository):
    """From raw rows and image files; the stages computed features with TensorFlow."""
    build = built_repository / "build"
    table, rows, raw = raw_test_products(built_repository)
    loaded = ProductClassifier.load(build / "package", model="fusion")
    found = loaded.probabilities(prepare(loaded, raw))
    served = {"text": found.text, "image": found.image, "fusion": found.fused}
    for name in ("text", "image"):  # the nets alone output the same as below the fusion net
        alone = ProductClassifier.load(build / "package", model=name)
        few = raw if name == "text" else raw[:4]
        other = alone.probabilities(prepare(alone, few)).fused
        np.testing.assert_allclose(other, served[name][: len(few)], atol=1e-6)

    evaluated = storage.read_json(built_repository / "reports/evaluate/models.json")
    terms = storage.read_arrays(build / "vectorize/features.npz")
    images = storage.read_arrays(build / "extract/features.npz")
    inputs = {"text": examples.sparse_features(terms)[rows], "image": images["features"][rows]}
    present = {"text": terms["present"][rows], "image": images["present"][rows]}
    inputs["fusion"] = inputs
    for name, probabilities in served.items():
        expected = storage.read_arrays(build / name / "outputs.npz")["probabilities"][rows]
        np.testing.assert_allclose(probabilities, expected, atol=1e-4)
        np.testing.assert_array_equal(probabilities.argmax(axis=1), expected.argmax(axis=1))
        measured = metrics.measure(table["label"].to_numpy()[rows], probabilities)
        assert measured == pytest.approx(evaluated[name]["test"], abs=2e-6)
        model = ProductClassifier.load(build / "package", model=name)
        sides = ("text", "image") if name == "fusion" else (name,)
        values = {side: inputs[side] for side in sides}
        values |= {f"{side}_present": present[side] for side in sides}
        np.testing.assert_allclose(model.from_features(**values), expected, atol=1e-4)
