"""Tests of the command `ray`, and that nothing else needs Ray."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest
from distributed_cases import SPEC, catalogue
from repository import ROOT

from rakuten import storage
from rakuten.distributed import command, engine
from rakuten.distributed.cleaning import Cleaning
from rakuten.image import encoder
from rakuten.serving.prediction_files import Summary


def test_without_ray_the_error_names_the_remedy(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    source = catalogue(tmp_path, 2)
    storage.write_text(tmp_path / "nltk" / "x", "")
    words = ["clean", source, "-o", tmp_path / "out", "--resources", tmp_path]
    assert command.main([str(word) for word in words]) == 2
    assert "pip install -r requirements/scale.txt" in capsys.readouterr().err


class FakeRayError(Exception):
    """Stands for `ray.exceptions.RayError`."""


@pytest.mark.parametrize(
    ("error", "connected", "message"),
    [
        (
            ValueError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107"),
            False,
            "set RAY_TMPDIR to a short one",
        ),
        (ValueError("Invalid address format: x"), False, "pass HOST:PORT of a running head node"),
        (ConnectionError("ray client connection timeout"), False, "cannot connect to Ray at x ("),
        (FakeRayError("no token"), False, "check RAY_AUTH_MODE and the token"),
        (None, True, "call ray.shutdown() first"),
    ],
)
def test_without_a_connection_the_error_names_the_remedy(
    tmp_path, monkeypatch, capsys, error, connected, message
):
    def init(**_):
        raise error

    exceptions = SimpleNamespace(RayError=FakeRayError)
    fake = SimpleNamespace(init=init, is_initialized=lambda: connected, exceptions=exceptions)
    monkeypatch.setattr(engine, "import_ray", lambda: fake)
    source = catalogue(tmp_path, 2)
    storage.write_text(tmp_path / "nltk" / "x", "")
    words = ["clean", source, "-o", tmp_path / "out", "--resources", tmp_path, "--address", "x"]
    assert command.main([str(word) for word in words]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_library_is_an_error_with_a_remedy(monkeypatch, capsys):
    def identity(_):
        raise PackageNotFoundError("langid")

    monkeypatch.setattr(Cleaning, "identity", identity)
    assert command.main(["clean", "x.csv", "-o", "out"]) == 2
    error = capsys.readouterr().err
    assert "langid is not installed: run 'pip install -r requirements.txt'" in error


@pytest.mark.parametrize(
    ("words", "changes", "message"),
    [
        (["clean"], {"min_token_length": 0}, "clean.min_token_length is 0: expected"),
        (["clean"], None, "error: params.yaml has no entry 'clean'"),
        (["extract", "--images", "x"], {"backbone": "vgg19"}, "extract.backbone is 'vgg19'"),
        (
            ["encode_image", "--images", "x", "--encoder", "."],
            {"views": ["mirror"]},
            "views has no 'mirror'",
        ),
    ],
)
def test_an_invalid_parameter_is_an_error_before_ray_starts(
    tmp_path, monkeypatch, capsys, words, changes, message
):
    params = storage.read_yaml(ROOT / "params.yaml")
    section = params.pop(words[0])
    if changes:
        params[words[0]] = section | changes
    storage.write_json(tmp_path / "params.yaml", params)
    storage.write_json(tmp_path / encoder.SPEC, SPEC.to_json())
    (tmp_path / encoder.NETWORK).touch()
    monkeypatch.chdir(tmp_path)
    assert command.main([*words, "x.csv", "-o", "out"]) == 2
    assert message in capsys.readouterr().err


def test_workers_in_another_folder_get_absolute_paths(tmp_path, monkeypatch, capsys):
    requests = []

    def run(request, transform):
        requests.append((request, transform))
        return Summary(products=1)

    monkeypatch.setattr(engine, "run", run)
    monkeypatch.chdir(tmp_path)
    assert command.main(["predict", "a.csv", "--images", "b", "-o", "c", "--package", "d"]) == 0
    assert command.main(["predict", "s3://x/a.csv", "--images", "s3://x/b", "-o", "s3://x/c"]) == 0
    assert command.main(["predict", "a.csv", "-o", "c"]) == 0
    (one, transform), (remote, _), (text, _) = requests
    assert [one.products, one.images, one.out, transform.package] == [
        str(tmp_path / name) for name in ("a.csv", "b", "c", "d")
    ]
    assert [remote.products, remote.images, remote.out] == ["s3://x/a.csv", "s3://x/b", "s3://x/c"]
    assert text.images is None
    assert capsys.readouterr().out.startswith("c: 1 product")


def test_nothing_imports_ray_before_a_run():
    code = "import sys; sys.modules['ray'] = None; import rakuten.distributed.command"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_worker_that_predicts_imports_neither_networks_of_training_nor_nltk():
    """They take longer to import than the classifier takes to load."""
    code = "import sys; import rakuten.distributed.worker, rakuten.distributed.prediction; "
    code += "print({'tensorflow', 'keras', 'sklearn', 'nltk', 'langid'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    assert found.stdout == b"set()\n"


@pytest.mark.parametrize("arguments", [[], ["predict"], ["predict", "x", "-o", "y", "--top", "28"]])
def test_wrong_arguments_end_with_2(arguments):
    with pytest.raises(SystemExit) as end:
        command.main(arguments)
    assert end.value.code == 2
