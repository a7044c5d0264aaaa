"""Read a package while DVC may rebuild it.

DVC deletes the outputs of a stage before it runs the stage, and replaces single files in
`dvc checkout`. While a stage runs, `.dvc/tmp/rwlock` names the process that writes its outputs.
"""

import logging
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

from rakuten import storage
from rakuten.serving import package

T = TypeVar("T")
Stamp = dict[str, tuple[int, int, int]]

TIME_LIMIT = 600.0
"""Seconds to wait for a rebuild; the `package` stage takes less than one minute."""

PATIENCE = 1.0
"""Seconds to look for a process of DVC: between two stages, none is registered."""

logger = logging.getLogger(__name__)


class Pin:
    """Hard links to the files of a package, which stay when DVC replaces the package.

    The links are in `.dvc/tmp`, and are deleted with this object. Outside a DVC repository, and
    where links are not possible, the files themselves are used.

    Args:
        folder: The package.

    Attributes:
        folder: Where to read the files.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        temporary = _find_temporary(self.folder.resolve())
        if temporary is None:
            return
        pins = temporary / "packages"
        with suppress(OSError):  # another disk, or nothing may be written here
            _remove_left_over(pins)
            pins.mkdir(exist_ok=True)
            target = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=pins))
            weakref.finalize(self, _remove, target, os.getpid())
            shutil.copytree(folder, target, copy_function=os.link, dirs_exist_ok=True)
            self.folder = target


def stamp(folder: str | Path) -> Stamp:
    """Identify the files of a folder without reading them.

    Args:
        folder: The package.

    Returns:
        Relative path -> inode, size in bytes, time of the last change in nanoseconds.
    """
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        try:
            status = path.stat()
        except FileNotFoundError:  # deleted in this moment
            continue
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            found[name] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def writer(*paths: str | Path, patience: float = 0.0) -> int | None:
    """Find a process of DVC that writes an output.

    Args:
        paths: The outputs; every output of the repository of the working folder if none is given.
        patience: Seconds to look for one.

    Returns:
        The id of a running process, None if no process writes these outputs.
    """
    until = time.monotonic() + patience
    resolved = [Path(path).resolve() for path in paths or (".",)]
    folders = {path: folder for path in resolved if (folder := _find_temporary(path))}
    while folders:
        for path, folder in folders.items():
            for output, entry in _read(folder / "rwlock").get("write", {}).items():
                written = not paths or path.is_relative_to(output)
                if entry and written and _is_running(int(entry["pid"])):
                    return int(entry["pid"])
        if time.monotonic() >= until:
            break
        time.sleep(0.05)
    return None


def read(folder: str | Path, load: Callable[[], T], *, time_limit: float = TIME_LIMIT) -> T:
    """Load a package when it is complete, from one state of its files.

    Args:
        folder: The package.
        load: Loads it; called again if a file was replaced meanwhile.
        time_limit: Seconds to wait for DVC.

    Returns:
        What `load` returns.

    Raises:
        TimeoutError: If DVC still rebuilds the package after that time.
        Exception: What `load` raises while nobody rebuilds the package.
    """
    until = time.monotonic() + time_limit
    while True:
        wait(folder, until)
        before = stamp(folder)
        try:
            found = load()
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            if stamp(folder) == before and writer(folder) is None:
                raise
        else:
            if stamp(folder) == before:
                return found
        if time.monotonic() >= until:
            raise TimeoutError(f"{folder} kept changing for {time_limit:.0f} s: try again later")


def wait(folder: str | Path, until: float) -> None:
    """Wait while DVC rebuilds a package, and say so.

    Args:
        folder: The package.
        until: Time of `time.monotonic` at which to give up.

    Raises:
        TimeoutError: If DVC still rebuilds it then.
    """
    announced = False
    patience = 0.0 if (Path(folder) / package.SUMMARY).exists() else PATIENCE
    while (pid := writer(folder, patience=patience)) is not None:
        if time.monotonic() >= until:
            raise TimeoutError(
                f"{folder} is still being rebuilt by DVC (process {pid}): run this command again "
                "later"
            )
        if not announced:
            logger.warning("%s is being rebuilt by DVC (process %d): waiting for it", folder, pid)
            announced = True
        time.sleep(0.2)
        patience = 0.0


def _find_temporary(path: Path) -> Path | None:
    """Find `.dvc/tmp` of the repository of a path; there is none before DVC's first command."""
    folders = (root / ".dvc" / "tmp" for root in (path, *path.parents))
    return next((folder for folder in folders if folder.is_dir()), None)


def _read(lock: Path) -> dict:
    """Read DVC's list of files in use, which DVC writes in place."""
    for _ in range(20):
        try:
            return storage.read_json(lock)
        except FileNotFoundError:
            return {}
        except ValueError:
            time.sleep(0.01)
    return {}  # a killed process truncated it


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def _remove(pin: Path, pid: int) -> None:
    """Delete the links of a process; its forks leave them alone."""
    if os.getpid() == pid:
        shutil.rmtree(pin, ignore_errors=True)


def _remove_left_over(pins: Path) -> None:
    """Delete the links of processes that were killed."""
    for pin in pins.glob("*-*"):
        if not _is_running(int(pin.name.partition("-")[0])):
            shutil.rmtree(pin, ignore_errors=True)
