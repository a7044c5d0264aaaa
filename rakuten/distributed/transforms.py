"""What is computed for every product: cleaned text, image features, or a prediction.

A transform is sent to the processes that run it: `prepare` is called in tasks, `load` in actors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa

from rakuten import storage
from rakuten.image import extraction, preprocessing
from rakuten.serving import batch_prediction, prediction_files
from rakuten.serving.batch_prediction import PreparedRow
from rakuten.serving.classifier import Prepared, ProductClassifier
from rakuten.serving.errors import one_line
from rakuten.serving.product_images import ImageReader
from rakuten.serving.product_tables import Row
from rakuten.serving.remote_files import locate
from rakuten.text import cleaning

Compute = Callable[[Sequence[PreparedRow]], pa.Table]
"""Computes a table, a row per product, from prepared products."""

NETWORK_LIBRARIES = ("tensorflow", "keras", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Cleaning:
    """Extract language and tokens of every product's text, as the stage `clean` does.

    Attributes:
        resources: Folder of NLTK's data, on every machine.
        settings: The section `clean` of params.yaml.
        chunk: Products that are cleaned together; the result does not depend on it.
        partition: Rows of a partition, a multiple of `chunk`.
    """

    resources: str
    settings: dict
    chunk: int = cleaning.BATCH
    partition: int = 8 * cleaning.BATCH

    name = "texts"
    threads = 1
    takes_gpu = False

    def identity(self) -> dict:
        """Identify everything that the results depend on, except the products."""
        nltk = (locate(self.resources) / "nltk").digests()
        software = _versions("beautifulsoup4", "langid", "nltk")
        return {"resources": {"nltk": nltk}, "settings": self.settings, "software": software}

    def prepare(self, row: Row, images: ImageReader | None) -> PreparedRow:
        """Take the texts of a row without change."""
        return PreparedRow(row, Prepared(row.title, row.description, None), row.faults, False)

    def load(self) -> Compute:
        """Load NLTK's data."""
        cleaner = cleaning.Cleaner(Path(self.resources, "nltk"), **self.settings)

        def compute(prepared_rows: Sequence[PreparedRow]) -> pa.Table:
            products = [prepared_row.prepared for prepared_row in prepared_rows]
            columns = cleaner.clean([p.title for p in products], [p.description for p in products])
            return pa.table({"index": _indices(prepared_rows), **columns})

        return compute


@dataclass(frozen=True)
class Prediction:
    """Predict every product with a packaged classifier.

    Attributes:
        package: Folder of the classifier, on every machine.
        top: Number of categories per product.
        chunk: Products that are classified together.
        partition: Rows of a partition, a multiple of `chunk`.
    """

    package: str
    top: int
    chunk: int = batch_prediction.CHUNK
    partition: int = 32 * batch_prediction.CHUNK

    name = "predictions"

    def identity(self) -> dict:
        """Identify everything that the results depend on, except products and images."""
        package = locate(self.package).digests()
        return {
            "package": package,
            "top": self.top,
            "chunk": self.chunk,
            "software": _versions(*NETWORK_LIBRARIES),
        }

    @property
    def threads(self) -> int:
        """Threads of the networks, as in training."""
        return _classifier(self.package).summary["threads"]

    @property
    def takes_gpu(self) -> bool:
        """Whether images are processed by TensorFlow, which uses a GPU if there is one."""
        return _classifier(self.package).summary["extract"]["precision"] == "float32"

    def prepare(self, row: Row, images: ImageReader | None) -> PreparedRow:
        """Prepare a row as the prediction of a file does."""
        return batch_prediction.prepare_row(row, _classifier(self.package), images)

    def load(self) -> Compute:
        """Load the classifier."""
        classifier = ProductClassifier.load(self.package)

        def compute(prepared_rows: Sequence[PreparedRow]) -> pa.Table:
            rows, _ = batch_prediction.classify_chunk(prepared_rows, classifier, self.top)
            return prediction_files.tabulate(batch_prediction.columns_of(self.top), rows)

        return compute


