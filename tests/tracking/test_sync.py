"""`python -m rakuten sync`: what MLflow shows of the workspace, of git and of the study."""

import contextlib
import getpass
import json
import sqlite3
import time

import pytest
from tracking_cases import (
    add_baselines,
    add_ensembles,
    commit,
    copy_without_store,
    everything,
    git,
    shown,
    write_project,
)

from rakuten import storage
from rakuten.tracking import publishing
from rakuten.tracking import sync as syncing
from rakuten.tracking.command import main
from rakuten.tracking.git import Repository, head
from rakuten.tracking.mirror import CLONE, KEY, SYNC_TIME_LIMIT, Mirror
from rakuten.tracking.publishing import PUBLISHED_DATA
from rakuten.tracking.sync import sync

PUBLISHED = 3
"""Runs of published figures."""


def counts(kept=0, completed=0, created=0, running=0):
    """Count the measured runs and, as kept, the published ones."""
    kept += PUBLISHED
    return {"kept": kept, "completed": completed, "created": created, "running": running}


@pytest.fixture
def mirror(mirror, project):
    """A store that has the published runs."""
    publisher = publishing.Publisher(mirror)
    for record in publishing.published_records():
        publisher.publish(record)
    return mirror


def run_of(mirror, name):
    (run,) = [run for run in mirror.all_runs() if run.info.run_name == name]
    return run


def names(mirror):
    return sorted(name for name, *_ in shown(mirror))


def write_experiment(project, name, **options):
    """Commit a result aside, as `dvc exp run` does; the workspace stays as it is."""
    baseline = head(project)
    git(project, "checkout", "-q", "--detach")
    write_project(project, **options)
    commit(project, name)
    git(project, "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", "HEAD")
    git(project, "checkout", "-q", "-")


@pytest.mark.slow
def test_epoch_0_is_logged_beside_the_metrics(project, mirror):
    write_project(project, first_epoch=0)
    commit(project)
    sync(mirror, project)
    ((*_, history, _, _),) = shown(mirror)
    assert history["epoch/train_loss"] == [(0, 0.3), (1, 1 / 3)]
    assert history["test/accuracy"] == [(0, 0.8)]


def test_each_result_has_one_complete_run(project, mirror):
    commit(project)
    assert sync(mirror, project) == counts(created=1)
    assert sync(mirror, project) == counts(kept=1)
    ((name, status, params, tags, history, files, data),) = shown(mirror)
    assert (name, status) == ("Text net", "FINISHED")
    assert params == {"clean.lemmatize": "True", "seed": "1", "text.dropout": "0.5"}
    assert tags["dvc.stage"] == "text"
    assert tags["data"] == "tiny"
    assert tags["git.commit"] == head(project)
    assert history["epoch/train_loss"] == [(1, 0.3), (2, 1 / 3)]
    assert history["test/accuracy"] == [(0, 0.8)]
    assert history["timing/fit_seconds"] == [(0, 1.5)]
    assert "charts/confusion_text.png" in files
    assert data == [("tiny", "abc")]
    note = run_of(mirror, "Text net").data.tags["mlflow.note.content"]
    assert run_of(mirror, "Text net").data.tags["mlflow.user"] == getpass.getuser()
    assert note.endswith("All metrics were measured on this data: tiny.")


def test_nothing_new_costs_two_requests(project, mirror, monkeypatch):
    add_baselines(project)
    add_ensembles(project)
    commit(project)
    sync(mirror, project, history=True)
    requests = []
    call = Mirror.call
    monkeypatch.setattr(
        Mirror, "call", lambda self, *given, **options: (requests.append(given[0]),
                                                         call(self, *given, **options))[1]
    )  # fmt: skip
    for history in (False, True):
        requests.clear()
        assert sync(mirror, project, history=history) == counts(kept=6)
        assert requests == ["search_runs", "search_runs"]


