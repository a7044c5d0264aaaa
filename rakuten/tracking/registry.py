"""The packaged classifier in MLflow's registry: register, compare, promote to champion.

A version is identified by the content of its package, so a package is registered once. Git holds
which one is champion, in `reports/champion.json`: like the runs, the registry is a mirror, and
`python -m rakuten sync` restores version and alias. No stage uses this module.
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
from rakuten.serving import package
from rakuten.tracking import git, requirements, versions
from rakuten.tracking.comparison import compare, describe
from rakuten.tracking.mirror import KEY, NOTE, Mirror
from rakuten.tracking.versions import DATA, DATA_DIGEST, DIGEST

NAME = "rakuten-product-classifier"
"""The registered model."""

CHAMPION = "champion"
"""The alias of the version that is served."""

RECORD = Path("reports/champion.json")
"""Which package is champion, and the comparison that decided it; in git."""

PROMOTED = "promoted.clone"
"""The tag of a version with the clone of the repository that made it the champion."""

SERVED, SERVER = (Path(__file__).with_name(name) for name in ("served.py", "server.py"))


class RegistryError(RuntimeError):
    """A package cannot be registered or compared; the message says what to do."""


class Decision(NamedTuple):
    """The outcome of a promotion.

    Attributes:
        is_champion: Whether the candidate is the champion now.
        message: The metrics compared and what was done, for the terminal.
    """

    is_champion: bool
    message: str


def register(mirror: Mirror, repository: Path) -> tuple[int, bool]:
    """Register the workspace's package, unless a version has the same content.

    Args:
        mirror: The store.
        repository: The repository that holds `build/package`.

    Returns:
        The version, and whether it is new.

    Raises:
        RegistryError: If there is no package, or one without the test predictions to compare.
    """
    folder = repository / package.FOLDER
    summary = _summary(folder)
    digest = package.digest(folder)
    with mirror.exclusive():
        if found := _version_of(mirror, digest):
            return int(found.version), False
        tags = versions.tags(summary, digest, git.head(repository))
        run_id = _run_of(mirror, summary, tags)
        mirror.log(run_id, metrics=versions.metrics(summary, "test/"))
        mirror.log_dataset(run_id, summary["dataset"])
        logged = _log(mirror, run_id, folder, tags)
        mirror.call("set_terminated", run_id, "FINISHED")
        with _default_store(mirror):
            version = mlflow.register_model(logged, NAME, tags=tags)
        mirror.call(
            "update_model_version", NAME, version.version, versions.description(summary, tags)
        )
        return int(version.version), True


def _run_of(mirror: Mirror, summary: dict, tags: dict[str, str]) -> str:
    """Continue this clone's run of a package that has no version, or start one."""
    key = f"package-{tags[DIGEST]}"
    for run in mirror.runs(key):  # its process was killed, or its version was deleted
        if mirror.owns(run):
            mirror.log(run.info.run_id, tags=tags)
            return run.info.run_id
    origin = {KEY: key, "source": "packaged", "model": "package", "dvc.stage": "package"}
    origin |= {"data": tags[DATA], NOTE: versions.description(summary, tags)}
    return mirror.create(f"package {tags[DIGEST][:7]}", origin | tags)


