"""Show the runs in MLflow's browser pages: the columns, the address, a local server.

MLflow keeps a shared view of an experiment's table in a tag of the experiment and opens it by an
address with the tag's key; the menu "Views" lists it.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit, urlunsplit

from rakuten import console
from rakuten.tracking.mirror import Mirror
from rakuten.tracking.processes import end_session

NAME = "Results"
"""The view's name in MLflow."""

PORT = 5000
"""The default port of the local server."""

START_TIMEOUT = 120.0
"""Seconds to wait until the local server answers; the first import of MLflow can be slow."""

STOP_TIMEOUT = 10.0
"""Seconds that the server may take to end."""

WIDTHS = {
    "attributes.`Run Name`": 245,
    "runDateAndNestInfo": 135,
    "tags.`data`": 170,
    "metrics.`test/accuracy`": 115,
    "metrics.`test/weighted_f1`": 130,
    "metrics.`validation/accuracy`": 145,
    "metrics.`test/log_loss`": 115,
    "duration": 85,
    "attributes.`Source`": 140,
}
"""Width in pixels of each column of the table, by MLflow's id of the column, in order.

At 1,280 pixels, those up to the validation accuracy are visible.
"""

SECTIONS = {"test": True, "validation": True, "epoch": True, "train": False, "model": False}
"""Sections of the charts, which are prefixes of the metrics, in order, and which are open."""

STATE = {
    "selectedColumns": [name for name in WIDTHS if name.startswith(("tags.", "metrics."))]
    + ["attributes.`Duration`", "attributes.`Source`"],
    "columnOrder": list(WIDTHS),
    "columnWidths": WIDTHS,
    "orderByKey": "metrics.`test/accuracy`",
    "orderByAsc": False,
    "runsHiddenMode": "SHOW_ALL",
    "compareRunSections": [
        {"uuid": name, "name": name, "display": is_open, "isGenerated": True}
        for name, is_open in SECTIONS.items()
    ],
    "compareRunCharts": [],  # MLflow adds one per metric
    "isAccordionReordered": True,
}
"""Table and charts: what MLflow's menu "Views" saves, where it is not MLflow's default."""

KEY = f"results-{hashlib.sha256(json.dumps(STATE).encode()).hexdigest()[:8]}"
"""The view's key. A changed view has another key, so that no view is ever overwritten."""

TAG = f"mlflow.sharedViewState.{KEY}"
"""The tag that holds the view."""


class ViewError(RuntimeError):
    """The pages cannot be shown; the message says what to do."""


def write_view(mirror: Mirror) -> None:
    """Save the view in the experiment, unless it is there."""
    experiment = mirror.call("get_experiment", mirror.experiment_id)
    if TAG not in experiment.tags:
        saved = {"name": NAME, "createdAt": int(time.time() * 1000), "state": json.dumps(STATE)}
        mirror.call("set_experiment_tag", mirror.experiment_id, TAG, json.dumps(saved))


def address(server: str, experiment_id: str) -> str:
    """Return the address of the experiment's table.

    Args:
        server: The server's address, with user and password or without.
        experiment_id: The experiment.

    Returns:
        The address to open in a browser, without user and password.
    """
    parts = urlsplit(server)
    plain = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    query = urlencode({"workflowType": "machine_learning", "viewStateShareKey": KEY})
    return f"{plain.rstrip('/')}/#/experiments/{experiment_id}/runs?{query}"


def serve(store: str, port: int, ready: Callable[[str], None]) -> None:
    """Run MLflow's server on a database, for this computer only, until it is interrupted.

    Args:
        store: The address of the database.
        port: The port.
        ready: Called with the server's address once it answers.

    Raises:
        console.PortError: If the port is in use.
        ViewError: If the server does not start, or ends.
        KeyboardInterrupt: After Ctrl-C or SIGTERM, when the server has ended.
    """
    console.check_port("127.0.0.1", port, "python -m rakuten ui")
    server = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    # The address may contain a password: other users can read arguments, but not the environment.
    settings = {"MLFLOW_BACKEND_STORE_URI": store, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    settings["PYTHONWARNINGS"] = "ignore"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # In a new session: Ctrl-C reaches only this process, which then ends all of the server.
    process = subprocess.Popen(command, env=os.environ | settings, start_new_session=True)
    try:
        _wait(process, server)
        ready(server)
        process.wait()
        raise ViewError(f"MLflow's server at {server} ended: see its messages above")
    finally:
        end_session(process, signal.SIGTERM, STOP_TIMEOUT)


def _wait(process: subprocess.Popen, server: str) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + START_TIMEOUT
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):
            direct.open(f"{server}/health", timeout=5).close()
            return
        time.sleep(0.2)
    raise ViewError(f"MLflow's server did not start at {server}: see its messages above")