def test_models_without_epochs_and_baselines_have_runs(project, mirror):
    commit(project, "nets")
    add_baselines(project)
    add_ensembles(project)
    commit(project, "with ensembles")
    assert sync(mirror, project) == counts(created=6)
    runs = {name: rest for name, *rest in shown(mirror)}
    assert set(runs) == {
        "Text net", "Logistic regression on text", "Linear SVM on text", "Naive Bayes on text",
        "Text ensemble", "Late fusion",
    }  # fmt: skip
    status, params, tags, history, files, data = runs["Late fusion"]
    assert status == "FINISHED"
    assert params == {"late_fusion.folds": "5", "clean.lemmatize": "True"}
    assert (tags["model"], tags["dvc.stage"]) == ("late_fusion", "late_fusion")
    assert history["test/accuracy"] == [(0, 0.875)]
    assert history["model/bytes"] == [(0, 5)]
    assert not any(name.startswith("epoch/") for name in history)
    assert "charts/all.png" in files
    assert data == [("tiny", "abc")]
    _, params, tags, history, files, _ = runs["Naive Bayes on text"]
    assert params == {"clean.lemmatize": "True", "seed": "1"}
    assert (tags["model"], tags["dvc.stage"]) == ("text_naive_bayes", "text")
    assert history == {"test/accuracy": [(0, 0.75)], "test/rows": [(0, 40)]}
    assert files == []


def test_published_runs_stand_beside_measured_ones_and_say_so(project, mirror):
    sync(mirror, project)
    runs = [run for run in mirror.all_runs() if run.data.tags["source"] == "published"]
    accuracy = {run.data.tags["model"]: run.data.metrics["test/accuracy"] for run in runs}
    assert accuracy == {"text": 0.772, "image": 0.593, "fusion": 0.819}
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.info.run_name.endswith(", published (Rakuten data)")
        assert run.data.tags["data"] == PUBLISHED_DATA
        assert run.data.metrics["test/rows"] == 16_984
        assert "Nothing here was measured" in run.data.tags["mlflow.note.content"]
        assert [one.dataset.name for one in run.inputs.dataset_inputs] == [PUBLISHED_DATA]
    assert run_of(mirror, "Text net").data.tags["data"] == "tiny"


def test_a_corrected_published_figure_changes_its_run(project, mirror, monkeypatch):
    before = run_of(mirror, "Text net, published (Rakuten data)")
    corrected = publishing.PUBLISHED | {"text": {"test": {"accuracy": 0.78}}}
    monkeypatch.setattr(publishing, "PUBLISHED", corrected)
    assert sync(mirror, project)["completed"] == 1
    after = run_of(mirror, "Text net, published (Rakuten data)")
    assert after.info.run_id == before.info.run_id
    assert after.data.metrics["test/accuracy"] == 0.78


def test_experiments_of_the_checked_out_commit_are_shown_and_the_past_on_request(project, mirror):
    commit(project, "first")
    first = head(project)[:7]
    write_experiment(project, "early", dropout=0.4)
    write_project(project, dropout=0.3)
    commit(project, "second")
    write_experiment(project, "brave", dropout=0.2)
    assert sync(mirror, project) == counts(created=2)
    assert names(mirror) == ["Text net", "Text net brave"]
    assert sync(mirror, project, history=True) == counts(kept=2, created=2)
    assert names(mirror) == ["Text net", f"Text net @{first}", "Text net brave", "Text net early"]
    assert sync(mirror, project) == counts(kept=2)
    assert len(names(mirror)) == 4


def test_equal_results_of_different_code_are_one_run(project, mirror):
    commit(project, "first")
    first = head(project)
    lock = (project / "dvc.lock").read_text()
    storage.write_text(project / "dvc.lock", lock.replace("md5: '2'", "md5: '3'"))
    commit(project, "a changed comment in a stage upstream")
    assert sync(mirror, project) == counts(created=1)
    assert sync(mirror, project, history=True) == counts(kept=1)
    ((name, _, _, tags, *_),) = shown(mirror)
    assert (name, tags["git.commit"]) == ("Text net", first)
    assert sync(mirror, project) == counts(kept=1)
    ((_, _, _, tags, *_),) = shown(mirror)
    assert tags["git.commit"] == first


