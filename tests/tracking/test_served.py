"""The classifier behind MLflow's interface: by itself, and over HTTP as `make serve` starts it."""

import base64
import contextlib
import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from mlflow.pyfunc.scoring_server import predictions_to_json
from PIL import Image
from repository import ROOT, run

from rakuten import prefetch, storage
from rakuten.categories import CODES
from rakuten.category_names import category
from rakuten.image.preprocessing import ImageError
from rakuten.model_names import MAIN
from rakuten.serving import package
from rakuten.serving.classifier import Choice, Prediction, Prepared, Product, ProductClassifier
from rakuten.tracking import registry, serve_command, served
from rakuten.tracking.served import ServedClassifier


def jpeg(colour=(20, 90, 200), size=(200, 150)):
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "JPEG")
    return content.getvalue()


def base64_of(content):
    return base64.b64encode(content).decode()


def bomb():
    """A PNG of a kilobyte that claims 3.6 gigapixels."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)


SUMMARY = {"models": dict.fromkeys(MAIN, True), "backbone": None, "threads": 2}


class Echo:
    """Stands in for the classifier: a product's category is the length of its title."""

    warm, offset, summary = False, 0, MappingProxyType(SUMMARY)
    model_name, wait = "late_fusion", staticmethod(lambda: None)
    decoded, most = [], 0  # images in memory as pixels

    def warm_up(self):
        self.warm = True

    def prepare(self, product):
        if product.image == b"not an image":
            raise ImageError("cannot decode 12 bytes")
        title = product.title.replace("<b></b>", "")
        if self.model_name == "text":
            return Prepared(title, product.description, None)
        if product.image is not None:
            self.decoded.append(1)
            Echo.most = max(Echo.most, len(self.decoded))
        return Prepared(title, product.description, product.image)

    def encode_image(self, product):
        if product.image is None:
            return product
        self.decoded.pop()
        return replace(product, image=None, features={"average": np.zeros(1)})

    def classify(self, products, *, top):
        assert self.warm, "a model is loaded before its first request"
        self.wait()
        found = []
        for product in products:
            labels = [(len(product.title) + k + self.offset) % 27 for k in range(top)]
            choices = [Choice(CODES[k], category(CODES[k], "fr"), 0.5) for k in labels]
            image = None if product.features is None else -0.25
            found.append(Prediction(tuple(choices), 1.5 if product.title else None, image))
        return found


@pytest.fixture
def model(tmp_path, monkeypatch):
    loaded = []

    def load(folder, model="late_fusion"):
        assert model not in loaded, "each model is opened once"
        loaded.append(model)
        echo = Echo()
        echo.model_name = model
        echo.offset = MAIN.index(model) - MAIN.index("late_fusion")
        return echo

    monkeypatch.setattr(served.ProductClassifier, "load", load)
    monkeypatch.setattr(prefetch, "available_cpus", lambda: 2)
    made = ServedClassifier()
    made.load_context(type("Context", (), {"artifacts": {"package": str(tmp_path)}}))
    return made


def problems(model, rows, /, **params):
    with pytest.raises(MlflowException) as caught:
        model.predict(None, pd.DataFrame(rows), params)
    assert caught.value.get_http_status_code() == 400
    answer = json.loads(caught.value.serialize_as_json())
    for one in answer["problems"]:
        place = "" if one["row"] is None else f"row {one['row']}"
        place = ", ".join(part for part in (place, one["column"]) if part)
        assert (f"{place}: {one['reason']}" if place else one["reason"]) in answer["message"]
    return [tuple(problem.values()) for problem in answer["problems"]]


