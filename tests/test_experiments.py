"""DVC experiments in a built repository: run, queued, interrupted, compared, shared. Slow."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from mlflow_store import runs
from repository import run, share_environment, stages_run

from rakuten import storage

pytestmark = pytest.mark.slow

QUICK = ["-S", "fusion.training.epochs=2"]
HANG = 2400.0  # seconds after which a queue cannot be merely slow
TRAINED = {"text", "image", "fusion", "text_ensemble", "image_ensemble", "late_fusion"}


def metrics(folder):
    return storage.read_json(folder / "reports/evaluate/models.json")


def start_workers(folder):
    run("dvc queue start --jobs 2 > ../queue.log 2>&1", folder)  # workers keep the output open


def finish(folder):
    """Wait for the queue to be empty; return its status and what the successful tasks printed."""
    idle, end = 0, time.monotonic() + HANG
    while re.search("Running|Queued", status := run(["dvc", "queue", "status"], folder)):
        idle = 0 if "Running" in status or "0 active, 0 idle" not in status else idle + 1
        if idle == 20:  # on a busy machine, both workers may end before they get the last task
            start_workers(folder)
        assert time.monotonic() < end, status
        time.sleep(2)
    run(["dvc", "queue", "stop"], folder)
    names = re.findall(r"[0-9a-f]{7} +(\S+) .*Success", status)
    return status, {name: run(["dvc", "queue", "logs", name], folder) for name in names}


def experiments(folder, *options):
    """The table of `dvc exp show`."""
    return pd.read_csv(io.StringIO(run(["dvc", "exp", "show", "--csv", *options], folder)))


@pytest.mark.slow(minutes=1)
def test_one_changed_parameter_runs_what_follows_from_it_alone(experiments_repository):
    folder = experiments_repository
    log = run(["dvc", "exp", "run", "-n", "less-dropout", "-S", "fusion.dropout=0.3"], folder)
    assert stages_run(log) == ["fusion", "evaluate", "charts", "package"]
    (new,) = runs(folder, "tags.dvc.experiment = 'less-dropout'")
    assert new.data.params["fusion.dropout"] == "0.3"
    assert new.data.metrics["test/accuracy"] == metrics(folder)["fusion"]["test"]["accuracy"]
    order = ["--sort-by", "fusion.validation.log_loss"]  # the command of README
    table = experiments(folder, "--only-changed", *order)
    assert "less-dropout" in table["Experiment"].to_list()
    columns = table.columns[table.columns.str.contains("accuracy|loss|f1|ece|epoch")]
    assert columns.str.startswith("fusion.validation.").all(), "choose by validation alone"


@pytest.mark.slow(minutes=4)
def test_six_queued_and_a_temporary_run_reach_the_one_database(experiments_repository):
    folder = experiments_repository
    grid = ["-S", "fusion.dropout=0.1,0.2,0.3", "-S", "fusion.first_dropout=0.1,0.2"]
    run(["dvc", "exp", "run", "--queue", *grid, *QUICK], folder)
    start_workers(folder)
    log = run(["dvc", "exp", "run", "--temp", "-S", "fusion.dropout=0.7", *QUICK], folder)
    assert stages_run(log) == ["fusion", "evaluate", "charts", "package"]
    status, printed = finish(folder)
    assert status.count("Success") == 6, status

    logs = "".join(printed.values())
    assert stages_run(logs).count("fusion") == 6
    assert "extract" not in stages_run(logs)
    assert "cannot be used" not in logs
    assert "locked" not in logs

    tried = [r for r in runs(folder, "tags.dvc.experiment != ''") if r.data.params]
    assert len(tried) == 7
    assert {r.data.tags["model"] for r in tried} == {"fusion"}
    shown = run(["dvc", "exp", "show", "--csv"], folder)
    for found in tried:
        (row,) = [x for x in shown.splitlines() if found.data.tags["dvc.experiment"] in x]
        assert str(found.data.metrics["validation/accuracy"]) in row
    assert "0 completed, 0 created" in run(["python", "-m", "rakuten", "sync"], folder)


@pytest.mark.slow(minutes=2)
def test_a_grid_is_queued_and_its_experiments_sorted(experiments_repository):
    """The commands of docs/experiments.md."""
    folder = experiments_repository
    run(["dvc", "exp", "run", "--queue", "-S", "image_ensemble.frame=0.25,1.0", "charts"], folder)
    start_workers(folder)
    status, printed = finish(folder)
    assert status.count("Success") == 2, status
    logs = "".join(printed.values())
    assert stages_run(logs).count("image_ensemble") == 2
    assert not {"extract", "encode_text", "encode_image"} & set(stages_run(logs))
    metric = "late_fusion.validation.log_loss"
    shown = experiments(folder, "--sort-by", metric)
    tried = shown[shown["Experiment"].isin(printed)]
    assert sorted(tried["image_ensemble.frame"]) == [0.25, 1.0]
    assert tried[metric].is_monotonic_increasing


@pytest.mark.slow(minutes=2)
def test_a_value_tried_before_is_taken_from_the_run_cache(experiments_repository):
    folder = experiments_repository
    before = (folder / "dvc.lock").read_bytes(), metrics(folder)
    assert "fusion" in stages_run(run("dvc exp run -S fusion.dropout=0.4", folder))
    assert metrics(folder) != before[1]
    log = run("dvc exp run -S fusion.dropout=0.5", folder)
    # Stages whose outputs all came with git did not run in this clone: DVC has no run of them.
    assert set(stages_run(log)) <= {"evaluate", "charts"}, "a training ran again"
    assert ((folder / "dvc.lock").read_bytes(), metrics(folder)) == before


@pytest.mark.slow(minutes=2)
def test_what_was_trained_in_a_copy_is_taken_from_the_run_cache(experiments_repository):
    """`--temp` and `--queue` share the run cache with the workspace."""
    folder = experiments_repository
    log = run(["dvc", "exp", "run", "--temp", "-S", "fusion.dropout=0.4", *QUICK], folder)
    assert "fusion" in stages_run(log)
    run(["dvc", "exp", "run", "--queue", "-S", "fusion.dropout=0.4,0.5", *QUICK], folder)
    start_workers(folder)
    status, printed = finish(folder)
    assert status.count("Success") == 2, status
    assert sum("fusion" in stages_run(log) for log in printed.values()) <= 1, "0.4 ran again"
    for dropout in ("0.5", "0.4"):
        value = ["-S", f"fusion.dropout={dropout}"]
        assert not TRAINED & set(stages_run(run(["dvc", "exp", "run", *value, *QUICK], folder)))
    log = run(["dvc", "exp", "run", "--temp", "-S", "fusion.dropout=0.5", *QUICK], folder)
    assert not TRAINED & set(stages_run(log))


@pytest.mark.slow(minutes=2)
def test_a_sweep_whose_workers_were_killed_is_reported_and_continued(experiments_repository):
    """The commands of docs/experiments.md."""
    folder = experiments_repository
    sweep = ["dvc", "exp", "run", "--queue", "-S", "fusion.dropout=0.21,0.22,0.23"]
    run(sweep, folder)
    start_workers(folder)
    until = time.monotonic() + HANG
    while len(killed := _processes(folder, "stages.fusion")) < 2:
        assert time.monotonic() < until, run(["dvc", "queue", "status"], folder)
        time.sleep(0.5)
    for process in killed + _processes(folder, "queue-worker") + _processes(folder, "exec-run"):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    status = run(["dvc", "queue", "status"], folder)
    assert status.count("Running") == 2
    assert status.count("Queued") == 1
    assert "Worker status: 0 active" in status

    run(["dvc", "queue", "stop", "--kill"], folder)
    status = run(["dvc", "queue", "status"], folder)
    assert status.count("Failed") == 2, status
    assert (experiments(folder)["State"] == "Failed").sum() == 2
    run(["dvc", "queue", "remove", "--all"], folder)
    run([*sweep, *QUICK], folder)
    start_workers(folder)
    status, _ = finish(folder)
    assert status.count("Success") == 3, status


def _processes(folder, words):
    """The running processes of a repository whose command has these words."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if words in " ".join(process.cmdline()) and Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


