"""Train the fusion net on the hidden layers of the text and the image net, side by side."""

from rakuten import determinism, stage_log, storage
from rakuten.data.examples import join, side_by_side
from rakuten.models import nets, trainer


def main() -> None:
    """Read both nets' outputs, labels and parts; write the net, its outputs, its curves."""
    net, seed, threads = storage.read_params("fusion", "seed", "threads")
    fitting = net.pop("training")
    with stage_log.stage("fusion") as log:
        determinism.configure(seed=seed, threads=threads)
        text = storage.read_arrays("build/text/outputs.npz")
        image = storage.read_arrays("build/image/outputs.npz")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        examples = join(products, parts, **side_by_side(text, image))
        log.received(f"{len(examples.rows('train')):,} train rows, both hidden layers")
        trainer.train(log, nets.fusion_net, examples, net=net, fitting=fitting, seed=seed)


if __name__ == "__main__":
    main()
