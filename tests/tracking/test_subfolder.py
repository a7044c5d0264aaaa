"""A DVC project in a subfolder of a larger repository: experiments and their runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT
from tracking_cases import git

from rakuten import storage
from rakuten.tracking.mirror import SYNC_TIME_LIMIT, Mirror
from rakuten.tracking.sync import sync

SCRIPT = """
import json
from pathlib import Path
from rakuten import storage
from rakuten.tracking import runs

seed = storage.read_params("seed")
with runs.live_run("text") as run:
    run.log_epoch(1, {"train_loss": 1 / seed})
storage.write_text("build/text/outputs.npz", str(seed))
storage.write_json("reports/text/metrics.json", {"seed": seed})
storage.write_text("reports/text/history.csv", f"epoch,train_loss\\n1,{1 / seed}\\n")
"""
"""A stage like those that train: its result depends on the seed."""

STAGES = """
stages:
  text:
    cmd: python text.py
    deps: [text.py]
    params: [seed]
    outs: [build/text/outputs.npz]
    metrics:
      - reports/text/metrics.json: {cache: false}
    plots:
      - reports/text/history.csv: {cache: false}
"""


@pytest.mark.slow(minutes=1)
@pytest.mark.parametrize("folder", ["", "models/rakuten"], ids=["repository", "subfolder"])
def test_experiments_have_runs(tmp_path, empty_store, monkeypatch, folder):
    root = tmp_path / folder
    root.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "PATH": path,
        "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org",
    }  # fmt: skip
    for name in [name for name in environment if name.startswith(("DVC_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
        del environment[name]

    def dvc(*arguments):
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(
            command, cwd=root, env=environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    git(tmp_path, "init", "-q")
    dvc("init", "-q", *(["--subdir"] if folder else []))
    storage.write_text(root / ".gitignore", "/build/\n/mlflow.db*\n/mlartifacts/\n")
    storage.write_bytes(root / "mlflow.db", empty_store.read_bytes())
    storage.write_text(root / "text.py", SCRIPT)
    storage.write_text(root / "dvc.yaml", STAGES)
    storage.write_text(root / "params.yaml", "seed: 1\n")
    dvc("repro", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    dvc("exp", "run", "-n", "two", "-S", "seed=2")
    dvc("exp", "run", "--temp", "-n", "three", "-S", "seed=3")
    git(root, "checkout", "-q", ".")

    monkeypatch.setenv("DVC_ROOT", str(root))
    monkeypatch.chdir(root)
    mirror = Mirror(SYNC_TIME_LIMIT)
    live = {run.info.run_name: run.info.run_id for run in mirror.all_runs()}
    assert set(live) == {"Text net", "Text net two", "Text net three"}
    counts = sync(mirror, root)
    assert (counts["created"], counts["completed"]) == (3, 3)  # the published ones; the live ones
    runs = {run.info.run_name: run for run in mirror.all_runs() if run.data.params}
    assert {name: run.info.run_id for name, run in runs.items()} == live
    assert {name: run.data.metrics["model/seed"] for name, run in runs.items()} == {
        "Text net": 1.0, "Text net two": 2.0, "Text net three": 3.0,
    }  # fmt: skip
    for run in runs.values():
        assert mirror.call("list_artifacts", run.info.run_id, "text")
        mirror.call("delete_run", run.info.run_id)
    assert sync(mirror, root)["created"] == 3  # rebuilt from git
