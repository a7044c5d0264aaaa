"""How models face products that do not conform: typos, capitals, blurred or turned pictures.

Every product is perturbed by itself, in one modality at a time; fusion then sees the other one as
it is. Rows are the same under every perturbation, so that differences are due to it alone.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
from PIL import Image

from rakuten.data import splits
from rakuten.data.examples import Examples
from rakuten.evaluation import metrics
from rakuten.image import extraction, preprocessing
from rakuten.image.extraction import Settings
from rakuten.models import image_ensemble, late_fusion
from rakuten.models.calibration import Pool
from rakuten.models.image_ensemble import ImageEnsemble, blocks
from rakuten.models.text_ensemble import TextEnsemble, Texts
from rakuten.text import augment

NONE = "as it is"
"""The name of the row without a perturbation, to which the others are compared."""

TEXTS = (NONE, *augment.PERTURBATIONS)
"""The perturbations of texts, `NONE` first."""

PICTURES = (NONE, "blur", "rotate", "grey", "jpeg")
"""The views of `preprocessing.VIEWS` that stand for poor pictures, `NONE` first."""

KINDS = ("title", "description")
"""The texts that are perturbed and encoded."""

Models = dict[tuple[str, str], Callable[[str], np.ndarray]]
"""By the name of a model and of its training, a function: the name of a perturbation ->
probabilities float32 (n, 27) of the products perturbed in this way."""


def choose(examples: Examples, *, most: int, seed: int) -> np.ndarray:
    """Draw test products that have a modality.

    Args:
        examples: n products.
        most: How many to draw, all where there are fewer.
        seed: Seed of the draw.

    Returns:
        int64 (m,), positions, ascending.
    """
    rows = examples.rows("test")
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


def text_models(
    trained: Mapping[str, TextEnsemble],
    pool: Pool,
    texts: Texts,
    image: np.ndarray,
    encode: Callable[[Mapping[str, Sequence[str]]], Mapping[str, np.ndarray]],
    *,
    seed: int,
) -> Models:
    """Prepare the best text models, and fusion with each, for perturbed texts.

    Args:
        trained: Classifiers by the name of their training.
        pool: How text and image are fused.
        texts: n products as they are.
        image: Probabilities float (n, 27) of their pictures, rows of NaN where there is none.
        encode: Texts by kind -> sentence vectors by kind.
        seed: Seed of the perturbations.
    """

    @cache
    def spoilt(name: str) -> Texts:
        if name == NONE:
            return texts
        changed = augment.perturb(name, texts.titles, texts.bodies, texts.ids, seed=seed)
        return Texts(texts.ids, *changed, encode(dict(zip(KINDS, changed, strict=True))))

    models: Models = {}
    for training, ensemble in trained.items():
        models["text_ensemble", training] = lambda name, own=ensemble: own.probabilities(
            spoilt(name)
        )
        models["late_fusion", training] = lambda name, own=ensemble: late_fusion.fuse(
            pool, own.probabilities(spoilt(name)), image
        )
    return models


def image_trainings(
    stored: ImageEnsemble,
    views: Sequence[Mapping[str, np.ndarray]],
    examples: Examples,
    groups: np.ndarray,
    settings: image_ensemble.Settings,
    *,
    seed: int,
) -> dict[str, ImageEnsemble]:
    """Set the image classifier beside what it would be without the views after the first.

    Args:
        stored: The classifier, trained on all views.
        views: For each view the blocks of the train products, see `image_ensemble.views`.
        examples: n products; those of the train part that have a picture are the views' rows.
        groups: int64 (n,), equal for twins.
        settings: The section `image_ensemble` of params.yaml.
        seed: Seed of the folds and landmarks.

    Returns:
        By the name of the training: "plain" on the first view alone, and "augmented" on all where
        there are several. Empty without a train product.
    """
    train = examples.rows("train")
    if not train.size:
        return {}
    if len(views) == 1:
        return {"plain": stored}
    labels = examples.labels[train]
    folds = splits.folds(labels, groups[train], count=settings.folds, seed=seed)
    plain, _ = image_ensemble.fit(list(views[:1]), labels, folds, settings, seed=seed)
    return {"plain": plain, "augmented": stored}


def image_models(
    trained: Mapping[str, ImageEnsemble],
    pool: Pool,
    contents: Sequence[bytes],
    text: np.ndarray,
    extract: Callable[[Sequence[bytes]], tuple[Mapping[str, np.ndarray], pd.DataFrame]],
) -> Models:
    """Prepare the best image models, and fusion with each, for perturbed pictures.

    Args:
        trained: Classifiers by the name of their training.
        pool: How text and image are fused.
        contents: The bytes of n products' pictures.
        text: Probabilities float (n, 27) of their texts, rows of NaN where there is none.
        extract: Bytes of pictures -> grid (n, 4*c) and middle (n, m), and their facts.
    """

    @cache
    def seen(name: str) -> dict[str, np.ndarray]:
        features, facts = extract([spoil(content, name) for content in contents])
        return blocks(features["grid"], features["middle"], facts)

    models: Models = {}
    for training, ensemble in trained.items():
        models["image_ensemble", training] = lambda name, own=ensemble: own.probabilities(
            [seen(name)]
        )
        models["late_fusion", training] = lambda name, own=ensemble: late_fusion.fuse(
            pool, text, own.probabilities([seen(name)])
        )
    return models


def extract(
    contents: Sequence[bytes],
    *,
    compute: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    settings: Settings,
    progress: Callable,
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Take pictures through the network, prepared as the extract stage prepares them.

    Args:
        contents: The bytes of n pictures, at least one.
        compute: The extractor of `rakuten.image.backbones`.
        settings: The section `extract` of params.yaml.
        progress: A bar such as `stage_log.progress`; it counts pictures.

    Returns:
        grid (n, 4*c) and middle (n, m), and the n pictures' facts.
    """
    settings, count = replace(settings, views=["product"]), len(contents)
    prepared = (extraction.prepare(content, settings) for content in contents)
    with progress(None, total=count, unit="image", description="features") as bar:
        found = extraction.compute_features(
            prepared, count, compute, settings.batch_size, bar.update
        )
    facts = pd.DataFrame(found["facts"], columns=preprocessing.Facts._fields)
    return {"grid": found["grid"][0], "middle": found["middle"][0]}, facts


