"""Keras builders of the study's nets, and their conversion to arrays and JSON."""

from typing import Any

import numpy as np

from rakuten.categories import CODES, NUM_CATEGORIES
from rakuten.determinism import keras

HIDDEN = "hidden"
"""Name of the layer whose activations are the fusion net's input."""

SCALINGS = ("none", "sqrt_l2")
"""Scalings of a dense net's input."""

SCALED_LENGTH = 10.0
"""L2 norm of a row after the scaling "sqrt_l2": 512 inputs then have a root mean square of 0.44."""


def dense_net(
    num_inputs: int, *, scaling: str, hidden_units: int, dropout: float, seed: int
) -> keras.Model:
    """Build the net of one modality: inputs -> scaling -> Dense relu -> Dropout -> softmax.

    The study's text net is `dense_net(5035, scaling="none", hidden_units=256, dropout=0.7, ...)`:
    1,296,155 parameters.

    Args:
        num_inputs: Width of the input, e.g. the number of terms or of image features.
        scaling: "none", or "sqrt_l2" for the square root of each input, which must not be negative,
            each row scaled to the length `SCALED_LENGTH`. It has no parameters.
        hidden_units: Width of the layer named `HIDDEN`.
        dropout: Dropout rate of the hidden layer, in [0, 1).
        seed: Seed of the initial weights and of the dropout. It is set for all random numbers.

    Returns:
        An uncompiled model, float32 (batch, num_inputs) -> probabilities (batch, 27).

    Raises:
        ValueError: If `scaling` is neither of the two.
    """
    if scaling not in SCALINGS:
        raise ValueError(
            f"scaling is {scaling!r}: expected one of {', '.join(SCALINGS)} in params.yaml"
        )
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((num_inputs,), name="features")
    x = _sqrt_l2(inputs) if scaling == "sqrt_l2" else inputs
    x = keras.layers.Dense(hidden_units, activation="relu", name=HIDDEN)(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(NUM_CATEGORIES, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="dense_net")


def _sqrt_l2(x: keras.KerasTensor) -> keras.KerasTensor:
    """Take square roots and scale each row to `SCALED_LENGTH`; rows of zeros stay zeros."""
    total = keras.ops.sum(x, axis=1, keepdims=True)  # (b, 1), the squared norm of the roots
    return SCALED_LENGTH * keras.ops.sqrt(x / keras.ops.maximum(total, keras.config.epsilon()))


def fusion_net(
    num_inputs: int,
    *,
    hidden_units: int,
    first_dropout: float,
    dropout: float,
    norm_momentum: float,
    seed: int,
) -> keras.Model:
    """Build the study's fusion net on the concatenated hidden layers of both modalities.

    Input -> BatchNorm -> Dense relu -> BatchNorm -> Dropout -> Dense relu -> BatchNorm -> Dropout
    -> softmax. `fusion_net(512, hidden_units=1024, ...)` has 1,612,827 parameters, 5,120 of them
    (the moving means and variances) not trainable.

    Args:
        num_inputs: Width of the concatenated hidden layers.
        hidden_units: Width of each of the two dense layers.
        first_dropout: Dropout rate after the first dense layer, in [0, 1).
        dropout: Dropout rate before the softmax, in [0, 1).
        norm_momentum: Momentum of the moving mean and variance, in (0, 1).
        seed: As for `dense_net`.

    Returns:
        An uncompiled model, float32 (batch, num_inputs) -> probabilities (batch, 27).
    """
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((num_inputs,), name="features")
    x = keras.layers.BatchNormalization(momentum=norm_momentum, name="input_norm")(inputs)
    x = keras.layers.Dense(hidden_units, activation="relu", name="first_hidden")(x)
    x = keras.layers.BatchNormalization(momentum=norm_momentum, name="first_norm")(x)
    x = keras.layers.Dropout(first_dropout, name="first_dropout")(x)
    x = keras.layers.Dense(hidden_units, activation="relu", name=HIDDEN)(x)
    x = keras.layers.BatchNormalization(momentum=norm_momentum, name="norm")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(NUM_CATEGORIES, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="fusion_net")


def describe(model: keras.Model, **arguments: float) -> dict[str, Any]:
    """Describe how to build a model again.

    Args:
        model: A model made by `dense_net` or `fusion_net`.
        **arguments: The keyword arguments of the builder, without the seed.

    Returns:
        Plain values for JSON: builder, number of inputs, arguments, number of parameters,
        categories in the order of the outputs.
    """
    return {
        "builder": model.name,
        "num_inputs": int(model.input_shape[-1]),
        "arguments": arguments,
        "parameters": int(model.count_params()),
        "categories": list(CODES),
    }


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Return a model's weights, trainable or not, by `layer/variable`, in the model's order."""
    return {
        f"{layer.name}/{variable.name}": np.asarray(variable)
        for layer in model.layers
        for variable in layer.variables
        if "seed_generator" not in variable.path
    }
