"""Collect the refitted ensembles and what they need at prediction in one folder."""

from rakuten import stage_log, storage
from rakuten.data.examples import join
from rakuten.image import encoder as image_encoder
from rakuten.serving import package, package_summary
from rakuten.text import encoder as text_encoder

ENSEMBLES = {"text": "text_ensemble", "image": "image_ensemble", "fusion": "late_fusion"}


def main() -> None:
    """Read models, networks and outputs; write the folder that the classifier opens."""
    text, image = storage.read_params("encode_text", "encode_image")
    threads, ensemble = storage.read_params("threads", "text_ensemble")
    settings = {"encode_text": text, "encode_image": image, "text_ensemble": ensemble}
    with stage_log.stage("package") as log:
        table = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        paths = {name: f"build/{stage}/outputs.npz" for name, stage in ENSEMBLES.items()}
        outputs = {name: storage.read_arrays(path) for name, path in paths.items()}
        fusion = outputs["fusion"]
        examples = join(table, parts, fusion["ids"], fusion["present"], None)
        log.received(f"{len(ENSEMBLES)} models, {len(table):,} products")

        files = {
            "build/refit/text/terms.json": "text/terms.json",
            "build/refit/text/weights.npz": "text/weights.npz",
            "build/refit/image/weights.npz": "image/weights.npz",
            "build/late_fusion/weights.npz": "fusion/weights.npz",
        }
        encoders = text_encoder.find(text["encoder"]), image_encoder.read()
        for modality, found in zip(("text", "image"), encoders, strict=True):
            settings[f"{modality}_encoder"] = found and found[1].to_json()
            if found:
                files[str(found[0])] = f"{modality}/encoder.onnx"
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
