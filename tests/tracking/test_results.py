import json
import subprocess
import sys

import pytest
import yaml
from tracking_cases import add_ensembles, commit, git, write_project

from rakuten import storage
from rakuten.tracking import results
from rakuten.tracking.results import Snapshot


@pytest.fixture
def project(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("/build/\n")
    write_project(tmp_path)
    return tmp_path


def test_a_result_has_params_curves_metrics_timings_and_data(project):
    (result,) = results.found_in(Snapshot(project))
    assert (result.stage, result.model) == ("text", "text")
    assert result.params == {"clean.lemmatize": True, "seed": 1, "text.dropout": 0.5}
    assert result.curves["train_loss"].tolist() == [0.3, 1 / 3]
    assert result.metrics == {"model/parameters": 9, "model/epochs": 2, "test/accuracy": 0.8}
    assert result.timings == {"timing/fit_seconds": 1.5}
    assert result.dataset == {"name": "tiny", "digest": "abc"}
    assert result.attachments() == [
        "reports/text/history.csv",
        "reports/text/metrics.json",
        "reports/charts/confusion_text.png",
    ]


def test_reports_that_compare_models_belong_to_fusion(project):
    (text,) = results.found_in(Snapshot(project))
    fusion = results.Result("fusion", text.key, text.snapshot)
    object.__setattr__(fusion, "evaluated", True)
    assert fusion.attachments() == [
        "reports/charts/confusion_fusion.png",
        "reports/evaluate/metrics.json",
        "reports/charts/all.png",
    ]
    content = text.content()
    storage.write_bytes(project / "reports/charts/all.png", b"PNG of another fusion")
    (again,) = results.found_in(Snapshot(project))
    assert again.content() == content


def test_a_result_without_epochs_has_no_curves(project):
    add_ensembles(project)
    text, text_ensemble, late_fusion = results.found_in(Snapshot(project))
    assert [r.model for r in (text, text_ensemble, late_fusion)] == [
        "text",
        "text_ensemble",
        "late_fusion",
    ]
    assert text_ensemble.curves.columns.tolist() == ["epoch"]
    assert text_ensemble.curves.empty
    assert text_ensemble.params == {"text_ensemble.folds": 5, "clean.lemmatize": True}
    assert text_ensemble.metrics == {
        "model/weight": 0.7, "model/views/n": 3, "model/bytes": 5, "test/accuracy": 0.875,
    }  # fmt: skip
    assert text_ensemble.timings == {}
    assert len(text_ensemble.content()) == 64


def test_reports_of_ensembles_do_not_belong_to_nets(project):
    """`f1_text_ensemble` contains `_text`, but is no report of the text net."""
    add_ensembles(project)
    text, text_ensemble, late_fusion = results.found_in(Snapshot(project))
    shown = "reports/charts/confusion"
    assert text.attachments()[-1] == f"{shown}_text.png"
    assert f"{shown}_text_ensemble.png" not in text.attachments()
    assert text_ensemble.attachments() == [
        "reports/text_ensemble/metrics.json",
        f"{shown}_text_ensemble.png",
    ]
    assert late_fusion.attachments() == [
        "reports/late_fusion/metrics.json",
        f"{shown}_late_fusion.png",
        "reports/evaluate/metrics.json",
        "reports/charts/all.png",
    ]
    fusion = results.Result("fusion", text.key, text.snapshot)
    object.__setattr__(fusion, "evaluated", True)
    assert fusion.attachments() == [f"{shown}_fusion.png"]


def test_comparisons_stay_with_fusion_until_ensembles_are_evaluated(project):
    """Ensembles were added, but the evaluation has not run since."""
    add_ensembles(project)
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    lock["stages"]["evaluate"]["deps"] = lock["stages"]["evaluate"]["deps"][:1]
    storage.write_text(project / "dvc.lock", yaml.safe_dump(lock))
    text, *ensembles = results.found_in(Snapshot(project))
    assert not any(result.evaluated for result in ensembles)
    assert [result.attachments() for result in ensembles] == [
        ["reports/text_ensemble/metrics.json"], ["reports/late_fusion/metrics.json"],
    ]  # fmt: skip
    fusion = results.Result("fusion", text.key, text.snapshot)
    object.__setattr__(fusion, "evaluated", True)
    assert "reports/charts/all.png" in fusion.attachments()


def test_a_commit_and_the_workspace_have_the_same_result(project):
    commit(project)
    (workspace,) = results.found_in(Snapshot(project))
    (snapshot,) = results.commits(project)
    (committed,) = results.found_in(snapshot)
    assert committed.key == workspace.key
    assert committed.content() == workspace.content()
    assert committed.metrics == workspace.metrics
    assert committed.timings == workspace.timings
    assert snapshot.time > 1_600_000_000


def test_commits_come_newest_first_and_keep_their_own_results(project):
    commit(project, "first")
    (old,) = results.found_in(Snapshot(project))
    write_project(project, dropout=0.3, accuracy=0.9)
    commit(project, "second")
    found = [result for s in results.commits(project) for result in results.found_in(s)]
    assert [result.params["text.dropout"] for result in found] == [0.3, 0.5]
    assert found[1].key == old.key != found[0].key
    assert [result.metrics["test/accuracy"] for result in found] == [0.9, 0.8]


def test_experiments_are_found_by_name_and_others_are_not(project):
    commit(project)
    git(project, "update-ref", f"refs/exps/ab/{'c' * 38}/brave-name", "HEAD")
    git(project, "update-ref", "refs/exps/stash", "HEAD")
    git(project, "update-ref", "refs/exps/exec/EXEC_HEAD", "HEAD")
    (snapshot,) = results.experiments(project)
    assert snapshot.experiment == "brave-name"
    assert len(results.found_in(snapshot)) == 1


def test_reports_that_dvc_lock_does_not_describe_are_no_result(project):
    storage.write_text(project / "reports/text/history.csv", "epoch\n")
    assert results.found_in(Snapshot(project)) == []


def test_an_evaluation_of_other_outputs_is_ignored(project):
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    lock["stages"]["evaluate"]["deps"] = [{"path": "build/text/outputs.npz", "md5": "0" * 32}]
    storage.write_text(project / "dvc.lock", yaml.safe_dump(lock))
    (result,) = results.found_in(Snapshot(project))
    assert not result.evaluated
    assert "test/accuracy" not in result.metrics
    assert not any("evaluate" in path for path in result.attachments())


def test_timings_of_another_training_are_ignored(project):
    path = project / "build/timings/text.json"
    timings = json.loads(path.read_text())
    timings["measured_on"] = {"build/text/outputs.npz": "0" * 32}
    storage.write_json(path, timings)
    (result,) = results.found_in(Snapshot(project))
    assert result.timings == {}


def test_content_depends_on_everything_but_timings(project):
    (before,) = results.found_in(Snapshot(project))
    content = before.content()
    path = project / "build/timings/text.json"
    storage.write_json(path, json.loads(path.read_text()) | {"fit_seconds": 9})
    (same,) = results.found_in(Snapshot(project))
    assert same.content() == content
    storage.write_bytes(project / "reports/charts/confusion_text.png", b"PNG2")
    (other,) = results.found_in(Snapshot(project))
    assert other.content() != content


ENTRY = {
    "cmd": "run",
    "deps": [{"path": "a", "md5": "1", "size": 3, "hash": "md5"}, {"path": "b", "md5": "2"}],
    "params": {"params.yaml": {"seed": 1}},
    "outs": [{"path": "c", "md5": "3"}],
}


def test_key_depends_on_command_inputs_and_params():
    same = ENTRY | {"deps": [{"path": "b", "md5": "2"}, {"path": "a", "md5": "1"}], "outs": []}
    assert results.key(same) == results.key(ENTRY)
    for change in (
        {"cmd": "walk"},
        {"deps": [{"path": "a", "md5": "9"}, {"path": "b", "md5": "2"}]},
        {"params": {"params.yaml": {"seed": 2}}},
    ):
        assert results.key(ENTRY | change) != results.key(ENTRY)


def test_the_key_of_a_running_stage_equals_that_of_dvc_lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage.write_text("code.py", "pass\n")
    storage.write_text("params.yaml", "seed: 1\ntext: {dropout: 0.7, lr: 1e-3}\n")
    storage.write_text(
        "dvc.yaml",
        "stages:\n  text:\n    cmd: cp code.py out\n    deps: [code.py]\n"
        "    params: [text, seed]\n    outs: [out]\n",
    )
    git(tmp_path, "init", "-q")
    for command in (["init", "-q"], ["repro", "-q"]):
        subprocess.run(
            [sys.executable, "-m", "dvc", *command], check=True, capture_output=True, cwd=tmp_path
        )
    recorded = Snapshot(tmp_path).lock["text"]
    assert results.current_key("text") == results.key(recorded)


def test_nested_values_are_flattened():
    nested = {"test": {"accuracy": 1, "more": {"f1": 2}}, "rows": 3}
    assert results.flatten(nested) == {"test/accuracy": 1, "test/more/f1": 2, "rows": 3}
