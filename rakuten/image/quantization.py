"""VGG16 in whole numbers of 8 bits: three times as fast on processors made for them (VNNI).

The same convolutions with the same pinned weights, rounded: activations to 0..255 over a fixed
range for each layer, weights to 7 bits and a sign over a range for each output channel. Sums of
whole numbers are exact, so the features do not depend on the number of threads. Source of the
scheme: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018. ONNX Runtime has the kernels; oneDNN's 16-bit floats were
slower than its 32-bit ones on processors without matrix units (AMX).
"""

from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

RANGES = {
    "block1_conv1": 816.0,
    "block1_conv2": 4_480.0,
    "block2_conv1": 6_400.0,
    "block2_conv2": 11_600.0,
    "block3_conv1": 16_000.0,
    "block3_conv2": 16_800.0,
    "block3_conv3": 16_480.0,
    "block4_conv1": 15_200.0,
    "block4_conv2": 7_120.0,
    "block4_conv3": 3_520.0,
    "block5_conv1": 2_080.0,
    "block5_conv2": 864.0,
    "block5_conv3": 316.0,
}
"""The layers in order, and the activation of each that counts as 255; what is above is cut off.

The largest activation seen in 169 of the embedded sample's pictures. Wider ranges round coarser: a
quarter more took the worst of 1,350 pictures from a cosine of .993 to one of .986. Narrower ones
cut more: at the 99.99th percentile the worst picture fell to .966.
"""

WEIGHT_LEVELS = 63
"""Processors without VNNI add two products in 16 bits: 127 would overflow them now and then."""

MEAN = (103.939, 116.779, 123.68)
"""Blue, green and red of ImageNet's mean picture, as in Keras's `vgg16.preprocess_input`."""

TAPPED = ("block4_conv3", "block5_conv3")
"""The layers whose activations are averaged as features: the middle and the last one."""

VERSION = onnxruntime.__version__
"""Of the library that computes."""

PICTURES_AT_ONCE = 8
"""Pictures of a batch that go through the network together: more only takes more memory."""


def extractor(
    weights: Mapping[str, np.ndarray], *, size: int, threads: int
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Prepare the way from pixels to features.

    Args:
        weights: VGG16's, as for `rakuten.image.backbones.build`.
        size: Side of the pictures in pixels, at least 32.
        threads: Threads of the convolutions. The features do not depend on it.

    Returns:
        A function such as `rakuten.image.backbones.extractor` returns, with the same kinds of features.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        network(weights, size=size), options, providers=["CPUExecutionProvider"]
    )

    def extract(pixels: np.ndarray) -> dict[str, np.ndarray]:
        parts = [
            session.run(
                ["average", "grid", "middle"], {"pixels": pixels[at : at + PICTURES_AT_ONCE]}
            )
            for at in range(0, len(pixels), PICTURES_AT_ONCE)
        ]
        average, grid, middle = (np.concatenate(kind) for kind in zip(*parts, strict=True))
        return {
            "average": average,
            "grid": grid.astype(np.float16),
            "middle": middle.astype(np.float16),
        }

    return extract


def network(weights: Mapping[str, np.ndarray], *, size: int) -> bytes:
    """Write the rounded network down in ONNX.

    The first convolution stays in 32-bit floats: its input is no multiple of anything, and it is
    half a percent of the work.

    Args:
        weights: VGG16's, as for `rakuten.image.backbones.build`.
        size: Side of the pictures in pixels, at least 32.

    Returns:
        An ONNX model: pixels uint8 (n, size, size, 3), RGB -> average (n, 512), grid (n, 2048),
        middle (n, 512), all float32 and at least 0; see `rakuten.image.backbones.extractor`.
    """
    graph = _Graph()
    graph.constant("mean", np.array(MEAN, np.float32).reshape(3, 1, 1))
    graph.add("Transpose", ["pixels"], "planes", perm=[0, 3, 1, 2])
    graph.add("Gather", ["planes", graph.constant("bgr", np.array([2, 1, 0]))], "flipped", axis=1)
    graph.add("Cast", ["flipped"], "floats", to=TensorProto.FLOAT)
    graph.add("Sub", ["floats", "mean"], "block0_conv0")
    previous, x, side = None, "block0_conv0", size
    for layer in RANGES:
        if previous and previous[:6] != layer[:6]:
            x, side = graph.add("MaxPool", [x], f"{previous}_pool", **_POOL), side // 2
        convolve = _convolve_rounded if previous else _convolve_floats
        x = convolve(graph, x, previous, layer, weights)
        if layer in TAPPED:
            graph.add("DequantizeLinear", [x, f"{layer}_scale", f"{layer}_zero"], f"{layer}_floats")
            tapped, tapped_side = f"{layer}_floats", side
            if layer != TAPPED[-1]:
                _average(graph, tapped, "middle")
        previous = layer
    _average_quadrants(graph, tapped, tapped_side)
    graph.add("MaxPool", [tapped], "pooled", **_POOL)
    _average(graph, "pooled", "average")
    return graph.model(size)


_POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}
_CONVOLUTION = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}


class _Graph:
    """An ONNX graph while it grows."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes) -> str:
        """Add a node and return its output's name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def model(self, size: int) -> bytes:
        """Close the graph."""
        shape, floats = ["n", size, size, 3], TensorProto.FLOAT
        pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, shape)
        outputs = [
            helper.make_tensor_value_info(name, floats, ["n", width])
            for name, width in (("average", 512), ("grid", 2048), ("middle", 512))
        ]
        graph = helper.make_graph(self.nodes, "vgg16", [pixels], outputs, self.constants)
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def _scale(graph: _Graph, layer: str) -> list[str]:
    """Declare what a step of a layer's activations counts, and that 0 is 0."""
    return [
        graph.constant(f"{layer}_scale", np.float32(RANGES[layer] / 255)),
        graph.constant(f"{layer}_zero", np.uint8(0)),
    ]


def _convolve_floats(
    graph: _Graph, x: str, _: str | None, layer: str, weights: Mapping[str, np.ndarray]
) -> str:
    """Convolve floats and round what comes out."""
    kernel = graph.constant(f"{layer}_kernel", weights[f"{layer}/kernel"].transpose(3, 2, 0, 1))
    bias = graph.constant(f"{layer}_bias", weights[f"{layer}/bias"])
    graph.add("Conv", [x, kernel, bias], f"{layer}_sums", **_CONVOLUTION)
    graph.add("Relu", [f"{layer}_sums"], f"{layer}_activations")
    return graph.add("QuantizeLinear", [f"{layer}_activations", *_scale(graph, layer)], layer)


def _convolve_rounded(
    graph: _Graph, x: str, previous: str, layer: str, weights: Mapping[str, np.ndarray]
) -> str:
    """Convolve whole numbers; what is below 0 is cut off with the rounding, as relu does."""
    kernel = weights[f"{layer}/kernel"].transpose(3, 2, 0, 1)  # (out, in, 3, 3)
    steps = np.abs(kernel).max(axis=(1, 2, 3)) / WEIGHT_LEVELS  # (out,)
    rounded = _round(kernel / steps[:, None, None, None])
    bias = np.rint(weights[f"{layer}/bias"] / (steps * np.float32(RANGES[previous] / 255)))
    inputs = [
        x,
        f"{previous}_scale",
        f"{previous}_zero",
        graph.constant(f"{layer}_kernel", rounded),
        graph.constant(f"{layer}_steps", steps.astype(np.float32)),
        graph.constant(f"{layer}_kernel_zero", np.zeros(len(steps), np.int8)),
        *_scale(graph, layer),
        graph.constant(f"{layer}_bias", bias.astype(np.int32)),
    ]
    return graph.add("QLinearConv", inputs, layer, **_CONVOLUTION)


def _round(kernel: np.ndarray) -> np.ndarray:
    """Round weights such that those of one input and output channel keep their sum.

    Activations of neighbours are alike, so that the errors of a kernel's nine weights add up: where
    they cancel, little is left. The weights nearest to the other whole number give way.

    Args:
        kernel: float32 (out, in, 3, 3), in steps, within -`WEIGHT_LEVELS`..`WEIGHT_LEVELS`.

    Returns:
        int8 (out, in, 3, 3), within the same limits; each within a step of what it was.
    """
    exact = kernel.reshape(-1, 9).astype(np.float64)
    rounded = np.rint(exact)
    lack = np.rint(exact.sum(axis=1)) - rounded.sum(axis=1)  # -4..4
    order = np.argsort(
        (exact - rounded) * -np.where(lack < 0, -1, 1)[:, None], axis=1, kind="stable"
    )
    place = np.argsort(order, axis=1, kind="stable")
    rounded += np.sign(lack)[:, None] * (place < np.abs(lack)[:, None])
    limit = WEIGHT_LEVELS
    return rounded.clip(-limit, limit).astype(np.int8).reshape(kernel.shape)


def _average(graph: _Graph, x: str, output: str) -> None:
    """Average over the picture: (n, c, height, width) -> (n, c)."""
    graph.add("ReduceMean", [x], output, axes=[2, 3], keepdims=0)


def _average_quadrants(graph: _Graph, x: str, side: int) -> None:
    """Average over each quadrant: (n, c, side, side) -> (n, 4 c), as the float network does."""
    axes = graph.constant("height_width", np.array([2, 3]))
    halves = ((0, (side + 1) // 2), (side // 2, side))
    quadrants = []
    for number, (rows, columns) in enumerate((r, c) for r in halves for c in halves):
        start, stop = np.array([rows, columns]).T
        ends = [graph.constant(f"start{number}", start), graph.constant(f"stop{number}", stop)]
        part = graph.add("Slice", [x, *ends, axes], f"part{number}")
        _average(graph, part, f"quadrant{number}")
        quadrants.append(f"quadrant{number}")
    graph.add("Concat", quadrants, "grid", axis=1)
