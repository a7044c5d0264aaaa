"""Client of the MLflow store that mirrors the results, with a limit on the time it may cost.

MLflow is imported where its store is first used: importing it takes longer than many stages run.
"""

import getpass
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from rakuten import storage
from rakuten.tracking import addresses, results

if TYPE_CHECKING:
    from mlflow.entities import Run

EXPERIMENT = "rakuten-product-classification"
"""The MLflow experiment that holds all runs of the project."""

SYNC_TIME_LIMIT = 3600.0
"""Seconds that a command such as `sync` may spend in all on a tracking server."""

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another process that writes to the local database."""

KEY = "result.key"
"""The tag that identifies the result of a run, see `rakuten.tracking.results.key`."""

CLONE = "result.clone"
"""The tag with the clone of the repository that made a run. No other clone changes the run."""

NOTE = "mlflow.note.content"
"""The tag that MLflow shows as a description."""

EXPERIMENT_TAGS = {
    NOTE: (
        "The column `data` says what a run was measured on. Results on different data cannot be "
        "compared.\n\nRuns tagged `source=measured` were measured by this project, by default on a "
        "synthetic sample. Runs tagged `source=published` repeat what the original study published "
        "for the real data of Rakuten France. Runs tagged `source=drift` compare new products with "
        "the training data."
    ),
    "mlflow.experimentKind": "custom_model_development",  # opens the list of trainings
}
"""Tags of a new experiment; those that someone has set are kept."""

PARAMS_PER_REQUEST, METRICS_PER_REQUEST = 90, 900
"""MLflow accepts at most 100 params or tags and 1,000 metrics in a request."""

logger = logging.getLogger(__name__)


def store_errors() -> tuple[type[Exception], ...]:
    """List what MLflow's client raises when its store is down, slow or locked.

    Errors of HTTP requests are OSErrors. A database without its driver is an ImportError.
    Call it in the except clause: MLflow is then imported only after an exception.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError, ImportError


