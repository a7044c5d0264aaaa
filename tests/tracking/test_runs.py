"""Runs of trainings in progress, and of the workspace after an evaluation."""

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest
from mlflow import MlflowClient
from repository import ROOT
from tracking_cases import add_baselines, add_ensembles, commit, everything, shown, write_project

from rakuten import storage
from rakuten.tracking import mirror as mirrors
from rakuten.tracking import runs as tracking
from rakuten.tracking.git import head
from rakuten.tracking.mirror import CLONE, KEY, SYNC_TIME_LIMIT, Mirror, store_errors
from rakuten.tracking.publishing import CONTENT, Publisher
from rakuten.tracking.results import Result
from rakuten.tracking.snapshots import Workspace
from rakuten.tracking.sync import sync


def key_of_training(project):
    return Result("text", Workspace(project, "text")).key


def train():
    with tracking.live_run("text") as run:
        run.log_epoch(1, {"train_loss": 0.3})


def all_runs(mirror):
    return {run.info.run_id: run for run in mirror.all_runs()}


def measured(mirror):
    return [run for run in mirror.all_runs() if run.data.tags.get("source") == "measured"]


def create_in_another_clone(mirror, name, tags, status="RUNNING"):
    run_id = mirror.create(name, tags)
    mirror.log(run_id, tags={CLONE: "other"})
    mirror.call("update_run", run_id, status)
    return run_id


def test_a_live_run_gets_its_evaluation_and_stays_one_run(project, mirror):
    with tracking.live_run("text") as run:
        run.log_epoch(1, {"train_loss": 0.3})
        (live,) = mirror.all_runs()
        assert live.info.status == "RUNNING"
        assert live.data.metrics == {"epoch/train_loss": 0.3}
        assert live.data.tags["data"] == "tiny"
    assert live.data.params == {"seed": "1"}
    for _ in range(2):
        tracking.publish_workspace("text")
        (complete,) = measured(mirror)
        assert complete.info.run_id == live.info.run_id
        assert complete.info.status == "FINISHED"
        assert complete.data.metrics["test/accuracy"] == 0.8
        assert complete.data.tags[KEY] == key_of_training(project)
    # The epoch that the live run lacks was added, the other was not logged twice.
    losses = mirror.call("get_metric_history", live.info.run_id, "epoch/train_loss")
    assert sorted((one.step, one.value) for one in losses) == [(1, 0.3), (2, 1 / 3)]


def test_a_result_with_a_finished_run_is_not_logged_again(project, mirror):
    train()
    train()
    assert len(mirror.runs(key_of_training(project))) == 1


def test_a_result_that_another_clone_has_finished_is_not_logged_again(project, mirror):
    tags = {KEY: key_of_training(project)}
    theirs = create_in_another_clone(mirror, "text", tags, "FINISHED")
    before = everything(mirror, theirs)
    train()
    assert set(all_runs(mirror)) == {theirs}
    assert everything(mirror, theirs) == before


@pytest.mark.parametrize("status", ["RUNNING", "FAILED", "KILLED"])
def test_an_unfinished_run_is_continued(project, mirror, status):
    killed = mirror.create("text", {KEY: key_of_training(project)})
    mirror.log(killed, metrics={"epoch/train_loss": 9.0}, step=1)
    mirror.call("update_run", killed, status)
    train()
    (run,) = mirror.runs(key_of_training(project))
    assert run.info.run_id == killed
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"epoch/train_loss": 0.3})


@pytest.mark.parametrize("status", ["RUNNING", "FAILED", "KILLED"])
def test_an_unfinished_run_of_another_clone_stays_as_it_is(project, mirror, status):
    tags = {KEY: key_of_training(project), "source": "measured", "model": "text"}
    theirs = create_in_another_clone(mirror, "text", tags, status)
    before = everything(mirror, theirs)
    train()
    tracking.publish_workspace("text")
    assert len(measured(mirror)) == 2
    assert everything(mirror, theirs) == before


def test_a_result_that_is_being_trained_is_left_to_that_process(project, mirror):
    with tracking.live_run("text") as run:
        run.log_epoch(1, {"train_loss": 0.3})
        train()  # another process would find the same lock
        tracking.publish_workspace("text")
        (live,) = measured(mirror)
        assert live.info.status == "RUNNING"
        assert CONTENT not in live.data.tags
    (live,) = measured(mirror)
    assert live.info.status == "FINISHED"


