"""The multilingual sentence encoder as an ONNX model whose vectors do not depend on the batch.

The published int8 model quantizes activations with the range of the whole batch, so that a text's
vector depends on the other texts. Here every text has its range: in any batch, its vector is that
of the published model for the text alone, up to the rounding of float32. Texts are not padded.

Source of the network: Yang et al., "Multilingual Universal Sentence Encoder for Semantic
Retrieval", 2019; the convolutional variant.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT = "texts"
"""Name of the input: strings (n,)."""

OUTPUT = "vectors"
"""Name of the output: float32 (n, `WIDTH`), each of length 1."""

WIDTH = 512

NGRAMS = {2: (0, 1), 3: (-1, 0, 1), 5: (-2, -1, 0, 1, 2)}
"""Tokens that a convolution reads, relative to its position, by the size of its window."""

SHARDS = 17
"""Parts of the table of embeddings in the published model."""

EMBEDDINGS = "Func/StatefulPartitionedCall/input/_{}:0"
CONVOLUTIONS = "StatefulPartitionedCall/EncoderDNN/CNN_layers"
DENSE = "StatefulPartitionedCall/EncoderDNN/DNN/ResidualHidden_{}"

TEXT = "text_of_token"
EPSILON = 1e-12


def convert(published: bytes) -> bytes:
    """Rewrite the published model.

    Args:
        published: The ONNX file: a SentencePiece tokenizer, uint8 embeddings, int8 weights, and
            activations quantized by DynamicQuantizeLinear.

    Returns:
        The model: `INPUT` -> `OUTPUT`. Equal files give equal bytes.

    Raises:
        KeyError: If a weight is missing.
    """
    model = onnx.load_model_from_string(published)
    graph = _Graph({tensor.name: tensor for tensor in model.graph.initializer})
    (tokenizer,) = (node for node in model.graph.node if node.op_type == "SentencepieceTokenizer")
    graph.tokenize(tokenizer)
    graph.choose_windows()
    x = graph.embed()
    quantized, _ = graph.quantize_tokens(x)
    x = graph.add("Concat", [x, *(graph.convolve(quantized, size) for size in NGRAMS)], axis=1)
    quantized, _ = graph.quantize_tokens(graph.normalize(x, CONVOLUTIONS))
    x = graph.multiply(quantized, f"{CONVOLUTIONS}/dense/kernel:0")
    x = graph.sum_tokens(graph.add("Add", [x, graph.copy(f"{CONVOLUTIONS}/dense/bias:0")]))
    graph.add("LpNormalization", [graph.apply_dense_layers(x)], OUTPUT, axis=1, p=2)
    return graph.serialize()


class _Quantized(NamedTuple):
    """Names of a quantized matrix and its parameters.

    Attributes:
        values: uint8 (rows, columns).
        scale: float32 (rows,).
        zero_point: uint8 (rows,).
    """

    values: str
    scale: str
    zero_point: str


class _Graph:
    """An ONNX graph under construction, with the weights of the published model."""

    def __init__(self, tensors: Mapping[str, onnx.TensorProto]):
        self._published = tensors
        self._constants: dict[str, onnx.TensorProto] = {}
        self._nodes: list[onnx.NodeProto] = []
        self.constant("zero", [0], np.int64)
        self.constant("one", [1], np.int64)
        self.constant("minus_one", [-1], np.int64)

    def add(self, operator: str, inputs: Sequence[str], output: str = "", **options: Any) -> str:
        """Add a node and return the name of its output."""
        output = output or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **options))
        return output

    def constant(self, name: str, value: Any, dtype: Any) -> str:
        """Add a constant and return its name."""
        self._constants[name] = numpy_helper.from_array(np.array(value, dtype), name)
        return name

    def weight(self, name: str) -> np.ndarray:
        """Read a weight of the published model."""
        return numpy_helper.to_array(self._published[name])

    def copy(self, name: str) -> str:
        """Copy a weight of the published model and return its name."""
        self._constants[name] = self._published[name]
        return name

    def tokenize(self, published: onnx.NodeProto) -> None:
        """Add the tokenizer: tokens of all texts one after another, and the end of each text."""
        for name in published.input[1:]:
            self.copy(name)
        tokenizer = onnx.NodeProto()
        tokenizer.CopyFrom(published)
        tokenizer.input[0], tokenizer.output[:] = INPUT, ["tokens", "splits", "indices"]
        self._nodes.append(tokenizer)
        self.add("Slice", ["splits", "zero", "minus_one"], "starts")  # (n,)
        self.add("Slice", ["splits", "one", self.constant("end", [2**62], np.int64)], "ends")
        self.add("Shape", ["ends"], "number_of_texts")
        self.add("Shape", ["tokens"], "number_of_tokens")
        # The text of a token is the number of texts that end before it.
        before = self.add("LessOrEqual", [self.column("ends"), self.range("number_of_tokens")])
        before = self.add("Cast", [before], to=TensorProto.INT64)  # (n, tokens)
        self.add("ReduceSum", [before, "zero"], TEXT, keepdims=0)

    def choose_windows(self) -> None:
        """Add the tokens in each token's window; beyond the text's ends, its row of padding."""
        offsets = self.constant("offsets", [NGRAMS[5]], np.int64)
        near = self.add("Add", [self.column(self.range("number_of_tokens")), offsets])
        padding = self.add("Add", [self.range("number_of_texts"), "number_of_tokens"])
        start, end, padding = (
            self.column(self.add("Gather", [values, TEXT]))
            for values in ("starts", "ends", padding)
        )
        conditions = [
            self.add("GreaterOrEqual", [near, start]),
            self.add("Less", [near, end]),
        ]
        self.add("Where", [self.add("And", conditions), near, padding], "window_5")
        for size in (2, 3):  # parts of the window of 5 tokens
            first = NGRAMS[5].index(NGRAMS[size][0])
            begin = self.constant(f"begin_{size}", [first], np.int64)
            end = self.constant(f"end_{size}", [first + size], np.int64)
            self.add("Slice", ["window_5", begin, end, "one"], f"window_{size}")

    def embed(self) -> str:
        """Add the embeddings of the tokens."""
        names = [EMBEDDINGS.format(number) for number in range(1, SHARDS + 1)]
        # Token t is row t // 17 of shard t % 17.
        shards = np.stack([self.weight(f"{name}_quantized") for name in names], axis=1)
        table = self.constant("embeddings", shards.reshape(-1, shards.shape[2]), np.uint8)
        shard = self.add("Mod", ["tokens", self.constant("shards", SHARDS, np.int32)])
        parts = [self.add("Gather", [table, "tokens"])]
        for part, dtype in (("scale", np.float32), ("zero_point", np.uint8)):
            values = [self.weight(f"{name}_{part}") for name in names]
            parts.append(self.add("Gather", [self.constant(part, values, dtype), shard]))
        return self.add("DequantizeLinear", parts, axis=0)

    def quantize_tokens(self, x: str) -> tuple[_Quantized, str]:
        """Quantize rows of tokens with the range of their text; also return its zero point."""
        zeros = self.add("ConstantOfShape", ["number_of_texts"])  # the range includes 0
        low, high = (
            self.add(
                "ScatterElements",
                [zeros, TEXT, self.add(f"Reduce{name}", [x, "one"], keepdims=0)],
                reduction=name.lower(),
            )
            for name in ("Min", "Max")
        )
        scale, zero_point = self.quantization(low, high)
        of_tokens = [self.add("Gather", [values, TEXT]) for values in (scale, zero_point)]
        values = self.add("QuantizeLinear", [x, *of_tokens], axis=0)
        return _Quantized(values, *of_tokens), zero_point

    def quantize_texts(self, x: str) -> _Quantized:
        """Quantize rows of texts, each with its range."""
        zero = self.constant("scalar_zero", 0, np.float32)
        low, high = (
            self.add(name, [self.add(f"Reduce{name}", [x, "one"], keepdims=0), zero])
            for name in ("Min", "Max")
        )
        parameters = self.quantization(low, high)
        return _Quantized(self.add("QuantizeLinear", [x, *parameters], axis=0), *parameters)

    def quantization(self, low: str, high: str) -> tuple[str, str]:
        """Compute scale and zero point of ranges as DynamicQuantizeLinear does."""
        steps = self.constant("steps", 255, np.float32)
        scale = self.add("Div", [self.add("Sub", [high, low]), steps])
        scale = self.add("Max", [scale, self.constant("tiny", 1e-30, np.float32)])
        zero_point = self.add("Round", [self.add("Div", [self.add("Neg", [low]), scale])])
        return scale, self.add("Cast", [zero_point], to=TensorProto.UINT8)

    def multiply(self, x: _Quantized, kernel: str) -> str:
        """Multiply quantized rows by a kernel of the published model."""
        weights = f"{kernel}_quantized"
        product = self.add("MatMulInteger", [x.values, self.copy(weights)])
        scale = self.add("Mul", [x.scale, self.copy(f"{kernel}_scale")])
        product = self.add("DequantizeLinear", [product, scale], axis=0)
        # MatMulInteger cannot subtract zero points that differ by row.
        zero_point = self.add("Cast", [x.zero_point], to=TensorProto.FLOAT)
        zero_point = self.column(self.add("Mul", [zero_point, scale]))
        sums = self.weight(weights).sum(axis=0, keepdims=True, dtype=np.int64)
        sums = self.constant(f"{kernel}_sums", sums, np.float32)
        return self.add("Sub", [product, self.add("MatMul", [zero_point, sums])])

    def convolve(self, x: _Quantized, size: int) -> str:
        """Add the projection and both convolutions of a window's size."""
        name = f"{CONVOLUTIONS}/ngram_order_{size}"
        projection = f"{name}/input_size_projection/dense"
        width = len(self.weight(f"{projection}/bias:0"))
        y = self.multiply(x, f"{projection}/kernel:0")
        y = self.normalize(self.add("Add", [y, self.copy(f"{projection}/bias:0")]), name)
        repeats = self.constant("padding_shape", [1, width], np.int64)
        shape = self.constant(f"shape_{size}", [-1, size * width], np.int64)
        for layer in (f"{name}/Ngram-{size}-Conv", f"{name}/Ngram-{size}-Conv_1"):
            quantized, zero_point = self.quantize_tokens(y)
            padding = self.add("Expand", [self.column(zero_point), repeats])
            values = self.add("Concat", [quantized.values, padding], axis=0)
            values = self.add("Reshape", [self.add("Gather", [values, f"window_{size}"]), shape])
            found = self.multiply(quantized._replace(values=values), f"{layer}/weights:0")
            found = self.add("Relu", [self.add("Add", [found, self.copy(f"{layer}/bias:0")])])
            y = self.add("Add", [found, y])
        return y

    def normalize(self, x: str, name: str) -> str:
        """Add layer normalization."""
        parts = [x, *(self.copy(f"{name}/LayerNorm/{part}:0") for part in ("gamma", "beta"))]
        return self.add("LayerNormalization", parts, axis=1, epsilon=EPSILON)

    def sum_tokens(self, x: str) -> str:
        """Sum the tokens of each text and divide by the square root of their number."""
        width = self.constant("width", [WIDTH], np.int64)
        zeros = self.add(
            "ConstantOfShape", [self.add("Concat", ["number_of_texts", width], axis=0)]
        )
        total = self.add("ScatterND", [zeros, self.column(TEXT), x], reduction="add")
        count = self.add("Cast", [self.add("Sub", ["ends", "starts"])], to=TensorProto.FLOAT)
        return self.add("Div", [total, self.column(self.add("Sqrt", [count]))])

    def apply_dense_layers(self, x: str) -> str:
        """Add the four dense layers; a projection of its input is added to every second one."""
        for first, activation in ((0, "Relu"), (2, "Tanh")):
            quantized = self.quantize_texts(x)
            hidden = self.multiply(quantized, f"{DENSE.format(first)}/dense/kernel:0")
            hidden = self.add("Relu", [hidden])
            second = DENSE.format(first + 1)
            parts = [
                self.multiply(self.quantize_texts(hidden), f"{second}/dense/kernel:0"),
                self.multiply(quantized, f"{second}/AdjustDepth/projection/kernel:0"),
            ]
            x = self.add(activation, [self.add("Add", parts)])
        return x

    def range(self, length: str) -> str:
        """Count from 0 to a length (1,)."""
        start = self.constant("range_start", 0, np.int64)
        step = self.constant("range_step", 1, np.int64)
        return self.add("Range", [start, self.add("Squeeze", [length]), step])

    def column(self, vector: str) -> str:
        """Make a column of a vector."""
        return self.add("Unsqueeze", [vector, "one"])

    def serialize(self) -> bytes:
        """Complete the model."""
        inputs = [helper.make_tensor_value_info(INPUT, TensorProto.STRING, ["n"])]
        outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", WIDTH])]
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, "use_multilingual", inputs, outputs, constants)
        opset = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.contrib", 1)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=9)
        return model.SerializeToString(deterministic=True)
