"""The generator of catalogues: products a second with pictures and without."""

import os

from benchmarks import measure
from rakuten.sample.catalogue import write_sample

PICTURED, PLAIN = 5_000, 20_000


def main() -> None:
    """Write both kinds three times."""
    processes = os.cpu_count() or 1
    with measure.scratch("sample") as folder:
        numbers = iter(range(100))

        def write(products: int, quality: int | None) -> None:
            out = folder / str(next(numbers))
            write_sample(out, products=products, quality=quality, processes=processes)

        seconds = measure.in_turns(
            {"pictured": lambda: write(PICTURED, 92), "plain": lambda: write(PLAIN, None)},
            repeats=3,
        )
    note = f"{processes} processes, streamed into the archive"
    measure.keep("sample", [
        measure.rate("text and picture", "products", seconds["pictured"], PICTURED, note),
        measure.rate("text alone", "products", seconds["plain"], PLAIN, note),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
