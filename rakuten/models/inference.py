"""The study's nets in NumPy, for prediction alone: no TensorFlow to load, several times its speed.

A trained net is nothing but a few matrix products. Batch normalisation, once trained, is a factor
and a constant for each input, which go into the weights of the next layer.
"""

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from rakuten.categories import CODES, NUM_CATEGORIES

CHUNK = 1024
"""Products multiplied at once: fewer make the preparation of the weights count."""

BLOCK = 128
"""Products that what follows a product is done with at once: they stay in the cache."""

LAYERS = {
    "dense_net": ((None, "hidden"), (None, "probabilities")),
    "fusion_net": (
        ("input_norm", "first_hidden"),
        ("first_norm", "hidden"),
        ("norm", "probabilities"),
    ),
}
"""By builder of `rakuten.models.nets`, its dense layers, each with the normalisation of its input."""

NORM_EPSILON = 1e-3
"""Keras's addition to a variance before its root is taken."""


@dataclass(frozen=True)
class Net:
    """A trained net; each layer but the last is followed by relu, the last by softmax.

    Attributes:
        layers: Kernel float32 (inputs, outputs) and bias float32 (outputs,) of each layer.
    """

    layers: tuple[tuple[np.ndarray, np.ndarray], ...]

    def probabilities(self, features: np.ndarray | sparse.csr_array, *, threads: int) -> np.ndarray:
        """Read what the net says.

        Args:
            features: float32 (n, d), dense or CSR.
            threads: Chunks computed at the same time; the result does not depend on it.

        Returns:
            Probabilities float32 (n, 27), in the order of the rows.

        Raises:
            ValueError: If the features are not as wide as the net's input.
        """
        return self._run(features, self.layers, threads)

    def hidden(
        self,
        features: np.ndarray | sparse.csr_array,
        *,
        threads: int,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Read the net's last hidden layer, as the fusion net does.

        Args:
            features: As of `probabilities`.
            threads: As of `probabilities`.
            out: Where to write, float32 (n, h), e.g. some columns of the fusion net's features.

        Returns:
            Activations float32 (n, h), in the order of the rows.

        Raises:
            ValueError: If the features are not as wide as the net's input.
        """
        return self._run(features, self.layers[:-1], threads, out)

    def _run(
        self,
        features: np.ndarray | sparse.csr_array,
        layers: tuple[tuple[np.ndarray, np.ndarray], ...],
        threads: int,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Carry features through the first layers, or all, a chunk at a time."""
        rows, width = features.shape
        if width != len(layers[0][0]):
            raise ValueError(
                f"features have {width:,} columns, the net expects {len(layers[0][0]):,}: "
                "take both from the same `dvc repro`"
            )
        if out is None:
            out = np.empty((rows, layers[-1][0].shape[1]), np.float32)
        activations = ([_relu] * (len(self.layers) - 1) + [_softmax])[: len(layers)]
        memory = threading.local()  # a chunk's activations, allocated once a thread

        def compute(part: slice) -> None:
            x = features[part]
            if not hasattr(memory, "activations"):
                shapes = ((min(CHUNK, rows), kernel.shape[1]) for kernel, _ in layers[:-1])
                memory.activations = [np.empty(shape, np.float32) for shape in shapes]
            places = (*memory.activations, out[part])
            for place, (kernel, bias), activate in zip(places, layers, activations, strict=True):
                x = _multiply(x, kernel, place[: x.shape[0]])
                for block in _blocks(x):
                    block += bias
                    activate(block)

        with threadpool_limits(1), ThreadPoolExecutor(threads) as workers:
            for _ in workers.map(compute, _chunks(rows)):  # hands on what a worker raises
                pass
        return out


def _multiply(x: np.ndarray | sparse.csr_array, kernel: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Multiply into memory that is there already; return it."""
    if isinstance(x, np.ndarray):
        return np.matmul(x, kernel, out=out)
    out[:] = x @ kernel
    return out


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Cut rows into views that stay in the cache from one operation to the next."""
    return (x[start : start + BLOCK] for start in range(0, len(x), BLOCK))


def restore(description: Mapping, arrays: Mapping[str, np.ndarray]) -> Net:
    """Assemble a trained net from its files.

    Args:
        description: What `rakuten.models.nets.describe` returned.
        arrays: What `rakuten.models.nets.weights` returned.

    Returns:
        A net that predicts as the Keras model does, but for rounding.

    Raises:
        ValueError: If the builder is unknown, the categories differ from this project's, or an
            array is missing.
    """
    check_description(description, LAYERS)
    builder = description["builder"]
    missing = [
        name
        for name in itertools.chain.from_iterable(map(_names, LAYERS[builder]))
        if name not in arrays
    ]
    if missing:
        raise ValueError(
            f"weights do not fit {builder}: {', '.join(missing)} not there; take weights.npz and "
            "model.json from the same training"
        )
    return Net(tuple(_fold(arrays, *names) for names in LAYERS[builder]))


def check_description(description: Mapping, known: Iterable[str]) -> None:
    """Refuse a description that this project did not write, or that is of other categories.

    Args:
        description: What `rakuten.models.nets.describe` returned.
        known: Names of builders.

    Raises:
        ValueError: If the builder is not known or the categories differ from this project's.
    """
    if description["builder"] not in known:
        raise ValueError(
            f"unknown model builder {description['builder']!r}: expected one of "
            f"{', '.join(known)}; the file was not written by this project"
        )
    if tuple(description["categories"]) != CODES:
        raise ValueError(
            f"the model predicts {len(description['categories'])} categories, not the "
            f"{NUM_CATEGORIES} of rakuten.categories.CODES: train it again"
        )


def _relu(activations: np.ndarray) -> None:
    """Put 0 for what is negative, in place."""
    np.maximum(activations, 0, out=activations)


def _softmax(scores: np.ndarray) -> None:
    """Turn scores float32 (n, c) into probabilities, in place."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)


_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def _names(layer: tuple[str | None, str]) -> Iterator[str]:
    """List the arrays that a dense layer and the normalisation before it need."""
    norm, dense = layer
    yield from (f"{dense}/kernel", f"{dense}/bias")
    yield from (f"{norm}/{name}" for name in _NORM if norm)


def _fold(
    arrays: Mapping[str, np.ndarray], norm: str | None, dense: str
) -> tuple[np.ndarray, np.ndarray]:
    """Put the normalisation of a layer's input into the layer's weights."""
    kernel, bias = arrays[f"{dense}/kernel"], arrays[f"{dense}/bias"]
    if norm is None:
        return kernel, bias
    gamma, beta, mean, variance = (arrays[f"{norm}/{name}"].astype(np.float64) for name in _NORM)
    factor = gamma / np.sqrt(variance + NORM_EPSILON)
    constant = beta - mean * factor
    folded = factor[:, None] * kernel, bias + constant @ kernel.astype(np.float64)
    return tuple(np.ascontiguousarray(array, np.float32) for array in folded)


def _chunks(rows: int) -> Iterator[slice]:
    """Cut n rows into chunks."""
    return (slice(start, start + CHUNK) for start in range(0, rows, CHUNK))
