"""What the page shows, kept open while DVC replaces the files on disk."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar
from zipfile import BadZipFile

import pandas as pd

from demo import catalogue as catalogues
from demo import examples
from demo.engine import Engine
from demo.paths import HISTORIES, REPORTS_NEED, TABLES, missing
from rakuten import storage
from rakuten.serving import rebuilds

T = TypeVar("T")

KEPT = Path(".dvc/tmp/demo")
"""Hard links to the files that were opened last: a page started during a rebuild shows these."""

UNREADABLE = (OSError, ValueError, KeyError, EOFError, BadZipFile)
"""What opening files raises that are incomplete, or that another version of this library wrote."""

RETRY = 30.0
"""Seconds until new files that could not be opened are tried again, unless they change before."""

logger = logging.getLogger(__name__)


class Build:
    """One build: its products, predictions and models.

    Args:
        root: The repository, or links to its files.

    Attributes:
        catalogue: The products.
        predictions: Those of late_fusion for the test part.
        examples: Products that the page offers to classify.
        engine: The models.
    """

    def __init__(self, root: Path):
        self.catalogue = catalogues.Catalogue(root)
        self.predictions = catalogues.predictions(root)
        self.examples = examples.choose(examples.candidates(self.predictions, self.catalogue.table))
        table = self.catalogue.table
        self.engine = Engine(table.index[table["part"] == "train"].to_numpy(), root)


class Results:
    """The tables of the evaluate stage and the training curves of the nets.

    Args:
        root: The repository, or links to its files.

    Attributes:
        tables: By name.
        histories: By net.
    """

    def __init__(self, root: Path):
        tables = [path for path in REPORTS_NEED if path.parent == TABLES]
        self.tables: dict[str, pd.DataFrame] = {
            path.stem: storage.read_csv(root / path) for path in tables
        }
        self.histories = {net: storage.read_csv(root / path) for net, path in HISTORIES.items()}


class Latest(Generic[T]):
    """The latest complete state of some files. It stays in use until DVC has finished the next.

    Args:
        create: Opens the files below a folder.
        needs: The files.
        name: Names the links to them.
        folders: Folders to link as a whole.

    Attributes:
        needs: The files.
    """

    def __init__(
        self,
        create: Callable[[Path], T],
        needs: Iterable[Path],
        *,
        name: str,
        folders: Iterable[Path] = (),
    ):
        self._create, self.needs, self._folders = create, tuple(needs), tuple(folders)
        self._kept = KEPT / name
        self._opened: T | None = None
        self._stamp: rebuilds.Stamp = {}
        self._refused: rebuilds.Stamp = {}
        self._retry_at = 0.0
        self._lock = threading.Lock()

    def current(self) -> T:
        """Return what `refresh` opened.

        Raises:
            RuntimeError: If nothing is open.
        """
        if self._opened is None:
            raise RuntimeError("nothing is open: call refresh first")
        return self._opened

    def refresh(self) -> bool:
        """Open the files on disk if they are new, complete and not being rebuilt.

        While another thread opens them, older files that are open stay in use.

        Returns:
            Whether these or older files are open.

        Raises:
            Exception: One of `UNREADABLE`, if nothing is open and no stage runs.
        """
        if not self._lock.acquire(blocking=self._opened is None):
            return True
        try:
            self._open_latest()
        finally:
            self._lock.release()
        return self._opened is not None

    def _open_latest(self) -> None:
        """Open the files on disk; if nothing is open and a stage runs, those opened last."""
        stamp = _stamp(self.needs)
        if self._is_new(stamp) and not missing(self.needs) and self._are_finished():
            try:
                self._opened, self._stamp = self._create(Path()), stamp
                _link((*self._folders, *self.needs), self._kept)
            except UNREADABLE as error:
                if self._opened is not None:
                    self._refused, self._retry_at = stamp, time.monotonic() + RETRY
                elif rebuilds.writer() is None:
                    raise
                logger.warning("new files cannot be opened yet", exc_info=error)
        if self._opened is None and self._are_kept():
            try:
                self._opened = self._create(self._kept)
            except UNREADABLE as error:
                logger.warning("the files opened before cannot be opened", exc_info=error)

    def _is_new(self, stamp: rebuilds.Stamp) -> bool:
        """Return whether files are not open and may be tried."""
        refused = stamp == self._refused and time.monotonic() < self._retry_at
        return stamp != self._stamp and not refused

    def _are_kept(self) -> bool:
        """Return whether there are links to use while a stage runs."""
        absent = missing(self._kept / path for path in self.needs)
        return not absent and rebuilds.writer(patience=rebuilds.PATIENCE) is not None

    def _are_finished(self) -> bool:
        """Return whether no stage runs; to have something to show, whether none writes these."""
        if self._opened is None:
            return rebuilds.writer(*self.needs) is None
        return rebuilds.writer(patience=rebuilds.PATIENCE) is None


def _link(paths: Iterable[Path], folder: Path) -> None:
    """Link files and folders below a folder, where they stay when DVC replaces them."""
    if not KEPT.parent.is_dir():
        return
    new = folder.with_name(f"{folder.name}.new")
    with suppress(OSError):  # another disk, or nothing may be written here
        for old in (new, folder):
            shutil.rmtree(old, ignore_errors=True)
        for path in paths:
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, new / path, copy_function=os.link)
            elif not (new / path).exists():
                os.link(path, new / path)
        new.rename(folder)


def _stamp(paths: Iterable[Path]) -> rebuilds.Stamp:
    """Identify files without reading them."""
    found = {}
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found[str(path)] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found