def test_each_row_is_answered_in_its_order(model):
    rows = [
        {"title": "abc", "image": base64_of(b"an image")},
        {"title": "", "image": base64_of(b"another")},
        {"title": "a", "description": None},
    ]
    given = pd.DataFrame(rows, index=[7, 3, 5])
    found = model.predict(None, given, {"top_k": 2})
    assert found.index.tolist() == [7, 3, 5]
    assert found["prdtypecode"].tolist() == [CODES[3], CODES[0], CODES[1]]
    assert found["name"].tolist() == [category(code, "fr") for code in found["prdtypecode"]]
    assert found["text_contribution"].tolist() == [1.5, None, 1.5]
    assert found["image_contribution"].tolist() == [-0.25, -0.25, None]
    assert found["top"][7] == [
        {"prdtypecode": code, "name": category(code, "fr"), "probability": 0.5}
        for code in CODES[3:5]
    ]
    assert [found[name].dtype.name for name in ("prdtypecode", "probability")] == [
        "int64",
        "float64",
    ]
    answer = io.StringIO()
    predictions_to_json(found, answer)
    shown = json.loads(answer.getvalue(), parse_constant=pytest.fail)["predictions"]  # no NaN
    assert (shown[1]["text_contribution"], shown[2]["image_contribution"]) == (None, None)
    assert {row["problem"] for row in shown} == {""}
    assert list(shown[0]) == registry_columns()


@pytest.mark.parametrize("title", ["NA", "null", "nan", "None", "N/A", "007", "1e3"])
def test_titles_of_text_csv_are_read_as_they_are_written(model, title):
    body = f'title,description\n{title},{title}\n,"é, ""x"""\n'.encode()
    parsed = []

    class Wrapped:
        def predict(self, data):
            parsed.append(data)
            return model.predict(None, data)

    answer = scoring_server.invocations(body, "text/csv", Wrapped(), served.SIGNATURE.inputs)
    assert answer.status == 200
    assert parsed[0].iloc[0].tolist() == [title, title]
    assert parsed[0]["title"].isna().tolist() == [False, True]
    found = json.loads(answer.response)["predictions"]
    assert [row["prdtypecode"] for row in found] == [CODES[len(title)], CODES[0]]


def test_a_malformed_text_csv_is_a_problem_of_the_request(model):
    more = (b"title\na,b\n", b"title,description\na,b,\n", b"title,description\na,b,c,d\nx,y\n")
    for body in (b"", b'title\n"a\n', b"title\na\na,b\n", *more):
        with pytest.raises(MlflowException, match="expected CSV with a header") as caught:
            scoring_server.invocations(body, "text/csv", model, served.SIGNATURE.inputs)
        assert caught.value.get_http_status_code() == 400


CONTENT = pd.DataFrame({"title": ["ab"], "descripton": ["c"], "id": [7]})
BODIES = {
    "text/csv": CONTENT.to_csv(index=False).encode(),
    "application/json": json.dumps({"dataframe_records": CONTENT.to_dict("records")}).encode(),
    "application/vnd.apache.parquet": CONTENT.to_parquet(index=False),
}


@pytest.mark.parametrize("kind", BODIES)
def test_an_unknown_column_is_reported_in_the_answer(model, kind):
    class Wrapped:
        """Drops unknown columns as MLflow does."""

        metadata = None

        def predict(self, data, params=None):
            return model.predict(None, data[["title"]], params)

    schema = served.SIGNATURE.inputs
    answer = scoring_server.invocations(BODIES[kind], kind, Wrapped(), schema)
    (row,) = json.loads(answer.response)["predictions"]
    assert row["prdtypecode"] == CODES[2]
    expected = "ignored the unknown column descripton, id: expected title, description, image"
    assert row["problem"] == expected
    body = json.dumps({"dataframe_records": [{"title": "ab"}]}).encode()
    answer = scoring_server.invocations(body, "application/json", Wrapped(), schema)
    assert json.loads(answer.response)["predictions"][0]["problem"] == ""


def test_loading_again_does_not_wrap_the_parsers_again(model, tmp_path, monkeypatch):
    before = [vars(scoring_server)[name] for name in served.PARSERS if name != "parse_csv_input"]
    monkeypatch.setattr(served.ProductClassifier, "load", lambda folder: Echo())
    context = type("Context", (), {"artifacts": {"package": str(tmp_path)}})
    ServedClassifier().load_context(context)
    after = [vars(scoring_server)[name] for name in served.PARSERS if name != "parse_csv_input"]
    assert after == before
    assert scoring_server.parse_csv_input.__wrapped__ is served.parse_csv


def test_a_request_may_name_another_model(model):
    given = pd.DataFrame({"title": ["ab"]})
    for _ in range(2):
        for name in ("text", "late_fusion", "text_ensemble"):
            found = model.predict(None, given, {"model": name})
            label = (2 + MAIN.index(name) - MAIN.index("late_fusion")) % 27
            assert found["prdtypecode"].tolist() == [CODES[label]]
    assert model.predict(None, given)["prdtypecode"].tolist() == [CODES[2]]


