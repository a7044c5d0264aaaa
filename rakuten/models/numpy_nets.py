"""Prediction of the study's nets in NumPy: it needs no TensorFlow.

A trained net is a few matrix products. Trained batch normalization is an affine map of each input,
which is folded into the weights of the next layer.
"""

import itertools
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from rakuten import storage
from rakuten.models import blas

CHUNK = 1024
"""Rows per matrix product: smaller chunks repeat BLAS's packing of the weights too often."""

BLOCK = 128
"""Rows per bias and activation step: they stay in the cache."""

LAYERS = {
    "dense_net": ((None, "hidden"), (None, "probabilities")),
    "fusion_net": (
        ("input_norm", "first_hidden"),
        ("first_norm", "hidden"),
        ("norm", "probabilities"),
    ),
}
"""The dense layers of each builder, each after the normalization of its input."""

NORM_EPSILON = 1e-3
"""Keras's default epsilon of batch normalization."""

SCALED_LENGTH, SCALE_EPSILON = 10.0, 1e-7
"""L2 norm of a row after the scaling "sqrt_l2", and the smallest sum that it divides by."""


@dataclass(frozen=True)
class Net:
    """A trained net; each layer but the last is followed by relu, the last by softmax.

    Attributes:
        scaling: Scaling of the input, see `rakuten.models.nets.dense_net`.
        layers: Kernel float32 (inputs, outputs) and bias float32 (outputs,) of each layer.
    """

    scaling: str
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]

    @property
    def hidden_units(self) -> int:
        """Width of the last hidden layer."""
        return len(self.layers[-1][0])

    def probabilities(self, features: np.ndarray | sparse.csr_array, *, threads: int) -> np.ndarray:
        """Predict probabilities.

        Args:
            features: float32 (n, d), dense or CSR.
            threads: Chunks computed concurrently; the result does not depend on it.

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
        """Compute the last hidden layer, the input of the fusion net.

        Args:
            features: See `probabilities`.
            threads: See `probabilities`.
            out: Array to write to, float32 (n, h), e.g. columns of the fusion net's features.

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
        """Apply layers to features, one chunk of rows at a time."""
        rows, width = features.shape
        if width != len(layers[0][0]):
            raise ValueError(
                f"features have {width:,} columns, the net expects {len(layers[0][0]):,}: "
                "take both from the same `dvc repro`"
            )
        if out is None:
            out = np.empty((rows, layers[-1][0].shape[1]), np.float32)
        activations = ([_relu] * (len(self.layers) - 1) + [_softmax])[: len(layers)]
        memory = threading.local()  # activations of a chunk, allocated once per thread

        def compute(part: slice) -> None:
            x = _scale(features[part], self.scaling)
            if not hasattr(memory, "activations"):
                shapes = ((min(CHUNK, rows), kernel.shape[1]) for kernel, _ in layers[:-1])
                memory.activations = [np.empty(shape, np.float32) for shape in shapes]
            places = (*memory.activations, out[part])
            for place, (kernel, bias), activate in zip(places, layers, activations, strict=True):
                x = _multiply(x, kernel, place[: x.shape[0]])
                for block in _blocks(x):
                    block += bias
                    activate(block)

        with blas.one_thread():
            if rows <= CHUNK:
                compute(slice(rows))
                return out
            with ThreadPoolExecutor(threads) as workers:
                for _ in workers.map(compute, _chunks(rows)):  # raises what a worker raised
                    pass
        return out


def _scale(x: np.ndarray | sparse.csr_array, scaling: str) -> np.ndarray | sparse.csr_array:
    """Scale rows as the net does."""
    if scaling == "none":
        return x
    inverse = 1 / np.maximum(x.sum(axis=1), SCALE_EPSILON)[:, None]  # (b, 1)
    if isinstance(x, np.ndarray):
        return SCALED_LENGTH * np.sqrt(x * inverse)
    return SCALED_LENGTH * x.multiply(inverse).tocsr().sqrt()


def _multiply(x: np.ndarray | sparse.csr_array, kernel: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Multiply into an allocated array and return it."""
    if isinstance(x, np.ndarray):
        return np.matmul(x, kernel, out=out)
    out[:] = x @ kernel
    return out


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Split rows into views that stay in the cache between operations."""
    return (x[start : start + BLOCK] for start in range(0, len(x), BLOCK))


def read(folder: str | Path) -> Net:
    """Read a trained net, as `rakuten.models.checkpoints.write` wrote it.

    Args:
        folder: Folder of model.json and weights.npz.

    Returns:
        See `restore`.

    Raises:
        ValueError: See `restore`.
    """
    folder = Path(folder)
    return restore(
        storage.read_json(folder / "model.json"), storage.read_arrays(folder / "weights.npz")
    )


def restore(description: Mapping, arrays: Mapping[str, np.ndarray]) -> Net:
    """Assemble a trained net from its files.

    Args:
        description: What `rakuten.models.nets.describe` returned.
        arrays: What `rakuten.models.nets.weights` returned.

    Returns:
        A net that predicts as the Keras model does, except for rounding.

    Raises:
        ValueError: If the builder is unknown or an array is missing.
    """
    builder = description["builder"]
    if builder not in LAYERS:
        raise ValueError(f"unknown builder {builder!r}: expected one of {', '.join(LAYERS)}")
    missing = [
        name
        for name in itertools.chain.from_iterable(map(_names, LAYERS[builder]))
        if name not in arrays
    ]
    if missing:
        raise ValueError(
            f"weights of {builder} lack {', '.join(missing)}: take weights.npz and model.json from "
            "the same training"
        )
    scaling = description["arguments"].get("scaling", "none")
    return Net(scaling, tuple(_fold(arrays, *names) for names in LAYERS[builder]))


def _relu(activations: np.ndarray) -> None:
    """Apply relu in place."""
    np.maximum(activations, 0, out=activations)


def _softmax(scores: np.ndarray) -> None:
    """Apply softmax to scores float32 (n, c) in place."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)


_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def _names(layer: tuple[str | None, str]) -> Iterator[str]:
    """List the arrays of a dense layer and of the normalization before it."""
    norm, dense = layer
    yield from (f"{dense}/kernel", f"{dense}/bias")
    yield from (f"{norm}/{name}" for name in _NORM if norm)


def _fold(
    arrays: Mapping[str, np.ndarray], norm: str | None, dense: str
) -> tuple[np.ndarray, np.ndarray]:
    """Fold the normalization of a layer's input into the layer's weights."""
    kernel, bias = arrays[f"{dense}/kernel"], arrays[f"{dense}/bias"]
    if norm is None:
        return kernel, bias
    gamma, beta, mean, variance = (arrays[f"{norm}/{name}"].astype(np.float64) for name in _NORM)
    factor = gamma / np.sqrt(variance + NORM_EPSILON)
    constant = beta - mean * factor
    folded = factor[:, None] * kernel, bias + constant @ kernel.astype(np.float64)
    kernel, bias = (np.ascontiguousarray(array, np.float32) for array in folded)
    return kernel, bias


def _chunks(rows: int) -> Iterator[slice]:
    """Split n rows into chunks."""
    return (slice(start, start + CHUNK) for start in range(0, rows, CHUNK))
