"""Files of products to predict: rows of CSV and Parquet one by one, pictures by their names.

Made for files that nobody has checked. What is wrong with one row is told of that row and the
others go on; nothing here holds more than a few rows in memory.
"""

import codecs
import csv
import io
import itertools
import os
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as fs
import pyarrow.parquet as pq

from rakuten.data import products
from rakuten.data.sources import MAX_IMAGE, READ_FAULTS, open_member

INDEX_NAMES = (products.UNNAMED, "__index_level_0__", "index", "id")
"""What else the challenge's unnamed first column is called in files that others wrote."""

KNOWN = ("designation", "description", "productid", "imageid", "image")
FORMATS = (".csv", ".parquet")
MAX_FIELD = 16 << 20  # characters (bytes in Parquet); a quote never closed ends here
HEAD = 4096  # characters of a record in which its first fields are looked for if it is unreadable
BATCH = 256  # rows of a Parquet file read at once
MEBIBYTE = 1 << 20
INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
ID = re.compile(products.INTEGER)
SURROGATES = re.compile("[\ud800-\udfff]")


class InputError(RuntimeError):
    """Nothing can be predicted from what was given; the message says what to change."""


class Row(NamedTuple):
    """One product as the input has it.

    Attributes:
        position: Its number among the rows, from 0.
        line: Where it begins: the line of the CSV file, or the row of the Parquet file, from 1.
        index: The challenge's index, as text where it is no number.
        title: The designation.
        description: The description.
        image: The file name of its picture, None if it names none.
        faults: What is wrong with the row.
    """

    position: int
    line: int
    index: int | str
    title: str
    description: str
    image: str | None
    faults: tuple[str, ...]


class Mark(NamedTuple):
    """Where in a file reading can begin.

    Attributes:
        position: The number of the row there, from 0.
        line: The line of the CSV file, or the row of the Parquet file, from 1.
        offset: The byte of the CSV file; 0 for Parquet.
    """

    position: int
    line: int
    offset: int


@dataclass(frozen=True)
class Table:
    """The input file.

    Attributes:
        path: The file.
        columns: The names of its fields, in order; the index is "index".
        rows: The number of its rows.
        numbers: Their index where no column has it.
        filesystem: What opens it, None for files of this machine.
        marks: Where `read_rows` can begin besides the first row, if that was asked for.
    """

    path: Path
    columns: tuple[str, ...]
    rows: int
    numbers: range
    filesystem: fs.FileSystem | None = None
    marks: tuple[Mark, ...] = ()


def open_file(path: Path, filesystem: fs.FileSystem | None = None) -> BinaryIO:
    """Open a file of this machine or of a filesystem that PyArrow knows, to be read and sought."""
    if filesystem is None:
        return path.open("rb")
    return io.BufferedReader(filesystem.open_input_file(path.as_posix()), MEBIBYTE)


def open_table(
    path: Path, filesystem: fs.FileSystem | None = None, *, every: int | None = None
) -> Table:
    """Read the header of a product file and count its rows.

    Args:
        path: A CSV or Parquet file with a column designation.
        filesystem: What opens it, None for files of this machine.
        every: Mark the place of each such number of rows, for readers that share a file.

    Returns:
        What the file holds; `read_rows` gives its rows.

    Raises:
        InputError: If it cannot be read, lacks the column, or holds no rows.
    """
    check_ending(path, "the input")
    if filesystem is None and not path.is_file():
        raise InputError(f"{path} is not a file: pass the path of a CSV or Parquet file")
    try:
        if path.suffix.lower() == ".parquet":
            with open_file(path, filesystem) as source, pq.ParquetFile(source) as file:
                found, count = tuple(file.schema_arrow.names), file.metadata.num_rows
                numbers = _numbers(file.schema_arrow, count)
            columns = tuple(name for name in _named(found) if name in ("index", *KNOWN))
            marks = [Mark(at, at + 1, 0) for at in range(0, count, every or max(count, 1))]
        else:
            with open_file(path, filesystem) as source:
                lines = _Lines(source)
                records = _csv_records(lines)
                found = tuple(next(records, (0, 0, [], ""))[2])
                count, marks = 0, []
                for line, offset, _, _ in records:
                    if every and count % every == 0:
                        marks.append(Mark(count, line, offset))
                    count += 1
            numbers = range(count)
            columns = _named(found)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}): save it anew") from error
    _check_columns(path, columns, found)
    if not count:
        raise InputError(f"{path} holds no products below its header: pass the whole file")
    return Table(path, columns, count, numbers, filesystem, tuple(marks) if every else ())


