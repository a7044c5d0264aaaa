"""Results as DVC and git hold them: trained models with their inputs, parameters and metrics.

A result is identified by its entry in `dvc.lock`: the command, the digests of the inputs and the
values of the parameters. Everything that MLflow shows of it can be read from the workspace, a
commit or an experiment, so nothing is lost if MLflow's database is.
"""

import hashlib
import io
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from rakuten import storage
from rakuten.model_names import BY_STAGE
from rakuten.stage_log import TIMINGS

EVALUATION, CHARTS = "reports/evaluate", "reports/charts"


@dataclass(frozen=True)
class Snapshot:
    """The project's files as they are in the workspace or in one commit.

    Attributes:
        root: The repository.
        commit: A commit, or None for the workspace.
        experiment: The name of the `dvc exp` experiment, "" for other commits.
        baseline: The commit that the experiment started from, or "".
        time: When it was made, seconds since 1970, None for the workspace.
        running: In the workspace, a stage whose outputs are written but not yet recorded by DVC,
            or "".
    """

    root: Path
    commit: str | None = None
    experiment: str = ""
    baseline: str = ""
    time: float | None = None
    running: str = ""

    def read(self, path: str) -> bytes | None:
        """Read a file, None if it does not exist in this snapshot."""
        if self.commit is None:
            file = self.root / path
            return file.read_bytes() if file.is_file() else None
        blob = _git(self.root, "cat-file", "blob", f"{self.commit}:{path}", check=False)
        return blob.stdout if blob.returncode == 0 else None

    def files(self, folder: str) -> list[str]:
        """List the files below a folder, sorted."""
        if self.commit is None:
            found = (self.root / folder).rglob("*")
            return sorted(
                str(PurePosixPath(p.relative_to(self.root))) for p in found if p.is_file()
            )
        listed = _git(self.root, "ls-tree", "-r", "-z", "--name-only", self.commit, f"{folder}/")
        return sorted(name for name in listed.stdout.decode().split("\0") if name)

    @cached_property
    def lock(self) -> dict[str, dict]:
        """The stages of `dvc.lock` by name, empty if there is none."""
        content = self.read("dvc.lock")
        stages = storage.parse_yaml(content)["stages"] if content else {}
        if self.running:
            stages = stages | {self.running: _with_digests(current_entries()[self.running])}
        return stages

    def json(self, path: str) -> dict:
        """Read a JSON file, empty if it does not exist in this snapshot."""
        content = self.read(path)
        return json.loads(content) if content else {}

    def holds(self, out: dict) -> bool:
        """Check that a file has the digest of its entry in `dvc.lock`."""
        content = self.read(out["path"])
        return content is not None and hashlib.md5(content).hexdigest() == out.get("md5")


