import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from challenge_files import (
    GIVEN,
    TITLES,
    X,
    assert_consistent,
    digest,
    is_old,
    make_old_repository,
    make_repository,
    names,
    track,
    write,
    x_of,
)
from dvc.repo import Repo
from filelock import FileLock

from rakuten import storage
from rakuten.data import importing, products
from rakuten.sample import import_command


@pytest.fixture
def root(tmp_path):
    """A repository that holds older data."""
    return make_old_repository(tmp_path / "repository")


@pytest.fixture
def load(root, tmp_path):
    """Import the given files from a folder."""

    def load(contents, **options):
        folder = write(tmp_path / "given", contents)
        return importing.import_data([folder], root, **{"track": track, **options})

    return load


def test_old_files_that_are_links_into_the_cache_are_not_overwritten(root, load, tmp_path):
    cached = []
    for path in sorted((root / "data").iterdir()):
        cached.append(tmp_path / f"cached-{path.name}")
        path.chmod(0o444)
        cached[-1].hardlink_to(path)
    load(GIVEN)
    assert [path.read_bytes() for path in cached] == [b"old", b"old"]
    assert {path.stat().st_nlink for path in cached} == {1}
    assert (root / "data" / "X_train.csv").read_bytes() == GIVEN[X]


def fail_to_track(root):
    track(root)
    raise importing.DataError("no space left")


def be_interrupted(root):
    track(root)
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("tracker", "error"),
    [(fail_to_track, importing.DataError), (be_interrupted, KeyboardInterrupt)],
)
def test_a_failure_after_the_replacement_restores_everything(root, load, tracker, error):
    with pytest.raises(error):
        load(GIVEN, track=tracker)
    assert is_old(root)
    assert_consistent(root)


def test_a_failed_first_import_leaves_no_data(tmp_path):
    root = make_repository(tmp_path / "repository")
    folder = write(tmp_path / "given", GIVEN)
    with pytest.raises(importing.DataError, match="no space left"):
        importing.import_data([folder], root, track=fail_to_track)
    assert names(root) == [".dvc"]
    importing.import_data([folder], root, track=track)
    assert_consistent(root)


@pytest.mark.parametrize("which", [1, 2])
def test_a_failed_rename_restores_everything(root, load, monkeypatch, which):
    rename, calls = Path.rename, []

    def fail(self, target):
        calls.append(target)
        if len(calls) == which:
            raise OSError("disk on fire")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="disk on fire"):
        load(GIVEN)
    assert is_old(root)
    assert_consistent(root)


KILL = """
import os, signal, sys, zipfile
from pathlib import Path
from rakuten import storage
from rakuten.data import importing

def kill_at(owner, name, is_now):
    real = getattr(owner, name)
    def call(*arguments, **options):
        if is_now(*arguments):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    setattr(owner, name, call)

def track(root):
    storage.write_json(root / "data.dvc", {"half": "written"})
    if point in ("tracked", "put back"):
        kill_at(Path, "rename", lambda path, target: path.name == "old")
        raise KeyboardInterrupt if point == "put back" else os.kill(os.getpid(), signal.SIGKILL)

point, given, root = sys.argv[1:]
moments = {
    "written": (zipfile.ZipFile, "writestr", lambda _, info, content: "_105_" in info.filename),
    "set aside": (Path, "rename", lambda path, target: path.name == "data"),
    "put in place": (Path, "rename", lambda path, target: path.name == "new"),
    "committed": (Path, "unlink", lambda path, *_: path.name == "begun"),
}
if point in moments:
    kill_at(*moments[point])
importing.import_data([given], root, track=track)
"""


