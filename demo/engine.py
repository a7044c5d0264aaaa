"""The classifier behind the page: loaded once, called by one thread at a time, answers cached."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from demo.paths import FEATURES, PACKAGE, VECTORS
from rakuten import storage
from rakuten.model_names import STUDY
from rakuten.serving import explanation, neighbours, package
from rakuten.serving.classifier import (
    Prediction,
    Prepared,
    Probabilities,
    Product,
    ProductClassifier,
)

MAX_ANSWERS = 64
"""Answers in the cache, the latest ones; each takes up to 1 MB, the pixels of its image."""

NUM_SIMILAR = 4
"""Similar products to find for each kind."""


@dataclass
class Answer:
    """The prediction for a product, and its explanation once it is computed.

    Attributes:
        prediction: Categories and contributions of text and image.
        prepared: The prepared product.
        probabilities: The output of each model: one row.
        encoded: The prepared product with the features of its image in place of pixels.
        words: Effects of words, None until computed.
        regions: Effects of regions of the image (grid, grid), None until computed.
        similar: By "text" and "image": ids of similar train products and their similarities.
        others: The predictions of other models by name, computed when they are asked for.
    """

    prediction: Prediction
    prepared: Prepared
    probabilities: Probabilities
    encoded: Prepared
    words: list[explanation.WordEffect] | None = None
    regions: np.ndarray | None = None
    similar: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    others: dict[str, Prediction] = field(default_factory=dict)


class LockedClassifier:
    """The classifier, called by one thread at a time: its parts load at their first use."""

    def __init__(self, classifier: ProductClassifier):
        self._classifier, self._lock = classifier, threading.RLock()
        self.folder, self.summary = classifier.folder, classifier.summary
        self.fusion = classifier.model.fusion

    def prepare(self, product: Product) -> Prepared:
        """Prepare a product; this needs no lock."""
        return self._classifier.prepare(product)

    def encode_image(self, product: Prepared) -> Prepared:
        """Replace the pixels of a product by their features."""
        with self._lock:
            return self._classifier.encode_image(product)

    def classify(self, products: Sequence[Prepared], *, top: int) -> list[Prediction]:
        """Classify prepared products."""
        with self._lock:
            return self._classifier.classify(products, top=top)

    def probabilities(self, products: Sequence[Prepared]) -> Probabilities:
        """Compute the probabilities of every model."""
        with self._lock:
            return self._classifier.probabilities(products)

    def text_vectors(self, product: Prepared) -> dict[str, np.ndarray]:
        """Encode the texts of a product: "title" and "description" (width,)."""
        with self._lock:
            vectors = self._classifier.model.text_vectors([product])
        return {kind: rows[0] for kind, rows in vectors.items()}

    def image_features(self, product: Prepared) -> np.ndarray:
        """Return the features of the first view of a product's image, (width,)."""
        with self._lock:
            return self._classifier.model.image_features([product])["average"][0, 0]


