"""Mirror the results into MLflow: live while a net trains, and again from what DVC and git hold.

Models that are not trained in epochs have no live run; their runs are made once they are evaluated.

DVC records, MLflow mirrors. A run carries the key of its result (`rakuten.tracking.results.key`), so the
same result makes one run however often it is logged, and `python -m rakuten sync` rebuilds
whatever is missing. A tracking server that is down or slow costs some seconds and one warning.

MLflow is imported where its store is first used: it takes longer to load than many a stage to run.
"""

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from rakuten.evaluation.published import PUBLISHED
from rakuten.tracking import results
from rakuten.tracking.results import Result, Snapshot

if TYPE_CHECKING:
    from mlflow.entities import Run

EXPERIMENT = "rakuten-product-classification"
"""The one MLflow experiment in which every run of the project stands."""

TRAINING_PATIENCE = 6.0
"""Seconds that a training spends in all on a tracking server before it goes on without."""

PUBLISHING_PATIENCE = 12.0
"""The same for the evaluation, which sends the tables and pictures of six models."""

SYNC_PATIENCE = 3600.0
"""Seconds that `sync` spends in all on a tracking server."""

LOCAL_PATIENCE = 60.0
"""Seconds to wait for another process that writes to the local database."""

ABANDONED = 24 * 3600.0
"""Seconds after which a run that nobody finished counts as killed."""

KEY, CONTENT = "result.key", "result.content"

PARAMS_A_REQUEST, METRICS_A_REQUEST = 90, 900
"""Values in one request: MLflow takes at most 100 params or tags, 1,000 metrics."""

logger = logging.getLogger(__name__)


