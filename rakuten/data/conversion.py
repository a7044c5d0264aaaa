"""Conversion of downloaded weights and models to one canonical form per resource.

The same network is published in several formats. Converted here, every source of a resource gives
the same bytes.
"""

import io
import json
import math
import re
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import onnx

from rakuten import storage
from rakuten.data import efficientnet, sentence_encoder, torch_checkpoints

Arrays = dict[str, np.ndarray]
"""Weights by "<layer>/<variable>": kernels float32 (height, width, channels in, channels out), all
others float32 (channels,)."""

Content = dict[str, Any]
"""What a source served, by its format: the bytes of a file, or of a folder's files by name."""

VGG16_LAYERS = tuple(
    f"block{block}_conv{conv}"
    for block, convs in enumerate((2, 2, 3, 3, 3), start=1)
    for conv in range(1, convs + 1)
)
"""The 13 convolution layers, from the input on."""

RESNET50_LAYERS = (
    "conv1_conv",
    "conv1_bn",
    *(
        f"conv{stage}_block{block}_{layer}"
        for stage, blocks in enumerate((3, 4, 6, 3), start=2)
        for block in range(1, blocks + 1)
        for layer in ("1_conv", "1_bn", "2_conv", "2_bn")
        + (("0_conv", "3_conv", "0_bn", "3_bn") if block == 1 else ("3_conv", "3_bn"))
    ),
)
"""The 53 convolutions and their batch normalizations, in the order of Keras's layers."""


def _file(content: Content) -> bytes:
    """Keep a file as it is: every source carries the same bytes."""
    file: bytes = content["file"]
    return file


def _vgg16(content: Content) -> bytes:
    """Convert VGG16's convolution weights to an .npz of "<layer>/kernel" and "<layer>/bias"."""
    readers: dict[str, Callable[[Any], Arrays]] = {
        "keras_h5": _vgg16_from_keras,
        "onnx": _vgg16_from_onnx,
    }
    ((source_format, data),) = content.items()
    arrays = readers[source_format](data)
    names = [f"{layer}/{part}" for layer in VGG16_LAYERS for part in ("kernel", "bias")]
    return storage.pack_arrays(**{name: arrays[name] for name in names})


def _vgg16_from_keras(data: bytes) -> Arrays:
    """Read Keras's weights file: a group per layer, kernels have four axes, biases one."""
    arrays: Arrays = {}
    with h5py.File(io.BytesIO(data)) as file:
        for layer in VGG16_LAYERS:
            found: list[np.ndarray] = []

            def collect(_name: str, item: h5py.HLObject, found: list = found) -> None:
                if isinstance(item, h5py.Dataset):
                    found.append(item[()])

            file[layer].visititems(collect)
            arrays |= {f"{layer}/{'kernel' if a.ndim == 4 else 'bias'}": a for a in found}
    return arrays


def _vgg16_from_onnx(data: bytes) -> Arrays:
    """Read the frozen convolution base of an ONNX model: kernels (out, in, height, width)."""
    initializers = onnx.load_model_from_string(data).graph.initializer
    tensors = {tensor.name: tensor for tensor in initializers}
    arrays: Arrays = {}
    for layer in VGG16_LAYERS:
        kernel = tensors[f"functional_1/{layer}_1/convolution/ReadVariableOp:0"]
        bias = tensors[f"functional_1/{layer}_1/Squeeze:0"]
        arrays[f"{layer}/kernel"] = onnx.numpy_helper.to_array(kernel).transpose(2, 3, 1, 0)
        arrays[f"{layer}/bias"] = onnx.numpy_helper.to_array(bias).reshape(-1)
    return arrays


def _resnet50(content: Content) -> bytes:
    """Convert ResNet50's weights without the classifier to an .npz of "<layer>/<variable>"."""
    readers: dict[str, Callable[[Any], Arrays]] = {
        "keras_h5": _resnet50_from_keras,
        "tfjs": _resnet50_from_tfjs,
    }
    ((source_format, data),) = content.items()
    arrays = readers[source_format](data)
    names = [f"{layer}/{part}" for layer in RESNET50_LAYERS for part in _variables(layer)]
    return storage.pack_arrays(**{name: arrays[name] for name in names})


def _variables(layer: str) -> tuple[str, ...]:
    """Name the variables of a layer of ResNet50, in Keras's order."""
    if layer.endswith("_conv"):
        return "kernel", "bias"
    return "gamma", "beta", "moving_mean", "moving_variance"


def _resnet50_from_keras(data: bytes) -> Arrays:
    """Read Keras's weights file as Keras does: layers and variables by their order."""
    arrays: Arrays = {}
    with h5py.File(io.BytesIO(data)) as file:
        groups = [file[name] for name in file.attrs["layer_names"]]
        weighted = [group for group in groups if len(group.attrs["weight_names"])]
        for layer, group in zip(RESNET50_LAYERS, weighted, strict=True):
            names = group.attrs["weight_names"]
            for part, name in zip(_variables(layer), names, strict=True):
                arrays[f"{layer}/{part}"] = group[name][()]
    return arrays


def _resnet50_from_tfjs(files: dict[str, bytes]) -> Arrays:
    """Read a model of TensorFlow.js: consecutive float32 arrays, cut into shards anywhere."""
    arrays: Arrays = {}
    for group in json.loads(files["model.json"])["weightsManifest"]:
        data, start = b"".join(files[path] for path in group["paths"]), 0
        for weight in group["weights"]:
            count = math.prod(weight["shape"])
            array = np.frombuffer(data, "<f4", count, start).reshape(weight["shape"])
            arrays[_current_name(weight["name"])] = array
            start += array.nbytes
    return arrays


def _current_name(variable: str) -> str:
    """Translate a name of Keras before 2.2.5: bn4c_branch2a/beta is conv4_block3_1_bn/beta."""
    layer, _, part = variable.partition("/")
    first = {"conv1": "conv1_conv", "bn_conv1": "conv1_bn"}
    if old := re.fullmatch(r"(res|bn)(\d)([a-f])_branch(1|2[abc])", layer):
        kind, stage, block, branch = old.groups()
        number = ("1", "2a", "2b", "2c").index(branch)
        suffix = "conv" if kind == "res" else "bn"
        layer = f"conv{stage}_block{'abcdef'.index(block) + 1}_{number}_{suffix}"
    return f"{first.get(layer, layer)}/{part}"


def _efficientnet_lite2(content: Content) -> bytes:
    """Convert EfficientNet-Lite2 without the classifier to ONNX, with the ends of three stages."""
    tensors = torch_checkpoints.read_tensors(content["torch"])
    return efficientnet.convert(tensors, variant="lite2", middle=(10, 14, 19))


def _use_multilingual(content: Content) -> bytes:
    """Rewrite the sentence encoder so that its vectors do not depend on the batch."""
    return sentence_encoder.convert(content["onnx"])


CANONICAL_FORMS: dict[str, Callable[[Content], bytes]] = {
    "file": _file,
    "vgg16": _vgg16,
    "resnet50": _resnet50,
    "efficientnet_lite2": _efficientnet_lite2,
    "use_multilingual": _use_multilingual,
}
"""The converter of a resource, by the key `form` of resources.yaml."""
