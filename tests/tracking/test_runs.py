import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest
from mlflow import MlflowClient
from repository import ROOT
from tracking_cases import add_ensembles, commit, copy_without_store, git, shown, write_project

from rakuten import storage
from rakuten.tracking import mirror as mirrors
from rakuten.tracking import results
from rakuten.tracking import runs as tracking
from rakuten.tracking.command import main
from rakuten.tracking.mirror import KEY, SYNC_TIME_LIMIT, Mirror, store_errors
from rakuten.tracking.results import Snapshot


def test_sync_logs_each_result_once_and_completely(project, mirror):
    commit(project)
    assert tracking.sync(mirror, project) == {"kept": 0, "completed": 0, "rebuilt": 1}
    assert tracking.sync(mirror, project) == {"kept": 1, "completed": 0, "rebuilt": 0}
    ((name, status, params, tags, history, files, data),) = shown(mirror)
    assert (name, status) == ("text", "FINISHED")
    assert params == {"clean.lemmatize": "True", "seed": "1", "text.dropout": "0.5"}
    assert tags["dvc.stage"] == "text"
    assert tags["git.commit"] == results.head(project)
    assert history["epoch/train_loss"] == [(1, 0.3), (2, 1 / 3)]
    assert history["test/accuracy"] == [(0, 0.8)]
    assert history["timing/fit_seconds"] == [(0, 1.5)]
    assert "charts/confusion_text.png" in files
    assert data == [("tiny", "abc")]


def test_a_model_without_epochs_gets_a_run(project, mirror):
    commit(project, "nets")
    add_ensembles(project)
    commit(project, "with ensembles")
    assert tracking.sync(mirror, project) == {"kept": 0, "completed": 0, "rebuilt": 3}
    assert tracking.sync(mirror, project) == {"kept": 3, "completed": 0, "rebuilt": 0}
    runs = {name: rest for name, *rest in shown(mirror)}
    assert set(runs) == {"text", "text_ensemble", "late_fusion"}
    status, params, tags, history, files, data = runs["late_fusion"]
    assert status == "FINISHED"
    assert params == {"late_fusion.folds": "5", "clean.lemmatize": "True"}
    assert (tags["model"], tags["dvc.stage"]) == ("late_fusion", "late_fusion")
    assert history["test/accuracy"] == [(0, 0.875)]
    assert history["model/bytes"] == [(0, 5)]
    assert not any(name.startswith("epoch/") for name in history)
    assert "charts/all.png" in files
    assert data == [("tiny", "abc")]
    assert "charts/confusion_text_ensemble.png" in runs["text_ensemble"][4]
    assert "charts/confusion_text_ensemble.png" not in runs["text"][4]


def test_an_evaluation_publishes_models_without_a_live_run(project, mirror):
    add_ensembles(project)
    tracking.publish_workspace("")
    assert [name for name, *_ in shown(mirror)] == ["late_fusion", "text", "text_ensemble"]
    assert tracking.sync(mirror, project)["kept"] == 3


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
    assert added[0] == "text brave"
    monkeypatch.chdir(project)
    monkeypatch.delenv("DVC_EXP_NAME")
    assert tracking.sync(mirror, project)["rebuilt"] == 0


def test_deleting_the_database_loses_nothing(
    project, mirror, empty_store, tmp_path_factory, monkeypatch
):
    commit(project, "first")
    write_project(project, dropout=0.4, accuracy=0.7)
    commit(project, "second")
    git(project, "checkout", "-q", "--detach")
    write_project(project, dropout=0.3, accuracy=0.9)
    commit(project, "tried")
    git(project, "update-ref", f"refs/exps/ab/{'c' * 38}/brave-name", "HEAD")
    git(project, "checkout", "-q", "-")
    tracking.sync(mirror, project)
    before = shown(mirror)
    (first,) = [
        s for s in results.commits(project) if "dropout: 0.5" in s.read("dvc.lock").decode()
    ]
    names = sorted(name for name, *_ in before)
    assert names == ["text", f"text @{first.commit[:7]}", "text brave-name"]
    copy = copy_without_store(project, tmp_path_factory.mktemp("copy") / "copy", empty_store)
    monkeypatch.setenv("DVC_ROOT", str(copy))
    again = Mirror(SYNC_TIME_LIMIT)
    tracking.sync(again, copy)
    assert shown(again) == before


