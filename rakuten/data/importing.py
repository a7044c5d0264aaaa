"""Import of the challenge's files: `python -m rakuten import PATH...` fills data/.

Everything given is checked before anything changes, and a refusal lists every kind of fault. What
passes is built in a folder beside data/, takes its place in one rename, and is handed to DVC; when
any of that fails, data/ and data.dvc are as they were. A process killed on the way is undone by the
next import. Files of data/ may be read-only links into DVC's cache: they are replaced, never
written.
"""

import argparse
import fcntl
import io
import logging
import os
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from rakuten import stage_log, storage
from rakuten.data import products
from rakuten.data.sources import (
    MAX_IMAGE,
    READ_FAULTS,
    TABLES,
    Entry,
    Faults,
    Key,
    Picture,
    Sources,
)

CHALLENGE_NAMES = {"X_train.csv": "X_train_update.csv", "Y_train.csv": "Y_train_CVw08PX.csv"}
"""The files that an import cannot do without, as the challenge calls them."""

IMAGES = "images.zip"
"""The archive in data/: stored, members image_train/<name> and image_test/<name>, sorted."""

DATASET = "dataset.json"
"""What the data are called in reports and in MLflow: {"name": ...}."""

MAX_TABLE = 1 << 30  # bytes; the challenge's X_train has 60 MB
MAX_PIXELS = 25_000_000  # the challenge's images have 250,000
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
"""What Pillow raises on damaged images."""

logger = logging.getLogger(__name__)


class DataError(RuntimeError):
    """The import cannot run or finish here; data/ and data.dvc are as they were."""


@dataclass(frozen=True)
class Summary:
    """What an import put into data/.

    Attributes:
        products: Rows of X_train.csv.
        categories: Distinct prdtypecode among them.
        test_products: Rows of X_test.csv, None without that file.
        images: Members of images.zip.
        image_bytes: Their bytes.
        without_text: Products of X_train and X_test with neither title nor description.
        without_title: Those without a title.
        without_image: Those without an image.
        unused_images: Images given that no row names; they were checked and left out.
    """

    products: int
    categories: int
    test_products: int | None
    images: int
    image_bytes: int
    without_text: int
    without_title: int
    without_image: int
    unused_images: int

    def __str__(self) -> str:
        test = "" if self.test_products is None else f", {self.test_products} products to predict"
        return (
            f"{self.products} products in {self.categories} categories{test}, "
            f"{self.images} images ({self.image_bytes / 1e6:.1f} MB)\n"
            f"missing: {self.without_title} titles ({self.without_text} products have no text), "
            f"{self.without_image} images; left out: {self.unused_images} images that no row names"
        )


def import_data(
    paths: Iterable[str | Path],
    root: str | Path = ".",
    *,
    name: str = "imported data",
    allow_missing_images: bool = False,
    allow_missing_titles: bool = False,
    drops: bool = False,
    track: Callable[[Path], None] | None = None,
) -> Summary:
    """Check the challenge's files, write data/ and update data.dvc: all of it or nothing.

    Args:
        paths: Folders, archives, or single files that hold X_train*.csv, Y_train*.csv, the images,
            and X_test*.csv if wanted; at any depth, in archives within archives too.
        root: The repository's root, where data/ and data.dvc lie.
        name: What reports and MLflow call the data.
        allow_missing_images: Let products without an image in, if they have a text.
        allow_missing_titles: Let products without a title in, if they have an image or, failing
            that, a description.
        drops: Whether different tables of one name are drops of one catalogue, to be joined in the
            order of `paths`; they are a fault else.
        track: Called with `root` when data/ is in place, to update data.dvc; `dvc_add` if None.

    Returns:
        What was imported.

    Raises:
        products.InvalidProductsError: If the files have faults; its message lists every kind.
        DataError: If this is no DVC repository, another import runs, or DVC fails.
    """
    root = Path(root).resolve()
    with _locked(root) as staging:
        _recover(root, staging)
        try:
            with Sources(staging / "scratch") as sources:
                for path in paths:
                    sources.add(Path(path))
                contents = _read_tables(sources.tables, sources.faults, drops)
                allowed = allow_missing_images, allow_missing_titles
                summary = _build(sources, contents, staging / "new", *allowed)
            storage.write_json(staging / "new" / DATASET, {"name": name})
            _swap(root, staging, track or dvc_add)
        finally:
            if not (staging / "begun").exists():
                shutil.rmtree(staging, ignore_errors=True)
    return summary


