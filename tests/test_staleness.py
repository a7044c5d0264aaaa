"""What DVC itself calls stale after an edit, asked in a fresh clone of the committed state."""

import pytest
import yaml
from conftest import ROOT, clone
from dvc.repo import Repo
from test_pipeline import PARAMS, STAGES, reached, read_params_calls

FILES = [
    str(path.relative_to(ROOT))
    for folder in ("rakuten", "stages")
    for path in sorted((ROOT / folder).glob("*.py"))
    if (folder, path.stem) != ("stages", "__init__")
]


def leaves(values, prefix=()):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*prefix, name))
        else:
            yield (*prefix, name)


def edited(text, leaf):
    """Change one leaf of params.yaml and nothing else."""
    params = yaml.safe_load(text)
    section = params
    for name in leaf[:-1]:
        section = section[name]
    section[leaf[-1]] = "changed" if isinstance(section[leaf[-1]], str | list) else 987
    return yaml.safe_dump(params)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return clone(tmp_path_factory.mktemp("stale") / "rakuten")


def changed(repository):
    """The files and parameters that DVC finds changed since the last build, by stage."""
    with Repo(str(repository)) as repo:
        status = repo.status()
    return {
        stage.rpartition(":")[2]: {
            path
            for change in changes
            if isinstance(change, dict)
            for path in change.get("changed deps", {})
            if not path.startswith(("build/", "data/"))
        }
        for stage, changes in status.items()
    }


def stale(repository, path):
    """The stages that DVC calls stale because of this file."""
    return {stage for stage, paths in changed(repository).items() if path in paths}


def test_the_committed_lock_is_of_the_committed_code_and_parameters(repository):
    assert not any(changed(repository).values()), "edited after the last dvc repro"


def users(path):
    """The stages whose script reaches this module through imports."""
    return {stage for stage in STAGES if path.stem in reached(ROOT / "stages" / f"{stage}.py")}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_editing_a_file_makes_exactly_its_users_stale(repository, name):
    file = repository / name
    before = file.read_bytes()
    file.write_bytes(before + b"\n# edited\n")
    try:
        expected = users(ROOT / name) if name.startswith("rakuten/") else {file.stem}
        assert stale(repository, name) == expected
    finally:
        file.write_bytes(before)


@pytest.mark.slow
@pytest.mark.parametrize("leaf", list(leaves(PARAMS)), ids=".".join)
def test_editing_a_parameter_makes_exactly_its_readers_stale(repository, leaf):
    file = repository / "params.yaml"
    before = file.read_text()
    file.write_text(edited(before, leaf))
    try:
        names = {".".join(leaf[:length]) for length in range(1, len(leaf) + 1)}
        readers = {
            stage for stage in STAGES if names & read_params_calls(ROOT / "stages" / f"{stage}.py")
        }
        assert readers
        assert stale(repository, "params.yaml") == readers
    finally:
        file.write_text(before)
