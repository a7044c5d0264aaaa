"""Collect the ensembles and what they need at prediction in one folder."""

from rakuten import stage_log, storage
from rakuten.data.examples import join
from rakuten.image.extraction import Settings
from rakuten.serving import package, package_summary


def main() -> None:
    """Read models, networks and metrics; write the folder that the classifier opens."""
    threads, *sections = storage.read_params("threads", "extract", "encode", "text_ensemble")
    settings = dict(zip(("extract", "encode", "text_ensemble"), sections, strict=True))
    with stage_log.stage("package") as log:
        table = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        text = storage.read_arrays("build/text_ensemble/outputs.npz")
        image = storage.read_arrays("build/image_ensemble/outputs.npz")
        fusion = storage.read_arrays("build/late_fusion/outputs.npz")
        examples = join(table, parts, fusion["ids"], fusion["present"], None)
        outputs = {"text": text, "image": image, "fusion": fusion}
        log.received(f"models of {len(table):,} products")

        weights = f"build/resources/{Settings(**settings['extract']).weights}"
        files = {
            "build/text_ensemble/terms.json": "text/terms.json",
            "build/text_ensemble/weights.npz": "text/weights.npz",
            "build/image_ensemble/weights.npz": "image/weights.npz",
            "build/late_fusion/weights.npz": "fusion/weights.npz",
            weights: "backbone.npz",
        }
        if settings["encode"]["encoder"] != "none":
            files["build/resources/encoder/sentence_encoder.onnx"] = "encoder.onnx"
        dataset = storage.read_json("data/dataset.json") | {"digest": package.digest("data")}
        summary = package_summary.summarize(
            examples, outputs, dataset=dataset, threads=threads, settings=settings
        )
        for source, target in files.items():
            storage.copy(source, f"build/package/{target}")
        tested = package_summary.predictions(examples, fusion)
        storage.write_arrays("build/package/test.npz", **tested)
        storage.write_json("build/package/package.json", summary)
        log.wrote(f"{len(files)} files, models {summary['models']}")


if __name__ == "__main__":
    main()
