"""Metrics against naive oracles, tables against literal ones."""

import math

import numpy as np
import pandas as pd
import pytest

from rakuten import model_names
from rakuten.categories import CODES, NAMES, to_labels
from rakuten.evaluation import metrics as evaluation
from rakuten.evaluation.published import PUBLISHED


def one_hot(classes):
    """Scores of a model that is sure of `classes`."""
    return np.eye(27, dtype=np.float32)[np.asarray(classes)]


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def random_problem(rows=80, classes=9, seed=0):
    """Labels of some of the 27 classes, and probabilities that are right about half the time."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows)
    logits = generator.normal(size=(rows, 27))
    logits[np.arange(rows), labels] += 2
    return labels, softmax(logits)


def naive_calibration_error(labels, scores, bins=15):
    """Rows by confidence, cut into runs of equal length: valid where no two are equally sure."""
    told = sorted(
        (max(row), max(range(27), key=lambda c, row=row: row[c]) == label)
        for row, label in zip(scores.tolist(), labels.tolist(), strict=True)
    )
    gaps = 0.0
    for number in range(bins):
        own = told[number * len(told) // bins : (number + 1) * len(told) // bins]
        if own:
            sure = sum(confidence for confidence, _ in own) / len(own)
            right = sum(correct for _, correct in own) / len(own)
            gaps += len(own) * abs(sure - right)
    return gaps / len(told)


def naive_metrics(labels, scores):
    """The definitions, in plain loops."""
    predicted = [max(range(27), key=lambda c, row=row: row[c]) for row in scores.tolist()]
    pairs = list(zip(labels.tolist(), predicted, strict=True))
    f1, support = {}, {}
    for category in set(labels.tolist()):
        hits = sum(a == category and p == category for a, p in pairs)
        actual = sum(a == category for a, _ in pairs)
        claimed = sum(p == category for _, p in pairs)
        f1[category] = 2 * hits / (actual + claimed)
        support[category] = actual
    return {
        "accuracy": sum(a == p for a, p in pairs) / len(pairs),
        "weighted_f1": sum(f1[c] * support[c] for c in f1) / len(pairs),
        "macro_f1": sum(f1.values()) / len(f1),
        "log_loss": -sum(math.log(row[a]) for row, a in zip(scores.tolist(), labels, strict=True))
        / len(pairs),
        "ece": naive_calibration_error(labels, scores),
        "rows": len(pairs),
    }


@pytest.mark.parametrize("classes", [1, 9, 27])
def test_measure_equals_the_naive_definitions(classes):
    labels, scores = random_problem(classes=classes, seed=classes)
    assert evaluation.measure(labels, scores) == pytest.approx(
        naive_metrics(labels, scores), abs=1e-6
    )


def test_macro_f1_counts_the_categories_that_occur():
    """Class 2 is predicted but has no product: it lowers the recall of class 1, no more."""
    metrics = evaluation.measure(np.array([0, 0, 1, 1]), one_hot([0, 0, 1, 2]))
    assert metrics["macro_f1"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-6)
    assert metrics["accuracy"] == 0.75


def test_log_loss_clips_at_the_resolution_of_float32():
    metrics = evaluation.measure(np.array([0, 1]), one_hot([0, 2]))
    assert metrics["log_loss"] == pytest.approx(-math.log(np.finfo(np.float32).eps) / 2, abs=1e-5)


def test_rows_without_scores_are_left_out():
    labels, scores = random_problem()
    absent = np.arange(len(labels)) % 3 == 0
    masked = np.where(absent[:, None], np.nan, scores)
    assert evaluation.measure(labels, masked) == evaluation.measure(
        labels[~absent], scores[~absent]
    )
    assert evaluation.measure(labels, masked)["rows"] == 53


def test_no_rows_no_metrics():
    metrics = ["accuracy", "weighted_f1", "macro_f1", "log_loss", "ece"]
    expected = dict.fromkeys(metrics) | {"rows": 0}
    assert evaluation.measure(np.zeros(0, int), np.zeros((0, 27))) == expected
    assert evaluation.measure(np.zeros(2, int), np.full((2, 27), np.nan)) == expected


@pytest.mark.parametrize("change", [lambda s: s - 0.1, lambda s: 2 * s, np.log])
def test_decision_scores_have_no_log_loss_and_no_calibration(change):
    labels, probabilities = random_problem()
    metrics = evaluation.measure(labels, change(probabilities))
    assert metrics["log_loss"] is None
    assert metrics["ece"] is None
    assert metrics["accuracy"] == evaluation.measure(labels, probabilities)["accuracy"]


@pytest.mark.parametrize("rows", [1, 7, 15, 16, 400])
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_equals_the_naive_definition(rows, bins):
    labels, scores = random_problem(rows=rows, seed=rows)
    assert len(set(scores.max(axis=1))) == rows
    assert evaluation.expected_calibration_error(labels, scores, bins) == pytest.approx(
        naive_calibration_error(labels, scores, bins), abs=1e-9
    )


def test_calibration_error_of_literal_rows():
    """Half sure and right one time in four; quite sure and always right."""
    half = [[0.5, 0.5, *[0] * 25]] * 4
    labels = np.array([0, 1, 1, 1, 2, 2])
    scores = np.array(half + one_hot([2, 2]).tolist())
    assert evaluation.expected_calibration_error(labels, scores) == pytest.approx(4 / 6 * 0.25)


def test_equally_sure_rows_share_a_bin_whatever_their_order():
    labels = random_problem(rows=200)[0]
    sure = np.random.default_rng(1).choice([0.5, 0.75, 0.875], 200, p=[0.1, 0.2, 0.7])
    scores = np.column_stack([sure, 1 - sure, np.zeros((200, 25))])
    table = evaluation.calibration_bins(labels, scores)
    kinds, rows = np.unique(scores.max(axis=1), return_counts=True)
    assert table[["confidence", "rows"]].values.tolist() == np.column_stack([kinds, rows]).tolist()
    order = np.random.default_rng(0).permutation(200)
    shuffled = evaluation.calibration_bins(labels[order], scores[order])
    pd.testing.assert_frame_equal(shuffled, table)


def test_calibration_tells_a_doubting_model_from_a_sound_one():
    generator = np.random.default_rng(0)
    scores = softmax(generator.normal(size=(6000, 27)) * 2)
    drawn = generator.random((6000, 1)) < np.cumsum(scores, axis=1)
    labels = drawn.argmax(axis=1)  # each label drawn with the very probabilities of its row
    assert evaluation.expected_calibration_error(labels, scores) < 0.03
    doubting = scores**0.3 / (scores**0.3).sum(axis=1, keepdims=True)
    table = evaluation.calibration_bins(labels, doubting)
    assert (table["accuracy"] > table["confidence"] + 0.03).all()


def test_calibration_table_shows_the_models_in_use_that_have_probabilities():
    labels, scores = random_problem(rows=31)
    absent = scores.copy()
    absent[:16] = np.nan
    models = {
        "text": scores, "text_naive_bayes": scores, "text_ensemble": absent,
        "image": np.log(scores), "fusion": scores * np.nan,
    }  # fmt: skip
    table = evaluation.calibration_table(labels, models)
    assert table.columns.tolist() == ["model", "bin", "rows", "confidence", "accuracy"]
    assert table["model"].unique().tolist() == ["text", "text_ensemble"]
    text = table[table["model"].eq("text")]
    assert text["rows"].tolist() == [2] * 14 + [3]
    assert text["bin"].tolist() == list(range(1, 16))
    assert table[table["model"].eq("text_ensemble")]["rows"].tolist() == [1] * 15
    gap = (text["rows"] * (text["confidence"] - text["accuracy"]).abs()).sum() / 31
    assert gap == pytest.approx(evaluation.measure(labels, scores)["ece"], abs=1e-5)
    assert evaluation.calibration_table(labels, {"image": np.log(scores)}).empty


def test_confusion_counts_rows_by_actual_and_predicted_class():
    counts = evaluation.confusion(np.array([3, 3, 3, 26]), one_hot([3, 5, 5, 0]))
    expected = np.zeros((27, 27), np.int64)
    expected[3, 3], expected[3, 5], expected[26, 0] = 1, 2, 1
    np.testing.assert_array_equal(counts, expected)
    assert counts.dtype == np.int64
    assert evaluation.confusion(np.zeros(0, int), np.zeros((0, 27))).tolist() == [[0] * 27] * 27


def test_category_table_names_and_measures_each_category():
    labels = to_labels([10, 10, 10, 2905])
    scores = {"text": one_hot(to_labels([10, 10, 40, 10])), "image": np.full((4, 27), np.nan)}
    table = evaluation.category_table(labels, scores)
    assert table["code"].tolist() == [*CODES, *CODES]
    text = table[table["model"] == "text"].set_index("code")
    assert text.loc[10, "name"] == "livres_adulte"
    assert text.loc[10, ["precision", "recall", "f1", "support"]].tolist() == pytest.approx(
        [2 / 3, 2 / 3, 2 / 3, 3], abs=1e-6
    )
    assert text.loc[40, ["precision", "recall", "f1", "support"]].tolist() == [0, 0, 0, 0]
    assert text.loc[2905, "support"] == 1
    image = table[table["model"] == "image"]
    assert image["f1"].isna().all()
    assert image["support"].sum() == 0


def test_category_f1_takes_one_model_with_readable_names():
    labels, scores = random_problem()
    table = evaluation.category_table(labels, {"text": scores, "fusion": one_hot(labels)})
    f1 = evaluation.category_f1(table, "fusion")
    assert f1.columns.tolist() == ["category", "f1"]
    assert f1["category"].iloc[0] == "10 livres_adulte"
    assert f1["f1"].tolist() == [1.0] * 9 + [0.0] * 18


def test_confusion_table_lists_the_pairs_that_occur():
    labels = to_labels([10, 10, 10, 2280])
    text = one_hot(to_labels([10, 2280, 2280, 2280]))
    table = evaluation.confusion_table(labels, {"text": text, "image": text * np.nan})
    assert table.to_dict("records") == [
        {"model": "text", "actual_code": 10, "actual": "livres_adulte", "predicted_code": 10,
         "predicted": "livres_adulte", "rows": 1, "share": 0.333333},
        {"model": "text", "actual_code": 10, "actual": "livres_adulte", "predicted_code": 2280,
         "predicted": "magazines", "rows": 2, "share": 0.666667},
        {"model": "text", "actual_code": 2280, "actual": "magazines", "predicted_code": 2280,
         "predicted": "magazines", "rows": 1, "share": 1.0},
    ]  # fmt: skip


def test_group_table_tells_errors_inside_the_group_from_those_outside():
    actual = [10, 10, 2280, 2403, 2705, 1280, 1560]
    predicted = [10, 2280, 10, 1560, 2705, 1280, 10]
    table = evaluation.group_table(to_labels(actual), {"text": one_hot(to_labels(predicted))})
    assert table.drop(columns="share").values.tolist() == [
        ["text", "books", 5, 3, 2],
        ["text", "toys", 1, 0, 0],
        ["text", "games", 0, 0, 0],
    ]
    assert table["share"].tolist() == pytest.approx([0.666667, np.nan, np.nan], nan_ok=True)


def product_tables():
    products = pd.DataFrame(
        {
            "id": [2, 3, 5, 8, 9],
            "label": [0, 1, 2, 3, 4],
            "description": ["<p>Bon</p>", None, "  ", "text", None],
            "has_text": [True, True, True, True, False],
            "language": ["fr", "en", "de", "fr", ""],
        }
    )
    parts = pd.DataFrame({"id": [2, 3, 5, 8, 9], "part": ["train", "test", "test", "test", "test"]})
    return products, parts


def described():
    return evaluation.describe(*product_tables(), np.array([True, False, True, True, True]))


def test_describe_cuts_by_language_description_and_modality():
    rows = described()
    assert rows["language"].tolist() == ["fr", "en", "other", "fr", "none"]
    assert rows["description"].tolist() == ["given", "missing", "missing", "given", "missing"]
    assert rows["modality"].tolist() == ["both", "text only", "both", "both", "image only"]
    assert rows["part"].tolist() == ["train", "test", "test", "test", "test"]
    for cut, values in evaluation.SLICES.items():
        assert set(rows[cut]) <= set(values)


def test_describe_refuses_parts_of_other_products():
    products, parts = product_tables()
    with pytest.raises(ValueError, match="parts are of other products: row 1 is id 4, expected 3"):
        evaluation.describe(products, parts.assign(id=[2, 4, 5, 8, 9]), np.ones(5, bool))


def test_slice_table_measures_the_products_of_each_slice():
    rows = described()
    scores = one_hot([0, 1, 2, 9, 4])
    scores[4] = np.nan
    table = evaluation.slice_table(rows, {"text": scores})
    assert table[["slice", "value", "rows", "accuracy"]].values.tolist() == [
        ["language", "fr", 2, 0.5],
        ["language", "en", 1, 1.0],
        ["language", "other", 1, 1.0],
        ["language", "none", 0, pytest.approx(np.nan, nan_ok=True)],
        ["description", "given", 2, 0.5],
        ["description", "missing", 2, 1.0],
        ["modality", "both", 3, pytest.approx(2 / 3, abs=1e-6)],
        ["modality", "text only", 1, 1.0],
        ["modality", "image only", 0, pytest.approx(np.nan, nan_ok=True)],
    ]


def test_prediction_table_names_what_each_product_is_taken_for():
    rows = described()
    scores = one_hot([0, 2, 2, 9, 4]) * np.float32(0.75)
    scores[4] = np.nan
    table = evaluation.prediction_table(rows, scores)
    assert table["id"].tolist() == [2, 3, 5, 8]
    assert table["actual"].tolist()[:2] == ["10 livres_adulte", "40 jeux_videos_import"]
    assert table["predicted"].tolist()[:2] == ["10 livres_adulte", "50 accessoires_gaming"]
    assert table["score"].tolist() == [0.75] * 4


def model_arrays(ids, present, **scores):
    return {"ids": np.array(ids), "present": np.array(present), **scores}


def test_gather_orders_models_and_masks_absent_products():
    _, scores = random_problem(rows=3)
    outputs = {
        "text": model_arrays([1, 2, 3], [True, True, False], probabilities=scores, hidden=scores),
        "fusion": model_arrays([1, 2, 3], [True, True, True], probabilities=scores),
        "text_ensemble": model_arrays([1, 2, 3], [False, True, True], probabilities=scores),
    }
    baselines = {"text": model_arrays([1, 2, 3], [True, False, False], linear_svm=scores)}
    gathered = evaluation.gather(np.array([1, 2, 3]), outputs, baselines)
    assert list(gathered) == ["text", "text_linear_svm", "fusion", "text_ensemble"]
    assert evaluation.scored(gathered["text"]).tolist() == [True, True, False]
    assert evaluation.scored(gathered["text_linear_svm"]).tolist() == [True, False, False]
    assert evaluation.scored(gathered["text_ensemble"]).tolist() == [False, True, True]
    np.testing.assert_array_equal(gathered["fusion"], scores)


def test_gather_refuses_other_products_and_other_shapes():
    _, scores = random_problem(rows=3)
    good = {"text": model_arrays([1, 2, 3], [True] * 3, probabilities=scores)}
    shuffled = {"text": model_arrays([1, 3, 2], [True] * 3, probabilities=scores)}
    narrow = {"text": model_arrays([1, 2, 3], [True] * 3, probabilities=scores[:, :26])}
    with pytest.raises(ValueError, match="outputs of text are of other products"):
        evaluation.gather(np.array([1, 2, 3]), shuffled, {})
    with pytest.raises(ValueError, match=r"text: expected shape \(3, 27\), received \(3, 26\)"):
        evaluation.gather(np.array([1, 2, 3]), narrow, {})
    with pytest.raises(ValueError, match="baselines of text hold 2 products, expected 3"):
        baselines = {"text": model_arrays([1, 2], [True] * 2, linear_svm=scores[:2])}
        evaluation.gather(np.array([1, 2, 3]), good, baselines)


def test_measure_parts_measures_each_part_by_itself():
    metrics = evaluation.measure_parts(described(), {"text": one_hot([0, 0, 2, 3, 4])})
    assert list(metrics["text"]) == ["train", "validation", "test"]
    assert metrics["text"]["train"]["accuracy"] == 1
    assert metrics["text"]["validation"] == evaluation.measure(np.zeros(0, int), np.zeros((0, 27)))
    assert metrics["text"]["test"]["accuracy"] == 0.75
    assert metrics["text"]["test"]["rows"] == 4


def test_headline_keeps_the_nets_without_their_rows():
    part = {"accuracy": 0.5, "weighted_f1": 0.4, "macro_f1": 0.3, "log_loss": 2.0, "ece": 0.1}
    part["rows"] = 7
    metrics = dict.fromkeys(
        ["text", "text_linear_svm", "fusion", "text_ensemble"],
        dict.fromkeys(["train", "validation", "test"], part),
    )
    kept = evaluation.headline(metrics)
    assert list(kept) == ["text", "fusion", "text_ensemble"]
    assert list(kept["text"]) == ["test", "validation", "train"]
    assert kept["text"]["test"] == {
        "accuracy": 0.5, "weighted_f1": 0.4, "macro_f1": 0.3, "log_loss": 2.0, "ece": 0.1,
    }  # fmt: skip


def test_bootstrap_equals_measuring_the_drawn_rows(monkeypatch):
    """Draw by draw, across several chunks."""
    labels, scores = random_problem(rows=40)
    monkeypatch.setattr(evaluation, "_CHUNK", 3 * 40)
    drawn = evaluation.bootstrap(labels, scores, resamples=7, seed=5)
    generator = np.random.default_rng(5)
    rows = np.concatenate(
        [generator.integers(0, 40, size=(n, 40), dtype=np.int32) for n in (3, 3, 1)]
    )
    for number, chosen in enumerate(rows):
        expected = evaluation.measure(labels[chosen], scores[chosen])
        assert {name: values[number] for name, values in drawn.items()} == pytest.approx(
            {name: expected[name] for name in evaluation.INTERVAL_METRICS}, abs=1e-6
        )


def test_bootstrap_repeats_itself_for_the_same_seed_only():
    labels, scores = random_problem()
    first, again, other = (
        evaluation.bootstrap(labels, scores, resamples=20, seed=seed)["accuracy"]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def rows_of(labels, modality="both"):
    """Products in the form of `describe`, as far as intervals read it."""
    return pd.DataFrame({"label": labels, "modality": modality})


def test_intervals_cover_the_value_and_narrow_with_more_products():
    widths = {}
    for rows in (100, 1600):
        labels, scores = random_problem(rows=rows)
        table = evaluation.interval_table(
            rows_of(labels), {"text": scores}, resamples=300, confidence=0.95, seed=0
        )
        assert table["metric"].tolist() == list(evaluation.INTERVAL_METRICS)
        assert table["rows_of"].unique().tolist() == ["scored"]
        assert (table["low"] <= table["value"]).all()
        assert (table["value"] <= table["high"]).all()
        widths[rows] = (table["high"] - table["low"]).iloc[0]
    assert widths[1600] == pytest.approx(widths[100] / 4, rel=0.35)


def test_interval_of_accuracy_is_as_wide_as_the_binomial_says():
    labels = np.zeros(400, int)
    scores = one_hot([0] * 300 + [1] * 100)
    table = evaluation.interval_table(
        rows_of(labels), {"text": scores}, resamples=4000, confidence=0.95, seed=0
    ).set_index("metric")
    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert table.loc["accuracy", ["low", "high"]].tolist() == pytest.approx(
        [0.75 - half, 0.75 + half], abs=0.005
    )


def test_differences_are_paired_and_on_common_products():
    labels, text = random_problem(rows=300, seed=3)
    fusion = text.copy()
    fusion[:30] = one_hot(labels[:30])  # right on 30 more products at most, wrong on none
    text[290:] = np.nan
    table = evaluation.interval_table(
        rows_of(labels), {"text": text, "fusion": fusion}, resamples=500, confidence=0.95, seed=0
    )
    lead = table[(table["minus"] == "text") & (table["metric"] == "accuracy")].iloc[0]
    assert lead["rows_of"] == "scored by both"
    alone = table[(table["model"] == "text") & (table["metric"] == "accuracy")].iloc[0]
    assert lead["rows"] == 290
    assert 0 < lead["low"] < lead["value"] < lead["high"]
    assert lead["high"] - lead["low"] < 0.7 * (alone["high"] - alone["low"])
    assert "image" not in set(table["minus"])


def fused_problem():
    """Text is wrong on the products that have no image, where fusion is right: it flatters."""
    labels, text = random_problem(rows=60, seed=4)
    modality = np.repeat(["both", "text only", "image only"], 20)
    fusion = text.copy()
    text[20:40] = one_hot((labels[20:40] + 1) % 9)
    fusion[20:40] = one_hot(labels[20:40])
    text[40:] = np.nan
    return rows_of(labels, modality), {"text_ensemble": text, "late_fusion": fusion}


def test_a_fusion_is_also_measured_where_both_modalities_are():
    rows, scores = fused_problem()
    table = evaluation.interval_table(rows, scores, resamples=50, confidence=0.9, seed=0)
    leads = table[table["minus"].eq("text_ensemble") & table["metric"].eq("accuracy")]
    assert leads["rows_of"].tolist() == ["scored by both", "both modalities"]
    assert leads["rows"].tolist() == [40, 20]
    own = {m: evaluation.measure(rows["label"].to_numpy()[:20], s[:20]) for m, s in scores.items()}
    gain = own["late_fusion"]["accuracy"] - own["text_ensemble"]["accuracy"]
    assert leads["value"].tolist()[1] == pytest.approx(gain, abs=1e-6)
    assert leads["value"].tolist()[0] >= 0.5
    no_image = rows.assign(modality="text only")
    table = evaluation.interval_table(no_image, scores, resamples=5, confidence=0.9, seed=0)
    assert "both modalities" not in set(table["rows_of"])


def test_differences_are_measured_on_the_draws_of_each_set_of_rows():
    """What one set of rows drew is not taken for another's of the same models."""
    rows, scores = fused_problem()
    settings = {"resamples": 50, "confidence": 0.9, "seed": 3}
    table = evaluation.interval_table(rows, scores, **settings)
    both = rows["modality"].eq("both").to_numpy()
    alone = evaluation.interval_table(
        rows[both], {m: s[both] for m, s in scores.items()}, **settings
    )
    columns = ["metric", "value", "low", "high", "rows"]
    whole, part = (t[t["rows_of"].eq("both modalities")][columns] for t in (table, alone))
    assert whole.values.tolist() == part.values.tolist()


