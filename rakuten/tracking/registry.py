"""The packaged classifier in MLflow's registry: registered, compared, made champion.

A version is a package by its content; the same package is registered once. Which one is champion
stands in `reports/champion.json`, in git: like every run, the registry is a mirror, and
`python -m rakuten sync` puts version and alias back. No stage comes here.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import mlflow
from mlflow.entities.model_registry import ModelVersion

from rakuten import storage
from rakuten.serving import package as packaging
from rakuten.tracking import requirements, results
from rakuten.tracking.comparison import compare, describe
from rakuten.tracking.runs import KEY, Mirror

NAME = "rakuten-product-classifier"
"""The registered model."""

CHAMPION = "champion"
"""The alias of the version that is served."""

PACKAGE = Path("build/package")
"""What is registered, in the repository."""

RECORD = Path("reports/champion.json")
"""Which package is champion, and by which comparison; in git."""

DIGEST, DATA, DATA_DIGEST = "package.digest", "data.name", "data.digest"
"""Tags of a version."""

SERVED = Path(__file__).with_name("served.py")
LIBRARY = Path(__file__).parents[1]


class RegistryError(RuntimeError):
    """A package cannot be registered or compared; the message says what to do."""


class Decision(NamedTuple):
    """What came of a promotion.

    Attributes:
        is_champion: Whether the candidate is the champion now.
        told: For people: the figures, and what was done.
    """

    is_champion: bool
    told: str


def register(mirror: Mirror, repository: Path) -> tuple[int, bool]:
    """Register the workspace's package, unless a version of the same content is there.

    Args:
        mirror: The store.
        repository: The repository that holds `PACKAGE`.

    Returns:
        The version, and whether it is new.

    Raises:
        RegistryError: If there is no package, or one from before packages could be compared.
    """
    folder = repository / PACKAGE
    summary = _summary(folder)
    digest = packaging.digest(folder)
    with mirror.exclusive():
        if found := _version_of(mirror, digest):
            return int(found.version), False
        key = f"package-{digest}"
        for run in mirror.runs(key):  # of a process that was killed, or of a deleted version
            mirror.do("delete_run", run.info.run_id)
        tags = _tags(summary, digest, results.head(repository))
        belonging = {KEY: key, "source": "packaged", "model": "package", "dvc.stage": "package"}
        run_id = mirror.create(f"package {digest[:7]}", belonging | tags)
        mirror.log(run_id, metrics=_figures(summary, "test/"))
        mirror.log_dataset(run_id, summary["dataset"])
        logged = _log(mirror, run_id, folder)
        mirror.do("set_terminated", run_id, "FINISHED")
        with _default_store(mirror):
            version = mlflow.register_model(logged, NAME, tags=tags)
        mirror.do("update_model_version", NAME, version.version, _description(summary, tags))
        return int(version.version), True


def promote(
    mirror: Mirror, repository: Path, *, version: int | None = None, replace: bool = False
) -> Decision:
    """Make a version the champion if it beats the one there is on the same test products.

    Args:
        mirror: The store.
        repository: The repository that holds `PACKAGE` and `RECORD`.
        version: The candidate; by default the workspace's package, else the newest version.
        replace: Whether to move the alias without comparing.

    Returns:
        What was decided, and why.

    Raises:
        RegistryError: If there is no such version, or the two cannot be compared.
    """
    candidate = _candidate(mirror, repository, version)
    recorded = storage.read_json(repository / RECORD) if (repository / RECORD).exists() else None
    champion = _version_of(mirror, recorded["package"]) if recorded else _aliased(mirror)
    digest = candidate.tags[DIGEST]
    name = f"version {candidate.version} (package {digest[:7]}, {candidate.tags[DATA]})"
    if digest == (recorded["package"] if recorded else champion and champion.tags.get(DIGEST)):
        _set_alias(mirror, candidate)
        if not recorded:
            _record(repository, mirror, candidate, "named in MLflow", None)
        return Decision(True, f"{name} is the champion already")
    if replace:
        _move(repository, mirror, candidate, "replaced without comparison", None)
        return Decision(True, f"{name} is the champion now; nothing was compared")
    if recorded and champion is None:
        raise RegistryError(
            f"the champion of {RECORD}, package {recorded['package'][:7]}, is not in MLflow: check "
            "out its commit, run 'dvc checkout build/package' and 'python -m rakuten.tracking "
            "sync', or pass --replace to compare nothing"
        )
    if champion is None:
        _move(repository, mirror, candidate, "first champion", None)
        return Decision(True, f"{name} is the champion now; there was none to compare with")
    compared = _compare(mirror, repository, candidate, champion)
    against = f"champion version {champion.version} (package {champion.tags[DIGEST][:7]})"
    told = f"{name} against {against}\n{describe(compared)}\n"
    if compared["weighted_f1"]["difference"] <= 0:
        return Decision(False, f"{told}not better by weighted F1: the champion stays")
    compared = {"champion": champion.tags[DIGEST], **compared}
    _move(repository, mirror, candidate, "compared", compared)
    held = compared["weighted_f1"]["low"] <= 0
    though = ", though the interval holds 0" if held else ""
    return Decision(True, f"{told}better by weighted F1{though}: it is the champion now")


def champion(mirror: Mirror, repository: Path) -> str:
    """Describe the champion.

    Args:
        mirror: The store.
        repository: The repository.

    Returns:
        A line with its version and its description.

    Raises:
        RegistryError: If no version has the alias.
    """
    version = _aliased(mirror)
    if version is None:
        remedy = "sync" if (repository / RECORD).exists() else "promote"
        raise RegistryError(
            f"no version of {NAME} is champion: run 'python -m rakuten.tracking {remedy}' first"
        )
    return f"version {version.version} of {NAME}. {version.description}"


def restore(mirror: Mirror, repository: Path) -> str | None:
    """Give the champion of `RECORD` its version and alias back.

    Args:
        mirror: The store.
        repository: The repository.

    Returns:
        A line that says what was done, or why nothing could be; None without a record.
    """
    if not (repository / RECORD).exists():
        return None
    digest = storage.read_json(repository / RECORD)["package"]
    version, done = _version_of(mirror, digest), "kept"
    if version is None:
        folder = repository / PACKAGE
        if not folder.exists() or packaging.digest(folder) != digest:
            return (
                f"champion: package {digest[:7]} of {RECORD} is neither in MLflow nor in {PACKAGE}:"
                " check out its commit, run 'dvc checkout build/package', then this again"
            )
        register(mirror, repository)
        version, done = _version_of(mirror, digest), "rebuilt"
    if _set_alias(mirror, version) and done == "kept":
        done = "alias restored"
    return f"champion: version {version.version} of {NAME}, {done}"


def _candidate(mirror: Mirror, repository: Path, version: int | None) -> ModelVersion:
    """Find the version to promote."""
    if version is None and (repository / PACKAGE / "package.json").exists():
        version, _ = register(mirror, repository)
    found = {int(one.version): one for one in _versions(mirror)}
    if not found:
        raise RegistryError(
            f"{NAME} has no version, and {PACKAGE} is not there: run 'dvc repro package'"
        )
    version = version or max(found)
    if version not in found:
        known = ", ".join(map(str, sorted(found)))
        raise RegistryError(f"{NAME} has no version {version}: expected one of {known}")
    if DIGEST not in found[version].tags:
        raise RegistryError(
            f"version {version} of {NAME} has no tag {DIGEST}: only what 'python -m "
            "rakuten.tracking register' registered can be promoted"
        )
    return found[version]


def _compare(
    mirror: Mirror, repository: Path, candidate: ModelVersion, champion: ModelVersion
) -> dict:
    """Compare two versions on the test products of both."""
    ours, theirs = (
        f"{one.tags.get(DATA, 'unnamed')} ({one.tags.get(DATA_DIGEST, 'unknown')})"
        for one in (candidate, champion)
    )
    if candidate.tags[DATA_DIGEST] != champion.tags.get(DATA_DIGEST):
        raise RegistryError(
            f"version {candidate.version} is of the data {ours}, the champion, version "
            f"{champion.version}, of {theirs}: expected the same data, for figures of different "
            "data do not compare; pass --replace to move the alias all the same"
        )
    settings = storage.read_params("evaluate", path=repository / "params.yaml")
    seed = storage.read_params("seed", path=repository / "params.yaml")
    both = [_predictions(mirror, one) for one in (candidate, champion)]
    try:
        return compare(*both, **settings, seed=seed)
    except ValueError as error:
        raise RegistryError(f"{error}; pass --replace to compare nothing") from error


def _predictions(mirror: Mirror, version: ModelVersion) -> dict:
    """Read what a version's package said of its test products."""
    address = f"models:/{NAME}/{version.version}/artifacts/package/test.npz"
    with tempfile.TemporaryDirectory() as folder, _default_store(mirror):
        return storage.read_arrays(mlflow.artifacts.download_artifacts(address, dst_path=folder))


