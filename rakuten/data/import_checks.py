"""Checks of the files given to an import: tables, their rows, and images.

Nothing is raised here: what is wrong is collected as `Faults`, so that a refusal lists every kind
at once.
"""

import hashlib
import io
import json
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from rakuten import categories, prefetch, stage_log, storage
from rakuten.data import corrections, products
from rakuten.data.archives import MAX_IMAGE, READ_FAULTS, Entry, Faults
from rakuten.data.sources import ImageFile, Key

CHALLENGE_NAMES = {"X_train.csv": "X_train_update.csv", "Y_train.csv": "Y_train_CVw08PX.csv"}
"""The files that every import needs, with their names in the challenge."""

MAX_TABLE = 1 << 30
"""Bytes above which a table is refused; the challenge's X_train has 60 MB."""

HEADER = 4096
"""Bytes of a table in which its header is looked for."""

DECODE_FAULTS = (
    OSError,
    EOFError,
    IndexError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""The exceptions that Pillow raises on damaged images."""

Job = tuple[str, Entry]
"""An image to check: its name in images.zip, "" if no row names it, and the file."""


def read_tables(found: dict[str, list[Entry]], faults: Faults, *, drops: bool) -> dict[str, bytes]:
    """Read the one file of each table, or join its drops.

    Args:
        found: The files found, by their names in data/; equal files count as one.
        faults: Collects what is wrong.
        drops: Whether different files of one name are parts of one catalogue, to be joined.

    Returns:
        The tables' content by their names in data/, without those that were not found.
    """
    contents = {}
    for name, entries in found.items():
        versions: dict[bytes, Entry] = {}
        for entry in entries:
            try:
                versions.setdefault(entry.read(MAX_TABLE), entry)
            except READ_FAULTS as error:
                remedy = "download them again"
                faults.add("tables that cannot be read", [f"{entry.place} ({error})"], remedy)
        if len(versions) > 1 and drops:
            contents[name] = _join(versions, name, faults)
        elif len(versions) > 1:
            places = [entry.place for entry in versions.values()]
            remedy = "pass the right one, or --drops if they are drops of one catalogue"
            faults.add(f"different files that could be {name}", places, remedy)
        elif versions:
            contents[name] = next(iter(versions))
        elif not entries and name in CHALLENGE_NAMES:
            remedy = "pass the folder or archive that holds them"
            faults.add("files not found in what was given", [CHALLENGE_NAMES[name]], remedy)
    return contents


def parse_tables(
    contents: dict[str, bytes], faults: Faults
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Parse and check the tables.

    Args:
        contents: Content by name in data/.
        faults: Collects what is wrong.

    Returns:
        Typed rows of X by part ("train", "test"), without parts that cannot be parsed, and those
        of Y, empty if it cannot be parsed.
    """
    frames = {}
    for name, content in contents.items():
        header = re.split(rb"[\r\n]", content, maxsplit=1)[0][:HEADER].decode(
            "utf-8-sig", "replace"
        )
        delimiter = products.other_delimiter(header)
        if delimiter:
            remedy = "save them as CSV in UTF-8, with commas"
            faults.add(f"tables with {delimiter} instead of commas", [name], remedy)
            continue
        try:
            frames[name] = pd.read_csv(io.BytesIO(content), **products.CSV_FORMAT)
        except ValueError as error:  # not UTF-8, no columns, an unclosed quote
            reason = f"{name} ({error})".replace("\n", " ")
            faults.add("tables that are not CSV in UTF-8", [reason], "save them as CSV in UTF-8")
    tables = {}
    codes = pd.DataFrame({"id": [], "prdtypecode": []}, dtype="int64")
    for part in ("train", "test"):
        name = f"X_{part}.csv"
        if name in frames:
            tables[part], problems = products.parse_x(frames[name], name)
            faults.extend(problems)
    if "Y_train.csv" in frames:
        codes, problems = products.parse_y(frames["Y_train.csv"])
        faults.extend(problems)
        if "train" in tables:
            faults.extend(products.check_pair(tables["train"], codes))
    if len(tables) == 2:
        both = tables["test"]["id"][tables["test"]["id"].isin(tables["train"]["id"])]
        remedy = "each product has a different id, pass files of one catalogue"
        faults.add("ids in both X_train.csv and X_test.csv", both.astype("str"), remedy)
    return tables, codes


def correct(
    codes: pd.DataFrame, found: list[Entry], faults: Faults, *, drops: bool
) -> pd.DataFrame:
    """Correct labels by the files of corrections.

    Args:
        codes: Typed rows of Y.
        found: The files, in the order in which they were given.
        faults: Collects what is wrong.
        drops: Whether corrections may be applied; otherwise the files are a fault.

    Returns:
        The rows of Y with corrected codes.
    """
    tables = []
    for entry in found:
        try:
            content = entry.read(MAX_TABLE)
        except READ_FAULTS as error:
            faults.add(
                "tables that cannot be read", [f"{entry.place} ({error})"], "copy them again"
            )
            continue
        table, problems = corrections.parse(content, entry.place)
        faults.extend(problems)
        tables.append(table)
    if not drops:
        remedy = "pass --drops to apply them, or leave them out"
        faults.add("corrected labels without --drops", [one.place for one in found], remedy)
    if not tables or not len(codes):
        return codes
    codes, problems = corrections.apply(codes, tables)
    faults.extend(problems)
    return codes


def read_descriptions(found: Iterable[Entry]) -> list[dict[str, Any]]:
    """Read the descriptions of data that an import has written; other JSON files are ignored."""
    descriptions = []
    for entry in found:
        try:
            described = json.loads(entry.read(MAX_TABLE))
        except (*READ_FAULTS, ValueError):
            continue
        if isinstance(described, dict) and isinstance(described.get("name"), str):
            codes = described.get(corrections.RELABELLED, {})
            if isinstance(codes, dict) and all(
                id_.isdecimal() and code in categories.CODES for id_, code in codes.items()
            ):
                descriptions.append(described)
    return descriptions


def select_rows(content: bytes, ids: np.ndarray) -> bytes:
    """Select rows of a table that `parse_tables` has found to be correct.

    Args:
        content: The table as CSV, with the unnamed column of ids.
        ids: int64, those to keep.

    Returns:
        The table as CSV, in the order of its rows, each field as it was.
    """
    frame = pd.read_csv(io.BytesIO(content), **products.CSV_FORMAT)
    kept = frame[frame[products.UNNAMED].astype("int64").isin(ids)]
    kept = kept.rename(columns={products.UNNAMED: ""})
    return kept.to_csv(index=False, lineterminator="\r\n").encode()


def relabel(content: bytes, codes: pd.DataFrame) -> bytes:
    """Write other codes into Y_train.csv, which `parse_tables` has found to be correct.

    Args:
        content: The table as CSV.
        codes: int64 columns id and prdtypecode, the same ids in any order.

    Returns:
        The table as CSV, in the order of its rows.
    """
    frame = pd.read_csv(io.BytesIO(content), **products.CSV_FORMAT)
    ids = frame[products.UNNAMED]
    frame["prdtypecode"] = codes.set_index("id")["prdtypecode"].loc[ids.astype("int64")].to_numpy()
    frame = frame.rename(columns={products.UNNAMED: ""})
    return frame.to_csv(index=False, lineterminator="\n").encode()


def keys(part: str, table: pd.DataFrame) -> list[Key]:
    """List what each row's image is found by, in the order of the rows."""
    pairs = zip(table["imageid"].tolist(), table["productid"].tolist(), strict=True)
    return [(part, imageid, productid) for imageid, productid in pairs]


def check_modalities(
    table: pd.DataFrame,
    source: str,
    faults: Faults,
    *,
    allow_missing: Collection[str],
) -> None:
    """Collect the rows that lack a title, an image, or both.

    Args:
        table: Typed rows of X, with a bool column has_image.
        source: The table's name, for messages.
        faults: Collects what is wrong.
        allow_missing: "images" accepts rows without an image if they have a text, "titles" those
            without a title if they have an image or a description.
    """
    has_numbers = (table["imageid"] >= 0) & (table["productid"] >= 0)
    lost = table[~table["has_image"] & has_numbers]
    untitled = table.loc[table["designation"].isna(), "id"]
    nothing = table.loc[~table["has_image"] & ~products.has_text(table), "id"]
    if "images" not in allow_missing:
        remedy = "pass the folder or archive that holds them, or --allow-missing-images"
        names = products.image_names(lost)
        faults.add(f"images named by {source} that were not found", names, remedy)
    if "titles" not in allow_missing:
        remedy = "complete them, or pass --allow-missing-titles"
        faults.add(f"ids of {source} without a title", untitled.astype("str"), remedy)
    if {"images", "titles"} <= set(allow_missing):
        remedy = "there is nothing to classify them by, leave them out"
        faults.add(f"ids of {source} with neither text nor image", nothing.astype("str"), remedy)


def check_image_names(tables: dict[str, pd.DataFrame], images: list[str], faults: Faults) -> None:
    """Report that images were given of which no row names one.

    Args:
        tables: Typed rows of X by part, with a bool column has_image.
        images: Places of the images found.
        faults: Collects what is wrong.
    """
    named = [
        name
        for table in tables.values()
        for name in products.image_names(table[(table["imageid"] >= 0) & (table["productid"] >= 0)])
    ]
    if images and named and not any(table["has_image"].any() for table in tables.values()):
        remedy = f"expected names such as {named[0]}, in a folder image_train or image_test"
        faults.add("images given, none of which a row names", images, remedy)


def image_jobs(images: list[ImageFile], wanted: set[Key]) -> list[Job]:
    """Pair the images with their names in images.zip.

    Args:
        images: The images found.
        wanted: The keys of the rows.

    Returns:
        The jobs in the order of images.zip; images that no row names come last.
    """
    jobs = []
    for image in images:
        members = [member(*key) for key in image.row_keys() if key in wanted]
        jobs += [(member, image.entry) for member in members or [""]]
    return sorted(jobs, key=lambda job: (not job[0], job[0], job[1].place))


def member(part: str, imageid: int, productid: int) -> str:
    """Name an image in images.zip, from numbers only, so that no given name becomes a path."""
    return f"image_{part}/{products.image_name(imageid, productid)}"


def digest_images(jobs: list[Job]) -> dict[str, str]:
    """Hash the images that a row names, as `storage.ImageArchive.digest` does.

    Args:
        jobs: The images, as `image_jobs` returns them.

    Returns:
        Digests by name in images.zip, "" for an image that cannot be read: `copy_images` reports
        it.
    """
    named = [job for job in jobs if job[0]]
    digests: dict[str, str] = {}
    if named:
        bar = stage_log.progress(
            map(_read, named), total=len(named), unit="image", description="find duplicates"
        )
        for (name, _), content, fault in bar:
            digest = "" if fault else hashlib.md5(content, usedforsecurity=False).hexdigest()
            digests.setdefault(name, digest)
    return digests


def copy_images(
    jobs: list[Job], archive: zipfile.ZipFile | None, faults: Faults
) -> tuple[int, int]:
    """Check every image and write those that a row names.

    Args:
        jobs: The images, as `image_jobs` returns them.
        archive: The archive to write to, None to check only.
        faults: Collects images that cannot be read, and different images of one name.

    Returns:
        The number of images in the archive, and of their bytes.
    """
    count = size = 0
    last, first, kept = "", None, b""
    if not jobs:
        return 0, 0
    bar = stage_log.progress(
        _checked(jobs), total=len(jobs), unit="image", description="check images"
    )
    for (member, entry), content, fault in bar:
        if fault:
            remedy = "download them again, or leave them out together with their rows"
            faults.add("images that cannot be read", [f"{entry.place} ({fault})"], remedy)
        elif first and member and member == last:
            if content != kept:
                pair = f"{first.place} and {entry.place}"
                faults.add("images of one name that differ", [pair], "pass the right one")
        elif member:
            last, first, kept = member, entry, content
            count, size = count + 1, size + len(content)
            if archive:
                info = zipfile.ZipInfo(member, storage.ZIP_EPOCH)
                info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
                archive.writestr(info, content)
    return count, size


def _join(versions: dict[bytes, Entry], name: str, faults: Faults) -> bytes:
    """Append the rows of further drops to the first drop, whose bytes stay as they are."""
    first, *others = versions
    header = first.partition(b"\n")[0].rstrip(b"\r")
    joined = [first]
    for content in others:
        received, _, rows = content.partition(b"\n")
        if received.rstrip(b"\r") != header:
            shown = f"{versions[content].place} ({received[:80].decode(errors='replace')!r})"
            remedy = f"start it with {header[:80].decode(errors='replace')!r}"
            faults.add(f"drops of {name} with another first line", [shown], remedy)
        if rows:
            joined += [b"" if joined[-1].endswith(b"\n") else b"\n", rows]
    return b"".join(joined)


def _checked(jobs: list[Job]) -> Iterator[tuple[Job, bytes, str]]:
    """Read images one after another, decode several at a time, yield them in order."""
    threads = prefetch.available_cpus()
    yield from prefetch.map_in_order(
        _check, map(_read, jobs), threads=threads, buffer_size=4 * threads
    )


def _read(job: Job) -> tuple[Job, bytes, str]:
    """Read an image, with the fault of reading, "" if none."""
    try:
        return job, job[1].read(MAX_IMAGE), ""
    except READ_FAULTS as error:
        return job, b"", str(error) or type(error).__name__


def _check(read: tuple[Job, bytes, str]) -> tuple[Job, bytes, str]:
    """Add the fault of decoding, "" if none, unless reading had one."""
    job, content, fault = read
    return job, content, fault or _image_fault(content)


def _image_fault(content: bytes) -> str:
    """Decode a JPEG completely, because a truncated one opens without error."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            if image.width * image.height > storage.MAX_PIXELS:
                return f"{image.width}x{image.height} pixels, more than {storage.MAX_PIXELS}"
            image.load()
    except UnidentifiedImageError:
        return f"not a JPEG, {len(content)} bytes"
    except DECODE_FAULTS as error:
        return f"{error}, {len(content)} bytes"
    return ""
