"""Find and read the images of products in a folder or a zip archive, by their file names."""

import os
import threading
import zipfile
from pathlib import Path
from typing import IO, Protocol

from rakuten.data.sources import MAX_IMAGE, READ_FAULTS, open_member
from rakuten.serving.errors import InputError, one_line
from rakuten.serving.product_tables import Table


class ImageReader(Protocol):
    """Reads image files by name."""

    def read(self, name: str) -> bytes | None:
        """Read an image file; None if there is none of that name."""


class ProductImages:
    """The files of a folder or a zip archive, found by their names at any depth.

    Of several files with the same name, the one in the first folder counts; a folder comes before
    its subfolders. Threads may share an instance.
    """

    def __init__(self, path: Path):
        """Index the files.

        Args:
            path: A folder or a zip archive.

        Raises:
            InputError: If it cannot be read or holds no files.
        """
        self._lock = threading.Lock()
        self._archive: zipfile.ZipFile | None = None
        self._folders: list[str] = []  # each stored once: millions of names must fit into memory
        self._names: dict[str, int] = {}  # file name -> position in _folders
        if path.is_dir():
            self._index_folder(path)
        else:
            self._index_archive(path)
        if not self._names:
            raise InputError(f"{path} holds no files: pass the folder or zip archive of images")

    def close(self) -> None:
        """Close the archive."""
        if self._archive:
            self._archive.close()

    def read(self, name: str) -> bytes | None:
        """Read an image file.

        Args:
            name: Its file name.

        Returns:
            Its content, None if there is no such file.

        Raises:
            InputError: If the file is larger than any image. A damaged archive raises one of
                `rakuten.data.sources.READ_FAULTS`.
        """
        if name not in self._names:
            return None
        folder = self._folders[self._names[name]]
        if self._archive:
            with self._lock, open_member(self._archive, f"{folder}{name}") as file:
                return read_image(file, name)
        with (Path(folder) / name).open("rb") as file:
            return read_image(file, name)

    def _index_folder(self, root: Path) -> None:
        for folder, subfolders, names in os.walk(root):
            subfolders.sort()
            self._folders.append(folder)
            for name in names:
                self._names.setdefault(name, len(self._folders) - 1)

    def _index_archive(self, path: Path) -> None:
        self._archive = open_archive(path, path)
        positions: dict[str, int] = {}
        for member in sorted(self._archive.namelist(), key=lambda name: name.split("/")[:-1]):
            folder, slash, name = member.rpartition("/")
            if name and name not in self._names:
                self._names[name] = positions.setdefault(folder + slash, len(positions))
        self._folders = list(positions)


def open_archive(file: Path | IO[bytes], name: object) -> zipfile.ZipFile:
    """Open a zip archive of images.

    Args:
        file: The archive.
        name: Its name, for the message.

    Returns:
        The open archive; the caller closes it.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        return zipfile.ZipFile(file)
    except READ_FAULTS as error:
        raise InputError(
            f"--images {name} cannot be read ({one_line(error)}): expected a folder or a zip "
            "archive of images"
        ) from error


def read_image(file: IO[bytes], name: str) -> bytes:
    """Read an open image file.

    Args:
        file: The file.
        name: Its name, for the message.

    Returns:
        Its content.

    Raises:
        InputError: If it is larger than any image.
    """
    content = file.read(MAX_IMAGE + 1)
    if len(content) > MAX_IMAGE:
        raise InputError(f"{name} is too large: expected at most {MAX_IMAGE} bytes, received more")
    return content


def check_image_columns(table: Table) -> None:
    """Refuse a table that does not say which image belongs to which product.

    Raises:
        InputError: If it has neither `productid` and `imageid` nor `image`.
    """
    if "image" not in table.columns and not {"productid", "imageid"} <= set(table.columns):
        raise InputError(
            f"{table.path} does not say which image belongs to which product: expected the "
            f"columns productid and imageid, or image with file names, received "
            f"{','.join(table.columns)[:200]!r}; add them or leave out --images"
        )
