"""Train Keras nets on products and compute their outputs for all products."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse

from rakuten import stage_log
from rakuten.categories import NUM_CATEGORIES
from rakuten.data import splits
from rakuten.data.examples import Examples
from rakuten.determinism import keras
from rakuten.models.nets import HIDDEN

CURVES = {
    "loss": "train_loss",
    "accuracy": "train_accuracy",
    "val_loss": "validation_loss",
    "val_accuracy": "validation_accuracy",
}
"""Names of the training curves: Keras's -> this project's."""

PREDICTION_BATCH = 1024
"""Rows per prediction step: bounds the memory, does not change results."""

STEPS_PER_CALL = 32
"""Training steps per call of the compiled function: less overhead, same steps in the same order."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section `<stage>.training` of params.yaml.

    Attributes:
        learning_rate: Adam's step size.
        batch_size: Products per step.
        epochs: Maximum number of epochs.
        patience: Epochs without a lower validation loss before training stops.
        class_weights: "none", or "balanced" for n / (27 * size of the category).
    """

    learning_rate: float
    batch_size: int
    epochs: int
    patience: int
    class_weights: str


def fit(
    model: keras.Model,
    examples: Examples,
    settings: Settings,
    *,
    seed: int,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> pd.DataFrame:
    """Train with Adam on the train part and keep the weights of the best validation loss.

    Args:
        model: An uncompiled net of `rakuten.models.nets`; trained in place.
        examples: Products; only train and validation rows that have the modality are used.
        settings: See `Settings`.
        seed: Seed of the order of the products.
        on_epoch: Called after each epoch with its number, from 1, and the values of the curves.

    Returns:
        One row per epoch: epoch (from 1), train_loss, train_accuracy (both averaged over the
        epoch, with dropout), validation_loss, validation_accuracy. Empty if no train row has the
        modality; the model is then unchanged.
    """
    train, validation = examples.rows("train"), examples.rows("validation")
    if not train.size:
        return pd.DataFrame(columns=["epoch", *CURVES.values()], dtype=np.float64)
    model.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
    )
    weights = sample_weights(examples.labels[train], settings.class_weights)
    stop = keras.callbacks.EarlyStopping(
        monitor="val_loss" if validation.size else "loss",
        patience=settings.patience,
        restore_best_weights=True,
    )
    with stage_log.progress([], total=settings.epochs, unit="epoch", description=model.name) as bar:

        def report(epoch: int, logs: dict[str, float]) -> None:
            values = {CURVES[name]: float(logs[name]) for name in CURVES if name in logs}
            on_epoch(epoch + 1, values)
            bar.set_postfix(values, refresh=False)
            bar.update()

        history = model.fit(
            **_batches(examples, train, settings.batch_size, seed=seed, weights=weights),
            validation_data=_validation(examples, validation),
            validation_batch_size=PREDICTION_BATCH,
            epochs=settings.epochs,
            callbacks=[stop, keras.callbacks.LambdaCallback(on_epoch_end=report)],
            verbose=0,
        ).history
    curves = pd.DataFrame({CURVES[name]: values for name, values in history.items()})
    curves.insert(0, "epoch", np.arange(1, len(curves) + 1))
    return curves


def outputs(model: keras.Model, examples: Examples, *, trained: bool) -> dict[str, np.ndarray]:
    """Compute probabilities and the hidden layer of every product.

    Args:
        model: A net of `rakuten.models.nets`.
        examples: n products.
        trained: False if there was no train row; every product then counts as missing.

    Returns:
        ids int64 (n,), present bool (n,), probabilities float32 (n, 27), hidden float32 (n, h).
        Products without the modality get the category frequencies of the train part as
        probabilities and zeros as hidden layer.
    """
    return _outputs(_with_hidden(model), examples, trained)


def _with_hidden(model: keras.Model) -> keras.Model:
    """Build a net that returns the probabilities and the hidden layer of another one."""
    return keras.Model(model.inputs, [model.outputs[0], model.get_layer(HIDDEN).output])


def _outputs(both: keras.Model, examples: Examples, trained: bool) -> dict[str, np.ndarray]:
    """Compute what `outputs` returns by a net of `_with_hidden`."""
    present = examples.present & trained
    rows = np.flatnonzero(present)
    probabilities = np.tile(examples.prior(), (len(examples.ids), 1))  # (n, 27)
    hidden = np.zeros((len(examples.ids), both.outputs[1].shape[-1]), np.float32)  # (n, h)
    if rows.size:
        probabilities[rows], hidden[rows] = both.predict(
            **_batches(examples, rows, PREDICTION_BATCH), verbose=0
        )
    return {
        "ids": examples.ids,
        "present": present,
        "probabilities": probabilities,
        "hidden": hidden,
    }


def out_of_fold(
    model: keras.Model,
    examples: Examples,
    groups: np.ndarray,
    settings: Settings,
    *,
    folds: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Compute outputs of the train rows, each by a copy of the net trained without its fold.

    Every copy starts from the weights of `model`. Its hidden units therefore stay aligned with
    those of `model` once that is trained: see docs/ensembles.md.

    Args:
        model: An untrained net of `rakuten.models.nets`; not changed.
        examples: n products, m of them train rows that have the modality.
        groups: int64 (n,), equal for duplicates, which share a fold.
        settings: See `Settings`.
        folds: Number of folds, at least 2, see `splits.folds`.
        seed: Seed of the folds and of the order of the products.

    Returns:
        out_of_fold_probabilities float32 (m, 27) and out_of_fold_hidden float32 (m, h), in the
        order of the rows. Category frequencies and zeros with too few rows for two folds.
    """
    train, start = examples.rows("train"), model.get_weights()
    assigned = splits.folds(examples.labels[train], groups[train], count=folds, seed=seed)
    collected = {
        "out_of_fold_probabilities": np.zeros((len(train), NUM_CATEGORIES), np.float32),
        "out_of_fold_hidden": np.zeros((len(train), model.get_layer(HIDDEN).units), np.float32),
    }
    copy = keras.models.clone_model(model)
    both = _with_hidden(copy)  # one for all folds: TensorFlow traces it once
    for fold in np.unique(assigned):
        held_out = np.zeros(len(examples.ids), bool)
        held_out[train[assigned == fold]] = True
        parts = np.where(held_out, "held out", examples.parts)
        copy.set_weights(start)
        others = replace(examples, parts=parts)
        curves = fit(copy, others, settings, seed=seed, on_epoch=lambda *_: None)
        predicted = _outputs(both, replace(others, present=held_out), len(curves) > 0)
        for name, array in collected.items():
            array[assigned == fold] = predicted[name.removeprefix("out_of_fold_")][held_out]
    return collected