def spoil(content: bytes, name: str) -> bytes:
    """Make the file that a poor photograph of the same product would be.

    Args:
        content: A picture's bytes.
        name: One of `PICTURES`.

    Returns:
        Bytes of a picture without further loss, so that its border is looked for anew.
    """
    change = None if name == NONE else preprocessing.VIEWS[name].change
    if change is None:
        return content
    spoilt = io.BytesIO()
    change(Image.fromarray(preprocessing.decode(content))).save(spoilt, "BMP")
    return spoilt.getvalue()


def table(
    modality: str,
    labels: np.ndarray,
    models: Models,
    perturbations: Sequence[str],
) -> pd.DataFrame:
    """Measure models under perturbations of one modality.

    Args:
        modality: What is perturbed: text or image.
        labels: int64 (n,), class indices.
        models: See `Models`.
        perturbations: Their names, `NONE` first.

    Returns:
        `modality`, `perturbation`, `model`, `training`, `rows`, `accuracy`, `weighted_f1`, and
        `change`, the accuracy less that of the same model without a perturbation.
    """
    records = []
    for (model, training), predict in models.items():
        before = np.nan
        for name in perturbations if len(labels) else ():
            figures = metrics.measure(labels, predict(name))
            accuracy = figures["accuracy"]
            before = accuracy if name == NONE else before
            figures = [len(labels), accuracy, figures["weighted_f1"], accuracy - before]
            records.append([modality, name, model, training, *figures])
    columns = ["modality", "perturbation", "model", "training", "rows", "accuracy"]
    return pd.DataFrame(records, columns=[*columns, "weighted_f1", "change"]).round(6)


def sentence(table: pd.DataFrame) -> str:
    """Say in a line what costs each model most: `worst: text_ensemble (plain) typos -12.3 points`."""
    if table.empty:
        return "no test product has the modality"
    worst = table.sort_values(["change", "perturbation"]).groupby("model").head(1)
    told = [
        f"{row.model} ({row.training}) {row.perturbation} {100 * row.change:+.1f} points"
        for row in worst.sort_values("model").itertuples()
    ]
    return f"worst: {', '.join(told)}"
