"""Compute the image features of every product once; the image models train on them."""

from functools import partial

from rakuten import determinism, feature_store, stage_log, storage
from rakuten.data import products
from rakuten.image import backbones, extraction


def main() -> None:
    """Read the products' images and the pinned weights, write features and facts."""
    with stage_log.stage("extract") as log, storage.ImageArchive("data/images.zip") as archive:
        threads, section = storage.read_params("threads", "extract")
        settings = extraction.Settings(**section)
        determinism.configure(seed=0, threads=threads)  # nothing here is random
        weights = storage.read_arrays(f"build/resources/{settings.weights}")
        table = products.join(storage.read_csv("data/X_train.csv", **products.CSV_FORMAT))
        names = [f"image_train/{name}" for name in products.image_names(table)]
        images = extraction.find_images(names, archive)
        log.received(f"{len(names):,} products, {len(images.names):,} distinct images")
        network_key = backbones.fingerprint(weights, precision=settings.precision)
        key = extraction.fingerprint(settings, network_key)
        store = feature_store.FeatureStore(feature_store.default_folder("extract"), key)
        widths = backbones.BACKBONES[settings.backbone].widths
        network = partial(backbones.extractor, size=settings.size, precision=settings.precision)
        build = partial(network, settings.backbone, weights)
        arrays, facts = extraction.extract(
            images, archive, build, store, stage_log.progress, settings, widths
        )
        features, pooled, table = extraction.to_products(
            images, table["id"].to_numpy(), arrays, facts, settings.views
        )
        storage.write_arrays("build/extract/features.npz", **features)
        storage.write_arrays("build/extract/pooled.npz", **pooled)
        storage.write_table("build/extract/images.parquet", table)
        log.wrote(f"{features['present'].sum():,} products with image, grid {pooled['grid'].shape}")


if __name__ == "__main__":
    main()