def test_the_current_result_has_the_plain_name(project, mirror):
    commit(project, "first")
    first = head(project)[:7]
    sync(mirror, project)
    write_project(project, dropout=0.3)
    commit(project, "second")
    second = head(project)[:7]
    sync(mirror, project)
    assert names(mirror) == ["Text net", f"Text net @{first}"]
    git(project, "checkout", "-q", first)
    sync(mirror, project)
    assert names(mirror) == ["Text net", f"Text net @{second}"]
    params = {name: params["text.dropout"] for name, _, params, *_ in shown(mirror)}
    assert params["Text net"] == "0.5"


def test_what_people_write_survives(project, mirror):
    commit(project, "first")
    sync(mirror, project)
    run = run_of(mirror, "Text net")
    mirror.call("update_run", run.info.run_id, name="my best")
    mirror.log(run.info.run_id, tags={"mlflow.note.content": "see the minutes", "team": "blue"})
    published = run_of(mirror, "Text net, published (Rakuten data)").info.run_id
    mirror.log(published, tags={"mlflow.note.content": "page 12"})
    before = everything(mirror, run.info.run_id), everything(mirror, published)
    for history in (False, True):
        sync(mirror, project, history=history)
        assert (everything(mirror, run.info.run_id), everything(mirror, published)) == before

    write_project(project, accuracy=0.6)  # a new evaluation of the same training
    assert sync(mirror, project) == counts(completed=1)
    commit(project, "second")
    write_project(project, dropout=0.3)  # a new training
    assert sync(mirror, project) == counts(kept=1, created=1)
    again = mirror.call("get_run", run.info.run_id)
    assert again.info.run_name == "my best"
    assert again.data.tags["mlflow.note.content"] == "see the minutes"
    assert again.data.tags["team"] == "blue"
    assert again.data.metrics["test/accuracy"] == 0.6


def test_tags_of_the_project_are_corrected(project, mirror):
    commit(project)
    sync(mirror, project)
    run = run_of(mirror, "Text net")
    mirror.log(run.info.run_id, tags={"data": "other", "model": "image"})
    assert sync(mirror, project) == counts(kept=1)
    tags = run_of(mirror, "Text net").data.tags
    assert (tags["data"], tags["model"]) == ("tiny", "text")


def test_a_new_chart_replaces_the_old_one(project, mirror):
    commit(project)
    sync(mirror, project)
    storage.write_bytes(project / "reports/charts/confusion_text.png", b"a better chart")
    assert sync(mirror, project) == counts(kept=1)
    folder = project / "mlartifacts" / run_of(mirror, "Text net").info.run_id
    assert (folder / "artifacts/charts/confusion_text.png").read_bytes() == b"a better chart"


def test_killed_trainings_of_this_clone_are_marked(project, mirror):
    ours, theirs, training = (
        mirror.create("text", {KEY: name * 64, "source": "measured", "model": "text"})
        for name in "abc"
    )
    mirror.log(theirs, tags={CLONE: "other"})
    with mirror.training_lock("c" * 64):
        sync(mirror, project)
    status = {run.info.run_id: run.info.status for run in mirror.all_runs()}
    assert (status[ours], status[theirs], status[training]) == ("KILLED", "RUNNING", "RUNNING")


