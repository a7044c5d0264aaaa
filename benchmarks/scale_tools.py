"""Tools of the benchmarks of Ray: timed and simulated transforms, clusters, progress."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest

from rakuten import stage_log
from rakuten.distributed import engine, transforms
from rakuten.distributed.transforms import Compute, Transform
from rakuten.distributed.workers import import_ray
from rakuten.serving import batch_prediction, prediction_files, product_tables
from rakuten.serving.batch_prediction import CHUNK, PreparedRow
from rakuten.serving.classifier import Prepared

STORE = 1 << 30
"""Bytes of Ray's shared memory."""

COST = 0.2
"""Seconds that a simulated actor takes per chunk, less than the classifier for text alone."""

STARTS = 240
"""Seconds that simulated actors wait for each other."""


class ProgressRecorder:
    """A progress bar that records products, time and CPU time of this process."""

    def __init__(self):
        self.times: list[tuple[float, int, float]] = []
        self.began, self._spent = time.perf_counter(), spent()

    def __call__(self, *_, **__) -> "ProgressRecorder":
        """Replace `stage_log.progress`."""
        return self

    def __enter__(self) -> "ProgressRecorder":
        return self

    def __exit__(self, *_) -> None:
        pass

    def update(self, count: int) -> None:
        """Record that `count` more products are finished."""
        before = self.times[-1][1] if self.times else 0
        self.times.append((time.perf_counter(), before + count, spent()))

    def between(self, first: int, last: int) -> tuple[float, int, float]:
        """Return seconds, products and CPU seconds between two numbers of finished products."""
        start = next(mark for mark in self.times if mark[1] >= first)
        stop = next(mark for mark in self.times if mark[1] >= last)
        return tuple(b - a for a, b in zip(start, stop, strict=True))

    def rate(self) -> float:
        """Return products per second since the start."""
        when, count, _ = self.times[-1]
        return count / (when - self.began)

    def written_by_one_processor(self) -> float:
        """Return products per CPU second of this process, which takes results and writes them."""
        _, count, spent = self.times[-1]
        return count / (spent - self._spent)


class Timed:
    """Time the chunks of a transform in the process that computes them.

    Nothing is prepared before the networks are loaded, so that all work is measured.

    Args:
        transform: What is computed.
        folder: A new folder for the times.
    """

    def __init__(self, transform: Transform, folder: Path):
        folder.mkdir()
        self._transform, self._folder, self._began = transform, folder, time.time()
        self._ready = False
        self.name, self.threads = transform.name, transform.threads
        self.takes_gpu, self.identity = transform.takes_gpu, transform.identity
        self.chunk, self.partition = transform.chunk, transform.partition

    def prepare(self, row: product_tables.Row, images) -> PreparedRow:
        """Prepare a row after an actor has started."""
        while not self._ready:
            self._ready = any(self._folder.glob("*.loaded"))
            time.sleep(0 if self._ready else 0.05)
        return self._transform.prepare(row, images)

    def load(self) -> Compute:
        """Load the networks of the transform."""
        compute = self._transform.load()
        (self._folder / f"{os.getpid()}.loaded").write_text(f"{time.time()} 0\n")

        def timed(prepared_rows: Sequence[PreparedRow]) -> pa.Table:
            table = compute(prepared_rows)
            with (self._folder / f"{os.getpid()}.done").open("a") as file:
                file.write(f"{time.time()} {len(prepared_rows)}\n")
            return table

        return timed

    def loaded(self) -> float:
        """Return the seconds until the first actor had loaded its networks."""
        return min(when for when, _ in self._times("loaded"))

    def count(self) -> int:
        """Return the number of computed products."""
        return sum(count for _, count in self._times("done"))

    def rate(self) -> float:
        """Return products per second from then on."""
        return self.count() / (max(when for when, _ in self._times("done")) - self.loaded())

    def _times(self, kind: str) -> list[tuple[float, int]]:
        lines = [
            line for p in self._folder.glob(f"*.{kind}") for line in p.read_text().splitlines()
        ]
        return [(float(when) - self._began, int(count)) for when, count in map(str.split, lines)]


@dataclass(frozen=True)
class Simulated(transforms.Prediction):
    """A prediction that sleeps instead of computing.

    Attributes:
        cost: Seconds per chunk.
        width: Numbers per product, as features have; 0 for a prediction.
        folder: Where actors record that they have started.
        workers: Number of actors that wait for each other.
    """

    cost: float = COST
    width: int = 0
    folder: str = ""
    workers: int = 0

    threads = 1
    takes_gpu = False

    def identity(self) -> dict:
        """Return nothing: every run writes a new folder."""
        return {}

    def prepare(self, row: product_tables.Row, images) -> PreparedRow:
        """Take the texts without change."""
        return PreparedRow(row, Prepared(row.title, row.description, None), row.faults, False)

    def load(self) -> Compute:
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
            if self.width:
                own = pa.array(values[: len(prepared_rows) * self.width])
                columns = {
                    "index": pa.array([prepared_row.row.index for prepared_row in prepared_rows])
                }
                columns["features"] = pa.FixedSizeListArray.from_arrays(own, self.width)
                return pa.table(columns)
            rows = [
                [prepared_row.row.index, 10, "Livres pour adultes", 0.5, 1.0, None]
                for prepared_row in prepared_rows
            ]
            return prediction_files.tabulate(batch_prediction.columns_of(1), rows)

        return compute


def spent() -> float:
    """Return the CPU seconds of this process so far."""
    return sum(psutil.Process().cpu_times()[:2])


def started(folder: str) -> int:
    """Count the simulated actors that have started."""
    return sum(1 for _ in Path(folder).iterdir())


@contextmanager
def cluster(processors: int, store: int = STORE) -> Iterator[float]:
    """Start Ray on this machine with a number of CPUs, real or declared.

    Yields:
        The seconds of the start.
    """
    ray = import_ray()
    start = time.perf_counter()
    ray.init(
        address="local",
        num_cpus=processors,
        object_store_memory=store,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        yield time.perf_counter() - start
    finally:
        ray.shutdown()


@contextmanager
def recorded() -> Iterator[ProgressRecorder]:
    """Record the progress of the engine."""
    with pytest.MonkeyPatch.context() as patch:
        recorder = ProgressRecorder()
        patch.setattr(stage_log, "progress", recorder)
        yield recorder


def run(transform: Transform | Timed, request: engine.Request) -> ProgressRecorder:
    """Compute a transform into an empty folder."""
    with recorded() as recorder:
        engine.run(replace(request, restart=True), transform)
    return recorder
