"""Find the challenge's files in folders and archives, at any depth, without trusting them.

Nothing is unpacked by the name it has: members are read as streams, archives within archives
through scratch files without a name, and all of it within limits.
"""

import gzip
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from rakuten import stage_log
from rakuten.data import products

TABLES = {"x_train": "X_train.csv", "y_train": "Y_train.csv", "x_test": "X_test.csv"}
"""How the names of the challenge's CSV files begin, and what they are called in data/."""

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""Ends of the names of archives that are looked into."""

MAX_IMAGE = 32 << 20  # bytes; the challenge's largest is far below 1 MB
MAX_NESTING = 3  # archives within an archive
MAX_RATIO = 100  # unpacked to packed size, of what is larger than...
MIN_BOMB = 10 << 20  # ... this many bytes; text packs 3:1, JPEG hardly
MEBIBYTE = 1 << 20

READ_FAULTS = (
    OSError,
    EOFError,
    RuntimeError,  # encrypted, or packed in a way that Python does not know
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
)
"""What reading a damaged or hostile file may raise."""

PART = re.compile(r"(?:^|/)image_(train|test)(?:\.[^/]*)?(?=/)", re.IGNORECASE)

Key = tuple[str, int, int]
"""What a row finds its image by: part ("train" or "test"), imageid, productid."""


class Entry(NamedTuple):
    """A file found in a folder or an archive.

    Attributes:
        place: Where it is, for people: the path given, the archives and folders below it.
        size: Bytes, as its container says.
        open: Opens it for reading.
    """

    place: str
    size: int
    open: Callable[[], BinaryIO]

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.place.rsplit("/", 1)[-1]

    def read(self, limit: int) -> bytes:
        """Read the whole file, whatever its container says about its size.

        Raises:
            ValueError: If it holds more than `limit` bytes.
        """
        with self.open() as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise ValueError(f"more than {limit // MEBIBYTE} MiB")
        return content


class Picture(NamedTuple):
    """An image file by what its name says.

    Attributes:
        part: "train" or "test" as its folder says, "" where no folder tells.
        imageid: From its name.
        productid: From its name.
        entry: The file.
    """

    part: str
    imageid: int
    productid: int
    entry: Entry

    def fits(self) -> list[Key]:
        """List what rows find this image by: both parts where no folder tells."""
        parts = (self.part,) if self.part else ("test", "train")
        return [(part, self.imageid, self.productid) for part in parts]


class Faults:
    """Faults collected by kind, so that a refusal lists them all."""

    def __init__(self):
        self._names: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, fault: str, names: Iterable[str], remedy: str) -> None:
        """Add the names of things that have a fault; no names add nothing."""
        for name in names:
            self._names[fault, remedy].append(name)

    def extend(self, problems: Iterable[products.Problem]) -> None:
        """Add what a check found."""
        for problem in problems:
            self.add(problem.fault, problem.names, problem.remedy)

    def problems(self) -> list[products.Problem]:
        """List the kinds of fault in the order in which they were first seen."""
        return [
            products.Problem(fault, tuple(names), remedy)
            for (fault, remedy), names in self._names.items()
        ]


class Sources:
    """Everything found below the paths given; archives stay open until the block ends.

    Attributes:
        tables: The CSV files found, by what they are called in data/.
        pictures: The product images found.
        faults: What is wrong so far.
    """

    def __init__(self, scratch: Path):
        """Look at nothing yet.

        Args:
            scratch: A folder for archives that lie packed within others.
        """
        self.tables: dict[str, list[Entry]] = {name: [] for name in TABLES.values()}
        self.pictures: list[Picture] = []
        self.faults = Faults()
        self._scratch = scratch
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._open.close()

    def add(self, path: Path) -> None:
        """Take what lies below a folder, in an archive, or a single table or image."""
        place = path.resolve()
        if place.is_dir():
            self._add_folder(place)
        elif not place.is_file():
            self.faults.add("paths that do not exist", [str(path)], "check the spelling")
        elif not _kind(place.name):
            known = f"a folder, an archive ({' '.join(ARCHIVES)}), a table or an image"
            self.faults.add("paths of no known kind", [str(path)], f"expected {known}")
        else:
            self._take(_file(place, place.name), nesting=0)

    def _add_folder(self, root: Path) -> None:
        """Take the files below a folder; links are followed while they stay in it."""
        unreadable: list[OSError] = []
        for folder, subfolders, names in os.walk(root, onerror=unreadable.append):
            subfolders[:] = sorted(name for name in subfolders if not _is_junk(name))
            for name in subfolders + sorted(names):
                path = Path(folder, name)
                place = f"{root.name}/{path.relative_to(root).as_posix()}"
                if not (path.is_dir() or _kind(name)):
                    continue
                if path.is_symlink() and not path.resolve().is_relative_to(root):
                    remedy = "pass what they point to as a PATH of its own"
                    self.faults.add("links that lead out of the folder given", [place], remedy)
                elif path.is_file():
                    self._take(_file(path, place), nesting=0)
        names = [f"{error.filename} ({error.strerror})" for error in unreadable]
        self.faults.add("folders that cannot be read", names, "make them readable")

    def _take(self, entry: Entry, nesting: int) -> None:
        """File an entry under its kind; other kinds are none of ours."""
        kind = _kind(entry.name)
        if kind == "archive":
            self._add_archive(entry, nesting)
        elif kind == "image":
            folders = PART.findall(entry.place)
            part = folders[-1].lower() if folders else ""
            self.pictures.append(Picture(part, *products.parse_image_name(entry.name), entry))
        elif kind:
            self.tables[kind].append(entry)

    def _add_archive(self, entry: Entry, nesting: int) -> None:
        """Take the members of an archive; those packed within another are unpacked to scratch."""
        try:
            if nesting > MAX_NESTING:
                raise ValueError(f"more than {MAX_NESTING} archives within one another")
            file = self._open.enter_context(entry.open())
            if entry.name.lower().endswith("gz"):
                file = self._unpack(gzip.GzipFile(fileobj=file), entry, MAX_RATIO * entry.size)
            elif nesting:
                file = self._unpack(file, entry, entry.size)
            members = _zip_members if entry.name.lower().endswith(".zip") else _tar_members
            for name, fault, member in members(file, self._open):
                place = f"{entry.place}/{name}"
                if fault:
                    remedy = "do not trust this archive, get it from its source"
                    self.faults.add(f"archive members that {fault}", [place], remedy)
                elif not any(_is_junk(part) for part in name.split("/")):
                    self._take(member._replace(place=place), nesting + 1)
        except READ_FAULTS as error:
            name = f"{entry.place} ({error})"
            self.faults.add("archives that cannot be read", [name], "download them again")

    def _unpack(self, file: BinaryIO, entry: Entry, limit: int) -> BinaryIO:
        """Copy a packed archive to a scratch file, in which its members can be sought."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        target = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115, the stack closes it
        self._open.enter_context(target)
        free = shutil.disk_usage(self._scratch).free
        chunks = stage_log.progress(
            iter(lambda: file.read(MEBIBYTE), b""),
            total=-(-entry.size // MEBIBYTE),
            unit="MiB",
            description=f"unpack {entry.name}",
        )
        for chunk in chunks:
            if target.tell() + len(chunk) > max(limit, MIN_BOMB):
                raise ValueError("unpacks to far more than it holds")
            if target.tell() + len(chunk) > free:
                raise ValueError(f"unpacks to more than the {free / 1e9:.1f} GB free beside data/")
            target.write(chunk)
        target.seek(0)
        return target


def _kind(name: str) -> str:
    """Tell what a file is by its name: "archive", "image", a table's name in data/, or ""."""
    lower = name.lower()
    if _is_junk(name):
        return ""
    if lower.endswith(ARCHIVES):
        return "archive"
    if products.parse_image_name(name):
        return "image"
    tables = [table for start, table in TABLES.items() if lower.startswith(start)]
    return tables[0] if tables and lower.endswith(".csv") else ""


def _is_junk(name: str) -> bool:
    """Tell the hidden files and what macOS adds to archives; "." itself is none."""
    return name == "__MACOSX" or (name.startswith(".") and name != ".")


def _file(path: Path, place: str) -> Entry:
    """Make an entry of a file on disk."""
    return Entry(place, path.stat().st_size, lambda: path.open("rb"))


def _zip_members(file: BinaryIO, stack: ExitStack) -> Iterator[tuple[str, str, Entry]]:
    """Give the files of a zip archive with the fault that each has, "" if none."""
    archive = stack.enter_context(zipfile.ZipFile(file))
    for info in archive.infolist():
        name = info.orig_filename.replace("\\", "/")
        fault = _escape(name)
        if stat.S_ISLNK(info.external_attr >> 16):
            fault = "are links"
        elif _kind(name.rsplit("/", 1)[-1]) and info.file_size > max(
            MIN_BOMB, MAX_RATIO * info.compress_size
        ):
            fault = "unpack to far more than they hold"
        if fault or not info.is_dir():
            yield name, fault, Entry(name, info.file_size, partial(archive.open, info))


def _tar_members(file: BinaryIO, stack: ExitStack) -> Iterator[tuple[str, str, Entry]]:
    """Give the files of a tar archive with the fault that each has, "" if none."""
    archive = stack.enter_context(tarfile.TarFile(fileobj=file))
    for info in archive:
        fault = _escape(info.name)
        if info.issym() or info.islnk():
            fault = "are links"
        elif info.issparse() or not (info.isreg() or info.isdir()):
            fault = "are no plain files"
        if fault or info.isreg():
            yield info.name, fault, Entry(info.name, info.size, partial(archive.extractfile, info))


def _escape(name: str) -> str:
    """Tell whether a member's name would lead out of the folder it is unpacked in."""
    leads_out = name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/")
    return "would escape the target folder" if leads_out or "\0" in name else ""
