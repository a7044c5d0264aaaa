"""Image features: the convolutions of a known network with its pinned ImageNet weights.

The network computes in float32, in bfloat16, or, for VGG16, in int8.

Sources: VGG16 is from Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale
Image Recognition", 2014; ResNet50 from He, Zhang, Ren and Sun, "Deep Residual Learning for Image
Recognition", 2015. Both sets of weights are the authors', converted by Keras. The extractor applies
the preprocessing of these weights itself, so that training and prediction cannot differ in it.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rakuten import feature_store, storage
from rakuten.determinism import keras, tf
from rakuten.image import quantization


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A pretrained network.

    Attributes:
        title: Its display name.
        application: Keras's builder.
        preprocess: float32 (n, height, width, 3), RGB, 0 to 255 -> the input that the weights were
            trained on: BGR minus ImageNet's mean of each channel, unscaled, as in Caffe.
        num_features: Channels of the network's averaged output.
        precisions: Number formats in which it can compute.
    """

    title: str
    application: Callable[..., keras.Model]
    preprocess: Callable[..., tf.Tensor]
    num_features: int
    precisions: tuple[str, ...]


BACKBONES = {
    "vgg16": Backbone(
        title="VGG16",
        application=keras.applications.VGG16,
        preprocess=keras.applications.vgg16.preprocess_input,
        num_features=512,
        precisions=("float32", "bfloat16", "int8"),
    ),
    "resnet50": Backbone(
        title="ResNet50",
        application=keras.applications.ResNet50,
        preprocess=keras.applications.resnet50.preprocess_input,
        num_features=2048,
        precisions=("float32", "bfloat16"),
    ),
}
"""The networks, by the value of `extract.backbone` in params.yaml."""


def build(
    name: str, weights: Mapping[str, np.ndarray], *, size: int, precision: str = "float32"
) -> keras.Model:
    """Build the convolution base with average pooling on top and load its weights.

    Args:
        name: A key of `BACKBONES`.
        weights: float32 arrays named "<layer>/<variable>", with the names and shapes of Keras:
            "kernel" (height, width, in, out) and "bias" (out,) of convolutions; "gamma", "beta",
            "moving_mean" and "moving_variance" (channels,) of batch normalizations. 14,714,688
            numbers for VGG16, 23,587,712 for ResNet50.
        size: Side of the images in pixels, at least 32.
        precision: Number format of the convolutions, "float32" or "bfloat16".

    Returns:
        The network: float32 (n, size, size, 3) from `Backbone.preprocess` -> float32 (n, d).

    Raises:
        WeightsError: If a weight array is missing, unknown, or of another shape or type.
    """
    base = _base(BACKBONES[name], size, precision)
    _check_weights(name, weights, base)
    for key, variable in _variables(base).items():
        variable.assign(weights[key])
    base.trainable = False
    return base


PRECISIONS = BACKBONES["vgg16"].precisions
"""All number formats; other networks have some of them."""


class WeightsError(ValueError):
    """Weights of another network; the message lists every difference."""

    @classmethod
    def differing(
        cls,
        title: str,
        weights: Mapping[str, np.ndarray],
        expected: Mapping[str, tuple[int, ...]],
    ) -> "WeightsError":
        """Compare weights with the expected names and shapes."""
        faults = [f"{name} is missing" for name in expected if name not in weights]
        faults += [f"{name} is unknown" for name in weights if name not in expected]
        faults += [
            f"{name} is {weights[name].dtype} {weights[name].shape}, expected float32 {shape}"
            for name, shape in expected.items()
            if name in weights
            and (weights[name].shape != shape or weights[name].dtype != np.float32)
        ]
        return cls(
            f"the weights are not those of {title}'s convolutions: {'; '.join(faults)}; "
            "run 'dvc repro resources'"
        )


