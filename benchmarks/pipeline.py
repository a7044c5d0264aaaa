"""Measure the whole pipeline at full scale: time and peak memory of every stage, by size.

`python -m benchmarks.pipeline` takes an hour on two cores. It rebuilds a generated catalogue of
84,916 products, 5,000 of them with an image, and a half and a quarter of it, each in a clone of the
committed state. Finished measurements are kept in build/benchmarks/: after an interruption the same
command continues with the next one, unless the committed code has changed.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import measure
from rakuten import storage

SHARES = (1.0, 0.5, 0.25)
DONE = measure.ROOT / "build/benchmarks"


def rebuild(folder: Path, products: int, images: int) -> dict[str, tuple[float, int]]:
    """Generate a catalogue, import it into a clone and run stage by stage.

    Args:
        folder: An empty folder.
        products: Products of the catalogue.
        images: Number of them that have an image.

    Returns:
        Seconds and peak bytes of "sample", "import" and each stage, in the order of their runs.
    """
    clone = folder / "rakuten"
    subprocess.run(["git", "clone", "--quiet", str(measure.ROOT), str(clone)], check=True)
    (clone / ".venv").symlink_to(Path(sys.prefix), target_is_directory=True)
    environment = {"PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    catalogue = str(folder / "catalogue")
    scale = ["--products", str(products), "--images", str(images)]
    steps = {
        "sample": measure.python("-m", "rakuten", "sample", *scale, catalogue),
        "import": [
            *measure.python("-m", "rakuten", "import"),
            "--allow-missing-images",
            catalogue,
        ],
    }
    for stage in storage.read_yaml(clone / "dvc.yaml")["stages"]:
        steps[stage] = ["dvc", "repro", "--single-item", stage]
    measured = {}
    for name, command in steps.items():
        measured[name] = measure.watch(command, clone, **environment)
        seconds, peak = measured[name]
        line = f"{products:>7,} products  {name:<14} {seconds:8.1f} s {peak / 2**30:6.2f} GiB"
        print(line, flush=True)
    return measured


def state() -> str:
    """List what the rebuilds depend on: git's ids of the committed stages, code and settings."""
    stages = storage.read_yaml(measure.ROOT / "dvc.yaml")["stages"].values()
    code = {path for stage in stages for path in stage["deps"] if path.endswith(".py")}
    files = ["dvc.yaml", "params.yaml", "requirements.txt", "rakuten/data/resources.yaml"]
    command = ["git", "ls-tree", "-r", "HEAD", *files, "rakuten/sample", *sorted(code)]
    done = subprocess.run(command, cwd=measure.ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def main() -> None:
    """Measure the whole catalogue, a half and a quarter of it; keep the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--products", type=int, default=84_916, help="(%(default)s)")
    parser.add_argument("--images", type=int, default=5_000, help="(%(default)s)")
    parser.add_argument("--keep", type=Path, help="leave the largest clone in this folder")
    options = parser.parse_args()
    runs = {}
    for share in SHARES:
        sizes = round(options.products * share), round(options.images * share)
        kept = DONE / "pipeline-{}-{}.json".format(*sizes)
        if kept.exists() and (done := storage.read_json(kept))["state"] == state():
            runs[sizes] = done["measured"]
            continue
        begun = state()
        with measure.scratch("pipeline") as folder:
            runs[sizes] = rebuild(folder, *sizes)
            if options.keep and share == max(SHARES):
                shutil.move(folder / "rakuten", options.keep)
        storage.write_json(kept, {"state": begun, "measured": runs[sizes]})
    measure.keep("pipeline", rows(runs))


def rows(runs: dict[tuple[int, int], dict[str, tuple[float, int]]]) -> list[measure.Row]:
    """Report each stage, and its cost per product relative to the smallest catalogue.

    Args:
        runs: Results of `rebuild` by numbers of products and images, the largest first.
    """
    (products, images), *_ = runs
    (fewest, _), smallest = list(runs.items())[-1]
    lines = []
    for name, (seconds, peak) in runs[products, images].items():
        others = ", ".join(f"{run[name][0]:.0f} s" for run in list(runs.values())[1:])
        growth = (seconds / products) / (smallest[name][0] / fewest)
        note = f"peak {peak / 2**30:.2f} GiB; fewer products: {others}, "
        note += f"{1 / growth:.2f} times as much per product"
        lines.append(measure.Row(name, float(f"{seconds:.3g}"), "s", note=note))
    totals = {size: sum(seconds for seconds, _ in run.values()) for (size, _), run in runs.items()}
    costs = ", ".join(f"{1000 * total / size:.1f} ms" for size, total in totals.items())
    note = f"{products:,} products, {images:,} with an image; per product of "
    note += f"{', '.join(f'{size:,}' for size in totals)}: {costs}; peaks are of all processes"
    total = totals[products]
    return [*lines, measure.Row("all", float(f"{total:.4g}"), "s", note=note)]


if __name__ == "__main__":
    main()
