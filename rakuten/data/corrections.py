"""Labels corrected by reviewers: the files that hold them, and their effect on the labels of Y.

A file `corrections*.csv` has a row for each reviewed product: its id, the code given to it and the
corrected code, empty if it was not reviewed. A product may be corrected again later, in the same or
in another file: its rows form a chain, in which each row starts from the code that the row before
corrected to.
"""

import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from rakuten import categories, storage
from rakuten.data.products import INTEGER, Problem

COLUMNS = ("id", "given", "corrected")
"""Columns of a file of corrections; others are ignored."""

RELABELLED = "relabelled"
"""The entry of data/dataset.json with the first code of each product that was relabelled."""


def parse(content: bytes, source: str) -> tuple[pd.DataFrame, list[Problem]]:
    """Parse a file of corrections, and list every fault it has.

    Args:
        content: CSV in UTF-8, separated by commas or, as some spreadsheets write it, semicolons.
        source: The file's name, for messages.

    Returns:
        The reviewed products: int64 `COLUMNS`, in the order of the rows, without those that are
        faulty. And the problems, none if the file follows the schema.
    """
    header = content.split(b"\n", 1)[0]
    separator = ";" if b";" in header and b"," not in header else ","
    try:
        frame = pd.read_csv(
            io.BytesIO(content), sep=separator, dtype="str", keep_default_na=False,
            encoding="utf-8-sig", usecols=COLUMNS.__contains__, index_col=False,
        )  # fmt: skip
    except ValueError as error:  # not UTF-8, no columns, an unclosed quote
        reason = f"{source} ({error})".replace("\n", " ")
        remedy = "save them as CSV in UTF-8"
        return _empty(), [Problem("corrections that are not CSV in UTF-8", (reason,), remedy)]
    missing = tuple(repr(name) for name in COLUMNS if name not in frame.columns)
    if missing:
        received = header.decode("utf-8-sig", "replace").strip()
        remedy = f"expected {','.join(COLUMNS)}, received {received[:100]!r}"
        return _empty(), [Problem(f"columns missing from {source}", missing, remedy)]
    fields = pd.DataFrame({name: frame[name].fillna("").str.strip() for name in COLUMNS})
    reviewed = fields["corrected"] != ""
    readable = fields["id"].str.fullmatch(INTEGER) | ~reviewed
    problems = []
    if not readable.all():
        unreadable = zip(np.flatnonzero(~readable) + 1, fields["id"][~readable], strict=True)
        rows = tuple(f"row {row} {text!r}" for row, text in unreadable)
        remedy = "expected digits only; rows are counted from the first below the header"
        problems.append(Problem(f"rows of {source} whose id is not an integer", rows, remedy))
    known = fields[["given", "corrected"]].isin([str(code) for code in categories.CODES])
    for name, valid in known.items():
        wrong = fields[reviewed & readable & ~valid]
        if len(wrong):
            pairs = zip(wrong["id"], wrong[name], strict=True)
            names = tuple(f"id {id_} has {text!r}" for id_, text in pairs)
            remedy = f"expected one of the {categories.NUM_CATEGORIES} codes of rakuten.categories"
            problems.append(Problem(f"rows of {source} with an unknown {name} code", names, remedy))
    return fields[reviewed & readable & known.all(axis=1)].astype("int64"), problems


def apply(codes: pd.DataFrame, files: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, list[Problem]]:
    """Correct labels.

    Corrections that were applied before are accepted: a file can be applied twice.

    Args:
        codes: int64 columns id and prdtypecode, unique ids, in any order.
        files: As `parse` returns them, one or more, in any order. The order of rows matters only
            for corrections that return to the first code, which must be in one file.

    Returns:
        The corrected codes, in the order of `codes`; and the problems: unknown ids, and corrections
        that contradict each other or the labels.
    """
    current = dict(zip(codes["id"].tolist(), codes["prdtypecode"].tolist(), strict=True))
    unknown, outdated, conflicts = [], [], []
    corrected = {}
    rows = pd.concat(files, keys=range(len(files))).drop_duplicates()
    for id_, own in rows.groupby("id", sort=False):
        pairs = list(own[["given", "corrected"]].itertuples(index=False, name=None))
        chain = _chain(pairs, one_file=own.index.get_level_values(0).nunique() == 1)
        if chain is None:
            shown = ", ".join(f"{given} to {right}" for given, right in pairs)
            conflicts.append(f"{id_} ({shown})")
        elif id_ not in current:
            unknown.append(str(id_))
        elif current[id_] not in chain:
            outdated.append(f"{id_} (from {chain[0]}, but it has {current[id_]})")
        else:
            corrected[id_] = chain[-1]
    problems = [
        Problem(fault, tuple(names), remedy)
        for fault, names, remedy in (
            ("ids with conflicting corrections", conflicts, "keep the right row of each"),
            (
                "ids of corrections that Y_train.csv does not have",
                unknown,
                "pass the corrections of this catalogue",
            ),
            (
                "ids corrected from a code that they do not have",
                outdated,
                "review these again: the label has changed since",
            ),
        )
        if names
    ]
    changed = codes["id"].map(corrected).fillna(codes["prdtypecode"]).astype("int64")
    return codes.assign(prdtypecode=changed), problems


