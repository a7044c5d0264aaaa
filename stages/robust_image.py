"""Measure the image ensemble and late fusion on perturbed test images: blurred, rotated, grey."""

from functools import partial

from rakuten import determinism, stage_log, storage
from rakuten.data import products
from rakuten.data.examples import join
from rakuten.evaluation import image_robustness, robustness
from rakuten.image import backbones, extraction
from rakuten.models import calibration, image_ensemble, late_fusion


def main() -> None:
    """Read images and models, perturb the images of test products; write a table of accuracies."""
    seed, threads, section = storage.read_params("seed", "threads", "extract")
    fitting, options = storage.read_params("image_ensemble", "robust_image")
    settings, fit_settings = extraction.Settings(**section), image_ensemble.Settings(**fitting)
    with stage_log.stage("robust_image") as log, storage.ImageArchive("data/images.zip") as archive:
        determinism.configure(seed=seed, threads=threads)
        weights = storage.read_arrays(f"build/resources/{settings.weights}")
        table = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        pooled = storage.read_arrays("build/extract/pooled.npz")
        facts = storage.read_table("build/extract/images.parquet")
        text = storage.read_arrays("build/text_ensemble/outputs.npz")
        stored = image_ensemble.read("build/image_ensemble")
        fusion = calibration.read("build/late_fusion")
        examples = join(table, parts, pooled["ids"], pooled["present"], None)
        rows = robustness.choose(examples, max_products=options["products"], seed=seed)
        log.received(f"{len(rows):,} test products with an image")

        names = products.image_names(table.iloc[rows])
        contents = [archive.read(f"image_train/{name}") for name in names]
        views = image_ensemble.views(pooled, facts, examples.rows("train"))
        trained = image_robustness.image_trainings(
            stored, views, examples, parts["group"].to_numpy(), fit_settings, seed=seed
        )
        size, precision = settings.size, settings.precision
        compute = backbones.extractor(settings.backbone, weights, size=size, precision=precision)
        extract = partial(image_robustness.extract, compute=compute, settings=settings)
        by_text, labels = late_fusion.masked(text, rows), examples.labels[rows]
        models = image_robustness.image_models(trained, fusion, contents, by_text, extract)
        measured = robustness.table("image", labels, models, image_robustness.PERTURBATIONS)
        storage.write_csv("reports/robust_image/table.csv", measured)
        log.wrote(robustness.summary_line(measured))


if __name__ == "__main__":
    main()
