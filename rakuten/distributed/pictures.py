"""Millions of pictures by their names: in folders and zip archives of any PyArrow filesystem.

An index of 12 bytes a picture says in which folder or archive to look. It lies in Ray's shared
memory once per machine.
"""

import hashlib
import zipfile
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rakuten.data.sources import READ_FAULTS, open_member
from rakuten.distributed.places import Place, locate
from rakuten.serving.product_files import InputError, one_line, read_picture

OPEN_ARCHIVES = 8  # kept open by a process


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder or of one archive.

    Attributes:
        folders: Where they lie: (path of the archive, "" for files; folder), each once.
        hashes: uint64 (m,), `key` of each name.
        owners: uint32 (m,), each one's position in `folders`.
        digest: Changes with the names and sizes.
    """

    folders: tuple[tuple[str, str], ...]
    hashes: np.ndarray
    owners: np.ndarray
    digest: str


def key(name: str) -> int:
    """Hash a file name to 64 bits."""
    content = name.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def list_folder(address: str) -> tuple[Listing, list[str]]:
    """List the files below a folder.

    Args:
        address: A folder, or a zip archive.

    Returns:
        The loose files, and the paths of the archives, which `list_archive` looks into.

    Raises:
        InputError: If there is nothing.
    """
    place = locate(address)
    if place.info().is_file:
        return _listing("", []), [place.path]
    found = place.files()
    archives = [info.path for info in found if info.path.lower().endswith(".zip")]
    loose = [(i.path, i.size) for i in found if not i.path.lower().endswith(".zip")]
    if not found:
        raise InputError(
            f"{address} holds no files: pass the folder or zip archive of pictures, or a folder of "
            "such archives"
        )
    return _listing("", loose), archives


def list_archive(address: str, path: str) -> Listing:
    """List the members of an archive.

    Args:
        address: What was given for the pictures.
        path: The archive's path in that filesystem.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        place = Place(locate(address).filesystem, path)
        with place.open() as file, zipfile.ZipFile(file) as archive:
            members = [(i.filename, i.file_size) for i in archive.infolist()]
    except READ_FAULTS as error:
        raise InputError(
            f"--images {path} cannot be read ({one_line(error)}): expected a folder or a zip "
            "archive of pictures, pass one"
        ) from error
    return _listing(path, [m for m in members if not m[0].endswith("/")])


def merge(listings: Iterable[Listing]) -> Listing:
    """Make one index of listings: hashes ascending, of equal names the first folder's first."""
    listings = list(listings)
    shifts = np.cumsum([0, *(len(listing.folders) for listing in listings)])
    hashes = np.concatenate([listing.hashes for listing in listings])
    owners = np.concatenate(
        [part.owners + np.uint32(by) for part, by in zip(listings, shifts, strict=False)]
    )
    order = np.argsort(hashes, kind="stable")
    folders = tuple(folder for listing in listings for folder in listing.folders)
    digest = hashlib.sha256("".join(listing.digest for listing in listings).encode())
    return Listing(folders, hashes[order], owners[order], digest.hexdigest())


class IndexedPictures:
    """The pictures of an index, read as `product_files.Pictures` does; for one thread."""

    def __init__(self, address: str, index: Listing):
        self._filesystem, self._index = locate(address).filesystem, index
        self._archives: OrderedDict[str, zipfile.ZipFile] = OrderedDict()

    def read(self, name: str) -> bytes | None:
        """Read a picture's bytes, None if there is no such file; raises `READ_FAULTS`."""
        start, stop = (
            int(np.searchsorted(self._index.hashes, np.uint64(key(name)), side))
            for side in ("left", "right")
        )
        for owner in self._index.owners[start:stop]:
            archive, folder = self._index.folders[owner]
            path = f"{folder}/{name}" if folder else name
            try:
                opened = open_member(self._archive(archive), path) if archive else self._file(path)
            except (KeyError, FileNotFoundError):  # another name with the same hash
                continue
            with opened as file:
                return read_picture(file)
        return None

    def _file(self, path: str):
        return Place(self._filesystem, path).open()

    def _archive(self, path: str) -> zipfile.ZipFile:
        if path not in self._archives:
            if len(self._archives) >= OPEN_ARCHIVES:
                self._archives.popitem(last=False)[1].close()
            self._archives[path] = zipfile.ZipFile(self._file(path))
        self._archives.move_to_end(path)
        return self._archives[path]


def _listing(archive: str, files: list[tuple[str, int]]) -> Listing:
    """Index files by their paths: an outer folder before those in it."""
    digest = hashlib.sha256(archive.encode())
    folders: dict[tuple[str, str], int] = {}
    hashes, owners = [], []
    for path, size in sorted(files, key=lambda file: file[0].split("/")[:-1]):
        folder, _, name = path.rpartition("/")
        digest.update(f"{path}\0{size}\0".encode("utf-8", "surrogateescape"))
        hashes.append(key(name))
        owners.append(folders.setdefault((archive, folder), len(folders)))
    numbers = np.array(hashes, np.uint64), np.array(owners, np.uint32)
    return Listing(tuple(folders), *numbers, digest.hexdigest())
