"""Files of a batch prediction: stored chunks, the output and the list of faulty rows."""

import csv
import hashlib
import io
import itertools
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import filelock
import pyarrow as pa
import pyarrow.parquet as pq

from rakuten import storage
from rakuten.data import products
from rakuten.serving import package
from rakuten.serving.errors import InputError, printable
from rakuten.serving.product_tables import check_format

MANIFEST = "manifest.json"
LOCK = ".lock"
ROW_GROUP = 1 << 16  # rows of a Parquet row group
EDGE = 1 << 20  # bytes hashed at each end of an input file


@dataclass(frozen=True)
class Options:
    """What to predict, and into which file.

    Attributes:
        source: The input, CSV or Parquet.
        out: The output, CSV or Parquet.
        images: Folder or zip archive of images, None to predict from text alone.
        package: The classifier's folder.
        model: Name of the model of the package.
        top: Number of categories per product.
        submission: Whether to write the format of the challenge.
        restart: Whether to start over and overwrite the output.
    """

    source: Path
    out: Path
    images: Path | None
    package: Path
    model: str
    top: int
    submission: bool
    restart: bool

    @property
    def partial(self) -> Path:
        """The folder of finished chunks."""
        return self.out.with_name(f"{self.out.name}.partial")

    @property
    def errors(self) -> Path:
        """The file that lists the faulty rows."""
        return self.out.with_name(f"{self.out.name}.errors.csv")


@dataclass
class Summary:
    """Counts of a finished output.

    Attributes:
        products: Rows of the output.
        missing_images: Products whose image was not found.
        bad_rows: Rows of the errors file.
    """

    products: int = 0
    missing_images: int = 0
    bad_rows: int = 0

    def report(self, out: object, images: object, errors: object) -> str:
        """Format the counts as lines for the terminal.

        Args:
            out: The output.
            images: Where images were looked for, None for text alone.
            errors: Where the faulty rows are listed.

        Returns:
            One or two lines, the last one ended.
        """
        text = f"{out}: {self.products} product{'' if self.products == 1 else 's'}"
        if images:
            text += f", {self.missing_images} of them without an image in {images}"
        if self.bad_rows:
            rows, their = ("row", "its") if self.bad_rows == 1 else ("rows", "their")
            text += (
                f"\n{errors}: {self.bad_rows} {rows} that could not be read in full, computed "
                f"from part of {their} data or from none"
            )
        return f"{text}\n"


def check_output(options: Options) -> None:
    """Refuse an output that would overwrite a file of the user.

    Raises:
        InputError: If the output is the input, a folder, an existing file without `restart`, or of
            another format than CSV and Parquet.
    """
    check_format(options.out, "the output")
    if options.submission and options.out.suffix.lower() != ".csv":
        raise InputError(f"the challenge expects CSV, received -o {options.out}: name it .csv")
    for path in (options.out, options.errors):
        if path.is_dir():
            raise InputError(f"{path} is a folder: name another file with -o")
        if path.exists() and options.source.exists() and path.samefile(options.source):
            raise InputError(f"{path} is the input itself: name another file with -o")
    # The errors file is written first: next to unfinished chunks it belongs to this run.
    written = [options.out] if options.partial.exists() else [options.out, options.errors]
    for path in written:
        if path.exists() and not options.restart:
            raise InputError(
                f"{path} exists already: name another with -o, or pass --restart to overwrite it"
            )


@contextmanager
def partial_folder(options: Options, *, chunk: int, images: str | None) -> Iterator[None]:
    """Create or continue the folder of finished chunks, locked against other processes.

    Args:
        options: What to read and write.
        chunk: Number of products in a chunk.
        images: Digest of the images, None for text alone.

    Raises:
        InputError: If the folder belongs to other options or to another process.
    """
    folder = options.partial
    kept = folder / MANIFEST
    if folder.exists() and not kept.exists() and any(p.name != LOCK for p in folder.iterdir()):
        raise InputError(f"{folder} is not a folder of this command: move it or choose another -o")
    manifest = _manifest(options, chunk, images)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(folder / LOCK, timeout=0):
            if options.restart:
                for path in folder.glob("*.json"):
                    path.unlink()
            if kept.exists() and _has_chunks(folder):
                _check_manifest(storage.read_json(kept), manifest, options)
            storage.write_json(kept, manifest)
            try:
                yield
            finally:
                if folder.exists() and not _has_chunks(folder):
                    shutil.rmtree(folder)
    except filelock.Timeout as error:
        raise InputError(f"another process writes {options.out}: wait until it ends") from error


def finished_chunks(options: Options) -> set[int]:
    """List the numbers of the stored chunks; damaged ones are left out and computed again."""
    done = set()
    for path in sorted(options.partial.glob("[0-9]*.json")):
        with suppress(ValueError):
            storage.read_json(path)
            done.add(int(path.stem))
    return done


