"""The rounded network against the one it was rounded from."""

import numpy as np
import pytest
from test_backbones import KINDS, cosines, extractor, vgg16_weights

from rakuten.determinism import keras
from rakuten.image import backbones, quantization

pytestmark = pytest.mark.tensorflow

SIZE = 48  # three rows and columns at the end: the quadrants share one


@pytest.fixture(scope="module")
def weights():
    return {key: array.astype(np.float32) for key, array in vgg16_weights().items()}


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(1).integers(0, 256, (10, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def ranges(weights, pixels, monkeypatch):
    """Drawn weights have other activations than VGG16's: their own ranges."""
    base = backbones.build("vgg16", weights, size=SIZE)
    layers = [base.get_layer(name).output for name in quantization.RANGES]
    inputs = keras.applications.vgg16.preprocess_input(pixels.astype(np.float32))
    seen = keras.Model(base.input, layers)(inputs)
    highest = [float(activations.numpy().max()) for activations in seen]
    measured = dict(zip(quantization.RANGES, highest, strict=True))
    monkeypatch.setattr(quantization, "RANGES", measured)


def test_layers_are_the_network_s_in_order(weights):
    base = backbones.build("vgg16", weights, size=SIZE)
    assert list(quantization.RANGES) == [layer.name for layer in base.layers if layer.weights]
    vgg16 = backbones.BACKBONES["vgg16"]
    assert (vgg16.middle, vgg16.last) == quantization.TAPPED


def test_features_are_those_of_the_network_but_for_rounding(ranges, weights, pixels):
    exact = extractor("vgg16", weights, size=SIZE)(pixels)
    rounded = extractor("vgg16", weights, size=SIZE, precision="int8")(pixels)
    for kind in KINDS:
        assert rounded[kind].dtype == exact[kind].dtype
        assert rounded[kind].shape == exact[kind].shape
        assert cosines(exact[kind], rounded[kind]).min() > 0.995
        shuffled = np.roll(exact[kind], 1, axis=0)
        assert cosines(exact[kind], rounded[kind]).min() > cosines(shuffled, exact[kind]).max()


def test_features_depend_on_neither_threads_nor_company(ranges, weights, pixels):
    alone = quantization.extractor(weights, size=SIZE, threads=1)
    together = quantization.extractor(weights, size=SIZE, threads=2)(pixels)
    for row in (0, 7, 9):
        for kind, array in alone(pixels[row : row + 1]).items():
            np.testing.assert_array_equal(array[0], together[kind][row])


@pytest.mark.parametrize("seed", range(3))
def test_rounded_kernels_keep_their_sums(seed):
    steps = np.random.default_rng(seed).uniform(-40, 40, (16, 8, 3, 3)).astype(np.float32)
    rounded = quantization._round(steps)
    assert rounded.dtype == np.int8
    assert np.abs(rounded.sum(axis=(2, 3)) - steps.sum(axis=(2, 3))).max() <= 0.5 + 1e-4
    assert np.abs(rounded - steps).max() < 1
    assert (np.rint(steps).sum(axis=(2, 3)) != rounded.sum(axis=(2, 3))).any()


def test_rounded_weights_stay_within_their_levels():
    steps = np.full((1, 1, 3, 3), quantization.WEIGHT_LEVELS - 0.4, np.float32)
    assert quantization._round(-steps).min() == -quantization.WEIGHT_LEVELS
    assert quantization._round(steps).max() == quantization.WEIGHT_LEVELS


def test_no_pair_of_products_overflows_16_bits(weights):
    """What processors without VNNI add first."""
    assert np.iinfo(np.int16).max >= 2 * 255 * quantization.WEIGHT_LEVELS
