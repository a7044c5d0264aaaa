import shutil
import subprocess
import sys

import numpy as np
import pytest
from backbone_cases import SIZE, cosines, extractor, resnet50_weights, vgg16_weights
from repository import ROOT

from rakuten import storage
from rakuten.categories import CODES
from rakuten.data import conversion, resources
from rakuten.determinism import keras, tf
from rakuten.image import backbones, extraction, preprocessing
from rakuten.sample.images import draw_image
from rakuten.sample.random_stream import RandomStream

pytestmark = pytest.mark.tensorflow

GENERATOR = np.random.default_rng
NAMES = ["vgg16", pytest.param("resnet50", marks=pytest.mark.slow)]  # optional in params.yaml


@pytest.fixture(scope="module")
def all_weights() -> dict[str, dict[str, np.ndarray]]:
    """Random weights of the right shapes, scaled so that activations neither vanish nor explode."""
    drawn = {"vgg16": vgg16_weights(), "resnet50": resnet50_weights()}
    return {
        name: {key: array.astype(np.float32) for key, array in arrays.items()}
        for name, arrays in drawn.items()
    }


@pytest.fixture(scope="module")
def extractors(all_weights):
    made = {}

    def get(name):
        if name not in made:
            made[name] = extractor(name, all_weights[name])
        return made[name]

    return get


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return GENERATOR(1).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


def windows(x: np.ndarray, side: int, pad: int, stride: int) -> np.ndarray:
    """(n, h, w, c) -> (n, h', w', c, side, side), zero padding."""
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return view[:, ::stride, ::stride]


def convolve(x, weights, layer, *, pad=0, stride=1):
    kernel = weights[f"{layer}/kernel"].astype(np.float64)
    seen = windows(x, kernel.shape[0], pad, stride)
    return np.tensordot(seen, kernel, axes=((4, 5, 3), (0, 1, 2))) + weights[f"{layer}/bias"]


def as_caffe(pixels):
    return pixels[..., ::-1].astype(np.float64) - (103.939, 116.779, 123.68)


def naive_vgg16(pixels, weights):
    """Plain VGG16 in float64."""
    x = as_caffe(pixels)
    for layer in conversion.VGG16_LAYERS:
        x = np.maximum(convolve(x, weights, layer, pad=1), 0)
        if layer in {"block1_conv2", "block2_conv2"} or layer.endswith("conv3"):
            n, height, width, channels = x.shape
            x = x.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    return x.mean(axis=(1, 2))


def naive_resnet50(pixels, weights):
    """Plain ResNet50 in float64."""

    def normalised(x, name, **options):
        x = convolve(x, weights, f"{name}_conv", **options)
        part = {p: weights[f"{name}_bn/{p}"] for p in ("gamma", "beta", "moving_mean")}
        scale = part["gamma"] / np.sqrt(weights[f"{name}_bn/moving_variance"] + 1.001e-5)
        return (x - part["moving_mean"]) * scale + part["beta"]

    x = np.maximum(normalised(as_caffe(pixels), "conv1", pad=3, stride=2), 0)
    x = windows(x, 3, 1, 2).max(axis=(4, 5))
    for stage, blocks in enumerate((3, 4, 6, 3), start=2):
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            stride = 2 if stage > 2 and block == 1 else 1
            shortcut = normalised(x, f"{name}_0", stride=stride) if block == 1 else x
            x = np.maximum(normalised(x, f"{name}_1", stride=stride), 0)
            x = np.maximum(normalised(x, f"{name}_2", pad=1), 0)
            x = np.maximum(normalised(x, f"{name}_3") + shortcut, 0)
    return x.mean(axis=(1, 2))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_features_equal_a_plain_implementation(name, extractors, all_weights, pixels):
    found = extractors(name)(pixels[:2])
    naive = {"vgg16": naive_vgg16, "resnet50": naive_resnet50}[name]
    expected = naive(pixels[:2], all_weights[name])
    assert found.dtype == np.float32
    assert (expected > 0).mean() > 0.3
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4 * expected.max())


