"""How good the models are: metrics, per-category tables, confusion, slices, intervals.

Everywhere `scores` is an array (n, 27) of one model in product order, one column per class index:
probabilities, or the decision scores of a model that has none. A row of NaN is a product that the
model cannot score, because it lacks the model's modality; such rows are left out and `rows` says
how many were measured.

On the train part, the scores of the study's nets and of the baselines are of rows that they were
fitted on; those of the best models are out of fold, each row scored by a model that did not see
it. Train figures of the former flatter, those of the latter do not.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from rakuten.categories import CODES, GROUPS, NAMES, NUM_CATEGORIES, to_labels
from rakuten.data.examples import PARTS, check_ids
from rakuten.evaluation.published import PUBLISHED
from rakuten.model_names import BY_NAME, ENSEMBLES, TRAINED

METRICS = ("accuracy", "weighted_f1", "macro_f1", "log_loss", "ece")
"""What `measure` measures; `ece` is the expected calibration error."""

INTERVAL_METRICS = ("accuracy", "weighted_f1", "macro_f1", "log_loss")
"""The metrics that get an interval. The calibration error gets none: it sums absolute gaps, so
drawing products again adds noise that only ever raises it, and the percentile interval of a well
calibrated model would lie above the model's own value."""

CALIBRATION_BINS = 15
"""Bins of the calibration error: the number that Guo et al. (2017) made customary."""

PAIRS = (
    ("text_ensemble", "text"),
    ("image_ensemble", "image"),
    ("late_fusion", "fusion"),
    ("late_fusion", "text_ensemble"),
    ("late_fusion", "image_ensemble"),
    ("fusion", "text"),
    ("fusion", "image"),
)
"""Models compared on the same rows: the first minus the second."""

SLICES: dict[str, tuple[str, ...]] = {
    "language": ("fr", "en", "other", "none"),
    "description": ("given", "missing"),
    "modality": ("both", "text only", "image only"),
}
"""The ways a part is cut, and the values of each cut. Language `none`: the product has no text."""

DIGITS = 6
"""Decimals kept: what lies beyond is noise, and would show in every diff."""

_CELLS = NUM_CATEGORIES * NUM_CATEGORIES
_CHUNK = 4_000_000  # resampled rows held at once, 32 MB


