"""Search for parameters: Optuna proposes settings, and DVC runs each as an ordinary experiment.

The study is an SQLite database in `FOLDER`, which `make clean` keeps. A killed search continues
with the setting that it was measuring. Experiments of its name that are finished are not run again.
"""

import contextlib
import fcntl
import hashlib
import json
import math
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import dvc.api
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import BaseTrial, TrialState

from rakuten import stage_log, storage
from rakuten.tracking.git import Commit, Repository
from rakuten.tracking.processes import end_session
from rakuten.tracking.search_file import Search, SearchError

FOLDER = Path(".dvc/tmp/search")
"""The studies and the experiments' logs: beside DVC's queue, ignored by git."""

SIGNIFICANT = 4
"""Digits of a number from a continuous range: params.yaml stays readable."""

STEP_DIGITS = 12
"""Digits of a number from a range with a step: later ones are rounding errors, 0.1 + 2 * 0.1."""

MAX_FAILURES = 3
"""Consecutive failures after which the search stops: the settings are probably not the cause."""

MAX_REPEATS = 100
"""Proposals in a row that were measured before: then the search ends early."""

STOP_TIMEOUT = 30.0
"""Seconds that DVC and its stage may take to end after an interruption."""

DECIDING = ("params.yaml", "dvc.yaml", "data.dvc", "rakuten", "stages")
"""What decides an experiment's result: it must not change while a search lasts."""


class Measured(NamedTuple):
    """A setting with its results.

    Attributes:
        name: The first part of its experiments' names.
        setting: Values by the name of the parameter.
        values: The metric for each seed; empty if an experiment failed.
    """

    name: str
    setting: dict[str, Any]
    values: list[float]

    @property
    def mean(self) -> float:
        """The mean over the seeds, by which settings are ranked."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """The standard deviation over the seeds, NaN for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else math.nan


class ExperimentError(RuntimeError):
    """An experiment failed, or has no such metric."""


def run(search: Search, root: Path) -> bool:
    """Measure settings until the search's number of trials is reached.

    The first setting is that of params.yaml, if it is within the ranges.

    Args:
        search: What to search.
        root: The project's folder.

    Returns:
        Whether anything was left to measure.

    Raises:
        SearchError: If the search cannot run, or several experiments fail in a row.
        GitError, DvcException: If git or DVC cannot read the repository.
        KeyboardInterrupt: After Ctrl-C or SIGTERM, when the experiment has ended.
    """
    with _exclusive(search, root) as lock, Repository(root) as repository:
        _check_metric(search, root)
        study = _open(search, root)
        _check_same(study, search, _declared(search))
        measured = study.get_trials(states=(TrialState.COMPLETE,))
        if len(measured) >= search.trials:
            return False
        _check_same(study, search, _state(repository))
        seeds: list[int | None] = list(search.seeds) or [None]
        failures = 0
        with stage_log.progress(
            [],
            total=search.trials * len(seeds),
            initial=len(measured) * len(seeds),
            unit="experiment",
            description=search.name,
        ) as bar:
            for number, setting in _proposals(study, search):
                name, values = _name(search, number), []
                try:
                    for seed in seeds:
                        # DVC copies the workspace as it is now.
                        _check_same(study, search, _state(repository))
                        values.append(_measure(search, name, setting, seed, repository, lock))
                        bar.update()
                except ExperimentError as error:
                    bar.write(f"failed: {error}", file=sys.stderr)
                    bar.update(len(seeds) - len(values))
                    failures += 1
                    if failures == MAX_FAILURES:
                        raise SearchError(
                            f"{failures} settings failed in a row: correct what their logs show, "
                            "then run this command again"
                        ) from error
                else:
                    study.set_user_attr(str(number), values)
                    study.tell(number, statistics.fmean(values))
                    failures = 0
                    bar.set_postfix_str(f"best {study.best_value:.4g}")
    return True


