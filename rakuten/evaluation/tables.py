"""Tables of the stage `evaluate`: parts, categories, confusions, slices, calibration, comparison.

`scores` are explained in `rakuten.evaluation.inputs`.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from rakuten.categories import CODES, GROUPS, NUM_CATEGORIES, to_labels
from rakuten.category_names import category
from rakuten.data.examples import PARTS
from rakuten.evaluation.inputs import SLICES, select
from rakuten.evaluation.intervals import interval_table
from rakuten.evaluation.metrics import (
    METRICS,
    are_probabilities,
    calibration_bins,
    confusion,
    measure,
    present,
    scored,
)
from rakuten.evaluation.published import PUBLISHED
from rakuten.model_names import BY_NAME, ENSEMBLES, MAIN
from rakuten.storage import DIGITS


def measure_parts(
    rows: pd.DataFrame, scores: Mapping[str, np.ndarray]
) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """Evaluate every model on every part.

    Args:
        rows: Table of `describe`, n products.
        scores: Scores (n, 27) by model name, in the order of `rows`.

    Returns:
        Model -> part -> metric, as `measure` has it. The train figures of `ENSEMBLES` are
        out of fold: each row is scored by a model that did not see it. Those of the other models
        are of rows they were fitted on, and therefore too high; the inputs of the fusion net and
        of the ensemble of both nets are out of fold, their own weights are not.
    """
    chosen = {part: select(rows, scores, part) for part in PARTS}
    return {
        model: {
            part: measure(part_rows["label"].to_numpy(), part_scores[model])
            for part, (part_rows, part_scores) in chosen.items()
        }
        for model in scores
    }


def validation_metrics(metrics: Mapping[str, Mapping[str, Mapping]]) -> dict:
    """Select the metrics by which experiments are compared: those of `MAIN` on validation.

    Args:
        metrics: Model -> part -> metric, as `measure_parts` has it.

    Returns:
        Model -> "validation" -> the metrics of `METRICS`, without the number of rows.
    """
    return {
        model: {"validation": {name: metrics[model]["validation"][name] for name in METRICS}}
        for model in MAIN
        if model in metrics
    }


def summary_line(metrics: Mapping[str, Mapping[str, Mapping]]) -> str:
    """Summarize `measure_parts` in one line: `test accuracy text 77.2 %, image 59.3 %, ...`."""
    accuracies = {model: metrics[model]["test"]["accuracy"] for model in MAIN if model in metrics}
    shown = [
        f"{model} {'not measured' if value is None else f'{100 * value:.1f} %'}"
        for model, value in accuracies.items()
    ]
    return f"test accuracy {', '.join(shown)}"


def tables(
    metrics: Mapping[str, Mapping[str, Mapping]],
    rows: pd.DataFrame,
    scores: Mapping[str, np.ndarray],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Make all tables of one part, by file name.

    Args:
        metrics: Model -> part -> metric of all parts, as `measure_parts` has it.
        rows: Table of `describe`, the n products of the part.
        scores: Scores (n, 27) by model name, in the order of `rows`.
        resamples: Number of draws behind an interval.
        confidence: Share of the draws inside an interval, in 0..1.
        seed: Seed of the draws.

    Returns:
        `comparison`, `categories`, `confusion`, `groups`, `slices`, `calibration`, `intervals`,
        and `predictions_<model>` for each of `MAIN` that is there.
    """
    labels = rows["label"].to_numpy()
    main = {model: scores[model] for model in MAIN if model in scores}
    return {
        "comparison": comparison_table(metrics),
        "categories": category_table(labels, scores),
        "confusion": confusion_table(labels, scores),
        "groups": group_table(labels, scores),
        "slices": slice_table(rows, scores),
        "calibration": calibration_table(labels, scores),
        "intervals": interval_table(
            rows, scores, resamples=resamples, confidence=confidence, seed=seed
        ),
        **{f"predictions_{model}": prediction_table(rows, own) for model, own in main.items()},
    }


def comparison_table(metrics: Mapping[str, Mapping[str, Mapping]]) -> pd.DataFrame:
    """List the models' test metrics beside the published reference.

    Args:
        metrics: Model -> part -> metric, as `measure_parts` has it.

    Returns:
        One row per model: `model`, `title`, `modality` (text, image or fusion),
        `baseline` (bool), `rows`, the metrics on test (NaN where None), `train_accuracy`,
        `out_of_fold` (bool: `train_accuracy` is of models that had not seen the row, and so
        comparable with test), `published_accuracy` (test; NaN where the study has none).
    """
    records = []
    for model, parts in metrics.items():
        published = PUBLISHED.get(model, {}).get("test", {})
        records.append(
            {
                "model": model,
                "title": BY_NAME[model].title,
                "modality": BY_NAME[model].modality,
                "baseline": BY_NAME[model].role == "baseline",
                "rows": parts["test"]["rows"],
                **{metric: parts["test"][metric] for metric in METRICS},
                "train_accuracy": parts["train"]["accuracy"],
                "out_of_fold": model in ENSEMBLES,
                "published_accuracy": published.get("accuracy"),
            }
        )
    numbers = [*METRICS, "train_accuracy", "published_accuracy"]
    return pd.DataFrame(records).astype(dict.fromkeys(numbers, np.float64))