@dataclass(frozen=True)
class Extraction:
    """Extract the features of every product's image.

    Attributes:
        weights: File of the backbone's weights, on every machine.
        settings: The section `extract` of params.yaml.
        threads: Threads of the network; the last bits of the features depend on them.
        chunk: Products that are sent to an actor together; the result does not depend on it.
        partition: Rows of a partition, a multiple of `chunk`.
    """

    weights: str
    settings: extraction.Settings
    threads: int
    chunk: int = batch_prediction.CHUNK
    partition: int = 4 * batch_prediction.CHUNK

    name = "features"

    @property
    def takes_gpu(self) -> bool:
        """Whether images are processed by TensorFlow, which uses a GPU if there is one."""
        return self.settings.precision == "float32"

    def identity(self) -> dict:
        """Identify everything that the results depend on, except products and images."""
        return {
            "weights": locate(self.weights).digest(),
            "settings": asdict(self.settings) | {"views": list(self.settings.views)},
            "threads": self.threads,
            "software": _versions(*NETWORK_LIBRARIES),
        }

    def prepare(self, row: Row, images: ImageReader | None) -> PreparedRow:
        """Find and decode the image of a row."""
        content, fault = batch_prediction.find_image(row, images)
        faults = [*row.faults, *([fault] if fault else [])]
        image = None
        if content is not None:
            try:
                image = extraction.prepare(content, self.settings)
            except preprocessing.ImageError as error:
                faults.append(f"image {row.image} cannot be used: {one_line(error)}")
        missing = content is None and not fault
        return PreparedRow(row, Prepared("", "", image), tuple(faults), missing)

    def network(self) -> tuple[extraction.Extractor, Mapping[str, int]]:
        """Load the backbone; return it and the number of values of each kind of feature."""
        from rakuten import determinism  # TensorFlow: the other transforms do not need it
        from rakuten.image import backbones

        determinism.configure(seed=0, threads=self.threads)
        network = backbones.extractor(
            self.settings.backbone,
            storage.read_arrays(self.weights),
            size=self.settings.size,
            precision=self.settings.precision,
        )
        return network, backbones.BACKBONES[self.settings.backbone].widths

    def load(self) -> Compute:
        """Load the backbone."""
        network, widths = self.network()
        size = self.settings.batch_size
        network = extraction.full_batches(network, size)  # as in the stage: the same last bits

        def compute(prepared_rows: Sequence[PreparedRow]) -> pa.Table:
            present = [r.prepared.image for r in prepared_rows if r.prepared.image]
            found = {}
            if present:
                found = extraction.compute_features(
                    iter(present), len(present), network, size, lambda _: None
                )
            return self._table(prepared_rows, found, widths)

        return compute

    def _table(
        self, prepared_rows: Sequence[PreparedRow], found: Mapping, widths: Mapping[str, int]
    ) -> pa.Table:
        """Make a table of features, null where there is no image; views are concatenated."""
        has = np.array([bool(r.prepared.image) for r in prepared_rows])
        columns = {"index": _indices(prepared_rows), "has_image": pa.array(has)}
        views = {"average": 1, "grid": len(self.settings.views), "middle": len(self.settings.views)}
        for kind, dtype in extraction.DTYPES.items():
            width = views[kind] * widths[kind]
            values = np.zeros(0, dtype)
            if found:
                array = found[kind] if kind == "average" else np.swapaxes(found[kind], 0, 1)
                values = array.ravel()
            # Not a list type of fixed size: PyArrow cannot read that from Parquet if some are null.
            ends = pa.array(np.cumsum([0, *(width * has)]), pa.int32())
            columns[kind] = pa.ListArray.from_arrays(ends, pa.array(values), mask=pa.array(~has))
        facts = np.full((len(prepared_rows), len(preprocessing.Facts._fields)), np.nan)
        if found:
            facts[has] = found["facts"]
        for field, column in zip(preprocessing.Facts._fields, facts.T, strict=True):
            columns[field] = pa.array(column, mask=~has)
        return pa.table(columns)


Transform = Cleaning | Extraction | Prediction


def _versions(*libraries: str) -> dict[str, str]:
    return {name: version(name) for name in libraries}


def _indices(prepared_rows: Sequence[PreparedRow]) -> pa.Array:
    """List the indices of the challenge, null where there is no number."""
    numbers = [r.row.index if isinstance(r.row.index, int) else None for r in prepared_rows]
    return pa.array(numbers, pa.int64())


@lru_cache(maxsize=1)
def _classifier(package: str) -> ProductClassifier:
    """Open the package once per process; `prepare` does not load its networks."""
    return ProductClassifier.load(Path(package))
