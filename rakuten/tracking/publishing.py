"""Make each result one complete run in MLflow, and leave everything else there as it is.

Only runs of this clone of the repository are changed. Of those, names and descriptions that people
edited stay, and so do tags that this module does not write. One kind of run is deleted: an unedited
run whose training repeated the result of an earlier run.
"""

import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout

from rakuten.evaluation.published import PUBLISHED, TEST_ROWS
from rakuten.model_names import BY_NAME
from rakuten.tracking import results
from rakuten.tracking.mirror import CLONE, KEY, NOTE, Mirror
from rakuten.tracking.results import Result

if TYPE_CHECKING:
    from mlflow.entities import Run

CONTENT, FILES = "result.content", "result.files"
"""The tags with the digests of a complete run's result and of its attachments."""

NAME = "result.name"
"""The tag with the name that this module gave to a run: a run with another name was renamed."""

COMMIT, EXPERIMENT = "git.commit", "dvc.experiment"
"""The tags that say where a result was found first."""

MEASURED, PUBLISHED_DATA = "measured", "Rakuten France, published"

FIT_SECONDS = "timing/fit_seconds"

KEPT, COMPLETED, CREATED, RUNNING = STATES = ("kept", "completed", "created", "running")
"""What `publish` does about a result. RUNNING: another process trains it at the moment."""


@dataclass(frozen=True)
class Record:
    """What a run shows, and where it comes from.

    Attributes:
        model: The model's name.
        key: Identifies the inputs of the result.
        name: The name of the run.
        note: Its description.
        dataset: Name, digest and source of the data.
        tags: Tags that are corrected if they differ.
        origin: Tags that say where the result was found first.
        result: The trained model; None for published figures.
        figures: Published metrics by name.
    """

    model: str
    key: str
    name: str
    note: str
    dataset: Mapping[str, str]
    tags: Mapping[str, str]
    origin: Mapping[str, str] = field(default_factory=dict)
    result: Result | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """Digest of the result, equal for equal results."""
        if self.result:
            return self.result.content
        return results.digest("published", self.model, dict(self.figures))

    @property
    def metrics(self) -> dict[str, float]:
        """Values by name."""
        return self.result.metrics | self.result.timings if self.result else dict(self.figures)

    @cached_property
    def start(self) -> float:
        """When the training began, seconds since 1970; for the workspace as if it ended now."""
        if self.result and self.result.snapshot.time:
            return self.result.snapshot.time
        return time.time() - self.metrics.get(FIT_SECONDS, 0.0)


def measured_record(
    result: Result, *, experiment: str = "", commit: str = "", label: str = ""
) -> Record:
    """Describe the run of a trained model.

    Args:
        result: The model.
        experiment: The `dvc exp` experiment it belongs to, "" if none.
        commit: The git commit it belongs to, "" if unknown.
        label: What follows the model's title in the run's name, "" if nothing.
    """
    title, data = BY_NAME[result.model].title, result.dataset["name"]
    return Record(
        model=result.model,
        key=result.key,
        name=f"{title} {label}".strip(),
        note=(
            f"{title}, trained by the stage `{result.stage}` of this project. All metrics were "
            f"measured on this data: {data}."
        ),
        dataset=result.dataset | {"source": "data.dvc"},
        tags={
            KEY: result.key,
            "source": MEASURED,
            "model": result.model,
            "data": data,
            "dvc.stage": result.stage,
            "mlflow.source.name": f"stages/{result.stage}.py",
        },
        origin={COMMIT: commit, EXPERIMENT: experiment},
        result=result,
    )


def published_records() -> list[Record]:
    """Describe the runs of the study's published figures."""
    records = []
    for model, figures in PUBLISHED.items():
        title, key = BY_NAME[model].title, f"published-{model}"
        record = Record(
            model=model,
            key=key,
            name=f"{title}, published (Rakuten data)",
            note=(
                f"{title}: accuracy as the original study published it for the real data of "
                "Rakuten France. Nothing here was measured by this project."
            ),
            dataset={"name": PUBLISHED_DATA, "digest": "published", "source": "published study"},
            tags={
                KEY: key,
                "source": "published",
                "model": model,
                "data": PUBLISHED_DATA,
                "mlflow.source.name": "published study",
            },
            figures=results.flatten(figures) | {"test/rows": TEST_ROWS},
        )
        records.append(record)
    return records


