"""Measure the activation ranges of the int8 networks: writes `rakuten/image/*_ranges.json`.

Every eighth image of the embedded sample is used. Run it only to change an int8 network: new
ranges give new features. `--only vgg16` measures VGG16 alone.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader

from benchmarks import measure
from rakuten import storage
from rakuten.data import products
from rakuten.image import (
    backbones,
    encoder,
    encoder_precision,
    extraction,
    preprocessing,
    quantization,
)
from rakuten.stage_log import progress

STEP = 8

LITE2 = "efficientnet_lite2"


class Images(CalibrationDataReader):
    """The calibration images, one by one, as ONNX Runtime's calibration reads them.

    Args:
        name: Of the network's input.
        contents: The bytes of the images.
        prepare: Makes the input from the bytes of an image.
    """

    def __init__(self, name: str, contents: list[bytes], prepare: Callable[[bytes], np.ndarray]):
        bar = progress(contents, total=len(contents), unit="image", description="calibrate")
        self._inputs = ({name: prepare(content)} for content in bar)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Prepare the next image; None after the last."""
        return next(self._inputs, None)


def images() -> list[bytes]:
    """Read the calibration images."""
    table = storage.read_csv(measure.ROOT / "data/X_train.csv", **products.CSV_FORMAT)
    names = [f"image_train/{name}" for name in products.image_names(products.join(table))]
    with storage.ImageArchive(measure.ROOT / "data/images.zip") as archive:
        return [archive.read(name) for name in [n for n in names if n in archive][::STEP]]


def vgg16(params: dict) -> tuple[onnx.ModelProto, Path, Images]:
    """Return VGG16, the file of its ranges and its inputs."""
    preparation = extraction.Settings(**params["extract"]).preparation
    weights = storage.read_arrays(measure.ROOT / "build/resources/vgg16.npz")

    def prepare(content: bytes) -> np.ndarray:
        pixels = preprocessing.prepare(content, preparation).pixels.astype(np.float32)
        return backbones.BACKBONES["vgg16"].preprocess(pixels)

    network = quantization.float_network(weights, size=preparation.size)
    return network, quantization.RANGES, Images(quantization.INPUT, images(), prepare)


def efficientnet_lite2(params: dict) -> tuple[onnx.ModelProto, Path, Images]:
    """Return EfficientNet-Lite2, the file of its ranges and its inputs."""
    path, spec = encoder.find(LITE2, measure.ROOT / encoder.FOLDER)
    tolerance = params["encode_image"]["border_tolerance"]
    preparation = spec.preparation(
        views=["original"], crops=["product"], border_tolerance=tolerance
    )

    def prepare(content: bytes) -> np.ndarray:
        pixels = preprocessing.prepare(content, preparation).pixels
        return np.stack([encoder.network_input(one, spec) for one in pixels])

    network = onnx.load(path)
    reader = Images(network.graph.input[0].name, images(), prepare)
    return network, encoder_precision.ranges(LITE2), reader


def main() -> None:
    """Measure the ranges on the sample and replace the pinned ones."""
    ways = {"vgg16": vgg16, LITE2: efficientnet_lite2}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibrate", description=__doc__)
    parser.add_argument("--only", choices=ways, help="all networks by default")
    params = storage.read_yaml(measure.ROOT / "params.yaml")
    only = parser.parse_args().only
    for name in [only] if only else ways:
        network, ranges, reader = ways[name](params)
        ranges.unlink(missing_ok=True)
        excluded = quantization.EXCLUDED if name == "vgg16" else ()
        quantization.quantize(network, ranges=ranges, excluded=excluded, calibration=reader)
        measured = storage.read_json(ranges)
        storage.write_json(ranges, measured | {"data": dict(sorted(measured["data"].items()))})


if __name__ == "__main__":
    main()
