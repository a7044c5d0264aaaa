"""The product classifier: raw titles, descriptions and pictures in, calibrated categories out.

It is put together from the best text, image and fusion models by the `package` stage and goes
through the very code that prepared their training. What a product needs is loaded when the first
one comes that needs it: TensorFlow only for a picture.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from rakuten import storage
from rakuten.categories import CODES, NAMES, NUM_CATEGORIES
from rakuten.image import extraction, preprocessing
from rakuten.models import calibration, image_ensemble, late_fusion, text_ensemble
from rakuten.models.text_ensemble import Settings, Texts
from rakuten.text import encoder as sentences  # before TensorFlow: see rakuten.text.encoder
from rakuten.text.html import plain_text

PACKAGE = Path("build/package")
"""Where the `package` stage writes what the classifier needs."""

MODALITIES = ("text", "image")
"""In the order of the fusion's weights."""


@dataclass(frozen=True)
class Product:
    """A product as a seller gives it; what is missing is left out.

    Attributes:
        title: With or without HTML.
        description: With or without HTML.
        image: A whole picture file as bytes, its path, or uint8 (height, width, 3), RGB.
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
        picture: Pixels uint8 (views, size, size, 3) and facts, None without a picture.
    """

    title: str
    description: str
    picture: tuple[np.ndarray, preprocessing.Facts] | None


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
    """What the classifier says of a product.

    Attributes:
        top: Categories, the most probable first.
        text: Nats by which the text speaks for the first of them rather than for the average
            category, as the fusion weighs it; below 0 it speaks against. None without a text.
        image: Likewise the picture.
    """

    top: tuple[Choice, ...]
    text: float | None
    image: float | None

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
    """What the models say of n products, each array float32 (n, 27).

    Attributes:
        text: The text model's; rows of NaN without a text.
        image: The image model's; rows of NaN without a picture.
        fused: The fusion's; without either, the categories' shares in the train part.
    """

    text: np.ndarray
    image: np.ndarray
    fused: np.ndarray


