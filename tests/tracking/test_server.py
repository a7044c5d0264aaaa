"""The server's own paths, limits and key, over HTTP; the model is replaced by one that waits."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from types import SimpleNamespace

import pandas as pd
import pytest
import uvicorn
from prometheus_client.parser import text_string_to_metric_families

from rakuten.categories import CODES
from rakuten.tracking import served, server

IDENTITY = {"model": "small", "version": "3", "commit": "abc", "models": ["text"]}
ROWS = {"dataframe_records": [{"title": "a"}, {"title": "abc"}, {"title": ""}]}
JSON = {"Content-Type": "application/json"}


class Model:
    """Predicts the category at the length of a title; nothing for an empty one."""

    metadata = SimpleNamespace(get_input_schema=lambda: served.SIGNATURE.inputs)

    def __init__(self):
        self.go_on = threading.Event()
        self.go_on.set()
        self.running = threading.Semaphore(0)

    def predict(self, data, params=None):
        self.running.release()
        assert self.go_on.wait(timeout=60)
        codes = [CODES[len(title)] if title else None for title in data["title"]]
        return pd.DataFrame(
            {"prdtypecode": codes, "probability": [0.55 if code else None for code in codes]},
            dtype=object,
        )


class Client:
    """Sends requests to a server."""

    def __init__(self, port, application, model):
        self.port, self.application, self.model = port, application, model

    def ask(self, method, path, body=None, /, chunked=False, **headers):
        """Return status, body and headers of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, JSON | headers, encode_chunked=chunked)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, answer.headers

    def post(self, rows, /, **headers):
        status, content, _ = self.ask("POST", "/invocations", json.dumps(rows).encode(), **headers)
        return status, json.loads(content)

    def metrics(self, **headers):
        """Return values by name and, where there is one, label."""
        _, content, _ = self.ask("GET", "/metrics", **headers)
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(content.decode())
            for sample in family.samples
        }


@contextmanager
def running(*, ready=True, key=None, max_body=1 << 20):
    """Run a server in a thread."""
    application, model = server.create(IDENTITY, key=key, max_body=max_body), Model()
    if ready:
        server.serve_model(application, model)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, log_level="warning", ws="none")
    process = uvicorn.Server(config)
    thread = threading.Thread(target=process.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield Client(listening.getsockname()[1], application, model)
    finally:
        model.go_on.set()
        process.should_exit = True
        thread.join(timeout=60)
        listening.close()


@pytest.fixture(scope="module")
def client():
    with running() as found:
        yield found


def refusal(content):
    """Check the form of an error, return its message."""
    answer = json.loads(content)
    assert answer["problems"] == [{"row": None, "column": "", "reason": answer["message"]}]
    return answer["error_code"], answer["message"]


def test_the_paths_of_mlflow_stay(client):
    status, answer = client.post(ROWS)
    assert status == 200
    assert [row["prdtypecode"] for row in answer["predictions"]] == [CODES[1], CODES[3], None]
    assert [client.ask("GET", path)[0] for path in ("/ping", "/health", "/version")] == [200] * 3
    status, content, _ = client.ask("GET", "/absent")
    assert (status, refusal(content)) == (404, ("ENDPOINT_NOT_FOUND", "Not Found"))


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("application/json", b'{"dataframe_records": [', "Expecting value"),
        ("application/json", b"[" * 200_000, "recursion"),
        ("application/json", b"\xff" * 9_000, "can't decode byte 0xff"),
        ("text/csv", b"title\n" + b"\xff" * 9_000, "can't decode byte 0xff"),
    ],
)
def test_malformed_content_is_not_repeated_in_the_answer(client, kind, body, message):
    status, content, _ = client.ask("POST", "/invocations", body, Content_Type=kind)
    assert status == 400
    assert message in refusal(content)[1]
    assert len(content) < 500


def test_the_server_is_alive_before_it_is_ready():
    with running(ready=False) as client:
        assert client.ask("GET", "/livez")[0] == 200
        for path in ("/readyz", "/ping", "/health"):
            assert client.ask("GET", path)[0] == 503, path
        status, content, headers = client.ask("POST", "/invocations", b"{}")
        assert (status, headers["Retry-After"]) == (503, "5")
        expected = "the model is being loaded: send the request again later"
        assert refusal(content) == ("TEMPORARILY_UNAVAILABLE", expected)
        assert json.loads(client.ask("GET", "/info")[1]) == IDENTITY
        server.serve_model(client.application, client.model)
        for path in ("/livez", "/readyz", "/ping", "/health"):
            assert client.ask("GET", path)[0] == 200, path
        assert client.post(ROWS)[0] == 200


