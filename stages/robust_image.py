"""Evaluate the image ensemble and late fusion on perturbed test images: blurred, rotated, grey."""

from rakuten import prefetch, stage_log, storage
from rakuten.data import products
from rakuten.data.examples import join
from rakuten.evaluation import image_robustness, robustness
from rakuten.models import calibration, image_ensemble, late_fusion


def main() -> None:
    """Read images and models, perturb the images of test products; write a table of accuracies."""
    seed, section, options = storage.read_params("seed", "encode_image", "robust_image")
    settings = image_ensemble.Settings(**storage.read_params("image_ensemble"))
    with stage_log.stage("robust_image") as log, storage.ImageArchive("data/images.zip") as archive:
        table = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        features = storage.read_arrays("build/encode_image/features.npz")
        text = storage.read_arrays("build/text_ensemble/outputs.npz")
        stored = image_ensemble.read("build/image_ensemble")
        fusion = calibration.read("build/late_fusion")
        examples = join(table, parts, features["ids"], features["present"], None)
        rows = robustness.choose(examples, "test", max_products=options["products"], seed=seed)
        log.received(f"{len(rows):,} test products with an image")

        names = products.image_names(table.iloc[rows])
        contents = [archive.read(f"image_train/{name}") for name in names]
        encode = image_robustness.open_encoder(section, threads=prefetch.available_cpus())
        views, groups = image_ensemble.views(features, examples.rows("train")), parts["group"]
        trained = image_robustness.image_trainings(
            stored, views, section["views"], examples, groups.to_numpy(), settings, seed=seed
        )
        by_text, labels = late_fusion.masked(text, examples, rows), examples.labels[rows]
        models = image_robustness.image_models(trained, fusion, contents, by_text, encode)
        measured = robustness.table("image", labels, models, image_robustness.PERTURBATIONS)
        storage.write_csv("reports/robust_image/table.csv", measured)
        log.wrote(robustness.summary_line(measured))


if __name__ == "__main__":
    main()
