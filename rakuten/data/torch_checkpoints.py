"""Read PyTorch checkpoints in the format before 1.6, without PyTorch and without running code.

Such a file is a series of pickles, followed by the raw values of its storages. The unpickler here
knows four names (ordered dictionary, float and long storage, rebuilding of a tensor) and refuses
all others, so that a file cannot call functions.

Source of the format: `torch/serialization.py`, `_legacy_save`.
"""

import io
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
"""The first pickle of a file in this format."""

PROTOCOL_VERSION = 1001
"""The second pickle."""


class CheckpointError(ValueError):
    """Not a checkpoint of tensors in the old format."""

    def __init__(self, problem: str):
        super().__init__(problem)

    def __str__(self) -> str:
        (problem,) = self.args
        return (
            f"{problem}; expected a PyTorch checkpoint of float and long tensors in the format "
            "before 1.6: do not use the file, download it again"
        )


def read_tensors(data: bytes) -> dict[str, np.ndarray]:
    """Read the tensors of a checkpoint.

    Args:
        data: The file's content.

    Returns:
        float32 and int64 arrays by name, in the order of the file.

    Raises:
        CheckpointError: If it is not such a file, or names a class or function besides the four.
    """
    file = io.BytesIO(data)
    storages: dict[str, np.ndarray] = {}
    try:
        header = [_Unpickler(file, storages).load() for _ in range(3)]
        if header[:2] != [MAGIC_NUMBER, PROTOCOL_VERSION]:
            raise CheckpointError(f"the file starts with {header[:2]}")
        tensors = _Unpickler(file, storages).load()
        keys = _Unpickler(file, storages).load()
        for key in keys:
            storage = storages[key]
            (count,) = np.frombuffer(file.read(8), "<i8")
            if count != len(storage):
                raise CheckpointError(f"storage {key} has {count} values, not {len(storage)}")
            raw = file.read(storage.nbytes)
            storage[:] = np.frombuffer(raw, storage.dtype.newbyteorder("<"))
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"the file cannot be read ({error})") from error
    return {str(name): np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


class _Unpickler(pickle.Unpickler):
    """Admits four names; tensors become views of the storages, which are filled later."""

    def __init__(self, file: io.BytesIO, storages: dict[str, np.ndarray]):
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "FloatStorage"): "float32",
            ("torch", "LongStorage"): "int64",
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        }
        if (module, name) not in known:
            raise CheckpointError(f"the file names {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, dtype, key, _location, count, view = pid
        if kind != "storage" or view is not None:
            raise CheckpointError(f"the file refers to {kind!r}, {view!r}")
        return self._storages.setdefault(key, np.zeros(count, dtype))


def _rebuild_tensor(
    storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> np.ndarray:
    """View a part of a storage as a tensor, whose axes may lie in another order."""
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides)) < 0 or last >= len(storage):
        raise CheckpointError(f"tensor {shape} is outside its storage of {len(storage)} values")
    steps = [step * storage.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps)
