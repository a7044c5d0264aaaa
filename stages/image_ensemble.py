"""Fit the image ensemble on the encoder's features and on frames, calibrated out of fold."""

from rakuten import stage_log, storage
from rakuten.data import splits
from rakuten.data.examples import join, out_of_fold_outputs
from rakuten.models import image_ensemble


def main() -> None:
    """Read features, labels and parts; write the ensemble and its outputs."""
    seed, section = storage.read_params("seed", "image_ensemble")
    settings = image_ensemble.Settings(**section)
    with stage_log.stage("image_ensemble") as log:
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        features = storage.read_arrays("build/encode_image/features.npz")
        examples = join(products, parts, features["ids"], features["present"], None)
        train, names = examples.rows("train"), ", ".join(features["views"])
        log.received(f"{len(train):,} train rows with an image, views {names}")

        labels, groups = examples.labels[train], parts["group"].to_numpy()[train]
        folds = splits.folds(labels, groups, count=settings.folds, seed=seed)
        views = image_ensemble.views(features, train)
        with log.timed("fit_seconds"):
            ensemble, out_of_fold = image_ensemble.fit(views, labels, folds, settings, seed=seed)
        outputs = out_of_fold_outputs(
            examples,
            out_of_fold,
            lambda rows: ensemble.probabilities(image_ensemble.views(features, rows)),
        )
        ensemble.write("build/image_ensemble")
        storage.write_arrays("build/image_ensemble/outputs.npz", **outputs)
        storage.write_json("reports/image_ensemble/metrics.json", ensemble.summary())
        log.measured_on("build/image_ensemble/weights.npz")
        log.wrote(f"{ensemble.summary()['landmarks']:,} landmarks")


if __name__ == "__main__":
    main()
