"""Convert predictions and tables to what the page shows; without Streamlit, so tests are quick."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from demo.components import Bar, Mark, Range, Side
from demo.translations import number, percent, translate
from rakuten.categories import CODES, GROUPS
from rakuten.category_names import category
from rakuten.evaluation.published import PUBLISHED
from rakuten.model_names import STUDY
from rakuten.model_names import title as model
from rakuten.serving.classifier import Prediction
from rakuten.serving.explanation import FIELDS, WordEffect

CLEAR = 0.3
"""Probability below which the page says that there is no clear category."""

CONFIDENCE = ((0.9, "confidence_high"), (0.7, "confidence_good"), (0.4, "confidence_low"))
"""Least probability for each label of confidence."""

EVIDENCE = ((5.0, "evidence_strong"), (2.5, "evidence_for"), (-0.5, "evidence_hardly"))
"""Least contribution in log-odds for each phrase. A title without sense contributes about 2 to the
category that is most probable by chance."""

AXIS = 12.0
"""Log-odds at the ends of the axis of contributions, the same for every product. About 1 of 30
texts of the sample contributes more, and fills the axis."""

TOP_WORDS = 8
MIN_EFFECT, FULL_EFFECT = 0.3, 3.0
"""Effects of a word in log-odds: below the first it is not marked, from the second it has the full
tint. The same for every product."""

METRICS = ("accuracy", "weighted_f1", "macro_f1", "log_loss", "ece")
LOWER_IS_BETTER = ("log_loss", "ece")


def confidence(probability: float) -> str:
    """Return the key in `demo.translations.TEXTS` for how confident the model is."""
    return next((key for least, key in CONFIDENCE if probability >= least), "confidence_poor")


def top_bars(prediction: Prediction, language: str) -> list[Bar]:
    """Convert the most probable categories to bars."""
    return [
        Bar(
            category(choice.code, language),
            str(choice.code),
            choice.probability,
            percent(choice.probability, language, digits=1),
        )
        for choice in prediction.top
    ]


def sides(prediction: Prediction, language: str) -> list[Side]:
    """Convert the contributions of text and image to bars on the axis of `AXIS`."""
    given = {"text": prediction.text_contribution, "image": prediction.image_contribution}
    missing = {"text": "not_given_text", "image": "not_given"}
    return [
        Side(
            translate(f"side_{name}", language),
            None if value is None else max(-1.0, min(value / AXIS, 1.0)),
            translate(missing[name], language)
            if value is None
            else number(value, language, digits=1, sign=True),
        )
        for name, value in given.items()
    ]


def axis_labels(language: str) -> tuple[str, ...]:
    """Label five points of the axis of contributions, from left to right."""
    values = (-AXIS, -AXIS / 2, 0.0, AXIS / 2, AXIS)
    return tuple(number(value, language, digits=0, sign=True) for value in values)


def evidence_sentence(prediction: Prediction, language: str) -> str:
    """Describe the contributions of text and image in a sentence."""
    keys = [
        f"evidence_absent_{name}" if value is None else _evidence(value)
        for name, value in (
            ("text", prediction.text_contribution),
            ("image", prediction.image_contribution),
        )
    ]
    if keys[0] == keys[1]:
        keys[1] = "evidence_too"
    parts = [
        translate(key, language, side=translate(f"the_{name}", language))
        for key, name in zip(keys, ("text", "image"), strict=True)
    ]
    sentence = translate("joined", language, first=parts[0], second=parts[1])
    return sentence[0].upper() + sentence[1:]


def _evidence(value: float) -> str:
    """Return the key in `demo.translations.TEXTS` for a contribution."""
    return next((key for least, key in EVIDENCE if value >= least), "evidence_against")


def marks(text: str, field: str, effects: Sequence[WordEffect], language: str) -> list[Mark]:
    """Split one of a product's texts into marked words and the text between them."""
    pieces, position = [], 0
    for word in effects:
        if word.field != field:
            continue
        pieces.append(Mark(text[position : word.start]))
        strength = word.effect / FULL_EFFECT if abs(word.effect) >= MIN_EFFECT else 0.0
        hint = number(word.effect, language, sign=True)
        pieces.append(Mark(word.word, strength, hint))
        position = word.end
    return [*pieces, Mark(text[position:])]


def word_rows(effects: Sequence[WordEffect], language: str) -> list[tuple[str, str, str, str]]:
    """List the words with the largest effects: word, field, direction, effect."""
    order = sorted(effects, key=lambda word: (-abs(word.effect), FIELDS.index(word.field)))
    return [
        (word.word, translate(word.field, language).split(" (")[0],
         translate("for" if word.effect > 0 else "against", language),
         number(word.effect, language, sign=True))
        for word in order[:TOP_WORDS]
        if abs(word.effect) >= MIN_EFFECT
    ]  # fmt: skip


def metric_rows(
    comparison: pd.DataFrame, language: str
) -> tuple[list[list[str]], list[tuple[int, int]]]:
    """Convert the comparison of models to table cells.

    Args:
        comparison: reports/evaluate/tables/comparison.csv.
        language: Of the cells.

    Returns:
        Rows of cells: model, `METRICS`; row and column of each best value.
    """
    percents = {"accuracy", "weighted_f1", "macro_f1", "ece"}
    rows = [
        [model(row["model"], language)]
        + [
            percent(row[name], language, digits=1)
            if name in percents
            else number(row[name], language, digits=3)
            for name in METRICS
        ]
        for row in comparison.to_dict("records")
    ]
    best = []
    for column, name in enumerate(METRICS, start=1):
        values = comparison[name].to_numpy(float)
        if not np.isnan(values).all():
            at = np.nanargmin(values) if name in LOWER_IS_BETTER else np.nanargmax(values)
            best.append((int(at), column))
    return rows, best


