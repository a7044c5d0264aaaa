"""What goes into the classifier and comes out of it, and what every packaged model implements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from rakuten.data.examples import Features
from rakuten.image import preprocessing

TEXTS = ("title", "description")
"""The texts of a product."""


@dataclass(frozen=True)
class Product:
    """A raw product; each part may be missing.

    Attributes:
        title: With or without HTML, "" if missing.
        description: With or without HTML, "" if missing.
        image: The content of an image file, its path, or RGB pixels uint8 (height, width, 3).
    """

    title: str = ""
    description: str = ""
    image: bytes | str | Path | np.ndarray | None = None


@dataclass(frozen=True)
class Prepared:
    """A product ready to be classified, with the parts that the model uses.

    Attributes:
        title: Plain text.
        description: Plain text.
        image: Pixels and facts of every view, None without an image or with its features.
        features: Of the image, see `ProductClassifier.encode_image`: (v, n, width) of each kind and
            "facts", for v views and n = 1; None if they were not computed yet.
    """

    title: str
    description: str
    image: preprocessing.Prepared | None
    features: Mapping[str, np.ndarray] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the product has nothing that the model uses."""
        return not (self.title or self.description or self.image or self.features)


@dataclass(frozen=True)
class Choice:
    """A category that a product may belong to.

    Attributes:
        code: Its `prdtypecode`.
        name: Its name in French.
        probability: 0 to 1.
    """

    code: int
    name: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The classifier's answer for a product.

    A contribution is the log probability that a modality gives the first category, minus its mean
    over all categories, times the weight of the modality in the fusion if there are both. Above 0
    the modality is evidence for the category, below 0 against it. See `late_fusion.contributions`.
    Only the ensembles have contributions: a net's answer is not a sum over text and image.

    Attributes:
        top: Categories, the most probable first.
        text_contribution: Log-odds, natural logarithm; None without text, and of a net.
        image_contribution: Log-odds, natural logarithm; None without an image, and of a net.
    """

    top: tuple[Choice, ...]
    text_contribution: float | None
    image_contribution: float | None

    @property
    def code(self) -> int:
        """The most probable `prdtypecode`."""
        return self.top[0].code

    @property
    def name(self) -> str:
        """The most probable category's name."""
        return self.top[0].name

    @property
    def probability(self) -> float:
        """The most probable category's probability."""
        return self.top[0].probability


@dataclass(frozen=True)
class Probabilities:
    """Probabilities for n products, each array float32 (n, 27).

    Attributes:
        text: Of the model's text side: the text ensemble or the text net. Rows of NaN without text,
            and if the model uses images only.
        image: Of its image side, likewise.
        fused: Of the model itself, from what the product has; without anything that the model uses,
            the shares of the categories in the train part.
    """

    text: np.ndarray
    image: np.ndarray
    fused: np.ndarray


class Model(Protocol):
    """A packaged model: `rakuten.serving.ensembles.Ensembles` or `study_nets.StudyNets`.

    Attributes:
        modality: "text", "image" or "fusion": what it uses.
        preparation: How its network's images are made.
    """

    modality: str
    preparation: preprocessing.Preparation

    def encode_image(self, product: Prepared) -> Prepared:
        """Replace the pixels of a product by their features, see `ProductClassifier`."""

    def probabilities(self, products: Sequence[Prepared]) -> Probabilities:
        """Compute probabilities of n prepared products."""

    def contributions(self, found: Probabilities, labels: np.ndarray) -> np.ndarray:
        """Compute the contributions of text and image to categories.

        Args:
            found: The output of `probabilities` for n products.
            labels: int64 (n,), a class index each.

        Returns:
            float64 (n, 2), text and image, NaN where there is none; see `Prediction`.
        """

    def from_features(
        self, features: Mapping[str, Features], present: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Compute probabilities from features, see `ProductClassifier.from_features`.

        Args:
            features: Features by modality, "text" and "image".
            present: Which products have a modality, bool (n,); all if it is not given.

        Returns:
            float32 (n, 27).
        """
