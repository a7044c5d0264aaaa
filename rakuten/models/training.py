"""Fit a Keras net on products, and read its probabilities and hidden layer for all of them."""

import sys
from collections.abc import Callable

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import sparse
from tqdm.keras import TqdmCallback

from rakuten.categories import NUM_CATEGORIES
from rakuten.data.examples import Examples
from rakuten.models.nets import HIDDEN

CURVES = {
    "loss": "train_loss",
    "accuracy": "train_accuracy",
    "val_loss": "validation_loss",
    "val_accuracy": "validation_accuracy",
}
"""Keras's names of the curves, and ours."""

PREDICTION_BATCH = 1024
"""Products per step when predicting: bounds the memory, does not change a result."""

STEPS_PER_CALL = 32
"""Steps that TensorFlow takes before Python is asked again: as many, in the same order."""


def fit(
    model: keras.Model,
    examples: Examples,
    *,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    patience: int,
    class_weights: str,
    seed: int,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> pd.DataFrame:
    """Train with Adam on the train part; keep the weights of the best validation loss.

    Args:
        model: An uncompiled net of `rakuten.models.nets`; trained in place.
        examples: Only rows of the train and validation parts that have the modality are used.
        learning_rate: Adam's step size.
        batch_size: Products per step.
        epochs: Upper limit of passes over the train part.
        patience: Epochs without a lower validation loss before stopping.
        class_weights: "none", or "balanced": n / (27 * size of the category), so that every
            category counts the same.
        seed: Seed of the order of the products.
        on_epoch: Called after each epoch with its number from 1 and the curves by our names.

    Returns:
        One row per epoch: epoch (from 1), train_loss, train_accuracy (both averaged over the
        epoch, dropout active), validation_loss, validation_accuracy. Empty if no product of the
        train part has the modality; the model is then left as it was built.
    """
    train, validation = examples.rows("train"), examples.rows("validation")
    if not train.size:
        return pd.DataFrame(columns=["epoch", *CURVES.values()], dtype=np.float64)
    model.compile(
        optimizer=FusedAdam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
    )
    weights = _class_weights(examples.labels[train], class_weights)
    stop = keras.callbacks.EarlyStopping(
        monitor="val_loss" if validation.size else "loss",
        patience=patience,
        restore_best_weights=True,
    )
    report = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: on_epoch(
            epoch + 1, {CURVES[name]: float(logs[name]) for name in CURVES if name in logs}
        )
    )
    history = model.fit(
        **_batches(examples, train, batch_size, seed=seed, weights=weights),
        validation_data=_validation(examples, validation),
        validation_batch_size=PREDICTION_BATCH,
        epochs=epochs,
        callbacks=[stop, report, _bar(epochs)],
        verbose=0,
    ).history
    curves = pd.DataFrame({CURVES[name]: values for name, values in history.items()})
    curves.insert(0, "epoch", np.arange(1, len(curves) + 1))
    return curves


def outputs(model: keras.Model, examples: Examples, *, trained: bool) -> dict[str, np.ndarray]:
    """Read what the net says of every product.

    Args:
        model: A net of `rakuten.models.nets`.
        examples: n products.
        trained: False if there was nothing to train on: every product then counts as missing.

    Returns:
        ids int64 (n,), present bool (n,), probabilities float32 (n, 27), hidden float32 (n, h).
        Products without the modality have the categories' frequencies in the train part as
        probabilities and a hidden layer of zeros.
    """
    present = examples.present & trained
    rows = np.flatnonzero(present)
    hidden_layer = model.get_layer(HIDDEN).output
    probabilities = np.tile(examples.prior(), (len(examples.ids), 1))  # (n, 27)
    hidden = np.zeros((len(examples.ids), hidden_layer.shape[-1]), np.float32)  # (n, h)
    if rows.size:
        reader = keras.Model(model.inputs, [model.outputs[0], hidden_layer])
        probabilities[rows], hidden[rows] = reader.predict(
            **_batches(examples, rows, PREDICTION_BATCH), verbose=0
        )
    return {
        "ids": examples.ids,
        "present": present,
        "probabilities": probabilities,
        "hidden": hidden,
    }


