import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from rakuten.data.examples import Examples
from rakuten.models import late_fusion
from rakuten.models.calibration import Calibration

ROWS = 400


def outputs_and_examples(seed=0):
    """Two classifiers whose scores sum to the true ones; a tenth lacks text, a tenth image."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(scale=2, size=(ROWS, 27))
    labels = (truth + generator.gumbel(size=truth.shape)).argmax(axis=1)
    half = generator.normal(scale=2, size=truth.shape)
    ids = np.arange(ROWS) * 3 + 1
    sides = []
    for number, scores in enumerate((truth - half, half)):
        present = np.arange(ROWS) % 10 != number
        probabilities = softmax(scores, axis=1).astype(np.float32)
        probabilities[~present] = 1 / 27
        sides.append({"ids": ids, "present": present, "probabilities": probabilities})
    text, image = sides
    either = np.arange(ROWS) != 399  # the last has neither
    text["present"][399] = image["present"][399] = False
    parts = generator.choice(["train", "validation", "test"], ROWS, p=[0.6, 0.2, 0.2])
    return text, image, Examples(ids, None, either, labels, parts)


def test_fusion_weighs_both_modalities_and_has_a_lower_loss_than_each():
    text, image, examples = outputs_and_examples()
    fitted, outputs = late_fusion.fit(text, image, examples, bias_l2=10.0)
    np.testing.assert_allclose(fitted.weights, [1, 1], atol=0.25)
    rows = (examples.parts == "test") & text["present"] & image["present"]
    losses = [
        log_loss(examples.labels[rows], side["probabilities"][rows], labels=np.arange(27))
        for side in (outputs, text, image)
    ]
    assert losses[0] < min(losses[1:]) - 0.5


def test_every_product_gets_the_fusion_or_its_only_modality():
    text, image, examples = outputs_and_examples()
    fitted, outputs = late_fusion.fit(text, image, examples, bias_l2=10.0)
    assert list(outputs) == ["ids", "present", "probabilities"]
    np.testing.assert_array_equal(outputs["ids"], examples.ids)
    np.testing.assert_array_equal(outputs["present"], examples.present)
    found = outputs["probabilities"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    only_text = text["present"] & ~image["present"]
    only_image = image["present"] & ~text["present"]
    both = text["present"] & image["present"]
    assert (only_text.sum(), only_image.sum(), both.sum()) == (40, 40, 319)
    np.testing.assert_array_equal(found[only_text], text["probabilities"][only_text])
    np.testing.assert_array_equal(found[only_image], image["probabilities"][only_image])
    logs = [np.log(np.maximum(side["probabilities"][both], 1e-7)) for side in (text, image)]
    scores = fitted.weights[0] * logs[0] + fitted.weights[1] * logs[1] + fitted.biases
    np.testing.assert_allclose(found[both], softmax(scores, axis=1), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(found[399], examples.prior())


def test_only_labels_of_train_rows_with_both_modalities_are_used():
    text, image, examples = outputs_and_examples()
    both = text["present"] & image["present"]
    used = both & (examples.parts == "train")
    labels = np.where(used, examples.labels, (examples.labels + 5) % 27)
    changed = Examples(examples.ids, None, examples.present, labels, examples.parts)
    fitted, outputs = late_fusion.fit(text, image, examples, bias_l2=10.0)
    again, others = late_fusion.fit(text, image, changed, bias_l2=10.0)
    assert again.weights.tobytes() == fitted.weights.tobytes()
    assert again.biases.tobytes() == fitted.biases.tobytes()
    either = examples.present
    assert others["probabilities"][either].tobytes() == outputs["probabilities"][either].tobytes()
    flipped = np.where(used, (examples.labels + 5) % 27, examples.labels)
    flipped = Examples(examples.ids, None, either, flipped, examples.parts)
    assert late_fusion.fit(text, image, flipped, bias_l2=10.0)[0].weights.max() < 0.1


def test_probabilities_outside_the_train_part_do_not_change_the_weights():
    text, image, examples = outputs_and_examples()
    fitted, _ = late_fusion.fit(text, image, examples, bias_l2=10.0)
    other = text["probabilities"].copy()
    other[examples.parts != "train"] = 1 / 27
    again, _ = late_fusion.fit(text | {"probabilities": other}, image, examples, bias_l2=10.0)
    assert again.weights.tobytes() == fitted.weights.tobytes()


def test_where_one_modality_is_missing_the_other_is_unchanged():
    text, image, _ = outputs_and_examples()
    text, image = text["probabilities"][:4].copy(), image["probabilities"][:4].copy()
    text[[1, 3]] = image[[2, 3]] = np.nan
    fitted = Calibration(np.array([0.5, 2.0]), np.linspace(-1, 1, 27))
    fused = late_fusion.fuse(fitted, text, image)
    assert fused.dtype == np.float32
    assert fused[1].tobytes() == image[1].tobytes()
    assert fused[2].tobytes() == text[2].tobytes()
    assert np.isnan(fused[3]).all()
    alone = fitted.probabilities([np.log(text[:1]), np.log(image[:1])])
    np.testing.assert_allclose(fused[:1], alone, rtol=1e-4, atol=1e-7)
    assert late_fusion.fuse(fitted, text[3:], image[3:]).shape == (1, 27)
    assert late_fusion.fuse(fitted, text[:0], image[:0]).shape == (0, 27)


def test_without_products_that_have_both_modalities():
    text, image, examples = outputs_and_examples()
    text = text | {"present": ~image["present"]}
    examples = Examples(examples.ids, None, np.ones(ROWS, bool), examples.labels, examples.parts)
    fitted, outputs = late_fusion.fit(text, image, examples, bias_l2=10.0)
    assert fitted.weights.tolist() == [1, 1]
    expected = np.where(text["present"][:, None], text["probabilities"], image["probabilities"])
    np.testing.assert_array_equal(outputs["probabilities"], expected)


def test_outputs_of_other_products_are_rejected():
    text, image, examples = outputs_and_examples()
    with pytest.raises(ValueError, match="image outputs are of other products"):
        late_fusion.fit(text, image | {"ids": image["ids"][::-1]}, examples, bias_l2=1.0)
    with pytest.raises(ValueError, match="products are of other products"):
        late_fusion.fit(text | {"ids": text["ids"] + 1}, image, examples, bias_l2=1.0)


def test_masked_probabilities_are_nan_where_the_modality_is_missing():
    _, image, examples = outputs_and_examples()
    taken = late_fusion.masked(image, examples, np.array([2, 1]))
    assert np.isnan(taken).all(axis=1).tolist() == (~image["present"][[2, 1]]).tolist()
    with pytest.raises(ValueError, match="outputs are of other products"):
        late_fusion.masked(image | {"ids": image["ids"][::-1]}, examples, np.array([2, 1]))


@pytest.mark.parametrize("missing", ["none", "image", "text"])
def test_contributions_and_bias_add_up_to_the_log_odds(missing):
    generator = np.random.default_rng(0)
    text, image = generator.dirichlet(np.full(27, 2.0), (2, 5))
    biases = generator.normal(size=27)
    fitted = Calibration(np.array([0.8, 1.3]), biases - biases.mean())
    labels = np.array([0, 3, 26, 3, 9])
    if missing != "none":
        {"text": text, "image": image}[missing][:] = np.nan
    fused = np.log(late_fusion.fuse(fitted, text, image).astype(np.float64))
    shown = fused[np.arange(5), labels] - fused.mean(axis=1)
    found = late_fusion.contributions(fitted, text, image, labels)
    bias = fitted.biases[labels] if missing == "none" else 0
    np.testing.assert_allclose(np.nansum(found, axis=1) + bias, shown, atol=1e-4)
    assert np.isnan(found).any(axis=0).tolist() == [missing == "text", missing == "image"]