def test_deleting_the_database_loses_nothing(
    project, mirror, empty_store, tmp_path_factory, monkeypatch
):
    commit(project, "first")
    first = head(project)[:7]
    write_project(project, dropout=0.4, accuracy=0.7)
    commit(project, "second")
    write_experiment(project, "brave-name", dropout=0.3, accuracy=0.9)
    sync(mirror, project, history=True)
    before = shown(mirror)
    assert names(mirror) == ["Text net", f"Text net @{first}", "Text net brave-name"]
    copy = copy_without_store(project, tmp_path_factory.mktemp("copy") / "copy", empty_store)
    monkeypatch.setenv("DVC_ROOT", str(copy))
    again = Mirror(SYNC_TIME_LIMIT)
    sync(again, copy, history=True)
    assert shown(again) == before


def test_a_killed_evaluation_keeps_the_logged_metrics(project, mirror):
    sync(mirror, project)
    (project / "reports/evaluate/models.json").unlink()
    assert sync(mirror, project) == counts(kept=1)
    ((*_, history, _, _),) = shown(mirror)
    assert history["test/accuracy"] == [(0, 0.8)]


def test_an_experiment_that_is_committed_later_keeps_its_name(project, mirror):
    commit(project, "baseline")
    baseline = head(project)
    write_experiment(project, "brave", dropout=0.3)
    sync(mirror, project)
    write_project(project, dropout=0.3)
    time.sleep(1.1)  # git counts whole seconds
    commit(project, "applied")
    expected = ["Text net @" + baseline[:7], "Text net brave"]
    assert sync(mirror, project) == counts(kept=1)
    assert names(mirror) == expected
    assert sync(mirror, project, history=True) == counts(kept=2)
    assert names(mirror) == expected
    assert {tags["git.commit"] for _, _, _, tags, *_ in shown(mirror)} == {baseline}


def test_a_wrong_origin_is_corrected_by_the_history(project, mirror):
    commit(project)
    sync(mirror, project)
    wrong = {"dvc.experiment": "wrong", "git.commit": "abc"}
    mirror.log(run_of(mirror, "Text net").info.run_id, tags=wrong)
    sync(mirror, project)
    assert names(mirror) == ["Text net wrong"]
    sync(mirror, project, history=True)
    ((name, _, _, tags, *_),) = shown(mirror)
    assert (name, tags["dvc.experiment"], tags["git.commit"]) == ("Text net", "", head(project))


def test_results_of_a_merged_side_branch_are_found(project, mirror):
    commit(project)
    git(project, "checkout", "-q", "-b", "side")
    write_project(project, dropout=0.2)
    commit(project, "side")
    git(project, "checkout", "-q", "-")
    git(project, "commit", "-q", "--allow-empty", "-m", "meanwhile")
    git(project, "merge", "-q", "-s", "ours", "-m", "merge", "side")
    git(project, "branch", "-D", "side")
    assert sync(mirror, project, history=True) == counts(created=2)


def test_a_commit_with_another_layout_is_skipped(project, mirror):
    lock = (project / "dvc.lock").read_text()
    storage.write_text(project / "dvc.lock", lock.replace("outputs.npz", "scores.npz"))
    commit(project, "old layout")
    storage.write_text(project / "dvc.lock", lock)
    commit(project, "layout of now")
    assert sync(mirror, project, history=True) == counts(created=1)


def test_an_experiment_deleted_in_the_browser_comes_back(project, mirror):
    mirror.call("delete_experiment", mirror.experiment_id)
    again = Mirror(SYNC_TIME_LIMIT)
    assert sync(again, project) == counts(created=1)


def test_a_rebuilt_run_has_the_duration_of_its_training(project, mirror):
    commit(project)
    sync(mirror, project)
    run = run_of(mirror, "Text net")
    assert run.info.end_time - run.info.start_time == 1500  # ms, the timing of write_project