def published_ranges(language: str) -> list[Range]:
    """List the accuracies that the original study published for its nets."""
    accuracies = {net: PUBLISHED[net]["test"]["accuracy"] for net in STUDY}
    return [
        Range(model(net, language), value, value, value, percent(value, language, digits=1))
        for net, value in accuracies.items()
    ]


def measured_ranges(intervals: pd.DataFrame, language: str) -> list[Range]:
    """List the measured accuracies of the same nets.

    Args:
        intervals: reports/evaluate/tables/intervals.csv.
        language: Of the labels.
    """
    own = intervals[intervals["minus"].isna() & intervals["metric"].eq("accuracy")]
    rows = own.drop_duplicates("model").set_index("model")
    ranges = []
    for net in (net for net in STUDY if net in rows.index):
        value, low, high = (float(rows.at[net, name]) for name in ("value", "low", "high"))
        texts = {
            name: percent(share, language, digits=digits)
            for name, share, digits in (("value", value, 1), ("low", low, 0), ("high", high, 0))
        }
        text = translate("interval", language, **texts)
        ranges.append(Range(model(net, language), value, low, high, text))
    return ranges


def codes_of(group: str) -> tuple[int, ...]:
    """List the categories of a group; all of them for ""."""
    return GROUPS[group] if group else CODES


def confusion_cells(
    confusion: pd.DataFrame, chosen: str, group: str, language: str
) -> pd.DataFrame:
    """Select one model's confusion matrix, with names.

    Args:
        confusion: reports/evaluate/tables/confusion.csv.
        chosen: The model.
        group: A confusable group, or "" for all categories.
        language: Of the names.

    Returns:
        A row for each pair of categories in the order of codes: actual_code, predicted_code,
        actual, predicted (labels of the axes), actual_name, predicted_name, rows, share.
    """
    codes = codes_of(group)
    pairs = pd.MultiIndex.from_product([codes, codes], names=["actual_code", "predicted_code"])
    own = confusion[confusion["model"] == chosen].set_index(["actual_code", "predicted_code"])
    cells = own[["rows", "share"]].reindex(pairs).fillna(0.0).astype({"rows": "int64"})
    cells = cells.reset_index()
    for side in ("actual", "predicted"):
        names = cells[f"{side}_code"].map(lambda code: category(code, language))
        cells[f"{side}_name"] = names + " (" + cells[f"{side}_code"].astype("str") + ")"
        cells[side] = names if group else cells[f"{side}_code"].astype("str")
    return cells


def main_errors(cells: pd.DataFrame, count: int = 6) -> pd.DataFrame:
    """Select the most frequent errors of `confusion_cells`."""
    wrong = cells[(cells["actual_code"] != cells["predicted_code"]) & (cells["rows"] > 0)]
    return wrong.sort_values(
        ["rows", "share"], ascending=False, kind="stable", ignore_index=True
    ).head(count)


def f1_bars(categories: pd.DataFrame, chosen: str, group: str, language: str) -> pd.DataFrame:
    """Select one model's F1 per category, best first: category, f1, support, value."""
    own = categories[(categories["model"] == chosen) & categories["code"].isin(codes_of(group))]
    names = own["code"].map(lambda code: f"{category(code, language)} ({code})")
    values = own["f1"].map(lambda value: percent(value, language))
    bars = own.assign(category=names, value=values)[["category", "f1", "support", "value"]]
    return bars.sort_values("f1", ascending=False, kind="stable", ignore_index=True)


def reliability_points(
    calibration: pd.DataFrame, models: Sequence[str], language: str
) -> pd.DataFrame:
    """Select the calibration of some models, with names, in the given order."""
    own = calibration[calibration["model"].isin(models)]
    order = own["model"].map({name: at for at, name in enumerate(models)})
    own = own.assign(order=order).sort_values(["order", "confidence"], ignore_index=True)
    return own.assign(model=own["model"].map(lambda name: model(name, language)))


def curve_points(histories: dict[str, pd.DataFrame], metric: str, language: str) -> pd.DataFrame:
    """Combine training curves in one table: model, epoch, part, value.

    Args:
        histories: By model, its history.csv: epoch and `<part>_<metric>`.
        metric: "accuracy" or "loss".
        language: Of the names.
    """
    pieces = [
        pd.DataFrame(
            {
                "model": model(name, language),
                "epoch": history["epoch"],
                "part": translate(part, language),
                "value": history[f"{part}_{metric}"],
            }
        )
        for name, history in histories.items()
        for part in ("train", "validation")
    ]
    return pd.concat(pieces, ignore_index=True)


def confused_pairs(predictions: pd.DataFrame, count: int) -> list[tuple[tuple[int, int], list]]:
    """Find the pairs of categories that are confused most, in either direction.

    Args:
        predictions: As `demo.catalogue.predictions`.
        count: Pairs to find.

    Returns:
        Pairs of codes, ascending, the most confused first, each with the records (id, actual,
        predicted, probability) of its errors, the most confident first. Pairs with a single error
        are left out unless there are no others.
    """
    wrong = predictions[predictions["actual"] != predictions["predicted"]]
    both = wrong[["actual", "predicted"]]
    wrong = wrong.assign(low=both.min(axis=1), high=both.max(axis=1))
    wrong = wrong.sort_values(["probability", "id"], ascending=[False, True])
    groups = [
        (
            (int(low), int(high)),
            rows[["id", "actual", "predicted", "probability"]].to_dict("records"),
        )
        for (low, high), rows in wrong.groupby(["low", "high"])
    ]
    repeated = [pair for pair in groups if len(pair[1]) > 1] or groups
    return sorted(repeated, key=lambda pair: (-len(pair[1]), pair[0]))[:count]
