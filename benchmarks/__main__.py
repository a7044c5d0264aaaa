"""Run all benchmarks but those of the whole pipeline and of Ray: `python -m benchmarks`."""

import subprocess

from benchmarks import measure

SUBJECTS = (
    "sample", "clean", "vectorize", "extract", "parity", "nets", "predict", "serve",
    "overhead", "repro",
)  # fmt: skip


def main() -> None:
    """Run each subject in a new process, so that none warms up another."""
    for subject in SUBJECTS:
        subprocess.run(measure.python("-m", f"benchmarks.{subject}"), cwd=measure.ROOT, check=True)


if __name__ == "__main__":
    main()
