"""Encode every image with the frozen image encoder once, for the image ensemble."""

import numpy as np

from rakuten import feature_store, prefetch, stage_log, storage
from rakuten.data import products
from rakuten.image import encoder, extraction


def main() -> None:
    """Read the products' images and the encoder, write features and facts of every view."""
    with (
        stage_log.stage("encode_image") as log,
        storage.ImageArchive("data/images.zip") as archive,
    ):
        section = storage.read_params("encode_image")
        name = section.pop("encoder")
        path, spec = encoder.find(name)
        preparation = spec.preparation(**section)
        table = products.join(storage.read_csv("data/X_train.csv", **products.CSV_FORMAT))
        names = [f"image_train/{file}" for file in products.image_names(table)]
        images = extraction.find_images(names, archive)
        log.received(f"{len(images.names):,} distinct images, encoder {name}")
        network = encoder.ImageEncoder(path, spec, threads=prefetch.available_cpus())
        key = extraction.fingerprint(preparation, encoder.fingerprint(spec))
        store = feature_store.FeatureStore(feature_store.default_folder("encode_image"), key)
        arrays = extraction.extract(
            images, archive, network, store, stage_log.progress, preparation, encoder.BATCH
        )
        features = extraction.to_products(images, table["id"].to_numpy(), arrays)
        views = np.array(preparation.views)
        storage.write_arrays("build/encode_image/features.npz", views=views, **features)
        log.wrote(f"{features['present'].sum():,} products with image, {network.widths}")


if __name__ == "__main__":
    main()
