"""Messages of make where a command cannot work."""

import os
import shutil
import subprocess

import pytest
from repository import ROOT


def test_without_git_the_message_says_what_to_do(tmp_path):
    """As in a folder unpacked from a downloaded ZIP file."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = subprocess.run(
        ["make", "repair"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "not a git repository" in done.stdout
    assert "git init" in done.stdout


def test_a_refusal_of_git_is_shown_in_its_own_words(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    environment = os.environ | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    done = subprocess.run(
        ["make", "repair"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "safe.directory" in done.stdout
    assert "git init" not in done.stdout


def repro_with_failing_dvc(folder):
    """Run `make repro` where every command of DVC fails."""
    for name in ("dvc", "python"):
        program = folder / ".venv/bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text('#!/bin/sh\necho "ERROR: $0 $*" >&2\nexit 255\n')
        program.chmod(0o755)
    shutil.copy(ROOT / "Makefile", folder)
    return subprocess.run(
        ["make", "-o", "install", "-o", "repair", "repro"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("deleted", [True, False])
def test_a_failed_pull_says_how_missing_files_of_the_remote_are_restored(tmp_path, deleted):
    """A lock of DVC, for example, makes it fail as well: then DVC's own words are enough."""
    file = tmp_path / ".dvc/remote/files/md5/ab/cd"
    file.parent.mkdir(parents=True)
    file.touch()
    shutil.copy(ROOT / "data.dvc", tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", ".dvc"], cwd=tmp_path, check=True)
    if deleted:
        shutil.rmtree(tmp_path / ".dvc" / "remote")
    done = repro_with_failing_dvc(tmp_path)
    assert done.returncode != 0
    assert "pull --remote embedded data.dvc" in done.stderr
    assert ("git checkout .dvc/remote" in done.stdout) is deleted
    assert done.stderr.count("ERROR") == 1  # `dvc repro` is not run


def test_imported_data_without_its_files_and_without_a_remote_is_explained(tmp_path):
    (tmp_path / "data.dvc").write_text("outs:\n- md5: ab.dir\n  path: data\n")
    done = repro_with_failing_dvc(tmp_path)
    assert done.returncode != 0
    assert "dvc checkout data.dvc" in done.stderr
    assert "import it, or add a remote (docs/own_data.md)" in done.stdout


def test_a_folder_that_mlflow_cannot_be_used_from_is_refused_before_the_installation(tmp_path):
    """Alembic, which creates its tables, takes % in the path of the package for a reference."""
    folder = tmp_path / "rakuten 100%"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.txt").touch()
    done = subprocess.run(
        ["make", "install"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "with % in its path: rename" in done.stdout
    assert not (folder / ".venv").exists()


def repository(folder, *, lock, stages=""):
    """Commit dvc.yaml, dvc.lock and a stand-in for DVC; return a function that calls git."""
    for name, content in (
        (".venv/bin/dvc", "#!/bin/sh\n! grep -q '<<<<' dvc.lock\n"),  # DVC refuses the markers
        (".gitignore", ".venv\n"),
        ("dvc.lock", lock),
        ("dvc.yaml", stages),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / ".venv" / "bin" / "dvc").chmod(0o755)
    shutil.copy(ROOT / "Makefile", folder)

    def git(*words, check=True):
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
        subprocess.run(["git", *identity, *words], cwd=folder, check=check, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "start")
    return git


@pytest.mark.parametrize("branch", ["ours", "theirs"])
def test_a_lock_file_with_conflicts_is_that_of_the_checked_out_branch(tmp_path, branch):
    """The next `dvc repro` brings it up to date."""
    git = repository(tmp_path, lock="size: 0\n")
    for name in ("ours", "theirs"):
        git("switch", "-qC", name, "HEAD" if name == "ours" else "HEAD~")
        (tmp_path / "dvc.lock").write_text(f"size: {name}\n")
        git("commit", "-qam", name)
    git("switch", "-q", branch)
    git("merge", "theirs" if branch == "ours" else "ours", check=False)
    assert "<<<<" in (tmp_path / "dvc.lock").read_text()
    subprocess.run(["make", "repair"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "dvc.lock").read_text() == f"size: {branch}\n"


def locked(*stages):
    """The content of dvc.lock, a stage in seven lines, and of dvc.yaml."""
    lock = "".join(
        f"  {name}:\n    cmd: run {name}\n    deps:\n    - path: a\n      md5: 0\n"
        f"    outs:\n    - path: {name}\n"
        for name in stages
    )
    return "schema: '2.0'\nstages:\n" + lock, "".join(f"  {name}:\n" for name in stages)


def repaired(folder):
    subprocess.run(["make", "repair"], cwd=folder, check=True, capture_output=True)
    return (folder / "dvc.lock").read_text()


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 7, 8, 9, 10])
def test_a_lock_file_cut_at_the_end_of_a_line_is_restored(tmp_path, lines):
    lock, stages = locked("clean", "split")
    repository(tmp_path, lock=lock, stages=stages)
    (tmp_path / "dvc.lock").write_text("".join(lock.splitlines(keepends=True)[:lines]))
    assert repaired(tmp_path) == lock


def test_a_project_in_a_folder_of_a_repository_is_repaired(tmp_path):
    lock, stages = locked("clean", "split")
    git = repository(tmp_path / "project", lock=lock, stages=stages)
    shutil.move(tmp_path / "project/.git", tmp_path)
    git("add", "-A", ":/")
    git("commit", "-qm", "move")
    (tmp_path / "project/dvc.lock").write_text(locked("clean")[0])
    assert repaired(tmp_path / "project") == lock


def test_a_removed_lock_file_stays_removed(tmp_path):
    """DVC then runs every stage."""
    lock, stages = locked("clean", "split")
    repository(tmp_path, lock=lock, stages=stages)
    (tmp_path / "dvc.lock").unlink()
    done = subprocess.run(["make", "repair"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stderr == b""
    assert not (tmp_path / "dvc.lock").exists()


def test_new_and_removed_stages_are_no_damage(tmp_path):
    lock, stages = locked("clean", "split")
    repository(tmp_path, lock=lock, stages=stages)
    for names, declared in (
        (("clean", "split", "new"), ("clean", "split", "new")),
        (("clean", "split"), ("clean", "split", "new")),  # not run yet
        (("split",), ("split",)),
    ):
        lock, _ = locked(*names)
        (tmp_path / "dvc.lock").write_text(lock)
        (tmp_path / "dvc.yaml").write_text(locked(*declared)[1])
        assert repaired(tmp_path) == lock