def test_another_model_is_warmed_up_while_requests_to_loaded_models_are_answered(
    model, monkeypatch
):
    given, answered = pd.DataFrame({"title": ["ab"]}), threading.Event()
    warm_up, started = Echo.warm_up, threading.Event()

    def wait_and_warm_up(self):
        started.set()
        assert answered.wait(timeout=60)
        warm_up(self)

    monkeypatch.setattr(Echo, "warm_up", wait_and_warm_up)
    with ThreadPoolExecutor(2) as threads:
        firsts = [threads.submit(model.predict, None, given, {"model": "text"}) for _ in range(2)]
        assert started.wait(timeout=60)
        assert model.predict(None, given)["prdtypecode"].tolist() == [CODES[2]]
        answered.set()
        for first in firsts:
            assert len(first.result()) == 1


@pytest.mark.parametrize("name", ["fusion", "bert"])
def test_a_model_that_the_package_lacks_is_refused(model, name):
    """The fusion net is not there without a backbone."""
    expected = "expected one of text, text_ensemble, image_ensemble, late_fusion"
    found = problems(model, {"title": ["ab"]}, model=name)
    assert found == [(None, "model", f"{expected}, received str {name}")]


def registry_columns():
    return served.SIGNATURE.outputs.input_names()


def test_five_categories_by_default_and_no_rows_are_accepted(model):
    for params in (None, {}, {"top_k": None}):
        assert len(model.predict(None, pd.DataFrame({"title": ["a"]}), params)["top"][0]) == 5
    empty = model.predict(None, pd.DataFrame({"title": []}))
    assert empty.columns.tolist() == registry_columns()
    assert len(empty) == 0


def test_problems_name_row_and_column(model):
    rows = [
        {"title": "good", "image": None},
        {"title": 5, "image": "pas du base64 !"},
        {"title": np.array(["a", "b"]), "image": 7},  # a column of lists in Parquet
        {"title": np.nan, "image": ""},
        {"title": "x" * (served.MAX_TEXT + 1), "image": "A" * (served.MAX_IMAGE_BYTES * 2)},
        {"title": "x", "image": base64_of(bytes(served.MAX_IMAGE_BYTES + 3))},
    ]
    found = problems(model, rows)
    assert [(row, column) for row, column, _ in found] == [
        (1, "title"), (1, "image"), (2, "title"), (2, "image"), (3, ""), (4, "title"),
        (4, "image"), (5, "image"),
    ]  # fmt: skip
    reasons = [reason for *_, reason in found]
    assert reasons[0] == "expected text, received int 5"
    assert "expected an image file in base64, received 'pas du base64 !'" in reasons[1]
    assert "received ndarray ['a' 'b']" in reasons[2]
    assert "received int 7" in reasons[3]
    assert "all missing" in reasons[4]
    assert "100,001 characters, the maximum is 100,000" in reasons[5]
    assert "characters of base64, the maximum is a file of 8,388,608 bytes" in reasons[6]
    assert "a file of 8,388,611 bytes, the maximum is 8,388,608" in reasons[7]


def test_with_null_a_bad_product_leaves_the_others(model):
    """What Spark needs, where a batch that raises fails the job."""
    rows = [
        {"title": "abc"},
        {"title": None},
        {"title": 5, "description": ["a"]},
        {"title": "a", "image": base64_of(b"not an image")},
        {"title": "ab", "image": base64_of(b"an image")},
    ]
    found = model.predict(None, pd.DataFrame(rows), {"on_error": "null", "top_k": 1})
    assert found["prdtypecode"].tolist() == [CODES[3], None, None, None, CODES[2]]
    assert found["probability"].tolist() == [0.5, None, None, None, 0.5]
    first, last = (category(CODES[k], "fr") for k in (3, 2))
    assert found["name"].tolist() == [first, "", "", "", last]
    assert found["image_contribution"].tolist() == [None, None, None, None, -0.25]
    assert [len(top) for top in found["top"]] == [1, 0, 0, 0, 1]
    assert found["problem"].tolist() == [
        "",
        "title, description and image are all missing: pass at least one",
        "title: expected text, received int 5; description: expected text, received list ['a']",
        "image: cannot decode 12 bytes",
        "",
    ]
    answer = io.StringIO()
    predictions_to_json(found, answer)
    json.loads(answer.getvalue(), parse_constant=pytest.fail)  # no NaN
    none = model.predict(None, pd.DataFrame(rows[1:2]), {"on_error": "null"})
    assert none["prdtypecode"].tolist() == [None]


