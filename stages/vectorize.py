"""Compute TF-IDF features of every product, fitted on the train part."""

from rakuten import stage_log, storage
from rakuten.data import examples
from rakuten.text import tfidf


def main() -> None:
    """Read tokens and parts; write vocabulary, inverse document frequencies and features."""
    with stage_log.stage("vectorize") as log:
        settings = storage.read_params("vectorize")
        sublinear_tf = settings.pop("sublinear_tf")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        examples.check_ids(products["id"].to_numpy(), parts["id"].to_numpy(), "parts")
        train = products.loc[parts["part"] == "train", "tokens"].tolist()
        log.received(f"tokens of {len(products):,} products, {len(train):,} in the train part")

        vocabulary, idf = tfidf.fit(train, **settings)
        features = tfidf.transform(
            products["tokens"].tolist(),
            vocabulary,
            idf,
            ngram_max=settings["ngram_max"],
            sublinear_tf=sublinear_tf,
        )
        storage.write_json("build/vectorize/vocabulary.json", vocabulary)
        storage.write_array("build/vectorize/idf.npy", idf)
        storage.write_arrays(
            "build/vectorize/features.npz",
            ids=products["id"].to_numpy(),
            present=products["has_text"].to_numpy() & (len(vocabulary) > 0),
            **examples.sparse_arrays(features),
        )
        terms = features.nnz / max(len(products), 1)
        log.wrote(f"features {features.shape}, {terms:.1f} terms per product")


if __name__ == "__main__":
    main()
