"""Stratified train, validation and test parts and folds that keep duplicates together.

Sellers list the same product many times. If duplicates fall into both train and test, a net is
tested on rows that it has memorized, and its test accuracy is too high.
"""

import functools
import math
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from rakuten.data.examples import PARTS

MIN_GROUPS = 3
"""A category with fewer groups goes entirely to train: it cannot be in every part."""


def split(
    products: pd.DataFrame,
    digests: Sequence[str],
    *,
    test_share: float,
    validation_share: float,
    keep_duplicates_together: bool,
    seed: int,
) -> tuple[pd.DataFrame, dict]:
    """Split products into parts and report the sizes and the duplicates.

    Args:
        products: Columns id, tokens, prdtypecode; n rows, unique ids, in any order.
        digests: Digests of the n images' bytes, "" where there is none.
        test_share: As for `assign_parts`.
        validation_share: As for `assign_parts`.
        keep_duplicates_together: If False, each product is assigned independently.
        seed: As for `assign_parts`.

    Returns:
        The table id, part, group (n rows, in the order of `products`); and the report: products per
        part, each category's shares, duplicates, and how many groups of duplicates a split without
        groups, with the same seed, spreads over several parts.

    Raises:
        ValueError: As for `assign_parts`.
    """
    ids, codes = products["id"].to_numpy(), products["prdtypecode"].to_numpy()
    texts = products["tokens"].fillna("").tolist()
    groups = duplicate_groups(ids, texts, digests)
    assign = functools.partial(
        assign_parts, test_share=test_share, validation_share=validation_share, seed=seed
    )
    by_row = assign(ids, codes, ids)
    parts = assign(ids, codes, groups) if keep_duplicates_together else by_row
    shared = {"text": _count_sharing(texts), "image": _count_sharing(digests)}
    report = {
        "products": len(ids),
        "parts": {part: int((parts == part).sum()) for part in PARTS},
        "kept_together": keep_duplicates_together,
        "products_sharing": shared,
        "duplicates": _count_groups(codes, groups),
        "split_apart": _count_split_apart(groups, parts),
        "split_apart_row_by_row": _count_split_apart(groups, by_row),
        "categories": _shares(codes, parts),
    }
    return pd.DataFrame({"id": ids, "part": parts, "group": groups}), report


