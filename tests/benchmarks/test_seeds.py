"""The tables of several splits, on literal rows of two seeds."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import seeds
from rakuten import model_names


def split(seed, ids, wrong):
    """All models are right, but text on some products; product 4 has no image."""
    frame = pd.DataFrame({"id": ids, "seed": seed, "label": ids})
    right = 0.9 * np.eye(27) + 0.1 / 27
    for model in model_names.MAIN:
        without_image = 4 if model.startswith("image") else None
        frame[model] = [None if i == without_image else right[i] for i in ids]
    frame["text"] = [right[0 if i in wrong else i] for i in ids]
    frame["products"] = ["text only" if i == 4 else "both" for i in ids]
    return frame


ROWS = pd.concat(
    [split(20, [1, 2, 3], wrong=[2]), split(21, [2, 3, 4], wrong=[])], ignore_index=True
)


def test_metrics_are_means_over_the_seeds():
    table = seeds.metric_table(ROWS).set_index(["products", "model"])
    assert table.loc[("all", "text"), "accuracy"] == "0.833 ± 0.236"  # of 2/3 and 1
    assert table.loc[("all", "fusion"), "accuracy"] == "1.000 ± 0.000"
    assert table["distinct rows"].to_dict()["all", "text"] == 4
    assert table["distinct rows"].to_dict()["all", "image"] == 3
    assert {model for kind, model in table.index if kind == "text only"} == {
        "text", "fusion", "text_ensemble", "late_fusion",
    }  # fmt: skip


def test_a_product_of_several_splits_counts_once_in_a_difference():
    table = seeds.difference_table(ROWS).set_index(["models", "products"])
    gain = table.loc[("fusion minus text", "all")]
    assert gain["accuracy"] == pytest.approx((0 + (1 + 0) / 2 + 0 + 0) / 4)
    assert gain["low"] < gain["accuracy"] < gain["high"]
    assert table.loc[("fusion minus text", "both"), "accuracy"] == pytest.approx(0.5 / 3)
    same = table.loc[("fusion minus image", "all")]
    assert same[["accuracy", "low", "high"]].tolist() == [0, 0, 0]
    assert same["distinct rows"] == "3"
    assert "text only" not in table.index.get_level_values("products")  # a single product
