"""Networks quantized to 8-bit integers: several times as fast on processors with VNNI instructions.

ONNX Runtime quantizes a float network statically: activations to uint8 over one fixed range per
tensor, weights to int8 over one range per output channel. Sums of integers are exact, so features
depend neither on the number of threads nor on the batch. `benchmarks/calibrate.py` measured the
ranges, `benchmarks/parity.py` measures what quantization costs.
"""

import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from rakuten import onnx_models

RANGES = Path(__file__).with_name("vgg16_ranges.json")
"""Range of every activation over 169 images of the embedded sample, in ONNX Runtime's format.

Activations outside are clipped. A wider range has coarser steps, a narrower one clips more.
"""

LAYERS = tuple(
    f"block{block}_conv{number}"
    for block, count in enumerate((2, 2, 3, 3, 3), start=1)
    for number in range(1, count + 1)
)
"""VGG16's convolutions in order."""

WIDTH = 512
"""Channels of the last convolution."""

VERSION = onnxruntime.__version__
"""Version of the library that quantizes and computes."""

OPERATORS = ("Conv", "Relu", "Clip", "Add", "MaxPool")
"""Operators that are quantized; a Clip or Relu becomes part of the convolution before it."""

INPUT, OUTPUT = "images", "average"
"""The names of the ONNX model's input and output."""

EXCLUDED = LAYERS[:1]
"""VGG16's first convolution stays in float: 0.5 % of the work, with float inputs."""

IMAGES_PER_CALL = 8
"""Images in one call of ONNX Runtime. More images take more memory and are no faster."""


def extractor(
    weights: Mapping[str, np.ndarray], *, size: int, threads: int, ranges: Path = RANGES
) -> Callable[[np.ndarray], np.ndarray]:
    """Build the function from preprocessed images to features.

    Args:
        weights: VGG16's weights, as for `rakuten.image.backbones.build`.
        size: Side of the images in pixels, at least 32.
        threads: Threads of the convolutions. The features do not depend on it.
        ranges: Calibration cache of ONNX Runtime: the range of every activation.

    Returns:
        A function: float32 (n, size, size, 3) as VGG16's `preprocess_input` gives -> features
        float32 (n, `WIDTH`), at least 0: the network's output averaged over the image.
    """
    network = quantize(float_network(weights, size=size), ranges=ranges, excluded=EXCLUDED)
    session = onnx_models.open_session(network, threads=threads)

    def extract(inputs: np.ndarray) -> np.ndarray:
        parts = [
            session.run([OUTPUT], {INPUT: inputs[at : at + IMAGES_PER_CALL]})[0]
            for at in range(0, len(inputs), IMAGES_PER_CALL)
        ]
        return np.concatenate([np.zeros((0, WIDTH), np.float32), *parts])

    return extract


def quantize(
    network: onnx.ModelProto,
    *,
    ranges: Path,
    excluded: Collection[str] = (),
    calibration: CalibrationDataReader | None = None,
) -> bytes:
    """Quantize a convolutional network.

    Weights have 7 bits: without VNNI, processors add two products of uint8 and int8 in 16 bits, and
    the sum of larger products would overflow. Depthwise convolutions multiply in 32 bits, so their
    weights have 8 bits.

    Args:
        network: The float network.
        ranges: Calibration cache of ONNX Runtime. Written if it does not exist.
        excluded: Names of nodes that stay in float.
        calibration: Inputs for measuring the ranges if the cache does not exist.

    Returns:
        An ONNX model with the inputs and outputs of the float network. Equal networks and ranges
        give equal bytes.
    """
    depthwise = {
        node.input[1]: [_EIGHT_BITS]
        for node in network.graph.node
        if node.op_type == "Conv" and any(a.name == "group" and a.i > 1 for a in node.attribute)
    }
    with tempfile.TemporaryDirectory() as folder:
        exact, prepared, quantized = (Path(folder, f"{step}.onnx") for step in range(3))
        onnx.save(network, exact)
        quant_pre_process(exact, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantized,
            calibration,
            calibration_cache_path=ranges,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            nodes_to_exclude=list(excluded),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"TensorQuantOverrides": depthwise},
        )
        return quantized.read_bytes()


def float_network(weights: Mapping[str, np.ndarray], *, size: int) -> onnx.ModelProto:
    """Write VGG16's convolutions and the average over the image as an ONNX model.

    Args:
        weights: VGG16's weights, as for `rakuten.image.backbones.build`.
        size: Side of the images in pixels, at least 32.

    Returns:
        `INPUT` float32 (n, size, size, 3), preprocessed -> `OUTPUT` float32 (n, `WIDTH`).
    """
    graph, previous = _Graph(), LAYERS[0]
    x = graph.add("Transpose", [INPUT], "planes", perm=[0, 3, 1, 2])  # (n, 3, size, size)
    for layer in LAYERS:
        if layer[:6] != previous[:6]:  # another block
            x = graph.add("MaxPool", [x], f"{previous}_pool", **_POOL)
        kernel = graph.constant(f"{layer}_kernel", weights[f"{layer}/kernel"].transpose(3, 2, 0, 1))
        bias = graph.constant(f"{layer}_bias", weights[f"{layer}/bias"])
        graph.add("Conv", [x, kernel, bias], f"{layer}_sums", name=layer, **_CONVOLUTION)
        x, previous = graph.add("Relu", [f"{layer}_sums"], layer), layer
    x = graph.add("MaxPool", [x], f"{previous}_pool", **_POOL)
    graph.add("ReduceMean", [x], OUTPUT, axes=[2, 3], keepdims=0)
    return graph.model(size)


_EIGHT_BITS = {
    "quant_type": QuantType.QInt8,
    "axis": 0,
    "symmetric": True,
    "reduce_range": False,
}
_POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}
_CONVOLUTION = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}


class _Graph:
    """An ONNX graph under construction."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes) -> str:
        """Add a node and return the name of its output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def model(self, size: int) -> onnx.ModelProto:
        """Complete the model."""
        floats = TensorProto.FLOAT
        images = helper.make_tensor_value_info(INPUT, floats, ["n", size, size, 3])
        output = helper.make_tensor_value_info(OUTPUT, floats, ["n", WIDTH])
        graph = helper.make_graph(self.nodes, "vgg16", [images], [output], self.constants)
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=9)
