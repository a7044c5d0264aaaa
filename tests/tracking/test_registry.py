"""Registering and promoting, with packages of a few kilobytes that hold no model."""

import functools
import json
import re
import shutil
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
from package_cases import IMAGE_SPEC, SECTION
from tracking_cases import commit, copy_without_store, predictions, shown

from rakuten import storage
from rakuten.categories import CODES
from rakuten.evaluation.published import PUBLISHED
from rakuten.model_names import MAIN
from rakuten.serving import package
from rakuten.tracking import git, registry, serve_command
from rakuten.tracking.command import main
from rakuten.tracking.mirror import KEY, SYNC_TIME_LIMIT, Mirror
from rakuten.tracking.sync import sync

LABELS = np.arange(40) % 4


def write_package(root, wrong=4, data="abc", ids=None, labels=LABELS):
    """Write a package that is wrong on the first `wrong` of its 40 test products; its digest."""
    predicted = np.where(np.arange(40) < wrong, 9, labels)
    tested = predictions(np.arange(40) if ids is None else ids, labels, predicted)
    folder = root / "build/package"
    figures = {"weighted_f1": 1 - wrong / 40, "accuracy": 1 - wrong / 40, "ece": None, "rows": 40}
    summary = {
        "dataset": {"name": "tiny", "digest": data},
        "models": dict.fromkeys(MAIN, False),
        "fitted_on": {"rows": "all", "products": 200, "text": 190, "image": 180},
        "test": {"late_fusion": figures},
        "threads": 1,
        "encode_text": {"encoder": "none"},
        "encode_image": {"encoder": "small", **SECTION},
        "text_encoder": None,
        "image_encoder": IMAGE_SPEC.to_json(),
        "text_ensemble": {},
        "backbone": None,
        "categories": list(CODES),
        "prior": [1 / 27] * 27,
    }
    storage.write_arrays(folder / "test.npz", **tested)
    storage.write_arrays(folder / "fusion/weights.npz", weights=np.ones(2), biases=np.zeros(27))
    storage.write_json(folder / "package.json", summary)
    return package.digest(folder)


pinned = functools.cache(registry.requirements.pinned)


@pytest.fixture
def packaged(project, monkeypatch):
    """A repository with a package; its requirements are computed once for all tests."""
    monkeypatch.setattr(registry.requirements, "pinned", pinned)
    storage.write_text("params.yaml", "seed: 1\nevaluate:\n  resamples: 200\n  confidence: 0.95\n")
    write_package(project)
    commit(project)
    return project


def champion(mirror):
    found = mirror.call("get_model_version_by_alias", registry.NAME, registry.CHAMPION)
    return int(found.version)


def record(root):
    return json.loads((root / registry.RECORD).read_text())


def test_a_package_is_registered_once(packaged, mirror, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # whatever the environment says
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert registry.register(mirror, packaged) == (1, True)
    assert registry.register(mirror, packaged) == (1, False)
    version = mirror.call("get_model_version", registry.NAME, "1")
    digest = package.digest(packaged / "build/package")
    assert version.tags == {
        "package.digest": digest, "data.name": "tiny", "data.digest": "abc",
        "git.commit": git.head(packaged), "test.weighted_f1": "0.9", "test.accuracy": "0.9",
        "test.rows": "40",
    }  # fmt: skip
    assert "weighted F1 90.0%, accuracy 90.0% on 40 test products" in version.description
    assert "refitted on all 200 labelled products" in version.description
    run = mirror.call("get_run", version.run_id)
    assert (run.info.run_name, run.info.status) == (f"package {digest[:7]}", "FINISHED")
    assert run.data.metrics["test/weighted_f1"] == 0.9
    assert run.inputs.dataset_inputs[0].dataset.digest == "abc"

    logged = next((packaged / "mlartifacts/models").iterdir()) / "artifacts"
    files = {path.relative_to(logged).as_posix() for path in logged.rglob("*") if path.is_file()}
    assert {
        "served.py",
        "artifacts/package/test.npz",
        "code/rakuten/serving/classifier.py",
    } <= files
    endings = {name.rpartition(".")[2] for name in files}
    assert not endings & {"pkl", "pickle", "joblib", "pyc", "pt", "h5"}
    for path in logged.rglob("*"):
        assert not path.is_file() or not re.match(rb"\x80[\x02-\x05]", path.read_bytes()), path
    pinned = (logged / "requirements.txt").read_text().split()
    assert "dvc" not in {line.partition("==")[0] for line in pinned}

    write_package(packaged, wrong=3)
    assert registry.register(mirror, packaged) == (2, True)
    assert "MLFLOW_TRACKING_URI" not in registry.os.environ  # MLflow sets it on its own

    before = shown(mirror)
    assert sync(mirror, packaged)["created"] == 1 + len(PUBLISHED)
    assert len(before) == 0  # a package is not a measured model
    assert len(shown(mirror)) == 1


def test_the_files_of_a_version_say_which_it_is(packaged, mirror, monkeypatch):
    """The server reports it, also where it has neither git nor MLflow's store."""
    assert main(["promote"]) == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mirror.address)
    folder = mlflow.artifacts.download_artifacts(f"models:/{registry.NAME}@{registry.CHAMPION}")
    assert serve_command.identify(Path(folder)) == {
        "model": registry.NAME,
        "version": "1",
        "package": package.digest(packaged / "build/package"),
        "commit": git.head(packaged),
        "dataset": "tiny",
        "dataset_digest": "abc",
        "fitted_on": "all",
        "products": 200,
        "models": ["late_fusion"],
    }


