"""Random weights and comparisons for the tests of the backbones."""

from collections.abc import Iterator

import numpy as np

from rakuten.data import conversion
from rakuten.image import backbones

SIZE = 64
BATCH = 5


def resnet50_convolutions() -> Iterator[tuple[str, int, int, int]]:
    """Each convolution's name without its ending, the side of its kernel, channels in and out."""
    yield "conv1", 7, 3, 64
    channels = 64
    for stage, blocks in enumerate((3, 4, 6, 3), start=2):
        width = 64 * 2 ** (stage - 2)
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            if block == 1:
                yield f"{name}_0", 1, channels, 4 * width
            yield f"{name}_1", 1, channels, width
            yield f"{name}_2", 3, width, width
            yield f"{name}_3", 1, width, 4 * width
            channels = 4 * width


def vgg16_weights(*, width: int = 512) -> dict[str, np.ndarray]:
    """Draw float32 weights of VGG16, with at most `width` channels before the last layer."""
    generator, arrays, channels = np.random.default_rng(0), {}, 3
    for layer in conversion.VGG16_LAYERS:
        out = min(64 * 2 ** (int(layer[5]) - 1), 512 if layer == "block5_conv3" else width)
        scale = np.sqrt(2 / (9 * channels))
        arrays[f"{layer}/kernel"] = generator.normal(0, scale, (3, 3, channels, out))
        arrays[f"{layer}/bias"] = generator.normal(0, 0.1, out)
        channels = out
    return {key: array.astype(np.float32) for key, array in arrays.items()}


def resnet50_weights() -> dict[str, np.ndarray]:
    generator, arrays = np.random.default_rng(0), {}
    for name, side, channels, out in resnet50_convolutions():
        scale = np.sqrt(2 / (side**2 * channels)) / (50 if name == "conv1" else 1)
        arrays[f"{name}_conv/kernel"] = generator.normal(0, scale, (side, side, channels, out))
        arrays[f"{name}_conv/bias"] = generator.normal(0, 0.1, out)
        gain = 0.5 if name.endswith("_3") else 1
        arrays[f"{name}_bn/gamma"] = gain * generator.uniform(0.5, 1.5, out)
        arrays[f"{name}_bn/beta"] = generator.normal(0, 0.1, out)
        arrays[f"{name}_bn/moving_mean"] = generator.normal(0, 0.1, out)
        arrays[f"{name}_bn/moving_variance"] = generator.uniform(0.5, 1.5, out)
    return arrays


def extractor(name, weights, size=SIZE, precision="float32", batch_size=BATCH):
    """Build an extractor that returns the features alone."""
    compute = backbones.Extractor(
        name, weights, size=size, precision=precision, batch_size=batch_size
    )
    return lambda pixels: compute(pixels)["features"]


def cosines(one, other):
    one, other = one.astype(np.float64), other.astype(np.float64)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / norms
