"""What the page shows while DVC replaces the files on disk."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from demo import builds
from demo.builds import Latest
from rakuten import storage
from rakuten.serving.package import OutdatedError

NEEDS = (Path("build/package/package.json"), Path("build/clean/products.parquet"))


class Opened:
    """Reads the files that it needs."""

    def __init__(self, root):
        self.contents = [storage.read_text(root / path) for path in NEEDS]


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
    latest = Latest(Opened, NEEDS, name="x")
    assert not latest.refresh()
    with pytest.raises(RuntimeError, match="nothing is open"):
        latest.current()


def test_what_is_open_stays_until_the_next_is_complete(folder, lock):
    latest = Latest(Opened, NEEDS, name="x")
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
    assert Latest(Opened, NEEDS, name="x").refresh()


def test_the_first_files_are_not_opened_while_they_are_written(lock):
    lock("build/package")
    assert not Latest(Opened, NEEDS, name="x").refresh()


def test_new_files_that_cannot_be_opened_leave_the_old_state():
    latest = Latest(Opened, NEEDS, name="x")
    latest.refresh()
    first = latest.current()
    NEEDS[1].write_bytes(b"\xff")  # no UTF-8: a file that is not complete
    assert latest.refresh()
    assert latest.current() is first
    storage.write_text(NEEDS[1], "new")
    assert latest.refresh()
    assert latest.current().contents == ["old", "new"]


def test_new_files_that_cannot_be_opened_are_not_tried_by_every_visitor(monkeypatch):
    tried = []

    def create(root):
        tried.append(root)
        return Opened(root)

    latest = Latest(create, NEEDS, name="x")
    latest.refresh()
    NEEDS[1].write_bytes(b"\xff")
    for _ in range(3):
        assert latest.refresh()
    assert len(tried) == 2
    storage.write_text(NEEDS[1], "new")
    latest.refresh()
    assert latest.current().contents == ["old", "new"]

    monkeypatch.setattr(builds, "RETRY", 0.0)  # the time is over
    NEEDS[1].write_bytes(b"\xff")
    for _ in range(3):
        assert latest.refresh()
    assert len(tried) == 6


def test_visitors_use_what_is_open_while_one_opens_the_next():
    def create(root):
        if visitors:
            assert visitors[0].submit(latest.refresh).result(timeout=60)
            assert latest.current() is first
        return Opened(root)

    visitors = []
    latest = Latest(create, NEEDS, name="x")
    latest.refresh()
    first = latest.current()
    storage.write_text(NEEDS[1], "new")
    with ThreadPoolExecutor(1) as visitor:
        visitors.append(visitor)
        assert latest.refresh()
    assert latest.current().contents == ["old", "new"]


@pytest.mark.slow
def test_a_page_started_during_a_rebuild_shows_what_was_open_before(folder, lock):
    (folder / ".dvc/tmp").mkdir(parents=True)
    assert Latest(Opened, NEEDS, name="x", folders=[NEEDS[0].parent]).refresh()
    assert Path(".dvc/tmp/demo/x", NEEDS[0]).read_text() == "old"
    NEEDS[0].unlink()
    assert not Latest(Opened, NEEDS, name="x").refresh(), "nobody will bring the files back"
    lock("build/package")
    started = Latest(Opened, NEEDS, name="x")
    assert started.refresh()
    assert started.current().contents == ["old", "old"]
    storage.write_text(NEEDS[0], "new")
    (folder / ".dvc/tmp/rwlock").unlink()
    assert started.refresh()
    assert started.current().contents == ["new", "old"]


def test_unusable_files_are_an_error():
    latest = Latest(lambda root: storage.read_text(root / "absent"), NEEDS, name="x")
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        latest.refresh()


def test_kept_files_of_an_older_version_are_not_shown(folder, lock):
    """After `git pull` and during a rebuild, the page waits for the new files."""
    (folder / ".dvc/tmp").mkdir(parents=True)
    assert Latest(Opened, NEEDS, name="x").refresh()
    lock("build/package")

    def refuse(root):
        raise OutdatedError(root, "has no backbone")

    assert not Latest(refuse, NEEDS, name="x").refresh()
