"""Predict the categories of products on Ray, with ONNX Runtime and NumPy alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from rakuten.distributed.transform import ONNX_LIBRARIES, Steps, versions
from rakuten.serving import batch_prediction, prediction_files
from rakuten.serving.batch_prediction import CHUNK, PreparedRow
from rakuten.serving.classifier import Product, ProductClassifier
from rakuten.serving.product_images import ImageReader
from rakuten.serving.product_tables import Row
from rakuten.serving.remote_files import locate


@dataclass(frozen=True)
class Prediction:
    """Predict every product with a packaged classifier.

    The columns of a result are `batch_prediction.columns_of(top)`: int64 `index` and codes, string
    `name`, all others float64.

    Attributes:
        package: Folder of the classifier, on every machine.
        top: Number of categories per product.
        partition: Rows of a partition, a multiple of `chunk`.
        chunk: Products that are classified together.
    """

    package: str
    top: int
    partition: int
    chunk: int = CHUNK

    name = "predictions"
    threads = 1  # the predictions do not depend on it; a process per CPU does the most per second
    takes_gpu = False

    def identity(self) -> dict:
        """Identify what the results depend on, see `Transform.identity`."""
        return {
            "package": locate(self.package).digests(),
            "top": self.top,
            "chunk": self.chunk,
            "software": versions(*ONNX_LIBRARIES),
        }

    def classifier(self) -> ProductClassifier:
        """Load the classifier."""
        return ProductClassifier.load(self.package, threads=self.threads)

    def load(self) -> Steps:
        """Load the classifier, and its text networks with a first product."""
        classifier = self.classifier()
        classifier.classify([classifier.prepare(Product("a"))], top=1)

        def prepare(row: Row, images: ImageReader | None) -> PreparedRow:
            return batch_prediction.prepare_row(row, classifier, images)

        def compute(prepared_rows: Sequence[PreparedRow]) -> pa.Table:
            rows, _ = batch_prediction.classify_chunk(prepared_rows, classifier, self.top)
            return prediction_files.tabulate(batch_prediction.columns_of(self.top), rows)

        return Steps(prepare, compute)