def gather(
    ids: np.ndarray,
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    baselines: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Collect the scores of all models, checked by ids.

    Args:
        ids: int64 (n,), the products in product order.
        outputs: For each of `TRAINED`, or some of them, its arrays `ids` (n,), `present` (n,) bool
            and `probabilities` (n, 27); what else it holds is not read.
        baselines: For each modality the arrays `ids` (n,), `present` (n,) bool and one score
            array (n, 27) per baseline; those of a net that is not in `outputs` are left out.

    Returns:
        Scores float32 (n, 27) by model name in the order of `ids`, NaN where a product is not
        present: each net followed by its baselines, `text_linear_svm` and so on; the best
        models have none.

    Raises:
        ValueError: If a model's ids are not `ids`, or an array's shape is wrong.
    """
    scores = {}
    for net, arrays in outputs.items():
        check_ids(ids, arrays["ids"], f"outputs of {net}")
        scores[net] = _masked(net, arrays["probabilities"], arrays["present"])
        others = dict(baselines.get(net, {"ids": ids, "present": None}))
        check_ids(ids, others.pop("ids"), f"baselines of {net}")
        present = others.pop("present")
        for name, values in others.items():
            scores[f"{net}_{name}"] = _masked(f"{net}_{name}", values, present)
    return scores


def scored(scores: np.ndarray) -> np.ndarray:
    """Tell which products a model could score: bool (n,), in the order of `scores`."""
    return ~np.isnan(scores).any(axis=1)


def describe(products: pd.DataFrame, parts: pd.DataFrame, has_image: np.ndarray) -> pd.DataFrame:
    """Put together what an evaluation needs to know of each product.

    Args:
        products: Table with `id`, `label`, `description`, `has_text` and `language`.
        parts: Table with `id` and `part`, in the order of `products`.
        has_image: bool (n,), in the order of `products`.

    Returns:
        One row per product in the order of `products`: `id`, `label`, `part`, and one column per
        cut of `SLICES`: `language`, `description`, `modality`.

    Raises:
        ValueError: If the two tables hold other products or another order.
    """
    ids = products["id"].to_numpy()
    check_ids(ids, parts["id"].to_numpy(), "parts")
    has_text = products["has_text"].to_numpy(bool)
    language = products["language"].to_numpy(object)
    language = np.where(np.isin(language, ("fr", "en")), language, "other")
    empty = products["description"].fillna("").str.strip().eq("").to_numpy()
    modality = np.select(
        [has_text & has_image, has_text, has_image], SLICES["modality"], default="none"
    )
    return pd.DataFrame(
        {
            "id": ids,
            "label": products["label"].to_numpy(),
            "part": parts["part"].to_numpy(object),
            "language": np.where(has_text, language, "none"),
            "description": np.where(empty, "missing", "given"),
            "modality": modality,
        }
    )


def select(
    rows: pd.DataFrame, scores: Mapping[str, np.ndarray], part: str
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Take one part of the products and of every model's scores.

    Args:
        rows: Table of `describe`, n products.
        scores: Scores (n, 27) by model name, in the order of `rows`.
        part: One of `PARTS`.

    Returns:
        The rows of the part with a fresh index, and their scores by model name.
    """
    chosen = rows["part"].eq(part).to_numpy()
    return (
        rows[chosen].reset_index(drop=True),
        {model: values[chosen] for model, values in scores.items()},
    )


def measure(labels: np.ndarray, scores: np.ndarray) -> dict[str, float | int | None]:
    """Measure one model on the products it can score.

    Macro F1 is the mean over the categories that occur in `labels`: a category without products
    has no F1, and counting it as 0 would punish small slices. Over a whole part, where all 27
    occur, this is the usual macro F1. Log loss is in nats, its probabilities clipped at the
    resolution of their dtype (1.2e-7 for float32).

    Args:
        labels: int64 (n,), the true class indices.
        scores: float (n, 27); rows of NaN are left out.

    Returns:
        `accuracy`, `weighted_f1`, `macro_f1` in 0..1, `log_loss` >= 0, `ece` in 0..1, and `rows`,
        the number measured. `log_loss` and `ece` are None if the scores are not probabilities,
        all are None if there are no rows.
    """
    from sklearn import metrics  # seconds, in which a stage has long said what it does

    labels, scores = _present(labels, scores)
    if not labels.size:
        return {**dict.fromkeys(METRICS), "rows": 0}
    predicted = scores.argmax(axis=1)
    occurring = np.unique(labels)
    averages = {
        f"{average}_f1": metrics.f1_score(
            labels, predicted, labels=occurring, average=average, zero_division=0
        )
        for average in ("weighted", "macro")
    }
    loss = error = None
    if are_probabilities(scores):
        loss = metrics.log_loss(labels, scores, labels=np.arange(NUM_CATEGORIES))
        error = expected_calibration_error(labels, scores)
    measured = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        **averages,
        "log_loss": loss,
        "ece": error,
    }
    return {name: _rounded(value) for name, value in measured.items()} | {"rows": int(labels.size)}


def measure_parts(
    rows: pd.DataFrame, scores: Mapping[str, np.ndarray]
) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """Measure every model on every part.

    Args:
        rows: Table of `describe`, n products.
        scores: Scores (n, 27) by model name, in the order of `rows`.

    Returns:
        Model -> part -> metric, as `measure` has it. The train figures of `ENSEMBLES` are out of fold.
    """
    chosen = {part: select(rows, scores, part) for part in PARTS}
    return {
        model: {
            part: measure(part_rows["label"].to_numpy(), part_scores[model])
            for part, (part_rows, part_scores) in chosen.items()
        }
        for model in scores
    }


