"""Compare Ray with one process; measure its scheduling and its memory.

`python -m benchmarks.scale` runs all measurements, `python -m benchmarks.scale text` one. It needs
requirements/scale.txt and the outputs of the last `dvc repro`. The time of one process starts with
its networks loaded and includes opening the table, indexing images and writing; Ray's starts when
its first worker is loaded, thus after opening and indexing, and ends when all is written.
`--short` measures less, prints it and saves nothing.
"""

import argparse
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmarks import measure
from benchmarks.scale_tools import (
    COST,
    Recorded,
    Simulated,
    cluster,
    cpu_seconds,
    ray_seconds,
    repeat,
    started,
    texts,
    watch_memory,
    with_images,
)
from rakuten import storage
from rakuten.distributed import engine
from rakuten.distributed.cleaning import Cleaning
from rakuten.distributed.features import Encoding, Extraction
from rakuten.distributed.prediction import Prediction
from rakuten.distributed.transform import IMAGE_PARTITION, TEXT_PARTITION, Transform
from rakuten.image import encoder, extraction
from rakuten.prefetch import available_cpus
from rakuten.serving import batch_prediction, package
from rakuten.serving.batch_prediction import CHUNK
from rakuten.serving.classifier import ProductClassifier
from rakuten.serving.prediction_files import Options

BUILD, PARAMS = measure.ROOT / "build", measure.ROOT / "params.yaml"
CPUS = available_cpus()
ROWS = TEXT_PARTITION
"""Rows of a file without images, and of a partition of it."""

TURNS = 3
WORKERS = (2, 8, 16, 64)
TOP = 5
"""Categories per product, the default of the command."""

WIDTH = 512
"""float32 values per product, as many as the features of VGG16: 2 kB."""


def ray(
    transform: Transform, products: Path, images: Path | None, out: Path
) -> tuple[Recorded, float]:
    """Compute a transform with Ray on all CPUs, into an empty folder.

    Returns:
        The record, and the products per second from the first loading to the end of the run.
    """
    recorded = Recorded(transform, Path(tempfile.mkdtemp(dir=out.parent)) / "marks")
    read = str(products), str(out), images and str(images)
    with cluster(CPUS) as address:
        engine.run(engine.Request(*read, address=address), recorded)
        end = time.time()
    return recorded, recorded.rate(end)


def compare(what: str, products: Path, images: Path | None, turns: int) -> list[measure.Row]:
    """Predict the same products with Ray and in one process, in turns, on the same CPUs."""
    folder = products.parent
    classifier = ProductClassifier.load(BUILD / "package")
    classifier.warm_up()
    partition = IMAGE_PARTITION if images else TEXT_PARTITION
    transform = Prediction(str(BUILD / "package"), TOP, partition)
    one, many, busy, starts, loads = [], [], [], [], []
    for turn in range(turns):
        begun, spent = time.perf_counter(), cpu_seconds()
        count = 0
        for number, source in enumerate(sorted(products.glob("*.csv"))):
            options = Options(
                source, folder / f"{number}.parquet", images, BUILD / "package",
                package.DEFAULT_MODEL, TOP, False, True,
            )  # fmt: skip
            count += batch_prediction.predict_file(options, lambda _: classifier).products
        one.append(count / (time.perf_counter() - begun))
        spent = cpu_seconds() - spent
        begun = time.time()
        recorded, rate = ray(transform, products, images, folder / f"out{turn}")
        many.append(rate)
        busy.append(recorded.cpu() / spent - 1)
        first = min((marks[0] for marks in recorded.marks()), key=lambda mark: mark.when)
        starts.append(first.when - begun)
        loads += [marks[0].spent for marks in recorded.marks()]
    shares = [1 - b / a for a, b in zip(one, many, strict=True)]
    listed = ", ".join(f"{share:.1%}" for share in shares)
    written = folder / "out0/predictions"
    size = sum(path.stat().st_size for path in written.iterdir()) / count
    note = f"{count:,} products, {CPUS} CPUs, turns: {turns}"
    return [
        measure.Row(
            f"prediction from {what} by Ray", measure.median(many), "products/s",
            measure.median(one), float(f"{statistics.median(many) / statistics.median(one):.3g}"),
            f"{note}; loaded classifier to end of run; naive: `python -m rakuten predict`",
        ),
        measure.Row(
            f"overhead of Ray, {what}", round(100 * statistics.median(shares), 1), "%",
            note=f"of the rate of one process; turn by turn {listed}; the workers took "
            f"{statistics.median(busy):+.1%} CPU seconds",
        ),
        measure.Row(
            f"from the command to the loaded classifier, {what}", measure.median(starts), "s",
            note="start of a cluster and listing the products included",
        ),
        measure.Row(f"start of a worker, {what}", measure.median(loads), "CPU seconds",
                    note="from its first instruction to the loaded classifier"),
        measure.Row(f"predictions written, {what}", round(size), "bytes/product",
                    note=f"{TOP} choices each"),
    ]  # fmt: skip


