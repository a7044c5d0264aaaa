"""Tables of the catalogue against literal ones, and when a modality is missing."""

import numpy as np
import pandas as pd
import pytest

from rakuten.categories import CODES, SIZES, to_labels
from rakuten.evaluation import exploration


def tables_of_stages():
    """Eight products of `clean` and `extract`, one of them without text, one without image."""
    codes = [10, 10, 10, 40, 40, 2905, 2905, 2905]
    products = pd.DataFrame(
        {
            "id": np.array([1, 2, 4, 5, 7, 8, 9, 11]),
            "designation": ["abcd", "ab", "abcdef", "a", None, "abc", "abc", "abc"],
            "description": ["<b>x</b>", None, " \n", "abcdefgh", None, None, "ab", "abcd"],
            "label": to_labels(codes),
            "has_text": [True, True, True, True, False, True, True, True],
            "language": ["fr", "en", "fr", "de", "", "fr", "fr", "la"],
            "tokens": ["livre roman", "livre", "livre neuf", "jeu", "", "jeu pc", "pc", ""],
            "num_tokens": np.array([2, 1, 2, 1, 0, 2, 1, 0]),
        }
    )
    has_image = np.array([True, True, True, True, True, True, True, False])
    images = pd.DataFrame(
        {
            "id": products["id"],
            "has_image": has_image,
            "border_share": [0.1, 0.2, 0.3, 0.5, 0.5, 0.0, 0.2, np.nan],
            "mean_red": [10.0, 20, 30, 255, 255, 0, 4, np.nan],
            "mean_green": [0.0, 0, 0, 128, 128, 1, 1, np.nan],
            "mean_blue": [7.0, 7, 7, 0, 0, 2, 2, np.nan],
        }
    )
    return products, images


def catalogue():
    return exploration.join(*tables_of_stages())


def without(catalogue, *modalities):
    """The same catalogue with no text, or no image, at all."""
    catalogue = catalogue.copy()
    if "text" in modalities:
        catalogue[["designation", "description"]] = None
        catalogue[["language", "tokens"]] = ""
        catalogue["num_tokens"] = 0
        catalogue[["has_text", "has_description"]] = False
    if "image" in modalities:
        catalogue["has_image"] = False
        catalogue[["border_share", "mean_red", "mean_green", "mean_blue"]] = np.nan
    return catalogue


def features_of(catalogue, width=12, seed=0):
    present = catalogue["has_image"].to_numpy()
    values = np.random.default_rng(seed).normal(size=(len(catalogue), width))
    values[~present] = 0
    ids = catalogue["id"].to_numpy()
    return {"ids": ids, "present": present, "features": values.astype(np.float32)}


def row(table, code):
    return table.set_index("code").loc[code]


def test_join_refuses_images_of_other_products():
    products, images = tables_of_stages()
    with pytest.raises(ValueError, match="images are of other products: row 7 is id 12"):
        exploration.join(products, images.assign(id=[1, 2, 4, 5, 7, 8, 9, 12]))


def test_a_blank_description_is_none():
    expected = [True, False, False, True, False, False, True, True]
    assert catalogue()["has_description"].tolist() == expected


def test_balance_table():
    table = exploration.balance_table(catalogue())
    assert table["code"].tolist() == list(CODES)
    assert row(table, 2905)[["group", "products", "share"]].tolist() == ["", 3, 0.375]
    assert row(table, 40)[["group", "products", "share"]].tolist() == ["games", 2, 0.25]
    assert row(table, 60)[["products", "share"]].tolist() == [0, 0]
    assert row(table, 2583)["challenge_share"] == pytest.approx(SIZES[2583] / 84916, abs=1e-6)


def test_missing_table():
    table = exploration.missing_table(catalogue())
    gaps = ["products", "no_description", "no_text", "no_image"]
    assert row(table, 10)[gaps].tolist() == [3, 2, 0, 0]
    assert row(table, 40)[gaps].tolist() == [2, 1, 1, 0]
    assert row(table, 2905)[gaps].tolist() == [3, 1, 0, 1]


def test_markup_table_counts_texts_with_tags_and_entities():
    products, images = tables_of_stages()
    titles = ["a < b & c > d", "l&apos;eau", "&#233;t&#xE9;", "x<br/>", None, "R&D <3", "AT&T", "d"]
    table = exploration.markup_table(
        exploration.join(products.assign(designation=titles), images)
    ).set_index("field")
    assert table.loc["title"].tolist() == [7, 1, 2, 3]
    assert table.loc["description"].tolist() == [4, 1, 0, 1]


def test_length_table_measures_only_texts_that_are_there():
    table = exploration.length_table(catalogue())
    assert table[["products", "min", "median", "max"]].values.tolist() == [
        [7, 1, 3, 6],
        [4, 2, 6, 8],
        [7, 0, 1, 2],
    ]


