"""The best classifiers on disk: arrays and names, never code."""

from pathlib import Path

from rakuten import storage
from rakuten.models import calibration, image_ensemble, text_ensemble


def write_text(folder: str | Path, ensemble: text_ensemble.TextEnsemble) -> None:
    """Write terms.json and weights.npz; equal classifiers give equal bytes."""
    names = {block: list(columns) for block, (columns, _) in ensemble.terms.items()}
    storage.write_json(Path(folder) / "terms.json", names)
    storage.write_arrays(Path(folder) / "weights.npz", **ensemble.arrays())


def read_text(folder: str | Path, settings: text_ensemble.Settings) -> text_ensemble.TextEnsemble:
    """Read a text classifier that predicts as the one that was written with these settings."""
    names = storage.read_json(Path(folder) / "terms.json")
    return text_ensemble.restore(names, storage.read_arrays(Path(folder) / "weights.npz"), settings)


def read_image(folder: str | Path) -> image_ensemble.ImageEnsemble:
    """Read an image classifier, as `image_ensemble.ImageEnsemble.arrays` was written."""
    return image_ensemble.restore(storage.read_arrays(Path(folder) / "weights.npz"))


def read_fusion(folder: str | Path) -> calibration.Pool:
    """Read the pool of text and image, its weights and offsets."""
    arrays = storage.read_arrays(Path(folder) / "weights.npz")
    return calibration.Pool(arrays["weights"], arrays["offsets"])