def summary(curves: pd.DataFrame, *, parameters: int) -> dict[str, int]:
    """Summarize a training for the reports.

    Args:
        curves: The table that `fit` returned.
        parameters: Number of parameters of the net.

    Returns:
        parameters, epochs, best_epoch (the one whose weights were kept); the latter two are 0
        without training.
    """
    losses = curves.get("validation_loss", curves["train_loss"]).to_numpy()
    best = int(curves["epoch"].iloc[np.nanargmin(losses)]) if np.isfinite(losses).any() else 0
    return {"parameters": parameters, "epochs": len(curves), "best_epoch": best}


def summary_line(report: dict[str, int]) -> str:
    """Format `summary` in one line."""
    if not report["epochs"]:
        return f"{report['parameters']:,} parameters, untrained: no train row has the modality"
    return (
        f"{report['parameters']:,} parameters, {report['epochs']} epochs, "
        f"best {report['best_epoch']}"
    )


def sample_weights(labels: np.ndarray, class_weights: str) -> np.ndarray | None:
    """Compute the weight of each product in the loss.

    Args:
        labels: int64 (m,), class indices.
        class_weights: "none" or "balanced", as in `Settings`.

    Returns:
        float32 (m,), or None for equal weights.

    Raises:
        ValueError: If `class_weights` is neither of the two.
    """
    if class_weights == "none":
        return None
    if class_weights == "balanced":
        counts = np.bincount(labels, minlength=NUM_CATEGORIES)
        return (len(labels) / (NUM_CATEGORIES * counts[labels])).astype(np.float32)
    raise ValueError(
        f"class_weights is {class_weights!r}: expected 'none' or 'balanced' in params.yaml"
    )


class SparseBatches(keras.utils.PyDataset):
    """Batches of a sparse matrix, each converted to a dense array when it is read.

    Args:
        features: float32 CSR (m, d).
        labels: int64 (m,), or None for prediction.
        weights: Sample weights float32 (m,), or None.
        batch_size: Rows per batch; the last may be smaller.
        seed: Seed of a new order for each epoch, or None to keep the order.
    """

    def __init__(
        self,
        features: sparse.csr_array,
        labels: np.ndarray | None,
        weights: np.ndarray | None,
        batch_size: int,
        seed: int | None,
    ):
        super().__init__()
        self._features, self._batch_size = features, batch_size
        self._targets = [array for array in (labels, weights) if array is not None]
        self._generator = None if seed is None else np.random.default_rng(seed)
        self._order = np.arange(features.shape[0])
        self.on_epoch_end()

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
        """Return one batch: features (b, d), then labels and sample weights if given."""
        rows = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        return (self._features[rows].toarray(), *(target[rows] for target in self._targets))

    def on_epoch_end(self) -> None:
        """Shuffle the rows for the next epoch."""
        if self._generator is not None:
            self._generator.shuffle(self._order)


def _batches(
    examples: Examples,
    rows: np.ndarray,
    batch_size: int,
    *,
    seed: int | None = None,
    weights: np.ndarray | None = None,
) -> dict:
    """Prepare the data arguments of Keras's fit (with a seed) or predict (without)."""
    features = examples.features_of(rows)
    training = seed is not None
    labels = examples.labels[rows] if training else None
    if not isinstance(features, np.ndarray):
        return {"x": SparseBatches(features, labels, weights, batch_size, seed)}
    if not training:
        return {"x": features, "batch_size": batch_size}
    return {"x": features, "y": labels, "sample_weight": weights, "batch_size": batch_size}


def _validation(
    examples: Examples, rows: np.ndarray
) -> SparseBatches | tuple[np.ndarray, np.ndarray] | None:
    """Prepare Keras's validation data, None without such rows."""
    if not rows.size:
        return None
    features, labels = examples.features_of(rows), examples.labels[rows]
    if not isinstance(features, np.ndarray):
        return SparseBatches(features, labels, None, PREDICTION_BATCH, seed=None)
    return features, labels
