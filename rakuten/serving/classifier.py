"""The product classifier: raw titles, descriptions and images in, calibrated categories out.

It uses the text ensemble, the image ensemble and the late fusion that the `package` stage collects,
and prepares products with the same code as training. Each part is loaded when the first product
needs it. The networks are run by ONNX Runtime.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from rakuten import prefetch, storage
from rakuten.categories import CODES, NAMES, NUM_CATEGORIES
from rakuten.image import encoder as image_encoder
from rakuten.image import extraction, preprocessing
from rakuten.models import calibration, image_ensemble, late_fusion, text_ensemble
from rakuten.models.text_ensemble import Settings, TextEnsemble, Texts
from rakuten.serving import encoders, package, rebuilds
from rakuten.text import encoder as text_encoder
from rakuten.text.html import plain_text

TEXTS = ("title", "description")
"""The texts of a product."""

PART = 64
"""Products whose texts are encoded while the text ensemble classifies those before them."""


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
    """A product ready to be classified.

    Attributes:
        title: Plain text.
        description: Plain text.
        image: Pixels and facts of every view, None without an image or with its features.
        features: Of the image, as `ProductClassifier.image_features` returns them for n = 1; None
            if they were not computed yet, see `ProductClassifier.encode_image`.
    """

    title: str
    description: str
    image: preprocessing.Prepared | None
    features: Mapping[str, np.ndarray] | None = None


@dataclass(frozen=True)
class Choice:
    """A category that a product may belong to.

    Attributes:
        code: Its `prdtypecode`.
        name: Its name.
        probability: Calibrated, 0 to 1.
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

    Attributes:
        top: Categories, the most probable first.
        text_contribution: Log-odds, natural logarithm; None without text.
        image_contribution: Log-odds, natural logarithm; None without an image.
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
    """Probabilities of the models for n products, each array float32 (n, 27).

    Attributes:
        text: Of the text ensemble; rows of NaN without text.
        image: Of the image ensemble; rows of NaN without an image.
        fused: Of the late fusion; without both, the shares of the categories in the train part.
    """

    text: np.ndarray
    image: np.ndarray
    fused: np.ndarray


