"""The network of the stage `encode_image`: an encoder in float32 or quantized to int8.

The stage keeps the network beside the features, so that the package and the measurements of
robustness use the same one. It is quantized here and not in `rakuten.image.encoder`: prediction
needs only ONNX Runtime.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import onnx

from rakuten import storage
from rakuten.image import quantization
from rakuten.image.encoder import NETWORK, SPEC, EncoderSpec

PRECISIONS = ("float32", "int8")
"""Values of `encode_image.precision`."""


def ranges(encoder: str) -> Path:
    """Locate the calibration cache of an encoder, see `rakuten.image.quantization`."""
    return Path(__file__).with_name(f"{encoder}_ranges.json")


def write(folder: str | Path, path: str | Path, spec: EncoderSpec, *, precision: str) -> None:
    """Write an encoder in a precision, for `rakuten.image.encoder.read`.

    Args:
        folder: Where to write the network and how it is used.
        path: The float32 network, an ONNX file.
        spec: How it is used.
        precision: One of `PRECISIONS`.

    Raises:
        ValueError: If there is no such precision, or "int8" is chosen for an encoder whose ranges
            were not measured.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"encode_image.precision is {precision!r}, expected one of {', '.join(PRECISIONS)}: "
            "correct it in params.yaml"
        )
    network = storage.read_bytes(path)
    if precision == "int8":
        cache = ranges(spec.name)
        if not cache.exists():
            raise ValueError(
                f"encode_image.precision is {precision!r}, but the ranges of {spec.name!r} were "
                "not measured: set encode_image.precision to float32, or add a quantized ONNX "
                "file as an encoder"
            )
        network = quantization.quantize(onnx.load_from_string(network), ranges=cache)
    storage.write_bytes(Path(folder) / NETWORK, network)
    used = replace(spec, sha256=hashlib.sha256(network).hexdigest())
    storage.write_json(Path(folder) / SPEC, used.to_json())
