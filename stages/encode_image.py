"""Encode every image with the frozen image encoder once, for the image ensemble."""

from functools import partial

import numpy as np

from rakuten import feature_store, prefetch, stage_log, storage
from rakuten.data import products
from rakuten.image import encoder, encoder_precision, extraction


def main() -> None:
    """Read the products' images and the encoder; write the network in use and its features."""
    with (
        stage_log.stage("encode_image") as log,
        storage.ImageArchive("data/images.zip") as archive,
    ):
        section = storage.read_params("encode_image")
        name, precision = section["encoder"], section["precision"]
        encoder_precision.write(encoder.USED, *encoder.find(name), precision=precision)
        path, spec = encoder.read()
        preparation = spec.preparation(**encoder.preparation_options(section))
        table = products.join(storage.read_csv("data/X_train.csv", **products.CSV_FORMAT))
        names = [f"image_train/{file}" for file in products.image_names(table)]
        images = extraction.find_images(names, archive)
        log.received(f"{len(images.names):,} distinct images, encoder {name}, {precision}")
        network = encoder.ImageEncoder(path, spec, threads=prefetch.available_cpus())
        key = extraction.fingerprint(preparation, encoder.fingerprint(spec))
        store = feature_store.FeatureStore(feature_store.default_folder("encode_image"), key)
        run = partial(extraction.extract, progress=stage_log.progress, batch_size=encoder.BATCH)
        arrays = run(images, archive, network, store, preparation=preparation)
        features = extraction.to_products(images, table["id"].to_numpy(), arrays)
        views = np.array(preparation.views)
        storage.write_arrays("build/encode_image/features.npz", views=views, **features)
        log.wrote(f"{features['present'].sum():,} products with image, {network.widths}")


if __name__ == "__main__":
    main()
