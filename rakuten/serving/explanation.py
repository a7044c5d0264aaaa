"""Explain a prediction by occlusion: leave out a word or cover a region and measure the change.

An effect is the decrease of the log-odds of the predicted category when something is left out:
above 0 it was evidence for the category, below 0 against it. Log-odds are used because a
probability near 1 hardly changes. Everything else stays as it is, so effects do not add up.

Regions are covered in the first view of the image. Other views, if there are any, are left out: a
flipped or rotated view shows the region elsewhere.

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
from rakuten.serving.interface import Prepared, Probabilities

FIELDS = ("title", "description")
"""The texts of a product, in reading order."""

MAX_WORDS = 120
"""Words that are left out in turn; a description may have 1,500, and its start matters most."""

GRID = 7
"""Regions of the image along each side."""

BATCH = 7
"""Images classified between two reports of progress."""

_WORD = re.compile(r"\w+(?:['\u2019.,-]\w+)*")


class Classifier(Protocol):
    """A late-fusion classifier: its probabilities and its fusion weights."""

    @property
    def fusion(self) -> calibration.Calibration:
        """The weights by which text and image are combined, see `serving.ensembles.Ensembles`."""

    def probabilities(self, products: Sequence[Prepared]) -> Probabilities:
        """Compute the probabilities of every model."""


@dataclass(frozen=True)
class WordEffect:
    """The effect of one word.

    Attributes:
        field: One of `FIELDS`.
        start: Position of its first character in the field.
        end: Position after its last character.
        word: The characters between.
        effect: Log-odds, natural logarithm; below 0 against the category.
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
    classifier: Classifier, product: Prepared, probabilities: Probabilities
) -> list[WordEffect]:
    """Leave out each of the first `MAX_WORDS` words in turn, the title's before the description's.

    Args:
        classifier: The classifier.
        product: The product.
        probabilities: The classifier's output for the product: one row.

    Returns:
        The effect of each word, in the order of the text; empty without words.
    """
    found = [
        (field, start, end)
        for field in FIELDS
        for start, end in find_words(getattr(product, field))
    ][:MAX_WORDS]
    if not found:
        return []
    changed = classifier.probabilities([_without_word(product, *word) for word in found])
    image = np.repeat(probabilities.image, len(found), axis=0)
    fused = late_fusion.fuse(classifier.fusion, changed.text, image)
    empty = np.isnan(fused).any(axis=1)  # neither text nor image is left: the prior
    fused[empty] = changed.fused[empty]
    effects = _effects(probabilities, probabilities.fused, fused).tolist()
    return [
        WordEffect(field, start, end, getattr(product, field)[start:end], effect)
        for (field, start, end), effect in zip(found, effects, strict=True)
    ]


def region_effects(
    classifier: Classifier,
    product: Prepared,
    probabilities: Probabilities,
    *,
    advance: Callable[[int, int], object] = lambda done, total: None,
) -> np.ndarray:
    """Cover each region of the image in turn with the mean colour of the image.

    Args:
        classifier: The classifier.
        product: The product, with an image.
        probabilities: The classifier's output for the product: one row.
        advance: Called after each batch with the number of finished regions and of all regions.

    Returns:
        Log-odds float64 (`GRID`, `GRID`); rows from the top, columns from the left, of the first
        crop of the first view. They are relative to the prediction from the text and that view.

    Raises:
        ValueError: If the product has no image.
    """
    total = GRID * GRID
    covered = _covered(product)
    images: list[np.ndarray] = []
    while batch := list(itertools.islice(covered, BATCH)):
        images.append(classifier.probabilities(batch).image)
        advance(sum(map(len, images)), total)
    text = np.repeat(probabilities.text, total, axis=0)
    fused = late_fusion.fuse(classifier.fusion, text, np.concatenate(images))
    before = _first_view_fused(classifier, product, probabilities)
    return _effects(probabilities, before, fused).reshape(GRID, GRID)


def _without_word(product: Prepared, field: str, start: int, end: int) -> Prepared:
    """Leave a word out, and the image, whose probabilities are known."""
    text = getattr(product, field)
    shorter = f"{text[:start].rstrip()} {text[end:].lstrip()}".strip()
    if field == "title":
        return Prepared(shorter, product.description, None)
    return Prepared(product.title, shorter, None)


def _covered(product: Prepared) -> Iterator[Prepared]:
    """Cover the regions one after another; leave out the text, whose probabilities are known."""
    if product.image is None:
        raise ValueError("the product has no image: use word_effects instead")
    edges = np.linspace(0, 1, GRID + 1).tolist()
    spans = list(itertools.pairwise(edges))
    for rows, columns in itertools.product(spans, spans):
        image = product.image.cover(rows, columns)
        yield replace(product, title="", description="", image=image)


def _first_view_fused(
    classifier: Classifier, product: Prepared, probabilities: Probabilities
) -> np.ndarray:
    """Fuse text and the first view of the image: (1, 27)."""
    if product.image is None or len(product.image.facts) == 1:
        return probabilities.fused
    alone = replace(product, title="", description="", image=product.image.first_view())
    image = classifier.probabilities([alone]).image
    return late_fusion.fuse(classifier.fusion, probabilities.text, image)


def _effects(probabilities: Probabilities, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Compute the decrease of the predicted category's log-odds: (1, 27), (n, 27) -> (n,)."""
    label = int(probabilities.fused[0].argmax())
    return _log_odds(before, label) - _log_odds(after, label)


def _log_odds(probabilities: np.ndarray, label: int) -> np.ndarray:
    """Compare a category with the sum of the others, more exact than 1 - p: (n, 27) -> (n,)."""
    others = np.delete(probabilities, label, axis=1).sum(axis=1, dtype=np.float64)
    own = probabilities[:, label].astype(np.float64)
    return np.log(np.maximum(own, calibration.FLOOR)) - np.log(
        np.maximum(others, calibration.FLOOR)
    )