def write_chunk(
    options: Options, number: int, rows: list[list], errors: list[list], missing_images: int
) -> None:
    """Store a finished chunk.

    Args:
        options: What to read and write.
        number: Number of the chunk, from 0.
        rows: The output values of each product.
        errors: Line, index and reason of each faulty row.
        missing_images: Number of products whose image was not found.
    """
    chunk = {"rows": rows, "errors": errors, "missing_images": missing_images}
    text = json.dumps(chunk, separators=(",", ":"), allow_nan=False)
    storage.write_text(options.partial / f"{number:08d}.json", text)


def assemble(options: Options, *, rows: int, columns: list[str]) -> Summary:
    """Join the chunks into the output and the errors file, and delete them.

    Args:
        options: What to read and write.
        rows: Expected number of products.
        columns: The columns of the output.

    Returns:
        Counts of the whole output.

    Raises:
        InputError: If chunks hold another number of products.
    """
    summary = Summary()
    for chunk in _read_chunks(options):
        summary.products += len(chunk["rows"])
        summary.missing_images += chunk["missing_images"]
        summary.bad_rows += len(chunk["errors"])
    if summary.products != rows:
        raise InputError(
            f"{options.source} changed while it was read: expected {rows} rows, received "
            f"{summary.products}; run this command again with --restart"
        )
    if summary.bad_rows:
        errors = (error for chunk in _read_chunks(options) for error in chunk["errors"])
        _write_csv(options.errors, ["line", "index", "reason"], errors)
    else:
        options.errors.unlink(missing_ok=True)
    predictions = (row for chunk in _read_chunks(options) for row in chunk["rows"])
    if options.submission:
        _write_csv(options.out, list(products.Y_COLUMNS), (row[:2] for row in predictions))
    elif options.out.suffix.lower() == ".csv":
        _write_csv(options.out, columns, predictions)
    else:
        _write_parquet(options.out, columns, predictions)
    shutil.rmtree(options.partial)
    return summary


def tabulate(columns: list[str], rows: list[list]) -> pa.Table:
    """Make a typed table of predictions.

    Args:
        columns: Names, "index" first.
        rows: The values of each product.

    Returns:
        A table of the same rows; an index that is not a number is null.
    """
    types = {"index": pa.int64(), "name": pa.string()}
    types |= {name: pa.int64() for name in columns if name.endswith("prdtypecode")}
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in columns])
    values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    values[0] = [index if isinstance(index, int) else None for index in values[0]]
    arrays = [pa.array(v, t) for v, t in zip(values, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def format_time(nanoseconds: int | None) -> str:
    """Format a file's modification time, in nanoseconds since 1970, as UTC; "" for None."""
    if nanoseconds is None:
        return ""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d}"


def identify(file: BinaryIO) -> dict:
    """Identify an open file by its size in bytes and the SHA-256 of its first and last MiB."""
    digest = hashlib.sha256(file.read(EDGE))
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - EDGE))
    digest.update(file.read(EDGE))
    return {"size": size, "sha256": digest.hexdigest()}


def _has_chunks(folder: Path) -> bool:
    return any(folder.glob("[0-9]*.json"))


def _read_chunks(options: Options) -> Iterator[dict]:
    return (storage.read_json(path) for path in sorted(options.partial.glob("[0-9]*.json")))


def _manifest(options: Options, chunk: int, images: str | None) -> dict:
    """List everything that the content of a chunk depends on."""
    summary = options.package / package.SUMMARY
    paths = {"input": options.source, "images": options.images, "package": summary}
    manifest: dict = {}
    for name, path in paths.items():
        manifest[name] = printable(str(path.resolve())) if path else None
        if name != "images" and path and path.is_file():
            with path.open("rb") as file:
                manifest |= {f"{name} {key}": value for key, value in identify(file).items()}
    changes = {
        # A package that DVC checks out again has another time and the same content.
        "input modified": format_time(options.source.stat().st_mtime_ns),
        "images content": images,
    }
    settings = {
        "--model": options.model,
        "--top": options.top,
        "--submission": options.submission,
        "chunk": chunk,
    }
    return manifest | changes | settings


def _check_manifest(kept: dict | list, manifest: dict, options: Options) -> None:
    """Refuse to continue with chunks of another input or of other options."""
    kept = kept if isinstance(kept, dict) else {}
    names = [name for name in manifest | kept if kept.get(name) != manifest.get(name)]
    if names:
        differences = "; ".join(
            f"{name} was {kept.get(name)!r} and is {manifest.get(name)!r}" for name in names
        )
        raise InputError(
            f"{options.partial} holds the unfinished results of another command: {differences}; "
            "run that one, remove the folder, or pass --restart"
        )


def _write_csv(path: Path, header: list[str], rows: Iterable[list]) -> None:
    """Write CSV as UTF-8 with LF line ends and exact floats."""
    with storage.atomic(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        text.flush()
        text.detach()  # `storage.atomic` closes the file


def _write_parquet(path: Path, columns: list[str], rows: Iterator[list]) -> None:
    """Write Parquet in row groups."""
    schema = tabulate(columns, []).schema
    with storage.atomic(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(itertools.islice(rows, ROW_GROUP)):
            writer.write_table(tabulate(columns, group))