def test_reports_are_read_of_the_deciding_commits_alone(project, monkeypatch):
    for number in range(5):
        (project / "note.txt").write_text(str(number))
        storage.write_json(project / "reports/other.json", {"number": number})
        commit(project, str(number))
    read = []
    original = Repository.read
    monkeypatch.setattr(
        Repository, "read", lambda self, commit, path: (read.append((commit, path)),
                                                        original(self, commit, path))[1]
    )  # fmt: skip
    with Repository(project) as repository:
        found = list(repository.commits())
        (one,) = syncing.group(found).values()
        commits = [snapshot.commit for snapshot in found]
    assert (one.shown.snapshot.commit, one.origin.commit) == (commits[0], commits[-1])
    histories = {commit for commit, path in read if path == "reports/text/history.csv"}
    assert histories == {commits[0], commits[-1]}
    assert {path for commit, path in read if commit == commits[2]} == {"dvc.lock"}


def test_long_work_shows_progress(project, mirror, monkeypatch, capsys):
    sync(mirror, project)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(syncing, "PROGRESS_AFTER", 0.0)
    sync(mirror, project)
    assert "Updating MLflow: 100%" in capsys.readouterr().err


def test_the_command_reports_what_was_done(project, capsys):
    commit(project)
    assert main(["sync"]) == 0
    assert capsys.readouterr().out == "MLflow runs: 0 kept, 0 completed, 4 created, 0 running\n"
    assert main(["sync", "--history"]) == 0
    assert capsys.readouterr().out == "MLflow runs: 4 kept, 0 completed, 0 created, 0 running\n"


def test_a_refusal_of_git_is_reported_in_its_words(project, monkeypatch, capsys):
    commit(project)
    with monkeypatch.context() as patch:
        patch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        assert main(["sync"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: the repository cannot be read: fatal: detected dubious")
    assert "safe.directory" in output.err
    monkeypatch.setenv("PATH", "")
    assert main(["sync"]) == 1
    assert "git cannot be run" in capsys.readouterr().err


def test_a_project_in_a_subfolder_of_a_repository(project, mirror, tmp_path_factory, monkeypatch):
    outer = tmp_path_factory.mktemp("outer")
    git(outer, "init", "-q")
    inner = outer / "models/rakuten"
    inner.parent.mkdir()
    project.rename(inner)
    git(outer, "-C", str(inner), "rm", "-rq", "--cached", "--ignore-unmatch", ".")
    (inner / ".git").rename(outer / "unused.git")
    project.mkdir()
    commit(outer, "first")
    monkeypatch.setenv("DVC_ROOT", str(inner))
    monkeypatch.chdir(inner)
    mirror = Mirror(SYNC_TIME_LIMIT)
    write_experiment(inner, "brave", dropout=0.3)
    assert sync(mirror, inner)["created"] == 2
    write_project(inner, dropout=0.1)
    commit(inner, "second")
    assert sync(mirror, inner, history=True)["created"] == 1
    assert len(names(mirror)) == 3
    files = [files for name, *_, files, _ in shown(mirror) if name == "Text net brave"]
    assert "charts/confusion_text.png" in files[0]


def test_sync_against_a_server_that_is_down_says_so_without_the_password(
    project, monkeypatch, capsys
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:g3heim@127.0.0.1:9")
    assert main(["sync"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: MLflow at http://me:***@127.0.0.1:9 cannot be used")
    assert "g3heim" not in message


def test_timings_and_parameters_are_those_of_the_result(project, mirror):
    """Timings of another training are not logged."""
    path = project / "build/timings/text.json"
    storage.write_json(path, json.loads(path.read_text()) | {"measured_on": {"x": "0"}})
    sync(mirror, project)
    ((*_, history, _, _),) = shown(mirror)
    assert not any(name.startswith("timing/") for name in history)


@pytest.mark.parametrize("revision", ["bd07f7e963c5", "f00000000000"], ids=["older", "newer"])
def test_a_database_of_another_version_of_mlflow_is_an_error_with_the_remedy(
    project, capsys, revision
):
    with contextlib.closing(sqlite3.connect("mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        database.commit()
    assert main(["champion"]) == 2
    message = capsys.readouterr().err
    assert revision in message
    assert "delete mlflow.db and mlartifacts" in message
