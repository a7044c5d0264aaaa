"""The build that the page shows while DVC replaces it on disk."""

import os

import pytest

from demo import builds
from rakuten import storage
from rakuten.serving import package, rebuilds

SUMMARY = package.FOLDER / package.SUMMARY


class FakeBuild:
    """Stands for a build: reads one file of the package."""

    def __init__(self):
        self.stamp = rebuilds.stamp(package.FOLDER)
        self.content = storage.read_text(SUMMARY)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(builds, "Build", FakeBuild)
    storage.write_text(SUMMARY, "old")
    return tmp_path


def lock(folder):
    """Register this process as the writer of another output, as DVC does while a stage runs."""
    entry = {str(folder / "build/text"): {"pid": os.getpid(), "cmd": "dvc repro"}}
    storage.write_json(folder / ".dvc/tmp/rwlock", {"write": entry})


def test_without_a_build_there_is_nothing_to_show():
    found = builds.Builds()
    assert not found.refresh(complete=False)
    with pytest.raises(RuntimeError, match="no build is open"):
        found.current()


def test_an_open_build_stays_until_the_next_is_complete(folder):
    found = builds.Builds()
    assert found.refresh(complete=True)
    first = found.current()
    assert first.content == "old"
    lock(folder)
    SUMMARY.unlink()  # DVC deletes outputs before their stage runs
    assert found.refresh(complete=False)
    assert found.current() is first
    storage.write_text(SUMMARY, "new")
    assert found.refresh(complete=True)
    assert found.current() is first, "another stage still runs"
    (folder / ".dvc/tmp/rwlock").unlink()
    assert found.refresh(complete=True)
    assert found.current().content == "new"
    second = found.current()
    found.refresh(complete=True)
    assert found.current() is second


def test_a_build_deleted_while_it_is_opened_leaves_the_old_one(folder, monkeypatch):
    found = builds.Builds()
    found.refresh(complete=True)
    first = found.current()
    storage.write_text(SUMMARY, "new")
    monkeypatch.setattr(builds, "Build", lambda: storage.read_text("absent"))
    assert found.refresh(complete=True)
    assert found.current() is first


def test_an_unusable_first_build_is_an_error(monkeypatch):
    monkeypatch.setattr(builds, "Build", lambda: storage.read_text("absent"))
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        builds.Builds().refresh(complete=True)
