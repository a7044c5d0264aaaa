"""What a package says of itself: everything the classifier needs to know besides the arrays."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rakuten import storage
from rakuten.categories import CODES
from rakuten.data.examples import Examples
from rakuten.evaluation import metrics


def summarize(
    examples: Examples,
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    *,
    dataset: Mapping[str, object],
    threads: int,
    settings: Mapping[str, Mapping],
) -> dict:
    """Sum up packaged models for `package.json`.

    Args:
        examples: All products; those of the train part give the prior.
        outputs: What the best models say of them, by "text", "image" and "fusion"; see
            `examples.out_of_fold_outputs`.
        dataset: What the models were trained on: name, digest.
        threads: Threads of the training.
        settings: The sections of params.yaml that prediction repeats: extract, encode, text_ensemble.

    Returns:
        Plain values for JSON: dataset, models (which were trained), test (their figures on the test
        products they can judge, as the evaluate stage has them), threads, the settings, categories
        in the order of the probabilities, prior.
    """
    return {
        "dataset": dict(dataset),
        "models": {name: bool(said["present"].any()) for name, said in outputs.items()},
        "test": {name: _figures(examples, said) for name, said in outputs.items()},
        "threads": threads,
        **{name: dict(section) for name, section in settings.items()},
        "categories": list(CODES),
        "prior": examples.prior().tolist(),
    }


def predictions(examples: Examples, said: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Take what a model says of the test products that it can judge, to compare packages by.

    Args:
        examples: n products.
        said: Its outputs of the same products: present (n,), probabilities (n, 27).

    Returns:
        ids int64 (m,), ascending, labels int64 (m,) class indices, probabilities float32 (m, 27).
    """
    rows = (examples.parts == "test") & said["present"]
    return {
        "ids": examples.ids[rows].astype(np.int64),
        "labels": examples.labels[rows].astype(np.int64),
        "probabilities": said["probabilities"][rows].astype(np.float32),
    }


def digest(folder: str | Path) -> str:
    """Hash a folder as DVC does: `md5` of its entry in data.dvc or dvc.lock, without the `.dir`.

    Args:
        folder: The folder.

    Returns:
        The MD5 over paths and contents of all files, 32 hexadecimal digits.

    Raises:
        FileNotFoundError: If it is not there or holds no file.
    """
    files = sorted(
        (path.relative_to(folder).as_posix(), path)
        for path in Path(folder).rglob("*")
        if path.is_file()
    )
    if not files:
        raise FileNotFoundError(f"{folder} holds no file: run 'dvc repro' or 'dvc pull data.dvc'")
    listed = [{"md5": storage.digest(path), "relpath": name} for name, path in files]
    return hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest()


def _figures(examples: Examples, said: Mapping[str, np.ndarray]) -> dict[str, float | int | None]:
    """Measure a model on the test products that it can judge; None where there are none."""
    rows = (examples.parts == "test") & said["present"]
    figures = metrics.measure(examples.labels[rows], said["probabilities"][rows])
    return {
        name: value if value is None or name == "rows" else round(float(value), 6)
        for name, value in figures.items()
    }