def read_rows(table: Table, start: Mark | None = None, count: int | None = None) -> Iterator[Row]:
    """Read the products one after the other.

    Args:
        table: What `open_table` found.
        start: One of its marks, the first row if None.
        count: How many to read at most, all that follow if None.

    Yields:
        Every row, in the order of the file, with its faults.
    """
    parquet = table.path.suffix.lower() == ".parquet"
    with open_file(table.path, table.filesystem) as file:
        records = (_parquet_records if parquet else _csv_below)(file, table, start)
        first = start.position if start else 0
        for position, (line, fields, fault) in enumerate(itertools.islice(records, count), first):
            row = _parse(position, line, fields, fault, table.columns)
            numbered = "index" not in table.columns and position < table.rows
            yield row._replace(index=table.numbers[position]) if numbered else row


class Pictures:
    """The pictures of a folder or a zip archive, found by their file names at any depth.

    Of several files of one name the one in the first folder counts, an outer folder before those in
    it. Threads may share it.
    """

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        self._archive: zipfile.ZipFile | None = None
        self._places: list[str] = []  # names apart from folders: millions of names fit into memory
        self._names: dict[str, int] = {}
        if path.is_dir():
            self._index_folder(path)
        else:
            self._index_archive(path)
        if not self._names:
            raise InputError(f"{path} holds no files: pass the folder or zip archive of pictures")

    def close(self) -> None:
        """Close the archive."""
        if self._archive:
            self._archive.close()

    def read(self, name: str) -> bytes | None:
        """Read a picture's bytes.

        Args:
            name: Its file name.

        Returns:
            Its content, None if there is no such file.

        Raises:
            InputError: If it is larger than any picture. Damaged archives raise `READ_FAULTS`.
        """
        if name not in self._names:
            return None
        place = self._places[self._names[name]]
        if self._archive:
            with self._lock, open_member(self._archive, place) as file:
                return read_picture(file)
        with (Path(place) / name).open("rb") as file:
            return read_picture(file)

    def _index_folder(self, folder: Path) -> None:
        for root, folders, names in os.walk(folder):
            folders.sort()
            self._places.append(root)
            for name in names:
                self._names.setdefault(name, len(self._places) - 1)

    def _index_archive(self, path: Path) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except READ_FAULTS as error:
            raise InputError(
                f"--images {path} cannot be read ({one_line(error)}): expected a folder or a zip "
                "archive of pictures, pass one"
            ) from error
        for member in sorted(self._archive.namelist(), key=lambda name: name.split("/")[:-1]):
            name = member.rpartition("/")[2]
            if name and name not in self._names:
                self._names[name] = len(self._places)
                self._places.append(member)


def check_picture_columns(table: Table) -> None:
    """Refuse a table that does not tell which picture belongs to which product."""
    if "image" not in table.columns and not {"productid", "imageid"} <= set(table.columns):
        raise InputError(
            f"{table.path} does not tell which picture belongs to which product: expected the "
            f"columns productid and imageid, or image with file names, received "
            f"{','.join(table.columns)[:200]!r}; add them or leave out --images"
        )


def check_ending(path: Path, what: str) -> None:
    """Refuse a file name that is neither CSV nor Parquet."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{what} must end in .csv or .parquet, received {path}: rename or convert")


def read_picture(file: BinaryIO) -> bytes:
    """Read a picture's file.

    Raises:
        InputError: If it is larger than any picture.
    """
    content = file.read(MAX_IMAGE + 1)
    if len(content) > MAX_IMAGE:
        raise InputError(
            f"{file.name} is no picture: expected at most {MAX_IMAGE} bytes, received more"
        )
    return content


def clean(text: str) -> tuple[str, list[str]]:
    """Replace what is no text, and tell what it was."""
    wrong = []
    if SURROGATES.search(text):
        text = SURROGATES.sub("\ufffd", text)
        wrong.append("is not UTF-8")
    if "\0" in text:
        text = text.replace("\0", " ")
        wrong.append("holds NUL bytes")
    return text, wrong


def one_line(error: Exception) -> str:
    """Give an error's message on one line."""
    return " ".join(shown(str(error) or type(error).__name__).split())


