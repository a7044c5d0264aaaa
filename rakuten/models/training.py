"""Train Keras nets on products and compute their outputs for all products."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rakuten import stage_log
from rakuten.categories import NUM_CATEGORIES
from rakuten.data.examples import Examples, Features
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
"""Training steps per call of the compiled function: less overhead, same steps in the same order.

Shorter epochs run step by step: compiling a loop takes longer than it saves. Results are the same.
"""


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
    evaluate_start: bool = False,
) -> pd.DataFrame:
    """Train with Adam on the train part and keep the weights of the best validation loss.

    Args:
        model: A net that `rakuten.models.nets` has just built; trained in place.
        examples: Products; only train and validation rows that have the modality are used.
        settings: See `Settings`.
        seed: Seed of the order of the products. Random numbers drawn before do not matter.
        on_epoch: Called after each epoch with its number, from 1, and the values of the curves.
        evaluate_start: If True and there are validation rows, the initial weights count as epoch 0:
            they are kept if no epoch has a lower validation loss.

    Returns:
        One row per epoch: epoch, train_loss, train_accuracy (both averaged over the epoch, with
        dropout), validation_loss, validation_accuracy. Empty if no train row has the modality; the
        model is then unchanged.
    """
    validation = examples.rows("validation")
    if not examples.rows("train").size:
        return pd.DataFrame(columns=["epoch", *CURVES.values()], dtype=np.float64)
    keras.utils.set_random_seed(seed)
    held_out = _in_order(examples, validation) if validation.size else None
    stop = keras.callbacks.EarlyStopping(
        monitor="loss" if held_out is None else "val_loss",
        patience=settings.patience,
        restore_best_weights=True,
        start_from_epoch=-1,  # Keras's number of epoch 0
    )
    curves: list[dict[str, float]] = []
    with stage_log.progress([], total=settings.epochs, unit="epoch", description=model.name) as bar:

        def report(index: int, logs: dict[str, float]) -> None:
            values = {CURVES[name]: float(logs[name]) for name in CURVES if name in logs}
            curves.append({"epoch": index + 1, **values})
            on_epoch(index + 1, values)
            bar.set_postfix(values, refresh=False)
            bar.update(min(index + 1, 1))

        callbacks = [stop, keras.callbacks.LambdaCallback(on_epoch_end=report)]
        batches = _shuffled(examples, settings, seed)
        _compile(model, keras.optimizers.Adam(settings.learning_rate), steps=len(batches))
        if evaluate_start and held_out is not None:
            start = _evaluate_start(model, batches, held_out)
            callbacks.append(_as_epoch_0(start, callbacks.copy()))
        model.fit(
            batches,
            shuffle=False,  # the batches shuffle themselves
            validation_data=held_out,
            epochs=settings.epochs,
            callbacks=callbacks,
            verbose=0,
        )
    return pd.DataFrame(curves)


class Refits:
    """Trains one net repeatedly, each time from its initial weights, on other products.

    The training function is compiled once: on a few thousand products that takes longer than the
    training. The result equals that of a new net with the same seed.

    Args:
        model: A net that `rakuten.models.nets` has just built.
        settings: See `Settings`; its epochs and patience are not used.
        seed: As for `fit`.
    """

    def __init__(self, model: keras.Model, settings: Settings, *, seed: int):
        self._settings, self._seed = settings, seed
        optimizer = keras.optimizers.Adam(settings.learning_rate)
        optimizer.build(model.trainable_variables)
        _compile(model, optimizer, steps=STEPS_PER_CALL)
        self._model, self._layers = model, _with_hidden(model)
        self._variables = [*model.variables, *optimizer.variables]  # those of dropout included
        self._initial = [variable.numpy() for variable in self._variables]

    def fit(self, examples: Examples, *, epochs: int) -> None:
        """Train with Adam on the train part for a number of epochs, without validation.

        Args:
            examples: Products; only train rows that have the modality are used, at least one.
            epochs: Number of epochs.
        """
        for variable, value in zip(self._variables, self._initial, strict=True):
            variable.assign(value)
        keras.utils.set_random_seed(self._seed)
        batches = _shuffled(examples, self._settings, self._seed)
        self._model.fit(batches, shuffle=False, epochs=epochs, verbose=0)

    def outputs(self, features: Features) -> tuple[np.ndarray, np.ndarray]:
        """Compute probabilities float32 (m, 27) and the hidden layer float32 (m, h)."""
        return self._layers.predict(Batches(features, batch_size=PREDICTION_BATCH), verbose=0)


def _compile(model: keras.Model, optimizer: keras.optimizers.Optimizer, *, steps: int) -> None:
    """Set optimizer, loss and metrics for epochs of so many steps."""
    model.compile(
        optimizer=optimizer,
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL if steps >= STEPS_PER_CALL else 1,
    )


def _evaluate_start(model: keras.Model, train: "Batches", held_out: "Batches") -> dict[str, float]:
    """Compute the values that Keras logs after an epoch, for the initial weights."""
    weights = model.get_weights()
    loss, accuracy = _measure(model, train, training=True)
    model.set_weights(weights)  # batch normalization has updated its statistics
    val_loss, val_accuracy = _measure(model, held_out, training=False)
    return {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}


def _measure(model: keras.Model, batches: "Batches", *, training: bool) -> tuple[float, float]:
    """Compute mean loss and accuracy layer by layer: compiling the net for it would take longer."""
    losses, correct = [], []
    for number in range(len(batches)):
        features, labels, *weights = batches[number]
        probabilities = model(features, training=training)
        values = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        losses.append(np.multiply(values, *weights) if weights else np.asarray(values))
        correct.append(np.argmax(probabilities, axis=1) == labels)
    return float(np.concatenate(losses).mean()), float(np.concatenate(correct).mean())


def _as_epoch_0(
    logs: dict[str, float], callbacks: list[keras.callbacks.Callback]
) -> keras.callbacks.Callback:
    """Make a callback that gives the others the values of the initial weights."""

    def begin(_: dict | None) -> None:
        for callback in callbacks:
            callback.on_epoch_end(-1, logs)

    return keras.callbacks.LambdaCallback(on_train_begin=begin)


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
    present = examples.present & trained
    rows = np.flatnonzero(present)
    probabilities = np.tile(examples.prior(), (len(examples.ids), 1))  # (n, 27)
    hidden = np.zeros((len(examples.ids), model.get_layer(HIDDEN).units), np.float32)  # (n, h)
    if rows.size:
        features = Batches(examples.features_of(rows), batch_size=PREDICTION_BATCH)
        probabilities[rows], hidden[rows] = _with_hidden(model).predict(features, verbose=0)
    return {
        "ids": examples.ids,
        "present": present,
        "probabilities": probabilities,
        "hidden": hidden,
    }


def _with_hidden(model: keras.Model) -> keras.Model:
    """Add the hidden layer to the outputs of a net."""
    return keras.Model(model.inputs, [model.outputs[0], model.get_layer(HIDDEN).output])


def summary(curves: pd.DataFrame, *, parameters: int) -> dict[str, int]:
    """Summarize a training for the reports.

    Args:
        curves: The table that `fit` returned.
        parameters: Number of parameters of the net.

    Returns:
        parameters, epochs (without epoch 0), best_epoch (0 for the initial weights); the latter two
        are 0 without training.
    """
    epochs = int((curves["epoch"] > 0).sum())
    return {"parameters": parameters, "epochs": epochs, "best_epoch": best_epoch(curves)}


def best_epoch(curves: pd.DataFrame) -> int:
    """Find the epoch whose weights `fit` kept, 0 without training.

    Args:
        curves: The table that `fit` returned.
    """
    losses = curves.get("validation_loss", curves["train_loss"]).to_numpy()
    return int(curves["epoch"].iloc[np.nanargmin(losses)]) if np.isfinite(losses).any() else 0


def summary_line(report: dict[str, int]) -> str:
    """Format `summary` in one line."""
    if not report["epochs"]:
        return f"{report['parameters']:,} parameters, untrained: no train row has the modality"
    best = report["best_epoch"] or "0 (initial weights)"
    return f"{report['parameters']:,} parameters, {report['epochs']} epochs, best {best}"


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


class Batches(keras.utils.PyDataset):
    """Batches of a feature matrix; sparse ones are converted to dense arrays when they are read.

    Args:
        features: float32 (m, d), dense or CSR.
        labels: int64 (m,), or None for prediction.
        weights: Sample weights float32 (m,), or None.
        batch_size: Rows per batch; the last may be smaller.
        seed: Seed of a new order for each epoch, or None to keep the order.
    """

    def __init__(
        self,
        features: Features,
        labels: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        *,
        batch_size: int,
        seed: int | None = None,
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
        features = self._features[rows]
        dense = features if isinstance(features, np.ndarray) else features.toarray()
        return (dense, *(target[rows] for target in self._targets))

    def on_epoch_end(self) -> None:
        """Shuffle the rows for the next epoch."""
        if self._generator is not None:
            self._generator.shuffle(self._order)


def _shuffled(examples: Examples, settings: Settings, seed: int) -> Batches:
    """Prepare the train rows for training."""
    rows = examples.rows("train")
    labels = examples.labels[rows]
    weights = sample_weights(labels, settings.class_weights)
    size = settings.batch_size
    return Batches(examples.features_of(rows), labels, weights, batch_size=size, seed=seed)


def _in_order(examples: Examples, rows: np.ndarray) -> Batches:
    """Prepare rows for evaluation."""
    labels = examples.labels[rows]
    return Batches(examples.features_of(rows), labels, batch_size=PREDICTION_BATCH)
