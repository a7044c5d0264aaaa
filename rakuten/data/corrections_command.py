"""The command `corrections`: suspect labels for a reviewer, and a check of the corrected labels."""

import argparse
import sys
from pathlib import Path

import pandas as pd

from rakuten import console, storage
from rakuten.category_names import category
from rakuten.data import corrections, products

SUSPECTS = "reports/audit/tables/suspect_labels.csv"
"""Written by the stage `audit`."""

FOLDER = "corrections"
"""The folder, a drop for `import --drops`, in which corrections are collected."""

COLUMNS = (
    *("id", "productid", "imageid", "designation", "given", "given_name", "suggested"),
    *("suggested_name", "probability", "corrected"),
)
"""Columns of the file for the reviewer; `corrected` is empty."""


def main(arguments: list[str]) -> int:
    """Run the command `corrections`.

    Args:
        arguments: The arguments after the command's name.

    Returns:
        The exit status: 0 if the file is written or all files are valid, else 1.
    """
    parser = argparse.ArgumentParser(
        prog="python -m rakuten corrections",
        description="List suspect labels for a reviewer, who fills the column 'corrected', and "
        "check the files before 'python -m rakuten import --drops data corrections'.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    export = actions.add_parser(
        "export",
        help="write the suspect labels of the audit as CSV",
        description="Write the suspect labels of the audit as CSV. A reviewer fills the column "
        "'corrected' with codes.",
    )
    export.add_argument(
        "file", nargs="?", default=f"{FOLDER}/corrections_suspects.csv", metavar="FILE",
        help="named corrections*.csv, so that the import finds it (%(default)s)",
    )  # fmt: skip
    check = actions.add_parser(
        "check",
        help="check files of corrections against data/",
        description="Check files of corrections against data/, as the import does. Nothing is "
        "changed.",
    )
    check.add_argument("files", nargs="+", metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        if options.action == "export":
            message = _export(Path(options.file))
        else:
            message = _check(options.files)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    console.show(f"{message}\n")
    return 0


def review(suspects: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Prepare suspect labels for a reviewer.

    Args:
        suspects: The table of `audit.suspect_labels`.
        table: The product table.

    Returns:
        `COLUMNS`, in the order of the suspects; `probability` is that of the suggested code.

    Raises:
        ValueError: If a suspect is not a product, or has another code.
    """
    known = suspects.merge(table, on="id", how="left")
    other = known[known["prdtypecode"] != known["given"]]
    if len(other):
        raise ValueError(
            f"{SUSPECTS} was made from other data: {len(other)} of {len(known)} suspects are not "
            f"products, or have another label, such as id {other['id'].iloc[0]}; run 'make repro'"
        )
    names = {
        f"{column}_name": [category(code, "fr") for code in suspects[column]]
        for column in ("given", "suggested")
    }
    known = known.assign(**names, probability=known["probability_suggested"], corrected="")
    return known[list(COLUMNS)]


def _export(path: Path) -> str:
    """Write the suspect labels, but never over a reviewer's work."""
    if path.exists():
        raise FileExistsError(f"{path} exists: name another file, or move it elsewhere")
    rows = review(storage.read_csv(SUSPECTS), _products())
    text = rows.to_csv(index=False, lineterminator="\r\n")
    storage.write_bytes(path, text.encode("utf-8-sig"))  # as spreadsheets expect it
    return f"{len(rows)} suspect labels written to {path}: fill the column 'corrected'"


def _check(files: list[str]) -> str:
    """Check files as the import does; count what they correct."""
    tables, problems = [], []
    for file in files:
        rows, faults = corrections.parse(storage.read_bytes(file), file)
        tables.append(rows)
        problems += faults
    codes = _products()[["id", "prdtypecode"]]
    changed, faults = corrections.apply(codes, tables)
    if problems + faults:
        raise products.InvalidProductsError(problems + faults)
    count = len(corrections.relabelled([], codes, changed))
    reviewed = pd.concat(tables)["id"].nunique()
    return f"reviewed products: {reviewed}, labels that would change: {count}"


def _products() -> pd.DataFrame:
    """Read the product table from data/."""
    x, y = (storage.read_csv(f"data/{part}_train.csv", **products.CSV_FORMAT) for part in "XY")
    return products.join(x, y)
