"""The packaged VGG16 against the network of the stage `extract`."""

import hashlib

import numpy as np
import pytest
from backbone_cases import SIZE, cosines, extractor

from rakuten.image import vgg16_encoder
from rakuten.image.encoder import ImageEncoder

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def features(weights, pixels):
    """Those of the stage."""
    return extractor("vgg16", weights)(pixels)


def encode(weights, pixels, path, precision):
    content, spec = vgg16_encoder.build(weights, size=SIZE, precision=precision)
    path.write_bytes(content)
    assert spec.sha256 == hashlib.sha256(content).hexdigest()
    return ImageEncoder(path, spec, threads=1).encode(pixels)["average"].astype(np.float32)


def test_float_features_are_those_of_the_stage(weights, pixels, features, tmp_path):
    found = encode(weights, pixels, tmp_path / "a.onnx", "float32")
    np.testing.assert_allclose(found, features, rtol=2e-3, atol=2e-3)


@pytest.mark.slow
def test_quantized_features_are_those_of_the_stage(weights, pixels, tmp_path):
    found = encode(weights, pixels, tmp_path / "a.onnx", "int8")
    expected = extractor("vgg16", weights, precision="int8")(pixels)
    assert cosines(found, expected).min() > 0.999


def test_the_order_of_the_colours_matters(weights, pixels, features, tmp_path):
    found = encode(weights, pixels[..., ::-1], tmp_path / "a.onnx", "float32")
    assert np.abs(found - features).max() > 0.05


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_equal_weights_give_equal_files(narrow_weights, precision):
    first, again = (
        vgg16_encoder.build(narrow_weights, size=SIZE, precision=precision)[0] for _ in range(2)
    )
    assert first == again
    other, _ = vgg16_encoder.build(narrow_weights, size=SIZE, precision="bfloat16")
    assert (other == first) == (precision == "float32")