def retrain_with_a_changed_comment(project, mirror):
    """Train twice with other code and the same result; return the first run and the new one."""
    train()
    tracking.publish_workspace("text")
    (first,) = measured(mirror)
    storage.write_text(project / "params.yaml", "seed: 1  # a comment\n")
    train()
    (second,) = [run for run in measured(mirror) if run.info.run_id != first.info.run_id]
    return first.info.run_id, second.info.run_id


def test_a_training_with_an_equal_result_leaves_one_run(project, mirror):
    first, _ = retrain_with_a_changed_comment(project, mirror)
    before = everything(mirror, first)
    tracking.publish_workspace("text")
    (kept,) = measured(mirror)
    assert kept.info.run_id == first
    assert kept.data.tags[KEY] == key_of_training(project) != before[1]["tags"][KEY]
    train()
    assert len(measured(mirror)) == 1


@pytest.mark.parametrize(
    "tag", [{"mlflow.note.content": "look at this"}, {"mlflow.runName": "mine"}, {"team": "blue"}]
)
def test_an_edited_run_with_an_equal_result_is_not_deleted(project, mirror, tag):
    first, second = retrain_with_a_changed_comment(project, mirror)
    mirror.log(second, tags=tag)
    before = everything(mirror, second)
    tracking.publish_workspace("text")
    assert {run.info.run_id for run in measured(mirror)} == {first, second}
    assert everything(mirror, second) == before


def test_a_training_that_fails_leaves_a_failed_run_and_its_error(project, mirror):
    with pytest.raises(ZeroDivisionError), tracking.live_run("text"):
        _ = 1 / 0
    (run,) = mirror.runs(key_of_training(project))
    assert run.info.status == "FAILED"


def test_the_names_of_experiments_are_in_their_runs(project, mirror, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "quick-hare")
    train()
    (run,) = mirror.runs(key_of_training(project))
    assert run.info.run_name == "Text net quick-hare"
    assert run.data.tags["dvc.experiment"] == "quick-hare"


def test_an_evaluation_publishes_models_without_a_live_run(project, mirror):
    add_baselines(project)
    add_ensembles(project)
    tracking.publish_workspace("")
    assert [name for name, *_ in shown(mirror)] == [
        "Late fusion", "Linear SVM on text", "Logistic regression on text", "Naive Bayes on text",
        "Text ensemble", "Text net",
    ]  # fmt: skip
    assert sync(mirror, project) == {"kept": 9, "completed": 0, "created": 0, "running": 0}


def test_an_experiment_in_a_copy_keeps_the_charts_of_other_models(
    project, mirror, tmp_path_factory, monkeypatch
):
    """Its comparison is of its own text net, while the best fusion is the workspace's."""
    add_ensembles(project)
    tracking.publish_workspace("")
    before = shown(mirror)
    copy = tmp_path_factory.mktemp("exps") / "copy"
    names = ("build", "reports", "dvc.lock", "dvc.yaml", "params.yaml", "data.dvc")
    copy.mkdir()
    for name in names:
        take = shutil.copytree if (project / name).is_dir() else shutil.copy
        take(project / name, copy / name)
    write_project(copy, dropout=0.2)
    add_ensembles(copy, comparison=b"PNG with another text net")
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_EXP_NAME", "brave")
    tracking.publish_workspace("")
    after = shown(mirror)
    assert [run for run in after if run in before] == before
    (added,) = [run for run in after if run not in before]
    assert added[0] == "Text net brave"
    monkeypatch.chdir(project)
    monkeypatch.delenv("DVC_EXP_NAME")
    assert sync(mirror, project)["created"] == 0