def promote(
    mirror: Mirror,
    repository: Path,
    *,
    version: int | None = None,
    accept: bool = False,
    replace: bool = False,
) -> Decision:
    """Make a version the champion if it beats the present champion on the same test products.

    It does if the paired bootstrap interval of the gain in weighted F1 lies above 0.

    Args:
        mirror: The store.
        repository: The repository that holds `build/package` and `RECORD`.
        version: The candidate; by default the workspace's package, else the newest version.
        accept: Whether to move the alias after the comparison whatever its result.
        replace: Whether to move the alias without comparing.

    Returns:
        The decision and the reason.

    Raises:
        RegistryError: If there is no such version, or the two cannot be compared.
    """
    candidate = _candidate(mirror, repository, version)
    recorded = _read_record(repository)
    champion = _version_of(mirror, recorded["package"]) if recorded else _aliased(mirror)
    digest = candidate.tags[DIGEST]
    name = f"version {candidate.version} (package {digest[:7]}, {candidate.tags[DATA]})"
    other = _promoted_elsewhere(mirror, recorded["package"]) if recorded else ""
    if other and not replace:
        raise RegistryError(f"{other}; pull its {RECORD}, or pass --replace to skip the comparison")
    present = recorded["package"] if recorded else champion and champion.tags.get(DIGEST)
    if digest == present and not other:
        _set_alias(mirror, candidate)
        if not recorded:
            _record(repository, mirror, candidate, "named in MLflow", None)
        return Decision(True, f"{name} is already the champion")
    if replace:
        _move(repository, mirror, candidate, "replaced without comparison", None)
        return Decision(True, f"{name} is now the champion, without a comparison")
    if recorded and champion is None:
        raise RegistryError(
            f"the champion of {RECORD}, package {recorded['package'][:7]}, is not in MLflow: check "
            "out its commit, run 'dvc checkout build/package' and 'python -m rakuten sync', or "
            "pass --replace to skip the comparison"
        )
    if champion is None:
        _move(repository, mirror, candidate, "first champion", None)
        return Decision(True, f"{name} is now the champion; it is the first one")
    compared = _compare(mirror, repository, candidate, champion)
    against = f"champion version {champion.version} (package {champion.tags[DIGEST][:7]})"
    lines = f"{name} against {against}\n{describe(compared)}\n"
    gain = compared["weighted_f1"]
    reason, outcome = "compared", "the gain in weighted F1 is above 0"
    if gain["low"] <= 0:
        outcome = "weighted F1 is not better"
        if gain["difference"] > 0:
            outcome = "the interval of the gain in weighted F1 contains 0"
        if not accept:
            advice = f"    python -m rakuten promote --version {candidate.version} --accept"
            return Decision(
                False, f"{lines}{outcome}: the champion stays; to promote anyway, run\n{advice}"
            )
        reason = "accepted after comparison"
    compared = {"champion": champion.tags[DIGEST], **compared}
    _move(repository, mirror, candidate, reason, compared)
    return Decision(True, f"{lines}{outcome}: {name} is now the champion")


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
        remedy = "promote', which also registers build/package if it is new"
        if (repository / RECORD).exists():
            remedy = f"sync', which restores the champion of {RECORD}"
        raise RegistryError(f"no version of {NAME} is champion: run 'python -m rakuten {remedy}")
    return f"version {version.version} of {NAME}. {version.description}"


def restore(mirror: Mirror, repository: Path) -> str | None:
    """Restore version and alias of the champion in `RECORD` where MLflow has lost them.

    A version that has the alias keeps it: someone may have given it in MLflow, and an older commit
    may be checked out.

    Args:
        mirror: The store.
        repository: The repository.

    Returns:
        A line that says what was done, or why it could not be done; None without a record.
    """
    recorded = _read_record(repository)
    if recorded is None:
        return None
    digest = recorded["package"]
    if other := _promoted_elsewhere(mirror, digest):
        return f"champion: not restored: {other}; pull its {RECORD}"
    present = _aliased(mirror)
    if present and present.tags.get(DIGEST) != digest:
        return (
            f"champion: version {present.version} of {NAME} is kept, though {RECORD} names package "
            f"{digest[:7]}: to serve that, run 'python -m rakuten promote --replace' in its commit"
        )
    version, state = _version_of(mirror, digest), "kept"
    if version is None:
        folder = repository / package.FOLDER
        if not folder.exists() or package.digest(folder) != digest:
            return (
                f"champion: package {digest[:7]} of {RECORD} is neither in MLflow nor in "
                f"{package.FOLDER}: check out its commit, run 'dvc checkout build/package', then "
                "run this command again"
            )
        number, _ = register(mirror, repository)
        version, state = mirror.call("get_model_version", NAME, str(number)), "rebuilt"
    if _set_alias(mirror, version) and state == "kept":
        state = "alias restored"
    return f"champion: version {version.version} of {NAME}, {state}"


def _candidate(mirror: Mirror, repository: Path, version: int | None) -> ModelVersion:
    """Find the version to promote."""
    if version is None and (repository / package.FOLDER / package.SUMMARY).exists():
        version, _ = register(mirror, repository)
    found = {int(one.version): one for one in _versions(mirror)}
    if not found:
        raise RegistryError(
            f"{NAME} has no version and {package.FOLDER} does not exist: run 'make repro'"
        )
    version = max(found) if version is None else version
    if version not in found:
        known = ", ".join(map(str, sorted(found)))
        raise RegistryError(f"{NAME} has no version {version}: expected one of {known}")
    if DIGEST not in found[version].tags:
        raise RegistryError(
            f"version {version} of {NAME} has no tag {DIGEST}: expected a version registered by "
            "'python -m rakuten register'"
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
            f"version {candidate.version} was trained on the data {ours}, the champion, version "
            f"{champion.version}, on {theirs}: expected the same data, metrics of different data "
            "cannot be compared; pass --replace to skip the comparison"
        )
    settings = storage.read_params("evaluate", path=repository / "params.yaml")
    seed = storage.read_params("seed", path=repository / "params.yaml")
    both = [_predictions(mirror, one) for one in (candidate, champion)]
    try:
        return compare(*both, **settings, seed=seed)
    except ValueError as error:
        raise RegistryError(f"{error}; pass --replace to skip the comparison") from error


def _predictions(mirror: Mirror, version: ModelVersion) -> dict:
    """Read the test predictions of a version's package."""
    address = f"models:/{NAME}/{version.version}/artifacts/package/{package.PREDICTIONS}"
    with tempfile.TemporaryDirectory() as folder, _default_store(mirror):
        return storage.read_arrays(mlflow.artifacts.download_artifacts(address, dst_path=folder))