def failures() -> tuple[type[Exception], ...]:
    """List what MLflow's client raises when its store is down, slow or locked.

    Those of requests are OSErrors. For `except failures()`: only an exception has it called.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError


class Mirror:
    """A client of the tracking store, its experiment made if it is new.

    The address is `MLFLOW_TRACKING_URI`, or `mlflow.db` in the repository with the artifacts in
    `mlartifacts/` beside it.

    Args:
        patience: Seconds to spend in all on a server. One request waits at most half of them,
            unless MLflow's own environment variables say otherwise.

    Attributes:
        address: Where the store is, as MLflow writes addresses.
        experiment_id: The experiment `EXPERIMENT`.
    """

    def __init__(self, patience: float):
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(min(patience / 2, 60))))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it tells of its tables
        from mlflow import MlflowClient

        root, address = results.root(), os.environ.get("MLFLOW_TRACKING_URI")
        self._patience = patience if address else float("inf")
        self._spent = 0.0
        self.address = address or f"sqlite:///{root / 'mlflow.db'}"
        local = None if address else (root / "mlartifacts").as_uri()
        with self.exclusive():  # two processes that create the schema at once collide
            self._client = MlflowClient(self.address)
            experiment = self.do("get_experiment_by_name", EXPERIMENT)
            if experiment is None:
                self.experiment_id = self.do(
                    "create_experiment", EXPERIMENT, artifact_location=local
                )
                return
            self.experiment_id = experiment.experiment_id
            if experiment.lifecycle_stage == "deleted":
                self.do("restore_experiment", self.experiment_id)
        if local and experiment.artifact_location != local:
            logger.warning(
                "mlflow.db keeps its pictures in %s: the repository was moved; delete mlflow.db "
                "and mlartifacts, then run 'python -m rakuten sync'",
                experiment.artifact_location,
            )

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let one process of this repository at a time look for a run and create it.

        Raises:
            TimeoutError: If another process holds the lock for longer than the patience.
        """
        folder = results.root() / ".dvc" / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "mlflow.lock", timeout=min(self._patience, LOCAL_PATIENCE)):
            yield

    def do(self, method: str, *arguments, **options):
        """Call a method of MLflow's client.

        Raises:
            TimeoutError: If the calls so far took longer than the patience.
        """
        if self._spent > self._patience:
            raise TimeoutError(f"it took {self._spent:.0f} s so far")
        start = time.monotonic()
        try:
            return getattr(self._client, method)(*arguments, **options)
        finally:
            self._spent += time.monotonic() - start

    def runs(self, key: str) -> "list[Run]":
        """Find the runs of a result, oldest first."""
        return self.do(
            "search_runs",
            [self.experiment_id],
            f"tags.`{KEY}` = '{key}'",
            order_by=["attributes.start_time ASC"],
        )

    def create(self, name: str, tags: dict[str, str], start: float | None = None) -> str:
        """Start a run.

        Args:
            name: What the user interface calls it.
            tags: Its tags.
            start: When it began, seconds since 1970; now by default.

        Returns:
            The run's id.
        """
        start_ms = None if start is None else int(start * 1000)
        run = self.do("create_run", self.experiment_id, start_ms, tags, name)
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
        """Add figures to a run.

        Args:
            run_id: The run.
            metrics: Values by name, all of one step.
            params: Values by name.
            tags: Values by name.
            step: The epoch, 0 for a figure of the whole training.
        """
        from mlflow.entities import Param, RunTag

        self.log_steps(run_id, {step: metrics or {}})
        values = [("params", Param(name, str(value))) for name, value in (params or {}).items()]
        values += [("tags", RunTag(name, value)) for name, value in (tags or {}).items()]
        for first in range(0, len(values), PARAMS_A_REQUEST):
            batch = {"params": [], "tags": []}
            for kind, value in values[first : first + PARAMS_A_REQUEST]:
                batch[kind].append(value)
            self.do("log_batch", run_id, **batch)

    def log_steps(self, run_id: str, metrics: dict[int, dict[str, float]]) -> None:
        """Add figures of many steps in few requests.

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
        for first in range(0, len(entities), METRICS_A_REQUEST):
            batch = entities[first : first + METRICS_A_REQUEST]
            self.do("log_batch", run_id, metrics=batch)

    def log_dataset(self, run_id: str, dataset: dict[str, str]) -> None:
        """Name the data of a run: name and digest."""
        from mlflow.entities import Dataset, DatasetInput

        entity = Dataset(dataset["name"], dataset["digest"], "dvc", "data.dvc")
        self.do("log_inputs", run_id, [DatasetInput(entity)])


class LiveRun:
    """The run of a training that goes on now; silent when there is nothing to log to."""

    def __init__(self, mirror: Mirror | None = None, run_id: str = ""):
        self._mirror, self._run_id = mirror, run_id

    def log_epoch(self, epoch: int, curves: dict[str, float]) -> None:
        """Add one epoch to the curves.

        Args:
            epoch: Its number, from 1.
            curves: Losses and accuracies by name.
        """
        self._try(lambda mirror: mirror.log(self._run_id, metrics=_curves(curves), step=epoch))

    def end(self, status: str) -> None:
        """Close the run as FINISHED or FAILED."""
        self._try(lambda mirror: mirror.do("set_terminated", self._run_id, status))

    def _try(self, action: Callable[[Mirror], None]) -> None:
        """Do something with the store, and without it once it failed."""
        if self._mirror is None:
            return
        try:
            action(self._mirror)
        except failures() as error:
            _warn(str(error))
            self._mirror = None


@contextmanager
def live_run(stage: str) -> Iterator[LiveRun]:
    """Log the training of a stage while it runs.

    A result that has a finished run already is not logged again; an unfinished run of it, left by
    a process that was killed, is replaced.

    Args:
        stage: The stage's name in `dvc.yaml`.

    Yields:
        The run to log epochs to.
    """
    try:
        run = _begin(stage)
    except failures() as error:
        _warn(str(error))
        run = LiveRun()
    try:
        yield run
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


def publish_workspace(running: str) -> None:
    """Complete the runs of the workspace's models with their evaluation, if the store answers.

    A queued or temporary experiment, which runs in a copy of the workspace, leaves complete runs
    as they are: what it did not make itself shows the evaluation of the workspace, so that
    experiments beside each other do not replace each other's pictures of one and the same model.

    Args:
        running: The stage that calls, whose outputs DVC has not recorded yet.
    """
    try:
        mirror = Mirror(PUBLISHING_PATIENCE)
        copied = Path.cwd().resolve() != results.root().resolve()
        for result in reversed(results.found_in(Snapshot(Path.cwd(), running=running))):
            if copied and any(_is_complete(run) for run in mirror.runs(result.key)):
                continue
            publish(mirror, result, _experiment_of(result.key), _baseline())
        publish_references(mirror)
    except failures() as error:
        _warn(str(error))


def publish(mirror: Mirror, result: Result, experiment: str, commit: str, label: str = "") -> str:
    """Make the runs of a result one run that shows exactly this result.

    Args:
        mirror: The store.
        result: What to log.
        experiment: The `dvc exp` experiment it belongs to, "" if none.
        commit: The git commit it belongs to.
        label: What its run's name says after the model; the experiment's name if empty.

    Returns:
        What was needed: "kept", "completed" (a live run lacked its evaluation) or "rebuilt".
    """
    content = result.content()
    belonging = _belonging(result, experiment, commit, label or experiment)
    with mirror.exclusive():
        runs = mirror.runs(result.key)
        finished = [run for run in runs if run.info.status == "FINISHED"]
        same = [run for run in finished if run.data.tags.get(CONTENT) == content]
        live = [run for run in finished if CONTENT not in run.data.tags]
        chosen = (same or live)[:1]
        for run in runs:
            if run not in chosen:
                mirror.do("delete_run", run.info.run_id)
        if chosen:
            run_id, tags = chosen[0].info.run_id, chosen[0].data.tags
            repaired = {k: v for k, v in belonging.items() if tags.get(k) != v}
            if repaired:
                mirror.log(run_id, tags=repaired)
        if same:
            return "kept"
        if not live:
            run_id = _create_for(mirror, result, belonging)
            rows = result.curves.to_dict("records")
            mirror.log_steps(run_id, {int(row.pop("epoch")): _curves(row) for row in rows})
        mirror.log(run_id, metrics=result.metrics | result.timings)
        _attach(mirror, run_id, result)
        mirror.log(run_id, tags={CONTENT: content})
        if not live:
            _finish(mirror, run_id, result)
    return "completed" if live else "rebuilt"


def publish_references(mirror: Mirror) -> None:
    """Log the study's published figures, one run per model, tagged source=published."""
    for model, figures in PUBLISHED.items():
        key = f"published-{model}"
        with mirror.exclusive():
            runs = mirror.runs(key)
            if any(run.info.status == "FINISHED" for run in runs):
                continue
            for run in runs:
                mirror.do("delete_run", run.info.run_id)
            tags = {KEY: key, "source": "published", "model": model}
            run_id = mirror.create(f"{model} (published)", tags)
            mirror.log(run_id, metrics=results.flatten(figures))
            mirror.do("set_terminated", run_id, "FINISHED")


