"""Results as DVC and git hold them: trained models with their inputs, parameters and metrics.

Everything that MLflow shows of a result can be read from the workspace, a commit or an experiment,
so nothing is lost if MLflow's database is.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from rakuten import storage
from rakuten.model_names import BY_NAME, TABLE
from rakuten.stage_log import TIMINGS
from rakuten.tracking.snapshots import Snapshot, Workspace

CHARTS = "reports/charts"
EVALUATION, MODELS = "reports/evaluate", "reports/evaluate/models.json"


BASELINE_SECTIONS = ("baselines", "start")
"""Sections of a stage's parameters that its baselines depend on."""


@dataclass(frozen=True)
class Result:
    """One trained model of one snapshot.

    Attributes:
        model: Its name in `rakuten.model_names.TABLE`.
        snapshot: Where it was found.
    """

    model: str
    snapshot: Snapshot

    @property
    def stage(self) -> str:
        """The stage that trained it; a net's stage also fits its baselines."""
        return BY_NAME[self.model].stage

    @property
    def is_main(self) -> bool:
        """Whether the stage has the model's name: the reports of the stage are about it."""
        return self.stage == self.model

    @property
    def outputs(self) -> str:
        """The file with the model's probabilities."""
        name = "outputs" if self.is_main else "baselines"
        return f"build/{self.stage}/{name}.npz"

    @cached_property
    def key(self) -> str:
        """Its identity: SHA-256 over model, command, inputs and all parameters."""
        return key(self.snapshot.lock, self.stage, self.model)

    @cached_property
    def is_recorded(self) -> bool:
        """Whether the reports of its stage are the ones that `dvc.lock` describes.

        A baseline has no report of training: it is a result once it is evaluated.
        """
        if not self.is_main:
            return self.evaluated
        reports = [out for out in self._entry["outs"] if out["path"].startswith("reports/")]
        return all(map(self.snapshot.holds, reports))

    @cached_property
    def params(self) -> dict[str, object]:
        """Parameters of the stage and of every stage upstream, by their dotted names.

        Those of the stage's net are left out for a baseline, which does not depend on them.
        """
        params = flat_params(self.snapshot.lock, self.stage)
        if self.is_main:
            return params
        own = tuple(f"{self.stage}.{section}." for section in BASELINE_SECTIONS)
        net = f"{self.stage}."
        return {n: v for n, v in params.items() if not n.startswith(net) or n.startswith(own)}

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per epoch, as `rakuten.models.training.fit` returns it; empty without epochs."""
        content = self.snapshot.read(f"reports/{self.stage}/history.csv") if self.is_main else None
        return pd.read_csv(io.BytesIO(content or b"epoch\n"))

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Metrics of the training and, once evaluated, of each part, e.g. "test/accuracy"."""
        values: dict[str, Any] = {}
        if self.is_main:
            values = flatten({"model": self.snapshot.json(f"reports/{self.stage}/metrics.json")})
            weights = [o for o in self._entry["outs"] if o["path"].endswith("weights.npz")]
            values["model/bytes"] = weights[0].get("size") if weights else None
        if self.evaluated:
            values |= flatten(self._scores)
        return _numbers(values)

    @cached_property
    def timings(self) -> dict[str, float]:
        """Seconds and rates of this training, empty if they were measured on another one.

        Git does not track timings, so those of the workspace are read for any snapshot.
        """
        timings = Workspace(self.snapshot.root).json(f"{TIMINGS}/{self.stage}.json")
        digests = {out["path"]: out.get("md5") for out in self._entry["outs"]}
        measured = timings.pop("measured_on", {})
        if not measured or any(digests.get(path) != md5 for path, md5 in measured.items()):
            return {}
        owners = {name: self._owner(name) for name in timings}
        own = {n: v for n, v in timings.items() if owners[n] == self.model}
        prefix = "" if self.is_main else f"{self._short_name}_"
        return {f"timing/{name.removeprefix(prefix)}": float(value) for name, value in own.items()}

    @cached_property
    def evaluated(self) -> bool:
        """Whether the snapshot's evaluation is of this training."""
        evaluation = self.snapshot.lock.get("evaluate", {})
        read = {dep["path"]: dep.get("md5") for dep in evaluation.get("deps", [])}
        trained = {out["path"]: out.get("md5") for out in self._entry["outs"]}
        if self.outputs not in trained or trained[self.outputs] != read.get(self.outputs):
            return False
        reports = [o for o in evaluation.get("outs", []) if o["path"] == self._scores_path]
        return bool(reports) and self.snapshot.holds(reports[0]) and bool(self._scores)

    @cached_property
    def dataset(self) -> dict[str, str]:
        """Name and digest of the data, from `reports/clean.json` and `data.dvc`."""
        tracked = self.snapshot.read("data.dvc")
        digest = storage.parse_yaml(tracked)["outs"][0]["md5"] if tracked else ""
        described = self.snapshot.json("reports/clean.json").get("dataset", {})
        return {"name": described.get("name", "unnamed"), "digest": digest.removesuffix(".dir")}

    @cached_property
    def attachments(self) -> dict[str, str]:
        """The reports of this model: the hash of each file's content by its path.

        Reports that compare models belong to late_fusion if it was evaluated, else to fusion.
        """
        trained = self.snapshot.files(f"reports/{self.stage}") if self.is_main else {}
        folders = (EVALUATION, CHARTS) if self.evaluated else ()
        evaluated = [item for folder in folders for item in self.snapshot.files(folder).items()]
        shown = {path: digest for path, digest in evaluated if "/predictions_" not in path}
        read = self.snapshot.lock.get("evaluate", {}).get("deps", [])
        has_ensembles = any(dep["path"] == "build/late_fusion/outputs.npz" for dep in read)
        compares = self.model == ("late_fusion" if has_ensembles else "fusion")
        subjects = {self.model, ""} if compares else {self.model}
        return trained | {p: digest for p, digest in shown.items() if _subject(p) in subjects}

    @cached_property
    def content(self) -> str:
        """Digest of what makes the result: equal for trainings that gave the same model.

        Neither timings nor charts count, nor the code that trained it.
        """
        curves = self.curves.to_csv(index=False)
        return digest(self.model, self.params, self.metrics, self.dataset, curves)

    @property
    def files(self) -> str:
        """Digest of the attachments."""
        return digest(self.attachments)

    @property
    def _entry(self) -> dict:
        return self.snapshot.lock[self.stage]

    @property
    def _scores_path(self) -> str:
        """Name the report with the metrics; before there was `models.json`, it was another one."""
        outs = {out["path"] for out in self.snapshot.lock.get("evaluate", {}).get("outs", [])}
        return MODELS if MODELS in outs else f"{EVALUATION}/metrics.json"

    @cached_property
    def _scores(self) -> dict:
        return self.snapshot.json(self._scores_path).get(self.model, {})

    @property
    def _short_name(self) -> str:
        return self.model.removeprefix(f"{self.stage}_")

    def _owner(self, timing: str) -> str:
        """Find the model of a timing: `naive_bayes_fit_seconds` is of a baseline."""
        models = [m.name for m in TABLE if m.stage == self.stage and m.name != self.stage]
        short = {name: name.removeprefix(f"{self.stage}_") for name in models}
        return next((name for name in models if timing.startswith(f"{short[name]}_")), self.stage)


