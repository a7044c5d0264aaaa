"""Estimate the cost of 100 million products from measured rates: `python -m benchmarks.cost`.

Writes the table of benchmarks/scale.md. Core-hours are those of the machine that measured.
"""

from dataclasses import dataclass

from benchmarks import measure
from rakuten import storage
from rakuten.reports import readme

PRECISIONS = ("float32", "int8")

PRODUCTS = 100_000_000
CORES = 64
"""Number of cores in the column of hours."""

IMAGE = 2.2e9 / 84_916
"""Bytes of an average image of the challenge."""

NODE_CORES, NODE_RATE = 16, 3_000
"""A machine with a large GPU: what its cores prepare a second, estimated in benchmarks/notes.md."""

DOCUMENT = measure.ROOT / "benchmarks/scale.md"


@dataclass(frozen=True)
class Work:
    """What is computed once for every product.

    Attributes:
        what: Its name.
        core_hours: Time of one core.
        driver: Hours of the process that writes.
        read: Bytes read from the store.
        written: Bytes written to it.
    """

    what: str
    core_hours: float
    driver: float
    read: float
    written: float

    @property
    def hours(self) -> float:
        """Return the hours on `CORES`, or those of the driver if they are more."""
        return max(self.core_hours / CORES, self.driver)


def measured(subject: str, what: str) -> tuple[float, int]:
    """Look up a measured value.

    Args:
        subject: Name of the file in reports/benchmarks.
        what: Start of the row's name.

    Returns:
        The value, and the cores of the machine.

    Raises:
        KeyError: If it has not been measured.
    """
    kept = storage.read_json(measure.KEPT / f"{subject}.json")
    for row in kept["rows"]:
        if row["what"].startswith(what):
            return row["value"], int(kept["machine"].split()[0])
    raise KeyError(
        f"reports/benchmarks/{subject}.json has no row {what!r}: run 'python -m benchmarks."
        f"{subject.replace('_', ' ')}'"
    )


def core_hours(subject: str, what: str) -> float:
    """Convert products per second to core-hours for all products."""
    rate, cores = measured(subject, what)
    return PRODUCTS * cores / rate / 3600


def works() -> list[Work]:
    """Estimate each kind of work."""
    text, prediction = (
        PRODUCTS * measured("scale_prediction", what)[0]
        for what in ("text read", "predictions written")
    )
    tokens = PRODUCTS * measured("scale_cleaning", "cleaned texts written")[0]
    of_texts, of_features, of_predictions = (
        PRODUCTS / measured(subject, "the driver")[0] / 3600
        for subject in ("scale_cleaning", "scale_features", "scale_capacity")
    )
    images, cores = PRODUCTS * IMAGE, f"{measured_on()} processors"
    features = {
        precision: PRODUCTS * measured("scale_overhead", f"features written, {precision}")[0]
        for precision in PRECISIONS
    }
    gpus = PRODUCTS / NODE_RATE / 3600 * NODE_CORES
    from_text = core_hours("scale_prediction", f"prediction from text, {cores}")
    both = "prediction from text and image"
    return [
        Work(
            "clean text", core_hours("scale_cleaning", f"cleaning, {cores}"), of_texts, text, tokens
        ),
        *(
            Work(
                f"features, {precision} on CPUs",
                core_hours("scale_overhead", f"extraction by Ray, {precision}"),
                of_features,
                images,
                written,
            )
            for precision, written in features.items()
        ),
        Work(
            "features on GPU machines (estimated)", gpus, of_features, images, features["float32"]
        ),
        Work("predict from text", from_text, of_predictions, text, prediction),
        Work(
            "predict from text and image on CPUs",
            core_hours("scale_prediction", both),
            of_predictions,
            text + images,
            prediction,
        ),
    ]


def measured_on() -> int:
    """Return the cores of the machine on which prediction was measured."""
    return measured("scale_prediction", "text read")[1]


def table() -> str:
    """Format the estimates as a Markdown table."""
    header = f"|  | core-hours | hours of the driver | hours on {CORES} cores | read | written |"
    lines = [header, "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for work in works():
        hours = map(format_hours, (work.core_hours, work.driver, work.hours))
        cells = [work.what, *hours, *map(size, (work.read, work.written))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


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
