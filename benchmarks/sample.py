"""Measure the generation of the catalogue: products per second with images and without."""

from benchmarks import measure
from rakuten import prefetch
from rakuten.sample.catalogue import write_sample

WITH_IMAGES, TEXT_ONLY = 5_000, 20_000


def main() -> None:
    """Write catalogues of both kinds three times."""
    processes = prefetch.available_cpus()
    with measure.scratch("sample") as folder:
        numbers = iter(range(100))

        def write(products: int, quality: int | None) -> None:
            out = folder / str(next(numbers))
            write_sample(out, products=products, quality=quality, processes=processes)

        seconds = measure.in_turns(
            {"images": lambda: write(WITH_IMAGES, 92), "text": lambda: write(TEXT_ONLY, None)},
            repeats=3,
        )
    note = f"{processes} processes, streamed into the archive"
    measure.save("sample", [
        measure.rate("text and image", "products", seconds["images"], WITH_IMAGES, note),
        measure.rate("text alone", "products", seconds["text"], TEXT_ONLY, note),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
