"""Trained nets on disk: `model.json` says how to build one, `weights.npz` what it learnt."""

from pathlib import Path

import keras

from rakuten import storage
from rakuten.models import nets


def write(folder: str | Path, model: keras.Model, **arguments: float) -> dict:
    """Write a net of `rakuten.models.nets`; equal weights give equal bytes.

    Args:
        folder: Where model.json and weights.npz go.
        model: The net.
        **arguments: The keyword arguments that its builder was called with.

    Returns:
        The description that was written.
    """
    description = nets.describe(model, **arguments)
    storage.write_arrays(Path(folder) / "weights.npz", **nets.weights(model))
    storage.write_json(Path(folder) / "model.json", description)
    return description


def read(folder: str | Path) -> keras.Model:
    """Read a net that predicts as the one that was written; runs no code from the files.

    Raises:
        FileNotFoundError: If model.json or weights.npz is missing.
        ValueError: If the two do not belong together or to this project.
    """
    description = storage.read_json(Path(folder) / "model.json")
    return nets.restore(description, storage.read_arrays(Path(folder) / "weights.npz"))
