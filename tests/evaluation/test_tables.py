"""Tables of the evaluation against literal ones."""

import numpy as np
import pytest
from evaluation_cases import described, one_hot, random_problem

from rakuten.categories import CODES, to_labels
from rakuten.category_names import CATEGORIES
from rakuten.evaluation import metrics, tables
from rakuten.evaluation.published import CORRECT, PUBLISHED, TEST_ROWS, recall_table


def test_measure_parts_measures_each_part_by_itself():
    measured = tables.measure_parts(described(), {"text": one_hot([0, 0, 2, 3, 4])})
    assert list(measured["text"]) == ["train", "validation", "test"]
    assert measured["text"]["train"]["accuracy"] == 1
    assert measured["text"]["validation"] == metrics.measure(np.zeros(0, int), np.zeros((0, 27)))
    assert measured["text"]["test"]["accuracy"] == 0.75
    assert measured["text"]["test"]["rows"] == 4


def test_experiments_are_compared_by_the_validation_metrics_of_the_main_models():
    shown = {"accuracy": 0.5, "weighted_f1": 0.4, "macro_f1": 0.3, "log_loss": 2.0, "ece": 0.1}
    parts = {"train": {}, "validation": {**shown, "rows": 7}, "test": {}}
    models = dict.fromkeys(["text", "text_linear_svm", "fusion", "text_ensemble"], parts)
    kept = tables.validation_metrics(models)
    assert list(kept) == ["text", "fusion", "text_ensemble"]
    assert kept["text"] == {"validation": shown}
    assert list(kept["text"]["validation"]) == list(metrics.METRICS)


def test_calibration_table_lists_the_main_models_with_probabilities():
    labels, scores = random_problem(rows=31)
    absent = scores.copy()
    absent[:16] = np.nan
    models = {
        "text": scores, "text_naive_bayes": scores, "text_ensemble": absent,
        "image": np.log(scores), "fusion": scores * np.nan,
    }  # fmt: skip
    table = tables.calibration_table(labels, models)
    assert table.columns.tolist() == ["model", "bin", "rows", "confidence", "accuracy"]
    assert table["model"].unique().tolist() == ["text", "text_ensemble"]
    text = table[table["model"].eq("text")]
    assert text["rows"].tolist() == [2] * 14 + [3]
    assert text["bin"].tolist() == list(range(1, 16))
    assert table[table["model"].eq("text_ensemble")]["rows"].tolist() == [1] * 15
    gap = (text["rows"] * (text["confidence"] - text["accuracy"]).abs()).sum() / 31
    assert gap == pytest.approx(metrics.measure(labels, scores)["ece"], abs=1e-5)
    assert tables.calibration_table(labels, {"image": np.log(scores)}).empty


def test_category_table_names_and_measures_each_category():
    labels = to_labels([10, 10, 10, 2905])
    scores = {"text": one_hot(to_labels([10, 10, 40, 10])), "image": np.full((4, 27), np.nan)}
    table = tables.category_table(labels, scores)
    assert table["code"].tolist() == [*CODES, *CODES]
    text = table[table["model"] == "text"].set_index("code")
    assert text.loc[10, "name"] == "Books for adults"
    assert text.loc[10, ["precision", "recall", "f1", "support"]].tolist() == pytest.approx(
        [2 / 3, 2 / 3, 2 / 3, 3], abs=1e-6
    )
    assert text.loc[40, ["precision", "recall", "f1", "support"]].tolist() == [0, 0, 0, 0]
    assert text.loc[2905, "support"] == 1
    image = table[table["model"] == "image"]
    assert image["f1"].isna().all()
    assert image["support"].sum() == 0


def test_confusion_table_lists_the_pairs_that_occur():
    labels = to_labels([10, 10, 10, 2280])
    text = one_hot(to_labels([10, 2280, 2280, 2280]))
    table = tables.confusion_table(labels, {"text": text, "image": text * np.nan})
    assert table.to_dict("records") == [
        {"model": "text", "actual_code": 10, "actual": "Books for adults", "predicted_code": 10,
         "predicted": "Books for adults", "rows": 1, "share": 0.333333},
        {"model": "text", "actual_code": 10, "actual": "Books for adults", "predicted_code": 2280,
         "predicted": "Magazines", "rows": 2, "share": 0.666667},
        {"model": "text", "actual_code": 2280, "actual": "Magazines", "predicted_code": 2280,
         "predicted": "Magazines", "rows": 1, "share": 1.0},
    ]  # fmt: skip


