"""Measure every model on every part, and on test in detail: tables and figures."""

from rakuten import stage_log, storage
from rakuten.evaluation import metrics as evaluation
from rakuten.model_names import STUDY
from rakuten.reports import charts
from rakuten.tracking import results, runs

MODALITIES = ("text", "image")
REPORTS = "reports/evaluate"


def main() -> None:
    """Read what the models said of the products; write metrics, tables and pictures.

    What the best models said of train rows is out of fold, so their train figures are of rows that
    a model had not seen; those of the study's nets and of the baselines are of rows they fitted.
    """
    with stage_log.stage("evaluate") as log:
        seed, settings = storage.read_params("seed", "evaluate")
        data = storage.read_json("reports/clean.json")["dataset"]["name"]
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        outputs = {
            model: storage.read_arrays(f"build/{stage}/outputs.npz")
            for stage, model in results.MODELS.items()
        }
        histories = {net: storage.read_csv(f"reports/{net}/history.csv") for net in STUDY}
        others = {m: storage.read_arrays(f"build/{m}/baselines.npz") for m in MODALITIES}
        scores = evaluation.gather(products["id"].to_numpy(), outputs, others)
        rows = evaluation.describe(products, parts, others["image"]["present"])
        log.received(f"{len(rows):,} products, {len(scores)} models")

        metrics = evaluation.measure_parts(rows, scores)
        rows, scores = evaluation.select(rows, scores, "test")
        tables = evaluation.tables(metrics, rows, scores, seed=seed, **settings)
        labels = rows["label"].to_numpy()
        counts = {model: evaluation.confusion(labels, scores[model]) for model in outputs}
        pictures = charts.model_pictures(tables, counts, histories, data)
        storage.write_json(f"{REPORTS}/metrics.json", evaluation.headline(metrics))
        storage.write_json(f"{REPORTS}/models.json", metrics)
        for name, table in tables.items():
            storage.write_csv(f"{REPORTS}/tables/{name}.csv", table)
        for name, picture in pictures.items():
            storage.write_figure(f"{REPORTS}/pictures/{name}.png", picture)
        runs.publish_workspace("evaluate")
        log.wrote(evaluation.sentence(metrics))


if __name__ == "__main__":
    main()
