"""Describe the catalogue: balance, missing values, texts, languages, images."""

from rakuten import stage_log, storage
from rakuten.evaluation import exploration

REPORTS = "reports/explore"


def main() -> None:
    """Read cleaned products, image facts and features; write tables."""
    with stage_log.stage("explore") as log:
        seed, settings = storage.read_params("seed", "explore")
        products = storage.read_table("build/clean/products.parquet")
        images = storage.read_table("build/extract/images.parquet")
        features = storage.read_arrays("build/extract/features.npz")
        catalogue = exploration.join(products, images)
        summary = exploration.summary(catalogue)
        log.received(exploration.summary_line(summary))

        tables = exploration.tables(catalogue, features, seed=seed, **settings)
        storage.write_json(f"{REPORTS}/summary.json", summary)
        for name, table in tables.items():
            storage.write_csv(f"{REPORTS}/tables/{name}.csv", table)
        log.wrote(f"{len(tables)} tables in {REPORTS}")


if __name__ == "__main__":
    main()
