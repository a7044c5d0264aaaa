"""Predict perturbed texts with the text ensemble and late fusion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np

from rakuten.data import splits
from rakuten.data.examples import Examples
from rakuten.evaluation import robustness
from rakuten.evaluation.robustness import NONE, Models
from rakuten.models import late_fusion, text_ensemble
from rakuten.models.calibration import Calibration
from rakuten.models.text_ensemble import TextEnsemble, Texts
from rakuten.text import augment

PERTURBATIONS = (NONE, *augment.PERTURBATIONS)
"""The perturbations of texts, `NONE` first."""


def text_trainings(
    stored: TextEnsemble,
    texts: Texts,
    examples: Examples,
    groups: np.ndarray,
    *,
    copies: int,
    max_products: int,
    seed: int,
    threads: int,
) -> dict[str, TextEnsemble]:
    """Fit the text ensemble on augmented texts, for comparison with one on plain texts.

    Copies multiply the memory of a fit. If the train part has more than `max_products`, both are
    fitted on the same draw of them.

    Args:
        stored: The text ensemble.
        texts: n products.
        examples: The same n products; those of the train part that have a text are fitted on.
        groups: int64 (n,), equal for duplicates.
        copies: Perturbed copies of each train product.
        max_products: Maximum number of train products that are copied.
        seed: Seed of the draw, the folds, the SVM's row order and the copies.
        threads: Number of concurrent fits.

    Returns:
        Ensembles by the name of their training: "plain", the stored one, and "augmented"; after a
        draw of 10,000 products, "plain", "plain, 10,000 products" and "augmented, 10,000 products".
    """
    train = robustness.choose(examples, "train", max_products=max_products, seed=seed)
    labels = examples.labels[train]
    whole = len(train) == len(examples.rows("train"))
    fit = partial(
        text_ensemble.fit,
        texts.take(train),
        labels,
        splits.folds(labels, groups[train], count=stored.settings.folds, seed=seed),
        seed=seed,
        threads=threads,
    )
    augmented, _ = fit(replace(stored.settings, augmented_copies=copies))
    if whole:
        return {"plain": stored, "augmented": augmented}
    drawn, _ = fit(stored.settings)
    name = f"{len(train):,} products"
    return {"plain": stored, f"plain, {name}": drawn, f"augmented, {name}": augmented}


def text_models(
    trained: Mapping[str, TextEnsemble],
    fusion: Calibration,
    texts: Texts,
    image: np.ndarray,
    encode: Callable[[Mapping[str, Sequence[str]]], Mapping[str, np.ndarray]],
    *,
    seed: int,
) -> Models:
    """Prepare text ensembles, and late fusion with each, for perturbed texts.

    Args:
        trained: Text ensembles by the name of their training.
        fusion: The calibration of late fusion.
        texts: n unperturbed products.
        image: Probabilities float (n, 27) of the image ensemble, rows of NaN without an image.
        encode: Texts by field -> sentence vectors by field.
        seed: Seed of the perturbations.

    Returns:
        The models by name and training, see `Models`.
    """

    @cache
    def perturbed(name: str) -> Texts:
        if name == NONE:
            return texts
        titles, descriptions = augment.perturb(
            name, texts.titles, texts.descriptions, texts.ids, seed=seed
        )
        vectors = encode({"title": titles, "description": descriptions})
        return Texts(texts.ids, titles, descriptions, vectors)

    models: Models = {}
    for training, ensemble in trained.items():

        def alone(name: str, ensemble: TextEnsemble = ensemble) -> np.ndarray:
            return ensemble.probabilities(perturbed(name))

        def fused(name: str, alone: Callable[[str], np.ndarray] = alone) -> np.ndarray:
            return late_fusion.fuse(fusion, alone(name), image)

        models |= {("text_ensemble", training): alone, ("late_fusion", training): fused}
    return models
