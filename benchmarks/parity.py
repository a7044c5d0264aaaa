"""Compare int8 with float32 features: their cosine, and the accuracy of the image net on both.

The net is trained on float32 features and tested on both kinds, so that quantization is the only
difference. Cross-validation is repeated with several seeds, because one run is too noisy to show a
tenth of a point. `--repository` names a built clone with other data; its figures are printed, not
kept: `python -m benchmarks.parity --repository ../rakuten-real`.
"""

import argparse
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import measure
from rakuten import determinism, stage_log, storage
from rakuten.data import products, splits
from rakuten.data.examples import Examples, join
from rakuten.image import backbones, extraction
from rakuten.models import nets, training

FOLDS = 5
"""Folds of one cross-validation: every product is tested once."""

REPEATS = 5
"""Cross-validations, each with another seed."""

Pair = tuple[np.ndarray, ...]
"""Probabilities float32 (m, 27) from float32 and from int8 features."""


def int8_features(root: Path, params: dict) -> dict[str, np.ndarray]:
    """Extract all images of a repository with int8 precision, as the stage does."""
    settings = extraction.Settings(**params["extract"] | {"precision": "int8"})
    weights = storage.read_arrays(root / "build/resources" / settings.weights)
    network = backbones.Extractor(
        settings.backbone,
        weights,
        size=settings.size,
        precision=settings.precision,
        batch_size=settings.batch_size,
    )
    table = products.join(storage.read_csv(root / "data/X_train.csv", **products.CSV_FORMAT))
    names = [f"image_train/{name}" for name in products.image_names(table)]
    preparation, progress = settings.preparation, stage_log.progress
    with storage.ImageArchive(root / "data/images.zip") as archive:
        images = extraction.find_images(names, archive)
        arrays = extraction.extract(
            images, archive, network, None, progress, preparation, settings.batch_size
        )
    found = extraction.to_products(images, table["id"].to_numpy(), arrays)
    return {name: found[name] for name in ("ids", "present")} | {"features": found["features"][0]}


def worst_cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Find the lowest cosine between the same rows of two arrays (..., n, d)."""
    one, other = (x.astype(np.float64).reshape(-1, x.shape[-1]) for x in (one, other))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / norms).min())


def net(params: dict, exact: Examples, other: Examples) -> Pair:
    """Train an image net on float32 features; return its test probabilities on both."""
    layers = {key: value for key, value in params["image"].items() if not isinstance(value, dict)}
    model = nets.dense_net(exact.features.shape[1], **layers, seed=params["seed"])
    settings = training.Settings(**params["image"]["training"])
    training.fit(model, exact, settings, seed=params["seed"], on_epoch=lambda *_: None)
    return tuple(
        training.outputs(model, examples, trained=True)["probabilities"][examples.rows("test")]
        for examples in (exact, other)
    )


def _accuracy(model: str, before: np.ndarray, after: np.ndarray, name: str) -> measure.Row:
    """Compare where a model is correct, bool (n,), on float32 and on int8 features."""
    lost, won = (int((one & ~other).sum()) for one, other in ((before, after), (after, before)))
    note = f"{100 * before.mean():.2f} % on float32 features: {lost} lost and {won} won of "
    note += f"{len(before):,} predictions out of fold with {REPEATS} seeds, {name}"
    return measure.Row(f"accuracy, {model}", float(f"{100 * after.mean():.4g}"), "%", note=note)


def main() -> None:
    """Compare, for the repository itself or another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("--repository", type=Path, default=measure.ROOT, help="a built clone")
    root = parser.parse_args().repository
    params = storage.read_yaml(root / "params.yaml")
    if params["extract"]["precision"] != "float32":
        parser.error("features in build/ are int8: expected extract.precision=float32")
    determinism.configure(seed=params["seed"], threads=params["threads"])
    features = int8_features(root, params)
    exact = storage.read_arrays(root / "build/extract/features.npz")
    present = exact["present"]
    cosine = worst_cosine(exact["features"][present], features["features"][present])
    name = storage.read_json(root / "data/dataset.json")["name"]
    note = f"of {present.sum():,} images, {name}"
    rows = [measure.Row("worst cosine", float(f"{cosine:.4f}"), "", note=note)]
    table = storage.read_table(root / "build/clean/products.parquet")
    parts = storage.read_table(root / "build/split/parts.parquet")
    groups = parts["group"].to_numpy()
    of_exact, of_int8 = join(table, parts, **exact), join(table, parts, **features)
    right: list[np.ndarray] = []
    rounds = list(itertools.product(range(REPEATS), range(FOLDS)))
    for repeat, fold in stage_log.progress(
        rounds, total=len(rounds), unit="fold", description="models"
    ):
        chosen = params | {"seed": params["seed"] + repeat}
        fold_of = splits.folds(of_exact.labels, groups, count=FOLDS, seed=chosen["seed"])
        names = np.where(fold_of == (fold + 1) % FOLDS, "validation", "train")
        names = np.where(fold_of == fold, "test", names)
        given = [replace(examples, parts=names) for examples in (of_exact, of_int8)]
        labels = given[0].labels[given[0].rows("test")]
        pair = net(chosen, *given)
        right.append(np.array([found.argmax(axis=1) == labels for found in pair]))
    rows.append(_accuracy("image net", *np.concatenate(right, axis=1), name))
    if root == measure.ROOT:
        measure.keep("parity", rows)
    else:
        print(measure.table([vars(row) for row in rows]))


if __name__ == "__main__":
    main()
