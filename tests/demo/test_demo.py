"""The page: its words and choices quickly, then the page itself in a headless Chromium."""

import io
import re
import string

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image

from demo import heat, paths, samples, snippets, uploads, view_models, wording
from rakuten import category_names, storage
from rakuten.categories import CODES, GROUPS, NAMES
from rakuten.evaluation import metrics
from rakuten.model_names import BY_NAME
from rakuten.serving.classifier import Choice, Prediction
from rakuten.serving.explanation import WordEffect

LANGUAGES = tuple(wording.LANGUAGES)


def blanks(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", wording.TEXTS)
def test_every_text_is_there_in_both_languages(key):
    texts = wording.TEXTS[key]
    assert tuple(texts) == LANGUAGES == ("fr", "en")
    assert all(text.strip() for text in texts.values())
    assert blanks(texts["fr"]) == blanks(texts["en"])


def test_every_text_is_used_and_every_text_used_is_there():
    code = "\n".join(
        path.read_text() for path in (ROOT / "demo").glob("*.py") if path.stem != "wording"
    )
    quoted = set(re.findall(r'"([a-z_0-9]+)"', code))
    built = [
        re.compile(re.sub(r"\\{.*?\\}", "[a-z0-9_]+", re.escape(piece)))
        for piece in re.findall(r'f"([a-z_]+\{[^"]*)"', code)
    ]
    unused = {
        key
        for key in wording.TEXTS
        if key not in quoted and not any(pattern.fullmatch(key) for pattern in built)
    }
    assert not unused
    called = set(re.findall(r'(?:words|say|heading)\(\s*"([a-z_0-9]+)"', code))
    assert called <= set(wording.TEXTS)


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


def test_french_marks_never_start_a_line():
    assert wording.say("similar_none_text", "fr") == "Sans texte, pas de comparaison."
    said = wording.say("fault_wrong_type", "fr", name="a.txt")
    assert said.startswith("«\xa0a.txt\xa0» n'est pas")
    assert "WebP\xa0: choisissez" in said
    assert "\xa0" not in wording.say("fault_wrong_type", "en", name="a.txt")


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
    assert wording.number(value, "fr", **options) == french
    assert wording.number(value, "en", **options) == english


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
    assert wording.percent(value, "fr", digits=digits) == french
    assert wording.percent(value, "en", digits=digits) == english


def predictions(*rows):
    """Rows of id, actual, predicted, probability, has_description, has_picture."""
    columns = ["id", "actual", "predicted", "probability", "has_description", "has_picture"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["probability", "id"], ascending=[False, True], ignore_index=True)


def every_category():
    """A product of each category that the model gets right, surest first."""
    return [(n, code, code, 0.99 - n / 1000, True, True) for n, code in enumerate(CODES)]


def test_samples_cover_what_is_hard():
    rows = predictions(
        *every_category(),
        (100, 10, 2403, 0.8, True, True),
        (101, 1560, 2060, 0.95, True, True),
        (102, 2583, 2583, 0.5, False, True),
        (103, 1920, 1920, 0.4, True, False),
    )
    chosen = samples.choose(rows)
    assert len(chosen) == samples.COUNT == len({sample.product for sample in chosen})
    by_kind = {kind: [s for s in chosen if s.kind == kind] for kind in {s.kind for s in chosen}}
    assert [s.product for s in by_kind["wrong"]] == [100]  # a wrong one of a confusable group
    assert [s.product for s in by_kind["no_description"]] == [102]
    assert [(s.product, s.with_picture) for s in by_kind["no_picture"]] == [(103, False)]
    assert [s.group for s in by_kind["group"]] == [g for g in GROUPS for _ in range(2)]
    for sample in by_kind["group"]:
        assert rows.set_index("id").at[sample.product, "actual"] in GROUPS[sample.group]
    categories = rows.set_index("id").loc[[s.product for s in chosen], "actual"]
    assert categories.is_unique


def test_where_all_have_a_picture_one_is_shown_without():
    chosen = samples.choose(predictions(*every_category()))
    assert [s.kind for s in chosen if not s.with_picture] == ["no_picture"]


def test_few_products_give_few_samples():
    chosen = samples.choose(predictions((5, 10, 2403, 0.3, False, False)))
    assert chosen == [samples.Sample(5, "wrong")]
    assert samples.choose(predictions()) == []


def test_candidates_look_up_products_by_id():
    said = pd.DataFrame(
        {"id": [7, 3], "actual": [10, 10], "predicted": [10, 10], "probability": [0.2, 0.9]}
    )
    table = pd.DataFrame(
        {"description": [None, "x"], "has_picture": [True, False]}, index=pd.Index([7, 3])
    )
    found = samples.candidates(said, table)
    assert found["id"].tolist() == [3, 7]
    assert found["has_description"].tolist() == [True, False]
    assert found["has_picture"].tolist() == [False, True]


def picture(form="JPEG", size=(60, 40)):
    content = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(content, form)
    return content.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_pictures_are_taken_whatever_their_name(form):
    assert uploads.fault(picture(form)) is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "fault_wrong_type"),
        (b"%PDF-1.7 and more", "fault_wrong_type"),
        (picture("GIF"), "fault_wrong_type"),
        (picture()[:200], "fault_broken"),
        (picture("PNG", (6000, 5000)), "fault_pixels"),
        (b"\xff\xd8\xff" + bytes(uploads.MAX_BYTES), "fault_too_large"),
    ],
)
def test_what_is_wrong_with_an_upload(content, fault):
    assert uploads.fault(content) == fault
    assert fault in wording.TEXTS