def _move(
    repository: Path, mirror: Mirror, version: ModelVersion, reason: str, compared: dict | None
) -> None:
    """Make a version the champion, in git first: from there the alias can be restored."""
    _record(repository, mirror, version, reason, compared)
    _set_alias(mirror, version)


def _record(
    repository: Path, mirror: Mirror, version: ModelVersion, reason: str, compared: dict | None
) -> None:
    """Write which package is champion, and why; no number of a version, which may be lost."""
    run = mirror.do("get_run", version.run_id)
    figures = {name: run.data.metrics.get(f"test/{name}") for name in ("weighted_f1", "accuracy")}
    record = {
        "model": NAME,
        "package": version.tags[DIGEST],
        "dataset": {"name": version.tags[DATA], "digest": version.tags[DATA_DIGEST]},
        "test": figures | {"rows": int(run.data.metrics["test/rows"])},
        "reason": reason,
        "comparison": compared,
    }
    storage.write_json(repository / RECORD, record)


def _versions(mirror: Mirror) -> list[ModelVersion]:
    """List all versions."""
    return list(mirror.do("search_model_versions", f"name = '{NAME}'"))


def _version_of(mirror: Mirror, digest: str) -> ModelVersion | None:
    """Find the newest version of a package."""
    found = [one for one in _versions(mirror) if one.tags.get(DIGEST) == digest]
    return max(found, key=lambda one: int(one.version), default=None)


