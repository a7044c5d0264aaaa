"""Measure VGG16's activation ranges for int8: writes `rakuten/image/vgg16_ranges.json`.

Every eighth image of the embedded sample is used. Run it only to change the int8 network: new
ranges give new features.
"""

import numpy as np
from onnxruntime.quantization import CalibrationDataReader

from benchmarks import measure
from rakuten import storage
from rakuten.data import products
from rakuten.image import backbones, extraction, preprocessing, quantization
from rakuten.stage_log import progress

STEP = 8


class Images(CalibrationDataReader):
    """The calibration images, one by one, as ONNX Runtime's calibration reads them."""

    def __init__(self, archive: storage.ImageArchive, names: list[str]):
        params = storage.read_yaml(measure.ROOT / "params.yaml")["extract"]
        self._preparation = extraction.Settings(**params).preparation
        bar = progress(names, total=len(names), unit="image", description="calibrate")
        self._contents = (archive.read(name) for name in bar)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Prepare the next image; None after the last."""
        content = next(self._contents, None)
        if content is None:
            return None
        pixels = preprocessing.prepare(content, self._preparation).pixels.astype(np.float32)
        return {quantization.INPUT: backbones.BACKBONES["vgg16"].preprocess(pixels)}


def main() -> None:
    """Measure the ranges on the sample and replace the pinned ones."""
    weights = storage.read_arrays(measure.ROOT / "build/resources/vgg16.npz")
    table = storage.read_csv(measure.ROOT / "data/X_train.csv", **products.CSV_FORMAT)
    names = [f"image_train/{name}" for name in products.image_names(products.join(table))]
    quantization.RANGES.unlink(missing_ok=True)
    with storage.ImageArchive(measure.ROOT / "data/images.zip") as archive:
        present = [name for name in names if name in archive]
        quantization.quantized_network(
            weights,
            size=224,
            ranges=quantization.RANGES,
            calibration=Images(archive, present[::STEP]),
        )
    storage.write_json(quantization.RANGES, storage.read_json(quantization.RANGES))  # readable


if __name__ == "__main__":
    main()
