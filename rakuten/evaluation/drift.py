"""Compare the measurements of new products with those of the training data.

A measurement drifts if its distribution changed much, and significantly: its population stability
index (PSI) is above a limit, and the p-value of a test is below one. With few products the test
decides, with many the index. The PSI of two samples from one distribution is on average
(bins - 1) * (1/n + 1/m), which is subtracted. Source: B. Yurdakul, "Statistical properties of
population stability index", 2018.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from rakuten.categories import CODES, NUM_CATEGORIES
from rakuten.storage import DIGITS


class Measure(NamedTuple):
    """One measurement of a product.

    Attributes:
        title: Its name for people.
        kind: "number", "flag" (bool), "category" (a code) or "language".
    """

    title: str
    kind: str


MEASURES = {
    "category": Measure("predicted category", "category"),
    "confidence": Measure("confidence of the prediction", "number"),
    "language": Measure("language", "language"),
    "missing_title": Measure("title missing", "flag"),
    "missing_description": Measure("description missing", "flag"),
    "missing_image": Measure("image missing", "flag"),
    "title_length": Measure("title length (characters)", "number"),
    "description_length": Measure("description length (characters)", "number"),
    "unknown_terms": Measure("share of unknown terms", "number"),
    "border_share": Measure("white border (share of the image)", "number"),
    "brightness": Measure("brightness (0 to 255)", "number"),
    "colour": Measure("colour (spread of red, green and blue)", "number"),
}
"""All measurements: the columns of the tables that `compare` reads."""

QUANTILES = np.linspace(0.1, 0.9, 9)
"""Numbers are compared in bins with a tenth of the reference each."""

RARE = 0.01
"""A language with a smaller share of the reference counts as "other"."""

FLAGS = ("no", "yes")


@dataclass(frozen=True)
class Comparison:
    """The comparison of one measurement.

    Attributes:
        name: A key of `MEASURES`.
        rows: Number of products that have the measurement, in the reference and in the new data.
        psi: Population stability index, corrected for the numbers of products, at least 0.
        p_value: Of the Kolmogorov-Smirnov test for numbers, of Fisher's exact test for flags, of
            the chi-squared test for categories and languages.
        typical: Median of numbers, share of "yes" of flags, the most frequent category; of the
            reference and of the new data.
        bins: Names of the b bins.
        shares: float64 (2, b), shares of the bins in the reference and in the new data.
        missing: Predicted categories that the new data has significantly fewer of.
        drift: Whether the measurement drifts.
    """

    name: str
    rows: tuple[int, int]
    psi: float
    p_value: float
    typical: tuple[float | str, float | str]
    bins: tuple[str, ...]
    shares: np.ndarray
    missing: tuple[str, ...]
    drift: bool

    def to_json(self) -> dict:
        """Describe the comparison in plain values for JSON."""
        return {
            "name": self.name,
            **MEASURES[self.name]._asdict(),
            "drift": self.drift,
            "psi": round(self.psi, DIGITS),
            "p_value": self.p_value,
            "missing": list(self.missing),
            **dict(zip(("reference", "new"), self.typical, strict=True)),
            **dict(zip(("reference_products", "new_products"), self.rows, strict=True)),
            "bins": [
                {"name": name, "reference": round(p, DIGITS), "new": round(q, DIGITS)}
                for name, p, q in zip(self.bins, *self.shares.tolist(), strict=True)
            ],
        }


def compare(
    reference: pd.DataFrame, new: pd.DataFrame, *, psi: float, missing: float, alpha: float
) -> list[Comparison]:
    """Compare every measurement that both tables have.

    Args:
        reference: Columns of `MEASURES`, one row per product; NaN or None where a product does not
            have a measurement.
        new: The same of the new products. Columns may be absent: these are not compared.
        psi: Index above which a measurement drifts.
        missing: A predicted category is missing if its share is below this fraction of its share
            in the reference; the measurement drifts then too, whatever its index.
        alpha: Probability of a false alarm in the whole comparison: one half is divided among the
            measurements, the other among the categories that may be missing (Bonferroni).

    Returns:
        The comparisons in the order of `MEASURES`, without measurements that no product of one
        table has.
    """
    pairs = {
        name: (reference[name].dropna().to_numpy(), new[name].dropna().to_numpy())
        for name in MEASURES
        if name in reference and name in new
    }
    pairs = {name: pair for name, pair in pairs.items() if all(map(len, pair))}
    level, missing_level = alpha / (2 * max(len(pairs), 1)), alpha / (2 * NUM_CATEGORIES)
    limits = _Limits(psi=psi, missing=missing, level=level, missing_level=missing_level)
    return [_compare(name, *pair, limits) for name, pair in pairs.items()]


def stability_index(reference: np.ndarray, new: np.ndarray) -> float:
    """Compute the population stability index of counts, corrected for the numbers of products.

    Args:
        reference: int64 (b,), counts of the reference by bin.
        new: int64 (b,), counts of the new data by bin.

    Returns:
        The sum of (q - p) * ln(q / p) over the bins with products in at least one of the two, minus
        its mean for two samples of the same distribution; at least 0. Half a product is added to
        each count.
    """
    used = (reference > 0) | (new > 0)
    p, q = ((counts[used] + 0.5) / (counts[used] + 0.5).sum() for counts in (reference, new))
    bias = (used.sum() - 1) * (1 / reference.sum() + 1 / new.sum())
    return max(float(((q - p) * np.log(q / p)).sum() - bias), 0.0)


class _Limits(NamedTuple):
    """The limits of `compare`, with a p-value for each measurement and for each category."""

    psi: float
    missing: float
    level: float
    missing_level: float


def _compare(name: str, reference: np.ndarray, new: np.ndarray, limits: _Limits) -> Comparison:
    """Compare one measurement of n and m products."""
    kind = MEASURES[name].kind
    bins, counts = _BINS[kind](reference, new)
    shares = counts / counts.sum(axis=1, keepdims=True)
    index = stability_index(*counts)
    if kind == "number":
        p_value = stats.ks_2samp(reference, new, method="asymp").pvalue
    elif kind == "flag":
        p_value = stats.fisher_exact(counts).pvalue
    else:
        p_value = stats.chi2_contingency(_merge_rare(counts)).pvalue
    missing: list[str] = []
    if name == "category":
        for column in np.flatnonzero(shares[1] < limits.missing * shares[0]).tolist():
            if _fewer_p_value(counts, column) < limits.missing_level:
                missing.append(bins[column])
    return Comparison(
        name=name,
        rows=(len(reference), len(new)),
        psi=index,
        p_value=float(p_value),
        typical=(_typical(kind, reference), _typical(kind, new)),
        bins=bins,
        shares=shares,
        missing=tuple(missing),
        drift=bool((index > limits.psi and p_value < limits.level) or missing),
    )


def _merge_rare(counts: np.ndarray) -> np.ndarray:
    """Merge bins with less than one expected new product, for which the test alarms too often."""
    rare = counts.sum(axis=0) * (counts[1].sum() / counts.sum()) < 1
    merged = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    return merged[:, merged.any(axis=0)]


def _fewer_p_value(counts: np.ndarray, column: int) -> float:
    """Test whether a bin has fewer of the new products, with Fisher's exact test."""
    here = counts[:, column]
    table = np.stack([here, counts.sum(axis=1) - here], axis=1)
    return float(stats.fisher_exact(table, alternative="greater").pvalue)


