"""Encode the texts and images of products.

Encoders are loaded in this process, or in another one if this one cannot load ONNX Runtime.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import cached_property
from multiprocessing import get_context
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from rakuten import prefetch
from rakuten.image import extraction
from rakuten.onnx_models import tensorflow_imported_first
from rakuten.serving.interface import Prepared

Item = TypeVar("Item")
Result = TypeVar("Result")
Values = TypeVar("Values", contravariant=True)
Features = TypeVar("Features", covariant=True)


class LoadedOnce(cached_property[Result]):
    """A part of a model, loaded when it is first read; other threads wait for it.

    `functools.cached_property` has no lock in Python 3.12: each thread would load the part. The
    model has a lock in its attribute `loading`.
    """

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Load the part, or return what another thread has loaded."""
        if instance is None:
            return self
        with instance.loading:
            return super().__get__(instance, owner)


class ProcessEndedError(RuntimeError):
    """The other process ended without an answer."""

    def __str__(self) -> str:
        return (
            "the process that encodes ended without an answer. The next call starts a new one. If "
            "the system killed it for lack of memory, encode fewer products at a time. If a script "
            "classifies outside of if __name__ == '__main__', move that code there, or import "
            "rakuten.onnx_models before TensorFlow: then no other process is needed"
        )


class Encoder(Protocol[Values, Features]):
    """A loaded encoder of texts or images."""

    def encode(self, values: Values, /) -> Features:
        """Compute features."""


def load(
    create: Callable[[], Encoder[Values, Features]],
) -> Encoder[Values, Features]:
    """Load an encoder; in another process if this one imported TensorFlow before ONNX Runtime.

    Args:
        create: Loads it; a class with its arguments in `functools.partial`, for example.

    Returns:
        The encoder, or one that loads at its first use in the other process and raises
        `rakuten.onnx_models.ImportOrderError` if that process imports TensorFlow first, too, and
        `ProcessEndedError` if that process ends, for example because the system kills it.
    """
    return _RemoteEncoder(create) if tensorflow_imported_first() else create()


def encode_image(
    product: Prepared, encoder: Encoder[np.ndarray, dict[str, np.ndarray]]
) -> Prepared:
    """Replace the pixels of a product by their features, which take less memory.

    Args:
        product: Without an image, it is returned as it is.
        encoder: Encodes pixels uint8 (n, size, size, 3).

    Returns:
        The product with features (v, 1, width) of each kind and "facts" (v, 1, fields of
        `rakuten.image.preprocessing.Facts`), of each of the v views.
    """
    if product.image is None:
        return product
    found = extraction.compute_features(iter([product.image]), 1, encoder.encode, 1, lambda _: None)
    features = {kind: np.swapaxes(array, 0, 1) for kind, array in found.items()}
    return replace(product, image=None, features=features)


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], *, threads: int
) -> Iterator[Result]:
    """Apply a function to items in threads; in this thread if there is one item.

    Args:
        function: See `prefetch.map_in_order`.
        items: n items.
        threads: Number of items at the same time.

    Returns:
        The n results, in order.
    """
    if len(items) == 1 or threads == 1:
        return map(function, items)
    return prefetch.map_in_order(function, items, threads=threads, buffer_size=2 * threads)


class _RemoteEncoder(Generic[Values, Features]):
    """An encoder in another process."""

    def __init__(self, create: Callable[[], Encoder[Values, Features]]):
        self._create, self._lock = create, Lock()
        self._pool: ProcessPoolExecutor | None = None

    def encode(self, values: Values, /) -> Features:
        """Compute features in the other process."""
        with self._lock:
            if self._pool is None:
                context = get_context("spawn")  # a fork would have TensorFlow, too
                self._pool = ProcessPoolExecutor(1, context, _start_process, (self._create,))
            pool = self._pool
        try:
            return pool.submit(_encode_in_process, values).result()
        except BrokenProcessPool as error:
            with self._lock:
                if self._pool is pool:  # no other thread has started a new one yet
                    self._pool = None
            raise ProcessEndedError from error


_create: Callable[[], Encoder]
_encoder: Encoder | None = None


def _start_process(create: Callable[[], Encoder]) -> None:
    """Remember how to load the encoder: an error in this function would hide its reason."""
    global _create
    _create = create


def _encode_in_process(values: Any) -> Any:
    """Encode with this process's encoder."""
    global _encoder
    _encoder = _encoder or _create()
    return _encoder.encode(values)
