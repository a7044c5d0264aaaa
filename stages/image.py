"""Train the image net and the classical image baselines on features of the backbone."""

from rakuten import determinism, stage_log, storage
from rakuten.data.examples import join
from rakuten.models import baselines, modality_net, training
from rakuten.tracking import runs


def main() -> None:
    """Read features, labels and parts; write the net, its outputs and curves, the baselines."""
    params, seed, threads = storage.read_params("image", "seed", "threads")
    with stage_log.stage("image") as log:
        determinism.configure(seed=seed, threads=threads)
        arrays = storage.read_arrays("build/extract/features.npz")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        examples = join(products, parts, **arrays)
        log.received(f"{len(examples.rows('train')):,} train rows with an image")

        estimators = baselines.image_baselines(seed=seed, threads=threads, **params["baselines"])
        scores, timings = baselines.score(estimators, examples)
        storage.write_arrays("build/image/baselines.npz", **scores)
        log.timing(**timings)

        groups = parts["group"].to_numpy()
        with runs.live_run("image") as run:
            report = modality_net.train(
                "image", params, examples, groups, seed=seed, log=log, on_epoch=run.log_epoch
            )
        log.measured_on("build/image/weights.npz")
        log.wrote(training.summary_line(report))


if __name__ == "__main__":
    main()
