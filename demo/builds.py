"""The files of a build, kept open while DVC replaces them."""

import logging
import threading
from functools import cached_property
from zipfile import BadZipFile

from demo import catalogue as catalogues
from demo import examples
from demo.engine import Engine
from demo.paths import PACKAGE
from rakuten.serving import rebuilds

logger = logging.getLogger(__name__)


class Build:
    """One build: its products, predictions and models.

    Attributes:
        stamp: Identifies the files of its package.
        catalogue: The products.
        predictions: Those of late_fusion for the test part.
        examples: Products that the page offers to classify.
    """

    def __init__(self) -> None:
        self.stamp = rebuilds.stamp(PACKAGE)
        self.catalogue = catalogues.Catalogue()
        self.predictions = catalogues.predictions()
        self.examples = examples.choose(examples.candidates(self.predictions, self.catalogue.table))
        self._lock = threading.Lock()

    @property
    def engine(self) -> Engine:
        """The models; loaded once, at their first use."""
        with self._lock:
            return self._engine

    @cached_property
    def _engine(self) -> Engine:
        table = self.catalogue.table
        return Engine(table.index[table["part"] == "train"].to_numpy())


class Builds:
    """The latest complete build. An older one stays in use until DVC has finished the next."""

    def __init__(self) -> None:
        self._build: Build | None = None
        self._lock = threading.Lock()

    def current(self) -> Build:
        """Return the build that `refresh` opened.

        Raises:
            RuntimeError: If there is none.
        """
        if self._build is None:
            raise RuntimeError("no build is open: call refresh first")
        return self._build

    def refresh(self, *, complete: bool) -> bool:
        """Open the build on disk if it is new, complete and not being rebuilt.

        Args:
            complete: Whether all files exist.

        Returns:
            Whether all files exist, or a build with models was opened before.
        """
        with self._lock:
            if complete and self._is_outdated():
                try:
                    self._build = Build()
                except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
                    if self._build is None and rebuilds.writer() is None:
                        raise
                    logger.warning("a new build cannot be opened yet", exc_info=error)
            return self._build is not None and (complete or bool(self._build.stamp))

    def _is_outdated(self) -> bool:
        if self._build is None:
            return True
        return rebuilds.stamp(PACKAGE) != self._build.stamp and rebuilds.writer() is None
