"""Pixels -> features: VGG16's convolutions with the pinned ImageNet weights.

Source of the network: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale
Image Recognition", 2014; the weights are the Oxford Visual Geometry Group's, converted by Keras.
Every picture gets the preprocessing these weights were trained with inside the network itself, so
that training and prediction cannot differ in it.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

LAYERS = tuple(
    f"block{block}_conv{number}"
    for block, depth in enumerate((2, 2, 3, 3, 3), start=1)
    for number in range(1, depth + 1)
)
"""The 13 convolutions in the order of the network."""

NUM_FEATURES = 512
"""Channels of the last block, averaged over the picture."""


def build(weights: Mapping[str, np.ndarray], *, size: int) -> keras.Model:
    """Build the convolution base with average pooling on top and load its weights.

    Args:
        weights: For each name of `LAYERS` "<layer>/kernel" (height, width, in, out) and
            "<layer>/bias" (out,), float32; 14,714,688 numbers in all.
        size: Side of the pictures in pixels, at least 32.

    Returns:
        The network: float32 (n, size, size, 3) as `preprocess` gives -> float32 (n, 512).

    Raises:
        ValueError: If a weight array is missing, unknown, or of another shape or type.
    """
    base = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg"
    )
    expected = {
        f"{layer}/{part}": tuple(variable.shape)
        for layer in LAYERS
        for part, variable in zip(("kernel", "bias"), base.get_layer(layer).weights, strict=True)
    }
    _check_weights(weights, expected)
    for layer in LAYERS:
        base.get_layer(layer).set_weights([weights[f"{layer}/kernel"], weights[f"{layer}/bias"]])
    base.trainable = False
    return base


def preprocess(pixels: tf.Tensor) -> tf.Tensor:
    """Turn pixels into what the weights were trained on, as Caffe did it.

    Args:
        pixels: uint8 (n, height, width, 3), RGB.

    Returns:
        float32 of the same shape: blue, green, red, less ImageNet's mean of each channel
        (103.939, 116.779, 123.68); not scaled.
    """
    return keras.applications.vgg16.preprocess_input(
        tf.cast(pixels, tf.float32), data_format="channels_last"
    )


def extractor(
    weights: Mapping[str, np.ndarray], *, size: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Compile the way from pixels to features.

    Args:
        weights: As for `build`.
        size: Side of the pictures in pixels, at least 32.

    Returns:
        A function: pixels uint8 (n, size, size, 3), RGB -> features float32 (n, 512), at least 0,
        in the order of the pictures. The features of a picture do not depend on the others of its
        batch, nor on their number.

    Raises:
        ValueError: As for `build`.
    """
    network = build(weights, size=size)

    @tf.function(input_signature=[tf.TensorSpec((None, size, size, 3), tf.uint8)])
    def forward(pixels: tf.Tensor) -> tf.Tensor:
        return network(preprocess(pixels), training=False)

    return lambda pixels: forward(pixels).numpy()


def fingerprint(weights: Mapping[str, np.ndarray]) -> str:
    """Identify everything here that a feature depends on besides the picture.

    Args:
        weights: As for `build`.

    Returns:
        SHA-256, 64 hexadecimal digits, of the weights, this module's source, the versions of
        TensorFlow and Keras and the number of threads.
    """
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    software = (inspect.getsource(sys.modules[__name__]), tf.__version__, keras.__version__)
    digest = hashlib.sha256(repr((*software, threads)).encode())
    for name, array in sorted(weights.items()):
        digest.update(repr((name, array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _check_weights(
    weights: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse weights of another network before they are half loaded."""
    faults = [f"{name} is missing" for name in expected if name not in weights]
    faults += [f"{name} is unknown" for name in weights if name not in expected]
    faults += [
        f"{name} is {weights[name].dtype} {weights[name].shape}, expected float32 {shape}"
        for name, shape in expected.items()
        if name in weights
        and (weights[name].shape != shape or weights[name].dtype != np.dtype(np.float32))
    ]
    if faults:
        raise ValueError(
            f"the weights are not those of VGG16's 13 convolutions: {'; '.join(faults)}; "
            "run 'dvc repro resources'"
        )
