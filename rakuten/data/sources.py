"""Search for the challenge's files in untrusted folders and archives, at any depth.

No member of an archive is written to a path of its name: members are read as streams, archives
within archives through unnamed temporary files, all within limits of size.
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
from typing import IO, BinaryIO, NamedTuple, Self, cast

from rakuten import stage_log
from rakuten.data import products

TABLES = {"x_train": "X_train.csv", "y_train": "Y_train.csv", "x_test": "X_test.csv"}
"""First letters of the names of the challenge's CSV files, and the files' names in data/."""

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""Suffixes of the archives that are opened."""

MAX_IMAGE = 32 << 20
"""Bytes above which an image is refused; the challenge's largest is far below 1 MB."""

MAX_NESTING = 3
"""Levels of archives within an archive."""

MAX_RATIO = 100
"""Ratio of unpacked to packed size above which files of at least `MIN_BOMB` bytes are refused."""

MIN_BOMB = 10 << 20
MEBIBYTE = 1 << 20
ENCRYPTED = 1  # the bit of a zip member's flags


class UnreadableError(Exception):
    """A file that is too large, too deeply nested, or encrypted."""


READ_FAULTS = (
    UnreadableError,
    OSError,
    EOFError,
    UnicodeDecodeError,  # a member's name that is not the UTF-8 it claims to be
    NotImplementedError,  # a version, compression or flag that zipfile does not support
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
)
"""The exceptions that reading a damaged or hostile file raises, and no programming errors."""

PART = re.compile(r"(?:^|/)image_(train|test)(?:\.[^/]*)?(?=/)", re.IGNORECASE)

Key = tuple[str, int, int]
"""What a row's image is found by: part ("train" or "test"), imageid, productid."""


class Entry(NamedTuple):
    """A file found in a folder or an archive.

    Attributes:
        place: Where it is, for messages: the path given, the archives and folders below it.
        size: Bytes, according to its container.
        open: Opens it for reading.
    """

    place: str
    size: int
    open: Callable[[], BinaryIO]

    @property
    def name(self) -> str:
        """The file's name without folders."""
        return self.place.rsplit("/", 1)[-1]

    def read(self, limit: int) -> bytes:
        """Read the whole file, whatever size its container states.

        Raises:
            UnreadableError: If it holds more than `limit` bytes.
        """
        with self.open() as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise UnreadableError(f"more than {limit // MEBIBYTE} MiB")
        return content


class ImageFile(NamedTuple):
    """An image file with the product that its name states.

    Attributes:
        part: "train" or "test" after its folder, "" if no folder is named so.
        imageid: From its name.
        productid: From its name.
        entry: The file.
    """

    part: str
    imageid: int
    productid: int
    entry: Entry

    def row_keys(self) -> list[Key]:
        """List the keys of the rows it may belong to: of both parts if the part is unknown."""
        parts = (self.part,) if self.part else ("test", "train")
        return [(part, self.imageid, self.productid) for part in parts]


