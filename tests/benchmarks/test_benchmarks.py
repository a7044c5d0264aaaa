"""Tests of the benchmarks' timers, reports and cost estimates."""

import copy
import importlib
import re
import sys
from pathlib import Path

import pytest
from repository import ROOT

from benchmarks import __main__ as everything
from benchmarks import cost, measure, scale, scale_tools
from rakuten import storage
from rakuten.reports import readme
from rakuten.serving.product_tables import Row

APART = {"pipeline", "scale", "cost", "seeds"}


def test_every_subject_is_run_by_make_bench_or_apart():
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    tools = {
        "__init__",
        "__main__",
        "measure",
        "processes",
        "scale_tools",
        "calibrate",
    }
    assert scripts - tools == {*everything.SUBJECTS, *APART}


def test_the_report_is_written_from_what_was_kept(tmp_path, monkeypatch):
    report = (ROOT / "reports/benchmarks.md").read_text()
    monkeypatch.setattr(measure, "REPORT", tmp_path / "benchmarks.md")
    measure.write_report()
    assert (tmp_path / "benchmarks.md").read_text() == report
    kept = {path.stem for path in measure.KEPT.glob("*.json")}
    assert set(re.findall(r"^## ([a-z_]+)$", report, re.MULTILINE)) == kept
    pieces = {f"scale_{piece}" for piece in scale.PIECES}
    assert {*everything.SUBJECTS, "pipeline"} <= kept <= {*everything.SUBJECTS, "pipeline", *pieces}
    assert "`python -m benchmarks.scale overhead` on" in report


def test_costs_are_estimated_from_measurements(tmp_path, monkeypatch):
    """Rates of 10 a second on 4 cores, and 1,000 bytes a product."""
    rates = ("cleaning, 4 processors", "extraction by Ray, float32", "extraction by Ray, int8",
             "prediction from text, 4 processors",
             "prediction from text and image, 4 processors")  # fmt: skip
    sizes = (
        "text read",
        "features written, float32",
        "features written, int8",
        "predictions written",
        "cleaned texts written",
    )
    rows = [{"what": what, "value": 10.0} for what in rates]
    rows += [{"what": what, "value": 1000} for what in sizes]
    rows += [{"what": "the driver, of anything", "value": 100.0}]
    monkeypatch.setattr(measure, "KEPT", tmp_path)
    for piece in ("cleaning", "overhead", "prediction", "features", "capacity"):
        storage.write_json(
            tmp_path / f"scale_{piece}.json", {"machine": "4 cores, x", "rows": rows}
        )
    works = {work.what: work for work in cost.works()}
    assert works["clean text"].core_hours == pytest.approx(100e6 * 4 / 10 / 3600)
    assert works["clean text"].read == works["clean text"].written == 100e9
    gpus = next(work for what, work in works.items() if "GPU" in what)
    assert gpus.core_hours == pytest.approx(100e6 / 3000 / 3600 * 16)
    assert gpus.read == pytest.approx(100e6 * 25_908, rel=1e-3)
    assert gpus.hours == gpus.driver == pytest.approx(100e6 / 100 / 3600)
    line = "| clean text | 11,000 | 280 | 280 | 100 GB | 100 GB |"
    assert line in cost.table().splitlines()
    assert "| 2.6 TB | 100 GB |" in cost.table()
    (tmp_path / "scale_cleaning.json").write_text('{"machine": "4 cores", "rows": []}')
    with pytest.raises(
        KeyError, match=r"no row 'cleaned .*: run 'python -m benchmarks\.scale clea"
    ):
        cost.works()


def test_the_documentation_shows_the_costs():
    text = cost.DOCUMENT.read_text()
    assert readme.fill(text, {"cost": cost.table()}) == text, "run 'python -m benchmarks.cost'"


def test_the_progress_recorder_knows_the_rate_of_a_run_and_its_parts(monkeypatch):
    clock, spent = iter([0.0, 30.0, 40.0, 50.0, 52.0]), iter([7.0, 8.0, 9.0, 10.0, 11.0])
    monkeypatch.setattr(scale_tools.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(scale_tools, "spent", lambda: next(spent))
    recorder = scale_tools.ProgressRecorder()
    with recorder(total=9) as bar:
        for count in (scale_tools.CHUNK, scale_tools.CHUNK, scale_tools.CHUNK, 8):
            bar.update(count)
    assert recorder.rate() == (3 * scale_tools.CHUNK + 8) / 52
    assert recorder.written_by_one_processor() == (3 * scale_tools.CHUNK + 8) / 4
    assert recorder.between(scale_tools.CHUNK, 2 * scale_tools.CHUNK) == (
        10.0,
        scale_tools.CHUNK,
        1.0,
    )


def test_a_timed_transform_computes_and_measures(tmp_path, monkeypatch):
    clock = iter([100.0, 120.0, 130.0, 140.0, 150.0])
    monkeypatch.setattr(scale_tools.time, "time", lambda: next(clock))
    transform = scale_tools.Simulated("", 1, cost=0)
    timed = copy.deepcopy(scale_tools.Timed(transform, tmp_path / "times"))  # copied as Ray does
    assert (timed.chunk, timed.threads, timed.identity()) == (transform.chunk, 1, {})
    rows = [Row(n, n, n, "a", "", None, ()) for n in range(20)]
    compute = timed.load()
    for count in (20, 20, 10):
        prepared_rows = [timed.prepare(row, None) for row in rows[:count]]
        assert compute(prepared_rows)["index"].to_pylist() == list(range(count))
    assert timed.loaded() == 20
    assert timed.count() == 50
    assert timed.rate() == 50 / 30


def test_functions_are_timed_in_alternation():
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
    assert seconds > 1
    assert 300_000_000 < peak < 500_000_000
    with pytest.raises(RuntimeError, match="ended with 3 in"):
        measure.watch([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_every_module_says_what_it_measures(path):
    name = "benchmarks" if path.stem.startswith("_") else f"benchmarks.{path.stem}"
    module = importlib.import_module(name)
    assert module.__doc__.count(" ") > 5
    assert Path(module.__file__).parent == ROOT / "benchmarks"
