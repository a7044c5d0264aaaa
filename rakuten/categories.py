"""The 27 product categories: codes, real sizes, confusable groups, class indices.

Source: the Rakuten France Multimodal Product Data Classification challenge (`prdtypecode`). The
names of the categories are in `rakuten.category_names`.
"""

from collections.abc import Iterable

import numpy as np

SIZES: dict[int, int] = {
    10: 3116,
    40: 2508,
    50: 1681,
    60: 832,
    1140: 2671,
    1160: 3953,
    1180: 764,
    1280: 4870,
    1281: 2070,
    1300: 5045,
    1301: 807,
    1302: 2491,
    1320: 3241,
    1560: 5073,
    1920: 4303,
    1940: 803,
    2060: 4993,
    2220: 824,
    2280: 4760,
    2403: 4774,
    2462: 1421,
    2522: 4989,
    2582: 2589,
    2583: 10209,
    2585: 2496,
    2705: 2761,
    2905: 872,
}
"""Number of products of each `prdtypecode` in the challenge's 84,916 training rows, by code."""

GROUPS: dict[str, tuple[int, ...]] = {
    "books": (10, 2280, 2403, 2705),
    "toys": (1280, 1281, 1300, 1302),
    "games": (40, 50, 60, 2462),
}
"""Categories that models confuse. The original study names books and toys; games is ours."""

CODES: tuple[int, ...] = tuple(SIZES)
"""The 27 codes in ascending order: the position of a code is its class index, its `label`."""

NUM_CATEGORIES = len(CODES)


def to_labels(codes: Iterable[int]) -> np.ndarray:
    """Translate `prdtypecode` values into class indices.

    Args:
        codes: n category codes, in any order.

    Returns:
        int64 (n,), each in 0..26, in the order of `codes`.

    Raises:
        ValueError: If a code is not one of the 27; the message lists the unknown ones.
    """
    codes = np.asarray(list(codes), dtype=np.int64)
    table = np.asarray(CODES, dtype=np.int64)
    labels = np.searchsorted(table, codes).clip(max=NUM_CATEGORIES - 1)
    unknown = np.unique(codes[table[labels] != codes])
    if unknown.size:
        raise ValueError(
            f"unknown prdtypecode {', '.join(map(str, unknown[:10]))}: expected one of the "
            f"{NUM_CATEGORIES} codes {CODES[0]}..{CODES[-1]} of rakuten.categories.CODES"
        )
    return labels.astype(np.int64)


def to_codes(labels: Iterable[int]) -> np.ndarray:
    """Translate class indices back into `prdtypecode` values.

    Args:
        labels: n class indices in 0..26, in any order.

    Returns:
        int64 (n,), the codes in the order of `labels`.

    Raises:
        ValueError: If a label lies outside 0..26.
    """
    labels = np.asarray(list(labels), dtype=np.int64)
    if labels.size and (labels.min() < 0 or labels.max() >= NUM_CATEGORIES):
        raise ValueError(
            f"class indices {labels.min()}..{labels.max()} out of range: expected 0..26, the "
            "positions in rakuten.categories.CODES"
        )
    return np.asarray(CODES, dtype=np.int64)[labels]
