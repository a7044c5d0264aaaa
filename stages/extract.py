"""Compute the image features of every product once; the image net trains on them."""

from functools import partial

from rakuten import determinism, feature_store, stage_log, storage
from rakuten.data import products
from rakuten.image import backbones, extraction, processor


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
        supported = backbones.BACKBONES[settings.backbone].precisions
        if hint := processor.hint(settings.precision, supported, processor.instruction_sets()):
            log.received(hint)
        size, precision, batch = settings.size, settings.precision, settings.batch_size
        network = backbones.Extractor(
            settings.backbone, weights, size=size, precision=precision, batch_size=batch
        )
        network_key = backbones.fingerprint(weights, precision=precision, batch_size=batch)
        key = extraction.fingerprint(settings.preparation, network_key)
        store = feature_store.FeatureStore(feature_store.default_folder("extract"), key)
        run = partial(extraction.extract, progress=stage_log.progress, batch_size=batch)
        arrays = run(images, archive, network, store, preparation=settings.preparation)
        found = extraction.to_products(images, table["id"].to_numpy(), arrays)
        storage.write_table("build/extract/images.parquet", extraction.facts_table(found))
        features = {name: found[name] for name in ("ids", "present")}
        features["features"] = found["features"][0]
        storage.write_arrays("build/extract/features.npz", **features)
        log.wrote(f"{found['present'].sum():,} products with image")


if __name__ == "__main__":
    main()