def shown(text: str) -> str:
    """Write characters that no terminal or file takes as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _named(found: tuple[str, ...]) -> tuple[str, ...]:
    """Take the header's names, with the index as "index"."""
    names = [name.strip() for name in found]
    index = 0 if names and names[0] == "" else None
    if index is None:
        index = next((names.index(name) for name in INDEX_NAMES if name in names), None)
    names = [f"other {name}" if name == "index" else name for name in names]
    if index is not None:
        names[index] = "index"
    return tuple(names)


def _check_columns(path: Path, columns: tuple[str, ...], found: tuple[str, ...]) -> None:
    """Refuse a header without a designation, or with a column twice."""
    twice = sorted({name for name in KNOWN if columns.count(name) > 1})
    if "designation" in columns and not twice:
        return
    fault = f"has the column {twice[0]} twice" if twice else "has no column designation"
    expected = ",".join(products.X_COLUMNS)
    received = ",".join(found)[:200]
    raise InputError(
        f"{path} {fault}: expected the header {expected!r}, received {received!r}; "
        "save the file with these names, as UTF-8 and with commas"
    )


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let CSV fields be longer than 131,072 characters."""
    before = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class _Lines:
    """The lines of a CSV file as the csv module wants them.

    Attributes:
        offset: The byte that follows the last.
        number: How many there were, those in front included.
        last: The last.
        head: How the first line began since this was last emptied.
    """

    def __init__(self, file: BinaryIO, offset: int = 0, number: int = 0):
        self._file, self.offset, self.number = file, offset, number
        self.last = self.head = ""

    def __iter__(self) -> Iterator[str]:
        for block in self._file:
            for line in block.splitlines(keepends=True):  # a block may hold bare carriage returns
                text = line.removeprefix(codecs.BOM_UTF8) if self.offset == 0 else line
                self.offset += len(line)
                self.number += 1
                self.last = text.decode("utf-8", "surrogateescape")
                self.head = self.head or self.last[: min(HEAD, MAX_FIELD)]
                yield self.last

    def leave_record(self, lines: Iterator[str], begun: int) -> Iterator[str]:
        """Go to the end of a record that was given up within a line.

        Args:
            lines: The iterator over this that is in use.
            begun: The number of lines in front of the record.

        Returns:
            The lines behind the record, or, where its quote is never closed, behind the one in
            which it was given up.
        """
        if not _ends_quoted(self.last, quoted=self.number > begun + 1):
            return lines
        offset, number = self.offset, self.number
        for line in lines:
            if not _ends_quoted(line, quoted=True):
                return lines
        self._file.seek(offset)
        self.offset, self.number = offset, number
        return iter(self)


def _ends_quoted(line: str, *, quoted: bool) -> bool:
    """Tell whether a line of CSV ends within quotes, given whether it begins there."""
    at = 0
    while True:
        if not quoted and line.startswith('"', at):
            quoted, at = True, at + 1
        end = line.find('"', at) if quoted else at
        if end < 0:
            return True
        if quoted and line.startswith('""', end):  # a quote that is meant
            at = end + 2
            continue
        at = line.find(",", end) + 1
        if not at:
            return False
        quoted = False


def _csv_records(lines: _Lines) -> Iterator[tuple[int, int, list[str], str]]:
    """Read line, byte, fields and fault of every record, the header's too; blank lines are none.

    Args:
        lines: The file from the beginning of a record on.
    """
    with _long_fields():
        rest = iter(lines)
        reader = csv.reader(rest)
        while True:
            begun, offset, lines.head = lines.number, lines.offset, ""
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fields = next(csv.reader([lines.head]))[:-1]  # those that are whole: the index
                rest = lines.leave_record(rest, begun)
                reader = csv.reader(rest)
                yield begun + 1, offset, fields, f"not readable as CSV: {error}"
                continue
            if fields:
                yield begun + 1, offset, fields, ""


def _csv_below(
    file: BinaryIO, table: Table, start: Mark | None
) -> Iterator[tuple[int, list[str], str]]:
    """Read line, fields and fault of the records below the header, or from a mark on."""
    if start:
        file.seek(start.offset)
        records = _csv_records(_Lines(file, start.offset, start.line - 1))
    else:
        records = itertools.islice(_csv_records(_Lines(file)), 1, None)
    return ((line, fields, fault) for line, _, fields, fault in records)


def _parquet_records(
    source: BinaryIO, table: Table, start: Mark | None
) -> Iterator[tuple[int, list[str], str]]:
    """Read number and fields of every row, all as text like those of a CSV file."""
    with pq.ParquetFile(source) as file:
        names = file.schema_arrow.names
        wanted = [
            name
            for name, known in zip(names, _named(tuple(names)), strict=True)
            if known in table.columns
        ]
        first, group, above = start.position if start else 0, 0, 0
        while above + (rows := file.metadata.row_group(group).num_rows) <= first:
            group, above = group + 1, above + rows
        groups = range(group, file.metadata.num_row_groups)
        for batch in file.iter_batches(batch_size=BATCH, row_groups=groups, columns=wanted):
            skipped = min(max(first - above, 0), len(batch))  # rows in front of the mark
            fields = [_written(batch.column(name).slice(skipped)) for name in wanted]
            for number, record in enumerate(zip(*fields, strict=True), above + skipped + 1):
                long = [name for name, value in zip(wanted, record, strict=True) if value is None]
                fault = f"{long[0]} larger than field limit ({MAX_FIELD})" if long else ""
                yield number, ["" if value is None else value for value in record], fault
            above += len(batch)


def _numbers(schema: pa.Schema, count: int) -> range:
    """Number rows as pandas did, which keeps an index without gaps beside the columns."""
    kept = (schema.pandas_metadata or {}).get("index_columns", [])
    if len(kept) == 1 and isinstance(kept[0], dict) and kept[0].get("kind") == "range":
        numbers = range(kept[0]["start"], kept[0]["stop"], kept[0]["step"])
        if len(numbers) == count:
            return numbers
    return range(count)


def _written(column: pa.Array) -> list[str | None]:
    """Write a Parquet column's values as a CSV file would have them, None what is too long."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())  # bytes that are no UTF-8 come through
    if pa.types.is_large_binary(column.type) or pa.types.is_binary(column.type):
        lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
        if (lengths > MAX_FIELD).any():
            return [
                None if length > MAX_FIELD else _field(value.as_py())
                for length, value in zip(lengths, column, strict=True)
            ]
    return [_field(value) for value in column.to_pylist()]


