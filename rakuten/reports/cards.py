"""Write the model card and the data card from `reports/`: templates filled with prepared figures.

Every figure comes from a report, so the cards are valid for imported files as well as for the
sample. The text is in `templates/*.md.j2`.
"""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rakuten import storage
from rakuten.categories import NUM_CATEGORIES, SIZES
from rakuten.category_names import category, group
from rakuten.data import products, resources
from rakuten.evaluation.published import PUBLISHED, TEST_ROWS, recall_table
from rakuten.evaluation.robustness import NONE
from rakuten.model_names import BY_NAME, BY_STAGE, ENSEMBLES, MAIN, named, title
from rakuten.reports import formats, readme, rendering
from rakuten.reports.report_tables import read_table
from rakuten.sample.dataset import is_sample

MODEL_CARD, DATA_CARD = "docs/model_card.md", "docs/data_card.md"

VALUES = (
    *("clean", "split", "explore/summary", "evaluate/models", "audit/summary"),
    "refit/metrics",
)
"""The JSON reports that the cards read."""

TABLES = (
    "explore/tables/balance",
    "explore/tables/languages",
    "explore/tables/lengths",
    "explore/tables/markup",
    "explore/tables/missing",
    "evaluate/tables/calibration",
    "evaluate/tables/categories",
    "evaluate/tables/comparison",
    "evaluate/tables/confusion",
    "evaluate/tables/groups",
    "evaluate/tables/intervals",
    "evaluate/tables/slices",
    "audit/tables/leakage",
    "audit/tables/suspect_classes",
    "robust_text/table",
    "robust_image/table",
)
"""The CSV reports that the cards read."""

PACKAGED = named("ensemble", "fusion")
"""The model that `build/package` predicts with and that the detailed sections describe."""

FEW = 10
"""A category with fewer test products gets a warning: its figures are unreliable."""

CONFUSIONS, LANGUAGES, WORST = 5, 4, 3
"""Number of lines for the most frequent confusions, languages and worst categories."""

SLICES = {
    "fr": "French",
    "en": "English",
    "other": "other language",
    "none": "no text",
    "given": "with description",
    "missing": "without description",
    "both": "text and image",
}
"""Names of slices; other slices keep their own."""

COLUMNS = {
    "id": "index of the challenge's files, used to match products",
    "designation": "title",
    "description": "optional, often HTML",
    "productid": "part of the image's file name",
    "imageid": "part of the image's file name",
    "prdtypecode": "category, from `Y_train.csv`",
    "label": "class index: position of the code among the codes in ascending order",
}
"""What each column of the product table is."""


@dataclass(frozen=True)
class Reports:
    """The reports that the cards are written from.

    Attributes:
        values: `VALUES` by name.
        tables: `TABLES` by name.
        params: `params.yaml`.
        stages: By model with a stage of its own: its `name`, and `parameters`, the number of
            trained parameters or None.
        resources: Licence and output of the downloads that these parameters use, by name.
        tracked: The entry of `data.dvc`: md5, size in bytes, nfiles.
    """

    values: dict[str, dict]
    tables: dict[str, pd.DataFrame]
    params: dict
    stages: dict[str, dict]
    resources: dict[str, dict]
    tracked: dict


def read(root: str | Path = ".") -> Reports:
    """Read the reports of a repository in which `dvc repro` has run."""
    root = Path(root)
    params = storage.read_yaml(root / "params.yaml")
    pinned = resources.read_table(root / resources.TABLE)
    used = resources.choose(
        pinned,
        backbone=params["extract"]["backbone"],
        text_encoder=params["encode_text"]["encoder"],
        image_encoder=params["encode_image"]["encoder"],
    )
    return Reports(
        values={name: storage.read_json(root / f"reports/{name}.json") for name in VALUES},
        tables={name: read_table(root / f"reports/{name}.csv") for name in TABLES},
        params=params,
        stages={
            model: {
                "name": stage,
                "parameters": _num_parameters(root / f"reports/{stage}/metrics.json"),
            }
            for stage, model in BY_STAGE.items()
        },
        resources={name: pinned[name] for name in used},
        tracked=storage.read_yaml(root / "data.dvc")["outs"][0],
    )


def _num_parameters(path: Path) -> int | None:
    """Read the number of parameters of a model, None if its stage does not report it."""
    return storage.read_json(path).get("parameters") if path.exists() else None


