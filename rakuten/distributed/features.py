"""Compute the features of products' images on Ray."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from rakuten import storage
from rakuten.distributed.transform import (
    IMAGE_PARTITION,
    ONNX_LIBRARIES,
    Steps,
    indices,
    versions,
)
from rakuten.image import encoder, extraction, preprocessing
from rakuten.image.preprocessing import Preparation
from rakuten.serving import batch_prediction
from rakuten.serving.batch_prediction import PreparedRow
from rakuten.serving.classifier import Prepared
from rakuten.serving.errors import one_line
from rakuten.serving.product_images import ImageReader
from rakuten.serving.product_tables import Row
from rakuten.serving.remote_files import locate

BACKBONE_LIBRARIES = ("tensorflow", "keras", "onnxruntime", "pillow", "numpy")


class ImageFeatures(ABC):
    """Compute the features of every product's image.

    The columns of a result are int64 `index`, bool `has_image`, a list per kind of feature in the
    network's dtype (views concatenated), and float64 `preprocessing.Facts`, those of the second
    view on with its name as suffix. Without an image, features and facts are null.
    """

    name = "features"

    @property
    @abstractmethod
    def preparation(self) -> Preparation:
        """How the network's inputs are made."""

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Images in one call of the network."""

    @abstractmethod
    def network(self) -> extraction.Extractor:
        """Load the network."""

    def load(self) -> Steps:
        """Load the network."""
        network = self.network()

        def compute(prepared_rows: Sequence[PreparedRow]) -> pa.Table:
            present = [r.prepared.image for r in prepared_rows if r.prepared.image]
            found = {}
            if present:
                found = extraction.compute_features(
                    iter(present), len(present), network, self.batch_size, lambda _: None
                )
            return self._table(prepared_rows, found, network)

        return Steps(self._prepare, compute)

    def _prepare(self, row: Row, images: ImageReader | None) -> PreparedRow:
        """Find and decode the image of a row."""
        content, fault = batch_prediction.find_image(row, images)
        faults = [*row.faults, *([fault] if fault else [])]
        image = None
        if content is not None:
            try:
                image = preprocessing.prepare(content, self.preparation)
            except preprocessing.ImageError as error:
                faults.append(f"image {row.image} cannot be used: {one_line(error)}")
        missing = content is None and not fault
        return PreparedRow(row, Prepared("", "", image), tuple(faults), missing)

    def _table(
        self, prepared_rows: Sequence[PreparedRow], found: Mapping, network: extraction.Extractor
    ) -> pa.Table:
        """Make a table of features, null where there is no image; views are concatenated."""
        has = np.array([bool(r.prepared.image) for r in prepared_rows])
        columns = {"index": indices(prepared_rows), "has_image": pa.array(has)}
        views = self.preparation.views
        for kind, width in network.widths.items():
            values = found[kind].ravel() if found else np.zeros(0, network.dtype)
            # Not a list type of fixed size: PyArrow cannot read that from Parquet if some are null.
            ends = pa.array(np.cumsum([0, *(len(views) * width * has)]), pa.int32())
            columns[kind] = pa.ListArray.from_arrays(ends, pa.array(values), mask=pa.array(~has))
        facts = np.full((len(prepared_rows), len(views), len(preprocessing.Facts._fields)), np.nan)
        if found:
            facts[has] = found["facts"]
        for number, view in enumerate(views):
            suffix = f"_{view}" if number else ""
            for field, column in zip(preprocessing.Facts._fields, facts[:, number].T, strict=True):
                columns[field + suffix] = pa.array(column, mask=~has)
        return pa.table(columns)


@dataclass(frozen=True)
class Encoding(ImageFeatures):
    """Encode every product's image for the image ensemble, as the stage `encode_image` does.

    Attributes:
        path: The encoder's ONNX file, on every machine.
        spec: How it is used.
        section: The section `encode_image` of params.yaml without the encoder and its precision.
        chunk: Products that are encoded together; the result does not depend on it.
        partition: Rows of a partition, a multiple of `chunk`.
    """

    path: str
    spec: encoder.EncoderSpec
    section: dict
    chunk: int = batch_prediction.CHUNK
    partition: int = IMAGE_PARTITION

    threads = 1
    takes_gpu = False
    batch_size = encoder.BATCH

    @property
    def preparation(self) -> Preparation:
        """How the network's inputs are made."""
        return self.spec.preparation(**self.section)

    def identity(self) -> dict:
        """Identify what the results depend on, see `Transform.identity`."""
        return {
            "weights": locate(self.path).digest(),
            "encoder": self.spec.to_json(),
            "settings": self.section,
            "software": versions(*ONNX_LIBRARIES),
        }

    def network(self) -> extraction.Extractor:
        """Load the encoder."""
        return encoder.ImageEncoder(self.path, self.spec, threads=self.threads)


@dataclass(frozen=True)
class Extraction(ImageFeatures):
    """Extract the features of every product's image for the nets, as the stage `extract` does.

    Attributes:
        weights: File of the backbone's weights, on every machine.
        settings: The section `extract` of params.yaml.
        threads: Threads of the network; the last bits of the features depend on them.
        chunk: Products whose images are processed together; the result does not depend on it.
        partition: Rows of a partition, a multiple of `chunk`.
    """

    weights: str
    settings: extraction.Settings
    threads: int
    chunk: int = batch_prediction.CHUNK
    partition: int = IMAGE_PARTITION

    @property
    def takes_gpu(self) -> bool:
        """Whether images are processed by TensorFlow, which uses a GPU if there is one."""
        return self.settings.precision != "int8"

    @property
    def preparation(self) -> Preparation:
        """How the network's inputs are made."""
        return self.settings.preparation

    @property
    def batch_size(self) -> int:
        """Images in one call of the network."""
        return self.settings.batch_size

    def identity(self) -> dict:
        """Identify what the results depend on, see `Transform.identity`."""
        return {
            "weights": locate(self.weights).digest(),
            "settings": asdict(self.settings),
            "threads": self.threads,
            "software": versions(*BACKBONE_LIBRARIES),
        }

    def network(self) -> extraction.Extractor:
        """Load the backbone."""
        from rakuten import determinism  # TensorFlow: the other transforms do not need it
        from rakuten.image import backbones

        determinism.configure(seed=0, threads=self.threads)
        return backbones.Extractor(
            self.settings.backbone,
            storage.read_arrays(self.weights),
            size=self.settings.size,
            precision=self.settings.precision,
            batch_size=self.settings.batch_size,
        )
