import io
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from rakuten.data import splits
from rakuten.data.examples import Examples
from rakuten.evaluation import image_robustness, robustness, text_robustness
from rakuten.image import preprocessing
from rakuten.image.preprocessing import Preparation
from rakuten.models import image_ensemble, text_ensemble
from rakuten.models.calibration import Calibration
from rakuten.models.text_ensemble import Texts

PREPARATION = Preparation(
    views=["flip", "original"], crops=["product"], border_tolerance=16, size=32, resize="bilinear"
)
PRODUCT = replace(PREPARATION, views=["original"])

LABELS = np.array([0, 0, 0, 26])


def examples(rows=200, seed=0):
    generator = np.random.default_rng(seed)
    return Examples(
        np.arange(rows),
        None,
        generator.random(rows) < 0.5,
        np.zeros(rows, np.int64),
        generator.choice(["train", "validation", "test"], rows),
    )


def image_file(seed=0, form="JPEG"):
    """A coloured product off the centre of a white frame."""
    pixels = np.full((80, 100, 3), 255, np.uint8)
    pixels[20:50, 10:70] = np.random.default_rng(seed).integers(0, 200, (30, 60, 3))
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, form)
    return content.getvalue()


def test_only_test_products_with_the_modality_are_drawn():
    some = examples()
    eligible = np.flatnonzero((some.parts == "test") & some.present)
    rows = robustness.choose(some, "test", max_products=10, seed=1)
    assert len(rows) == len(set(rows)) == 10
    assert set(rows) < set(eligible)
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(
        robustness.choose(some, "test", max_products=10_000, seed=1), eligible
    )


def test_the_seed_determines_the_draw():
    draws = [
        robustness.choose(examples(), "test", max_products=10, seed=seed).tolist()
        for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_a_draw_without_test_products_is_empty():
    none = Examples(np.arange(3), None, np.ones(3, bool), np.zeros(3, int), np.array(["train"] * 3))
    assert robustness.choose(none, "test", max_products=5, seed=0).shape == (0,)


@pytest.mark.parametrize("name", image_robustness.PERTURBATIONS[1:])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_perturbed_image_equals_the_view_of_that_name(name, form):
    content = image_file(form=form)
    perturbed = image_robustness.perturb(content, name)
    before, after = preprocessing.decode(content), preprocessing.decode(perturbed)
    assert before.shape != after.shape or (before != after).any()
    change = preprocessing.VIEWS[name]
    np.testing.assert_array_equal(after, np.asarray(change(Image.fromarray(before))))
    assert image_robustness.perturb(content, name) == perturbed


def test_a_grey_image_has_equal_channels_and_a_rotated_one_is_larger():
    grey = preprocessing.decode(image_robustness.perturb(image_file(), "grey"))
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 1] == grey[..., 2]).all()
    turned = preprocessing.decode(image_robustness.perturb(image_file(), "rotate"))
    assert turned.shape[0] > 80
    assert turned.shape[1] > 100


def test_without_a_perturbation_the_bytes_are_unchanged():
    assert image_robustness.PERTURBATIONS[0] == text_robustness.PERTURBATIONS[0] == robustness.NONE
    content = image_file()
    assert image_robustness.perturb(content, robustness.NONE) is content


def one_hot(*labels):
    return np.eye(27, dtype=np.float32)[list(labels)]


def models():
    """One model that loses half of its accuracy to typos, one that gains from capitals."""
    plain = {
        "as it is": one_hot(0, 0, 0, 26),
        "typos": one_hot(0, 0, 5, 5),
        "capitals": one_hot(0, 0, 0, 0),
    }
    other = {
        "as it is": one_hot(0, 0, 1, 1),
        "typos": one_hot(0, 0, 1, 1),
        "capitals": one_hot(0, 0, 0, 1),
    }
    return {
        ("text_ensemble", "plain"): plain.__getitem__,
        ("late_fusion", "typos"): other.__getitem__,
    }


