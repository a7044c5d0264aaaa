"""Mirror the results into MLflow: live while a net trains, and later from what DVC and git hold.

Models that are not trained in epochs have no live run; they get a run once they are evaluated.

DVC records, MLflow mirrors. A run carries its result's key, see `rakuten.tracking.results.key`,
so each result has one run however often it is logged, and `python -m rakuten sync` rebuilds missing
runs. A tracking server that is down or slow costs some seconds and one warning.
"""

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rakuten.evaluation.published import PUBLISHED
from rakuten.tracking import results
from rakuten.tracking.mirror import KEY, Mirror, store_errors
from rakuten.tracking.results import Result, Snapshot

if TYPE_CHECKING:
    from mlflow.entities import Run

TRAINING_TIME_LIMIT = 6.0
"""Seconds that a training spends in all on a tracking server before it stops logging."""

PUBLISHING_TIME_LIMIT = 12.0
"""The same for the evaluation, which sends the tables and charts of six models."""

ABANDONED_AFTER = 24 * 3600.0
"""Seconds after which a run that was never ended counts as killed."""

CONTENT = "result.content"
"""The tag with the digest of everything that a complete run shows."""

logger = logging.getLogger(__name__)


class LiveRun:
    """The run of a training in progress; without a store it does nothing."""

    def __init__(self, mirror: Mirror | None = None, run_id: str = ""):
        self._mirror, self._run_id = mirror, run_id

    def log_epoch(self, epoch: int, curves: dict[str, float]) -> None:
        """Log the losses and accuracies of one epoch.

        Args:
            epoch: Its number, from 1.
            curves: Values by name.
        """
        self._try(lambda mirror: mirror.log(self._run_id, metrics=_curves(curves), step=epoch))

    def end(self, status: str) -> None:
        """Close the run as FINISHED or FAILED."""
        self._try(lambda mirror: mirror.call("set_terminated", self._run_id, status))

    def _try(self, action: Callable[[Mirror], object]) -> None:
        """Use the store; after a failure stop using it."""
        if self._mirror is None:
            return
        try:
            action(self._mirror)
        except store_errors() as error:
            _warn(str(error))
            self._mirror = None


@contextmanager
def live_run(stage: str) -> Iterator[LiveRun]:
    """Log the training of a stage while it runs.

    A result that has a finished run is not logged again. An unfinished run of it, left by a killed
    process, is replaced.

    Args:
        stage: The stage's name in `dvc.yaml`.

    Yields:
        The run to log epochs to.
    """
    try:
        run = _begin(stage)
    except store_errors() as error:
        _warn(str(error))
        run = LiveRun()
    try:
        yield run
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


def publish_workspace(running: str) -> None:
    """Add the evaluation to the runs of the workspace's models, if the store is available.

    A queued or temporary experiment runs in a copy of the workspace. It leaves complete runs as
    they are: models that it did not train keep the evaluation of the workspace, so that parallel
    experiments do not replace each other's charts of the same model.

    Args:
        running: The calling stage, whose outputs DVC has not recorded yet.
    """
    try:
        mirror = Mirror(PUBLISHING_TIME_LIMIT)
        is_copy = Path.cwd().resolve() != results.root().resolve()
        for result in reversed(results.found_in(Snapshot(Path.cwd(), running=running))):
            if is_copy and any(_is_complete(run) for run in mirror.runs(result.key)):
                continue
            publish(mirror, result, _experiment_of(result.key), _baseline())
        publish_references(mirror)
    except store_errors() as error:
        _warn(str(error))


def publish(mirror: Mirror, result: Result, experiment: str, commit: str, label: str = "") -> str:
    """Make sure that a result has one run, and that it shows exactly this result.

    Args:
        mirror: The store.
        result: What to log.
        experiment: The `dvc exp` experiment it belongs to, "" if none.
        commit: The git commit it belongs to.
        label: What follows the model in the run's name; the experiment's name if empty.

    Returns:
        What was done: "kept", "completed" (a live run lacked its evaluation) or "rebuilt".
    """
    content = result.content()
    origin = _origin(result, experiment, commit, label or experiment)
    with mirror.exclusive():
        runs = mirror.runs(result.key)
        finished = [run for run in runs if run.info.status == "FINISHED"]
        same = [run for run in finished if run.data.tags.get(CONTENT) == content]
        live = [run for run in finished if CONTENT not in run.data.tags]
        chosen = (same or live)[:1]
        for run in runs:
            if run not in chosen:
                mirror.call("delete_run", run.info.run_id)
        if chosen:
            run_id, tags = chosen[0].info.run_id, chosen[0].data.tags
            corrected = {name: value for name, value in origin.items() if tags.get(name) != value}
            if corrected:
                mirror.log(run_id, tags=corrected)
        if same:
            return "kept"
        if not live:
            run_id = _create_for(mirror, result, origin)
            rows: list[dict] = result.curves.to_dict("records")
            mirror.log_steps(run_id, {int(row.pop("epoch")): _curves(row) for row in rows})
        mirror.log(run_id, metrics=result.metrics | result.timings)
        _attach(mirror, run_id, result)
        mirror.log(run_id, tags={CONTENT: content})
        if not live:
            _finish(mirror, run_id, result)
    return "completed" if live else "rebuilt"


def publish_references(mirror: Mirror) -> None:
    """Log the study's published metrics, one run per model, tagged source=published."""
    for model, metrics in PUBLISHED.items():
        key = f"published-{model}"
        with mirror.exclusive():
            runs = mirror.runs(key)
            if any(run.info.status == "FINISHED" for run in runs):
                continue
            for run in runs:
                mirror.call("delete_run", run.info.run_id)
            tags = {KEY: key, "source": "published", "model": model}
            run_id = mirror.create(f"{model} (published)", tags)
            mirror.log(run_id, metrics=results.flatten(metrics))
            mirror.call("set_terminated", run_id, "FINISHED")