def relabelled(
    earlier: Iterable[Mapping[str, Any]], given: pd.DataFrame, corrected: pd.DataFrame
) -> dict[str, int]:
    """Record the first code of each product whose label is not the one that it came with.

    Args:
        earlier: Contents of data/dataset.json of earlier imports.
        given: int64 columns id and prdtypecode, as given.
        corrected: The corrected codes of these products, or of some of them.

    Returns:
        First codes by id, in ascending id: the entry `RELABELLED` of data/dataset.json.
    """
    before = given.set_index(given["id"].astype("str"))["prdtypecode"].to_dict()
    for dataset in earlier:
        before |= dataset.get(RELABELLED, {})
    rows = sorted(zip(corrected["id"].tolist(), corrected["prdtypecode"].tolist(), strict=True))
    return {str(id_): before[str(id_)] for id_, code in rows if before[str(id_)] != code}


def first_codes(table: pd.DataFrame, dataset: Mapping[str, Any]) -> np.ndarray:
    """Look up the codes that products came with, by which they are split.

    Args:
        table: Columns id and prdtypecode, n products in any order.
        dataset: The content of data/dataset.json.

    Returns:
        int64 (n,), in the order of the rows.
    """
    codes = {int(id_): code for id_, code in dataset.get(RELABELLED, {}).items()}
    return table["id"].map(codes).fillna(table["prdtypecode"]).to_numpy(np.int64)


def describe(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the data in reports: the number of relabelled products in place of their codes."""
    return {name: len(value) if name == RELABELLED else value for name, value in dataset.items()}


def record(path: str | Path, id_: int, given: int, corrected: int) -> None:
    """Add a correction to a file that several processes write to.

    It replaces an earlier correction from the same code, and what followed that one; `corrected`
    equal to `given` only removes them.

    Args:
        path: The file; created if it is missing.
        id_: The product's id.
        given: Its present code.
        corrected: Its corrected code.

    Raises:
        ValueError: If the file is not one of corrections, or has more than what `record` keeps:
            other columns, or rows that are not reviewed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        rows = read(path)
        if path.exists():
            header, *lines = storage.read_text(path).removeprefix("\ufeff").split()
            if header not in (",".join(COLUMNS), ";".join(COLUMNS)) or len(lines) != len(rows):
                remedy = f"expected only reviewed rows with {','.join(COLUMNS)}: rename the file"
                raise ValueError(f"{path} has other columns, or rows without correction; {remedy}")
        own = rows["id"] == id_
        rows = rows[~(own & (own & (rows["given"] == given)).cummax())]
        if corrected != given:
            row = pd.DataFrame([(id_, given, corrected)], columns=list(COLUMNS))
            rows = pd.concat([rows, row])
        storage.write_csv(path, rows)


def read(path: str | Path) -> pd.DataFrame:
    """Read a file of corrections: int64 `COLUMNS`; no rows if there is no file.

    Raises:
        ValueError: If the file has a fault; the message names it.
    """
    if not Path(path).exists():
        return _empty()
    rows, problems = parse(storage.read_bytes(path), Path(path).name)
    if problems:
        raise ValueError(f"{path}: {problems[0]}")
    return rows


def _chain(pairs: Sequence[tuple[int, int]], *, one_file: bool) -> list[int] | None:
    """Order the codes of a product, from the first to the last; None if its pairs conflict."""
    following = dict(pairs)
    if len(following) < len(pairs):
        return None
    later = {right for given, right in pairs if right != given}
    starts = [given for given in following if given not in later]
    if not starts:  # corrected back to the first code: only the order of rows tells the last one
        in_order = all(before[1] == pair[0] for before, pair in itertools.pairwise(pairs))
        return [*following, pairs[-1][1]] if one_file and in_order else None
    chain = starts[:1]
    for _ in pairs:
        chain.append(following.get(chain[-1], chain[-1]))
    return chain if following.keys() <= set(chain) else None


def _empty() -> pd.DataFrame:
    return pd.DataFrame(columns=list(COLUMNS), dtype="int64")
