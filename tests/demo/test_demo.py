"""The page's texts, choices and charts, without a browser."""

import io
import re
import string

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from repository import ROOT

from demo import components, examples, heatmap, paths, translations, uploads, view_models
from rakuten import category_names, storage
from rakuten.categories import CODES, GROUPS
from rakuten.category_names import category
from rakuten.evaluation import metrics
from rakuten.image import preprocessing
from rakuten.image.preprocessing import Preparation
from rakuten.model_names import BY_NAME
from rakuten.serving.classifier import Choice, Prediction
from rakuten.serving.explanation import WordEffect

LANGUAGES = tuple(translations.LANGUAGES)


def blanks(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", translations.TEXTS)
def test_every_text_has_both_languages(key):
    texts = translations.TEXTS[key]
    assert tuple(texts) == LANGUAGES == ("fr", "en")
    assert all(text.strip() for text in texts.values())
    assert blanks(texts["fr"]) == blanks(texts["en"])


def test_texts_and_their_uses_match():
    code = "\n".join(
        path.read_text() for path in (ROOT / "demo").glob("*.py") if path.stem != "translations"
    )
    quoted = set(re.findall(r'"([a-z_0-9]+)"', code))
    built = [
        re.compile(re.sub(r"\\{.*?\\}", "[a-z0-9_]+", re.escape(piece)))
        for piece in re.findall(r'f"([a-z_]+\{[^"]*)"', code)
    ]
    unused = {
        key
        for key in translations.TEXTS
        if key not in quoted and not any(pattern.fullmatch(key) for pattern in built)
    }
    assert not unused
    called = set(re.findall(r'\b(?:t|translate|heading)\(\s*"([a-z_0-9]+)"', code))
    assert called <= set(translations.TEXTS)


def test_every_category_group_and_model_has_a_name_of_its_own():
    assert tuple(category_names.CATEGORIES) == CODES
    assert tuple(category_names.GROUPS) == tuple(GROUPS)
    compared = storage.read_csv(ROOT / paths.TABLES / "comparison.csv")["model"]
    assert set(compared) == set(BY_NAME)
    for table in (category_names.CATEGORIES, category_names.GROUPS):
        for language in LANGUAGES:
            names = [names[language] for names in table.values()]
            assert all(names)
            assert len(set(names)) == len(names)
    assert len({model.title_fr for model in BY_NAME.values()}) == len(BY_NAME)


def test_french_punctuation_never_starts_a_line():
    assert translations.translate("similar_none_text", "fr") == "Sans texte, pas de comparaison."
    text = translations.translate("error_wrong_type", "fr", name="a.txt")
    assert text.startswith("«\xa0a.txt\xa0» n’est pas")
    assert "WebP\xa0: choisissez" in text
    assert "\xa0" not in translations.translate("error_wrong_type", "en", name="a.txt")


@pytest.mark.parametrize(
    ("value", "options", "french", "english"),
    [
        (0.5, {}, "0,50", "0.50"),
        (1.25, {"digits": 1, "sign": True}, "+1,2", "+1.2"),
        (-2, {"sign": True}, "\N{MINUS SIGN}2,00", "\N{MINUS SIGN}2.00"),
        (-0.001, {"sign": True}, "0,00", "0.00"),
        (float("nan"), {}, "-", "-"),
    ],
)
def test_numbers(value, options, french, english):
    assert translations.number(value, "fr", **options) == french
    assert translations.number(value, "en", **options) == english


@pytest.mark.parametrize(
    ("value", "digits", "french", "english"),
    [
        (0.904, 0, "90\xa0%", "90%"),
        (0.904, 1, "90,4\xa0%", "90.4%"),
        (0.0004, 1, "<0,1\xa0%", "<0.1%"),
        (0.004, 0, "<1\xa0%", "<1%"),
        (0.0, 0, "0\xa0%", "0%"),
        (0.9999, 1, ">99,9\xa0%", ">99.9%"),
        (0.999, 0, ">99\xa0%", ">99%"),
        (1.0, 1, "100,0\xa0%", "100.0%"),
        (float("nan"), 0, "-", "-"),
    ],
)
def test_percentages(value, digits, french, english):
    assert translations.percent(value, "fr", digits=digits) == french
    assert translations.percent(value, "en", digits=digits) == english


def test_names_of_files_keep_their_characters():
    """Typography applies to the page's own words alone."""
    text = translations.translate("error_broken", "fr", name="l'a : b.jpg")
    assert text.startswith("«\xa0l'a : b.jpg\xa0» est corrompu")
    assert "Rakuten’s" in translations.translate("synthetic", "en")


@pytest.mark.parametrize(
    ("value", "french", "english"), [(272, "272", "272"), (16_984, "16\u202f984", "16,984")]
)
def test_counts(value, french, english):
    assert translations.count(value, "fr") == french
    assert translations.count(value, "en") == english


def predictions(*rows):
    """Rows of id, actual, predicted, probability, has_description, has_image."""
    columns = ["id", "actual", "predicted", "probability", "has_description", "has_image"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["probability", "id"], ascending=[False, True], ignore_index=True)


def every_category():
    """A correctly classified product of each category, the most confident first."""
    return [(n, code, code, 0.99 - n / 1000, True, True) for n, code in enumerate(CODES)]


def test_examples_cover_easy_and_hard_products():
    rows = predictions(
        *every_category(),
        (100, 10, 2403, 0.8, True, True),
        (101, 1560, 2060, 0.95, True, True),
        (102, 2583, 2583, 0.5, False, True),
        (103, 1920, 1920, 0.4, True, False),
    )
    chosen = examples.choose(rows)
    assert len(chosen) == examples.COUNT == len({example.product for example in chosen})
    by_kind = {kind: [s for s in chosen if s.kind == kind] for kind in {s.kind for s in chosen}}
    assert [s.product for s in by_kind["wrong"]] == [100]  # misclassified within a confusable group
    assert [s.product for s in by_kind["no_description"]] == [102]
    assert [(s.product, s.with_image) for s in by_kind["no_image"]] == [(103, False)]
    assert [s.group for s in by_kind["group"]] == [g for g in GROUPS for _ in range(2)]
    for example in by_kind["group"]:
        assert rows.set_index("id").at[example.product, "actual"] in GROUPS[example.group]
    categories = rows.set_index("id").loc[[s.product for s in chosen], "actual"]
    assert categories.is_unique


def test_an_image_is_hidden_if_every_product_has_one():
    chosen = examples.choose(predictions(*every_category()))
    assert [s.kind for s in chosen if not s.with_image] == ["no_image"]


def test_few_products_give_few_examples():
    chosen = examples.choose(predictions((5, 10, 2403, 0.3, False, False)))
    assert chosen == [examples.Example(5, "wrong")]
    assert examples.choose(predictions()) == []


def test_candidates_look_up_products_by_id():
    predicted = pd.DataFrame(
        {"id": [7, 3], "actual": [10, 10], "predicted": [10, 10], "probability": [0.2, 0.9]}
    )
    table = pd.DataFrame(
        {"description": [None, "x"], "has_image": [True, False]}, index=pd.Index([7, 3])
    )
    found = examples.candidates(predicted, table)
    assert found["id"].tolist() == [3, 7]
    assert found["has_description"].tolist() == [True, False]
    assert found["has_image"].tolist() == [False, True]


def encoded(form="JPEG", size=(60, 40)):
    content = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(content, form)
    return content.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_images_are_recognized_by_content(form):
    assert uploads.check(encoded(form)) is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "error_wrong_type"),
        (b"%PDF-1.7 and more", "error_wrong_type"),
        (encoded("GIF"), "error_wrong_type"),
        (encoded()[:200], "error_broken"),
        (encoded("PNG", (6000, 5000)), "error_pixels"),
        (b"\xff\xd8\xff" + bytes(uploads.MAX_BYTES), "error_too_large"),
    ],
)
def test_each_faulty_upload_has_its_error(content, fault):
    assert uploads.check(content) == fault
    assert fault in translations.TEXTS


