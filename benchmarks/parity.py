"""What `extract.precision=int8` changes: features of all pictures, and what models make of them.

Models are trained on exact features and given both kinds, so that a difference is the rounding's
and not another training's. `--repository` names a built clone with other data, whose figures are
printed and not kept: `python -m benchmarks.parity --repository ../rakuten-real`.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import measure
from rakuten import (
    backbones,
    determinism,
    extraction,
    image_ensemble,
    journal,
    models,
    products,
    storage,
    training,
)
from rakuten.determinism import keras
from rakuten.examples import Examples, join

SEEDS = range(1, 6)
PARQUET = "clean/products", "split/parts"


def rounded(root: Path, params: dict) -> tuple[dict, dict]:
    """Extract all pictures of a repository in 8 bits: what the stage writes, but for its table."""
    settings = extraction.Settings(**params["extract"] | {"precision": "int8"})
    backbone = backbones.find(settings.backbone)
    weights = storage.read_arrays(root / "build/resources" / backbone.weights)
    network = {"size": settings.size, "precision": settings.precision}
    build = partial(backbones.extractor, settings.backbone, weights, **network)
    table = products.join(storage.read_csv(root / "data/X_train.csv", **products.CSV_FORMAT))
    names = [f"image_train/{name}" for name in products.image_names(table)]
    with (
        storage.ImageArchive(root / "data/images.zip") as archive,
        tempfile.TemporaryDirectory() as folder,
    ):
        pictures = extraction.find_pictures(names, archive)
        arrays, facts = extraction.extract(
            pictures,
            archive,
            build,
            storage.Shards(Path(folder), "parity"),
            journal.progress,
            settings,
            backbone.widths,
        )
    ids = table["id"].to_numpy()
    features, pooled, _ = extraction.spread(pictures, ids, arrays, facts, settings.views)
    return features, pooled


def worst_cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Find the lowest cosine between the same rows of two arrays (..., n, d)."""
    one, other = (x.astype(np.float64).reshape(-1, x.shape[-1]) for x in (one, other))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / norms).min())


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Count what is right, in percent."""
    return 100 * float((probabilities.argmax(axis=1) == labels).mean())


def nets(exact: Examples, other: Examples, params: dict) -> tuple[list[float], list[float]]:
    """Train image nets on exact features; how right each is on exact and on rounded ones."""
    net = {key: value for key, value in params["image"].items() if not isinstance(value, dict)}
    found: tuple[list[float], list[float]] = [], []
    for seed in journal.progress(SEEDS, total=len(SEEDS), unit="net", description="nets"):
        keras.utils.set_random_seed(seed)
        model = models.dense_net(exact.features.shape[1], **net)
        fitting = params["image"]["training"]
        training.fit(model, exact, seed=seed, on_epoch=lambda *_: None, **fitting)
        for figures, examples in zip(found, (exact, other), strict=True):
            rows = examples.rows("test")
            said = training.outputs(model, examples, trained=True)["probabilities"][rows]
            figures.append(accuracy(said, examples.labels[rows]))
    return found


def ensemble(root: Path, examples: Examples, kinds: list[dict], facts: pd.DataFrame) -> list[float]:
    """Ask the trained best image model about the test part, with each kind of features."""
    model = image_ensemble.restore(storage.read_arrays(root / "build/best_image/weights.npz"))
    rows = examples.rows("test")
    return [
        accuracy(
            model.probabilities(image_ensemble.views(pooled, facts, rows)), examples.labels[rows]
        )
        for pooled in kinds
    ]


def main() -> None:
    """Compare, for the repository itself or another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("--repository", type=Path, default=measure.ROOT, help="a built clone")
    root = parser.parse_args().repository
    params = storage.read_yaml(root / "params.yaml")
    if params["extract"]["precision"] != "float32":
        parser.error("features in build/ are rounded: expected extract.precision=float32")
    determinism.configure(seed=0, threads=params["threads"])
    features, pooled = rounded(root, params)
    exact = storage.read_arrays(root / "build/extract/features.npz")
    exact_pooled = storage.read_arrays(root / "build/extract/pooled.npz")
    present = exact["present"]
    pairs = {"average": (exact["features"][present], features["features"][present])}
    for kind in ("grid", "middle"):
        pairs[kind] = exact_pooled[kind][:, present], pooled[kind][:, present]
    name = storage.read_json(root / "data/dataset.json")["name"]
    note = f"of {present.sum():,} pictures, {name}"
    rows = [
        measure.Row(f"worst cosine, {kind}", float(f"{worst_cosine(*pair):.4f}"), "", note=note)
        for kind, pair in pairs.items()
    ]
    tables = [
        storage.read_table(root / f"build/{x}.parquet") for x in ("clean/products", "split/parts")
    ]
    of_exact, of_rounded = join(*tables, **exact), join(*tables, **features)
    found = nets(of_exact, of_rounded, params)
    facts = storage.read_table(root / "build/extract/images.parquet")
    said = ensemble(root, of_exact, [exact_pooled, pooled], facts)
    count = len(of_exact.rows("test"))
    for what, before, after in (
        (f"image net, mean of {len(SEEDS)} seeds", *map(np.mean, found)),
        ("best image model", *said),
    ):
        note = f"{count} test rows, {name}; {before:.2f} % on exact features"
        rows.append(measure.Row(f"accuracy, {what}", float(f"{after:.4g}"), "%", note=note))
    if root == measure.ROOT:
        measure.keep("parity", rows)
    else:
        print(measure.table([vars(row) for row in rows]))


if __name__ == "__main__":
    main()