def prediction(text=2.6, image=-0.7, probability=0.75):
    top = [(1280, probability), (1302, 0.2), (10, 0.0001)]
    return Prediction(tuple(Choice(code, NAMES[code], p) for code, p in top), text, image)


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


def test_the_likeliest_categories_have_names_codes_and_percentages():
    bars = view_models.top_bars(prediction(), "fr")
    assert [(bar.label, bar.note, bar.value) for bar in bars] == [
        ("Jouets de l'enfance", "1280", "75,0\xa0%"),
        ("Jouets pour enfants", "1302", "20,0\xa0%"),
        ("Livres pour adultes", "10", "<0,1\xa0%"),
    ]


def test_text_and_picture_speak_on_one_axis():
    text, image = view_models.sides(prediction(), "en")
    assert (text.label, text.share, text.value) == ("Text", 1.0, "+2.6 nats")
    assert image.share == pytest.approx(-0.7 / 2.6)
    assert image.value == "\N{MINUS SIGN}0.7 nats"
    assert view_models.sides(prediction(image=None), "en")[1].share is None


@pytest.mark.parametrize(
    ("text", "image", "sentence"),
    [
        (2.6, -0.7, "The text speaks clearly for this category; the picture speaks against this "
         "category."),
        (0.6, 0.1, "The text speaks for this category; the picture says hardly anything."),
        (3.0, 2.0, "The text speaks clearly for this category; so does the picture."),
        (None, 0.6, "There is no text; the picture speaks for this category."),
        (None, None, "There is no text; there is no picture."),
    ],
)  # fmt: skip
def test_text_and_picture_in_words(text, image, sentence):
    assert view_models.sides_sentence(prediction(text, image), "en") == sentence


EFFECTS = [
    WordEffect("title", 0, 7, "Piscine", 2.0),
    WordEffect("title", 8, 13, "ronde", 0.01),
    WordEffect("description", 4, 9, "livre", -1.0),
]


