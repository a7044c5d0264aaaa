"""Pixels -> features: the convolutions of a known network with its pinned ImageNet weights.

Sources: VGG16 is from Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale
Image Recognition", 2014; ResNet50 from He, Zhang, Ren and Sun, "Deep Residual Learning for Image
Recognition", 2015. Both sets of weights are the authors', converted by Keras. Every picture gets
the preprocessing these weights were trained with inside the network itself, so that training and
prediction cannot differ in it.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rakuten.determinism import keras, tf
from rakuten.image import quantization


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network that pictures can be taken through.

    Attributes:
        title: What people call it.
        application: Keras's builder.
        preprocess: float32 (n, height, width, 3), RGB, 0 to 255 -> what the weights were trained
            on: for these networks blue, green, red, less ImageNet's mean of each channel (103.939,
            116.779, 123.68), not scaled, as Caffe did it.
        last: The layer whose activations the grid averages.
        middle: The layer halfway that is averaged too.
        num_features: Channels of `last` and of the network's averaged output.
        num_middle: Channels of `middle`.
    """

    title: str
    application: Callable[..., keras.Model]
    preprocess: Callable[..., tf.Tensor]
    last: str
    middle: str
    num_features: int
    num_middle: int

    @property
    def widths(self) -> dict[str, int]:
        """Numbers per picture of each kind of features that `extractor` gives."""
        return {
            "average": self.num_features,
            "grid": 4 * self.num_features,
            "middle": self.num_middle,
        }


BACKBONES = {
    "vgg16": Backbone(
        title="VGG16",
        application=keras.applications.VGG16,
        preprocess=keras.applications.vgg16.preprocess_input,
        last="block5_conv3",
        middle="block4_conv3",
        num_features=512,
        num_middle=512,
    ),
    "resnet50": Backbone(
        title="ResNet50",
        application=keras.applications.ResNet50,
        preprocess=keras.applications.resnet50.preprocess_input,
        last="conv5_block3_out",
        middle="conv4_block6_out",
        num_features=2048,
        num_middle=1024,
    ),
}
"""The networks, by the value of `extract.backbone` in params.yaml."""


def build(name: str, weights: Mapping[str, np.ndarray], *, size: int) -> keras.Model:
    """Build the convolution base with average pooling on top and load its weights.

    Args:
        name: A key of `BACKBONES`.
        weights: For each weighted layer "<layer>/<variable>", float32, as Keras names and shapes
            them: "kernel" (height, width, in, out) and "bias" (out,) of convolutions, of batch
            normalisations "gamma", "beta", "moving_mean" and "moving_variance" (channels,);
            14,714,688 numbers for VGG16, 23,587,712 for ResNet50.
        size: Side of the pictures in pixels, at least 32.

    Returns:
        The network: float32 (n, size, size, 3) as `Backbone.preprocess` gives -> float32 (n, d).

    Raises:
        ValueError: If a weight array is missing, unknown, or of another shape or type.
    """
    backbone = BACKBONES[name]
    base = _base(backbone, size)
    _check_weights(backbone.title, weights, _shapes(base))
    for key, variable in _variables(base).items():
        variable.assign(weights[key])
    base.trainable = False
    return base


PRECISIONS = ("float32", "int8")
"""What the network computes in; whole numbers of 8 bits for VGG16 alone."""