def prediction(text=2.6, image=-0.7, probability=0.75):
    top = [(1280, probability), (1302, 0.2), (10, 0.0001)]
    return Prediction(tuple(Choice(code, category(code, "fr"), p) for code, p in top), text, image)


@pytest.mark.parametrize(
    ("probability", "key"),
    [
        (1.0, "confidence_high"),
        (0.9, "confidence_high"),
        (0.75, "confidence_good"),
        (0.5, "confidence_low"),
        (0.1, "confidence_poor"),
    ],
)
def test_confidence_in_words(probability, key):
    assert view_models.confidence(probability) == key


def test_the_most_probable_categories_have_names_codes_and_percentages():
    bars = view_models.top_bars(prediction(), "fr")
    assert [(bar.label, bar.note, bar.value) for bar in bars] == [
        ("Jouets de l’enfance", "1280", "75,0\xa0%"),
        ("Jouets pour enfants", "1302", "20,0\xa0%"),
        ("Livres pour adultes", "10", "<0,1\xa0%"),
    ]


def test_contributions_have_one_scale_for_all_products():
    text, image = view_models.sides(prediction(), "en")
    assert (text.label, text.value) == ("Text", "+2.6")
    assert text.share == pytest.approx(2.6 / view_models.AXIS)
    assert image.share == pytest.approx(-0.7 / view_models.AXIS)
    assert image.value == "\N{MINUS SIGN}0.7"
    certain = view_models.sides(prediction(text=50.0, image=None), "en")
    assert (certain[0].share, certain[0].value, certain[1].share) == (1.0, "+50.0", None)
    labels = view_models.axis_labels("fr")
    assert labels == ("\N{MINUS SIGN}12", "\N{MINUS SIGN}6", "0", "+6", "+12")


