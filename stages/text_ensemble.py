"""Fit the text ensemble on terms and sentence vectors, calibrated out of fold."""

from rakuten import prefetch, stage_log, storage
from rakuten.data import splits
from rakuten.data.examples import out_of_fold_outputs
from rakuten.models import text_ensemble


def main() -> None:
    """Read texts, vectors, labels and parts; write the ensemble and its outputs."""
    seed, section = storage.read_params("seed", "text_ensemble")
    settings, threads = text_ensemble.Settings(**section), prefetch.available_cpus()
    with stage_log.stage("text_ensemble") as log:
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        vectors = storage.read_arrays("build/encode_text/vectors.npz")
        examples, texts = text_ensemble.join(products, parts, vectors)
        del products  # the fit takes gigabytes with 84,916 products
        train, fields = examples.rows("train"), ", ".join(texts.vectors) or "none"
        log.received(f"{len(train):,} train rows, sentence vectors: {fields}")
        labels, groups = examples.labels[train], parts["group"].to_numpy()[train]
        folds = splits.folds(labels, groups, count=settings.folds, seed=seed)
        with log.timed("fit_seconds"):
            ensemble, out_of_fold = text_ensemble.fit(
                texts.take(train), labels, folds, settings, seed=seed, threads=threads
            )
        outputs = out_of_fold_outputs(
            examples, out_of_fold, lambda rows: ensemble.probabilities(texts.take(rows))
        )
        ensemble.write("build/text_ensemble")
        storage.write_arrays("build/text_ensemble/outputs.npz", **outputs)
        storage.write_json("reports/text_ensemble/metrics.json", ensemble.summary())
        log.measured_on("build/text_ensemble/weights.npz")
        log.wrote("{terms:,} terms, {parameters:,} parameters".format(**ensemble.summary()))


if __name__ == "__main__":
    main()