def test_changes_are_relative_to_the_same_model():
    table = robustness.table("text", LABELS, models(), ["as it is", "typos", "capitals"])
    assert table.columns.tolist() == [
        "modality", "perturbation", "model", "training", "rows", "accuracy", "weighted_f1",
        "change",
    ]  # fmt: skip
    first, second = (group for _, group in table.groupby("model", sort=False))
    assert first["perturbation"].tolist() == ["as it is", "typos", "capitals"]
    assert first["accuracy"].tolist() == [1, 0.5, 0.75]
    assert first["change"].tolist() == [0, -0.5, -0.25]
    assert second["accuracy"].tolist() == [0.5, 0.5, 0.75]
    assert second["change"].tolist() == [0, 0, 0.25]
    assert second["training"].tolist() == ["typos"] * 3
    assert set(table["modality"]) == {"text"}
    assert set(table["rows"]) == {4}
    f1_of_0, f1_of_26 = 2 * 2 / (2 + 3), 0  # two of three found, none wrongly
    assert first["weighted_f1"].tolist()[1] == pytest.approx(0.75 * f1_of_0 + 0.25 * f1_of_26)


def test_without_products_the_table_is_empty_and_no_model_is_called():
    def never(name):
        raise AssertionError(name)

    table = robustness.table("text", LABELS[:0], {("text_ensemble", "plain"): never}, ["as it is"])
    assert len(table) == 0
    assert "change" in table
    assert robustness.summary_line(table) == "no test product has the modality"


def test_the_summary_line_names_the_worst_perturbation_of_each_model():
    table = robustness.table("text", LABELS, models(), ["as it is", "typos", "capitals"])
    assert robustness.summary_line(table) == (
        "worst: late_fusion (typos) typos +0.0 points, text_ensemble (plain) typos -50.0 points"
    )


class FakeEnsemble:
    """Predict category 0 where `accepts` is true, else category 1."""

    def __init__(self, accepts):
        self.accepts = accepts

    def probabilities(self, given):
        rows = self.accepts(given)
        return np.eye(27, dtype=np.float32)[np.where(rows, 0, 1)]


def test_text_models_encode_perturbed_texts_once():
    texts = Texts(np.array([5, 6]), ["Été doré", "table"], ["", ""], {"title": np.zeros((2, 3))})
    encoded = []

    def encode(kinds):
        encoded.append(kinds)
        return {"title": np.ones((2, 3))}

    lower = FakeEnsemble(lambda given: np.array([not t.isupper() for t in given.titles]))
    image = np.full((2, 27), np.nan)
    fusion = Calibration(np.ones(2), np.zeros(27))
    models = text_robustness.text_models({"plain": lower}, fusion, texts, image, encode, seed=1)
    assert list(models) == [("text_ensemble", "plain"), ("late_fusion", "plain")]
    for predict in models.values():
        assert predict(robustness.NONE).argmax(axis=1).tolist() == [0, 0]
        assert predict("upper_case").argmax(axis=1).tolist() == [1, 1]
    assert encoded == [{"title": ["ÉTÉ DORÉ", "TABLE"], "description": ["", ""]}]


def test_image_models_encode_each_perturbed_image_once():
    contents = [image_file(1), image_file(2)]
    seen = []

    def encode(given):
        seen.append(given)
        facts = [preprocessing.prepare(content, PRODUCT).facts for content in given]
        return {"average": np.ones((1, 2, 8)), "facts": np.stack(facts, axis=1)}

    always = FakeEnsemble(lambda given: np.ones(len(given[0]["average"]), bool))
    text = np.full((2, 27), np.nan)
    fusion = Calibration(np.ones(2), np.zeros(27))
    trained = {"plain": (always, [0])}
    models = image_robustness.image_models(trained, fusion, contents, text, encode)
    for predict in models.values():
        for name in image_robustness.PERTURBATIONS:
            assert predict(name).argmax(axis=1).tolist() == [0, 0]
    assert seen[0] == contents
    assert len(seen) == len(image_robustness.PERTURBATIONS)  # once for both models
    assert all(changed != contents for changed in seen[1:])


def test_each_training_predicts_from_its_own_views():
    def encode(given):
        facts = [preprocessing.prepare(content, PREPARATION).facts for content in given]
        average = np.broadcast_to(np.eye(2)[:, None], (2, len(given), 2))
        return {"average": average, "facts": np.stack(facts, axis=1)}

    second = FakeEnsemble(lambda given: np.full(1, given[0]["average"][0, 1] == 1))
    text, fusion = np.full((1, 27), np.nan), Calibration(np.ones(2), np.zeros(27))
    trained = {"plain": (second, [1]), "augmented": (second, [0, 1])}
    models = image_robustness.image_models(trained, fusion, [image_file(1)], text, encode)
    labels = [models["image_ensemble", name](robustness.NONE).argmax() for name in trained]
    assert labels == [0, 1]