@pytest.mark.parametrize(
    ("text", "image", "sentence"),
    [
        (5.6, -0.7, "The text is strong evidence for this category; the image is evidence against "
         "this category."),
        (2.6, 2.1, "The text is evidence for this category; the image is neutral."),
        (12.0, 5.0, "The text is strong evidence for this category; so is the image."),
        (None, 3.0, "There is no text; the image is evidence for this category."),
        (None, None, "There is no text; there is no image."),
    ],
)  # fmt: skip
def test_contributions_in_a_sentence(text, image, sentence):
    assert view_models.evidence_sentence(prediction(text, image), "en") == sentence


EFFECTS = [
    WordEffect("title", 0, 7, "Piscine", 2.0),
    WordEffect("title", 8, 13, "ronde", 0.29),
    WordEffect("description", 4, 9, "livre", -1.0),
]


def test_marked_words_are_at_their_positions_in_the_text():
    marks = view_models.marks("Piscine ronde !", "title", EFFECTS, "fr")
    assert "".join(mark.text for mark in marks) == "Piscine ronde !"
    marked = [(m.text, m.strength) for m in marks if m.strength]
    assert marked == [("Piscine", 2.0 / view_models.FULL_EFFECT)]
    (against,) = (
        m for m in view_models.marks("Un  livre", "description", EFFECTS, "fr") if m.strength
    )
    assert (against.text, against.strength) == ("livre", -1.0 / view_models.FULL_EFFECT)
    assert against.hint == "\N{MINUS SIGN}1,00"


def test_words_with_negligible_effect_are_not_marked():
    """However small the other effects of the product are."""
    faint = [WordEffect("title", 0, 4, "asdf", 0.2), WordEffect("title", 5, 9, "qwer", -0.1)]
    assert not any(mark.strength for mark in view_models.marks("asdf qwer", "title", faint, "fr"))
    assert view_models.word_rows(faint, "fr") == []


