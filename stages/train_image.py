"""Train the image net on VGG16 features, and the classical image baselines beside it."""

from rakuten import baselines, determinism, journal, models, storage, trainer
from rakuten.examples import join


def main() -> None:
    """Read features, labels and parts; write the net, its outputs, its curves, the baselines."""
    net, seed, threads = storage.read_params("image", "seed", "threads")
    fitting, classical = net.pop("training"), net.pop("baselines")
    with journal.stage("train_image") as log:
        determinism.configure(seed=seed, threads=threads)
        arrays = storage.read_arrays("build/extract/features.npz")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        examples = join(products, parts, **arrays)
        log.received(f"{len(examples.rows('train')):,} train rows with an image")

        estimators = baselines.image_baselines(seed=seed, threads=threads, **classical)
        scores, timings = baselines.score(estimators, examples)
        storage.write_arrays("build/train_image/baselines.npz", **scores)
        log.timing(**timings)
        trainer.train(log, models.dense_net, examples, net=net, fitting=fitting, seed=seed)


if __name__ == "__main__":
    main()