def _move(
    repository: Path, mirror: Mirror, version: ModelVersion, reason: str, compared: dict | None
) -> None:
    """Make a version the champion: first in git; if the alias fails, `promote` sets it again."""
    _record(repository, mirror, version, reason, compared)
    _set_alias(mirror, version)


def _record(
    repository: Path, mirror: Mirror, version: ModelVersion, reason: str, compared: dict | None
) -> None:
    """Write which package is champion, and why; version numbers may be lost with MLflow."""
    run = mirror.call("get_run", version.run_id)
    metrics = {name: run.data.metrics.get(f"test/{name}") for name in ("weighted_f1", "accuracy")}
    record = {
        "model": NAME,
        "package": version.tags[DIGEST],
        "dataset": {"name": version.tags[DATA], "digest": version.tags[DATA_DIGEST]},
        "test": metrics | {"rows": int(run.data.metrics["test/rows"])},
        "reason": reason,
        "comparison": compared,
    }
    storage.write_json(repository / RECORD, record)


def _versions(mirror: Mirror) -> list[ModelVersion]:
    return list(mirror.call("search_model_versions", f"name = '{NAME}'"))


def _version_of(mirror: Mirror, digest: str) -> ModelVersion | None:
    """Find the newest version of a package."""
    found = [one for one in _versions(mirror) if one.tags.get(DIGEST) == digest]
    return max(found, key=lambda one: int(one.version), default=None)


def _aliased(mirror: Mirror) -> ModelVersion | None:
    """Find the version that has the alias."""
    models = mirror.call("search_registered_models", f"name = '{NAME}'")
    number = models[0].aliases.get(CHAMPION) if models else None
    return next((one for one in _versions(mirror) if one.version == number), None)


def _read_record(repository: Path) -> dict | None:
    """Read `RECORD`, None if there is none."""
    path = repository / RECORD
    if not path.exists():
        return None
    try:
        record = storage.read_json(path)
        record["package"]
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryError(
            f"{RECORD} cannot be read ({error}): expected what 'promote' wrote; restore it with "
            f"'git checkout {RECORD}'"
        ) from error
    return record


def _promoted_elsewhere(mirror: Mirror, digest: str) -> str:
    """Describe a champion that another clone promoted instead of a package, "" if none."""
    version = _aliased(mirror)
    if version is None or version.tags.get(DIGEST) == digest:
        return ""
    if version.tags.get(PROMOTED, mirror.clone) == mirror.clone:
        return ""
    return (
        f"another clone of the repository made version {version.version} of {NAME} (package "
        f"{version.tags.get(DIGEST, 'unknown')[:7]}) the champion"
    )


def _set_alias(mirror: Mirror, version: ModelVersion) -> bool:
    """Give a version the alias; False if it has it already."""
    present = _aliased(mirror)
    if present and present.version == version.version:
        return False
    mirror.call("set_model_version_tag", NAME, version.version, PROMOTED, mirror.clone)
    mirror.call("set_registered_model_alias", NAME, CHAMPION, version.version)
    return True


def _summary(folder: Path) -> dict:
    """Read a package's description."""
    missing = [
        name for name in (package.SUMMARY, package.PREDICTIONS) if not (folder / name).exists()
    ]
    if missing:
        raise RegistryError(f"{package.FOLDER} has no {' and no '.join(missing)}: run 'make repro'")
    return storage.read_json(folder / package.SUMMARY)


def _log(mirror: Mirror, run_id: str, folder: Path, tags: dict[str, str]) -> str:
    """Log a package and the library's source files, without pickle; return the model's address."""
    from rakuten.tracking.served import EXAMPLE, SIGNATURE  # slow; only registration needs it

    lock = requirements.LIBRARY.parent / "requirements.txt"
    with tempfile.TemporaryDirectory() as copy, _default_store(mirror), _no_bytecode():
        # MLflow refuses links out of a folder, which DVC makes with cache.type=symlink.
        copied = shutil.copytree(folder, Path(copy) / "package")
        with mlflow.start_run(run_id=run_id):
            logged = mlflow.pyfunc.log_model(
                name="package",
                python_model=str(SERVED),
                artifacts={"package": str(copied)},
                code_paths=[str(requirements.LIBRARY)],
                signature=SIGNATURE,
                input_example=EXAMPLE,
                pip_requirements=requirements.pinned((SERVED, SERVER), lock),
                metadata=tags,
            )
    return logged.model_uri


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Keep Python from writing compiled code into the store when MLflow tries the model."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


@contextmanager
def _default_store(mirror: Mirror) -> Iterator[None]:
    """Point MLflow's module-level functions at the mirror's store."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(mirror.address)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None unsets it
