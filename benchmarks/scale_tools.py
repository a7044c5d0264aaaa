"""Tools of the benchmarks of Ray: recorded and simulated transforms, clusters, catalogues."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa

from rakuten import storage
from rakuten.data import products
from rakuten.distributed.prediction import Prediction
from rakuten.distributed.transform import Steps, Transform
from rakuten.distributed.worker import import_ray
from rakuten.image import extraction
from rakuten.prefetch import available_cpus
from rakuten.sample.catalogue import write_sample
from rakuten.serving import batch_prediction, prediction_files
from rakuten.serving.batch_prediction import CHUNK, PreparedRow
from rakuten.serving.classifier import Prepared

COST = 0.2
"""Seconds that a simulated worker takes per chunk, as one CPU takes for text alone."""

STARTS = 240
"""Seconds that simulated workers wait for each other."""


class Mark(NamedTuple):
    """A moment in a process: seconds since 1970, its CPU seconds so far, products just computed."""

    when: float
    spent: float
    products: int


def cpu_seconds(process: psutil.Process | None = None) -> float:
    """Return the CPU seconds of a process so far, of this one if None."""
    return sum((process or psutil.Process()).cpu_times()[:2])


def ray_seconds() -> float:
    """Return the CPU seconds of Ray's own processes that this process has started."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.name() in ("raylet", "gcs_server"):
                total += cpu_seconds(process)
    return total


class Recorded:
    """Record when a transform is loaded and when it has computed each chunk.

    Args:
        transform: What is computed.
        folder: A new folder for the records.
    """

    def __init__(self, transform: Transform, folder: Path):
        folder.mkdir(parents=True)
        self._transform, self._folder = transform, folder
        self.name, self.identity = transform.name, transform.identity
        self.threads, self.takes_gpu = transform.threads, transform.takes_gpu
        self.chunk, self.partition = transform.chunk, transform.partition

    def load(self) -> Steps:
        """Load the transform."""
        prepare, compute = self._transform.load()
        path = self._folder / str(os.getpid())

        def mark(count: int) -> None:
            with path.open("a") as file:
                file.write(f"{time.time()} {cpu_seconds()} {count}\n")

        def recorded(prepared_rows: Sequence[PreparedRow]) -> pa.Table:
            table = compute(prepared_rows)
            mark(len(prepared_rows))
            return table

        mark(0)
        return Steps(prepare, recorded)

    def marks(self) -> list[list[Mark]]:
        """Read the marks of each process; the first is that of loading."""
        return [
            [Mark(float(a), float(b), int(c)) for a, b, c in map(str.split, text.splitlines())]
            for text in (path.read_text() for path in self._folder.iterdir())
        ]

    def rate(self, end: float) -> float:
        """Return products per second from the first loading to an end in seconds since 1970."""
        every = [mark for marks in self.marks() for mark in marks]
        return sum(mark.products for mark in every) / (end - min(mark.when for mark in every))

    def cpu(self) -> float:
        """Return the CPU seconds of the processes from loading to their last chunks."""
        return sum(marks[-1].spent - marks[0].spent for marks in self.marks())

    def between(self) -> tuple[float, int]:
        """Return the seconds in which all processes computed, and the products computed in them."""
        start = max(marks[1].when for marks in self.marks())
        stop = min(marks[-1].when for marks in self.marks())
        inside = [m for marks in self.marks() for m in marks if start < m.when <= stop]
        return stop - start, sum(mark.products for mark in inside)


