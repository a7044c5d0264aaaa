"""Tests of the benchmarks' timers, reports and cost estimates."""

import copy
import importlib
import re
import sys

import pytest
from repository import ROOT

from benchmarks import __main__ as everything
from benchmarks import cost, measure, overhead, pipeline, scale, scale_tools
from rakuten import storage
from rakuten.image import backbones
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
    kept = {path.stem for path in measure.RESULTS.glob("*.json")}
    assert set(re.findall(r"^## ([a-z_]+)$", report, re.MULTILINE)) == kept
    scaled = {f"scale_{name}" for name in scale.MEASUREMENTS}
    assert {*everything.SUBJECTS, "pipeline"} <= kept <= {*everything.SUBJECTS, "pipeline", *scaled}
    assert "`python -m benchmarks.scale text` on" in report


STAGE = "|".join(storage.read_yaml(ROOT / "dvc.yaml")["stages"])
PRECISION = "|".join(backbones.PRECISIONS)


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        ("pipeline", f"{'|'.join(pipeline.BEFORE)}|{STAGE}|all(, with [0-9,]+ images)?"),
        ("repro", f"sample: (pull|{STAGE}|all steps)|experiment, processor time"),
        ("overhead", f"imports of stage ({'|'.join(overhead.LIGHT)})|dvc .*"),
        ("extract", rf"[\w-]+, ({PRECISION})(, \d crops)?|decoding in one thread"),
        ("parity", f"(worst cosine|accuracy, image net), ({PRECISION})"),
        ("nets", "epoch of the (text|image|fusion) net"),
    ],
)
def test_the_results_are_those_that_the_benchmark_measures(subject, names):
    """Rows of a stage or a precision that no longer exists are removed."""
    rows = storage.read_json(measure.RESULTS / f"{subject}.json")["rows"]
    assert [row["what"] for row in rows if not re.fullmatch(names, row["what"])] == []


def test_costs_are_estimated_from_measurements(tmp_path, monkeypatch):
    """Rates of 10 a second on 4 cores, and 1,000 bytes a product."""
    rows = [{"what": "text read", "value": 1000}]
    for task in cost.TASKS:
        rows += [{"what": task.rate, "value": 10.0}, {"what": task.size, "value": 1000}]
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    for name in scale.MEASUREMENTS:
        kept = {"machine": "4 cores, x", "rows": rows}
        storage.write_json(tmp_path / f"scale_{name}.json", kept)
    lines = cost.table().splitlines()
    assert lines[2] == "| clean texts | 11,000 | 170 | 200 GB | 100 GB |"
    assert lines[4] == "| predict from text and image | 11,000 | 170 | 2.8 TB | 100 GB |"
    assert lines[5] == "| encode images for the image ensemble | 11,000 | 170 | 2.8 TB | 100 GB |"
    message = r"no row 'clean .*: run 'python -m benchmarks\.scale clean'"
    (tmp_path / "scale_clean.json").write_text('{"machine": "4 cores", "rows": []}')
    with pytest.raises(KeyError, match=message):
        cost.estimate(cost.TASKS[0])
    (tmp_path / "scale_clean.json").unlink()
    with pytest.raises(KeyError, match=message):
        cost.estimate(cost.TASKS[0])
    missing = cost.table().splitlines()
    assert missing[2] == "| clean texts | not measured |  |  |  |"
    assert missing[3:] == lines[3:]


def test_the_documentation_shows_the_costs():
    text = cost.DOCUMENT.read_text()
    assert readme.fill(text, {"cost": cost.table()}) == text, "run 'python -m benchmarks.cost'"


def test_a_recorded_transform_computes_and_measures(tmp_path, monkeypatch):
    clock = iter([100.0, 120.0, 130.0, 140.0])
    monkeypatch.setattr(scale_tools.time, "time", lambda: next(clock))
    transform = scale_tools.Simulated("", 1, partition=256, cost=0)
    recorded = scale_tools.Recorded(transform, tmp_path / "marks")
    copied = copy.deepcopy(recorded)  # as Ray does
    assert (copied.chunk, copied.threads, copied.identity()) == (transform.chunk, 1, {})
    rows = [Row(n, n, n, "a", "", None, ()) for n in range(20)]
    steps = copied.load()
    for count in (20, 20, 10):
        table = steps.compute([steps.prepare(row, None) for row in rows[:count]])
        assert table["index"].to_pylist() == list(range(count))
    assert recorded.rate(150.0) == 50 / 50
    assert recorded.between() == (20.0, 30)
    assert recorded.cpu() >= 0


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
def test_every_module_can_be_imported(path):
    importlib.import_module(f"benchmarks.{path.stem}")
