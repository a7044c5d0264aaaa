"""Estimate the cost of 100 million products from measured rates: `python -m benchmarks.cost`.

Writes the table of docs/scale_cost.md. Core-hours are those of the machine that measured.
"""

from typing import NamedTuple

from benchmarks import measure
from rakuten import storage
from rakuten.reports import readme

PRODUCTS = 100_000_000
CORES = 64
"""Number of cores in the column of hours."""

IMAGE = 2.2e9 / 84_916
"""Bytes of an average image of the challenge."""

DOCUMENT = measure.ROOT / "docs/scale_cost.md"


class Task(NamedTuple):
    """What is computed once for every product.

    Attributes:
        what: Its name.
        subject: The measurement.
        rate: The row of its products per second.
        size: The row of the bytes that it writes per product.
        image: Whether it reads images.
    """

    what: str
    subject: str
    rate: str
    size: str
    image: bool


TASKS = (
    Task("clean texts", "clean", "clean by Ray", "clean, written", False),
    Task(
        "predict from text", "text", "prediction from text by Ray", "predictions written, text",
        False,
    ),
    Task(
        "predict from text and image", "images", "prediction from text and image by Ray",
        "predictions written, text and image", True,
    ),
    Task(
        "encode images for the image ensemble", "images", "encode_image by Ray",
        "encode_image, written", True,
    ),
    Task(
        "extract features for the study's nets", "images", "extract by Ray", "extract, written",
        True,
    ),
)  # fmt: skip


def measured(subject: str, what: str) -> tuple[float, int]:
    """Look up a measured value.

    Args:
        subject: Name of the file in reports/benchmarks without "scale_".
        what: Name of the row.

    Returns:
        The value in the row's unit, products/s or bytes/product, and the number of cores of the
        machine.

    Raises:
        KeyError: If it has not been measured.
    """
    path = measure.RESULTS / f"scale_{subject}.json"
    result = storage.read_json(path) if path.exists() else {"rows": []}
    for row in result["rows"]:
        if row["what"] == what:
            return row["value"], int(result["machine"].split()[0])
    raise KeyError(
        f"reports/benchmarks/scale_{subject}.json has no row {what!r}: run 'python -m "
        f"benchmarks.scale {subject}'"
    )


def table() -> str:
    """Format the estimates as a Markdown table; some may not be measured."""
    header = f"|  | core-hours | hours on {CORES} cores | read | written |"
    lines = [header, "| --- | ---: | ---: | ---: | ---: |"]
    for task in TASKS:
        try:
            cells = estimate(task)
        except KeyError:
            cells = ["not measured", "", "", ""]
        lines.append(f"| {' | '.join([task.what, *cells])} |")
    return "\n".join(lines) + "\n"


def estimate(task: Task) -> list[str]:
    """Format the core-hours of a task, its hours on `CORES`, and what it reads and writes.

    Raises:
        KeyError: If it has not been measured.
    """
    rate, cores = measured(task.subject, task.rate)
    hours = PRODUCTS * cores / rate / 3600
    # Each table is read twice: to count its rows, and to compute.
    read = 2 * measured("text", "text read")[0] + IMAGE * task.image
    written = measured(task.subject, task.size)[0]
    times = [format_hours(hours), format_hours(hours / CORES)]
    return times + [size(PRODUCTS * each) for each in (read, written)]


def format_hours(hours: float) -> str:
    """Format hours with two significant digits."""
    return f"{float(f'{hours:.2g}'):,.10g}"


def size(count: float) -> str:
    """Format bytes with two significant digits."""
    return f"{count / 1e12:.2g} TB" if count >= 1e12 else f"{float(f'{count / 1e9:.2g}'):.10g} GB"


def main() -> None:
    """Write the table into the document."""
    text = storage.read_text(DOCUMENT)
    storage.write_text(DOCUMENT, readme.fill(text, {"cost": table()}))


if __name__ == "__main__":
    main()
