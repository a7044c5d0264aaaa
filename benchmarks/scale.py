"""Ray against one process, what it can schedule, how its memory grows, and training from its files.

`python -m benchmarks.scale` runs all pieces, `python -m benchmarks.scale overhead` one of them. It
needs requirements-scale.txt and the outputs of the last `dvc repro`. "Steady" is without start-up:
from the first chunk of 256 products that is done to the last.
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
from rakuten import extraction, journal, predict, product_files, products, storage, text
from rakuten.classifier import Prepared
from rakuten.distributed import engine, jobs
from rakuten.predict import CHUNK, Reading
from rakuten.sample.catalogue import write_sample

BUILD = measure.ROOT / "build"
PROCESSORS = os.cpu_count() or 1
STORE = 1 << 30
"""Bytes of Ray's shared memory."""

PICTURES = {"int8": 3 * CHUNK, "float32": 2 * CHUNK}
TURNS = {"int8": 2, "float32": 1}
TITLES = 40 * CHUNK
FEW, MANY = (2, 4, 8, 16), (32, 64)
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
        self.began = time.perf_counter()

    def __call__(self, *_, **__) -> "Marks":
        """Stand in for `journal.progress`."""
        return self

    def __enter__(self) -> "Marks":
        return self

    def __exit__(self, *_) -> None:
        pass

    def update(self, count: int) -> None:
        """Note that so many are done."""
        before = self.times[-1][1] if self.times else 0
        spent = sum(psutil.Process().cpu_times()[:2])
        self.times.append((time.perf_counter(), before + count, spent))

    def between(self, first: int, last: int) -> tuple[float, int, float]:
        """Find the seconds, products and own CPU seconds between two numbers of products done."""
        start = next(mark for mark in self.times if mark[1] >= first)
        stop = next(mark for mark in self.times if mark[1] >= last)
        return tuple(b - a for a, b in zip(start, stop, strict=True))

    def steady(self) -> float:
        """Products a second after the first chunk."""
        seconds, count, _ = self.between(CHUNK, self.times[-1][1])
        return count / seconds


