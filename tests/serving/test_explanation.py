"""Explanations of a stand-in classifier whose effects are known."""

import numpy as np
import pytest

from rakuten.image.preprocessing import Facts
from rakuten.image.preprocessing import Prepared as PreparedImage
from rakuten.models import late_fusion
from rakuten.models.calibration import Calibration
from rakuten.serving import explanation
from rakuten.serving.classifier import Prepared, Probabilities

FUSION = Calibration(np.array([1.0, 2.0]), np.zeros(27))
PRIOR = np.full(27, 1 / 27, np.float32)


def towards(*scores):
    """Rows of probabilities whose first category is e^score times as likely as each other one."""
    odds = np.ones((len(scores), 27))
    odds[:, 0] = np.exp(scores)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


class StandIn:
    """Its text model counts "pool" for and "book" against; its image model sees a red corner."""

    fusion = FUSION

    def __init__(self):
        self.calls = []

    def probabilities(self, products):
        self.calls.append(products)
        words = [f"{one.title} {one.description}".split() for one in products]
        text = towards(*(2.0 * w.count("pool") - w.count("book") for w in words))
        text[[not w for w in words]] = np.nan
        reds = [
            0.0 if one.image is None else (one.image.pixels[0, :2, :2, 0] == 255).mean()
            for one in products
        ]
        image = towards(*(3.0 * red for red in reds))
        image[[one.image is None for one in products]] = np.nan
        fused = np.where(np.isnan(text), image, text)
        fused[np.isnan(fused)] = 1 / 27
        return Probabilities(text, image, fused.astype(np.float32))


def red_corner():
    """Black, with a red corner at the top left: 8x8 in one view."""
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    pixels[0, :2, :2, 0] = 255
    return PreparedImage(pixels, np.zeros((1, len(Facts._fields))))


def output(classifier, product):
    """Return the classifier's output, fused with the weights."""
    found = classifier.probabilities([product])
    fused = late_fusion.fuse(FUSION, found.text, found.image)
    fused[np.isnan(fused).any(axis=1)] = PRIOR
    classifier.calls.clear()
    return Probabilities(found.text, found.image, fused)


def test_words_are_letters_and_digits_with_joining_marks():
    text = "L'été à 1,5 m - porte-clés (rouge), n° 12."
    found = [text[start:end] for start, end in explanation.find_words(text)]
    assert found == ["L'été", "à", "1,5", "m", "porte-clés", "rouge", "n", "12"]
    assert explanation.find_words(" - ") == []


def test_effects_of_words_without_an_image():
    classifier, product = StandIn(), Prepared("pool round", "book", None)
    effects = explanation.word_effects(classifier, product, output(classifier, product))
    expected = {
        ("title", 0, 4, "pool"): 2.0,
        ("title", 5, 10, "round"): 0.0,
        ("description", 0, 4, "book"): -1.0,
    }
    assert [(e.field, e.start, e.end, e.word) for e in effects] == list(expected)
    np.testing.assert_allclose([e.effect for e in effects], list(expected.values()), atol=1e-5)
    assert effects[0].effect > 0 > effects[2].effect


def test_with_an_image_words_count_by_the_weight_of_text():
    """The image is not classified again for every word."""
    classifier, product = StandIn(), Prepared("pool round", "", red_corner())
    before = output(classifier, product)
    effects = explanation.word_effects(classifier, product, before)
    np.testing.assert_allclose([e.effect for e in effects], [2.0, 0.0], atol=1e-5)
    assert all(one.image is None for call in classifier.calls for one in call)


def test_without_its_only_word_a_product_has_its_image_or_the_prior():
    classifier = StandIn()
    for image, expected in ((red_corner(), (2 + 2 * 3) - 3), (None, 2)):
        product = Prepared("pool", "", image)
        before = output(classifier, product)
        (word,) = explanation.word_effects(classifier, product, before)
        assert word.effect == pytest.approx(expected, abs=1e-5)


