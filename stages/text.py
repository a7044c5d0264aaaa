"""Train the text net and the classical text baselines on TF-IDF features."""

from rakuten import determinism, stage_log, storage
from rakuten.data.examples import join, sparse_features
from rakuten.models import baselines, checkpoints, nets, training
from rakuten.tracking import runs


def main() -> None:
    """Read features, labels and parts; write the net, its outputs and curves, the baselines."""
    net, seed, threads = storage.read_params("text", "seed", "threads")
    settings, classical = training.Settings(**net.pop("training")), net.pop("baselines")
    folds = net.pop("out_of_fold")
    with stage_log.stage("text") as log:
        determinism.configure(seed=seed, threads=threads)
        arrays = storage.read_arrays("build/vectorize/features.npz")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        features = sparse_features(arrays)
        examples = join(products, parts, arrays["ids"], arrays["present"], features)
        log.received(f"{len(examples.rows('train')):,} train rows x {features.shape[1]:,} terms")

        scores, timings = baselines.score(
            baselines.text_baselines(seed=seed, **classical), examples
        )
        storage.write_arrays("build/text/baselines.npz", **scores)
        log.timing(**timings)

        model = nets.dense_net(features.shape[1], **net)
        groups = parts["group"].to_numpy()
        held_out = training.out_of_fold(model, examples, groups, settings, **folds, seed=seed)
        with runs.live_run("text") as run, log.timed("fit_seconds"):
            curves = training.fit(model, examples, settings, seed=seed, on_epoch=run.log_epoch)
        with log.timed("items_per_second", items=len(examples.ids)):
            outputs = training.outputs(model, examples, trained=len(curves) > 0)
        report = checkpoints.write_training("text", model, net, curves, outputs | held_out)
        log.measured_on("build/text/weights.npz")
        log.wrote(training.summary_line(report))


if __name__ == "__main__":
    main()
