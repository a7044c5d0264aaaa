"""The project's files at one moment: in the workspace, or in a commit, see `git.Commit`."""

import functools
import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from rakuten import storage

LOCK = "dvc.lock"


@dataclass(frozen=True)
class Snapshot:
    """The project's files at one moment: in the workspace, or in a commit, see `git.Commit`.

    Attributes:
        root: The project's folder.
        time: When it was made, seconds since 1970; None for the workspace.
    """

    root: Path
    time: float | None = field(default=None, kw_only=True)

    def read(self, path: str) -> bytes | None:
        """Read a file, None if it does not exist in this snapshot."""
        raise NotImplementedError

    def files(self, folder: str) -> dict[str, str]:
        """List the files below a folder of `reports/`.

        Returns:
            The hash of each file's content, as git computes it, by path; sorted by path.
        """
        raise NotImplementedError

    @cached_property
    def lock(self) -> dict[str, dict]:
        """The stages of `dvc.lock` by name, empty if there is none."""
        return _parse_lock(self.read(LOCK) or b"")

    def json(self, path: str) -> dict:
        """Read a JSON file, empty if it does not exist in this snapshot."""
        content = self.read(path)
        return json.loads(content) if content else {}

    def holds(self, out: dict) -> bool:
        """Check that a file has the digest of its entry in `dvc.lock`."""
        content = self.read(out["path"])
        return content is not None and hashlib.md5(content).hexdigest() == out.get("md5")


@dataclass(frozen=True)
class Workspace(Snapshot):
    """The project's files as they are on disk.

    Attributes:
        root: The project's folder.
        running: A stage whose outputs are written but not yet recorded by DVC, or "".
    """

    running: str = ""

    def read(self, path: str) -> bytes | None:
        """Read a file, None if it does not exist."""
        file = self.root / path
        return file.read_bytes() if file.is_file() else None

    def files(self, folder: str) -> dict[str, str]:
        """List the files below a folder with the hashes that git gives to their contents."""
        found = sorted(path for path in (self.root / folder).rglob("*") if path.is_file())
        names = [str(PurePosixPath(path.relative_to(self.root))) for path in found]
        return {n: _git_hash(p.read_bytes()) for n, p in zip(names, found, strict=True)}

    @cached_property
    def lock(self) -> dict[str, dict]:
        """The stages of `dvc.lock` by name, with the running one as it is about to be recorded."""
        stages = _parse_lock(self.read(LOCK) or b"")
        if self.running:
            stages = stages | {self.running: _with_digests(current_entries()[self.running])}
        return stages


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


def _parse_lock(content: bytes) -> dict[str, dict]:
    """Parse the stages of `dvc.lock`, each distinct one once: a whole file takes 0.3 seconds."""
    head, *stages = re.split(rb"^(?=  [^\s#])", content, flags=re.MULTILINE)
    is_plain = head.splitlines()[-1:] == [b"stages:"] and not re.search(rb"[:-] [&*]", content)
    if not is_plain or any(re.search(rb"^\S", stage, re.MULTILINE) for stage in stages):
        return (storage.parse_yaml(content) or {}).get("stages") or {}
    return {name: entry for stage in stages for name, entry in _parse_stage(stage).items()}


@functools.cache
def _parse_stage(text: bytes) -> dict[str, dict]:
    return storage.parse_yaml(text)


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


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