def extractor(
    name: str, weights: Mapping[str, np.ndarray], *, size: int, precision: str
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Prepare the way from pixels to features, all of them from one pass through the network.

    Args:
        name: A key of `BACKBONES`.
        weights: As for `build`.
        size: Side of the pictures in pixels, at least 32.
        precision: One of `PRECISIONS`; see `rakuten.image.quantization` for "int8".

    Returns:
        A function: pixels uint8 (n, size, size, 3), RGB -> features in the order of the pictures,
        all at least 0:
        "average" float32 (n, d), the output averaged over the picture;
        "grid" float16 (n, 4 d), the last convolution's activations averaged over each quadrant:
        top left, top right, bottom left, bottom right, d channels each. Of an odd number of rows
        or columns the middle one counts in the quadrants of both sides;
        "middle" float16 (n, m), the middle layer's activations averaged over the picture.
        A picture's features do not depend on the others of its batch, nor, but for rounding, on
        their number.

    Raises:
        ValueError: As for `build`, or if the network has no such precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"extract.precision is {precision!r}, expected one of {', '.join(PRECISIONS)}: "
            "correct it in params.yaml"
        )
    if precision == "float32":
        return _float_extractor(name, weights, size=size)
    backbone = BACKBONES[name]
    if name != "vgg16":
        raise ValueError(
            f"extract.precision is {precision!r}, which {backbone.title} has not: set "
            "extract.precision to float32 or extract.backbone to vgg16 in params.yaml"
        )
    _check_weights(backbone.title, weights, _shapes(_base(backbone, size)))
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    return quantization.extractor(weights, size=size, threads=threads)


def _float_extractor(
    name: str, weights: Mapping[str, np.ndarray], *, size: int
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Compile the network with its preprocessing and its averages into one TensorFlow graph."""
    backbone = BACKBONES[name]
    base = build(name, weights, size=size)
    tapped = [base.get_layer(layer).output for layer in (backbone.last, backbone.middle)]
    network = keras.Model(base.input, [base.output, *tapped])

    @tf.function(input_signature=[tf.TensorSpec((None, size, size, 3), tf.uint8)])
    def forward(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = backbone.preprocess(tf.cast(pixels, tf.float32), data_format="channels_last")
        average, last, middle = network(inputs, training=False)
        return {
            "average": average,
            "grid": tf.cast(average_quadrants(last), tf.float16),
            "middle": tf.cast(tf.reduce_mean(middle, axis=(1, 2)), tf.float16),
        }

    return lambda pixels: {kind: array.numpy() for kind, array in forward(pixels).items()}


def average_quadrants(activations: tf.Tensor) -> tf.Tensor:
    """Average activations over the four quadrants of the picture.

    Args:
        activations: float32 (n, height, width, c).

    Returns:
        float32 (n, 4 c): top left, top right, bottom left, bottom right. A middle row or column,
        where their number is odd, belongs to the quadrants of both sides.
    """
    height, width = activations.shape[1:3]
    rows = (slice(0, (height + 1) // 2), slice(height // 2, None))
    columns = (slice(0, (width + 1) // 2), slice(width // 2, None))
    means = [tf.reduce_mean(activations[:, r, c], axis=(1, 2)) for r in rows for c in columns]
    return tf.concat(means, axis=1)


def fingerprint(weights: Mapping[str, np.ndarray]) -> str:
    """Identify everything here that a feature depends on besides the picture.

    Args:
        weights: As for `build`.

    Returns:
        SHA-256, 64 hexadecimal digits, of the weights, the source of this module and of
        `rakuten.image.quantization`, the versions of what computes and the number of threads.
    """
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    code = [inspect.getsource(module) for module in (sys.modules[__name__], quantization)]
    software = (*code, tf.__version__, keras.__version__, quantization.VERSION)
    digest = hashlib.sha256(repr((*software, threads)).encode())
    for name, array in sorted(weights.items()):
        digest.update(repr((name, array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _base(backbone: Backbone, size: int) -> keras.Model:
    """Build the convolution base with average pooling on top."""
    return backbone.application(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg"
    )


def _variables(base: keras.Model) -> dict:
    """Name the weights of a network "<layer>/<variable>"."""
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in base.layers
        for variable in layer.weights
    }


def _shapes(base: keras.Model) -> dict[str, tuple[int, ...]]:
    """Give the shapes of the weights of a network."""
    return {key: tuple(variable.shape) for key, variable in _variables(base).items()}


def _check_weights(
    title: str, weights: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]]
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
            f"the weights are not those of {title}'s convolutions: {'; '.join(faults)}; "
            "run 'dvc repro resources'"
        )
