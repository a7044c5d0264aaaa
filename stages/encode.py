"""Take every title and description through the frozen sentence encoder once."""

from rakuten import prefetch, stage_log, storage
from rakuten.text import encoder, html

NETWORK = "build/resources/encoder/sentence_encoder.onnx"


def main() -> None:
    """Read the products and the pinned network, write both as vectors."""
    with stage_log.stage("encode") as log:
        settings = storage.read_params("encode")
        products = storage.read_table("build/clean/products.parquet")
        titles, bodies = html.plain_texts(products)
        log.received(f"{len(products):,} products, encoder {settings['encoder']}")
        shards = storage.Shards(storage.SCRATCH / "encode", encoder.fingerprint(NETWORK))
        vectors = encoder.encode(
            NETWORK,
            {"title": titles, "description": bodies},
            threads=prefetch.available_cpus(),
            progress=stage_log.progress,
            shards=shards,
            **settings,
        )
        storage.write_arrays("build/encode/vectors.npz", ids=products["id"].to_numpy(), **vectors)
        shards.clear()
        log.wrote(f"{len(vectors)} kinds of vectors of {len(products):,} products")


if __name__ == "__main__":
    main()
