"""A small ONNX model that stands for an image encoder."""

import onnx
from onnx import TensorProto, helper

SIZE = 8


def write_encoder(path, *, layout="nchw", size=SIZE, name="mean"):
    """Write a model of five outputs, computed from RGB in the given layout.

    `name` (n, 3): mean of each channel; "double" (n, 3): twice that; "map": the input itself, with
    four axes; "tokens" (n, size * size, 3): a vector per pixel; "infinite" (n, 3): the mean / 0.
    """
    shape = ["n", 3, size, size] if layout == "nchw" else ["n", size, size, 3]
    axes = [2, 3] if layout == "nchw" else [1, 2]
    last = {"nchw": [0, 2, 3, 1], "nhwc": [0, 1, 2, 3]}[layout]
    constants = [
        helper.make_tensor("two", TensorProto.FLOAT, [], [2.0]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("flat", TensorProto.INT64, [3], [0, size * size, 3]),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], [name], axes=axes, keepdims=0),
        helper.make_node("Mul", [name, "two"], ["double"]),
        helper.make_node("Identity", ["pixels"], ["map"]),
        helper.make_node("Transpose", ["pixels"], ["last"], perm=last),
        helper.make_node("Reshape", ["last", "flat"], ["tokens"]),
        helper.make_node("Div", [name, "zero"], ["infinite"]),
    ]
    floats = TensorProto.FLOAT
    shapes = {name: ["n", 3], "double": ["n", 3], "map": shape, "tokens": ["n", None, 3]}
    shapes["infinite"] = ["n", 3]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("pixels", floats, shape)],
        [helper.make_tensor_value_info(output, floats, one) for output, one in shapes.items()],
        constants,
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def entry(**changes):
    """The entry of this encoder in resources.yaml."""
    spec = {
        "modality": "image",
        "size": SIZE,
        "resize": "bicubic",
        "layout": "nchw",
        "mean": 127,
        "std": 128,
        "outputs": {"average": "mean"},
    }
    return {"sha256": "0" * 64, "licence": "MIT", "encoder": spec | changes}
