"""Predict perturbed images with the image ensemble and late fusion."""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from PIL import Image

from rakuten import stage_log
from rakuten.data import splits
from rakuten.data.examples import Examples
from rakuten.evaluation.robustness import NONE, Models
from rakuten.image import encoder, extraction, preprocessing
from rakuten.models import image_ensemble, late_fusion
from rakuten.models.calibration import Calibration
from rakuten.models.image_ensemble import Blocks, ImageEnsemble

PERTURBATIONS = (NONE, "blur", "rotate", "grey", "jpeg")
"""The views of `preprocessing.VIEWS` that simulate poor photographs, `NONE` first."""

PLAIN = ("original", "flip")
"""The views that show the photograph as it is."""

Trained = tuple[ImageEnsemble, list[int]]
"""An image ensemble and the positions of the views that it was fitted on and predicts from."""


def image_trainings(
    stored: ImageEnsemble,
    views: Sequence[Blocks],
    names: Sequence[str],
    examples: Examples,
    groups: np.ndarray,
    settings: image_ensemble.Settings,
    *,
    seed: int,
) -> dict[str, Trained]:
    """Fit the image ensemble without perturbed views, for comparison with the stored one.

    Args:
        stored: The image ensemble, fitted on all views.
        views: For each view the blocks of the train products, see `image_ensemble.views`.
        names: Names of the views.
        examples: n products; the views' rows are the train products that have an image.
        groups: int64 (n,), equal for duplicates.
        settings: The section `image_ensemble` of params.yaml.
        seed: Seed of the folds and landmarks.

    Returns:
        By the name of their training: "plain", fitted on the views in `PLAIN` (or on the first),
        and "augmented", fitted on all views, if there are others. Empty without a train product.
    """
    train = examples.rows("train")
    if not train.size:
        return {}
    every = list(range(len(views)))
    plain = [view for view in every if names[view] in PLAIN] or [0]
    if plain == every:
        return {"plain": (stored, every)}
    labels = examples.labels[train]
    folds = splits.folds(labels, groups[train], count=settings.folds, seed=seed)
    chosen = [views[view] for view in plain]
    ensemble, _ = image_ensemble.fit(chosen, labels, folds, settings, seed=seed)
    return {"plain": (ensemble, plain), "augmented": (stored, every)}


def image_models(
    trained: Mapping[str, Trained],
    fusion: Calibration,
    contents: Sequence[bytes],
    text: np.ndarray,
    encode: Callable[[Sequence[bytes]], Mapping[str, np.ndarray]],
) -> Models:
    """Prepare image ensembles, and late fusion with each, for perturbed images.

    Args:
        trained: Image ensembles by the name of their training.
        fusion: The calibration of late fusion.
        contents: Bytes of n products' images.
        text: Probabilities float (n, 27) of the text ensemble, rows of NaN without a text.
        encode: Bytes of images -> features and facts of every view, as `encode` returns them.

    Returns:
        The models by name and training, see `Models`.
    """

    @cache
    def perturbed(name: str) -> Sequence[Blocks]:
        features = encode([perturb(content, name) for content in contents])
        return image_ensemble.views(features, np.arange(len(contents)))

    models: Models = {}
    for training, (ensemble, chosen) in trained.items():

        def alone(
            name: str, ensemble: ImageEnsemble = ensemble, chosen: list[int] = chosen
        ) -> np.ndarray:
            views = perturbed(name)
            return ensemble.probabilities([views[view] for view in chosen])

        def fused(name: str, alone: Callable[[str], np.ndarray] = alone) -> np.ndarray:
            return late_fusion.fuse(fusion, text, alone(name))

        models |= {("image_ensemble", training): alone, ("late_fusion", training): fused}
    return models


def open_encoder(
    section: Mapping[str, Any], *, threads: int
) -> Callable[[Sequence[bytes]], dict[str, np.ndarray]]:
    """Open the network of the stage encode_image.

    Args:
        section: The section `encode_image` of params.yaml.
        threads: Number of threads of the network.

    Returns:
        The function `encode` for this network and the section's views.

    Raises:
        FileNotFoundError: If the stage has not run.
    """
    path, spec = encoder.read()
    options = encoder.preparation_options(section)
    network = encoder.ImageEncoder(path, spec, threads=threads)
    return partial(encode, network=network, preparation=spec.preparation(**options))


def encode(
    contents: Sequence[bytes],
    *,
    network: extraction.Extractor,
    preparation: preprocessing.Preparation,
) -> dict[str, np.ndarray]:
    """Compute features and facts of images, as the stage encode_image and the classifier do.

    Args:
        contents: Bytes of n images, at least one.
        network: The image encoder.
        preparation: The v views, and how they become the network's inputs.

    Returns:
        Arrays (v, n, width), as `image_ensemble.views` takes them.
    """
    count = len(contents)
    prepared = (preprocessing.prepare(content, preparation) for content in contents)
    with stage_log.progress([], total=count, unit="image", description="features") as bar:
        found = extraction.compute_features(prepared, count, network, encoder.BATCH, bar.update)
    return {kind: array.swapaxes(0, 1) for kind, array in found.items()}


def perturb(content: bytes, name: str) -> bytes:
    """Simulate a poor photograph of the same product.

    Args:
        content: An image's bytes.
        name: One of `PERTURBATIONS`.

    Returns:
        Bytes of an image in a lossless format, so that its border is detected in the perturbed
        pixels. `content` itself for `NONE`.
    """
    change = None if name == NONE else preprocessing.VIEWS[name]
    if change is None:
        return content
    file = io.BytesIO()
    change(Image.fromarray(preprocessing.decode(content))).save(file, "BMP")
    return file.getvalue()
