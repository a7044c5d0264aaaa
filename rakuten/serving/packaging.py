"""Write the files of a package: models as the stages wrote them, and the networks they need."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rakuten import model_names, storage
from rakuten.image import encoder as image_encoder
from rakuten.image import vgg16_encoder
from rakuten.serving import drift_reference, package
from rakuten.text import encoder as text_encoder

NLTK = Path("build/resources/nltk")
"""NLTK's data, with which the texts of the study's nets are cleaned."""

FILES = {
    "text/terms.json": "build/refit/text/terms.json",
    "text/weights.npz": "build/refit/text/weights.npz",
    "image/weights.npz": "build/refit/image/weights.npz",
    "fusion/weights.npz": "build/late_fusion/weights.npz",
    f"{package.STUDY}/text/vocabulary.json": "build/vectorize/vocabulary.json",
    f"{package.STUDY}/text/idf.npy": "build/vectorize/idf.npy",
    **{
        f"{package.STUDY}/{net}/{file}": f"build/{net}/{file}"
        for net in model_names.STUDY
        for file in ("model.json", "weights.npz")
    },
}
"""The models' files: path in the package -> where the stages wrote it."""


def copy_models(folder: str | Path = package.FOLDER) -> int:
    """Copy the models and NLTK's data to a package; return the number of files."""
    corpora = {f"{package.STUDY}/nltk/{p.relative_to(NLTK)}": p for p in NLTK.rglob("*.zip")}
    files: dict[str, str | Path] = {**FILES, **corpora}
    for target, source in files.items():
        storage.copy(source, Path(folder) / target)
    return len(files)


def write_reference(
    products: pd.DataFrame,
    parts: pd.DataFrame,
    outputs: Mapping[str, Mapping[str, Any]],
    folder: str | Path = package.FOLDER,
) -> None:
    """Write the measurements of the training data, see `drift_reference.build`."""
    images = storage.read_table("build/extract/images.parquet")
    vocabulary = storage.read_json("build/vectorize/vocabulary.json")
    reference = drift_reference.build(products, parts, images, outputs, vocabulary)
    storage.write_table(Path(folder) / drift_reference.FILE, reference)


def write_networks(
    sections: Mapping[str, Mapping[str, Any]], folder: str | Path = package.FOLDER
) -> dict[str, dict[str, Any] | None]:
    """Write the encoders of the ensembles and the backbone of the image net as ONNX files.

    Args:
        sections: The sections encode_text and extract of params.yaml.
        folder: The package.

    Returns:
        text_encoder, image_encoder and backbone: how each is used, for `package.json`. None without
        a text encoder, and for every backbone but VGG16: the others exist in TensorFlow only.
    """
    text = text_encoder.find(sections["encode_text"]["encoder"])
    path, spec = image_encoder.read()
    storage.copy(path, Path(folder) / "image/encoder.onnx")
    if text:
        storage.copy(text[0], Path(folder) / "text/encoder.onnx")
    extract, backbone = sections["extract"], None
    if extract["backbone"] == vgg16_encoder.NAME:
        weights = storage.read_arrays("build/resources/vgg16.npz")
        content, backbone = vgg16_encoder.build(
            weights, size=extract["size"], precision=extract["precision"]
        )
        storage.write_bytes(Path(folder) / package.STUDY / "image/backbone.onnx", content)
    return {
        "text_encoder": text[1].to_json() if text else None,
        "image_encoder": spec.to_json(),
        "backbone": backbone.to_json() if backbone else None,
    }
