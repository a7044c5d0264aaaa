"""EfficientNet-Lite as an ONNX model of features, from the weights of a PyTorch checkpoint.

Batch normalization is folded into the convolutions. Padding is TensorFlow's SAME, as in the
original, at any size of the image.

Source of the network: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", 2019; the Lite variant (no squeeze-and-excitation, ReLU6) and its weights are Google's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT = "pixels"
"""Name of the input: float32 (n, 3, height, width), RGB, (value - 127) / 128."""

AVERAGE = "average"
"""Name of the output of the last convolution, averaged over the image: (n, 1280)."""

STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Stride of the first block of each of the seven stages."""

REPEATS = {"lite2": (1, 3, 3, 4, 4, 5, 1)}
"""Blocks of each stage, by variant."""

BATCH_NORM_EPSILON = 1e-3


def convert(tensors: Mapping[str, np.ndarray], *, variant: str, middle: Sequence[int]) -> bytes:
    """Write the network without its classifier as an ONNX model.

    Args:
        tensors: Weights by the names of the checkpoint, such as "_blocks.0._depthwise_conv.weight"
            (channels out, channels in, height, width) and "_blocks.0._bn1.running_mean".
        variant: A key of `REPEATS`.
        middle: Indices of blocks, from 0, whose outputs are averaged over the image as well.

    Returns:
        The model: `INPUT` -> `AVERAGE`, and "block_<index>" (n, channels) of each middle block.
        Equal weights give equal bytes.

    Raises:
        KeyError: If a weight is missing.
    """
    graph = _Graph(tensors)
    x = graph.convolution(INPUT, "_conv_stem", "_bn0", stride=2)
    strides = [
        stride if block == 0 else 1
        for stride, repeats in zip(STRIDES, REPEATS[variant], strict=True)
        for block in range(repeats)
    ]
    widths = {AVERAGE: len(tensors["_conv_head.weight"])}
    for number, stride in enumerate(strides):
        x, channels = graph.block(x, f"_blocks.{number}", stride)
        if number in middle:
            output = f"block_{number}"
            graph.add("GlobalAveragePool", [x], f"{output}_average")
            graph.add("Flatten", [f"{output}_average"], output)
            widths[output] = channels
    x = graph.convolution(x, "_conv_head", "_bn1")
    graph.add("GlobalAveragePool", [x], "head_average")
    graph.add("Flatten", ["head_average"], AVERAGE)
    return graph.serialize(f"efficientnet_{variant}", widths)


class _Graph:
    """An ONNX graph under construction, with the weights of the checkpoint."""

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        self._tensors = tensors
        limits = {"zero": np.float32(0), "six": np.float32(6)}
        self._constants = [numpy_helper.from_array(np.array(v), k) for k, v in limits.items()]
        self._nodes: list[onnx.NodeProto] = []

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def block(self, x: str, name: str, stride: int) -> tuple[str, int]:
        """Add an inverted residual; return its output and the number of its channels."""
        start, project = x, self._tensors[f"{name}._project_conv.weight"]
        channels = self._tensors[f"{name}._depthwise_conv.weight"].shape[0]
        if f"{name}._expand_conv.weight" in self._tensors:
            channels = self._tensors[f"{name}._expand_conv.weight"].shape[1]
            x = self.convolution(x, f"{name}._expand_conv", f"{name}._bn0")
        x = self.convolution(x, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride)
        x = self.convolution(x, f"{name}._project_conv", f"{name}._bn2", relu=False)
        if stride == 1 and channels == len(project):
            x = self.add("Add", [start, x], f"{name}.sum")
        return x, len(project)

    def convolution(
        self, x: str, name: str, norm: str, *, stride: int = 1, relu: bool = True
    ) -> str:
        """Add a convolution, with its batch normalization folded, and ReLU6."""
        kernel = self._tensors[f"{name}.weight"].astype(np.float64)
        part = {
            key: self._tensors[f"{norm}.{key}"].astype(np.float64)
            for key in ("weight", "bias", "running_mean", "running_var")
        }
        scale = part["weight"] / np.sqrt(part["running_var"] + BATCH_NORM_EPSILON)
        folded = {
            f"{name}.kernel": kernel * scale[:, None, None, None],
            f"{name}.bias": part["bias"] - part["running_mean"] * scale,
        }
        for key, array in folded.items():
            self._constants.append(numpy_helper.from_array(array.astype(np.float32), key))
        depthwise = name.endswith("_depthwise_conv")
        x = self.add(
            "Conv",
            [x, *folded],
            f"{name}.output",
            kernel_shape=kernel.shape[2:],
            strides=[stride, stride],
            group=len(kernel) if depthwise else 1,
            auto_pad="SAME_UPPER",
        )
        return self.add("Clip", [x, "zero", "six"], f"{name}.relu6") if relu else x

    def serialize(self, name: str, widths: Mapping[str, int]) -> bytes:
        """Complete the model."""
        floats = TensorProto.FLOAT
        pixels = helper.make_tensor_value_info(INPUT, floats, ["n", 3, "height", "width"])
        outputs = [
            helper.make_tensor_value_info(output, floats, ["n", width])
            for output, width in widths.items()
        ]
        graph = helper.make_graph(self._nodes, name, [pixels], outputs, self._constants)
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=9)
        return model.SerializeToString(deterministic=True)
