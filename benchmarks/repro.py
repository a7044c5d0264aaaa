"""Measure the first `make repro` on the sample, stage by stage, and an experiment after it.

The stages run in a clone of the committed state without DVC's cache and without features, as after
`make install`.
"""

import subprocess
from pathlib import Path

from benchmarks import measure, pipeline
from benchmarks.processes import Usage
from rakuten import storage

EXPERIMENT = "fusion.dropout=0.4"
"""What the experiment changes."""


def main() -> None:
    """Run the pipeline and an experiment."""
    with measure.scratch("repro") as folder:
        clone = folder / "rakuten"
        pipeline.make_clone(clone, {})
        for name in ("user.name", "user.email"):
            subprocess.run(["git", "config", name, "bench@example.org"], cwd=clone, check=True)
        pull = ["dvc", "pull", "-q", "--remote", "embedded", "data.dvc"]
        steps = {"pull": pipeline.run_step("pull", pull, clone)} | run_stages(clone)
        again = ["dvc", "exp", "run", "-q", "--set-param", EXPERIMENT]
        experiment = pipeline.run_step("experiment", again, clone)
    measure.save("repro", rows(steps, experiment))


def run_stages(clone: Path) -> dict[str, Usage]:
    """Run every stage in a process of its own, as `dvc repro` does."""
    stages = storage.read_yaml(clone / "dvc.yaml")["stages"]
    single = ["dvc", "repro", "-q", "--force", "--single-item"]
    return {stage: pipeline.run_step(stage, [*single, stage], clone) for stage in stages}


def rows(steps: dict[str, Usage], experiment: Usage) -> list[measure.Row]:
    """Report the time of each step and the processor time of the experiment.

    Args:
        steps: Usage by step, in order.
        experiment: Usage of the experiment.

    Returns:
        A row per step, one for all of them, and one for the experiment, which is compared with
        running all stages again.
    """
    seconds, cpu = (
        sum(getattr(one, name) for one in steps.values()) for name in ("seconds", "cpu")
    )
    found = [
        measure.Row(f"sample: {step}", measure.median([one.seconds]), "s",
                    note=f"{one.cpu:.3g} s of processor time, peak {one.peak / 2**20:.0f} MiB")
        for step, one in steps.items()
    ]  # fmt: skip
    note = f"{cpu:.0f} s of processor time; each step starts DVC again"
    found.append(measure.Row("sample: all steps", measure.median([seconds]), "s", note=note))
    own, all_again = measure.median([experiment.cpu]), measure.median([cpu])
    note = f"dvc exp run -S {EXPERIMENT}; naive: all stages again; {experiment.seconds:.0f} s"
    ratio = measure.median([all_again / own])
    found.append(measure.Row("experiment, processor time", own, "s", all_again, ratio, note))
    return found


if __name__ == "__main__":
    main()
