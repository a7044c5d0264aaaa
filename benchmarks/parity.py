"""Compare bfloat16 and int8 with float32 features: cosine, and accuracy of the image net.

The net is trained on float32 features and tested on all kinds, so that precision is the only
difference. Cross-validation is repeated with several seeds, because one run is too noisy to show a
tenth of a point. `--repository` names a built clone with other data; its figures are printed, not
saved: `python -m benchmarks.parity --repository ../rakuten-real`.
"""

import argparse
import itertools
from collections.abc import Sequence
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

RESAMPLES = 2000
"""Bootstrap samples of an interval."""


def features_in(precision: str, root: Path, params: dict) -> dict[str, np.ndarray]:
    """Extract all images of a repository in a precision, as the stage does."""
    settings = extraction.Settings(**params["extract"] | {"precision": precision})
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
    way = {"preparation": settings.preparation, "progress": stage_log.progress}
    with storage.ImageArchive(root / "data/images.zip") as archive:
        images = extraction.find_images(names, archive)
        arrays = extraction.extract(
            images, archive, network, None, batch_size=settings.batch_size, **way
        )
    found = extraction.to_products(images, table["id"].to_numpy(), arrays)
    return {name: found[name] for name in ("ids", "present")} | {"features": found["features"][0]}


def worst_cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Find the lowest cosine between the same rows of two arrays (..., n, d)."""
    one, other = (x.astype(np.float64).reshape(-1, x.shape[-1]) for x in (one, other))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / norms).min())


def net(params: dict, kinds: Sequence[Examples]) -> list[np.ndarray]:
    """Train an image net on the first kind of features; return its test labels on all kinds."""
    exact = kinds[0]
    layers = {key: value for key, value in params["image"].items() if not isinstance(value, dict)}
    model = nets.dense_net(exact.features.shape[1], **layers, seed=params["seed"])
    settings = training.Settings(**params["image"]["training"])
    training.fit(model, exact, settings, seed=params["seed"], on_epoch=lambda *_: None)
    rows = exact.rows("test")
    return [
        training.outputs(model, one, trained=True)["probabilities"][rows].argmax(axis=1)
        for one in kinds
    ]


def interval(difference: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Bootstrap the mean of a difference by groups of duplicates: 95 %, in percentage points.

    Args:
        difference: float64 (r, n), of n products in r cross-validations.
        groups: int64 (n,), equal for duplicates.
    """
    _, group = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(group, difference.mean(axis=0)), np.bincount(group)
    drawn = np.random.default_rng(0).integers(0, len(sizes), (RESAMPLES, len(sizes)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(100 * means, [0.025, 0.975])
    return float(low), float(high)


def accuracy(precision: str, right: np.ndarray, groups: np.ndarray, name: str) -> measure.Row:
    """Compare where a model is correct, bool (2, r, n), on float32 and on other features."""
    before, after = right.astype(np.float64)
    low, high = interval(after - before, groups)
    note = f"{100 * before.mean():.2f} % on float32 features, difference [{low:+.2f}, {high:+.2f}] "
    note += f"points; {REPEATS} cross-validations of {before.shape[1]:,} products, {name}"
    value = float(f"{100 * after.mean():.4g}")
    return measure.Row(f"accuracy, image net, {precision}", value, "%", note=note)


def main() -> None:
    """Compare, for the repository itself or another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("--repository", type=Path, default=measure.ROOT, help="a built clone")
    root = parser.parse_args().repository.resolve()
    params = storage.read_yaml(root / "params.yaml")
    if params["extract"]["precision"] != "float32":
        parser.error("features in build/ are not float32: set extract.precision=float32")
    determinism.configure(seed=params["seed"], threads=params["threads"])
    exact = storage.read_arrays(root / "build/extract/features.npz")
    present, name = exact["present"], storage.read_json(root / "data/dataset.json")["name"]
    table = storage.read_table(root / "build/clean/products.parquet")
    parts = storage.read_table(root / "build/split/parts.parquet")
    groups, rows, kinds = parts["group"].to_numpy(), [], [join(table, parts, **exact)]
    others = backbones.BACKBONES[params["extract"]["backbone"]].precisions[1:]
    for precision in others:
        features = features_in(precision, root, params)
        cosine = worst_cosine(exact["features"][present], features["features"][present])
        note = f"of {present.sum():,} images, {name}"
        rows.append(
            measure.Row(f"worst cosine, {precision}", float(f"{cosine:.5f}"), "", note=note)
        )
        kinds.append(join(table, parts, **features))
    right = np.zeros((len(kinds), REPEATS, len(table)), bool)
    rounds = list(itertools.product(range(REPEATS), range(FOLDS)))
    for repeat, fold in stage_log.progress(
        rounds, total=len(rounds), unit="fold", description="models"
    ):
        chosen = params | {"seed": params["seed"] + repeat}
        labels = kinds[0].labels
        fold_of = splits.folds(labels, groups, count=FOLDS, seed=chosen["seed"])
        names = np.where(fold_of == (fold + 1) % FOLDS, "validation", "train")
        names = np.where(fold_of == fold, "test", names)
        given = [replace(examples, parts=names) for examples in kinds]
        tested = given[0].rows("test")
        right[:, repeat, tested] = np.array(net(chosen, given)) == labels[tested]
    for number, precision in enumerate(others, start=1):
        compared = right[[0, number]][..., present]
        rows.append(accuracy(precision, compared, groups[present], name))
    if root == measure.ROOT:
        measure.save("parity", rows)
    else:
        print(measure.table([vars(row) for row in rows]))


if __name__ == "__main__":
    main()
