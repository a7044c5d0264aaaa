"""Reading of the files in untrusted zip and tar archives, at any depth.

No member of an archive is written to a path of its name: members are read as streams, archives
within archives through unnamed temporary files, all within limits of size.
"""

import gzip
import lzma
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
from typing import BinaryIO, NamedTuple, cast

from rakuten import stage_log
from rakuten.data import products

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""Suffixes of the archives that are opened."""

OTHER_ARCHIVES = re.compile(
    r".+\.(7z|rar|zipx|gz|bz2|tbz2?|xz|txz|lzma|tlz|lz|zst|tzst|lz4|z|taz|cab|ace|arj|lzh|lha|wim"
    r"|cpio|sitx?|dmg|iso|[zr][0-9]{2}|(zip|7z|rar|tar|tgz|gz)\.[0-9]{2,3})",
    re.IGNORECASE | re.DOTALL,
)
"""Names of other archives and of parts of archives: they are reported, not skipped."""

UNFINISHED = re.compile(
    r".+\.(zip|tar|tgz|gz|7z|rar|xz|bz2)\.(part|partial|crdownload|download|opdownload|filepart)",
    re.IGNORECASE | re.DOTALL,
)
"""Names that browsers and copying programs give to archives that are not complete yet."""

MAX_IMAGE = 32 << 20
"""Bytes above which an image is refused; the challenge's largest is far below 1 MB."""

MAX_NESTING = 3
"""Levels of archives within an archive."""

MAX_RATIO = 100
"""Ratio of unpacked to packed size above which files of at least `MIN_BOMB` bytes are refused."""

MIN_BOMB = 10 << 20
MEBIBYTE = 1 << 20
ENCRYPTED = 1  # the bit of a zip member's flags
UTF_8 = 1 << 11  # the bit that says that a zip member's name is UTF-8

CODE_PAGES = ("cp437", "cp850", "cp1252")
"""Encodings of names that are not UTF-8: the zip standard's, then those of Windows and DOS."""


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


class Entry(NamedTuple):
    """A file found in a folder or an archive.

    Attributes:
        place: Where it is, for messages: the path given, the archives and folders below it.
        size: Bytes, according to its container.
        open: Opens it for reading.
        path: Its path in the container.
        container: The archives around it: the path of the outermost, the members within it.
        names: Possible decodings of its file name, the likeliest first: archives state no encoding.
    """

    place: str
    size: int
    open: Callable[[], BinaryIO]
    path: str = ""
    container: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

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


class Faults:
    """Faults collected by kind, so that one refusal lists them all."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, fault: str, names: Iterable[str], remedy: str) -> None:
        """Add the names of things that have a fault; without names nothing is added."""
        for name in names:
            self._names[fault, remedy].append(name)

    def add_unopened(self, place: str) -> None:
        """Add an archive of a kind that is not opened."""
        if UNFINISHED.fullmatch(place):
            remedy = "finish the downloads, or move them elsewhere"
            self.add("archives that are not downloaded completely", [place], remedy)
            return
        remedy = "unpack them first and pass the folders, or move them elsewhere"
        self.add(f"archives other than {' '.join(ARCHIVES)}", [place], remedy)

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


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        path: Its path, with "/" between folders.
        size: Bytes, according to the archive.
        fault: Why it must not be trusted, "" if nothing is wrong.
        is_bomb: Whether it unpacks to far more than it holds.
        info: Its record in the archive.
    """

    path: str
    size: int
    fault: str
    is_bomb: bool
    info: zipfile.ZipInfo | tarfile.TarInfo

    @property
    def names(self) -> tuple[str, ...]:
        """Possible decodings of its file name, the likeliest first."""
        return _decodings(self.info, self.path)


class Archive:
    """An open zip or tar archive; it is not thread-safe."""

    def __init__(self, entry: Entry, scratch: Path | None = None):
        """Open an archive; one that is compressed or in another archive is unpacked first.

        Args:
            entry: The archive.
            scratch: A folder for temporary files, None for that of the system.

        Raises:
            UnreadableError: If it unpacks to too much. `READ_FAULTS` list what else is raised.
        """
        lower = entry.name.lower()
        self._members: dict[str, Member] = {}
        with ExitStack() as stack:
            file = stack.enter_context(entry.open())
            if lower.endswith("gz"):
                unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=file))
                file = stack.enter_context(
                    _unpack(unpacked, entry, MAX_RATIO * entry.size, scratch)
                )
            elif entry.container:
                file = stack.enter_context(_unpack(file, entry, entry.size, scratch))
            self._archive: zipfile.ZipFile | tarfile.TarFile
            if lower.endswith(ARCHIVES[1:]):
                self._archive = stack.enter_context(tarfile.TarFile(fileobj=file))
            else:
                self._archive = stack.enter_context(zipfile.ZipFile(file))
            self._open = stack.pop_all()

    def close(self) -> None:
        """Close the archive and delete what was unpacked of it."""
        self._open.close()

    def members(self) -> Iterator[Member]:
        """List everything in the archive except folders."""
        if isinstance(self._archive, zipfile.ZipFile):
            members = map(_zip_member, self._archive.infolist())
            return (member for member in members if not member.path.endswith("/"))
        return (_tar_member(info) for info in self._archive if not info.isdir())

    def find(self, path: str) -> Member:
        """Find a member by its path.

        Raises:
            KeyError: If there is none.
        """
        if not self._members:
            self._members = {member.path: member for member in self.members()}
        return self._members[path]

    def open(self, member: Member) -> BinaryIO:
        """Open a member for reading.

        Raises:
            UnreadableError: If it is encrypted. `READ_FAULTS` list what else is raised.
        """
        info = member.info
        if isinstance(self._archive, zipfile.ZipFile):
            if cast(zipfile.ZipInfo, info).flag_bits & ENCRYPTED:
                raise UnreadableError("it is encrypted")
            return cast(BinaryIO, self._archive.open(cast(zipfile.ZipInfo, info)))
        return cast(BinaryIO, self._archive.extractfile(cast(tarfile.TarInfo, info)))


