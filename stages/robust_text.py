"""Measure the text ensemble and late fusion on perturbed test texts: typos, capitals, cuts."""

from dataclasses import replace
from functools import partial

from rakuten import prefetch, stage_log, storage
from rakuten.data.examples import join
from rakuten.evaluation import robustness
from rakuten.evaluation.text_robustness import PERTURBATIONS, text_models, text_trainings
from rakuten.models import calibration, late_fusion, text_ensemble
from rakuten.text import encoder, html


def main() -> None:
    """Read texts and models, perturb the texts of test products; write a table of accuracies."""
    seed, encode, section = storage.read_params("seed", "encode_text", "text_ensemble")
    options, threads = storage.read_params("robust_text"), prefetch.available_cpus()
    settings = text_ensemble.Settings(**section)
    augmented = replace(settings, augmented_copies=options["augmented_copies"])
    with stage_log.stage("robust_text") as log:
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        vectors = storage.read_arrays("build/encode_text/vectors.npz")
        image = storage.read_arrays("build/image_ensemble/outputs.npz")
        stored = text_ensemble.read("build/text_ensemble", settings)
        fusion = calibration.read("build/late_fusion")
        has_text, groups = products["has_text"].to_numpy(), parts["group"].to_numpy()
        examples = join(products, parts, vectors.pop("ids"), has_text, None)
        texts = text_ensemble.Texts(examples.ids, *html.plain_texts(products), vectors)
        rows = robustness.choose(examples, max_products=options["products"], seed=seed)
        log.received(f"{len(rows):,} test products with text")

        trained = text_trainings(
            stored, texts, examples, groups, augmented, seed=seed, threads=threads
        )
        encode_texts = partial(encoder.encode, encoder.find(encode["encoder"]), threads=threads)
        by_image = late_fusion.masked(image, examples, rows)
        models = text_models(trained, fusion, texts.take(rows), by_image, encode_texts, seed=seed)
        table = robustness.table("text", examples.labels[rows], models, PERTURBATIONS)
        storage.write_csv("reports/robust_text/table.csv", table)
        log.wrote(robustness.summary_line(table))


if __name__ == "__main__":
    main()
