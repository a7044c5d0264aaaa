"""Fixtures shared by the tests."""

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from repository import clone, run, share_environment

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

BUILDING = {"repro_log", "visit"}
"""Fixtures that need `built_repository`; `visit` asks for it when it is called."""


@pytest.hookimpl(trylast=True)  # when other tests are deselected
def pytest_collection_modifyitems(items):
    """Run the longest tests first, so that no process waits long for another at the end.

    The first test builds `built_repository`. The next ones do not need it, so that the other
    processes need not wait.
    """
    items.sort(key=lambda item: -_minutes(item))
    waiting = [item for item in items if BUILDING.intersection(item.fixturenames)]
    others = [item for item in items if item not in waiting]
    items[:] = [*waiting[:1], *others, *waiting[1:]]


def _minutes(item):
    marks = [*item.iter_markers("slow"), *item.iter_markers("scale")]
    return max((mark.kwargs.get("minutes", 0) for mark in marks), default=0)


@pytest.fixture(autouse=True)
def tensorflow_settings(request):
    """Configure TensorFlow as a stage does, before the first tensor of a test that uses it."""
    if "tensorflow" in request.keywords:
        from rakuten import determinism

        determinism.configure(seed=3, threads=2)


@pytest.fixture(scope="session")
def repro_log(tmp_path_factory):
    """The output of `make repro` in a fresh clone, which is `built_repository`.

    The first process of a parallel run builds, the others wait and use the same clone.
    `BUILT_REPOSITORY` names one that was built before, to save minutes while working on a test.
    """
    if "BUILT_REPOSITORY" in os.environ:
        folder = Path(os.environ["BUILT_REPOSITORY"])
        return folder, (folder / "repro.log").read_text()
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "built here" / "rakuten"  # every command works in a path with a space
    log = folder / "repro.log"
    with FileLock(shared / "built.lock"):
        if not log.exists():
            assert not folder.exists(), f"make repro failed in another process, in {folder}"
            folder.parent.mkdir()
            clone(folder)
            (folder / ".git" / "info" / "exclude").write_text("/repro.log\n")
            log.write_text(run(["make", "repro"], folder))
    return folder, log.read_text()


@pytest.fixture(scope="session")
def built_repository(repro_log):
    """A fresh clone in which `make repro` has run."""
    return repro_log[0]


@pytest.fixture
def experiments_repository(built_repository, tmp_path):
    """A copy of the built repository, committed, to run experiments in.

    It shares the environment and leaves out .dvc/tmp, where DVC may be at work.
    """
    folder = tmp_path / "rakuten"
    folder.mkdir()
    run(
        f"tar -C '{built_repository}' --exclude ./.venv --exclude ./.dvc/tmp -cf - . | tar -xf -",
        folder,
    )
    share_environment(folder, built_repository)
    run(["git", "commit", "-qam", "as built on this machine", "--allow-empty"], folder)
    run("rm -rf mlflow.db mlartifacts && python -m rakuten sync", folder)
    return folder


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An mlflow.db with its schema, created once and copied: that takes seconds."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def project(tmp_path, monkeypatch, empty_store):
    """A repository with one result and its own MLflow store."""
    from tracking_cases import git, write_project

    from rakuten import storage

    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("/build/\n/mlflow.db\n/mlartifacts/\n/.dvc/\n")
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    write_project(tmp_path)
    storage.write_text("params.yaml", "seed: 1\n")
    storage.write_text(
        "dvc.yaml",
        "stages:\n  text:\n    cmd: python -m stages.text\n    deps: [params.yaml]\n"
        "    params: [seed]\n    outs: [build/text/outputs.npz]\n",
    )
    return tmp_path


@pytest.fixture
def mirror(project):
    """An empty store for the project's runs."""
    from rakuten.tracking.mirror import SYNC_TIME_LIMIT, Mirror

    return Mirror(SYNC_TIME_LIMIT)


@pytest.fixture(scope="module")
def chromium():
    """A browser."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        pytest.fail("Chromium is not there: install it (Debian: apt-get install chromium)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
