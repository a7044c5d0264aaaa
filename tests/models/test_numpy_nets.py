import numpy as np
import pytest
from scipy import sparse

from rakuten.determinism import keras
from rakuten.models import nets, numpy_nets

pytestmark = pytest.mark.tensorflow

NETS = {
    "dense_net": (40, {"scaling": "none", "hidden_units": 16, "dropout": 0.5}),
    "scaled": (40, {"scaling": "sqrt_l2", "hidden_units": 16, "dropout": 0.5}),
    "fusion_net": (
        12,
        {"hidden_units": 32, "first_dropout": 0.2, "dropout": 0.5, "norm_momentum": 0.5},
    ),
}


@pytest.fixture(params=NETS)
def net(request):
    """A net with drawn weights, its description and its arrays."""
    inputs, arguments = NETS[request.param]
    builder = nets.fusion_net if request.param == "fusion_net" else nets.dense_net
    model = builder(inputs, **arguments, seed=1)
    generator = np.random.default_rng(2)
    for variable in model.variables:
        if "seed_generator" not in variable.path:
            drawn = generator.normal(scale=0.5, size=variable.shape)
            variable.assign(np.abs(drawn) + 0.1 if "variance" in variable.name else drawn)
    return model, nets.describe(model, **arguments), nets.weights(model)


def features(inputs, rows=1100):
    drawn = np.random.default_rng(3).normal(size=(rows, inputs)).astype(np.float32)
    return drawn * (drawn > 0.3)


def outputs(net, x, threads):
    return net.probabilities(x, threads=threads), net.hidden(x, threads=threads)


def test_outputs_equal_those_of_keras(net):
    model, description, weights = net
    x = features(description["num_inputs"])
    reader = keras.Model(model.inputs, [model.outputs[0], model.get_layer(nets.HIDDEN).output])
    expected = reader.predict(x, verbose=0)
    restored = numpy_nets.restore(description, weights)
    for given in (x, sparse.csr_array(x)):
        for found, wanted in zip(outputs(restored, given, 2), expected, strict=True):
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-6)


def test_outputs_do_not_depend_on_threads_or_chunks(net):
    _, description, weights = net
    restored = numpy_nets.restore(description, weights)
    x = features(description["num_inputs"])
    alone = outputs(restored, x, 1)
    for found, wanted in zip(outputs(restored, x, 3), alone, strict=True):
        np.testing.assert_array_equal(found, wanted)
    for found, wanted in zip(outputs(restored, x[: numpy_nets.CHUNK], 1), alone, strict=True):
        np.testing.assert_array_equal(found, wanted[: numpy_nets.CHUNK])
    assert [array.shape[0] for array in outputs(restored, x[:0], 2)] == [0, 0]


def test_the_hidden_layer_is_written_to_the_given_columns(net):
    _, description, weights = net
    restored = numpy_nets.restore(description, weights)
    x = features(description["num_inputs"])
    alone = restored.hidden(x, threads=2)
    wide = np.full((len(x), alone.shape[1] + 5), 7, np.float32)
    for given in (x, sparse.csr_array(x)):
        found = restored.hidden(given, threads=2, out=wide[:, 3:-2])
        assert np.shares_memory(found, wide)
        np.testing.assert_allclose(wide[:, 3:-2], alone, rtol=2e-5, atol=2e-6)
        assert (wide[:, :3] == 7).all()
        assert (wide[:, -2:] == 7).all()


def test_the_epsilon_is_the_default_of_keras(net):
    model = net[0]
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert all(layer.epsilon == numpy_nets.NORM_EPSILON for layer in norms)


def test_files_that_do_not_fit_are_rejected(net):
    _, description, weights = net
    with pytest.raises(ValueError, match="unknown builder 'lambda'"):
        numpy_nets.restore(description | {"builder": "lambda"}, weights)
    less = {name: array for name, array in weights.items() if name != "hidden/bias"}
    with pytest.raises(ValueError, match="lack hidden/bias: take"):
        numpy_nets.restore(description, less)
    with pytest.raises(ValueError, match="features have 3 columns, the net expects"):
        numpy_nets.restore(description, weights).hidden(np.zeros((2, 3), np.float32), threads=1)