class ProductClassifier:
    """The packaged models; see `load`.

    Attributes:
        summary: What `package.json` says: data, test figures, settings, prior.
    """

    def __init__(self, folder: str | Path, summary: Mapping, *, threads: int):
        self.summary = summary
        self._folder, self._threads = Path(folder), threads
        self._settings = extraction.Settings(**summary["extract"])
        self._pool = calibration.read(self._folder / "fusion")
        self._prior = np.array(summary["prior"], np.float32)

    @classmethod
    def load(
        cls, folder: str | Path = PACKAGE, *, threads: int | None = None
    ) -> "ProductClassifier":
        """Open a package.

        Args:
            folder: What the `package` stage wrote.
            threads: Threads of the networks, those of the training if None. More or fewer add sums
                in another order.

        Raises:
            FileNotFoundError: If there is no package.
            ValueError: If it is of other categories.
        """
        path = Path(folder) / "package.json"
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there: run 'dvc repro package'")
        summary = storage.read_json(path)
        if tuple(summary["categories"]) != CODES:
            raise ValueError(
                f"{path} is of {len(summary['categories'])} categories, not the {NUM_CATEGORIES} "
                "of rakuten.categories.CODES: run 'dvc repro package'"
            )
        return cls(folder, summary, threads=threads or summary["threads"])

    def prepare(self, product: Product) -> Prepared:
        """Read a product: take markup off its texts, decode and crop its picture.

        Raises:
            TypeError: If a text is no str.
            FileNotFoundError: If the picture's file is not there.
            rakuten.image.preprocessing.ImageError: If the picture cannot be decoded.
        """
        for name in ("title", "description"):
            value = getattr(product, name)
            if not isinstance(value, str):
                raise TypeError(
                    f'{name} is {type(value).__name__}, expected str: give "" where it is missing'
                )
        picture = None
        if product.image is not None:
            picture = extraction.prepare(_read_picture(product.image), self._settings)
        return Prepared(plain_text(product.title), plain_text(product.description), picture)

    def probabilities(self, products: Sequence[Prepared]) -> Probabilities:
        """Let every model judge products; one of them is as good as any number."""
        by_text = self._of_texts(products)
        by_image = self._of_pictures(products)
        fused = late_fusion.fuse(self._pool, by_text, by_image)
        fused[np.isnan(fused).any(axis=1)] = self._prior
        return Probabilities(by_text, by_image, fused)

    def classify(self, products: Sequence[Prepared], *, top: int = 5) -> list[Prediction]:
        """Classify prepared products.

        Args:
            products: n products; some hundred at a time bound the memory.
            top: Categories to name for each, 1 to 27.

        Returns:
            A prediction for each, in their order.

        Raises:
            ValueError: If `top` is outside that range.
        """
        if not 1 <= top <= NUM_CATEGORIES:
            raise ValueError(f"top: expected 1 to {NUM_CATEGORIES} categories, received {top}")
        if not products:
            return []
        said = self.probabilities(products)
        best = np.argsort(-said.fused, axis=1, kind="stable")[:, :top]
        shares = [
            _contributions(values, weight, best[:, 0])
            for values, weight in zip((said.text, said.image), self._pool.weights, strict=True)
        ]
        return [
            Prediction(tuple(_choice(label, row[label]) for label in labels), *parts)
            for labels, row, *parts in zip(best, said.fused, *shares, strict=True)
        ]

    def predict(self, products: Iterable[Product], *, top: int = 5) -> list[Prediction]:
        """Prepare and classify products.

        Args:
            products: n products.
            top: Categories to name for each, 1 to 27.

        Returns:
            A prediction for each, in their order.

        Raises:
            TypeError, FileNotFoundError, rakuten.image.preprocessing.ImageError: As `prepare`.
            ValueError: As `classify`.
        """
        return self.classify([self.prepare(product) for product in products], top=top)

    def _of_texts(self, products: Sequence[Prepared]) -> np.ndarray:
        """Let the text model judge those that have a text."""
        found = np.full((len(products), NUM_CATEGORIES), np.nan, np.float32)
        rows = [row for row, one in enumerate(products) if one.title or one.description]
        if rows and self.summary["models"]["text"]:
            titles = [products[row].title for row in rows]
            bodies = [products[row].description for row in rows]
            vectors = self._vectors({"title": titles, "description": bodies})
            texts = Texts(np.array(rows), titles, bodies, vectors)
            found[rows] = self._text.probabilities(texts)
        return found

    def _of_pictures(self, products: Sequence[Prepared]) -> np.ndarray:
        """Let the image model judge those that have a picture."""
        found = np.full((len(products), NUM_CATEGORIES), np.nan, np.float32)
        rows = [row for row, one in enumerate(products) if one.picture]
        if rows and self.summary["models"]["image"]:
            import pandas as pd  # texts do without

            pictures = iter([products[row].picture for row in rows])
            size = self._settings.batch_size
            features = extraction.compute_features(
                pictures, len(rows), self._network, size, lambda _: None
            )
            facts = pd.DataFrame(features["facts"], columns=preprocessing.Facts._fields)
            views = image_ensemble.views(features, facts, np.arange(len(rows)))
            found[rows] = self._image.probabilities(views)
        return found

    def _vectors(self, kinds: Mapping[str, list[str]]) -> dict[str, np.ndarray]:
        """Encode texts in several threads: ONNX Runtime lets go of the interpreter."""
        encoder = self.summary["encode"]["encoder"]
        if encoder == "none":
            return {}
        try:
            network = self._encoder
        except (
            sentences.ImportOrderError
        ):  # the caller loaded TensorFlow first: a process of its own, then
            path = self._folder / "encoder.onnx"
            return sentences.encode(path, kinds, encoder=encoder, threads=1)
        with ThreadPoolExecutor(self._threads) as workers:
            found = {}
            for kind, texts in kinds.items():
                parts = np.array_split(np.array(texts, dtype=object), self._threads)
                found[kind] = np.concatenate(list(workers.map(network.encode, parts)))
            return found

    @cached_property
    def _text(self):
        """The text model."""
        settings = Settings(**self.summary["text_ensemble"])
        return text_ensemble.read(self._folder / "text", settings)

    @cached_property
    def _image(self):
        """The image model."""
        return image_ensemble.read(self._folder / "image")

    @cached_property
    def _encoder(self) -> sentences.SentenceEncoder:
        """The sentence encoder."""
        return sentences.SentenceEncoder(self._folder / "encoder.onnx")

    @cached_property
    def _network(self) -> extraction.Extractor:
        """The convolutions."""
        from rakuten import determinism  # TensorFlow, which texts do without
        from rakuten.image import backbones

        determinism.configure(seed=0, threads=self._threads)
        weights = storage.read_arrays(self._folder / "backbone.npz")
        return backbones.extractor(
            self._settings.backbone,
            weights,
            size=self._settings.size,
            precision=self._settings.precision,
        )


def _read_picture(image: bytes | str | Path | np.ndarray) -> bytes | np.ndarray:
    """Bring a picture to what `preprocessing.prepare` takes."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise preprocessing.ImageError(
                f"the picture is {image.dtype} {image.shape}: expected uint8 (height, width, 3), "
                "RGB; convert it"
            )
        return image
    if not Path(image).is_file():
        raise FileNotFoundError(
            f"{image} is no file: expected a picture's path, its bytes or its pixels"
        )
    return storage.read_bytes(image)


def _contributions(
    probabilities: np.ndarray, weight: float, labels: np.ndarray
) -> list[float | None]:
    """Weigh what a modality says for a category against the average one, None if it is silent."""
    logs = calibration.log_probabilities(probabilities)
    spoken = weight * (logs[np.arange(len(labels)), labels] - logs.mean(axis=1))
    return [None if np.isnan(value) else float(value) for value in spoken]


def _choice(label: int, probability: float) -> Choice:
    """Name a category."""
    return Choice(CODES[label], NAMES[CODES[label]], float(probability))
