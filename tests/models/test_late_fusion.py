import numpy as np
import pytest
from scipy.special import softmax

from rakuten.data.examples import Examples
from rakuten.evaluation import metrics
from rakuten.models import calibration, late_fusion

ROWS = 400


def scene(seed=0):
    """Two classifiers that each know half of it; a tenth lacks a title, a tenth a picture."""
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


def test_it_weighs_both_and_beats_each():
    text, image, examples = scene()
    pool, outputs = late_fusion.fit(text, image, examples, offsets=10.0)
    np.testing.assert_allclose(pool.weights, [1, 1], atol=0.25)
    rows = (examples.parts == "test") & text["present"] & image["present"]
    losses = [
        metrics.measure(examples.labels[rows], side["probabilities"][rows])["log_loss"]
        for side in (outputs, text, image)
    ]
    assert losses[0] < min(losses[1:]) - 0.5


def test_every_product_gets_the_pool_or_the_side_it_has():
    text, image, examples = scene()
    pool, outputs = late_fusion.fit(text, image, examples, offsets=10.0)
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
    scores = pool.weights[0] * logs[0] + pool.weights[1] * logs[1] + pool.offsets
    np.testing.assert_allclose(found[both], softmax(scores, axis=1), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(found[399], examples.prior())


def test_labels_outside_the_train_part_and_of_half_products_change_nothing():
    text, image, examples = scene()
    both = text["present"] & image["present"]
    used = both & (examples.parts == "train")
    labels = np.where(used, examples.labels, (examples.labels + 5) % 27)
    changed = Examples(examples.ids, None, examples.present, labels, examples.parts)
    pool, outputs = late_fusion.fit(text, image, examples, offsets=10.0)
    again, others = late_fusion.fit(text, image, changed, offsets=10.0)
    assert again.weights.tobytes() == pool.weights.tobytes()
    assert again.offsets.tobytes() == pool.offsets.tobytes()
    either = examples.present
    assert others["probabilities"][either].tobytes() == outputs["probabilities"][either].tobytes()
    flipped = np.where(used, (examples.labels + 5) % 27, examples.labels)
    flipped = Examples(examples.ids, None, either, flipped, examples.parts)
    assert late_fusion.fit(text, image, flipped, offsets=10.0)[0].weights.max() < 0.1


def test_probabilities_outside_the_train_part_do_not_reach_the_weights():
    text, image, examples = scene()
    pool, _ = late_fusion.fit(text, image, examples, offsets=10.0)
    other = text["probabilities"].copy()
    other[examples.parts != "train"] = 1 / 27
    again, _ = late_fusion.fit(text | {"probabilities": other}, image, examples, offsets=10.0)
    assert again.weights.tobytes() == pool.weights.tobytes()


def test_where_a_side_is_missing_the_other_stands_to_the_last_bit():
    text, image, _ = scene()
    text, image = text["probabilities"][:4].copy(), image["probabilities"][:4].copy()
    text[[1, 3]] = image[[2, 3]] = np.nan
    pool = calibration.Pool(np.array([0.5, 2.0]), np.linspace(-1, 1, 27))
    fused = late_fusion.fuse(pool, text, image)
    assert fused.dtype == np.float32
    assert fused[1].tobytes() == image[1].tobytes()
    assert fused[2].tobytes() == text[2].tobytes()
    assert np.isnan(fused[3]).all()
    alone = pool.probabilities([np.log(text[:1]), np.log(image[:1])])
    np.testing.assert_allclose(fused[:1], alone, rtol=1e-4, atol=1e-7)
    assert late_fusion.fuse(pool, text[3:], image[3:]).shape == (1, 27)
    assert late_fusion.fuse(pool, text[:0], image[:0]).shape == (0, 27)


def test_the_ends_of_the_share_table_are_each_side_alone():
    text, image, examples = scene()
    table = late_fusion.share_table(text, image, examples)
    assert table["image_share"].tolist() == [round(share / 20, 6) for share in range(21)]
    rows = text["present"] & image["present"] & (examples.parts == "train")
    assert set(table["rows"]) == {rows.sum()}
    for row, side in ((table.iloc[0], text), (table.iloc[-1], image)):
        alone = metrics.measure(examples.labels[rows], side["probabilities"][rows])
        names = table.columns[1:]
        assert {name: row[name] for name in names} == {name: alone[name] for name in names}
    assert table["log_loss"].idxmin() not in (0, 20)


def test_the_middle_of_the_share_table_is_the_geometric_mean():
    text, image, examples = scene()
    row = late_fusion.share_table(text, image, examples).iloc[10]
    rows = text["present"] & image["present"] & (examples.parts == "train")
    product = np.sqrt(text["probabilities"][rows] * image["probabilities"][rows])
    product /= product.sum(axis=1, keepdims=True)
    expected = metrics.measure(examples.labels[rows], product)
    assert row["accuracy"] == pytest.approx(expected["accuracy"], abs=2e-6)
    assert row["log_loss"] == pytest.approx(expected["log_loss"], abs=1e-3)


def test_without_a_product_that_has_both():
    text, image, examples = scene()
    text = text | {"present": ~image["present"]}
    examples = Examples(examples.ids, None, np.ones(ROWS, bool), examples.labels, examples.parts)
    pool, outputs = late_fusion.fit(text, image, examples, offsets=10.0)
    assert pool.weights.tolist() == [1, 1]
    expected = np.where(text["present"][:, None], text["probabilities"], image["probabilities"])
    np.testing.assert_array_equal(outputs["probabilities"], expected)
    table = late_fusion.share_table(text, image, examples)
    assert len(table) == 0
    assert table.columns[0] == "image_share"


def test_other_products_are_refused():
    text, image, examples = scene()
    with pytest.raises(ValueError, match="image outputs are of other products"):
        late_fusion.fit(text, image | {"ids": image["ids"][::-1]}, examples, offsets=1.0)
    with pytest.raises(ValueError, match="products are of other products"):
        late_fusion.fit(text | {"ids": text["ids"] + 1}, image, examples, offsets=1.0)


def test_masked_probabilities_are_nan_where_the_modality_is_missing():
    outputs = {"present": np.array([True, False, True]), "probabilities": np.ones((3, 27))}
    taken = late_fusion.masked(outputs, np.array([2, 1]))
    assert np.isnan(taken).all(axis=1).tolist() == [False, True]
