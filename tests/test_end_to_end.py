"""Run the user's commands from a fresh clone to compared runs. Slow: each takes minutes."""

import json
import time

import pytest
from mlflow import MlflowClient
from mlflow_store import open_store, runs, tracking_server
from repository import ROOT, clone, run, share_environment, stages_run

from rakuten import storage
from rakuten.model_names import MAIN, STUDY, TABLE, title

pytestmark = pytest.mark.slow


def metrics(folder):
    return json.loads((folder / "reports/evaluate/models.json").read_text())


def test_make_repro_ends_with_the_results_and_how_to_compare_runs(repro_log):
    _, log = repro_log
    assert {"extract", "text", "image", "fusion"} <= set(stages_run(log))
    assert {"text_ensemble", "image_ensemble", "late_fusion"} <= set(stages_run(log))
    end = log[-3000:]
    for words in (
        "Text ensemble",
        "Image ensemble",
        "Late fusion",
        "published accuracy",
        "make ui",
    ):
        assert words in end


def test_fusion_beats_text_and_text_beats_image(built_repository):
    """What 272 products can show; docs/ensembles.md compares nets and ensembles on real rows."""
    accuracy = {net: parts["test"]["accuracy"] for net, parts in metrics(built_repository).items()}
    assert accuracy["image"] < accuracy["text"] < accuracy["fusion"]
    assert accuracy["image_ensemble"] < accuracy["text_ensemble"] < accuracy["late_fusion"]
    assert accuracy["image"] < accuracy["image_ensemble"]


def test_after_make_repro_everything_is_up_to_date(built_repository):
    assert "up to date" in run(["dvc", "repro"], built_repository)
    assert "up to date" in run(["dvc", "status"], built_repository)


def test_make_repro_leaves_no_file_to_add_to_git(built_repository):
    """Timings and other files that differ in every run are ignored."""
    assert "??" not in run(["git", "status", "--porcelain"], built_repository)
    assert run(["git", "ls-files", "reports/timings"], built_repository) == ""


def test_mlflow_shows_each_model_once_beside_the_published_ones(built_repository):
    """What a newcomer sees: the results of now, and those of the study, which say so."""
    found = runs(built_repository)
    published = {r.info.run_name for r in found if r.data.tags["source"] == "published"}
    assert published == {f"{title(net)}, published (Rakuten data)" for net in STUDY}
    measured = {r.data.tags["model"]: r for r in found if r.data.tags["source"] == "measured"}
    assert len(found) == len(measured) + len(published)
    evaluated = metrics(built_repository)
    assert set(measured) == set(evaluated)
    per_epoch = {"epoch/train_loss", "epoch/validation_accuracy"}
    shared = {f"{part}/accuracy" for part in ("train", "validation", "test")}
    for name, run_ in measured.items():
        assert run_.info.run_name == title(name)
        assert shared <= set(run_.data.metrics)
        assert name not in STUDY or per_epoch <= set(run_.data.metrics)
        figures = evaluated[name]["test"]
        assert run_.data.metrics["test/accuracy"] == figures["accuracy"]
        assert run_.data.metrics["test/macro_f1"] == figures["macro_f1"]
        for param in ("seed", "clean.lemmatize", "split.test_share"):
            assert param in run_.data.params
        assert run_.inputs.dataset_inputs[0].dataset.digest
        assert run_.data.tags["git.commit"]
        assert run_.data.tags["data"] == "synthetic sample"
    assert "extract.size" in measured["image"].data.params
    assert {"text.dropout", "image.dropout", "fusion.dropout"} <= set(
        measured["fusion"].data.params
    )