def test_a_killed_registration_is_continued(packaged, mirror):
    key = f"package-{package.digest(packaged / 'build/package')}"
    left = mirror.create("package", {KEY: key, "mlflow.note.content": "a person's note"})
    assert registry.register(mirror, packaged) == (1, True)
    (run,) = mirror.runs(key)
    assert (run.info.run_id, run.info.status) == (left, "FINISHED")
    assert run.data.tags["mlflow.note.content"] == "a person's note"


def test_a_registration_in_another_clone_is_left_alone(packaged, mirror):
    key = f"package-{package.digest(packaged / 'build/package')}"
    mirror.clone, clone = "other", mirror.clone
    mirror.create("package", {KEY: key})
    (before,) = mirror.runs(key)
    mirror.clone = clone
    assert registry.register(mirror, packaged) == (1, True)
    after, own = mirror.runs(key)
    assert after.to_dictionary() == before.to_dictionary()
    assert own.data.tags["data"] == "tiny"
    assert "Trained on tiny" in own.data.tags["mlflow.note.content"]


def test_a_deleted_version_is_registered_again(packaged, mirror):
    """The code of the library may have changed since the first registration."""
    registry.register(mirror, packaged)
    mirror.call("delete_model_version", registry.NAME, "1")
    assert registry.register(mirror, packaged) == (2, True)
    assert len(mirror.runs(f"package-{package.digest(packaged / 'build/package')}")) == 1


def test_a_package_of_links_is_registered(packaged, mirror, tmp_path_factory):
    """DVC makes links with `cache.type symlink`."""
    kept = tmp_path_factory.mktemp("cache") / "test.npz"
    path = packaged / "build/package/test.npz"
    path.replace(kept)
    path.symlink_to(kept)
    assert registry.register(mirror, packaged) == (1, True)


def test_an_incomplete_package_is_refused(packaged, mirror):
    (packaged / "build/package/test.npz").unlink()
    with pytest.raises(registry.RegistryError, match=r"no test\.npz: run 'make repro'"):
        registry.register(mirror, packaged)
    shutil.rmtree(packaged / "build/package")
    with pytest.raises(
        registry.RegistryError, match="has no version and build/package does not exist"
    ):
        registry.promote(mirror, packaged)


def test_champion_shows_it_or_the_command_that_makes_one(packaged, mirror, capsys):
    assert main(["champion"]) == 2
    assert "run 'python -m rakuten promote', which also registers" in capsys.readouterr().err
    storage.write_json(packaged / registry.RECORD, {"package": "f" * 32})
    assert main(["champion"]) == 2
    assert "run 'python -m rakuten sync', which restores" in capsys.readouterr().err
    (packaged / registry.RECORD).unlink()
    main(["promote"])
    capsys.readouterr()
    assert main(["champion"]) == 0
    assert "version 1 of rakuten-product-classifier. Trained on tiny" in capsys.readouterr().out


