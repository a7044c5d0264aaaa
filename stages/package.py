"""Collect the ensembles and what they need at prediction in one folder."""

from rakuten import stage_log, storage
from rakuten.data.examples import join
from rakuten.image import encoder as image_encoder
from rakuten.serving import package, package_summary
from rakuten.text import encoder as text_encoder

ENSEMBLES = {"text": "text_ensemble", "image": "image_ensemble", "fusion": "late_fusion"}


def main() -> None:
    """Read models, networks and outputs; write the folder that the classifier opens."""
    threads, *sections = storage.read_params(
        "threads", "encode_text", "encode_image", "text_ensemble"
    )
    settings = dict(zip(("encode_text", "encode_image", "text_ensemble"), sections, strict=True))
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
            f"build/{ensemble}/weights.npz": f"{modality}/weights.npz"
            for modality, ensemble in ENSEMBLES.items()
        }
        files["build/text_ensemble/terms.json"] = "text/terms.json"
        encoders = {
            "text": text_encoder.find(settings["encode_text"]["encoder"]),
            "image": image_encoder.find(settings["encode_image"]["encoder"]),
        }
        for modality, found in encoders.items():
            settings[f"{modality}_encoder"] = found and found[1].to_json()
            if found:
                files[str(found[0])] = f"{modality}/encoder.onnx"
        for source, target in files.items():
            storage.copy(source, f"build/package/{target}")
        tested = package_summary.predictions(examples, fusion)
        storage.write_arrays("build/package/test.npz", **tested)
        dataset = storage.read_json("data/dataset.json") | {"digest": package.digest("data")}
        summary = package_summary.summarize(
            examples, outputs, dataset=dataset, threads=threads, settings=settings
        )
        storage.write_json("build/package/package.json", summary)
        log.wrote(f"{len(files)} files, models {summary['models']}")


if __name__ == "__main__":
    main()
