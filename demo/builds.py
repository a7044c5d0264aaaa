"""What the page shows, kept open while DVC replaces the files on disk."""

import logging
import threading
from collections.abc import Callable, Iterable
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

logger = logging.getLogger(__name__)


class Build:
    """One build: its products, predictions and models.

    Attributes:
        catalogue: The products.
        predictions: Those of late_fusion for the test part.
        examples: Products that the page offers to classify.
        engine: The models.
    """

    def __init__(self) -> None:
        self.catalogue = catalogues.Catalogue()
        self.predictions = catalogues.predictions()
        self.examples = examples.choose(examples.candidates(self.predictions, self.catalogue.table))
        table = self.catalogue.table
        self.engine = Engine(table.index[table["part"] == "train"].to_numpy())


class Results:
    """The tables of the evaluate stage and the training curves of the nets.

    Attributes:
        tables: By name.
        histories: By net.
    """

    def __init__(self) -> None:
        self.tables: dict[str, pd.DataFrame] = {
            path.stem: storage.read_csv(path) for path in REPORTS_NEED if path.parent == TABLES
        }
        self.histories = {net: storage.read_csv(path) for net, path in HISTORIES.items()}


class Latest(Generic[T]):
    """The latest complete state of some files. It stays in use until DVC has finished the next.

    Args:
        create: Opens the files.
        needs: The files.

    Attributes:
        needs: The files.
    """

    def __init__(self, create: Callable[[], T], needs: Iterable[Path]):
        self._create, self.needs = create, tuple(needs)
        self._opened: T | None = None
        self._stamp: rebuilds.Stamp = {}
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

        Returns:
            Whether these or older files are open.
        """
        with self._lock:
            stamp = _stamp(self.needs)
            if stamp != self._stamp and not missing(self.needs) and self._are_finished():
                try:
                    self._opened, self._stamp = self._create(), stamp
                except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
                    if self._opened is None and rebuilds.writer() is None:
                        raise
                    logger.warning("new files cannot be opened yet", exc_info=error)
            return self._opened is not None

    def _are_finished(self) -> bool:
        """Return whether no stage runs; to have something to show, whether none writes these."""
        if self._opened is None:
            return rebuilds.writer(*self.needs) is None
        return rebuilds.writer(patience=rebuilds.PATIENCE) is None


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
