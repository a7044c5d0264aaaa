"""The converted network against a plain implementation with unfolded batch normalization."""

import numpy as np
import onnx
import onnxruntime
import pytest

from rakuten.data import efficientnet

CHANNELS = (3, 4, 4, 5, 6, 6, 7)
"""Channels of the stages of a small network."""


@pytest.fixture(scope="module")
def tensors():
    """Random weights; every width is small."""
    generator, arrays = np.random.default_rng(0), {}

    def add(name, norm, out, into, side):
        scale = np.sqrt(2 / (into * side**2))
        arrays[f"{name}.weight"] = generator.normal(0, scale, (out, into, side, side))
        arrays[f"{norm}.weight"] = generator.uniform(0.5, 1.5, out)
        arrays[f"{norm}.bias"] = generator.normal(0, 0.5, out)
        arrays[f"{norm}.running_mean"] = generator.normal(0, 0.5, out)
        arrays[f"{norm}.running_var"] = generator.uniform(0.5, 1.5, out)

    add("_conv_stem", "_bn0", 4, 3, 3)
    channels, number = 4, 0
    for stage, out in enumerate(CHANNELS):
        for _ in range(efficientnet.REPEATS["lite2"][stage]):
            name, wide = f"_blocks.{number}", channels * (1 if stage == 0 else 2)
            if stage > 0:
                add(f"{name}._expand_conv", f"{name}._bn0", wide, channels, 1)
            side = 5 if stage in (2, 4, 5) else 3
            add(f"{name}._depthwise_conv", f"{name}._bn1", wide, 1, side)
            add(f"{name}._project_conv", f"{name}._bn2", out, wide, 1)
            channels, number = out, number + 1
    add("_conv_head", "_bn1", 10, channels, 1)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def same_windows(x, side, stride):
    """TensorFlow's SAME padding: (n, c, h, w) -> (n, c, ceil(h / stride), .., side, side)."""
    pads = []
    for length in x.shape[2:]:
        total = max((-(-length // stride) - 1) * stride + side - length, 0)
        pads.append((total // 2, total - total // 2))
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    view = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(2, 3))
    return view[:, :, ::stride, ::stride]


def naive(x, tensors):
    """Average, and the averages of all blocks' outputs, in float64."""
    tensors = {name: array.astype(np.float64) for name, array in tensors.items()}

    def layer(x, name, norm, stride=1, relu=True):
        kernel = tensors[f"{name}.weight"]
        seen = same_windows(x, kernel.shape[2], stride)
        if name.endswith("_depthwise_conv"):
            x = np.einsum("ncyxab,cab->ncyx", seen, kernel[:, 0])
        else:
            x = np.einsum("ncyxab,ocab->noyx", seen, kernel)
        part = [tensors[f"{norm}.{key}"][:, None, None] for key in ("running_mean", "running_var")]
        x = (x - part[0]) / np.sqrt(part[1] + 1e-3)
        x = x * tensors[f"{norm}.weight"][:, None, None] + tensors[f"{norm}.bias"][:, None, None]
        return np.clip(x, 0, 6) if relu else x

    x, number, averages = layer(x, "_conv_stem", "_bn0", 2), 0, []
    for stage, repeats in enumerate(efficientnet.REPEATS["lite2"]):
        for block in range(repeats):
            name, start = f"_blocks.{number}", x
            stride = (1, 2, 2, 2, 1, 2, 1)[stage] if block == 0 else 1
            if f"{name}._expand_conv.weight" in tensors:
                x = layer(x, f"{name}._expand_conv", f"{name}._bn0")
            x = layer(x, f"{name}._depthwise_conv", f"{name}._bn1", stride)
            x = layer(x, f"{name}._project_conv", f"{name}._bn2", relu=False)
            if stride == 1 and x.shape == start.shape:
                x = x + start
            averages.append(x.mean(axis=(2, 3)))
            number += 1
    return layer(x, "_conv_head", "_bn1").mean(axis=(2, 3)), averages


def run(model, pixels):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = session.run(None, {efficientnet.INPUT: pixels.astype(np.float32)})
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize("size", [64, 37])
def test_features_equal_a_plain_implementation(tensors, size):
    """Strides meet even and odd sides, of which SAME pads only one or both."""
    pixels = np.random.default_rng(1).uniform(-1, 1, (2, 3, size, size))
    found = run(efficientnet.convert(tensors, variant="lite2", middle=(10, 14, 19)), pixels)
    average, blocks = naive(pixels, tensors)
    assert len(blocks) == 21
    expected = {"average": average} | {f"block_{n}": blocks[n] for n in (10, 14, 19)}
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert values.std() > 0.01
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)


def test_the_model_is_valid_and_its_bytes_depend_on_the_weights_alone(tensors):
    model = efficientnet.convert(tensors, variant="lite2", middle=(3,))
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    shuffled = dict(sorted(tensors.items(), reverse=True))
    assert efficientnet.convert(shuffled, variant="lite2", middle=(3,)) == model
    changed = tensors | {"_bn1.bias": tensors["_bn1.bias"] + 1}
    assert efficientnet.convert(changed, variant="lite2", middle=(3,)) != model


def test_a_missing_weight_is_named(tensors):
    fewer = {name: array for name, array in tensors.items() if name != "_blocks.4._bn1.bias"}
    with pytest.raises(KeyError, match=r"_blocks\.4\._bn1\.bias"):
        efficientnet.convert(fewer, variant="lite2", middle=())