def model_card(reports: Reports) -> str:
    """Render the model card: Markdown, ended by a line end."""
    evaluated = {
        name.rpartition("/")[2]: table
        for name, table in reports.tables.items()
        if name.startswith("evaluate/")
    }
    comparison = evaluated["comparison"]
    measured = reports.values["evaluate/models"]
    return _render(
        "model_card.md.j2",
        reports,
        titles={model: title(model) for model in comparison["model"]},
        packaged=PACKAGED,
        stages=reports.stages,
        baselines=comparison.loc[comparison["baseline"], "title"].tolist(),
        evaluation=reports.params["evaluate"],
        results=_results(comparison, evaluated["intervals"]),
        published=[
            (title(model), part, figures["accuracy"], measured[model][part]["accuracy"])
            for model, parts in PUBLISHED.items()
            for part, figures in parts.items()
        ],
        recall=_recall(evaluated["categories"]),
        published_rows=TEST_ROWS,
        differences=readme.differences(evaluated["intervals"]),
        parts=_records(comparison[comparison["model"].isin(MAIN)]),
        measured=measured,
        overconfidence=_overconfidence(evaluated["calibration"]),
        ensembles=[model for model in ENSEMBLES if comparison["model"].eq(model).any()],
        slices=_slices(evaluated["slices"]),
        categories=_category_rows(evaluated["categories"]),
        few=FEW,
        confusions=_confusions(evaluated["confusion"]),
        groups=_records(evaluated["groups"][evaluated["groups"]["model"].eq(PACKAGED)]),
        robustness={
            modality: _robustness(reports.tables[f"robust_{modality}/table"])
            for modality in ("text", "image")
        },
        unused=[
            BY_NAME[model].modality
            for model in ENSEMBLES
            if model != PACKAGED and not measured[model]["train"]["rows"]
        ],
        leakage=_leakage(reports.tables["audit/tables/leakage"]),
        suspects=reports.values["audit/summary"]["suspect_labels"],
        refit=reports.values["refit/metrics"],
        rows=reports.values["split"]["parts"],
        resources=reports.resources,
    )


def data_card(reports: Reports) -> str:
    """Render the data card: Markdown, ended by a line end."""
    explored = {
        name.rpartition("/")[2]: table
        for name, table in reports.tables.items()
        if name.startswith("explore/")
    }
    balance, languages = explored["balance"], explored["languages"]
    categories = balance.merge(explored["missing"].drop(columns=["name", "products"]), on="code")
    suspects = reports.tables["audit/tables/suspect_classes"]
    suspects = suspects[suspects["suspected"] > 0]
    suspects = suspects.sort_values(["share", "suspected"], ascending=False, kind="stable")
    return _render(
        "data_card.md.j2",
        reports,
        tracked=reports.tracked,
        challenge={"products": sum(SIZES.values()), "categories": NUM_CATEGORIES},
        columns=[(name, kind, COLUMNS[name]) for name, kind in products.DTYPES.items()],
        summary=reports.values["explore/summary"],
        categories=_records(categories),
        absent=[category(code, "en") for code in balance.loc[balance["products"].eq(0), "code"]],
        markup=_records(explored["markup"]),
        lengths=_records(explored["lengths"][explored["lengths"]["products"] > 0]),
        clean=reports.values["clean"],
        languages=_records(languages.head(LANGUAGES)),
        rare=languages.iloc[LANGUAGES:][["products", "share"]].sum().to_dict(),
        num_rare=len(languages.iloc[LANGUAGES:]),
        split=reports.values["split"],
        audit=reports.values["audit/summary"],
        suspects=_records(suspects.head(WORST)),
        params=reports.params,
    )


def _render(name: str, reports: Reports, **figures: object) -> str:
    """Fill a template; a name it misses is an error."""
    environment = rendering.environment(
        formats.percent, formats.points, formats.decimal, formats.count, formats.number_of,
        formats.listing, margin, category, group,
        escape=False,
    )  # fmt: skip
    data = reports.values["clean"]["dataset"]["name"]
    return environment.get_template(name).render(
        data=data,
        is_sample=is_sample(data),
        caveat=readme.caveat(data),
        data_line=readme.data_line(reports.values["clean"], reports.values["split"]).strip(),
        **figures,
    )


def margin(rows: int) -> str:
    """Format the largest 95 % margin of error of an accuracy on so many rows: `± 6.0` points."""
    return f"± {98 / np.sqrt(rows):.1f}" if rows else formats.NONE


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """List the rows as dictionaries by column name."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def _results(comparison: pd.DataFrame, intervals: pd.DataFrame) -> list[dict]:
    """Format each model's test metrics with their intervals."""
    own = intervals[intervals["minus"].eq("")]
    bounds = {(row["model"], row["metric"]): (row["low"], row["high"]) for row in _records(own)}

    def cell(model: str, metric: str, value: float, scale: int, digits: int) -> str:
        shown = formats.decimal(scale * value, digits)
        if (model, metric) not in bounds:
            return shown
        low, high = (formats.decimal(scale * bound, digits) for bound in bounds[model, metric])
        return f"{shown} [{low}, {high}]"

    return [
        row
        | {
            metric: cell(row["model"], metric, row[metric], scale, digits)
            for metric, scale, digits in (
                ("accuracy", 100, 1),
                ("weighted_f1", 100, 1),
                ("macro_f1", 100, 1),
                ("log_loss", 1, 3),
            )
        }
        for row in _records(comparison)
    ]


