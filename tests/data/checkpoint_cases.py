"""Checkpoints in PyTorch's old format, written without PyTorch."""

import io
import pickle
import sys
import types
from collections import OrderedDict

import numpy as np

from rakuten.data import torch_checkpoints


def _named(module, name):
    """Make a class that pickles as `module.name`."""
    return type(name, (), {"__module__": module, "__qualname__": name})


STORAGES = {np.float32: _named("torch", "FloatStorage"), np.int64: _named("torch", "LongStorage")}


def _rebuild_tensor_v2():
    """Stand in for PyTorch's function."""


_rebuild_tensor_v2.__module__ = "torch._utils"


class _Storage:
    def __init__(self, key, values):
        self.key, self.values = key, values


class _Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.arguments = storage, offset, shape, strides, False, OrderedDict()

    def __reduce__(self):
        return _rebuild_tensor_v2, self.arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, item):
        if isinstance(item, _Storage):
            kind = STORAGES[item.values.dtype.type]
            return "storage", kind, item.key, "cpu", len(item.values), None
        return None


def write(arrays, monkeypatch, *, strides=None, extra=None, header=None) -> bytes:
    """Write arrays as PyTorch does.

    Args:
        arrays: float32 or int64 by name. Stored in C order, or with axes in reverse.
        monkeypatch: The fixture.
        strides: Strides to claim by name, in values.
        extra: Another object by name in the dictionary, pickled by reference.
        header: Replaces magic number and version.
    """
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in STORAGES.values():
        setattr(torch, kind.__name__, kind)
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    file, storages, tensors = io.BytesIO(), [], OrderedDict()
    for number, (name, array) in enumerate(arrays.items()):
        storage = _Storage(str(1000 - number), np.asarray(array).ravel(order="K"))
        storages.append(storage)
        steps = tuple(step // array.itemsize for step in array.strides)
        shape = array.shape
        tensors[name] = _Tensor(storage, 0, shape, (strides or {}).get(name, steps))
    tensors |= extra or {}
    magic = header or [torch_checkpoints.MAGIC_NUMBER, torch_checkpoints.PROTOCOL_VERSION]
    for item in (*magic, {"little_endian": True}, tensors, sorted(s.key for s in storages)):
        _Pickler(file, protocol=2).dump(item)
    for storage in sorted(storages, key=lambda one: one.key):
        file.write(np.int64(len(storage.values)).tobytes() + storage.values.tobytes())
    return file.getvalue()