def test_every_pair_is_of_models_in_use():
    _, scores = random_problem(rows=30)
    labels = np.arange(30) % 9
    models = dict.fromkeys(model_names.TRAINED, scores)
    table = evaluation.interval_table(rows_of(labels), models, resamples=3, confidence=0.9, seed=0)
    compared = table[table["minus"].ne("")][["model", "minus"]].drop_duplicates()
    assert compared.values.tolist() == [list(pair) for pair in evaluation.PAIRS]
    twice = table[table["rows_of"].eq("both modalities")]
    assert set(twice["model"] + " " + twice["minus"]) == {
        "fusion text", "fusion image", "late_fusion text_ensemble", "late_fusion image_ensemble",
    }  # fmt: skip


def test_difference_lines_say_what_was_compared_on_which_rows():
    def row(model, minus, rows_of, rows, *bounds, metric="weighted_f1"):
        names = ["model", "minus", "rows_of", "rows", "value", "low", "high", "metric"]
        return dict(zip(names, (model, minus, rows_of, rows, *bounds, metric), strict=True))

    table = pd.DataFrame(
        [
            row("text_ensemble", "", "scored", 180, 0.8, 0.7, 0.9),
            row("text_ensemble", "text", "scored by both", 1800, -0.0114, -0.03, -0.0002),
            row("text_ensemble", "text", "scored by both", 1800, 0.5, 0.4, 0.6, metric="accuracy"),
            row("late_fusion", "text_ensemble", "scored by both", 180, 0.03, 0.01, 0.05),
            row("late_fusion", "text_ensemble", "both modalities", 160, 0.021, 0.008, 0.034),
            row("fusion", "text", "scored by both", 160, 0.1, 0.05, 0.15),
            row("fusion", "text", "both modalities", 160, 0.1, 0.05, 0.15),
        ]
    )
    assert evaluation.difference_lines(table) == [
        "text_ensemble minus text: -1.1 points weighted F1 [-3.0, 0.0], 1,800 rows",
        "late_fusion minus text_ensemble: +3.0 points weighted F1 [1.0, 5.0], 180 rows",
        "late_fusion minus text_ensemble: +2.1 points weighted F1 [0.8, 3.4], 160 rows with both",
        "fusion minus text: +10.0 points weighted F1 [5.0, 15.0], 160 rows with both",
    ]