def sync(mirror: Mirror, repository: Path) -> dict[str, int]:
    """Rebuild every missing run from the workspace, all commits and all experiments.

    Runs are named after the model, and after the experiment, or after the commit where the result
    is of another commit than the workspace.

    Args:
        mirror: The store.
        repository: The repository whose results to log.

    Returns:
        Number of results by what was needed: "kept", "completed", "rebuilt".
    """
    committed = [r for s in results.commits(repository) for r in results.found_in(s)]
    tried = [r for s in results.experiments(repository) for r in results.found_in(s)]
    present = results.found_in(Snapshot(repository))
    # A result belongs to whoever had it first; it shows the newest evaluation there is of it.
    oldest_first = sorted(
        [*tried, *committed, *present], key=lambda r: r.snapshot.time or float("inf")
    )
    made_by = {result.key: result.snapshot for result in reversed(oldest_first)}
    shown_by = {r.key: r for r in sorted(oldest_first, key=lambda r: r.evaluated)}
    here = {result.key for result in present}
    counts = {"kept": 0, "completed": 0, "rebuilt": 0}
    for key, result in shown_by.items():
        maker = made_by[key]
        commit = maker.baseline or maker.commit or results.head(repository)
        label = maker.experiment or ("" if key in here else f"@{commit[:7]}")
        counts[publish(mirror, result, maker.experiment, commit, label)] += 1
    publish_references(mirror)
    _end_abandoned(mirror)
    return counts


