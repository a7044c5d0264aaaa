"""What the model card says, of the sample and of other data."""

import re
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT

from rakuten.evaluation import metrics, published
from rakuten.evaluation.tables import comparison_table
from rakuten.reports import cards, model_card, readme


@pytest.fixture
def reports():
    return renamed(cards.read(ROOT), readme.SAMPLE)


def renamed(reports, name):
    values = deepcopy(reports.values)
    values["clean"]["dataset"]["name"] = name
    return replace(reports, values=values)


def with_table(reports, name, table):
    return replace(reports, tables=reports.tables | {name: table})


def section(text, title):
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def without_images(reports):
    """The reports of data whose products have no picture, as the stages write them."""
    values, tables = deepcopy(reports.values), dict(reports.tables)
    nothing = dict.fromkeys(metrics.METRICS) | {"rows": 0}
    silent = ("image", "image_logistic_regression", "image_random_forest", "image_ensemble")
    for model in silent:
        values["evaluate/models"][model] = dict.fromkeys(("train", "validation", "test"), nothing)
    tables["evaluate/tables/comparison"] = comparison_table(values["evaluate/models"])
    for name in ("intervals", "calibration"):
        table = tables[f"evaluate/tables/{name}"]
        tables[f"evaluate/tables/{name}"] = table[~table["model"].isin(silent)]
    slices = tables["evaluate/tables/slices"].copy()
    slices.loc[slices["model"].isin(silent), list(metrics.METRICS)] = np.nan
    slices.loc[slices["model"].isin(silent), "rows"] = 0
    tables["evaluate/tables/slices"] = slices
    categories = tables["evaluate/tables/categories"].copy()
    own = categories["model"].isin(silent)
    categories.loc[own, ["precision", "recall", "f1"]] = np.nan
    categories.loc[own, "support"] = 0
    tables["evaluate/tables/categories"] = categories
    tables["robust_image/table"] = tables["robust_image/table"].head(0)
    return replace(reports, values=values, tables=tables)


def test_every_model_has_its_figures_with_interval_and_rows(reports):
    shown = section(model_card.write(reports), "Test figures, measured here")
    rows = [line for line in shown.splitlines() if line.startswith("| ")][2:]
    known = reports.tables["evaluate/tables/comparison"]
    assert len(rows) == len(known)
    for line, row in zip(rows, known.itertuples(), strict=True):
        assert row.title in line
        assert re.search(rf"\| {100 * row.accuracy:.1f} \[\d+\.\d, \d+\.\d\] \|", line)
        assert line.endswith(f"| {row.rows:,} |")


def test_published_figures_stand_in_their_own_section_alone(reports):
    text = model_card.write(reports)
    own = section(text, "Published figures, not measured here")
    assert f"{published.TEST_ROWS:,} test rows" in own
    for parts in published.PUBLISHED.values():
        for figures in parts.values():
            assert f"{100 * figures['accuracy']:.1f} %" in own
    assert "82.7 %" not in text.replace(own, "")


def test_sample_figures_are_called_so_and_others_are_not(reports):
    sample, mine = model_card.write(reports), model_card.write(renamed(reports, "Rakuten, mine"))
    for words in ("sample figures", "made-up", "made up", "The sample is as hard"):
        assert words in sample
        assert words not in mine
    assert "Figures on Rakuten, mine, measured here." in mine
    assert "belong to\nRakuten" in mine


def test_without_pictures_the_card_says_so_and_has_no_figure_of_them(reports):
    text = model_card.write(without_images(reports))
    assert "No train product has the image modality" in text
    assert "No train product has the image modality" not in model_card.write(reports)
    assert "Changed pictures: no test product has the modality." in text
    assert "nan" not in text.lower().split()
    row = next(
        line
        for line in section(text, "Test figures, measured here").splitlines()
        if line.startswith("| **Image ensemble**")
    )
    assert row == "| **Image ensemble** | - | - | - | - | - | 0 |"


def test_a_model_without_errors_has_no_confusions(reports):
    table = reports.tables["evaluate/tables/confusion"]
    right = table[table["actual_code"].eq(table["predicted_code"])]
    text = model_card.write(with_table(reports, "evaluate/tables/confusion", right))
    assert "takes no test product for another category" in section(text, "Hardest confusions")


def test_a_category_without_test_rows_has_no_figures(reports):
    table = reports.tables["evaluate/tables/categories"].copy()
    table.loc[table["code"].eq(10), ["precision", "recall", "f1", "support"]] = 0
    text = model_card.write(with_table(reports, "evaluate/tables/categories", table))
    assert "| 10 | livres_adulte | 0 | - | - | - | - | - |" in text
    assert "Lowest F1: livres_adulte" not in text


def test_many_rows_in_every_category_need_no_warning(reports):
    table = reports.tables["evaluate/tables/categories"].assign(support=500)
    text = model_card.write(with_table(reports, "evaluate/tables/categories", table))
    assert "figures say little" in model_card.write(reports)
    assert "figures say little" not in text


def test_confidence_is_told_from_the_bins(reports):
    table = reports.tables["evaluate/tables/calibration"].assign(confidence=0.9, accuracy=0.6)
    text = model_card.write(with_table(reports, "evaluate/tables/calibration", table))
    assert "more confident than right by 30.0 points" in text
    table = table.assign(confidence=0.5)
    text = model_card.write(with_table(reports, "evaluate/tables/calibration", table))
    assert "less confident than right by 10.0 points" in text


def test_language_is_judged_by_the_texts(reports):
    languages = reports.tables["explore/tables/languages"]
    assert "Most texts are in one language" in model_card.write(reports)
    spread = languages.assign(share=1 / len(languages))
    text = model_card.write(with_table(reports, "explore/tables/languages", spread))
    assert "No language has half of the products" in text


def test_near_duplicates_are_told_where_there_are_some(reports):
    leakage = reports.tables["audit/tables/leakage"].assign(rows_with=7)
    text = model_card.write(with_table(reports, "audit/tables/leakage", leakage))
    assert "7 test products all but the same as a train product" in text
    text = model_card.write(
        with_table(reports, "audit/tables/leakage", leakage.assign(rows_with=0))
    )
    assert "the same as a train product" not in text


def test_resources_that_the_parameters_do_not_ask_for_are_not_listed(reports):
    assert "resnet50" not in model_card.write(reports)
    assert "Apache 2.0" in model_card.write(reports)
    few = {name: value for name, value in reports.resources.items() if name == "vgg16"}
    assert "Apache 2.0" not in model_card.write(replace(reports, resources=few))


def test_pictures_that_are_not_there_are_not_shown(reports):
    assert "![" in model_card.write(reports)
    assert "![" not in model_card.write(replace(reports, pictures=frozenset()))


def test_no_figure_of_the_data_is_typed_into_the_room():
    """A number in a sentence would stay when the data change."""
    source = (ROOT / "rakuten/reports/model_card.py").read_text()
    typed = re.findall(r"\d[\d,.]* (?:products|rows|points|categories)\b", source)
    assert not typed, typed
