"""Audit the data behind the metrics: leakage by near-duplicates, and labels that look wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rakuten.categories import CODES, NUM_CATEGORIES, to_codes
from rakuten.data.examples import PARTS, check_ids
from rakuten.evaluation.near_duplicates import near_duplicate_images, near_duplicate_texts
from rakuten.storage import DIGITS

KINDS = ("text", "image", "either")
"""The ways in which a product may be a near-duplicate of a train product."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section `audit` of params.yaml.

    Attributes:
        text_similarity: Minimum cosine of near-duplicate texts.
        hash_distance: Maximum distance of the hashes of near-duplicate images, in bits.
        min_structure: Minimum number of ones and of zeros in a hash.
    """

    text_similarity: float
    hash_distance: int
    min_structure: int


def describe(products: pd.DataFrame, parts: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Collect the facts about each product that an audit needs.

    Args:
        products: Columns id and label, n products.
        parts: Columns id and part, in the order of `products`.
        facts: Columns id and has_image, in the order of `products`.

    Returns:
        id, label, part, has_image; n rows in the same order.

    Raises:
        ValueError: If the tables hold other products or another order.
    """
    ids = products["id"].to_numpy()
    check_ids(ids, parts["id"].to_numpy(), "parts")
    check_ids(ids, facts["id"].to_numpy(), "facts of the images")
    columns = {"part": parts["part"].to_numpy(), "has_image": facts["has_image"].to_numpy()}
    return products[["id", "label"]].assign(**columns)


def leakage(
    rows: pd.DataFrame,
    texts: Sequence[str],
    hashes: np.ndarray,
    scores: Mapping[str, np.ndarray],
    settings: Settings,
    *,
    threads: int,
) -> tuple[dict[str, pd.DataFrame], dict]:
    """Find near-duplicates by text and by image and measure their effect on test accuracy.

    Args:
        rows: Columns id, label, part and has_image, n products in any order.
        texts: The n plain texts.
        hashes: uint64 (n,) of `image_hash.perceptual_hash`.
        scores: By model float (n, 27), rows of NaN where it cannot score a product.
        settings: See `Settings`.
        threads: Number of threads; does not change the result.

    Returns:
        The tables near_texts, near_images and leakage (of the test part); and the summary: parts,
        see `leakage_summary`, and hashes, the numbers of images and of plain ones.
    """
    ids, labels, present = (rows[name].to_numpy() for name in ("id", "label", "has_image"))
    parts = rows["part"].to_numpy(str)
    near_texts = near_duplicate_texts(
        ids, texts, labels, parts, text_similarity=settings.text_similarity, threads=threads
    )
    near_images, counts = near_duplicate_images(
        ids, hashes, labels, parts, present,
        hash_distance=settings.hash_distance, min_structure=settings.min_structure,
    )  # fmt: skip
    test = parts == "test"
    correct = {model: _correct(values[test], labels[test]) for model, values in scores.items()}
    effect = leakage_table(ids[test], correct, near_texts, near_images)
    tables = {"near_texts": near_texts, "near_images": near_images, "leakage": effect}
    summary = leakage_summary(ids, parts, near_texts, near_images)
    return tables, {"parts": summary, "hashes": counts}


def leakage_summary(
    ids: np.ndarray, parts: np.ndarray, texts: pd.DataFrame, images: pd.DataFrame
) -> dict[str, dict[str, int | float | None]]:
    """Count the products of each part that have a near-duplicate in train.

    Args:
        ids: int64 (n,), unique, in any order.
        parts: str (n,), each one of `PARTS`.
        texts: Table of `near_duplicate_texts`.
        images: Table of `near_duplicate_images`.

    Returns:
        Part -> `products`; for the parts outside train also, for each of `KINDS`, the number of
        products with a near-duplicate, `<kind>_share` of the part's products (None in an empty
        part) and `<kind>_other_label`, those of them whose near-duplicate has another label, by
        text or by image for `either`.
    """
    found = _by_kind(texts, images)
    different = _by_kind(texts[~texts["same_label"]], images[~images["same_label"]])
    summary: dict[str, dict[str, int | float | None]] = {}
    for part in PARTS:
        members = ids[parts == part]
        summary[part] = {"products": len(members)}
        for kind in KINDS if part != "train" else ():
            count = int(np.isin(members, found[kind]).sum())
            share = round(count / len(members), DIGITS) if len(members) else None
            other_label = int(np.isin(members, different[kind]).sum())
            summary[part] |= {
                kind: count,
                f"{kind}_share": share,
                f"{kind}_other_label": other_label,
            }
    return summary


def summary_line(summary: Mapping[str, Mapping[str, int | float | None]]) -> str:
    """Report the share of near-duplicates in one line.

    Args:
        summary: The value of `leakage_summary`.

    Returns:
        For example `4.1 % of 16,984 test products have a near-duplicate in train (text 2.9 %, image
        1.7 %)`.
    """
    test = summary["test"]
    if not test["products"]:
        return "no test products"
    either, text, image = (f"{test[f'{kind}_share']:.1%}" for kind in ("either", "text", "image"))
    line = (
        f"{either} of {test['products']:,} test products have a near-duplicate in train "
        f"(text {text}, image {image})"
    )
    return line.replace("%", " %")


