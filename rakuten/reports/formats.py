"""Format figures for readers, with a dash where there is none."""

from collections.abc import Iterable

import numpy as np

NONE = "-"


def percent(share: float | None, digits: int = 1) -> str:
    """Format a share: 0.772 becomes `77.2 %`."""
    return NONE if share is None or np.isnan(share) else f"{100 * share:.{digits}f} %"


def points(difference: float | None) -> str:
    """Format a difference of shares in percentage points: 0.021 becomes `+2.1`."""
    if difference is None or np.isnan(difference):
        return NONE
    return f"{round(100 * difference, 1) + 0.0:+.1f}"  # + 0.0 turns -0.0 into 0.0


def decimal(value: float | None, digits: int = 3) -> str:
    """Format a number with a fixed number of decimals."""
    return NONE if value is None or np.isnan(value) else f"{value:,.{digits}f}"


def count(value: float | None) -> str:
    """Format an integer: 84916 becomes `84,916`."""
    return NONE if value is None or np.isnan(value) else f"{int(value):,}"


def number_of(value: int, singular: str, plural: str = "") -> str:
    """Format a number of things: `1 product`, `2 products`, `no products`."""
    plural = plural or f"{singular}s"
    return f"{value:,} {singular if value == 1 else plural}" if value else f"no {plural}"


def listing(names: Iterable[str]) -> str:
    """Join names: `a`, `a and b`, `a, b and c`; "" for none."""
    *first, last = list(names) or [""]
    return f"{', '.join(first)} and {last}" if first else last