@dataclass(frozen=True)
class Result:
    """One trained model of one snapshot.

    Attributes:
        stage: The stage that trained it, e.g. "text".
        key: Its identity: SHA-256 over command, digests of the inputs, parameters.
        snapshot: Where it was found.
    """

    stage: str
    key: str
    snapshot: Snapshot

    @property
    def model(self) -> str:
        """The model's name in the reports: text, image, fusion, text_ensemble and so on."""
        return BY_STAGE[self.stage]

    @cached_property
    def params(self) -> dict[str, object]:
        """Parameters of the stage and of every stage upstream, by their dotted names."""
        return flat_params(self.snapshot.lock, self.stage)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per epoch, as `rakuten.models.training.fit` returns it; empty without epochs."""
        content = self.snapshot.read(f"reports/{self.stage}/history.csv")
        return pd.read_csv(io.BytesIO(content or b"epoch\n"))

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Metrics of the training and, once evaluated, of each part, e.g. "test/accuracy"."""
        values = flatten({"model": self.snapshot.json(f"reports/{self.stage}/metrics.json")})
        values["model/bytes"] = next(
            (o.get("size") for o in self._entry["outs"] if o["path"].endswith("weights.npz")), None
        )
        if self.evaluated:
            scores = self.snapshot.json(f"{EVALUATION}/metrics.json").get(self.model, {})
            values |= flatten(scores)
        return {
            name: float(value)
            for name, value in values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }

    @cached_property
    def timings(self) -> dict[str, float]:
        """Seconds and rates of this training, empty if they were measured on another one.

        Git does not track timings, so those of the workspace are read for any snapshot.
        """
        timings = Snapshot(self.snapshot.root).json(f"{TIMINGS}/{self.stage}.json")
        digests = {out["path"]: out["md5"] for out in self._entry["outs"]}
        measured = timings.pop("measured_on", {})
        if not measured or any(digests.get(path) != md5 for path, md5 in measured.items()):
            return {}
        return {f"timing/{name}": float(value) for name, value in timings.items()}

    @cached_property
    def evaluated(self) -> bool:
        """Whether the snapshot's evaluation is of this training."""
        evaluation = self.snapshot.lock.get("evaluate")
        if evaluation is None:
            return False
        outputs = f"build/{self.stage}/outputs.npz"
        trained = {out["path"]: out.get("md5") for out in self._entry["outs"]}
        metrics = [
            out
            for out in evaluation.get("outs", [])
            if out["path"] == f"{EVALUATION}/metrics.json" and self.snapshot.holds(out)
        ]
        return trained[outputs] == self._read_by_evaluation.get(outputs) and bool(metrics)

    @cached_property
    def dataset(self) -> dict[str, str]:
        """Name and digest of the data, from `reports/clean.json` and `data.dvc`."""
        tracked = self.snapshot.read("data.dvc")
        digest = storage.parse_yaml(tracked)["outs"][0]["md5"] if tracked else ""
        described = self.snapshot.json("reports/clean.json").get("dataset", {})
        return {"name": described.get("name", "unnamed"), "digest": digest.removesuffix(".dir")}

    def attachments(self) -> list[str]:
        """List the reports of this model.

        Reports that compare models belong to late_fusion if it was evaluated, else to fusion.
        """
        trained = self.snapshot.files(f"reports/{self.stage}")
        folders = (EVALUATION, CHARTS) if self.evaluated else ()
        evaluated = [path for folder in folders for path in self.snapshot.files(folder)]
        shown = [path for path in evaluated if "/predictions_" not in path]
        own = [path for path in shown if _subject(path) == self.model]
        has_ensembles = "build/late_fusion/outputs.npz" in self._read_by_evaluation
        if self.model == ("late_fusion" if has_ensembles else "fusion"):
            own += [path for path in shown if not _subject(path)]
        return trained + own

    def content(self) -> str:
        """Hash everything above except the timings, which differ between identical results."""
        shown = [self.params, self.metrics, self.dataset, self.curves.to_csv(index=False)]
        attached = [self.snapshot.read(path) or b"" for path in self.attachments()]
        parts = [json.dumps(shown, sort_keys=True).encode(), *attached]
        return hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in parts)).hexdigest()

    @property
    def _entry(self) -> dict:
        return self.snapshot.lock[self.stage]

    @property
    def _read_by_evaluation(self) -> dict[str, str | None]:
        """Digests of the evaluation's inputs by path."""
        deps = self.snapshot.lock.get("evaluate", {}).get("deps", [])
        return {dep["path"]: dep.get("md5") for dep in deps}


def root() -> Path:
    """Find the repository; DVC_ROOT names it, also to a stage that runs in a temporary copy."""
    return Path(os.environ.get("DVC_ROOT", Path.cwd()))


