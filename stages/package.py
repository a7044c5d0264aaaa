"""Collect the refitted ensembles, the study's nets and what prediction needs in one folder."""

from rakuten import model_names, stage_log, storage
from rakuten.data import corrections
from rakuten.data.examples import join
from rakuten.serving import package, package_summary, packaging

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
        packaging.write_reference(table, parts, outputs)
        data = storage.read_json("data/dataset.json") | {"digest": package.digest("data")}
        facts = {
            "dataset": corrections.describe(data),
            "fitted_on": storage.read_json("reports/refit/metrics.json"),
            "threads": threads,
        }
        summary = package_summary.summarize(
            examples, outputs, **facts, settings=settings | networks
        )
        storage.write_json("build/package/package.json", summary)
        log.wrote(f"{files} files, models {', '.join(package.models(summary))}")


if __name__ == "__main__":
    main()