class Publisher:
    """Writes records into a store whose runs it has read once.

    Args:
        mirror: The store.

    Attributes:
        runs: All runs of the store, oldest first.
    """

    def __init__(self, mirror: Mirror):
        self._mirror = mirror
        self.runs: list[Run] = mirror.all_runs()

    def shows(self, record: Record) -> bool:
        """Check whether a complete run of any clone has the same inputs or the same result."""
        same = {KEY: record.key, CONTENT: record.content}.items()
        return any(_is_complete(run) and same & run.data.tags.items() for run in self.runs)

    def publish(
        self, record: Record, *, refresh: bool = True, origin_is_known: bool = False
    ) -> tuple[str, str]:
        """Make sure that a run shows a result.

        Args:
            record: The result.
            refresh: Whether to replace the attachments of an equal result.
            origin_is_known: Whether to correct the origin, which is otherwise written only once.

        Returns:
            One of `STATES`, and the id of the run.
        """
        if same := self._finished_with(record.content):
            run = next(filter(self._mirror.owns, same), same[0])
            self._drop_duplicates(record, run)
            if self._mirror.owns(run):
                self._correct(run, record, origin_is_known)
                if refresh and record.result and run.data.tags.get(FILES) != record.result.files:
                    self._attach(run.info.run_id, record.result)
                    self._mirror.log(run.info.run_id, tags={FILES: record.result.files})
            return KEPT, run.info.run_id
        with self._mirror.exclusive():
            runs = self._mirror.runs(record.key)  # another process may have added some
            is_partial = record.result is not None and not record.result.evaluated
            for run in filter(_is_complete, runs):
                if is_partial or run.data.tags[CONTENT] == record.content:
                    return KEPT, run.info.run_id
            if own := sorted(filter(self._mirror.owns, runs), key=_progress):
                return self._complete(own[-1], record), own[-1].info.run_id
            run_id = create(self._mirror, record, record.start)
            self._fill(run_id, record, logged=set())
            end = record.start + record.metrics.get(FIT_SECONDS, 0.0)  # as long as the training
            self._mirror.call("set_terminated", run_id, "FINISHED", end_time=int(1000 * end))
            return CREATED, run_id

    def _finished_with(self, content: str) -> "list[Run]":
        return [
            run
            for run in self.runs
            if run.data.tags.get(CONTENT) == content and run.info.status == "FINISHED"
        ]

    def _complete(self, run: "Run", record: Record) -> str:
        """Bring a run of this clone up to date, unless it is being trained."""
        lock = self._mirror.training_lock(record.key)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return RUNNING
        try:
            run_id, is_finished = run.info.run_id, run.info.status == "FINISHED"
            if not is_finished:
                _describe(self._mirror, run_id, record)
            self._correct(run, record, origin_is_known=False)
            self._fill(run_id, record, self._epochs(run))
            if not is_finished:
                self._mirror.call("set_terminated", run_id, "FINISHED")
        finally:
            lock.release()
        return COMPLETED

    def _epochs(self, run: "Run") -> set[int]:
        """List the epochs that a run has curves of."""
        names = [name for name in run.data.metrics if name.startswith("epoch/")]
        if not names:
            return set()
        points = self._mirror.call("get_metric_history", run.info.run_id, names[0])
        return {point.step for point in points}

    def _fill(self, run_id: str, record: Record, logged: set[int]) -> None:
        """Log curves, metrics and attachments; the digests last, as a sign of completeness."""
        steps, digests = {0: dict(record.metrics)}, {CONTENT: record.content}
        if record.result:
            rows: list[dict] = record.result.curves.to_dict("records")
            epochs = {int(row.pop("epoch")): curves(row) for row in rows}
            for number in sorted(epochs.keys() - logged):
                steps[number] = steps.get(number, {}) | epochs[number]
        self._mirror.log_steps(run_id, steps)
        if record.result:
            self._attach(run_id, record.result)
            digests[FILES] = record.result.files
        self._mirror.log(run_id, tags=digests)

    def _attach(self, run_id: str, result: Result) -> None:
        """Copy charts and tables into the run, in folders named after the stages."""
        if not result.attachments:
            return
        with tempfile.TemporaryDirectory() as folder:
            for path in result.attachments:
                target = Path(folder, *Path(path).parts[1:])
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(result.snapshot.read(path) or b"")
            self._mirror.call("log_artifacts", run_id, folder)

    def _correct(self, run: "Run", record: Record, origin_is_known: bool) -> None:
        """Correct the tags that this module writes."""
        present = run.data.tags
        tags = dict(record.tags)
        tags |= {n: v for n, v in record.origin.items() if origin_is_known or n not in present}
        if wrong := {name: value for name, value in tags.items() if present.get(name) != value}:
            self._mirror.log(run.info.run_id, tags=wrong)

    def _drop_duplicates(self, record: Record, kept: "Run") -> None:
        """Delete the untouched run of a training that gave the result of an earlier run."""
        for run in self.runs:
            is_training = run.info.status == "FINISHED" and CONTENT not in run.data.tags
            if (
                run.data.tags.get(KEY) == record.key
                and run.info.run_id != kept.info.run_id
                and self._mirror.owns(run)
                and is_training
                and _is_untouched(run, record)
            ):
                with self._mirror.exclusive():
                    now = self._mirror.call("get_run", run.info.run_id)
                    if _is_untouched(now, record):  # someone may have edited it meanwhile
                        self._mirror.call("delete_run", run.info.run_id)


