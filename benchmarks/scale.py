"""Ray against one process, what it can schedule, and how its memory grows.

`python -m benchmarks.scale` runs all pieces, `python -m benchmarks.scale overhead` one of them. It
needs requirements/scale.txt and the outputs of the last `dvc repro`. Rates are without start-up:
from the moment in which the networks are loaded.
"""

import argparse
import logging
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pytest

from benchmarks import measure
from rakuten import stage_log, storage
from rakuten.data import products
from rakuten.distributed import engine, jobs
from rakuten.image import extraction
from rakuten.sample.catalogue import write_sample
from rakuten.serving import batch_prediction, product_files
from rakuten.serving.batch_prediction import CHUNK, Reading
from rakuten.serving.classifier import Prepared

BUILD = measure.ROOT / "build"
PROCESSORS = os.cpu_count() or 1
STORE = 1 << 30
"""Bytes of Ray's shared memory."""

PICTURES = {"int8": 8 * CHUNK, "float32": 4 * CHUNK}
TURNS = {"int8": 2, "float32": 1}
WITH_PICTURES = 2 * CHUNK
TITLES = 40 * CHUNK
CLEANED = 300_000
FEW, MANY = (2, 4, 8, 16), (32, 64)
TOP = 5
"""Choices a product, as `rakuten.serving.batch_prediction` gives where nothing is said."""

COST = 0.2
"""Seconds that a stand-in takes for a chunk, less than the classifier for texts alone."""

SMALL_STORE = 160 << 20
"""What is decoded before all stand-ins have started must be little next to the run."""

SCHEDULED = 1200
"""Chunks of a run, at most; fewer if they would take longer than `LASTS` seconds."""

LASTS = 15
STARTS = 240
"""Seconds that stand-ins wait for each other."""

WIDTH = 3_584
"""Half-precision numbers a product of a stand-in for the features of VGG16, 7 kB."""

STREAM = 500_000


class Marks:
    """A bar that notes when how many products were done, and what it cost this process."""

    def __init__(self):
        self.times: list[tuple[float, int, float]] = []
        self.began, self._spent = time.perf_counter(), spent()

    def __call__(self, *_, **__) -> "Marks":
        """Stand in for `stage_log.progress`."""
        return self

    def __enter__(self) -> "Marks":
        return self

    def __exit__(self, *_) -> None:
        pass

    def update(self, count: int) -> None:
        """Note that so many are done."""
        before = self.times[-1][1] if self.times else 0
        self.times.append((time.perf_counter(), before + count, spent()))

    def between(self, first: int, last: int) -> tuple[float, int, float]:
        """Find the seconds, products and own CPU seconds between two numbers of products done."""
        start = next(mark for mark in self.times if mark[1] >= first)
        stop = next(mark for mark in self.times if mark[1] >= last)
        return tuple(b - a for a, b in zip(start, stop, strict=True))

    def rate(self) -> float:
        """Products a second from the beginning on."""
        when, count, _ = self.times[-1]
        return count / (when - self.began)

    def written_by_one_processor(self) -> float:
        """Products a second, did this process nothing but take results and write them."""
        _, count, spent = self.times[-1]
        return count / (spent - self._spent)


class Timed:
    """A job whose chunks are timed where they are computed: Ray hands them on a chunk later.

    Nothing is prepared before the networks are loaded, so that nothing is done for free meanwhile.

    Args:
        job: What is done.
        folder: An empty folder for the times.
    """

    def __init__(self, job: engine.Job, folder: Path):
        folder.mkdir()
        self._job, self._folder, self._began = job, folder, time.time()
        self._ready = False
        self.name, self.threads, self.takes_gpu = job.name, job.threads, job.takes_gpu
        self.chunk, self.partition, self.identity = job.chunk, job.partition, job.identity

    def prepare(self, row: product_files.Row, pictures) -> Reading:
        """Do what the job does, once an actor is there."""
        while not self._ready:
            self._ready = any(self._folder.glob("*.loaded"))
            time.sleep(0 if self._ready else 0.05)
        return self._job.prepare(row, pictures)

    def load(self) -> Callable[[Sequence[Reading]], pa.Table]:
        """Load the job's networks."""
        compute = self._job.load()
        (self._folder / f"{os.getpid()}.loaded").write_text(f"{time.time()} 0\n")

        def timed(readings: Sequence[Reading]) -> pa.Table:
            table = compute(readings)
            with (self._folder / f"{os.getpid()}.done").open("a") as file:
                file.write(f"{time.time()} {len(readings)}\n")
            return table

        return timed

    def loaded(self) -> float:
        """Seconds from the beginning to the first actor's networks."""
        return min(when for when, _ in self._times("loaded"))

    def count(self) -> int:
        """Products that were done."""
        return sum(count for _, count in self._times("done"))

    def rate(self) -> float:
        """Products a second from there on."""
        return self.count() / (max(when for when, _ in self._times("done")) - self.loaded())

    def _times(self, kind: str) -> list[tuple[float, int]]:
        lines = [
            line for p in self._folder.glob(f"*.{kind}") for line in p.read_text().splitlines()
        ]
        return [(float(when) - self._began, int(count)) for when, count in map(str.split, lines)]


