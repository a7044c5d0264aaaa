"""The product classifier: raw titles, descriptions and images in, calibrated categories out.

It uses the text ensemble, the image ensemble and the late fusion that the `package` stage collects,
and prepares products with the same code as training. Each part is loaded when the first product
needs it. The networks are run by ONNX Runtime.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from rakuten import storage
from rakuten.categories import CODES, NUM_CATEGORIES
from rakuten.category_names import category
from rakuten.image import encoder as image_encoder
from rakuten.image import extraction, preprocessing
from rakuten.models import calibration, image_ensemble, late_fusion, text_ensemble
from rakuten.models.text_ensemble import Settings, TextEnsemble, Texts
from rakuten.serving import encoders, package, rebuilds
from rakuten.text import encoder as text_encoder
from rakuten.text.html import plain_text

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
    """A product ready to be classified.

    Attributes:
        title: Plain text.
        description: Plain text.
        image: Pixels and facts of every view, None without an image.
    """

    title: str
    description: str
    image: preprocessing.Prepared | None


@dataclass(frozen=True)
class Choice:
    """A category that a product may belong to.

    Attributes:
        code: Its `prdtypecode`.
        name: Its name in French.
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
            section = {name: v for name, v in summary["encode_image"].items() if name != "encoder"}
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

    def probabilities(self, products: Sequence[Prepared]) -> Probabilities:
        """Compute the probabilities of every model.

        Texts and images are encoded one at a time, and images are classified one at a time. Texts
        are classified together: rounding may change the seventh digit of a product's text and fused
        probabilities with the other products of the batch.
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
        contributions = late_fusion.contributions(
            self.fusion, found.text, found.image, best[:, 0]
        ).tolist()
        return [
            Prediction(
                tuple(_choice(label, row[label]) for label in labels),
                *(None if np.isnan(value) else value for value in values),
            )
            for labels, row, values in zip(best, found.fused, contributions, strict=True)
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
        kinds = {name: [getattr(product, name) for product in products] for name in TEXTS}
        with ThreadPoolExecutor(self._threads) as workers:
            found = {}
            for kind, texts in kinds.items():
                parts = np.array_split(np.array(texts, dtype=object), self._threads)
                found[kind] = np.concatenate(list(workers.map(self._text_encoder.encode, parts)))
            return found

    def image_features(self, products: Sequence[Prepared]) -> dict[str, np.ndarray]:
        """Encode images.

        Args:
            products: n products with an image, at least one.

        Returns:
            "average", "middle_1" and so on float16 (v, n, width), and "facts" float64 (v, n, fields
            of `rakuten.image.preprocessing.Facts`), of each of the v views.
        """
        images = [product.image for product in products if product.image is not None]
        encode, batch = self._image_encoder.encode, image_encoder.BATCH
        features = extraction.compute_features(
            iter(images), len(images), encode, batch, lambda _: None
        )
        return {kind: np.swapaxes(array, 0, 1) for kind, array in features.items()}

    def _text_probabilities(self, products: Sequence[Prepared]) -> np.ndarray:
        """Apply the text ensemble to the products that have text."""
        found = np.full((len(products), NUM_CATEGORIES), np.nan, np.float32)
        rows = [row for row, one in enumerate(products) if one.title or one.description]
        if rows and self.summary["models"]["text"]:
            chosen = [products[row] for row in rows]
            titles, descriptions = ([getattr(p, k) for p in chosen] for k in TEXTS)
            vectors = self.text_vectors(chosen)
            texts = Texts(np.array(rows), titles, descriptions, vectors)
            found[rows] = self._text.probabilities(texts)
        return found

    def _image_probabilities(self, products: Sequence[Prepared]) -> np.ndarray:
        """Apply the image ensemble to the products that have an image."""
        found = np.full((len(products), NUM_CATEGORIES), np.nan, np.float32)
        rows = [row for row, one in enumerate(products) if one.image is not None]
        if rows and self.summary["models"]["image"]:
            features = self.image_features([products[row] for row in rows])
            for position, row in enumerate(rows):  # one by one: the order of sums depends on n
                views = image_ensemble.views(features, np.array([position]))
                found[row] = self._image.probabilities(views)
        return found

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
    code = CODES[label]
    return Choice(code, category(code, "fr"), float(probability))