@pytest.mark.slow(minutes=1)
def test_an_experiment_is_shared_through_git_and_a_folder(experiments_repository, tmp_path):
    """The commands of docs/experiments.md."""
    mine, hub, storage_folder = experiments_repository, tmp_path / "hub.git", tmp_path / "storage"
    run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(hub)], tmp_path)
    run(["git", "remote", "set-url", "origin", str(hub)], mine)
    run(["git", "push", "--quiet", "origin", "HEAD:main"], mine)
    experiment = ["-S", "fusion.dropout=0.3", *QUICK]

    # Without a remote of one's own, no file is written anywhere.
    refused = run("dvc push || echo refused", mine)
    assert "no remote specified" in refused
    assert refused.endswith("refused\n")
    run(["dvc", "exp", "run", "--temp", "-n", "without-files", *experiment], mine)
    assert "uploaded" not in run(["dvc", "exp", "push", "origin", "without-files"], mine)
    assert not Path("/.dvc").exists()

    run(["dvc", "remote", "add", "--default", "storage", str(storage_folder)], mine)
    run(["git", "commit", "--quiet", "-m", "Keep results in the folder", ".dvc/config"], mine)
    run(["git", "push", "--quiet", "origin", "HEAD:main"], mine)
    run(["dvc", "exp", "run", "-n", "dropout-03", *experiment], mine)
    shared = (mine / "dvc.lock").read_bytes()
    run("git checkout --quiet . && dvc checkout --quiet", mine)
    assert re.search(r"\d+ files uploaded", run("dvc exp push origin dropout-03", mine))
    assert storage_folder.is_dir()
    assert not Path("/.dvc").exists()

    theirs = tmp_path / "theirs"
    run(["git", "clone", "--quiet", str(hub), str(theirs)], tmp_path)
    share_environment(theirs, mine)
    run(["dvc", "pull", "data.dvc"], theirs)
    run(["dvc", "exp", "pull", "origin", "dropout-03"], theirs)
    run(["dvc", "exp", "apply", "dropout-03"], theirs)
    assert stages_run(run(["dvc", "repro"], theirs)) == []
    assert (theirs / "dvc.lock").read_bytes() == shared
    assert metrics(theirs) != metrics(mine)


