"""Try every combination of a declared grid as DVC experiments, and name the best by validation.

`python -m rakuten.tracking.sweep` queues what `sweep.yaml` declares, runs two experiments at a time and
prints them in order. Interrupting it stops no experiment: `dvc queue status` shows what is left.
"""

import argparse
import itertools
import subprocess
import sys
import time
from pathlib import Path

from rakuten import stage_log, storage
from rakuten.tracking import results

SETTINGS = {"target": str, "metric": str, "higher_is_better": bool, "grid": dict}
"""The entries of sweep.yaml and their types."""

METRICS = "reports/evaluate/metrics.json"
"""Where an experiment's metrics are."""

POLL_SECONDS = 2.0


def read(path: str | Path) -> dict:
    """Read a declared sweep.

    Args:
        path: A YAML file with the entries of `SETTINGS`; grid maps parameters to lists of values.

    Returns:
        The entries.

    Raises:
        ValueError: If an entry is missing, unknown or of another type, a parameter is not in
            params.yaml, the metric not in the last metrics, or a list is empty; the message names
            it.
    """
    declared = storage.read_yaml(path)
    faults = [f"{name} is missing" for name in SETTINGS if name not in declared]
    faults += [f"{name} is unknown" for name in declared if name not in SETTINGS]
    faults += [
        f"{name} is {declared[name]!r}, expected {kind.__name__}"
        for name, kind in SETTINGS.items()
        if name in declared and not isinstance(declared[name], kind)
    ]
    if not faults:
        params = storage.read_yaml("params.yaml")
        asked = [(params, name, "params.yaml") for name in declared["grid"]]
        if Path(METRICS).exists():
            asked.append((storage.read_json(METRICS), declared["metric"], METRICS))
        faults += [fault for given in asked if (fault := _missing(*given))]
        faults += [
            f"grid.{name} is {values!r}, expected a list of values"
            for name, values in declared["grid"].items()
            if not isinstance(values, list) or not values
        ]
    if faults:
        raise ValueError(f"{path} cannot be run: {'; '.join(faults)}")
    return declared


def combinations(grid: dict[str, list]) -> list[dict[str, object]]:
    """List every combination of a grid, the last parameter changing fastest."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def rank(
    found: list[tuple[str, dict, dict]], metric: str, *, higher_is_better: bool
) -> list[tuple]:
    """Order experiments by a metric.

    Args:
        found: Name, tried values and metrics.json of each.
        metric: Dotted name within metrics.json.
        higher_is_better: Whether more is better.

    Returns:
        (value, name, tried values), the best first, of equals the first by name; experiments that
        lack the metric are left out.
    """
    ranked = []
    for name, tried, metrics in found:
        value = storage.entry(metrics, metric, METRICS)
        if value is not None:
            ranked.append((value, name, tried))
    return sorted(ranked, key=lambda row: (-row[0] if higher_is_better else row[0], row[1]))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: `python -m rakuten.tracking.sweep [--jobs 2] [SWEEP]`."""
    parser = argparse.ArgumentParser(prog="python -m rakuten.tracking.sweep", description=__doc__)
    parser.add_argument("sweep", nargs="?", default="sweep.yaml", help="what to try")
    parser.add_argument("--jobs", type=int, default=2, help="experiments at the same time")
    options = parser.parse_args(arguments)
    try:
        declared = read(options.sweep)
    except (ValueError, OSError) as error:
        print(f"error: {error}")
        return 2
    tried = combinations(declared["grid"])
    prefix = f"sweep-{time.strftime('%y%m%d%H%M%S')}"
    names = {f"{prefix}-{number:02}": values for number, values in enumerate(tried, start=1)}
    for name, values in names.items():
        sets = itertools.chain.from_iterable(("-S", f"{key}={v}") for key, v in values.items())
        _dvc("exp", "run", "--queue", "--name", name, *sets, declared["target"])
    _dvc("queue", "start", "--jobs", str(options.jobs))
    failed = _wait(names)

    found = {snapshot.experiment: snapshot for snapshot in results.experiments(results.root())}
    finished = [
        (name, values, found[name].json(METRICS)) for name, values in names.items() if name in found
    ]
    ranked = rank(finished, declared["metric"], higher_is_better=declared["higher_is_better"])
    for value, name, values in ranked:
        chosen = "  ".join(f"{key}={v}" for key, v in values.items())
        print(f"{value:10.4f}  {name}  {chosen}")
    if ranked:
        print(f"best by {declared['metric']}: dvc exp apply {ranked[0][1]}")
    if failed:
        print(f"{len(failed)} failed, see 'dvc queue logs NAME': {', '.join(failed)}")
    return 1 if failed else 0


def _missing(values: dict, name: str, where: str) -> str:
    """Say that there is no entry of this name, "" if there is."""
    try:
        storage.entry(values, name, where)
    except KeyError as error:
        return str(error.args[0])
    return ""


def _dvc(*arguments: str) -> str:
    """Run DVC; what it complains of is shown."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _wait(names: dict[str, dict]) -> list[str]:
    """Show a bar until every experiment is done; name those that failed."""
    done: set[str] = set()
    failed: list[str] = []
    with stage_log.progress(None, total=len(names), unit="experiment", description="sweep") as bar:
        while len(done) < len(names):
            time.sleep(POLL_SECONDS)
            for line in _dvc("queue", "status").splitlines():
                name = next((word for word in line.split() if word in names), None)
                if name is None or name in done or not ("Success" in line or "Failed" in line):
                    continue
                done.add(name)
                if "Failed" in line:
                    failed.append(name)
                bar.update()
    return failed


if __name__ == "__main__":
    sys.exit(main())