class Mirror:
    """A client of the tracking store. It creates the experiment if there is none.

    The address is `MLFLOW_TRACKING_URI`, or by default `mlflow.db` in the project, with the
    artifacts in `mlartifacts/`. A relative address starts from the project's folder.

    Args:
        time_limit: Seconds to spend in all on a server. One request waits at most half of them,
            unless MLflow's own environment variables are set.

    Attributes:
        address: The address of the store, as MLflow writes it. It may contain a password.
        experiment_id: The id of `EXPERIMENT`.
        clone: Identifies this clone of the repository, in `CLONE` of its runs.
    """

    def __init__(self, time_limit: float):
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(min(time_limit / 2, 60))))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        from mlflow import MlflowClient

        # After the import, which sets the level: MLflow logs every table that it creates.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        root, given = results.root(), addresses.configured()
        self._time_limit = time_limit if given else float("inf")
        self._spent = 0.0
        self.address = addresses.resolve(given, root)
        folder = addresses.artifact_folder(self.address)
        local = folder.as_uri() if folder else None
        for handler in logging.getLogger("mlflow").handlers:
            handler.addFilter(_masked)
        with self.exclusive():  # two processes that create the schema at once collide
            self.clone = _clone(root)
            self._client = MlflowClient(self.address)
            experiment = self.call("get_experiment_by_name", EXPERIMENT)
            if experiment is None:
                self.experiment_id = self.call(
                    "create_experiment", EXPERIMENT, artifact_location=local, tags=EXPERIMENT_TAGS
                )
                return
            self.experiment_id = experiment.experiment_id
            if experiment.lifecycle_stage == "deleted":
                self.call("restore_experiment", self.experiment_id)
            for name in EXPERIMENT_TAGS.keys() - experiment.tags.keys():
                tag = EXPERIMENT_TAGS[name]
                self.call("set_experiment_tag", self.experiment_id, name, tag)
        if not given and experiment.artifact_location != local:
            logger.warning(
                "mlflow.db keeps its artifacts in %s: the repository was moved; delete mlflow.db "
                "and mlartifacts, then run 'python -m rakuten sync --history'",
                experiment.artifact_location,
            )

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let one process of this repository at a time look for a run and create it.

        Raises:
            TimeoutError: If another process holds the lock for too long.
        """
        lock = _lock("mlflow.lock")
        with lock.acquire(timeout=min(self._time_limit, LOCK_TIMEOUT)):
            yield

    def training_lock(self, key: str) -> FileLock:
        """Return the lock that a process holds while it trains a result.

        The operating system releases it if the process is killed.
        """
        return _lock(f"mlflow-{key[:16]}.lock")

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of MLflow's client.

        Raises:
            TimeoutError: If the calls so far took longer than the time limit.
        """
        if self._spent > self._time_limit:
            raise TimeoutError(f"its requests took {self._spent:.0f} s in all")
        start = time.monotonic()
        try:
            return getattr(self._client, method)(*arguments, **options)
        finally:
            self._spent += time.monotonic() - start

    def runs(self, key: str) -> "list[Run]":
        """Find the runs of a result, oldest first."""
        return self.call(
            "search_runs",
            [self.experiment_id],
            f"tags.`{KEY}` = '{key}'",
            order_by=["attributes.start_time ASC"],
        )

    def all_runs(self) -> "list[Run]":
        """List all runs of the experiment, oldest first."""
        found: list[Run] = []
        token = None
        while True:
            page = self.call(
                "search_runs",
                [self.experiment_id],
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                return found

    def owns(self, run: "Run") -> bool:
        """Check that this clone of the repository made a run."""
        return run.data.tags.get(CLONE) == self.clone

    def create(self, name: str, tags: dict[str, str], start: float | None = None) -> str:
        """Start a run of this clone.

        Args:
            name: The name shown in the user interface.
            tags: Its tags.
            start: When it began, seconds since 1970; now if None.

        Returns:
            The run's id.
        """
        start_ms = None if start is None else int(start * 1000)
        tags = tags | {CLONE: self.clone, "mlflow.user": _user()}
        run = self.call("create_run", self.experiment_id, start_ms, tags, name)
        return run.info.run_id

    def log(
        self,
        run_id: str,
        *,
        metrics: dict[str, float] | None = None,
        params: dict[str, object] | None = None,
        tags: dict[str, str] | None = None,
        step: int = 0,
    ) -> None:
        """Add values to a run.

        Args:
            run_id: The run.
            metrics: Values by name, all of one step.
            params: Values by name.
            tags: Values by name.
            step: The epoch, 0 for a metric of the whole training.
        """
        from mlflow.entities import Param, RunTag

        self.log_steps(run_id, {step: metrics or {}})
        values: list[tuple[str, Any]] = []
        values += [("params", Param(name, str(value))) for name, value in (params or {}).items()]
        values += [("tags", RunTag(name, value)) for name, value in (tags or {}).items()]
        for first in range(0, len(values), PARAMS_PER_REQUEST):
            batch: dict[str, list[Any]] = {"params": [], "tags": []}
            for kind, value in values[first : first + PARAMS_PER_REQUEST]:
                batch[kind].append(value)
            self.call("log_batch", run_id, **batch)

    def log_steps(self, run_id: str, metrics: dict[int, dict[str, float]]) -> None:
        """Add metrics of many steps in few requests.

        Args:
            run_id: The run.
            metrics: Values by name, by step.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entities = [
            Metric(name, value, now, step)
            for step, values in metrics.items()
            for name, value in values.items()
        ]
        for first in range(0, len(entities), METRICS_PER_REQUEST):
            batch = entities[first : first + METRICS_PER_REQUEST]
            self.call("log_batch", run_id, metrics=batch)

    def log_dataset(self, run_id: str, dataset: dict[str, str]) -> None:
        """Record the data of a run: name, digest and source."""
        from mlflow.entities import Dataset, DatasetInput

        source = dataset.get("source", "data.dvc")
        entity = Dataset(dataset["name"], dataset["digest"], "dvc", source)
        self.call("log_inputs", run_id, [DatasetInput(entity)])


def _lock(name: str) -> FileLock:
    """Return a lock that this clone shares with its queued and temporary experiments."""
    folder = results.root() / ".dvc" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / name)


def _clone(root: Path) -> str:
    """Identify this clone: a copy in another folder or on another computer is another one."""
    path = root / ".dvc" / "tmp" / "mlflow-clone"
    if not path.exists():
        storage.write_text(path, uuid.uuid4().hex)
    parts = storage.read_text(path), socket.gethostname(), str(root.resolve())
    return results.digest(*parts)[:16]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a user without a name
        return "unknown"


def _masked(record: logging.LogRecord) -> bool:
    """Mask passwords in what MLflow logs, for example when a database cannot be reached."""
    record.msg, record.args = addresses.mask(record.getMessage()), ()
    return True
