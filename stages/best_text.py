"""Fit the best light text classifier: terms and sentence vectors, calibrated out of fold."""

import os

from rakuten import ensembles, journal, markup, splits, storage
from rakuten.examples import join, out_of_fold_outputs
from rakuten.text_ensemble import Settings, Texts, fit


def main() -> None:
    """Read texts, vectors, labels and parts; write the classifier and what it says of products."""
    seed, section = storage.read_params("seed", "best_text")
    settings = Settings(**section)
    with journal.stage("best_text") as log:
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        vectors = storage.read_arrays("build/encode/vectors.npz")
        ids = vectors.pop("ids")
        examples = join(products, parts, ids, products["has_text"].to_numpy(), None)
        texts = Texts(ids, *markup.plain_texts(products), vectors)
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
        ensembles.write_text("build/best_text", ensemble)
        storage.write_arrays("build/best_text/outputs.npz", **outputs)
        report = ensemble.summary()
        storage.write_json("reports/best_text/metrics.json", report)
        log.measured_on("build/best_text/weights.npz")
        log.wrote(f"{report['terms']:,} terms, {report['landmarks']:,} landmarks")


if __name__ == "__main__":
    main()
