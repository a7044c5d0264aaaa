"""Train, validation and test parts: stratified, and never a product's twin on the other side.

Sellers list one product many times. Where twins fall on both sides of a split, a net is tested on
what it learned by heart, and the test figure flatters it.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from rakuten.data.examples import PARTS

MIN_GROUPS = 3
"""A category with fewer groups cannot be in every part: all of it goes to train."""


def split(
    products: pd.DataFrame,
    digests: Sequence[str],
    *,
    test_share: float,
    validation_share: float,
    keep_duplicates_together: bool,
    seed: int,
) -> tuple[pd.DataFrame, dict]:
    """Divide products into parts and report what was divided.

    Args:
        products: Columns id, tokens, prdtypecode; n rows, unique ids, in any order.
        digests: The n digests of their pictures' bytes, "" where there is none.
        test_share: As for `assign_parts`.
        validation_share: As for `assign_parts`.
        keep_duplicates_together: False divides product by product, duplicates or not.
        seed: As for `assign_parts`.

    Returns:
        The table id, part, group (n rows, in the order of `products`); and the report: products per
        part, each category's shares, duplicates, and how many of them a division product by
        product with the same seed tears apart.

    Raises:
        ValueError: As for `assign_parts`.
    """
    ids, codes = products["id"].to_numpy(), products["prdtypecode"].to_numpy()
    texts = products["tokens"].fillna("").to_numpy(object)
    groups = duplicate_groups(ids, texts, digests)
    options = {"test_share": test_share, "validation_share": validation_share, "seed": seed}
    by_row = assign_parts(ids, codes, ids, **options)
    parts = assign_parts(ids, codes, groups, **options) if keep_duplicates_together else by_row
    shared = {"text": _count_sharing(texts), "image": _count_sharing(digests)}
    report = {
        "products": len(ids),
        "parts": {part: int((parts == part).sum()) for part in PARTS},
        "kept_together": keep_duplicates_together,
        "products_sharing": shared,
        "duplicates": _count_groups(codes, groups),
        "torn_apart": _count_torn(groups, parts),
        "torn_apart_row_by_row": _count_torn(groups, by_row),
        "categories": _shares(codes, parts),
    }
    return pd.DataFrame({"id": ids, "part": parts, "group": groups}), report


def duplicate_groups(ids: np.ndarray, texts: Sequence[str], digests: Sequence[str]) -> np.ndarray:
    """Find the products that share their text or their picture, directly or through others.

    Args:
        ids: int64 (n,), unique, in any order.
        texts: The n texts as the text net sees them, that is cleaned: products that differ only in
            markup, case, word endings or stop words are twins to it, whatever their raw titles.
            "" where there is no text; that is no resemblance.
        digests: The n digests of the pictures' bytes, "" where there is none.

    Returns:
        int64 (n,): the smallest id of each product's group; its own if it has no twin.
    """
    count = len(ids)
    nodes, keys, offset = [], [], count
    for values in (texts, digests):
        key, distinct = pd.factorize(np.asarray(values, dtype=object))
        known = np.flatnonzero(distinct[key] != "")
        nodes.append(known)
        keys.append(offset + key[known])
        offset += len(distinct)
    edges = np.concatenate(nodes), np.concatenate(keys)
    graph = sparse.coo_array((np.ones(len(edges[0]), np.int8), edges), shape=(offset, offset))
    component = connected_components(graph, directed=False)[1][:count]
    return pd.Series(ids).groupby(component).transform("min").to_numpy(np.int64)


def assign_parts(
    ids: np.ndarray,
    codes: np.ndarray,
    groups: np.ndarray,
    *,
    test_share: float,
    validation_share: float,
    seed: int,
) -> np.ndarray:
    """Divide products into parts that resemble each other in their categories.

    Where every group is one product, test has ceil(test_share * n) rows and validation
    ceil(validation_share * n), as in scikit-learn's `train_test_split`, and each category's rows in
    a part differ from its share by less than one. Otherwise groups are taken whole, in random
    order, while they fit: a category then falls short of its share by less than its smallest group
    that was left out. A group that spans categories counts as the commonest of them. Categories
    with fewer than `MIN_GROUPS` groups go to train.

    Args:
        ids: int64 (n,), unique, in any order: a product's part does not depend on its row.
        codes: int64 (n,), the category to stratify by.
        groups: int64 (n,), equal for products that must stay together.
        test_share: Share of all products, 0 to 1.
        validation_share: Share of all products, 0 to 1.
        seed: Seed of the order in which groups are drawn.

    Returns:
        str (n,), each one of `PARTS`, in the order of `ids`.

    Raises:
        ValueError: If the shares are negative or leave nothing for train.
    """
    if min(test_share, validation_share) < 0 or test_share + validation_share >= 1:
        raise ValueError(
            f"test_share {test_share} and validation_share {validation_share} must not be negative "
            "and must sum to less than 1, so that products are left to train on"
        )
    units = _units(codes, groups)
    eligible = units[units.groupby("code")["code"].transform("size") >= MIN_GROUPS]
    sizes = eligible.groupby("code")["size"].sum()
    test = _quotas(sizes, test_share, sizes - 1)
    validation = _quotas(sizes, validation_share, sizes - 1 - test)
    drawn = np.random.default_rng(seed).permutation(len(eligible))
    left = {"test": test.to_dict(), "validation": validation.to_dict()}
    part_of = dict.fromkeys(units.index, "train")
    for group, size, code in eligible.iloc[drawn].itertuples():
        for part, quotas in left.items():
            if size <= quotas[code]:
                quotas[code] -= size
                part_of[group] = part
                break
    return np.array([part_of[group] for group in groups], dtype=str)


def folds(labels: np.ndarray, groups: np.ndarray, *, count: int, seed: int) -> np.ndarray:
    """Deal rows into folds of about equal size and mix of categories, twins into one fold.

    Args:
        labels: int64 (n,), what is spread evenly.
        groups: int64 (n,), equal for rows that must stay together.
        count: Number of folds, at least 2.
        seed: Seed of the deal.

    Returns:
        int64 (n,) in 0..count-1. With fewer than two groups all are in fold 0.

    Raises:
        ValueError: If count is below 2.
    """
    if count < 2:
        raise ValueError(f"folds is {count}: at least 2 are needed to leave one out")
    found, first, members = np.unique(groups, return_index=True, return_inverse=True)
    draw = np.random.default_rng(seed).permutation(len(found))
    order = np.lexsort([draw, labels[first]])  # by category, in random order within it
    dealt = np.empty(len(found), np.int64)
    dealt[order] = np.arange(len(found)) % count
    return dealt[members]


def _units(codes: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """List the groups in ascending order with their size and their commonest category."""
    pairs = pd.DataFrame({"group": groups, "code": codes})
    counts = pairs.groupby(["group", "code"]).size().reset_index(name="size")
    common = counts.sort_values(["group", "size", "code"], ascending=[True, False, True])
    units = common.drop_duplicates("group").set_index("group")
    return pd.DataFrame({"size": pairs.groupby("group").size(), "code": units["code"]})


def _quotas(sizes: pd.Series, share: float, limits: pd.Series) -> pd.Series:
    """Divide ceil(share * sum of sizes) among the categories by largest remainder, up to limits."""
    noise = 1e-9  # 0.1 * 30 is a little more than 3
    exact = sizes * share
    quotas = np.floor(exact + noise).astype(np.int64).clip(upper=limits)
    total = math.ceil(sizes.sum() * share - noise)
    room = (exact - quotas)[quotas < limits].sort_values(ascending=False, kind="stable")
    quotas[room.index[: max(total - int(quotas.sum()), 0)]] += 1
    return quotas


def _count_sharing(values: Sequence[str]) -> int:
    """Count the products that have the same text, or the same picture, as another one."""
    known = pd.Series(np.asarray(values, dtype=object))
    return int(known[known != ""].duplicated(keep=False).sum())


def _count_groups(codes: np.ndarray, groups: np.ndarray) -> dict[str, int]:
    """Count the groups of two and more products."""
    sizes = pd.Series(codes).groupby(groups).agg(["size", "nunique"])
    twins = sizes[sizes["size"] > 1]
    return {
        "groups": len(twins),
        "products": int(twins["size"].sum()),
        "largest_group": int(twins["size"].max()) if len(twins) else 0,
        "groups_of_several_categories": int((twins["nunique"] > 1).sum()),
    }


def _count_torn(groups: np.ndarray, parts: np.ndarray) -> dict[str, int]:
    """Count the groups in more than one part and the products tested on a twin of a train row."""
    crossing = pd.Series(parts).groupby(groups).nunique() > 1
    known = np.isin(groups, groups[parts == "train"])
    return {
        "groups": int(crossing.sum()),
        "test_products_with_twin_in_train": int((known & (parts == "test")).sum()),
    }


def _shares(codes: np.ndarray, parts: np.ndarray) -> dict[str, dict[str, float]]:
    """Tell for each category its number of products and the share of them in each part."""
    table = pd.crosstab(codes, parts).reindex(columns=list(PARTS), fill_value=0)
    return {
        str(code): {"products": int(row.sum())} | (row / row.sum()).round(4).to_dict()
        for code, row in table.iterrows()
    }
