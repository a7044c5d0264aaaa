"""Read the runs of a repository's mlflow.db, as `mlflow ui` shows them."""

import shutil
import tempfile
from pathlib import Path

from mlflow import MlflowClient


def open_store(folder):
    """Open a copy of a repository's mlflow.db: MLflow keeps a file open that it once opened."""
    copy = Path(tempfile.mkdtemp()) / "mlflow.db"
    shutil.copy(folder / "mlflow.db", copy)
    return MlflowClient(f"sqlite:///{copy}")


def runs(folder, query=""):
    """List the runs of models; a champion also has the run of its package."""
    client = open_store(folder)
    experiment = client.get_experiment_by_name("rakuten-product-classification")
    found = client.search_runs([experiment.experiment_id], query)
    return [one for one in found if one.data.tags.get("model") != "package"]
