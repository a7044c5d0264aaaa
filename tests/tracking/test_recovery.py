"""DVC's own files after a kill that cut them off."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from tracking_cases import git

from rakuten import storage
from rakuten.tracking import recovery

LOCK = (ROOT / "dvc.lock").read_text()
OLDER = LOCK.replace("md5: ", "md5: 0")
BUFFER = 8192  # what Python writes at a time: a kill cuts at its multiples, or at nothing
CUTS = sorted({*range(0, len(LOCK), BUFFER), *range(0, len(LOCK), 2999)})
TINY = """stages:
  first:
    cmd: echo one > one
    outs: [one]
  second:
    cmd: cat one one > two
    deps: [one]
    outs: [two]
"""


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_off_lock_is_completed_from_the_last_commit(cut):
    assert recovery.complete(LOCK[:cut], LOCK) == LOCK


@pytest.fixture(scope="module")
def parsed():
    """The stages of `LOCK` and of `OLDER`."""
    return [storage.parse_yaml(text)["stages"] for text in (LOCK, OLDER)]


@pytest.mark.parametrize("cut", CUTS)
def test_what_was_recorded_before_the_cut_is_kept(cut, parsed):
    stages = storage.parse_yaml(recovery.complete(LOCK[:cut], OLDER))["stages"]
    new, older = parsed
    names = list(new)
    assert list(stages) == names
    for position, name in enumerate(names):
        end = LOCK.find(f"\n  {names[position + 1]}:") + 1 if name != names[-1] else len(LOCK)
        next_has_begun = cut >= end + len("  x")
        assert stages[name] == (new if next_has_begun else older)[name], name


@pytest.mark.parametrize("cut", CUTS)
def test_without_a_commit_the_whole_stages_stay(cut):
    completed = recovery.complete(LOCK[:cut], "")
    assert LOCK.startswith(completed)
    assert completed == "" or recovery.whole(completed)


def test_a_merge_conflict_is_not_mended():
    conflict = LOCK.replace("  split:\n", "<<<<<<< HEAD\n  split:\n")
    with pytest.raises(recovery.RecoveryError, match=r"git checkout HEAD -- dvc\.lock"):
        recovery.complete(conflict, LOCK)


def test_damage_before_the_end_is_not_mended():
    with pytest.raises(recovery.RecoveryError, match="not as by a kill"):
        recovery.complete(LOCK.replace("    cmd:", "    cmt:", 1), LOCK)


def dvc(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A repository of two stages, built and committed."""
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "-q")
    assert dvc("init", "-q").returncode == 0
    Path("dvc.yaml").write_text(TINY)
    assert dvc("repro", "-q").returncode == 0
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "built")
    return tmp_path


def test_dvc_goes_on_after_the_repair(built, caplog):
    lock, in_use = Path("dvc.lock"), Path(".dvc/tmp/rwlock")
    whole = lock.read_text()
    lock.write_text(whole[: whole.index("    deps:") + 15])
    in_use.write_text('{"write": {"one"')
    assert "validation failed" in dvc("repro").stderr
    assert recovery.main([]) == 0
    assert "dvc.lock was cut off while DVC wrote it: 2 stages are recorded again" in caplog.text
    assert f"{in_use} was cut off and is removed" in caplog.text
    assert lock.read_text() == whole
    assert "up to date" in dvc("repro").stdout


def test_a_lock_cut_to_nothing_without_a_commit_is_made_anew(built):
    lock = Path("dvc.lock")
    whole = lock.read_text()
    git(built, "rm", "-q", "--cached", "dvc.lock")
    git(built, "commit", "-qm", "no lock")
    lock.write_text("")
    assert recovery.main([]) == 0
    assert not lock.exists()
    assert dvc("repro").returncode == 0
    assert lock.read_text() == whole


def test_whole_files_are_not_touched(built, caplog):
    before = Path("dvc.lock").stat().st_mtime_ns
    assert recovery.main([]) == 0
    assert Path("dvc.lock").stat().st_mtime_ns == before
    assert not caplog.records


def test_while_dvc_is_at_work_nothing_is_mended(built, capsys):
    lock = Path("dvc.lock")
    lock.write_text("schema")
    with recovery.make_lock(".dvc/tmp/lock"):
        assert recovery.main([]) == 1
    assert "run this again when it is done" in capsys.readouterr().err
    assert lock.read_text() == "schema"
