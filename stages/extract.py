"""Take every product's picture through VGG16 once, so that nets train on features."""

from functools import partial

from rakuten import determinism, extraction, journal, products, storage, vgg16


def main() -> None:
    """Read the products' pictures and the pinned weights, write features and facts."""
    with journal.stage("extract") as log, storage.ImageArchive("data/images.zip") as archive:
        threads, section = storage.read_params("threads", "extract")
        settings = extraction.Settings(**section)
        determinism.configure(seed=0, threads=threads)  # nothing is drawn here
        weights = storage.read_arrays("build/resources/vgg16.npz")
        table = products.join(storage.read_csv("data/X_train.csv", **products.CSV_FORMAT))
        names = [f"image_train/{name}" for name in products.image_names(table)]
        pictures = extraction.find_pictures(names, archive)
        log.received(f"{len(names):,} products, {len(pictures.names):,} distinct images")
        key = extraction.fingerprint(pictures, settings, vgg16.fingerprint(weights))
        shards = storage.Shards(storage.SCRATCH / "extract", key)
        build = partial(vgg16.extractor, weights, size=settings.size)
        features, facts = extraction.extract(
            pictures, archive, build, shards, journal.progress, settings
        )
        arrays, table = extraction.spread(
            pictures, table["id"].to_numpy(), features, facts, vgg16.NUM_FEATURES
        )
        storage.write_arrays("build/extract/features.npz", **arrays)
        storage.write_table("build/extract/images.parquet", table)
        shards.clear()
        log.wrote(f"features {arrays['features'].shape}, {arrays['present'].sum():,} with image")


if __name__ == "__main__":
    main()
