"""The yardstick itself: benchmarks are only as good as their clocks."""

import importlib
import re
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from benchmarks import __main__ as everything
from benchmarks import measure, scale

APART = {"pipeline", "scale", "cost"}


def test_every_subject_is_run_by_make_bench_or_apart():
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert scripts - {"__init__", "__main__", "measure"} == {*everything.SUBJECTS, *APART}


def test_the_report_is_written_from_what_was_kept(tmp_path, monkeypatch):
    report = (ROOT / "reports/benchmarks.md").read_text()
    monkeypatch.setattr(measure, "REPORT", tmp_path / "benchmarks.md")
    measure.write_report()
    assert (tmp_path / "benchmarks.md").read_text() == report
    kept = {path.stem for path in measure.KEPT.glob("*.json")}
    assert set(re.findall(r"^## (\w+)", report, re.MULTILINE)) == kept
    pieces = {f"scale_{piece}" for piece in scale.PIECES}
    assert kept == {*everything.SUBJECTS, "pipeline", *pieces}
    assert "`python -m benchmarks.scale overhead` on" in report


def test_ways_take_turns():
    order = []
    ways = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    seconds = measure.in_turns(ways, repeats=3)
    assert order == ["a", "b"] * 3
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_rates_and_ratios():
    row = measure.rate("x", "items", [1.0, 2.0, 9.0], 1000, naive=[4.0, 4.0, 1.0], naive_items=100)
    assert (row.value, row.unit, row.naive, row.ratio) == (500.0, "items/s", 25.0, 20.0)
    assert "| x | 500 items/s | 25 items/s | 20x |" in measure.table([vars(row)])


def test_watch_sees_the_memory_of_children(tmp_path):
    child = "import time; held = b'x' * 300_000_000; time.sleep(1)"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    seconds, peak = measure.watch([sys.executable, "-c", parent], tmp_path)
    assert 1 < seconds < 30
    assert 300_000_000 < peak < 500_000_000
    with pytest.raises(RuntimeError, match="ended with 3 in"):
        measure.watch([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_every_module_says_what_it_measures(path):
    name = "benchmarks" if path.stem.startswith("_") else f"benchmarks.{path.stem}"
    module = importlib.import_module(name)
    assert module.__doc__.count(" ") > 5
    assert Path(module.__file__).parent == ROOT / "benchmarks"