def _begin(stage: str) -> LiveRun:
    """Start the run of a training, or a silent one if its result has a finished run."""
    mirror = Mirror(TRAINING_PATIENCE)
    key = results.current_key(stage)
    with mirror.exclusive():
        runs = mirror.runs(key)
        if any(run.info.status == "FINISHED" for run in runs):
            return LiveRun()
        for run in runs:
            mirror.do("delete_run", run.info.run_id)
        result = Result(stage, key, Snapshot(Path.cwd(), running=stage))
        experiment = _experiment_of(key)
        belonging = _belonging(result, experiment, _baseline(), experiment)
        run_id = _create_for(mirror, result, belonging)
    return LiveRun(mirror, run_id)


def _is_complete(run: "Run") -> bool:
    """Tell whether a run is over and has its evaluation."""
    return run.info.status == "FINISHED" and CONTENT in run.data.tags


def _belonging(result: Result, experiment: str, commit: str, label: str) -> dict[str, str]:
    """Tag a run with where its result came from."""
    name = f"{result.model} {label}".strip()
    return {"dvc.experiment": experiment, "git.commit": commit, "mlflow.runName": name}


def _create_for(mirror: Mirror, result: Result, belonging: dict[str, str]) -> str:
    """Start a run with everything that is known before the first epoch."""
    tags = {
        KEY: result.key,
        "source": "measured",
        "model": result.model,
        "dvc.stage": result.stage,
        "mlflow.source.name": f"stages/{result.stage}.py",
    }
    name = belonging["mlflow.runName"]
    run_id = mirror.create(name, tags | belonging, result.snapshot.time)
    mirror.log(run_id, params=result.params)
    mirror.log_dataset(run_id, result.dataset)
    return run_id


def _finish(mirror: Mirror, run_id: str, result: Result) -> None:
    """End a rebuilt run after as long as its training took."""
    end = None
    if result.snapshot.time is not None:
        seconds = result.timings.get("timing/fit_seconds", 0.0)
        end = int((result.snapshot.time + seconds) * 1000)
    mirror.do("set_terminated", run_id, "FINISHED", end_time=end)


def _end_abandoned(mirror: Mirror) -> None:
    """Mark the runs of trainings that were killed long ago."""
    before = int((time.time() - ABANDONED) * 1000)
    query = f"attributes.status = 'RUNNING' AND attributes.start_time < {before}"
    for run in mirror.do("search_runs", [mirror.experiment_id], query):
        mirror.do("set_terminated", run.info.run_id, "KILLED")


def _experiment_of(key: str) -> str:
    """Name the running experiment, unless the commit it started from had the result already."""
    name, baseline = os.environ.get("DVC_EXP_NAME", ""), os.environ.get("DVC_EXP_BASELINE_REV")
    if not name or not baseline:
        return name
    had = results.found_in(Snapshot(results.root(), baseline))
    return "" if key in {result.key for result in had} else name


def _attach(mirror: Mirror, run_id: str, result: Result) -> None:
    """Copy pictures and tables into the run, in folders named after the stages."""
    with tempfile.TemporaryDirectory() as folder:
        for path in result.attachments():
            target = Path(folder, *Path(path).parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(result.snapshot.read(path))
        mirror.do("log_artifacts", run_id, folder)


def _curves(values: dict[str, float]) -> dict[str, float]:
    """Put the curves into a group of their own."""
    return {f"epoch/{name}": float(value) for name, value in values.items()}


def _baseline() -> str:
    """Name the commit that the workspace stands on, also within an experiment."""
    return os.environ.get("DVC_EXP_BASELINE_REV") or results.head(Path.cwd())


def _warn(reason: str) -> None:
    address = os.environ.get("MLFLOW_TRACKING_URI", "mlflow.db")
    logger.warning(
        "MLflow at %s cannot be used (%s): going on without; nothing is lost, run "
        "'python -m rakuten sync' later",
        address,
        reason.splitlines()[0][:200],
    )