@dataclass(frozen=True)
class StandIn(jobs.Prediction):
    """A prediction that sleeps instead of computing.

    Attributes:
        cost: Seconds a chunk.
        width: Numbers a product, as features have; 0 for a prediction.
        folder: Where the stand-ins tell that they have started.
        workers: How many they wait for.
    """

    cost: float = COST
    width: int = 0
    folder: str = ""
    workers: int = 0

    threads = 1
    takes_gpu = False

    def identity(self) -> dict:
        """Tell nothing: every run has a folder of its own."""
        return {}

    def prepare(self, row: product_files.Row, pictures) -> Reading:
        """Take the texts as they are."""
        return Reading(row, Prepared(row.title, row.description, None), row.faults, False)

    def load(self) -> Callable[[Sequence[Reading]], pa.Table]:
        """Load nothing."""
        # Two of three are 0, about as many as a network's, so that they are packed as well.
        values = np.random.default_rng(0).normal(-0.5, 1, CHUNK * self.width)
        values = np.maximum(values, 0).astype(np.float16)
        late = time.monotonic() + STARTS
        if self.workers:
            Path(self.folder, str(os.getpid())).touch()

        def compute(readings: Sequence[Reading]) -> pa.Table:
            while self.workers and started(self.folder) < self.workers and time.monotonic() < late:
                time.sleep(0.1)
            time.sleep(self.cost)
            if self.width:
                own = pa.array(values[: len(readings) * self.width])
                columns = {"index": pa.array([reading.row.index for reading in readings])}
                columns["features"] = pa.FixedSizeListArray.from_arrays(own, self.width)
                return pa.table(columns)
            rows = [
                [reading.row.index, 10, "livres_adulte", 0.5, 1.0, None] for reading in readings
            ]
            return batch_prediction.tabulate(batch_prediction.columns_of(1), rows)

        return compute


def spent() -> float:
    """Give the processor's seconds of this process so far."""
    return sum(psutil.Process().cpu_times()[:2])


def started(folder: str) -> int:
    """Count the stand-ins that have started."""
    return sum(1 for _ in Path(folder).iterdir())


@contextmanager
def cluster(processors: int, store: int = STORE) -> Iterator[float]:
    """Start Ray on this machine, with so many processors or what counts as such.

    Yields:
        The seconds of the start.
    """
    ray = engine._import()
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
def marked() -> Iterator[Marks]:
    """Note what the engine tells its bar."""
    with pytest.MonkeyPatch.context() as patch:
        marks = Marks()
        patch.setattr(stage_log, "progress", marks)
        yield marks


def run(job: engine.Job, request: engine.Request) -> Marks:
    """Do a job into an empty folder."""
    with marked() as marks:
        engine._run(replace(request, restart=True), job)
    return marks


def settings(precision: str) -> tuple[int, extraction.Settings]:
    """Read threads and settings of the stage, in another precision."""
    threads, section = storage.read_params("threads", "extract", path=measure.ROOT / "params.yaml")
    return threads, extraction.Settings(**section | {"precision": precision})


def weights() -> Path:
    """Name the backbone's weights."""
    return BUILD / "resources/vgg16.npz"


