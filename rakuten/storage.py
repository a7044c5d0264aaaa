"""Reading and writing of project files: atomic writes, byte-stable formats, no pickle.

Every write goes to a temporary file beside the target that replaces it at the end, so a killed
process leaves either the old file or the new one. Every format is canonical: the same values give
the same bytes, whenever they are written.
"""

import errno
import hashlib
import io
import json
import os
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
from ruamel.yaml import YAML

from rakuten import parameters

if TYPE_CHECKING:  # imported where it is used: half a second that other formats do not need
    import pandas as pd

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The fixed date of every archive member, so that equal content gives equal bytes."""

DIGITS = 6
"""Decimals kept in reports: further ones are noise and would show in every diff."""

MAX_PIXELS = 25_000_000
"""Pixels above which an image is refused before it is decoded; the challenge's have 250,000."""

ABANDONED = 3600.0
"""Seconds without a write after which a temporary file is the leftover of a killed process."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
"""The errors of a full file system and of a user's full quota."""

TEMPORARY = ".tmp"
"""How the names of temporary files end; git ignores them."""


@contextmanager
def atomic(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears at `path` only when it is complete.

    Args:
        path: The target; its folders are made.

    Yields:
        A binary file, readable and writable. An exception inside the block discards it.

    Raises:
        OSError: If there is no space left; the message names the file and the remedy.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}."
    _remove_abandoned(path.parent, prefix)
    # The name is unique: two processes may write the same target, and the last one wins. A file
    # of the module tempfile would not get the permissions that the user's umask leaves.
    temporary = path.parent / f"{prefix}{secrets.token_hex(8)}{TEMPORARY}"
    try:
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        free = shutil.disk_usage(path.parent).free / 1e6
        raise OSError(
            error.errno,
            f"{os.strerror(error.errno)}: nothing was written, {free:,.0f} MB are free; make space "
            "and run the same command again",
            str(path),
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write bytes atomically."""
    with atomic(path) as file:
        file.write(content)


def read_bytes(path: str | Path) -> bytes:
    """Read a whole file."""
    return _existing(path).read_bytes()


def copy(source: str | Path, target: str | Path) -> None:
    """Copy a file atomically, in chunks."""
    with _existing(source).open("rb") as original, atomic(target) as file:
        shutil.copyfileobj(original, file, 1 << 20)


def read_text(path: str | Path) -> str:
    """Read a UTF-8 text file."""
    return _existing(path).read_text(encoding="utf-8")


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically, with the line ends of `text`."""
    write_bytes(path, text.encode("utf-8"))


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(read_text(path))


def write_json(path: str | Path, value: dict | list) -> None:
    """Write JSON in its canonical form: keys in the order given, two spaces, no NaN.

    Raises:
        ValueError: If a number is not finite: JSON cannot express it, use None.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    write_text(path, text + "\n")


def parse_yaml(text: str | bytes) -> dict[str, Any]:
    """Parse YAML 1.2, as DVC does: 1e-3 is a number.

    Raises:
        ruamel.yaml.YAMLError: If it is not YAML, or has a tag that would run code.
    """
    return YAML(typ="safe").load(text)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML 1.2 file, as `parse_yaml` does."""
    return parse_yaml(read_text(path))


def read_params(*names: str, path: str | Path = "params.yaml") -> Any:
    """Read entries of `params.yaml` by their names.

    Args:
        *names: One or more keys: a section such as "text", a value such as "seed", or one value of
            a section such as "extract.backbone".
        path: The parameter file.

    Returns:
        The entry of the one name, or a tuple of entries in the order of several names.

    Raises:
        KeyError: If a name is missing; the message lists the names that exist.
        ValueError: If a value is beyond the limits of `rakuten.parameters`; it is named.
    """
    params = read_yaml(path)
    entries = tuple(entry(params, name, str(path)) for name in names)
    for name, value in zip(names, entries, strict=True):
        parameters.check(name, value, str(path))
    return entries if len(entries) > 1 else entries[0]


def entry(values: dict[str, Any], name: str, where: str) -> Any:
    """Look up a dotted name in nested dictionaries.

    Args:
        values: The dictionaries.
        name: Keys joined by dots, e.g. "extract.backbone".
        where: The file that they were read from, for the message.

    Raises:
        KeyError: If there is none of this name; the message lists those that exist there.
    """
    found: Any = values
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            known = ", ".join(found) if isinstance(found, dict) else "no entries below it"
            raise KeyError(f"{where} has no entry {name!r}: it has {known}; add it")
        found = found[part]
    return found


def read_csv(path: str | Path, **options: Any) -> "pd.DataFrame":
    """Read a CSV file; `options` go to `pandas.read_csv`."""
    import pandas as pd

    return pd.read_csv(_existing(path), **options)


def write_csv(path: str | Path, frame: "pd.DataFrame") -> None:
    """Write a table as CSV without its index, LF line ends, shortest exact floats."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def read_table(path: str | Path) -> "pd.DataFrame":
    """Read a Parquet table."""
    import pandas as pd

    return pd.read_parquet(_existing(path))


def write_table(path: str | Path, frame: "pd.DataFrame") -> None:
    """Write a table as Parquet: Zstandard, no index, no environment-dependent metadata.

    Args:
        path: The target file.
        frame: The table; its index is not kept.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with atomic(path) as file:
        pq.write_table(table, file, compression="zstd")


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read every array of an .npz archive into memory, by name; never unpickles."""
    with np.load(_existing(path), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def pack_arrays(**arrays: np.ndarray) -> bytes:
    """Pack arrays as an uncompressed .npz archive, members in the order given, undated.

    Args:
        **arrays: The arrays by name; none of dtype object. A name may hold a slash.

    Returns:
        The archive: equal arrays give equal bytes.
    """
    content = io.BytesIO()
    _write_npz(content, arrays)
    return content.getvalue()


def write_arrays(path: str | Path, **arrays: np.ndarray) -> None:
    """Write the archive of `pack_arrays` to a file, without a copy of it in memory."""
    with atomic(path) as file:
        _write_npz(file, arrays)


def _write_npz(file: BinaryIO, arrays: dict[str, np.ndarray]) -> None:
    """Write the archive of `pack_arrays`."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", ZIP_EPOCH)
            member.create_system = 3  # the same on every operating system
            array = np.ascontiguousarray(array) if np.ndim(array) else np.asarray(array)
            # Python versions write other headers where zip64 is forced without need.
            with archive.open(member, "w", force_zip64=array.nbytes >= 1 << 31) as target:
                np.lib.format.write_array(target, array, version=(1, 0), allow_pickle=False)


