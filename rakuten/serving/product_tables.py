"""Read the products of CSV and Parquet files row by row.

The files come from users. A fault in one row is reported with that row, and reading continues.
Memory does not grow with the number of rows.
"""

import csv
import io
import itertools
import re
from bisect import bisect_right
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as fs
import pyarrow.parquet as pq

from rakuten.data import products
from rakuten.serving.errors import InputError, one_line

INDEX_NAMES = (products.UNNAMED, "__index_level_0__", "index", "id")
"""Names that other programs give to the challenge's first column, which has no name."""

KNOWN = ("designation", "description", "productid", "imageid", "image")
FORMATS = (".csv", ".parquet")
MAX_FIELD = 16 << 20  # characters in CSV, bytes in Parquet
BATCH = 256  # rows of a Parquet file that are read at once
GROUP = 1024  # rows of a CSV file between two positions at which reading can start
BUFFER = 1 << 20  # bytes read at once from a remote file
INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
ID = re.compile(products.INTEGER)
SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Row:
    """One product of a table.

    Attributes:
        position: Row number, from 0.
        line: Where the row begins: line of the CSV file or row of the Parquet file, from 1.
        index: The challenge's index; the text in that column if it is not a number.
        title: The designation.
        description: The description.
        image: File name of the image, None if the row names none.
        faults: What is wrong with the row.
    """

    position: int
    line: int
    index: int | str
    title: str
    description: str
    image: str | None
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A file of products.

    Attributes:
        path: The file.
        columns: Names of its fields in order; the index is "index".
        rows: Number of rows.
        numbers: Index of each row, used if no column holds it.
        filesystem: The filesystem that holds the file, None for a local path.
        groups: Positions of the rows at which reading can start: the first of each Parquet row
            group, or every `GROUP`-th row of a CSV file.
        marks: For each of these rows of a CSV file after the first, its position in the text and
            the number of lines before it; () for Parquet.
    """

    path: Path
    columns: tuple[str, ...]
    rows: int
    numbers: range
    filesystem: fs.FileSystem | None = None
    groups: tuple[int, ...] = (0,)
    marks: tuple[tuple[int, int], ...] = ()


def open_table(path: Path, filesystem: fs.FileSystem | None = None) -> Table:
    """Read the header of a product file and count its rows.

    Args:
        path: A CSV or Parquet file with a column `designation`.
        filesystem: The filesystem that holds it, None for a local path.

    Returns:
        The table, for `read_rows`.

    Raises:
        InputError: If the file cannot be read, has no such column or no rows, or if a field of a
            CSV file is longer than `MAX_FIELD`.
    """
    check_format(path, "the input")
    if filesystem is None and not path.is_file():
        raise InputError(f"{path} is not a file: pass the path of a CSV or Parquet file")
    groups: tuple[int, ...]
    marks: list[tuple[int, int]] = []
    try:
        with _open_file(path, filesystem) as file:
            if _is_parquet(path):
                with pq.ParquetFile(file) as parquet:
                    header, count = tuple(parquet.schema_arrow.names), parquet.metadata.num_rows
                    numbers = _pandas_index(parquet.schema_arrow, count)
                    groups = _row_groups(parquet)
                columns = tuple(n for n in _normalized(header) if n in ("index", *KNOWN))
            else:
                text = _open_text(file)
                lines = _Lines(text)
                reader = csv.reader(lines)
                records, count = _csv_records(reader, lines, path), 0
                header = tuple(next(records, (0, [], ""))[1])
                for count, _ in enumerate(records, 1):
                    if count % GROUP == 0:
                        marks.append((text.tell(), reader.line_num))
                columns, numbers = _normalized(header), range(count)
                groups = tuple(range(0, len(marks) * GROUP + 1, GROUP))
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path} cannot be read ({one_line(error)}): export the file again"
        ) from error
    _check_columns(path, columns, header)
    if not count:
        raise InputError(f"{path} has no rows below its header: pass the whole file")
    return Table(path, columns, count, numbers, filesystem, groups, tuple(marks))


def read_rows(table: Table, first: int = 0, count: int | None = None) -> Generator[Row, None, None]:
    """Read products in the order of the file.

    Args:
        table: A table from `open_table`.
        first: Position of the first row to read. Reading starts at the last of the table's groups
            before it.
        count: Maximum number of rows to read, None for all that follow.

    Yields:
        The rows, each with its faults.
    """
    with _open_file(table.path, table.filesystem) as file:
        if _is_parquet(table.path):
            records = _parquet_records(file, table, first)
        else:
            records = _csv_rows(file, table, first)
        for position, (line, fields, fault) in enumerate(itertools.islice(records, count), first):
            row = _parse(position, line, fields, fault, table.columns)
            if "index" not in table.columns and position < table.rows:
                row = replace(row, index=table.numbers[position])
            yield row


def check_format(path: Path, what: str) -> None:
    """Refuse a file name that does not end in .csv or .parquet.

    Args:
        path: The file.
        what: What it is, for the message.

    Raises:
        InputError: If the file has another format.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"{what} must end in .csv or .parquet, received {path}: rename or convert it"
        )


