"""The page in a headless Chromium, against a server in a built repository, and without a build.

Screenshots are left in build/demo/screenshots.
"""

import contextlib
import io
import os
import re
import shutil
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
from demo.view_models import MIN_EFFECT
from rakuten import category_names, storage
from rakuten.data import products
from rakuten.model_names import BY_NAME

SCREENSHOTS = ROOT / "build" / "demo" / "screenshots"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
NO_IMAGE = "il n’y a pas de photo."  # the end of the evidence sentence
PATIENCE = 600_000  # milliseconds: the first answer loads the networks, on two busy cores
SUBMIT = "[data-testid=stBaseButton-primaryFormSubmit]"
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


@contextlib.contextmanager
def serve(folder):
    """Start the page in a built repository; yields its process and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    log = SCREENSHOTS.parent / f"server-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo", "--port", str(port)],
            cwd=folder,
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


@pytest.fixture(scope="module")
def server(built_repository):
    with serve(built_repository) as started:
        yield started


@pytest.fixture
def visit(request, chromium):
    """Open the page; assert at the end that it used no other host and logged no error."""
    faults, contexts, servers = [], [], []

    def open_page(viewport=None, *, server=None, **options):
        server = server or request.getfixturevalue("server")
        servers.append(server)
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
        page.locator(".rk-verdict").wait_for()  # of the first example
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults
    for process, _ in (one for one in servers if one[0].poll() is None):
        remote = {c.raddr.ip for c in psutil.Process(process.pid).net_connections() if c.raddr}
        assert remote <= {"127.0.0.1", "::1"}


def send(page, *, title="", description="", file=None):
    """Fill the form and send it."""
    mark_as_old(page)
    page.get_by_label("Titre", exact=True).fill(title)
    page.get_by_label("Description (facultative)").fill(description)
    keep = page.get_by_role("checkbox", name="Garder la photo de l’exemple")
    if keep.count():
        keep.set_checked(False, force=True)
    if file:
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_test_id("stFileChip").wait_for()
    page.locator(SUBMIT).click()


def choose(page, label):
    """Take the first example with a label."""
    mark_as_old(page)
    page.locator(".st-key-examples button", has_text=label).first.click()


def mark_as_old(page):
    """Mark the line that names the product of the answer, to recognize that of the next."""
    page.evaluate("document.querySelector('.rk-subject')?.setAttribute('data-old', '')")


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
    """Wait for the next answer and read its category."""
    page.locator(".rk-subject:not([data-old])").wait_for()
    page.wait_for_timeout(700)  # the category is drawn after the name of the product
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
    page.get_by_text("produits synthétiques").wait_for()
    expect(page.locator(".st-key-examples button")).to_have_count(12)
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    shoot(page, "start")


@slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_view_has_the_form_and_an_answer(visit, scheme):
    page = visit(color_scheme=scheme)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0
    for part in (page.get_by_label("Titre", exact=True), page.locator(SUBMIT)):
        assert part.bounding_box()["y"] < DESKTOP["height"]
    box = page.locator(".rk-verdict").bounding_box()
    assert box["y"] + box["height"] < DESKTOP["height"]
    expect(page.get_by_label("Titre", exact=True)).to_have_value("")
    assert page.locator(".rk-subject").inner_text().startswith("Exemple\xa0: «\xa0")
    page.locator(".rk-right").wait_for()
    shoot(page, f"first-{scheme}")


@slow
def test_examples_are_one_strip_that_scrolls(visit):
    page = visit()
    tops = page.locator(".st-key-examples button").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().top)"
    )
    assert len(set(tops)) == 1
    strip = page.locator(".st-key-examples")
    assert strip.evaluate("strip => strip.scrollWidth > 2 * strip.clientWidth")
    strip.evaluate("strip => strip.scrollLeft = strip.scrollWidth")
    mark_as_old(page)
    page.locator(".st-key-examples button").last.click()
    verdict(page)


@slow
def test_the_form_can_be_cleared(visit):
    """What is left of an example would change the answer to one's own title."""
    page = visit()
    choose(page, "Jeux vidéo")
    verdict(page)
    page.get_by_role("button", name="Effacer").click()
    expect(page.get_by_label("Titre", exact=True)).to_have_value("")
    expect(page.get_by_role("checkbox", name="Garder la photo de l’exemple")).to_have_count(0)
    send(page, title="Piscine hors sol ronde")
    assert verdict(page) == "Piscine et spa"


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
@pytest.mark.parametrize("sent", ["by button", "by key"])
@pytest.mark.parametrize("pause", [0, 1000])
def test_an_upload_that_still_runs_is_waited_for(visit, sent, pause):
    """At once after the choice of the file, and during the upload."""
    content = io.BytesIO()
    Image.effect_noise((200, 200), 60).convert("RGB").save(content, "JPEG")
    page = visit()
    send(page, title="Piscine hors sol")
    verdict(page)
    page.get_by_text("Il n’y a pas de photo à analyser.").wait_for()
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
    upload = {"uploadThroughput": len(content.getvalue()) / 4}  # bytes per second
    network.send("Network.emulateNetworkConditions", limits | upload)
    mark_as_old(page)
    page.get_by_label("Titre", exact=True).fill("Piscine ronde")
    page.locator("input[type=file]").set_input_files(file("photo.jpg", content.getvalue()))
    page.wait_for_timeout(pause)
    if sent == "by key":
        page.get_by_label("Titre", exact=True).press("Enter")
    else:
        box = page.locator(SUBMIT).bounding_box()
        page.mouse.click(box["x"] + 20, box["y"] + 10)
    expect(page.locator(SUBMIT)).to_be_disabled()
    expect(page.locator(".rk-subject[data-old]")).to_have_count(1)  # the last answer stays
    verdict(page)
    expect(page.locator(".rk-subject img")).to_have_count(1)
    expect(page.get_by_text(NO_IMAGE)).to_have_count(0)


