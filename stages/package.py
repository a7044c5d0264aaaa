"""Collect the refitted ensembles and what they need at prediction in one folder."""

from rakuten import stage_log, storage
from rakuten.data.examples import join
from rakuten.image.extraction import Settings
from rakuten.serving import package, package_summary

ENSEMBLES = {"text": "text_ensemble", "image": "image_ensemble", "fusion": "late_fusion"}


def main() -> None:
    """Read models, networks and outputs; write the folder that the classifier opens."""
    threads, *sections = storage.read_params("threads", "extract", "encode", "text_ensemble")
    settings = dict(zip(("extract", "encode", "text_ensemble"), sections, strict=True))
    with stage_log.stage("package") as log:
        table = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        outputs = {
            modality: storage.read_arrays(f"build/{ensemble}/outputs.npz")
            for modality, ensemble in ENSEMBLES.items()
        }
        fusion = outputs["fusion"]
        examples = join(table, parts, fusion["ids"], fusion["present"], None)
        log.received(f"{len(ENSEMBLES)} models, {len(table):,} products")

        files = {
            "build/refit/text/terms.json": "text/terms.json",
            "build/refit/text/weights.npz": "text/weights.npz",
            "build/refit/image/weights.npz": "image/weights.npz",
            "build/late_fusion/weights.npz": "fusion/weights.npz",
        }
        weights = Settings(**settings["extract"]).weights
        files[f"build/resources/{weights}"] = "backbone.npz"
        if settings["encode"]["encoder"] != "none":
            files["build/resources/encoder/sentence_encoder.onnx"] = "encoder.onnx"
        for source, target in files.items():
            storage.copy(source, f"build/package/{target}")
        tested = package_summary.predictions(examples, fusion, parts["group"].to_numpy())
        storage.write_arrays("build/package/test.npz", **tested)
        dataset = storage.read_json("data/dataset.json") | {"digest": package.digest("data")}
        fitted_on = storage.read_json("reports/refit/metrics.json")
        facts = {"dataset": dataset, "fitted_on": fitted_on, "threads": threads}
        summary = package_summary.summarize(examples, outputs, **facts, settings=settings)
        storage.write_json("build/package/package.json", summary)
        log.wrote(f"{len(files)} files, models {summary['models']}")


if __name__ == "__main__":
    main()
