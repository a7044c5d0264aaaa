"""The schema of the product table: columns, dtypes, checks, the join of X and Y, image names.

Data frames in, data frames out; no file is opened here. Read the challenge's CSV files with
`CSV_FORMAT`, which keeps every field as it was written: a title "NA" stays a title, and an id
"12.0" is recognized as wrong.
"""

from __future__ import annotations  # pandas only appears in signatures: prediction starts faster

import csv
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rakuten import categories

if TYPE_CHECKING:
    import pandas as pd

CSV_FORMAT: dict[str, Any] = {
    "dtype": "str",
    "keep_default_na": False,
    "na_values": [""],
    "encoding": "utf-8",
}
"""Options of `pandas.read_csv` for X and Y: every field is text, only empty ones are missing."""

X_FILE, Y_FILE = "X_train.csv", "Y_train.csv"
"""The files of labelled products."""

X_COLUMNS = ("", "designation", "description", "productid", "imageid")
"""Columns of X_train.csv and X_test.csv; the unnamed one is the challenge's index, the id."""

Y_COLUMNS = ("", "prdtypecode")
"""Columns of Y_train.csv."""

DTYPES = {
    "id": "int64",
    "designation": "str",
    "description": "str",
    "productid": "int64",
    "imageid": "int64",
    "prdtypecode": "int64",
    "label": "int64",
}
"""The product table's columns in their order; the last two only where Y is known."""

TEXTS = ("designation", "description")
UNNAMED = "Unnamed: 0"  # pandas's name of a first column without a name
IMAGE_NAME = re.compile(
    r"image_([0-9]{1,18})_product_([0-9]{1,18})\.(?:jpe?g|jpe|jfif)", re.IGNORECASE
)
DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars"}
"""Delimiters that other programs write instead of commas."""

INTEGER = r"[0-9]{1,18}"  # always fits int64; pandas itself would accept " 7" as well
SHOWN = 5  # names that a message lists


@dataclass(frozen=True)
class Problem:
    """One kind of fault and everything that has it.

    Attributes:
        fault: What is wrong with the things named.
        names: Everything that has the fault, in order.
        remedy: What to do.
    """

    fault: str
    names: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        shown = ", ".join(n if n.isprintable() else ascii(n) for n in self.names[:SHOWN])
        more = len(self.names) - SHOWN
        return (
            f"{self.fault} ({len(self.names)}): {shown}{f' and {more} more' if more > 0 else ''}: "
            f"{self.remedy}"
        )


class InvalidProductsError(ValueError):
    """Product files do not follow the schema; `problems` holds every kind of fault.

    Attributes:
        problems: The full list, as the message shows it.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        kinds = len(self.problems)
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        return f"{kinds} kind{'s' * (kinds > 1)} of fault in the product files:{lines}"


def image_name(imageid: int, productid: int) -> str:
    """Name a product's image as the challenge does: image_<imageid>_product_<productid>.jpg."""
    return f"image_{imageid}_product_{productid}.jpg"


def image_names(table: pd.DataFrame) -> list[str]:
    """Name the images of a product table.

    Args:
        table: A table with int64 columns imageid and productid, n rows.

    Returns:
        n names, in the order of the rows; equal rows give equal names.
    """
    pairs = zip(table["imageid"].tolist(), table["productid"].tolist(), strict=True)
    return [image_name(imageid, productid) for imageid, productid in pairs]


def parse_image_name(name: str) -> tuple[int, int] | None:
    """Read (imageid, productid) from an image's file name, or None if it is another file."""
    match = IMAGE_NAME.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def image_key(name: str) -> str:
    """Reduce an image's file name to what it is found by.

    The import, the prediction and Ray follow this one rule. The challenge's names are compared by
    their two numbers, other names without regard to case and to the form of accents.

    Args:
        name: A file name, with or without folders.

    Returns:
        The challenge's name of the two numbers; otherwise the last component of the name,
        case-folded, in Unicode's form NFC.
    """
    last = re.split(r"[/\\]", name)[-1]
    numbers = parse_image_name(last)
    if numbers:
        return image_name(*numbers)
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", last).casefold())