def duplicate_groups(ids: np.ndarray, texts: Sequence[str], digests: Sequence[str]) -> np.ndarray:
    """Group products that share a text or an image, directly or through other products.

    Args:
        ids: int64 (n,), unique, in any order.
        texts: The n cleaned texts that the text net reads, so that products which differ only in
            markup, case, word endings or stop words count as duplicates. "" where there is no
            text; empty texts do not match each other.
        digests: Digests of the n images' bytes, "" where there is none.

    Returns:
        int64 (n,): the smallest id of each product's group, its own id without a duplicate.
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
    """Assign products to parts, stratified by category.

    If every group is one product, test has ceil(test_share * n) rows and validation
    ceil(validation_share * n), as in scikit-learn's `train_test_split`, and each category's row
    count in a part differs from its share by less than one. Otherwise whole groups are assigned in
    random order while they fit; a category then falls short of its share by less than the smallest
    group that did not fit. A group that spans categories counts as its most common one. Categories
    with fewer than `MIN_GROUPS` groups go to train.

    Args:
        ids: int64 (n,), unique, in any order; a product's part does not depend on its position.
        codes: int64 (n,), the category to stratify by.
        groups: int64 (n,), equal for products that must share a part.
        test_share: Share of all products, 0 to 1.
        validation_share: Share of all products, 0 to 1.
        seed: Seed of the order of the groups.

    Returns:
        str (n,), each one of `PARTS`, in the order of `ids`.

    Raises:
        ValueError: If the shares are negative or leave nothing for train.
    """
    if min(test_share, validation_share) < 0 or test_share + validation_share >= 1:
        raise ValueError(
            f"test_share is {test_share} and validation_share {validation_share}: expected no "
            "negative share and a sum below 1, so that train rows are left"
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
    """Assign rows to folds of similar size and category mix; duplicates share a fold.

    scikit-learn's `StratifiedGroupKFold` on rows in a fixed order, so that a row's fold does not
    depend on its position.

    Args:
        labels: int64 (n,), class indices to stratify by.
        groups: int64 (n,), equal for rows that must share a fold.
        count: Number of folds, at least 2. Fewer are made if there are fewer groups or if no
            category has as many rows.
        seed: Seed of the shuffle.

    Returns:
        int64 (n,) in 0..count-1, in the order of `labels`. All 0 with fewer than two groups or
        without a category of at least two rows.

    Raises:
        ValueError: If count is below 2.
    """
    if count < 2:
        raise ValueError(f"folds is {count}: expected at least 2, one to leave out of each fit")
    assigned = np.zeros(len(labels), np.int64)
    largest = max(np.unique(labels, return_counts=True)[1], default=0)
    count = min(count, len(np.unique(groups)), int(largest))
    if count < 2:
        return assigned
    order = np.lexsort([labels, groups])
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A category with fewer rows than folds is absent from some of them: no cause for concern.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        parts = splitter.split(order, labels[order], groups[order])
        for fold, (_, held_out) in enumerate(parts):
            assigned[order[held_out]] = fold
    return assigned


def _units(codes: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """List the groups in ascending order with their size and most common category."""
    pairs = pd.DataFrame({"group": groups, "code": codes})
    counts = pairs.groupby(["group", "code"]).size().reset_index(name="size")
    common = counts.sort_values(["group", "size", "code"], ascending=[True, False, True])
    units = common.drop_duplicates("group").set_index("group")
    return pd.DataFrame({"size": pairs.groupby("group").size(), "code": units["code"]})


def _quotas(sizes: pd.Series, share: float, limits: pd.Series) -> pd.Series:
    """Distribute ceil(share * sum of sizes) over categories by largest remainder, up to limits."""
    tolerance = 1e-9  # 0.1 * 30 is slightly more than 3
    exact = sizes * share
    quotas = np.floor(exact + tolerance).astype(np.int64).clip(upper=limits)
    total = math.ceil(sizes.sum() * share - tolerance)
    remainders = (exact - quotas)[quotas < limits].sort_values(ascending=False, kind="stable")
    quotas[remainders.index[: max(total - int(quotas.sum()), 0)]] += 1
    return quotas


def _count_sharing(values: Sequence[str]) -> int:
    """Count the products whose text, or image, another product shares."""
    known = pd.Series(np.asarray(values, dtype=object))
    return int(known[known != ""].duplicated(keep=False).sum())


def _count_groups(codes: np.ndarray, groups: np.ndarray) -> dict[str, int]:
    """Count the groups of at least two products."""
    sizes = pd.Series(codes).groupby(groups).agg(["size", "nunique"])
    duplicates = sizes[sizes["size"] > 1]
    return {
        "groups": len(duplicates),
        "products": int(duplicates["size"].sum()),
        "largest_group": int(duplicates["size"].max()) if len(duplicates) else 0,
        "groups_of_several_categories": int((duplicates["nunique"] > 1).sum()),
    }


def _count_split_apart(groups: np.ndarray, parts: np.ndarray) -> dict[str, int]:
    """Count the groups in several parts and the test products with a duplicate in train."""
    crossing = pd.Series(parts).groupby(groups).nunique() > 1
    known = np.isin(groups, groups[parts == "train"])
    return {
        "groups": int(crossing.sum()),
        "test_products_with_duplicate_in_train": int((known & (parts == "test")).sum()),
    }


def _shares(codes: np.ndarray, parts: np.ndarray) -> dict[str, dict]:
    """List each category's number of products and the share of them in each part."""
    table = pd.crosstab(codes, parts).reindex(columns=list(PARTS), fill_value=0)
    shares = table.div(table.sum(axis=1), axis=0).round(4).assign(products=table.sum(axis=1))
    records = shares[["products", *PARTS]].astype({"products": object}).to_dict("index")
    return {str(code): values for code, values in records.items()}
