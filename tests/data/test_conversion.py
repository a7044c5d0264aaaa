import io
import json

import h5py
import numpy as np
import onnx
import pytest

from rakuten.data import conversion


@pytest.fixture(scope="module")
def layers():
    """Small kernels (height, width, in, out) and biases for every layer, in float32."""
    generator = np.random.default_rng(0)
    return {
        layer: (
            generator.normal(size=(3, 3, 2, 4)).astype(np.float32),
            generator.normal(size=4).astype(np.float32),
        )
        for layer in conversion.VGG16_LAYERS
    }


@pytest.mark.parametrize(
    ("kernel", "bias"),
    [("{0}_W_1:0", "{0}_b_1:0"), ("{0}/kernel:0", "{0}/bias:0")],
    ids=["Keras 1", "Keras 2"],
)
def test_keras_file_and_onnx_model_give_the_same_bytes(layers, kernel, bias):
    """Keras's file has groups by layer, those without weights too; ONNX other axes and names."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["layer_names"] = [b"input_1", b"block1_conv1", b"block1_pool"]
        file.create_group("input_1")
        file.create_group("block1_pool")
        for layer, (weights, biases) in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [kernel.format(layer), bias.format(layer)]
            group[bias.format(layer)] = biases
            group[kernel.format(layer)] = weights
    tensors = []
    for layer, (weights, biases) in reversed(layers.items()):
        for name, array in (
            ("Squeeze:0", biases),
            ("convolution/ReadVariableOp:0", weights.transpose(3, 2, 0, 1)),
        ):
            name = f"functional_1/{layer}_1/{name}"
            tensors.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], initializer=tensors))

    form = conversion.CANONICAL_FORMS["vgg16"]
    canonical = form({"keras_h5": content.getvalue()})
    assert form({"onnx": model.SerializeToString()}) == canonical
    with np.load(io.BytesIO(canonical), allow_pickle=False) as arrays:
        assert arrays.files[:3] == [
            "block1_conv1/kernel",
            "block1_conv1/bias",
            "block1_conv2/kernel",
        ]
        assert len(arrays.files) == 26
        for layer, (weights, biases) in layers.items():
            np.testing.assert_array_equal(arrays[f"{layer}/kernel"], weights)
            np.testing.assert_array_equal(arrays[f"{layer}/bias"], biases)


def resnet50_arrays():
    """Small arrays for every layer of ResNet50, in float32, under Keras's names."""
    generator = np.random.default_rng(0)
    arrays = {}
    for layer in conversion.RESNET50_LAYERS:
        if layer.endswith("_conv"):
            arrays[f"{layer}/kernel"] = generator.normal(size=(1, 2, 3, 4)).astype(np.float32)
            arrays[f"{layer}/bias"] = generator.normal(size=4).astype(np.float32)
        else:
            for part in ("gamma", "beta", "moving_mean", "moving_variance"):
                arrays[f"{layer}/{part}"] = generator.normal(size=4).astype(np.float32)
    return arrays


def tfjs_model(arrays, num_shards):
    """The files of a TensorFlow.js model: shards of equal size cut arrays anywhere."""
    data = b"".join(array.tobytes() for array in arrays.values())
    step = -(-len(data) // num_shards)
    shards = {f"s{n}": data[n * step : (n + 1) * step] for n in range(num_shards)}
    weights = [
        {"name": name, "shape": list(array.shape), "dtype": "float32"}
        for name, array in arrays.items()
    ]
    manifest = {"weightsManifest": [{"paths": list(shards), "weights": weights}]}
    return shards | {"model.json": json.dumps(manifest).encode()}


def old_name(name):
    """What Keras called a variable of ResNet50 before 2.2.5."""
    layer, part = name.split("/")
    if layer in {"conv1_conv", "conv1_bn"}:
        return f"{'conv1' if layer == 'conv1_conv' else 'bn_conv1'}/{part}"
    stage, block, number, kind = layer.split("_")
    letter = "abcdef"[int(block.removeprefix("block")) - 1]
    branch = {"0": "1", "1": "2a", "2": "2b", "3": "2c"}[number]
    prefix = "res" if kind == "conv" else "bn"
    return f"{prefix}{stage.removeprefix('conv')}{letter}_branch{branch}/{part}"


def test_the_three_sources_of_resnet50_give_the_same_bytes():
    """Keras's file in its own order; TensorFlow.js's in another, the classifier with it or not."""
    arrays = resnet50_arrays()
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["layer_names"] = [b"input_1", *map(str.encode, conversion.RESNET50_LAYERS)]
        file.create_group("input_1").attrs["weight_names"] = np.zeros(0)
        for layer in conversion.RESNET50_LAYERS:
            group = file.create_group(layer)
            names = [name for name in arrays if name.startswith(f"{layer}/")]
            group.attrs["weight_names"] = [f"{name}:0".encode() for name in names]
            for name in reversed(names):
                group[f"{name}:0"] = arrays[name]
    classifier = {"fc1000/kernel": np.ones((4, 3), np.float32), "fc1000/bias": np.ones(3, "f4")}
    named = {old_name(name): array for name, array in sorted(arrays.items())} | classifier
    assert "bn4f_branch2b/moving_mean" in named
    assert "res5a_branch1/kernel" in named

    form = conversion.CANONICAL_FORMS["resnet50"]
    canonical = form({"keras_h5": content.getvalue()})
    assert form({"tfjs": tfjs_model(dict(sorted(arrays.items())), 5)}) == canonical
    assert form({"tfjs": tfjs_model(named, 7)}) == canonical
    with np.load(io.BytesIO(canonical), allow_pickle=False) as found:
        assert found.files == list(arrays)
        assert len(found.files) == 318
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