def _typical(kind: str, values: np.ndarray) -> float | str:
    if kind == "number":
        return float(np.median(values))
    if kind == "flag":
        return float(values.astype(bool).mean())
    names, counts = np.unique(_names(values), return_counts=True)
    return str(names[counts.argmax()])


def _names(values: np.ndarray) -> np.ndarray:
    """Return codes or languages as text."""
    return (values.astype(int) if values.dtype.kind == "f" else values).astype(str)


def _count_numbers(reference: np.ndarray, new: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Count numbers between the deciles of the reference, and beyond its smallest and largest."""
    low, high = reference.min(), reference.max()
    ends = [np.nextafter(low, -np.inf), *np.quantile(reference, QUANTILES), high]
    edges = np.unique(np.array(ends, reference.dtype))
    counts = [
        np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
        for values in (reference, new)
    ]
    *upper, last = _distinct(edges[1:])
    lowest, bins = _distinct([low])[0], [f"to {text}" for text in (*upper, last)]
    return (f"below {lowest}", *bins, f"above {last}"), np.array(counts)


def _distinct(values: Sequence[float] | np.ndarray) -> list[str]:
    """Format different numbers with as many digits as they need to look different."""
    texts: list[str] = []
    for digits in range(4, 18):
        texts = [f"{v:,.0f}" if abs(v) >= 100 else f"{v:.{digits}g}" for v in values]
        if len(set(texts)) == len(texts):
            break
    return texts


def _count_flags(reference: np.ndarray, new: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    counts = [np.bincount(values.astype(int), minlength=2) for values in (reference, new)]
    return FLAGS, np.array(counts)


def _count_categories(reference: np.ndarray, new: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    return tuple(map(str, CODES)), _count(reference, new, list(map(str, CODES)))


def _count_languages(reference: np.ndarray, new: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Count languages, the most frequent first and the rare ones together."""
    names, counts = np.unique(_names(reference), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = [str(names[i]) for i in order if counts[i] >= RARE * len(reference)]
    found = _count(reference, new, kept)
    others = np.array([[len(reference)], [len(new)]]) - found.sum(axis=1, keepdims=True)
    return (*kept, "other"), np.hstack([found, others])


def _count(reference: np.ndarray, new: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Count values by name: int64 (2, number of names)."""
    tables = [pd.Series(_names(values)).value_counts() for values in (reference, new)]
    return np.array([table.reindex(list(names), fill_value=0).to_numpy() for table in tables])


_BINS = {
    "number": _count_numbers,
    "flag": _count_flags,
    "category": _count_categories,
    "language": _count_languages,
}
