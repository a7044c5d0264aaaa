"""Replacement of data/ and data.dvc in one step, undone completely when anything fails.

New data are built in a staging folder, take the place of data/ in one rename, and are handed to
DVC. The next import undoes one that was killed. Files of data/ may be read-only links
into DVC's cache: they are replaced, never written.
"""

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rakuten import storage
from rakuten.data.sources import DATASET, TABLES

IMAGES = "images.zip"
"""The archive in data/: not compressed, members image_{train,test}/<name>, sorted."""

NEW = "new"
"""The folder within the staging folder in which the new data/ is built."""

_BEGUN, _OLD, _POINTER, _DISCARDED = "begun", "old", "pointer", "discarded"

logger = logging.getLogger(__name__)


class DataError(RuntimeError):
    """The import cannot run or finish here; data/ and data.dvc are as they were."""


@contextmanager
def staging_folder(root: Path) -> Iterator[Path]:
    """Keep other imports out, undo one that was killed, and provide an empty staging folder.

    Args:
        root: The repository's root, where data/ and data.dvc are.

    Yields:
        The folder, on the disk of data/; git and DVC ignore it. Build data/ in its folder `NEW`.

    Raises:
        DataError: If this is not a DVC repository, data/ holds anything that an import would
            destroy, or another import or DVC is at work.
    """
    _check_replaceable(root)
    staging = root / ".dvc" / "tmp" / "import"
    staging.parent.mkdir(parents=True, exist_ok=True)
    with _locked(staging.with_suffix(".lock"), f"another import runs in {root}"):
        if (staging / _BEGUN).exists():
            logger.warning("an import was interrupted: data/ and data.dvc are restored first")
            # The killed import's own 'dvc add' may still run, and holds DVC's lock until it ends.
            with _locked(staging.parent / "lock", f"DVC is at work in {root}"):
                _roll_back(root, staging)
        shutil.rmtree(staging, ignore_errors=True)
        try:
            yield staging
        finally:
            if not (staging / _BEGUN).exists():
                shutil.rmtree(staging, ignore_errors=True)


def replace_data(root: Path, staging: Path, track: Callable[[Path], None]) -> None:
    """Put new data in the place of data/ and have DVC track it; undo both if anything fails.

    Args:
        root: The repository's root.
        staging: The staging folder, with the new data in its folder `NEW`.
        track: Called with `root` when data/ is in place, to update data.dvc.
    """
    data, pointer = root / "data", root / "data.dvc"
    if pointer.exists():
        storage.write_bytes(staging / _POINTER, pointer.read_bytes())
    before = {"data": data.exists(), "pointer": pointer.exists()}
    storage.write_json(staging / _BEGUN, before)
    with ExitStack() as undo:
        undo.callback(_roll_back, root, staging)
        if before["data"]:
            data.rename(staging / _OLD)
        (staging / NEW).rename(data)
        track(root)
        (staging / _BEGUN).unlink()  # from here on the new data stay
        undo.pop_all()


def dvc_add(root: Path) -> None:
    """Update data.dvc from data/.

    Args:
        root: The repository's root.

    Raises:
        DataError: If `dvc add data` fails; the message holds DVC's output.
    """
    logger.info("adding data/ to DVC")
    # `dvc add` would keep the old file's remote, the sample's, and its `push: false`.
    (root / "data.dvc").unlink(missing_ok=True)
    result = subprocess.run(
        [sys.executable, "-m", "dvc", "add", "data"],  # with --quiet it would hide its errors
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        output = (result.stderr or result.stdout).strip() or f"exit status {result.returncode}"
        if "is not a git repository" in output:
            output += "; run 'git init' first, or clone the repository instead of downloading it"
        raise DataError(f"'dvc add data' failed: {output.removeprefix('ERROR: ')}")


def _check_replaceable(root: Path) -> None:
    """Refuse to replace anything but the data/ of a DVC repository."""
    if not (root / ".dvc").is_dir():
        raise DataError(
            f"{root} is not the root of a DVC repository: run this in the cloned repository, or "
            "'dvc init' first"
        )
    data = root / "data"
    known = {*TABLES.values(), IMAGES, DATASET}
    present = {path.name for path in data.iterdir()} if data.is_dir() else set()
    foreign = sorted(present - known - {".gitignore", ".DS_Store"})
    if data.is_symlink() or foreign:
        found = "is a link" if data.is_symlink() else f"holds {', '.join(foreign)}"
        raise DataError(
            f"data/ {found}, which an import replaces: expected a folder with at most "
            f"{', '.join(sorted(known))}; move other files elsewhere"
        )


@contextmanager
def _locked(path: Path, reason: str) -> Iterator[None]:
    """Hold a lock, or refuse at once if another process holds it."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(f"{reason}: wait until it is done") from None
    try:
        yield
    finally:
        lock.release()


def _roll_back(root: Path, staging: Path) -> None:
    """Restore data/ and data.dvc as `replace_data` found them, wherever it stopped; repeatable."""
    before = storage.read_json(staging / _BEGUN)
    data, pointer, old = root / "data", root / "data.dvc", staging / _OLD
    replaced = not (staging / NEW).exists() and not before["data"]
    if data.exists() and (old.exists() or replaced):
        shutil.rmtree(staging / _DISCARDED, ignore_errors=True)
        data.rename(staging / _DISCARDED)
    if old.exists():
        old.rename(data)
    if before["pointer"]:
        storage.write_bytes(pointer, (staging / _POINTER).read_bytes())
    else:
        pointer.unlink(missing_ok=True)
    (staging / _BEGUN).unlink()