def results(search: Search, root: Path) -> list[Measured]:
    """List the settings of a search, the best first and failed ones last.

    Args:
        search: What was searched.
        root: The project's folder.

    Returns:
        The settings; failed ones have no values.
    """
    sign = 1 if search.direction == "minimize" else -1
    return sorted(
        _tried(_open(search, root), search),
        key=lambda one: sign * one.mean if one.values else math.inf,
    )


def experiment(name: str, seed: int | None) -> str:
    """Name the experiment that measures a setting with a seed."""
    return name if seed is None else f"{name}-seed{seed}"


def _tried(study: optuna.Study, search: Search) -> list[Measured]:
    """List the settings that were measured; those that failed or were interrupted stay running."""
    values = study.user_attrs
    return [
        Measured(_name(search, one.number), _setting(one), values.get(str(one.number), []))
        for one in study.get_trials(states=(TrialState.COMPLETE, TrialState.RUNNING))
    ]


def _open(search: Search, root: Path) -> optuna.Study:
    """Open the study, or create it with the setting of params.yaml as its first trial."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{(root / FOLDER / f'{search.name}.db').absolute()}",
        study_name=search.name,
        direction=optuna.study.StudyDirection[search.direction.upper()],
        load_if_exists=True,
    )
    if not study.trials and all(_within(search, name) for name in search.ranges):
        study.enqueue_trial(search.present)
    return study


def _within(search: Search, name: str) -> bool:
    """Whether the value of params.yaml is one that could be proposed."""
    limits, value = search.ranges[name], search.present[name]
    if isinstance(limits, CategoricalDistribution):
        return value in limits.choices
    steps = (value - limits.low) / limits.step if limits.step else 0
    return limits.low <= value <= limits.high and math.isclose(steps, round(steps), abs_tol=1e-6)


def _check_metric(search: Search, root: Path) -> None:
    """Refuse a metric that the project does not have, or that is not a number."""
    try:
        metrics = dvc.api.metrics_show(repo=str(root))
        value = storage.entry(metrics, search.metric, "dvc metrics show")
    except KeyError as error:
        raise SearchError(error.args[0]) from error
    except FileNotFoundError as error:
        raise SearchError(f"{error.filename} does not exist: run 'dvc repro' first") from error
    if not isinstance(value, int | float):
        shown = f"a section with {', '.join(value)}" if isinstance(value, dict) else repr(value)
        raise SearchError(f"the metric {search.metric} is {shown}: expected a number")


def _declared(search: Search) -> dict[str, Any]:
    """Describe what was searched."""
    ranges = {name: repr(limits) for name, limits in search.ranges.items()}
    seeds = list(search.seeds)
    return {
        "metric": search.metric, "direction": search.direction, "ranges": ranges, "seeds": seeds
    }  # fmt: skip


def _state(repository: Repository) -> dict[str, Any]:
    """Describe the code, the data and the other parameters."""
    head = repository.head()
    if not head:
        raise SearchError("the repository has no commit: experiments start from one")
    changes = repository.run("diff", "--no-ext-diff", "HEAD", "--", *DECIDING)
    return {"commit": head, "uncommitted changes": hashlib.sha256(changes).hexdigest()}


def _check_same(study: optuna.Study, search: Search, values: dict[str, Any]) -> None:
    """Refuse results that could not be compared with those of the study."""
    before = study.user_attrs
    changed = [what for what, value in values.items() if before.get(what, value) != value]
    if changed:
        raise SearchError(
            f"the search {search.name} began with another value of: {', '.join(changed)}; its "
            "results would not be comparable. Undo the change, or begin a search with --name"
        )
    for what in values.keys() - before.keys():
        study.set_user_attr(what, values[what])


def _proposals(study: optuna.Study, search: Search) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the numbers and settings of trials until enough settings were tried."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        if trial.params.keys() == search.ranges.keys():
            yield trial.number, _setting(trial)  # failed or was interrupted
        else:
            study.tell(trial.number, state=TrialState.FAIL)  # killed while it was proposed
    repeats = 0
    while len(tried := _tried(study, search)) < search.trials and repeats < MAX_REPEATS:
        # Seeded by the trial: the proposals are the same, interrupted or not. TPE alone would
        # propose the best of a few choices again and again, and never some of the others.
        sampler = optuna.samplers.RandomSampler if repeats else optuna.samplers.TPESampler
        study.sampler = sampler(seed=len(study.trials))
        proposed = study.ask(dict(search.ranges))
        setting = _setting(proposed)
        if setting in [one.setting for one in tried]:
            study.tell(proposed, state=TrialState.FAIL)
            repeats += 1
        else:
            yield proposed.number, setting
            repeats = 0


def _measure(
    search: Search,
    name: str,
    setting: dict[str, Any],
    seed: int | None,
    repository: Repository,
    lock: IO,
) -> float:
    """Run an experiment, unless it was run before, and read its metric."""
    name = experiment(name, seed)
    expected = setting if seed is None else setting | {"seed": seed}
    if _find(repository, name) is None:
        _run_dvc(name, expected, repository.root, lock)
    found = _find(repository, name)
    if found is None:
        raise ExperimentError(f"{name} was not saved: see {FOLDER / name}.log")
    params = storage.parse_yaml(found.read("params.yaml") or b"")
    if any(storage.entry(params, key, name) != value for key, value in expected.items()):
        raise SearchError(
            f"the experiment {name} exists and has other parameters: run 'dvc exp remove {name}', "
            "or begin a search with --name"
        )
    metrics = dvc.api.metrics_show(repo=str(repository.root), rev=found.commit)
    try:
        value = storage.entry(metrics, search.metric, name)
    except KeyError as error:
        raise ExperimentError(error.args[0]) from error
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ExperimentError(f"{name}: {search.metric} is {value}")
    return float(value)


def _find(repository: Repository, name: str) -> Commit | None:
    """Find an experiment that started from the checked-out commit."""
    own = repository.experiments(repository.head())
    return next((one for one in own if one.experiment == name), None)


def _run_dvc(name: str, expected: dict[str, Any], root: Path, lock: IO) -> None:
    """Run an experiment in a copy of the project, up to the stages that write metrics."""
    stages = storage.read_yaml(root / "dvc.yaml")["stages"]
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "exp", "run", "--temp"]
    command += ["--name", name, *(stage for stage in stages if stages[stage].get("metrics"))]
    for key, value in expected.items():
        command += ["--set-param", f"{key}={json.dumps(value)}"]
    log = root / FOLDER / f"{name}.log"
    with log.open("wb") as file:
        # In a new session: Ctrl-C reaches only this process, which then ends DVC and its stage. If
        # this process is killed, DVC finishes the experiment and holds the lock as long.
        process = subprocess.Popen(
            command,
            cwd=root,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
        try:
            status = process.wait()
        except BaseException:
            # DVC removes the copy of the project.
            end_session(process, signal.SIGINT, STOP_TIMEOUT)
            raise
    if status:
        last = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise ExperimentError("\n  ".join([f"{name}, see {FOLDER / log.name}", *last]))


@contextlib.contextmanager
def _exclusive(search: Search, root: Path) -> Iterator[IO]:
    """Let one process run a search."""
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    with (root / FOLDER / f"{search.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SearchError(
                f"the search {search.name} is running in another process, or a killed one has left "
                "its last experiment running: wait until it ends, then run this command again"
            ) from error
        yield lock


def _setting(trial: BaseTrial) -> dict[str, Any]:
    """Read the values of a trial, rounded within their ranges; choices stay as declared."""
    setting = dict(trial.params)
    for name, limits in trial.distributions.items():
        if isinstance(limits, FloatDistribution):
            digits = STEP_DIGITS if limits.step else SIGNIFICANT
            rounded = float(f"{setting[name]:.{digits}g}")
            setting[name] = min(max(rounded, limits.low), limits.high)
    return setting


def _name(search: Search, number: int) -> str:
    return f"{search.name}-{number:03}"
