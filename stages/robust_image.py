"""Measure the best image model and fusion on test pictures that are blurred, turned or grey."""

from functools import partial

from rakuten import determinism, stage_log, storage
from rakuten.data import products
from rakuten.data.examples import join
from rakuten.evaluation import robustness
from rakuten.image import backbones
from rakuten.image.extraction import Settings
from rakuten.models import ensemble_files
from rakuten.models import image_ensemble as images
from rakuten.models.late_fusion import masked


def main() -> None:
    """Read pictures and models, perturb the pictures of test products; write what that costs."""
    seed, threads, section, best = storage.read_params(
        "seed", "threads", "extract", "image_ensemble"
    )
    settings, chosen = Settings(**section), storage.read_params("robust_image")
    with stage_log.stage("robust_image") as log, storage.ImageArchive("data/images.zip") as archive:
        determinism.configure(seed=seed, threads=threads)
        weights = storage.read_arrays(f"build/resources/{settings.weights}")
        table = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        pooled = storage.read_arrays("build/extract/pooled.npz")
        facts = storage.read_table("build/extract/images.parquet")
        text = storage.read_arrays("build/text_ensemble/outputs.npz")
        pool = ensemble_files.read_fusion("build/late_fusion")
        examples = join(table, parts, pooled["ids"], pooled["present"], None)
        rows = robustness.choose(examples, most=chosen["products"], seed=seed)
        log.received(f"{len(rows):,} test products with an image")

        names = products.image_names(table.iloc[rows])
        contents = [archive.read(f"image_train/{name}") for name in names]
        network = {"size": settings.size, "precision": settings.precision}
        compute = backbones.extractor(settings.backbone, weights, **network)
        see = partial(
            robustness.extract, compute=compute, settings=settings, progress=stage_log.progress
        )
        views = images.views(pooled, facts, examples.rows("train"))
        stored, groups = (
            ensemble_files.read_image("build/image_ensemble"),
            parts["group"].to_numpy(),
        )
        trained = robustness.image_trainings(
            stored, views, examples, groups, images.Settings(**best), seed=seed
        )
        models = robustness.image_models(trained, pool, contents, masked(text, rows), see)
        measured = robustness.table("image", examples.labels[rows], models, robustness.PICTURES)
        storage.write_csv("reports/robust_image/table.csv", measured)
        log.wrote(robustness.sentence(measured))


if __name__ == "__main__":
    main()
