import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

from rakuten import console


def test_a_port_in_use_is_an_error_that_names_another():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(console.PortError, match=f"port {port} .*'serve --port {port + 1}'"):
            console.check_port("127.0.0.1", port, "serve")
    console.check_port("127.0.0.1", port, "serve")


@pytest.mark.parametrize(
    ("address", "port", "message"),
    [("127.0.0.1", 70_000, "port 70000: expected 1 to 65535"), ("nowhere.invalid", 80, "nowhere")],
)
def test_an_impossible_address_or_port_is_an_error(address, port, message):
    with pytest.raises(console.PortError, match=message):
        console.check_port(address, port, "serve")


def test_the_demo_names_its_port_before_its_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [sys.executable, "-m", "demo", "--port", str(port)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "page is at" not in ended.stdout
    assert f"error: port {port} cannot be used" in ended.stderr
    assert "python -m demo --port" in ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk, on Linux")
@pytest.mark.parametrize(
    ("words", "unbuffered"), [("readme show", ""), ("readme show", "1"), ("--help", "")]
)
def test_a_full_disk_under_standard_output_is_an_error_without_a_traceback(words, unbuffered):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rakuten", *words.split()],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    reason = "error: standard output cannot be written (No space left on device)\n"
    assert (done.returncode, done.stderr) == (2, reason)


def test_characters_that_the_terminal_cannot_show_are_escaped():
    code = "from rakuten import console; console.show('caf\\xe9\\n')"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    assert shown.stdout == b"caf\\xe9\n"
