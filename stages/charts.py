"""Draw the charts of the data and the models; write the tables that `dvc plots show` draws."""

from rakuten import stage_log, storage
from rakuten.model_names import STUDY
from rakuten.reports import data_charts, model_charts, plot_tables, report_tables
from rakuten.tracking import runs


def main() -> None:
    """Read tables and training histories; write charts and complete the MLflow runs."""
    with stage_log.stage("charts") as log:
        data = storage.read_json("reports/clean.json")["dataset"]["name"]
        parts = storage.read_json("reports/split.json")["parts"]
        explored = report_tables.read_tables("reports/explore/tables")
        evaluated = report_tables.read_tables("reports/evaluate/tables")
        metrics = storage.read_json("reports/evaluate/models.json")
        histories = {net: storage.read_csv(f"reports/{net}/history.csv") for net in STUDY}
        log.received(f"{len(explored) + len(evaluated)} tables, {len(histories)} histories")

        charts = data_charts.draw(explored, data)
        charts |= model_charts.draw(evaluated, histories, data)
        for name, figure in charts.items():
            storage.write_figure(f"reports/charts/{name}.png", figure)
        tables = plot_tables.tables(evaluated, metrics, histories, data=data, parts=parts)
        for name, table in tables.items():
            storage.write_csv(f"reports/charts/tables/{name}.csv", table)
        runs.publish_workspace("charts")
        log.wrote(f"{len(charts)} charts and {len(tables)} tables in reports/charts")


if __name__ == "__main__":
    main()
