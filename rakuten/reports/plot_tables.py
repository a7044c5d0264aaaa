"""Tables for the page of `dvc plots show`, one for each plot at the end of `dvc.yaml`.

The templates in `.dvc/plots` draw them without knowing a name: the tables hold titles instead of
keys, categories by name, and colours. Rows are in the order of the axes.
"""

from collections.abc import Mapping

import pandas as pd

from rakuten.categories import CODES
from rakuten.model_names import BY_NAME, MAIN
from rakuten.reports.chart_style import CATEGORY_ORDER, LINE_STYLES, category_label

ROLES = {"study": "net", "ensemble": "ensemble"}
"""Name of each role on the page; baselines appear in the table of models alone."""


def tables(
    evaluated: Mapping[str, pd.DataFrame],
    metrics: Mapping[str, Mapping[str, Mapping]],
    histories: Mapping[str, pd.DataFrame],
    *,
    data: str,
    parts: Mapping[str, int],
) -> dict[str, pd.DataFrame]:
    """Make all tables of the page.

    Args:
        evaluated: Tables of `rakuten.evaluation.tables`.
        metrics: Model -> part -> metric, as in `reports/evaluate/models.json`.
        histories: Training history by net.
        data: Name of the data set.
        parts: Number of products by part.

    Returns:
        Tables by file name.
    """
    return {
        "data": data_line(data, parts),
        "models": models(metrics),
        "categories": categories(evaluated["categories"]),
        "confusion": confusion(evaluated["confusion"]),
        "calibration": calibration(evaluated["calibration"]),
        "curves": curves(histories),
    }


def data_line(data: str, parts: Mapping[str, int]) -> pd.DataFrame:
    """Name the data in one sentence.

    Args:
        data: Name of the data set.
        parts: Number of products by part.

    Returns:
        One row: `text`, e.g. "Synthetic sample: 1,350 products (945 train, ...)".
    """
    counts = ", ".join(f"{rows:,} {part}" for part, rows in parts.items())
    name = data[:1].upper() + data[1:]
    return pd.DataFrame({"text": [f"{name}: {sum(parts.values()):,} products ({counts})"]})


def models(metrics: Mapping[str, Mapping[str, Mapping]]) -> pd.DataFrame:
    """List validation and test metrics of all models.

    Args:
        metrics: Model -> part -> metric.

    Returns:
        One row per part and model that scored a product: `part` (with its number of products),
        `model`, `colour`, `accuracy` and `macro_f1` in 0..1.
    """
    records = []
    for part in ("validation", "test"):
        rows = max((own[part]["rows"] for own in metrics.values()), default=0)
        for model, own in metrics.items():
            if own[part]["accuracy"] is not None:
                records.append(
                    {
                        "part": f"{part} part ({rows:,} products)",
                        "model": BY_NAME[model].title,
                        "colour": BY_NAME[model].colour,
                        "accuracy": own[part]["accuracy"],
                        "macro_f1": own[part]["macro_f1"],
                    }
                )
    return pd.DataFrame(records, columns=["part", "model", "colour", "accuracy", "macro_f1"])


def categories(table: pd.DataFrame) -> pd.DataFrame:
    """List the F1 of each category with the models of `MAIN`.

    Args:
        table: Table of `tables.category_table`.

    Returns:
        `modality`, `role`, `model`, `colour`, `category` and `f1` in 0..1: the categories from
        best to worst by the last model of `MAIN` that has scores.
    """
    scored = table[table["model"].isin(MAIN) & table["f1"].notna()]
    if scored.empty:
        return _describe(scored)[[*_COLUMNS, "f1"]].assign(category=[])
    last = [model for model in MAIN if scored["model"].eq(model).any()][-1]
    best = scored[scored["model"].eq(last)].sort_values("f1", ascending=False, kind="stable")
    place = {code: number for number, code in enumerate(best["code"])}
    named = _describe(scored).assign(
        category=[category_label(code) for code in scored["code"]],
        place=scored["code"].map(place).to_numpy(),
    )
    named = named.sort_values("place", kind="stable", ignore_index=True)
    return named[[*_COLUMNS, "category", "f1"]]


def confusion(table: pd.DataFrame) -> pd.DataFrame:
    """List the cells of the confusion matrices of `MAIN`.

    Args:
        table: Table of `tables.confusion_table`.

    Returns:
        `model`, `actual`, `predicted`, `rows` and `share` of the actual category's rows: for each
        model first the 27 cells of the diagonal in the order of the axes, then the other cells
        that occur.
    """
    cells = []
    diagonal = pd.DataFrame({"actual_code": CATEGORY_ORDER, "predicted_code": CATEGORY_ORDER})
    for model in MAIN:
        own = table[table["model"].eq(model)]
        if not own.empty:
            correct = diagonal.merge(own, how="left").fillna({"rows": 0, "share": 0})
            wrong = own[own["actual_code"].ne(own["predicted_code"])]
            cells.append(pd.concat([correct, wrong]).assign(model=BY_NAME[model].title))
    columns = ["model", "actual", "predicted", "rows", "share"]
    if not cells:
        return pd.DataFrame(columns=columns)
    found = pd.concat(cells, ignore_index=True).astype({"rows": int})
    for side in ("actual", "predicted"):
        found[side] = found[f"{side}_code"].map({code: category_label(code) for code in CODES})
    return found[columns]


def calibration(table: pd.DataFrame) -> pd.DataFrame:
    """List the calibration bins of the models of `MAIN`.

    Args:
        table: Table of `tables.calibration_table`.

    Returns:
        `modality`, `role`, `model`, `colour`, `confidence` and `accuracy` in 0..1, `rows`.
    """
    return _describe(table)[[*_COLUMNS, "confidence", "accuracy", "rows"]]


def curves(histories: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """List the training curves of the nets.

    Args:
        histories: By model: `epoch`, `train_loss`, `train_accuracy`, and the same of validation
            if there was any; empty if the model was not trained.

    Returns:
        One row per net, part and epoch: `model`, `colour`, `part`, `epoch`, `loss` (nats),
        `accuracy` in 0..1.
    """
    columns = ["model", "colour", "part", "epoch", "loss", "accuracy"]
    found = []
    for model, history in histories.items():
        for part in LINE_STYLES:
            names = {f"{part}_{measure}": measure for measure in ("loss", "accuracy")}
            if set(names) <= set(history):
                own = history[["epoch", *names]].rename(columns=names).assign(
                    model=BY_NAME[model].title, colour=BY_NAME[model].colour, part=part
                )  # fmt: skip
                found.append(own[columns])
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


_COLUMNS = ["modality", "role", "model", "colour"]


def _describe(table: pd.DataFrame) -> pd.DataFrame:
    """Replace the model's key with its title; add modality, role and colour."""
    known = [BY_NAME[model] for model in table["model"]]
    return table.assign(
        modality=[model.modality for model in known],
        role=[ROLES[model.role] for model in known],
        model=[model.title for model in known],
        colour=[model.colour for model in known],
    )