def test_preprocessing_is_that_of_caffe():
    pixels = np.array([[[[10, 20, 30], [255, 0, 0]]]], np.float32)
    expected = [
        [30 - 103.939, 20 - 116.779, 10 - 123.68],
        [0 - 103.939, 0 - 116.779, 255 - 123.68],
    ]
    for backbone in backbones.BACKBONES.values():
        prepared = backbone.preprocess(tf.constant(pixels), data_format="channels_last")
        np.testing.assert_allclose(prepared.numpy()[0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_same_pixels_give_the_same_bits(name, extractors, all_weights, pixels):
    first, second = extractors(name)(pixels), extractors(name)(pixels)
    again = extractor(name, all_weights[name])(pixels)
    assert first.tobytes() == second.tobytes() == again.tobytes()


@pytest.mark.parametrize(
    ("name", "title", "parameters"),
    [
        ("vgg16", "VGG16", 14_714_688),
        pytest.param("resnet50", "ResNet50", 23_587_712, marks=pytest.mark.slow),
    ],
)
def test_the_networks_are_those_of_the_papers(name, title, parameters, all_weights):
    backbone, network = (
        backbones.BACKBONES[name],
        backbones.build(name, all_weights[name], size=224),
    )
    assert backbone.title == title
    assert network.count_params() == parameters
    assert not network.trainable_weights
    assert network.output_shape == (None, backbone.num_features)
    assert isinstance(network.layers[-1], keras.layers.GlobalAveragePooling2D)


def test_the_resources_carry_the_backbones():
    """The weights' files, and the layers in the order in which Keras stores ResNet50."""
    table = resources.read_table(ROOT / resources.TABLE)
    outputs = {pinned["output"] for pinned in table.values()}
    assert {f"build/resources/{file}" for file in extraction.WEIGHTS.values()} <= outputs
    assert list(extraction.WEIGHTS) == list(backbones.BACKBONES)
    assert list(resources.BACKBONES) == list(backbones.BACKBONES)
    network = keras.applications.ResNet50(include_top=False, weights=None)
    weighted = tuple(layer.name for layer in network.layers if layer.weights)
    assert weighted == conversion.RESNET50_LAYERS


def test_weights_that_do_not_fit_are_refused_with_every_difference(all_weights):
    broken = dict(all_weights["vgg16"])
    del broken["block1_conv2/bias"]
    broken["fc1/kernel"] = np.zeros(3, np.float32)
    broken["block3_conv1/kernel"] = broken["block3_conv1/kernel"].transpose(3, 2, 0, 1)
    broken["block5_conv3/bias"] = broken["block5_conv3/bias"].astype(np.float64)
    with pytest.raises(backbones.WeightsError, match="not those of VGG16's convolutions") as caught:
        backbones.build("vgg16", broken, size=SIZE)
    for fault in (
        "block1_conv2/bias is missing",
        "fc1/kernel is unknown",
        "block3_conv1/kernel is float32 (256, 128, 3, 3), expected float32 (3, 3, 128, 256)",
        "block5_conv3/bias is float64 (512,), expected float32 (512,)",
    ):
        assert fault in str(caught.value)


def test_weights_of_the_other_network_are_refused(all_weights):
    with pytest.raises(
        backbones.WeightsError, match=r"ResNet50's .*conv1_bn/moving_mean is missing"
    ):
        backbones.build("resnet50", all_weights["vgg16"], size=SIZE)


def test_fingerprint_changes_with_the_weights_and_the_precision(all_weights):
    weights = all_weights["vgg16"]
    options = {"precision": "float32", "batch_size": 32}
    known = backbones.fingerprint(weights, **options)
    bias = weights["block4_conv2/bias"].copy()
    bias[17] += 1e-3
    others = [
        backbones.fingerprint(weights, **options | {"precision": "int8"}),
        backbones.fingerprint(weights, **options | {"precision": "bfloat16"}),
        backbones.fingerprint(weights, **options | {"batch_size": 16}),
        backbones.fingerprint(weights | {"block4_conv2/bias": bias}, **options),
    ]
    assert len({known, *others}) == 5
    assert backbones.fingerprint(dict(reversed(weights.items())), **options) == known


@pytest.fixture(scope="module")
def pinned_weights(tmp_path_factory):
    pinned = ROOT / "build/resources/vgg16.npz"
    if not pinned.exists():
        pinned = tmp_path_factory.mktemp("pinned") / "vgg16.npz"
        resource = storage.read_yaml(ROOT / "rakuten/data/resources.yaml")["vgg16"]
        resources.fetch({"vgg16": resource | {"output": str(pinned)}}, ["vgg16"])
    return storage.read_arrays(pinned)


@pytest.mark.slow
def test_pinned_weights_give_known_features(pinned_weights):
    """The expected figures are those of `naive_vgg16` in float64 under the pinned weights."""
    rows, columns = np.mgrid[:224, :224]
    disc = (rows - 112) ** 2 + (columns - 112) ** 2 < 80**2
    pixels = np.full((1, 224, 224, 3), 255, np.uint8)
    colours = np.stack([200 - rows // 4, 40 + columns // 4, 30 + rows // 2], axis=-1)
    pixels[0, disc] = colours[disc]
    features = extractor("vgg16", pinned_weights, size=224)(pixels)[0]
    strongest = np.argsort(-features)[:5]
    assert strongest.tolist() == [230, 408, 245, 152, 248]
    np.testing.assert_allclose(
        features[strongest], [34.02895, 20.43713, 15.14381, 14.80101, 14.04736], rtol=1e-3
    )
    assert features.mean() == pytest.approx(0.9324287, rel=1e-3)


def test_an_unsupported_precision_is_refused(all_weights):
    refused = "'int4', expected one of float32, bfloat16, int8: correct"
    with pytest.raises(ValueError, match=refused):
        extractor("vgg16", all_weights["vgg16"], precision="int4")
    refused = (
        "'int8', which ResNet50 does not support: set extract.precision to float32 or bfloat16"
    )
    with pytest.raises(ValueError, match=refused):
        extractor("resnet50", all_weights["resnet50"], precision="int8")
    with pytest.raises(backbones.WeightsError, match="block1_conv1/kernel is missing"):
        extractor("vgg16", {}, precision="int8")


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_features_are_close_to_float32(name, extractors, all_weights, pixels):
    exact = extractors(name)(pixels)
    found = extractor(name, all_weights[name], precision="bfloat16")(pixels)
    assert found.dtype == np.float32
    assert not np.array_equal(exact, found)
    assert cosines(exact, found).min() > 0.999
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_precision_keeps_the_direction_of_features(pinned_weights, precision):
    """The cosine that params.yaml promises, on two drawn images of each category."""
    preparation = preprocessing.Preparation(
        views=["original"], crops=["product"], border_tolerance=16, size=224, resize="bilinear"
    )
    drawn = np.concatenate([
        preprocessing.prepare(draw_image(RandomStream(5, 2, number), code, 92), preparation).pixels
        for number, code in enumerate(CODES * 2)
    ])  # fmt: skip
    options = {"size": 224, "batch_size": len(drawn)}
    exact = extractor("vgg16", pinned_weights, **options)(drawn)
    quantized = extractor("vgg16", pinned_weights, precision=precision, **options)(drawn)
    assert not np.array_equal(exact, quantized)
    assert cosines(exact, quantized).min() > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("precision", backbones.PRECISIONS)
def test_features_depend_on_the_image_alone(all_weights, pixels, precision):
    """Order, position in the batch and the other images do not change a bit."""
    compute = extractor("vgg16", all_weights["vgg16"], precision=precision)
    expected = compute(pixels)
    for rows in ([4, 2, 0, 1, 3], [3, 1], [2], [0, 1, 2, 3], []):
        assert compute(pixels[rows]).tobytes() == expected[rows].tobytes()


HARMLESS = {
    '"""Compile preprocessing and network': '"""Compile network and preprocessing',
    "correct it in params.yaml": "see params.yaml",
    "    padding =": "    # Fill up.\n        padding =",
}
EDITS = {
    "nothing": ("backbones.py", {}, (True, True, True)),
    "docstring, message and comment": ("backbones.py", HARMLESS, (True, True, True)),
    "code": ("backbones.py", {'"channels_last"': '"channels_first"'}, (False, False, False)),
    "quantization": (
        "quantization.py", {"reduce_range=True": "reduce_range=False"}, (True, True, False)
    ),
    "ranges": ("vgg16_ranges.json", {"MinMax": "Entropy"}, (True, True, False)),
}  # fmt: skip
"""File, replacements, and whether features of each precision stay valid."""


@pytest.fixture(scope="module")
def fingerprints_of_edited(tmp_path_factory):
    """Compute the fingerprint of each precision in a copy of the library with an edited file."""

    def compute(file, changes):
        folder = tmp_path_factory.mktemp("edited")
        shutil.copytree(ROOT / "rakuten", folder / "rakuten")
        path = folder / "rakuten/image" / file
        text = path.read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        code = "import numpy as np; from rakuten.image import backbones as b; "
        code += "w = {'a': np.zeros(1, np.float32)}; "
        code += "print(*(b.fingerprint(w, precision=p, batch_size=8) for p in b.PRECISIONS))"
        command = [sys.executable, "-c", code]
        return subprocess.check_output(command, cwd=folder, text=True).split()

    return compute


@pytest.mark.slow(minutes=1)
def test_fingerprint_changes_only_with_edits_that_can_change_features(fingerprints_of_edited):
    found = {
        edit: fingerprints_of_edited(file, changes) for edit, (file, changes, _) in EDITS.items()
    }
    for edit, (_, _, valid) in EDITS.items():
        same = tuple(a == b for a, b in zip(found[edit], found["nothing"], strict=True))
        assert same == valid, edit
