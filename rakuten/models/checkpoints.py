"""Trained nets on disk: the architecture in `model.json`, the weights in `weights.npz`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rakuten import storage
from rakuten.determinism import keras
from rakuten.models import nets, training


def write(folder: str | Path, model: keras.Model, **arguments: float) -> dict[str, Any]:
    """Write a net of `rakuten.models.nets`; equal weights give equal bytes.

    Args:
        folder: Folder of model.json and weights.npz.
        model: The net.
        **arguments: The keyword arguments of its builder, without the seed.

    Returns:
        The content of model.json.
    """
    description = nets.describe(model, **arguments)
    storage.write_arrays(Path(folder) / "weights.npz", **nets.weights(model))
    storage.write_json(Path(folder) / "model.json", description)
    return description


def write_training(
    stage: str,
    model: keras.Model,
    arguments: Mapping[str, float],
    curves: pd.DataFrame,
    outputs: Mapping[str, np.ndarray],
) -> dict[str, int]:
    """Write the files of a training stage.

    Writes model.json, weights.npz and outputs.npz to build/<stage>, history.csv and metrics.json to
    reports/<stage>.

    Args:
        stage: The stage's name in `dvc.yaml`.
        model: The trained net.
        arguments: The keyword arguments of its builder, without the seed.
        curves: The table that `training.fit` returned.
        outputs: The arrays that `training.outputs` returned.

    Returns:
        The content of metrics.json, see `training.summary`.
    """
    build, reports = Path("build") / stage, Path("reports") / stage
    description = write(build, model, **arguments)
    report = training.summary(curves, parameters=description["parameters"])
    storage.write_arrays(build / "outputs.npz", **outputs)
    storage.write_csv(reports / "history.csv", curves)
    storage.write_json(reports / "metrics.json", report)
    return report
