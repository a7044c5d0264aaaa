"""The study's nets from a package: raw products, or their features, to probabilities.

The nets run in NumPy and VGG16 in ONNX Runtime: TensorFlow is not needed. Products are prepared as
in the stages `clean`, `vectorize` and `extract`. The nets are those of the stages, fitted on the
train part, so their predictions of test products are those that `evaluate` measured.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import RLock

import numpy as np
from scipy import sparse

from rakuten import model_names, storage
from rakuten.categories import NUM_CATEGORIES
from rakuten.data.examples import Features
from rakuten.image import encoder as image_encoder
from rakuten.image import extraction
from rakuten.models import numpy_nets
from rakuten.serving import encoders, package
from rakuten.serving.interface import Prepared, Probabilities
from rakuten.text import tfidf
from rakuten.text.cleaning import Cleaner

SIDES = ("text", "image")
"""The nets that the fusion net builds on, in the order of its inputs."""


class Backbone(image_encoder.ImageEncoder):
    """VGG16; its features stay float32, as the image net expects them."""

    dtype = np.float32  # type: ignore[assignment]  # the base class infers float16 alone


class StudyNets:
    """One of the study's nets, see `rakuten.serving.interface.Model`.

    A product that lacks a modality is handled as in training: its hidden layer is zeros in the
    input of the fusion net, and the text or image net returns the shares of the categories.

    Args:
        folder: The package.
        summary: The content of `package.json`.
        model: "text", "image" or "fusion".
        threads: Number of images that are encoded at the same time, and of chunks of products that
            a net computes at the same time.

    Attributes:
        modality: "text", "image" or "fusion": what the net uses.
        preparation: How VGG16's images are made.
        loading: Held while a part of the model is loaded.

    """

    def __init__(self, folder: Path, summary: Mapping, *, model: str, threads: int):
        self.modality = model_names.BY_NAME[model].modality
        self.loading = RLock()
        self.preparation = extraction.Settings(**summary["extract"]).preparation
        self._folder, self._threads = folder / package.STUDY, threads
        self._sides = SIDES if self.modality == "fusion" else (self.modality,)
        self._trained = summary["models"]
        self._cleaning, self._vectorizing = summary["clean"], summary["vectorize"]
        used = summary["backbone"]
        self._backbone_spec = used and image_encoder.EncoderSpec.from_json(used)
        self._prior = np.array(summary["prior"], np.float32)

    def encode_image(self, product: Prepared) -> Prepared:
        """Replace the pixels of a product by their features, see `encoders.encode_image`."""
        return encoders.encode_image(product, self._backbone)

    def probabilities(self, products: Sequence[Prepared]) -> Probabilities:
        """Compute the probabilities of the net and, for the fusion net, of the nets below it.

        The features of a text or an image do not depend on the other products. The nets compute
        many products together: rounding may change the seventh digit of a product's probabilities.
        """
        scores = {s: np.full((len(products), NUM_CATEGORIES), np.nan, np.float32) for s in SIDES}
        hidden = {}
        for side in self._sides:
            net, rows = self._nets[side], self._rows(products, side)
            hidden[side] = np.zeros((len(products), net.hidden_units), np.float32)
            if rows:
                features = self._encode(side, [products[row] for row in rows])
                scores[side][rows] = net.probabilities(features, threads=self._threads)
                if self.modality == "fusion":
                    hidden[side][rows] = net.hidden(features, threads=self._threads)
        if self.modality == "fusion":
            inputs = np.concatenate([hidden[side] for side in SIDES], axis=1)
            fused = self._nets["fusion"].probabilities(inputs, threads=self._threads)
        else:
            fused = scores[self.modality].copy()
        missing = np.isnan([scores[side][:, 0] for side in self._sides]).all(axis=0)
        fused[missing] = self._prior
        return Probabilities(scores["text"], scores["image"], fused)

    def contributions(self, found: Probabilities, labels: np.ndarray) -> np.ndarray:
        """Return NaN (n, 2): a net's log-odds are not a sum over text and image."""
        return np.full((len(labels), 2), np.nan)

    def from_features(
        self, features: Mapping[str, Features], present: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Compute probabilities from features, see `ProductClassifier.from_features`."""
        used = self._check_features(features, present)
        net = self._nets[self.modality]
        if self.modality == "fusion":
            fused = net.probabilities(self._hidden(features, used), threads=self._threads)
        else:
            fused = net.probabilities(features[self.modality], threads=self._threads)
        fused[~np.any(list(used.values()), axis=0)] = self._prior
        return fused

    def _check_features(
        self, features: Mapping[str, Features], present: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Check features; return which rows the net uses, bool (n,) of each given modality."""
        if not features or set(features) - set(self._sides):
            raise ValueError(
                f"the {self.modality} net predicts from features of {' and '.join(self._sides)}, "
                f"received those of {' and '.join(features) or 'nothing'}"
            )
        counts = {side: x.shape[0] for side, x in features.items()}
        count = max(counts.values())
        if min(counts.values()) < count:
            raise ValueError(f"features of other numbers of products: {counts}; pass as many rows")
        if missing := sorted(set(present) - set(features)):
            raise ValueError(f"{missing[0]}_present without features: pass {missing[0]} as well")
        used = {}
        for side in features:
            mask = np.asarray(present.get(side, np.ones(count, bool)))
            if mask.dtype != bool or mask.shape != (count,):
                raise ValueError(
                    f"{side}_present is {mask.dtype} {mask.shape}, expected bool ({count},): one "
                    "value for each product"
                )
            used[side] = mask & self._trained[model_names.named("study", side)]
        return used

    def _hidden(
        self, features: Mapping[str, Features], used: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Compute the input of the fusion net, zeros for a modality that is not used."""
        count = len(next(iter(used.values())))
        hidden = np.zeros((count, len(self._nets["fusion"].layers[0][0])), np.float32)
        width = self._nets["text"].hidden_units
        for side, columns in zip(SIDES, (slice(width), slice(width, None)), strict=True):
            if side in used and used[side].any():
                out = hidden[:, columns]
                self._nets[side].hidden(features[side], threads=self._threads, out=out)
                out[~used[side]] = 0
        return hidden

    def _rows(self, products: Sequence[Prepared], side: str) -> list[int]:
        """List the products that have a modality; none if its net is not trained."""
        if not self._trained[model_names.named("study", side)]:
            return []
        if side == "text":
            return [row for row, one in enumerate(products) if one.title or one.description]
        return [row for row, one in enumerate(products) if one.image or one.features]

    def _encode(self, side: str, products: Sequence[Prepared]) -> Features:
        """Compute the features of texts or of images."""
        return self._terms(products) if side == "text" else self._image_features(products)

    def _terms(self, products: Sequence[Prepared]) -> sparse.csr_array:
        """Clean texts and weigh their terms."""
        texts = [f"{one.title} {one.description}".strip() for one in products]
        tokens = self._cleaner.clean_plain(texts)["tokens"]
        chosen = {name: self._vectorizing[name] for name in ("ngram_max", "sublinear_tf")}
        return tfidf.transform(tokens, self._vocabulary, self._idf, **chosen)

    def _image_features(self, products: Sequence[Prepared]) -> np.ndarray:
        """Encode images."""
        encoded = encoders.in_threads(self.encode_image, products, threads=self._threads)
        features = [one.features["average"] for one in encoded if one.features is not None]
        return np.concatenate(features, axis=1)[0]  # (n, 512), of the only view

    @encoders.LoadedOnce
    def _nets(self) -> dict[str, numpy_nets.Net]:
        return {s: numpy_nets.read(self._folder / s) for s in {*self._sides, self.modality}}

    @encoders.LoadedOnce
    def _cleaner(self) -> Cleaner:
        return Cleaner(self._folder / "nltk", **self._cleaning)

    @encoders.LoadedOnce
    def _vocabulary(self) -> list[str]:
        return storage.read_json(self._folder / "text/vocabulary.json")

    @encoders.LoadedOnce
    def _idf(self) -> np.ndarray:
        return storage.read_array(self._folder / "text/idf.npy")

    @encoders.LoadedOnce
    def _backbone(self) -> encoders.Encoder[np.ndarray, dict[str, np.ndarray]]:
        spec, path = self._backbone_spec, self._folder / "image/backbone.onnx"
        return encoders.load(partial(Backbone, path, spec, threads=self._threads))
