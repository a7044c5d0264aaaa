"""Describe the catalogue: balance, gaps, texts, languages, pictures; tables and figures."""

from rakuten import stage_log, storage
from rakuten.evaluation import exploration
from rakuten.reports import charts

REPORTS = "reports/explore"


def main() -> None:
    """Read cleaned products, facts on pictures and features; write tables and pictures."""
    with stage_log.stage("explore") as log:
        seed, settings = storage.read_params("seed", "explore")
        data = storage.read_json("reports/clean.json")["dataset"]["name"]
        products = storage.read_table("build/clean/products.parquet")
        images = storage.read_table("build/extract/images.parquet")
        features = storage.read_arrays("build/extract/features.npz")
        catalogue = exploration.join(products, images)
        summary = exploration.summary(catalogue)
        log.received(exploration.sentence(summary))

        tables = exploration.tables(catalogue, features, seed=seed, **settings)
        lengths = exploration.text_lengths(catalogue)
        pictures = charts.catalogue_pictures(tables, lengths, exploration.LENGTHS, data)
        storage.write_json(f"{REPORTS}/summary.json", summary)
        for name, table in tables.items():
            storage.write_csv(f"{REPORTS}/tables/{name}.csv", table)
        for name, picture in pictures.items():
            storage.write_figure(f"{REPORTS}/pictures/{name}.png", picture)
        log.wrote(f"{len(tables)} tables, {len(pictures)} pictures in {REPORTS}")


if __name__ == "__main__":
    main()