def files_in(
    entry: Entry,
    stack: ExitStack,
    faults: Faults,
    scratch: Path | None = None,
    wanted: Callable[[str], bool] = lambda name: True,
) -> Iterator[Entry]:
    """Find the files in an archive and in the archives within it.

    Args:
        entry: The archive.
        stack: Keeps the archives open that the files are read from.
        faults: Collects what cannot be read or must not be trusted.
        scratch: A folder for temporary files, None for that of the system.
        wanted: Tells by its name whether a file is looked for; the others are skipped.

    Yields:
        The files, without hidden ones.
    """
    try:
        if len(entry.container) > MAX_NESTING:
            raise UnreadableError(f"more than {MAX_NESTING} archives within one another")
        archive = Archive(entry, scratch)
        stack.callback(archive.close)
        container = (*entry.container, entry.path)
        for member in archive.members():
            place = f"{entry.place}/{member.path}"
            *_, name = folders = member.path.split("/")
            fault = member.fault
            if member.is_bomb and (is_archive(name) or wanted(name)):
                fault = fault or "unpack to far more than they hold"
            if fault:
                remedy = "do not trust this archive, get it from its source"
                faults.add(f"archive members that {fault}", [place], remedy)
            elif any(is_junk(part) for part in folders):
                continue
            elif is_other_archive(name):
                faults.add_unopened(place)
            elif is_archive(name) or wanted(name):
                opener = partial(archive.open, member)
                found = Entry(place, member.size, opener, member.path, container, member.names)
                if is_archive(name):
                    yield from files_in(found, stack, faults, scratch, wanted)
                else:
                    yield found
    except READ_FAULTS as error:
        remedy = "download them again, or unpack them and pass the folder"
        faults.add("archives that cannot be read", [f"{entry.place} ({error})"], remedy)


def is_archive(name: str) -> bool:
    """Recognize an archive that is opened by its file name."""
    return name.lower().endswith(ARCHIVES) and not is_junk(name)


def is_other_archive(name: str) -> bool:
    """Recognize an archive of a kind that is not opened by its file name."""
    other = OTHER_ARCHIVES.fullmatch(name) or UNFINISHED.fullmatch(name)
    return bool(other) and not (is_archive(name) or is_junk(name))


def is_junk(name: str) -> bool:
    """Recognize hidden files and those that macOS adds to archives; "." itself is neither."""
    return name == "__MACOSX" or (name.startswith(".") and name != ".")


def decode_name(raw: bytes) -> tuple[str, ...]:
    """Decode a file name whose encoding is not known.

    Args:
        raw: Its bytes.

    Returns:
        The name if it is UTF-8, otherwise one decoding for each of `CODE_PAGES`.
    """
    try:
        return (raw.decode("utf-8"),)
    except UnicodeDecodeError:
        decodings = [raw.decode(page, "replace") for page in CODE_PAGES]
        return tuple(dict.fromkeys(decodings))


def _decodings(info: zipfile.ZipInfo | tarfile.TarInfo, path: str) -> tuple[str, ...]:
    """Decode the file name of a member, most likely first."""
    name = path.rsplit("/", 1)[-1]
    if name.isascii():
        return (name,)
    if isinstance(info, tarfile.TarInfo):
        return decode_name(name.encode("utf-8", "surrogateescape"))
    if info.flag_bits & UTF_8:
        return (name,)
    stated = re.split(r"[/\\]", info.filename)[-1]  # from the record of Info-ZIP, if it has one
    decodings = decode_name(name.encode("cp437"))
    return decodings if stated == name else tuple(dict.fromkeys((stated, *decodings)))


def _unpack(file: BinaryIO, entry: Entry, limit: int, scratch: Path | None) -> BinaryIO:
    """Copy a packed archive to a temporary file, because reading members needs seeking."""
    folder = scratch or Path(tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    with ExitStack() as stack:
        target = stack.enter_context(tempfile.TemporaryFile(dir=folder))
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
                space = f"{free / 1e9:.1f} GB free on the disk of {folder}"
                raise UnreadableError(f"unpacks to more than the {space}")
            target.write(chunk)
        target.seek(0)
        stack.pop_all()
    return cast(BinaryIO, target)


def _zip_member(info: zipfile.ZipInfo) -> Member:
    path = info.orig_filename.replace("\\", "/")
    fault = "are links" if stat.S_ISLNK(info.external_attr >> 16) else _escape(path)
    is_bomb = info.file_size > max(MIN_BOMB, MAX_RATIO * info.compress_size)
    return Member(path, info.file_size, fault, is_bomb, info)


def _tar_member(info: tarfile.TarInfo) -> Member:
    fault = _escape(info.name)
    if info.issym() or info.islnk():
        fault = "are links"
    elif info.issparse() or not info.isreg():
        fault = "are not regular files"
    return Member(info.name, info.size, fault, False, info)


def _escape(path: str) -> str:
    """Give the fault of a member's path that leads out of the folder it is unpacked in."""
    leads_out = path.startswith("/") or re.match("[A-Za-z]:", path) or ".." in path.split("/")
    return "would escape the target folder" if leads_out or "\0" in path else ""