def replace_invalid(text: str) -> tuple[str, list[str]]:
    """Replace undecodable bytes and NUL characters.

    Args:
        text: Decoded with `errors="surrogateescape"`.

    Returns:
        The valid text, and what was wrong with it.
    """
    wrong = []
    if SURROGATES.search(text):
        text = SURROGATES.sub("\ufffd", text)
        wrong.append("is not UTF-8")
    if "\0" in text:
        text = text.replace("\0", " ")
        wrong.append("holds NUL bytes")
    return text, wrong


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _open_file(path: Path, filesystem: fs.FileSystem | None) -> BinaryIO:
    if filesystem is None:
        return path.open("rb")
    return io.BufferedReader(filesystem.open_input_file(path.as_posix()), BUFFER)


def _normalized(header: tuple[str, ...]) -> tuple[str, ...]:
    """Strip the names of a header and call the index "index"."""
    # Tabs and leading spaces of a single name stay: they stand where commas were expected.
    strip = str.strip if len(header) > 1 else str.rstrip
    names = [name if "\t" in name else strip(name) for name in header]
    index = 0 if names and names[0] == "" else None
    if index is None:
        index = next((names.index(name) for name in INDEX_NAMES if name in names), None)
    names = [f"other {name}" if name == "index" else name for name in names]
    if index is not None:
        names[index] = "index"
    return tuple(names)


def _check_columns(path: Path, columns: tuple[str, ...], header: tuple[str, ...]) -> None:
    """Refuse a header without a designation, or with the same column twice."""
    repeated = sorted({name for name in KNOWN if columns.count(name) > 1})
    if "designation" in columns and not repeated:
        return
    received = ",".join(header)
    delimiter = products.other_delimiter(received)
    if delimiter:
        raise InputError(
            f"{path} has {delimiter} instead of commas: save it as CSV in UTF-8, with commas"
        )
    fault = f"has the column {repeated[0]} twice" if repeated else "has no column designation"
    if "\0" in received:  # UTF-16, a spreadsheet or a packed file under another name
        fault = f"is not text in UTF-8 and {fault}"
    expected = ",".join(products.X_COLUMNS)
    raise InputError(
        f"{path} {fault}: expected the header {expected!r}, received {received[:200]!r}; "
        "save the file with these names, as UTF-8 and with commas"
    )


def _open_text(file: BinaryIO) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


class _Lines:
    """The lines of a text; `ended` is set when one more is asked for."""

    def __init__(self, text: io.TextIOWrapper):
        self._text, self.ended = text, False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if line := self._text.readline():
            return line
        self.ended = True
        raise StopIteration


def _csv_rows(file: BinaryIO, table: Table, first: int) -> Iterator[tuple[int, list[str], str]]:
    """Yield first line, fields and fault of each row from `first` on."""
    text, group = _open_text(file), bisect_right(table.groups, first) - 1
    place, before = table.marks[group - 1] if group else (0, 0)
    text.seek(place)
    lines = _Lines(text)
    records = _csv_records(csv.reader(lines), lines, table.path, before)
    return itertools.islice(records, first - table.groups[group] + (not group), None)