def test_the_strongest_words_come_first():
    assert view_models.word_rows(EFFECTS, "en") == [
        ("Piscine", "Title", "for", "+2.00"),
        ("livre", "Description", "against", "\N{MINUS SIGN}1.00"),
    ]


def test_texts_of_sellers_are_escaped():
    nasty = '<script>alert(1)</script>"'
    made = [
        components.marked([components.Mark(nasty, 0.5, nasty), components.Mark(nasty)]),
        components.table(["x"], [[nasty]], label=nasty),
        components.cards([components.Card(None, nasty, nasty, (nasty, nasty))]),
        components.bars([components.Bar(nasty, nasty, 0.5, nasty)]),
        components.two_sided(
            [components.Side(nasty, 0.5, nasty)], against=nasty, favour=nasty, labels=[nasty]
        ),
        components.gauge(
            nasty, [components.Range(nasty, 0.5, 0.4, 0.6, nasty)], kind="here", labels=[nasty]
        ),
        components.verdict(nasty, nasty, nasty),
        components.subject(nasty, nasty),
        components.note(nasty, kind="wrong"),
    ]
    for html in made:
        assert "<script" not in html
        assert "&lt;script&gt;" in html


def table(name):
    return storage.read_csv(ROOT / paths.TABLES / f"{name}.csv")


def test_the_best_of_every_metric_is_found():
    comparison = table("comparison")
    rows, best = view_models.metric_rows(comparison, "fr")
    assert [row[0] for row in rows][-1] == "Fusion tardive"
    for row, column in best:
        name = view_models.METRICS[column - 1]
        values = comparison[name].dropna()
        best_value = values.min() if name in ("log_loss", "ece") else values.max()
        assert comparison[name][row] == best_value
    assert len(best) == len(view_models.METRICS)


def test_published_and_measured_accuracies_are_those_of_the_study_and_the_reports():
    published = view_models.published_ranges("fr")
    assert [(one.label, one.value) for one in published] == [
        ("Réseau texte", "77,2\xa0%"),
        ("Réseau image", "59,3\xa0%"),
        ("Réseau fusion", "81,9\xa0%"),
    ]
    measured = view_models.measured_ranges(table("intervals"), "en")
    accuracies = table("comparison").set_index("model")["accuracy"]
    assert [one.label for one in measured] == ["Text net", "Image net", "Fusion net"]
    for one, net in zip(measured, ("text", "image", "fusion"), strict=True):
        assert one.share == accuracies[net]
        assert one.low < one.share < one.high
        assert one.value.startswith(f"{accuracies[net]:.1%} (")


def test_confusions_are_complete_and_of_the_group_alone():
    confusion = table("confusion")
    cells = view_models.confusion_cells(confusion, "fusion", "", "en")
    assert len(cells) == 27 * 27
    assert cells["rows"].sum() == confusion.query("model == 'fusion'")["rows"].sum()
    games = view_models.confusion_cells(confusion, "fusion", "games", "en")
    assert len(games) == 16
    assert set(games["actual"]) == {category_names.category(c, "en") for c in GROUPS["games"]}
    errors = view_models.main_errors(cells)
    assert (errors["actual_code"] != errors["predicted_code"]).all()
    assert errors["rows"].is_monotonic_decreasing


def test_bars_curves_and_reliability_take_what_was_asked():
    bars = view_models.f1_bars(table("categories"), "text", "books", "fr")
    assert len(bars) == len(GROUPS["books"])
    assert bars["f1"].is_monotonic_decreasing
    points = view_models.reliability_points(table("calibration"), ["fusion", "text"], "en")
    assert list(dict.fromkeys(points["model"])) == ["Fusion net", "Text net"]
    history = storage.read_csv(ROOT / paths.HISTORIES["text"])
    curves = view_models.curve_points({"text": history}, "loss", "en")
    assert len(curves) == 2 * len(history)
    assert curves["value"].tolist()[: len(history)] == history["train_loss"].tolist()