def other_delimiter(header: str) -> str | None:
    """Name what separates the columns of X or Y instead of commas.

    Args:
        header: The first line of a file.

    Returns:
        A name such as "semicolons"; None if there is a comma or no known column.
    """
    known = {*X_COLUMNS, *Y_COLUMNS} - {""}
    try:
        if known & {name.strip() for name in next(csv.reader([header]), []) if "\t" not in name}:
            return None
        for delimiter, what in DELIMITERS.items():
            names = next(csv.reader([header], delimiter=delimiter), [])
            if known & {name.strip().lower() for name in names}:
                return what
    except csv.Error:  # no text
        return None
    return None


def has_text(table: pd.DataFrame) -> np.ndarray:
    """Find the products that have a text: a title or a description.

    Args:
        table: A product table, n rows.

    Returns:
        bool (n,), in the order of the rows.
    """
    return (table["designation"].notna() | table["description"].notna()).to_numpy(dtype=bool)


def parse_x(x: pd.DataFrame, source: str = X_FILE) -> tuple[pd.DataFrame, list[Problem]]:
    """Convert a frame of X to typed rows, and list every fault it has.

    Args:
        x: A frame with `X_COLUMNS`, read with `CSV_FORMAT`; rows in any order.
        source: The file's name, for messages.

    Returns:
        The table with the columns id, designation, description, productid, imageid of `DTYPES`, in
        ascending id; empty and blank titles and descriptions are missing. And the problems, none if
        x follows the schema. Otherwise rows without a readable id are left out and other
        unreadable numbers are -1.
    """
    x, problems = _select_columns(x, X_COLUMNS, source)
    numbers, faults = _parse_integers(x, ("id", "productid", "imageid"), source)
    table = x.assign(**numbers, designation=_words(x["designation"]))
    table = table.assign(description=_words(x["description"]))
    table = _in_order(table[list(DTYPES)[:5]])
    return table, problems + faults + _check_ids(table, source)


