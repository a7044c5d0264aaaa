"""Audit the data behind the metrics: near-duplicates across parts, labels that look wrong."""

from rakuten import prefetch, stage_log, storage
from rakuten.data import products
from rakuten.evaluation import audit, inputs
from rakuten.evaluation.image_hash import hash_images
from rakuten.text import html

MODELS = ("text_ensemble", "image_ensemble", "late_fusion")


def main() -> None:
    """Read texts, images and the ensembles' outputs; write tables of product ids and a summary."""
    settings, threads = audit.Settings(**storage.read_params("audit")), prefetch.available_cpus()
    with stage_log.stage("audit") as log, storage.ImageArchive("data/images.zip") as archive:
        table = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        facts = storage.read_table("build/extract/images.parquet")
        outputs = {model: storage.read_arrays(f"build/{model}/outputs.npz") for model in MODELS}
        rows = audit.describe(table, parts, facts)
        scores = inputs.gather(rows["id"].to_numpy(), outputs, {})
        log.received(f"{len(rows):,} products, {rows['has_image'].sum():,} with image")

        names = [f"image_train/{name}" for name in products.image_names(table)]
        hashes = hash_images(archive.read, names, facts, threads=threads)
        texts = list(map(" ".join, zip(*html.plain_texts(table), strict=True)))
        tables, summary = audit.leakage(rows, texts, hashes, scores, settings, threads=threads)
        train = rows["part"].eq("train").to_numpy()
        ids, labels = (rows[name].to_numpy()[train] for name in ("id", "label"))
        found = audit.suspect_labels(ids, labels, scores["late_fusion"][train])
        tables |= dict(zip(("suspect_labels", "suspect_classes"), found, strict=True))
        for name, values in tables.items():
            storage.write_csv(f"reports/audit/tables/{name}.csv", values)
        counts = {"suspect_labels": len(tables["suspect_labels"])}
        storage.write_json("reports/audit/summary.json", summary | counts)
        log.wrote(audit.summary_line(summary["parts"]))


if __name__ == "__main__":
    main()
