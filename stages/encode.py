"""Encode every title and description with the frozen sentence encoder once."""

from rakuten import feature_store, prefetch, stage_log, storage
from rakuten.text import encoder, html

NETWORK = "build/resources/encoder/sentence_encoder.onnx"


def main() -> None:
    """Read the products and the pinned network, write the vectors of both texts."""
    with stage_log.stage("encode") as log:
        settings = storage.read_params("encode")
        products = storage.read_table("build/clean/products.parquet")
        titles, descriptions = html.plain_texts(products)
        log.received(f"{len(products):,} products, encoder {settings['encoder']}")
        key = encoder.fingerprint(NETWORK)
        vectors = encoder.encode(
            NETWORK,
            {"title": titles, "description": descriptions},
            threads=prefetch.available_cpus(),
            progress=stage_log.progress,
            store=feature_store.FeatureStore(feature_store.default_folder("encode"), key),
            **settings,
        )
        storage.write_arrays("build/encode/vectors.npz", ids=products["id"].to_numpy(), **vectors)
        log.wrote(f"sentence vectors of {len(products):,} products: {', '.join(vectors) or 'none'}")


if __name__ == "__main__":
    main()