def headline(metrics: Mapping[str, Mapping[str, Mapping]]) -> dict:
    """Keep the figures by which experiments are compared: those of the models in use.

    Args:
        metrics: Model -> part -> metric, as `measure_parts` has it.

    Returns:
        Net -> part, test first -> the metrics of `METRICS`, without the number of rows and
        without the baselines.
    """
    return {
        net: {
            part: {metric: metrics[net][part][metric] for metric in METRICS}
            for part in reversed(PARTS)
        }
        for net in TRAINED
        if net in metrics
    }


def sentence(metrics: Mapping[str, Mapping[str, Mapping]]) -> str:
    """Say in a line how the nets do: `test accuracy text 77.2 %, image 59.3 %, ...`."""
    accuracies = {net: metrics[net]["test"]["accuracy"] for net in TRAINED if net in metrics}
    told = [
        f"{net} {'not measured' if value is None else _cell(value, '.1%')}"
        for net, value in accuracies.items()
    ]
    return f"test accuracy {', '.join(told)}"


def are_probabilities(scores: np.ndarray) -> bool:
    """Tell whether every row of scores (n, 27) is a distribution, to float32 accuracy."""
    return bool((scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3))


def expected_calibration_error(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = CALIBRATION_BINS
) -> float:
    """Measure how far confidence is from accuracy: the mean gap over bins, weighted by rows.

    The confidence of a row is the probability of its predicted class. Bins of equal mass, see
    `calibration_bins`. The error of few rows is too high: chance alone opens a gap of some
    0.4 / sqrt(rows of a bin), so that in slices of a few hundred products it says little.

    Source: Guo et al., On Calibration of Modern Neural Networks, 2017; bins of equal mass as in
    Nixon et al., Measuring Calibration in Deep Learning, 2019.

    Args:
        labels: int64 (n,), the true class indices, n > 0.
        probabilities: float (n, 27) without NaN.
        bins: Number of bins.

    Returns:
        The error, in 0..1.
    """
    table = calibration_bins(labels, probabilities, bins)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float((gaps * table["rows"]).sum() / table["rows"].sum())


def calibration_bins(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = CALIBRATION_BINS
) -> pd.DataFrame:
    """Sort rows by confidence and cut them into bins of as many rows each.

    Rows of the same confidence stay in one bin, whatever their order, so that there may be fewer
    bins, of unequal size.

    Args:
        labels: int64 (n,), the true class indices, n > 0.
        probabilities: float (n, 27) without NaN.
        bins: Number of bins.

    Returns:
        One row per bin that holds any, ascending: `bin` from 1, `rows`, `confidence` (mean) and
        `accuracy`, not rounded.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    cuts = np.sort(confidence)[np.arange(1, bins) * len(confidence) // bins]
    _, place = np.unique(np.searchsorted(cuts, confidence, side="right"), return_inverse=True)
    rows = np.bincount(place)
    return pd.DataFrame(
        {
            "bin": np.arange(1, len(rows) + 1),
            "rows": rows,
            "confidence": np.bincount(place, weights=confidence) / rows,
            "accuracy": np.bincount(place, weights=correct) / rows,
        }
    )


def calibration_table(labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Set confidence against accuracy, bin by bin, for the models in use.

    Args:
        labels: int64 (n,), the true class indices.
        scores: Scores (n, 27) by model name, in the order of `labels`.

    Returns:
        For each of `TRAINED` that has probabilities, one row per bin of `calibration_bins`: `model`,
        `bin`, `rows`, `confidence` and `accuracy`.
    """
    records = []
    for model in [net for net in TRAINED if net in scores]:
        true, present = _present(labels, scores[model])
        if true.size and are_probabilities(present):
            bins = calibration_bins(true, present).round(DIGITS)
            records += [(model, *bin_) for bin_ in bins.itertuples(index=False)]
    return pd.DataFrame(records, columns=["model", "bin", "rows", "confidence", "accuracy"])


