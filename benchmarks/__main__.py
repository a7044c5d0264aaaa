"""Run every benchmark that takes minutes: `python -m benchmarks`. The pipeline and Ray apart."""

import subprocess

from benchmarks import measure

SUBJECTS = (
    "sample",
    "clean",
    "vectorize",
    "extract",
    "parity",
    "nets",
    "training",
    "predict",
    "overhead",
)


def main() -> None:
    """Run each subject in a process of its own, so that none warms up another."""
    for subject in SUBJECTS:
        subprocess.run(measure.python("-m", f"benchmarks.{subject}"), cwd=measure.ROOT, check=True)


if __name__ == "__main__":
    main()
