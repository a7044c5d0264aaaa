"""Fit the best light text classifier: terms and sentence vectors, calibrated out of fold."""

import os

from rakuten import stage_log, storage
from rakuten.data import splits
from rakuten.data.examples import join, out_of_fold_outputs
from rakuten.models import ensemble_files
from rakuten.models.text_ensemble import Settings, Texts, fit
from rakuten.text import html


def main() -> None:
    """Read texts, vectors, labels and parts; write the classifier and what it says of products."""
    seed, section = storage.read_params("seed", "text_ensemble")
    settings = Settings(**section)
    with stage_log.stage("text_ensemble") as log:
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        vectors = storage.read_arrays("build/encode/vectors.npz")
        ids = vectors.pop("ids")
        examples = join(products, parts, ids, products["has_text"].to_numpy(), None)
        texts = Texts(ids, *html.plain_texts(products), vectors)
        train = examples.rows("train")
        folds = splits.folds(
            examples.labels[train], parts["group"].to_numpy()[train],
            count=settings.folds, seed=seed,
        )  # fmt: skip
        log.received(f"{len(train):,} train rows, {len(vectors)} kinds of sentence vectors")

        with log.timed("fit_seconds"):
            ensemble, left_out = fit(
                texts.take(train), examples.labels[train], folds, settings,
                seed=seed, threads=os.cpu_count() or 1,
            )  # fmt: skip
        outputs = out_of_fold_outputs(
            examples, left_out, lambda rows: ensemble.probabilities(texts.take(rows))
        )
        ensemble_files.write_text("build/text_ensemble", ensemble)
        storage.write_arrays("build/text_ensemble/outputs.npz", **outputs)
        report = ensemble.summary()
        storage.write_json("reports/text_ensemble/metrics.json", report)
        log.measured_on("build/text_ensemble/weights.npz")
        log.wrote(f"{report['terms']:,} terms, {report['landmarks']:,} landmarks")


if __name__ == "__main__":
    main()
