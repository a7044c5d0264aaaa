"""Markdown from values: tables and figures as people read them, a dash where there is none."""

from collections.abc import Iterable, Sequence

import numpy as np

NONE = "-"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table.

    Args:
        header: Titles of the columns; one that begins with ">" is aligned to the right.
        rows: Cells of each row, as many as titles.

    Returns:
        Markdown lines, ended by a line end; "" without rows.
    """
    lines = [f"| {' | '.join(map(_escape, cells))} |" for cells in rows]
    if not lines:
        return ""
    titles = " | ".join(title.removeprefix(">") for title in header)
    rules = " | ".join("---:" if title.startswith(">") else "---" for title in header)
    return "\n".join([f"| {titles} |", f"| {rules} |", *lines]) + "\n"


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share: 0.772 becomes `77.2 %`."""
    return NONE if _missing(share) else f"{100 * share:.{digits}f} %"


def points(difference: float | None) -> str:
    """Write a difference of shares in points: 0.021 becomes `+2.1`."""
    return NONE if _missing(difference) else f"{round(100 * difference, 1) + 0.0:+.1f}"


def decimal(value: float | None, digits: int = 3) -> str:
    """Write a number with so many decimals."""
    return NONE if _missing(value) else f"{value:,.{digits}f}"


def count(value: float | None) -> str:
    """Write a whole number: 84916 becomes `84,916`."""
    return NONE if _missing(value) else f"{int(value):,}"


def number_of(value: int, singular: str, plural: str = "") -> str:
    """Write a number of things: `1 product`, `2 products`, `no product`."""
    if not value:
        return f"no {singular}"
    return f"{value:,} {singular if value == 1 else plural or f'{singular}s'}"


def listing(names: Iterable[str]) -> str:
    """Join names: `a`, `a and b`, `a, b and c`."""
    *first, last = list(names)
    return f"{', '.join(first)} and {last}" if first else last


def _escape(cell: str) -> str:
    return str(cell).replace("|", "\\|").replace("\n", " ")


def _missing(value: float | None) -> bool:
    return value is None or bool(np.isnan(value))
