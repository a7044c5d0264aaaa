"""Read and write files by address: local paths, or URIs of any filesystem that PyArrow supports."""

import hashlib
import io
import uuid
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow.fs as fs

from rakuten.serving.errors import InputError
from rakuten.serving.prediction_files import format_time, identify
from rakuten.serving.product_tables import BUFFER


class RemotePath(NamedTuple):
    """A file or folder of a filesystem.

    Attributes:
        filesystem: The filesystem, local or remote.
        path: The path in it.
    """

    filesystem: fs.FileSystem
    path: str

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(self.filesystem, str(PurePosixPath(self.path, name)))

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine's filesystem."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def open(self) -> io.BufferedReader:
        """Open the file for reading; it is seekable."""
        if self.is_local:  # Arrow refuses names that are not UTF-8
            return Path(self.path).open("rb")
        return io.BufferedReader(self.filesystem.open_input_file(self.path), BUFFER)

    def exists(self) -> bool:
        """Return whether the file or folder exists."""
        return self.info().type != fs.FileType.NotFound

    def info(self) -> fs.FileInfo:
        """Read type, size and modification time."""
        return self.filesystem.get_file_info(self.path)

    def modified(self) -> str:
        """Give the time of the last change in UTC, "" if the filesystem does not tell."""
        return format_time(self.info().mtime_ns)

    def read(self) -> bytes:
        """Read the whole file."""
        with self.filesystem.open_input_file(self.path) as file:
            return file.read()

    def write(self, content: bytes) -> None:
        """Write the file; it appears when it is complete."""
        path = PurePosixPath(self.path)
        self.filesystem.create_dir(str(path.parent), recursive=True)
        # Readers of a folder skip hidden files; two processes may write the same file.
        unfinished = str(path.with_name(f".{path.name}.{uuid.uuid4().hex}"))
        with self.filesystem.open_output_stream(unfinished) as file:
            file.write(content)
        self.filesystem.move(unfinished, self.path)

    def delete(self) -> None:
        """Delete the file, or the folder with all its files; a missing one is not an error."""
        kind = self.info().type
        if kind == fs.FileType.Directory:
            self.filesystem.delete_dir(self.path)
        elif kind != fs.FileType.NotFound:
            self.filesystem.delete_file(self.path)

    def files(self) -> list[fs.FileInfo]:
        """List all files below this folder, sorted by path."""
        selector = fs.FileSelector(self.path, recursive=True, allow_not_found=True)
        found = [info for info in self.filesystem.get_file_info(selector) if info.is_file]
        return sorted(found, key=lambda info: info.path.split("/"))

    def digest(self) -> str:
        """Hash the whole file: SHA-256."""
        with self.open() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def digests(self) -> dict[str, str]:
        """Hash all files below this folder; keys are relative paths.

        Raises:
            FileNotFoundError: If there are none.
        """
        paths = [PurePosixPath(info.path).relative_to(self.path) for info in self.files()]
        if not paths:
            raise FileNotFoundError(f"{self.path} does not exist or contains no files")
        return {str(path): (self / str(path)).digest() for path in paths}

    def identity(self) -> dict:
        """Identify the file by its change, its size and the SHA-256 of its first and last MiB."""
        with self.open() as file:
            return {"modified": self.modified(), **identify(file)}


def locate(address: str) -> RemotePath:
    """Find the filesystem of an address.

    Args:
        address: A local path, or a URI such as s3://bucket/folder.

    Returns:
        The path, whether it exists or not.

    Raises:
        InputError: If PyArrow does not support the URI.
    """
    if "://" not in address:
        return RemotePath(fs.LocalFileSystem(), Path(address).absolute().as_posix())
    try:
        filesystem, path = fs.FileSystem.from_uri(address)
    except (ValueError, OSError) as error:
        raise InputError(
            f"{address} cannot be opened ({error}): expected a path or a URI that PyArrow supports"
        ) from error
    return RemotePath(filesystem, path)
