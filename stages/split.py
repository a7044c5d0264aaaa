"""Split the products into train, validation and test parts."""

from rakuten import stage_log, storage
from rakuten.data import corrections, products, splits


def main() -> None:
    """Read cleaned products, image digests and first labels; write parts and report."""
    with stage_log.stage("split") as log, storage.ImageArchive("data/images.zip") as archive:
        seed, settings = storage.read_params("seed", "split")
        table = storage.read_table("build/clean/products.parquet")
        names = [f"image_train/{name}" for name in products.image_names(table)]
        digests = [archive.digest(name) if name in archive else "" for name in names]
        log.received(f"{len(table):,} products, {len(archive.names()):,} images")
        codes = corrections.first_codes(table, storage.read_json("data/dataset.json"))
        parts, report = splits.split(table, digests, codes, seed=seed, **settings)
        storage.write_table("build/split/parts.parquet", parts)
        storage.write_json("reports/split.json", report)
        counts = ", ".join(f"{count:,} {part}" for part, count in report["parts"].items())
        log.wrote(f"{counts}; {report['duplicates']['groups']:,} groups of duplicates")


if __name__ == "__main__":
    main()