def test_text_table_gives_medians_languages_and_words():
    table = exploration.text_table(catalogue(), num_words=2)
    books = row(table, 10)
    assert books[["products", "title_characters", "description_characters", "tokens"]].tolist() == [
        3, 4, 8, 2,
    ]  # fmt: skip
    assert books[["fr", "en", "other"]].tolist() == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-6)
    assert row(table, 40)["products"] == 1
    assert pd.isna(row(table, 60)["tokens"])


def test_words_are_those_frequent_here_and_rare_elsewhere():
    table = exploration.text_table(catalogue(), num_words=2)
    assert row(table, 10)["words"] == "livre neuf"  # "neuf" and "roman" tie: by alphabet
    assert row(table, 2905)["words"] == "pc jeu"
    assert row(table, 60)["words"] == ""


def test_language_table_counts_products_without_text_as_none():
    table = exploration.language_table(catalogue())
    assert table.values.tolist() == [
        ["fr", 4, 0.5],
        ["de", 1, 0.125],
        ["en", 1, 0.125],
        ["la", 1, 0.125],
        ["none", 1, 0.125],
    ]


def test_image_table_gives_quartiles_and_colours():
    table = exploration.image_table(catalogue())
    books = row(table, 10)
    borders = ["border_q25", "border_median", "border_q75"]
    assert books[borders].tolist() == pytest.approx([0.15, 0.2, 0.25])
    assert books[["red", "green", "blue"]].tolist() == [20, 0, 7]
    assert books[["red_std", "green_std", "blue_std"]].tolist() == [10, 0, 0]
    assert row(table, 2905)["products"] == 2
    assert pd.isna(row(table, 60)["red"])


def test_projection_is_the_plane_of_largest_variance():
    """Points on a line, far apart along one feature: the first component is that feature."""
    known = catalogue()
    features = features_of(known)
    features["features"] *= np.float32(0.01)
    features["features"][:, 3] = 10 * np.arange(8)
    table = exploration.projection_table(known, **features, points=100, seed=0)
    assert table["id"].tolist() == [1, 2, 4, 5, 7, 8, 9]
    np.testing.assert_allclose(table["x"], 10 * np.arange(7) - 30, atol=0.1)
    assert table["x_variance"].iloc[0] > 0.99
    assert table["x_variance"].iloc[0] >= table["y_variance"].iloc[0]


@pytest.mark.filterwarnings("error")
def test_projection_of_equal_images_explains_no_variance():
    known = catalogue()
    features = features_of(known) | {"features": np.ones((8, 12), np.float32)}
    table = exploration.projection_table(known, **features, points=100, seed=0)
    assert table[["x", "y", "x_variance", "y_variance"]].eq(0).all(axis=None)


def test_projection_is_the_same_for_every_sample_size():
    known = catalogue()
    features = features_of(known)
    whole = exploration.projection_table(known, **features, points=7, seed=1)
    again = exploration.projection_table(known, **features, points=7, seed=2)
    pd.testing.assert_frame_equal(whole, again)
    some = exploration.projection_table(known, **features, points=4, seed=1)
    assert len(some) == 4
    assert some["id"].is_monotonic_increasing
    pd.testing.assert_frame_equal(some, whole[whole["id"].isin(some["id"])].reset_index(drop=True))


def test_projection_refuses_features_of_other_products():
    features = features_of(catalogue()) | {"ids": np.arange(8)}
    with pytest.raises(ValueError, match="features are of other products"):
        exploration.projection_table(catalogue(), **features, points=5, seed=0)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_every_table_handles_a_missing_modality(modality):
    bare = without(catalogue(), modality)
    tables = exploration.tables(bare, features_of(bare), points=5, words=3, seed=0)
    for name in ("balance", "missing", "texts", "images"):
        assert tables[name]["code"].tolist() == list(CODES), name
    assert tables["missing"][f"no_{modality}"].sum() == 8
    if modality == "text":
        assert tables["lengths"]["products"].tolist() == [0, 0, 0]
        assert tables["languages"].values.tolist() == [["none", 8, 1.0]]
        assert set(tables["texts"]["words"]) == {""}
    else:
        assert tables["images"]["products"].sum() == 0
        assert tables["projection"].empty


def test_summary_counts_what_is_there():
    counts = exploration.summary(catalogue())
    assert counts == {
        "products": 8, "with_text": 7, "with_description": 4, "with_image": 7, "categories": 3,
        "languages": 4,
    }  # fmt: skip
    line = "8 products of 3 categories: 7 with text, 7 with image"
    assert exploration.summary_line(counts) == line


def test_length_histograms_count_every_text_of_positive_length():
    table = exploration.length_histograms(catalogue())
    counted = table.groupby("measure")["products"].sum()
    assert counted.to_dict() == {
        "title, characters": 7, "description, characters": 4, "tokens kept after cleaning": 6,
    }  # fmt: skip
    assert (table["low"] < table["high"]).all()
    titles = table[table["measure"].eq("title, characters")]
    assert titles["low"].tolist()[1:] == titles["high"].tolist()[:-1]
    assert exploration.length_histograms(without(catalogue(), "text")).empty