@pytest.mark.slow(minutes=1)
def test_the_calls_of_the_vs_code_extension_work(experiments_repository):
    """`plots diff` is tested in tests/reports/test_plots_page.py."""
    folder = experiments_repository

    def call(command):
        return json.loads(run(f"{command} --json 2> /dev/null", folder))

    run(["dvc", "exp", "run", "-n", "other", "-S", "fusion.dropout=0.3", *QUICK], folder)
    shown = call("dvc exp show -n 1")
    assert [one["rev"] for one in shown] == ["workspace", run("git rev-parse HEAD", folder).strip()]
    (experiment,) = [one for entry in shown for one in entry["experiments"] or []]
    (revision,) = experiment["revs"]
    assert revision["name"] == "other"
    data = revision["data"]
    assert not any(
        value.get("error") for kind in ("params", "metrics") for value in data[kind].values()
    )
    assert list(data["metrics"]) == ["reports/evaluate/metrics.json"]

    params = call("dvc params diff HEAD")
    assert params["params.yaml"]["fusion.dropout"] == {"old": 0.5, "new": 0.3, "diff": -0.2}
    compared = call("dvc metrics diff --all HEAD")["reports/evaluate/metrics.json"]
    metrics = ("accuracy", "weighted_f1", "macro_f1", "log_loss", "ece")
    assert {f"fusion.validation.{name}" for name in metrics} < set(compared)
    changed = {name for name, values in compared.items() if values["diff"] != 0}
    assert "fusion.validation.log_loss" in changed
    assert all(name.startswith("fusion.") for name in changed)
    status = call("dvc data status --granular --unchanged")
    assert "build/fusion/weights.npz" in status["committed"]["modified"]
    assert "data/X_train.csv" in status["unchanged"]
    assert not status.get("not_in_cache")


LOADS = """
import sys, time
from rakuten.serving.classifier import Product, ProductClassifier
print("ready", flush=True)
while not sys.stdin.closed:
    (found,) = ProductClassifier.load().predict([Product("Piscine ronde")])
    print(found.code, flush=True)
"""


def test_predictions_continue_while_dvc_rebuilds_the_package(experiments_repository):
    folder = experiments_repository
    process = subprocess.Popen(
        [sys.executable, "-c", LOADS], cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n"
        for _ in range(2):
            run(["dvc", "repro", "--force", "--single-item", "package"], folder)
        assert process.poll() is None, process.stderr.read()
    finally:
        process.kill()
    output, messages = process.communicate()
    codes = output.split()
    assert len(codes) > 1
    assert len(set(codes)) == 1
    assert all("waiting for it" in line for line in messages.splitlines())