def root() -> Path:
    """Find the project; DVC_ROOT names it, also to a stage that runs in a temporary copy."""
    return Path(os.environ.get("DVC_ROOT", Path.cwd()))


def key(entries: Mapping[str, dict], stage: str, model: str) -> str:
    """Identify a result by model, command, inputs and parameters.

    Args:
        entries: Stages in the form of `dvc.lock`: cmd, deps with path and md5, params by file.
        stage: The stage that trains the model.
        model: One of the models that it trains.

    Returns:
        64 hexadecimal digits.
    """
    entry = entries[stage]
    deps = sorted([dep["path"], dep.get("md5", "")] for dep in entry.get("deps", []))
    return digest(model, entry["cmd"], deps, entry.get("params", {}), flat_params(entries, stage))


def digest(*values: object) -> str:
    """Hash values that JSON can express, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def flat_params(entries: Mapping[str, dict], stage: str) -> dict[str, object]:
    """Collect the parameters of a stage and of all stages upstream.

    Args:
        entries: Stages in the form of `dvc.lock`.
        stage: The stage to start from.

    Returns:
        Values by dotted name, sorted.
    """
    makers = {out["path"]: name for name, e in entries.items() for out in e.get("outs", [])}
    waiting, seen = [stage], set()
    params: dict[str, object] = {}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for values in entries[name].get("params", {}).values():
            params |= flatten(values, ".")
        waiting += [makers[d["path"]] for d in entries[name].get("deps", []) if d["path"] in makers]
    return dict(sorted(params.items()))


def flatten(values: dict[str, Any], separator: str = "/") -> dict[str, Any]:
    """Flatten nested dictionaries: {"a": {"b": 1}} becomes {"a/b": 1}."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            inner = flatten(value, separator)
            flat |= {f"{name}{separator}{rest}": item for rest, item in inner.items()}
        else:
            flat[name] = value
    return flat


def trained_in(snapshot: Snapshot) -> list[Result]:
    """List the models that `dvc.lock` of a snapshot describes, in the order of the table.

    Stages with other outputs, as in old commits, are skipped.
    """
    outs = {
        stage: {out["path"] for out in entry.get("outs", [])}
        for stage, entry in snapshot.lock.items()
    }
    results = [Result(model.name, snapshot) for model in TABLE]
    return [
        result
        for result in results
        if {f"build/{result.stage}/outputs.npz", result.outputs} <= outs.get(result.stage, set())
    ]


def found_in(snapshot: Snapshot) -> list[Result]:
    """List the models of a snapshot whose reports are the ones `dvc.lock` describes."""
    return [result for result in trained_in(snapshot) if result.is_recorded]


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _subject(path: str) -> str:
    """Find the model of a report, "" if it has several: `f1_text_ensemble` is not of text."""
    stem = Path(path).stem
    return max((m for m in BY_NAME if stem.endswith(f"_{m}")), key=len, default="")
