"""Tables of DVC's page hold what readers see."""

import numpy as np
import pandas as pd
import pytest

from rakuten.categories import CODES, GROUPS
from rakuten.model_names import BY_NAME, MAIN
from rakuten.reports import plot_tables


def metrics(accuracy, rows):
    return {"accuracy": accuracy, "macro_f1": accuracy, "rows": rows}


def test_the_data_are_named_with_their_size():
    table = plot_tables.data_line("catalogue of May", {"train": 1200, "test": 300})
    assert table["text"].tolist() == ["Catalogue of May: 1,500 products (1,200 train, 300 test)"]


def test_models_are_listed_by_title_with_validation_first():
    found = plot_tables.models(
        {
            "text": {"validation": metrics(0.7, 135), "test": metrics(0.6, 1270)},
            "image": {"validation": metrics(None, 0), "test": metrics(None, 0)},
            "text_linear_svm": {"validation": metrics(0.5, 135), "test": metrics(0.4, 1270)},
        }
    )
    assert found[["part", "model", "accuracy"]].values.tolist() == [
        ["validation part (135 products)", "Text net", 0.7],
        ["validation part (135 products)", "Linear SVM on text", 0.5],
        ["test part (1,270 products)", "Text net", 0.6],
        ["test part (1,270 products)", "Linear SVM on text", 0.4],
    ]
    assert found["colour"].iloc[0] == BY_NAME["text"].colour


def category_table(**scores):
    """A table of `tables.category_table`: F1 by model."""
    return pd.concat(
        pd.DataFrame({"model": model, "code": CODES, "f1": f1}) for model, f1 in scores.items()
    )


def test_categories_are_ordered_by_the_last_model_and_named_in_english():
    rising = np.linspace(0, 1, 27)
    found = plot_tables.categories(
        category_table(text=0.5, text_naive_bayes=0.1, image=np.nan, fusion=rising)
    )
    assert found["category"].iloc[0] == "2905 PC games to download"
    assert found["category"].iloc[-1] == "10 Books for adults"
    assert set(found["model"]) == {"Text net", "Fusion net"}
    assert set(found["role"]) == {"net"}
    first = found.set_index("model").loc["Fusion net", "f1"]
    assert first.tolist() == pytest.approx(rising[::-1].tolist())


def test_confusion_lists_every_category_in_the_order_of_the_axes():
    occurring = pd.DataFrame(
        [(10, 10, 3, 0.75), (10, 2280, 1, 0.25), (1160, 10, 2, 1.0)],
        columns=["actual_code", "predicted_code", "rows", "share"],
    )
    found = plot_tables.confusion(occurring.assign(model="late_fusion"))
    assert set(found["model"]) == {"Late fusion"}
    diagonal, others = found.iloc[:27], found.iloc[27:]
    assert diagonal["actual"].tolist() == diagonal["predicted"].tolist()
    codes = [int(label.split()[0]) for label in diagonal["actual"]]
    assert codes[:12] == [code for group in GROUPS.values() for code in group]
    assert sorted(codes) == list(CODES)
    assert diagonal["share"].tolist() == [0.75] + [0] * 26
    assert others[["actual", "predicted", "rows", "share"]].values.tolist() == [
        ["10 Books for adults", "2280 Magazines", 1, 0.25],
        ["1160 Playing cards", "10 Books for adults", 2, 1.0],
    ]


def test_calibration_keeps_the_bins_and_names_model_and_role():
    bins = pd.DataFrame(
        {"model": ["text", "late_fusion"], "confidence": 0.9, "accuracy": 0.8, "rows": 18}
    )
    found = plot_tables.calibration(bins)
    assert found[["modality", "role", "model"]].values.tolist() == [
        ["text", "net", "Text net"],
        ["fusion", "ensemble", "Late fusion"],
    ]
    assert found["accuracy"].tolist() == [0.8, 0.8]


def test_curves_have_one_row_per_net_part_and_epoch():
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [3.0, 2.0], "train_accuracy": [0.1, 0.2]}
    )
    both = history.assign(validation_loss=[3.0, 2.5], validation_accuracy=[0.1, 0.15])
    found = plot_tables.curves({"text": both, "image": history, "fusion": history.iloc[:0]})
    assert found[["model", "part", "epoch", "loss"]].values.tolist() == [
        ["Text net", "train", 1, 3.0],
        ["Text net", "train", 2, 2.0],
        ["Text net", "validation", 1, 3.0],
        ["Text net", "validation", 2, 2.5],
        ["Image net", "train", 1, 3.0],
        ["Image net", "train", 2, 2.0],
    ]


def test_nothing_to_show_gives_empty_tables_with_columns():
    empty = {"model": [], "code": [], "f1": [], "actual_code": [], "predicted_code": []}
    table = pd.DataFrame(empty | {"rows": [], "share": [], "confidence": [], "accuracy": []})
    evaluated = dict.fromkeys(["categories", "confusion", "calibration"], table)
    made = plot_tables.tables(evaluated, {}, {}, data="none", parts={"train": 0})
    for name in ("models", "categories", "confusion", "calibration", "curves"):
        assert made[name].empty
        assert len(made[name].columns) > 3


def test_every_main_model_has_a_role_on_the_page():
    assert {BY_NAME[model].role for model in MAIN} == set(plot_tables.ROLES)