class Engine:
    """The packaged models and the vectors of the train part, shared by all visitors.

    Args:
        train: int64 ids of the train part.
        root: The repository, or links to its files.
    """

    def __init__(self, train: np.ndarray, root: Path):
        self._classifier = LockedClassifier(ProductClassifier.load(root / PACKAGE))
        self._lock, self._others_lock = threading.Lock(), threading.Lock()
        self._others: dict[str, ProductClassifier] = {}
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        vectors, features = (storage.read_arrays(root / path) for path in (VECTORS, FEATURES))
        ids = vectors.pop("ids")
        rows = np.isin(ids, train)
        self._text_vectors, self._text_ids = (
            {kind: v[rows] for kind, v in vectors.items()},
            ids[rows],
        )
        shown = np.isin(features["ids"], train) & features["present"]
        self._image_vectors, self._image_ids = features["average"][0][shown], features["ids"][shown]
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    @property
    def crops_borders(self) -> bool:
        """Whether the first crop that the network sees is the product without its white border."""
        return "product" in self._classifier.summary["encode_image"]["crops"]

    @property
    def others(self) -> tuple[str, ...]:
        """The models of the package besides the one that answers first."""
        models = package.models(self._classifier.summary)
        return tuple(name for name in models if name != package.DEFAULT_MODEL)

    def fitted_on(self, name: str) -> str:
        """Return the rows that a model was fitted on: "all" or "train"."""
        return "train" if name in STUDY else str(self._classifier.summary["fitted_on"]["rows"])

    def _warm_up(self) -> None:
        """Load every network, so that the first visitor does not wait for it."""
        blank = np.full((64, 64, 3), 200, np.uint8)
        prepared = self._classifier.prepare(Product("piscine", "", blank))
        answer = self._classify(prepared)
        for kind in ("text", "image"):
            self.similar(answer, kind)

    def _classify(self, prepared: Prepared) -> Answer:
        """Classify a product, with the probabilities of each model."""
        encoded = self._classifier.encode_image(prepared)
        (prediction,) = self._classifier.classify([encoded], top=5)
        return Answer(prediction, prepared, self._classifier.probabilities([encoded]), encoded)

    def answer(self, title: str, description: str, image: bytes | None) -> Answer:
        """Classify a product, or take the answer from the cache.

        Raises:
            rakuten.image.preprocessing.ImageError: If the image cannot be decoded.
        """
        key = _key(title, description, image)
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
        prepared = self._classifier.prepare(Product(title, description, image))
        answer = self._classify(prepared)
        with self._lock:
            self._answers[key] = answer
            while len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)
        return answer

    def other(self, name: str, answer: Answer, product: Product) -> Prediction:
        """Classify the product of an answer with another model, or take it from the answer.

        Args:
            name: One of `others`.
            answer: The answer.
            product: Its product.
        """
        if name not in answer.others:
            with self._others_lock:
                if name not in self._others:  # from the links of the first: DVC may rebuild
                    folder = self._classifier.folder
                    self._others[name] = ProductClassifier.load(folder, model=name)
                (answer.others[name],) = self._others[name].predict([product], top=5)
        return answer.others[name]

    def word_effects(self, answer: Answer) -> list[explanation.WordEffect]:
        """Compute the effects of words."""
        if answer.words is None:
            answer.words = explanation.word_effects(
                self._classifier, answer.prepared, answer.probabilities
            )
        return answer.words

    def region_effects(self, answer: Answer, advance: Callable[[int, int], object]) -> np.ndarray:
        """Compute the effects of regions of the image; takes seconds the first time."""
        if answer.regions is None:
            answer.regions = explanation.region_effects(
                self._classifier, answer.prepared, answer.probabilities, advance=advance
            )
        return answer.regions

    def similar(self, answer: Answer, kind: str) -> list[tuple[int, float]]:
        """Find similar train products by "text" or by "image"; none if the product lacks it."""
        if kind not in answer.similar:
            find = {"text": self._similar_texts, "image": self._similar_images}[kind]
            answer.similar[kind] = find(answer.encoded)
        return answer.similar[kind]

    def _similar_texts(self, encoded: Prepared) -> list[tuple[int, float]]:
        """Find products by their sentence vectors."""
        if not (encoded.title or encoded.description) or not self._text_vectors:
            return []
        query = self._classifier.text_vectors(encoded)
        found = neighbours.nearest(query, self._text_vectors, count=NUM_SIMILAR)
        return _pairs(self._text_ids, *found)

    def _similar_images(self, encoded: Prepared) -> list[tuple[int, float]]:
        """Find products by their image features."""
        if encoded.features is None or not len(self._image_vectors):
            return []
        query = {"image": self._classifier.image_features(encoded)}
        found = neighbours.nearest(query, {"image": self._image_vectors}, count=NUM_SIMILAR)
        return _pairs(self._image_ids, *found)


def _key(title: str, description: str, image: bytes | None) -> str:
    """Hash the content of a product."""
    parts = (title.encode(), description.encode(), b"" if image is None else image)
    return "-".join(hashlib.md5(part, usedforsecurity=False).hexdigest() for part in parts)


def _pairs(ids: np.ndarray, rows: np.ndarray, values: np.ndarray) -> list[tuple[int, float]]:
    """Replace rows by product ids."""
    return [(int(ids[row]), float(value)) for row, value in zip(rows, values, strict=True)]
