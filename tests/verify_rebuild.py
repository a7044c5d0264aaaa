"""Rebuild the project twice from clean clones and compare every byte: `make verify`.

Both clones run `dvc repro --no-run-cache` with a DVC cache of their own. Compared are dvc.lock,
which holds the digest of every model and array, and each file below reports/. With `--sample` they
use a generated catalogue of a few products instead of the embedded sample: minutes less.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def build(
    folder: Path, sample: Path | None, arguments: list[str], environment: dict[str, str]
) -> Path:
    """Clone the committed state, get its data and rebuild it; change parameters if asked.

    Args:
        folder: Where the clone goes.
        sample: Files to import; None for the embedded sample.
        arguments: Changes of params.yaml in DVC's form, e.g. "threads=1".
        environment: Variables for the run, e.g. PYTHONHASHSEED.

    Returns:
        The clone.
    """
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    (folder / ".venv").symlink_to(Path(sys.prefix), target_is_directory=True)
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "DVC_"))}
    variables = inherited | environment | {"PATH": path}
    for name, value in (change.split("=") for change in arguments):
        params = (folder / "params.yaml").read_text().splitlines(keepends=True)
        params = [f"{name}: {value}\n" if p.startswith(f"{name}:") else p for p in params]
        (folder / "params.yaml").write_text("".join(params))
    data = ["dvc", "pull", "--quiet", "data.dvc"]
    if sample:
        data = ["python", "-m", "rakuten", "import", "--name", sample.name, str(sample)]
    for command in (data, ["dvc", "repro", "--no-run-cache"]):
        subprocess.run(command, cwd=folder, env=variables, check=True)
    return folder


def compared(folder: Path) -> list[str]:
    """List what has to be the same, relative to the repository."""
    reports = sorted(p for p in (folder / "reports").rglob("*") if p.is_file())
    names = [str(path.relative_to(folder)) for path in reports]
    return ["dvc.lock", *names]


def compare(one: Path, two: Path) -> int:
    """Print a verdict per file.

    Returns:
        The number of files that differ or exist on one side only.
    """
    different = 0
    for name in sorted({*compared(one), *compared(two)}):
        a, b = one / name, two / name
        same = a.exists() and b.exists() and a.read_bytes() == b.read_bytes()
        different += not same
        print(f"{'same   ' if same else 'DIFFERS'}  {name}")
    outcome = f"{different} files differ" if different else "every byte is the same"
    print(f"{one} and {two}: {outcome}")
    return different


def main() -> int:
    """Run the comparison; 0 if everything is the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="a repository built before, as the first one")
    parser.add_argument("--sample", type=Path, help="files to import; default: the embedded sample")
    parser.add_argument("--set", nargs="*", default=[], help="change the second, e.g. threads=1")
    parser.add_argument("--hash-seed", default="random", help="PYTHONHASHSEED of the second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sample = options.sample and options.sample.resolve()
        hashes = {"PYTHONHASHSEED": "0"}
        first = options.against or build(Path(folder, "one"), sample, [], hashes)
        environment = {"PYTHONHASHSEED": options.hash_seed}
        second = build(Path(folder, "two"), sample, options.set, environment)
        return min(compare(first, second), 1)


if __name__ == "__main__":
    sys.exit(main())
