"""Two clones of the repository log to one MLflow server."""

import shutil

import pytest
from mlflow_store import tracking_server
from tracking_cases import commit, everything, git, write_project

from rakuten.tracking import runs as tracking
from rakuten.tracking.mirror import KEY, SYNC_TIME_LIMIT, Mirror
from rakuten.tracking.publishing import CONTENT
from rakuten.tracking.results import Result
from rakuten.tracking.snapshots import Workspace
from rakuten.tracking.sync import sync


@pytest.fixture
def server(tmp_path_factory, empty_store):
    """A tracking server on a free port of this computer."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, folder / "server.db")
    with tracking_server(folder) as address:
        yield address


@pytest.fixture
def clones(project, tmp_path_factory):
    """A project and a clone of it in another folder, with the same result."""
    commit(project)
    other = tmp_path_factory.mktemp("other") / "clone"
    git(project, "clone", "-q", str(project), str(other))
    write_project(other)  # what is not in git: build/
    return project, other


@pytest.mark.slow(minutes=1)
def test_no_clone_changes_the_runs_of_another(server, clones, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setattr(tracking, "TRAINING_TIME_LIMIT", 600.0)  # no limit: other tests run beside
    monkeypatch.setattr(tracking, "PUBLISHING_TIME_LIMIT", 600.0)
    ours, theirs = clones

    def enter(folder):
        monkeypatch.setenv("DVC_ROOT", str(folder))
        monkeypatch.chdir(folder)
        return Mirror(SYNC_TIME_LIMIT)

    def train(folder):
        with tracking.live_run("text") as run:
            run.log_epoch(1, {"train_loss": 0.3})
        tracking.publish_workspace("text")

    mirror = enter(theirs)
    train(theirs)
    assert sync(mirror, theirs)["running"] == 0
    for run in mirror.all_runs():
        mirror.call("update_run", run.info.run_id, name=f"{run.info.run_name} of A")
        mirror.log(run.info.run_id, tags={"mlflow.note.content": "compared on Monday"})
    write_project(ours, dropout=0.3)
    (ours / "params.yaml").write_text("seed: 2\n")
    monkeypatch.chdir(ours)
    key = Result("text", Workspace(ours, "text")).key  # what the other clone is going to train
    for status in ("RUNNING", "FAILED", "KILLED", "SCHEDULED"):
        tags = {KEY: key, "source": "measured", "model": "text"}
        run_id = mirror.create(f"text {status}", tags, start=1.0)
        mirror.log(run_id, metrics={"epoch/train_loss": 9.0}, step=1)
        mirror.call("update_run", run_id, status)
    before = {run.info.run_id: everything(mirror, run.info.run_id) for run in mirror.all_runs()}
    assert len(before) >= 3 + 1 + 4

    mirror = enter(ours)
    train(ours)
    assert len(mirror.runs(key)) == 5  # ours is added to those of the other clone
    for history in (False, True):
        sync(mirror, ours, history=history)
    present = mirror.all_runs()
    assert {run.info.run_id for run in present if not mirror.owns(run)} == set(before)
    assert {run_id: everything(mirror, run_id) for run_id in before} == before
    added = [run for run in present if mirror.owns(run)]
    assert {run.info.status for run in added} == {"FINISHED"}
    # The result that both have is one run; the published figures are there once.
    contents = [run.data.tags[CONTENT] for run in present if CONTENT in run.data.tags]
    assert len(contents) == len(set(contents))
    assert sum(run.data.tags["source"] == "published" for run in present) == 3

    mirror = enter(theirs)
    own = {run.info.run_id: everything(mirror, run.info.run_id) for run in added}
    sync(mirror, theirs, history=True)
    assert {run_id: everything(mirror, run_id) for run_id in own} == own