def text(short: bool) -> list[measure.Row]:
    """Compare prediction from text."""
    with measure.scratch("scale") as folder:
        count = ROWS // (4 if short else 1)
        table = texts(folder, count)
        size = round(table.stat().st_size / count)
        products = repeat(table, 2 * CPUS)
        rows = compare("text", products, None, 1 if short else TURNS)
        return [*rows, measure.Row("text read", size, "bytes/product")]


def images(short: bool) -> list[measure.Row]:
    """Compare prediction from text and image; compute the features of the same images."""
    count = (2 if short else 8) * CHUNK
    with measure.scratch("scale") as folder:
        table, archive = with_images(folder, count)
        rows = compare("text and image", table.parent, archive, 1 if short else 2)
        path, spec = encoder.read(measure.ROOT / encoder.USED)
        section = storage.read_params("encode_image", path=PARAMS)
        threads, options = storage.read_params("threads", "extract", path=PARAMS)
        settings = extraction.Settings(**options)
        weights = str(BUILD / "resources" / settings.weights)
        encode = Encoding(str(path.absolute()), spec, encoder.preparation_options(section))
        rows += rate_and_size("encode_image", encode, table, archive, folder / "encode_image")
        few = folder / "few.csv"  # float32 VGG16 processes 5 to 10 images per second
        head = pd.read_csv(table, dtype=str, index_col=0).head(64 if short else 2 * CHUNK)
        head.to_csv(few)
        extract = Extraction(weights, settings, threads)
        return rows + rate_and_size("extract", extract, few, archive, folder / "extract")


def clean(short: bool) -> list[measure.Row]:
    """Measure cleaning."""
    transform = Cleaning(str(BUILD / "resources"), storage.read_params("clean", path=PARAMS))
    with measure.scratch("scale") as folder:
        products = repeat(texts(folder, ROWS), (1 if short else 8) * CPUS)
        return rate_and_size("clean", transform, products, None, folder / "out")


def rate_and_size(
    what: str, transform: Transform, products: Path, images: Path | None, out: Path
) -> list[measure.Row]:
    """Measure the products per second of a transform, and the bytes that it writes."""
    recorded, rate = ray(transform, products, images, out)
    count = sum(mark.products for marks in recorded.marks() for mark in marks)
    written = sum(path.stat().st_size for path in (out / transform.name).iterdir())
    return [
        measure.Row(f"{what} by Ray", float(f"{rate:.3g}"), "products/s",
                    note=f"{count:,} products, {CPUS} CPUs, one run"),
        measure.Row(f"{what}, written", round(written / count), "bytes/product"),
    ]  # fmt: skip


def workers(short: bool) -> list[measure.Row]:
    """Measure scheduling with simulated workers of a fixed cost."""
    with measure.scratch("scale") as folder:
        table = texts(folder, ROWS)
        found = [scheduled(table, count) for count in ((2, 16) if short else WORKERS)]
        return found if short else [*found, scheduled(table, 16, WIDTH)]


