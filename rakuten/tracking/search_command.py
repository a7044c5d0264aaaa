"""The command `python -m rakuten search`: vary parameters and choose by a validation metric.

Each setting that Optuna proposes is run as a DVC experiment: `dvc exp show` and MLflow list it. An
interrupted search continues when the same command is run again.

Exit status: 0 success; 2 the search cannot run, or no setting was measured; 130 interrupted.
"""

import argparse
import math
import signal
import sys
from pathlib import Path

from dvc.exceptions import DvcException

from rakuten import storage
from rakuten.tracking import command, results, search
from rakuten.tracking.git import GitError
from rakuten.tracking.search_file import Search, SearchError, read


def main(arguments: list[str] | None = None) -> int:
    """Run the command `search`.

    Args:
        arguments: The arguments after the command's name; those of the process if None.

    Returns:
        The exit status.
    """
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    root = results.root()
    try:
        params = storage.read_yaml(root / "params.yaml")
        declared = read(given.file, params, given.name)
        is_new = search.run(declared, root)
    except (SearchError, GitError, DvcException, FileNotFoundError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: run the same command again to continue\n")
        return 130
    measured = search.results(declared, root)
    if is_new:  # stages log their runs; results from the run cache are added here
        command.main(["sync"])
    print(report(declared, measured, params["seed"]))
    return 0 if measured[0].values else 2


def report(declared: Search, measured: list[search.Measured], seed: int) -> str:
    """Describe the results of a search.

    Args:
        declared: What was searched.
        measured: The settings, the best first and failed ones last.
        seed: The seed of params.yaml.

    Returns:
        A table, and the commands that apply the best setting.
    """
    better = "lower" if declared.direction == "minimize" else "higher"
    several = len(declared.seeds) > 1
    over = f", mean and deviation over {len(declared.seeds)} seeds" if several else ""
    lines = [f"{declared.metric}{over}; {better} is better"]
    width = max(len(one.name) for one in measured)
    for one in measured:
        figures = "failed"
        if one.values:
            figures = f"{one.mean:.4f}"
            figures += "" if math.isnan(one.deviation) else f" ± {one.deviation:.4f}"
        setting = "  ".join(f"{name}={value}" for name, value in one.setting.items())
        lines.append(f"  {one.name:<{width}}  {figures}  {setting}")
    if len(measured) < declared.trials:
        lines.append(f"{len(measured)} settings seem to be all that the ranges contain")
    best = measured[0]
    if not best.values:
        return "\n".join([*lines, f"no setting was measured: see the logs in {search.FOLDER}"])
    if best.setting == declared.present:
        return "\n".join([*lines, "the best setting is that of params.yaml"])
    chosen = (seed if seed in declared.seeds else declared.seeds[0]) if declared.seeds else None
    name = search.experiment(best.name, chosen)
    if not several:
        lines.append("small differences are chance: list several seeds to see the deviation")
    return "\n".join([*lines, "apply the best one:", f"  dvc exp apply {name}", "  dvc repro"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rakuten search",
        description="Vary parameters within ranges, run each setting as a DVC experiment and rank "
        "them by a validation metric. Run the command again to continue an interrupted search.",
        epilog="docs/search.yaml is an example of a file. Exit status: 0 success, 2 the search "
        "cannot run or no setting was measured, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("file", type=Path, help="YAML: metric, direction, trials, ranges, seeds")
    parser.add_argument(
        "--name", default="", help="the experiments' names start with it (default: the file's name)"
    )
    return parser
