"""Messages of make where a command cannot work."""

import os
import shutil
import subprocess

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
