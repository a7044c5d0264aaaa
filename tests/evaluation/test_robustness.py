import io
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tqdm import tqdm

from rakuten.data import splits
from rakuten.data.examples import Examples
from rakuten.evaluation import robustness
from rakuten.image import preprocessing
from rakuten.image.extraction import Settings
from rakuten.models import image_ensemble
from rakuten.models.calibration import Pool
from rakuten.models.text_ensemble import Texts

PREPARE = {"crop_borders": True, "border_tolerance": 16, "size": 32}

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


def picture(seed=0, form="JPEG"):
    """A coloured product off the middle of a white frame."""
    pixels = np.full((80, 100, 3), 255, np.uint8)
    pixels[20:50, 10:70] = np.random.default_rng(seed).integers(0, 200, (30, 60, 3))
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, form)
    return content.getvalue()


def test_only_test_products_with_the_modality_are_drawn():
    some = examples()
    fit = np.flatnonzero((some.parts == "test") & some.present)
    rows = robustness.choose(some, most=10, seed=1)
    assert len(rows) == len(set(rows)) == 10
    assert set(rows) < set(fit)
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(robustness.choose(some, most=10_000, seed=1), fit)


def test_the_seed_decides_who_is_drawn():
    draws = [robustness.choose(examples(), most=10, seed=seed).tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_a_draw_among_none():
    none = Examples(np.arange(3), None, np.ones(3, bool), np.zeros(3, int), np.array(["train"] * 3))
    assert robustness.choose(none, most=5, seed=0).shape == (0,)


@pytest.mark.parametrize("name", robustness.PICTURES[1:])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_spoilt_picture_is_the_view_of_that_name_and_can_be_decoded(name, form):
    content = picture(form=form)
    spoilt = robustness.spoil(content, name)
    before, after = preprocessing.decode(content), preprocessing.decode(spoilt)
    assert before.shape != after.shape or (before != after).any()
    change = preprocessing.VIEWS[name].change
    np.testing.assert_array_equal(after, np.asarray(change(Image.fromarray(before))))
    assert robustness.spoil(content, name) == spoilt


def test_a_grey_picture_has_no_colours_and_a_turned_one_a_larger_frame():
    grey = preprocessing.decode(robustness.spoil(picture(), "grey"))
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 1] == grey[..., 2]).all()
    turned = preprocessing.decode(robustness.spoil(picture(), "rotate"))
    assert turned.shape[0] > 80
    assert turned.shape[1] > 100


def test_without_a_perturbation_the_bytes_stay():
    assert robustness.PICTURES[0] == robustness.TEXTS[0] == robustness.NONE
    content = picture()
    assert robustness.spoil(content, robustness.NONE) is content


def says(*labels):
    return np.eye(27, dtype=np.float32)[list(labels)]


def models():
    """One that typos cost half of its hits, one that gains by capitals."""
    plain = {"as it is": says(0, 0, 0, 26), "typos": says(0, 0, 5, 5), "capitals": says(0, 0, 0, 0)}
    other = {"as it is": says(0, 0, 1, 1), "typos": says(0, 0, 1, 1), "capitals": says(0, 0, 0, 1)}
    return {
        ("text_ensemble", "plain"): plain.__getitem__,
        ("late_fusion", "typos"): other.__getitem__,
    }


def test_the_table_compares_each_model_with_itself():
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


def test_without_products_the_table_is_empty_and_no_model_is_asked():
    def never(name):
        raise AssertionError(name)

    table = robustness.table("text", LABELS[:0], {("text_ensemble", "plain"): never}, ["as it is"])
    assert len(table) == 0
    assert "change" in table
    assert robustness.sentence(table) == "no test product has the modality"


def test_the_sentence_names_what_costs_each_model_most():
    table = robustness.table("text", LABELS, models(), ["as it is", "typos", "capitals"])
    assert robustness.sentence(table) == (
        "worst: late_fusion (typos) as it is +0.0 points, text_ensemble (plain) typos -50.0 points"
    )


class FakeEnsemble:
    """Says category 0 of what it can read, category 1 of what was changed."""

    def __init__(self, seen):
        self.seen = seen

    def probabilities(self, given):
        rows = self.seen(given)
        return np.eye(27, dtype=np.float32)[np.where(rows, 0, 1)]