def test_the_first_version_becomes_champion(packaged, mirror, capsys):
    assert main(["promote"]) == 0
    assert "it is the first one" in capsys.readouterr().out
    assert champion(mirror) == 1
    first = record(packaged)
    assert (first["reason"], first["comparison"]) == ("first champion", None)
    assert first["test"] == {"weighted_f1": 0.9, "accuracy": 0.9, "rows": 40}

    assert main(["promote"]) == 0
    assert "version 1" in (output := capsys.readouterr().out)
    assert "is already the champion" in output
    assert record(packaged) == first


def test_a_version_whose_interval_is_above_0_becomes_champion(packaged, mirror, capsys):
    main(["promote"])
    first = record(packaged)
    digest = write_package(packaged, wrong=1)
    assert main(["promote"]) == 0
    output = capsys.readouterr().out
    assert "accuracy     97.50% against 90.00%: +7.50 points" in output
    assert "40 test products" in output
    assert "above 0: version 2" in output
    assert champion(mirror) == 2
    now = record(packaged)
    assert (now["package"], now["reason"]) == (digest, "compared")
    assert now["comparison"]["champion"] == first["package"]
    assert now["comparison"]["accuracy"]["difference"] == 0.075
    low, high = (now["comparison"]["weighted_f1"][key] for key in ("low", "high"))
    assert 0 < low < now["comparison"]["weighted_f1"]["difference"] < high


@pytest.mark.parametrize(
    ("wrong", "gain", "outcome"),
    [
        (8, "-10.00", "weighted F1 is not better"),
        (3, "+2.50", "the interval of the gain in weighted F1 contains 0"),
    ],
)
def test_another_version_needs_accept(packaged, mirror, capsys, wrong, gain, outcome):
    main(["promote"])
    first = record(packaged)
    digest = write_package(packaged, wrong=wrong)
    assert main(["promote"]) == 1
    output = capsys.readouterr().out
    assert f"against 90.00%: {gain} points" in output
    assert f"{outcome}: the champion stays; to promote anyway, run\n" in output
    assert "    python -m rakuten promote --version 2 --accept\n" in output
    assert (champion(mirror), record(packaged)) == (1, first)

    assert main(["promote", "--version", "2", "--accept"]) == 0
    assert f"{outcome}: version 2 (package {digest[:7]}, tiny) is now the champion" in (
        capsys.readouterr().out
    )
    assert champion(mirror) == 2
    now = record(packaged)
    assert (now["package"], now["reason"]) == (digest, "accepted after comparison")
    assert now["comparison"]["weighted_f1"]["low"] <= 0


def test_an_unknown_version_is_an_error(packaged, mirror, capsys):
    main(["promote"])
    assert main(["promote", "--version", "7"]) == 2
    assert "no version 7: expected one of 1" in capsys.readouterr().err


def test_accept_and_replace_exclude_each_other(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["promote", "--accept", "--replace"])
    assert ended.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_metrics_of_different_data_are_not_compared(packaged, mirror, capsys):
    assert main(["promote"]) == 0
    write_package(packaged, wrong=0, data="def")
    assert main(["promote"]) == 2
    output = capsys.readouterr().err
    assert "tiny (def)" in output
    assert "tiny (abc)" in output
    assert "--replace" in output
    assert champion(mirror) == 1
    assert main(["promote", "--replace"]) == 0
    assert "without a comparison" in capsys.readouterr().out
    assert champion(mirror) == 2
    assert record(packaged)["reason"] == "replaced without comparison"


def test_packages_with_other_test_products_are_not_compared(packaged, mirror, capsys):
    main(["promote"])
    write_package(packaged, wrong=0, ids=np.arange(100, 140))
    assert main(["promote"]) == 2
    assert "no product in common" in capsys.readouterr().err
    write_package(packaged, wrong=0, labels=LABELS + 1)
    assert main(["promote"]) == 2
    assert "different categories" in capsys.readouterr().err


