"""Using the demo page in Chromium."""

import contextlib
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import TimeoutError, expect
from repository import ROOT

SCREENSHOTS = ROOT / "build" / "demo" / "screenshots"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
NO_IMAGE = "il n’y a pas de photo."  # the end of the evidence sentence
PATIENCE = 600_000  # milliseconds: the first answer loads the networks, on two busy cores
SUBMIT = "[data-testid=stBaseButton-primaryFormSubmit]"
CHART = "[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg"

expect.set_options(timeout=PATIENCE)


LEFT = re.compile(
    r"Exception in ASGI application\n(?:(?!Exception in ASGI).)*?"
    r"WebSocketDisconnected: Cannot call .send. once a close message has been sent\.\n",
    re.DOTALL,
)
"""What Streamlit logs if a browser leaves at the moment when the server closes its connection."""


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
        written = LEFT.sub("", log.read_text())
        assert "Traceback" not in written, written[-6000:]
    finally:
        process.terminate()
        process.wait()


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
    # Streamlit marks what it has not drawn again, such as the category of the last product.
    return page.locator("[data-testid=stElementContainer][data-stale=false] .rk-name").inner_text()


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
