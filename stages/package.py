"""Collect the refitted ensembles, the study's nets and what prediction needs in one folder."""

from rakuten import model_names, stage_log, storage
from rakuten.data import corrections
from rakuten.data.examples import join
from rakuten.serving import drift_reference, package, package_summary, packaging

SECTIONS = ("encode_text", "encode_image", "text_ensemble", "clean", "vectorize", "extract")


def main() -> None:
    """Read models, networks and outputs; write the folder that the classifier opens."""
    threads, *values = storage.read_params(
        "threads", "encode_text", "encode_image", "text_ensemble", "clean", "vectorize", "extract"
    )
    settings = dict(zip(SECTIONS, values, strict=True))
    with stage_log.stage("package") as log:
        table = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        outputs = {
            name: storage.read_arrays(f"build/{name}/outputs.npz") for name in model_names.MAIN
        }
        default = outputs[package.DEFAULT_MODEL]
        examples = join(table, parts, default["ids"], default["present"], None)
        log.received(f"{len(outputs)} models, {len(table):,} products")

        files = packaging.copy_models()
        networks = packaging.write_networks(settings)
        tested = package_summary.predictions(examples, default, parts["group"].to_numpy())
        storage.write_arrays("build/package/test.npz", **tested)
        images = storage.read_table("build/extract/images.parquet")
        terms = storage.read_json("build/vectorize/vocabulary.json")
        reference = drift_reference.build(table, parts, images, outputs, terms)
        storage.write_table("build/package/reference.parquet", reference)
        data = storage.read_json("data/dataset.json") | {"digest": package.digest("data")}
        fitted_on = storage.read_json("reports/refit/metrics.json")
        dataset = corrections.describe(data)
        facts = {"dataset": dataset, "fitted_on": fitted_on, "threads": threads}
        summary = package_summary.summarize(
            examples, outputs, **facts, settings=settings | networks
        )
        storage.write_json("build/package/package.json", summary)
        log.wrote(f"{files} files, models {', '.join(package.models(summary))}")


if __name__ == "__main__":
    main()
