"""The runs in MLflow's pages: the saved view, its address, and the server that shows them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from functools import partial

import pytest
from repository import ROOT
from tracking_cases import commit

from rakuten.tracking import view
from rakuten.tracking.command import main

DISPLAYS = {"DISPLAY", "WAYLAND_DISPLAY"}
PATIENCE = 600_000  # milliseconds


def tags(mirror):
    return mirror.call("get_experiment", mirror.experiment_id).tags


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_the_view_is_saved_once_beside_those_of_others(mirror):
    other = "mlflow.sharedViewState.other"
    mirror.call("set_experiment_tag", mirror.experiment_id, other, "a person's view")
    view.write_view(mirror)
    first = tags(mirror)
    assert first[other] == "a person's view"
    saved = json.loads(first[view.TAG])
    assert saved["name"] == view.NAME
    state = json.loads(saved["state"])
    assert {"tags.`data`", "metrics.`test/accuracy`"} <= set(state["selectedColumns"])
    time.sleep(0.002)
    view.write_view(mirror)
    assert tags(mirror) == first


def test_the_address_has_no_password():
    found = view.address("https://ann:secret@host:8443/mlflow/", "7")
    assert found.startswith("https://host:8443/mlflow/#/experiments/7/runs?workflowType=machine_")
    assert found.endswith(f"viewStateShareKey={view.KEY}")


def test_a_port_in_use_is_an_error_with_the_remedy(project, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["ui", "--port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"error: port {port} cannot be used (Address already in use): end the program that uses "
        f"it, or choose another port with 'python -m rakuten ui --port {port + 1}'\n"
    )


@pytest.fixture
def shown(project):
    """The address that `python -m rakuten ui` prints for a project with runs, and its process."""
    commit(project)
    assert main(["sync"]) == 0
    command = [sys.executable, "-m", "rakuten", "ui", "--port", str(free_port())]
    environment = {name: os.environ[name] for name in os.environ.keys() - DISPLAYS}
    environment |= {"PYTHONPATH": str(ROOT), "http_proxy": "http://127.0.0.1:9"}  # nobody there
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # as from a terminal
    ) as process:
        found = ""
        while not (match := re.search(r"^MLflow: (http\S+)", found, re.MULTILINE)):
            line = process.stdout.readline()
            assert line, f"the server ended:\n{found}"
            found += line
        yield match[1], process
        process.send_signal(signal.SIGTERM)


@pytest.mark.slow
def test_the_page_shows_measured_and_published_runs_with_their_data(shown, chromium):
    address, process = shown
    page = chromium.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    for column in ("data", "test/accuracy"):
        page.get_by_role("columnheader", name=column, exact=True).first.wait_for()
    rows = page.locator(".ag-center-cols-container [role=row]")
    rows.filter(has_text="tiny").first.wait_for()
    rows.filter(has_text="Rakuten France, published").first.wait_for()
    page.get_by_role("button", name=view.NAME).wait_for()  # the menu of saved views
    page.context.close()

    process.send_signal(signal.SIGINT)
    assert process.wait() == 0
    port = int(re.search(r":(\d+)/", address)[1])
    socket.create_server(("127.0.0.1", port)).close()  # the server has ended too


@pytest.mark.slow
def test_a_server_by_its_address_is_opened_as_it_is(shown, monkeypatch, capsys):
    server = shown[0].partition("/#")[0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    capsys.readouterr()
    assert main(["ui"]) == 0
    assert capsys.readouterr().out == f"MLflow: {shown[0]}\n"