def test_words_are_marked_where_they_stand():
    marks = view_models.marks("Piscine ronde !", "title", EFFECTS, "fr")
    assert "".join(mark.text for mark in marks) == "Piscine ronde !"
    assert [(m.text, m.strength) for m in marks if m.strength] == [("Piscine", 1.0)]
    (against,) = (
        m for m in view_models.marks("Un  livre", "description", EFFECTS, "fr") if m.strength
    )
    assert (against.text, against.strength) == ("livre", -0.5)
    assert against.hint == "\N{MINUS SIGN}1,00 nats"


def test_the_strongest_words_come_first():
    assert view_models.word_rows(EFFECTS, "en") == [
        ("Piscine", "Title", "for", "+2.00"),
        ("livre", "Description", "against", "\N{MINUS SIGN}1.00"),
    ]


def test_texts_of_sellers_are_escaped():
    nasty = '<script>alert(1)</script>"'
    made = [
        snippets.marked([snippets.Mark(nasty, 0.5, nasty), snippets.Mark(nasty)]),
        snippets.table(["x"], [[nasty]], label=nasty),
        snippets.cards([snippets.Card(None, nasty, nasty, (nasty, nasty))]),
        snippets.bars([snippets.Bar(nasty, nasty, 0.5, nasty)]),
        snippets.two_sided([snippets.Side(nasty, 0.5, nasty)], against=nasty, favour=nasty),
        snippets.verdict(nasty, nasty, nasty, nasty),
        snippets.note(nasty, kind="wrong"),
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
    history = storage.read_csv(ROOT / paths.history("text"))
    curves = view_models.curve_points({"text": history}, "loss", "en")
    assert len(curves) == 2 * len(history)
    assert curves["value"].tolist()[: len(history)] == history["train_loss"].tolist()


def test_pairs_are_counted_in_both_directions():
    said = pd.DataFrame(
        [
            *((1, 10, 2403, 0.4), (2, 2403, 10, 0.9), (7, 10, 2403, 0.3)),
            *((3, 50, 40, 0.5), (5, 40, 50, 0.4), (4, 50, 50, 0.9), (6, 60, 50, 0.9)),
        ],
        columns=["id", "actual", "predicted", "probability"],
    )
    (first, errors), (second, others) = view_models.confused_pairs(said, 5)
    assert (first, [row["id"] for row in errors]) == ((10, 2403), [2, 1, 7])
    assert (second, [row["id"] for row in others]) == ((40, 50), [3, 5])
    assert len(view_models.confused_pairs(said, 1)) == 1
    single = said[said["id"].isin([3, 6])]
    assert [pair for pair, _ in view_models.confused_pairs(single, 5)] == [(40, 50), (50, 60)]


def test_heat_is_drawn_where_it_counts():
    effects = np.zeros((7, 7))
    effects[1, 5], effects[6, 0], effects[3, 3] = 2.0, -1.0, 0.1
    assert heat.strongest(effects) == [(1, 5), (6, 0)]
    assert heat.strongest(np.full((7, 7), 0.001)) == []
    grey = np.full((140, 280, 3), 128, np.uint8)
    drawn = heat.draw(grey, effects).astype(int)
    assert drawn.shape == (heat.SIDE // 2, heat.SIDE, 3)
    side = heat.SIDE // 7
    plus = drawn[side // 2 + 8 : side - 8, 5 * side + 6 : 5 * side + 16].mean(axis=(0, 1))
    assert plus[1] > plus[0] + 20  # teal
    minus = drawn[3 * side + 8 : -8, 6:16].mean(axis=(0, 1))
    assert minus[0] > minus[2] + 20  # orange


@pytest.mark.parametrize(
    ("cell", "key"),
    [((0, 0), "place_00"), ((3, 3), "place_11"), ((6, 1), "place_20"), ((2, 6), "place_12")],
)
def test_places_are_thirds(cell, key):
    assert heat.place(cell, 7) == key
    assert key in wording.TEXTS


def test_the_metrics_are_those_of_the_evaluation():
    assert set(view_models.METRICS) == set(metrics.METRICS)