def sync(mirror: Mirror, repository: Path) -> dict[str, int]:
    """Rebuild every missing run from the workspace, all commits and all experiments.

    A run is named after the model, then the experiment, or the commit if the result is not that of
    the workspace.

    Args:
        mirror: The store.
        repository: The repository whose results to log.

    Returns:
        Number of results by what was done: "kept", "completed", "rebuilt".
    """
    committed = [r for s in results.commits(repository) for r in results.found_in(s)]
    tried = [r for s in results.experiments(repository) for r in results.found_in(s)]
    present = results.found_in(Snapshot(repository))
    # A result belongs to the oldest snapshot that has it; it shows its newest evaluation.
    oldest_first = sorted(
        [*tried, *committed, *present], key=lambda r: r.snapshot.time or float("inf")
    )
    origins = {result.key: result.snapshot for result in reversed(oldest_first)}
    shown = {r.key: r for r in sorted(oldest_first, key=lambda r: r.evaluated)}
    here = {result.key for result in present}
    counts = {"kept": 0, "completed": 0, "rebuilt": 0}
    for key, result in shown.items():
        origin = origins[key]
        commit = origin.baseline or origin.commit or results.head(repository)
        label = origin.experiment or ("" if key in here else f"@{commit[:7]}")
        counts[publish(mirror, result, origin.experiment, commit, label)] += 1
    publish_references(mirror)
    _end_abandoned(mirror)
    return counts


def _begin(stage: str) -> LiveRun:
    """Start the run of a training, or one that logs nothing if its result has a finished run."""
    mirror = Mirror(TRAINING_TIME_LIMIT)
    key = results.current_key(stage)
    with mirror.exclusive():
        runs = mirror.runs(key)
        if any(run.info.status == "FINISHED" for run in runs):
            return LiveRun()
        for run in runs:
            mirror.call("delete_run", run.info.run_id)
        result = Result(stage, key, Snapshot(Path.cwd(), running=stage))
        experiment = _experiment_of(key)
        origin = _origin(result, experiment, _baseline(), experiment)
        run_id = _create_for(mirror, result, origin)
    return LiveRun(mirror, run_id)


def _is_complete(run: "Run") -> bool:
    return run.info.status == "FINISHED" and CONTENT in run.data.tags


def _origin(result: Result, experiment: str, commit: str, label: str) -> dict[str, str]:
    """List the tags that say where a result comes from."""
    name = f"{result.model} {label}".strip()
    return {"dvc.experiment": experiment, "git.commit": commit, "mlflow.runName": name}


def _create_for(mirror: Mirror, result: Result, origin: dict[str, str]) -> str:
    """Start a run with everything that is known before the first epoch."""
    tags = {
        KEY: result.key,
        "source": "measured",
        "model": result.model,
        "dvc.stage": result.stage,
        "mlflow.source.name": f"stages/{result.stage}.py",
    }
    name = origin["mlflow.runName"]
    run_id = mirror.create(name, tags | origin, result.snapshot.time)
    mirror.log(run_id, params=result.params)
    mirror.log_dataset(run_id, result.dataset)
    return run_id


def _finish(mirror: Mirror, run_id: str, result: Result) -> None:
    """End a rebuilt run so that it lasts as long as its training did."""
    end = None
    if result.snapshot.time is not None:
        seconds = result.timings.get("timing/fit_seconds", 0.0)
        end = int((result.snapshot.time + seconds) * 1000)
    mirror.call("set_terminated", run_id, "FINISHED", end_time=end)


def _end_abandoned(mirror: Mirror) -> None:
    """Mark the runs of trainings that were killed long ago."""
    before = int((time.time() - ABANDONED_AFTER) * 1000)
    query = f"attributes.status = 'RUNNING' AND attributes.start_time < {before}"
    for run in mirror.call("search_runs", [mirror.experiment_id], query):
        mirror.call("set_terminated", run.info.run_id, "KILLED")


def _experiment_of(key: str) -> str:
    """Name the running experiment, "" if the commit it started from already had the result."""
    name, baseline = os.environ.get("DVC_EXP_NAME", ""), os.environ.get("DVC_EXP_BASELINE_REV")
    if not name or not baseline:
        return name
    before = results.found_in(Snapshot(results.root(), baseline))
    return "" if key in {result.key for result in before} else name


def _attach(mirror: Mirror, run_id: str, result: Result) -> None:
    """Copy charts and tables into the run, in folders named after the stages."""
    with tempfile.TemporaryDirectory() as folder:
        for path in result.attachments():
            target = Path(folder, *Path(path).parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(result.snapshot.read(path) or b"")
        mirror.call("log_artifacts", run_id, folder)


def _curves(values: dict[str, float]) -> dict[str, float]:
    """Prefix the names of curves, so that MLflow groups them."""
    return {f"epoch/{name}": float(value) for name, value in values.items()}


def _baseline() -> str:
    """Name the commit that the workspace is based on, also within an experiment."""
    return os.environ.get("DVC_EXP_BASELINE_REV") or results.head(Path.cwd())


def _warn(reason: str) -> None:
    address = os.environ.get("MLFLOW_TRACKING_URI", "mlflow.db")
    logger.warning(
        "MLflow at %s cannot be used (%s): this run is not logged; nothing is lost, run "
        "'python -m rakuten sync' later",
        address,
        reason.splitlines()[0][:200],
    )
