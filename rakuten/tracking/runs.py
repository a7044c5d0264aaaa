"""Mirror the results into MLflow: while a net trains, and once the models are evaluated.

Models that are not trained in epochs have no live run; they get a run once they are evaluated.

DVC keeps the results, MLflow has a copy. A run carries its result's key, see
`rakuten.tracking.results.key`, so each result has one run however often it is logged, and
`python -m rakuten sync` adds missing runs. A tracking server that is down or slow costs some
seconds and one warning.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import Timeout

from rakuten.tracking import addresses, git, results
from rakuten.tracking.mirror import Mirror, store_errors
from rakuten.tracking.publishing import (
    Publisher,
    create,
    curves,
    measured_record,
    published_records,
    rename,
)
from rakuten.tracking.results import Result
from rakuten.tracking.snapshots import Workspace

TRAINING_TIME_LIMIT = 6.0
"""Seconds that a training spends in all on a tracking server before it stops logging."""

PUBLISHING_TIME_LIMIT = 30.0
"""The same for the evaluation, which sends the tables and charts of all models."""

logger = logging.getLogger(__name__)


class LiveRun:
    """The run of a training in progress; without a store it does nothing."""

    def __init__(
        self, mirror: Mirror | None = None, run_id: str = "", held: ExitStack | None = None
    ):
        self._mirror, self._run_id = mirror, run_id
        self._held = held or ExitStack()

    def log_epoch(self, epoch: int, values: dict[str, float]) -> None:
        """Log the losses and accuracies of one epoch.

        Args:
            epoch: Its number, from 1.
            values: Values by name.
        """
        self._try(lambda mirror: mirror.log(self._run_id, metrics=curves(values), step=epoch))

    def end(self, status: str) -> None:
        """Close the run as FINISHED or FAILED."""
        self._try(lambda mirror: mirror.call("set_terminated", self._run_id, status))
        self._held.close()

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

    A result that has a finished run, of any clone, is not logged again. An unfinished run of this
    clone, left by a killed process, is continued.

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
        _publish(mirror, results.found_in(Workspace(Path.cwd(), running)))
    except store_errors() as error:
        _warn(str(error))


def _publish(mirror: Mirror, found: list[Result]) -> None:
    publisher = Publisher(mirror)
    is_copy = Path.cwd().resolve() != results.root().resolve()
    committed, baseline, current = _committed(), _baseline(), {}
    for result in reversed(found):
        is_new = not {result.key, result.content} & committed
        experiment = os.environ.get("DVC_EXP_NAME", "") if is_new else ""
        record = measured_record(result, experiment=experiment, commit=baseline, label=experiment)
        if is_copy and publisher.shows(record):
            continue
        _, run_id = publisher.publish(record)
        if not experiment:
            current[result.model] = run_id
    for record in published_records():  # last: the time may be limited
        publisher.publish(record)
    if not is_copy:
        rename(mirror, mirror.all_runs(), current)


def _begin(stage: str) -> LiveRun:
    """Start the run of a training, or one that logs nothing if its result has a finished run."""
    mirror = Mirror(TRAINING_TIME_LIMIT)
    result = Result(stage, Workspace(Path.cwd(), stage))
    with ExitStack() as held:
        try:
            held.enter_context(mirror.training_lock(result.key).acquire(timeout=0))
        except Timeout:  # another process trains the same result
            return LiveRun()
        with mirror.exclusive():
            runs = mirror.runs(result.key)
            if any(run.info.status == "FINISHED" for run in runs):
                return LiveRun()
            if own := [run.info.run_id for run in runs if mirror.owns(run)]:
                run_id = own[-1]
                mirror.call("update_run", run_id, "RUNNING")
            else:
                is_new = result.key not in _committed()
                name = os.environ.get("DVC_EXP_NAME", "") if is_new else ""
                record = measured_record(result, experiment=name, commit=_baseline(), label=name)
                run_id = create(mirror, record)
        return LiveRun(mirror, run_id, held.pop_all())


def _committed() -> set[str]:
    """List keys and contents of the results of the commit that the running experiment started from.

    These results are not named after the experiment.
    """
    baseline = os.environ.get("DVC_EXP_BASELINE_REV")
    if not baseline:
        return set()
    try:
        with git.Repository(results.root()) as repository:
            found = results.trained_in(repository.snapshot(baseline))
            return {one.key for one in found} | {one.content for one in found if one.is_recorded}
    except git.GitError:
        return set()


def _baseline() -> str:
    """Name the commit that the workspace is based on, also within an experiment."""
    return os.environ.get("DVC_EXP_BASELINE_REV") or git.head(Path.cwd())


def _warn(reason: str) -> None:
    logger.warning(
        "MLflow at %s cannot be used (%s): this run is not logged; nothing is lost, run "
        "'python -m rakuten sync' later",
        addresses.mask(addresses.configured()) or addresses.DATABASE,
        addresses.mask(reason).partition("\n")[0][:200],
    )
