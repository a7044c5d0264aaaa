"""Find and read the images of products by their names: in a folder, at any depth, in archives.

The index takes some 20 bytes per image: one process holds millions, and the processes of a machine
share one. `rakuten.data.products.image_key` decides which names are equal.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from rakuten.data import archives
from rakuten.data.archives import Entry, Faults
from rakuten.data.products import image_key
from rakuten.serving.errors import InputError, printable
from rakuten.serving.remote_files import RemotePath, locate

NO_IMAGES = (".csv", ".parquet", ".json")
"""Suffixes of files that are skipped: tables, and what a prediction writes beside images."""

EXPECTED = f"expected a folder or an archive ({' '.join(archives.ARCHIVES)}) of images"


class File(NamedTuple):
    """A file that may be an image.

    Attributes:
        path: Its path in the filesystem, or in the archive.
        version: Its size and modification time, or as much of it as is known.
        names: Possible decodings of its name, see `rakuten.data.archives.Entry`.
    """

    path: str
    version: str
    names: tuple[str, ...]


class Place(NamedTuple):
    """Where files are.

    Attributes:
        container: The archives around them, see `rakuten.data.archives.Entry`; () for plain files.
        folder: The folder in the innermost archive, or in the filesystem.
    """

    container: tuple[str, ...]
    folder: str


@dataclass(frozen=True, eq=False)
class ImageIndex:
    """Where to find images by name.

    Attributes:
        places: Where the files are, each place once.
        hashes: uint64 (m,), `key_hash` of the key of each name, in ascending order after `merge`.
        owners: uint32 (m,), position in `places` of each.
        names: Binary (m,), the name of each file, empty where it is the key itself.
        digest: Hash of all paths, sizes and modification times.
        example: The path of one of the files, "" if there are none.
    """

    places: tuple[Place, ...]
    hashes: np.ndarray
    owners: np.ndarray
    names: pa.Array
    digest: str
    example: str

    def find(self, name: str) -> list[tuple[Place, str]]:
        """Find the files that a name may mean, the one of exactly that name first."""
        key = image_key(name)
        start, stop = (
            int(np.searchsorted(self.hashes, np.uint64(key_hash(key)), side))
            for side in ("left", "right")
        )
        found = []
        for row in range(start, stop):
            stored = _decode(self.names[row].as_py()) or key
            if not stored.isascii() or image_key(stored) == key:  # not only the same hash
                found.append((self.places[self.owners[row]], stored))
        return sorted(found, key=lambda file: file[1] != name)


def key_hash(key: str) -> int:
    """Hash the key of an image's name to 64 bits."""
    return int.from_bytes(hashlib.blake2b(_encode(key), digest_size=8).digest(), "little")


def index_images(address: str) -> ImageIndex:
    """Index the images below a folder or in an archive.

    Args:
        address: A path or a URI.

    Returns:
        The index.

    Raises:
        InputError: If there are no files, or one of the archives cannot be used.
    """
    plain, packed = index_folder(address)
    return merge(address, [plain, *(index_archive(address, path) for path in packed)])


def index_folder(address: str) -> tuple[ImageIndex, list[str]]:
    """Index the plain files below a folder.

    Args:
        address: A folder or an archive, a path or a URI.

    Returns:
        The index of plain files, and the paths of archives, for `index_archive`.

    Raises:
        InputError: If it does not exist, or holds archives of kinds that are not opened.
    """
    root = locate(address)
    files = [File(root.path, "", ())] if root.info().is_file else _list_files(root)
    faults = Faults()
    for file in files:
        if archives.is_other_archive(_name(file.path)):
            faults.add_unopened(file.path)
    _refuse(faults, address)
    if root.info().is_file:
        return _index((), []), [root.path]
    packed = [file.path for file in files if archives.is_archive(_name(file.path))]
    plain = [file for file in files if not archives.is_archive(_name(file.path))]
    return _index((), plain), packed


def index_archive(address: str, path: str) -> ImageIndex:
    """Index the members of an archive, those of archives within it included.

    Args:
        address: The address given for the images.
        path: The archive's path in that filesystem.

    Returns:
        The index of its files.

    Raises:
        InputError: If the archive or one within it cannot be read.
    """
    file = RemotePath(locate(address).filesystem, path)
    entry, faults, modified = open_entry(file), Faults(), file.modified()
    found: dict[tuple[str, ...], list[File]] = defaultdict(list)
    with ExitStack() as stack:
        for member in archives.files_in(entry, stack, faults):
            version = f"{member.size} {modified}"
            found[member.container].append(File(member.path, version, member.names))
    _refuse(faults, address)
    return _join([_index(container, files) for container, files in found.items()])


