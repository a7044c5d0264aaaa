"""Measure the time of DVC and Python when there is nothing to compute."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import measure

REPEATS = 3
ARCHIVE = 2_200_000_000
"""Bytes of the challenge's images."""

IMPORTS = "import {module}, sys; assert 'tensorflow' not in sys.modules"
LIGHT = (
    "resources", "clean", "split", "vectorize", "encode_text", "encode_image", "text_ensemble",
    "image_ensemble", "late_fusion", "refit", "robust_text", "robust_image", "audit", "package",
    "evaluate", "explore", "charts",
)  # fmt: skip
"""The stages that need no TensorFlow."""


def main() -> None:
    """Measure a run with nothing to do, imports of light stages, and a large archive."""
    environment = {"PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def seconds(command: list[str], folder: Path = measure.ROOT) -> float:
        return measure.watch(command, folder, **environment)[0]

    noop = [seconds(["dvc", "repro"]) for _ in range(REPEATS)]
    rows = [measure.Row("dvc repro with nothing to do", measure.median(noop), "s")]
    for stage in LIGHT:
        command = measure.python("-c", IMPORTS.format(module=f"stages.{stage}"))
        starts = [seconds(command) for _ in range(REPEATS)]
        rows.append(measure.Row(f"imports of stage {stage}", measure.median(starts), "s"))
    with measure.scratch("overhead") as folder:
        rows += archive_rows(folder, seconds)
    measure.save("overhead", rows)


def archive_rows(folder: Path, seconds: Callable[..., float]) -> list[measure.Row]:
    """Track an archive of the challenge's size; run an experiment in a temporary workspace."""
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(command, cwd=folder, check=True)
    command = ["dvc", "config", "cache.type"]
    links = subprocess.check_output(command, cwd=measure.ROOT, text=True).strip()
    for name in ("user.name", "user.email"):
        subprocess.run(["git", "config", name, "bench@example.org"], cwd=folder, check=True)
    subprocess.run([*command, links], cwd=folder, check=True)
    with (folder / "images.zip").open("wb") as file:
        for _ in range(ARCHIVE // 10_000_000):
            file.write(os.urandom(10_000_000))
    before = storage_used(folder)
    add = seconds(["dvc", "add", "-q", "images.zip"], folder)
    copied = storage_used(folder) - before
    (folder / "dvc.yaml").write_text(
        "stages:\n  size:\n    cmd: wc -c < images.zip > size && echo ${value} >> size\n"
        "    deps: [images.zip]\n    params: [value]\n    outs: [size]\n"
    )
    (folder / "params.yaml").write_text("value: 1\n")
    for command in (["dvc", "repro", "-q"], ["git", "add", "-A"], ["git", "commit", "-qm", "all"]):
        subprocess.run(command, cwd=folder, check=True)
    before = storage_used(folder)
    temporary = seconds(["dvc", "exp", "run", "-q", "--temp", "-S", "value=2"], folder)
    more = storage_used(folder) - before
    size = f"archive of {ARCHIVE / 1e9:.1f} GB"
    return [
        measure.Row("dvc add", measure.median([add]), "s",
                    note=f"{size}, {copied / 1e6:.0f} MB more on the disk"),
        measure.Row("dvc exp run --temp", measure.median([temporary]), "s",
                    note=f"{size} among its inputs, {more / 1e6:.0f} MB more on the disk"),
    ]  # fmt: skip


def storage_used(folder: Path) -> int:
    """Count the bytes of a folder's files; a file with several links counts once."""
    files = {p.stat().st_ino: p.stat().st_size for p in folder.rglob("*") if p.is_file()}
    return sum(files.values())


if __name__ == "__main__":
    main()
