"""Tests of the command `ray`, and that nothing else needs Ray."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from distributed_cases import catalogue
from repository import ROOT

from rakuten.distributed import command, engine
from rakuten.serving import remote_files
from rakuten.serving.errors import InputError


def test_without_ray_the_error_names_the_remedy(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    source = catalogue(tmp_path, 2)
    (tmp_path / "nltk").mkdir()
    words = ["clean", source, "-o", tmp_path / "out", "--resources", tmp_path]
    assert command.main([str(word) for word in words]) == 2
    assert "pip install -r requirements/scale.txt" in capsys.readouterr().err


def test_a_long_temporary_folder_is_an_error_with_a_remedy(tmp_path, monkeypatch, capsys):
    def init(**_):
        raise ValueError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107")

    fake = SimpleNamespace(init=init)
    monkeypatch.setattr(engine, "import_ray", lambda: fake)
    source = catalogue(tmp_path, 2)
    (tmp_path / "nltk").mkdir()
    words = ["clean", source, "-o", tmp_path / "out", "--resources", tmp_path]
    assert command.main([str(word) for word in words]) == 2
    assert "set RAY_TMPDIR to a short one" in capsys.readouterr().err


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


def test_unsupported_uris_are_refused():
    with pytest.raises(InputError, match="expected a path or a URI that PyArrow supports"):
        remote_files.locate("gopher://x/y")
