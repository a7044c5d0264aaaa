"""The file of a search: what to vary, over which ranges, and by which metric to choose.

docs/search.yaml is an example. Every mistake is reported before anything runs.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from ruamel.yaml import YAMLError

from rakuten import parameters, storage

Range = CategoricalDistribution | FloatDistribution | IntDistribution
"""The values that a parameter can take."""

DIRECTIONS = ("minimize", "maximize")
REQUIRED = {"metric", "direction", "trials", "ranges"}
OPTIONAL = {"seeds"}

NUMBER = parameters.Interval(-math.inf, brackets="()")

NOT_SEARCHED = {
    "seed": "the best seed is only the luckiest one; list seeds under 'seeds' to average over them",
    "split": "it changes the products that the metric is measured on",
}
"""Sections of params.yaml that a search cannot vary, and why."""


class SearchError(RuntimeError):
    """A search cannot run; the message says what to do."""


@dataclass(frozen=True)
class Search:
    """What a file declares.

    Attributes:
        name: The first part of the experiments' names.
        metric: Dotted name of a validation metric of `dvc metrics show`.
        direction: "minimize" or "maximize".
        trials: Number of settings to measure.
        ranges: Optuna's distributions by the dotted name of the parameter.
        present: The values of these parameters in params.yaml.
        seeds: Each setting is measured with each of these; empty for the seed of params.yaml.
    """

    name: str
    metric: str
    direction: str
    trials: int
    ranges: dict[str, Range]
    present: dict[str, Any]
    seeds: tuple[int, ...] = ()


def read(path: str | Path, params: dict[str, Any], name: str = "") -> Search:
    """Read and check the file of a search.

    Args:
        path: A YAML file.
        params: The content of params.yaml.
        name: The search's name; that of the file if empty.

    Raises:
        SearchError: If an entry is missing, unknown or impossible; the message names it.
    """
    try:
        declared = storage.parse_yaml(Path(path).read_bytes())
    except (OSError, YAMLError) as error:
        raise SearchError(f"{path} cannot be read: {error}") from error
    entries = set(declared) if isinstance(declared, dict) else set()
    if not REQUIRED <= entries <= REQUIRED | OPTIONAL:
        raise SearchError(
            f"{path} has the entries {sorted(map(str, entries))}: expected {sorted(REQUIRED)} and, "
            f"if wanted, {sorted(OPTIONAL)}; docs/search.yaml is an example"
        )
    name = name or Path(path).stem
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise SearchError(
            f"the search's name is {name!r}: expected letters, digits, _ and -, because the names "
            "of its experiments start with it; pass another with --name"
        )
    ranges, present = _ranges(declared["ranges"], params, str(path))
    return Search(
        name=name,
        metric=_metric(declared["metric"], str(path)),
        direction=_one_of(declared["direction"], DIRECTIONS, f"{path}: direction"),
        trials=_count(declared["trials"], f"{path}: trials"),
        ranges=ranges,
        present=present,
        seeds=_seeds(declared.get("seeds"), str(path)),
    )


def _ranges(
    declared: Any, params: dict[str, Any], path: str
) -> tuple[dict[str, Range], dict[str, Any]]:
    """Build the distribution of each parameter, and list the present values."""
    if not isinstance(declared, dict) or not declared:
        raise SearchError(f"{path}: ranges is {declared!r}: expected parameters with their ranges")
    ranges, present = {}, {}
    for name, limits in declared.items():
        section = str(name).partition(".")[0]
        if section in NOT_SEARCHED:
            raise SearchError(f"{path}: {name} cannot be searched: {NOT_SEARCHED[section]}")
        try:
            present[name] = storage.entry(params, str(name), "params.yaml")
            ranges[name] = _distribution(name, limits, present[name], path)
        except KeyError as error:
            raise SearchError(f"{path}: ranges: {error.args[0]}") from error
        except ValueError as error:
            raise SearchError(f"{path}: {name} is {limits!r}: {error}") from error
    return ranges, present


def _distribution(name: str, limits: Any, present: Any, path: str) -> Range:
    """Build one distribution; a ValueError says what is wrong."""
    given = set(limits) if isinstance(limits, dict) else set()
    if given != {"choices"} and not {"low", "high"} <= given <= {"low", "high", "log", "step"}:
        raise ValueError(
            "expected {low: 0.1, high: 0.7}, with log: true or a step if wanted, or "
            "{choices: [64, 128]}"
        )
    values = limits["choices"] if "choices" in given else [limits["low"], limits["high"]]
    if not isinstance(values, list) or any(isinstance(value, dict | list) for value in values):
        raise ValueError("expected a list of single values as choices")
    for value in values:
        parameters.check(name, value, path)
    if "choices" in given:
        return CategoricalDistribution(values)
    numbers = [present, *(limits[key] for key in given - {"log"})]
    if not all(number in NUMBER for number in numbers):
        raise ValueError("expected numbers; list other values as choices")
    if not isinstance(limits.get("log", False), bool):
        raise ValueError("expected log: true or false")
    if all(isinstance(value, int) for value in (present, *values)):
        if not isinstance(limits.get("step", 1), int):
            raise ValueError("expected an integer as step, because the parameter is one")
        return IntDistribution(**limits)
    return FloatDistribution(**limits)


def _metric(metric: Any, path: str) -> str:
    """Refuse to choose by the test part."""
    if "test" in str(metric).lower():
        raise SearchError(
            f"{path}: metric is {metric}: expected a validation metric, such as "
            "fusion.validation.log_loss; test metrics are biased once they are used to "
            "choose parameters"
        )
    return str(metric)


def _seeds(seeds: Any, path: str) -> tuple[int, ...]:
    if seeds is None:
        return ()
    if not isinstance(seeds, list) or not seeds or len(set(map(str, seeds))) < len(seeds):
        raise SearchError(f"{path}: seeds is {seeds!r}: expected a list of different integers")
    for seed in seeds:
        try:
            parameters.check("seed", seed, path)
        except ValueError as error:
            raise SearchError(f"{path}: seeds: {error}") from error
    return tuple(seeds)


def _one_of(value: Any, expected: tuple[str, ...], where: str) -> str:
    if value not in expected:
        raise SearchError(f"{where} is {value!r}: expected {' or '.join(expected)}")
    return value


def _count(value: Any, where: str) -> int:
    if value not in parameters.COUNT:
        raise SearchError(f"{where} is {value!r}: expected {parameters.COUNT}")
    return value
