"""Fuse the probabilities of the best text and the best image classifier."""

from rakuten import stage_log, storage
from rakuten.data.examples import join
from rakuten.models import late_fusion


def main() -> None:
    """Read both classifiers' outputs, labels and parts; write the weights and the fused outputs."""
    settings = storage.read_params("late_fusion")
    with stage_log.stage("late_fusion") as log:
        text = storage.read_arrays("build/text_ensemble/outputs.npz")
        image = storage.read_arrays("build/image_ensemble/outputs.npz")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        present = text["present"] | image["present"]
        examples = join(products, parts, text["ids"], present, None)
        log.received(f"{(text['present'] & image['present']).sum():,} products with both")

        pool, outputs = late_fusion.fit(text, image, examples, **settings)
        shares = late_fusion.share_table(text, image, examples)
        weights = dict(zip(("text_weight", "image_weight"), pool.weights.tolist(), strict=True))
        storage.write_arrays(
            "build/late_fusion/weights.npz", weights=pool.weights, offsets=pool.offsets
        )
        storage.write_arrays("build/late_fusion/outputs.npz", **outputs)
        storage.write_csv("reports/late_fusion/shares.csv", shares)
        storage.write_json("reports/late_fusion/metrics.json", weights)
        log.measured_on("build/late_fusion/weights.npz")
        log.wrote(f"weights text {pool.weights[0]:.2f}, image {pool.weights[1]:.2f}")


if __name__ == "__main__":
    main()