def test_intervals_skip_what_cannot_be_measured():
    labels, scores = random_problem()
    models = {"text_linear_svm": np.log(scores), "image": np.full((80, 27), np.nan)}
    table = evaluation.interval_table(rows_of(labels), models, resamples=10, confidence=0.9, seed=0)
    assert table[["model", "metric"]].values.tolist() == [
        ["text_linear_svm", metric] for metric in ("accuracy", "weighted_f1", "macro_f1")
    ]


def published_metrics():
    def part(accuracy, loss):
        metrics = {"accuracy": accuracy, "weighted_f1": accuracy, "macro_f1": 0.5, "rows": 16984}
        return metrics | {"log_loss": loss, "ece": None if loss is None else 0.041}

    nothing = dict.fromkeys(["accuracy", "weighted_f1", "macro_f1", "log_loss", "ece"])
    return {
        "text": dict.fromkeys(["train", "validation", "test"], part(0.772, 0.9)),
        "text_linear_svm": dict.fromkeys(["train", "validation", "test"], part(0.75, None)),
        "image": dict.fromkeys(["train", "validation", "test"], nothing | {"rows": 0}),
        "text_ensemble": dict.fromkeys(["train", "validation", "test"], part(0.85, 0.5)),
    }


def test_readme_table_shows_the_published_accuracy_beside_ours():
    assert evaluation.readme_table(published_metrics()).splitlines() == [
        "| Model | Accuracy | Weighted F1 | Macro F1 | Log loss | Calibration error | Test rows "
        "| Published accuracy |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| **Text net** | 77.2 % | 77.2 % | 50.0 % | 0.900 | 4.1 % | 16,984 | 77.2 % |",
        "| Linear SVM on text | 75.0 % | 75.0 % | 50.0 % | - | - | 16,984 | - |",
        "| **Image net** | - | - | - | - | - | 0 | 59.3 % |",
        "| **Text ensemble** | 85.0 % | 85.0 % | 50.0 % | 0.500 | 4.1 % | 16,984 | - |",
    ]


