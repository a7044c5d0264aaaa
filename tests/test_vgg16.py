from pathlib import Path

import keras
import numpy as np
import pytest

from rakuten import resources, storage, vgg16

pytestmark = pytest.mark.tensorflow

SIZE = 64
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    """Random weights of the right shapes, scaled so that signals neither die nor explode."""
    generator = np.random.default_rng(0)
    arrays, channels = {}, 3
    for layer in vgg16.LAYERS:
        out = min(64 * 2 ** (int(layer[5]) - 1), 512)
        scale = np.sqrt(2 / (9 * channels))
        arrays[f"{layer}/kernel"] = generator.normal(0, scale, (3, 3, channels, out))
        arrays[f"{layer}/bias"] = generator.normal(0, 0.1, out)
        channels = out
    return {name: array.astype(np.float32) for name, array in arrays.items()}


@pytest.fixture
def extract(weights):
    return vgg16.extractor(weights, size=SIZE)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


def naive_features(pixels: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """VGG16 by the book, in float64."""
    x = pixels[..., ::-1].astype(np.float64) - (103.939, 116.779, 123.68)
    for block, depth in enumerate((2, 2, 3, 3, 3), start=1):
        for number in range(1, depth + 1):
            layer = f"block{block}_conv{number}"
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
            x = np.tensordot(windows, weights[f"{layer}/kernel"], axes=((4, 5, 3), (0, 1, 2)))
            x = np.maximum(x + weights[f"{layer}/bias"], 0)
        n, height, width, channels = x.shape
        x = x.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    return x.mean(axis=(1, 2))


def test_features_equal_vgg16_by_the_book(extract, weights, pixels):
    features = extract(pixels[:2])
    expected = naive_features(pixels[:2], weights)
    assert features.shape == (2, 512)
    assert features.dtype == np.float32
    assert (expected > 0).mean() > 0.3
    np.testing.assert_allclose(features, expected, rtol=2e-4, atol=2e-4 * expected.max())


def test_preprocessing_is_caffes():
    pixels = np.array([[[[10, 20, 30], [255, 0, 0]]]], np.uint8)
    expected = [
        [30 - 103.939, 20 - 116.779, 10 - 123.68],
        [0 - 103.939, 0 - 116.779, 255 - 123.68],
    ]
    np.testing.assert_allclose(vgg16.preprocess(pixels).numpy()[0, 0], expected, rtol=1e-6)


def test_permuting_pictures_permutes_features(extract, pixels):
    order = np.array([3, 0, 4, 1, 2])
    features = extract(pixels)
    np.testing.assert_allclose(extract(pixels[order]), features[order], rtol=1e-5, atol=1e-6)
    assert np.abs(features - features[order]).max() > 1e-2


def test_features_do_not_depend_on_the_others_of_the_batch(extract, pixels):
    alone = np.concatenate([extract(pixels[row : row + 1]) for row in range(len(pixels))])
    np.testing.assert_allclose(alone, extract(pixels), rtol=1e-5, atol=1e-6)


def test_same_pixels_give_the_same_bits(extract, weights, pixels):
    assert extract(pixels).tobytes() == extract(pixels).tobytes()
    again = vgg16.extractor(weights, size=SIZE)
    assert again(pixels).tobytes() == extract(pixels).tobytes()


def test_the_network_is_the_studys(weights):
    network = vgg16.build(weights, size=SIZE)
    assert network.count_params() == 14_714_688
    assert not network.trainable_weights
    assert len(vgg16.LAYERS) == 13
    assert network.output_shape == (None, vgg16.NUM_FEATURES)
    assert isinstance(network.layers[-1], keras.layers.GlobalAveragePooling2D)


def test_foreign_weights_are_refused_with_every_fault(weights):
    broken = dict(weights)
    del broken["block1_conv2/bias"]
    broken["fc1/kernel"] = np.zeros(3, np.float32)
    broken["block3_conv1/kernel"] = broken["block3_conv1/kernel"].transpose(3, 2, 0, 1)
    broken["block5_conv3/bias"] = broken["block5_conv3/bias"].astype(np.float64)
    with pytest.raises(ValueError, match="13 convolutions") as caught:
        vgg16.build(broken, size=SIZE)
    for fault in (
        "block1_conv2/bias is missing",
        "fc1/kernel is unknown",
        "block3_conv1/kernel is float32 (256, 128, 3, 3), expected float32 (3, 3, 128, 256)",
        "block5_conv3/bias is float64 (512,), expected float32 (512,)",
    ):
        assert fault in str(caught.value)


def test_fingerprint_names_the_weights(weights):
    name = vgg16.fingerprint(weights)
    assert name == vgg16.fingerprint(dict(reversed(weights.items())))
    bias = weights["block4_conv2/bias"].copy()
    bias[17] += 1e-3
    assert name != vgg16.fingerprint(weights | {"block4_conv2/bias": bias})


@pytest.mark.slow
def test_pinned_weights_give_known_features(tmp_path):
    """The expected figures are those of `naive_features` in float64 under the pinned weights."""
    pinned = ROOT / "build/resources/vgg16.npz"
    if not pinned.exists():
        pinned = tmp_path / "vgg16.npz"
        resource = storage.read_yaml(ROOT / "resources.yaml")["vgg16"]
        resources.fetch({"vgg16": resource | {"output": str(pinned)}}, ["vgg16"])
    rows, columns = np.mgrid[:224, :224]
    disc = (rows - 112) ** 2 + (columns - 112) ** 2 < 80**2
    pixels = np.full((1, 224, 224, 3), 255, np.uint8)
    colours = np.stack([200 - rows // 4, 40 + columns // 4, 30 + rows // 2], axis=-1)
    pixels[0, disc] = colours[disc]
    features = vgg16.extractor(storage.read_arrays(pinned), size=224)(pixels)[0]
    strongest = np.argsort(-features)[:5]
    assert strongest.tolist() == [230, 408, 245, 152, 248]
    np.testing.assert_allclose(
        features[strongest], [34.02895, 20.43713, 15.14381, 14.80101, 14.04736], rtol=1e-3
    )
    assert features.mean() == pytest.approx(0.9324287, rel=1e-3)
