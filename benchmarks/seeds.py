"""Train all models on several splits of the products in data/: `python -m benchmarks.seeds`.

One split of a few thousand products has a noise of some points. This trains every model once per
seed on the inputs that `dvc repro` computed, in a folder outside the workspace, and prints metrics
and paired differences over all test rows. Run `dvc repro` on your own files first.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks import measure
from rakuten import feature_store, model_names, stage_log, storage
from rakuten.data.examples import check_ids
from rakuten.evaluation.intervals import INTERVAL_METRICS, PAIRS
from rakuten.evaluation.metrics import measure as metrics_of

SEEDED = ("split", "vectorize", "text", "image", "fusion", "text_ensemble", "image_ensemble",
          "late_fusion")  # fmt: skip
"""The stages that depend on the seed, in the order of the pipeline."""

RESAMPLES = 2000


def main() -> None:
    """Train for each seed what is not there yet, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21, 22, 23, 24])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "seeds",
                        help="keeps the outputs; what is there is not repeated")  # fmt: skip
    arguments = parser.parse_args()
    arguments.folder /= fingerprint(measure.ROOT)
    steps = [(seed, stage) for seed in arguments.seeds for stage in SEEDED]
    todo = [
        step for step in steps if not (arguments.folder / str(step[0]) / f"{step[1]}.done").exists()
    ]
    for seed, stage in stage_log.progress(
        todo, total=len(todo), unit="stage", description="train models"
    ):
        train(measure.ROOT, arguments.folder / str(seed), seed, stage)
    rows = pd.concat(
        [
            rows_of_test_part(measure.ROOT, arguments.folder / str(seed), seed)
            for seed in arguments.seeds
        ],
        ignore_index=True,
    )
    print(metric_table(rows).to_string(index=False), end="\n\n")
    print(difference_table(rows).to_string(index=False, float_format="{:+.3f}".format))


def fingerprint(root: Path) -> str:
    """Identify the code, the parameters and the inputs of the stages in `SEEDED`.

    Returns:
        32 hexadecimal digits. The outputs of another state of these are never read.
    """
    code = [path for folder in ("rakuten", "stages") for path in (root / folder).rglob("*.py")]
    inputs = [
        path
        for folder in ("clean", "extract", "encode_text", "encode_image")
        for path in (root / "build" / folder).iterdir()
    ]
    files = [root / "params.yaml", *sorted(code), *sorted(inputs)]
    return feature_store.fingerprint(*(storage.digest(path) for path in files))


def train(root: Path, folder: Path, seed: int, stage: str) -> None:
    """Run one stage with a seed in a folder, on the inputs that the workspace has.

    Args:
        root: The project.
        folder: The working directory; inputs are linked, outputs are written here.
        seed: Replaces `seed` of params.yaml.
        stage: Name of the stage.

    Raises:
        subprocess.CalledProcessError: If the stage fails; its output was printed.
    """
    (folder / "build").mkdir(parents=True, exist_ok=True)
    params = storage.read_yaml(root / "params.yaml") | {"seed": seed}
    storage.write_json(folder / "params.yaml", params)  # JSON is YAML
    for source in [root / "data", *sorted((root / "build").iterdir())]:
        link = folder / source.relative_to(root)
        if source.name not in (*SEEDED, "timings") and not link.exists():
            link.symlink_to(source)
    environment = os.environ | {"PYTHONPATH": str(root)}
    subprocess.run(
        [sys.executable, "-m", f"stages.{stage}"], cwd=folder, env=environment, check=True
    )
    (folder / f"{stage}.done").touch()


def rows_of_test_part(root: Path, folder: Path, seed: int) -> pd.DataFrame:
    """Collect all models' probabilities of the test part of one split.

    Returns:
        One row per test product: id, seed, label (class index), products ("both", "text only" or
        "image only"), and for each main model its probabilities (27,), None where it cannot score
        the product.
    """
    parts = storage.read_table(folder / "build/split/parts.parquet")
    products = storage.read_table(root / "build/clean/products.parquet")
    check_ids(parts["id"].to_numpy(), products["id"].to_numpy(), "parts")
    columns: dict[str, object] = {"id": products["id"], "seed": seed}
    for model in model_names.MAIN:
        outputs = storage.read_arrays(folder / f"build/{model}/outputs.npz")
        check_ids(outputs["ids"], products["id"].to_numpy(), f"outputs of {model}")
        columns[model] = [
            row if present else None
            for row, present in zip(outputs["probabilities"], outputs["present"], strict=True)
        ]
    frame = pd.DataFrame(columns).assign(label=products["label"])
    frame["products"] = np.select(
        [frame["text"].isna(), frame["image"].isna()], ["image only", "text only"], "both"
    )
    return frame[parts["part"].eq("test")]


def metric_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Measure each model on each kind of product: mean and standard deviation over the seeds.

    Args:
        rows: See `rows_of_test_part`, several seeds.
    """
    records = []
    for kind, model, some in _cases(rows):
        measured = pd.DataFrame(
            [
                metrics_of(own["label"].to_numpy(), np.stack(own[model].to_list()))
                for _, own in some.groupby("seed")
            ]
        )
        values = {
            name: f"{measured[name].mean():.3f} ± {measured[name].std(ddof=1):.3f}"
            for name in INTERVAL_METRICS
        }
        records.append(
            {"products": kind, "model": model} | values | {"distinct rows": some["id"].nunique()}
        )
    return pd.DataFrame(records)


def difference_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare the accuracies of the models in `PAIRS`, with 95 % intervals.

    A product that several splits test counts once, with its mean difference. The interval is that
    of the basic bootstrap of products, which also exists if two models agree on all of them.

    Args:
        rows: See `rows_of_test_part`.

    Returns:
        One row per pair and kind of product, for all kinds with at least two products that both
        models score.
    """
    records = []
    for first, second in PAIRS:
        common = rows[rows[first].notna() & rows[second].notna()]
        for kind in ["all", *sorted(common["products"].unique())]:
            some = common if kind == "all" else common[common["products"].eq(kind)]
            if some["id"].nunique() < 2:  # no interval
                continue
            correct = [
                np.stack(some[model].to_list()).argmax(axis=1) == some["label"]
                for model in (first, second)
            ]
            difference = (correct[0].astype(float) - correct[1]).groupby(some["id"]).mean()
            low, high = stats.bootstrap(
                (difference.to_numpy(),), np.mean, n_resamples=RESAMPLES, batch=100,
                method="basic", rng=0,
            ).confidence_interval  # fmt: skip
            records.append(
                {"models": f"{first} minus {second}", "products": kind,
                 "accuracy": difference.mean(), "low": low, "high": high,
                 "distinct rows": f"{len(difference):,}"}
            )  # fmt: skip
    return pd.DataFrame(records)


def _cases(rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Pair each kind of product with each model that scores it."""
    for kind in ("all", "both", "text only", "image only"):
        some = rows if kind == "all" else rows[rows["products"].eq(kind)]
        for model in model_names.MAIN:
            scored = some[some[model].notna()]
            if len(scored):
                yield kind, model, scored


if __name__ == "__main__":
    main()
