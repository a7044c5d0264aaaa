"""From a fresh clone to compared runs, as a user would type it. Minutes each, hence slow."""

import json
import re

import pytest
from conftest import clone, run, share_environment
from mlflow import MlflowClient

pytestmark = pytest.mark.slow


def runs(folder, query=""):
    """The runs of a repository's mlflow.db, as `mlflow ui` lists them."""
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("rakuten-product-classification")
    return client.search_runs([experiment.experiment_id], query)


def metrics(folder):
    return json.loads((folder / "reports/evaluate/metrics.json").read_text())


@pytest.fixture
def experiments_repository(built_repository, tmp_path):
    """A copy of the built repository to run experiments in; it shares the environment."""
    folder = tmp_path / "rakuten"
    run(["cp", "-a", "--reflink=auto", str(built_repository), str(folder)], tmp_path)
    return folder


def stages_run(log):
    return re.findall(r"Running stage '(\w+)'", log)


def test_one_command_ends_with_the_figures_and_the_way_to_the_runs(repro_log):
    _, log = repro_log
    assert {"extract", "train_text", "train_image", "train_fusion", "evaluate"} <= set(
        stages_run(log)
    )
    end = log[-1500:]
    for words in ("Text net", "Image net", "Fusion net", "published accuracy", "mlflow ui"):
        assert words in end


def test_fusion_beats_text_and_text_beats_image(built_repository):
    accuracy = {net: parts["test"]["accuracy"] for net, parts in metrics(built_repository).items()}
    assert accuracy["image"] < accuracy["text"] < accuracy["fusion"]


def test_nothing_is_left_to_do(built_repository):
    assert "up to date" in run(["dvc", "repro"], built_repository)
    assert "up to date" in run(["dvc", "status"], built_repository)


def test_mlflow_shows_each_net_once_beside_the_published_ones(built_repository):
    measured = {r.data.tags["model"]: r for r in runs(built_repository, "tags.source='measured'")}
    assert sorted(measured) == ["fusion", "image", "text"]
    assert len(runs(built_repository)) == 6
    names = {name: set(run.data.metrics) for name, run in measured.items()}
    per_epoch = {"epoch/train_loss", "epoch/validation_accuracy"}
    shared = {f"{part}/accuracy" for part in ("train", "validation", "test")} | per_epoch
    for name, run_ in measured.items():
        assert shared <= names[name]
        figures = metrics(built_repository)[name]["test"]
        assert run_.data.metrics["test/accuracy"] == figures["accuracy"]
        assert run_.data.metrics["test/macro_f1"] == figures["macro_f1"]
        for param in ("seed", "clean.lemmatize", "split.test_share"):
            assert param in run_.data.params
        assert run_.inputs.dataset_inputs[0].dataset.digest
        assert run_.data.tags["git.commit"]
    assert "extract.size" in measured["image"].data.params
    assert {"text.dropout", "image.dropout", "fusion.dropout"} <= set(
        measured["fusion"].data.params
    )


def test_one_changed_parameter_runs_what_follows_from_it_alone(experiments_repository):
    folder = experiments_repository
    log = run(["dvc", "exp", "run", "-n", "less-dropout", "-S", "fusion.dropout=0.3"], folder)
    assert stages_run(log) == ["train_fusion", "evaluate"]
    (new,) = runs(folder, "tags.dvc.experiment = 'less-dropout'")
    assert new.data.params["fusion.dropout"] == "0.3"
    assert new.data.metrics["test/accuracy"] == metrics(folder)["fusion"]["test"]["accuracy"]
    table = run("dvc exp show --only-changed --csv", folder)
    assert "less-dropout" in table


def test_a_queued_sweep_and_a_temporary_run_reach_the_one_database(experiments_repository):
    folder = experiments_repository
    run(["dvc", "exp", "run", "--queue", "-S", "fusion.dropout=0.3,0.4"], folder)
    run(["dvc", "queue", "start", "--jobs", "2"], folder)
    log = run("dvc queue logs --help >/dev/null; dvc exp run --temp -S fusion.dropout=0.2", folder)
    assert stages_run(log) == ["train_fusion", "evaluate"]
    while "Running" in (status := run(["dvc", "queue", "status"], folder)) or "Queued" in status:
        run(["sleep", "2"], folder)
    assert "Failed" not in status
    tried = {
        r.data.params["fusion.dropout"]: r
        for r in runs(folder, "tags.model = 'fusion'")
        if r.data.params
    }
    assert {"0.2", "0.3", "0.4", "0.5"} <= set(tried)
    shown = run("dvc exp show --csv", folder)
    for run_ in tried.values():
        assert str(run_.data.metrics["test/accuracy"]) in shown


def test_a_lost_database_is_rebuilt_from_dvc_and_git(experiments_repository):
    folder = experiments_repository

    def view():
        shown = {}
        for found in runs(folder):
            figures = dict(found.data.metrics)
            tags = {k: v for k, v in found.data.tags.items() if not k.startswith("mlflow.")}
            shown[found.info.run_name, tags["result.key"]] = (found.data.params, figures, tags)
        return shown

    before = view()
    script = "rm -rf mlflow.db mlartifacts && python -m rakuten.tracking sync"
    assert "3 rebuilt" in run(script, folder)
    after = view()
    assert {k: v[:2] for k, v in after.items()} == {k: v[:2] for k, v in before.items()}


def test_importing_other_data_and_going_back_recomputes_nothing(built_repository, tmp_path):
    folder = clone(tmp_path / "rakuten")
    share_environment(folder, built_repository)
    run(["dvc", "cache", "dir", "--local", str(built_repository / ".dvc/cache")], folder)
    run(["dvc", "pull", "data.dvc"], folder)
    run("dvc checkout", folder)
    assert "up to date" in run(["dvc", "status"], folder)
