"""The classifier behind the page: loaded once, one call at a time, answers kept.

`rakuten.serving.classifier` is imported before anything can load TensorFlow: see `rakuten.text.encoder`.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from demo.paths import PACKAGE, POOLED, VECTORS
from rakuten import storage
from rakuten.image import extraction
from rakuten.serving import classifier as classifiers  # before TensorFlow
from rakuten.serving import explanation, neighbours
from rakuten.serving.classifier import Prediction, Prepared, Probabilities, Product
from rakuten.text import encoder

KEPT = 64
"""Answers held in memory, the latest; one takes some 200 KB."""

SIMILAR = 4
"""Similar products to show of each kind."""


@dataclass
class Answer:
    """What the model says of a product, and its reasons as they become known.

    Attributes:
        prediction: Categories and shares of text and picture.
        prepared: The product as the model read it.
        said: What each model says: one row.
        words: Effects of words, None until asked for.
        regions: Effects of parts of the picture (grid, grid), None until asked for.
        similar: By "text" and "image": ids of similar train products and their similarities.
    """

    prediction: Prediction
    prepared: Prepared
    said: Probabilities
    words: list[explanation.WordEffect] | None = None
    regions: np.ndarray | None = None
    similar: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


class Locked:
    """The classifier, one call at a time: its parts load at their first use."""

    def __init__(self, found: classifiers.ProductClassifier):
        self._found, self._lock = found, threading.RLock()
        self.summary, self.fusion = found.summary, found.fusion

    def prepare(self, product: Product) -> Prepared:
        """Read a product; needs no lock."""
        return self._found.prepare(product)

    def classify(self, products: Sequence[Prepared], *, top: int) -> list[Prediction]:
        """Classify prepared products."""
        with self._lock:
            return self._found.classify(products, top=top)

    def probabilities(self, products: Sequence[Prepared]) -> Probabilities:
        """Let every model judge products."""
        with self._lock:
            return self._found.probabilities(products)


class Engine:
    """The packaged models and the vectors of the train part, shared by every visitor.

    Args:
        train: int64 ids of the train part.
    """

    def __init__(self, train: np.ndarray):
        self._classifier = Locked(classifiers.ProductClassifier.load(PACKAGE))
        self._settings = extraction.Settings(**self._classifier.summary["extract"])
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._encoder = self._network = None
        vectors, pooled = storage.read_arrays(VECTORS), storage.read_arrays(POOLED)
        ids = vectors.pop("ids")
        rows = np.isin(ids, train)
        self._texts, self._text_ids = {kind: v[rows] for kind, v in vectors.items()}, ids[rows]
        shown = np.isin(pooled["ids"], train) & pooled["present"]
        self._pictures, self._picture_ids = pooled["grid"][0][shown], pooled["ids"][shown]
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    @property
    def crops_borders(self) -> bool:
        """Whether the network sees pictures without their white border."""
        return self._settings.crop_borders

    def _warm_up(self) -> None:
        """Load every network, so that the first visitor need not wait for it."""
        blank = np.full((64, 64, 3), 200, np.uint8)
        prepared = self._classifier.prepare(Product("piscine", "", blank))
        answer = Answer(*self._judge(prepared))
        for kind in ("text", "image"):
            self.similar(answer, kind)

    def _judge(self, prepared: Prepared) -> tuple[Prediction, Prepared, Probabilities]:
        """Classify a product and keep what each model says."""
        (prediction,) = self._classifier.classify([prepared], top=5)
        return prediction, prepared, self._classifier.probabilities([prepared])

    def answer(self, title: str, description: str, picture: bytes | None) -> Answer:
        """Classify a product, or recall what was said of it.

        Raises:
            rakuten.image.preprocessing.ImageError: If the picture cannot be decoded.
        """
        key = _key(title, description, picture)
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
        prepared = self._classifier.prepare(Product(title, description, picture))
        answer = Answer(*self._judge(prepared))
        with self._lock:
            self._answers[key] = answer
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        return answer

    def words(self, answer: Answer) -> list[explanation.WordEffect]:
        """Say which words counted."""
        if answer.words is None:
            answer.words = explanation.word_effects(self._classifier, answer.prepared, answer.said)
        return answer.words

    def regions(self, answer: Answer, advance: Callable[[int, int], object]) -> np.ndarray:
        """Say which parts of the picture counted; takes seconds the first time."""
        if answer.regions is None:
            answer.regions = explanation.region_effects(
                self._classifier, answer.prepared, answer.said, advance=advance
            )
        return answer.regions

    def similar(self, answer: Answer, kind: str) -> list[tuple[int, float]]:
        """Find train products like it, by "text" or by "image"; none if it lacks that."""
        if kind not in answer.similar:
            find = {"text": self._similar_texts, "image": self._similar_pictures}[kind]
            with self._lock:
                answer.similar[kind] = find(answer.prepared)
        return answer.similar[kind]

    def _similar_texts(self, prepared: Prepared) -> list[tuple[int, float]]:
        """Compare sentence vectors."""
        texts = {"title": prepared.title, "description": prepared.description}
        if not any(texts.values()) or not self._texts:
            return []
        if self._encoder is None:
            self._encoder = encoder.SentenceEncoder(PACKAGE / "encoder.onnx")
        query = {kind: self._encoder.encode([text])[0] for kind, text in texts.items()}
        found = neighbours.nearest(query, self._texts, count=SIMILAR)
        return _pairs(self._text_ids, *found)

    def _similar_pictures(self, prepared: Prepared) -> list[tuple[int, float]]:
        """Compare what the convolutions see in four quarters; the classifier has set threads."""
        if prepared.image is None or not len(self._pictures):
            return []
        if self._network is None:
            from rakuten.image import backbones  # TensorFlow, which texts do without

            self._network = backbones.extractor(
                self._settings.backbone,
                storage.read_arrays(PACKAGE / "backbone.npz"),
                size=self._settings.size,
                precision=self._settings.precision,
            )
        seen = self._network(prepared.image[0][:1])["grid"][0]
        found = neighbours.nearest({"grid": seen}, {"grid": self._pictures}, count=SIMILAR)
        return _pairs(self._picture_ids, *found)


def _key(title: str, description: str, picture: bytes | None) -> str:
    """Name a product by its content."""
    parts = (title.encode(), description.encode(), b"" if picture is None else picture)
    return "-".join(hashlib.md5(part, usedforsecurity=False).hexdigest() for part in parts)


def _pairs(ids: np.ndarray, rows: np.ndarray, values: np.ndarray) -> list[tuple[int, float]]:
    """Name the products of rows."""
    return [(int(ids[row]), float(value)) for row, value in zip(rows, values, strict=True)]