class Faults:
    """Faults collected by kind, so that one refusal lists them all."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, fault: str, names: Iterable[str], remedy: str) -> None:
        """Add the names of things that have a fault; without names nothing is added."""
        for name in names:
            self._names[fault, remedy].append(name)

    def extend(self, problems: Iterable[products.Problem]) -> None:
        """Add the problems that a check found."""
        for problem in problems:
            self.add(problem.fault, problem.names, problem.remedy)

    def problems(self) -> list[products.Problem]:
        """List the kinds of fault in the order in which they were first added."""
        return [
            products.Problem(fault, tuple(names), remedy)
            for (fault, remedy), names in self._names.items()
        ]


class Sources:
    """The challenge's files found below the paths added; archives stay open until the block ends.

    Args:
        scratch: A folder for archives that are packed within others.

    Attributes:
        tables: The CSV files found, by their names in data/.
        images: The product images found.
        faults: The faults found so far.
    """

    def __init__(self, scratch: Path):
        self.tables: dict[str, list[Entry]] = {name: [] for name in TABLES.values()}
        self.images: list[ImageFile] = []
        self.faults = Faults()
        self._scratch = scratch
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, path: Path) -> None:
        """Find files below a folder or in an archive, or add a single table or image."""
        place = path.resolve()
        if place.is_dir():
            self._add_folder(place)
        elif not place.is_file():
            self.faults.add("paths that do not exist", [str(path)], "check the spelling")
        elif not _kind(place.name):
            known = f"a folder, an archive ({' '.join(ARCHIVES)}), a table or an image"
            self.faults.add("paths of no known kind", [str(path)], f"expected {known}")
        else:
            self._add_entry(_file(place, place.name), nesting=0)

    def _add_folder(self, root: Path) -> None:
        """Add the files below a folder; links are followed while they stay in it."""
        unreadable: list[OSError] = []
        for folder, subfolders, names in os.walk(root, onerror=unreadable.append):
            subfolders[:] = sorted(name for name in subfolders if not _is_junk(name))
            for name in subfolders + sorted(names):
                path = Path(folder, name)
                place = f"{root.name}/{path.relative_to(root).as_posix()}"
                if not (path.is_dir() or _kind(name)):
                    continue
                if path.is_symlink() and not path.resolve().is_relative_to(root):
                    remedy = "pass what they point to as another PATH"
                    self.faults.add("links that lead out of the folder given", [place], remedy)
                elif path.is_file():
                    self._add_entry(_file(path, place), nesting=0)
        names = [f"{error.filename} ({error.strerror})" for error in unreadable]
        self.faults.add("folders that cannot be read", names, "make them readable")

    def _add_entry(self, entry: Entry, nesting: int) -> None:
        """Add a file under its kind; files of other kinds are ignored."""
        kind = _kind(entry.name)
        image = products.parse_image_name(entry.name)
        if kind == "archive":
            self._add_archive(entry, nesting)
        elif kind == "image" and image:
            folders = PART.findall(entry.place)
            part = folders[-1].lower() if folders else ""
            self.images.append(ImageFile(part, *image, entry))
        elif kind:
            self.tables[kind].append(entry)

    def _add_archive(self, entry: Entry, nesting: int) -> None:
        """Add the members of an archive; an archive within another is first unpacked to scratch."""
        try:
            if nesting > MAX_NESTING:
                raise UnreadableError(f"more than {MAX_NESTING} archives within one another")
            file = self._open.enter_context(entry.open())
            if entry.name.lower().endswith("gz"):
                unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=file))
                file = self._unpack(unpacked, entry, MAX_RATIO * entry.size)
            elif nesting:
                file = self._unpack(file, entry, entry.size)
            members = _zip_members if entry.name.lower().endswith(".zip") else _tar_members
            for name, fault, member in members(file, self._open):
                place = f"{entry.place}/{name}"
                if fault:
                    remedy = "do not trust this archive, get it from its source"
                    self.faults.add(f"archive members that {fault}", [place], remedy)
                elif not any(_is_junk(part) for part in name.split("/")):
                    self._add_entry(member._replace(place=place), nesting + 1)
        except READ_FAULTS as error:
            remedy = "download them again, or unpack them and pass the folder"
            self.faults.add("archives that cannot be read", [f"{entry.place} ({error})"], remedy)

    def _unpack(self, file: BinaryIO, entry: Entry, limit: int) -> BinaryIO:
        """Copy a packed archive to a temporary file, because reading members needs seeking."""
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
                raise UnreadableError("unpacks to far more than it holds")
            if target.tell() + len(chunk) > free:
                space = f"{free / 1e9:.1f} GB free on the disk of data/"
                raise UnreadableError(f"unpacks to more than the {space}")
            target.write(chunk)
        target.seek(0)
        return cast(BinaryIO, target)


def open_member(archive: zipfile.ZipFile, member: str | zipfile.ZipInfo) -> IO[bytes]:
    """Open a member of a zip archive for reading.

    Raises:
        UnreadableError: If it is encrypted. `READ_FAULTS` list what else a damaged archive raises.
    """
    info = archive.getinfo(member) if isinstance(member, str) else member
    if info.flag_bits & ENCRYPTED:
        raise UnreadableError("it is encrypted")
    return archive.open(info)


def _kind(name: str) -> str:
    """Classify a file by its name: "archive", "image", a table's name in data/, or ""."""
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
    """Recognize hidden files and those that macOS adds to archives; "." itself is neither."""
    return name == "__MACOSX" or (name.startswith(".") and name != ".")


def _file(path: Path, place: str) -> Entry:
    """Make an entry of a file on disk."""
    return Entry(place, path.stat().st_size, lambda: path.open("rb"))


def _zip_members(file: BinaryIO, stack: ExitStack) -> Iterator[tuple[str, str, Entry]]:
    """Yield the files of a zip archive with the fault of each, "" if none."""
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
        if fault or not name.endswith("/"):
            opener = cast(Callable[[], BinaryIO], partial(open_member, archive, info))
            yield name, fault, Entry(name, info.file_size, opener)


def _tar_members(file: BinaryIO, stack: ExitStack) -> Iterator[tuple[str, str, Entry]]:
    """Yield the files of a tar archive with the fault of each, "" if none."""
    archive = stack.enter_context(tarfile.TarFile(fileobj=file))
    for info in archive:
        fault = _escape(info.name)
        if info.issym() or info.islnk():
            fault = "are links"
        elif info.issparse() or not (info.isreg() or info.isdir()):
            fault = "are not regular files"
        if fault or info.isreg():
            opener = cast(Callable[[], BinaryIO], partial(archive.extractfile, info))
            yield info.name, fault, Entry(info.name, info.size, opener)


def _escape(name: str) -> str:
    """Give the fault of a member's name that leads out of the folder it is unpacked in."""
    leads_out = name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/")
    return "would escape the target folder" if leads_out or "\0" in name else ""