class Timed:
    """A job whose chunks are timed where they are computed: Ray hands them on a chunk later.

    Args:
        job: What is done.
        folder: An empty folder for the times.
    """

    def __init__(self, job: engine.Job, folder: Path):
        folder.mkdir()
        self._job, self._folder, self._began = job, folder, time.time()
        self.name, self.threads = job.name, job.threads
        self.chunk, self.partition = job.chunk, job.partition
        self.identity, self.prepare = job.identity, job.prepare

    def load(self) -> Callable[[Sequence[Reading]], pa.Table]:
        """Load the job's networks."""
        compute = self._job.load()

        def timed(readings: Sequence[Reading]) -> pa.Table:
            table = compute(readings)
            with (self._folder / str(os.getpid())).open("a") as file:
                file.write(f"{time.time()} {len(readings)}\n")
            return table

        return timed

    def times(self) -> list[tuple[float, int]]:
        """List the chunks: when each was done, seconds since the beginning, and its products."""
        lines = [line for path in self._folder.iterdir() for line in path.read_text().splitlines()]
        pairs = sorted((float(line.split()[0]), int(line.split()[1])) for line in lines)
        return [(when - self._began, count) for when, count in pairs]

    def steady(self) -> float:
        """Products a second after the first chunk."""
        times = self.times()
        return sum(count for _, count in times[1:]) / (times[-1][0] - times[0][0])

    def first(self) -> float:
        """Seconds to the first product, were the first chunk as fast as the others."""
        when, count = self.times()[0]
        return when - count / self.steady()


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
            return predict.tabulate(predict.columns_of(1), rows)

        return compute


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
        patch.setattr(journal, "progress", marks)
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
        found = extraction.find_pictures(names(source), archive)
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
    from benchmarks.extract import NoShards
    from rakuten import backbones, determinism

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
                    found = extraction.find_pictures(names(source), archive)
                    marks, widths = Marks(), backbones.find("vgg16").widths
                    build = partial(lambda network: network, network)
                    extraction.extract(found, archive, build, NoShards(), marks, chosen, widths)
                return marks

            def far(turn: int, source=source, threads=threads, chosen=chosen):
                request = engine.Request(str(source), str(folder / "out"), str(images))
                with cluster(PROCESSORS) as started:
                    job = jobs.Extraction(str(weights()), chosen, threads)
                    job = Timed(job, folder / f"{chosen.precision}{turn}")
                    run(job, request)
                return started, job

            results = [(local(), far(turn)) for turn in range(TURNS[precision])]
            one = [marks.steady() for marks, _ in results]
            many = [job.steady() for _, (_, job) in results]
            shares = [1 - b / a for a, b in zip(one, many, strict=True)]
            note = f"{count:,} pictures, {PROCESSORS} processors, turns: {TURNS[precision]}"
            rows.append(
                measure.Row(
                    f"extraction by Ray, {precision}, steady", measure.median(many), "pictures/s",
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
            firsts = [job.first() for _, (_, job) in results]
            rows += [
                measure.Row("start of the cluster", measure.median(starts), "s", note=precision),
                measure.Row("from there to the first picture", measure.median(firsts), "s",
                            note=f"{precision}; an actor starts and loads its network, "
                            f"which takes {loading:.2g} s in a process that has TensorFlow"),
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
def bound(processors: int) -> Iterator[None]:
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
        with bound(processors), cluster(processors):
            out = source.with_name("out")
            job = Timed(make(processors), source.with_name(f"times{processors}"))
            run(job, engine.Request(str(source), str(out), images))
            rates[processors] = job.steady()
            notes[processors] = f"steady, {sum(count for _, count in job.times()):,} products"
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
        table, images = pictured(folder / "sample", PICTURES["int8"])

        def make(threads: int) -> jobs.Extraction:
            return jobs.Extraction(str(weights()), settings("int8")[1], threads)

        return on_processors("extraction, int8", "pictures", table, make, str(images))


@dataclass(frozen=True)
class Bound(jobs.Prediction):
    """A prediction that counts as so many threads as it gets processors."""

    processors: int = 1

    @property
    def threads(self) -> int:
        """Threads of an actor."""
        return self.processors


def prediction_speed() -> list[measure.Row]:
    """Predict on one processor and on all."""

    def make(threads: int) -> jobs.Prediction:
        return Bound(str(BUILD / "package"), 1, processors=threads)

    with measure.scratch("scale") as folder:
        plain = texts(folder / "text", TITLES)
        table, images = pictured(folder / "sample", PICTURES["float32"])
        rows = on_processors("prediction from text", "products", plain, make)
        written = list((folder / "text/out/predictions").iterdir())
        size = sum(path.stat().st_size for path in written) / TITLES
        what = "prediction from text and picture, float32"
        return [
            *rows,
            *on_processors(what, "products", table, make, str(images), (PROCESSORS,)),
            measure.Row("text read", round(plain.stat().st_size / TITLES), "bytes/product"),
            measure.Row("pictures read", round(images.stat().st_size / PICTURES["float32"]),
                        "bytes/product", note="of the generated catalogue"),
            measure.Row("predictions written", round(size), "bytes/product"),
            measure.Row("cleaned texts written", round(cleaned(plain)), "bytes/product"),
        ]  # fmt: skip


def cleaned(source: Path) -> float:
    """Clean a file's texts and find what they take in a partition, bytes a product."""
    table = products.join(storage.read_csv(source, **products.CSV_FORMAT).head(CHUNK * 8))
    options = storage.read_params("clean", path=measure.ROOT / "params.yaml")
    languages = storage.read_arrays(BUILD / "resources/langid.npz")
    nltk = BUILD / "resources/nltk"
    columns = text.clean(table, languages, folder=nltk, threads=1, **options)
    path = source.with_name("cleaned.parquet")
    storage.write_table(path, pd.DataFrame({"index": table["id"], **columns}))
    return path.stat().st_size / len(table)


def capacity() -> list[measure.Row]:
    """Schedule stand-ins of a fixed cost for a few workers."""
    with measure.scratch("scale") as folder:
        source = texts(folder, SCHEDULED * CHUNK)
        begun = time.perf_counter()
        table = product_files.open_table(source, every=8192)
        planned = [time.perf_counter() - begun]
        note = "one process reads each CSV file once to find the partitions"
        return [
            measure.rate("planning", "products", planned, table.rows, note),
            *(scheduled(source, folder, workers) for workers in FEW),
        ]


def many() -> list[measure.Row]:
    """Schedule stand-ins of a fixed cost for many workers: where is the limit?"""
    with measure.scratch("scale") as folder:
        source = texts(folder, SCHEDULED * CHUNK)
        return [scheduled(source, folder, workers) for workers in MANY]


def features() -> list[measure.Row]:
    """Schedule stand-ins whose results are as large as features: how many can the driver write?"""
    with measure.scratch("scale") as folder:
        return [scheduled(texts(folder, SCHEDULED * CHUNK), folder, 8, WIDTH)]


def scheduled(source: Path, folder: Path, workers: int, width: int = 0) -> measure.Row:
    """Measure how many products a second so many stand-ins get, once all have started."""
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
    return measure.Row(
        f"scheduling, {workers} workers{what}", float(f"{rate:.3g}"), "products/s",
        ideal * CHUNK, float(f"{rate / CHUNK / ideal:.3g}"), f"naive: {COST} s a chunk; {note}",
    )  # fmt: skip


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
            note = f"of {STREAM:,} products; {marks.steady():,.0f} products/s"
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