def test_comparison_table_tells_nets_from_baselines():
    table = evaluation.comparison_table(published_metrics())
    assert table[["title", "modality", "baseline"]].values.tolist() == [
        ["Text net", "text", False],
        ["Linear SVM on text", "text", True],
        ["Image net", "image", False],
        ["Text ensemble", "text", False],
    ]
    assert table["published_accuracy"].fillna(0).tolist() == [0.772, 0, 0.593, 0]
    assert table["out_of_fold"].tolist() == [False, False, False, True]


def test_sentence_says_what_was_not_measured():
    line = "test accuracy text 77.2 %, image not measured, text_ensemble 85.0 %"
    assert evaluation.sentence(published_metrics()) == line


def test_published_figures_are_the_studys():
    assert PUBLISHED["image"] == {"train": {"accuracy": 0.757}, "test": {"accuracy": 0.593}}
    assert PUBLISHED["text"]["test"]["accuracy"] == 0.772
    assert PUBLISHED["fusion"]["test"]["accuracy"] == 0.827


ALL_MODELS = ["text", "image", "fusion", "text_ensemble", "image_ensemble", "late_fusion"]


@pytest.mark.parametrize("nets", [ALL_MODELS, ["text", "image", "fusion"], ["late_fusion"]])
def test_tables_of_a_part_hold_every_model_and_name_every_category(nets):
    rows = described()
    scores = dict.fromkeys([*nets, "image_random_forest"], one_hot([0, 1, 2, 3, 4]))
    tables = evaluation.tables(
        evaluation.measure_parts(rows, scores), rows, scores, resamples=5, confidence=0.9, seed=0
    )
    for name in ("comparison", "categories", "confusion", "groups", "slices", "intervals"):
        assert set(tables[name]["model"]) == set(scores), name
    assert set(tables["categories"]["name"]) == set(NAMES.values())
    assert {name for name in tables if "_" in name} == {
        f"{kind}_{net}" for kind in ("f1", "predictions") for net in nets
    }
    assert set(tables["calibration"]["model"]) == set(nets)
    cuts = tables["slices"].groupby("model").size()
    assert cuts.to_dict() == dict.fromkeys(scores, 9)
