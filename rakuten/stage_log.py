"""Logging of a stage: one line for what came in, one for what went out, a progress bar between.

Timings go to `build/timings/<stage>.json`. Neither Git nor DVC tracks them, because
timings differ between runs whose results are the same.
"""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from rakuten import console, storage

TIMINGS = Path("build/timings")
"""The folder of the timings, one JSON file per stage."""


class StageLog:
    """The log lines and timings of one run of a stage.

    Attributes:
        name: The stage's name in `dvc.yaml`.
        timings: Seconds, or items per second, by name.
    """

    def __init__(self, name: str):
        self.name = name
        self.timings: dict[str, float] = {}
        self._measured_on: dict[str, str] = {}
        self._logger = logging.getLogger(f"stages.{name}")
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the stage began."""
        return time.perf_counter() - self._start

    def received(self, message: str) -> None:
        """Log what came in, e.g. counts and shapes."""
        self._logger.info("%-12s <- %s", self.name, message)

    def wrote(self, message: str) -> None:
        """Log what went out, with the seconds since the stage began."""
        self._logger.info("%-12s -> %s (%.1f s)", self.name, message, self.seconds)

    def timing(self, **values: float) -> None:
        """Record values in seconds or items per second, to three significant digits."""
        self.timings |= {key: float(f"{value:.3g}") for key, value in values.items()}

    @contextmanager
    def timed(self, name: str, items: int | None = None) -> Iterator[None]:
        """Record the duration of a block in seconds or, given `items`, in items per second."""
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.timing(**{name: seconds if items is None else items / seconds})

    def measured_on(self, path: str | Path) -> None:
        """Record the digest of the output that the timings belong to."""
        self._measured_on[str(path)] = storage.digest(path)

    def write_timings(self) -> None:
        """Write the timings, those of the whole stage included, to `TIMINGS`."""
        self.timing(stage_seconds=self.seconds)
        measured_on = {"measured_on": self._measured_on} if self._measured_on else {}
        storage.write_json(TIMINGS / f"{self.name}.json", self.timings | measured_on)


@contextmanager
def stage(name: str) -> Iterator[StageLog]:
    """Run the body of a stage: log to standard output, and write its timings at the end.

    Args:
        name: The stage's name in `dvc.yaml`.

    Yields:
        The log of this run. Nothing is written if the body raises.
    """
    console.open_closed_streams()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    for package in ("stages", "rakuten"):
        logging.getLogger(package).setLevel(logging.INFO)
    log = StageLog(name)
    yield log
    log.write_timings()


def progress(
    items: Iterable,
    *,
    total: int | None,
    unit: str,
    description: str,
    initial: int = 0,
    delay: float = 0.0,
) -> tqdm:
    """Wrap an iterable in a progress bar with rate and time left, on standard error.

    Args:
        items: What to iterate over.
        total: Number of items in all, None if unknown.
        unit: The name of one item, e.g. "image"; "B" for bytes, shown as kB, MB and so on.
        description: What is being done.
        initial: Items done in an earlier run that was interrupted.
        delay: Seconds before the bar appears: shorter work shows none.

    Returns:
        The bar, an iterable with `update`. Without a terminal it prints a line every ten seconds.
    """
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        items,
        total=total,
        unit=unit,
        unit_scale=unit == "B",
        desc=description,
        initial=initial,
        delay=delay,
        mininterval=interval,
        maxinterval=max(interval, 10.0),
        dynamic_ncols=sys.stderr.isatty(),
    )