@pytest.mark.parametrize(
    ("point", "held"),
    [
        ("written", b"old"),
        ("set aside", b"old"),
        ("put in place", None),
        ("tracked", GIVEN[X]),
        ("committed", GIVEN[X]),
        ("put back", None),
    ],
)
def test_a_kill_is_undone_by_the_next_import(root, tmp_path, point, held):
    """Killed before data/ is ..., an import leaves complete data or none; the next restores it."""
    folder = write(tmp_path / "given", GIVEN)
    command = [sys.executable, "-c", KILL, point, folder, root]
    killed = subprocess.run(command, cwd=Path(importing.__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    table = root / "data" / "X_train.csv"
    assert (table.read_bytes() if table.exists() else None) == held
    with pytest.raises(products.InvalidProductsError):
        importing.import_data([tmp_path / "nothing"], root, track=track)
    assert is_old(root)
    assert_consistent(root)
    importing.import_data([folder], root, track=track)
    assert not is_old(root)
    assert_consistent(root)


def test_a_killed_import_is_not_undone_while_its_dvc_still_runs(root, tmp_path):
    folder = write(tmp_path / "given", GIVEN)
    command = [sys.executable, "-c", KILL, "put in place", folder, root]
    subprocess.run(command, cwd=Path(importing.__file__).parents[2], check=False)
    with FileLock(root / ".dvc/tmp/lock"), pytest.raises(importing.DataError, match="DVC is at"):
        importing.import_data([folder], root, track=track)
    assert not (root / "data").exists()
    importing.import_data([folder], root, track=track)
    assert_consistent(root)


def test_two_imports_at_once_are_refused(root, load, tmp_path):
    def import_meanwhile(root):
        with pytest.raises(importing.DataError, match="another import runs"):
            importing.import_data([tmp_path / "given"], root, track=track)
        track(root)

    load(GIVEN, track=import_meanwhile)
    assert_consistent(root)
    assert not is_old(root)


def test_other_files_in_data_are_not_deleted(root, load):
    write(root, {"data/notes.txt": b"mine"})
    with pytest.raises(
        importing.DataError, match=r"data/ holds notes\.txt, .* move other files elsewhere"
    ):
        load(GIVEN)
    assert (root / "data" / "notes.txt").read_bytes() == b"mine"


def test_a_linked_data_folder_is_refused(root, load, tmp_path):
    (root / "data").rename(tmp_path / "disk")
    (root / "data").symlink_to(tmp_path / "disk")
    with pytest.raises(importing.DataError, match="data/ is a link"):
        load(GIVEN)


def test_nothing_is_done_outside_a_dvc_repository(tmp_path):
    with pytest.raises(
        importing.DataError, match=r"is not the root of a DVC repository: .*'dvc init'"
    ):
        importing.import_data([tmp_path], tmp_path)
    assert names(tmp_path) == []


def test_a_full_disk_is_reported_before_anything_is_written(root, load, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=9))
    with pytest.raises(
        importing.DataError, match=r"the images need .* 0\.0 GB are free on the disk of data/"
    ):
        load(GIVEN)
    assert is_old(root)
    assert_consistent(root)


@pytest.mark.slow
def test_a_failing_dvc_leaves_everything_as_it_was(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(root)
    (root / ".dvc" / "config").write_text("[cache]\n    type = nonsense\n")
    assert import_command.main([str(write(tmp_path / "given", GIVEN))]) == 1
    assert "'dvc add data' failed: " in capsys.readouterr().err
    assert is_old(root)
    assert storage.read_json(root / "data.dvc") == digest(root / "data")


def test_without_git_the_import_says_what_to_do(tmp_path, monkeypatch, capsys):
    root = write(tmp_path / "repository", {".dvc/config": b""})
    monkeypatch.chdir(root)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert import_command.main([str(write(tmp_path / "given", GIVEN))]) == 1
    assert "is not a git repository; run 'git init' first" in capsys.readouterr().err
    assert not (root / "data").exists()


@pytest.mark.slow
def test_while_dvc_is_at_work_the_import_says_so(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(root)
    with Repo(str(root)).lock:
        assert import_command.main([str(write(tmp_path / "given", GIVEN))]) == 1
    assert "'dvc add data' failed: Unable to acquire lock" in capsys.readouterr().err
    assert is_old(root)


@pytest.mark.slow
def test_import_over_linked_data_keeps_the_cache_whole(tmp_path, monkeypatch):
    """Twice with the real DVC and hard links: the older version can still be checked out."""

    def dvc(*words):
        subprocess.run([sys.executable, "-m", "dvc", *words], check=True, capture_output=True)

    root = make_repository(tmp_path / "repository")
    (root / ".dvc" / "config").write_text(
        "[core]\nno_scm = true\n[cache]\ntype = 'hardlink,copy'\n"
    )
    monkeypatch.chdir(root)
    folder = write(tmp_path / "given", GIVEN)
    assert import_command.main([str(folder)]) == 0
    assert (root / "data" / "images.zip").stat().st_nlink == 2
    first, pointer = digest(root / "data"), (root / "data.dvc").read_bytes()
    write(folder, {X: x_of(TITLES[::-1])})
    (root / "data.dvc").write_bytes(pointer + b"  remote: embedded\n  push: false\n")
    assert import_command.main([str(folder)]) == 0
    assert digest(root / "data") != first
    imported = storage.read_yaml(root / "data.dvc")["outs"][0]
    assert not {"remote", "push"} & set(imported), "the sample's remote would be kept"
    (root / "data.dvc").write_bytes(pointer)
    dvc("checkout", "data.dvc")
    assert digest(root / "data") == first
