"""The page and the lines in the terminal that show a comparison with the training data."""

from collections.abc import Mapping
from typing import Any

from rakuten.category_names import category
from rakuten.reports import formats, rendering


def render(report: Mapping[str, Any]) -> str:
    """Write a comparison as one HTML page that needs no other file.

    Args:
        report: file (its name), products (their number), data (name of the training data), package
            (its digest), predicted_from, limits (the section `drift` of params.yaml), drift (bool),
            measurements (each as returned by `rakuten.evaluation.drift.Comparison.to_json`),
            not_measured (titles).

    Returns:
        HTML; measurements that drift come first.
    """
    environment = rendering.environment(
        formats.count, formats.listing, formats.number_of, formats.percent, p_value, label,
        escape=True,
    )  # fmt: skip
    environment.globals["typical"] = typical
    ordered = sorted(report["measurements"], key=lambda one: (not one["drift"], -one["psi"]))
    return environment.get_template("drift.html.j2").render(report, ordered=ordered)


def lines(report: Mapping[str, Any]) -> str:
    """Write a comparison as a table for the terminal.

    Args:
        report: As for `render`.

    Returns:
        Lines, the last one ended.
    """
    header = ("measurement", "training data", report["file"], "PSI", "p", "")
    rows = [header] + [
        (
            one["title"],
            typical(one, "reference"),
            typical(one, "new"),
            f"{one['psi']:.3f}",
            p_value(one["p_value"]),
            _verdict(one),
        )
        for one in report["measurements"]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown = []
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others[:-1], widths[1:-1], strict=True)]
        shown.append("  ".join([f"{first:<{widths[0]}}", *cells, others[-1]]).rstrip())
    if report["not_measured"]:
        shown.append(f"not measured: {formats.listing(report['not_measured'])}")
    return "\n".join(shown) + "\n"


def typical(one: Mapping[str, Any], side: str) -> str:
    """Format the typical value of a measurement: a median, a share, or what is most frequent.

    Args:
        one: The measurement.
        side: "reference" or "new".

    Returns:
        Such as `65`, `33.0 %`, `fr (83 %)`.
    """
    value = one[side]
    if one["kind"] == "flag":
        return formats.percent(value)
    if one["kind"] == "number":
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    shares = {bin["name"]: bin[side] for bin in one["bins"]}
    return f"{value} ({formats.percent(shares[value], 0)})" if value in shares else value


def p_value(value: float) -> str:
    """Format a p-value: `0.034`, `3e-05`."""
    return f"{value:.2g}" if value >= 1e-16 else "<1e-16"


def label(name: str, kind: str) -> str:
    """Name a bin: a category gets its name."""
    return f"{name} {category(int(name), 'en')}" if kind == "category" else name


def _verdict(one: Mapping[str, Any]) -> str:
    if not one["drift"]:
        return ""
    return f"drift, missing: {', '.join(one['missing'])}" if one["missing"] else "drift"
