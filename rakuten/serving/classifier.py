"""The product classifier: raw titles, descriptions and images in, categories out.

It uses one of the models that the `package` stage collects: the late fusion of the ensembles, or
another, see `package.models`. Products are prepared with the same code as in training. Each part is
loaded when the first product needs it. The networks are run by ONNX Runtime and NumPy.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from rakuten import model_names, storage
from rakuten.categories import CODES, NUM_CATEGORIES
from rakuten.category_names import category
from rakuten.data.examples import Features
from rakuten.image import encoder as image_encoder
from rakuten.image import extraction, preprocessing
from rakuten.models import text_ensemble
from rakuten.serving import package, rebuilds
from rakuten.serving.ensembles import Ensembles
from rakuten.serving.interface import (
    TEXTS,
    Choice,
    Model,
    Prediction,
    Prepared,
    Probabilities,
    Product,
)
from rakuten.text import encoder as text_encoder
from rakuten.text.html import plain_text

SECTIONS: dict[str, Callable] = {
    "encode_image": partial(
        image_encoder.EncoderSpec.preparation,
        None,  # type: ignore[arg-type]  # the arguments do not depend on the encoder
    ),
    "image_encoder": image_encoder.EncoderSpec,
    "text_encoder": text_encoder.EncoderSpec,
    "text_ensemble": text_ensemble.Settings,
    "extract": extraction.Settings,
    "backbone": image_encoder.EncoderSpec,
}
"""Sections of a package's summary, and the functions whose arguments they hold."""

KEYS = {*SECTIONS, "clean", "vectorize", "threads", "prior"}
"""What a package's summary needs besides what `package.read_summary` checks."""


class ProductClassifier:
    """A model of a package; see `load`.

    Attributes:
        folder: Where to read the files of the package: they stay when DVC rebuilds it.
        summary: The content of `package.json`: data, models, test metrics, settings, prior.
        model_name: Name of the model.
        model: The model: `rakuten.serving.ensembles.Ensembles` or `study_nets.StudyNets`.
    """

    def __init__(
        self, folder: str | Path, summary: Mapping, *, model: str, threads: int | None = None
    ):
        package.check_model(folder, summary, model)
        _check_keys(folder, summary)
        self.summary, self.model_name = summary, model
        self._pin = rebuilds.Pin(folder)
        self.folder = self._pin.folder
        self.model = _open(self.folder, summary, model=model, threads=threads or summary["threads"])

    @classmethod
    def load(
        cls,
        folder: str | Path = package.FOLDER,
        *,
        model: str = package.DEFAULT_MODEL,
        threads: int | None = None,
    ) -> "ProductClassifier":
        """Open a package; wait for it while DVC rebuilds it.

        Args:
            folder: The output of the `package` stage.
            model: Name of the model, one of `package.models`. The ensembles were refitted, usually
                on all labelled products; the study's nets are those that `evaluate` measured.
            threads: Number of texts or images that are encoded at the same time; as in training if
                None. The predictions do not depend on it.

        Returns:
            The classifier; its networks are loaded at their first use.

        Raises:
            FileNotFoundError: If there is no package.
            rakuten.serving.package.OutdatedError: If it was made for other categories, or by
                another version of this library.
            rakuten.serving.package.ModelError: If it does not have the model.
            TimeoutError: If DVC rebuilds it for too long.
        """

        def load() -> ProductClassifier:
            summary = package.read_summary(folder)
            return cls(folder, summary, model=model, threads=threads)

        return rebuilds.read(folder, load)

    def prepare(self, product: Product) -> Prepared:
        """Prepare a product: remove markup from its texts, decode and crop its image.

        What the model does not use is left out. A product prepared for one model is not for
        another.

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
        modality, image = self.model.modality, None
        if modality == "image":
            product = replace(product, title="", description="")
        if product.image is not None and modality != "text":
            image = preprocessing.prepare(_read_image(product.image), self.model.preparation)
        return Prepared(plain_text(product.title), plain_text(product.description), image)

    def encode_image(self, product: Prepared) -> Prepared:
        """Replace the pixels of a product by their features, which take less memory.

        Threads may encode the images of several products at the same time. A product without an
        image is returned as it is.
        """
        return self.model.encode_image(product)

    def warm_up(self) -> None:
        """Load all parts of the model now instead of with the first products."""
        self.predict([Product("a"), Product(image=np.zeros((8, 8, 3), np.uint8))])

    def probabilities(self, products: Sequence[Prepared]) -> Probabilities:
        """Compute the probabilities of the model, and of its text and image sides.

        The features of a text or an image do not depend on the other products. Rounding may change
        the seventh digit of a product's probabilities with the other products of the batch.
        """
        return self.model.probabilities(products)

    def from_features(
        self,
        *,
        text: Features | None = None,
        image: np.ndarray | None = None,
        text_present: np.ndarray | None = None,
        image_present: np.ndarray | None = None,
    ) -> np.ndarray:
        """Predict with one of the study's nets from the features that it was trained on.

        This is how to predict many products: tens of thousands in a second. A product that lacks a
        modality is handled as in training, if `text_present` or `image_present` says so. Rows of
        zeros alone do not: a text without known terms has such a row, too.

        Args:
            text: TF-IDF float32 (n, d), dense or CSR, as the stage `vectorize` writes; None if no
                product has text, or the net does not use it.
            image: VGG16 features float32 (n, 512), as the stage `extract` writes, of the same
                products; None likewise.
            text_present: bool (n,), which products have text, `present` of the same stage; all if
                None.
            image_present: bool (n,), which products have an image, likewise.

        Returns:
            Probabilities float32 (n, 27), without anything that the net uses the shares of the
            categories in the train part.

        Raises:
            ValueError: If the model is an ensemble, if the features are not those of its
                modalities, or if shapes or the type of a mask do not fit.
        """
        features = {"text": text, "image": image}
        present = {"text": text_present, "image": image_present}
        return self.model.from_features(
            {side: x for side, x in features.items() if x is not None},
            {side: mask for side, mask in present.items() if mask is not None},
        )

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
        contributions = self.model.contributions(found, best[:, 0])
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


def _check_keys(folder: str | Path, summary: Mapping) -> None:
    """Refuse a package whose settings another version of this library wrote."""
    if missing := sorted(KEYS - summary.keys()):
        raise package.OutdatedError(folder, f"has other keys than expected (no {missing[0]})")
    for section, create in SECTIONS.items():
        if summary[section] is None:  # a network that is not in the package
            continue
        values = summary[section]
        if section == "encode_image":
            values = image_encoder.preparation_options(values)
        try:
            inspect.signature(create).bind(**values)
        except TypeError as error:
            reason = f"has other keys than expected in {section} ({error})"
            raise package.OutdatedError(folder, reason) from error


def _open(folder: Path, summary: Mapping, *, model: str, threads: int) -> Model:
    """Open a model; its networks are loaded at their first use."""
    if model in model_names.ENSEMBLES:
        return Ensembles(folder, summary, model=model, threads=threads)
    from rakuten.serving import study_nets  # imported lazily: NLTK and scikit-learn take seconds

    return study_nets.StudyNets(folder, summary, model=model, threads=threads)


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
    return Choice(code, category(code, "fr"), probability)