def test_a_killed_evaluation_keeps_the_logged_metrics(project, mirror):
    commit(project)
    tracking.sync(mirror, project)
    (project / "reports/evaluate/metrics.json").unlink()
    assert tracking.sync(mirror, project)["kept"] == 1
    ((*_, history, _, _),) = shown(mirror)
    assert history["test/accuracy"] == [(0, 0.8)]


def test_an_experiment_that_is_committed_later_keeps_its_name(project, mirror):
    commit(project, "baseline")
    baseline = results.head(project)
    git(project, "checkout", "-q", "--detach")
    write_project(project, dropout=0.3)
    commit(project, "tried")
    git(project, "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/brave", "HEAD")
    git(project, "checkout", "-q", "-")
    tracking.sync(mirror, project)
    write_project(project, dropout=0.3)
    time.sleep(1.1)  # git counts whole seconds
    commit(project, "applied")
    assert tracking.sync(mirror, project) == {"kept": 2, "completed": 0, "rebuilt": 0}
    tags = {name: tags for name, _, _, tags, *_ in shown(mirror)}
    assert sorted(tags) == [f"text @{baseline[:7]}", "text brave"]
    assert {t["git.commit"] for t in tags.values()} == {baseline}


def test_a_result_of_the_baseline_is_not_named_after_the_experiment(project, mirror, monkeypatch):
    commit(project)
    monkeypatch.setenv("DVC_EXP_NAME", "brave")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", results.head(project))
    tracking.publish_workspace("")
    write_project(project, dropout=0.3)
    tracking.publish_workspace("")
    tags = {name: tags["dvc.experiment"] for name, _, _, tags, *_ in shown(mirror)}
    assert tags == {"text": "", "text brave": "brave"}


def test_a_wrong_label_is_corrected(project, mirror):
    commit(project)
    (result,) = results.found_in(Snapshot(project))
    tracking.publish(mirror, result, "wrong", "abc")
    assert tracking.sync(mirror, project)["kept"] == 1
    ((name, _, _, tags, *_),) = shown(mirror)
    assert (name, tags["dvc.experiment"]) == ("text", "")
    assert tags["git.commit"] == results.head(project)


def test_results_of_a_merged_side_branch_are_found(project, mirror):
    commit(project)
    git(project, "checkout", "-q", "-b", "side")
    write_project(project, dropout=0.2)
    commit(project, "side")
    git(project, "checkout", "-q", "-")
    git(project, "commit", "-q", "--allow-empty", "-m", "meanwhile")
    git(project, "merge", "-q", "-s", "ours", "-m", "merge", "side")
    git(project, "branch", "-D", "side")
    assert tracking.sync(mirror, project)["rebuilt"] == 2


def test_a_commit_with_another_layout_is_skipped(project, mirror):
    lock = (project / "dvc.lock").read_text()
    storage.write_text(project / "dvc.lock", lock.replace("outputs.npz", "scores.npz"))
    commit(project, "old layout")
    storage.write_text(project / "dvc.lock", lock)
    commit(project, "layout of now")
    assert tracking.sync(mirror, project)["rebuilt"] == 1


def test_an_experiment_deleted_in_the_browser_comes_back(project, mirror):
    mirror.call("delete_experiment", mirror.experiment_id)
    again = Mirror(SYNC_TIME_LIMIT)
    assert tracking.sync(again, project)["rebuilt"] == 1


def test_a_locked_database_does_not_delay_a_training(project, mirror, monkeypatch):
    monkeypatch.setattr(mirrors, "LOCK_TIMEOUT", 0.5)
    with mirror.exclusive():
        start = time.monotonic()
        with tracking.live_run("text") as run:
            run.log_epoch(1, {"train_loss": 0.1})
        assert time.monotonic() - start < 5


def test_unfinished_references_are_logged_again(mirror):
    mirror.create("text (published)", {KEY: "published-text", "source": "published"})
    tracking.publish_references(mirror)
    (run,) = mirror.runs("published-text")
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"test/accuracy": 0.772})


def test_a_rebuilt_run_has_the_duration_of_its_training(project, mirror):
    commit(project)
    (snapshot,) = results.commits(project)
    (result,) = results.found_in(snapshot)
    tracking.publish(mirror, result, "", "abc")
    (run,) = mirror.runs(result.key)
    assert run.info.end_time - run.info.start_time == 1500  # ms, the timing of write_project