def key(entry: dict) -> str:
    """Identify a result by command, inputs and parameters.

    Args:
        entry: A stage in the form of `dvc.lock`: cmd, deps with path and md5, params by file.

    Returns:
        64 hexadecimal digits.
    """
    identity = {
        "cmd": entry["cmd"],
        "deps": sorted([dep["path"], dep.get("md5", "")] for dep in entry.get("deps", [])),
        "params": entry.get("params", {}),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def current_entries() -> dict[str, dict]:
    """Describe the stages of `dvc.yaml` in the workspace, without digests.

    Returns:
        By stage: cmd, deps and outs with their paths, params by file, in the form of `dvc.lock`.
    """
    stages = storage.read_yaml("dvc.yaml")["stages"]
    values = storage.read_yaml("params.yaml")
    return {
        name: {
            "cmd": stage["cmd"],
            "deps": [{"path": path} for path in stage.get("deps", [])],
            "outs": [{"path": path} for path in _out_paths(stage)],
            "params": {
                "params.yaml": {
                    p: storage.entry(values, p, "params.yaml")
                    for p in sorted(stage.get("params", []))
                }
            },
        }
        for name, stage in stages.items()
    }


def current_key(stage: str) -> str:
    """Identify the result that a stage is about to make from the files of the workspace."""
    return key(_with_digests(current_entries()[stage]))


def flat_params(entries: dict[str, dict], stage: str) -> dict[str, object]:
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


def found_in(snapshot: Snapshot) -> list[Result]:
    """List the models of a snapshot whose reports are the ones `dvc.lock` describes.

    Stages with other outputs, as in old commits, are skipped. Only outputs.npz is required: a model
    that is not trained in epochs has no history.
    """
    found = []
    for stage in BY_STAGE:
        entry = snapshot.lock.get(stage, {"outs": []})
        outs = {out["path"]: out for out in entry["outs"]}
        reports = [out for path, out in outs.items() if path.startswith("reports/")]
        if f"build/{stage}/outputs.npz" in outs and all(map(snapshot.holds, reports)):
            found.append(Result(stage, key(entry), snapshot))
    return found


def commits(repository: Path) -> Iterator[Snapshot]:
    """Iterate over the commits of all branches and tags that changed results, newest first."""
    log = _git(
        repository, "log", "--branches", "--tags", "--remotes", "HEAD",
        "--full-history", "--format=%H %cI", "--", "dvc.lock", "reports", check=False,
    )  # fmt: skip
    for line in log.stdout.decode().splitlines():
        commit, time = line.split()
        yield Snapshot(repository, commit, time=datetime.fromisoformat(time).timestamp())


def experiments(repository: Path) -> Iterator[Snapshot]:
    """Iterate over the finished `dvc exp` experiments, newest first."""
    references = _git(
        repository, "for-each-ref", "--sort=-committerdate",
        "--format=%(objectname) %(committerdate:iso-strict) %(refname)", "refs/exps", check=False,
    )  # fmt: skip
    for line in references.stdout.decode().splitlines():
        commit, time, reference = line.split()
        parts = reference.split("/")  # refs/exps/<2 digits>/<38 digits>/<name>
        if len(parts) == 5 and len(parts[2]) == 2:
            timestamp = datetime.fromisoformat(time).timestamp()
            yield Snapshot(repository, commit, parts[4], parts[2] + parts[3], timestamp)


def head(repository: Path) -> str:
    """Return the checked-out commit, "" outside git."""
    found = _git(repository, "rev-parse", "HEAD", check=False)
    return found.stdout.decode().strip() if found.returncode == 0 else ""


def _git(repository: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, check=check)


def _with_digests(entry: dict) -> dict:
    """Add the MD5 of every existing file; folders have none here."""
    return entry | {
        kind: [
            {"path": item["path"], "md5": storage.digest(item["path"])}
            for item in entry[kind]
            if Path(item["path"]).is_file()
        ]
        for kind in ("deps", "outs")
    }


def _out_paths(stage: dict) -> list[str]:
    """List the outputs of a stage of `dvc.yaml`, each a path or {path: options}."""
    outs = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in outs]


def _subject(path: str) -> str:
    """Find the model of a report, "" if it has several: `f1_text_ensemble` is not of text."""
    stem = Path(path).stem
    return max((m for m in BY_STAGE.values() if stem.endswith(f"_{m}")), key=len, default="")
