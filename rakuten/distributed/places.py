"""Files by their addresses: paths of this machine, or of any filesystem that PyArrow knows."""

import hashlib
import io
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow.fs as fs

from rakuten.serving.product_files import InputError

EDGE = 1 << 20  # bytes hashed at each end of a file


class Place(NamedTuple):
    """A file or folder and what opens it.

    Attributes:
        filesystem: PyArrow's.
        path: Its path there.
    """

    filesystem: fs.FileSystem
    path: str

    def below(self, *names: str) -> "Place":
        """Give the place of something within this folder."""
        return Place(self.filesystem, str(PurePosixPath(self.path, *names)))

    def open(self) -> "Named":
        """Open the file to be read and sought."""
        return Named(self.filesystem.open_input_file(self.path), self.path)

    def exists(self) -> bool:
        """Tell whether there is a file or folder."""
        return self.info().type != fs.FileType.NotFound

    def info(self) -> fs.FileInfo:
        """Ask what is there."""
        return self.filesystem.get_file_info(self.path)

    def read(self) -> bytes:
        """Read the whole file."""
        with self.filesystem.open_input_file(self.path) as file:
            return file.read()

    def write(self, content: bytes) -> None:
        """Write a file that appears when it is complete."""
        self.filesystem.create_dir(str(PurePosixPath(self.path).parent), recursive=True)
        unfinished = f"{self.path}.tmp"
        with self.filesystem.open_output_stream(unfinished) as file:
            file.write(content)
        self.filesystem.move(unfinished, self.path)

    def delete(self) -> None:
        """Remove the file."""
        self.filesystem.delete_file(self.path)

    def files(self) -> list[fs.FileInfo]:
        """List the files below this folder, by their paths."""
        selector = fs.FileSelector(self.path, recursive=True, allow_not_found=True)
        found = [i for i in self.filesystem.get_file_info(selector) if i.is_file]
        return sorted(found, key=lambda info: info.path.split("/"))

    def digest(self) -> str:
        """Hash the whole file."""
        with self.open() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def digests(self) -> dict[str, str]:
        """Hash all files below this folder, by their paths within it."""
        paths = (PurePosixPath(info.path).relative_to(self.path) for info in self.files())
        return {str(path): self.below(str(path)).digest() for path in paths}

    def identity(self) -> dict:
        """Tell this file from most others, without reading it: size, first and last MiB."""
        with self.open() as file:
            digest = hashlib.sha256(file.read(EDGE))
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - EDGE))
            digest.update(file.read(EDGE))
        return {"size": size, "sha256": digest.hexdigest()}


class Named(io.BufferedReader):
    """A file of a PyArrow filesystem that knows its name, for errors to tell."""

    def __init__(self, raw, name: str):
        super().__init__(raw, EDGE)
        self._name = name

    @property
    def name(self) -> str:
        """Its path."""
        return self._name


def locate(address: str) -> Place:
    """Find what opens an address.

    Args:
        address: A path of this machine, or a URI such as s3://bucket/folder.

    Returns:
        The place, whether there is anything or not.

    Raises:
        InputError: If no filesystem is known for it.
    """
    if "://" not in address:
        return Place(fs.LocalFileSystem(), Path(address).absolute().as_posix())
    try:
        filesystem, path = fs.FileSystem.from_uri(address)
    except (ValueError, OSError) as error:
        raise InputError(
            f"{address} cannot be opened ({error}): expected a path or a URI that PyArrow knows"
        ) from error
    return Place(filesystem, path)