def test_published_metrics_are_logged_once_and_tagged(mirror):
    for _ in range(2):
        tracking.publish_references(mirror)
    runs = mirror.call("search_runs", [mirror.experiment_id], "tags.source = 'published'")
    accuracy = {run.data.tags["model"]: run.data.metrics["test/accuracy"] for run in runs}
    assert accuracy == {"text": 0.772, "image": 0.593, "fusion": 0.819}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(runs) == 3


def test_a_live_run_gets_its_evaluation_and_stays_one_run(project, mirror):
    with tracking.live_run("text") as run:
        run.log_epoch(1, {"train_loss": 0.3})
        (live,) = mirror.call("search_runs", [mirror.experiment_id])
        assert live.info.status == "RUNNING"
        assert live.data.metrics == {"epoch/train_loss": 0.3}
    (result,) = results.found_in(Snapshot(project))
    assert mirror.runs(result.key) == []  # the tiny dvc.yaml differs from the recorded entry
    key = results.current_key("text")
    result = results.Result("text", key, Snapshot(project))
    assert tracking.publish(mirror, result, "", "abc") == "completed"
    assert tracking.publish(mirror, result, "", "abc") == "kept"
    (complete,) = mirror.runs(key)
    assert complete.info.run_id == live.info.run_id
    assert complete.data.metrics["test/accuracy"] == 0.8


def test_a_result_with_a_finished_run_is_not_logged_again(project, mirror):
    for _ in range(2):
        with tracking.live_run("text") as run:
            run.log_epoch(1, {"train_loss": 0.3})
    assert len(mirror.runs(results.current_key("text"))) == 1


def test_the_run_of_a_killed_training_is_replaced(project, mirror):
    killed = mirror.create("text", {KEY: results.current_key("text")})
    mirror.log(killed, metrics={"epoch/train_loss": 9.0}, step=1)
    with tracking.live_run("text") as run:
        run.log_epoch(1, {"train_loss": 0.3})
    (left,) = mirror.runs(results.current_key("text"))
    assert (left.info.status, left.data.metrics) == ("FINISHED", {"epoch/train_loss": 0.3})


def test_a_training_that_fails_leaves_a_failed_run_and_its_error(project, mirror):
    with pytest.raises(ZeroDivisionError), tracking.live_run("text"):
        _ = 1 / 0
    (run,) = mirror.runs(results.current_key("text"))
    assert run.info.status == "FAILED"


def test_a_new_evaluation_replaces_the_old_one(project, mirror):
    tracking.sync(mirror, project)
    write_project(project, accuracy=0.6)
    assert tracking.sync(mirror, project)["rebuilt"] == 1
    ((_, _, _, _, history, _, _),) = shown(mirror)
    assert history["test/accuracy"] == [(0, 0.6)]


def test_the_names_of_experiments_are_in_their_runs(project, mirror, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "quick-hare")
    with tracking.live_run("text"):
        pass
    (run,) = mirror.runs(results.current_key("text"))
    assert run.info.run_name == "text quick-hare"
    assert run.data.tags["dvc.experiment"] == "quick-hare"


def train_against(address, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.delenv(name, raising=False)
    start = time.monotonic()
    with tracking.live_run("text") as run:
        for epoch in range(1, 20):
            run.log_epoch(epoch, {"train_loss": 0.1})
    warnings = [record for record in caplog.records if record.name == "rakuten.tracking.runs"]
    assert len(warnings) == 1
    assert "python -m rakuten sync" in warnings[0].getMessage()
    return time.monotonic() - start


def test_an_unreachable_server_gives_one_warning(project, monkeypatch, caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert train_against(f"http://127.0.0.1:{port}", monkeypatch, caplog) < 10


def test_an_unresponsive_server_delays_a_training_by_seconds(project, monkeypatch, caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert train_against(f"http://127.0.0.1:{port}", monkeypatch, caplog) < 12


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
            tracking.publish_references(Mirror(SYNC_TIME_LIMIT))
        except store_errors() as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    mirror = Mirror(SYNC_TIME_LIMIT)
    assert len(mirror.call("search_runs", [mirror.experiment_id])) == 3


def test_sync_against_a_server_that_is_down_says_so(project, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert main(["sync"]) == 1
    assert capsys.readouterr().err.startswith("error: MLflow at http://127.0.0.1:9 cannot be used")


def test_stages_start_without_mlflow():
    """It takes seconds to import, and most stages never log."""
    code = "import rakuten.tracking, sys; assert not {'mlflow', 'sqlalchemy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
