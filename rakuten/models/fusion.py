"""Inputs and initial weights of the fusion net.

On rows that a net was fitted on, its hidden layer separates the categories better than on new rows.
A fusion net that trains on such hidden layers relies on them too much, and does worse on new
products than the text net alone. Here it trains on hidden layers of nets that have not seen the
row, and it starts as a calibrated sum of both nets' scores, which is already better than either
net.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from rakuten.data.examples import Examples
from rakuten.determinism import keras
from rakuten.models import calibration, late_fusion
from rakuten.models.calibration import Calibration
from rakuten.models.nets import HIDDEN

Arrays = Mapping[str, np.ndarray]


def held_out(outputs: Arrays, parts: np.ndarray) -> dict[str, np.ndarray]:
    """Replace the outputs of train rows by their out-of-fold outputs.

    Args:
        outputs: What the stage of a net wrote: the arrays of `training.outputs` for n products, and
            those of `modality_net.out_of_fold` for the train rows that have the modality.
        parts: str (n,), each product's part.

    Returns:
        ids int64 (n,), present bool (n,), probabilities float32 (n, 27), hidden float32 (n, h).
    """
    train = np.flatnonzero((parts == "train") & outputs["present"])
    replaced = {"ids": outputs["ids"], "present": outputs["present"]}
    for name in ("probabilities", "hidden"):
        replaced[name] = outputs[name].copy()
        replaced[name][train] = outputs[f"out_of_fold_{name}"]
    return replaced


def net_ensemble(
    sides: Sequence[Arrays], examples: Examples, *, bias_l2: float
) -> dict[str, np.ndarray]:
    """Combine the probabilities of both nets without a fusion net, as a baseline.

    Args:
        sides: Outputs of the text net and the image net, each as returned by `held_out`.
        examples: The same n products.
        bias_l2: See `late_fusion.fit`.

    Returns:
        ids int64 (n,), present bool (n,), net_ensemble float32 (n, 27), the probabilities.
    """
    text, image = sides
    _, outputs = late_fusion.fit(text, image, examples, bias_l2=bias_l2)
    return {
        "ids": outputs["ids"],
        "present": outputs["present"],
        "net_ensemble": outputs["probabilities"],
    }


def add_single_modalities(
    sides: Sequence[Arrays], examples: Examples
) -> tuple[list[dict[str, np.ndarray]], Examples]:
    """Add each train row that has both modalities once without its image and once without its text.

    Without them, training on a catalogue where most products have both modalities makes the net
    worse on products that have one.

    Args:
        sides: Outputs of the text net and the image net, each as returned by `held_out`.
        examples: The same n products, with the features of `side_by_side`.

    Returns:
        The present and probabilities of both sides, and the examples, with 2 m more rows, where m
        train rows have both modalities. The features have zeros in place of the missing hidden
        layer.
    """
    text, image = (side["present"] for side in sides)
    both = np.flatnonzero((examples.parts == "train") & text & image)
    n, m = len(examples.ids), len(both)
    rows = np.concatenate([np.arange(n), both, both])  # (n + 2 m,)
    kept = np.ones((2, n + 2 * m), bool)
    kept[1, n : n + m] = False
    kept[0, n + m :] = False
    extended = [
        {"present": side["present"][rows] & keep, "probabilities": side["probabilities"][rows]}
        for side, keep in zip(sides, kept, strict=True)
    ]
    features = examples.features_of(rows)
    width = sides[0]["hidden"].shape[1]
    features[n : n + m, width:] = 0
    features[n + m :, :width] = 0
    return extended, Examples(
        ids=examples.ids[rows],
        features=features,
        present=extended[0]["present"] | extended[1]["present"],
        labels=examples.labels[rows],
        parts=examples.parts[rows],
    )


def start(
    model: keras.Model,
    sides: Sequence[Arrays],
    weights: Sequence[Arrays],
    examples: Examples,
    *,
    bias_l2: float,
) -> Calibration:
    """Set a fusion net's weights so that it outputs a calibrated sum of its nets' scores.

    Both dense layers pass their inputs on, and the last layer holds the output layers of the nets,
    each times its weight. All other units keep their initial weights; their outgoing weights are 0.
    The normalizations start with the statistics of the train rows and change nothing. A missing
    modality, zeros in the hidden layer, adds nothing to the sum.

    Args:
        model: A net of `nets.fusion_net`, not trained; changed in place.
        sides: present and probabilities of the text net and the image net, as returned by
            `add_single_modalities`.
        weights: Weights of the same nets, see `nets.weights`.
        examples: The same products, with both hidden layers side by side as features.
        bias_l2: L2 penalty on the category biases, see `calibration.fit`.

    Returns:
        The weights of the two nets and the biases of the categories, fitted on the train rows.

    Raises:
        ValueError: If the dense layers are narrower than their input.
    """
    inputs, units = model.input_shape[-1], model.get_layer(HIDDEN).units
    if units < inputs:
        raise ValueError(
            f"fusion.hidden_units is {units}: expected at least {inputs}, the hidden units of the "
            "text and the image net together"
        )
    train = examples.rows("train")
    heads = [(net["probabilities/kernel"], net["probabilities/bias"]) for net in weights]
    scores = [
        np.where(
            side["present"][train, None],
            calibration.log_probabilities(side["probabilities"][train]) - bias,
            0,
        )
        for side, (_, bias) in zip(sides, heads, strict=True)
    ]
    fitted = calibration.fit(scores, examples.labels[train], bias_l2=bias_l2)
    x = np.asarray(examples.features_of(train))  # a copy; changed in place, since it can be large
    _set_identity(model.get_layer("input_norm"), x, inputs)
    for name, norm in (("first_hidden", "first_norm"), (HIDDEN, "norm")):
        layer = model.get_layer(name)
        kernel, bias = layer.get_weights()
        kernel[:, :inputs] = np.eye(len(kernel), inputs)
        layer.set_weights([kernel, bias])
        x = x @ kernel
        x += bias
        np.maximum(x, 0, out=x)
        _set_identity(model.get_layer(norm), x, inputs)
    kernel, _ = model.get_layer("probabilities").get_weights()
    kernel[:] = 0
    sums = [weight * head for weight, (head, _) in zip(fitted.weights, heads, strict=True)]
    kernel[:inputs] = np.concatenate(sums)
    model.get_layer("probabilities").set_weights([kernel, fitted.biases])
    return fitted


def _set_identity(layer: keras.Layer, x: np.ndarray, columns: int) -> None:
    """Set a batch normalization to the statistics of x, with identity in the first columns.

    x becomes the output of the layer.
    """
    mean, variance = x.mean(axis=0), x.var(axis=0)
    deviation = np.sqrt(variance + layer.epsilon)
    passed_on = np.arange(x.shape[1]) < columns
    gamma, beta = np.where(passed_on, deviation, 1), np.where(passed_on, mean, 0)
    layer.set_weights([gamma, beta, mean, variance])
    x -= mean
    x *= gamma
    x /= deviation
    x += beta
