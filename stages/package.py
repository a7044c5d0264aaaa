"""Put the best models and what they read with into one folder, ready to be handed on."""

from rakuten import journal, packaging, storage
from rakuten.examples import join
from rakuten.extraction import Settings


def main() -> None:
    """Read models, networks and figures; write the folder that the classifier opens."""
    threads, *sections = storage.read_params("threads", "extract", "encode", "best_text")
    settings = dict(zip(("extract", "encode", "best_text"), sections, strict=True))
    with journal.stage("package") as log:
        table = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        text = storage.read_arrays("build/best_text/outputs.npz")
        image = storage.read_arrays("build/best_image/outputs.npz")
        fusion = storage.read_arrays("build/best_fusion/outputs.npz")
        examples = join(table, parts, fusion["ids"], fusion["present"], None)
        outputs = {"text": text, "image": image, "fusion": fusion}
        log.received(f"models of {len(table):,} products")

        weights = f"build/resources/{Settings(**settings['extract']).weights}"
        files = {
            "build/best_text/terms.json": "text/terms.json",
            "build/best_text/weights.npz": "text/weights.npz",
            "build/best_image/weights.npz": "image/weights.npz",
            "build/best_fusion/weights.npz": "fusion/weights.npz",
            weights: "backbone.npz",
        }
        if settings["encode"]["encoder"] != "none":
            files["build/resources/encoder/sentence_encoder.onnx"] = "encoder.onnx"
        dataset = storage.read_json("data/dataset.json") | {"digest": packaging.digest("data")}
        summary = packaging.summarize(
            examples, outputs, dataset=dataset, threads=threads, settings=settings
        )
        for source, target in files.items():
            storage.copy(source, f"build/package/{target}")
        tested = packaging.predictions(examples, fusion)
        storage.write_arrays("build/package/test.npz", **tested)
        storage.write_json("build/package/package.json", summary)
        log.wrote(f"{len(files)} files, models {summary['models']}")


if __name__ == "__main__":
    main()
