"""The answers of the page and its results; see conftest.py."""

import re

import pytest
from page_cases import CHART, NO_IMAGE, choose, file, fits, pick, send, shoot, verdict
from playwright.sync_api import expect

from demo import paths, translations
from demo.view_models import MIN_EFFECT
from rakuten import category_names, storage
from rakuten.data import products
from rakuten.model_names import BY_NAME

slow = pytest.mark.slow


@slow
def test_two_models_answer_side_by_side(visit, built_repository):
    """The study's fusion net predicts on the page what the evaluate stage reports for it."""
    page = visit()
    button = page.locator("[class*=st-key-example-]", has_text="Erreur du modèle")
    example = int(re.search(r"st-key-example-(\d+)", button.get_attribute("class"))[1])
    choose(page, "Erreur du modèle")
    verdict(page)
    pick(page, "Comparer avec un autre modèle", "Réseau fusion")
    answers = page.locator(".rk-verdict")
    expect(answers).to_have_count(2)
    expect(page.locator(".rk-model")).to_have_text(
        [re.compile("^Fusion tardive"), re.compile("^Réseau fusion")]
    )
    first, second = (answers.nth(number).bounding_box() for number in (0, 1))
    assert first["y"] == second["y"]
    reported = storage.read_csv(built_repository / paths.TABLES / "predictions_fusion.csv")
    row = reported.set_index("id").loc[example]
    bar = page.locator(".rk-bars").nth(1).locator("li").first.inner_text()
    assert row["predicted"].split()[0] in bar
    assert translations.percent(row["score"], "fr", digits=1) in bar
    shoot(page, "two-models")
    page.get_by_role("tab", name="Comparer les modèles").click()
    page.get_by_role("heading", name="Tous les modèles").wait_for()
    page.get_by_role("tab", name="Classer").click()
    expect(answers).to_have_count(2)


@slow
def test_a_title_without_sense_gets_no_category(visit):
    page = visit()
    send(page, title="asdf qwer")
    assert verdict(page) == "Pas de catégorie nette"
    facts = page.locator(".rk-facts").inner_text()
    assert "Confiance" not in facts
    assert "la plus probable\xa0:" in facts
    expect(page.locator(".rk-clear")).to_have_count(0)
    shoot(page, "no-clear-category")
    page.get_by_test_id("stRadio").get_by_text("English").click()
    page.get_by_text("No clear category").wait_for()


@slow
def test_evidence_has_one_scale_for_all_products(visit):
    """A title without sense draws a much shorter bar than one that leaves no doubt."""
    page, found = visit(), {}
    for title in ("Piscine hors sol ronde 3,60 m", "asdf qwer"):
        send(page, title=title)
        verdict(page)
        (text, _), ticks = (
            page.locator(".rk-axis > div").evaluate_all(
                "all => all.map(one => one.offsetWidth / one.parentElement.offsetWidth)"
            ),
            page.locator(".rk-ticks span").all_inner_texts(),
        )
        value = page.locator(".rk-sides .rk-value").first.inner_text().replace(",", ".")
        found[title] = ticks
        assert text == pytest.approx(min(float(value) / 24, 0.5), abs=0.01)
    first, second = found.values()
    assert first == second == ["\N{MINUS SIGN}12", "\N{MINUS SIGN}6", "0", "+6", "+12"]


@slow
def test_text_alone(visit):
    page = visit()
    send(page, title="Piscine hors sol ronde 3,60 m avec pompe", description="Liner bleu")
    assert verdict(page) == "Piscine et spa"
    page.get_by_text(NO_IMAGE).wait_for()
    expect(page.locator(".rk-bars li")).to_have_count(5)
    page.locator("mark.rk-for", has_text="Piscine").wait_for()
    page.get_by_text("Il n’y a pas de photo à analyser.").wait_for()
    expect(page.locator(".rk-cards li")).to_have_count(4)
    effects = page.locator("mark").evaluate_all("all => all.map(one => one.title)")
    values = [float(effect.replace("\N{MINUS SIGN}", "-").replace(",", ".")) for effect in effects]
    assert min(map(abs, values)) >= MIN_EFFECT


@slow
def test_an_image_alone(visit, built_repository):
    table = storage.read_table(built_repository / paths.PRODUCTS)
    with storage.ImageArchive(built_repository / paths.ARCHIVE) as archive:
        content = archive.read(f"image_train/{products.image_names(table.head(1))[0]}")
    page = visit()
    send(page, file=file("produit.jpg", content))
    assert verdict(page) in {names["fr"] for names in category_names.CATEGORIES.values()}
    page.get_by_text("Il n’y a pas de texte").wait_for()
    page.get_by_text("Il n’y a pas de mot à analyser.").wait_for()
    page.locator(".st-key-heatmap img").wait_for()
    expect(page.locator(".rk-cards li")).to_have_count(4)