def confusion(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Count which category is taken for which.

    Args:
        labels: int64 (n,), the true class indices.
        scores: float (n, 27); rows of NaN are left out.

    Returns:
        int64 (27, 27): rows are true classes, columns predicted ones.
    """
    from sklearn.metrics import confusion_matrix

    labels, scores = _present(labels, scores)
    classes = np.arange(NUM_CATEGORIES)
    if not labels.size:
        return np.zeros((NUM_CATEGORIES, NUM_CATEGORIES), np.int64)
    return confusion_matrix(labels, scores.argmax(axis=1), labels=classes).astype(np.int64)


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
    from sklearn.metrics import precision_recall_fscore_support

    tables = []
    for model, values in scores.items():
        true, present = _present(labels, values)
        columns = np.full((3, NUM_CATEGORIES), np.nan)
        support = np.bincount(true, minlength=NUM_CATEGORIES)
        if true.size:
            *columns, _ = precision_recall_fscore_support(
                true, present.argmax(axis=1), labels=np.arange(NUM_CATEGORIES), zero_division=0
            )
        columns = dict(zip(("precision", "recall", "f1"), np.round(columns, DIGITS), strict=True))
        names = {"model": model, "code": CODES, "name": [NAMES[code] for code in CODES]}
        tables.append(pd.DataFrame({**names, **columns, "support": support}))
    return pd.concat(tables, ignore_index=True)


def category_f1(categories: pd.DataFrame, model: str) -> pd.DataFrame:
    """Take one model's F1 of each category, in the form that `dvc plots` draws as bars.

    Args:
        categories: Table of `category_table`.
        model: One of its models.

    Returns:
        27 rows in the order of the codes: `category` (code and name) and `f1`.
    """
    own = categories[categories["model"].eq(model)]
    category = own["code"].astype(str) + " " + own["name"]
    return pd.DataFrame({"category": category, "f1": own["f1"]}).reset_index(drop=True)


def confusion_table(labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Count which category is taken for which, one line per pair that occurs.

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
            f"{side}{suffix}": values if suffix else [NAMES[code] for code in values]
            for side, values in codes.items()
            for suffix in ("_code", "")
        }
        share = np.round(rows / counts.sum(axis=1)[actual], DIGITS)
        tables.append(pd.DataFrame({"model": model, **named, "rows": rows, "share": share}))
    return pd.concat(tables, ignore_index=True)


def group_table(labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Count how many errors on a group of alike categories stay inside the group.

    Args:
        labels: int64 (n,), the true class indices.
        scores: Scores (n, 27) by model name, in the order of `labels`.

    Returns:
        One row per model and group of `categories.GROUPS`: `model`, `group`, `rows` (products of
        the group's categories), `errors` (those taken for another category), `inside` (those
        taken for another category of the same group) and `share`, inside / errors, NaN without
        errors.
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
    """Measure every model on the cuts of `SLICES`.

    Args:
        rows: Table of `describe`, n products, e.g. those of one part.
        scores: Scores (n, 27) by model name, in the order of `rows`.

    Returns:
        One row per model, cut and value, empty ones included: `model`, `slice`, `value`, `rows`
        and the metrics of `METRICS`, NaN where `measure` has None.
    """
    labels = rows["label"].to_numpy()
    records = []
    for model, values in scores.items():
        for cut, names in SLICES.items():
            for name in names:
                chosen = rows[cut].eq(name).to_numpy()
                metrics = measure(labels[chosen], values[chosen])
                records.append({"model": model, "slice": cut, "value": name, **metrics})
    columns = ["model", "slice", "value", "rows", *METRICS]
    return pd.DataFrame(records, columns=columns).astype(dict.fromkeys(METRICS, np.float64))


def prediction_table(rows: pd.DataFrame, scores: np.ndarray) -> pd.DataFrame:
    """List what a model says of each product that it can score.

    Args:
        rows: Table of `describe`, n products.
        scores: float (n, 27) of one model, in the order of `rows`.

    Returns:
        `id`, `actual` and `predicted` (code and name, the form that the `confusion` template of
        `dvc plots` reads), `score` of the predicted class, in the order of `rows`.
    """
    chosen = scored(scores)
    values = scores[chosen]
    predicted = values.argmax(axis=1)
    names = np.array([f"{code} {NAMES[code]}" for code in CODES], dtype=object)
    return pd.DataFrame(
        {
            "id": rows["id"].to_numpy()[chosen],
            "actual": names[rows["label"].to_numpy()[chosen]],
            "predicted": names[predicted],
            "score": np.round(values[np.arange(len(values)), predicted].astype(np.float64), 4),
        }
    )


def interval_table(
    rows: pd.DataFrame,
    scores: Mapping[str, np.ndarray],
    pairs: Iterable[tuple[str, str]] = PAIRS,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> pd.DataFrame:
    """Give the intervals of `INTERVAL_METRICS` and of differences between models, by bootstrap.

    Percentile intervals over products drawn with replacement. A difference is measured on the
    products that both models can score, both on the same draws: a paired interval, narrower than
    what the two models' own intervals suggest. A fusion is set against a single modality a second
    time, on the products that have both: only there can it gain by the other one.

    Args:
        rows: Table of `describe`, n products, e.g. those of one part.
        scores: Scores (n, 27) by model name, in the order of `rows`.
        pairs: Names of two models each; pairs with a model that is not in `scores` are left out.
        resamples: Number of draws.
        confidence: Share of the draws inside the interval, in 0..1.
        seed: Seed of the draws.

    Returns:
        `model`, `minus` (empty for a model by itself), `rows_of` ("scored" for a model by itself,
        "scored by both" or "both modalities"), `metric`, `value`, `low`, `high`, `rows`. No line
        where a metric is None or no product is left.
    """
    labels = rows["label"].to_numpy()
    both = rows["modality"].eq("both").to_numpy()
    compared = [(model, "", "scored", scored(values)) for model, values in scores.items()]
    for model, other in pairs:
        if {model, other} <= set(scores):
            common = scored(scores[model]) & scored(scores[other])
            compared.append((model, other, "scored by both", common))
            if BY_NAME[model].modality == "fusion" and BY_NAME[other].modality != "fusion":
                compared.append((model, other, "both modalities", common & both))

    drawn_of = {}  # pairs that cover all of a model's rows need no draws of their own
    records = []
    for model, other, rows_of, chosen in compared:
        names = [name for name in (model, other) if name]
        for name in names:
            if (name, chosen.tobytes()) not in drawn_of:
                own = labels[chosen], scores[name][chosen]
                draws = bootstrap(*own, resamples=resamples, seed=seed)
                drawn_of[name, chosen.tobytes()] = measure(*own), draws
        measured = [drawn_of[name, chosen.tobytes()] for name in names]
        for metric in INTERVAL_METRICS:
            if any(metric not in draws for _, draws in measured):
                continue
            value, drawn = measured[0][0][metric], measured[0][1][metric]
            if other:
                value, drawn = value - measured[1][0][metric], drawn - measured[1][1][metric]
            low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
            bounds = [_rounded(bound) for bound in (value, low, high)]
            records.append((model, other, rows_of, metric, *bounds, int(chosen.sum())))
    columns = ["model", "minus", "rows_of", "metric", "value", "low", "high", "rows"]
    return pd.DataFrame(records, columns=columns)


def difference_lines(intervals: pd.DataFrame) -> list[str]:
    """Say of each pair of models by how much the first is better.

    Args:
        intervals: Table of `interval_table`; `minus` is "" for a model by itself, not NaN.

    Returns:
        One line per pair and kind of rows, such as `late_fusion minus text_ensemble: +2.1 points
        weighted F1 [0.8, 3.4], 160 rows with both`; one alone where all rows have both.
    """
    chosen = intervals[intervals["minus"].ne("") & intervals["metric"].eq("weighted_f1")]
    lines = []
    for row in chosen.drop_duplicates(["model", "minus", "rows"], keep="last").itertuples():
        value, low, high = (round(100 * v, 1) + 0.0 for v in (row.value, row.low, row.high))
        counted = "rows with both" if row.rows_of == "both modalities" else "rows"
        lines.append(
            f"{row.model} minus {row.minus}: {value:+.1f} points weighted F1 "
            f"[{low:.1f}, {high:.1f}], {row.rows:,} {counted}"
        )
    return lines


def bootstrap(
    labels: np.ndarray, scores: np.ndarray, *, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Measure one model on products drawn with replacement.

    The same seed and number of products give the same draws, whatever the model: differences
    between the results of two models are paired.

    Args:
        labels: int64 (n,), the true class indices.
        scores: float (n, 27) without NaN.
        resamples: Number of draws.
        seed: Seed of the draws.

    Returns:
        float64 (resamples,) for each of `INTERVAL_METRICS` that the scores allow: none without
        rows, no `log_loss` without probabilities.
    """
    if not labels.size:
        return {}
    cells = labels * NUM_CATEGORIES + scores.argmax(axis=1)  # (n,), the cell of the confusion
    loss = _row_losses(labels, scores) if are_probabilities(scores) else None
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // labels.size)
    counts, losses = [], []
    for start in range(0, resamples, step):
        size = (min(step, resamples - start), labels.size)
        drawn = generator.integers(0, labels.size, size=size, dtype=np.int32)
        offset = np.arange(size[0])[:, None] * _CELLS
        flat = np.bincount((cells[drawn] + offset).ravel(), minlength=size[0] * _CELLS)
        counts.append(_confusion_metrics(flat.reshape(-1, NUM_CATEGORIES, NUM_CATEGORIES)))
        if loss is not None:
            losses.append(loss[drawn].mean(axis=1))
    metrics = {name: np.concatenate([part[name] for part in counts]) for name in counts[0]}
    return metrics | ({"log_loss": np.concatenate(losses)} if losses else {})


def tables(
    metrics: Mapping[str, Mapping[str, Mapping]],
    rows: pd.DataFrame,
    scores: Mapping[str, np.ndarray],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Make the tables of one part, those of the stage `evaluate` by file name.

    Args:
        metrics: Model -> part -> metric of all parts, as `measure_parts` has it.
        rows: Table of `describe`, the n products of the part.
        scores: Scores (n, 27) by model name, in the order of `rows`.
        resamples: Number of draws behind an interval.
        confidence: Share of the draws inside an interval, in 0..1.
        seed: Seed of the draws.

    Returns:
        `comparison`, `categories`, `confusion`, `groups`, `slices`, `calibration`, `intervals`,
        and for each of `TRAINED` that is there `f1_<net>` and `predictions_<net>`, one file each as
        `dvc plots` wants it.
    """
    labels = rows["label"].to_numpy()
    nets = {net: scores[net] for net in TRAINED if net in scores}
    categories = category_table(labels, scores)
    return {
        "comparison": comparison_table(metrics),
        "categories": categories,
        "confusion": confusion_table(labels, scores),
        "groups": group_table(labels, scores),
        "slices": slice_table(rows, scores),
        "calibration": calibration_table(labels, scores),
        "intervals": interval_table(
            rows, scores, resamples=resamples, confidence=confidence, seed=seed
        ),
        **{f"f1_{net}": category_f1(categories, net) for net in nets},
        **{f"predictions_{net}": prediction_table(rows, values) for net, values in nets.items()},
    }


def comparison_table(metrics: Mapping[str, Mapping[str, Mapping]]) -> pd.DataFrame:
    """Set the models' test metrics beside the published reference.

    Args:
        metrics: Model -> part -> metric, as `measure_parts` has it.

    Returns:
        One row per model: `model`, `title` for people, `modality` (text, image or fusion),
        `baseline` (bool), `rows`, the metrics on test (NaN where None), `train_accuracy`,
        `out_of_fold` (bool, whether `train_accuracy` is of scores by models that had not seen the
        row: comparable with test), `published_accuracy` (test; NaN where the study has none).
    """
    records = []
    for model, parts in metrics.items():
        published = PUBLISHED.get(model, {}).get("test", {})
        records.append(
            {
                "model": model,
                "title": BY_NAME[model].title,
                "modality": BY_NAME[model].modality,
                "baseline": model not in TRAINED,
                "rows": parts["test"]["rows"],
                **{metric: parts["test"][metric] for metric in METRICS},
                "train_accuracy": parts["train"]["accuracy"],
                "out_of_fold": model in ENSEMBLES,
                "published_accuracy": published.get("accuracy"),
            }
        )
    numbers = [*METRICS, "train_accuracy", "published_accuracy"]
    return pd.DataFrame(records).astype(dict.fromkeys(numbers, np.float64))


def readme_table(metrics: Mapping[str, Mapping[str, Mapping]]) -> str:
    """Write the models' test metrics as a Markdown table, the published reference beside them.

    Args:
        metrics: Model -> part -> metric, as `reports/evaluate/models.json` has it.

    Returns:
        Markdown lines, all but the baselines in bold, a dash where there is no figure; ends with
        a line end.
    """
    lines = [
        "| Model | Accuracy | Weighted F1 | Macro F1 | Log loss | Calibration error | Test rows "
        "| Published accuracy |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in comparison_table(metrics).itertuples():
        cells = [
            row.title if row.baseline else f"**{row.title}**",
            *(_cell(value, ".1%") for value in (row.accuracy, row.weighted_f1, row.macro_f1)),
            _cell(row.log_loss, ".3f"),
            _cell(row.ece, ".1%"),
            f"{row.rows:,}",
            _cell(row.published_accuracy, ".1%"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _masked(model: str, values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Put NaN where the model has nothing to go by, float32 (n, 27)."""
    expected = (len(present), NUM_CATEGORIES)
    if values.shape != expected:
        raise ValueError(
            f"scores of {model}: expected shape {expected}, received {values.shape}: one column "
            "per class index of rakuten.categories.CODES; run 'dvc repro'"
        )
    return np.where(present[:, None], values, np.nan).astype(np.float32)


def _present(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out the products that the model cannot score."""
    chosen = scored(scores)
    return labels[chosen], scores[chosen]


def _row_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Log loss of each row in nats, float64 (n,), clipped as scikit-learn's `log_loss` does."""
    own = probabilities[np.arange(len(labels)), labels]
    floor = np.finfo(probabilities.dtype).eps
    return -np.log(np.clip(own, floor, 1 - floor).astype(np.float64))


def _confusion_metrics(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the metrics of `measure` from confusion matrices (b, 27, 27), each float64 (b,)."""
    correct = np.diagonal(counts, axis1=1, axis2=2)  # (b, 27)
    support = counts.sum(axis=2)
    rows = support.sum(axis=1)
    f1 = 2 * correct / np.maximum(support + counts.sum(axis=1), 1)
    return {
        "accuracy": correct.sum(axis=1) / rows,
        "weighted_f1": (f1 * support).sum(axis=1) / rows,
        "macro_f1": (f1 * (support > 0)).sum(axis=1) / (support > 0).sum(axis=1),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), DIGITS)


def _cell(value: float, form: str) -> str:
    """Write a number for a Markdown table: `77.2 %`, `0.812`, or a dash for NaN."""
    return "-" if np.isnan(value) else format(value, form).replace("%", " %")
