"""Train the image net on VGG16 features, and the classical image baselines beside it."""

from rakuten import determinism, stage_log, storage
from rakuten.data.examples import join
from rakuten.models import baselines, nets, trainer


def main() -> None:
    """Read features, labels and parts; write the net, its outputs, its curves, the baselines."""
    net, seed, threads = storage.read_params("image", "seed", "threads")
    fitting, classical = net.pop("training"), net.pop("baselines")
    with stage_log.stage("image") as log:
        determinism.configure(seed=seed, threads=threads)
        arrays = storage.read_arrays("build/extract/features.npz")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        examples = join(products, parts, **arrays)
        log.received(f"{len(examples.rows('train')):,} train rows with an image")

        estimators = baselines.image_baselines(seed=seed, threads=threads, **classical)
        scores, timings = baselines.score(estimators, examples)
        storage.write_arrays("build/image/baselines.npz", **scores)
        log.timing(**timings)
        trainer.train(log, nets.dense_net, examples, net=net, fitting=fitting, seed=seed)


if __name__ == "__main__":
    main()
