"""An index of millions of image files by name, in folders and zip archives of any filesystem.

It takes 12 bytes per image and is stored once per machine, in Ray's shared memory.
"""

import hashlib
import zipfile
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from rakuten.data.sources import open_member
from rakuten.distributed.remote_files import RemotePath, locate
from rakuten.serving.errors import InputError
from rakuten.serving.product_images import open_archive, read_image

OPEN_ARCHIVES = 8  # kept open by a process


@dataclass(frozen=True)
class ImageIndex:
    """Where to find images by name.

    Attributes:
        folders: Pairs of archive path ("" for plain files) and folder, each once.
        hashes: uint64 (m,), `name_hash` of each file.
        owners: uint32 (m,), position in `folders` of each file.
        digest: Hash of all names and sizes.
    """

    folders: tuple[tuple[str, str], ...]
    hashes: np.ndarray
    owners: np.ndarray
    digest: str


def name_hash(name: str) -> int:
    """Hash a file name to 64 bits."""
    content = name.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def index_folder(address: str) -> tuple[ImageIndex, list[str]]:
    """Index the files below a folder.

    Args:
        address: A folder, or a zip archive.

    Returns:
        The index of plain files, and the paths of archives, for `index_archive`.

    Raises:
        InputError: If there are no files.
    """
    root = locate(address)
    if root.info().is_file:
        return _index("", []), [root.path]
    found = root.files()
    archives = [info.path for info in found if info.path.lower().endswith(".zip")]
    plain = [(i.path, i.size) for i in found if not i.path.lower().endswith(".zip")]
    if not found:
        raise InputError(
            f"{address} holds no files: pass the folder or zip archive of images, or a folder of "
            "such archives"
        )
    return _index("", plain), archives


def index_archive(address: str, path: str) -> ImageIndex:
    """Index the members of an archive.

    Args:
        address: The address given for the images.
        path: The archive's path in that filesystem.

    Returns:
        The index of its files; `folders` name the archive.

    Raises:
        InputError: If the archive cannot be read.
    """
    with (
        RemotePath(locate(address).filesystem, path).open() as file,
        open_archive(file, path) as archive,
    ):
        members = [(i.filename, i.file_size) for i in archive.infolist() if not i.is_dir()]
    return _index(path, members)


def merge(indices: Iterable[ImageIndex]) -> ImageIndex:
    """Merge indices: hashes in ascending order; equal names in the order of the indices."""
    indices = list(indices)
    shifts = np.cumsum([0, *(len(index.folders) for index in indices)])
    hashes = np.concatenate([index.hashes for index in indices])
    owners = np.concatenate(
        [index.owners + np.uint32(shift) for index, shift in zip(indices, shifts, strict=False)]
    )
    order = np.argsort(hashes, kind="stable")
    folders = tuple(folder for index in indices for folder in index.folders)
    digest = hashlib.sha256("".join(index.digest for index in indices).encode())
    return ImageIndex(folders, hashes[order], owners[order], digest.hexdigest())


class IndexedImages:
    """Read the images of an index, as `ProductImages` does; not thread-safe."""

    def __init__(self, address: str, index: ImageIndex):
        self._filesystem, self._index = locate(address).filesystem, index
        self._archives: OrderedDict[str, zipfile.ZipFile] = OrderedDict()

    def read(self, name: str) -> bytes | None:
        """Read an image file; see `rakuten.serving.product_images.ProductImages.read`."""
        start, stop = (
            int(np.searchsorted(self._index.hashes, np.uint64(name_hash(name)), side))
            for side in ("left", "right")
        )
        for owner in self._index.owners[start:stop]:
            archive, folder = self._index.folders[owner]
            path = f"{folder}/{name}" if folder else name
            try:
                opened = open_member(self._archive(archive), path) if archive else self._open(path)
            except (KeyError, FileNotFoundError):  # another name with the same hash
                continue
            with opened as file:
                return read_image(file, name)
        return None

    def _open(self, path: str) -> BinaryIO:
        return RemotePath(self._filesystem, path).open()

    def _archive(self, path: str) -> zipfile.ZipFile:
        if path not in self._archives:
            if len(self._archives) >= OPEN_ARCHIVES:
                self._archives.popitem(last=False)[1].close()
            self._archives[path] = zipfile.ZipFile(self._open(path))
        self._archives.move_to_end(path)
        return self._archives[path]


def _index(archive: str, files: list[tuple[str, int]]) -> ImageIndex:
    """Index paths with their sizes; a folder comes before its subfolders."""
    digest = hashlib.sha256(archive.encode())
    folders: dict[tuple[str, str], int] = {}
    hashes, owners = [], []
    for path, size in sorted(files, key=lambda file: file[0].split("/")[:-1]):
        folder, _, name = path.rpartition("/")
        digest.update(f"{path}\0{size}\0".encode("utf-8", "surrogateescape"))
        hashes.append(name_hash(name))
        owners.append(folders.setdefault((archive, folder), len(folders)))
    return ImageIndex(
        tuple(folders), np.array(hashes, np.uint64), np.array(owners, np.uint32), digest.hexdigest()
    )
