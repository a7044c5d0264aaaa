"""Train the image net and the classical image baselines on features of the backbone."""

from rakuten import determinism, stage_log, storage
from rakuten.data.examples import join
from rakuten.models import baselines, checkpoints, nets, training
from rakuten.tracking import runs


def main() -> None:
    """Read features, labels and parts; write the net, its outputs and curves, the baselines."""
    net, seed, threads = storage.read_params("image", "seed", "threads")
    settings, classical = training.Settings(**net.pop("training")), net.pop("baselines")
    folds = net.pop("out_of_fold")
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

        model = nets.dense_net(arrays["features"].shape[1], **net)
        groups = parts["group"].to_numpy()
        held_out = training.out_of_fold(model, examples, groups, settings, **folds, seed=seed)
        with runs.live_run("image") as run, log.timed("fit_seconds"):
            curves = training.fit(model, examples, settings, seed=seed, on_epoch=run.log_epoch)
        with log.timed("items_per_second", items=len(examples.ids)):
            outputs = training.outputs(model, examples, trained=len(curves) > 0)
        report = checkpoints.write_training("image", model, net, curves, outputs | held_out)
        log.measured_on("build/image/weights.npz")
        log.wrote(training.summary_line(report))


if __name__ == "__main__":
    main()
