import errno
import hashlib
import json
import os
import subprocess
import sys
import time
import zipfile

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from repository import ROOT
from ruamel.yaml import YAMLError

from rakuten import storage


def write_everything(folder):
    frame = pd.DataFrame({"id": [1, 2], "text": ["é", None], "share": [0.1, 1 / 3]})
    figure = Figure()
    FigureCanvasAgg(figure)
    figure.add_subplot().plot([1, 2])
    storage.write_table(folder / "t.parquet", frame)
    storage.write_csv(folder / "t.csv", frame)
    storage.write_arrays(folder / "a.npz", **{"x/kernel": np.eye(3), "n": np.array(2)})
    storage.write_array(folder / "a.npy", np.arange(6).reshape(2, 3).T)
    storage.write_json(folder / "j.json", {"b": np.float32(0.5), "a": np.arange(2), "é": None})
    storage.write_figure(folder / "f.png", figure)


def test_equal_values_give_equal_bytes_at_any_time(tmp_path, monkeypatch):
    write_everything(tmp_path / "one")
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    write_everything(tmp_path / "two")
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_tables_and_arrays_are_read_as_written(tmp_path):
    frame = pd.DataFrame({"id": [3, 1], "text": ["a,b\nc", "é"], "on": [True, False]})
    storage.write_table(tmp_path / "t.parquet", frame)
    pd.testing.assert_frame_equal(storage.read_table(tmp_path / "t.parquet"), frame)
    storage.write_csv(tmp_path / "t.csv", frame)
    pd.testing.assert_frame_equal(storage.read_csv(tmp_path / "t.csv"), frame)
    arrays = {"layer/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "none": np.zeros(0)}
    storage.write_arrays(tmp_path / "a.npz", **arrays)
    read = storage.read_arrays(tmp_path / "a.npz")
    assert list(read) == list(arrays)
    for name in arrays:
        np.testing.assert_array_equal(read[name], arrays[name])
        assert read[name].dtype == arrays[name].dtype


def test_pickled_arrays_are_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        storage.write_arrays(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    assert not (tmp_path / "a.npz").exists()
    np.savez(tmp_path / "evil.npz", x=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        storage.read_arrays(tmp_path / "evil.npz")


def test_a_failed_write_leaves_only_the_old_file(tmp_path):
    storage.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError, match="power"), storage.atomic(tmp_path / "a.txt") as file:
        file.write(b"half of the n")
        raise RuntimeError("power cut")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert storage.read_text(tmp_path / "a.txt") == "old"


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    with storage.atomic(tmp_path / "a") as first:
        first.write(b"first")
        with storage.atomic(tmp_path / "a") as second:
            second.write(b"second")
        assert (tmp_path / "a").read_bytes() == b"second"
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o002])
def test_files_have_the_permissions_that_the_umask_leaves(tmp_path, umask):
    before = os.umask(umask)
    try:
        storage.write_text(tmp_path / "a", "new")
        storage.write_text(tmp_path / "a", "replaced")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask


KILLED_WHILE_WRITING = """
import os, signal, sys
from rakuten import storage
with storage.atomic(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_write_removes_what_a_killed_process_left_long_ago(tmp_path):
    path = tmp_path / "a"
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, path], cwd=ROOT, check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".a.")
    storage.write_text(path, "new")
    assert left.exists(), "its process may still be writing"
    long_ago = time.time() - storage.ABANDONED - 1
    os.utime(left, (long_ago, long_ago))
    storage.write_text(path, "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_write_does_not_reach_into_a_hard_linked_cache(tmp_path):
    cached, output = tmp_path / "cached", tmp_path / "output"
    cached.write_text("old")
    output.hardlink_to(cached)
    cached.chmod(0o444)
    storage.write_text(output, "new")
    assert (cached.read_text(), output.read_text()) == ("old", "new")


def test_json_refuses_values_it_cannot_express(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        storage.write_json(tmp_path / "j.json", {"x": float("nan")})
    with pytest.raises(TypeError, match="cannot write set as JSON"):
        storage.write_json(tmp_path / "j.json", {"x": {1}})
    assert not (tmp_path / "j.json").exists()


def test_json_keeps_the_order_of_its_keys(tmp_path):
    storage.write_json(tmp_path / "j.json", {"b": 1, "a": [np.int64(2)]})
    assert storage.read_text(tmp_path / "j.json") == '{\n  "b": 1,\n  "a": [\n    2\n  ]\n}\n'
    assert storage.read_json(tmp_path / "j.json") == json.loads('{"b": 1, "a": [2]}')


def test_params_are_read_by_name_and_a_missing_one_is_named(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("seed: 3\ntext: {dropout: 0.7}\n")
    assert storage.read_params("seed", path=path) == 3
    assert storage.read_params("text", "seed", path=path) == ({"dropout": 0.7}, 3)
    with pytest.raises(KeyError, match=r"no entry 'txt': it has seed, text"):
        storage.read_params("txt", path=path)


def test_params_are_read_from_within_a_section(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("seed: 3\ntext: {dropout: 0.7, training: {epochs: 9}}\n")
    assert storage.read_params("text.dropout", path=path) == 0.7
    names = ("text.training.epochs", "seed", "text.training")
    assert storage.read_params(*names, path=path) == (9, 3, {"epochs": 9})
    with pytest.raises(KeyError, match=r"no entry 'text\.rate': it has dropout, training; add it"):
        storage.read_params("text.rate", path=path)
    with pytest.raises(
        KeyError, match=r"params\.yaml has no entry 'image\.rate': it has seed, text"
    ):
        storage.read_params("seed", "image.rate", path=path)


def test_an_entry_of_nested_dictionaries():
    values = {"a": {"b": {"c": 1}, "none": None}, "a.b": 2}
    assert storage.entry(values, "a.b", "x.json") == {"c": 1}
    assert storage.entry(values, "a.b.c", "x.json") == 1
    assert storage.entry(values, "a.none", "x.json") is None
    with pytest.raises(KeyError, match=r"no entry 'a\.b\.c\.d': it has no entries below"):
        storage.entry(values, "a.b.c.d", "x.json")
    with pytest.raises(KeyError, match=r"has no entry 'a\.z': it has b, none"):
        storage.entry(values, "a.z", "x.json")


def test_yaml_runs_no_code(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("seed: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(YAMLError, match="could not determine a constructor"):
        storage.read_yaml(path)


def test_a_missing_file_error_gives_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match="run 'dvc repro' to build it"):
        storage.read_table(tmp_path / "products.parquet")


def test_image_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("image_train/b.jpg", b"bb")
        archive.writestr("image_train/a.jpg", b"aa")
    with storage.ImageArchive(tmp_path / "images.zip") as images:
        assert images.names() == ["image_train/a.jpg", "image_train/b.jpg"]
        assert "image_train/a.jpg" in images
        assert "image_train/c.jpg" not in images
        assert images.read("image_train/b.jpg") == b"bb"
        assert images.digest("image_train/b.jpg") == hashlib.md5(b"bb").hexdigest()
        with pytest.raises(KeyError, match=r"no image image_train/c\.jpg: run 'dvc pull data.dvc'"):
            images.read("image_train/c.jpg")


def test_digest_is_the_md5_that_dvc_records(tmp_path):
    storage.write_text(tmp_path / "a", "abc")
    assert storage.digest(tmp_path / "a") == "900150983cd24fb0d6963f7d28e17f72"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e-05", 1e-5),
        ("2.5E+2", 250.0),
        ("-.5", -0.5),
        ("3", 3),
        ("1.2.3", "1.2.3"),
    ],
)
def test_numbers_are_read_as_dvc_reads_them(text, value):
    read = storage.parse_yaml(f"x: {text}")["x"]
    assert (read, type(read)) == (value, type(value))


def test_a_copy_is_complete_or_absent(tmp_path, monkeypatch):
    (tmp_path / "source").write_bytes(b"x" * 3_000_000)
    storage.copy(tmp_path / "source", tmp_path / "folder/target")
    assert storage.read_bytes(tmp_path / "folder/target") == b"x" * 3_000_000

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copyfileobj", stop)
    with pytest.raises(KeyboardInterrupt):
        storage.copy(tmp_path / "source", tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        storage.copy(tmp_path / "absent", tmp_path / "other")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_error_with_the_path_and_a_remedy(tmp_path, monkeypatch, number):
    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    (tmp_path / "a.bin").write_bytes(b"earlier")
    with pytest.raises(
        OSError, match=r"MB are free; make space and run .* again: .*a\.bin"
    ) as info:
        storage.write_bytes(tmp_path / "a.bin", b"new")
    assert info.value.errno == number
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"earlier"