def category_table(labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Measure every category with every model.

    Args:
        labels: int64 (n,), the true class indices.
        scores: Scores (n, 27) by model name, in the order of `labels`.

    Returns:
        27 rows per model in the order of the codes: `model`, `code`, `name`, `precision`,
        `recall`, `f1` (0 where there is nothing to divide by, NaN for a model without rows) and
        `support`, the category's products that the model could score.
    """
    tables = []
    for model, values in scores.items():
        true, own = present(labels, values)
        columns = np.full((3, NUM_CATEGORIES), np.nan)
        support = np.bincount(true, minlength=NUM_CATEGORIES)
        if true.size:
            *columns, _ = precision_recall_fscore_support(
                true, own.argmax(axis=1), labels=np.arange(NUM_CATEGORIES), zero_division=0
            )
        figures = dict(zip(("precision", "recall", "f1"), np.round(columns, DIGITS), strict=True))
        names = {"model": model, "code": CODES, "name": [category(code, "en") for code in CODES]}
        tables.append(pd.DataFrame({**names, **figures, "support": support}))
    return pd.concat(tables, ignore_index=True)


def confusion_table(labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Count products by true and predicted category, one line per pair that occurs.

    Args:
        labels: int64 (n,), the true class indices.
        scores: Scores (n, 27) by model name, in the order of `labels`.

    Returns:
        `model`, `actual_code`, `actual`, `predicted_code`, `predicted`, `rows` and `share`, their
        share of the actual category's rows; by model, actual and predicted code.
    """
    tables = []
    for model, values in scores.items():
        counts = confusion(labels, values)
        actual, predicted = np.nonzero(counts)
        rows = counts[actual, predicted]
        codes = {"actual": np.take(CODES, actual), "predicted": np.take(CODES, predicted)}
        named = {
            f"{side}{suffix}": values if suffix else [category(code, "en") for code in values]
            for side, values in codes.items()
            for suffix in ("_code", "")
        }
        share = np.round(rows / counts.sum(axis=1)[actual], DIGITS)
        tables.append(pd.DataFrame({"model": model, **named, "rows": rows, "share": share}))
    return pd.concat(tables, ignore_index=True)


def group_table(labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Count how many errors on a group of confusable categories stay inside the group.

    Args:
        labels: int64 (n,), the true class indices.
        scores: Scores (n, 27) by model name, in the order of `labels`.

    Returns:
        One row per model and group of `categories.GROUPS`: `model`, `group`, `rows` (products of
        the group's categories), `errors` (those predicted as another category), `inside`
        (those predicted as another category of the same group) and `share`, inside / errors, NaN
        without errors.
    """
    records = []
    for model, values in scores.items():
        counts = confusion(labels, values)
        for group, codes in GROUPS.items():
            members = to_labels(codes)
            rows = counts[members].sum()
            correct = counts[members, members].sum()
            inside = counts[np.ix_(members, members)].sum() - correct
            errors = rows - correct
            share = round(float(inside / errors), DIGITS) if errors else np.nan
            records.append((model, group, rows, errors, inside, share))
    return pd.DataFrame(
        records, columns=["model", "group", "rows", "errors", "inside", "share"]
    ).astype({"rows": np.int64, "errors": np.int64, "inside": np.int64})


def slice_table(rows: pd.DataFrame, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Evaluate every model on the slices of `SLICES`.

    Args:
        rows: Table of `describe`, n products, e.g. those of one part.
        scores: Scores (n, 27) by model name, in the order of `rows`.

    Returns:
        One row per model, slice and value, empty ones included: `model`, `slice`, `value`, `rows`
        and the metrics of `METRICS`, NaN where `measure` has None.
    """
    labels = rows["label"].to_numpy()
    records = []
    for model, values in scores.items():
        for slice_, names in SLICES.items():
            for name in names:
                chosen = rows[slice_].eq(name).to_numpy()
                metrics = measure(labels[chosen], values[chosen])
                records.append({"model": model, "slice": slice_, "value": name, **metrics})
    columns = ["model", "slice", "value", "rows", *METRICS]
    return pd.DataFrame(records, columns=columns).astype(dict.fromkeys(METRICS, np.float64))


def calibration_table(labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Compare confidence with accuracy, bin by bin, for the models of `MAIN`.

    Args:
        labels: int64 (n,), the true class indices.
        scores: Scores (n, 27) by model name, in the order of `labels`.

    Returns:
        For each of `MAIN` that has probabilities, one row per bin of `calibration_bins`: `model`,
        `bin`, `rows`, `confidence` and `accuracy`.
    """
    records = []
    for model in [model for model in MAIN if model in scores]:
        true, probabilities = present(labels, scores[model])
        if true.size and are_probabilities(probabilities):
            bins = calibration_bins(true, probabilities).round(DIGITS)
            records += [(model, *bin_) for bin_ in bins.itertuples(index=False)]
    return pd.DataFrame(records, columns=["model", "bin", "rows", "confidence", "accuracy"])


def prediction_table(rows: pd.DataFrame, scores: np.ndarray) -> pd.DataFrame:
    """List the predictions of a model for the products that it can score.

    Args:
        rows: Table of `describe`, n products.
        scores: float (n, 27) of one model, in the order of `rows`.

    Returns:
        `id`, `actual` and `predicted` (code and name), `score` of the predicted class, in the
        order of `rows`.
    """
    chosen = scored(scores)
    values = scores[chosen]
    predicted = values.argmax(axis=1)
    names = np.array([f"{code} {category(code, 'en')}" for code in CODES], dtype=object)
    return pd.DataFrame(
        {
            "id": rows["id"].to_numpy()[chosen],
            "actual": names[rows["label"].to_numpy()[chosen]],
            "predicted": names[predicted],
            "score": np.round(values[np.arange(len(values)), predicted].astype(np.float64), 4),
        }
    )