def read_array(path: str | Path) -> np.ndarray:
    """Read one .npy array; never unpickles."""
    return np.load(_existing(path), allow_pickle=False)


def write_array(path: str | Path, array: np.ndarray) -> None:
    """Write one array as .npy."""
    with atomic(path) as file:
        np.lib.format.write_array(
            file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False
        )


def write_figure(path: str | Path, figure) -> None:
    """Write a matplotlib figure as PNG, without the software's version in its metadata.

    Args:
        path: The target file.
        figure: A `matplotlib.figure.Figure` with an Agg canvas; its dpi is kept.
    """
    content = io.BytesIO()
    # `savefig` gives the same bytes, but draws twice: the first time only for the layout.
    figure.canvas.print_png(content, metadata={"Software": None})
    write_bytes(path, content.getvalue())


def digest(path: str | Path) -> str:
    """Hash a file as DVC does.

    Args:
        path: The file.

    Returns:
        The MD5 of its bytes, 32 hexadecimal digits.
    """
    with _existing(path).open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


class ImageArchive:
    """The uncompressed archive of product images, read by member name.

    One file instead of 85,000, because DVC hashes, links and checks out every file. Threads and
    processes cannot share one: open one in each.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._archive = zipfile.ZipFile(_existing(path))
        self._names = frozenset(self._archive.namelist())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._archive.close()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def names(self) -> list[str]:
        """List the members, sorted."""
        return sorted(self._names)

    def read(self, name: str) -> bytes:
        """Read one member.

        Raises:
            KeyError: If the archive has no such member.
        """
        if name not in self._names:
            raise KeyError(
                f"{self.path} has no image {name}: run 'dvc pull data.dvc' or pass the full archive"
            )
        return self._archive.read(name)

    def digest(self, name: str) -> str:
        """Hash the bytes of one member: MD5, 32 hexadecimal digits."""
        return hashlib.md5(self.read(name), usedforsecurity=False).hexdigest()


def _remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove the temporary files of a target that killed processes left."""
    with os.scandir(folder) as entries:
        left = [e for e in entries if e.name.startswith(prefix) and e.name.endswith(TEMPORARY)]
    for entry in left:
        with suppress(FileNotFoundError):  # its writer may have finished meanwhile
            if time.time() - entry.stat().st_mtime > ABANDONED:
                Path(entry.path).unlink()


def _existing(path: str | Path) -> Path:
    """Check that a file exists, and name the remedy if it does not."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist: run 'dvc repro' to build it, or 'dvc pull data.dvc' for data/"
        )
    return path


def _plain(value):
    """Turn NumPy scalars and arrays into JSON values."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"cannot write {type(value).__name__} as JSON: expected plain values")