def _csv_records(
    reader: Any, lines: _Lines, path: Path, before: int = 0
) -> Iterator[tuple[int, list[str], str]]:
    """Yield first line, fields and fault of each record, the header too; skip blank lines."""
    csv.field_size_limit(MAX_FIELD)  # for the whole process: the csv module has no other setting
    while True:
        line = before + reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{path}, line {line}: {error}: expected at most {MAX_FIELD} characters in a "
                "field; shorten the text of that row, or close the quote that is left open there"
            ) from error
        if fields:  # only within quotes, the reader asks for another line at the end of the file
            yield line, fields, "a quote is left open" if lines.ended else ""


def _row_groups(parquet: pq.ParquetFile) -> tuple[int, ...]:
    """Give the position of each row group's first row."""
    sizes = [
        parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups)
    ]
    return tuple(itertools.accumulate(sizes[:-1], initial=0))


def _parquet_records(
    file: BinaryIO, table: Table, first: int
) -> Iterator[tuple[int, list[str], str]]:
    """Yield row number (from 1), fields as text and fault of each row from `first` on."""
    with pq.ParquetFile(file) as parquet:
        header = tuple(parquet.schema_arrow.names)
        wanted = [
            name
            for name, known in zip(header, _normalized(header), strict=True)
            if known in table.columns
        ]
        group = bisect_right(table.groups, first) - 1
        position = table.groups[group]
        groups = range(group, parquet.num_row_groups)
        for batch in parquet.iter_batches(batch_size=BATCH, row_groups=groups, columns=wanted):
            skipped = min(max(first - position, 0), len(batch))
            fields = [_as_text(batch.column(name).slice(skipped)) for name in wanted]
            for number, record in enumerate(zip(*fields, strict=True), position + skipped + 1):
                long = [name for name, value in zip(wanted, record, strict=True) if value is None]
                fault = f"{long[0]} larger than field limit ({MAX_FIELD})" if long else ""
                yield number, [value or "" for value in record], fault
            position += len(batch)


def _pandas_index(schema: pa.Schema, count: int) -> range:
    """Read the index that pandas stores as metadata if it is a range; number rows from 0 if not."""
    stored = (schema.pandas_metadata or {}).get("index_columns", [])
    if len(stored) == 1 and isinstance(stored[0], dict) and stored[0].get("kind") == "range":
        numbers = range(stored[0]["start"], stored[0]["stop"], stored[0]["step"])
        if len(numbers) == count:
            return numbers
    return range(count)


def _as_text(column: pa.Array) -> list[str | None]:
    """Format a Parquet column as CSV would hold it; None where a value is too long."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())  # does not fail on bytes that are not UTF-8
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        return [_field(value) for value in column.to_pylist()]
    lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    return [
        None if too_long else _field(value.as_py())
        for too_long, value in zip(lengths > MAX_FIELD, column, strict=True)
    ]


def _field(value: Any) -> str:
    if value is None or value != value:  # NaN is the missing value of pandas
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _parse(
    position: int, line: int, fields: list[str], fault: str, columns: tuple[str, ...]
) -> Row:
    """Make a row of a record's fields; unreadable values are left out and become faults."""
    faults = [fault] if fault else []
    if len(fields) != len(columns):
        lines = 1 + sum(field.count("\n") for field in fields)
        hint = f", over {lines} lines: a quote may be left open" if lines > 1 else ""
        faults.append(f"expected {len(columns)} fields, received {len(fields)}{hint}")
    values = dict(zip(columns, fields, strict=False))
    for name in ("index", *KNOWN):
        values[name], wrong = replace_invalid(values.get(name, ""))
        faults += [f"{name} {reason}" for reason in wrong]
    index: int | str = position
    if "index" in columns:
        index = values["index"].strip()
        if INTEGER.fullmatch(index):
            index = int(index)
        else:
            faults.append(f"index is not a number: {index[:40]!r}")
    # With too many or too few fields, the ids may be those of another column.
    image, wrong = (None, []) if len(fields) != len(columns) else _image_name(values)
    title, description = values["designation"].strip(), values["description"].strip()
    return Row(position, line, index, title, description, image, tuple(faults + wrong))


def _image_name(values: dict[str, str]) -> tuple[str | None, list[str]]:
    """Name a row's image file, and list what is wrong with its ids."""
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
