"""Train the fusion net on both nets' hidden layers, and the ensemble of both nets."""

from rakuten import determinism, stage_log, storage
from rakuten.data.examples import join, side_by_side
from rakuten.models import checkpoints, fusion, nets, training
from rakuten.tracking import runs

NETS = ("text", "image")


def main() -> None:
    """Read both nets, labels and parts; write the net, its outputs and curves, the baseline."""
    net, seed, threads = storage.read_params("fusion", "seed", "threads")
    settings, start = training.Settings(**net.pop("training")), net.pop("start")
    with stage_log.stage("fusion") as log:
        determinism.configure(seed=seed, threads=threads)
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        weights = [storage.read_arrays(f"build/{name}/weights.npz") for name in NETS]
        known = parts["part"].to_numpy(dtype=str)
        read = (storage.read_arrays(f"build/{name}/outputs.npz") for name in NETS)
        sides = [fusion.held_out(side, known) for side in read]
        hidden = side_by_side(*sides)
        examples = join(products, parts, **hidden)
        log.received(f"{len(examples.rows('train')):,} train rows with text or image")
        baselines = fusion.net_ensemble(sides, examples, **start)
        storage.write_arrays("build/fusion/baselines.npz", **baselines)
        model = nets.fusion_net(hidden["features"].shape[1], **net, seed=seed)
        sides, augmented = fusion.add_single_modalities(sides, examples)
        fusion.start(model, sides, weights, augmented, **start)
        with runs.live_run("fusion") as run, log.timed("fit_seconds"):
            curves = training.fit(
                model, augmented, settings, seed=seed, on_epoch=run.log_epoch, evaluate_start=True
            )
        with log.timed("items_per_second", items=len(examples.ids)):
            outputs = training.outputs(model, examples, trained=len(curves) > 0)
        report = checkpoints.write_training("fusion", model, net, curves, outputs)
        log.measured_on("build/fusion/weights.npz")
        log.wrote(training.summary_line(report))


if __name__ == "__main__":
    main()
