import numpy as np
import pytest
from scipy.special import softmax

from rakuten.data.examples import Examples
from rakuten.evaluation import metrics, mixtures

ROWS = 400


def outputs_and_examples():
    """Two classifiers whose scores sum to the true ones; a tenth lacks text, a tenth image."""
    generator = np.random.default_rng(0)
    truth = generator.normal(scale=2, size=(ROWS, 27))
    labels = (truth + generator.gumbel(size=truth.shape)).argmax(axis=1)
    half = generator.normal(scale=2, size=truth.shape)
    sides = []
    for number, scores in enumerate((truth - half, half)):
        present = np.arange(ROWS) % 10 != number
        probabilities = softmax(scores, axis=1).astype(np.float32)
        sides.append({"present": present, "probabilities": probabilities})
    parts = generator.choice(["train", "test"], ROWS, p=[0.8, 0.2])
    return *sides, Examples(np.arange(ROWS), None, np.ones(ROWS, bool), labels, parts)


def test_shares_zero_and_one_measure_text_and_image_alone():
    text, image, examples = outputs_and_examples()
    table = mixtures.share_table(text, image, examples)
    assert table["image_share"].tolist() == [round(share / 20, 6) for share in range(21)]
    rows = text["present"] & image["present"] & (examples.parts == "train")
    assert set(table["rows"]) == {rows.sum()}
    for row, side in ((table.iloc[0], text), (table.iloc[-1], image)):
        alone = metrics.measure(examples.labels[rows], side["probabilities"][rows])
        names = table.columns[1:]
        assert {name: row[name] for name in names} == {name: alone[name] for name in names}
    assert table["log_loss"].idxmin() not in (0, 20)


def test_share_one_half_measures_the_geometric_mean():
    text, image, examples = outputs_and_examples()
    row = mixtures.share_table(text, image, examples).iloc[10]
    rows = text["present"] & image["present"] & (examples.parts == "train")
    product = np.sqrt(text["probabilities"][rows] * image["probabilities"][rows])
    product /= product.sum(axis=1, keepdims=True)
    expected = metrics.measure(examples.labels[rows], product)
    assert row["accuracy"] == pytest.approx(expected["accuracy"], abs=2e-6)
    assert row["log_loss"] == pytest.approx(expected["log_loss"], abs=1e-3)


def test_the_table_is_empty_without_products_that_have_both_modalities():
    text, image, examples = outputs_and_examples()
    table = mixtures.share_table(text | {"present": ~image["present"]}, image, examples)
    assert len(table) == 0
    assert table.columns[0] == "image_share"


def sides():
    generator = np.random.default_rng(3)
    return [generator.dirichlet(np.full(27, 0.3), 8).astype(np.float32) for _ in range(2)]


def test_a_mixture_at_zero_is_a_copy_of_text_and_at_one_of_image():
    text, image = sides()
    for share, side in ((0, text), (0.0, text), (1, image), (1.0, image)):
        mixed = mixtures.mix(text, image, share)
        assert mixed.tobytes() == side.tobytes()
        assert not np.shares_memory(mixed, side)


def test_a_mixture_is_the_weighted_geometric_mean():
    text, image = sides()
    text[0, 5] = 0.0
    mixed = mixtures.mix(text, image, 0.25)
    products = np.maximum(text, 1e-7) ** 0.75 * np.maximum(image, 1e-7) ** 0.25
    expected = products / products.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mixed, expected, rtol=1e-4)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("share", [-0.01, 1.01, float("nan")])
def test_a_share_outside_zero_to_one_is_rejected(share):
    with pytest.raises(ValueError, match=f"image_share is {share}: expected 0 to 1"):
        mixtures.mix(*sides(), share)
