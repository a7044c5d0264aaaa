import json
import subprocess
import sys

import pytest
import yaml
from tracking_cases import add_baselines, add_ensembles, add_fusion, commit, git, md5, write_project

from rakuten import storage
from rakuten.tracking import results
from rakuten.tracking.git import Repository
from rakuten.tracking.results import Result
from rakuten.tracking.snapshots import Workspace


@pytest.fixture
def project(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("/build/\n")
    write_project(tmp_path)
    return tmp_path


def test_a_result_has_params_curves_metrics_timings_and_data(project):
    (result,) = results.found_in(Workspace(project))
    assert (result.stage, result.model) == ("text", "text")
    assert result.params == {"clean.lemmatize": True, "seed": 1, "text.dropout": 0.5}
    assert result.curves["train_loss"].tolist() == [0.3, 1 / 3]
    assert result.metrics == {"model/parameters": 9, "model/epochs": 2, "test/accuracy": 0.8}
    assert result.timings == {"timing/fit_seconds": 1.5}
    assert result.dataset == {"name": "tiny", "digest": "abc"}
    assert list(result.attachments) == [
        "reports/text/history.csv",
        "reports/text/metrics.json",
        "reports/charts/confusion_text.png",
    ]


def test_reports_that_compare_models_belong_to_fusion(project):
    add_fusion(project)
    text, fusion = results.found_in(Workspace(project))
    assert set(fusion.attachments) == {
        "reports/fusion/metrics.json",
        "reports/charts/confusion_fusion.png",
        "reports/evaluate/models.json",
        "reports/charts/all.png",
    }
    content = text.content
    storage.write_bytes(project / "reports/charts/all.png", b"PNG of another fusion")
    again, _ = results.found_in(Workspace(project))
    assert again.content == content


def test_a_result_without_epochs_has_no_curves(project):
    add_ensembles(project)
    text, text_ensemble, late_fusion = results.found_in(Workspace(project))
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
    assert len(text_ensemble.content) == 64


def test_reports_of_ensembles_do_not_belong_to_nets(project):
    """`f1_text_ensemble` contains `_text`, but is no report of the text net."""
    add_fusion(project)
    add_ensembles(project)
    text, fusion, text_ensemble, late_fusion = results.found_in(Workspace(project))
    shown = "reports/charts/confusion"
    assert list(text.attachments)[-1] == f"{shown}_text.png"
    assert f"{shown}_text_ensemble.png" not in list(text.attachments)
    assert list(text_ensemble.attachments) == [
        "reports/text_ensemble/metrics.json",
        f"{shown}_text_ensemble.png",
    ]
    assert set(late_fusion.attachments) == {
        "reports/late_fusion/metrics.json",
        f"{shown}_late_fusion.png",
        "reports/evaluate/models.json",
        "reports/charts/all.png",
    }
    assert set(fusion.attachments) == {"reports/fusion/metrics.json", f"{shown}_fusion.png"}


def test_comparisons_stay_with_fusion_until_ensembles_are_evaluated(project):
    """Ensembles were added, but the evaluation has not run since."""
    add_fusion(project)
    add_ensembles(project)
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    lock["stages"]["evaluate"]["deps"] = lock["stages"]["evaluate"]["deps"][:2]
    storage.write_text(project / "dvc.lock", yaml.safe_dump(lock))
    _, fusion, *ensembles = results.found_in(Workspace(project))
    assert not any(result.evaluated for result in ensembles)
    assert [list(result.attachments) for result in ensembles] == [
        ["reports/text_ensemble/metrics.json"], ["reports/late_fusion/metrics.json"],
    ]  # fmt: skip
    assert "reports/charts/all.png" in list(fusion.attachments)


def test_a_commit_and_the_workspace_have_the_same_result(project):
    commit(project)
    (workspace,) = results.found_in(Workspace(project))
    with Repository(project) as repository:
        (snapshot,) = repository.commits()
        (committed,) = results.found_in(snapshot)
        assert committed.key == workspace.key
        assert committed.content == workspace.content
        assert committed.files == workspace.files
        assert committed.metrics == workspace.metrics
    assert committed.timings == workspace.timings
    assert snapshot.time > 1_600_000_000


def test_baselines_are_results_once_they_are_evaluated(project):
    (net,) = results.found_in(Workspace(project))
    add_baselines(project)
    text, *baselines = results.found_in(Workspace(project))
    names = ["text_logistic_regression", "text_linear_svm", "text_naive_bayes"]
    assert [one.model for one in baselines] == names
    assert len({one.key for one in (text, *baselines)}) == 4
    assert {one.stage for one in baselines} == {"text"}
    for one in baselines:
        assert net.params == one.params | {"text.dropout": 0.5}
        assert "text.dropout" not in one.params
        assert one.metrics == {"test/accuracy": 0.75, "test/rows": 40}
        assert one.curves.empty
        assert one.attachments == {}
    path = project / "dvc.lock"
    digest = md5(project / "build/text/baselines.npz")
    storage.write_text(path, path.read_text().replace(digest, "0", 1))
    assert [one.model for one in results.found_in(Workspace(project))] == ["text"]


def test_a_baseline_stays_the_same_result_when_only_the_net_has_other_parameters(project):
    def contents(dropout):
        write_project(project, dropout=dropout)
        add_baselines(project)
        return {one.model: one.content for one in results.found_in(Workspace(project))}

    before, after = contents(0.5), contents(0.3)
    assert before.pop("text") != after.pop("text")
    assert before == after


def test_timings_belong_to_the_net_or_to_a_baseline(project):
    add_baselines(project)
    path = project / "build/timings/text.json"
    timings = json.loads(path.read_text()) | {"naive_bayes_fit_seconds": 0.5}
    storage.write_json(path, timings)
    found = {one.model: one.timings for one in results.found_in(Workspace(project))}
    assert found["text"] == {"timing/fit_seconds": 1.5}
    assert found["text_naive_bayes"] == {"timing/fit_seconds": 0.5}
    assert found["text_linear_svm"] == {}


def test_metrics_of_old_commits_are_in_another_report(project):
    (new,) = results.found_in(Workspace(project))
    assert new.metrics["test/accuracy"] == 0.8
    (project / "reports/evaluate/models.json").rename(project / "reports/evaluate/metrics.json")
    lock = (project / "dvc.lock").read_text().replace("models.json", "metrics.json")
    storage.write_text(project / "dvc.lock", lock)
    (old,) = results.found_in(Workspace(project))
    assert old.metrics == new.metrics


def test_reports_that_dvc_lock_does_not_describe_are_no_result(project):
    storage.write_text(project / "reports/text/history.csv", "epoch\n")
    assert results.found_in(Workspace(project)) == []


def test_an_evaluation_of_other_outputs_is_ignored(project):
    lock = yaml.safe_load((project / "dvc.lock").read_text())
    lock["stages"]["evaluate"]["deps"] = [{"path": "build/text/outputs.npz", "md5": "0" * 32}]
    storage.write_text(project / "dvc.lock", yaml.safe_dump(lock))
    (result,) = results.found_in(Workspace(project))
    assert not result.evaluated
    assert "test/accuracy" not in result.metrics
    assert not any("evaluate" in path for path in list(result.attachments))


def test_timings_of_another_training_are_ignored(project):
    path = project / "build/timings/text.json"
    timings = json.loads(path.read_text())
    timings["measured_on"] = {"build/text/outputs.npz": "0" * 32}
    storage.write_json(path, timings)
    (result,) = results.found_in(Workspace(project))
    assert result.timings == {}


def test_content_depends_on_the_result_alone(project):
    (before,) = results.found_in(Workspace(project))
    identity = before.key, before.content, before.files
    path = project / "build/timings/text.json"
    storage.write_json(path, json.loads(path.read_text()) | {"fit_seconds": 9})
    storage.write_bytes(project / "reports/charts/confusion_text.png", b"PNG2")
    lock = (project / "dvc.lock").read_text()
    storage.write_text(project / "dvc.lock", lock.replace("md5: '2'", "md5: '3'"))
    (same,) = results.found_in(Workspace(project))
    assert same.content == identity[1]
    assert same.files != identity[2]
    assert same.key != identity[0]
    write_project(project, accuracy=0.9)
    (other,) = results.found_in(Workspace(project))
    assert other.content != identity[1]


ENTRY = {
    "cmd": "run",
    "deps": [{"path": "a", "md5": "1", "size": 3, "hash": "md5"}, {"path": "b", "md5": "2"}],
    "params": {"params.yaml": {"seed": 1}},
    "outs": [{"path": "c", "md5": "3"}],
}


def test_the_key_depends_on_model_command_inputs_and_params():
    def key(entry, model="text", **others):
        return results.key({"text": entry, **others}, "text", model)

    same = ENTRY | {"deps": [{"path": "b", "md5": "2"}, {"path": "a", "md5": "1"}], "outs": []}
    assert key(same) == key(ENTRY)
    for change in (
        {"cmd": "walk"},
        {"deps": [{"path": "a", "md5": "9"}, {"path": "b", "md5": "2"}]},
        {"params": {"params.yaml": {"seed": 2}}},
    ):
        assert key(ENTRY | change) != key(ENTRY)
    assert key(ENTRY, "text_linear_svm") != key(ENTRY)
    # A stage upstream whose output is the same under other parameters.
    upstream = {"cmd": "clean", "outs": [{"path": "a", "md5": "1"}]}
    params = {"params": {"params.yaml": {"clean": {"lemmatize": True}}}}
    assert key(ENTRY, clean=upstream) == key(ENTRY)
    assert key(ENTRY, clean=upstream | params) != key(ENTRY)


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
    running, recorded = Workspace(tmp_path, "text"), Workspace(tmp_path)
    assert running.lock["text"]["outs"] == [{"path": "out", "md5": md5(tmp_path / "out")}]
    assert Result("text", running).key == Result("text", recorded).key


def test_a_lock_file_with_anchors_is_read(project):
    lock = "stages:\n  a:\n    outs: &o\n    - path: x\n  b:\n    outs: *o\n"
    storage.write_text(project / "dvc.lock", lock)
    assert Workspace(project).lock["b"] == {"outs": [{"path": "x"}]}
    storage.write_text(project / "dvc.lock", "schema: '2.0'\n")
    assert Workspace(project).lock == {}


def test_nested_values_are_flattened():
    nested = {"test": {"accuracy": 1, "more": {"f1": 2}}, "rows": 3}
    assert results.flatten(nested) == {"test/accuracy": 1, "test/more/f1": 2, "rows": 3}
