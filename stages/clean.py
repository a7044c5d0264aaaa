"""Turn titles and descriptions into language, tokens and their number."""

from rakuten import prefetch, stage_log, storage
from rakuten.data import corrections, products
from rakuten.text import cleaning


def main() -> None:
    """Read the catalogue and NLTK's data; write the product table and a report."""
    with stage_log.stage("clean") as log:
        settings = storage.read_params("clean")
        table = products.join(
            storage.read_csv("data/X_train.csv", **products.CSV_FORMAT),
            storage.read_csv("data/Y_train.csv", **products.CSV_FORMAT),
        )
        log.received(f"{len(table):,} products")

        columns = cleaning.clean(
            table,
            folder="build/resources/nltk",
            processes=prefetch.available_cpus(),
            progress=stage_log.progress,
            **settings,
        )
        table = table.assign(**columns)
        dataset = corrections.describe(storage.read_json("data/dataset.json"))
        report = {"dataset": dataset, **cleaning.summarize(table)}
        storage.write_table("build/clean/products.parquet", table)
        storage.write_json("reports/clean.json", report)
        log.wrote(f"{report['distinct_tokens']:,} distinct tokens")


if __name__ == "__main__":
    main()
