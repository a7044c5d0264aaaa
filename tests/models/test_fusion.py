import numpy as np
import pytest
from scipy.special import softmax

from rakuten.data.examples import Examples, side_by_side
from rakuten.models import fusion, nets

pytestmark = pytest.mark.tensorflow

ROWS = 40
PARTS = np.repeat(["train", "test"], [30, 10])


def side(seed, width, absent):
    """Draw the outputs and the output layer of a net; its probabilities follow from both."""
    generator = np.random.default_rng(seed)
    present = np.ones(ROWS, bool)
    present[absent] = False
    hidden = np.abs(generator.normal(size=(ROWS, width))).astype(np.float32) * present[:, None]
    head = {
        "probabilities/kernel": generator.normal(size=(width, 27)).astype(np.float32),
        "probabilities/bias": generator.normal(size=27).astype(np.float32),
    }
    scores = hidden @ head["probabilities/kernel"] + head["probabilities/bias"]
    outputs = {"ids": np.arange(ROWS), "present": present, "hidden": hidden}
    return outputs | {"probabilities": softmax(scores, axis=1)}, head


def started(hidden_units=16, without_text=(0, 31)):
    """A fusion net of two drawn nets at its start; each modality is missing in some rows."""
    (text, text_head), (image, image_head) = side(1, 4, list(without_text)), side(2, 6, [1, 2, 32])
    both = side_by_side(text, image)
    labels = text["probabilities"].argmax(axis=1)
    examples = Examples(both["ids"], both["features"], both["present"], labels, PARTS)
    net = nets.fusion_net(
        10, hidden_units=hidden_units, first_dropout=0.2, dropout=0.5, norm_momentum=0.9, seed=1
    )
    sides, heads = (text, image), (text_head, image_head)
    return net, fusion.start(net, sides, heads, examples, bias_l2=10), sides, heads, examples


def test_the_net_starts_as_the_weighted_sum_of_both_nets_scores():
    net, fitted, sides, heads, examples = started()
    sums = [
        weight * outputs["hidden"] @ head["probabilities/kernel"]
        for weight, outputs, head in zip(fitted.weights, sides, heads, strict=True)
    ]
    expected = softmax(sum(sums) + fitted.biases, axis=1)
    found = net.predict(examples.features, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert fitted.weights[0] > fitted.weights[1]  # the labels are the text net's predictions


def test_a_modality_that_no_product_has_adds_nothing():
    net, fitted, (text, image), (_, head), examples = started(without_text=range(ROWS))
    sums = fitted.weights[1] * image["hidden"] @ head["probabilities/kernel"]
    found = net.predict(examples.features, verbose=0)
    np.testing.assert_allclose(found, softmax(sums + fitted.biases, axis=1), rtol=1e-3, atol=1e-5)
    _, augmented = fusion.add_single_modalities([text, image], examples)
    assert len(augmented.ids) == ROWS


def test_training_mode_changes_the_start_only_by_dropout():
    net, _, _, _, examples = started()
    for name in ("first_dropout", "dropout"):
        net.get_layer(name).rate = 0.0
    train = examples.features[:30]
    np.testing.assert_allclose(
        np.asarray(net(train, training=True)),
        np.asarray(net(train, training=False)),
        rtol=1e-2,
        atol=1e-4,
    )


def test_the_ensemble_keeps_the_probabilities_of_products_with_one_modality():
    _, _, (text, image), _, examples = started()
    found = fusion.net_ensemble((text, image), examples, bias_l2=10)
    assert list(found) == ["ids", "present", "net_ensemble"]
    np.testing.assert_array_equal(
        found["net_ensemble"][[0, 31]], image["probabilities"][[0, 31]].astype(np.float32)
    )
    np.testing.assert_array_equal(
        found["net_ensemble"][[1, 32]], text["probabilities"][[1, 32]].astype(np.float32)
    )
    np.testing.assert_allclose(found["net_ensemble"].sum(axis=1), 1, rtol=1e-5)
    assert found["present"].all()


def test_train_rows_with_both_modalities_are_added_with_one():
    _, _, sides, _, examples = started()
    extended, augmented = fusion.add_single_modalities(sides, examples)
    both = np.arange(3, 30)  # the first three rows lack a modality
    assert augmented.ids[ROWS:].tolist() == [*both, *both]
    np.testing.assert_array_equal(augmented.labels[ROWS:], np.tile(examples.labels[both], 2))
    np.testing.assert_array_equal(augmented.features[:ROWS], examples.features)
    without_image, without_text = np.split(augmented.features[ROWS:], 2)
    np.testing.assert_array_equal(without_image[:, :4], examples.features[both, :4])
    np.testing.assert_array_equal(without_text[:, 4:], examples.features[both, 4:])
    assert not without_image[:, 4:].any()
    assert not without_text[:, :4].any()
    assert augmented.present.all()
    for side, missing in zip(extended, (without_text, without_image), strict=True):
        assert (~side["present"][ROWS:]).sum() == len(missing)


def test_dense_layers_must_hold_both_hidden_layers():
    with pytest.raises(ValueError, match=r"fusion.hidden_units is 9: expected at least 10"):
        started(hidden_units=9)


def test_train_rows_that_have_the_modality_get_their_out_of_fold_outputs():
    outputs = {
        "ids": np.arange(4),
        "present": np.array([True, False, True, True]),
        "probabilities": np.full((4, 2), 0.5),
        "hidden": np.zeros((4, 3)),
        "out_of_fold_probabilities": np.full((2, 2), 0.1),
        "out_of_fold_hidden": np.ones((2, 3)),
    }
    found = fusion.held_out(outputs, np.array(["train", "train", "test", "train"]))
    assert found["hidden"][:, 0].tolist() == [1, 0, 0, 1]
    assert found["probabilities"][:, 0].tolist() == [0.1, 0.5, 0.5, 0.1]
    assert outputs["hidden"].max() == 0
