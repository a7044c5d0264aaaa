"""Measure the whole pipeline at full size: time, processor time and peak memory of every stage.

`python -m benchmarks.pipeline PRODUCTS:IMAGES...` generates a catalogue of each size and runs
`dvc repro` stage by stage, from nothing, in a clone of the committed state. `--set NAME=VALUE`
changes parameters of the clone, such as `--set extract.precision=int8`.

Each finished step is recorded below build/benchmarks/pipeline/. After an interruption, the same
command continues with the interrupted stage, and adds its times, unless the committed code or the
parameters have changed. Clones are removed when they are done, catalogues and logs stay.
"""

import argparse
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from ruamel.yaml import YAML

from benchmarks import measure, processes
from benchmarks.processes import Usage
from rakuten import storage

FOLDER = measure.ROOT / "build/benchmarks/pipeline"
SIZES = ("84916:84916", "42458:42458", "21229:21229")
BEFORE = ("sample", "import")
"""Steps before the stages."""

RECORD = "measured.json"
"""The file in a measurement's folder with the usage of the steps that are done."""

SAVED = 5.0
"""Seconds between two records of a running step."""


class Size(NamedTuple):
    """Numbers of products and of those with an image."""

    products: int
    images: int

    def __str__(self) -> str:
        return f"{self.products:,} products, {self.images:,} images"


Measured = dict[str, Usage]
"""Usage by step, in the order of their runs."""


def recorded(run: Path) -> Measured:
    """Read the steps that are done, in the order of their runs."""
    record = run / RECORD
    found = storage.read_json(record) if record.exists() else {}
    return {step: Usage(*usage) for step, usage in found.items()}


def run_folder(size: Size, settings: dict[str, str], folder: Path) -> Path:
    """Name the folder of a measurement by its size, parameters and code."""
    changes = _hash(state(), sorted(settings.items()))
    return folder / f"{size.products}-{size.images}-{changes}"


def measure_size(size: Size, settings: dict[str, str], folder: Path, *, keep: bool) -> Measured:
    """Generate a catalogue, import it into a clone and run stage by stage; or continue with it.

    Args:
        size: Of the catalogue.
        settings: Values of params.yaml in the clone, by dotted name.
        folder: Where catalogues, clones, logs and records are.
        keep: Whether the clone stays.

    Returns:
        Usage of "sample", "import" and each stage, in the order of their runs.
    """
    run = run_folder(size, settings, folder)
    changes = _hash(_tree("rakuten/sample"))
    catalogue = folder / f"catalogue-{size.products}-{size.images}-{changes}"
    clone, measured = run / "rakuten", recorded(run)
    stages = list(storage.read_yaml(measure.ROOT / "dvc.yaml")["stages"])
    missing = [step for step in (*BEFORE, *stages) if step not in measured]
    if missing and not clone.exists():
        measured, missing = {}, [*BEFORE, *stages]
        make_clone(clone, settings)
    _say(f"{size}: {len(measured)} of {len(stages) + 2} steps done, logs in {run}")
    for number, step in enumerate(missing):
        if step == "sample":
            measured[step] = _sample(size, catalogue, clone)
        else:
            command = ["dvc", "repro", "--single-item", step]
            if step == "import":
                importing = measure.python("-m", "rakuten", "import", "--allow-missing-images")
                command = [*importing, str(catalogue)]
            elif number == 0:  # a kill can truncate dvc.lock
                subprocess.run(["make", "--silent", "repair"], cwd=clone, check=True)
            measured[step] = run_step(step, command, clone)
        storage.write_json(run / RECORD, {name: list(usage) for name, usage in measured.items()})
        _say(f"{size}  {_line(step, measured[step])}")
    if clone.exists() and not keep:
        shutil.rmtree(clone)
    return measured