def dvc_add(root: Path) -> None:
    """Update data.dvc from data/.

    Args:
        root: The repository's root.

    Raises:
        DataError: If `dvc add data` fails; the message holds what DVC said.
    """
    logger.info("handing data/ to DVC")
    result = subprocess.run(
        [sys.executable, "-m", "dvc", "add", "--quiet", "data"],
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        close_fds=False,  # the lock of `_locked` is meant to go along
    )
    if result.returncode:
        said = (result.stderr or result.stdout).strip() or f"exit status {result.returncode}"
        raise DataError(f"'dvc add data' failed: {said}")


def main(arguments: list[str]) -> int:
    """Run the command line.

    Args:
        arguments: The command's arguments.

    Returns:
        The exit status: 0 if data/ was imported, 1 if it was refused.
    """
    parser = argparse.ArgumentParser(prog="python -m rakuten", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("import", help="check the challenge's files and fill data/")
    command.add_argument("paths", nargs="+", metavar="PATH", help="folder or archive, any depth")
    command.add_argument(
        "--name", default="imported data", help="what reports and MLflow call the data"
    )
    command.add_argument(
        "--allow-missing-images", action="store_true", help="let products without an image in"
    )
    command.add_argument(
        "--allow-missing-titles", action="store_true", help="let products without a title in"
    )
    command.add_argument(
        "--drops", action="store_true", help="join the tables of the paths, in their order"
    )
    options = vars(parser.parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    del options["command"]
    try:
        summary = import_data(options.pop("paths"), **options)
    except (products.InvalidProductsError, DataError, OSError) as error:
        sys.stderr.write(f"error: nothing was imported: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("error: nothing was imported: interrupted\n")
        return 1
    sys.stdout.write(f"imported {summary}\ndata/ and data.dvc are written; next: dvc repro\n")
    return 0


def _build(
    sources: Sources,
    contents: dict[str, bytes],
    target: Path,
    allow_missing_images: bool,
    allow_missing_titles: bool,
) -> Summary:
    """Check all that was found and write it to `target`, or raise with every kind of fault."""
    faults = sources.faults
    tables, codes = _parse_tables(contents, faults)
    available = {key for picture in sources.pictures for key in picture.fits()}
    wanted = set()
    for part, table in tables.items():
        found = np.array([key in available for key in _keys(part, table)], dtype=bool)
        table["has_image"] = found
        wanted |= set(_keys(part, table[found]))
        _check_modalities(
            table, f"X_{part}.csv", allow_missing_images, allow_missing_titles, faults
        )
    jobs = _jobs(sources.pictures, wanted)
    target.mkdir(parents=True)
    if faults.problems():
        _copy_images(jobs, None, faults)
        raise products.InvalidProductsError(faults.problems())
    size = sum(entry.size for member, entry in jobs if member)
    free = shutil.disk_usage(target).free
    if size > free:
        needed = f"the images need {size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        raise DataError(f"{needed} beside data/: make room")
    with storage.atomic(target / IMAGES) as file, zipfile.ZipFile(file, "w") as archive:
        images, image_bytes = _copy_images(jobs, archive, faults)
    if faults.problems():
        raise products.InvalidProductsError(faults.problems())
    for name, content in contents.items():
        storage.write_bytes(target / name, content)
    every = pd.concat(tables.values())
    return Summary(
        products=len(tables["train"]),
        categories=codes["prdtypecode"].nunique(),
        test_products=len(tables["test"]) if "test" in tables else None,
        images=images,
        image_bytes=image_bytes,
        without_text=int((~products.has_text(every)).sum()),
        without_title=int(every["designation"].isna().sum()),
        without_image=int((~every["has_image"]).sum()),
        unused_images=sum(not member for member, _ in jobs),
    )


def _read_tables(found: dict[str, list[Entry]], faults: Faults, drops: bool) -> dict[str, bytes]:
    """Read the one file of each table, or join its drops; the same bytes twice are one file."""
    contents = {}
    for name, entries in found.items():
        versions: dict[bytes, Entry] = {}
        for entry in entries:
            try:
                versions.setdefault(entry.read(MAX_TABLE), entry)
            except READ_FAULTS as error:
                told = f"{entry.place} ({error})"
                faults.add("tables that cannot be read", [told], "download them again")
        if len(versions) > 1 and drops:
            contents[name] = _join(versions, name, faults)
        elif len(versions) > 1:
            places = [entry.place for entry in versions.values()]
            remedy = "pass the one that is meant, or --drops if they are drops of one catalogue"
            faults.add(f"different files that could be {name}", places, remedy)
        elif versions:
            contents[name] = next(iter(versions))
        elif not entries and name != "X_test.csv":
            remedy = "pass the folder or archive that holds them"
            faults.add("files not found in what was given", [CHALLENGE_NAMES[name]], remedy)
    return contents


def _join(versions: dict[bytes, Entry], name: str, faults: Faults) -> bytes:
    """Put the rows of further drops after those of the first, whose bytes stay as they are."""
    first, *others = versions
    header = first.partition(b"\n")[0].rstrip(b"\r")
    joined = [first]
    for content in others:
        own, _, rows = content.partition(b"\n")
        if own.rstrip(b"\r") != header:
            told = [f"{versions[content].place} ({own[:80].decode(errors='replace')!r})"]
            remedy = f"start it with {header[:80].decode(errors='replace')!r}"
            faults.add(f"drops of {name} with another first line", told, remedy)
        if rows:
            joined += [b"" if joined[-1].endswith(b"\n") else b"\n", rows]
    return b"".join(joined)


def _parse_tables(
    contents: dict[str, bytes], faults: Faults
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Parse and check X by part, and Y; tables that cannot be parsed are left out or empty."""
    frames = {}
    for name, content in contents.items():
        try:
            frames[name] = pd.read_csv(io.BytesIO(content), **products.CSV_FORMAT)
        except ValueError as error:  # not UTF-8, no columns, quotes left open
            told = f"{name} ({error})"
            faults.add("tables that are no CSV in UTF-8", [told.replace("\n", " ")], "save them so")
    tables = {}
    codes = pd.DataFrame({"id": [], "prdtypecode": []}, dtype="int64")
    for part in ("train", "test"):
        if f"X_{part}.csv" in frames:
            name = f"X_{part}.csv"
            tables[part], problems = products.parse_x(frames[name], name)
            faults.extend(problems)
    if "Y_train.csv" in frames:
        codes, problems = products.parse_y(frames["Y_train.csv"])
        faults.extend(problems)
        if "train" in tables:
            faults.extend(products.check_pair(tables["train"], codes))
    if len(tables) == 2:
        both = tables["test"]["id"][tables["test"]["id"].isin(tables["train"]["id"])]
        remedy = "the challenge numbers them apart, pass files that fit"
        faults.add("ids in both X_train.csv and X_test.csv", both.astype("str"), remedy)
    return tables, codes


def _keys(part: str, table: pd.DataFrame) -> Iterator[Key]:
    """Give what each row's image is found by."""
    pairs = zip(table["imageid"].tolist(), table["productid"].tolist(), strict=True)
    return ((part, imageid, productid) for imageid, productid in pairs)


def _check_modalities(
    table: pd.DataFrame,
    source: str,
    allow_missing_images: bool,
    allow_missing_titles: bool,
    faults: Faults,
) -> None:
    """Collect the rows that lack what they may not lack."""
    legible = (table["imageid"] >= 0) & (table["productid"] >= 0)
    lost = table[~table["has_image"] & legible]
    untitled = table.loc[table["designation"].isna(), "id"]
    nothing = table.loc[~table["has_image"] & ~products.has_text(table), "id"]
    if not allow_missing_images:
        remedy = "pass the folder or archive that holds them, or --allow-missing-images"
        names = products.image_names(lost)
        faults.add(f"images that {source} names and that are not there", names, remedy)
    if not allow_missing_titles:
        remedy = "complete them, or pass --allow-missing-titles"
        faults.add(f"ids of {source} without a title", untitled.astype("str"), remedy)
    if allow_missing_images and allow_missing_titles:
        remedy = "there is nothing to classify them by, leave them out"
        faults.add(f"ids of {source} with neither text nor image", nothing.astype("str"), remedy)


def _jobs(pictures: list[Picture], wanted: set[Key]) -> list[tuple[str, Entry]]:
    """Pair the images with their names in the archive, in its order, "" and last if not wanted."""
    jobs = []
    for picture in pictures:
        keys = [key for key in picture.fits() if key in wanted]
        jobs += [(_member(*key), picture.entry) for key in keys] or [("", picture.entry)]
    return sorted(jobs, key=lambda job: (not job[0], job[0], job[1].place))


def _member(part: str, imageid: int, productid: int) -> str:
    """Name an image in the archive, from numbers alone: no given name becomes a path."""
    return f"image_{part}/{products.image_name(imageid, productid)}"


def _copy_images(
    jobs: list[tuple[str, Entry]], archive: zipfile.ZipFile | None, faults: Faults
) -> tuple[int, int]:
    """Check every image, write those with a name, and count them and their bytes."""
    count = size = 0
    last, first, kept = "", None, b""
    if not jobs:
        return 0, 0
    bar = stage_log.progress(
        _checked(jobs), total=len(jobs), unit="image", description="check images"
    )
    for member, entry, content, fault in bar:
        if fault:
            remedy = "get them anew, or leave them out together with their rows"
            faults.add("images that cannot be read", [f"{entry.place} ({fault})"], remedy)
        elif member and member == last:
            if content != kept:
                pair = f"{first.place} and {entry.place}"
                faults.add("images of one name that differ", [pair], "pass the one that is meant")
        elif member:
            last, first, kept = member, entry, content
            count, size = count + 1, size + len(content)
            if archive:
                info = zipfile.ZipInfo(member, storage.ZIP_EPOCH)
                info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
                archive.writestr(info, content)
    return count, size


def _checked(jobs: list[tuple[str, Entry]]) -> Iterator[tuple[str, Entry, bytes, str]]:
    """Read images one after another, decode a few at a time, give them back in order."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:  # Pillow decodes outside the interpreter's lock
        pending: deque[tuple[str, Entry, bytes, Future]] = deque()
        for member, entry in jobs:
            try:
                content, fault = entry.read(MAX_IMAGE), ""
            except READ_FAULTS as error:
                content, fault = b"", str(error)
            pending.append((member, entry, content, pool.submit(_image_fault, content, fault)))
            if len(pending) > 4 * workers:
                *job, verdict = pending.popleft()
                yield *job, verdict.result()
        for *job, verdict in pending:
            yield *job, verdict.result()


def _image_fault(content: bytes, fault: str = "") -> str:
    """Decode a JPEG whole, since a truncated one opens well, and say what is wrong, "" if nothing.

    A fault that reading it met already is passed through.
    """
    if fault:
        return fault
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            if image.width * image.height > MAX_PIXELS:
                return f"{image.width}x{image.height} pixels, more than {MAX_PIXELS}"
            image.load()
    except UnidentifiedImageError:
        return f"no JPEG, {len(content)} bytes"
    except DECODE_FAULTS as error:
        return f"{error}, {len(content)} bytes"
    return ""


@contextmanager
def _locked(root: Path) -> Iterator[Path]:
    """Keep other imports out, and give the folder to build in."""
    if not (root / ".dvc").is_dir():
        raise DataError(
            f"{root} is not the root of a DVC repository: run this in the cloned repository, or "
            "'dvc init' first"
        )
    data = root / "data"
    known = {*TABLES.values(), IMAGES, DATASET}
    foreign = sorted({path.name for path in data.glob("[!.]*")} - known)
    if data.is_symlink() or foreign:
        found = "is a link" if data.is_symlink() else f"holds {', '.join(foreign)}"
        raise DataError(
            f"data/ {found}, and import replaces it whole: expected a folder with no more than "
            f"{', '.join(sorted(known))}; move the rest elsewhere"
        )
    staging = _staging(root)
    staging.parent.mkdir(parents=True, exist_ok=True)
    with staging.with_suffix(".lock").open("w") as file:
        os.set_inheritable(file.fileno(), True)  # a 'dvc add' that outlives a kill keeps the lock
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another import runs in {root}: wait until it is done") from None
        yield staging


def _staging(root: Path) -> Path:
    """Name the folder that imports build in: beside data/ on its disk, ignored by git and DVC."""
    return root / ".dvc" / "tmp" / "import"


def _swap(root: Path, staging: Path, track: Callable[[Path], None]) -> None:
    """Put new data in the place of old and have it tracked; undo it all if anything fails."""
    data, pointer = root / "data", root / "data.dvc"
    if pointer.exists():
        storage.write_bytes(staging / "pointer", pointer.read_bytes())
    before = {"data": data.exists(), "pointer": pointer.exists()}
    storage.write_json(staging / "begun", before)
    with ExitStack() as undo:
        undo.callback(_roll_back, root, staging)
        if before["data"]:
            data.rename(staging / "old")
        (staging / "new").rename(data)
        track(root)
        (staging / "begun").unlink()  # from here on the new data stay
        undo.pop_all()


def _recover(root: Path, staging: Path) -> None:
    """Undo an import that was killed, and remove what it left."""
    if (staging / "begun").exists():
        logger.warning("an import was interrupted here: data/ and data.dvc are put back first")
        _roll_back(root, staging)
    shutil.rmtree(staging, ignore_errors=True)


def _roll_back(root: Path, staging: Path) -> None:
    """Put data/ and data.dvc back as `_swap` found them, wherever it stopped; may be repeated."""
    before = storage.read_json(staging / "begun")
    data, pointer, old = root / "data", root / "data.dvc", staging / "old"
    replaced = not (staging / "new").exists() and not before["data"]
    if data.exists() and (old.exists() or replaced):
        shutil.rmtree(staging / "discarded", ignore_errors=True)
        data.rename(staging / "discarded")
    if old.exists():
        old.rename(data)
    if before["pointer"]:
        storage.write_bytes(pointer, (staging / "pointer").read_bytes())
    else:
        pointer.unlink(missing_ok=True)
    (staging / "begun").unlink()
