"""`python -m rakuten drift` with a package, files and an MLflow store."""

import json
import shutil

import pandas as pd
import pytest
from package_cases import title, write_package
from prediction_cases import write_csv

from rakuten import storage
from rakuten.reports import drift_command
from rakuten.serving import batch_prediction, drift_input, drift_reference, rebuilds
from rakuten.tracking.mirror import Mirror
from rakuten.tracking.sync import sync

COUNT = 100
LIMITS = "drift:\n  psi: 0.2\n  missing: 0.5\n  alpha: 0.01\n"


def rows(count=COUNT, words=title):
    """Products with the words of every category in turn."""
    return [[i, words(i % 27), f"produit{i % 27}", i, i] for i in range(count)]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A package and its reference: what the command measures of products that the model knows."""
    root = tmp_path_factory.mktemp("drift")
    folder = write_package(root / "package")
    options = {"images": None, "model": "late_fusion", "top": 1, "submission": False}
    source, out = write_csv(root / "known.csv", rows(270)), root / "predictions.csv"
    batch_prediction.predict_file(
        batch_prediction.Options(source, out, package=folder, restart=False, **options),
        batch_prediction.ProductClassifier.load,
    )
    measured, _ = drift_input.measure(source, out, None, folder, progress=lambda items, **_: items)
    alone = measured[["category", "confidence"]].add_suffix("_from_text")
    storage.write_table(folder / drift_reference.FILE, pd.concat([measured, alone], axis=1))
    return folder


@pytest.fixture
def workplace(project, built):
    """A project with that package."""
    storage.write_text("params.yaml", LIMITS)
    shutil.copytree(built, "build/package")
    return project


def run(*arguments):
    return drift_command.main([str(argument) for argument in arguments])


def drift_runs(mirror):
    return [run for run in mirror.all_runs() if run.data.tags.get("source") == "drift"]


def test_products_like_the_training_data_and_others(workplace, mirror, capsys):
    write_csv(workplace / "like.csv", rows())
    assert run("like.csv") == 0
    shown = capsys.readouterr().out
    assert "predicted category" in shown
    assert shown.endswith("no drift: see build/drift/index.html\n")

    write_csv(workplace / "other.csv", rows(words=lambda _: "the dog and the box of the man"))
    assert run("other.csv", "-o", "found") == 1
    assert capsys.readouterr().out.endswith("drift: see found/index.html\n")
    found = json.loads((workplace / "found/drift.json").read_text())
    drifted = {one["name"] for one in found["measurements"] if one["drift"]}
    assert {"confidence", "title_length"} <= drifted
    assert found["not_measured"][0] == "image missing"
    assert (found["file"], found["products"]) == ("other.csv", COUNT)
    assert "other.csv: drift" in (workplace / "found/index.html").read_text()

    # The predictions that it wrote may be passed, and MLflow has a run of each comparison.
    assert run("like.csv", "build/drift/drift_predictions.csv") == 0
    first, second, third = sorted(drift_runs(mirror), key=lambda one: one.info.start_time)
    assert [one.info.run_name for one in (first, second)] == [
        "Drift of like.csv",
        "Drift of other.csv",
    ]
    assert {one.info.status for one in (first, second, third)} == {"FINISHED"}
    assert first.data.metrics == third.data.metrics
    assert first.data.metrics["drift/measurements"] == 0
    assert second.data.metrics["drift/psi_title_length"] > 0.2
    assert second.data.params["psi"] == "0.2"
    assert "title length" in second.data.tags["mlflow.note.content"]
    names = {file.path for file in mirror.call("list_artifacts", second.info.run_id)}
    assert names == {"index.html", "drift.json"}
    sync(mirror, workplace)
    assert len(drift_runs(mirror)) == 3


def test_a_comparison_can_be_repeated_after_the_file_has_changed(workplace):
    write_csv(workplace / "new.csv", rows(40))
    assert run("new.csv") == 0
    write_csv(workplace / "new.csv", rows(54))
    assert run("new.csv") == 0
    assert len(pd.read_csv("build/drift/drift_predictions.csv")) == 54


def test_predictions_of_the_user_are_not_overwritten(workplace):
    write_csv(workplace / "new.csv", rows(40))
    kept = workplace / "found/predictions.csv"
    storage.write_text(kept, "mine")
    assert run("new.csv", "-o", "found") == 0
    assert kept.read_text() == "mine"


def test_an_interrupted_prediction_continues(workplace, monkeypatch, capsys):
    write_csv(workplace / "new.csv", rows(300))
    classify, seen = batch_prediction.ProductClassifier.classify, []

    def interrupted(self, products, **options):
        seen.append(len(products))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return classify(self, products, **options)

    monkeypatch.setattr(batch_prediction.ProductClassifier, "classify", interrupted)
    assert run("new.csv") == 130
    assert "run the same command again to continue" in capsys.readouterr().err
    assert run("new.csv") == 0
    assert seen == [256, 44, 44]

    seen.clear()
    shutil.rmtree("build/drift")
    assert run("new.csv") == 130
    write_csv(workplace / "other.csv", rows(40))
    assert run("other.csv") == 2
    assert "pass --restart" in capsys.readouterr().err
    assert run("other.csv", "--restart") == 0


def test_products_are_predicted_with_the_package_whose_reference_is_compared(
    workplace, monkeypatch
):
    """DVC deletes a package before it writes another one."""
    (workplace / ".dvc/tmp").mkdir(parents=True, exist_ok=True)
    write_csv(workplace / "new.csv", rows(40))
    read = rebuilds.read

    def read_and_delete(folder, load):
        found = read(folder, load)
        shutil.rmtree("build/package", ignore_errors=True)
        return found

    monkeypatch.setattr(rebuilds, "read", read_and_delete)
    assert run("new.csv") == 0


def test_a_store_that_cannot_be_used_costs_one_warning(workplace, monkeypatch, capsys):
    write_csv(workplace / "new.csv", rows())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    assert run("new.csv") == 0
    error = capsys.readouterr().err
    assert "warning: not logged to MLflow" in error
    assert "secret" not in error


@pytest.mark.parametrize(("error", "status"), [(OSError("no space"), 0), (KeyboardInterrupt, 130)])
def test_a_run_that_cannot_be_completed_has_failed(
    workplace, mirror, monkeypatch, capsys, error, status
):
    write_csv(workplace / "new.csv", rows())
    call = Mirror.call

    def fail(self, method, *arguments, **options):
        if method == "log_artifact":
            raise error
        return call(self, method, *arguments, **options)

    monkeypatch.setattr(Mirror, "call", fail)
    assert run("new.csv") == status
    assert capsys.readouterr().err.count("no space" if status == 0 else "interrupted") == 1
    assert [one.info.status for one in drift_runs(mirror)] == ["FAILED"]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda: (drift_command.FOLDER.parent / "package/reference.parquet").unlink(),
         "comes without reference.parquet, another version"),
        (lambda: (drift_command.FOLDER.parent / "package/package.json").unlink(),
         "the package cannot be read: build/package/package.json does not exist: run 'make repro'"),
        (lambda: storage.write_text("build/package/package.json", '{"categories": [10'),
         "the package cannot be read: "),
        (lambda: storage.write_text("build/package/package.json", "{}"), "has 0 categories"),
        (lambda: storage.write_text("params.yaml", "seed: 1\n"), "no entry 'drift'"),
        (lambda: storage.write_text("params.yaml", LIMITS.replace("0.2", "-1")), "drift.psi is -1"),
        (lambda: storage.write_text("new.csv", "title\na\n"), "no column designation"),
        (lambda: (drift_command.FOLDER / "index.html").mkdir(parents=True), "index.html"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_ends_with_status_2(workplace, break_it, message, capsys):
    write_csv(workplace / "new.csv", rows(5))
    break_it()
    assert run("new.csv") == 2
    assert message in capsys.readouterr().err