def scheduled(table: Path, count: int, width: int = 0) -> measure.Row:
    """Measure the products per second of simulated workers while all of them compute.

    Args:
        table: A file of `ROWS` products, alone in its folder or with links to it.
        count: Number of workers.
        width: Numbers per product; 0 for predictions.
    """
    for path in table.parent.glob("*.csv"):
        if path != table:
            path.unlink()
    rows = IMAGE_PARTITION if width else TEXT_PARTITION
    products = repeat(table, max(1, 4 * count * rows // ROWS))
    with tempfile.TemporaryDirectory(dir=table.parent.parent) as name:
        begun = Path(name, "begun")
        begun.mkdir()
        simulated = Simulated("", 1, rows, width=width, folder=str(begun), workers=count)
        recorded = Recorded(simulated, Path(name, "marks"))
        with cluster(count) as address:
            request = engine.Request(str(products), f"{name}/out", None, address=address)
            before = cpu_seconds()
            engine.run(request, recorded)
            driver = cpu_seconds() - before
            head = ray_seconds()
        seconds, computed = recorded.between()
        found, busy = started(str(begun)), recorded.cpu()
    rate, ideal = computed / seconds, count / COST * CHUNK
    total = len(list(table.parent.glob("*.csv"))) * ROWS
    per = 1e6 / total
    cores = (driver + busy + head) / total * ideal
    note = f"naive: {COST} s a chunk; {found} started; CPU seconds per million products: "
    note += f"driver {driver * per:.1f}, workers {busy * per:.1f}, "
    note += f"raylet and GCS {head * per:.1f}; "
    note += f"the naive rate needs {cores:.1f} cores, this machine has {CPUS}"
    what = f", {4 * width / 1000:.0f} kB a product" if width else ""
    return measure.Row(
        f"{count} simulated workers{what}", float(f"{rate:.3g}"), "products/s",
        ideal, float(f"{rate / ideal:.3g}"), note,
    )  # fmt: skip


def memory(short: bool) -> list[measure.Row]:
    """Stream a long catalogue through simulated workers; watch the memory of all processes."""
    files = 16 if short else 128
    seen: list[tuple[int, float, float]] = []
    with measure.scratch("scale") as folder:
        products = repeat(texts(folder, ROWS), files)
        done = threading.Event()
        out = folder / "out"
        watching = threading.Thread(target=watch_memory, args=(seen, done, out / "predictions"))
        with cluster(CPUS) as address:
            watching.start()
            try:
                engine.run(engine.Request(str(products), str(out), None, address=address),
                           Simulated("", 1, TEXT_PARTITION, cost=0))  # fmt: skip
            finally:
                done.set()
                watching.join()
    rows = []
    for share in (0.25, 0.5, 1.0):
        lines = [line for line in seen if abs(line[0] / files - share) <= 0.1]
        if not lines:  # a short run may end between two samples
            continue
        for what, column in (("driver", 1), ("workers and Ray's own", 2)):
            value = statistics.median(line[column] for line in lines)
            note = f"of {files * ROWS:,} products, simulated workers"
            rows.append(measure.Row(f"{what} after {share:.0%}", round(value), "MiB", note=note))
    return rows


MEASUREMENTS: dict[str, Callable[[bool], list[measure.Row]]] = {
    "text": text,
    "images": images,
    "clean": clean,
    "workers": workers,
    "memory": memory,
}


def main() -> None:
    """Run one measurement, or all, each in a new process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("measurement", nargs="?", choices=MEASUREMENTS)
    parser.add_argument("--short", action="store_true", help="measure less and save nothing")
    given = parser.parse_args()
    if not given.measurement:
        for name in MEASUREMENTS:
            command = measure.python("-m", "benchmarks.scale", name, *["--short"] * given.short)
            subprocess.run(command, cwd=measure.ROOT, check=True)
        return
    rows = MEASUREMENTS[given.measurement](given.short)
    if given.short:
        print(measure.table([vars(row) for row in rows]))
    else:
        measure.save(f"scale_{given.measurement}", rows)


if __name__ == "__main__":
    main()