def test_images_are_prepared_like_those_of_the_ensemble():
    contents = [image_file(number) for number in range(5)]

    def network(pixels):
        return {"average": pixels.reshape(len(pixels), -1).mean(axis=1, keepdims=True)}

    found = image_robustness.encode(contents, network=network, preparation=PREPARATION)
    for row, content in enumerate(contents):
        expected = preprocessing.prepare(content, PREPARATION)
        means = expected.pixels.reshape(2, -1).mean(axis=1)
        np.testing.assert_allclose(found["average"][:, row, 0], means, rtol=1e-6)
        np.testing.assert_array_equal(found["facts"][:, row], expected.facts)


def test_both_trainings_on_texts_use_the_same_draw_of_a_large_train_part():
    labels = np.arange(48) % 3
    titles = [f"mot{label} autre{row % 5}" for row, label in enumerate(labels)]
    texts = Texts(np.arange(48), titles, [""] * 48, {})
    settings = text_ensemble.Settings(
        word_ngrams=1,
        character_ngrams=3,
        min_df=1,
        max_terms=100,
        linear_svm_c=1.0,
        vector_scale=1.0,
        naive_bayes_alpha=0.1,
        bias_l2=1.0,
        correction_l2=1.0,
        folds=2,
        augmented_copies=0,
    )
    train = Examples(np.arange(48), None, np.ones(48, bool), labels, np.array(["train"] * 48))

    def fit(rows):
        folds = splits.folds(labels[rows], rows, count=2, seed=1)
        one = texts.take(rows), labels[rows], folds, settings
        return text_ensemble.fit(*one, seed=1, threads=1)[0]

    stored = fit(np.arange(48))
    trainings = partial(
        text_robustness.text_trainings, stored, texts, train, np.arange(48), copies=1, seed=1,
        threads=1,
    )  # fmt: skip
    assert list(trainings(max_products=48)) == ["plain", "augmented"]
    found = trainings(max_products=30)
    assert list(found) == ["plain", "plain, 30 products", "augmented, 30 products"]
    assert found["plain"] is stored
    drawn = fit(robustness.choose(train, "train", max_products=30, seed=1))
    np.testing.assert_array_equal(
        found["plain, 30 products"].probabilities(texts), drawn.probabilities(texts)
    )
    augmented = found["augmented, 30 products"].probabilities(texts)
    assert np.abs(augmented - drawn.probabilities(texts)).max() > 0


def test_the_image_ensemble_is_compared_with_one_fitted_without_perturbed_views():
    generator = np.random.default_rng(0)
    labels, folds = np.tile([0, 1, 2], 8), np.repeat([0, 1], 12)
    views = [{"average": generator.random((24, 4), np.float32)} for _ in range(2)]
    settings = image_ensemble.Settings(
        average=1.0,
        middle=0.0,
        frame=0.0,
        landmarks=20,
        kernel_ridge_alpha=0.1,
        bias_l2=1.0,
        folds=2,
    )
    stored, _ = image_ensemble.fit(views, labels, folds, settings, seed=1)
    train = Examples(np.arange(24), None, np.ones(24, bool), labels, np.array(["train"] * 24))
    given = train, np.arange(24), settings

    def trainings(*names, given=given):
        return image_robustness.image_trainings(stored, views[: len(names)], names, *given, seed=1)

    assert trainings("rotate") == {"plain": (stored, [0])}
    assert trainings("original", "flip") == {"plain": (stored, [0, 1])}
    found = trainings("original", "rotate")
    assert list(found) == ["plain", "augmented"]
    assert found["augmented"] == (stored, [0, 1])
    assert found["plain"][1] == [0]
    folds = splits.folds(labels, np.arange(24), count=2, seed=1)
    alone, _ = image_ensemble.fit(views[:1], labels, folds, settings, seed=1)
    np.testing.assert_array_equal(
        found["plain"][0].probabilities(views[:1]), alone.probabilities(views[:1])
    )
    none = replace(train, present=np.zeros(24, bool))
    assert trainings("original", given=(none, *given[1:])) == {}
