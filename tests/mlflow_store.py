"""Read the runs of a repository's mlflow.db, as `mlflow ui` shows them; start a tracking server."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
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


@contextlib.contextmanager
def tracking_server(folder):
    """Run a tracking server on a free port of this computer, with its files in a folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, start_new_session=True, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health"):
                break
            time.sleep(1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
