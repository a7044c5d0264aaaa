"""Read the CSV tables below `reports/`."""

from pathlib import Path

import pandas as pd

from rakuten import storage

TEXT_COLUMNS = ("minus", "group")
"""Columns in which an empty field is an empty string."""


def read_table(path: str | Path) -> pd.DataFrame:
    """Read one table; an empty field is NaN, or "" in `TEXT_COLUMNS`, and "none" is a word."""
    table = storage.read_csv(path, keep_default_na=False, na_values=[""])
    return table.fillna({name: "" for name in TEXT_COLUMNS if name in table})


def read_tables(folder: str | Path) -> dict[str, pd.DataFrame]:
    """Read all tables of a folder, by file name without its ending."""
    return {path.stem: read_table(path) for path in sorted(Path(folder).glob("*.csv"))}
