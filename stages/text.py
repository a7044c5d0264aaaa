"""Train the text net on TF-IDF features, and the classical text baselines beside it."""

from rakuten import determinism, stage_log, storage
from rakuten.data.examples import join, sparse_features
from rakuten.models import baselines, nets, trainer


def main() -> None:
    """Read features, labels and parts; write the net, its outputs, its curves, the baselines."""
    net, seed, threads = storage.read_params("text", "seed", "threads")
    fitting, classical = net.pop("training"), net.pop("baselines")
    with stage_log.stage("text") as log:
        determinism.configure(seed=seed, threads=threads)
        arrays = storage.read_arrays("build/vectorize/features.npz")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        features = sparse_features(arrays)
        examples = join(products, parts, arrays["ids"], arrays["present"], features)
        log.received(f"{len(examples.rows('train')):,} train rows x {features.shape[1]:,} terms")

        estimators = baselines.text_baselines(seed=seed, **classical)
        scores, timings = baselines.score(estimators, examples)
        storage.write_arrays("build/text/baselines.npz", **scores)
        log.timing(**timings)
        trainer.train(log, nets.dense_net, examples, net=net, fitting=fitting, seed=seed)


if __name__ == "__main__":
    main()
