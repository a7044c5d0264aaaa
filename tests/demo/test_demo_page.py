"""The page in a headless Chromium, against a server in a built repository, and without a build.

Screenshots are left in build/demo/screenshots.
"""

import io
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import psutil
import pytest
from PIL import Image
from playwright.sync_api import TimeoutError, expect
from repository import ROOT

from demo import paths
from rakuten import category_names, storage
from rakuten.data import products
from rakuten.model_names import BY_NAME

SCREENSHOTS = ROOT / "build" / "demo" / "screenshots"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
NO_IMAGE = "il n'y a pas de photo."  # the end of the evidence sentence
PATIENCE = 600_000  # milliseconds: the first answer loads the networks, on two busy cores
CHART = "[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg"

slow = pytest.mark.slow
expect.set_options(timeout=PATIENCE)


def test_without_a_build_the_page_says_what_to_run(tmp_path, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.chdir(tmp_path)
    page = AppTest.from_file(str(ROOT / "demo" / "app.py"), default_timeout=600).run()
    assert not page.exception
    (fault,) = page.error
    assert "make repro" in fault.value
    assert "build/package/package.json" in fault.value
    page.radio(key="language").set_value("en").run()
    assert "Run 'make repro'" in page.error[0].value


@pytest.fixture(scope="module")
def server(built_repository):
    """The page's process and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    log = SCREENSHOTS.parent / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo", "--port", str(port)],
            cwd=built_repository,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(1200):
            assert process.poll() is None, f"the server ended:\n{log.read_text()[-3000:]}"
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        else:
            pytest.fail(f"{address} does not answer:\n{log.read_text()[-3000:]}")
        yield process, address
        assert process.poll() is None, f"the server ended:\n{log.read_text()[-3000:]}"
        assert "Traceback" not in log.read_text(), log.read_text()[-6000:]
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def visit(server, chromium):
    """Open the page; assert at the end that it used no other host and logged no error."""
    faults, contexts = [], []

    def open_page(viewport=None, **options):
        context = chromium.new_context(viewport=viewport or DESKTOP, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        local = (server[1], server[1].replace("http", "ws"), "data:", "blob:")
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda m: m.type == "error" and faults.append(f"console: {m.text}"))
        page.on("request", lambda r: r.url.startswith(local) or faults.append(f"asked {r.url}"))
        page.on("websocket", lambda w: w.url.startswith(local) or faults.append(f"asked {w.url}"))
        page.goto(server[1])
        page.locator(".st-key-examples button").nth(11).wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults
    remote = {c.raddr.ip for c in psutil.Process(server[0].pid).net_connections() if c.raddr}
    assert remote <= {"127.0.0.1", "::1"}


def send(page, *, title="", description="", file=None):
    """Fill the form and send it."""
    page.get_by_label("Titre", exact=True).fill(title)
    page.get_by_label("Description (facultative)").fill(description)
    if file:
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_test_id("stFileChip").wait_for()
    page.get_by_role("button", name="Classer", exact=True).click()


def pick(page, label, option):
    """Take an option of a list.

    A list closes if the page around it is still loading: then it is opened again.
    """
    box, choice = page.get_by_label(label, exact=True), page.get_by_role("option", name=option)
    for _ in range(PATIENCE // 5_000):
        box.press("ArrowDown")
        try:
            choice.click(timeout=5_000)
        except TimeoutError:
            continue
        return
    pytest.fail(f"{label} does not offer {option}")


def verdict(page):
    """Wait for the answer and read its category."""
    page.locator(".rk-verdict").wait_for()
    return page.locator(".rk-name").inner_text()


def file(name, content, kind="image/jpeg"):
    return {"name": name, "mimeType": kind, "buffer": content}


def shoot(page, name):
    """Take a screenshot of the whole page."""
    size = page.viewport_size
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], height)})
    page.wait_for_timeout(700)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    page.set_viewport_size(size)


def fits(page):
    """Tell whether nothing is wider than the screen."""
    return page.evaluate(
        """() => [document.documentElement, document.querySelector('[data-testid=stMain]')]
        .every(part => part.scrollWidth <= window.innerWidth)"""
    )


@slow
def test_the_page_loads(visit):
    page = visit()
    assert page.locator("h1").inner_text() == "Classer un produit"
    tabs = ["Classer", "Comparer les modèles", "Confusions fréquentes"]
    assert page.get_by_role("tab").all_inner_texts() == tabs
    page.get_by_text("les produits sont synthétiques").wait_for()
    expect(page.locator(".st-key-examples button")).to_have_count(12)
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    shoot(page, "start")


@slow
def test_text_alone(visit):
    page = visit()
    send(page, title="Piscine hors sol ronde 3,60 m avec pompe", description="Liner bleu")
    assert verdict(page) == "Piscine et spa"
    page.get_by_text(NO_IMAGE).wait_for()
    expect(page.locator(".rk-bars li")).to_have_count(5)
    page.locator("mark.rk-for", has_text="Piscine").wait_for()
    page.get_by_text("Il n'y a pas de photo à analyser.").wait_for()
    expect(page.locator(".rk-cards li")).to_have_count(4)


@slow
def test_an_image_alone(visit, built_repository):
    table = storage.read_table(built_repository / paths.PRODUCTS)
    with storage.ImageArchive(built_repository / paths.ARCHIVE) as archive:
        content = archive.read(f"image_train/{products.image_names(table.head(1))[0]}")
    page = visit()
    send(page, file=file("produit.jpg", content))
    assert verdict(page) in {names["fr"] for names in category_names.CATEGORIES.values()}
    page.get_by_text("Il n'y a pas de texte").wait_for()
    page.get_by_text("Il n'y a pas de mot à analyser.").wait_for()
    page.locator(".st-key-heatmap img").wait_for()
    expect(page.locator(".rk-cards li")).to_have_count(4)


@slow
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_other_formats_are_accepted(visit, form):
    content = io.BytesIO()
    Image.new("RGBA", (80, 50), (20, 120, 30, 90)).save(content, form)
    page = visit()
    send(page, title="Livre", file=file(f"x.{form.lower()}", content.getvalue()))
    assert verdict(page)


@slow
def test_an_example_that_is_misclassified(visit):
    """Text and image: the answer, its explanation, the true category, similar products."""
    page = visit()
    page.locator(".st-key-examples button", has_text="Le modèle évalué se trompe").click()
    name = verdict(page)
    truth = page.get_by_text("La vraie catégorie est").inner_text()
    evaluated = page.locator(".rk-wrong").inner_text()
    assert evaluated.startswith("Faux\xa0: sans ce produit dans l'entraînement")
    assert truth.removeprefix("La vraie catégorie est ").rstrip(".") not in evaluated
    expect(page.get_by_label("Titre", exact=True)).not_to_have_value("")
    expect(page.get_by_role("checkbox", name="Garder la photo de l'exemple")).to_be_checked()
    page.locator(".st-key-heatmap img").wait_for()
    assert page.locator(".st-key-heatmap img").get_attribute("alt").startswith("Photo du produit")
    page.locator(".rk-cards li").nth(7).wait_for()
    shoot(page, "answer")
    page.get_by_role("tab", name="Comparer les modèles").click()
    page.get_by_role("heading", name="Tous les modèles").wait_for()
    page.get_by_role("tab", name="Classer").click()
    assert verdict(page) == name
    expect(page.get_by_label("Titre", exact=True)).not_to_have_value("")


@slow
def test_the_examples_without_image_or_description(visit):
    page = visit()
    page.locator(".st-key-examples button", has_text="Sans photo").click()
    page.locator(".rk-verdict").wait_for()
    page.get_by_text(NO_IMAGE).wait_for()
    page.locator(".st-key-examples button", has_text="Sans description").click()
    page.get_by_role("checkbox", name="Garder la photo de l'exemple").wait_for()
    expect(page.get_by_label("Description (facultative)")).to_have_value("")


@slow
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("liste.txt", b"a, b, c", "n'est pas une photo JPEG, PNG ou WebP"),
        ("photo.jpg", b"%PDF-1.7 not an image", "n'est pas une photo JPEG, PNG ou WebP"),
        ("coupee.jpg", b"cut", "est corrompu ou incomplet"),
        ("grande.jpg", b"large", "pèse 10,5 Mo"),
    ],
)
def test_bad_files_are_refused_with_a_message(visit, name, content, message):
    if content == b"cut":
        whole = io.BytesIO()
        Image.effect_noise((300, 300), 90).convert("RGB").save(whole, "JPEG")
        content = whole.getvalue()[:9000]
    elif content == b"large":
        content = b"\xff\xd8\xff" + bytes(10_499_997)
    page = visit()
    send(page, title="Livre", file=file(name, content))
    alert = page.get_by_test_id("stAlert")
    alert.wait_for()
    assert message in alert.inner_text()
    assert name in alert.inner_text()
    expect(page.locator(".rk-verdict")).to_have_count(0)


@slow
def test_an_empty_form_is_refused_with_a_message(visit):
    page = visit()
    send(page, title="   ")
    page.get_by_text("Rien à classer").wait_for()
    send(page, title="Livre")
    assert verdict(page)
    page.get_by_text("Rien à classer").wait_for(state="hidden")


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
    page.get_by_text("Il n'y a pas de photo à analyser.").wait_for()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    assert fits(page)


@slow
def test_english_keeps_the_tab_and_the_answer(visit):
    page = visit()
    send(page, title="Piscine hors sol ronde")
    verdict(page)
    page.get_by_test_id("stRadio").get_by_text("English").click()
    page.get_by_role("heading", name="Classify a product").wait_for()
    page.get_by_text("Pools and spas").first.wait_for()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_label("Title", exact=True)).to_have_value("Piscine hors sol ronde")
    page.get_by_role("tab", name="Compare models").click()
    page.get_by_role("heading", name="All models").wait_for()
    page.get_by_test_id("stRadio").get_by_text("Français").click()
    page.get_by_role("heading", name="Tous les modèles").wait_for()
    selected = page.locator("[role=tab][aria-selected=true]")
    expect(selected).to_have_text("Comparer les modèles")


@slow
def test_the_page_works_with_the_keyboard(visit):
    """From the language over tabs and examples to the form, in reading order, and an answer."""
    page = visit()
    page.locator("h1").click()
    order = []
    for _ in range(40):
        page.keyboard.press("Tab")
        kind = page.evaluate(
            """() => { const at = document.activeElement;
            if (at.matches('[type=radio]')) return 'language';
            if (at.matches('[role=tab]')) return 'tab';
            if (at.closest('.st-key-examples')) return 'example';
            return at.getAttribute('aria-label') || at.tagName; }"""
        )
        order.append(kind)
        if kind == "Titre":
            break
    assert list(dict.fromkeys(order)) == ["language", "tab", "example", "Titre"]
    assert order.count("example") == 12
    page.keyboard.type("Piscine hors sol ronde")
    page.keyboard.press("Enter")
    assert verdict(page) == "Piscine et spa"
    page.locator("[role=tab]").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Tous les modèles").wait_for()


@slow
def test_every_input_has_a_name(visit):
    page = visit()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('input, textarea, button, select')]
        .filter(one => one.offsetParent && !one.labels?.length && !one.innerText.trim()
          && !one.getAttribute('aria-label')
          && getComputedStyle(one, '::after').content === 'none')
        .map(one => one.outerHTML.slice(0, 200))"""
    )
    assert not unnamed


@slow
def test_a_phone_needs_no_sideways_scrolling(visit):
    page = visit(PHONE, has_touch=True, is_mobile=True)
    assert fits(page)
    page.locator(".st-key-examples button", has_text="Livres et magazines").first.click()
    page.locator(".st-key-heatmap img").wait_for()
    assert fits(page)
    shoot(page, "phone-answer")
    page.get_by_role("tab", name="Comparer les modèles").click()
    page.locator(CHART).nth(4).wait_for()
    assert fits(page)
    shoot(page, "phone-compare")
    page.get_by_role("tab", name="Confusions").click()
    page.locator(".rk-wide li").first.wait_for()
    assert fits(page)
    shoot(page, "phone-confusions")


@slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_models_are_compared(visit, scheme):
    page = visit(color_scheme=scheme)
    page.get_by_role("tab", name="Comparer les modèles").click()
    rows = page.get_by_role("region", name="Tous les modèles").locator("tbody tr")
    expect(rows).to_have_count(len(BY_NAME))
    page.locator(CHART).nth(4).wait_for()
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
