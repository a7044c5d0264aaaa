"""An encoder in int8 against the float32 network that it was made from."""

import hashlib
from dataclasses import replace

import numpy as np
import onnx
import pytest
from backbone_cases import cosines
from encoder_cases import entry, write_encoder
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader

from rakuten import storage
from rakuten.data import efficientnet
from rakuten.image import encoder, encoder_precision, quantization
from rakuten.image.encoder import EncoderSpec, ImageEncoder

SIZE = 64
OUTPUTS = {"average": efficientnet.AVERAGE, "middle": "block_10"}


def weights():
    """Random weights of EfficientNet-Lite2, scaled so that activations do not vanish."""
    generator, tensors = np.random.default_rng(0), {}

    def add(name, norm, shape):
        tensors[f"{name}.weight"] = generator.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        tensors[f"{norm}.weight"] = np.ones(shape[0])
        tensors[f"{norm}.bias"] = generator.normal(0.5, 0.1, shape[0])
        tensors[f"{norm}.running_mean"] = np.zeros(shape[0])
        tensors[f"{norm}.running_var"] = np.ones(shape[0])

    add("_conv_stem", "_bn0", (16, 3, 3, 3))
    channels, number = 16, 0
    for stage, repeats in enumerate(efficientnet.REPEATS["lite2"]):
        for _ in range(repeats):
            out, name = 16 + 8 * stage, f"_blocks.{number}"
            wide = channels if number == 0 else 2 * channels
            if number:
                add(f"{name}._expand_conv", f"{name}._bn0", (wide, channels, 1, 1))
            add(f"{name}._depthwise_conv", f"{name}._bn1", (wide, 1, 3, 3))
            add(f"{name}._project_conv", f"{name}._bn2", (out, wide, 1, 1))
            channels, number = out, number + 1
    add("_conv_head", "_bn1", (80, channels, 1, 1))
    return tensors


@pytest.fixture(scope="module")
def network():
    return efficientnet.convert(weights(), variant="lite2", middle=[10])


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(1).integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)


class Images(CalibrationDataReader):
    """Calibration images, one by one."""

    def __init__(self, pixels, spec):
        self._inputs = iter(pixels)
        self._spec = spec

    def get_next(self):
        one = next(self._inputs, None)
        if one is None:
            return None
        return {efficientnet.INPUT: encoder.network_input(one, self._spec)[None]}


@pytest.fixture(scope="module")
def spec(network):
    found = EncoderSpec.from_table("lite", entry(size=SIZE, outputs=OUTPUTS))
    return replace(found, sha256=hashlib.sha256(network).hexdigest())


@pytest.fixture(scope="module")
def quantized(network, pixels, spec, tmp_path_factory):
    """Random weights give other activations: their ranges are measured here."""
    ranges = tmp_path_factory.mktemp("calibration") / "ranges.json"
    model = onnx.load_from_string(network)
    return quantization.quantize(model, ranges=ranges, calibration=Images(pixels, spec))


@pytest.fixture(scope="module")
def load(network, quantized, spec, tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    for name, content in (("float32", network), ("int8", quantized)):
        storage.write_bytes(folder / f"{name}.onnx", content)
    return lambda name, threads=1: ImageEncoder(folder / f"{name}.onnx", spec, threads=threads)


def test_int8_features_are_close_to_those_of_the_float_network(load, pixels):
    exact, found = load("float32").encode(pixels), load("int8").encode(pixels)
    assert found.keys() == exact.keys()
    for block, values in found.items():
        assert not np.array_equal(values, exact[block])
        assert cosines(exact[block], values).min() > 0.95, block


def test_int8_features_depend_on_the_image_alone(load, pixels):
    found, others = (load("int8", threads).encode(pixels) for threads in (1, 3))
    for block, values in found.items():
        assert others[block].tobytes() == values.tobytes()
        alone = load("int8").encode(pixels[2:3])[block]
        assert alone.tobytes() == values[2:3].tobytes()


def test_only_depthwise_weights_use_eight_bits(quantized):
    """Without VNNI, processors add two products of uint8 and int8 in int16."""
    graph = onnx.load_from_string(quantized).graph
    kernels = [numpy_helper.to_array(one) for one in graph.initializer if len(one.dims) == 4]
    assert kernels
    assert {kernel.dtype for kernel in kernels} == {np.dtype(np.int8)}
    for kernel in kernels:
        largest = np.abs(kernel.astype(int)).max()
        if kernel.shape[1] == 1:
            assert largest == 127
        else:
            assert largest * 2 * 255 <= np.iinfo(np.int16).max


def test_float32_is_the_encoder_itself(network, spec, tmp_path):
    storage.write_bytes(tmp_path / "model.onnx", network)
    encoder_precision.write(tmp_path / "used", tmp_path / "model.onnx", spec, precision="float32")
    path, found = encoder.read(tmp_path / "used")
    assert path.read_bytes() == network
    assert found == spec


def test_the_written_int8_network_has_a_fingerprint_of_its_own(built_network, tmp_path):
    path, spec = built_network
    encoder_precision.write(tmp_path, path, spec, precision="int8")
    written, found = encoder.read(tmp_path)
    assert hashlib.sha256(written.read_bytes()).hexdigest() == found.sha256 != spec.sha256
    assert replace(found, sha256=spec.sha256) == spec
    assert encoder.fingerprint(found) != encoder.fingerprint(spec)


@pytest.fixture
def built_network(tmp_path, network, spec, pixels, monkeypatch):
    """A network with measured ranges."""
    ranges = tmp_path / "ranges.json"
    model = onnx.load_from_string(network)
    quantization.quantize(model, ranges=ranges, calibration=Images(pixels, spec))
    monkeypatch.setattr(encoder_precision, "ranges", lambda name: ranges)
    storage.write_bytes(tmp_path / "model.onnx", network)
    return tmp_path / "model.onnx", spec


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        ("bfloat16", "'bfloat16', expected one of float32, int8: correct it"),
        ("int8", "the ranges of 'small' were not measured: set encode_image.precision to float32"),
    ],
)
def test_an_impossible_precision_is_refused(tmp_path, precision, message):
    path = write_encoder(tmp_path / "small.onnx")
    with pytest.raises(ValueError, match=message):
        encoder_precision.write(
            tmp_path / "used", path, EncoderSpec.from_table("small", entry()), precision=precision
        )
    with pytest.raises(FileNotFoundError, match="run 'dvc repro encode_image'"):
        encoder.read(tmp_path / "used")


def test_pinned_ranges_are_those_of_relu6():
    """Activations after ReLU6 are between 0 and 6."""
    pinned = storage.read_json(encoder_precision.ranges("efficientnet_lite2"))["data"]
    after = {name: one for name, one in pinned.items() if name.endswith(".relu6")}
    assert len(after) == 43
    for one in after.values():
        assert one["lowest"]["data"] == [0.0]
        assert 0 < one["highest"]["data"][0] <= 6
