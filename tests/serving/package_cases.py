"""A small package with real models and encoders, fitted on one colour and one word per category."""

import io

import numpy as np
import onnx
from encoder_cases import entry, write_encoder
from nltk_cases import write_nltk_data
from onnx import TensorProto, helper
from PIL import Image
from repository import ROOT

from rakuten import storage
from rakuten.categories import CODES, NUM_CATEGORIES
from rakuten.data import products
from rakuten.image import encoder as image_encoder
from rakuten.image import extraction, preprocessing
from rakuten.model_names import MAIN
from rakuten.models import image_ensemble, text_ensemble
from rakuten.serving.interface import Product
from rakuten.text import encoder as text_encoder

SECTION = {"views": ["original", "flip"], "crops": ["product", "whole"], "border_tolerance": 16}
IMAGE_SPEC = image_encoder.EncoderSpec.from_table(
    "small", entry(outputs={"average": "mean", "middle": ["double"]})
)
TEXT_SPEC = text_encoder.EncoderSpec(
    name="lengths", sha256="0" * 64, width=4, max_characters=100, lowercase=True
)
BACKBONE = image_encoder.EncoderSpec.from_table(
    "vgg16", entry(layout="nhwc", resize="bilinear", mean=[130, 120, 110], std=100)
)
EXTRACT = {
    "backbone": "vgg16", "precision": "float32", "size": BACKBONE.size, "crop_borders": True,
    "border_tolerance": 16, "batch_size": 4,
}  # fmt: skip
LABELS = np.repeat(np.arange(NUM_CATEGORIES), 4)
FOLDS = np.tile(np.arange(4), NUM_CATEGORIES)


def jpeg(colour=(200, 30, 30), size=(60, 40)):
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "JPEG")
    return content.getvalue()


