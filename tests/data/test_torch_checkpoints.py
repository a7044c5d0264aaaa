import os

import numpy as np
import pytest
from checkpoint_cases import write

from rakuten.data import torch_checkpoints
from rakuten.data.torch_checkpoints import CheckpointError


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    return {
        "stem.weight": generator.normal(size=(4, 3, 2, 2)).astype(np.float32),
        "norm.bias": generator.normal(size=4).astype(np.float32),
        "norm.steps": np.array(7),
        "transposed": generator.normal(size=(2, 3, 4)).astype(np.float32).transpose(2, 0, 1),
    }


def test_tensors_are_read_with_their_names_types_and_order_of_axes(arrays, monkeypatch):
    found = torch_checkpoints.read_tensors(write(arrays, monkeypatch))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name].reshape(array.shape), array)


def test_another_function_is_refused_and_not_called(arrays, monkeypatch, tmp_path):
    """A file could call any function through a pickle."""

    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    data = write(arrays, monkeypatch, extra={"attack": Attack()})
    with pytest.raises(CheckpointError, match=r"names posix\.mkdir; expected a PyTorch checkpoint"):
        torch_checkpoints.read_tensors(data)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("strides", [(100,), (-1,)])
def test_a_tensor_outside_its_storage_is_refused(arrays, monkeypatch, strides):
    data = write(arrays, monkeypatch, strides={"norm.bias": strides})
    with pytest.raises(CheckpointError, match="is outside its storage of 4 values"):
        torch_checkpoints.read_tensors(data)


def test_other_files_are_refused(arrays, monkeypatch):
    whole = write(arrays, monkeypatch)
    for data in (b"", b"PK\x03\x04", whole[:-3], whole[:200]):
        with pytest.raises(CheckpointError, match="expected a PyTorch checkpoint of float"):
            torch_checkpoints.read_tensors(data)
    with pytest.raises(CheckpointError, match=r"the file starts with \[1, 2\]"):
        torch_checkpoints.read_tensors(write(arrays, monkeypatch, header=[1, 2]))
