"""The page, its form and its behaviour during a rebuild; see conftest.py."""

import io
import os
import shutil
import subprocess

import pytest
from page_cases import (
    CHART,
    DESKTOP,
    NO_IMAGE,
    PHONE,
    SUBMIT,
    choose,
    file,
    fits,
    mark_as_old,
    send,
    serve,
    shoot,
    verdict,
)
from PIL import Image
from playwright.sync_api import expect
from repository import ROOT

from rakuten import storage

slow = pytest.mark.slow


@pytest.mark.slow
def test_without_a_build_the_page_says_what_to_run(tmp_path, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.chdir(tmp_path)
    page = AppTest.from_file(str(ROOT / "demo" / "app.py"), default_timeout=600).run()
    assert not page.exception
    (fault,) = page.error
    assert "make repro" in fault.value
    assert "build/package/package.json" in fault.value
    page.radio(key="language").set_value("en").run()
    assert "Run “make repro”" in page.error[0].value


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
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_other_formats_are_accepted(visit, form):
    content = io.BytesIO()
    Image.new("RGBA", (80, 50), (20, 120, 30, 90)).save(content, form)
    page = visit()
    send(page, title="Livre", file=file(f"x.{form.lower()}", content.getvalue()))
    assert verdict(page)


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
