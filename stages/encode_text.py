"""Encode every title and description with the frozen sentence encoder once."""

from rakuten import feature_store, prefetch, stage_log, storage
from rakuten.text import encoder, html


def main() -> None:
    """Read the products and the encoder, write the vectors of both texts."""
    with stage_log.stage("encode_text") as log:
        name = storage.read_params("encode_text")["encoder"]
        products = storage.read_table("build/clean/products.parquet")
        titles, descriptions = html.plain_texts(products)
        found = encoder.find(name)
        log.received(f"{len(products):,} products, encoder {name}")
        key = encoder.fingerprint(found)
        vectors = encoder.encode(
            found,
            {"title": titles, "description": descriptions},
            threads=prefetch.available_cpus(),
            progress=stage_log.progress,
            store=feature_store.FeatureStore(feature_store.default_folder("encode_text"), key),
        )
        ids = products["id"].to_numpy()
        storage.write_arrays("build/encode_text/vectors.npz", ids=ids, **vectors)
        log.wrote(f"sentence vectors of {len(products):,} products: {', '.join(vectors) or 'none'}")


if __name__ == "__main__":
    main()
