"""The packaged ensembles: late fusion, or the text or the image ensemble alone."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import RLock

import numpy as np

from rakuten import model_names
from rakuten.categories import NUM_CATEGORIES
from rakuten.data.examples import Features
from rakuten.image import encoder as image_encoder
from rakuten.models import calibration, image_ensemble, late_fusion, text_ensemble
from rakuten.models.text_ensemble import Settings, TextEnsemble, Texts
from rakuten.serving import encoders
from rakuten.serving.interface import TEXTS, Prepared, Probabilities
from rakuten.text import encoder as text_encoder

PART = 64
"""Products whose texts are encoded while the text ensemble classifies those before them."""


class Ensembles:
    """The refitted ensembles of a package, see `rakuten.serving.interface.Model`.

    Args:
        folder: The package.
        summary: The content of `package.json`.
        model: "late_fusion", "text_ensemble" or "image_ensemble".
        threads: Number of texts or images that are encoded at the same time.

    Attributes:
        modality: "text", "image" or "fusion": what the model uses.
        preparation: How the encoder's images are made.
        loading: Held while a part of the model is loaded.
        fusion: The weights by which the late fusion combines text and image.

    """

    def __init__(self, folder: Path, summary: Mapping, *, model: str, threads: int):
        self.modality = model_names.BY_NAME[model].modality
        self.loading = RLock()
        self._folder, self._threads = folder, threads
        options = image_encoder.preparation_options(summary["encode_image"])
        self._image_spec = image_encoder.EncoderSpec.from_json(summary["image_encoder"])
        self.preparation = self._image_spec.preparation(**options)
        self._text_settings = Settings(**summary["text_ensemble"])
        used = summary["text_encoder"]
        self._text_spec = used and text_encoder.EncoderSpec.from_json(used)
        self._trained = summary["models"]
        self._prior = np.array(summary["prior"], np.float32)
        self.fusion = calibration.read(folder / "fusion")

    def probabilities(self, products: Sequence[Prepared]) -> Probabilities:
        """Compute the probabilities of both ensembles and of their late fusion.

        The features of a text or an image do not depend on the other products, and images are
        classified one at a time. Texts are classified together: rounding may change the seventh
        digit of a product's text and fused probabilities with the other products of the batch.
        """
        text = self._text_probabilities(products)
        image = self._image_probabilities(products)
        fused = late_fusion.fuse(self.fusion, text, image)
        fused[np.isnan(fused).any(axis=1)] = self._prior
        return Probabilities(text, image, fused)

    def contributions(self, found: Probabilities, labels: np.ndarray) -> np.ndarray:
        """Compute the contributions of text and image, see `late_fusion.contributions`."""
        return late_fusion.contributions(self.fusion, found.text, found.image, labels)

    def from_features(
        self, features: Mapping[str, Features], present: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Raise ValueError: an ensemble has several kinds of features."""
        raise ValueError(
            "the ensembles predict from texts and images, not from features: load one of the nets, "
            f"{', '.join(model_names.STUDY)}"
        )

    def text_vectors(self, products: Sequence[Prepared]) -> dict[str, np.ndarray]:
        """Encode titles and descriptions.

        Args:
            products: n products.

        Returns:
            "title" and "description" float16 (n, width), zeros for a missing text; nothing if the
            package has no text encoder.
        """
        if not self._text_spec:
            return {}
        texts = [getattr(product, name) for name in TEXTS for product in products]
        vectors = np.split(self._text_encoder.encode(texts), len(TEXTS))
        return dict(zip(TEXTS, vectors, strict=True))

    def image_features(self, products: Sequence[Prepared]) -> dict[str, np.ndarray]:
        """Encode images.

        Args:
            products: n products with an image or its features, at least one.

        Returns:
            "average", "middle_1" and so on float16 (v, n, width), and "facts" float64 (v, n, fields
            of `rakuten.image.preprocessing.Facts`), of each of the v views.
        """
        encoded = encoders.in_threads(self.encode_image, products, threads=self._threads)
        features = [product.features for product in encoded if product.features is not None]
        return {
            kind: np.concatenate([one[kind] for one in features], axis=1) for kind in features[0]
        }

    def encode_image(self, product: Prepared) -> Prepared:
        """Replace the pixels of a product by their features, see `encoders.encode_image`."""
        return encoders.encode_image(product, self._image_encoder)

    def _text_probabilities(self, products: Sequence[Prepared]) -> np.ndarray:
        """Apply the text ensemble to the products that have text."""
        found = np.full((len(products), NUM_CATEGORIES), np.nan, np.float32)
        rows = [row for row, one in enumerate(products) if one.title or one.description]
        if not rows or not self._uses("text"):
            return found
        parts = [rows[start : start + PART] for start in range(0, len(rows), PART)]
        chosen = [[products[row] for row in part] for part in parts]
        vectors = encoders.in_threads(self.text_vectors, chosen, threads=self._threads)
        for part, members, encoded in zip(parts, chosen, vectors, strict=True):
            titles, descriptions = ([getattr(product, k) for product in members] for k in TEXTS)
            texts = Texts(np.array(part), titles, descriptions, encoded)
            found[part] = self._text.probabilities(texts)
        return found

    def _image_probabilities(self, products: Sequence[Prepared]) -> np.ndarray:
        """Apply the image ensemble to the products that have an image."""
        found = np.full((len(products), NUM_CATEGORIES), np.nan, np.float32)
        rows = [row for row, one in enumerate(products) if one.image or one.features]
        if rows and self._uses("image"):
            chosen = [products[row] for row in rows]
            encoded = encoders.in_threads(self.encode_image, chosen, threads=self._threads)
            for row, product in zip(rows, encoded, strict=True):
                # One at a time: the order of sums depends on the number of rows.
                views = image_ensemble.views(product.features or {}, np.array([0]))
                found[row] = self._image.probabilities(views)
        return found

    def _uses(self, modality: str) -> bool:
        """Check whether the model uses a modality and its ensemble was trained."""
        trained = self._trained[model_names.named("ensemble", modality)]
        return trained and self.modality in (modality, "fusion")

    @encoders.LoadedOnce
    def _text(self) -> TextEnsemble:
        return text_ensemble.read(self._folder / "text", self._text_settings)

    @encoders.LoadedOnce
    def _image(self) -> image_ensemble.ImageEnsemble:
        return image_ensemble.read(self._folder / "image")

    @encoders.LoadedOnce
    def _text_encoder(self) -> encoders.Encoder[Sequence[str], np.ndarray]:
        spec, path = self._text_spec, self._folder / "text/encoder.onnx"
        return encoders.load(partial(text_encoder.SentenceEncoder, path, spec))

    @encoders.LoadedOnce
    def _image_encoder(self) -> encoders.Encoder[np.ndarray, dict[str, np.ndarray]]:
        path = self._folder / "image/encoder.onnx"
        create = partial(image_encoder.ImageEncoder, path, self._image_spec, threads=self._threads)
        return encoders.load(create)
