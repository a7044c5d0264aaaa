"""Reading a package while DVC rebuilds it, with the lock file that DVC writes."""

import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from rakuten import storage
from rakuten.serving import rebuilds


@pytest.fixture
def folder(tmp_path):
    """A complete package in a DVC repository."""
    folder = tmp_path / "build/package"
    storage.write_text(folder / "package.json", "old")
    storage.write_text(folder / "text/terms.json", "old")
    return folder


def lock(folder, pid, output=None):
    """Register a process as the writer of an output, as DVC does."""
    entry = {str(output or folder): {"pid": pid, "cmd": "dvc repro"}}
    storage.write_json(folder.parents[1] / ".dvc/tmp/rwlock", {"read": {}, "write": entry})


def unlock(folder):
    storage.write_json(folder.parents[1] / ".dvc/tmp/rwlock", {"read": {}})


def contents(folder):
    return [storage.read_text(folder / name) for name in ("package.json", "text/terms.json")]


@pytest.fixture
def ended_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_writer_is_the_running_process_that_dvc_names(folder, ended_process):
    assert rebuilds.writer(folder) is None
    lock(folder, os.getpid())
    assert rebuilds.writer(folder) == os.getpid()
    lock(folder, os.getpid(), output=folder.parent / "text")
    assert rebuilds.writer(folder) is None
    lock(folder, ended_process)
    assert rebuilds.writer(folder) is None
    storage.write_text(folder.parents[1] / ".dvc/tmp/rwlock", '{"wri')  # truncated by a kill
    assert rebuilds.writer(folder) is None


def test_without_a_path_any_output_counts(folder, monkeypatch):
    monkeypatch.chdir(folder.parents[1])
    assert rebuilds.writer() is None
    lock(folder, os.getpid(), output=folder.parent / "text")
    assert rebuilds.writer() == os.getpid()


def test_a_package_that_dvc_rebuilds_is_waited_for(folder, caplog):
    lock(folder, os.getpid())
    for name in ("package.json", "text/terms.json"):
        (folder / name).unlink()

    def rebuild():
        time.sleep(0.3)
        storage.write_text(folder / "package.json", "new")
        time.sleep(0.3)
        storage.write_text(folder / "text/terms.json", "new")
        unlock(folder)

    worker = threading.Thread(target=rebuild)
    worker.start()
    assert rebuilds.read(folder, lambda: contents(folder)) == ["new", "new"]
    worker.join()
    (message,) = caplog.messages
    assert "build/package is being rebuilt by DVC" in message


def test_waiting_has_a_limit(folder):
    lock(folder, os.getpid())
    with pytest.raises(TimeoutError, match=rf"still being rebuilt by DVC \(process {os.getpid()}"):
        rebuilds.read(folder, lambda: contents(folder), time_limit=0.3)


def test_a_missing_package_is_an_error_when_nobody_rebuilds_it(folder):
    (folder / "package.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"package\.json"):
        rebuilds.read(folder, lambda: contents(folder))


def test_files_of_two_builds_are_never_mixed(folder):
    """The files are replaced between the two reads, as `dvc checkout` does."""
    attempts = []

    def load():
        first = storage.read_text(folder / "package.json")
        if not attempts:
            for name in ("package.json", "text/terms.json"):
                storage.write_text(folder / name, "new")
        attempts.append(first)
        return [first, storage.read_text(folder / "text/terms.json")]

    assert rebuilds.read(folder, load) == ["new", "new"]
    assert attempts == ["old", "new"]


def test_a_file_deleted_while_it_is_loaded_is_loaded_again(folder):
    attempts = []

    def load():
        attempts.append(0)
        if len(attempts) == 1:
            (folder / "text/terms.json").unlink()
            lock(folder, os.getpid())
            threading.Timer(0.2, restore).start()
        return contents(folder)

    def restore():
        storage.write_text(folder / "text/terms.json", "new")
        unlock(folder)

    assert rebuilds.read(folder, load) == ["old", "new"]
    assert len(attempts) == 2


def pins(folder):
    return list((folder.parents[1] / ".dvc/tmp/packages").glob("*"))


def test_pinned_files_stay_when_the_package_is_replaced(folder):
    unlock(folder)
    pin = rebuilds.Pin(folder)
    assert pins(folder) == [pin.folder]
    assert (pin.folder / "package.json").stat().st_nlink == 2, "expected a link, not a copy"
    shutil.rmtree(folder)
    assert contents(pin.folder) == ["old", "old"]
    del pin
    assert pins(folder) == []


def test_files_pinned_by_a_killed_process_are_removed(folder, ended_process):
    unlock(folder)
    storage.write_text(folder.parents[1] / f".dvc/tmp/packages/{ended_process}-x/a", "left")
    pin = rebuilds.Pin(folder)
    assert pins(folder) == [pin.folder]


def test_outside_a_dvc_repository_and_without_links_the_files_are_read_themselves(
    folder, monkeypatch
):
    assert rebuilds.Pin(folder).folder == folder
    unlock(folder)
    monkeypatch.setattr(rebuilds.os, "link", lambda *_, **__: storage.read_text("absent"))
    assert rebuilds.Pin(folder).folder == folder
