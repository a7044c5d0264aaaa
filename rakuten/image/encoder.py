"""Image features from a frozen encoder, run by ONNX Runtime.

An encoder is an entry of `rakuten/data/resources.yaml`: the ONNX file with its hash, the input that
it expects, and the outputs that become features. docs/encoders.md describes how to add one.

Every image goes through the network alone and in one thread, so that its features depend neither on
the batch nor on the number of threads. Several images are encoded at the same time.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from rakuten import feature_store, onnx_models, prefetch, storage
from rakuten.image import preprocessing
from rakuten.onnx_models import EncoderError

FOLDER = "build/resources/image_encoder"
"""Where the stage `resources` writes the chosen encoder."""

USED = "build/encode_image"
"""Where the stage `encode_image` writes the network that it used."""

NETWORK, SPEC = "encoder.onnx", "encoder.json"
"""The network in that folder, and how it is used."""

BATCH = 16
"""Images that are prepared and encoded at a time."""

LAYOUTS = {"nchw": (2, 0, 1), "nhwc": (0, 1, 2)}
"""Axes of (height, width, 3) in the order of the network's input, by name."""


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """How an encoder is used: the key `encoder` of its entry in resources.yaml.

    Attributes:
        name: Its name, a value of `encode_image.encoder`.
        sha256: Hash of the ONNX file.
        size: Side of the input in pixels.
        resize: How images are resized, a key of `preprocessing.RESIZE`.
        layout: "nchw" or "nhwc", the order of the input's axes; channels are RGB.
        mean: Subtracted from values of 0 to 255: one number, or three for RGB.
        std: Divides the difference: one number, or three.
        average: Names of the outputs that together are the features.
        middle: Names of outputs of earlier layers, each a block of features. May be empty.
    """

    name: str
    sha256: str
    size: int
    resize: str
    layout: str
    mean: Sequence[float]
    std: Sequence[float]
    average: Sequence[str]
    middle: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or self.size < 1:
            raise EncoderError(self.name, f"has size {self.size!r}, expected a number of pixels")
        for key, value, known in (
            ("resize", self.resize, preprocessing.RESIZE),
            ("layout", self.layout, LAYOUTS),
        ):
            if value not in known:
                expected = ", ".join(known)
                raise EncoderError(self.name, f"has {key} {value!r}, expected one of {expected}")
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, 3):
                raise EncoderError(self.name, f"has {len(values)} values of {key}, expected 1 or 3")
        if min(self.std) <= 0:
            raise EncoderError(self.name, f"has {min(self.std)} in std, expected numbers above 0")
        if not self.average:
            raise EncoderError(self.name, "has no output 'average'")

    @classmethod
    def from_table(cls, name: str, entry: Mapping[str, Any]) -> Self:
        """Read an entry of the resource table.

        Args:
            name: The encoder's name.
            entry: Its keys "sha256" and "encoder".

        Raises:
            rakuten.onnx_models.EncoderError: If a key is missing or unknown, or a value impossible.
        """
        values: dict[str, Any] = dict(entry["encoder"])
        modality, outputs = values.pop("modality", None), values.pop("outputs", {})
        if modality != "image":
            raise EncoderError(name, f"has modality {modality!r}, expected 'image'")
        values.update(outputs)
        for key in values.keys() & {"mean", "std", "average", "middle"}:  # one value or a list
            values[key] = tuple(values[key]) if isinstance(values[key], list) else (values[key],)
        try:
            return cls(name=name, sha256=entry["sha256"], **values)
        except TypeError as error:
            reason = str(error).partition("() ")[2]
            raise EncoderError(name, f"has other keys than expected ({reason})") from error

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore what `to_json` returned."""
        restored: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**restored)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with which a package describes its encoder."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    def preparation(
        self, *, views: Sequence[str], crops: Sequence[str], border_tolerance: int
    ) -> preprocessing.Preparation:
        """Describe how the network's inputs are made, see `preprocessing.Preparation`."""
        return preprocessing.Preparation(
            size=self.size,
            resize=self.resize,
            views=tuple(views),
            crops=tuple(crops),
            border_tolerance=border_tolerance,
        )

    @property
    def outputs(self) -> list[str]:
        """The outputs that the network computes."""
        return [*self.average, *self.middle]


