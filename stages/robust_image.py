"""Measure the best image model and fusion on test pictures that are blurred, turned or grey."""

from functools import partial

from rakuten import backbones, determinism, ensembles, journal, products, robustness, storage
from rakuten import image_ensemble as images
from rakuten.examples import join
from rakuten.extraction import Settings
from rakuten.late_fusion import masked


def main() -> None:
    """Read pictures and models, perturb the pictures of test products; write what that costs."""
    seed, threads, section, best = storage.read_params("seed", "threads", "extract", "best_image")
    settings, chosen = Settings(**section), storage.read_params("robust_image")
    with journal.stage("robust_image") as log, storage.ImageArchive("data/images.zip") as archive:
        determinism.configure(seed=seed, threads=threads)
        weights = storage.read_arrays(f"build/resources/{settings.weights}")
        table = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        pooled = storage.read_arrays("build/extract/pooled.npz")
        facts = storage.read_table("build/extract/images.parquet")
        text = storage.read_arrays("build/best_text/outputs.npz")
        pool = ensembles.read_fusion("build/best_fusion")
        examples = join(table, parts, pooled["ids"], pooled["present"], None)
        rows = robustness.choose(examples, most=chosen["products"], seed=seed)
        log.received(f"{len(rows):,} test products with an image")

        names = products.image_names(table.iloc[rows])
        contents = [archive.read(f"image_train/{name}") for name in names]
        network = {"size": settings.size, "precision": settings.precision}
        compute = backbones.extractor(settings.backbone, weights, **network)
        see = partial(
            robustness.extract, compute=compute, settings=settings, progress=journal.progress
        )
        views = images.views(pooled, facts, examples.rows("train"))
        stored, groups = ensembles.read_image("build/best_image"), parts["group"].to_numpy()
        trained = robustness.image_trainings(
            stored, views, examples, groups, images.Settings(**best), seed=seed
        )
        models = robustness.image_models(trained, pool, contents, masked(text, rows), see)
        measured = robustness.table("image", examples.labels[rows], models, robustness.PICTURES)
        storage.write_csv("reports/robust_image/table.csv", measured)
        log.wrote(robustness.sentence(measured))


if __name__ == "__main__":
    main()
