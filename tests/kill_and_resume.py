"""Kill the pipeline at random moments and see that it always finishes the same.

Each round forces a random stage and all that follow, kills the whole process group (SIGKILL) at a
random moment, and lets `dvc repro` finish without the run cache. dvc.lock must be the one of the
uninterrupted build, and no temporary file may be left in an output.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml


def repro(folder: Path, *options: str) -> subprocess.Popen:
    """Start `dvc repro` without the run cache, in a process group of its own."""
    return subprocess.Popen(
        ["dvc", "repro", "--no-run-cache", *options],
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(folder: Path, *options: str) -> dict[str, float]:
    """Let `dvc repro` run to its end.

    Returns:
        Seconds that were left when each stage began that was run.
    """
    process = repro(folder, *options)
    lines, began = [], {}
    for line in process.stdout:
        lines.append(line)
        if "Running stage" in line:
            began[line.split("'")[1]] = time.monotonic()
    if process.wait():
        raise SystemExit(f"dvc repro {' '.join(options)} failed:\n{''.join(lines)[-5000:]}")
    return {stage: time.monotonic() - start for stage, start in began.items()}


def leftovers(folder: Path) -> list[str]:
    """List temporary files within the recorded outputs."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"].values()
    outs = [folder / out["path"] for stage in stages for out in stage["outs"]]
    files = [file for out in outs for file in ([out] if out.is_file() else out.rglob("*"))]
    return [str(file.relative_to(folder)) for file in files if file.name.endswith(".tmp")]


def main() -> int:
    """Run the rounds; 0 if every one of them finished with the same dvc.lock."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path, help="a clone in which `dvc repro` has run")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder, draw = options.repository, random.Random(options.seed)
    lock = (folder / "dvc.lock").read_bytes()
    left = finish(folder, "--force")
    failures = int((folder / "dvc.lock").read_bytes() != lock)
    for number in range(options.kills):
        stage = draw.choice(list(left))
        process = repro(folder, "--force", "--downstream", stage)
        moment = draw.uniform(1.0, left[stage])
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        ran = [line.split("'")[1] for line in output.splitlines() if "Running stage" in line]
        finish(folder)
        same = (folder / "dvc.lock").read_bytes() == lock and not leftovers(folder)
        failures += not same
        print(
            f"kill {number + 1:2d}: from {stage}, after {moment:5.1f} s, in "
            f"{ran[-1] if ran else 'no stage'}: {'same dvc.lock' if same else 'DIFFERENT'}",
            flush=True,
        )
    print(f"{options.kills} kills, {failures} different")
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