@slow
def test_an_example_that_is_misclassified(visit):
    """Text and image: the answer, its explanation, the true category, similar products."""
    page = visit()
    choose(page, "Erreur du modèle")
    name = verdict(page)
    truth, evaluated = page.locator(".rk-wrong").inner_text().split("Le modèle évalué")
    true = re.search(r"Vraie catégorie\xa0: (.+ \(\d+\))", truth)[1]
    assert evaluated.startswith(", entraîné sans ce produit, se trompe\xa0:")
    assert true not in evaluated
    expect(page.get_by_label("Titre", exact=True)).not_to_have_value("")
    expect(page.get_by_role("checkbox", name="Garder la photo de l’exemple")).to_be_checked()
    page.locator(".st-key-heatmap img").wait_for()
    assert page.locator(".st-key-heatmap img").get_attribute("alt").startswith("Photo du produit")
    page.locator(".rk-cards li").nth(7).wait_for()
    cells = page.get_by_role("region", name="Effet des zones de la photo").locator("tbody th")
    names = cells.all_inner_texts()
    assert all(re.fullmatch(r"[A-G][1-7], (en|au) .+", name) for name in names)
    assert len(set(names)) == len(names)
    shoot(page, "answer")
    page.get_by_role("tab", name="Comparer les modèles").click()
    page.get_by_role("heading", name="Tous les modèles").wait_for()
    page.get_by_role("tab", name="Classer").click()
    assert verdict(page) == name
    expect(page.get_by_label("Titre", exact=True)).not_to_have_value("")


@slow
def test_the_examples_without_image_or_description(visit):
    page = visit()
    choose(page, "Sans photo")
    verdict(page)
    page.get_by_text(NO_IMAGE).wait_for()
    choose(page, "Sans description")
    page.get_by_role("checkbox", name="Garder la photo de l’exemple").wait_for()
    expect(page.get_by_label("Description (facultative)")).to_have_value("")


@slow
@pytest.mark.parametrize(
    "title",
    [
        "!!!",
        "é" * 1000,
        "<b>Livre</b> <script>alert(1)</script>",
        "漢字 \U0001f3b2 \u202e ",
        "a\x00b",
    ],
)
def test_every_product_can_be_classified_on_the_page(visit, title):
    page = visit()
    send(page, title=title, description="$x$ **y** [z](http://x)")
    assert verdict(page)
    page.get_by_text("Il n’y a pas de photo à analyser.").wait_for()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    assert fits(page)


@slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_models_are_compared(visit, scheme):
    page = visit(color_scheme=scheme)
    page.get_by_role("tab", name="Comparer les modèles").click()
    rows = page.get_by_role("region", name="Tous les modèles").locator("tbody tr")
    expect(rows).to_have_count(len(BY_NAME))
    page.locator(CHART).nth(4).wait_for()
    published, measured = page.locator(".rk-source").all_inner_texts()
    assert published == "Publié\xa0: 16\u202f984 vrais produits de test de Rakuten"
    assert measured.startswith("Mesuré ici\xa0: 272 produits de test, échantillon synthétique")
    page.get_by_text("Les deux blocs ne se comparent pas").wait_for()
    expect(page.locator(".rk-published .rk-value")).to_have_text(
        ["77,2\xa0%", "59,3\xa0%", "81,9\xa0%"]
    )
    before = page.get_by_role("region", name="Erreurs les plus fréquentes").inner_text()
    pick(page, "Modèle affiché", "Réseau texte")
    pick(page, "Catégories", "Livres et magazines")
    page.wait_for_function(
        "before => document.querySelector('[aria-label=\"Erreurs les plus fréquentes\"]')"
        "?.innerText !== before",
        arg=before,
    )
    page.wait_for_timeout(1500)
    shoot(page, f"compare-group-{scheme}")
    other = visit(color_scheme=scheme)
    other.get_by_role("tab", name="Comparer les modèles").click()
    other.locator(CHART).nth(4).wait_for()
    shoot(other, f"compare-{scheme}")


@slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_confusions_are_shown_with_products(visit, scheme):
    page = visit(color_scheme=scheme)
    page.get_by_role("tab", name="Confusions").click()
    cards = page.locator(".rk-wide li")
    cards.nth(7).wait_for()
    page.wait_for_timeout(1500)
    expect(page.locator(".rk-wide li img")).to_have_count(cards.count())
    assert cards.first.locator(".rk-first").inner_text().startswith("Vraie")
    shoot(page, f"confusions-{scheme}")
