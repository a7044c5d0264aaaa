"""The data card, of the sample and of other data."""

import re
from copy import deepcopy
from dataclasses import replace

import pytest
from card_cases import renamed, section, with_table
from repository import ROOT

from rakuten.category_names import category
from rakuten.data import products
from rakuten.reports import cards, readme
from rakuten.sample.dataset import SAMPLE


@pytest.fixture
def reports():
    return renamed(cards.read(ROOT), SAMPLE)


def test_every_column_of_the_table_is_described():
    assert list(cards.COLUMNS) == list(products.DTYPES)


@pytest.mark.parametrize("name", [SAMPLE, f"{SAMPLE} (5 % of the products)"])
def test_only_the_sample_is_called_synthetic(reports, name):
    sample, mine = (cards.data_card(renamed(reports, one)) for one in (name, "mine"))
    for words in ("**synthetic**", "sample figures", "Synthetic texts"):
        assert words in sample
        assert words not in mine
    assert "**mine**: " in mine
    assert "Imported by `python -m rakuten import`" in mine


def test_a_share_is_named_in_the_data_card_the_model_card_and_the_results(reports):
    name = "mine (5 % of the products, by import --share 0.05)"
    part = renamed(reports, name)
    part.values["clean"]["dataset"] |= {"share": 0.05, "of_products": 84916}
    card = " ".join(cards.data_card(part).split())
    assert f"**{name}**: " in card
    assert "A part of 84,916 products: the oldest of each category" in card
    assert "A part of" not in cards.data_card(renamed(reports, "mine"))
    for text in (cards.model_card(part), readme.caveat(name)):
        assert name in text
    assert name in readme.data_line(part.values["clean"], part.values["split"])


def test_corrected_labels_are_counted(reports):
    changed = renamed(reports, "mine")
    assert "corrected" not in cards.data_card(changed).partition("## Columns")[0]
    changed.values["clean"]["dataset"]["relabelled"] = 1
    assert "Labels corrected by reviewers: 1 product. Each stays in" in cards.data_card(changed)


def test_sizes_are_listed_beside_the_challenges(reports):
    shown = section(cards.data_card(reports), "Categories")
    for row in reports.tables["explore/tables/balance"].itertuples():
        name = category(row.code, "en")
        assert re.search(rf"\| {row.code} \| {name} \|[ \w]*\| {row.products:,} \|", shown)
        assert f"| {100 * row.challenge_share:.1f} % |" in shown


def test_missing_images_and_descriptions_are_counted(reports):
    values = deepcopy(reports.values)
    number = values["explore/summary"]["products"]
    values["explore/summary"] |= {"with_image": 0, "with_description": number}
    shown = section(cards.data_card(replace(reports, values=values)), "Missing values")
    assert f"| image | 0 | {number:,} | 100.0 % |" in shown
    assert f"| description | {number:,} | 0 | 0.0 % |" in shown


def test_a_category_without_products_is_named(reports):
    balance = reports.tables["explore/tables/balance"].copy()
    assert "Without a product" not in cards.data_card(reports)
    balance.loc[balance["code"].eq(10), "products"] = 0
    text = cards.data_card(with_table(reports, "explore/tables/balance", balance))
    assert "Without a product: Books for adults." in text


def test_duplicates_are_described_as_they_were_split(reports):
    assert "Each group is in one part" in cards.data_card(reports)
    values = deepcopy(reports.values)
    values["split"]["kept_together"] = False
    text = cards.data_card(replace(reports, values=values))
    assert "Groups are **not** kept in one part" in text
    values["split"]["duplicates"] = dict.fromkeys(values["split"]["duplicates"], 0)
    text = cards.data_card(replace(reports, values=values))
    assert "0 in no groups" in text
    assert "kept in one part" not in text


def test_near_duplicates_and_labels_that_look_wrong_are_counted(reports):
    values = deepcopy(reports.values)
    values["audit/summary"]["parts"]["test"]["either_other_label"] = 3
    values["audit/summary"]["suspect_labels"] = 0
    suspects = reports.tables["audit/tables/suspect_classes"].assign(suspected=0)
    other = with_table(replace(reports, values=values), "audit/tables/suspect_classes", suspects)
    text = cards.data_card(other)
    assert re.search(r"\| test \|.*\| 3 \|\n", section(text, "Split"))
    assert re.search(r"did not see them: 0 of [\d,]+ in train\.\n", section(text, "Known problems"))


def test_preparation_follows_the_parameters(reports):
    params = deepcopy(reports.params)
    params["clean"] |= {"lemmatize": False, "remove_stopwords": False}
    params["extract"] |= {"crop_borders": False, "backbone": "resnet50"}
    params["encode_text"]["encoder"] = "none"
    params["encode_image"] |= {"encoder": "my_tower", "crops": ["whole"]}
    shown = section(cards.data_card(replace(reports, params=params)), "Preparation")
    for words in (
        "not lemmatized",
        "stop words kept",
        "border kept",
        "resnet50",
        "none",
        "my_tower",
    ):
        assert words in shown


def test_products_without_any_text_have_no_lengths(reports):
    lengths = reports.tables["explore/tables/lengths"].assign(products=0)
    text = cards.data_card(with_table(reports, "explore/tables/lengths", lengths))
    assert section(text, "Texts").strip() == "No product has a text."
