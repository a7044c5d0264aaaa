"""What is done with every product: its text cleaned, its picture's features, its prediction.

A job travels to the processes that do it. `prepare` runs in tasks, what `load` gives in actors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa

from rakuten import storage
from rakuten.distributed.pictures import IndexedPictures
from rakuten.distributed.places import locate
from rakuten.image import extraction, preprocessing
from rakuten.serving import batch_prediction, product_files
from rakuten.serving.batch_prediction import Reading
from rakuten.serving.classifier import Prepared, ProductClassifier
from rakuten.serving.product_files import Row
from rakuten.text import cleaning


@dataclass(frozen=True)
class Cleaning:
    """Take every product's text to language and tokens, as the stage `clean` does.

    Attributes:
        resources: The folder that holds NLTK's data, which every machine can read.
        settings: The section `clean` of params.yaml.
        chunk: Products cleaned at once; the result does not depend on it.
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
        """Tell what the results depend on besides products."""
        nltk = locate(self.resources).below("nltk").digests()
        return {"resources": {"nltk": nltk}, "settings": self.settings}

    def prepare(self, row: Row, pictures: None) -> Reading:
        """Take the texts of a row as they are."""
        return Reading(row, Prepared(row.title, row.description, None), row.faults, False)

    def load(self) -> Callable[[Sequence[Reading]], pa.Table]:
        """Load what cleaning needs; what is returned makes a table of readings."""
        cleaner = cleaning.Cleaner(Path(self.resources, "nltk"), **self.settings)

        def compute(readings: Sequence[Reading]) -> pa.Table:
            products = [reading.prepared for reading in readings]
            columns = cleaner.clean([p.title for p in products], [p.description for p in products])
            return pa.table({"index": _indices(readings), **columns})

        return compute


@dataclass(frozen=True)
class Prediction:
    """Predict every product with a packaged classifier.

    Attributes:
        package: The classifier's folder, which every machine can read.
        top: Choices per product.
        chunk: Products classified at once.
        partition: Rows of a partition, a multiple of `chunk`.
    """

    package: str
    top: int
    chunk: int = batch_prediction.CHUNK
    partition: int = 32 * batch_prediction.CHUNK

    name = "predictions"

    def identity(self) -> dict:
        """Tell what the results depend on besides products and pictures."""
        package = locate(self.package).digests()
        return {"package": package, "top": self.top, "chunk": self.chunk, "software": _software()}

    @property
    def threads(self) -> int:
        """Threads of the networks: those of the training."""
        return _classifier(self.package).summary["threads"]

    @property
    def takes_gpu(self) -> bool:
        """Whether pictures go through TensorFlow, which takes a GPU where there is one."""
        return _classifier(self.package).summary["extract"]["precision"] == "float32"

    def prepare(self, row: Row, pictures: IndexedPictures | None) -> Reading:
        """Do what the local engine does."""
        return batch_prediction.prepare_row(row, _classifier(self.package), pictures)

    def load(self) -> Callable[[Sequence[Reading]], pa.Table]:
        """Load the classifier; what is returned makes a table of readings."""
        classifier = ProductClassifier.load(self.package)

        def compute(readings: Sequence[Reading]) -> pa.Table:
            part = batch_prediction.classify_chunk(list(readings), classifier, self.top)
            return batch_prediction.tabulate(batch_prediction.columns_of(self.top), part["rows"])

        return compute


@dataclass(frozen=True)
class Extraction:
    """Take every product's picture through the backbone.

    Attributes:
        weights: The backbone's weights, a file that every machine can read.
        settings: The section `extract` of params.yaml.
        threads: Threads of the network, those of the training for its bits.
        chunk: Products at once.
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
        """Whether pictures go through TensorFlow, which takes a GPU where there is one."""
        return self.settings.precision == "float32"

    def identity(self) -> dict:
        """Tell what the results depend on besides products and pictures."""
        return {
            "weights": locate(self.weights).digest(),
            "settings": asdict(self.settings) | {"views": list(self.settings.views)},
            "threads": self.threads,
            "chunk": self.chunk,
            "software": _software(),
        }

    def prepare(self, row: Row, pictures: IndexedPictures | None) -> Reading:
        """Find and decode the picture of a row."""
        content, fault = batch_prediction.find_picture(row, pictures)
        faults = [*row.faults, *([fault] if fault else [])]
        picture = None
        if content is not None:
            try:
                picture = extraction.prepare(content, self.settings)
            except preprocessing.ImageError as error:
                reason = product_files.one_line(error)
                faults.append(f"picture {row.image} cannot be used: {reason}")
        missing = content is None and not fault
        return Reading(row, Prepared("", "", picture), tuple(faults), missing)

    def network(self) -> tuple[extraction.Extractor, Mapping[str, int]]:
        """Load the backbone: the network, and how many numbers it gives of each kind."""
        from rakuten import determinism
        from rakuten.image import backbones

        determinism.configure(seed=0, threads=self.threads)
        network = backbones.extractor(
            self.settings.backbone,
            storage.read_arrays(self.weights),
            size=self.settings.size,
            precision=self.settings.precision,
        )
        return network, backbones.BACKBONES[self.settings.backbone].widths

    def load(self) -> Callable[[Sequence[Reading]], pa.Table]:
        """Load the backbone; what is returned makes a table of readings."""
        network, widths = self.network()

        def compute(readings: Sequence[Reading]) -> pa.Table:
            present = [r.prepared.picture for r in readings if r.prepared.picture]
            found = {}
            if present:
                size = self.settings.batch_size
                found = extraction.compute_features(
                    iter(present), len(present), network, size, lambda _: None
                )
            return self._table(readings, found, widths)

        return compute

    def _table(
        self, readings: Sequence[Reading], found: Mapping, widths: Mapping[str, int]
    ) -> pa.Table:
        """Lay out features, null where there is no picture: views one after the other."""
        has = np.array([bool(r.prepared.picture) for r in readings])
        columns = {"index": _indices(readings), "has_image": pa.array(has)}
        views = {"average": 1, "grid": len(self.settings.views), "middle": len(self.settings.views)}
        for kind, dtype in extraction.DTYPES.items():
            width = views[kind] * widths[kind]
            values = np.zeros(0, dtype)
            if found:
                array = found[kind] if kind == "average" else np.swapaxes(found[kind], 0, 1)
                values = array.ravel()
            # Of one size in fact; PyArrow cannot read lists of a fixed size from Parquet where
            # some are null.
            ends = pa.array(np.cumsum([0, *(width * has)]), pa.int32())
            columns[kind] = pa.ListArray.from_arrays(ends, pa.array(values), mask=pa.array(~has))
        facts = np.full((len(readings), len(preprocessing.Facts._fields)), np.nan)
        if found:
            facts[has] = found["facts"]
        for field, column in zip(preprocessing.Facts._fields, facts.T, strict=True):
            columns[field] = pa.array(column, mask=~has)
        return pa.table(columns)


def _software() -> dict[str, str]:
    """Give the versions of what computes."""
    return {name: version(name) for name in ("tensorflow", "keras", "onnxruntime", "numpy")}


def _indices(readings: Sequence[Reading]) -> pa.Array:
    """Give the challenge's indices, null where there is no number."""
    numbers = [r.row.index if isinstance(r.row.index, int) else None for r in readings]
    return pa.array(numbers, pa.int64())


@lru_cache(maxsize=1)
def _classifier(package: str) -> ProductClassifier:
    """Open the package once a process; its networks are not loaded for `prepare`."""
    return ProductClassifier.load(Path(package))
