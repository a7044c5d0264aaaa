"""Stratified train, validation and test parts and folds that keep duplicates together.

Sellers list the same product many times. If duplicates fall into both train and test, a net is
tested on rows that it has memorized, and its test accuracy is too high.
"""

import bisect
import functools
import hashlib
import itertools
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from rakuten.data.examples import PARTS

TOLERANCE = 1e-9
"""0.1 * 30 is slightly more than 3."""


def split(
    products: pd.DataFrame,
    digests: Sequence[str],
    first_codes: np.ndarray | None = None,
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
        first_codes: int64 (n,), the codes before corrections, to stratify by: a corrected label
            moves no product to another part. Those of `products` if None.
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
    first_codes = codes if first_codes is None else first_codes
    by_row = assign(ids, first_codes, ids)
    parts = by_row
    if keep_duplicates_together:
        oldest = _first_groups(ids, texts, digests)
        first = pd.Series(assign(ids, first_codes, oldest), index=ids)
        parts = first.loc[groups].to_numpy(str)  # the part of the group's oldest product
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
    """Assign products to parts, stratified by category, so that later products move no earlier one.

    Products are visited in ascending id. A group's first product determines its part, the other
    products of the group follow. The first product is assigned at random (by a hash of seed and
    id), with probabilities proportional to each part's deficit: its share of the category so far,
    minus what it has. A part whose deficit is a whole product takes precedence, and train if it has
    no product of the category yet. So a product's part depends on products with smaller ids only.

    If every group is one product, each category's row count in each part differs from its share by
    less than one, whatever the number of products. (A part receives a product only if it has a
    deficit, so it exceeds its share by less than one; the three deficits sum to one product, so at
    most one reaches a whole product.) Groups of several products make the counts differ by up to
    their size; the groups after them make up for it.

    Args:
        ids: int64 (n,), unique, in any order; a product's part does not depend on its position.
        codes: int64 (n,), the category to stratify by.
        groups: int64 (n,), equal for products that must share a part.
        test_share: Share of all products, 0 to 1.
        validation_share: Share of all products, 0 to 1.
        seed: Seed of the hash.

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
    shares = (1 - test_share - validation_share, validation_share, test_share)  # as in PARTS
    order = np.argsort(ids)
    counts = {code: [0] * len(PARTS) for code in np.unique(codes).tolist()}
    part_of: dict[int, int] = {}
    arriving = (values[order].tolist() for values in (ids, codes, groups))
    for id_, code, group in zip(*arriving, strict=True):
        if group not in part_of:
            part_of[group] = _choose_part(counts[code], shares, _uniform(seed, id_))
        counts[code][part_of[group]] += 1
    return np.array([PARTS[part_of[group]] for group in groups.tolist()], dtype=str)


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
        int64 (n,), 0, 1 and so on without gaps, in the order of `labels`. All 0 with fewer than two
        groups or without a category of at least two rows.

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
    return np.unique(assigned, return_inverse=True)[1]  # few large groups can leave a fold empty


def _first_groups(ids: np.ndarray, texts: Sequence[str], digests: Sequence[str]) -> np.ndarray:
    """Group each product by earlier products only: its oldest duplicate, and in turn that one's."""
    oldest = np.array(ids, np.int64)
    for values in (texts, digests):
        keys = np.asarray(values, dtype=object)
        known = keys != ""
        firsts = pd.Series(ids[known]).groupby(keys[known]).transform("min").to_numpy()
        oldest[known] = np.minimum(oldest[known], firsts)
    order = np.argsort(ids)
    rows = order[np.searchsorted(ids, oldest, sorter=order)]  # of the oldest duplicates
    while (oldest[rows] != oldest).any():
        oldest = oldest[rows]
    return oldest


def _choose_part(counts: Sequence[int], shares: Sequence[float], uniform: float) -> int:
    """Choose a part of `PARTS` for the next product of a category, given the parts' row counts."""
    if not counts[0]:
        return 0
    size = sum(counts) + 1
    deficits = [share * size - count for share, count in zip(shares, counts, strict=True)]
    if max(deficits) >= 1 - TOLERANCE:
        return deficits.index(max(deficits))
    cumulative = list(itertools.accumulate(max(deficit, 0.0) for deficit in deficits))
    return bisect.bisect_right(cumulative, uniform * cumulative[-1])


def _uniform(seed: int, id_: int) -> float:
    """Hash seed and id to a number in [0, 1)."""
    digest = hashlib.blake2b(f"{seed} {id_}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


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
