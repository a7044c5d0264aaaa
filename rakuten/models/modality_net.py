"""Train the net of one modality, and the copies whose outputs the fusion net trains on."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rakuten.data import splits
from rakuten.data.examples import Examples
from rakuten.determinism import keras
from rakuten.models import checkpoints, nets, training
from rakuten.models.training import Settings
from rakuten.stage_log import StageLog


def train(
    stage: str,
    params: Mapping[str, Any],
    examples: Examples,
    groups: np.ndarray,
    *,
    seed: int,
    log: StageLog,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> dict[str, int]:
    """Train a net, compute its outputs in and out of fold, and write the files of its stage.

    Args:
        stage: The stage's name in `dvc.yaml`.
        params: The stage's section of params.yaml.
        examples: n products.
        groups: int64 (n,), equal for duplicates.
        seed: Seed of the initial weights, the order of the products and the folds.
        log: Receives the timings.
        on_epoch: As for `training.fit`.

    Returns:
        What `checkpoints.write_training` returns.
    """
    net = {name: value for name, value in params.items() if not isinstance(value, Mapping)}
    settings = Settings(**params["training"])
    model = _build(net, examples, seed)
    with log.timed("fit_seconds"):
        curves = training.fit(model, examples, settings, seed=seed, on_epoch=on_epoch)
    with log.timed("items_per_second", items=len(examples.ids)):
        outputs = training.outputs(model, examples, trained=len(curves) > 0)
    with log.timed("out_of_fold_seconds"):
        outputs |= out_of_fold(
            net, examples, groups, settings, **params["out_of_fold"],
            epochs=training.best_epoch(curves), seed=seed,
        )  # fmt: skip
    return checkpoints.write_training(stage, model, net, curves, outputs)


def out_of_fold(
    net: Mapping[str, Any],
    examples: Examples,
    groups: np.ndarray,
    settings: Settings,
    *,
    folds: int,
    epochs: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Compute outputs of the train rows, each by a net trained without its fold.

    All nets start from the same weights as the net of all train rows, so that their hidden units
    stay aligned with its own: see docs/ensembles.md. They train for as many steps as it did, rather
    than by early stopping: that is cheaper and stops at the same epochs.

    Args:
        net: The arguments of `nets.dense_net`, without width and seed.
        examples: n products, m of them train rows that have the modality.
        groups: int64 (n,), equal for duplicates, which share a fold.
        settings: See `Settings`; its epochs and patience are not used.
        folds: Number of folds, at least 2, see `splits.folds`.
        epochs: Epochs of the net of all train rows.
        seed: Seed of the initial weights, of the folds and of the order of the products.

    Returns:
        out_of_fold_probabilities float32 (m, 27) and out_of_fold_hidden float32 (m, h), in the
        order of the rows. The category frequencies of the train part and zeros with too few rows
        for two folds.
    """
    train = examples.rows("train")
    probabilities = np.tile(examples.prior(), (len(train), 1))  # (m, 27)
    hidden = np.zeros((len(train), net["hidden_units"]), np.float32)  # (m, h)
    assigned = splits.folds(examples.labels[train], groups[train], count=folds, seed=seed)
    refits = training.Refits(_build(net, examples, seed), settings, seed=seed)
    for fold in range(assigned.max(initial=0) + 1 if assigned.any() else 0):
        own = assigned == fold
        held_out = np.isin(np.arange(len(examples.ids)), train[own])
        others = replace(examples, parts=np.where(held_out, "held out", examples.parts))
        longer = len(train) / len(others.rows("train"))  # as many steps need more epochs
        refits.fit(others, epochs=round(epochs * longer))
        probabilities[own], hidden[own] = refits.outputs(examples.features_of(train[own]))
    return {"out_of_fold_probabilities": probabilities, "out_of_fold_hidden": hidden}


def _build(net: Mapping[str, Any], examples: Examples, seed: int) -> keras.Model:
    """Build the net for the width of the features."""
    return nets.dense_net(examples.features_of(np.arange(1)).shape[1], **net, seed=seed)