def merge(address: str, indices: Iterable[ImageIndex]) -> ImageIndex:
    """Merge indices; of equal names, those of the first index come first.

    Args:
        address: The address given for the images.
        indices: The indices of its plain files and of its archives.

    Returns:
        One index, hashes in ascending order.

    Raises:
        InputError: If there are no files.
    """
    joined = _join(list(indices))
    if not len(joined.hashes):
        raise InputError(f"{address} holds no files: {EXPECTED}")
    order = np.argsort(joined.hashes, kind="stable")
    return ImageIndex(
        joined.places,
        joined.hashes[order],
        joined.owners[order],
        joined.names.take(pa.array(order)),
        joined.digest,
        joined.example,
    )


def _list_files(root: RemotePath) -> list[File]:
    """List the files below a folder, without hidden ones."""
    if root.is_local:
        return _list_local(root.path)
    files = []
    for info in root.files():
        relative = info.path[len(root.path) :].strip("/").split("/")
        if not any(archives.is_junk(part) for part in relative):
            files.append(File(info.path, f"{info.size} {info.mtime_ns}", (info.base_name,)))
    return files


def _list_local(root: str) -> list[File]:
    """List the files below a local folder; links are followed, each folder is visited once."""
    if not os.path.isdir(root):  # noqa: PTH112, a name that is not UTF-8 stays as it is
        raise InputError(f"{printable(root)} cannot be read (it does not exist): {EXPECTED}")
    files, visited = [], set()
    for folder, subfolders, names in os.walk(root, onerror=_raise, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:
            subfolders.clear()
            continue
        visited.add(real)
        subfolders[:] = sorted(name for name in subfolders if not archives.is_junk(name))
        for name in names:
            path = Path(folder, name)
            if not archives.is_junk(name) and path.is_file():
                status = path.stat()
                version = f"{status.st_size} {status.st_mtime_ns}"
                files.append(File(str(path), version, archives.decode_name(os.fsencode(name))))
    return files


def _raise(error: OSError) -> None:
    raise error


def open_entry(file: RemotePath) -> Entry:
    """Make an entry of an archive that is a plain file; without a known suffix it counts as zip."""
    return Entry(file.path, file.info().size or 0, file.open, file.path)


def _refuse(faults: Faults, address: str) -> None:
    problems = printable("; ".join(map(str, faults.problems())))
    if problems:
        raise InputError(f"{address} cannot be read: {' '.join(problems.split())}; {EXPECTED}")


def _index(container: tuple[str, ...], files: list[File]) -> ImageIndex:
    """Index files; a folder comes before its subfolders, a likely reading before others."""
    digest = hashlib.sha256("\0".join(container).encode("utf-8", "surrogateescape"))
    places: dict[Place, int] = {}
    rows: list[tuple[int, int, int, bytes]] = []  # rank of the reading, hash, owner, name
    images = [file for file in files if not file.path.lower().endswith(NO_IMAGES)]
    ordered = sorted(images, key=lambda file: (file.path.split("/")[:-1], file.path))
    for path, version, names in ordered:
        digest.update(_encode(f"{path}\0{version}\0"))
        folder, _, stored = path.rpartition("/")
        owner = places.setdefault(Place(container, folder), len(places))
        for rank, key in enumerate(dict.fromkeys(map(image_key, names))):
            rows.append((min(rank, 1), key_hash(key), owner, _encode(stored) * (stored != key)))
    rows.sort(key=lambda row: row[0])
    return ImageIndex(
        tuple(places),
        np.array([row[1] for row in rows], np.uint64),
        np.array([row[2] for row in rows], np.uint32),
        pa.array([row[3] for row in rows], pa.large_binary()),
        digest.hexdigest(),
        "/".join((*container, ordered[0].path)) if ordered else "",
    )


def _join(indices: list[ImageIndex]) -> ImageIndex:
    """Concatenate indices."""
    empty = _index((), [])
    shifts = np.cumsum([0, *(len(index.places) for index in indices)])
    owners = [i.owners + np.uint32(shift) for i, shift in zip(indices, shifts, strict=False)]
    return ImageIndex(
        tuple(place for index in indices for place in index.places),
        np.concatenate([empty.hashes, *(index.hashes for index in indices)]),
        np.concatenate([empty.owners, *owners]),
        pa.concat_arrays([empty.names, *(index.names for index in indices)]),
        hashlib.sha256("".join(index.digest for index in indices).encode()).hexdigest(),
        next((index.example for index in indices if index.example), ""),
    )


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
