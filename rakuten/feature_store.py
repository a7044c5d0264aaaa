"""A store of computed features on disk, keyed by the digest of the item.

A pass through a network takes hours on the real catalogue. Its results are kept here item by item,
under a fingerprint of everything else that they depend on. A run that was killed, another order of
products, added products or an edited comment cost no second pass. DVC does not track the store:
it lies outside the outputs of stages, and deleting it costs computing time only.
"""

import ast
import hashlib
import inspect
import logging
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from rakuten import storage

logger = logging.getLogger(__name__)

_DAMAGE = (zipfile.BadZipFile, ValueError, EOFError, KeyError)
"""What reading a truncated or overwritten part raises."""

_LOG_METHODS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})


def default_folder(stage: str) -> Path:
    """Locate a stage's store, build/scratch/<stage> in the repository.

    An experiment that runs in a temporary copy (`dvc exp run --temp` or `--queue`) uses the store
    of the repository that it was started from: DVC names it in `DVC_ROOT`.
    """
    return Path(os.environ.get("DVC_ROOT", "")) / "build/scratch" / stage


class FeatureStore:
    """Arrays of items by digest, in part files that are never changed once written.

    Several processes may use one store at the same time. A damaged part is ignored.

    Args:
        folder: Where the stores of all fingerprints lie.
        fingerprint: Identifies what the features depend on besides the item: see `fingerprint`.
    """

    def __init__(self, folder: str | Path, fingerprint: str):
        self.folder = Path(folder) / fingerprint

    def load(self, digests: Sequence[str]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Read the stored features of items, one part file at a time.

        Args:
            digests: n different digests.

        Yields:
            Positions in `digests`, int64 (k,), and the arrays of these k items by name, items
            along the first axis. Every position comes at most once.
        """
        wanted = {digest: row for row, digest in enumerate(digests)}
        for path in sorted(self.folder.glob("*.npz")):
            if not wanted:
                return
            try:
                part = storage.read_arrays(path)
                stored = part.pop("digests").tolist()
            except _DAMAGE as error:
                logger.warning("%s is damaged and ignored: %s", path, error)
                continue
            chosen = [number for number, digest in enumerate(stored) if digest in wanted]
            if chosen:
                rows = np.array([wanted.pop(stored[number]) for number in chosen], np.int64)
                yield rows, {name: array[chosen] for name, array in part.items()}

    def save(self, digests: Sequence[str], **arrays: np.ndarray) -> None:
        """Write the features of items as a new part file.

        Args:
            digests: k different digests of ASCII letters and digits.
            **arrays: Arrays of the k items, items along the first axis.
        """
        name = hashlib.sha256("\n".join(digests).encode()).hexdigest()[:32]
        table = {"digests": np.array(digests, np.str_)} | arrays
        storage.write_arrays(self.folder / f"{name}.npz", **table)


def fingerprint(*values: object, arrays: Mapping[str, np.ndarray] | None = None) -> str:
    """Identify what features depend on besides the item.

    Args:
        *values: Settings, versions, digests: values whose `repr` tells them apart.
        arrays: Weights by name; their order does not matter.

    Returns:
        32 hexadecimal digits.
    """
    digest = hashlib.sha256(repr(values).encode())
    for name, array in sorted((arrays or {}).items()):
        digest.update(repr((name, array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:32]


def code_digest(*parts: ModuleType | Callable[..., Any]) -> str:
    """Hash code such that only an edit that can change values changes the digest.

    Ignored are comments, formatting, docstrings, annotations of arguments and results, imports for
    type checkers, the classes of exceptions, and the texts of raised errors and log messages.

    Args:
        *parts: Modules, functions or classes whose source files are there.

    Returns:
        SHA-256, 64 hexadecimal digits.
    """
    return source_digest(*(inspect.getsource(part) for part in parts))


def source_digest(*sources: str) -> str:
    """Hash source texts as `code_digest` does.

    Raises:
        SyntaxError: If a source is not valid Python.
    """
    trees = [_Significant().visit(ast.parse(source)) for source in sources]
    return hashlib.sha256("\n".join(map(ast.dump, trees)).encode()).hexdigest()


class _Significant(ast.NodeTransformer):
    """Removes what cannot change values from a syntax tree."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant):  # a docstring, or one of an attribute
            return None
        if isinstance(node.value, ast.Call) and _is_log(node.value):
            return None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST | None:
        if node.name.endswith("Error"):
            return None
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Raise()


def _is_log(call: ast.Call) -> bool:
    """Tell whether a call writes a log message or a warning."""
    function = call.func
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        return False
    logs = function.value.id in {"logger", "logging"} and function.attr in _LOG_METHODS
    return logs or (function.value.id, function.attr) == ("warnings", "warn")