def leakage_table(
    ids: np.ndarray,
    correct: Mapping[str, np.ndarray],
    texts: pd.DataFrame,
    images: pd.DataFrame,
) -> pd.DataFrame:
    """Measure the models on products with and without a near-duplicate in train.

    The difference is an upper bound of the effect of leakage: products listed in many variants may
    also be easier.

    Args:
        ids: int64 (n,), products of one part, e.g. test, in any order.
        correct: By model (n,) in the order of `ids`: 1 or true if the prediction is right, 0 or
            false if it is wrong, NaN if the model cannot score the product.
        texts: Table of `near_duplicate_texts`; rows of other products are ignored.
        images: Table of `near_duplicate_images`, likewise.

    Returns:
        One row per model and each of `KINDS`: `model`, `near_duplicate`, `rows` and `accuracy` of
        all products that the model can score, `rows_with`, `accuracy_with`, `rows_without`,
        `accuracy_without`, and `difference`, accuracy - accuracy_without. NaN without rows.
    """
    found = _by_kind(texts, images)
    records = []
    for model, values in correct.items():
        values = np.asarray(values, dtype=np.float64)
        known = ~np.isnan(values)
        for kind in KINDS:
            near = np.isin(ids, found[kind])
            rows, accuracy = _accuracy(values[known])
            rows_with, accuracy_with = _accuracy(values[known & near])
            rows_without, accuracy_without = _accuracy(values[known & ~near])
            measured = [rows, accuracy, rows_with, accuracy_with, rows_without, accuracy_without]
            records.append([model, kind, *measured, accuracy - accuracy_without])
    counts = ["rows", "rows_with", "rows_without"]
    shares = ["accuracy", "accuracy_with", "accuracy_without", "difference"]
    columns = [
        "model", "near_duplicate", "rows", "accuracy", "rows_with", "accuracy_with",
        "rows_without", "accuracy_without", "difference",
    ]  # fmt: skip
    table = pd.DataFrame(records, columns=columns)
    table[shares] = table[shares].astype(np.float64).round(DIGITS)
    return table.astype(dict.fromkeys(counts, np.int64))


def suspect_labels(
    ids: np.ndarray, labels: np.ndarray, probabilities: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find products whose label is probably wrong, by confident learning.

    The threshold of a class is the mean probability of the class among the products with its label.
    A product is suspect if another class reaches its threshold and is more probable than the
    product's label.

    Source: Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset
    labels", 2021, equation 1.

    Args:
        ids: int64 (n,), unique, in any order.
        labels: int64 (n,), the class indices in the data.
        probabilities: float (n, 27), out of fold, because a model reproduces the labels of its
            own train rows. Rows of NaN are ignored.

    Returns:
        The suspect products by descending margin, then id: `id`, `given`, `suggested` (codes; the
        most probable class that reaches its threshold, the smaller code of equals),
        `probability_given`, `probability_suggested` and `margin`, their difference. And one row per
        class in the order of the codes: `code`, `rows`, `threshold` (NaN without rows),
        `suspected`, `share` of its rows (NaN without rows).

    Raises:
        ValueError: If the probabilities' shape is not (n, 27).
    """
    if probabilities.shape != (len(ids), NUM_CATEGORIES):
        raise ValueError(
            f"probabilities: expected shape {(len(ids), NUM_CATEGORIES)}, received "
            f"{probabilities.shape}: one row per product, one column per class index"
        )
    order = np.argsort(ids, kind="stable")
    order = order[~np.isnan(probabilities[order]).any(axis=1)]
    ids, labels = np.asarray(ids)[order], np.asarray(labels)[order]
    probabilities = probabilities[order].astype(np.float64)
    rows = np.arange(len(ids))
    own = probabilities[rows, labels]
    sizes = np.bincount(labels, minlength=NUM_CATEGORIES)
    sums = np.bincount(labels, weights=own, minlength=NUM_CATEGORIES)
    thresholds = np.divide(sums, sizes, out=np.full(NUM_CATEGORIES, np.nan), where=sizes > 0)
    reached = (probabilities >= thresholds) & (probabilities > own[:, None])  # NaN reaches nothing
    suggested = np.where(reached, probabilities, -1).argmax(axis=1)
    suspected = reached.any(axis=1)
    table = pd.DataFrame(
        {
            "id": ids,
            "given": to_codes(labels),
            "suggested": to_codes(suggested),
            "probability_given": own.round(DIGITS),
            "probability_suggested": probabilities[rows, suggested].round(DIGITS),
            "margin": (probabilities[rows, suggested] - own).round(DIGITS),
        }
    )[suspected]
    table = table.sort_values(["margin", "id"], ascending=[False, True], ignore_index=True)
    counts = np.bincount(labels[suspected], minlength=NUM_CATEGORIES)
    classes = pd.DataFrame(
        {
            "code": CODES,
            "rows": sizes,
            "threshold": thresholds.round(DIGITS),
            "suspected": counts,
            "share": np.where(sizes > 0, counts / np.maximum(sizes, 1), np.nan).round(DIGITS),
        }
    )
    return table, classes


def _by_kind(texts: pd.DataFrame, images: pd.DataFrame) -> dict[str, np.ndarray]:
    """List the ids with a near-duplicate, for each of `KINDS`."""
    text, image = texts["id"].to_numpy(), images["id"].to_numpy()
    return {"text": text, "image": image, "either": np.union1d(text, image)}


def _accuracy(correct: np.ndarray) -> tuple[int, float]:
    """Return the number of rows and the accuracy, NaN without rows."""
    return len(correct), float(correct.mean()) if len(correct) else np.nan


def _correct(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return 1 or 0 for right or wrong predictions, NaN where there is no score: float64 (n,)."""
    known = ~np.isnan(scores).any(axis=1)
    return np.where(known, scores.argmax(axis=1) == labels, np.nan)
