import keras
import numpy as np
import pytest

from rakuten.models import nets

pytestmark = pytest.mark.tensorflow


def test_text_net_has_the_layers_of_the_study():
    net = nets.dense_net(5035, scaling="none", hidden_units=256, dropout=0.7)
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
    net = nets.dense_net(512, scaling="sqrt_l2", hidden_units=256, dropout=0.5)
    assert net.count_params() == 138_267


def test_scaling_takes_square_roots_and_rows_of_equal_length():
    features = np.array([[0, 9, 16], [0, 0, 0]], np.float32)
    scaled = nets.dense_net(3, scaling="sqrt_l2", hidden_units=4, dropout=0)
    plain = nets.dense_net(3, scaling="none", hidden_units=4, dropout=0)
    plain.set_weights(scaled.get_weights())
    expected = np.array([[0, 6, 8], [0, 0, 0]], np.float32)
    np.testing.assert_allclose(
        scaled.predict(features, verbose=0), plain.predict(expected, verbose=0), rtol=1e-5
    )
    with pytest.raises(ValueError, match="scaling is 'sqrt': expected one of none, sqrt_l2"):
        nets.dense_net(3, scaling="sqrt", hidden_units=4, dropout=0)


def test_fusion_net_has_the_layers_of_the_study():
    net = nets.fusion_net(
        512, hidden_units=1024, first_dropout=0.25, dropout=0.5, norm_momentum=0.9
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


BUILDS = {
    "dense_net": {"scaling": "sqrt_l2", "hidden_units": 8, "dropout": 0.5},
    "fusion_net": {
        "hidden_units": 8,
        "first_dropout": 0.2,
        "dropout": 0.5,
        "norm_momentum": 0.9,
    },
}


@pytest.mark.parametrize("name", BUILDS)
def test_restored_net_predicts_the_same(name):
    keras.utils.set_random_seed(0)
    net = nets.BUILDERS[name](6, **BUILDS[name])
    features = np.random.default_rng(0).random(size=(5, 6), dtype=np.float32)
    net.compile("adam", "sparse_categorical_crossentropy")
    net.fit(features, np.arange(5), epochs=2, verbose=0)  # moves the batch statistics too
    copy = nets.restore(nets.describe(net, **BUILDS[name]), nets.weights(net))
    np.testing.assert_array_equal(
        net.predict(features, verbose=0), copy.predict(features, verbose=0)
    )


def test_restore_refuses_what_it_did_not_write():
    net = nets.dense_net(6, scaling="none", hidden_units=8, dropout=0.5)
    described = nets.describe(net, scaling="none", hidden_units=8, dropout=0.5)
    arrays = nets.weights(net)
    with pytest.raises(ValueError, match=r"unknown model builder 'os.system': expected one of"):
        nets.restore(described | {"builder": "os.system"}, arrays)
    with pytest.raises(ValueError, match="weights do not fit dense_net"):
        nets.restore(described | {"num_inputs": 7}, arrays)
    with pytest.raises(ValueError, match="weights do not fit dense_net"):
        nets.restore(described, {k: v for k, v in arrays.items() if k != "hidden/bias"})
    with pytest.raises(ValueError, match="predicts 2 categories"):
        nets.restore(described | {"categories": [10, 40]}, arrays)
