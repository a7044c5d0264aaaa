"""Train the text net on TF-IDF features, and the classical text baselines beside it."""

from rakuten import baselines, determinism, journal, models, storage, trainer
from rakuten.examples import join, sparse_features


def main() -> None:
    """Read features, labels and parts; write the net, its outputs, its curves, the baselines."""
    net, seed, threads = storage.read_params("text", "seed", "threads")
    fitting, classical = net.pop("training"), net.pop("baselines")
    with journal.stage("train_text") as log:
        determinism.configure(seed=seed, threads=threads)
        arrays = storage.read_arrays("build/vectorize/features.npz")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        features = sparse_features(arrays)
        examples = join(products, parts, arrays["ids"], arrays["present"], features)
        log.received(f"{len(examples.rows('train')):,} train rows x {features.shape[1]:,} terms")

        estimators = baselines.text_baselines(seed=seed, **classical)
        scores, timings = baselines.score(estimators, examples)
        storage.write_arrays("build/train_text/baselines.npz", **scores)
        log.timing(**timings)
        trainer.train(log, models.dense_net, examples, net=net, fitting=fitting, seed=seed)


if __name__ == "__main__":
    main()