def make_clone(clone: Path, settings: dict[str, str]) -> None:
    """Clone the committed state, with other parameters, in one step.

    Raises:
        KeyError: If params.yaml has no such parameter.
    """
    partial = clone.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", str(measure.ROOT), str(partial)], check=True)
    (partial / ".venv").symlink_to(Path(sys.prefix), target_is_directory=True)
    yaml = YAML()
    params = yaml.load(partial / "params.yaml")
    for name, value in settings.items():
        storage.entry(params, name, "params.yaml")
        section, _, last = name.rpartition(".")
        entries = storage.entry(params, section, "params.yaml") if section else params
        entries[last] = yaml.load(value)
    yaml.dump(params, partial / "params.yaml")
    partial.rename(clone)


def run_step(step: str, command: list[str], clone: Path) -> Usage:
    """Run a command in a clone and record its usage while it runs.

    Args:
        step: Its name.
        command: Program and arguments.
        clone: The clone; the log and the record of a running step are beside it.

    Returns:
        The usage, with that of earlier attempts that were interrupted.

    Raises:
        SystemExit: If the command fails; with the end of its log.
    """
    record = clone.with_name("running.json")
    earlier = _earlier(record, step)
    saved = -SAVED

    def report(pid: int, usage: Usage) -> None:
        nonlocal saved
        if usage.seconds - saved >= SAVED:
            saved = usage.seconds
            started = _started(pid)
            values = {"step": step, "pid": pid, "started": started, "usage": _add(earlier, usage)}
            storage.write_json(record, values)

    environment = {"PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    log = clone.with_name(f"{step}.log")
    with log.open("ab") as file:
        code, usage = processes.run(command, clone, file, environment=environment, report=report)
    record.unlink(missing_ok=True)
    if code:
        end = storage.read_bytes(log)[-3000:].decode(errors="replace")
        sys.exit(f"{' '.join(command)} ended with {code} in {clone}; the end of {log}:\n{end}")
    return _add(earlier, usage)


def state() -> str:
    """List what the measurements depend on: git's ids of the committed code and settings."""
    stages = storage.read_yaml(measure.ROOT / "dvc.yaml")["stages"].values()
    code = {path for stage in stages for path in stage["deps"] if path.endswith(".py")}
    files = ("dvc.yaml", "params.yaml", "requirements.txt", "rakuten/data/resources.yaml")
    return _tree(*files, "rakuten/sample", *sorted(code))


def rows(runs: dict[Size, Measured], settings: dict[str, str]) -> list[measure.Row]:
    """Report each step, and how its CPU seconds grow with the catalogue.

    Args:
        runs: Usage by size; steps that were not measured are missing.
        settings: Parameters that were changed.
    """
    size, *others = sorted(runs, reverse=True)
    lines = []
    for step, usage in runs[size].items():
        notes = [_usage(usage)]
        for other in others:
            if step not in runs[other]:
                continue
            before = runs[other][step].cpu
            growth = usage.cpu / before / _ratio(size, other)
            notes.append(f"{other}: {before:,.0f} s CPU, {growth:.2f} times the catalogue's growth")
        lines.append(_seconds(step, usage.seconds, "; ".join(notes)))
    steps = [*BEFORE, *storage.read_yaml(measure.ROOT / "dvc.yaml")["stages"]]
    lacking = [step for step in steps if step not in runs[size]]
    others = [other for other in others if not lacking and runs[other].keys() >= {*steps}]
    total = {one: _sum(runs[one]) for one in (size, *others)}
    changed = ", ".join(f"{name}={value}" for name, value in settings.items()) or "as committed"
    notes = [str(size), _usage(total[size]), f"parameters {changed}"]
    notes += [f"not measured: {', '.join(lacking)}"] if lacking else []
    notes += [f"{other}: {total[other].seconds:,.0f} s" for other in others]
    lines.append(_seconds("all", total[size].seconds, "; ".join(notes)))
    for other in others:
        if other.products == size.products and other.images < size.images < size.products:
            cost = (total[size].seconds - total[other].seconds) / (size.images - other.images)
            expected = total[size].seconds + cost * (size.products - size.images)
            note = f"extrapolated from {other.images:,} and {size.images:,} images: "
            note += f"{1000 * cost:.1f} ms per image"
            lines.append(_seconds(f"all, with {size.products:,} images", expected, note))
            break
    return lines


def main() -> None:
    """Measure each size; write the report after each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "sizes", nargs="*", type=_size, default=[_size(size) for size in SIZES],
        metavar="PRODUCTS:IMAGES", help=f"in the order to measure them ({' '.join(SIZES)})",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", type=_setting, default=[], metavar="NAME=VALUE",
        help="a parameter of the clones",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of clones and records")
    parser.add_argument("--keep", action="store_true", help="keep the clones")
    parser.add_argument("--no-report", action="store_true", help="print only")
    parser.add_argument(
        "--recorded", action="store_true", help="run nothing, report the steps that are done"
    )
    options = parser.parse_args()
    for interruption in (signal.SIGINT, signal.SIGTERM):
        signal.signal(interruption, lambda *_: sys.exit("interrupted: run it again to continue"))
    settings, folder = dict(options.set), options.folder.resolve()
    runs: dict[Size, Measured] = {}
    for size in options.sizes:
        if options.recorded:
            runs[size] = recorded(run_folder(size, settings, folder))
        else:
            runs[size] = measure_size(size, settings, folder, keep=options.keep)
        if not options.no_report:
            measure.save("pipeline", rows(runs, settings))
    if options.no_report:
        print(measure.table([vars(row) for row in rows(runs, settings)]))


def _size(text: str) -> Size:
    """Parse `PRODUCTS:IMAGES`."""
    if not re.fullmatch(r"\d+:\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected PRODUCTS:IMAGES, as 84916:20000")
    return Size(*map(int, text.split(":")))


def _setting(text: str) -> tuple[str, str]:
    """Parse `NAME=VALUE`."""
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    return name, value


def _sample(size: Size, catalogue: Path, clone: Path) -> Usage:
    """Generate the catalogue, or read what an earlier generation used."""
    record = catalogue.with_suffix(".json")
    if not (catalogue.exists() and record.exists()):
        for partial in (catalogue, *catalogue.parent.glob(f".{catalogue.name}.*")):
            shutil.rmtree(partial, ignore_errors=True)
        scale = ["--products", str(size.products), "--images", str(size.images)]
        command = measure.python("-m", "rakuten", "sample", *scale, str(catalogue))
        storage.write_json(record, list(run_step("sample", command, clone)))
    return Usage(*storage.read_json(record))


def _earlier(record: Path, step: str) -> Usage:
    """Read what interrupted attempts of a step used; end one whose process still runs."""
    if not record.exists():
        return Usage(0.0, 0, 0.0)
    running = storage.read_json(record)
    if _started(running["pid"]) == running["started"] is not None:
        processes.stop(running["pid"])
    return Usage(*running["usage"]) if running["step"] == step else Usage(0.0, 0, 0.0)


def _started(pid: int) -> float | None:
    """Read the time when a process started, None if there is none."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).create_time()
    return None


def _tree(*paths: str) -> str:
    """List git's ids of committed files."""
    command = ["git", "ls-tree", "-r", "HEAD", *paths]
    done = subprocess.run(command, cwd=measure.ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def _hash(*values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:8]


def _add(first: Usage, second: Usage) -> Usage:
    """Add the usage of steps or attempts that ran one after another."""
    peak = max(first.peak, second.peak)
    return Usage(first.seconds + second.seconds, peak, first.cpu + second.cpu)


def _sum(measured: Measured) -> Usage:
    total = Usage(0.0, 0, 0.0)
    for usage in measured.values():
        total = _add(total, usage)
    return total


def _ratio(size: Size, other: Size) -> float:
    """How many times as large a catalogue is, by products or by images."""
    return max(now / before for now, before in zip(size, other, strict=True) if before)


def _seconds(what: str, seconds: float, note: str) -> measure.Row:
    return measure.Row(what, float(f"{seconds:.4g}"), "s", note=note)


def _usage(usage: Usage) -> str:
    return f"peak {usage.peak / 2**30:.2f} GiB, {usage.cpu:,.0f} s CPU"


def _line(step: str, usage: Usage) -> str:
    return f"{step:<14} {usage.seconds:8.1f} s  {_usage(usage)}"


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
