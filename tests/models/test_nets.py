import numpy as np
import pytest

from rakuten.categories import CODES
from rakuten.determinism import keras
from rakuten.models import nets

pytestmark = pytest.mark.tensorflow


def test_text_net_has_the_layers_of_the_study():
    net = nets.dense_net(5035, scaling="none", hidden_units=256, dropout=0.7, seed=1)
    assert net.count_params() == 1_296_155
    assert [type(layer).__name__ for layer in net.layers] == [
        "InputLayer",
        "Dense",
        "Dropout",
        "Dense",
    ]
    assert net.get_layer("dropout").rate == 0.7
    assert net.get_layer(nets.HIDDEN).activation is keras.activations.relu


def test_image_net_has_the_parameters_of_the_study():
    net = nets.dense_net(512, scaling="sqrt_l2", hidden_units=256, dropout=0.5, seed=1)
    assert net.count_params() == 138_267


def test_scaling_takes_square_roots_and_rows_of_equal_length():
    features = np.array([[0, 9, 16], [0, 0, 0]], np.float32)
    scaled = nets.dense_net(3, scaling="sqrt_l2", hidden_units=4, dropout=0, seed=1)
    plain = nets.dense_net(3, scaling="none", hidden_units=4, dropout=0, seed=1)
    plain.set_weights(scaled.get_weights())
    expected = np.array([[0, 6, 8], [0, 0, 0]], np.float32)
    np.testing.assert_allclose(
        scaled.predict(features, verbose=0), plain.predict(expected, verbose=0), rtol=1e-5
    )
    with pytest.raises(ValueError, match="scaling is 'sqrt': expected one of none, sqrt_l2"):
        nets.dense_net(3, scaling="sqrt", hidden_units=4, dropout=0, seed=1)


def test_fusion_net_has_the_layers_of_the_study():
    net = nets.fusion_net(
        512, hidden_units=1024, first_dropout=0.25, dropout=0.5, norm_momentum=0.9, seed=1
    )
    assert net.count_params() == 1_612_827
    assert sum(
        int(np.prod(w.shape)) for w in net.non_trainable_weights if w.dtype == "float32"
    ) == (5_120)
    assert [type(layer).__name__ for layer in net.layers] == [
        "InputLayer",
        "BatchNormalization",
        "Dense",
        "BatchNormalization",
        "Dropout",
        "Dense",
        "BatchNormalization",
        "Dropout",
        "Dense",
    ]
    assert (net.get_layer("first_dropout").rate, net.get_layer("dropout").rate) == (0.25, 0.5)


def test_initial_weights_depend_on_the_seed_only():
    def kernel(seed):
        net = nets.dense_net(3, scaling="none", hidden_units=4, dropout=0.5, seed=seed)
        return net.get_layer("hidden").get_weights()[0]

    first = kernel(1)
    np.testing.assert_array_equal(first, kernel(1))
    assert (first != kernel(2)).all()


def test_the_description_has_what_a_reader_needs_to_build_the_net():
    arguments = {"scaling": "none", "hidden_units": 4, "dropout": 0.5}
    net = nets.dense_net(3, **arguments, seed=1)
    assert nets.describe(net, **arguments) == {
        "builder": "dense_net",
        "num_inputs": 3,
        "arguments": arguments,
        "parameters": 3 * 4 + 4 + 4 * 27 + 27,
        "categories": list(CODES),
    }
    assert {name: array.shape for name, array in nets.weights(net).items()} == {
        "hidden/kernel": (3, 4),
        "hidden/bias": (4,),
        "probabilities/kernel": (4, 27),
        "probabilities/bias": (27,),
    }
