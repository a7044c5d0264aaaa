"""The quantized network against the float network it was made from."""

import numpy as np
import onnx
import pytest
from backbone_cases import cosines, extractor
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader

from rakuten import storage
from rakuten.determinism import keras
from rakuten.image import backbones, quantization

pytestmark = pytest.mark.tensorflow

SIZE = 48
VGG16 = backbones.BACKBONES["vgg16"]


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(1).integers(0, 256, (10, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def inputs(pixels):
    return VGG16.preprocess(pixels.astype(np.float32))


def quantize(weights, ranges, calibration=None):
    network = quantization.float_network(weights, size=SIZE)
    excluded = quantization.EXCLUDED
    return quantization.quantize(network, ranges=ranges, excluded=excluded, calibration=calibration)


class Batches(CalibrationDataReader):
    """One batch of calibration images."""

    def __init__(self, inputs):
        self._batches = iter([{quantization.INPUT: inputs}])

    def get_next(self):
        return next(self._batches, None)


@pytest.fixture(scope="module")
def ranges(narrow_weights, inputs, tmp_path_factory):
    """Random weights give other activations than VGG16's: their ranges are measured here."""
    path = tmp_path_factory.mktemp("calibration") / "ranges.json"
    quantize(narrow_weights, path, Batches(inputs))
    return path


@pytest.fixture(scope="module")
def quantized(narrow_weights, inputs, ranges):
    return quantization.extractor(narrow_weights, size=SIZE, threads=2, ranges=ranges)(inputs)


def test_layers_are_those_of_the_network_in_order():
    base = keras.applications.VGG16(include_top=False, weights=None)
    assert list(quantization.LAYERS) == [layer.name for layer in base.layers if layer.weights]
    assert base.output_shape[-1] == VGG16.num_features == quantization.WIDTH


def test_pinned_ranges_are_those_of_vgg16():
    """Every activation that is quantized has a range that starts at 0, as after ReLU."""
    pinned = storage.read_json(quantization.RANGES)["data"]
    for layer in quantization.LAYERS:
        assert pinned[layer]["lowest"]["data"] == [0.0]
        assert pinned[layer]["highest"]["data"][0] > 100


@pytest.mark.slow
def test_features_are_close_to_those_of_the_float_network(weights, pixels, inputs, tmp_path):
    ranges = tmp_path / "ranges.json"
    quantize(weights, ranges, Batches(inputs))
    quantized = quantization.extractor(weights, size=SIZE, threads=2, ranges=ranges)(inputs)
    exact = extractor("vgg16", weights, size=SIZE, batch_size=len(pixels))(pixels)
    assert quantized.dtype == exact.dtype
    assert quantized.shape == exact.shape
    assert cosines(exact, quantized).min() > 0.995
    others = np.roll(exact, 1, axis=0)
    assert cosines(exact, quantized).min() > cosines(others, exact).max()


def test_features_depend_on_neither_threads_nor_batch(quantized, narrow_weights, inputs, ranges):
    compute = quantization.extractor(narrow_weights, size=SIZE, threads=1, ranges=ranges)
    for row in (0, 7, 9):
        np.testing.assert_array_equal(compute(inputs[row : row + 1])[0], quantized[row])
    assert compute(inputs[:0]).shape == (0, 512)


def test_quantizing_again_gives_the_same_network(narrow_weights, ranges):
    first, second = (quantize(narrow_weights, ranges) for _ in range(2))
    assert first == second


def test_convolutions_but_the_first_have_int8_weights_that_cannot_overflow(narrow_weights, ranges):
    """Without VNNI, processors add two products of uint8 and int8 in int16."""
    network = onnx.load_from_string(quantize(narrow_weights, ranges))
    kernels = [
        numpy_helper.to_array(constant)
        for constant in network.graph.initializer
        if len(constant.dims) == 4
    ]
    integers = [kernel.astype(int) for kernel in kernels if kernel.dtype == np.int8]
    assert len(kernels) == len(quantization.LAYERS) == len(integers) + 1
    assert max(np.abs(kernel).max() for kernel in integers) * 2 * 255 <= np.iinfo(np.int16).max
