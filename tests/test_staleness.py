"""What DVC reports as changed after an edit, in a fresh clone of the committed state."""

import pytest
import yaml
from dvc.repo import Repo
from pipeline_code import COMMAND_SECTIONS, PARAMS, STAGES, code_of, read_params_calls
from repository import ROOT, clone, run

FILES = [
    str(path.relative_to(ROOT))
    for folder in ("rakuten", "stages")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.stem not in ("__init__", "__main__")
]


def leaves(values, prefix=()):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*prefix, name))
        else:
            yield (*prefix, name)


def edited(values):
    """Change every leaf of params.yaml."""
    if isinstance(values, dict):
        return {name: edited(value) for name, value in values.items()}
    return "changed" if isinstance(values, str | list) else 987


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return clone(tmp_path_factory.mktemp("stale") / "rakuten")


def changed(repository):
    """The files and parameters that DVC finds changed since the last build, by stage."""
    with Repo(str(repository)) as repo:
        status = repo.status()
    return {
        stage.rpartition(":")[2]: {
            path: change["changed deps"][path]
            for change in changes
            if isinstance(change, dict)
            for path in change.get("changed deps", {})
            if path.split("/")[0] not in ("build", "data")  # a clone has neither yet
        }
        for stage, changes in status.items()
    }


def test_the_committed_lock_is_of_the_committed_code_and_parameters(repository):
    assert not any(changed(repository).values()), "edited after the last dvc repro"


def test_git_on_windows_leaves_the_bytes_that_dvc_compares(tmp_path):
    convert = ("-c", "core.autocrlf=true", "-c", "core.eol=crlf")
    run(["git", "clone", "-q", *convert, str(ROOT), str(tmp_path / "windows")], tmp_path)
    for path in (*FILES, "params.yaml", "dvc.yaml", "dvc.lock"):
        assert b"\r\n" not in (tmp_path / "windows" / path).read_bytes(), path


@pytest.fixture(scope="module")
def edited_repository(tmp_path_factory):
    """A clone in which every file of code and every parameter differs from the last build."""
    folder = clone(tmp_path_factory.mktemp("edited") / "rakuten")
    for name in FILES:
        with (folder / name).open("a") as file:
            file.write("\n# edited\n")
    (folder / "params.yaml").write_text(yaml.safe_dump(edited(PARAMS)))
    return changed(folder)


def test_editing_a_file_makes_exactly_its_users_stale(edited_repository):
    used = {stage: code_of(stage) for stage in STAGES}
    for name in FILES:
        stale = {stage for stage, found in edited_repository.items() if name in found}
        assert stale == {stage for stage in STAGES if name in used[stage]}, name


def test_editing_a_parameter_makes_exactly_its_readers_stale(edited_repository):
    watched = {
        stage: set(found.get("params.yaml", {})) for stage, found in edited_repository.items()
    }
    for leaf in leaves(PARAMS):
        names = {".".join(leaf[:length]) for length in range(1, len(leaf) + 1)}
        readers = {stage for stage in STAGES if names & read_params_calls(stage)}
        assert bool(readers) == (leaf[0] not in COMMAND_SECTIONS), leaf
        assert {stage for stage, found in watched.items() if names & found} == readers, leaf
