"""Measure the best text model and fusion on test texts with typos, capitals or cuts."""

import os
from dataclasses import replace
from functools import partial

from rakuten import encoder, ensembles, journal, late_fusion, markup, robustness, splits, storage
from rakuten.examples import join
from rakuten.text_ensemble import Settings, Texts, fit

NETWORK = "build/resources/encoder/sentence_encoder.onnx"


def main() -> None:
    """Read texts and models, perturb the texts of test products; write what that costs."""
    seed, encode, section = storage.read_params("seed", "encode", "best_text")
    settings, chosen = Settings(**section), storage.read_params("robust_text")
    threads = os.cpu_count() or 1
    with journal.stage("robust_text") as log:
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        vectors = storage.read_arrays("build/encode/vectors.npz")
        image = storage.read_arrays("build/best_image/outputs.npz")
        pool = ensembles.read_fusion("build/best_fusion")
        ids = vectors.pop("ids")
        examples = join(products, parts, ids, products["has_text"].to_numpy(), None)
        texts = Texts(ids, *markup.plain_texts(products), vectors)
        rows = robustness.choose(examples, most=chosen["products"], seed=seed)
        log.received(f"{len(rows):,} test products with text")

        train = examples.rows("train")
        labels, groups = examples.labels[train], parts["group"].to_numpy()[train]
        folds = splits.folds(labels, groups, count=settings.folds, seed=seed)
        more = replace(settings, augmented_copies=chosen["augmented_copies"])
        trained = {
            "plain": ensembles.read_text("build/best_text", settings),
            "augmented": fit(texts.take(train), labels, folds, more, seed=seed, threads=threads)[0],
        }
        models = robustness.text_models(
            trained, pool, texts.take(rows), late_fusion.masked(image, rows),
            partial(encoder.encode, NETWORK, threads=threads, **encode), seed=seed,
        )  # fmt: skip
        table = robustness.table("text", examples.labels[rows], models, robustness.TEXTS)
        storage.write_csv("reports/robust_text/table.csv", table)
        log.wrote(robustness.sentence(table))


if __name__ == "__main__":
    main()