def create(mirror: Mirror, record: Record, start: float | None = None) -> str:
    """Start the run of a record with everything that is known before the first epoch.

    Args:
        mirror: The store.
        record: What the run will show.
        start: When it began, seconds since 1970; now if None.

    Returns:
        The run's id.
    """
    tags = {**record.tags, **record.origin, NAME: record.name, NOTE: record.note}
    run_id = mirror.create(record.name, tags, start)
    _describe(mirror, run_id, record)
    return run_id


def rename(mirror: Mirror, runs: "Iterable[Run]", current: Mapping[str, str]) -> None:
    """Name the runs of this clone by experiment or commit, except the current one of each model.

    Args:
        mirror: The store.
        runs: Runs of the store.
        current: The id of the current run by model. Other models keep their names.
    """
    for run in runs:
        tags = run.data.tags
        model = tags.get("model", "")
        is_named_by_us = mirror.owns(run) and run.info.run_name == tags.get(NAME)
        is_ended = tags.get("source") == MEASURED and run.info.status != "RUNNING"
        if model not in current or not is_named_by_us or not is_ended:
            continue
        label = tags.get(EXPERIMENT, "")
        if not label and run.info.run_id != current[model] and tags.get(COMMIT):
            label = f"@{tags[COMMIT][:7]}"
        name = f"{BY_NAME[model].title} {label}".strip()
        if name != run.info.run_name:
            mirror.log(run.info.run_id, tags={"mlflow.runName": name, NAME: name})


def curves(values: Mapping[str, float]) -> dict[str, float]:
    """Prefix the names of curves, so that MLflow groups them."""
    return {f"epoch/{name}": float(value) for name, value in values.items()}


def _describe(mirror: Mirror, run_id: str, record: Record) -> None:
    """Log parameters and data; both stay the same for a key."""
    mirror.log(run_id, params=record.result.params if record.result else {})
    mirror.log_dataset(run_id, dict(record.dataset))


def _is_complete(run: "Run") -> bool:
    return run.info.status == "FINISHED" and CONTENT in run.data.tags


def _progress(run: "Run") -> tuple[bool, bool, int]:
    """Order runs of a result: a complete one is last, then a finished one, then the newest."""
    return _is_complete(run), run.info.status == "FINISHED", run.info.start_time


def _is_untouched(run: "Run", record: Record) -> bool:
    """Check that nobody has renamed, described or tagged a run."""
    written = {*record.tags, *record.origin, CLONE, CONTENT, FILES, NAME, NOTE}
    others = {name for name in run.data.tags.keys() - written if not name.startswith("mlflow.")}
    name_is_ours = run.info.run_name == run.data.tags.get(NAME)
    return not others and name_is_ours and run.data.tags.get(NOTE) == record.note
