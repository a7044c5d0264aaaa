"""Small projects, runs and predictions that the tests of tracking share."""

import hashlib
import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import yaml

from rakuten import storage


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_project(folder, dropout=0.5, accuracy=0.8, first_epoch=1):
    """Write the files of a project whose text model was trained and evaluated."""
    curves = pd.DataFrame({"train_loss": [0.3, 1 / 3], "train_accuracy": [0.5, 1]})
    curves.insert(0, "epoch", [first_epoch, first_epoch + 1])
    storage.write_csv(folder / "reports/text/history.csv", curves)
    storage.write_json(folder / "reports/text/metrics.json", {"parameters": 9, "epochs": 2})
    scores = {"text": {"test": {"accuracy": accuracy, "log_loss": None}}}
    storage.write_json(folder / "reports/evaluate/models.json", scores)
    storage.write_json(folder / "reports/clean.json", {"dataset": {"name": "tiny"}})
    for name in (
        "confusion_text.png",
        "confusion_fusion.png",
        "all.png",
    ):
        storage.write_bytes(folder / "reports/charts" / name, b"PNG")
    storage.write_csv(folder / "reports/evaluate/tables/predictions_text.csv", curves)
    storage.write_text(folder / "data.dvc", "outs:\n- md5: abc.dir\n  path: data\n")
    storage.write_text(folder / "build/text/outputs.npz", f"outputs {dropout}")
    measured_on = {"build/text/outputs.npz": md5(folder / "build/text/outputs.npz")}
    timings = {"fit_seconds": 1.5, "measured_on": measured_on}
    storage.write_json(folder / "build/timings/text.json", timings)

    def file(path):
        return {"path": path, "md5": md5(folder / path)}

    outputs = file("build/text/outputs.npz")
    lock = {
        "clean": {
            "cmd": "python -m stages.clean",
            "deps": [{"path": "data/X_train.csv", "md5": "1"}],
            "params": {"params.yaml": {"clean": {"lemmatize": True}}},
            "outs": [{"path": "build/clean/products.parquet", "md5": "2"}],
        },
        "text": {
            "cmd": "python -m stages.text",
            "deps": [{"path": "build/clean/products.parquet", "md5": "2"}],
            "params": {"params.yaml": {"seed": 1, "text": {"dropout": dropout}}},
            "outs": [
                outputs,
                file("reports/text/history.csv"),
                file("reports/text/metrics.json"),
            ],
        },
        "evaluate": {
            "cmd": "python -m stages.evaluate",
            "deps": [outputs],
            "outs": [file("reports/evaluate/models.json")],
        },
    }
    storage.write_text(folder / "dvc.lock", yaml.safe_dump({"stages": lock}))


def add_ensembles(folder, comparison=b"PNG of all models"):
    """Add text_ensemble and late_fusion, which are not trained in epochs, and evaluate them."""
    _add_models(folder, ["text_ensemble", "late_fusion"])
    storage.write_bytes(folder / "reports/charts/all.png", comparison)


def add_fusion(folder):
    """Add the fusion net, without curves, and evaluate it."""
    _add_models(folder, ["fusion"])


def _add_models(folder, names):
    lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    scores = json.loads((folder / "reports/evaluate/models.json").read_text())
    read = lock["evaluate"]["deps"]
    for name in names:
        build, reports = folder / "build" / name, folder / "reports" / name
        storage.write_text(build / "outputs.npz", f"outputs of {name}")
        storage.write_text(build / "weights.npz", "12345")
        storage.write_json(reports / "metrics.json", {"weight": 0.7, "views": {"n": 3}, "x": "y"})
        outs = [f"build/{name}/outputs.npz", f"build/{name}/weights.npz"]
        outs.append(f"reports/{name}/metrics.json")
        outs = [
            {"path": path, "md5": md5(folder / path), "size": (folder / path).stat().st_size}
            for path in outs
        ]
        read.append({key: outs[0][key] for key in ("path", "md5")})
        lock[name] = {
            "cmd": f"python -m stages.{name}",
            "deps": [{"path": "build/clean/products.parquet", "md5": "2"}],
            "params": {"params.yaml": {name: {"folds": 5}}},
            "outs": outs,
        }
        scores[name] = {"test": {"accuracy": 0.875, "ece": None}}
        storage.write_bytes(folder / f"reports/charts/confusion_{name}.png", b"PNG")
    _record_scores(folder, lock, scores)


def add_baselines(folder):
    """Add the baselines of the text stage, and evaluate them."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    scores = json.loads((folder / "reports/evaluate/models.json").read_text())
    path = "build/text/baselines.npz"
    storage.write_text(folder / path, "baselines")
    out = {"path": path, "md5": md5(folder / path)}
    lock["text"]["outs"].append(out)
    lock["evaluate"]["deps"].append(dict(out))
    for name in ("text_logistic_regression", "text_linear_svm", "text_naive_bayes"):
        scores[name] = {"test": {"accuracy": 0.75, "rows": 40}}
    _record_scores(folder, lock, scores)


def _record_scores(folder, lock, scores):
    path = "reports/evaluate/models.json"
    storage.write_json(folder / path, scores)
    lock["evaluate"]["outs"] = [{"path": path, "md5": md5(folder / path)}]
    storage.write_text(folder / "dvc.lock", yaml.safe_dump({"stages": lock}))


def copy_without_store(folder, target, empty_store):
    """Copy a repository as it is once the MLflow store is deleted: with an empty one."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts"))
    shutil.copy(empty_store, target / "mlflow.db")
    return target


def commit(folder, message="result"):
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


def files_of(mirror, run_id, folder=None):
    for file in mirror.call("list_artifacts", run_id, folder):
        if file.is_dir:
            yield from files_of(mirror, run_id, file.path)
        else:
            yield file.path


def shown(mirror):
    """Return everything that MLflow shows of the measured runs, except times and ids."""
    runs = mirror.call("search_runs", [mirror.experiment_id], "tags.source = 'measured'")
    return sorted((_view(mirror, run) for run in runs), key=repr)


def _view(mirror, run):
    history = {
        name: sorted(
            (m.step, m.value) for m in mirror.call("get_metric_history", run.info.run_id, name)
        )
        for name in run.data.metrics
    }
    files = sorted(files_of(mirror, run.info.run_id))
    tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
    tags.pop("result.clone", None)
    data = [(d.dataset.name, d.dataset.digest) for d in run.inputs.dataset_inputs]
    return run.info.run_name, run.info.status, run.data.params, tags, history, files, data


def everything(mirror, run_id):
    """Return all that MLflow stores of a run."""
    run = mirror.call("get_run", run_id)
    history = {
        name: [(m.step, m.value, m.timestamp) for m in points]
        for name in run.data.metrics
        for points in [mirror.call("get_metric_history", run_id, name)]
    }
    files = sorted(files_of(mirror, run_id))
    return dict(run.info), run.data.to_dictionary(), history, files


def predictions(ids, labels, predicted):
    """Return the test predictions of a package that is certain of every product."""
    rows = np.full((len(ids), 27), 0.001, np.float32)
    rows[np.arange(len(ids)), predicted] = 0.974
    return {"ids": np.array(ids), "labels": np.array(labels), "probabilities": rows}
