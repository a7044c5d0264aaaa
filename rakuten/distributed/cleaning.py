"""Clean the texts of products on Ray."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from rakuten.distributed.transform import Steps, indices, versions
from rakuten.serving.batch_prediction import PreparedRow
from rakuten.serving.classifier import Prepared
from rakuten.serving.product_images import ImageReader
from rakuten.serving.product_tables import Row
from rakuten.serving.remote_files import locate
from rakuten.text import cleaning


@dataclass(frozen=True)
class Cleaning:
    """Extract language and tokens of every product's text, as the stage `clean` does.

    The columns of a result are int64 `index`, bool `has_text`, string `language` and `tokens`, and
    int64 `num_tokens`.

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
        """Identify what the results depend on, see `Transform.identity`."""
        nltk = (locate(self.resources) / "nltk").digests()
        software = versions("beautifulsoup4", "langid", "nltk")
        return {"resources": {"nltk": nltk}, "settings": self.settings, "software": software}

    def load(self) -> Steps:
        """Load NLTK's data."""
        cleaner = cleaning.Cleaner(Path(self.resources, "nltk"), **self.settings)

        def compute(prepared_rows: Sequence[PreparedRow]) -> pa.Table:
            rows = [prepared_row.row for prepared_row in prepared_rows]
            columns = cleaner.clean([r.title for r in rows], [r.description for r in rows])
            return pa.table({"index": indices(prepared_rows), **columns})

        return Steps(_prepare, compute)


def _prepare(row: Row, images: ImageReader | None) -> PreparedRow:
    return PreparedRow(row, Prepared("", "", None), row.faults, False)
