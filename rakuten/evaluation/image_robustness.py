"""Predict perturbed images with the image ensemble and late fusion."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
from PIL import Image

from rakuten import stage_log
from rakuten.data import splits
from rakuten.data.examples import Examples
from rakuten.evaluation.robustness import NONE, Models
from rakuten.image import extraction, preprocessing
from rakuten.models import image_ensemble, late_fusion
from rakuten.models.calibration import Calibration
from rakuten.models.image_ensemble import Blocks, ImageEnsemble

PERTURBATIONS = (NONE, "blur", "rotate", "grey", "jpeg")
"""The views of `preprocessing.VIEWS` that simulate poor photographs, `NONE` first."""


def image_trainings(
    stored: ImageEnsemble,
    views: Sequence[Blocks],
    examples: Examples,
    groups: np.ndarray,
    settings: image_ensemble.Settings,
    *,
    seed: int,
) -> dict[str, ImageEnsemble]:
    """Fit the image ensemble on the first view only, for comparison with the stored one.

    Args:
        stored: The image ensemble, fitted on all views.
        views: For each view the blocks of the train products, see `image_ensemble.views`.
        examples: n products; the views' rows are the train products that have an image.
        groups: int64 (n,), equal for duplicates.
        settings: The section `image_ensemble` of params.yaml.
        seed: Seed of the folds and landmarks.

    Returns:
        Ensembles by the name of their training: "plain", fitted on the first view, and "augmented",
        fitted on all views if there are several. Empty without a train product.
    """
    train = examples.rows("train")
    if not train.size:
        return {}
    if len(views) == 1:
        return {"plain": stored}
    labels = examples.labels[train]
    folds = splits.folds(labels, groups[train], count=settings.folds, seed=seed)
    plain, _ = image_ensemble.fit(views[:1], labels, folds, settings, seed=seed)
    return {"plain": plain, "augmented": stored}


def image_models(
    trained: Mapping[str, ImageEnsemble],
    fusion: Calibration,
    contents: Sequence[bytes],
    text: np.ndarray,
    extract: Callable[[Sequence[bytes]], tuple[Mapping[str, np.ndarray], pd.DataFrame]],
) -> Models:
    """Prepare image ensembles, and late fusion with each, for perturbed images.

    Args:
        trained: Image ensembles by the name of their training.
        fusion: The calibration of late fusion.
        contents: Bytes of n products' images.
        text: Probabilities float (n, 27) of the text ensemble, rows of NaN without a text.
        extract: Bytes of images -> grid (n, 4*c) and middle (n, m), and the images' facts.

    Returns:
        The models by name and training, see `Models`.
    """

    @cache
    def perturbed(name: str) -> list[Blocks]:
        features, facts = extract([perturb(content, name) for content in contents])
        return [image_ensemble.blocks(features["grid"], features["middle"], facts)]

    models: Models = {}
    for training, ensemble in trained.items():

        def alone(name: str, ensemble: ImageEnsemble = ensemble) -> np.ndarray:
            return ensemble.probabilities(perturbed(name))

        def fused(name: str, alone: Callable[[str], np.ndarray] = alone) -> np.ndarray:
            return late_fusion.fuse(fusion, text, alone(name))

        models |= {("image_ensemble", training): alone, ("late_fusion", training): fused}
    return models


def extract(
    contents: Sequence[bytes],
    *,
    compute: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    settings: extraction.Settings,
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Compute features of images, prepared as in the extract stage.

    Args:
        contents: Bytes of n images, at least one.
        compute: The extractor of `rakuten.image.backbones`.
        settings: The section `extract` of params.yaml.

    Returns:
        grid float16 (n, 4*c) and middle float16 (n, m), and the n images' facts.
    """
    settings, count = replace(settings, views=["product"]), len(contents)
    prepared = (extraction.prepare(content, settings) for content in contents)
    with stage_log.progress([], total=count, unit="image", description="features") as bar:
        found = extraction.compute_features(
            prepared, count, compute, settings.batch_size, bar.update
        )
    facts = pd.DataFrame(found["facts"], columns=preprocessing.Facts._fields)
    return {"grid": found["grid"][0], "middle": found["middle"][0]}, facts


def perturb(content: bytes, name: str) -> bytes:
    """Simulate a poor photograph of the same product.

    Args:
        content: An image's bytes.
        name: One of `PERTURBATIONS`.

    Returns:
        Bytes of an image in a lossless format, so that its border is detected in the perturbed
        pixels. `content` itself for `NONE`.
    """
    change = None if name == NONE else preprocessing.VIEWS[name].change
    if change is None:
        return content
    file = io.BytesIO()
    change(Image.fromarray(preprocessing.decode(content))).save(file, "BMP")
    return file.getvalue()