def _field(value: object) -> str:
    if value is None or value != value:  # NaN: what pandas has for nothing
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _parse(
    position: int, line: int, fields: list[str], fault: str, columns: tuple[str, ...]
) -> Row:
    """Make a row of a record's fields; what cannot be read is told and left out."""
    faults = [fault] if fault else []
    if not fault and len(fields) != len(columns):
        more = sum(field.count("\n") for field in fields)
        hint = f", over {more + 1} lines: a quote may be left open" if more else ""
        faults.append(f"expected {len(columns)} fields, received {len(fields)}{hint}")
    values = dict(zip(columns, fields, strict=False))
    for name in ("index", *KNOWN):
        values[name], wrong = clean(values.get(name, ""))
        faults += [f"{name} {reason}" for reason in wrong]
    index: int | str = position
    if "index" in columns:
        index = values["index"].strip()
        if INTEGER.fullmatch(index):
            index = int(index)
        elif not fault:
            faults.append(f"index is not a number: {index[:40]!r}")
    # Fields too many or too few: the numbers may be another column's.
    image, wrong = (None, []) if len(fields) != len(columns) else _image(values)
    title, description = values["designation"].strip(), values["description"].strip()
    return Row(position, line, index, title, description, image, tuple(faults + wrong))


def _image(values: dict[str, str]) -> tuple[str | None, list[str]]:
    """Name a row's picture, with what is wrong with the fields that do."""
    ids = {name: values[name].strip() for name in ("imageid", "productid")}
    if all(ID.fullmatch(number) for number in ids.values()):
        return products.image_name(int(ids["imageid"]), int(ids["productid"])), []
    wrong = [
        f"{name} is not an integer: {number[:40]!r}"
        for name, number in ids.items()
        if number and not ID.fullmatch(number)
    ]
    name = re.split(r"[/\\]", values["image"].strip())[-1]
    return name or None, wrong