class ProductClassifier:
    """The packaged models; see `load`.

    Attributes:
        folder: Where to read the files of the package: they stay when DVC rebuilds it.
        summary: The content of `package.json`: data, test metrics, settings, prior.
        fusion: The weights by which the late fusion combines text and image.
    """

    def __init__(self, folder: str | Path, summary: Mapping, *, threads: int):
        self.summary = summary
        self._pin, self._threads = rebuilds.Pin(folder), threads
        self.folder = self._pin.folder
        try:
            section = dict(summary["encode_image"])
            for chosen in ("encoder", "precision"):  # the spec describes the network
                section.pop(chosen, None)
            self._image_spec = image_encoder.EncoderSpec.from_json(summary["image_encoder"])
            self._preparation = self._image_spec.preparation(**section)
            self._text_settings = Settings(**summary["text_ensemble"])
            used = summary["text_encoder"]
            self._text_spec = used and text_encoder.EncoderSpec.from_json(used)
        except (KeyError, TypeError) as error:  # a section or one of its keys is missing or unknown
            raise package.OutdatedError(
                folder, f"has other keys than expected ({error})"
            ) from error
        self.fusion = calibration.read(self.folder / "fusion")
        self._prior = np.array(summary["prior"], np.float32)

    @classmethod
    def load(
        cls, folder: str | Path = package.FOLDER, *, threads: int | None = None
    ) -> "ProductClassifier":
        """Open a package; wait for it while DVC rebuilds it.

        Args:
            folder: The output of the `package` stage.
            threads: Number of texts or images that are encoded at the same time; as in training if
                None. The predictions do not depend on it.

        Returns:
            The classifier; its networks are loaded at their first use.

        Raises:
            FileNotFoundError: If there is no package.
            rakuten.serving.package.OutdatedError: If it was made for other categories, or by
                another version of this library.
            TimeoutError: If DVC rebuilds it for too long.
        """

        def load() -> ProductClassifier:
            summary = package.read_summary(folder)
            return cls(folder, summary, threads=threads or summary["threads"])

        return rebuilds.read(folder, load)

    def prepare(self, product: Product) -> Prepared:
        """Prepare a product: remove markup from its texts, decode and crop its image.

        Raises:
            TypeError: If a text is not a str.
            FileNotFoundError: If the image file does not exist.
            rakuten.image.preprocessing.ImageError: If the image cannot be decoded.
        """
        for name in TEXTS:
            value = getattr(product, name)
            if not isinstance(value, str):
                raise TypeError(
                    f'{name} is {type(value).__name__}, expected str: pass "" if it is missing'
                )
        image = None
        if product.image is not None:
            image = preprocessing.prepare(_read_image(product.image), self._preparation)
        return Prepared(plain_text(product.title), plain_text(product.description), image)

    def encode_image(self, product: Prepared) -> Prepared:
        """Replace the pixels of a product by their features, which take less memory.

        Threads may encode the images of several products at the same time. A product without an
        image is returned as it is.
        """
        if product.image is None:
            return product
        features = extraction.compute_features(
            iter([product.image]), 1, self._image_encoder.encode, 1, lambda _: None
        )
        swapped = {kind: np.swapaxes(array, 0, 1) for kind, array in features.items()}
        return replace(product, image=None, features=swapped)

    def warm_up(self) -> None:
        """Load all models now instead of with the first products."""
        self.predict([Product("a"), Product(image=np.zeros((8, 8, 3), np.uint8))])

    def probabilities(self, products: Sequence[Prepared]) -> Probabilities:
        """Compute the probabilities of every model.

        The features of a text or an image do not depend on the other products, and images are
        classified one at a time. Texts are classified together: rounding may change the seventh
        digit of a product's text and fused probabilities with the other products of the batch.
        """
        text = self._text_probabilities(products)
        image = self._image_probabilities(products)
        fused = late_fusion.fuse(self.fusion, text, image)
        fused[np.isnan(fused).any(axis=1)] = self._prior
        return Probabilities(text, image, fused)

    def classify(self, products: Sequence[Prepared], *, top: int = 5) -> list[Prediction]:
        """Classify prepared products.

        Args:
            products: n products; a few hundred at a time bound the memory.
            top: Number of categories to return for each, 1 to 27.

        Returns:
            A prediction for each product, in their order.

        Raises:
            ValueError: If `top` is outside that range.
        """
        if not 1 <= top <= NUM_CATEGORIES:
            raise ValueError(f"top: expected 1 to {NUM_CATEGORIES} categories, received {top}")
        if not products:
            return []
        found = self.probabilities(products)
        best = np.argsort(-found.fused, axis=1, kind="stable")[:, :top]
        highest = np.take_along_axis(found.fused, best, axis=1)
        contributions = late_fusion.contributions(self.fusion, found.text, found.image, best[:, 0])
        return [
            Prediction(
                tuple(map(_choice, labels, row)),
                *(None if math.isnan(value) else value for value in values),
            )
            for labels, row, values in zip(
                best.tolist(), highest.tolist(), contributions.tolist(), strict=True
            )
        ]

    def predict(self, products: Iterable[Product], *, top: int = 5) -> list[Prediction]:
        """Prepare and classify products.

        Args:
            products: n products.
            top: Number of categories to return for each, 1 to 27.

        Returns:
            A prediction for each product, in their order.

        Raises:
            TypeError, FileNotFoundError, rakuten.image.preprocessing.ImageError: See `prepare`.
            ValueError: See `classify`.
        """
        return self.classify([self.prepare(product) for product in products], top=top)

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
        encoded = self._in_threads(self.encode_image, products)
        features = [product.features for product in encoded if product.features is not None]
        return {
            kind: np.concatenate([one[kind] for one in features], axis=1) for kind in features[0]
        }

    def _text_probabilities(self, products: Sequence[Prepared]) -> np.ndarray:
        """Apply the text ensemble to the products that have text."""
        found = np.full((len(products), NUM_CATEGORIES), np.nan, np.float32)
        rows = [row for row, one in enumerate(products) if one.title or one.description]
        if not rows or not self.summary["models"]["text"]:
            return found
        parts = [rows[start : start + PART] for start in range(0, len(rows), PART)]
        chosen = [[products[row] for row in part] for part in parts]
        vectors = self._in_threads(self.text_vectors, chosen)
        for part, members, encoded in zip(parts, chosen, vectors, strict=True):
            titles, descriptions = ([getattr(product, k) for product in members] for k in TEXTS)
            texts = Texts(np.array(part), titles, descriptions, encoded)
            found[part] = self._text.probabilities(texts)
        return found

    def _image_probabilities(self, products: Sequence[Prepared]) -> np.ndarray:
        """Apply the image ensemble to the products that have an image."""
        found = np.full((len(products), NUM_CATEGORIES), np.nan, np.float32)
        rows = [row for row, one in enumerate(products) if one.image or one.features]
        if rows and self.summary["models"]["image"]:
            encoded = self._in_threads(self.encode_image, [products[row] for row in rows])
            for row, product in zip(rows, encoded, strict=True):
                # One at a time: the order of sums depends on the number of rows.
                views = image_ensemble.views(product.features, np.array([0]))
                found[row] = self._image.probabilities(views)
        return found

    def _in_threads(self, function: Callable, items: Sequence) -> Iterator:
        """Apply a function to items in threads; in this thread if there is one item."""
        if len(items) == 1 or self._threads == 1:
            return map(function, items)
        return prefetch.map_in_order(
            function, items, threads=self._threads, buffer_size=2 * self._threads
        )

    @cached_property
    def _text(self) -> TextEnsemble:
        return text_ensemble.read(self.folder / "text", self._text_settings)

    @cached_property
    def _image(self) -> image_ensemble.ImageEnsemble:
        return image_ensemble.read(self.folder / "image")

    @cached_property
    def _text_encoder(self) -> encoders.Encoder[Sequence[str], np.ndarray]:
        spec, path = self._text_spec, self.folder / "text/encoder.onnx"
        return encoders.load(partial(text_encoder.SentenceEncoder, path, spec))

    @cached_property
    def _image_encoder(self) -> encoders.Encoder[np.ndarray, dict[str, np.ndarray]]:
        path = self.folder / "image/encoder.onnx"
        create = partial(image_encoder.ImageEncoder, path, self._image_spec, threads=self._threads)
        return encoders.load(create)


def _read_image(image: bytes | str | Path | np.ndarray) -> bytes | np.ndarray:
    """Convert an image to the input of `preprocessing.prepare`."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise preprocessing.ImageError(
                f"the image is {image.dtype} {image.shape}: expected uint8 (height, width, 3), "
                "RGB; convert it"
            )
        return image
    if not Path(image).is_file():
        raise FileNotFoundError(
            f"{image} is not a file: expected the path, content or pixels of an image"
        )
    return storage.read_bytes(image)


def _choice(label: int, probability: float) -> Choice:
    return Choice(CODES[label], NAMES[CODES[label]], probability)