@pytest.mark.slow(minutes=1)
def test_a_cut_lock_file_is_restored_without_computing(experiments_repository):
    folder = experiments_repository
    run("git checkout --quiet . && dvc checkout --quiet", folder)  # undo earlier experiments
    lock = folder / "dvc.lock"
    whole = lock.read_bytes()
    lock.write_bytes(whole[: len(whole) // 2])
    (folder / ".dvc/tmp/rwlock").write_text("{")
    run(["make", "repair"], folder)
    assert stages_run(run(["dvc", "repro"], folder)) == []
    assert storage.parse_yaml(lock.read_bytes()) == storage.parse_yaml(whole)
    lock.write_bytes(whole[:40])  # cut within its first stage
    run(["make", "repair"], folder)
    assert lock.read_bytes() == whole


@pytest.mark.slow(minutes=2)
def test_a_lost_database_is_rebuilt_from_dvc_and_git(experiments_repository):
    folder = experiments_repository

    def view():
        client = open_store(folder)
        shown = {}
        for found in runs(folder):
            if found.data.tags["model"] in MAIN and found.data.tags["source"] == "measured":
                assert client.list_artifacts(found.info.run_id)
            curve = client.get_metric_history(found.info.run_id, "epoch/validation_loss")
            files = [file.path for file in client.list_artifacts(found.info.run_id)]
            # Timings are not in git: those of an overwritten result are lost with the database.
            values = {k: v for k, v in found.data.metrics.items() if not k.startswith("timing/")}
            shown[found.info.run_name, found.data.tags["result.key"]] = (
                found.info.status, found.data.params, values, found.data.tags,
                [(point.step, point.value) for point in curve], files,
            )  # fmt: skip
        return shown

    run(["dvc", "exp", "run", "-n", "brief", "-S", "fusion.training.epochs=2"], folder)
    time.sleep(1.1)  # git counts whole seconds
    run(["git", "commit", "-qam", "the brief one"], folder)
    run(["python", "-m", "rakuten", "sync", "--history"], folder)
    before = view()
    assert {name for name, _ in before} >= {"Text net", "Image net", "Fusion net brief"}
    run("mv mlflow.db lost.db && rm -rf mlartifacts", folder)
    log = run(["python", "-m", "rakuten", "sync", "--history"], folder)
    assert f"0 kept, 0 completed, {len(before)} created" in log
    after = view()
    assert after.keys() == before.keys()
    for name in before:
        assert after[name] == before[name], name


@pytest.mark.slow(minutes=3)
def test_importing_other_data_and_going_back_recomputes_nothing(built_repository, tmp_path):
    """The commands of the README: import, rebuild, go back; the sample comes from the cache."""
    folder = clone(tmp_path / "rakuten")
    share_environment(folder, built_repository)
    run(["dvc", "cache", "dir", "--local", str(built_repository / ".dvc/cache")], folder)
    built = f"'{built_repository}'"
    run(f"rm -r reports && cp -r {built}/reports {built}/dvc.lock .", folder)
    run("git add -A && git commit --quiet --allow-empty -m 'as built on this machine'", folder)
    run("dvc checkout", folder)
    assert "up to date" in run(["dvc", "status"], folder)

    run("python -m rakuten sample --products 54 --floor 2 --seed 5 ../other", folder)
    run("python -m rakuten import ../other", folder)
    archive = folder / "data" / "images.zip"
    assert archive.stat().st_nlink > 1, "expected a link into the cache, not a copy"
    assert "extract" in stages_run(run(["dvc", "repro"], folder))

    run("git checkout data.dvc dvc.lock reports && dvc checkout", folder)
    assert "up to date" in run(["dvc", "repro"], folder)
    assert archive.stat().st_nlink > 1


@pytest.fixture
def server(tmp_path):
    """A real tracking server on loopback."""
    with tracking_server(tmp_path) as address:
        yield address


@pytest.mark.slow(minutes=2)
def test_all_runs_are_logged_to_a_tracking_server(server, experiments_repository):
    folder = experiments_repository
    command = ["dvc", "exp", "run", "-S", "fusion.dropout=0.6", "-S", "fusion.training.epochs=2"]
    log = run(command, folder, MLFLOW_TRACKING_URI=server)
    assert "cannot be used" not in log
    run(["python", "-m", "rakuten", "sync"], folder, MLFLOW_TRACKING_URI=server)
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("rakuten-product-classification")
    landed = client.search_runs([experiment.experiment_id], "tags.source = 'measured'")
    names = [found.info.run_name for found in landed]
    assert len(names) == len(set(names)) == len(TABLE) + 1  # and the fusion net of the experiment
    assert {model.title for model in TABLE} < set(names)
    for found in landed:
        assert found.data.metrics["test/accuracy"] > 0
        if found.data.tags["model"] in MAIN:
            assert client.list_artifacts(found.info.run_id, "charts")


@pytest.mark.slow(minutes=8)
def test_a_killed_pipeline_and_a_clean_rebuild_give_the_same_bytes(built_repository, tmp_path):
    """Short versions of `make kill` and `make verify`: with few products a stage takes seconds."""
    folder = clone(tmp_path / "rakuten")
    share_environment(folder, built_repository)
    run("python -m rakuten sample --products 108 --floor 4 --seed 5 ../small", folder)
    run("python -m rakuten import --name small ../small", folder)
    kill, verify = ROOT / "tests/kill_and_resume.py", ROOT / "tests/verify_rebuild.py"
    log = run(["python", str(kill), str(folder), "--kills", "2", "--seed", "1"], folder)
    assert "2 kills, 0 different" in log
    sample = ["--sample", str(tmp_path / "small")]
    log = run(["python", str(verify), "--against", str(folder), *sample], folder)
    assert "every byte is the same" in log
