"""A small ONNX model that stands for a text encoder."""

import onnx
from onnx import TensorProto, helper


def write_text_encoder(path, *, width):
    """Write a model that takes strings; every number of a vector is the length of its text."""
    nodes = [
        helper.make_node("StringLength", ["texts"], ["lengths"], domain="ai.onnx.contrib"),
        helper.make_node("Cast", ["lengths"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["floats", "last"], ["column"]),
        helper.make_node("Concat", ["column"] * width, ["vectors"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "lengths",
        [helper.make_tensor_value_info("texts", TensorProto.STRING, ["n"])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor("last", TensorProto.INT64, [1], [1])],
    )
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path
