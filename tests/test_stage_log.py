import io
import logging

import pytest

from rakuten import stage_log, storage


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder; the levels of the loggers are restored afterwards."""
    monkeypatch.chdir(tmp_path)
    levels = {name: logging.getLogger(name).level for name in ("stages", "rakuten")}
    yield tmp_path
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_a_stage_logs_what_came_in_and_what_went_out(caplog):
    with stage_log.stage("split") as log:
        log.received("1350 products")
        log.wrote("3 parts")
    received, wrote = caplog.messages
    assert received == "split        <- 1350 products"
    assert wrote.startswith("split        -> 3 parts (")
    assert wrote.endswith(" s)")


def test_timings_are_written_below_build_with_the_digest_of_what_was_measured(folder):
    storage.write_text("weights", "abc")
    with stage_log.stage("text") as log:
        log.timing(fit_seconds=1.23456)
        with log.timed("items_per_second", items=5):
            pass
        log.measured_on("weights")
    timings = storage.read_json(folder / "build/timings/text.json")
    assert list(timings) == ["fit_seconds", "items_per_second", "stage_seconds", "measured_on"]
    assert timings["fit_seconds"] == 1.23
    assert timings["items_per_second"] > 0
    assert timings["stage_seconds"] >= 0
    assert timings["measured_on"] == {"weights": "900150983cd24fb0d6963f7d28e17f72"}


def test_a_failed_stage_writes_no_timings(folder):
    with pytest.raises(RuntimeError, match="no memory"), stage_log.stage("text"):
        raise RuntimeError("no memory")
    assert list(folder.iterdir()) == []


def test_progress_yields_the_items_and_counts_those_done_before(monkeypatch):
    printed = io.StringIO()
    monkeypatch.setattr("sys.stderr", printed)
    bar = stage_log.progress([1, 2], total=5, unit="image", description="resize", initial=3)
    assert list(bar) == [1, 2]
    assert bar.n == 5
    assert "resize" in printed.getvalue()
    assert "5/5" in printed.getvalue()


def test_bytes_are_shown_in_larger_units(monkeypatch):
    printed = io.StringIO()
    monkeypatch.setattr("sys.stderr", printed)
    with stage_log.progress([], total=58_889_256, unit="B", description="weights") as bar:
        bar.update(58_889_256)
    assert "58.9M/58.9M" in printed.getvalue()
