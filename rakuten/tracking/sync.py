"""Bring MLflow up to date with what DVC and git hold: the command `python -m rakuten sync`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from filelock import Timeout

from rakuten import stage_log
from rakuten.model_names import TABLE
from rakuten.tracking import results
from rakuten.tracking.git import Commit, Repository
from rakuten.tracking.mirror import KEY, Mirror
from rakuten.tracking.publishing import (
    MEASURED,
    STATES,
    Publisher,
    measured_record,
    published_records,
    rename,
)
from rakuten.tracking.results import Result
from rakuten.tracking.snapshots import Snapshot, Workspace

if TYPE_CHECKING:
    from mlflow.entities import Run

Item = TypeVar("Item")

PROGRESS_AFTER = 3.0
"""Seconds after which progress is shown."""


class Group(NamedTuple):
    """Equal results.

    Attributes:
        shown: The one to show: the newest that is evaluated.
        origin: The oldest snapshot that has one of them.
    """

    shown: Result
    origin: Snapshot

    @property
    def experiment(self) -> str:
        """The name of the experiment that gave the result first, "" if a commit did."""
        return _experiment(self.origin)

    @property
    def commit(self) -> str:
        """The commit that gave the result, or from which its experiment started."""
        return self.origin.baseline or self.origin.commit if isinstance(self.origin, Commit) else ""


def sync(mirror: Mirror, root: Path, *, history: bool = False) -> dict[str, int]:
    """Add the runs that are missing and complete those of this clone.

    A run is named after the model, then the experiment, or the commit if the result is neither that
    of the workspace nor that of the checked-out commit.

    Args:
        mirror: The store.
        root: The project's folder.
        history: Whether to log all commits of all branches and all experiments. By default: the
            workspace, the checked-out commit and the experiments that started from it.

    Returns:
        Number of runs by what was done, see `rakuten.tracking.publishing.STATES`.

    Raises:
        GitError: If git is missing or refuses to read the repository.
    """
    counts = dict.fromkeys(STATES, 0)
    publisher = Publisher(mirror)
    with Repository(root) as repository:
        head = repository.head()
        here = [Workspace(root), *([repository.snapshot(head)] if head else [])]
        if history:
            past = [*repository.commits(), *repository.experiments()]
        else:
            past = list(repository.experiments(head)) if head else []
        groups = group([*here, *past])
        current = _current(groups, here)
        runs: dict[str, str] = {}
        for record in published_records():
            counts[publisher.publish(record)[0]] += 1
        order = {model.name: number for number, model in enumerate(TABLE)}
        # MLflow lists the newest run first: the models appear in the order of the table.
        sorted_groups = sorted(groups.values(), key=lambda g: -order[g.shown.model])
        for one in _progress(sorted_groups, "run", "Updating MLflow"):
            is_current = current.get(one.shown.model) == one.shown.content
            commit = one.commit or head
            label = one.experiment or ("" if is_current or not commit else f"@{commit[:7]}")
            record = measured_record(
                one.shown, experiment=one.experiment, commit=commit, label=label
            )
            state, run_id = publisher.publish(
                record, refresh=history or not one.experiment, origin_is_known=history
            )
            counts[state] += 1
            if is_current:
                runs[one.shown.model] = run_id
    present = mirror.all_runs()
    rename(mirror, present, {model.name: runs.get(model.name, "") for model in TABLE})
    _end_abandoned(mirror, present)
    return counts


def group(snapshots: Sequence[Snapshot]) -> dict[str, Group]:
    """Find the distinct results of snapshots.

    Reports are read only of the snapshots that decide: most commits have the results of the one
    before.

    Args:
        snapshots: Those of git newest first.

    Returns:
        Groups by content.
    """
    # Times are whole seconds: of equal ones the order of git decides, experiments come last.
    oldest_first = list(reversed(snapshots))
    oldest_first.sort(key=lambda s: (_time(s), _experiment(s)))
    age = {snapshot: number for number, snapshot in enumerate(oldest_first)}
    by_key: dict[str, list[Result]] = {}
    for snapshot in _progress(oldest_first, "commit", "Reading results"):
        for result in results.trained_in(snapshot):
            by_key.setdefault(result.key, []).append(result)
    groups: dict[str, Group] = {}
    for equal in by_key.values():
        recorded = next((result for result in equal if result.is_recorded), None)
        if recorded is None:
            continue
        evaluated = (r for r in reversed(equal) if r.is_recorded and r.evaluated)
        newest = (r for r in reversed(equal) if r.is_recorded)
        shown, origin = next(evaluated, None) or next(newest), recorded.snapshot
        if other := groups.get(shown.content):
            shown = max(shown, other.shown, key=lambda result: age[result.snapshot])
            origin = min(origin, other.origin, key=lambda snapshot: age[snapshot])
        groups[shown.content] = Group(shown, origin)
    return groups


def _current(groups: dict[str, Group], here: list[Snapshot]) -> dict[str, str]:
    """Find the content of each model in the workspace, else in the checked-out commit.

    Results of experiments do not count: their runs are named after the experiment.
    """
    contents = {one.shown.key: content for content, one in groups.items()}
    current: dict[str, str] = {}
    for snapshot in here:
        for result in results.trained_in(snapshot):
            content = contents.get(result.key)
            if content and not groups[content].experiment:
                current.setdefault(result.model, content)
    return current


def _end_abandoned(mirror: Mirror, runs: "Iterable[Run]") -> None:
    """Mark the runs of this clone whose training was killed."""
    for run in runs:
        tags = run.data.tags
        is_running = run.info.status == "RUNNING" and tags.get("source") == MEASURED
        if not is_running or not mirror.owns(run):
            continue
        try:
            with mirror.exclusive(), mirror.training_lock(tags[KEY]).acquire(timeout=0):
                if mirror.call("get_run", run.info.run_id).info.status == "RUNNING":
                    mirror.call("set_terminated", run.info.run_id, "KILLED")
        except Timeout:  # it is being trained
            continue


def _progress(items: list[Item], unit: str, description: str) -> Iterable[Item]:
    return stage_log.progress(
        items, total=len(items), unit=unit, description=description, delay=PROGRESS_AFTER
    )


def _experiment(snapshot: Snapshot) -> str:
    return snapshot.experiment if isinstance(snapshot, Commit) else ""


def _time(snapshot: Snapshot) -> float:
    return float("inf") if snapshot.time is None else snapshot.time
