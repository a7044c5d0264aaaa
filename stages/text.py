"""Train the text net and the classical text baselines on TF-IDF features."""

from rakuten import determinism, stage_log, storage
from rakuten.data.examples import join, sparse_features
from rakuten.models import baselines, modality_net, training
from rakuten.tracking import runs


def main() -> None:
    """Read features, labels and parts; write the net, its outputs and curves, the baselines."""
    params, seed, threads = storage.read_params("text", "seed", "threads")
    with stage_log.stage("text") as log:
        determinism.configure(seed=seed, threads=threads)
        arrays = storage.read_arrays("build/vectorize/features.npz")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        features = sparse_features(arrays)
        examples = join(products, parts, arrays["ids"], arrays["present"], features)
        log.received(f"{len(examples.rows('train')):,} train rows x {features.shape[1]:,} terms")

        estimators = baselines.text_baselines(seed=seed, **params["baselines"])
        scores, timings = baselines.score(estimators, examples)
        storage.write_arrays("build/text/baselines.npz", **scores)
        log.timing(**timings)

        groups = parts["group"].to_numpy()
        with runs.live_run("text") as run:
            report = modality_net.train(
                "text", params, examples, groups, seed=seed, log=log, on_epoch=run.log_epoch
            )
        log.measured_on("build/text/weights.npz")
        log.wrote(training.summary_line(report))


if __name__ == "__main__":
    main()