def _overconfidence(bins: pd.DataFrame) -> float | None:
    """Mean confidence minus accuracy of the packaged model, None without probabilities."""
    own = bins[bins["model"].eq(PACKAGED)]
    if own.empty:
        return None
    return float(np.average(own["confidence"] - own["accuracy"], weights=own["rows"]))


def _slices(slices: pd.DataFrame) -> list[dict]:
    """List the slices with their name, the ensembles' accuracy and rows, and the largest rows."""
    own = slices[slices["model"].isin(ENSEMBLES)]
    return [
        {
            "name": SLICES.get(str(value), str(value)),
            "rows": int(table["rows"].max()),
            "accuracy": dict(zip(table["model"], table["accuracy"], strict=True)),
        }
        for (_, value), table in own.groupby(["slice", "value"], sort=False)
    ]


def _category_rows(categories: pd.DataFrame) -> dict[str, list[dict]]:
    """List the categories of the packaged model that are worst by F1 and those with few rows."""
    rows = categories[categories["model"].eq(PACKAGED)]
    measured = rows[rows["support"] > 0]
    worst = measured.sort_values("f1", kind="stable").head(WORST)
    return {
        "worst": _records(worst),
        "few": _records(rows[rows["support"] < FEW]),
    }


def _recall(categories: pd.DataFrame) -> dict:
    """List the published and the measured recall of the study's nets, by category and on average.

    A measured recall is None in a category without test rows.
    """
    published = recall_table()
    found = categories[categories["support"] > 0].set_index(["model", "code"])["recall"].to_dict()

    def pair(model: str, row: dict) -> tuple[float, float | None]:
        return row[model], found.get((model, row["code"]))

    rows = [row | {model: pair(model, row) for model in PUBLISHED} for row in _records(published)]
    means = {}
    for model in PUBLISHED:
        ours = [row[model][1] for row in rows if row[model][1] is not None]
        means[model] = (published[model].mean(), float(np.mean(ours)) if ours else None)
    return {"categories": rows, "means": means}


def _confusions(confusion: pd.DataFrame) -> dict:
    """Count the errors of the packaged model and list the most frequent confusions."""
    own = confusion[confusion["model"].eq(PACKAGED)]
    errors = own[own["actual_code"].ne(own["predicted_code"])]
    most = errors.sort_values(["rows", "share"], ascending=False, kind="stable").head(CONFUSIONS)
    return {"errors": int(errors["rows"].sum()), "most": _records(most)}


def _robustness(table: pd.DataFrame) -> dict:
    """List accuracy without and changes with each perturbation, by model."""
    table = table[table["training"].eq("plain")]
    models: Iterable[str] = dict.fromkeys(table["model"])

    def by_model(rows: pd.DataFrame, column: str) -> Mapping[str, float]:
        return dict(zip(rows["model"], rows[column], strict=True))

    return {
        "rows": int(table["rows"].max()) if len(table) else 0,
        "models": list(models),
        "accuracy": by_model(table[table["perturbation"].eq(NONE)], "accuracy"),
        "changes": {
            str(name).replace("_", " "): by_model(rows, "change")
            for name, rows in table.groupby("perturbation", sort=False)
            if name != NONE
        },
    }


def _leakage(leakage: pd.DataFrame) -> dict | None:
    """Find the packaged model's accuracy without near-duplicates; None if there are none."""
    own = leakage[leakage["model"].eq(PACKAGED) & leakage["near_duplicate"].eq("either")]
    found = _records(own[own["rows_with"] > 0])
    return found[0] if found else None


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m rakuten cards write|check`."""
    parser = argparse.ArgumentParser(
        prog="python -m rakuten cards",
        description=f"Bring {MODEL_CARD} and {DATA_CARD} up to date with the last rebuild "
        "('make readme').",
    )
    parser.add_argument(
        "action",
        choices=["write", "check"],
        help="write: write both cards again; check: list the cards that are out of date, exit "
        "status 1 if there are any",
    )
    action = parser.parse_args(arguments).action
    reports = read()
    files = {MODEL_CARD: model_card(reports), DATA_CARD: data_card(reports)}
    return readme.write_or_check(files, action)
