"""Time functions and commands, watch their memory, and write the benchmark report."""

import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import psutil

from benchmarks import processes
from rakuten import prefetch, storage
from rakuten.data import products
from rakuten.image import processor
from rakuten.sample.catalogue import write_sample

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "reports" / "benchmarks"
REPORT = ROOT / "reports" / "benchmarks.md"

INTRODUCTION = """\
Written by `make bench`, `python -m benchmarks.pipeline` and, with Ray, `make bench-scale`. A row is
the median of several runs, except `pipeline`, `parity`, `repro`, the archive of 2.2 GB, the first
served image, the server's peak memory and most rows of Ray, which ran once. Seconds depend on the
machine and its load; ratios to the naive implementation, run in alternation with ours, depend less
on it. Products are generated (`python -m rakuten sample`);
nothing here was measured on real rows."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured.
        value: The median.
        unit: Its unit.
        naive: The median of the naive implementation, in the same unit, where there is one.
        ratio: How many times better ours is.
        note: The data, and remarks.
    """

    what: str
    value: float
    unit: str
    naive: float | None = None
    ratio: float | None = None
    note: str = ""


def in_turns(ways: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, list[float]]:
    """Time several functions in alternation, so that load on the machine affects all of them.

    Args:
        ways: Functions by name.
        repeats: Runs of each.

    Returns:
        The seconds of each run, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def median(values: Sequence[float]) -> float:
    """Take the median, to three significant digits."""
    return float(f"{statistics.median(values):.3g}")


def rate(
    what: str,
    unit: str,
    ours: list[float],
    items: int,
    note: str = "",
    *,
    naive: list[float] | None = None,
    naive_items: int | None = None,
) -> Row:
    """Make a row of rates.

    Args:
        what: What was measured.
        unit: Of one item.
        ours: Seconds of each run.
        items: Items of one run.
        note: Remarks.
        naive: Seconds of each run of the naive implementation.
        naive_items: Items of one of its runs, where they differ.
    """
    value = items / statistics.median(ours)
    if naive is None:
        return Row(what, float(f"{value:.3g}"), f"{unit}/s", note=note)
    other = (naive_items or items) / statistics.median(naive)
    return Row(
        what, float(f"{value:.3g}"), f"{unit}/s", float(f"{other:.3g}"),
        float(f"{value / other:.3g}"), note,
    )  # fmt: skip


def watch(command: Sequence[str], folder: Path, **environment: str) -> tuple[float, int]:
    """Run a command and watch its memory and that of all its children.

    Args:
        command: Program and arguments.
        folder: Where to run it.
        **environment: Variables in addition to those of this process.

    Returns:
        Seconds, and the most bytes in use at once: memory that processes share counts once.

    Raises:
        RuntimeError: If the command fails; with the end of what it printed.
    """
    with tempfile.TemporaryFile() as log:
        code, usage = processes.run(command, folder, log, environment=environment)
        if code:
            log.seek(0)
            end = log.read()[-3000:].decode(errors="replace")
            raise RuntimeError(f"{' '.join(command)} ended with {code} in {folder}:\n{end}")
    return usage.seconds, usage.peak


def save(subject: str, rows: Sequence[Row]) -> None:
    """Save a subject's rows, write the report and print the rows."""
    values = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    storage.write_json(RESULTS / f"{subject}.json", values)
    write_report()
    print(table(values["rows"]))


def machine() -> str:
    """Describe the machine by cores and processor family, nothing more."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        found = dict(line.split(":", 1) for line in lines if ":" in line)
        found = {name.strip(): value.strip() for name, value in found.items()}
        sets = processor.instruction_sets()
        flags = [f for f in ("avx2", "avx512f", "avx512_vnni", "amx_bf16") if f in sets]
        family = f"family {found.get('cpu family')} model {found.get('model')}"
        model = f"{found.get('model name', model)} ({family}; {', '.join(flags)})"
    memory = round(psutil.virtual_memory().total / 2**30)
    return f"{prefetch.available_cpus()} cores, {model}, {memory} GiB"


def write_report() -> None:
    """Write `reports/benchmarks.md` from the results of all subjects."""
    parts = ["# Benchmarks", "", INTRODUCTION, ""]
    for path in sorted(RESULTS.glob("*.json")):
        result = storage.read_json(path)
        parts += [
            f"## {path.stem}",
            "",
            f"`python -m benchmarks.{path.stem.replace('_', ' ')}` on {result['machine']}.",
        ]
        parts += ["", table(result["rows"]), ""]
    parts += ["## The original study", "", *study_table(), ""]
    storage.write_text(REPORT, "\n".join(parts))


def study_table() -> list[str]:
    """Write the times and rates that the study published beside ours, as lines of Markdown."""

    def find(subject: str, what: str) -> dict:
        rows = storage.read_json(RESULTS / f"{subject}.json")["rows"]
        return next(row for row in rows if row["what"] == what)

    def ours(subject: str, what: str) -> str:
        row = find(subject, what)
        return f"{_number(row['value'])} {row['unit']} (`{subject}`)"

    size = find("pipeline", "all")["note"].partition(";")[0]

    return [
        "Its times and rates, on another machine and on real rows; ours are from the tables above.",
        "",
        "| what | published | here |",
        "| --- | ---: | ---: |",
        "| epoch of the image net, VGG16 in every epoch | 1 h 30 min | not done |",
        "| epoch of the image net, features extracted once | 3 s "
        f"| {ours('nets', 'epoch of the image net')} |",
        "| training of the image net | 14 min "
        f"| {ours('pipeline', 'image')}, of {size}, with the nets out of fold and the baselines |",
        "| image net, prediction of 16,984 products | 2 s | not measured |",
        "| fusion net, prediction from features | 6,300 products/s "
        f"| {ours('predict', 'fusion from features')} |",
    ]


def table(rows: Sequence[Mapping]) -> str:
    """Write rows as a Markdown table."""
    lines = ["| what | measured | naive | ratio | |", "| --- | ---: | ---: | ---: | --- |"]
    for row in rows:
        value = f"{_number(row['value'])} {row['unit']}"
        naive = "" if row["naive"] is None else f"{_number(row['naive'])} {row['unit']}"
        ratio = "" if row["ratio"] is None else f"{_number(row['ratio'])}x"
        lines.append(f"| {row['what']} | {value} | {naive} | {ratio} | {row['note']} |")
    return "\n".join(lines)


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """Make a folder for a benchmark's files below build/, and remove it afterwards."""
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-", dir=ROOT / "build") as folder:
        yield Path(folder)


def catalogue(folder: Path, count: int) -> pd.DataFrame:
    """Generate a catalogue without images in a folder and read its product table."""
    write_sample(folder, products=count, quality=None, processes=prefetch.available_cpus())
    tables = [
        storage.read_csv(folder / name, **products.CSV_FORMAT)
        for name in ("X_train_update.csv", "Y_train_CVw08PX.csv")
    ]
    return products.join(*tables)


def python(*arguments: str) -> list[str]:
    """Make the command that runs this Python with arguments."""
    return [sys.executable, *arguments]


def _number(value: float) -> str:
    """Format a number with three significant digits and thousands separators."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
