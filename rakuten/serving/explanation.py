"""Why the classifier chose a category: what changes when a word or a part of the picture is gone.

An effect is how far the log odds of the first category fall when something is left out, in nats:
above 0 what was left out spoke for the category, below 0 against it. Odds rather than the
probability: where that is near 1 hardly anything would move it, and the surest answers would have
no reasons. All else stays as it is, so that effects hold for one product and do not add up.

Source: occlusion, Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014;
for words, Li et al., "Understanding Neural Networks through Representation Erasure", 2016.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from rakuten.models import calibration, late_fusion

FIELDS = ("title", "description")
"""Where a product's words stand, in the order in which they are read."""

MAX_WORDS = 120
"""Words that are left out in turn; a description may have 1,500, and its start says most."""

GRID = 7
"""Parts of the picture along each side: 32 pixels of VGG16's 224."""

BATCH = 7
"""Pictures judged between two reports of progress."""

_WORD = re.compile(r"\w+(?:['\u2019.,-]\w+)*")


class Said(Protocol):
    """What models say of n products: `rakuten.serving.classifier.Probabilities`."""

    text: np.ndarray
    image: np.ndarray
    fused: np.ndarray


class Product(Protocol):
    """A product ready to be classified: `rakuten.serving.classifier.Prepared`."""

    title: str
    description: str
    picture: tuple[np.ndarray, tuple] | None


class Classifier(Protocol):
    """What is explained: `rakuten.serving.classifier.ProductClassifier`."""

    def probabilities(self, products: Sequence[Product]) -> Said:
        """Let every model judge products."""


@dataclass(frozen=True)
class WordEffect:
    """What one word does.

    Attributes:
        field: One of `FIELDS`.
        start: Position of its first character there.
        end: Position after its last character.
        word: The characters between.
        effect: Nats for the category, below 0 against it.
    """

    field: str
    start: int
    end: int
    word: str
    effect: float


def find_words(text: str) -> list[tuple[int, int]]:
    """Find the words of a text: letters and digits, joined by apostrophe, hyphen, point or comma.

    Args:
        text: Plain text.

    Returns:
        First position and position after the last of each word, in order.
    """
    return [match.span() for match in _WORD.finditer(text)]


def word_effects(
    classifier: Classifier,
    pool: calibration.Calibration,
    product: Product,
    said: Said,
    *,
    max_words: int = MAX_WORDS,
) -> list[WordEffect]:
    """Leave each word out in turn.

    Args:
        classifier: What judged the product.
        pool: The weights by which the classifier fuses text and image.
        product: The product.
        said: What the classifier says of it: one row.
        max_words: Words to leave out, the first of the title and then of the description.

    Returns:
        The effect of each word, in the order of the text; none without words.
    """
    found = [
        (field, start, end)
        for field in FIELDS
        for start, end in find_words(getattr(product, field))
    ][:max_words]
    if not found:
        return []
    shorter = [_without(product, *place) for place in found]
    left = classifier.probabilities(shorter)
    image = np.repeat(said.image, len(found), axis=0)
    fused = late_fusion.fuse(pool, left.text, image)
    silent = np.isnan(fused).any(axis=1)  # neither words nor a picture are left
    fused[silent] = left.fused[silent]
    return [
        WordEffect(field, start, end, getattr(product, field)[start:end], float(effect))
        for (field, start, end), effect in zip(found, _falls(said, fused), strict=True)
    ]


def region_effects(
    classifier: Classifier,
    pool: calibration.Calibration,
    product: Product,
    said: Said,
    *,
    grid: int = GRID,
    advance: Callable[[int, int], object] = lambda done, total: None,
) -> np.ndarray:
    """Paint each part of the picture over in turn, in the picture's mean colour.

    Args:
        classifier: What judged the product.
        pool: The weights by which the classifier fuses text and image.
        product: The product, with a picture.
        said: What the classifier says of it: one row.
        grid: Parts along each side, at least 1.
        advance: Told after each batch how many parts are done, and of how many.

    Returns:
        float64 (grid, grid), the effect of each part; rows from the top, columns from the left, of
        the pixels that the network sees.

    Raises:
        ValueError: If the product has no picture.
    """
    if product.picture is None:
        raise ValueError("the product has no picture: explain its words instead")
    total = grid * grid
    parts = _covered(product, grid)
    images = []
    while batch := list(itertools.islice(parts, BATCH)):
        images.append(classifier.probabilities(batch).image)
        advance(sum(map(len, images)), total)
    text = np.repeat(said.text, total, axis=0)
    fused = late_fusion.fuse(pool, text, np.concatenate(images))
    return _falls(said, fused).reshape(grid, grid)


def _without(product: Product, field: str, start: int, end: int) -> Product:
    """Leave a word out of a text, and the picture, which has been judged already."""
    text = getattr(product, field)
    shorter = f"{text[:start].rstrip()} {text[end:].lstrip()}".strip()
    return replace(product, picture=None, **{field: shorter})


def _covered(product: Product, grid: int) -> Iterator[Product]:
    """Paint over the parts of the picture one after another; the text has been judged already."""
    pixels, facts = product.picture  # (views, size, size, 3)
    colour = pixels.mean(axis=(1, 2), keepdims=True).round().astype(np.uint8)
    edges = np.linspace(0, pixels.shape[1], grid + 1).round().astype(int)
    spans = [slice(*span) for span in itertools.pairwise(edges)]
    for rows, columns in itertools.product(spans, spans):
        covered = pixels.copy()
        covered[:, rows, columns] = colour
        yield replace(product, title="", description="", picture=(covered, facts))


def _falls(said: Said, fused: np.ndarray) -> np.ndarray:
    """Measure how far the first category's log odds fall: (1, 27), (n, 27) -> (n,)."""
    label = said.fused[0].argmax()
    return _log_odds(said.fused, label) - _log_odds(fused, label)


def _log_odds(probabilities: np.ndarray, label: int) -> np.ndarray:
    """Set a category against all others, whose sum is exact where 1 - p is not: (n, 27) -> (n,)."""
    others = np.delete(probabilities, label, axis=1).sum(axis=1, dtype=np.float64)
    own = probabilities[:, label].astype(np.float64)
    return np.log(np.maximum(own, calibration.FLOOR)) - np.log(
        np.maximum(others, calibration.FLOOR)
    )