def test_group_table_counts_errors_inside_and_outside_the_group():
    actual = [10, 10, 2280, 2403, 2705, 1280, 1560]
    predicted = [10, 2280, 10, 1560, 2705, 1280, 10]
    table = tables.group_table(to_labels(actual), {"text": one_hot(to_labels(predicted))})
    assert table.drop(columns="share").values.tolist() == [
        ["text", "books", 5, 3, 2],
        ["text", "toys", 1, 0, 0],
        ["text", "games", 0, 0, 0],
    ]
    assert table["share"].tolist() == pytest.approx([0.666667, np.nan, np.nan], nan_ok=True)


def test_slice_table_measures_the_products_of_each_slice():
    rows = described()
    scores = one_hot([0, 1, 2, 9, 4])
    scores[4] = np.nan
    table = tables.slice_table(rows, {"text": scores})
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


def test_prediction_table_names_actual_and_predicted_category():
    rows = described()
    scores = one_hot([0, 2, 2, 9, 4]) * np.float32(0.75)
    scores[4] = np.nan
    table = tables.prediction_table(rows, scores)
    assert table["id"].tolist() == [2, 3, 5, 8]
    assert table["actual"].tolist()[:2] == ["10 Books for adults", "40 Imported video games"]
    assert table["predicted"].tolist()[:2] == ["10 Books for adults", "50 Gaming accessories"]
    assert table["score"].tolist() == [0.75] * 4


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


def test_comparison_table_marks_baselines():
    table = tables.comparison_table(published_metrics())
    assert table[["title", "modality", "baseline"]].values.tolist() == [
        ["Text net", "text", False],
        ["Linear SVM on text", "text", True],
        ["Image net", "image", False],
        ["Text ensemble", "text", False],
    ]
    assert table["published_accuracy"].fillna(0).tolist() == [0.772, 0, 0.593, 0]
    assert table["out_of_fold"].tolist() == [False, False, False, True]


def test_summary_line_names_models_that_were_not_measured():
    line = "test accuracy text 77.2 %, image not measured, text_ensemble 85.0 %"
    assert tables.summary_line(published_metrics()) == line


def test_published_metrics_are_those_of_the_study():
    assert PUBLISHED["image"] == {"train": {"accuracy": 0.757}, "test": {"accuracy": 0.593}}
    assert PUBLISHED["text"]["test"]["accuracy"] == 0.772
    assert PUBLISHED["fusion"]["test"]["accuracy"] == 0.819


def test_published_recall_adds_up_to_the_published_accuracy():
    assert tuple(CORRECT) == CODES
    assert TEST_ROWS == 16_984
    table = recall_table()
    assert table["code"].tolist() == list(CODES)
    for net, parts in PUBLISHED.items():
        accuracy = (table[net] * table["rows"]).sum() / TEST_ROWS
        assert round(accuracy, 3) == parts["test"]["accuracy"]
    assert table[["text", "fusion"]].mean().round(3).tolist() == [0.740, 0.791]


ALL_MODELS = ["text", "image", "fusion", "text_ensemble", "image_ensemble", "late_fusion"]


@pytest.mark.parametrize("nets", [ALL_MODELS, ["text", "image", "fusion"], ["late_fusion"]])
def test_tables_of_a_part_hold_every_model_and_name_every_category(nets):
    rows = described()
    scores = dict.fromkeys([*nets, "image_random_forest"], one_hot([0, 1, 2, 3, 4]))
    made = tables.tables(
        tables.measure_parts(rows, scores), rows, scores, resamples=5, confidence=0.9, seed=0
    )
    for name in ("comparison", "categories", "confusion", "groups", "slices", "intervals"):
        assert set(made[name]["model"]) == set(scores), name
    assert set(made["categories"]["name"]) == {names["en"] for names in CATEGORIES.values()}
    assert {name for name in made if "_" in name} == {f"predictions_{net}" for net in nets}
    assert set(made["calibration"]["model"]) == set(nets)
    cuts = made["slices"].groupby("model").size()
    assert cuts.to_dict() == dict.fromkeys(scores, 9)
