"""Evaluate the text ensemble and late fusion on perturbed test texts: typos, capitals, cuts."""

from functools import partial

from rakuten import prefetch, stage_log, storage
from rakuten.evaluation import robustness
from rakuten.evaluation.text_robustness import PERTURBATIONS, text_models, text_trainings
from rakuten.models import calibration, late_fusion, text_ensemble
from rakuten.text import encoder


def main() -> None:
    """Read texts and models, perturb the texts of test products; write a table of accuracies."""
    seed, encode, section = storage.read_params("seed", "encode_text", "text_ensemble")
    options, threads = storage.read_params("robust_text"), prefetch.available_cpus()
    with stage_log.stage("robust_text") as log:
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        vectors = storage.read_arrays("build/encode_text/vectors.npz")
        image = storage.read_arrays("build/image_ensemble/outputs.npz")
        stored = text_ensemble.read("build/text_ensemble", text_ensemble.Settings(**section))
        fusion = calibration.read("build/late_fusion")
        examples, texts = text_ensemble.join(products, parts, vectors)
        rows = robustness.choose(examples, "test", max_products=options["products"], seed=seed)
        log.received(f"{len(rows):,} test products with text")

        groups = parts["group"].to_numpy()
        limits = {"copies": options["augmented_copies"], "max_products": options["train_products"]}
        trained = text_trainings(
            stored, texts, examples, groups, **limits, seed=seed, threads=threads
        )
        encode_texts = partial(encoder.encode, encoder.find(encode["encoder"]), threads=threads)
        by_image = late_fusion.masked(image, examples, rows)
        models = text_models(trained, fusion, texts.take(rows), by_image, encode_texts, seed=seed)
        table = robustness.table("text", examples.labels[rows], models, PERTURBATIONS)
        storage.write_csv("reports/robust_text/table.csv", table)
        log.wrote(robustness.summary_line(table))


if __name__ == "__main__":
    main()
