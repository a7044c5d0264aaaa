"""Read the images of products by their names, from a folder or archives that are indexed."""

import gzip
import threading
from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from typing import IO, Protocol

from rakuten.data.archives import MAX_IMAGE, Archive, Entry
from rakuten.serving.errors import InputError, one_line, printable
from rakuten.serving.image_index import ImageIndex, open_entry
from rakuten.serving.product_tables import Table, read_rows
from rakuten.serving.remote_files import RemotePath, locate

OPEN_ARCHIVES = 8
"""Archives that a process keeps open, besides those that it had to unpack."""


class RemoteReadError(Exception):
    """A remote store failed to deliver an image or an archive; the file itself may be intact."""


class ImageReader(Protocol):
    """Reads image files by name."""

    def read(self, name: str) -> bytes | None:
        """Read an image file; None if there is none of that name."""


class ProductImages:
    """Reads the images of an index; threads may share one."""

    def __init__(self, address: str, index: ImageIndex):
        root = locate(address)
        self._filesystem, self._is_local, self._index = root.filesystem, root.is_local, index
        self._lock = threading.Lock()
        self._archives: OrderedDict[str, Archive] = OrderedDict()
        self._unpacked: dict[tuple[str, ...], Archive] = {}

    def close(self) -> None:
        """Close the archives."""
        for archive in (*self._archives.values(), *self._unpacked.values()):
            archive.close()

    def read(self, name: str) -> bytes | None:
        """Read an image file.

        Args:
            name: Its file name, as a row names it.

        Returns:
            Its content, None if there is no such file.

        Raises:
            InputError: If the file is larger than any image. A damaged archive raises one of
                `rakuten.data.archives.READ_FAULTS`.
            RemoteReadError: If a remote store fails.
        """
        for (container, folder), stored in self._index.find(name):
            path = f"{folder}/{stored}" if folder else stored
            try:
                return self._read(container, path)
            except (KeyError, FileNotFoundError):  # another name with the same hash
                continue
            except OSError as error:
                if self._is_local or isinstance(error, gzip.BadGzipFile):
                    raise
                raise RemoteReadError(f"{path} cannot be read: {one_line(error)}") from error
        return None

    def _read(self, container: tuple[str, ...], path: str) -> bytes:
        if not container:
            with RemotePath(self._filesystem, path).open() as file:
                return read_image(file, path)
        with self._lock:
            archive = self._archive(container)
            with archive.open(archive.find(path)) as member:
                return read_image(member, path)

    def _archive(self, container: tuple[str, ...]) -> Archive:
        """Open an archive, or return it if it is open."""
        *outer, path = container
        if container in self._unpacked:
            return self._unpacked[container]
        if outer:
            parent = self._archive(tuple(outer))
            member = parent.find(path)
            entry = Entry(path, member.size, partial(parent.open, member), path, tuple(outer))
            return self._unpacked.setdefault(container, Archive(entry))
        if path.lower().endswith("gz"):
            opened = Archive(open_entry(RemotePath(self._filesystem, path)))
            return self._unpacked.setdefault(container, opened)
        if path not in self._archives:
            if len(self._archives) >= OPEN_ARCHIVES:
                self._archives.popitem(last=False)[1].close()
            self._archives[path] = Archive(open_entry(RemotePath(self._filesystem, path)))
        self._archives.move_to_end(path)
        return self._archives[path]


def first_match(table: Table, index: ImageIndex) -> tuple[str | None, bool]:
    """Look for a row whose image is there.

    Args:
        table: The products.
        index: The images.

    Returns:
        The name of that image, and whether it is there; if none is, the first name, or None if no
        row names an image.
    """
    wanted = None
    for row in read_rows(table):
        wanted = wanted or row.image
        if row.image and index.find(row.image):
            return row.image, True
    return wanted, False


def check_matches(
    matches: Iterable[tuple[str | None, bool]], index: ImageIndex, address: object
) -> None:
    """Refuse images of which no row names one.

    Args:
        matches: What `first_match` returned for each table.
        index: The images.
        address: The address given for the images.

    Raises:
        InputError: If rows name images, and none of them is there.
    """
    matches = list(matches)
    wanted = next((name for name, _ in matches if name), None)
    if wanted and not any(found for _, found in matches):
        raise InputError(
            f"{address} contains none of the images named in the table, for example {wanted}; it "
            f"contains, for example, {printable(index.example)}: pass the images of these "
            "products, or omit --images"
        )


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
