"""VGG16 as an encoder that ONNX Runtime runs, for prediction without TensorFlow."""

import hashlib
from collections.abc import Mapping

import numpy as np

from rakuten.image import quantization
from rakuten.image.encoder import EncoderSpec

NAME = "vgg16"
"""The value of `extract.backbone` for which there is such an encoder."""

MEAN = (123.68, 116.779, 103.939)
"""ImageNet's mean of red, green and blue, as in Keras's `preprocess_input` for VGG16."""


def build(
    weights: Mapping[str, np.ndarray], *, size: int, precision: str
) -> tuple[bytes, EncoderSpec]:
    """Write VGG16's convolutions as an encoder that takes RGB.

    The weights are for BGR: the input channels of the first convolution are reversed.

    Args:
        weights: As for `rakuten.image.backbones.build`.
        size: Side of the images in pixels, at least 32.
        precision: `extract.precision`. "int8" is quantized, every other value gives float32.

    Returns:
        The ONNX file, and how it is used. Its features are those of `backbones.Extractor` up to
        rounding; those of bfloat16 differ by its lower precision.
    """
    first = f"{quantization.LAYERS[0]}/kernel"
    rgb = {**weights, first: weights[first][:, :, ::-1]}  # (3, 3, 3, 64)
    network = quantization.float_network(rgb, size=size)
    if precision == "int8":
        content = quantization.quantize(
            network, ranges=quantization.RANGES, excluded=quantization.EXCLUDED
        )
    else:
        content = network.SerializeToString(deterministic=True)
    spec = EncoderSpec(
        name=NAME,
        sha256=hashlib.sha256(content).hexdigest(),
        size=size,
        resize="bilinear",
        layout="nhwc",
        mean=MEAN,
        std=(1.0,),
        average=(quantization.OUTPUT,),
    )
    return content, spec
