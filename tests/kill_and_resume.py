"""Kill the pipeline at random moments and see that it always finishes the same.

A first run, forced through every stage, is the reference. Each round then forces a random stage and
all that follow, kills the whole process group (SIGKILL) at a random moment, the last one while DVC
writes dvc.lock, and lets `make repair` and `dvc repro` finish. Every second round does so without
the run cache, so that the stages run again. dvc.lock must hold what it held after the first run,
and no temporary file may be left in an output.
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
    """Start `dvc repro` in a new process group."""
    return subprocess.Popen(
        ["dvc", "repro", *options],
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


def records(folder: Path) -> dict:
    """Read dvc.lock."""
    return yaml.safe_load((folder / "dvc.lock").read_text())


def leftovers(folder: Path) -> list[str]:
    """List temporary files within the recorded outputs."""
    stages = records(folder)["stages"].values()
    outs = [folder / out["path"] for stage in stages for out in stage["outs"]]
    files = [file for out in outs for file in ([out] if out.is_file() else out.rglob("*"))]
    return [str(file.relative_to(folder)) for file in files if file.name.endswith(".tmp")]


def kill(folder: Path, process: subprocess.Popen, seconds: float | None) -> str:
    """Kill a run and all its processes (SIGKILL) and return what it had printed.

    Args:
        folder: The repository.
        process: The run.
        seconds: When, from now; None for the moment in which it writes dvc.lock.
    """
    lock = folder / "dvc.lock"
    size = lock.stat().st_size
    if seconds is None:
        while lock.stat().st_size >= size and process.poll() is None:
            time.sleep(1e-4)
    else:
        time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()[0]


def main() -> int:
    """Run the rounds; 0 if every one of them finished with the same dvc.lock."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path, help="a clone whose data are imported")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder, draw = options.repository, random.Random(options.seed)
    left = finish(folder, "--force")
    built, failures = records(folder), 0
    for number in range(1, options.kills + 1):
        in_write = number == options.kills
        stage = "split" if in_write else draw.choice(list(left))
        moment = None if in_write else draw.uniform(1.0, left[stage])
        output = kill(folder, repro(folder, "--force", "--downstream", stage), moment)
        ran = [line.split("'")[1] for line in output.splitlines() if "Running stage" in line]
        cut = subprocess.run(["dvc", "stage", "list"], cwd=folder, capture_output=True).returncode
        subprocess.run(["make", "--silent", "repair"], cwd=folder, check=True)
        finish(folder, *(["--no-run-cache"] if number % 2 and not in_write else []))
        same = records(folder) == built and not leftovers(folder)
        failures += not same
        when = "writing dvc.lock" if in_write else f"after {moment:5.1f} s"
        print(
            f"kill {number:2d}: from {stage}, {when}, in {ran[-1] if ran else 'no stage'}:"
            f" {'same dvc.lock' if same else 'DIFFERENT'}{', dvc.lock was cut off' if cut else ''}",
            flush=True,
        )
    print(f"{options.kills} kills, {failures} different")
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
