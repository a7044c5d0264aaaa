"""Look for what flatters or spoils the figures: near-duplicates across parts, wrong labels."""

import os

from rakuten import stage_log, storage
from rakuten.data import products
from rakuten.evaluation import audit
from rakuten.text import html

MODELS = ("text_ensemble", "image_ensemble", "late_fusion")


def main() -> None:
    """Read texts, pictures and what the best models say; write tables of ids and a summary."""
    settings, threads = storage.read_params("audit"), os.cpu_count() or 1
    with stage_log.stage("audit") as log, storage.ImageArchive("data/images.zip") as archive:
        table = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        facts = storage.read_table("build/extract/images.parquet")
        outputs = {model: storage.read_arrays(f"build/{model}/outputs.npz") for model in MODELS}
        rows = audit.describe(table, parts, facts)
        log.received(f"{len(rows):,} products, {rows['has_image'].sum():,} with image")

        names = [f"image_train/{name}" for name in products.image_names(table)]
        hashes = audit.hash_pictures(
            archive.read, names, facts, threads=threads, progress=stage_log.progress
        )
        texts = list(map(" ".join, zip(*html.plain_texts(table), strict=True)))
        judged = audit.judge(rows["id"].to_numpy(), rows["label"].to_numpy(), outputs)
        tables, summary = audit.leakage(
            rows, texts, hashes, judged, threads=threads, progress=stage_log.progress, **settings
        )
        train = rows["part"].eq("train").to_numpy()
        tables["suspect_labels"], tables["suspect_classes"] = audit.suspect_labels(
            rows["id"].to_numpy()[train],
            rows["label"].to_numpy()[train],
            judged["late_fusion"][0][train],
        )
        summary["suspect_labels"] = len(tables["suspect_labels"])
        for name, values in tables.items():
            storage.write_csv(f"reports/audit/tables/{name}.csv", values)
        storage.write_json("reports/audit/summary.json", summary)
        log.wrote(audit.sentence(summary["parts"]))


if __name__ == "__main__":
    main()
