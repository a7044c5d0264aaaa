"""Find and open the ONNX models of encoders.

ONNX Runtime crashes the process if it is loaded after TensorFlow; loaded before, it works.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from rakuten import storage

VERSION = onnxruntime.__version__
"""Version of the library that computes."""

INDEX = "index.json"
"""The file that describes the encoders of a folder, see `rakuten.data.resources`."""


class ImportOrderError(RuntimeError):
    """TensorFlow was imported before ONNX Runtime: loading a model would crash the process."""

    def __str__(self) -> str:
        return (
            "TensorFlow was imported before ONNX Runtime in this process, which would crash it: "
            "import rakuten.onnx_models first"
        )


class EncoderError(ValueError):
    """An encoder's entry that is incomplete or does not fit its ONNX model."""

    def __init__(self, name: str, problem: str):
        super().__init__(name, problem)

    def __str__(self) -> str:
        name, problem = self.args
        return f"the encoder {name!r} {problem}: correct its entry in rakuten/data/resources.yaml"


def find(folder: str | Path, name: str) -> tuple[Path, Mapping[str, Any]]:
    """Find an encoder that the stage `resources` fetched.

    Args:
        folder: Contains `INDEX`.
        name: Name of the encoder in `resources.yaml`.

    Returns:
        The path of the ONNX model, and the encoder's entry: "sha256", "licence", "encoder".

    Raises:
        FileNotFoundError: If the folder does not hold the encoder.
    """
    index = Path(folder) / INDEX
    entries = storage.read_json(index) if index.exists() else {}
    path = Path(folder) / entries[name]["file"] if name in entries else index
    if name not in entries or not path.exists():
        raise FileNotFoundError(
            f"{folder} does not hold the encoder {name!r}: run 'dvc repro resources'"
        )
    return path, entries[name]


def open_session(
    model: str | Path | bytes, *, threads: int = 1, custom_operators: str | None = None
) -> onnxruntime.InferenceSession:
    """Load an ONNX model.

    Args:
        model: The ONNX file, or its content.
        threads: Threads of one call.
        custom_operators: Path of a library with further operators.

    Raises:
        ImportOrderError: If this process imported TensorFlow before this module.
    """
    if tensorflow_imported_first():
        raise ImportOrderError
    options = onnxruntime.SessionOptions()
    if custom_operators:
        options.register_custom_ops_library(custom_operators)
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def tensorflow_imported_first() -> bool:
    """Check whether this process imported TensorFlow before ONNX Runtime."""
    imported = list(sys.modules)  # in the order of the imports
    return "tensorflow" in imported[: imported.index("onnxruntime")]
