import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pytest

from rakuten import feature_store
from rakuten.feature_store import FeatureStore


def collect(store: FeatureStore, digests: list[str]) -> dict[str, float]:
    """Load one array, "x", by digest."""
    found = {}
    for rows, arrays in store.load(digests):
        assert rows.dtype == np.int64
        assert len(rows) == len(arrays["x"])
        for row, value in zip(rows, arrays["x"], strict=True):
            assert digests[row] not in found
            found[digests[row]] = value
    return found


def test_features_are_found_by_digest_in_any_order(tmp_path):
    store = FeatureStore(tmp_path, "key")
    assert collect(store, ["a", "b"]) == {}
    store.save(["a", "b"], x=np.array([1.0, 2.0]))
    store.save(["c"], x=np.array([3.0]))
    assert collect(FeatureStore(tmp_path, "key"), ["c", "z", "b"]) == {"c": 3.0, "b": 2.0}


def test_arrays_keep_type_and_shape(tmp_path):
    store = FeatureStore(tmp_path, "key")
    grid = np.arange(24, dtype=np.float16).reshape(2, 3, 4)
    store.save(["a", "b"], grid=grid, average=np.ones((2, 5), np.float32))
    ((rows, arrays),) = store.load(["b", "a"])
    assert (arrays["grid"].dtype, arrays["average"].dtype) == (np.float16, np.float32)
    np.testing.assert_array_equal(arrays["grid"], grid)
    assert rows.tolist() == [1, 0]


def test_another_fingerprint_finds_nothing(tmp_path):
    FeatureStore(tmp_path, "key").save(["a"], x=np.zeros(1))
    assert collect(FeatureStore(tmp_path, "other"), ["a"]) == {}


def test_an_item_in_two_parts_is_loaded_once(tmp_path):
    store = FeatureStore(tmp_path, "key")
    store.save(["a", "b"], x=np.array([1.0, 2.0]))
    store.save(["b", "c"], x=np.array([2.0, 3.0]))
    assert collect(store, ["a", "b", "c"]) == {"a": 1.0, "b": 2.0, "c": 3.0}


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(np.float64(1.5).tobytes(), np.float64(2.5).tobytes()),
        lambda content: b"",
        lambda content: b"not a zip archive",
    ],
    ids=["truncated", "overwritten", "empty", "foreign"],
)
def test_a_damaged_part_is_ignored_and_can_be_computed_again(tmp_path, caplog, damage):
    store = FeatureStore(tmp_path, "key")
    store.save(["a"], x=np.array([1.5]))
    (path,) = store.folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    store.save(["b"], x=np.array([3.0]))
    assert collect(store, ["a", "b"]) == {"b": 3.0}
    assert f"{path} is damaged and ignored" in caplog.text
    store.save(["a"], x=np.array([1.5]))
    assert collect(store, ["a", "b"]) == {"a": 1.5, "b": 3.0}


def save_many(folder: Path, first: int) -> None:
    """Write overlapping parts, as a second process does."""
    store = FeatureStore(folder, "key")
    for start in range(first, first + 20):
        digests = [str(number) for number in range(start, start + 4)]
        store.save(digests, x=np.arange(start, start + 4, dtype=np.float64))


def test_two_processes_share_a_store(tmp_path):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=save_many, args=(tmp_path, 10))
    process.start()
    thread = threading.Thread(target=save_many, args=(tmp_path, 0))
    thread.start()
    thread.join()
    process.join()
    assert process.exitcode == 0
    expected = {str(number): float(number) for number in range(33)}
    store = FeatureStore(tmp_path, "key")
    assert collect(store, list(expected)) == expected
    assert not list(store.folder.glob(".*"))


def test_a_temporary_experiment_uses_the_store_of_the_repository(monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert feature_store.default_folder("extract") == tmp_path / "build/scratch/extract"
    monkeypatch.delenv("DVC_ROOT")
    assert feature_store.default_folder("encode_text") == Path("build/scratch/encode_text")


def test_fingerprints_differ_in_values_and_arrays():
    weights = {"a": np.zeros(2, np.float32), "b": np.ones(2, np.float32)}
    known = [
        feature_store.fingerprint("x", 1, arrays=weights),
        feature_store.fingerprint("x", 2, arrays=weights),
        feature_store.fingerprint("x", "1", arrays=weights),
        feature_store.fingerprint("x", 1, arrays=weights | {"b": np.zeros(2, np.float32)}),
        feature_store.fingerprint("x", 1, arrays=weights | {"b": np.ones(2, np.float64)}),
        feature_store.fingerprint("x", 1, arrays=weights | {"b": np.ones((2, 1), np.float32)}),
        feature_store.fingerprint("x", 1),
    ]
    assert len(set(known)) == len(known)
    reversed_weights = dict(reversed(weights.items()))
    assert feature_store.fingerprint("x", 1, arrays=reversed_weights) == known[0]


SOURCE = '''
"""A module."""
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

FACTOR = 2
"""How much."""


class ScaleError(ValueError):
    """A scale that cannot be."""


def scale(x: int, text: str = "a") -> int:
    """Scale a number."""
    if x < 0:
        raise ScaleError(f"{x} is negative: expected 0 or more")
    logger.info("scale %s", x)
    return FACTOR * x  # as documented
'''
HARMLESS = {
    "docstring of the module": ('"""A module."""', '"""The module."""'),
    "docstring of a function": ("Scale a number.", "Multiply a number."),
    "docstring of a constant": ("How much.", "By how much."),
    "comment": ("# as documented", "# twice"),
    "blank lines": ("\n\n\ndef", "\n\n\n\n\ndef"),
    "annotation": ("x: int", "x: float"),
    "annotation of the result": ("-> int", "-> float"),
    "import of a type checker": ("import Path", "import PurePath"),
    "message of an error": ("is negative:", "is below 0:"),
    "exception class": ("ValueError", "ArithmeticError"),
    "log message": ('"scale %s", x', '"scaling"'),
}
HARMFUL = {
    "constant": ("FACTOR = 2", "FACTOR = 3"),
    "default": ('"a"', '"b"'),
    "operator": ("FACTOR * x", "FACTOR + x"),
    "condition": ("x < 0", "x <= 0"),
    "name": ("def scale", "def grow"),
    "import": ("import logging", "import warnings as logging"),
}


@pytest.mark.parametrize("edit", HARMLESS)
def test_an_edit_that_cannot_change_values_keeps_the_digest(edit):
    edited = SOURCE.replace(*HARMLESS[edit])
    assert edited != SOURCE
    assert feature_store.source_digest(edited) == feature_store.source_digest(SOURCE)


@pytest.mark.parametrize("edit", HARMFUL)
def test_an_edit_that_can_change_values_changes_the_digest(edit):
    edited = SOURCE.replace(*HARMFUL[edit])
    assert edited != SOURCE
    assert feature_store.source_digest(edited) != feature_store.source_digest(SOURCE)


def test_code_can_be_a_module_a_class_or_a_function():
    parts = [feature_store, FeatureStore, feature_store.code_digest]
    digests = [feature_store.code_digest(part) for part in parts]
    assert len(set(digests)) == 3
    assert feature_store.code_digest(*parts) not in digests
