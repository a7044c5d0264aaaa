"""Evaluate every model on every part, and on test in detail."""

from rakuten import stage_log, storage
from rakuten.evaluation import inputs, tables
from rakuten.model_names import BY_STAGE

MODALITIES = ("text", "image", "fusion")
REPORTS = "reports/evaluate"


def main() -> None:
    """Read the models' outputs; write metrics and tables."""
    with stage_log.stage("evaluate") as log:
        seed, settings = storage.read_params("seed", "evaluate")
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        outputs = {
            model: storage.read_arrays(f"build/{stage}/outputs.npz")
            for stage, model in BY_STAGE.items()
        }
        baselines = {m: storage.read_arrays(f"build/{m}/baselines.npz") for m in MODALITIES}
        scores = inputs.gather(products["id"].to_numpy(), outputs, baselines)
        rows = inputs.describe(products, parts, baselines["image"]["present"])
        log.received(f"{len(rows):,} products, {len(scores)} models")

        metrics = tables.measure_parts(rows, scores)
        rows, scores = inputs.select(rows, scores, "test")
        tested = tables.tables(metrics, rows, scores, seed=seed, **settings)
        storage.write_json(f"{REPORTS}/metrics.json", tables.validation_metrics(metrics))
        storage.write_json(f"{REPORTS}/models.json", metrics)
        for name, table in tested.items():
            storage.write_csv(f"{REPORTS}/tables/{name}.csv", table)
        log.wrote(tables.summary_line(metrics))


if __name__ == "__main__":
    main()
