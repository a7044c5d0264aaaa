"""What a computation must offer to be run on Ray."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import NamedTuple, Protocol

import pyarrow as pa

from rakuten.serving.batch_prediction import CHUNK, PreparedRow
from rakuten.serving.product_images import ImageReader
from rakuten.serving.product_tables import Row

ONNX_LIBRARIES = ("onnxruntime", "onnxruntime-extensions", "pillow", "numpy")
"""Libraries whose versions decide the last bits of what ONNX Runtime computes."""

TEXT_PARTITION, IMAGE_PARTITION = 32 * CHUNK, 4 * CHUNK
"""Rows of a partition without and with images: seconds, or about a minute, of one CPU."""


class Steps(NamedTuple):
    """The two steps of a computation, in the process that has loaded it.

    Attributes:
        prepare: Reads what a row names, independently of other rows; thread-safe. Takes a row and
            the images, None for text alone.
        compute: Computes a table from a chunk of prepared rows: a row per product, in their order,
            the first column the int64 `index`, null where it is not a number. It raises nothing for
            an invalid product; what it raises ends the run.
    """

    prepare: Callable[[Row, ImageReader | None], PreparedRow]
    compute: Callable[[Sequence[PreparedRow]], pa.Table]


class Transform(Protocol):
    """A computation. It is pickled and sent to workers, where its paths must exist too."""

    @property
    def name(self) -> str:
        """Name of the folder of its results."""

    @property
    def threads(self) -> int:
        """CPUs that a process uses."""

    @property
    def takes_gpu(self) -> bool:
        """Whether a process uses a GPU if the cluster has any."""

    @property
    def chunk(self) -> int:
        """Rows that are computed together."""

    @property
    def partition(self) -> int:
        """Rows of a partition, a multiple of `chunk`."""

    def identity(self) -> dict:
        """Identify what the results depend on, except products, images and this project's code.

        Returns:
            Digests of files, settings and versions of libraries, for JSON.

        Raises:
            OSError: If a file cannot be read.
            PackageNotFoundError: If a library is not installed.
        """

    def load(self) -> Steps:
        """Load what the computation needs, in the process of a worker.

        Returns:
            Its steps.

        Raises:
            OSError: If a file cannot be read.
            ValueError: If a file is not as expected.
        """


def indices(prepared_rows: Sequence[PreparedRow]) -> pa.Array:
    """List the challenge's indices of rows as int64 (n,), null where there is no number."""
    numbers = [r.row.index if isinstance(r.row.index, int) else None for r in prepared_rows]
    return pa.array(numbers, pa.int64())


def versions(*libraries: str) -> dict[str, str]:
    """Look up the installed versions of libraries."""
    return {name: version(name) for name in libraries}
