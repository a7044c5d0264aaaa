"""The benchmark of the pipeline: records, continued measurements, growth."""

import io
import os
import subprocess
import sys
import time

import psutil
import pytest
from repository import ROOT

from benchmarks import measure, pipeline, processes
from benchmarks.pipeline import Size
from benchmarks.processes import Usage
from rakuten import storage

STEPS = [*pipeline.BEFORE, *storage.read_yaml(ROOT / "dvc.yaml")["stages"]]


def measured(seconds, **changes):
    """The same usage of every step, but for changes."""
    every = {step: changes.get(step, seconds) for step in STEPS}
    return {step: Usage(wall, 2**30, 2 * wall) for step, wall in every.items()}


def test_rows_compare_sizes_in_any_order_and_extrapolate_images():
    small, large = Size(800, 100), Size(800, 400)
    runs = {small: measured(2.0), large: measured(2.0, extract=8.8)}
    rows = pipeline.rows(runs, {"extract.precision": "int8"})
    found = {row.what: row for row in rows}
    assert list(found) == [*STEPS, "all", "all, with 800 images"]
    assert found["extract"].value == 8.8
    assert found["extract"].note.startswith(
        "peak 1.00 GiB, 18 s CPU; 800 products, 100 images: 4 s CPU"
    )
    assert "1.10 times the catalogue's growth" in found["extract"].note
    assert "0.25 times the catalogue's growth" in found["split"].note
    total = 2 * len(STEPS) + 6.8
    assert found["all"].value == pytest.approx(total, rel=1e-3)
    assert "parameters extract.precision=int8" in found["all"].note
    expected = total + 400 * 6.8 / 300
    assert found["all, with 800 images"].value == pytest.approx(expected, rel=1e-3)
    assert measure.table([vars(row) for row in rows]).count("\n") == len(rows) + 1


def test_an_unfinished_measurement_names_the_missing_steps():
    unfinished = measured(2.0)
    del unfinished["package"]
    rows = pipeline.rows({Size(800, 400): unfinished, Size(800, 100): measured(1.0)}, {})
    assert "package" not in [row.what for row in rows]
    assert rows[-1].what == "all"
    assert rows[-1].note.endswith("parameters as committed; not measured: package")


def test_a_command_continues_with_the_usage_of_interrupted_attempts(tmp_path):
    clone = tmp_path / "clone"
    clone.mkdir()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    record = {
        "step": "text",
        "pid": other.pid,
        "started": psutil.Process(other.pid).create_time(),
        "usage": [100.0, 2**40, 30.0],
    }
    storage.write_json(tmp_path / "running.json", record)
    usage = pipeline.run_step("text", [sys.executable, "-c", "print('done')"], clone)
    assert other.poll() is not None, "the interrupted attempt still runs"
    assert usage.seconds > 100
    assert usage.peak == 2**40
    assert (tmp_path / "text.log").read_text() == "done\n"
    assert not (tmp_path / "running.json").exists()
    assert pipeline.run_step("image", [sys.executable, "-c", ""], clone).seconds < 100
    with pytest.raises(SystemExit, match="ended with 3 in"):
        pipeline.run_step("image", [sys.executable, "-c", "raise SystemExit(3)"], clone)


def test_parameters_of_the_clone_are_changed(tmp_path):
    pipeline.make_clone(tmp_path / "clone", {"extract.precision": "int8", "seed": "3"})
    before = storage.read_yaml(ROOT / "params.yaml")
    before["extract"]["precision"], before["seed"] = "int8", 3
    assert storage.read_yaml(tmp_path / "clone/params.yaml") == before
    with pytest.raises(KeyError, match=r"has no entry 'extract\.speed'"):
        pipeline.make_clone(tmp_path / "other", {"extract.speed": "5"})
    assert not (tmp_path / "other").exists()


def test_processor_time_of_children_counts(tmp_path):
    busy = "import time\nend = time.process_time() + 1\nwhile time.process_time() < end: pass"
    both = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy!r}])\n"
    code, usage = processes.run([sys.executable, "-c", both + "import time; time.sleep(.5)"],
                                tmp_path, io.FileIO(os.devnull, "w"))  # fmt: skip
    assert code == 0
    assert usage.cpu > 0.9


def test_an_interrupted_command_leaves_no_process(tmp_path):
    child = "import time; time.sleep(60)"
    both = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    family = []

    def interrupt(pid, usage):
        family[:] = psutil.Process(pid).children()
        if family:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        processes.run(
            [sys.executable, "-c", both],
            tmp_path,
            io.FileIO(os.devnull, "w"),
            report=interrupt,
        )
    time.sleep(0.1)
    assert not any(process.is_running() for process in family)
