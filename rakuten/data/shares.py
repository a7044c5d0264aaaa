"""Choose a part of a catalogue that `splits.split` assigns as it assigns the whole catalogue."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Share:
    """The part of a catalogue to import.

    Attributes:
        size: Share of the products, above 0, at most 1.
        choose: Chooses them: the product table and the digests of the images ("" where there is
            none) in, bool (n,) out.
    """

    size: float
    choose: Callable[[pd.DataFrame, list[str]], np.ndarray]


def least_per_category(parts: tuple[float, ...]) -> int:
    """Count the products that a category needs for each part that is not 0 to receive one.

    Args:
        parts: Shares of train, validation and test.

    Returns:
        The number of products.
    """
    return math.ceil(1 / min(part for part in parts if part > 0) - 1e-9)


def choose(
    ids: np.ndarray,
    codes: np.ndarray,
    groups: np.ndarray,
    *,
    share: float,
    parts: tuple[float, ...],
) -> np.ndarray:
    """Choose the oldest products of each category, and all their duplicates.

    `splits.split` assigns a product by the older products of its category, and a group of
    duplicates by its oldest product. So the chosen products get the same parts alone as among all
    products if each category is chosen up to some id, far enough that older duplicates of its
    products in other categories are within their category's range as well. Younger duplicates
    follow their group. The challenge's ids are in random order, so that the oldest are a fair part.

    Args:
        ids: int64 (n,), unique, in any order.
        codes: int64 (n,), the category to stratify by.
        groups: int64 (n,), the smallest id of each product's group of duplicates.
        share: Share of each category's products, above 0, at most 1. Groups of duplicates, above
            all those of several categories, can make it larger.
        parts: Shares of train, validation and test. A category keeps `least_per_category(parts)`
            products, or all that it has.

    Returns:
        bool (n,), in the order of the ids.
    """
    categories, category = np.unique(codes, return_inverse=True)
    fewest = least_per_category(parts)
    first = pd.Series(ids).groupby([category, groups]).transform("min").to_numpy()
    last = np.empty(len(categories), np.int64)
    for row in range(len(categories)):
        oldest = np.sort(first[category == row])
        last[row] = oldest[min(max(round(share * len(oldest)), fewest), len(oldest)) - 1]
    while True:
        inside = ids <= last[category]
        reached = pd.Series(np.where(inside, ids, -1)).groupby(groups).transform("max").to_numpy()
        older = (ids < reached) & ~inside  # of a group with a chosen product in another category
        if not older.any():
            return reached >= 0
        np.maximum.at(last, category[older], ids[older])
