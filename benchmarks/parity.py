"""What `extract.precision=int8` changes: features of all pictures, and what models make of them.

Models are trained on exact features and given both kinds, so that a difference is the rounding's
and not another training's. One training tells no tenths of a point: products are dealt into folds
several times, each time under another seed. `--repository` names a built clone with other data,
whose figures are printed and not kept: `python -m benchmarks.parity --repository ../rakuten-real`.
"""

import argparse
import itertools
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import measure
from rakuten import determinism, stage_log, storage
from rakuten.data import products, splits
from rakuten.data.examples import Examples, join
from rakuten.determinism import keras
from rakuten.image import backbones, extraction
from rakuten.models import image_ensemble, nets, training

FOLDS = 5
"""In each deal every product is tested once, by models that were trained on others."""

DEALS = 5
"""Products are dealt anew, and models trained under another seed, as often."""

Found = tuple[np.ndarray, ...]
"""Probabilities float32 (m, 27) from exact and from rounded features."""


def rounded(root: Path, params: dict) -> tuple[dict, dict]:
    """Extract all pictures of a repository in 8 bits: what the stage writes, but for its table."""
    settings = extraction.Settings(**params["extract"] | {"precision": "int8"})
    backbone = backbones.BACKBONES[settings.backbone]
    weights = storage.read_arrays(root / "build/resources" / settings.weights)
    network = {"size": settings.size, "precision": settings.precision}
    build = partial(backbones.extractor, settings.backbone, weights, **network)
    table = products.join(storage.read_csv(root / "data/X_train.csv", **products.CSV_FORMAT))
    names = [f"image_train/{name}" for name in products.image_names(table)]
    with (
        storage.ImageArchive(root / "data/images.zip") as archive,
        tempfile.TemporaryDirectory() as folder,
    ):
        pictures = extraction.find_images(names, archive)
        arrays, facts = extraction.extract(
            pictures,
            archive,
            build,
            storage.Shards(Path(folder), "parity"),
            stage_log.progress,
            settings,
            backbone.widths,
        )
    ids = table["id"].to_numpy()
    features, pooled, _ = extraction.to_products(pictures, ids, arrays, facts, settings.views)
    return features, pooled


def worst_cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Find the lowest cosine between the same rows of two arrays (..., n, d)."""
    one, other = (x.astype(np.float64).reshape(-1, x.shape[-1]) for x in (one, other))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / norms).min())


def net(params: dict, exact: Examples, other: Examples) -> Found:
    """Train an image net on exact features; what it says of the test rows of either kind."""
    keras.utils.set_random_seed(params["seed"])
    layers = {key: value for key, value in params["image"].items() if not isinstance(value, dict)}
    model = nets.dense_net(exact.features.shape[1], **layers)
    settings = training.Settings(**params["image"]["training"])
    training.fit(model, exact, settings, seed=params["seed"], on_epoch=lambda *_: None)
    return tuple(
        training.outputs(model, examples, trained=True)["probabilities"][examples.rows("test")]
        for examples in (exact, other)
    )


def ensemble(
    params: dict, examples: Examples, groups: np.ndarray, kinds: list[dict], facts: pd.DataFrame
) -> Found:
    """Fit the best image model on exact features; what it says of the test rows of either kind."""
    settings = image_ensemble.Settings(**params["image_ensemble"])
    train, test = examples.rows("train"), examples.rows("test")
    labels = examples.labels[train]
    inner = splits.folds(labels, groups[train], count=settings.folds, seed=params["seed"])
    views = image_ensemble.views(kinds[0], facts, train)
    model, _ = image_ensemble.fit(views, labels, inner, settings, seed=params["seed"])
    return tuple(model.probabilities(image_ensemble.views(pooled, facts, test)) for pooled in kinds)


def _accuracy(model: str, before: np.ndarray, after: np.ndarray, name: str) -> measure.Row:
    """Compare on which rows a model is right, bool (n,), given exact and rounded features."""
    lost, won = (int((one & ~other).sum()) for one, other in ((before, after), (after, before)))
    note = f"{100 * before.mean():.2f} % on exact features: {lost} lost and {won} won of "
    note += f"{len(before):,} predictions out of fold in {DEALS} deals, {name}"
    return measure.Row(f"accuracy, {model}", float(f"{100 * after.mean():.4g}"), "%", note=note)


def main() -> None:
    """Compare, for the repository itself or another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("--repository", type=Path, default=measure.ROOT, help="a built clone")
    root = parser.parse_args().repository
    params = storage.read_yaml(root / "params.yaml")
    if params["extract"]["precision"] != "float32":
        parser.error("features in build/ are rounded: expected extract.precision=float32")
    determinism.configure(seed=params["seed"], threads=params["threads"])
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
    table = storage.read_table(root / "build/clean/products.parquet")
    parts = storage.read_table(root / "build/split/parts.parquet")
    groups = parts["group"].to_numpy()
    facts = storage.read_table(root / "build/extract/images.parquet")
    of_exact, of_rounded = join(table, parts, **exact), join(table, parts, **features)
    right: dict[str, list[np.ndarray]] = {"image net": [], "best image model": []}
    rounds = list(itertools.product(range(DEALS), range(FOLDS)))
    for deal, fold in stage_log.progress(
        rounds, total=len(rounds), unit="fold", description="models"
    ):
        chosen = params | {"seed": params["seed"] + deal}
        dealt = splits.folds(of_exact.labels, groups, count=FOLDS, seed=chosen["seed"])
        names = np.where(dealt == (fold + 1) % FOLDS, "validation", "train")
        names = np.where(dealt == fold, "test", names)
        given = [replace(examples, parts=names) for examples in (of_exact, of_rounded)]
        labels = given[0].labels[given[0].rows("test")]
        kinds = [exact_pooled, pooled]
        for model, said in (
            ("image net", net(chosen, *given)),
            ("best image model", ensemble(chosen, given[0], groups, kinds, facts)),
        ):
            right[model].append(np.array([found.argmax(axis=1) == labels for found in said]))
    for model, found in right.items():
        before, after = np.concatenate(found, axis=1)
        rows.append(_accuracy(model, before, after, name))
    if root == measure.ROOT:
        measure.keep("parity", rows)
    else:
        print(measure.table([vars(row) for row in rows]))


if __name__ == "__main__":
    main()
