"""Search for the challenge's files in untrusted folders and archives, at any depth."""

import os
import re
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

from rakuten.data import archives, products
from rakuten.data.archives import Entry, Faults

TABLES = {"x_train": "X_train.csv", "y_train": "Y_train.csv", "x_test": "X_test.csv"}
"""First letters of the names of the challenge's CSV files, and the files' names in data/."""

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
    *(".heic", ".heif", ".avif", ".jp2", ".jxl"),
)
"""Suffixes of images; those without a name of the challenge are only shown in messages."""

CORRECTIONS = "corrections"
"""First letters of the names of files with corrected labels."""

DATASET = "dataset.json"
"""The file in data/ that describes the data: name, share, first codes of relabelled products."""

TABLE_SUFFIXES = (".tsv", ".tab", ".txt", ".xls", ".xlsx", ".ods", ".parquet", ".json", ".jsonl")
"""Suffixes of tables that are not CSV; those with a name of the challenge are only reported."""

ARCHIVE, OTHER_ARCHIVE = "archive", "archive of another kind"
IMAGE, OTHER_IMAGE = "image", "image of another name"
OTHER_TABLE, OTHER_CORRECTIONS = "table of another format", "corrections of another format"
UNUSED = (OTHER_IMAGE, OTHER_TABLE)
"""Kinds of files that an import does not use, and only shows in messages."""

PART = re.compile(r"(?:^|/)image_(train|test)(?:\.[^/]*)?(?=/)", re.IGNORECASE)

Key = tuple[str, int, int]
"""What a row's image is found by: part ("train" or "test"), imageid, productid."""


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


class Sources:
    """The challenge's files found below the paths added; archives stay open until the block ends.

    Args:
        scratch: A folder for archives that are packed within others.

    Attributes:
        tables: The CSV files found, by their names in data/.
        images: The product images found.
        other_images: Places of images that are not named as the challenge names its images.
        other_tables: Places of tables that are named as the challenge's, and are not CSV.
        corrections: The files of corrected labels found.
        descriptions: The files `DATASET` found.
        faults: The faults found so far.
    """

    def __init__(self, scratch: Path):
        self.tables: dict[str, list[Entry]] = {name: [] for name in TABLES.values()}
        self.images: list[ImageFile] = []
        self.other_images: list[str] = []
        self.other_tables: list[str] = []
        self.corrections: list[Entry] = []
        self.descriptions: list[Entry] = []
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
        elif _kind(place.name) in ("", *UNUSED):
            known = f"a folder, an archive ({' '.join(archives.ARCHIVES)}), a table or an image"
            self.faults.add("paths of no known kind", [str(path)], f"expected {known}")
        else:
            self._add_entries([_entry(place, place.name)])

    def _add_folder(self, root: Path) -> None:
        """Add the files below a folder; links are followed while they stay in it."""
        unreadable: list[OSError] = []
        for folder, subfolders, names in os.walk(root, onerror=unreadable.append):
            subfolders[:] = sorted(name for name in subfolders if not archives.is_junk(name))
            for name in subfolders + sorted(names):
                path = Path(folder, name)
                place = f"{root.name}/{path.relative_to(root).as_posix()}"
                if not (path.is_dir() or _kind(name)):
                    continue
                if path.is_symlink() and not path.resolve().is_relative_to(root):
                    remedy = "pass what they point to as another PATH"
                    if path.is_dir() or _kind(name) not in UNUSED:
                        self.faults.add("links that lead out of the folder given", [place], remedy)
                elif path.is_file():
                    self._add_entries([_entry(path, place)])
        names = [f"{error.filename} ({error.strerror})" for error in unreadable]
        self.faults.add("folders that cannot be read", names, "make them readable")

    def _add_entries(self, entries: Iterable[Entry]) -> None:
        """Add files under their kinds, and what is in them if they are archives."""
        for entry in entries:
            kind = _kind(entry.name)
            if kind == OTHER_ARCHIVE:
                self.faults.add_unopened(entry.place)
            elif kind == ARCHIVE:
                found = archives.files_in(
                    entry, self._open, self.faults, self._scratch, lambda name: bool(_kind(name))
                )
                self._add_entries(found)
            elif kind == OTHER_IMAGE:
                self.other_images.append(entry.place)
            elif kind == OTHER_TABLE:
                self.other_tables.append(entry.place)
            elif kind == OTHER_CORRECTIONS:
                remedy = "save them as CSV in UTF-8"
                self.faults.add("corrections of another format", [entry.place], remedy)
            elif kind == CORRECTIONS:
                self.corrections.append(entry)
            elif kind == DATASET:
                self.descriptions.append(entry)
            elif image := products.parse_image_name(entry.name):
                folders = PART.findall(entry.place)
                part = folders[-1].lower() if folders else ""
                self.images.append(ImageFile(part, *image, entry))
            else:
                self.tables[kind].append(entry)


def _kind(name: str) -> str:
    """Classify a file by its name: one of the constants, a table's name in data/, or ""."""
    lower = name.lower()
    if archives.is_junk(name):
        return ""
    if archives.is_archive(name):
        return ARCHIVE
    if archives.is_other_archive(name):
        return OTHER_ARCHIVE
    if products.parse_image_name(name):
        return IMAGE
    if lower.endswith(IMAGE_SUFFIXES):
        return OTHER_IMAGE
    if lower == DATASET:
        return DATASET
    if lower.startswith(CORRECTIONS) and lower.endswith((".csv", *TABLE_SUFFIXES)):
        return CORRECTIONS if lower.endswith(".csv") else OTHER_CORRECTIONS
    tables = [table for start, table in TABLES.items() if lower.startswith(start)]
    if tables and lower.endswith(".csv"):
        return tables[0]
    return OTHER_TABLE if tables and lower.endswith(TABLE_SUFFIXES) else ""


def _entry(path: Path, place: str) -> Entry:
    """Make an entry of a file on disk."""
    return Entry(place, path.stat().st_size, lambda: path.open("rb"), str(path))