def test_requests_and_predictions_are_counted(client):
    before = Counter(client.metrics())
    client.post(ROWS)
    client.post({"dataframe_records": [{"description": "no title"}]})
    client.ask("GET", "/ping")
    found = Counter(client.metrics())
    found.subtract(before)
    changed = {name: value for name, value in found.items() if value and name[0][:8] == "rakuten_"}
    seconds = {name: changed.pop(name) for name in list(changed) if "_seconds" in name[0]}
    assert seconds["rakuten_request_seconds_count",] == 2
    assert changed.pop(("rakuten_confidence_sum",)) == pytest.approx(1.1)
    assert changed == {
        ("rakuten_requests_total", "200"): 1,
        ("rakuten_requests_total", "400"): 1,
        ("rakuten_predictions_total", str(CODES[1])): 1,
        ("rakuten_predictions_total", str(CODES[3])): 1,
        ("rakuten_unpredicted_total",): 1,
        ("rakuten_confidence_count",): 2,
        **{("rakuten_confidence_bucket", bound): 2 for bound in ("0.6", "0.7", "0.8", "0.9")},
        **{
            ("rakuten_confidence_bucket", bound): 2
            for bound in ("0.95", "0.99", "0.999", "1.0", "+Inf")
        },
    }


def test_every_category_has_a_series_and_clients_cannot_add_one(client):
    series = set(client.metrics())
    counted = {name[1] for name in series if name[0] == "rakuten_predictions_total"}
    assert counted == {str(code) for code in CODES}
    assert ("rakuten_model_info", "abc", "small", "3") in series  # texts only
    for path in ("/a", "/b", "/invocations/c"):
        client.ask("POST", path, b"{}")
        client.ask("GET", path)
    assert set(client.metrics()) == series


@pytest.fixture(scope="module")
def locked():
    with running(key="a-key") as found:
        yield found


@pytest.mark.parametrize("path", ["/invocations", "/metrics", "/info", "/version", "/docs", "/x"])
def test_without_the_key_nothing_is_answered(locked, path):
    wrong = ("", "a-key", "Bearer", "Bearer a-ke", "Bearer a-key2", "Basic a-key", "Bearer é")
    for given in wrong:
        headers = {"Authorization": given} if given else {}
        status, content, answered = locked.ask("POST", path, b"{}", **headers)
        assert (status, answered["WWW-Authenticate"]) == (401, "Bearer"), given
        expected = "expected the header 'Authorization: Bearer KEY'"
        assert refusal(content) == ("UNAUTHENTICATED", expected)


def test_the_key_cannot_be_avoided_with_the_address_of_a_health_check(locked):
    """The path of the address, unlike that of the request, begins in the header Host."""
    for host in ("a/ping?", "a/livez#", "a:80/ping?x="):
        assert locked.ask("POST", "/invocations", b"{}", Host=host)[0] in (400, 401)
    for path in ("/ping/../invocations", "/livez/", "//ping", "/ping%2f", "/invocations?/ping"):
        assert locked.ask("POST", path, b"{}")[0] == 401, path


def test_with_the_key_and_for_health_checks_requests_are_answered(locked):
    for path in server.WITHOUT_KEY:
        assert locked.ask("GET", path)[0] == 200
    for scheme in ("Bearer", "bearer"):
        assert locked.post(ROWS, Authorization=f"{scheme} a-key")[0] == 200
    assert locked.metrics(Authorization="Bearer a-key")["rakuten_requests_total", "401"] > 0


def test_bodies_sent_to_a_health_check_take_no_memory(locked):
    """Health checks need no key: their bodies must not block the requests of clients with one."""
    body = json.dumps(ROWS).encode().ljust(1 << 20)
    start = f"POST /ping HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n "
    with contextlib.ExitStack() as stack:
        for _ in range(server.BODIES):
            address = ("127.0.0.1", locked.port)
            connection = stack.enter_context(socket.create_connection(address, timeout=60))
            connection.sendall(start.encode())
            assert connection.recv(20).startswith(b"HTTP/1.1 405 ")
        key = {"Authorization": "Bearer a-key"}
        assert locked.ask("POST", "/invocations", body, **key)[0] == 200


