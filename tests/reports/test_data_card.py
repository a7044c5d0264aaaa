"""What the data card says, of the sample and of other data."""

import re
from copy import deepcopy
from dataclasses import replace

import pytest
from conftest import ROOT
from test_model_card import renamed, section, with_table

from rakuten.data import products
from rakuten.reports import cards, data_card, readme


@pytest.fixture
def reports():
    return renamed(cards.read(ROOT), readme.SAMPLE)


def test_every_column_of_the_table_is_described():
    assert list(data_card.COLUMNS) == list(products.DTYPES)


def test_sample_is_called_made_up_and_other_data_is_not(reports):
    sample, mine = data_card.write(reports), data_card.write(renamed(reports, "mine"))
    for words in ("**made up**", "sample figures", "Made-up texts"):
        assert words in sample
        assert words not in mine
    assert "The data here: **mine**" in mine
    assert "imported by `python -m rakuten.data.importing import`" in mine


def test_sizes_are_those_of_the_reports_beside_the_challenges(reports):
    shown = section(data_card.write(reports), "Categories")
    for row in reports.tables["explore/tables/balance"].itertuples():
        assert re.search(rf"\| {row.code} \| {row.name} \|[ \w]*\| {row.products:,} \|", shown)
        assert f"| {100 * row.challenge_share:.1f} % |" in shown


def test_missing_pictures_and_descriptions_are_counted(reports):
    values = deepcopy(reports.values)
    number = values["explore/summary"]["products"]
    values["explore/summary"] |= {"with_image": 0, "with_description": number}
    missing = reports.tables["explore/tables/missing"]
    missing = missing.assign(no_image=missing["products"], no_description=0)
    other = with_table(replace(reports, values=values), "explore/tables/missing", missing)
    shown = section(data_card.write(other), "What is missing")
    assert f"| picture | 0 | {number:,} | 100.0 % |" in shown
    assert f"| description | {number:,} | 0 | 0.0 % |" in shown
    assert "missing most" not in shown
    assert "missing most" in section(data_card.write(reports), "What is missing")


def test_a_category_without_products_is_named(reports):
    balance = reports.tables["explore/tables/balance"].copy()
    assert "Without a product" not in data_card.write(reports)
    balance.loc[balance["code"].eq(10), "products"] = 0
    text = data_card.write(with_table(reports, "explore/tables/balance", balance))
    assert "Without a product: livres_adulte." in text


def test_duplicates_are_told_as_they_were_treated(reports):
    assert "They are kept in one part" in data_card.write(reports)
    values = deepcopy(reports.values)
    values["split"]["kept_together"] = False
    assert "They are **not** kept in one part" in data_card.write(replace(reports, values=values))
    values["split"]["duplicates"] = dict.fromkeys(values["split"]["duplicates"], 0)
    text = data_card.write(replace(reports, values=values))
    assert "No group of products with the same cleaned text" in text
    assert "kept in one part" not in text


def test_near_duplicates_of_other_categories_are_a_fault(reports):
    values = deepcopy(reports.values)
    values["audit/summary"]["parts"]["test"]["either_other_label"] = 3
    values["audit/summary"]["suspect_labels"] = 0
    suspects = reports.tables["audit/tables/suspect_classes"].assign(suspected=0)
    other = with_table(replace(reports, values=values), "audit/tables/suspect_classes", suspects)
    faults = section(data_card.write(other), "Known faults")
    assert "3 test products with a near-duplicate in train of another category" in faults
    assert re.match(r"- No train label of [\d,]+ looks wrong", faults.strip())
    assert "most in" not in faults


def test_preparation_follows_the_parameters(reports):
    params = deepcopy(reports.params)
    params["clean"] |= {"lemmatize": False, "remove_stopwords": False}
    params["extract"] |= {"crop_borders": False, "backbone": "resnet50"}
    params["encode"]["encoder"] = "none"
    shown = section(data_card.write(replace(reports, params=params)), "Preparation")
    for words in ("not lemmatised", "stop words kept", "border left on", "resnet50", "none"):
        assert words in shown


def test_products_without_any_text_have_no_lengths(reports):
    lengths = reports.tables["explore/tables/lengths"].assign(products=0)
    text = data_card.write(with_table(reports, "explore/tables/lengths", lengths))
    assert section(text, "Texts").strip() == "No product has a text."


def test_pictures_that_are_not_there_are_not_shown(reports):
    text = data_card.write(replace(reports, pictures=frozenset()))
    assert "![" not in text
    assert "Pictures of the data" not in text
