"""Measure the vectorize stage at full size, in a separate process to measure its memory."""

from benchmarks import measure
from rakuten import storage
from rakuten.prefetch import available_cpus
from rakuten.text import cleaning

PRODUCTS = 84_916


def main() -> None:
    """Clean a catalogue, then run the stage on it three times."""
    processes = available_cpus()
    with measure.scratch("vectorize") as folder:
        table = measure.catalogue(folder / "text", PRODUCTS)
        settings = storage.read_params("clean", path=measure.ROOT / "params.yaml")
        nltk = measure.ROOT / "build/resources/nltk"
        columns = cleaning.clean(table, folder=nltk, processes=processes, **settings)
        table = table.assign(**columns)
        storage.write_table(folder / "build/clean/products.parquet", table)
        parts = table[["id"]].assign(part="train")
        parts.loc[parts.index % 10 >= 7, "part"] = "test"
        storage.write_table(folder / "build/split/parts.parquet", parts)
        (folder / "params.yaml").symlink_to(measure.ROOT / "params.yaml")
        path = {"PYTHONPATH": str(measure.ROOT)}
        stage = measure.python("-m", "stages.vectorize")
        runs = [measure.watch(stage, folder, **path) for _ in range(3)]
    seconds = measure.median([seconds for seconds, _ in runs])
    peak = max(peak for _, peak in runs) / 2**30
    note = f"{PRODUCTS:,} products, with the start of the process"
    measure.save("vectorize", [
        measure.Row("vectorize", seconds, "s", note=note),
        measure.Row("its peak memory", float(f"{peak:.3g}"), "GiB", note=note),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
