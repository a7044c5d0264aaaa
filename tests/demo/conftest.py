"""The demo page in a headless Chromium, against a server in a built repository.

Screenshots are left in build/demo/screenshots.
"""

import sys

import psutil
import pytest
from page_cases import DESKTOP, PATIENCE, serve


@pytest.fixture(autouse=True)
def main_module(monkeypatch):
    """Undo that `AppTest` replaces `__main__`, which processes of later tests would run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(scope="session")
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