@pytest.mark.slow
def test_sync_restores_the_champion(
    packaged, mirror, empty_store, tmp_path_factory, monkeypatch, capsys
):
    assert registry.restore(mirror, packaged) is None  # never promoted: nothing to restore
    main(["promote"])
    kept = record(packaged)
    packaged = copy_without_store(packaged, tmp_path_factory.mktemp("copy") / "copy", empty_store)
    monkeypatch.setenv("DVC_ROOT", str(packaged))
    monkeypatch.chdir(packaged)
    mirror = Mirror(SYNC_TIME_LIMIT)
    capsys.readouterr()
    assert main(["sync"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line == f"champion: version 1 of {registry.NAME}, rebuilt"
    assert champion(mirror) == 1
    assert record(packaged) == kept

    better = write_package(packaged, wrong=1)
    registry.register(mirror, packaged)
    mirror.call("set_registered_model_alias", registry.NAME, registry.CHAMPION, "2")
    assert "version 2 of " + registry.NAME + " is kept" in registry.restore(mirror, packaged)
    assert champion(mirror) == 2  # someone chose it in MLflow
    mirror.call("delete_registered_model_alias", registry.NAME, registry.CHAMPION)
    assert registry.restore(mirror, packaged).endswith(
        "version 1 of " + registry.NAME + ", alias restored"
    )
    assert champion(mirror) == 1
    assert registry.restore(mirror, packaged).endswith("kept")

    mirror.call("delete_registered_model_alias", registry.NAME, registry.CHAMPION)
    storage.write_json(packaged / registry.RECORD, kept | {"package": "f" * 32})
    output = registry.restore(mirror, packaged)
    assert "package fffffff of reports/champion.json is neither in MLflow nor in build" in output
    assert main(["promote"]) == 2  # the recorded champion is unknown: it is not replaced silently
    assert "pass --replace" in capsys.readouterr().err
    storage.write_json(packaged / registry.RECORD, kept | {"package": better})
    assert registry.restore(mirror, packaged).startswith("champion: version 2")
    storage.write_text(packaged / registry.RECORD, "<<<<<<< HEAD\n")
    assert main(["promote"]) == 2
    assert "reports/champion.json cannot be read" in capsys.readouterr().err


@pytest.mark.slow
def test_a_champion_that_another_clone_promoted_stays(packaged, mirror, capsys):
    main(["promote"])
    kept = record(packaged)
    write_package(packaged, wrong=1)
    registry.register(mirror, packaged)
    mirror.clone = "other"
    assert registry.promote(mirror, packaged).is_champion
    storage.write_json(packaged / registry.RECORD, kept)  # the other clone has a file of its own

    write_package(packaged, wrong=0)
    capsys.readouterr()
    assert main(["promote"]) == 2
    remedy = "the champion; pull its reports/champion.json, or pass --replace"
    assert remedy in capsys.readouterr().err
    mirror = Mirror(SYNC_TIME_LIMIT)
    line = registry.restore(mirror, packaged)
    assert line.startswith("champion: not restored: another clone of the repository made version 2")
    assert champion(mirror) == 2
    assert main(["promote", "--version", "1", "--replace"]) == 0
    assert champion(mirror) == 1


@pytest.mark.slow
def test_a_promotion_that_could_not_set_the_alias_can_be_repeated(packaged, mirror, monkeypatch):
    assert registry.promote(mirror, packaged).is_champion
    write_package(packaged, wrong=1)
    call = Mirror.call

    def fail(self, method, *arguments, **options):
        if method == "set_registered_model_alias":
            raise OSError("no connection")
        return call(self, method, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Mirror, "call", fail)
        with pytest.raises(OSError, match="no connection"):
            registry.promote(mirror, packaged, accept=True)
    assert champion(mirror) == 1
    assert registry.promote(mirror, packaged).is_champion
    assert champion(mirror) == 2


def test_a_champion_named_in_mlflow_alone_counts(packaged, mirror):
    registry.register(mirror, packaged)
    mirror.call("set_registered_model_alias", registry.NAME, registry.CHAMPION, "1")
    decision = registry.promote(mirror, packaged)
    assert decision.is_champion
    assert record(packaged)["reason"] == "named in MLflow"


def test_an_unavailable_store_is_an_error(packaged, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.delenv(name, raising=False)
    assert main(["promote"]) == 2
    assert "cannot be used" in capsys.readouterr().err
