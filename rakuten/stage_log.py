"""What a stage tells the person who watches: one line in, one line out, a bar in between.

Timings go to `reports/timings/<stage>.json`, which git keeps and DVC does not compare: they are the
only figures that differ between two identical runs.
"""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from rakuten import storage

TIMINGS = Path("reports/timings")


class StageJournal:
    """The lines and the timings of one run of a stage."""

    def __init__(self, name: str):
        self.name = name
        self.timings: dict[str, float] = {}
        self._measured_on: dict[str, str] = {}
        self._logger = logging.getLogger(f"stages.{name}")

    def received(self, message: str) -> None:
        """Log the one line about what came in: counts, shapes."""
        self._logger.info("%-12s <- %s", self.name, message)

    def wrote(self, message: str) -> None:
        """Log the one line about what went out, with the seconds so far."""
        self._logger.info("%-12s -> %s (%.1f s)", self.name, message, self.seconds)

    def timing(self, **values: float) -> None:
        """Add figures in seconds or items per second, kept to three significant digits."""
        self.timings |= {key: float(f"{value:.3g}") for key, value in values.items()}

    @contextmanager
    def timed(self, name: str, items: int | None = None) -> Iterator[None]:
        """Time a block: its seconds, or with `items` how many of them it did a second."""
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.timing(**{name: seconds if items is None else items / seconds})

    def measured_on(self, path: str | Path) -> None:
        """Name the output that the timings belong to, so that they are not taken for another's."""
        self._measured_on[str(path)] = storage.digest(path)

    @property
    def seconds(self) -> float:
        """Seconds since the stage began."""
        return time.perf_counter() - self._start

    def _begin(self) -> None:
        self._start = time.perf_counter()

    def _end(self) -> None:
        self.timing(stage_seconds=self.seconds)
        measured_on = {"measured_on": self._measured_on} if self._measured_on else {}
        storage.write_json(TIMINGS / f"{self.name}.json", self.timings | measured_on)


@contextmanager
def stage(name: str) -> Iterator[StageJournal]:
    """Run the body of a stage with logging to the terminal and its timings kept.

    Args:
        name: The stage's name in `dvc.yaml`.

    Yields:
        The journal of this run.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    for room in ("stages", "rakuten"):
        logging.getLogger(room).setLevel(logging.INFO)
    journal = StageJournal(name)
    journal._begin()
    yield journal
    journal._end()


def progress(items: Iterable, *, total: int, unit: str, description: str, initial: int = 0) -> tqdm:
    """Wrap an iterable in a bar with rate and time left, on standard error.

    Args:
        items: What to iterate over.
        total: Number of items in all.
        unit: The name of one item, e.g. "image".
        description: What is being done.
        initial: Items done before, in a run that was interrupted.

    Returns:
        The bar, an iterable with `update`. Off a terminal it prints a line every ten seconds.
    """
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        items,
        total=total,
        unit=unit,
        unit_scale=False,
        desc=description,
        initial=initial,
        mininterval=interval,
        maxinterval=max(interval, 10.0),
        dynamic_ncols=sys.stderr.isatty(),
    )
