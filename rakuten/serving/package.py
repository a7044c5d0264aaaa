"""The package: the folder that holds everything the classifier needs."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from rakuten import model_names, storage
from rakuten.categories import CODES, NUM_CATEGORIES

FOLDER = Path("build/package")
"""Where the `package` stage writes it."""

SUMMARY = "package.json"
"""The file that describes it, see `rakuten.serving.package_summary.summarize`."""

PREDICTIONS = "test.npz"
"""The file of its test predictions, see `rakuten.serving.package_summary.predictions`."""

STUDY = "study"
"""The folder of the study's nets, and of what they need, in a package."""

DEFAULT_MODEL = model_names.named("ensemble", "fusion")
"""The model that predicts if none is named."""


class ModelError(ValueError):
    """A model that a package does not have."""

    def __init__(self, folder: str | Path, model: str, available: tuple[str, ...], reason: str):
        super().__init__(folder, model, available, reason)

    def __str__(self) -> str:
        folder, model, available, reason = self.args
        return (
            f"the package {folder} has no model {model!r}{reason}: choose one of "
            f"{', '.join(available)}"
        )


class OutdatedError(ValueError):
    """A package that this version of the library cannot open."""

    def __init__(self, folder: str | Path, problem: str):
        super().__init__(folder, problem)

    def __str__(self) -> str:
        folder, problem = self.args
        return (
            f"{Path(folder) / SUMMARY} {problem}, another version of this library wrote it: run "
            "'make repro'; if it came from the registry, then register and promote the new "
            "package ('python -m rakuten register', 'python -m rakuten promote')"
        )


def read_summary(folder: str | Path = FOLDER) -> dict:
    """Read the description of a package.

    Args:
        folder: The package.

    Returns:
        The content of `SUMMARY`.

    Raises:
        FileNotFoundError: If there is no package.
        OutdatedError: If it was made for other categories, or by an older version of this library.
    """
    path = Path(folder) / SUMMARY
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: run 'make repro'")
    summary = storage.read_json(path)
    if tuple(summary.get("categories", ())) != CODES:
        received = len(summary.get("categories", ()))
        expected = f"expected the {NUM_CATEGORIES} of rakuten.categories.CODES"
        raise OutdatedError(folder, f"has {received} categories: {expected}")
    for key in ("backbone", "models"):
        if key not in summary:
            raise OutdatedError(folder, f"has no {key}")
    return summary


def models(summary: Mapping) -> tuple[str, ...]:
    """List the models that a package can predict with, in the order of `model_names.MAIN`.

    Args:
        summary: What `read_summary` returned.

    Returns:
        Their names. A net that uses images is missing if the package has no backbone: only VGG16
        is packaged (`extract.backbone` in params.yaml).
    """
    return tuple(name for name in model_names.MAIN if _has(summary, name))


def check_model(folder: str | Path, summary: Mapping, model: str) -> None:
    """Refuse a model that a package cannot predict with.

    Args:
        folder: The package, for the message.
        summary: What `read_summary` returned.
        model: Name of the model.

    Raises:
        ModelError: With the models that it has.
    """
    if _has(summary, model):
        return
    reason = ""
    if summary["models"].get(model):
        reason = ", because extract.backbone in params.yaml was not vgg16"
    elif model in model_names.MAIN:
        reason = ", which was not trained: no train product has its inputs"
    raise ModelError(folder, model, models(summary), reason)


def _has(summary: Mapping, model: str) -> bool:
    """Check whether a model was trained and everything that it needs is packaged."""
    if model == DEFAULT_MODEL:  # without text and image, it predicts the shares of the categories
        return True
    needs_backbone = model in model_names.STUDY and model_names.BY_NAME[model].modality != "text"
    return bool(summary["models"].get(model)) and not (needs_backbone and not summary["backbone"])


def digest(folder: str | Path) -> str:
    """Hash a folder as DVC does: the `md5` of its entry in dvc.lock, without `.dir`.

    Args:
        folder: The folder.

    Returns:
        The MD5 over paths and contents of all files, 32 hexadecimal digits.

    Raises:
        FileNotFoundError: If it does not exist or is empty.
    """
    files = sorted(
        (path.relative_to(folder).as_posix(), path)
        for path in Path(folder).rglob("*")
        if path.is_file()
    )
    if not files:
        raise FileNotFoundError(
            f"{folder} contains no files: run 'dvc repro' or 'dvc pull data.dvc'"
        )
    listing = [{"md5": storage.digest(path), "relpath": name} for name, path in files]
    return hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False).hexdigest()