class Extractor:
    """Computes the features of images.

    The last bits of float features depend on the number of images in one call, because the network
    adds in another order. So every call computes a full batch, filled up with zeros.

    Args:
        name: A key of `BACKBONES`.
        weights: As for `build`.
        size: Side of the images in pixels, at least 32.
        precision: One of `PRECISIONS`; see `rakuten.image.quantization` for "int8".
        batch_size: Maximum number of images in one call.

    Attributes:
        widths: {"features": Channels of the network's output}.
        dtype: float32.

    Raises:
        ValueError: If the network has no such precision.
        WeightsError: As for `build`.
    """

    dtype = np.float32

    def __init__(
        self,
        name: str,
        weights: Mapping[str, np.ndarray],
        *,
        size: int,
        precision: str,
        batch_size: int,
    ):
        if precision not in PRECISIONS:
            raise ValueError(
                f"extract.precision is {precision!r}, expected one of {', '.join(PRECISIONS)}: "
                "correct it in params.yaml"
            )
        backbone = BACKBONES[name]
        if precision not in backbone.precisions:
            raise ValueError(
                f"extract.precision is {precision!r}, which {backbone.title} does not support: set "
                f"extract.precision to {' or '.join(backbone.precisions)}, or extract.backbone to "
                "vgg16 in params.yaml"
            )
        self.widths = {"features": backbone.num_features}
        self._batch_size = batch_size
        if precision == "int8":
            self._forward = _quantized(name, weights, size)
        else:
            self._forward = _compiled(name, weights, size, precision)

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the features of images.

        Args:
            pixels: uint8 (n, size, size, 3), RGB, n at most `batch_size`.

        Returns:
            "features" float32 (n, d), at least 0: the network's output, averaged over the image.
            They do not depend on the other images.
        """
        padding = np.zeros((self._batch_size - len(pixels), *pixels.shape[1:]), pixels.dtype)
        full = np.concatenate([pixels, padding]) if len(padding) else pixels
        return {"features": self._forward(full)[: len(pixels)]}


def _compiled(
    name: str, weights: Mapping[str, np.ndarray], size: int, precision: str
) -> Callable[[np.ndarray], np.ndarray]:
    """Compile preprocessing and network into one TensorFlow graph."""
    backbone = BACKBONES[name]
    network = build(name, weights, size=size, precision=precision)

    @tf.function(input_signature=[tf.TensorSpec((None, size, size, 3), tf.uint8)])
    def forward(pixels: tf.Tensor) -> tf.Tensor:
        inputs = backbone.preprocess(tf.cast(pixels, tf.float32), data_format="channels_last")
        return network(inputs, training=False)

    return lambda pixels: forward(pixels).numpy()


def _quantized(
    name: str, weights: Mapping[str, np.ndarray], size: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Quantize the network."""
    backbone = BACKBONES[name]
    _check_weights(name, weights, _base(backbone, size, "float32"))
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    compute = quantization.extractor(weights, size=size, threads=threads)
    return lambda pixels: compute(
        backbone.preprocess(pixels.astype(np.float32), data_format="channels_last")
    )


def fingerprint(weights: Mapping[str, np.ndarray], *, precision: str, batch_size: int) -> str:
    """Identify what a feature depends on besides the image, as far as this module decides it.

    Args:
        weights: As for `build`.
        precision: As for `Extractor`.
        batch_size: As for `Extractor`.

    Returns:
        32 hexadecimal digits that change with these, with the number of threads, the versions of
        the libraries, and code of this module that can change values; for "int8" also with the
        code and the ranges of `quantization`.
    """
    quantized: tuple = (precision,)
    if precision == "int8":
        code = feature_store.code_digest(quantization)
        quantized = (precision, code, storage.read_json(quantization.RANGES), quantization.VERSION)
    return feature_store.fingerprint(
        feature_store.code_digest(sys.modules[__name__]),
        (tf.__version__, keras.__version__, *quantized),
        (tf.config.threading.get_intra_op_parallelism_threads(), batch_size),
        arrays=weights,
    )


def _base(backbone: Backbone, size: int, precision: str) -> keras.Model:
    """Build the convolution base with average pooling on top."""
    default = keras.config.dtype_policy()
    # Keras's builders take no policy. "mixed" keeps the weights in float32.
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        base = backbone.application(
            include_top=False, weights=None, input_shape=(size, size, 3), pooling=None
        )
    finally:
        keras.config.set_dtype_policy(default)
    average = keras.layers.GlobalAveragePooling2D(dtype="float32")(base.output)
    return keras.Model(base.input, average, name=base.name)


def _variables(base: keras.Model) -> dict:
    """Name the weights of a network "<layer>/<variable>"."""
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in base.layers
        for variable in layer.weights
    }


def _check_weights(name: str, weights: Mapping[str, np.ndarray], base: keras.Model) -> None:
    """Refuse weights of another network before some of them are loaded."""
    expected = {key: tuple(variable.shape) for key, variable in _variables(base).items()}
    shapes = {key: array.shape for key, array in weights.items()}
    if shapes != expected or any(array.dtype != np.float32 for array in weights.values()):
        raise WeightsError.differing(BACKBONES[name].title, weights, expected)