@dataclass(frozen=True)
class Simulated(Prediction):
    """Sleep for a fixed time per chunk, then return constant predictions or features.

    Attributes:
        cost: Seconds per chunk.
        width: float32 values per product, as features have; 0 for a prediction.
        folder: Where workers record that they have started.
        workers: Number of workers that wait for each other.
    """

    cost: float = COST
    width: int = 0
    folder: str = ""
    workers: int = 0

    def identity(self) -> dict:
        """Return nothing: every run writes a new folder."""
        return {}

    def load(self) -> Steps:
        """Load nothing."""
        # Two of five are 0, as in the features of the sample, so that they compress equally well.
        values = np.random.default_rng(0).normal(0.2, 1, CHUNK * self.width)
        values = np.maximum(values, 0).astype(np.float32)
        late = time.monotonic() + STARTS
        if self.workers:
            Path(self.folder, str(os.getpid())).touch()

        def compute(prepared_rows: Sequence[PreparedRow]) -> pa.Table:
            while self.workers and started(self.folder) < self.workers and time.monotonic() < late:
                time.sleep(0.1)
            time.sleep(self.cost)
            index = [prepared_row.row.index for prepared_row in prepared_rows]
            if self.width:
                own = pa.array(values[: len(index) * self.width])
                features = pa.FixedSizeListArray.from_arrays(own, self.width)
                return pa.table({"index": index, "features": features})
            rows = [[number, 10, "Livres pour adultes", 0.5, 1.0, None] for number in index]
            return prediction_files.tabulate(batch_prediction.columns_of(1), rows)

        return Steps(_prepare, compute)


def _prepare(row: Any, images: Any) -> PreparedRow:
    return PreparedRow(row, Prepared(row.title, row.description, None), row.faults, False)


def started(folder: str) -> int:
    """Count the simulated workers that have started."""
    return sum(1 for _ in Path(folder).iterdir())


@contextmanager
def cluster(cpus: int) -> Iterator[str]:
    """Start Ray on this machine with a number of CPUs, real or declared; yield its address."""
    import_ray()
    from ray.cluster_utils import Cluster  # an optional package

    node = {"num_cpus": cpus, "object_store_memory": 256 << 20, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=node)
    try:
        yield nodes.address
    finally:
        nodes.shutdown()


def texts(folder: Path, count: int) -> Path:
    """Generate products without images in a folder that holds nothing else; return their table."""
    write_sample(folder / "sample", products=count, quality=None, processes=available_cpus())
    table = pd.read_csv(folder / "sample/X_train_update.csv", dtype=str, keep_default_na=False)
    (folder / "products").mkdir()
    path = folder / "products/00000.csv"
    table.rename(columns={products.UNNAMED: ""}).to_csv(path, index=False)
    return path


def repeat(table: Path, count: int) -> Path:
    """Link a table until its folder holds `count` of them; return the folder."""
    for number in range(1, count):
        path = table.with_name(f"{number:05d}.csv")
        if not path.exists():
            os.link(table, path)
    return table.parent


def with_images(folder: Path, count: int) -> tuple[Path, Path]:
    """Generate products, each with another image; return the only table and the archive."""
    write_sample(folder / "sample", products=count * 5 // 4, processes=available_cpus())
    source, images = folder / "sample/X_train_update.csv", folder / "sample/images.zip"
    table = products.join(storage.read_csv(source, **products.CSV_FORMAT))
    names = [f"images/image_train/{name}" for name in products.image_names(table)]
    with storage.ImageArchive(images) as archive:
        found = extraction.find_images(names, archive)
    rows = np.unique(found.rows, return_index=True)[1][:count]
    (folder / "products").mkdir()
    path = folder / "products/00000.csv"
    pd.read_csv(source, dtype=str, index_col=0).iloc[rows].to_csv(path)
    return path, images


def watch_memory(seen: list[tuple[int, float, float]], done: Any, written: Path) -> None:
    """Record files written, and MiB of this process and of its children, every second."""
    driver = psutil.Process()
    while not done.wait(1):
        sizes = map(partial(_unshared, driver.pid), [driver, *driver.children(recursive=True)])
        own, others = (sum(part) for part in zip(*sizes, strict=True))
        files = len(list(written.glob("*.parquet")))
        seen.append((files, own / 2**20, others / 2**20))


def _unshared(driver: int, process: psutil.Process) -> tuple[int, int]:
    """Return the bytes that a process shares with no other, as the driver's or another's."""
    try:
        size = process.memory_full_info().uss
    except psutil.Error:
        size = 0
    return (size, 0) if process.pid == driver else (0, size)
