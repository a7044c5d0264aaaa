"""What the page shows while DVC replaces the files on disk."""

import os
from pathlib import Path

import pytest

from demo.builds import Latest
from rakuten import storage

NEEDS = (Path("build/package/package.json"), Path("build/clean/products.parquet"))


class Opened:
    """Reads the files that it needs."""

    def __init__(self):
        self.contents = [storage.read_text(path) for path in NEEDS]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in NEEDS:
        storage.write_text(path, "old")
    return tmp_path


@pytest.fixture
def lock(folder):
    """Register this process as the writer of an output, as DVC does while a stage runs."""

    def write(output):
        entry = {str(folder / output): {"pid": os.getpid(), "cmd": "dvc repro"}}
        storage.write_json(folder / ".dvc/tmp/rwlock", {"write": entry})

    return write


def test_without_files_there_is_nothing_to_show():
    NEEDS[0].unlink()
    latest = Latest(Opened, NEEDS)
    assert not latest.refresh()
    with pytest.raises(RuntimeError, match="nothing is open"):
        latest.current()


def test_what_is_open_stays_until_the_next_is_complete(folder, lock):
    latest = Latest(Opened, NEEDS)
    assert latest.refresh()
    first = latest.current()
    assert first.contents == ["old", "old"]
    lock("build/text")
    NEEDS[0].unlink()  # DVC deletes outputs before their stage runs
    assert latest.refresh()
    assert latest.current() is first
    storage.write_text(NEEDS[0], "new")
    assert latest.refresh()
    assert latest.current() is first, "another stage still runs"
    (folder / ".dvc/tmp/rwlock").unlink()
    assert latest.refresh()
    assert latest.current().contents == ["new", "old"]
    second = latest.current()
    latest.refresh()
    assert latest.current() is second, "nothing has changed"


def test_the_first_files_are_opened_while_another_stage_runs(lock):
    lock("build/text")
    assert Latest(Opened, NEEDS).refresh()


def test_the_first_files_are_not_opened_while_they_are_written(lock):
    lock("build/package")
    assert not Latest(Opened, NEEDS).refresh()


def test_new_files_that_cannot_be_opened_leave_the_old_state():
    latest = Latest(Opened, NEEDS)
    latest.refresh()
    first = latest.current()
    NEEDS[1].write_bytes(b"\xff")  # no UTF-8: a file that is not complete
    assert latest.refresh()
    assert latest.current() is first
    storage.write_text(NEEDS[1], "new")
    assert latest.refresh()
    assert latest.current().contents == ["old", "new"]


def test_unusable_files_are_an_error():
    latest = Latest(lambda: storage.read_text("absent"), NEEDS)
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        latest.refresh()
