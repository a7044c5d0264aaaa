"""Fuse the probabilities of the text ensemble and the image ensemble."""

from rakuten import stage_log, storage
from rakuten.data.examples import join
from rakuten.evaluation import mixtures
from rakuten.models import late_fusion


def main() -> None:
    """Read both ensembles' outputs, labels and parts; write the weights and the fused outputs."""
    settings = storage.read_params("late_fusion")
    with stage_log.stage("late_fusion") as log:
        text = storage.read_arrays("build/text_ensemble/outputs.npz")
        image = storage.read_arrays("build/image_ensemble/outputs.npz")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        present = text["present"] | image["present"]
        examples = join(products, parts, text["ids"], present, None)
        log.received(f"{(text['present'] & image['present']).sum():,} products with text and image")

        fitted, outputs = late_fusion.fit(text, image, examples, **settings)
        shares = mixtures.share_table(text, image, examples)
        text_weight, image_weight = fitted.weights.tolist()
        weights = {"text_weight": text_weight, "image_weight": image_weight}
        fitted.write("build/late_fusion")
        storage.write_arrays("build/late_fusion/outputs.npz", **outputs)
        storage.write_csv("reports/late_fusion/shares.csv", shares)
        storage.write_json("reports/late_fusion/metrics.json", weights)
        log.measured_on("build/late_fusion/weights.npz")
        log.wrote(f"weights text {text_weight:.2f}, image {image_weight:.2f}")


if __name__ == "__main__":
    main()
