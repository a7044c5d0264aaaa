"""The command `serve`: its options and the models that it refuses."""

import os
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import mlflow.pyfunc
import pytest
import uvicorn
from repository import ROOT

from rakuten import storage
from rakuten.categories import CODES
from rakuten.tracking import serve_command


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


@pytest.mark.parametrize("key", ["", " ", "a key", "clé", "a\n"])
def test_a_key_that_cannot_be_sent_is_an_error(key, monkeypatch, capsys):
    """An empty one, as an unfilled template leaves it, does not open the server."""
    monkeypatch.setenv(serve_command.KEY, key)
    assert serve_command.main([]) == 2
    assert capsys.readouterr().err.startswith(f"error: {serve_command.KEY} is ")


def test_the_key_is_optional():
    assert serve_command.read_key({}) is None
    assert serve_command.read_key({serve_command.KEY: "s3cr3t/+="}) == "s3cr3t/+="


@pytest.mark.parametrize("given", ["0", "-1", "many", "1.5"])
def test_a_limit_that_is_no_positive_integer_is_an_error(given, capsys):
    with pytest.raises(SystemExit) as ended:
        serve_command.main([f"--max-body={given}"])
    assert ended.value.code == 2
    assert f"expected a positive integer, received '{given}'" in capsys.readouterr().err


def test_a_port_in_use_is_an_error(capsys):
    with socket.create_server(("127.0.0.1", 0)) as used:
        assert serve_command.main(["--port", str(used.getsockname()[1])]) == 2
    assert "python -m rakuten serve --port" in capsys.readouterr().err


def test_a_folder_without_a_model_is_an_error(tmp_path, capsys):
    assert serve_command.main(["--model", str(tmp_path), "--port", free_port()]) == 2
    assert "has no file MLmodel: expected a folder that" in capsys.readouterr().err


def test_a_model_with_older_code_is_an_error(tmp_path, capsys):
    storage.write_text(tmp_path / "MLmodel", "{}")
    storage.write_text(tmp_path / "code/rakuten/tracking/served.py", "")
    assert serve_command.main(["--model", str(tmp_path), "--port", free_port()]) == 2
    assert "was registered before the command 'serve' existed" in capsys.readouterr().err


def test_the_code_of_the_model_is_run(tmp_path):
    """The library of the working directory is another one."""
    code = tmp_path / "model/code/rakuten"
    storage.write_text(tmp_path / "model/MLmodel", "{}")
    for name in ("__init__.py", "tracking/__init__.py", "tracking/serve_command.py"):
        storage.write_text(code / name, "")
    storage.write_text(code / "__main__.py", "import sys\nprint(__file__, *sys.argv[1:])\n")
    arguments = ["serve", "--model", str(tmp_path / "model"), "--port", free_port()]
    done = subprocess.run(
        [sys.executable, "-m", "rakuten", *arguments],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": "elsewhere"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.split()[:3] == [str(code / "__main__.py"), *arguments[:2]]


@pytest.fixture
def model(tmp_path):
    """The folder of a model without content, with this library as its code."""
    (tmp_path / "code").symlink_to(ROOT)
    storage.write_text(tmp_path / "MLmodel", "flavors: {}\n")
    summary = {"categories": list(CODES), "models": {}, "backbone": None, "dataset": {}}
    storage.write_json(tmp_path / "artifacts/package/package.json", summary)
    return tmp_path


def test_a_model_that_cannot_be_loaded_ends_the_server(model, capsys):
    assert serve_command.main(["--model", str(model), "--port", free_port()]) == 2
    assert (
        f"error: the model in {model} cannot be loaded: Model does not" in capsys.readouterr().err
    )


def test_a_package_of_another_version_is_an_error(model, capsys):
    path = model / "artifacts/package/package.json"
    storage.write_json(path, storage.read_json(path) | {"categories": []})
    assert serve_command.main(["--model", str(model), "--port", free_port()]) == 2
    assert "has 0 categories: expected the 27" in capsys.readouterr().err


def test_an_incomplete_model_is_an_error(model, capsys):
    (model / "artifacts/package/package.json").unlink()
    assert serve_command.main(["--model", str(model), "--port", free_port()]) == 2
    error = capsys.readouterr().err
    assert f"error: the model in {model} is incomplete" in error
    assert "download it again" in error


def test_a_server_that_is_stopped_while_it_loads_ends(model, monkeypatch):
    servers, run = [], uvicorn.Server.run

    def run_and_stop(self):
        servers.append(self)
        run(self)

    def load(path):
        while not servers or not servers[0].started:
            time.sleep(0.01)
        servers[0].should_exit = True  # as Ctrl-C does
        return SimpleNamespace(metadata=SimpleNamespace(get_input_schema=lambda: None))

    monkeypatch.setattr(uvicorn.Server, "run", run_and_stop)
    monkeypatch.setattr(mlflow.pyfunc, "load_model", load)
    assert serve_command.main(["--model", str(model), "--port", free_port()]) == 0