class ImageEncoder:
    """An encoder, loaded once.

    Args:
        path: The ONNX file.
        spec: How it is used.
        threads: Number of images that are encoded at the same time.

    Attributes:
        widths: Numbers per image of each block: "average", all outputs of that name side by side,
            and "middle_1", "middle_2" and so on, one for each output of earlier layers.
        dtype: float16.

    Raises:
        rakuten.onnx_models.EncoderError: If the model has other inputs or outputs than the spec.
        rakuten.onnx_models.ImportOrderError: If TensorFlow was imported before ONNX Runtime.
    """

    dtype = np.float16

    def __init__(self, path: str | Path, spec: EncoderSpec, *, threads: int):
        self.spec = spec
        self._threads = threads
        self._session = onnx_models.open_session(path)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            found = ", ".join(f"{one.name} {one.type}" for one in inputs)
            raise EncoderError(spec.name, f"has inputs {found}, expected one float tensor")
        expected = _input_shape(spec)
        if not _fits(inputs[0].shape, expected):
            raise EncoderError(
                spec.name,
                f"takes the shape {inputs[0].shape}, expected {expected} by size {spec.size} and "
                f"layout {spec.layout}",
            )
        self._input = inputs[0].name
        known = [output.name for output in self._session.get_outputs()]
        if missing := [name for name in spec.outputs if name not in known]:
            raise EncoderError(
                spec.name,
                f"has no output {', '.join(missing)}, expected some of {', '.join(known)}",
            )
        blank = self._encode_one(np.zeros((spec.size, spec.size, 3), np.uint8))
        self.widths = {block: len(values) for block, values in blank.items()}

    def encode(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Encode images.

        Args:
            pixels: uint8 (n, size, size, 3), RGB, prepared as `spec` describes.

        Returns:
            float16 (n, width) of each block in `widths`. An output with more axes, such as that of
            a convolution or the tokens of a transformer, is averaged over them.

        Raises:
            rakuten.onnx_models.EncoderError: If an output is not finite.
        """
        found = list(
            prefetch.map_in_order(
                self._encode_one, pixels, threads=self._threads, buffer_size=self._threads
            )
        )
        return {
            block: np.array([one[block] for one in found], self.dtype).reshape(len(found), width)
            for block, width in self.widths.items()
        }

    __call__ = encode

    def _encode_one(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Encode one image."""
        inputs = network_input(pixels, self.spec)[None]
        names = self.spec.outputs
        outputs = self._session.run(names, {self._input: inputs})
        vectors = [self._average(*output) for output in zip(names, outputs, strict=True)]
        count = len(self.spec.average)
        middle = {f"middle_{number}": v for number, v in enumerate(vectors[count:], start=1)}
        return {"average": np.concatenate(vectors[:count]), **middle}

    def _average(self, name: str, output: np.ndarray) -> np.ndarray:
        """Average an output over all axes but that of the batch and of the channels."""
        channels_first = output.ndim == 4 and self.spec.layout == "nchw"
        axes = tuple(range(2, output.ndim)) if channels_first else tuple(range(1, output.ndim - 1))
        vector = output.mean(axis=axes, dtype=np.float32)[0].astype(self.dtype)
        if not np.isfinite(vector).all():
            raise EncoderError(self.spec.name, f"has values in {name} beyond those of float16")
        return vector


def network_input(pixels: np.ndarray, spec: EncoderSpec) -> np.ndarray:
    """Normalize an image and lay it out as the network expects.

    Args:
        pixels: uint8 (size, size, 3), RGB.
        spec: How the network is used.

    Returns:
        float32 (3, size, size), or (size, size, 3) with the layout "nhwc".
    """
    mean, std = (np.array(values, np.float32) for values in (spec.mean, spec.std))
    normalized = (pixels.astype(np.float32) - mean) / std
    return np.ascontiguousarray(normalized.transpose(LAYOUTS[spec.layout]))


def preparation_options(section: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the options that are fixed when the network is written.

    Args:
        section: The section `encode_image` of params.yaml.

    Returns:
        The keyword arguments of `EncoderSpec.preparation`.
    """
    fixed = ("encoder", "precision")
    return {name: value for name, value in section.items() if name not in fixed}


def find(name: str, folder: str | Path = FOLDER) -> tuple[Path, EncoderSpec]:
    """Find the encoder that the stage `resources` fetched.

    Raises:
        FileNotFoundError: If the folder does not hold it.
        rakuten.onnx_models.EncoderError: As for `EncoderSpec.from_table`.
    """
    path, entry = onnx_models.find(folder, name)
    return path, EncoderSpec.from_table(name, entry)


def read(folder: str | Path = USED) -> tuple[Path, EncoderSpec]:
    """Find the network that the stage `encode_image` used.

    Raises:
        FileNotFoundError: If the folder does not hold it.
    """
    path, spec = Path(folder) / NETWORK, Path(folder) / SPEC
    if not (path.exists() and spec.exists()):
        raise FileNotFoundError(f"{folder} does not hold an encoder: run 'dvc repro encode_image'")
    return path, EncoderSpec.from_json(storage.read_json(spec))


def fingerprint(spec: EncoderSpec) -> str:
    """Identify what an image's features depend on besides the image and its preparation.

    Returns:
        32 hexadecimal digits that change with the network, with its use, with the version of ONNX
        Runtime and with code that can change values.
    """
    code = feature_store.code_digest(sys.modules[__name__], onnx_models.open_session)
    return feature_store.fingerprint(spec.to_json(), onnx_models.VERSION, code)


def _input_shape(spec: EncoderSpec) -> list[int]:
    """Return the shape of one image, with the axis of the batch."""
    pixels = spec.size, spec.size, 3
    return [1, *(pixels[axis] for axis in LAYOUTS[spec.layout])]


def _fits(declared: Sequence[int | str | None], expected: Sequence[int]) -> bool:
    """Compare shapes: an axis that is a name or None has any length, [] is an unknown shape."""
    if not declared:
        return True
    return len(declared) == len(expected) and all(
        not isinstance(length, int) or length == wanted
        for length, wanted in zip(declared, expected, strict=True)
    )