@pytest.fixture
def copied_repository(built_repository, tmp_path):
    """A copy of the built repository, of hard links."""
    folder = tmp_path / "rakuten"
    subprocess.run(["cp", "-al", built_repository, folder], check=True)
    (folder / ".dvc/tmp/rwlock").unlink(missing_ok=True)
    return folder


@pytest.fixture
def copied_server(copied_repository):
    with serve(copied_repository) as started:
        yield started


@slow
def test_the_last_build_is_shown_while_dvc_rebuilds(copied_server, copied_repository, visit):
    visit(server=copied_server)
    entry = {str(copied_repository / "build/package"): {"pid": os.getpid(), "cmd": "dvc repro"}}
    storage.write_json(copied_repository / ".dvc/tmp/rwlock", {"write": entry})
    for name in ("build/package", "build/encode_text", "build/clean", "reports/evaluate"):
        shutil.rmtree(copied_repository / name)
    use_every_tab(visit(server=copied_server))
    with serve(copied_repository) as started_now:
        page = visit(server=started_now)
        use_every_tab(page)
        page.context.close()


def use_every_tab(page):
    """Classify a product, compare models, look at confusions."""
    send(page, title="Piscine hors sol ronde 3,60 m")
    assert verdict(page) == "Piscine et spa"
    page.locator(".rk-cards li").nth(3).wait_for()
    page.get_by_role("tab", name="Comparer les modèles").click()
    page.locator(CHART).nth(4).wait_for()
    page.get_by_role("tab", name="Confusions").click()
    page.locator(".rk-wide li").first.wait_for()


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
def test_another_model_answers_beside_the_first(visit):
    page = visit()
    pick(page, "Comparer avec un autre modèle", "Réseau fusion")
    expect(page.locator(".rk-verdict")).to_have_count(2)
    first, second = (page.locator(".rk-verdict").nth(k).bounding_box() for k in range(2))
    assert second["x"] >= first["x"] + first["width"]
    assert abs(first["y"] - second["y"]) < 5
    page.get_by_text("Fusion tardive", exact=True).wait_for()
    shoot(page, "two-models")
    send(page, title="Lot de 6 crayons de couleur")
    expect(page.locator(".rk-verdict")).to_have_count(2)
    pick(page, "Comparer avec un autre modèle", "Réseau image")
    page.get_by_text("Ce modèle n’utilise rien de ce qui a été donné.").wait_for()
    pick(page, "Comparer avec un autre modèle", "Aucun")
    expect(page.locator(".rk-verdict")).to_have_count(1)


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
    ("name", "content", "message"),
    [
        ("liste.txt", b"a, b, c", "n’est pas une photo JPEG, PNG ou WebP"),
        ("photo.jpg", b"%PDF-1.7 not an image", "n’est pas une photo JPEG, PNG ou WebP"),
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
    page.get_by_text("Il n’y a pas de photo à analyser.").wait_for()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    assert fits(page)


@slow
def test_english_keeps_the_tab_and_the_answer(visit):
    page = visit()
    send(page, title="Piscine hors sol ronde")
    assert verdict(page) == "Piscine et spa"
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
    """From the language over tabs and the form to the examples, in reading order; an answer."""
    page = visit()
    page.locator(".rk-cards li").first.wait_for()
    page.locator("h1").click()
    order = []
    while order.count("example") < 12:
        page.keyboard.press("Tab")
        kind = page.evaluate(
            """() => { const at = document.activeElement;
            if (at.matches('[type=radio]')) return 'language';
            if (at.matches('[role=tab]')) return 'tab';
            if (at.closest('.st-key-examples')) return 'example';
            if (at.closest('[data-testid=stForm]')) return 'form';
            return at.outerHTML.slice(0, 200); }"""
        )
        order.append(kind)
        assert len(order) < 40, order
    assert list(dict.fromkeys(order)) == ["language", "tab", "form", "example"]
    mark_as_old(page)
    page.get_by_label("Titre", exact=True).focus()
    page.keyboard.press("Control+A")
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
    assert page.locator(".rk-verdict").bounding_box()["y"] < 3 * PHONE["height"]
    choose(page, "Livres et magazines")
    verdict(page)
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