def summary(curves: pd.DataFrame, description: dict) -> dict[str, float]:
    """Sum up a training for the reports.

    Args:
        curves: What `fit` returned.
        description: What `rakuten.models.nets.describe` returned.

    Returns:
        parameters, epochs, best_epoch (whose weights were kept), the latter two 0 if untrained.
    """
    losses = curves.get("validation_loss", curves["train_loss"])
    best = int(curves["epoch"][losses.idxmin()]) if losses.notna().any() else 0
    return {
        "parameters": description["parameters"],
        "epochs": len(curves),
        "best_epoch": best,
    }


def sentence(figures: dict[str, float]) -> str:
    """Say in a line what `summary` holds."""
    if not figures["epochs"]:
        return f"{figures['parameters']:,} parameters, untrained: no train row has the modality"
    return (
        f"{figures['parameters']:,} parameters, {figures['epochs']} epochs, "
        f"best {figures['best_epoch']}"
    )


class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam with one TensorFlow kernel for each variable in place of a dozen.

    The step is the same but for rounding; weights and moments pass through memory once. Without
    AMSGrad, which has no such kernel.
    """

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: keras.Variable
    ) -> None:
        """Move one variable, and its moments, by its gradient."""
        number = self._get_variable_index(variable)
        moments = self._momentums[number], self._velocities[number]
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=moments[0].value.handle,
            v=moments[1].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.convert_to_tensor(learning_rate),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class SparseBatches(keras.utils.PyDataset):
    """Batches of a sparse matrix, made dense one at a time.

    Args:
        features: float32 CSR (m, d).
        labels: int64 (m,), or None for prediction.
        sample_weights: float32 (m,), or None.
        batch_size: Rows per batch; the last may be smaller.
        seed: Seed of a new order for each epoch, or None to keep the order.
    """

    def __init__(
        self,
        features: sparse.csr_array,
        labels: np.ndarray | None,
        sample_weights: np.ndarray | None,
        batch_size: int,
        seed: int | None,
    ):
        super().__init__()
        self._features, self._batch_size = features, batch_size
        self._targets = [array for array in (labels, sample_weights) if array is not None]
        self._generator = None if seed is None else np.random.default_rng(seed)
        self._order = np.arange(features.shape[0])
        self.on_epoch_end()

    def __len__(self) -> int:
        """Count the batches of one epoch."""
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
        """Make batch `number` dense: features (b, d), then labels and weights where given."""
        rows = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        return (self._features[rows].toarray(), *(target[rows] for target in self._targets))

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch."""
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
    features = examples.features[rows]
    training = seed is not None
    labels = examples.labels[rows] if training else None
    if sparse.issparse(features):
        return {"x": SparseBatches(features, labels, weights, batch_size, seed)}
    if not training:
        return {"x": features, "batch_size": batch_size}
    return {"x": features, "y": labels, "sample_weight": weights, "batch_size": batch_size}


def _validation(examples: Examples, rows: np.ndarray):
    """Prepare Keras's validation data, None if there are no such products."""
    if not rows.size:
        return None
    features, labels = examples.features[rows], examples.labels[rows]
    if sparse.issparse(features):
        return SparseBatches(features, labels, None, PREDICTION_BATCH, seed=None)
    return features, labels


def _class_weights(labels: np.ndarray, mode: str) -> np.ndarray | None:
    """Weigh each product by its category, float32 (m,), or None for equal weights."""
    if mode == "none":
        return None
    if mode == "balanced":
        counts = np.bincount(labels, minlength=NUM_CATEGORIES)
        return (len(labels) / (NUM_CATEGORIES * counts[labels])).astype(np.float32)
    raise ValueError(f"class_weights is {mode!r}: expected 'none' or 'balanced' in params.yaml")


def _bar(epochs: int) -> keras.callbacks.Callback:
    """Show epochs with rate and time left, off a terminal as a line every ten seconds."""
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return TqdmCallback(epochs=epochs, verbose=0, mininterval=interval, maxinterval=interval)