def test_only_the_first_words_are_left_out(monkeypatch):
    monkeypatch.setattr(explanation, "MAX_WORDS", 3)
    classifier, product = StandIn(), Prepared("pool a", "b c", None)
    before = output(classifier, product)
    effects = explanation.word_effects(classifier, product, before)
    assert [e.word for e in effects] == ["pool", "a", "b"]
    assert explanation.word_effects(classifier, Prepared("", "", red_corner()), before) == []


@pytest.fixture
def grid_of_four(monkeypatch):
    """Four regions along each side: edges of pixels."""
    monkeypatch.setattr(explanation, "GRID", 4)


@pytest.mark.usefixtures("grid_of_four")
def test_the_region_that_is_evidence_for_the_category_is_found():
    classifier, product = StandIn(), Prepared("round", "", red_corner())
    before = output(classifier, product)
    steps = []
    effects = explanation.region_effects(
        classifier, product, before, advance=lambda *step: steps.append(step)
    )
    expected = np.zeros((4, 4))
    expected[0, 0] = 2 * 3.0
    np.testing.assert_allclose(effects, expected, atol=1e-5)
    assert steps == [(7, 16), (14, 16), (16, 16)]
    assert all(not one.title for call in classifier.calls for one in call)


@pytest.mark.usefixtures("grid_of_four")
def test_rows_run_from_the_top_and_the_image_is_not_changed():
    pixels, facts = red_corner()
    flipped = np.ascontiguousarray(pixels[:, ::-1])

    class Bottom(StandIn):
        def probabilities(self, products):
            turned = [
                Prepared(p.title, p.description, PreparedImage(p.image.pixels[:, ::-1], facts))
                for p in products
            ]
            return super().probabilities(turned)

    classifier, product = Bottom(), Prepared("", "", PreparedImage(flipped, facts))
    effects = explanation.region_effects(classifier, product, output(classifier, product))
    assert np.unravel_index(effects.argmax(), effects.shape) == (3, 0)
    np.testing.assert_array_equal(flipped, pixels[:, ::-1])


@pytest.mark.usefixtures("grid_of_four")
def test_regions_are_those_of_the_first_view():
    """The flipped view has the corner at the right; the mean of both views would halve it."""

    class MeanOfViews(StandIn):
        def probabilities(self, products):
            found = super().probabilities(products)
            reds = [(p.image.pixels[..., 0] == 255).mean() * 16 for p in products]
            return Probabilities(found.text, towards(*(3.0 * red for red in reds)), found.fused)

    pixels, facts = red_corner()
    both = PreparedImage(np.concatenate([pixels, pixels[:, :, ::-1]]), facts.repeat(2, axis=0))
    classifier, product = MeanOfViews(), Prepared("round", "", both)
    before = output(classifier, product)
    effects = explanation.region_effects(classifier, product, before)
    expected = np.zeros((4, 4))
    expected[0, 0] = 2 * 3.0
    np.testing.assert_allclose(effects, expected, atol=1e-5)


@pytest.mark.usefixtures("grid_of_four")
def test_a_single_view_is_not_classified_again():
    classifier, product = StandIn(), Prepared("round", "", red_corner())
    before = output(classifier, product)
    explanation.region_effects(classifier, product, before)
    assert [len(call) for call in classifier.calls] == [7, 7, 2]


def test_regions_need_an_image():
    product = Prepared("pool", "", None)
    classifier = StandIn()
    with pytest.raises(ValueError, match="no image"):
        explanation.region_effects(classifier, product, output(classifier, product))


def test_a_certain_prediction_has_effects_too():
    """A probability near 1 hardly changes; the log-odds do."""
    classifier, product = StandIn(), Prepared("pool " * 8, "", None)
    before = output(classifier, product)
    assert before.fused[0, 0] > 0.99999
    effects = explanation.word_effects(classifier, product, before)
    np.testing.assert_allclose([e.effect for e in effects], 2.0, atol=1e-3)
