"""The rewritten sentence encoder against a plain implementation that reads one text at a time."""

import struct

import numpy as np
import onnx
import onnxruntime
import onnxruntime_extensions
import pytest
from onnx import TensorProto, helper, numpy_helper

from rakuten.data import sentence_encoder
from rakuten.data.sentence_encoder import CONVOLUTIONS, DENSE, EMBEDDINGS, NGRAMS, SHARDS, WIDTH

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["lampe", "table basse", "a", "jeu de cartes pour enfants", "un lit", "zoo", "x " * 60]


def field(number, content):
    """Encode a field of a protocol buffer: bytes, float32 or a small integer."""
    if isinstance(content, bytes):
        return bytes([number << 3 | 2, len(content)]) + content
    if isinstance(content, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", content)
    return bytes([number << 3, content])


def sentencepiece_model():
    """A SentencePiece model of single letters."""
    kinds = {"<unk>": 2, "<s>": 3, "</s>": 3} | dict.fromkeys(("\u2581", *LETTERS), 1)
    return b"".join(
        field(1, field(1, piece.encode()) + field(2, -1.0) + field(3, kind))
        for piece, kind in kinds.items()
    )


def tokenizer():
    """The node of the published model with small vocabulary, and its inputs."""
    constants = {
        "nbest": np.array([0], np.int64),
        "alpha": np.array([1], np.float32),
        "yes": np.array([True]),
        "no": np.array([False]),
    }
    node = helper.make_node(
        "SentencepieceTokenizer",
        ["inputs", "nbest", "alpha", "yes", "yes", "no"],
        ["tokens", "splits"],
        domain="ai.onnx.contrib",
        model=sentencepiece_model(),
    )
    return node, constants


@pytest.fixture(scope="module")
def weights():
    """Random weights by the names of the published model; every width but the last is small."""
    generator, arrays = np.random.default_rng(0), {}

    def kernel(name, rows, columns):
        arrays[f"{name}_quantized"] = generator.integers(-127, 128, (rows, columns), np.int8)
        arrays[f"{name}_scale"] = np.float32(1 / (127 * np.sqrt(rows)))

    def norm(name, width):
        arrays[f"{name}/LayerNorm/gamma:0"] = generator.uniform(0.5, 1.5, width)
        arrays[f"{name}/LayerNorm/beta:0"] = generator.normal(0, 0.5, width)

    for number in range(1, SHARDS + 1):
        name = EMBEDDINGS.format(number)
        arrays[f"{name}_quantized"] = generator.integers(0, 256, (2, 8), np.uint8)
        arrays[f"{name}_scale"] = np.float32(generator.uniform(0.01, 0.02))
        arrays[f"{name}_zero_point"] = np.uint8(generator.integers(120, 136))
    for size in NGRAMS:
        name = f"{CONVOLUTIONS}/ngram_order_{size}"
        kernel(f"{name}/input_size_projection/dense/kernel:0", 8, 6)
        arrays[f"{name}/input_size_projection/dense/bias:0"] = generator.normal(0, 0.5, 6)
        norm(name, 6)
        for layer in ("", "_1"):
            kernel(f"{name}/Ngram-{size}-Conv{layer}/weights:0", size * 6, 6)
            arrays[f"{name}/Ngram-{size}-Conv{layer}/bias:0"] = generator.normal(0, 0.5, (1, 6))
    norm(CONVOLUTIONS, 8 + 3 * 6)
    kernel(f"{CONVOLUTIONS}/dense/kernel:0", 8 + 3 * 6, WIDTH)
    arrays[f"{CONVOLUTIONS}/dense/bias:0"] = generator.normal(0, 0.5, WIDTH)
    for first, (into, hidden, out) in ((0, (WIDTH, 7, 9)), (2, (9, 5, WIDTH))):
        kernel(f"{DENSE.format(first)}/dense/kernel:0", into, hidden)
        kernel(f"{DENSE.format(first + 1)}/dense/kernel:0", hidden, out)
        kernel(f"{DENSE.format(first + 1)}/AdjustDepth/projection/kernel:0", into, out)
    return {k: a.astype(np.float32) if a.dtype == np.float64 else a for k, a in arrays.items()}


@pytest.fixture(scope="module")
def published(weights):
    """What the conversion reads of the published model."""
    node, constants = tokenizer()
    initializers = [numpy_helper.from_array(np.asarray(a), k) for k, a in weights.items()]
    initializers += [numpy_helper.from_array(a, k) for k, a in constants.items()]
    graph = helper.make_graph([node], "published", [], [], initializers)
    return helper.make_model(graph).SerializeToString()


def session(model):
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def tokenize(text):
    """Tokens of a text."""
    node, constants = tokenizer()
    graph = helper.make_graph(
        [node],
        "tokens",
        [helper.make_tensor_value_info("inputs", TensorProto.STRING, ["n"])],
        [helper.make_tensor_value_info("tokens", TensorProto.INT32, ["t"])],
        [numpy_helper.from_array(a, k) for k, a in constants.items()],
    )
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    return session(model.SerializeToString()).run(None, {"inputs": [text]})[0]


def multiply(x, weights, kernel):
    """Quantize all of x with one range, multiply, and scale back."""
    low, high = min(x.min(), np.float32(0)), max(x.max(), np.float32(0))
    scale = (high - low) / np.float32(255)
    zero = np.round(-low / scale)
    quantized = np.clip(np.round(x / scale) + zero, 0, 255)
    product = (quantized - zero).astype(np.int64) @ weights[f"{kernel}_quantized"].astype(np.int64)
    return product.astype(np.float32) * (scale * weights[f"{kernel}_scale"])


def normalize(x, weights, name):
    centred = x - x.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
    return scaled * weights[f"{name}/LayerNorm/gamma:0"] + weights[f"{name}/LayerNorm/beta:0"]


def naive(text, weights):
    """The vector of one text."""
    embedded = []
    for token in tokenize(text):
        name = EMBEDDINGS.format(token % SHARDS + 1)
        row = weights[f"{name}_quantized"][token // SHARDS].astype(np.float32)
        embedded.append((row - weights[f"{name}_zero_point"]) * weights[f"{name}_scale"])
    x = np.array(embedded, np.float32)
    blocks = [x]
    for size, window in NGRAMS.items():
        name = f"{CONVOLUTIONS}/ngram_order_{size}"
        y = multiply(x, weights, f"{name}/input_size_projection/dense/kernel:0")
        y = normalize(y + weights[f"{name}/input_size_projection/dense/bias:0"], weights, name)
        for layer in ("", "_1"):
            padded = np.pad(y, ((2, 2), (0, 0)))
            windows = [padded[2 + offset : 2 + offset + len(y)] for offset in window]
            layer = f"{name}/Ngram-{size}-Conv{layer}"
            found = multiply(np.concatenate(windows, axis=1), weights, f"{layer}/weights:0")
            y = y + np.maximum(found + weights[f"{layer}/bias:0"], 0)
        blocks.append(y)
    x = normalize(np.concatenate(blocks, axis=1), weights, CONVOLUTIONS)
    x = multiply(x, weights, f"{CONVOLUTIONS}/dense/kernel:0")
    x = x + weights[f"{CONVOLUTIONS}/dense/bias:0"]
    x = x.sum(axis=0, keepdims=True) / np.float32(np.sqrt(len(x)))
    for first, activation in ((0, lambda y: np.maximum(y, 0)), (2, np.tanh)):
        hidden = np.maximum(multiply(x, weights, f"{DENSE.format(first)}/dense/kernel:0"), 0)
        second = DENSE.format(first + 1)
        projected = multiply(x, weights, f"{second}/AdjustDepth/projection/kernel:0")
        x = activation(multiply(hidden, weights, f"{second}/dense/kernel:0") + projected)
    return x[0] / np.linalg.norm(x)


def test_vectors_in_a_batch_are_those_of_the_published_network_for_each_text_alone(
    weights, published
):
    network = session(sentence_encoder.convert(published))
    vectors = network.run(None, {"texts": WORDS})[0]
    expected = np.array([naive(text, weights) for text in WORDS])
    assert len(np.unique(expected.round(3), axis=0)) == len(WORDS)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_a_vector_does_not_depend_on_the_other_texts(published):
    network = session(sentence_encoder.convert(published))
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 40, 300)
    texts = ["".join(generator.choice([*LETTERS, " "], length)) for length in lengths]
    alone = np.concatenate([network.run(None, {"texts": [text]})[0] for text in texts])
    for size in (2, 7, 300):
        order = generator.permutation(len(texts))
        for rows in np.split(order, range(size, len(order), size)):
            found = network.run(None, {"texts": [texts[row] for row in rows]})[0]
            assert found.tobytes() == alone[rows].tobytes()


def test_equal_models_give_equal_bytes_and_a_missing_weight_is_refused(published):
    assert sentence_encoder.convert(published) == sentence_encoder.convert(published)
    model = onnx.load_model_from_string(published)
    del model.graph.initializer[0]
    with pytest.raises(KeyError, match="quantized"):
        sentence_encoder.convert(model.SerializeToString())