def _aliased(mirror: Mirror) -> ModelVersion | None:
    """Find the version that has the alias."""
    models = mirror.do("search_registered_models", f"name = '{NAME}'")
    number = models[0].aliases.get(CHAMPION) if models else None
    return next((one for one in _versions(mirror) if one.version == number), None)


def _set_alias(mirror: Mirror, version: ModelVersion) -> bool:
    """Give a version the alias, and tell whether another one or none had it."""
    had = _aliased(mirror)
    if had and had.version == version.version:
        return False
    mirror.do("set_registered_model_alias", NAME, CHAMPION, version.version)
    return True


def _summary(folder: Path) -> dict:
    """Read what a package says of itself."""
    if not (folder / "package.json").exists() or not (folder / "test.npz").exists():
        raise RegistryError(
            f"{PACKAGE} has no package.json or no test.npz: run 'dvc repro package'"
        )
    return storage.read_json(folder / "package.json")


def _log(mirror: Mirror, run_id: str, folder: Path) -> str:
    """Log a package with the code that opens it: no pickle, the code is the library's own files.

    Returns:
        The logged model's address.
    """
    from rakuten.tracking.served import EXAMPLE, SIGNATURE  # the classifier, which others spare

    lock = LIBRARY.parent / "requirements.txt"
    with tempfile.TemporaryDirectory() as copy, _default_store(mirror), _no_bytecode():
        # MLflow refuses links that lead out of a folder, as DVC makes with cache.type=symlink.
        package = shutil.copytree(folder, Path(copy) / "package")
        with mlflow.start_run(run_id=run_id):
            logged = mlflow.pyfunc.log_model(
                name="package",
                python_model=str(SERVED),
                artifacts={"package": str(package)},
                code_paths=[str(LIBRARY)],
                signature=SIGNATURE,
                input_example=EXAMPLE,
                pip_requirements=requirements.pinned(SERVED, lock),
            )
    return logged.model_uri


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Keep Python from leaving compiled code in the store, where MLflow tries the model out."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


@contextmanager
def _default_store(mirror: Mirror) -> Iterator[None]:
    """Have MLflow's functions, which know one store at a time, use the mirror's."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(mirror.address)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def _tags(summary: dict, digest: str, commit: str) -> dict[str, str]:
    """Tag a version with what it is."""
    figures = {name: str(value) for name, value in _figures(summary, "test.").items()}
    data = {DATA: summary["dataset"]["name"], DATA_DIGEST: summary["dataset"]["digest"]}
    return {DIGEST: digest, **data, "git.commit": commit, **figures}


def _figures(summary: dict, prefix: str) -> dict[str, float]:
    """Take the fusion's figures on the test part."""
    found = summary["test"]["fusion"]
    return {f"{prefix}{name}": value for name, value in found.items() if value is not None}


def _description(summary: dict, tags: dict[str, str]) -> str:
    """Describe a version for the user interface."""
    test = summary["test"]["fusion"]
    figures = "no test products"
    if test["rows"]:
        figures = (
            f"weighted F1 {test['weighted_f1']:.1%}, accuracy {test['accuracy']:.1%} on "
            f"{test['rows']:,} test products"
        )
    return (
        f"Trained on {tags[DATA]} (data {tags[DATA_DIGEST][:7]}): {figures}. Package "
        f"{tags[DIGEST][:7]}, commit {tags['git.commit'][:7] or 'unknown'}."
    )
