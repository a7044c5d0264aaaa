"""Compare Ray with one process; measure its scheduling and its memory.

`python -m benchmarks.scale` runs all measurements, `python -m benchmarks.scale overhead` one. It
needs requirements/scale.txt and the outputs of the last `dvc repro`. Rates exclude the start: time
counts from the moment when the networks are loaded.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from benchmarks import measure
from benchmarks.scale_tools import (
    COST,
    ProgressRecorder,
    Simulated,
    Timed,
    cluster,
    recorded,
    run,
    started,
)
from rakuten import storage
from rakuten.data import products
from rakuten.distributed import engine, transforms
from rakuten.image import extraction
from rakuten.prefetch import available_cpus
from rakuten.sample.catalogue import write_sample
from rakuten.serving import product_tables
from rakuten.serving.batch_prediction import CHUNK

BUILD = measure.ROOT / "build"
PROCESSORS = available_cpus()
IMAGES = {"int8": 8 * CHUNK, "float32": 4 * CHUNK}
TURNS = {"int8": 2, "float32": 1}
WITH_IMAGES = 2 * CHUNK
TITLES = 40 * CHUNK
CLEANED = 300_000
FEW, MANY = (2, 4, 8, 16), (32, 64)
TOP = 5
"""Categories per product, the default of the command."""

SMALL_STORE = 160 << 20
"""Small, so that little is prepared before all simulated actors have started."""

SCHEDULED = 1200
"""Maximum number of chunks of a run; fewer if they would take longer than `LASTS` seconds."""

LASTS = 15
"""Seconds that a run with simulated actors may take."""

WIDTH = 512
"""float32 values per product, as many as the features of VGG16: 2 kB."""

STREAM = 500_000


def settings(precision: str) -> tuple[int, extraction.Settings]:
    """Read threads and settings of the stage, in another precision."""
    threads, section = storage.read_params("threads", "extract", path=measure.ROOT / "params.yaml")
    return threads, extraction.Settings(**section | {"precision": precision})


def weights() -> Path:
    """Return the file of the backbone's weights."""
    return BUILD / "resources/vgg16.npz"


def with_images(folder: Path, count: int) -> tuple[Path, Path]:
    """Generate products, each with another image; return the table and the archive."""
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
    """Name the images of products as in the generated archive."""
    table = products.join(storage.read_csv(source, **products.CSV_FORMAT))
    return [f"images/image_train/{name}" for name in products.image_names(table)]


def texts(folder: Path, count: int) -> Path:
    """Generate products without images; beyond 50,000 they repeat."""
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
    """Extract the same images with Ray and in one process, in turns, on the same CPUs."""
    from rakuten import determinism  # TensorFlow: the other measurements do not need it
    from rakuten.image import backbones

    rows = []
    with measure.scratch("scale") as folder:
        table, images = with_images(folder / "sample", max(IMAGES.values()))
        for precision, count in IMAGES.items():
            source = folder / f"{precision}.csv"
            pd.read_csv(table, dtype=str, index_col=0).head(count).to_csv(source)
            threads, chosen = settings(precision)
            determinism.configure(seed=0, threads=threads)
            begun = time.perf_counter()
            network = backbones.Extractor(
                "vgg16",
                storage.read_arrays(weights()),
                size=chosen.size,
                precision=precision,
                batch_size=chosen.batch_size,
            )
            loading = time.perf_counter() - begun

            def local(source=source, chosen=chosen, network=network) -> ProgressRecorder:
                with storage.ImageArchive(images) as archive:
                    found = extraction.find_images(names(source), archive)
                    recorder = ProgressRecorder()
                    way = {"preparation": chosen.preparation, "progress": recorder}
                    extraction.extract(
                        found, archive, network, None, batch_size=chosen.batch_size, **way
                    )
                return recorder

            def far(turn: int, source=source, threads=threads, chosen=chosen):
                request = engine.Request(str(source), str(folder / "out"), str(images))
                with cluster(PROCESSORS) as started:
                    transform = transforms.Extraction(str(weights()), chosen, threads)
                    timed = Timed(transform, folder / f"{chosen.precision}{turn}")
                    run(timed, request)
                return started, timed

            results = [(local(), far(turn)) for turn in range(TURNS[precision])]
            one = [recorder.rate() for recorder, _ in results]
            many = [timed.rate() for _, (_, timed) in results]
            shares = [1 - b / a for a, b in zip(one, many, strict=True)]
            note = f"{count:,} images, {PROCESSORS} processors, turns: {TURNS[precision]}"
            rows.append(
                measure.Row(
                    f"extraction by Ray, {precision}", measure.median(many), "images/s",
                    measure.median(one), ratio(many, one), f"{note}; naive: one process, no Ray",
                )
            )  # fmt: skip
            listed = ", ".join(f"{100 * share:.1f} %" for share in shares)
            rows.append(
                measure.Row(
                    f"overhead of Ray, {precision}", percent(statistics.median(shares)), "%",
                    note=f"of the time of one process; turn by turn {listed}",
                )
            )  # fmt: skip
            starts = [started for _, (started, _) in results]
            loads = [timed.loaded() for _, (_, timed) in results]
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
    """Convert a share to percent with one decimal."""
    return round(100 * share, 1)