def test_pairs_are_counted_in_both_directions():
    predicted = pd.DataFrame(
        [
            *((1, 10, 2403, 0.4), (2, 2403, 10, 0.9), (7, 10, 2403, 0.3)),
            *((3, 50, 40, 0.5), (5, 40, 50, 0.4), (4, 50, 50, 0.9), (6, 60, 50, 0.9)),
        ],
        columns=["id", "actual", "predicted", "probability"],
    )
    (first, errors), (second, others) = view_models.confused_pairs(predicted, 5)
    assert (first, [row["id"] for row in errors]) == ((10, 2403), [2, 1, 7])
    assert (second, [row["id"] for row in others]) == ((40, 50), [3, 5])
    assert len(view_models.confused_pairs(predicted, 1)) == 1
    single = predicted[predicted["id"].isin([3, 6])]
    assert [pair for pair, _ in view_models.confused_pairs(single, 5)] == [(40, 50), (50, 60)]


@pytest.mark.parametrize("views", [["original"], ["flip", "original"]])
@pytest.mark.parametrize("crops", [["product", "whole"], ["whole"]])
def test_the_heatmap_shows_what_the_network_sees(views, crops):
    """A product, red at the left and blue at the right, mirrored in the view `flip`."""
    pixels = np.full((60, 90, 3), 255, np.uint8)
    pixels[10:40, 20:50], pixels[10:40, 50:80] = (200, 30, 60), (60, 30, 200)
    options = {"size": 90, "resize": "bilinear", "border_tolerance": 16}
    prepared = preprocessing.prepare(pixels, Preparation(views=views, crops=crops, **options))
    crop = crops[0] == "product"
    seen = heatmap.network_view(prepared, crop=crop)
    assert seen.shape == (round(heatmap.SIDE * (30 / 60 if crop else 60 / 90)), heatmap.SIDE, 3)
    expected = pixels[10:40, 20:80] if crop else pixels
    if views[0] == "flip":
        expected = expected[:, ::-1]
    wanted = np.asarray(Image.fromarray(expected).resize(seen.shape[1::-1]), int)
    assert np.abs(seen - wanted).mean() < 5


def test_the_heatmap_tints_and_outlines_the_strongest_regions():
    effects = np.zeros((7, 7))
    effects[1, 5], effects[6, 0], effects[3, 3] = 2.0, -1.0, 0.1
    assert heatmap.strongest(effects) == [(1, 5), (6, 0), (3, 3)]
    assert heatmap.strongest(effects / 20) == [(1, 5)]
    assert heatmap.strongest(np.full((7, 7), 0.09)) == []
    grey = np.full((140, 280, 3), 128, np.uint8)
    drawn = heatmap.draw(grey, effects).astype(int)
    assert drawn.shape == (heatmap.SIDE // 2, heatmap.SIDE, 3)
    side = heatmap.SIDE // 7
    plus = drawn[side // 2 + 8 : side - 8, 5 * side + 6 : 5 * side + 16].mean(axis=(0, 1))
    assert plus[1] > plus[0] + 20  # teal
    minus = drawn[3 * side + 8 : -8, 6:16].mean(axis=(0, 1))
    assert minus[0] > minus[2] + 20  # orange


def test_cells_of_the_heatmap_have_distinct_names():
    names = [heatmap.name((row, column)) for row in range(7) for column in range(7)]
    assert len(set(names)) == 49
    assert [names[0], names[6], names[48]] == ["A1", "G1", "G7"]


@pytest.mark.parametrize(
    ("cell", "key"),
    [((0, 0), "place_00"), ((3, 3), "place_11"), ((6, 1), "place_20"), ((2, 6), "place_12")],
)
def test_a_place_names_a_third_of_the_image(cell, key):
    assert heatmap.place(cell, 7) == key
    assert key in translations.TEXTS


def test_the_metrics_are_those_of_the_evaluation():
    assert set(view_models.METRICS) == set(metrics.METRICS)