MAX_BODY = 200_000
LARGEST = json.dumps({"dataframe_records": [{"title": "a"}]}).encode().ljust(MAX_BODY)


@pytest.fixture(scope="module")
def limited():
    with running(max_body=MAX_BODY) as found:
        yield found


def chunks(content):
    return [content[start : start + 7_000] for start in range(0, len(content), 7_000)]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_larger_body_is_refused(limited, is_chunked):
    for content, expected in ((LARGEST, 200), (LARGEST + b" ", 413)):
        body = iter(chunks(content)) if is_chunked else content
        encoding = {"Transfer_Encoding": "chunked"} if is_chunked else {}
        status, answer, _ = limited.ask(
            "POST", "/invocations", body, chunked=is_chunked, **encoding
        )
        assert status == expected
    code, message = refusal(answer)
    assert code == "REQUEST_LIMIT_EXCEEDED"
    assert message.startswith("the body has more than 200,000 bytes: send fewer products")


def test_a_body_without_end_is_refused(limited):
    """The server answers while the client still sends."""
    with socket.create_connection(("127.0.0.1", limited.port), timeout=60) as connection:
        start = "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{start}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(MAX_BODY // 0x4000 + 1):
            connection.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        assert connection.recv(20).startswith(b"HTTP/1.1 413 ")


def test_large_bodies_wait_for_one_another_and_small_requests_do_not_wait(limited, monkeypatch):
    """Of five of the largest size, two are in memory and two wait; the last is refused."""
    model = limited.model
    monkeypatch.setattr(server, "MAX_WAITING", 2)
    model.go_on.clear()
    while model.running.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(8) as threads:
        held = [threads.submit(limited.ask, "POST", "/invocations", LARGEST) for _ in range(2)]
        for _ in held:
            assert model.running.acquire(timeout=60)
        held += [threads.submit(limited.ask, "POST", "/invocations", LARGEST) for _ in range(3)]
        refused = next(as_completed(held, timeout=60))  # the last one to arrive
        status, content, headers = refused.result()
        assert (status, headers["Retry-After"]) == (503, "5")
        assert refusal(content)[1].startswith("the server is busy with large requests")
        assert not model.running.acquire(blocking=False)
        assert limited.ask("GET", "/readyz")[0] == 200
        small = threads.submit(limited.post, ROWS)
        assert model.running.acquire(timeout=60)
        model.go_on.set()
        assert small.result()[0] == 200
        assert [one.result()[0] for one in held if one is not refused] == [200] * 4


def test_a_request_does_not_wait_for_ever(limited, monkeypatch):
    limited.model.go_on.clear()
    while limited.model.running.acquire(blocking=False):
        pass
    with ThreadPoolExecutor(3) as threads:
        held = [threads.submit(limited.ask, "POST", "/invocations", LARGEST) for _ in range(2)]
        for _ in held:
            assert limited.model.running.acquire(timeout=60)
        monkeypatch.setattr(server, "BODY_TIMEOUT", 0.2)
        assert limited.ask("POST", "/invocations", LARGEST)[0] == 503
        limited.model.go_on.set()
        assert [one.result()[0] for one in held] == [200] * 2


def test_a_client_that_leaves_gives_its_memory_back(limited):
    for _ in range(server.BODIES + 1):
        with socket.create_connection(("127.0.0.1", limited.port), timeout=60) as connection:
            start = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY}\r\n\r\n"
            connection.sendall(start.encode() + b" " * 1000)
            time.sleep(0.05)
    assert limited.ask("POST", "/invocations", LARGEST)[0] == 200
    assert limited.metrics()["rakuten_requests_total", "499"] > 0


def test_a_slow_client_is_refused(limited, monkeypatch):
    monkeypatch.setattr(server, "BODY_TIMEOUT", 0.2)
    with socket.create_connection(("127.0.0.1", limited.port), timeout=60) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
        assert connection.recv(20).startswith(b"HTTP/1.1 408 ")