@contextmanager
def only(processors: int) -> Iterator[None]:
    """Restrict this process and its children to some of the CPUs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:processors])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def on_processors(
    what: str, unit: str, source: Path, make, images=None, numbers=(1, PROCESSORS)
) -> list[measure.Row]:
    """Compute a transform on several numbers of CPUs.

    Args:
        what: Name of the row.
        unit: What is counted.
        source: The products.
        make: Makes the transform from the number of threads.
        images: The images.
        numbers: Numbers of CPUs.
    """
    rates, notes = {}, {}
    for processors in sorted({*numbers}):
        with only(processors), cluster(processors):
            out = source.with_name("out")
            timed = Timed(make(processors), source.with_name(f"times{processors}"))
            run(timed, engine.Request(str(source), str(out), images))
            rates[processors] = timed.rate()
            notes[processors] = f"{timed.count():,} products, one run"
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
    """Format a number of CPUs."""
    return "1 processor" if processors == 1 else f"{processors} processors"


def extraction_speed() -> list[measure.Row]:
    """Extract on one CPU and on all."""
    with measure.scratch("scale") as folder:
        table, images = with_images(folder / "sample", 4 * CHUNK)

        def make(threads: int) -> transforms.Extraction:
            return transforms.Extraction(str(weights()), settings("int8")[1], threads)

        return on_processors("extraction, int8", "images", table, make, str(images))


@dataclass(frozen=True)
class OnThreads(transforms.Prediction):
    """A prediction with a given number of threads."""

    processors: int = 1

    @property
    def threads(self) -> int:
        """Threads of an actor."""
        return self.processors


def prediction_speed() -> list[measure.Row]:
    """Predict on one CPU and on all."""

    def make(threads: int) -> transforms.Prediction:
        return OnThreads(str(BUILD / "package"), TOP, processors=threads)

    with measure.scratch("scale") as folder:
        plain = texts(folder / "text", TITLES)
        table, images = with_images(folder / "sample", WITH_IMAGES)
        rows = on_processors("prediction from text", "products", plain, make)
        written = list((folder / "text/out/predictions").iterdir())
        size = sum(path.stat().st_size for path in written) / TITLES
        what = "prediction from text and image"
        return [
            *rows,
            *on_processors(what, "products", table, make, str(images), (PROCESSORS,)),
            measure.Row("text read", round(plain.stat().st_size / TITLES), "bytes/product"),
            measure.Row("images read", round(images.stat().st_size / WITH_IMAGES),
                        "bytes/product", note="of the generated catalogue"),
            measure.Row("predictions written", round(size), "bytes/product",
                        note=f"{TOP} choices each"),
        ]  # fmt: skip


def cleaning_speed() -> list[measure.Row]:
    """Clean on one CPU and on all; measure the CPU time of the driver."""
    options = storage.read_params("clean", path=measure.ROOT / "params.yaml")

    def make(_: int) -> transforms.Cleaning:
        return transforms.Cleaning(str(BUILD / "resources"), options)

    with measure.scratch("scale") as folder:
        source = texts(folder, CLEANED)
        rows = on_processors("cleaning", "products", source, make)
        with cluster(PROCESSORS):
            recorder = run(make(0), engine.Request(str(source), str(folder / "out"), None))
        size = sum(path.stat().st_size for path in (folder / "out/texts").iterdir()) / CLEANED
    return [
        *rows,
        driver([recorder.written_by_one_processor()], "cleaned texts"),
        measure.Row("cleaned texts written", round(size), "bytes/product"),
    ]


def driver(rates: Sequence[float], what: str) -> measure.Row:
    """Make a row of the rate at which the driver alone could write."""
    note = "in seconds that its processor was busy, scheduling and writing"
    return measure.Row(f"the driver, {what}", measure.median(rates), "products/s", note=note)


def capacity() -> list[measure.Row]:
    """Measure scheduling with few simulated actors of a fixed cost."""
    with measure.scratch("scale") as folder:
        source = texts(folder, SCHEDULED * CHUNK)
        begun = time.perf_counter()
        table = product_tables.open_table(source)
        planned = [time.perf_counter() - begun]
        note = "one process reads each CSV file once to count its rows"
        found = [scheduled(source, folder, workers) for workers in FEW]
        return [
            measure.rate("planning", "products", planned, table.rows, note),
            *(row for row, _ in found),
            driver([rate for _, rate in found], "predictions"),
        ]


def many() -> list[measure.Row]:
    """Measure scheduling with many simulated actors of a fixed cost, up to its limit."""
    with measure.scratch("scale") as folder:
        source = texts(folder, SCHEDULED * CHUNK)
        return [scheduled(source, folder, workers)[0] for workers in MANY]


def features() -> list[measure.Row]:
    """Measure how many results of the size of features the driver can write."""
    with measure.scratch("scale") as folder:
        row, rate = scheduled(texts(folder, SCHEDULED // 4 * CHUNK), folder, 8, WIDTH)
        return [row, driver([rate], "features")]


def scheduled(
    source: Path, folder: Path, workers: int, width: int = 0
) -> tuple[measure.Row, float]:
    """Measure the products per second of simulated actors after all have started.

    Args:
        source: The products.
        folder: An empty folder.
        workers: Number of actors.
        width: Numbers per product; 0 for predictions.

    Returns:
        The row, and products per CPU second of the driver.
    """
    ideal = workers / COST
    count = int(min(LASTS * ideal, SCHEDULED // (4 if width else 1))) * CHUNK
    head(source, folder / "part.csv", count)
    request = engine.Request(str(folder / "part.csv"), str(folder / "out"), None)
    partition = (4 if width else 64) * CHUNK
    with tempfile.TemporaryDirectory(dir=folder) as begun:
        simulated = Simulated(
            "", 1, partition=partition, width=width, folder=begun, workers=workers
        )
        with cluster(workers, (4 if width else 1) * SMALL_STORE):
            recorder = run(simulated, request)
        found = started(begun)
    seconds, done, own = recorder.between(count // 3, count * 9 // 10)
    rate = done / seconds
    what = f", {4 * width / 1000:.0f} kB a product" if width else ""
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
    """Stream a long catalogue through a simulated actor; watch the memory of all processes."""
    rows = []
    with measure.scratch("scale") as folder:
        source = texts(folder, STREAM)
        seen: list[tuple[int, float, float, float]] = []
        with cluster(PROCESSORS), recorded() as recorder:
            done = threading.Event()
            watcher = threading.Thread(target=watch_memory, args=(recorder, seen, done))
            watcher.start()
            request = engine.Request(str(source), str(folder / "out"), None)
            engine.run(request, Simulated("", 1, cost=0))
            done.set()
            watcher.join()
    for share in (0.25, 0.5, 1.0):
        lines = [line for line in seen if abs(line[0] / STREAM - share) <= 0.05]
        for what, column in (("driver", 1), ("workers and Ray's own", 2), ("shared memory", 3)):
            value = statistics.median(line[column] for line in lines) / 2**20
            note = f"of {STREAM:,} products; {recorder.rate():,.0f} products/s with the start"
            rows.append(measure.Row(f"{what} after {share:.0%}", round(value), "MiB", note=note))
    return rows


def watch_memory(recorder: ProgressRecorder, seen: list, done: threading.Event) -> None:
    """Record products, and bytes of the driver, its children and the store, every second."""
    driver, before = psutil.Process(), psutil.disk_usage("/dev/shm").used
    while not done.wait(1):
        others = 0
        for process in driver.children(recursive=True):
            with suppress(psutil.Error):
                others += process.memory_full_info().uss
        store = psutil.disk_usage("/dev/shm").used - before
        count = recorder.times[-1][1] if recorder.times else 0
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
    """Run one measurement, or all, each in a new process."""
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