def test_a_product_without_what_the_model_uses_is_a_problem(model):
    rows = [{"title": "ab"}, {"title": "", "image": base64_of(b"an image")}, {"title": "<b></b>"}]
    found = model.predict(None, pd.DataFrame(rows), {"on_error": "null", "model": "text"})
    assert found["prdtypecode"].isna().tolist() == [False, True, True]
    assert [reason[:23] for reason in found["problem"]] == ["", *["nothing that text uses "] * 2]
    ((row, _, reason),) = problems(model, rows)
    assert (row, reason[:30]) == (2, "nothing that late_fusion uses ")


def test_with_null_a_bad_request_is_still_refused(model):
    ((row, column, reason),) = problems(model, {"title": ["x"] * 257}, on_error="null")
    assert (row, "257 rows, the maximum is 256" in reason) == (None, True)
    ((_, column, reason),) = problems(model, {"title": ["x"]}, on_error="ignore")
    assert (column, reason) == ("on_error", "expected raise or null, received str ignore")
    assert problems(model, {"title": [None]}, on_error="raise")[0][0] == 0


def test_the_largest_accepted_request(model):
    rows = [{"title": "x" * served.MAX_TEXT, "image": base64_of(bytes(served.MAX_IMAGE_BYTES))}]
    assert len(model.predict(None, pd.DataFrame(rows))) == 1
    assert len(model.predict(None, pd.DataFrame({"title": ["x"] * served.MAX_ROWS}))) == 256
    ((row, _, reason),) = problems(model, {"title": ["x"] * (served.MAX_ROWS + 1)})
    assert (row, "257 rows, the maximum is 256" in reason) == (None, True)
    for wrong in (0, 28):
        ((_, column, reason),) = problems(model, {"title": ["x"]}, top_k=wrong)
        assert (column, reason) == ("top_k", f"expected 1 to 27 categories, received {wrong}")


def test_images_that_cannot_be_decoded_are_listed_in_one_answer(model):
    bad = base64_of(b"not an image")
    found = problems(model, {"title": ["a"] * 30, "image": [None, *[bad] * 29]})
    assert len(found) == served.MAX_PROBLEMS
    assert found[0] == (1, "image", "cannot decode 12 bytes")


def test_few_images_of_a_request_are_in_memory_as_pixels(model):
    Echo.decoded.clear()
    Echo.most = 0
    found = model.predict(
        None, pd.DataFrame({"title": ["a"] * 50, "image": [base64_of(b"x")] * 50})
    )
    assert found["image_contribution"].eq(-0.25).all()
    assert 1 <= Echo.most <= 4
    assert not Echo.decoded


def test_two_requests_are_classified_at_the_same_time_on_two_cpus(model, monkeypatch):
    """Each waits until the other is in the classifier, and no third one is."""
    together, inside = threading.Barrier(2), []

    def wait():
        inside.append(1)
        assert len(inside) <= 2
        together.wait(timeout=60)
        inside.pop()
        together.wait(timeout=60)

    monkeypatch.setattr(Echo, "wait", staticmethod(wait))

    def ask(length):
        return model.predict(None, pd.DataFrame({"title": ["x" * length]}))["prdtypecode"][0]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(1, 25))) == list(CODES[1:25])


# Over HTTP, with the package of the sample.


CHAMPION = f"models:/{registry.NAME}@{registry.CHAMPION}"
SERVERS = {
    "mlflow": ["mlflow", "models", "serve", "-m", CHAMPION, "--env-manager", "local"],
    "rakuten": ["python", "-m", "rakuten", "serve", "--max-body", "64"],
}