def pictured(folder: Path, count: int) -> tuple[Path, Path]:
    """Generate products, each with a picture of its own: the table and the archive."""
    write_sample(folder, products=count * 5 // 4, processes=PROCESSORS)
    source, images = folder / "X_train_update.csv", folder / "images.zip"
    with storage.ImageArchive(images) as archive:
        found = extraction.find_images(names(source), archive)
    rows = np.unique(found.rows, return_index=True)[1][:count]
    assert len(rows) == count
    table = folder / "products.csv"
    pd.read_csv(source, dtype=str, index_col=0).iloc[rows].to_csv(table)
    return table, images


def names(source: Path) -> list[str]:
    """Name the pictures of products as the generated archive does."""
    table = products.join(storage.read_csv(source, **products.CSV_FORMAT))
    return [f"images/image_train/{name}" for name in products.image_names(table)]


def texts(folder: Path, count: int) -> Path:
    """Generate products without pictures; many of them are some again and again."""
    distinct = min(count, 50_000)
    write_sample(folder, products=distinct, quality=None, processes=PROCESSORS)
    table = pd.read_csv(folder / "X_train_update.csv", dtype=str, keep_default_na=False)
    path = folder / "products.csv"
    table.rename(columns={products.UNNAMED: ""}).to_csv(path, index=False)
    with path.open("a", encoding="utf-8", newline="") as file:
        for start in range(distinct, count, distinct):
            table.head(count - start).to_csv(file, index=False, header=False)
    return path


def overhead() -> list[measure.Row]:
    """Extract the same pictures by Ray and by one process, in turns, on the same processors."""
    from rakuten import determinism
    from rakuten.image import backbones

    rows = []
    with measure.scratch("scale") as folder:
        table, images = pictured(folder / "sample", max(PICTURES.values()))
        for precision, count in PICTURES.items():
            source = folder / f"{precision}.csv"
            pd.read_csv(table, dtype=str, index_col=0).head(count).to_csv(source)
            threads, chosen = settings(precision)
            determinism.configure(seed=0, threads=threads)
            begun = time.perf_counter()
            network = backbones.extractor(
                "vgg16", storage.read_arrays(weights()), size=chosen.size, precision=precision
            )
            loading = time.perf_counter() - begun

            def local(source=source, chosen=chosen, network=network) -> Marks:
                with storage.ImageArchive(images) as archive:
                    found = extraction.find_images(names(source), archive)
                    marks, widths = Marks(), backbones.BACKBONES["vgg16"].widths
                    build = partial(lambda network: network, network)
                    extraction.extract(found, archive, build, None, marks, chosen, widths)
                return marks

            def far(turn: int, source=source, threads=threads, chosen=chosen):
                request = engine.Request(str(source), str(folder / "out"), str(images))
                with cluster(PROCESSORS) as started:
                    job = jobs.Extraction(str(weights()), chosen, threads)
                    job = Timed(job, folder / f"{chosen.precision}{turn}")
                    run(job, request)
                return started, job

            results = [(local(), far(turn)) for turn in range(TURNS[precision])]
            one = [marks.rate() for marks, _ in results]
            many = [job.rate() for _, (_, job) in results]
            shares = [1 - b / a for a, b in zip(one, many, strict=True)]
            note = f"{count:,} pictures, {PROCESSORS} processors, turns: {TURNS[precision]}"
            rows.append(
                measure.Row(
                    f"extraction by Ray, {precision}", measure.median(many), "pictures/s",
                    measure.median(one), ratio(many, one), f"{note}; naive: one process, no Ray",
                )
            )  # fmt: skip
            listed = ", ".join(f"{100 * share:.1f} %" for share in shares)
            rows.append(
                measure.Row(
                    f"what Ray costs, {precision}", percent(statistics.median(shares)), "%",
                    note=f"of the time of one process; turn by turn {listed}",
                )
            )  # fmt: skip
            starts = [started for _, (started, _) in results]
            loads = [job.loaded() for _, (_, job) in results]
            rows += [
                measure.Row("start of the cluster", measure.median(starts), "s", note=precision),
                measure.Row("from there to the loaded network", measure.median(loads), "s",
                            note=f"{precision}; {loading:.2g} s of it in a process that has "
                            "TensorFlow"),
            ]  # fmt: skip
            written = sum(p.stat().st_size for p in (folder / "out/features").iterdir()) / count
            rows.append(
                measure.Row(f"features written, {precision}", round(written), "bytes/product")
            )
    return rows


def ratio(ours: list[float], others: list[float]) -> float:
    """Divide medians."""
    return float(f"{statistics.median(ours) / statistics.median(others):.3g}")


def percent(share: float) -> float:
    """Write a share in percent, a digit behind the point."""
    return round(100 * share, 1)


@contextmanager
def only(processors: int) -> Iterator[None]:
    """Keep this process, and those it starts, to some of the processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:processors])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def on_processors(
    what: str, unit: str, source: Path, make, images=None, numbers=(1, PROCESSORS)
) -> list[measure.Row]:
    """Do a job on some numbers of processors.

    Args:
        what: What it does.
        unit: Of one item.
        source: The products.
        make: Makes the job from the number of threads.
        images: The pictures.
        numbers: The numbers of processors, ascending.
    """
    rates, notes = {}, {}
    for processors in sorted({*numbers}):
        with only(processors), cluster(processors):
            out = source.with_name("out")
            job = Timed(make(processors), source.with_name(f"times{processors}"))
            run(job, engine.Request(str(source), str(out), images))
            rates[processors] = job.rate()
            notes[processors] = f"{job.count():,} products, one run"
            if len(rates) > 1:
                notes[processors] += f"; {rates[processors] / rates[min(rates)]:.2f} times as fast"
    return [
        measure.Row(
            f"{what}, {number_of(processors)}", float(f"{rate:.3g}"), f"{unit}/s",
            note=notes[processors],
        )
        for processors, rate in rates.items()
    ]  # fmt: skip


def number_of(processors: int) -> str:
    """Write a number of processors."""
    return "1 processor" if processors == 1 else f"{processors} processors"


def extraction_speed() -> list[measure.Row]:
    """Extract on one processor and on all."""
    with measure.scratch("scale") as folder:
        table, images = pictured(folder / "sample", 4 * CHUNK)

        def make(threads: int) -> jobs.Extraction:
            return jobs.Extraction(str(weights()), settings("int8")[1], threads)

        return on_processors("extraction, int8", "pictures", table, make, str(images))


@dataclass(frozen=True)
class OnThreads(jobs.Prediction):
    """A prediction that counts as so many threads as it gets processors."""

    processors: int = 1

    @property
    def threads(self) -> int:
        """Threads of an actor."""
        return self.processors


def prediction_speed() -> list[measure.Row]:
    """Predict on one processor and on all."""

    def make(threads: int) -> jobs.Prediction:
        return OnThreads(str(BUILD / "package"), TOP, processors=threads)

    with measure.scratch("scale") as folder:
        plain = texts(folder / "text", TITLES)
        table, images = pictured(folder / "sample", WITH_PICTURES)
        rows = on_processors("prediction from text", "products", plain, make)
        written = list((folder / "text/out/predictions").iterdir())
        size = sum(path.stat().st_size for path in written) / TITLES
        what = "prediction from text and picture, float32"
        return [
            *rows,
            *on_processors(what, "products", table, make, str(images), (PROCESSORS,)),
            measure.Row("text read", round(plain.stat().st_size / TITLES), "bytes/product"),
            measure.Row("pictures read", round(images.stat().st_size / WITH_PICTURES),
                        "bytes/product", note="of the generated catalogue"),
            measure.Row("predictions written", round(size), "bytes/product",
                        note=f"{TOP} choices each"),
        ]  # fmt: skip


def cleaning_speed() -> list[measure.Row]:
    """Clean on one processor and on all, and find what the driver has to do with it."""
    options = storage.read_params("clean", path=measure.ROOT / "params.yaml")

    def make(_: int) -> jobs.Cleaning:
        return jobs.Cleaning(str(BUILD / "resources"), options)

    with measure.scratch("scale") as folder:
        source = texts(folder, CLEANED)
        rows = on_processors("cleaning", "products", source, make)
        with cluster(PROCESSORS):
            marks = run(make(0), engine.Request(str(source), str(folder / "out"), None))
        size = sum(path.stat().st_size for path in (folder / "out/texts").iterdir()) / CLEANED
    return [
        *rows,
        driver([marks.written_by_one_processor()], "cleaned texts"),
        measure.Row("cleaned texts written", round(size), "bytes/product"),
    ]


def driver(rates: Sequence[float], what: str) -> measure.Row:
    """Make a row of what the driver alone could write."""
    note = "in seconds that its processor was busy, scheduling and writing"
    return measure.Row(f"the driver, {what}", measure.median(rates), "products/s", note=note)


def capacity() -> list[measure.Row]:
    """Schedule stand-ins of a fixed cost for a few workers."""
    with measure.scratch("scale") as folder:
        source = texts(folder, SCHEDULED * CHUNK)
        begun = time.perf_counter()
        table = product_files.open_table(source, every=8192)
        planned = [time.perf_counter() - begun]
        note = "one process reads each CSV file once to find the partitions"
        found = [scheduled(source, folder, workers) for workers in FEW]
        return [
            measure.rate("planning", "products", planned, table.rows, note),
            *(row for row, _ in found),
            driver([rate for _, rate in found], "predictions"),
        ]


def many() -> list[measure.Row]:
    """Schedule stand-ins of a fixed cost for many workers: where is the limit?"""
    with measure.scratch("scale") as folder:
        source = texts(folder, SCHEDULED * CHUNK)
        return [scheduled(source, folder, workers)[0] for workers in MANY]


def features() -> list[measure.Row]:
    """Schedule stand-ins whose results are as large as features: how many can the driver write?"""
    with measure.scratch("scale") as folder:
        row, rate = scheduled(texts(folder, SCHEDULED // 4 * CHUNK), folder, 8, WIDTH)
        return [row, driver([rate], "features")]


def scheduled(
    source: Path, folder: Path, workers: int, width: int = 0
) -> tuple[measure.Row, float]:
    """Measure how many products a second so many stand-ins get, once all have started.

    Args:
        source: The products.
        folder: An empty folder.
        workers: How many stand-ins.
        width: Numbers a product; 0 for predictions.

    Returns:
        The row, and products a second of the driver's own processor time.
    """
    ideal = workers / COST
    count = int(min(LASTS * ideal, SCHEDULED // (4 if width else 1))) * CHUNK
    head(source, folder / "part.csv", count)
    request = engine.Request(str(folder / "part.csv"), str(folder / "out"), None)
    partition = (4 if width else 64) * CHUNK
    with tempfile.TemporaryDirectory(dir=folder) as begun:
        job = StandIn("", 1, partition=partition, width=width, folder=begun, workers=workers)
        with cluster(workers, (4 if width else 1) * SMALL_STORE):
            marks = run(job, request)
        found = started(begun)
    seconds, done, own = marks.between(count // 3, count * 9 // 10)
    rate = done / seconds
    what = f", {2 * width / 1000:.0f} kB a product" if width else ""
    note = f"{found} started; {rate / CHUNK:.3g} of {ideal:.3g} chunks/s; the driver was busy for "
    note += f"{own / seconds:.0%} of the time: one processor writes {done / own:,.0f} products/s"
    row = measure.Row(
        f"scheduling, {workers} workers{what}", float(f"{rate:.3g}"), "products/s",
        ideal * CHUNK, float(f"{rate / CHUNK / ideal:.3g}"), f"naive: {COST} s a chunk; {note}",
    )  # fmt: skip
    return row, done / own


def head(source: Path, target: Path, count: int) -> None:
    """Copy the first products of a file."""
    table = pd.read_csv(source, dtype=str, keep_default_na=False, nrows=count)
    table.rename(columns={products.UNNAMED: ""}).to_csv(target, index=False)


def memory() -> list[measure.Row]:
    """Stream a long catalogue through a stand-in and watch the memory of every process."""
    rows = []
    with measure.scratch("scale") as folder:
        source = texts(folder, STREAM)
        seen: list[tuple[int, float, float, float]] = []
        with cluster(PROCESSORS), marked() as marks:
            done = threading.Event()
            watcher = threading.Thread(target=look, args=(marks, seen, done))
            watcher.start()
            request = engine.Request(str(source), str(folder / "out"), None)
            engine._run(request, StandIn("", 1, cost=0))
            done.set()
            watcher.join()
    for share in (0.25, 0.5, 1.0):
        lines = [line for line in seen if abs(line[0] / STREAM - share) <= 0.05]
        for what, column in (("driver", 1), ("workers and Ray's own", 2), ("shared memory", 3)):
            value = statistics.median(line[column] for line in lines) / 2**20
            note = f"of {STREAM:,} products; {marks.rate():,.0f} products/s with the start"
            rows.append(measure.Row(f"{what} after {share:.0%}", round(value), "MiB", note=note))
    return rows


def look(marks: Marks, seen: list, done: threading.Event) -> None:
    """Note products, and bytes of the driver, of its children and of the store, every second."""
    driver, before = psutil.Process(), psutil.disk_usage("/dev/shm").used
    while not done.wait(1):
        others = 0
        for process in driver.children(recursive=True):
            with suppress(psutil.Error):
                others += process.memory_full_info().uss
        store = psutil.disk_usage("/dev/shm").used - before
        count = marks.times[-1][1] if marks.times else 0
        seen.append((count, driver.memory_full_info().uss, others, store))


PIECES = {
    "overhead": overhead,
    "extraction": extraction_speed,
    "prediction": prediction_speed,
    "cleaning": cleaning_speed,
    "capacity": capacity,
    "many": many,
    "features": features,
    "memory": memory,
}


def main() -> None:
    """Run one piece here, or each in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("piece", nargs="?", choices=PIECES)
    piece = parser.parse_args().piece
    if piece:
        measure.keep(f"scale_{piece}", PIECES[piece]())
        return
    for name in PIECES:
        subprocess.run(measure.python("-m", "benchmarks.scale", name), cwd=measure.ROOT, check=True)


if __name__ == "__main__":
    main()