def parse_y(y: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """Convert a frame of Y to typed rows, and list every fault it has.

    Args:
        y: A frame with `Y_COLUMNS`, read with `CSV_FORMAT`; rows in any order.

    Returns:
        The table with the int64 columns id and prdtypecode, in ascending id. And the problems, none
        if y follows the schema. Otherwise rows without a readable id are left out and an unreadable
        prdtypecode is -1.
    """
    y, problems = _select_columns(y, Y_COLUMNS, Y_FILE)
    numbers, faults = _parse_integers(y, ("id", "prdtypecode"), Y_FILE)
    table = _in_order(y.assign(**numbers))
    problems += faults + _check_ids(table, Y_FILE)
    unknown = table[~table["prdtypecode"].isin((-1, *categories.CODES))]
    if len(unknown):
        pairs = zip(unknown["id"], unknown["prdtypecode"], strict=True)
        problems.append(
            Problem(
                f"rows of {Y_FILE} with an unknown prdtypecode",
                tuple(f"{number} has {code}" for number, code in pairs),
                f"expected one of the {categories.NUM_CATEGORIES} codes of rakuten.categories",
            )
        )
    return table, problems


def check_pair(x: pd.DataFrame, y: pd.DataFrame) -> list[Problem]:
    """Check that X and Y describe the same rows.

    Args:
        x: Typed rows of X, as `parse_x` returns them.
        y: Typed rows of Y, as `parse_y` returns them.

    Returns:
        The problems, none if both hold the same ids. A table without rows is not compared: the
        parsers report it.
    """
    problems = []
    for rows, others, here, there in ((x, y, X_FILE, Y_FILE), (y, x, Y_FILE, X_FILE)):
        unpaired = rows.loc[~rows["id"].isin(others["id"]), "id"]
        if len(unpaired) and len(others):
            names = tuple(unpaired.astype("str"))
            remedy = f"{X_FILE} and {Y_FILE} must hold the same ids, pass files of one catalogue"
            problems.append(Problem(f"rows of {here} without a row in {there}", names, remedy))
    return problems


def join(x: pd.DataFrame, y: pd.DataFrame | None = None) -> pd.DataFrame:
    """Join X and Y into the product table, by id.

    Products without a title or a description are accepted: `has_text` finds them.

    Args:
        x: A frame with `X_COLUMNS`, read with `CSV_FORMAT`; rows in any order.
        y: A frame with `Y_COLUMNS`, read in the same way; None if the categories are unknown.

    Returns:
        The product table with the columns and dtypes of `DTYPES` (without y, those before
        prdtypecode), in ascending id, indexed 0..n-1.

    Raises:
        InvalidProductsError: If a file does not follow the schema; the message lists every fault.
    """
    table, problems = parse_x(x)
    if y is not None:
        codes, faults = parse_y(y)
        problems += faults + check_pair(table, codes)
    if problems:
        raise InvalidProductsError(problems)
    if y is None:
        return table
    table = table.merge(codes, on="id", validate="one_to_one")
    return table.assign(label=categories.to_labels(table["prdtypecode"])).astype(DTYPES)


def _select_columns(
    frame: pd.DataFrame, expected: tuple[str, ...], source: str
) -> tuple[pd.DataFrame, list[Problem]]:
    """Select the expected columns, the unnamed one as `id`; without a column of numbers no row."""
    rows = tuple(f"row {row}" for row in range(1, len(frame) + 1))
    found = ["" if name == UNNAMED else str(name) for name in frame.columns]
    missing = tuple(name for name in expected if name not in found)
    extra = tuple(name for name in found if name not in expected)
    # pandas moves fields beyond the header into the index, where they are text
    shifted = () if frame.index.dtype.kind in "iu" else rows
    header = f"expected the header {','.join(expected)!r}, received {','.join(found)!r}"
    problems = [
        Problem(fault, names, remedy)
        for fault, names, remedy in (
            (f"columns missing from {source}", tuple(map(repr, missing)), header),
            (f"unexpected columns of {source}", tuple(map(repr, extra)), header),
            (
                f"rows of {source} with more fields than the header",
                shifted,
                "quote texts that contain a comma, as the challenge's file does",
            ),
            ("files without rows", () if rows else (source,), "pass the complete file"),
        )
        if names
    ]
    frame = frame.set_axis(found, axis=1).reindex(columns=list(expected)).rename(columns={"": "id"})
    unusable = shifted or any(name not in TEXTS for name in missing)
    return frame.reset_index(drop=True)[: 0 if unusable else None], problems


def _parse_integers(
    frame: pd.DataFrame, names: tuple[str, ...], source: str
) -> tuple[dict[str, pd.Series], list[Problem]]:
    """Convert columns to int64, -1 where a field is not an integer, and list those fields."""
    numbers, problems = {}, []
    for name in names:
        digits = frame[name].astype("str")
        readable = digits.str.fullmatch(INTEGER).fillna(False).astype(bool)
        numbers[name] = digits.where(readable, "-1").astype("int64")
        wrong = digits[~readable]
        if len(wrong):
            fields = wrong.map(repr).where(wrong.notna(), "is empty")
            rows = np.flatnonzero(~readable) + 1
            problems.append(
                Problem(
                    f"rows of {source} whose {name} is not an integer",
                    tuple(f"row {row} {field}" for row, field in zip(rows, fields, strict=True)),
                    "expected digits only; rows are counted from the first below the header",
                )
            )
    return numbers, problems


def _check_ids(table: pd.DataFrame, source: str) -> list[Problem]:
    """List the ids that occur more than once."""
    twice = table.loc[table["id"].duplicated(), "id"].drop_duplicates()
    remedy = "the index names each product once, remove the repeated rows"
    if "prdtypecode" in table:
        remedy += ", and pass corrected labels as a file corrections.csv"
    problem = Problem(f"ids repeated in {source}", tuple(twice.astype("str")), remedy)
    return [problem] if problem.names else []


def _words(column: pd.Series) -> pd.Series:
    """Keep a text column as it is, with blank fields as missing."""
    column = column.astype("str")
    return column.where(column.str.strip() != "")


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows without an id and sort the others by it, index 0..n-1."""
    return table[table["id"] >= 0].sort_values("id", kind="stable", ignore_index=True)