@pytest.fixture(scope="module", params=SERVERS)
def address(request, built_repository, tmp_path_factory):
    """MLflow's server or ours with the built package as champion of a separate store."""
    root = tmp_path_factory.mktemp("store")
    (root / "build").mkdir()
    (root / "build/package").symlink_to(built_repository / "build/package")
    command = ["python", "-m", "rakuten", "promote"]
    assert "is now the champion" in run(command, built_repository, DVC_ROOT=str(root))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [*SERVERS[request.param], "--port", str(port)]
    folder = built_repository / ".venv/bin"
    environment = os.environ | {
        "DVC_ROOT": str(root),
        "MLFLOW_TRACKING_URI": f"sqlite:///{root / 'mlflow.db'}",
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop(serve_command.KEY, None)
    command[0] = str(folder / command[0])
    with (root / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=built_repository, env=environment, start_new_session=True, stdout=log,
            stderr=log,
        )  # fmt: skip
    found = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{found}/ping"):
                break
            assert process.poll() is None, (root / "server.log").read_text()
            time.sleep(1)
        yield found, process
    finally:
        os.killpg(process.pid, signal.SIGKILL)


def post(address, body, kind="application/json"):
    """Send a body, give status and answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/invocations", content, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def memory(process):
    """Megabytes of the server and its children."""
    listed = subprocess.run(
        ["ps", "-o", "rss=", "-g", str(process.pid)], capture_output=True, text=True, check=True
    )
    return sum(map(int, listed.stdout.split())) // 1024


def records(*rows, **params):
    return {"dataframe_records": rows} | ({"params": params} if params else {})


GOOD = {"title": "Piscine hors sol ronde", "image": base64_of(jpeg())}
BAD = {
    "malformed JSON": (b'{"dataframe_records": [{"title": "x"', "Expecting ',' delimiter"),
    "no JSON object": ([1], "Received a list"),
    "truncated JPEG": (
        records({"title": "a"}, {"title": "b", "image": base64_of(jpeg()[:500])}),
        "row 1, image: cannot decode 500 bytes",
    ),
    "decompression bomb": (records({"title": "a", "image": base64_of(bomb())}), "row 0, image"),
    "nothing in a row": (records({"title": None, "image": None}), "row 0: title, description and"),
    "no title column": (records({"description": "x"}), "missing inputs ['title']"),
    "an unknown column": (records({"designation": "x"}), "extra inputs: ['designation']"),
    "a number for a title": (records({"title": 5}), "row 0, title: expected text, received int 5"),
    "no base64": (
        records({"title": "x", "image": "été"}),
        "row 0, image: expected an image file in base64",
    ),
    "too many rows": (records(*[{"title": "x"}] * 257), "257 rows, the maximum is 256"),
    "top_k of 0": (records({"title": "x"}, top_k=0), "expected 1 to 27"),
    "top_k in words": (records({"title": "x"}, top_k="many"), "top_k"),
    "50 MB in an image": (records({"title": "x", "image": "A" * (50 << 20)}), "row 0, image"),
    "50 MB in a title": (records({"title": "x" * (50 << 20)}), "row 0, title"),
    "50 MB of rows": (records(*[{"title": "x" * 200}] * 230_000), "the maximum is 256"),
    "50 MB of no JSON": (b"x" * (50 << 20), "Expecting value"),
}


@pytest.mark.slow
def test_the_server_answers_as_the_classifier_after_any_request(built_repository, address):
    """Texts first, then images, then bad requests; after each, a good one gets the same answer."""
    url, process = address
    classifier = ProductClassifier.load(built_repository / "build/package")
    table = storage.read_table(built_repository / "build/clean/products.parquet").head(4)
    with storage.ImageArchive(built_repository / "data/images.zip") as archive:
        images = [archive.read(name) for name in archive.names()[:4]]
    given = [
        Product(t, image=c) for t, c in zip(table["designation"].fillna(""), images, strict=True)
    ]
    given += [
        Product(given[0].title or "x"),
        Product(image=images[1]),
        Product("Piscine", "ronde"),
    ]
    rows = [
        {
            "title": p.title or None,
            "description": p.description or None,
            "image": base64_of(p.image) if p.image else None,
        }
        for p in given
    ]

    def same(found, expected):
        assert found["prdtypecode"] == expected.code
        assert found["name"] == expected.name
        shown = [found["probability"], *(one["probability"] for one in found["top"])]
        wanted = [expected.probability, *(choice.probability for choice in expected.top)]
        np.testing.assert_allclose(shown, wanted, rtol=1e-4)
        for part in ("text_contribution", "image_contribution"):
            if (value := getattr(expected, part)) is None:
                assert found[part] is None
            else:
                assert found[part] == pytest.approx(value, abs=1e-3)

    expected = classifier.predict(given, top=3)
    order = [4, 6, 5, 0, 1, 2, 3]  # text before the first image, then an image alone
    for number in order:
        status, answer = post(url, records(rows[number], top_k=3))
        assert status == 200, answer
        same(answer["predictions"][0], expected[number])
    status, answer = post(url, records(*rows, top_k=3))
    assert [p["prdtypecode"] for p in answer["predictions"]] == [e.code for e in expected]

    with ThreadPoolExecutor(8) as threads:
        for number, (status, answer) in enumerate(
            threads.map(lambda k: post(url, records(rows[k % 7], top_k=3)), range(24))
        ):
            assert status == 200
            same(answer["predictions"][0], expected[number % 7])

    status, answer = post(url, b"title,description\nnull,NA\n", "text/csv")
    assert status == 200, answer
    same(answer["predictions"][0], *classifier.predict([Product("null", "NA")], top=5))

    (good,) = classifier.predict([Product(GOOD["title"], image=jpeg())])
    for what, (body, message) in BAD.items():
        status, answer = post(url, body)
        assert 400 <= status < 500, what
        assert message in answer["message"], what
        assert "stack_trace" not in answer, what
        status, answer = post(url, records(GOOD))
        assert status == 200
        same(answer["predictions"][0], good)

    large = [
        body if isinstance(body, bytes) else json.dumps(body).encode() for body, _ in BAD.values()
    ]
    large = [body for body in large if len(body) > 40 << 20]
    assert len(large) == 4
    settled = memory(process)
    for _ in range(3):
        for body in large:
            assert post(url, body)[0] == 400
    assert memory(process) < settled + 300  # MB; twelve requests of 50 MB were answered


@pytest.mark.slow
@pytest.mark.parametrize("address", ["rakuten"], indirect=True)
def test_the_server_names_its_version_and_counts_its_predictions(built_repository, address):
    with urllib.request.urlopen(f"{address[0]}/info") as answer:
        info = json.load(answer)
    assert (info["model"], info["version"]) == (registry.NAME, "1")
    assert info["package"] == package.digest(built_repository / "build/package")
    assert info["models"] == list(MAIN)
    _, answer = post(address[0], records(GOOD))
    with urllib.request.urlopen(f"{address[0]}/metrics") as counted:
        series = counted.read().decode()
    (code,) = [row["prdtypecode"] for row in answer["predictions"]]
    (count,) = re.findall(
        rf'^rakuten_predictions_total{{prdtypecode="{code}"}} (.+)$', series, re.M
    )
    assert float(count) > 0


@pytest.mark.slow
def test_the_package_has_the_digests_of_its_data_and_in_dvc_lock(built_repository):
    tracked = storage.read_yaml(built_repository / "data.dvc")["outs"][0]["md5"]
    summary = storage.read_json(built_repository / "build/package/package.json")
    assert f"{summary['dataset']['digest']}.dir" == tracked
    locked = storage.read_yaml(built_repository / "dvc.lock")["stages"]["package"]["outs"][0]
    assert f"{package.digest(built_repository / 'build/package')}.dir" == locked["md5"]
    tested = storage.read_arrays(built_repository / "build/package/test.npz")
    assert len(tested["ids"]) == summary["test"]["late_fusion"]["rows"]


@pytest.mark.slow
def test_serving_without_a_champion_says_what_to_do(tmp_path):
    """`make serve` in a repository whose registry is empty."""
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "rakuten").symlink_to(ROOT / "rakuten")
    done = subprocess.run(
        ["make", "--no-print-directory", "-o", "install", "serve"],
        cwd=tmp_path, env=os.environ | {"DVC_ROOT": str(tmp_path)}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "run 'python -m rakuten promote'" in done.stdout + done.stderr
    assert not (tmp_path / "mlartifacts").exists()