def test_a_relative_address_means_the_project_also_in_a_copy(
    project, empty_store, tmp_path_factory, monkeypatch
):
    """DVC runs queued and temporary experiments in a copy that it deletes."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs.db")
    shutil.copy(empty_store, project / "runs.db")
    copy = tmp_path_factory.mktemp("exps") / "copy"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("*.db", "mlartifacts", ".dvc"))
    monkeypatch.chdir(copy)
    tracking.publish_workspace("")
    assert not list(copy.glob("*.db"))
    client = MlflowClient(f"sqlite:///{project / 'runs.db'}")
    experiment = client.get_experiment_by_name(mirrors.EXPERIMENT)
    (run,) = client.search_runs([experiment.experiment_id], "tags.source = 'measured'")
    assert run.data.tags["dvc.stage"] == "text"
    assert (project / "mlartifacts" / run.info.run_id / "artifacts/charts").is_dir()


def test_a_result_of_the_baseline_is_not_named_after_the_experiment(project, mirror, monkeypatch):
    commit(project)
    monkeypatch.setenv("DVC_EXP_NAME", "brave")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", head(project))
    tracking.publish_workspace("")
    write_project(project, dropout=0.3)
    tracking.publish_workspace("")
    tags = {name: tags["dvc.experiment"] for name, _, _, tags, *_ in shown(mirror)}
    assert tags == {"Text net": "", "Text net brave": "brave"}


def test_the_newest_training_has_the_plain_name(project, mirror):
    commit(project)
    tracking.publish_workspace("")
    write_project(project, dropout=0.3)
    tracking.publish_workspace("")
    params = {name: params["text.dropout"] for name, _, params, *_ in shown(mirror)}
    assert params == {"Text net": "0.3", f"Text net @{head(project)[:7]}": "0.5"}


def test_a_new_experiment_describes_itself_and_keeps_edits(project, mirror):
    def tags():
        return mirror.call("get_experiment", mirror.experiment_id).tags

    assert "source=published" in tags()["mlflow.note.content"]
    assert tags()["mlflow.experimentKind"] == "custom_model_development"
    mirror.call("set_experiment_tag", mirror.experiment_id, "mlflow.note.content", "ours")
    Mirror(SYNC_TIME_LIMIT)
    assert tags()["mlflow.note.content"] == "ours"


def test_a_store_of_a_moved_repository_is_rebuilt_from_the_history(
    project, mirror, tmp_path_factory, monkeypatch, caplog
):
    moved = tmp_path_factory.mktemp("moved") / "project"
    shutil.copytree(project, moved)
    monkeypatch.setenv("DVC_ROOT", str(moved))
    Mirror(SYNC_TIME_LIMIT)
    (warning,) = [one for one in caplog.messages if "the repository was moved" in one]
    assert "then run 'python -m rakuten sync --history'" in warning


def test_a_locked_database_does_not_delay_a_training(project, mirror, monkeypatch, caplog):
    monkeypatch.setattr(mirrors, "LOCK_TIMEOUT", 0.5)
    with mirror.exclusive():
        train()  # ends while the lock is held
    assert "cannot be used" in caplog.text
    assert not shown(mirror)


def train_against(address, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.delenv(name, raising=False)
    with tracking.live_run("text") as run:
        for epoch in range(1, 20):
            run.log_epoch(epoch, {"train_loss": 0.1})
    warnings = [record for record in caplog.records if record.name == "rakuten.tracking.runs"]
    assert len(warnings) == 1
    assert "python -m rakuten sync" in warnings[0].getMessage()


def test_an_unreachable_server_gives_one_warning(project, monkeypatch, caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    train_against(f"http://127.0.0.1:{port}", monkeypatch, caplog)


@pytest.mark.slow
def test_an_unresponsive_server_is_asked_once(project, monkeypatch, caplog):
    """Not again for each of the 19 epochs: a request waits for seconds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        train_against(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch, caplog)
        silent.settimeout(0)
        asked = 0
        with contextlib.suppress(BlockingIOError):
            while silent.accept():
                asked += 1
    assert asked == 1


@pytest.mark.parametrize(
    "address",
    ["http://me:g3heim@127.0.0.1:9", "postgresql://me:g3heim@127.0.0.1:9/mlflow"],
    ids=["server", "database"],
)
def test_a_warning_shows_no_password(project, monkeypatch, caplog, address):
    """There is no driver for the database, which must not stop a training either."""
    train_against(address, monkeypatch, caplog)
    assert "me:***@127.0.0.1:9" in caplog.text
    assert "g3heim" not in caplog.text


def test_a_slow_server_is_not_used_any_more(project, monkeypatch, mirror, caplog):
    """Each request succeeds, but together they would delay the training."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mirror.address)  # as a server, it has a time limit
    requests = []
    monkeypatch.setattr(
        MlflowClient, "log_batch", lambda *a, **k: (requests.append(a), time.sleep(0.3))
    )
    slow = Mirror(time_limit=0.8)
    run = tracking.LiveRun(slow, mirror.create("slow", {}))
    for epoch in range(50):
        run.log_epoch(epoch, {"train_loss": 0.1})
    assert len(requests) <= 3
    assert "its requests took" in caplog.text


def test_two_threads_create_one_schema(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    failures = []

    def make():
        try:
            Publisher(Mirror(SYNC_TIME_LIMIT))
        except store_errors() as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    mirror = Mirror(SYNC_TIME_LIMIT)
    assert len(mirror.call("search_experiments", filter_string="name LIKE 'rakuten%'")) == 1


def test_stages_start_without_mlflow():
    """It takes seconds to import, and most stages never log."""
    code = (
        "import rakuten.tracking.runs, sys; assert not {'mlflow', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
