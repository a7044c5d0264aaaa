"""Measure the best text model and fusion on test texts with typos, capitals or cuts."""

import os
from dataclasses import replace
from functools import partial

from rakuten import stage_log, storage
from rakuten.data import splits
from rakuten.data.examples import join
from rakuten.evaluation import robustness
from rakuten.models import ensemble_files, late_fusion
from rakuten.models.text_ensemble import Settings, Texts, fit
from rakuten.text import encoder, html

NETWORK = "build/resources/encoder/sentence_encoder.onnx"


def main() -> None:
    """Read texts and models, perturb the texts of test products; write what that costs."""
    seed, encode, section = storage.read_params("seed", "encode", "text_ensemble")
    settings, chosen = Settings(**section), storage.read_params("robust_text")
    threads = os.cpu_count() or 1
    with stage_log.stage("robust_text") as log:
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        vectors = storage.read_arrays("build/encode/vectors.npz")
        image = storage.read_arrays("build/image_ensemble/outputs.npz")
        pool = ensemble_files.read_fusion("build/late_fusion")
        ids = vectors.pop("ids")
        examples = join(products, parts, ids, products["has_text"].to_numpy(), None)
        texts = Texts(ids, *html.plain_texts(products), vectors)
        rows = robustness.choose(examples, most=chosen["products"], seed=seed)
        log.received(f"{len(rows):,} test products with text")

        train = examples.rows("train")
        labels, groups = examples.labels[train], parts["group"].to_numpy()[train]
        folds = splits.folds(labels, groups, count=settings.folds, seed=seed)
        more = replace(settings, augmented_copies=chosen["augmented_copies"])
        trained = {
            "plain": ensemble_files.read_text("build/text_ensemble", settings),
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