def colour(label):
    """The colour of a category's images."""
    return 30 + 90 * (label // 9), 30 + 90 * (label // 3 % 3), 30 + 90 * (label % 3)


def title(label):
    """A title of a category."""
    return f"produit{label} {'x' * label}"


def write_package(folder):
    """Write a package whose fusion gives text twice the weight of the image."""
    settings = storage.read_yaml(ROOT / "params.yaml")
    summary = {
        "dataset": {"name": "small"},
        "models": dict.fromkeys(MAIN, True),
        "test": {},
        "threads": 2,
        "encode_text": {"encoder": TEXT_SPEC.name},
        "encode_image": {"encoder": IMAGE_SPEC.name, **SECTION},
        "text_encoder": TEXT_SPEC.to_json(),
        "image_encoder": IMAGE_SPEC.to_json(),
        "text_ensemble": settings["text_ensemble"],
        "clean": settings["clean"],
        "vectorize": settings["vectorize"],
        "extract": EXTRACT,
        "backbone": BACKBONE.to_json(),
        "categories": list(CODES),
        "prior": [0.5] + [0.5 / 26] * 26,
    }
    storage.write_json(folder / "package.json", summary)
    weights, biases = np.array([2.0, 1.0]), np.zeros(NUM_CATEGORIES)
    storage.write_arrays(folder / "fusion/weights.npz", weights=weights, biases=biases)
    _write_text(folder / "text", settings["text_ensemble"])
    _write_image(folder / "image", settings["image_ensemble"])
    _write_nets(folder / "study")
    return folder


def raw_test_products(root):
    """Read the products of the test part from raw rows and image files.

    Returns the product table, the rows of the test part in it, and the products.
    """
    table = storage.read_table(root / "build/clean/products.parquet")
    parts = storage.read_table(root / "build/split/parts.parquet")
    rows = np.flatnonzero(parts["part"] == "test")
    texts = table[["designation", "description"]].iloc[rows].fillna("").to_numpy().tolist()
    with storage.ImageArchive(root / "data/images.zip") as archive:
        names = [f"image_train/{name}" for name in products.image_names(table.iloc[rows])]
        contents = [archive.read(name) for name in names]
    pairs = zip(texts, contents, strict=True)
    return table, rows, [Product(*pair, content) for pair, content in pairs]


def _write_text(folder, section):
    folder.mkdir()
    write_text_encoder(folder / "encoder.onnx")
    titles = [title(label) for label in LABELS]
    kinds = {"title": titles, "description": [""] * len(titles)}
    found = folder / "encoder.onnx", TEXT_SPEC
    vectors = text_encoder.encode(found, kinds, threads=1)
    texts = text_ensemble.Texts(np.arange(len(titles)), *kinds.values(), vectors)
    settings = text_ensemble.Settings(**section)
    ensemble, _ = text_ensemble.fit(texts, LABELS, FOLDS, settings, seed=0, threads=1)
    ensemble.write(folder)


def _write_image(folder, section):
    folder.mkdir()
    path = write_encoder(folder / "encoder.onnx")
    network = image_encoder.ImageEncoder(path, IMAGE_SPEC, threads=1)
    preparation = IMAGE_SPEC.preparation(**SECTION)
    images = [preprocessing.prepare(jpeg(colour(label)), preparation) for label in LABELS]
    found = extraction.compute_features(iter(images), len(images), network, 16, lambda _: None)
    features = {kind: np.swapaxes(array, 0, 1) for kind, array in found.items()}
    views = image_ensemble.views(features, np.arange(len(images)))
    settings = image_ensemble.Settings(**section)
    ensemble, _ = image_ensemble.fit(views, LABELS, FOLDS, settings, seed=0)
    ensemble.write(folder)


def _write_nets(folder):
    """Write nets that know each category's word and colour."""
    write_nltk_data(folder / "nltk")
    words = sorted(f"produit{label}" for label in range(NUM_CATEGORIES))
    storage.write_json(folder / "text/vocabulary.json", words)
    storage.write_array(folder / "text/idf.npy", np.ones(len(words), np.float32))
    heads = np.eye(NUM_CATEGORIES)[[int(word.removeprefix("produit")) for word in words]]
    _write_net(folder / "text", np.eye(len(words)), np.zeros(len(words)), 9 * heads)

    (folder / "image").mkdir()
    write_encoder(folder / "image/backbone.onnx", layout="nhwc")
    colours = np.array([colour(label) for label in range(NUM_CATEGORIES)])
    centres = (colours - BACKBONE.mean) / BACKBONE.std  # (27, 3)
    lifted = centres + 2  # the hidden layer adds 2, so that relu passes everything
    bias = -20 * (lifted**2).sum(axis=1) / 2
    _write_net(folder / "image", np.eye(3), np.full(3, 2.0), 20 * lifted.T, bias)

    _write_fusion(folder / "fusion", len(words) + 3)


def _write_net(folder, kernel, offset, heads, bias=0.0):
    """Write a net of one modality."""
    arrays = {
        "hidden/kernel": kernel,
        "hidden/bias": offset,
        "probabilities/kernel": heads,
        "probabilities/bias": bias + np.zeros(NUM_CATEGORIES),
    }
    arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    storage.write_arrays(folder / "weights.npz", **arrays)
    description = {"builder": "dense_net", "arguments": {"scaling": "none"}}
    storage.write_json(folder / "model.json", description)


def _write_fusion(folder, width):
    """Write a fusion net with drawn weights."""
    draws, arrays = np.random.default_rng(5), {}
    for norm, layer, shape in (
        ("input_norm", "first_hidden", (width, 40)),
        ("first_norm", "hidden", (40, 40)),
        ("norm", "probabilities", (40, NUM_CATEGORIES)),
    ):
        arrays |= {f"{norm}/{name}": draws.normal(size=shape[0]) for name in ("gamma", "beta")}
        arrays[f"{norm}/moving_mean"] = draws.normal(size=shape[0])
        arrays[f"{norm}/moving_variance"] = draws.uniform(0.5, 1.5, shape[0])
        arrays[f"{layer}/kernel"] = draws.normal(0, 0.3, shape)
        arrays[f"{layer}/bias"] = draws.normal(0, 0.3, shape[1])
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    storage.write_arrays(folder / "weights.npz", **arrays)
    storage.write_json(folder / "model.json", {"builder": "fusion_net", "arguments": {}})


def write_text_encoder(path):
    """Write a model that returns multiples of the length of a text."""
    constants = [
        helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1]),
        helper.make_tensor("factors", TensorProto.FLOAT, [1, 4], [0.01, 0.02, 0.03, 0.04]),
    ]
    nodes = [
        helper.make_node("StringLength", ["texts"], ["lengths"], domain="ai.onnx.contrib"),
        helper.make_node("Cast", ["lengths"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "column"], ["rows"]),
        helper.make_node("Mul", ["rows", "factors"], ["vectors"]),
    ]
    graph = helper.make_graph(
        nodes,
        "lengths",
        [helper.make_tensor_value_info("texts", TensorProto.STRING, ["n"])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", 4])],
        constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.contrib", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