def test_text_models_see_perturbed_texts_with_vectors_of_their_own():
    texts = Texts(np.array([5, 6]), ["Été doré", "table"], ["", ""], {"title": np.zeros((2, 3))})
    encoded = []

    def encode(kinds):
        encoded.append(kinds)
        return {"title": np.ones((2, 3))}

    lower = FakeEnsemble(lambda given: np.array([not t.isupper() for t in given.titles]))
    image = np.full((2, 27), np.nan)
    pool = Pool(np.ones(2), np.zeros(27))
    models = robustness.text_models({"plain": lower}, pool, texts, image, encode, seed=1)
    assert list(models) == [("text_ensemble", "plain"), ("late_fusion", "plain")]
    for predict in models.values():
        assert predict(robustness.NONE).argmax(axis=1).tolist() == [0, 0]
        assert predict("upper_case").argmax(axis=1).tolist() == [1, 1]
    assert encoded == [{"title": ["ÉTÉ DORÉ", "TABLE"], "description": ["", ""]}]


def test_image_models_see_each_spoilt_picture_through_the_network():
    contents = [picture(1), picture(2)]
    seen = []

    def extract(given):
        seen.append(given)
        facts = pd.DataFrame(
            [preprocessing.prepare(c, views=["product"], **PREPARE)[1] for c in given]
        )
        return {"grid": np.ones((2, 8)), "middle": np.ones((2, 3))}, facts

    always = FakeEnsemble(lambda given: np.ones(len(given[0]["grid"]), bool))
    text = np.full((2, 27), np.nan)
    pool = Pool(np.ones(2), np.zeros(27))
    models = robustness.image_models({"plain": always}, pool, contents, text, extract)
    for predict in models.values():
        for name in robustness.PICTURES:
            assert predict(name).argmax(axis=1).tolist() == [0, 0]
    assert seen[0] == contents
    assert len(seen) == len(robustness.PICTURES)  # once for both models
    assert all(changed != contents for changed in seen[1:])


def test_extract_prepares_as_the_extract_stage_does():
    contents = [picture(number) for number in range(5)]
    network = {"backbone": "vgg16", "precision": "float32"}
    settings = Settings(**network, views=["flip"], batch_size=2, **PREPARE)
    sizes = []

    def compute(pixels):
        sizes.append(len(pixels))
        means = pixels.reshape(len(pixels), -1).mean(axis=1, keepdims=True)
        return dict.fromkeys(("average", "grid", "middle"), means)

    features, facts = robustness.extract(
        contents, compute=compute, settings=settings, progress=partial(tqdm, disable=True)
    )
    assert sizes == [2, 2, 1]
    expected = [preprocessing.prepare(c, views=["product"], **PREPARE) for c in contents]
    np.testing.assert_allclose(
        features["grid"][:, 0], [pixels.mean() for pixels, _ in expected], rtol=1e-6
    )
    assert facts.to_numpy().tolist() == [list(row) for _, row in expected]


def test_an_image_classifier_stands_beside_itself_without_further_views():
    generator = np.random.default_rng(0)
    labels, folds = np.tile([0, 1, 2], 8), np.repeat([0, 1], 12)
    views = [{"average": generator.random((24, 4), np.float32)} for _ in range(2)]
    settings = image_ensemble.Settings(
        average=1.0, grid=0.0, middle=0.0, frame=0.0, landmarks=20, ridge=0.1, offsets=1.0, folds=2
    )
    stored, _ = image_ensemble.fit(views, labels, folds, settings, seed=1)
    train = Examples(np.arange(24), None, np.ones(24, bool), labels, np.array(["train"] * 24))
    given = train, np.arange(24), settings
    assert robustness.image_trainings(stored, views[:1], *given, seed=1) == {"plain": stored}
    found = robustness.image_trainings(stored, views, *given, seed=1)
    assert list(found) == ["plain", "augmented"]
    assert found["augmented"] is stored
    folds = splits.folds(labels, np.arange(24), count=2, seed=1)
    alone, _ = image_ensemble.fit(views[:1], labels, folds, settings, seed=1)
    np.testing.assert_array_equal(
        found["plain"].probabilities(views[:1]), alone.probabilities(views[:1])
    )
    none = replace(train, present=np.zeros(24, bool))
    assert robustness.image_trainings(stored, views, none, np.arange(24), settings, seed=1) == {}
