"""The model card, of the sample and of other data."""

import re
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from card_cases import renamed, section, with_table
from repository import ROOT

from rakuten.evaluation import metrics, published
from rakuten.evaluation.tables import comparison_table
from rakuten.model_names import TABLE
from rakuten.reports import cards
from rakuten.sample.dataset import SAMPLE


@pytest.fixture
def reports():
    return renamed(cards.read(ROOT), SAMPLE)


def without_images(reports):
    """The reports of data whose products have no image, as the stages write them."""
    values, tables = deepcopy(reports.values), dict(reports.tables)
    nothing = dict.fromkeys(metrics.METRICS) | {"rows": 0}
    unused = [model.name for model in TABLE if model.modality == "image"]
    for model in unused:
        values["evaluate/models"][model] = dict.fromkeys(("train", "validation", "test"), nothing)
    tables["evaluate/tables/comparison"] = comparison_table(values["evaluate/models"])
    for name in ("intervals", "calibration"):
        table = tables[f"evaluate/tables/{name}"]
        tables[f"evaluate/tables/{name}"] = table[~table["model"].isin(unused)]
    slices = tables["evaluate/tables/slices"].copy()
    slices.loc[slices["model"].isin(unused), list(metrics.METRICS)] = np.nan
    slices.loc[slices["model"].isin(unused), "rows"] = 0
    tables["evaluate/tables/slices"] = slices
    tables["robust_image/table"] = tables["robust_image/table"].head(0)
    return replace(reports, values=values, tables=tables)


def test_every_model_has_its_figures_with_interval_and_rows(reports):
    shown = section(cards.model_card(reports), "Results on test")
    rows = [line for line in shown.splitlines() if line.startswith("| ")][2:]
    known = reports.tables["evaluate/tables/comparison"]
    assert len(rows) == len(known)
    for line, row in zip(rows, known.itertuples(), strict=True):
        assert row.title in line
        assert re.search(rf"\| {100 * row.accuracy:.1f} \[\d+\.\d, \d+\.\d\] \|", line)
        assert line.endswith(f"| {row.rows:,} |")


def test_published_figures_are_in_their_own_section_only(reports):
    text = cards.model_card(reports)
    own = section(text, "Published results")
    assert f"{published.TEST_ROWS:,} test rows" in own
    for parts in published.PUBLISHED.values():
        for figures in parts.values():
            assert f"{100 * figures['accuracy']:.1f} %" in own
    assert len(re.findall(r"^\| \d+ \|", own, re.MULTILINE)) == 27
    assert "| 2583 | Pools and spas | 2,042 | 97.1 % (" in own
    assert "| | mean of the categories | 16,984 | 74.0 % (" in own
    assert "| Fusion net | test | 81.9 % |" in own
    others = text.replace(own, "")  # a group of the sample may have the same accuracy by chance
    assert not re.search(r"Fusion net.*81\.9 %", others)


@pytest.mark.parametrize("name", [SAMPLE, f"{SAMPLE} (5 % of the products)"])
def test_only_the_sample_is_called_a_sample(reports, name):
    sample = cards.model_card(renamed(reports, name))
    mine = cards.model_card(renamed(reports, "Rakuten, mine"))
    for words in ("sample figures", "synthetic", "Not for real products"):
        assert words in sample
        assert words not in mine
    assert "Figures on Rakuten, mine, measured here." in mine
    assert "belong to Rakuten" in mine


def test_without_images_the_card_has_no_figures_of_them(reports):
    text = cards.model_card(without_images(reports))
    assert "No train product has the image modality" in text
    assert "No train product has the image modality" not in cards.model_card(reports)
    assert "No test product has the image modality." in section(text, "Robustness")
    assert "nan" not in text.lower().split()
    assert "| **Image ensemble** | - | - | - | - | - | 0 |" in section(text, "Results on test")


def test_a_model_without_errors_has_no_confusions(reports):
    table = reports.tables["evaluate/tables/confusion"]
    correct = table[table["actual_code"].eq(table["predicted_code"])]
    text = cards.model_card(with_table(reports, "evaluate/tables/confusion", correct))
    assert "makes no errors on test" in section(text, "Errors")


def test_a_category_without_test_rows_is_not_among_the_worst(reports):
    table = reports.tables["evaluate/tables/categories"].copy()
    table.loc[table["code"].eq(10), ["precision", "recall", "f1", "support"]] = 0
    text = cards.model_card(with_table(reports, "evaluate/tables/categories", table))
    assert "Lowest F1: Books for adults" not in text


def test_categories_with_few_rows_get_a_warning(reports):
    table = reports.tables["evaluate/tables/categories"]
    for support, warned in ((5, True), (500, False)):
        changed = with_table(reports, "evaluate/tables/categories", table.assign(support=support))
        assert ("are\nunreliable" in cards.model_card(changed)) == warned


@pytest.mark.parametrize(
    ("confidence", "expected"), [(0.9, "30.0 points overconfident"), (0.5, "10.0 points under")]
)
def test_overconfidence_is_that_of_the_bins(reports, confidence, expected):
    table = reports.tables["evaluate/tables/calibration"]
    table = table.assign(confidence=confidence, accuracy=0.6)
    text = cards.model_card(with_table(reports, "evaluate/tables/calibration", table))
    assert expected in text


def test_near_duplicates_are_listed_if_there_are_any(reports):
    for rows, expected in ((7, True), (0, False)):
        leakage = reports.tables["audit/tables/leakage"].assign(rows_with=rows)
        text = cards.model_card(with_table(reports, "audit/tables/leakage", leakage))
        assert (f"Near-duplicates of train products: {rows} test products" in text) == expected


def test_only_downloads_that_the_parameters_need_are_listed(reports):
    assert "resnet50" not in cards.model_card(reports)
    assert "Apache 2.0" in cards.model_card(reports)
    few = {name: value for name, value in reports.resources.items() if name == "vgg16"}
    assert "Apache 2.0" not in cards.model_card(replace(reports, resources=few))


def test_robustness_lists_every_perturbation(reports):
    shown = section(cards.model_card(reports), "Robustness")
    for modality in ("text", "image"):
        table = reports.tables[f"robust_{modality}/table"]
        for name in set(table["perturbation"]) - {"as it is"}:
            assert f"| {name.replace('_', ' ')} |" in shown


@pytest.mark.parametrize("card", ["model_card", "data_card"])
def test_no_figure_of_the_data_is_typed_into_a_template(card):
    """A number in a sentence would stay when the data change."""
    source = (ROOT / f"rakuten/reports/templates/{card}.md.j2").read_text()
    assert not re.findall(r"\d[\d,.]* (?:products|rows|points|categories)\b", source)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("all", "are refitted on all 1,350 labelled products"),
        ("train", "The packaged model is the one of this card's figures"),
    ],
)
def test_the_card_states_which_figures_belong_to_which_fit(reports, rows, expected):
    values = deepcopy(reports.values)
    values["refit/metrics"] = {"rows": rows, "products": 1350, "text": 1350, "image": 1350}
    assert expected in section(cards.model_card(replace(reports, values=values)), "Models")
