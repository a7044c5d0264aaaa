import hashlib
import http.server
import io
import json
import logging
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from repository import ROOT
from sklearn.datasets import load_sample_image

from rakuten import storage
from rakuten.data import conversion, downloads, resources, torch_checkpoints
from rakuten.image import encoder, preprocessing

CONTENT = b"les stop words" * 1000
PACKAGE = "small-data==1.0"


def md5(content):
    return hashlib.md5(content).hexdigest()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `files`; /cut ends early, /slow never answers in time."""

    files: dict[str, bytes]

    def do_GET(self):
        if self.path == "/slow":
            time.sleep(2)
        content = self.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:100] if self.path == "/cut" else content)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def address():
    """The address of a web server on loopback."""
    handler = type("Files", (Handler,), {"files": {"data.zip": CONTENT, "cut": CONTENT}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def nowhere():
    """An address at which nothing listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    return f"http://127.0.0.1:{port}/data.zip"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel in the only folder that pip searches."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    path = folder / "small_data-1.0-py3-none-any.whl"
    about = "small_data-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("small_data/data.zip", CONTENT)
        archive.writestr("small_data/other.txt", b"other")
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: small-data\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return path


@pytest.fixture
def no_packages(tmp_path, monkeypatch):
    """A pip that knows no package."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))


def url_source(url, content=CONTENT):
    return {"url": url, "md5": md5(content)}


def wheel_source(path, member="small_data/data.zip"):
    return {"package": PACKAGE, "sha256": sha256(path.read_bytes()), "member": member}


def resource(tmp_path, *sources, content=CONTENT, name="data.zip"):
    output = str(tmp_path / "build" / name)
    return {"output": output, "sha256": sha256(content), "form": "file", "sources": list(sources)}


def fetch(tmp_path, **table):
    return resources.fetch(table, list(table), cache=tmp_path / "cache")


def built(tmp_path, name="data.zip"):
    return (tmp_path / "build" / name).read_bytes()


def test_the_official_address_comes_first(tmp_path, address, wheel, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("asked for a package"))
    sources = [url_source(f"{address}/data.zip"), wheel_source(wheel)]
    assert fetch(tmp_path, data=resource(tmp_path, *sources)) == {"data": f"{address}/data.zip"}
    assert built(tmp_path) == CONTENT


def test_an_unreachable_address_falls_back_to_the_package(tmp_path, nowhere, wheel, caplog):
    sources = [url_source(nowhere), wheel_source(wheel)]
    with caplog.at_level(logging.INFO, logger="rakuten.data.resources"):
        assert fetch(tmp_path, data=resource(tmp_path, *sources)) == {"data": PACKAGE}
    assert built(tmp_path) == CONTENT
    failed, served = caplog.messages
    assert failed.startswith(f"data         not from {nowhere}: ")
    assert "refused" in failed
    assert served == f"data         from {PACKAGE}, hash as pinned"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing", "HTTP 404"),
        ("slow", "no answer within 0.4 s"),
        ("cut", "the connection ended after 100 of 14,000 bytes"),
    ],
)
def test_an_address_that_fails_falls_back_to_the_next(
    tmp_path, address, path, reason, caplog, monkeypatch
):
    monkeypatch.setattr(downloads, "CONNECT_SECONDS", 0.4)
    sources = [url_source(f"{address}/{path}"), url_source(f"{address}/data.zip")]
    if path == "slow":
        sources[1]["url"] = sources[1]["url"].replace("127.0.0.1", "localhost")
    with caplog.at_level(logging.INFO, logger="rakuten.data.resources"):
        served = fetch(tmp_path, data=resource(tmp_path, *sources))
    assert served == {"data": sources[1]["url"]}
    assert reason in caplog.messages[0]
    assert built(tmp_path) == CONTENT


def test_an_endless_name_lookup_falls_back_to_the_package(tmp_path, wheel, monkeypatch):
    """The time limit of a connection does not cover the lookup of its name."""
    finish = threading.Event()

    def look_up(*_, **__):
        finish.wait(30)
        raise socket.gaierror("not found after all")

    monkeypatch.setattr(downloads, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    sources = [url_source("http://data.example/data.zip"), wheel_source(wheel)]
    assert fetch(tmp_path, data=resource(tmp_path, *sources)) == {"data": PACKAGE}
    finish.set()


def test_an_unreachable_host_is_tried_once(tmp_path, nowhere, address, caplog):
    alive = url_source(f"{address}/data.zip")
    table = {n: resource(tmp_path, url_source(nowhere), alive, name=n) for n in ("one", "two")}
    table["two"] |= {"sha256": sha256(CONTENT[:5]), "sources": table["one"]["sources"]}
    caplog.set_level(logging.INFO, logger="rakuten.data.resources")
    with pytest.raises(resources.ResourceError, match="two in canonical form"):
        fetch(tmp_path, **table)
    refused, _, skipped = caplog.messages
    assert "refused" in refused
    assert skipped.endswith("did not answer a moment ago")


def test_a_file_with_another_hash_is_an_error(tmp_path, address, wheel):
    sources = [url_source(f"{address}/data.zip", content=b"what was pinned"), wheel_source(wheel)]
    expected = md5(b"what was pinned")
    with pytest.raises(
        resources.ResourceError, match=f"expected md5 {expected}, received {md5(CONTENT)}"
    ):
        fetch(tmp_path, data=resource(tmp_path, *sources))
    assert not (tmp_path / "build").exists()
    assert not (tmp_path / "cache").exists()


def test_a_wheel_with_another_hash_is_an_error(tmp_path, wheel):
    source = wheel_source(wheel)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("small_data/more.py", "import os")
    with pytest.raises(resources.ResourceError, match=f"from {PACKAGE} is not what resources.yaml"):
        fetch(tmp_path, data=resource(tmp_path, source))


def test_another_canonical_form_is_an_error(tmp_path, address):
    pinned = resource(tmp_path, url_source(f"{address}/data.zip"), content=b"else")
    with pytest.raises(resources.ResourceError, match="data in canonical form is not what"):
        fetch(tmp_path, data=pinned)
    assert not (tmp_path / "build").exists()


def test_the_error_lists_every_unreachable_source_and_the_remedy(tmp_path, nowhere, no_packages):
    sources = [url_source(nowhere), {"package": PACKAGE, "sha256": "0" * 64, "member": "x"}]
    with pytest.raises(resources.ResourceError) as caught:
        fetch(tmp_path, data=resource(tmp_path, *sources))
    first, url, package, remedy = str(caught.value).splitlines()
    assert first == "data could not be fetched, expected one of 2 sources to answer:"
    assert url.startswith(f"  - {nowhere}: ")
    assert package.startswith(f"  - {PACKAGE}: pip download: ERROR: No matching distribution")
    assert remedy.startswith("connect to a network that reaches one of them")


def test_reachable_resources_are_written_even_if_others_fail(tmp_path, nowhere, address):
    table = {
        "gone": resource(tmp_path, url_source(nowhere), name="gone"),
        "wrong": resource(tmp_path, url_source(f"{address}/data.zip"), content=b"?", name="wrong"),
        "data": resource(tmp_path, url_source(f"{address}/data.zip")),
    }
    with pytest.raises(resources.ResourceError) as caught:
        fetch(tmp_path, **table)
    assert "gone could not be fetched" in str(caught.value)
    assert "wrong in canonical form is not" in str(caught.value)
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["data.zip"]


def test_a_wheel_is_downloaded_once_for_all_its_members(tmp_path, wheel, monkeypatch):
    calls = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(a) or run(*a, **k))
    other = wheel_source(wheel, "small_data/other.txt")
    served = fetch(
        tmp_path,
        data=resource(tmp_path, wheel_source(wheel)),
        other=resource(tmp_path, other, content=b"other", name="other.txt"),
    )
    assert served == {"data": PACKAGE, "other": PACKAGE}
    assert built(tmp_path, "other.txt") == b"other"
    assert len(calls) == 1


def test_the_cache_serves_a_later_build(tmp_path, address, nowhere):
    fetch(tmp_path, data=resource(tmp_path, url_source(f"{address}/data.zip")))
    (tmp_path / "build" / "data.zip").unlink()
    served = fetch(tmp_path, data=resource(tmp_path, url_source(nowhere)))
    assert served == {"data": f"the cache {tmp_path / 'cache'}"}
    assert built(tmp_path) == CONTENT


def test_a_damaged_cache_is_not_used(tmp_path, address):
    pinned = resource(tmp_path, url_source(f"{address}/data.zip"))
    fetch(tmp_path, data=pinned)
    (cached,) = (tmp_path / "cache").iterdir()
    cached.write_bytes(CONTENT[:-1] + b"!")
    assert fetch(tmp_path, data=pinned) == {"data": f"{address}/data.zip"}
    assert cached.read_bytes() == built(tmp_path) == CONTENT


def test_a_cache_that_cannot_be_written_does_not_stop_the_build(tmp_path, address):
    (tmp_path / "cache").write_text("a file where the folder should be")
    fetch(tmp_path, data=resource(tmp_path, url_source(f"{address}/data.zip")))
    assert built(tmp_path) == CONTENT


def test_the_cache_is_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert resources.user_cache() == tmp_path / "rakuten"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resources.user_cache() == tmp_path / ".cache" / "rakuten"


@pytest.fixture
def tarball(tmp_path, monkeypatch):
    """A package that npm serves, with files that are not in the folder to be read."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in (
            ("package/model/a.bin", CONTENT),
            ("package/model/deeper/a.bin", b"deeper"),
            ("package/a.bin", b"above"),
            ("../../package/model/b.bin", b"outside"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("package/model/c.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    path = tmp_path / "small-1.0.0.tgz"
    path.write_bytes(content.getvalue())
    folder = tmp_path / "bin"
    folder.mkdir()
    npm = folder / "npm"
    npm.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {tmp_path}/calls\n'
        'for last; do :; done; if [ "$last" != small@1.0.0 ]; then\n'
        '  echo "npm warn not this" >&2; echo "npm error code E404" >&2\n'
        '  echo "npm error 404 Not Found" >&2; echo "npm error A complete log" >&2; exit 1; fi\n'
        'while [ "$1" != --pack-destination ]; do shift; done\n'
        f'cp {path} "$2"\n'
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return path


def npm_source(path, package="small@1.0.0"):
    content = path.read_bytes()
    return {"npm": package, "sha256": sha256(content), "folder": "package/model", "holds": "files"}


def test_npm_serves_the_files_of_one_folder(tmp_path, tarball, monkeypatch):
    """Only regular files of exactly that folder, and nothing of the tarball reaches the disk."""
    received = {}

    def form(content):
        received.update(content)
        return b"canonical"

    monkeypatch.setitem(conversion.CANONICAL_FORMS, "file", form)
    pinned = resource(tmp_path, npm_source(tarball), content=b"canonical")
    assert fetch(tmp_path, data=pinned) == {"data": "small@1.0.0"}
    assert received == {"files": {"a.bin": CONTENT}}
    assert built(tmp_path) == b"canonical"
    assert not list(tmp_path.parent.rglob("b.bin"))


def test_npm_is_asked_once_runs_no_scripts_and_caches_nothing_in_the_home(
    tmp_path, tarball, monkeypatch
):
    monkeypatch.setitem(conversion.CANONICAL_FORMS, "file", lambda _: CONTENT)
    table = {n: resource(tmp_path, npm_source(tarball), name=n) for n in ("one", "two")}
    table["two"] |= {"sha256": sha256(b"else")}
    with pytest.raises(resources.ResourceError, match="two in canonical form"):
        fetch(tmp_path, **table)
    (call,) = (tmp_path / "calls").read_text().splitlines()
    words = call.split()
    assert words[0] == "pack"
    assert words[-1] == "small@1.0.0"
    assert "--ignore-scripts" in words
    folder = words[words.index("--pack-destination") + 1]
    assert words[words.index("--cache") + 1].startswith(folder)
    assert not Path(folder).exists()


def test_a_package_missing_from_npm_falls_back_to_the_next(tmp_path, tarball, wheel, caplog):
    sources = [npm_source(tarball, "large@1.0.0"), wheel_source(wheel)]
    caplog.set_level(logging.INFO, logger="rakuten.data.resources")
    assert fetch(tmp_path, data=resource(tmp_path, *sources)) == {"data": PACKAGE}
    reason = "data         not from large@1.0.0: npm pack: code E404; 404 Not Found"
    assert reason in caplog.messages


def test_without_npm_its_packages_are_unreachable(tmp_path, tarball, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(resources.ResourceError, match=r"small@1\.0\.0: npm is not installed"):
        fetch(tmp_path, data=resource(tmp_path, npm_source(tarball)))


def test_a_tarball_with_another_hash_is_an_error(tmp_path, tarball):
    source = npm_source(tarball)
    tarball.write_bytes(tarball.read_bytes() + b"more")
    with pytest.raises(resources.ResourceError, match=r"from small@1\.0\.0 is not what resources"):
        fetch(tmp_path, data=resource(tmp_path, source))


def test_a_local_file_is_checked_like_a_download(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.onnx").write_bytes(CONTENT)
    source = {"file": "mine.onnx"}
    assert fetch(tmp_path, data=resource(tmp_path, source)) == {"data": "mine.onnx"}
    assert built(tmp_path) == CONTENT
    with pytest.raises(resources.ResourceError, match=r"expected sha256 .*, received"):
        fetch(tmp_path, data=resource(tmp_path, source, content=b"another"))
    with pytest.raises(resources.ResourceError, match=r"no\.onnx: No such file or directory"):
        fetch(tmp_path, data=resource(tmp_path, {"file": "no.onnx"}, content=b"else"))


PINNED = {"sha256": "0" * 64, "sources": [{"file": "a"}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": None}, "has the keys sources, encoder, expected at least sha256, sources"),
        ({"sources": None}, "has the keys sha256, encoder, expected at least sha256, sources"),
        (
            {"encoder": None},
            "keys sha256, sources, expected at least sha256, sources, output, form",
        ),
        ({"sha256": "SHA256"}, "has sha256 'SHA256', expected the 64 hexadecimal digits of"),
        ({"form": "onnx"}, "has form 'onnx', expected one of file, vgg16"),
        ({"sources": []}, r"has sources \[\], expected a list of at least one"),
        ({"sources": {"file": "a"}}, "has sources {'file': 'a'}, expected a list"),
        ({"sources": ["a"]}, "has the source 'a', expected one of url, package, npm, file"),
        ({"sources": [{"fil": "a"}]}, "has the source {'fil': 'a'}, expected one of url, package"),
        ({"sources": [{"file": "a", "url": "b"}]}, "has the source .*, expected one of url"),
        (
            {"sources": [{"package": "a==1"}]},
            "has a source with the keys package, expected package and member and some of md5",
        ),
        ({"sources": [{"file": "a", "sha265": "0"}]}, "keys file, sha265, expected file and some"),
        ({"encoder": {"modality": "images"}}, "modality 'images', expected text or image"),
        ({"encoder": {}}, "has encoder.modality None, expected text or image"),
        ({"encoder": "image"}, "has encoder 'image', expected keys with values"),
    ],
)
def test_an_entry_that_cannot_be_fetched_is_refused(tmp_path, changes, message):
    entry = PINNED | {"encoder": {"modality": "image"}} | changes
    entry = {key: value for key, value in entry.items() if value is not None}
    storage.write_json(tmp_path / "resources.yaml", {"mine": entry})
    remedy = "correct its entry in rakuten/data/resources.yaml"
    with pytest.raises(resources.TableError, match=f"the resource 'mine' .*{message}.*: {remedy}"):
        resources.read_table(tmp_path / "resources.yaml")


def test_the_table_knows_the_kinds_of_source_that_are_downloaded(tmp_path):
    assert tuple(resources.SOURCES) == downloads.Downloads(tmp_path).kinds


def test_entries_of_encoders_need_only_what_differs(tmp_path):
    table = {
        "data": PINNED | {"output": "build/resources/data", "form": "file"},
        "mine": PINNED | {"encoder": {"modality": "image"}},
        "converted": PINNED | {"form": "vgg16", "encoder": {"modality": "text"}},
    }
    storage.write_json(tmp_path / "resources.yaml", table)
    found = resources.read_table(tmp_path / "resources.yaml")
    assert found["data"] == table["data"]
    assert found["mine"] == table["mine"] | {
        "optional": True,
        "form": "file",
        "output": "build/resources/image_encoder/mine.onnx",
    }
    assert found["converted"]["form"] == "vgg16"
    assert found["converted"]["output"] == "build/resources/text_encoder/converted.onnx"


OPTIONAL = {
    "base": {"output": "build/resources/base", "licence": "MIT"},
    "resnet50": {"optional": True},
    "use": {"optional": True, "encoder": {"modality": "text"}},
    "lite": {"optional": True, "encoder": {"modality": "image"}},
    "mine": {"optional": True, "encoder": {"modality": "image"}},
}
CHOICE = {"backbone": "vgg16", "text_encoder": "none", "image_encoder": "lite"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["base", "lite"]),
        ({"backbone": "resnet50"}, ["base", "resnet50", "lite"]),
        ({"text_encoder": "use"}, ["base", "use", "lite"]),
        ({"image_encoder": "mine"}, ["base", "mine"]),
    ],
)
def test_parameters_choose_the_optional_resources(changes, expected):
    assert resources.choose(OPTIONAL, **CHOICE | changes) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "vgg19"}, "extract.backbone is 'vgg19', expected one of vgg16, resnet50: c"),
        (
            {"text_encoder": "lite"},
            "encode_text.encoder is 'lite', expected one of use, none: c",
        ),
        ({"text_encoder": None}, "encode_text.encoder is None, expected one of use, none: "),
        ({"image_encoder": "none"}, "encode_image.encoder is 'none', expected one of lite, mine: "),
    ],
)
def test_an_unknown_choice_is_refused_with_the_known_ones(changes, message):
    with pytest.raises(ValueError, match=f"{message}.*or add an encoder to rakuten/data/resources"):
        resources.choose(OPTIONAL, **CHOICE | changes)


def optional_table(tmp_path, *names):
    folder = tmp_path / "optional"
    table = {
        name: {"output": str(folder / f"{name}.npz"), "sha256": name, "licence": "MIT"}
        for name in names
    }
    base = {"output": str(tmp_path / "base.npz"), "sha256": "base", "licence": "BSD"}
    return {n: pinned | {"optional": True} for n, pinned in table.items()} | {"base": base}, folder


def test_the_folder_of_optional_resources_holds_what_is_wanted_and_an_index(tmp_path):
    table, folder = optional_table(tmp_path, "one", "two")
    (folder / "old").mkdir(parents=True)
    for path in ("one.npz", "two.npz", "older.onnx", "old/file", "index.json"):
        (folder / path).write_text("earlier")
    (tmp_path / "base.npz").write_text("base")
    table["two"]["encoder"] = {"modality": "text", "width": 3}
    resources.tidy_optional(table, ["base", "two"])
    assert sorted(path.name for path in folder.iterdir()) == ["index.json", "two.npz"]
    expected = {"two": {"file": "two.npz", "sha256": "two", "licence": "MIT"}}
    expected["two"]["encoder"] = {"modality": "text", "width": 3}
    assert json.loads((folder / "index.json").read_text()) == expected
    assert (folder / "two.npz").read_text() == "earlier"
    assert (tmp_path / "base.npz").read_text() == "base"


def test_the_folder_of_optional_resources_exists_even_if_none_is_wanted(tmp_path):
    table, folder = optional_table(tmp_path, "one", "two")
    resources.tidy_optional(table, ["base"])
    assert [path.name for path in folder.iterdir()] == ["index.json"]
    assert json.loads((folder / "index.json").read_text()) == {}


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError, match=r"resources\.yaml has no 'vgg19': it has vgg16; add it"):
        resources.fetch({"vgg16": {}}, ["vgg19"])


FOLDERS = {
    "resnet50": "build/resources/backbone/",
    "use_multilingual": "build/resources/text_encoder/",
    "efficientnet_lite2": "build/resources/image_encoder/",
}


def test_every_resource_of_the_project_is_pinned():
    table = resources.read_table(ROOT / resources.TABLE)
    assert {"vgg16", "wordnet", "stopwords", "punkt_tab"} <= set(table)
    for name, pinned in table.items():
        keys = {"output", "sha256", "form", "licence", "sources"}
        assert set(pinned) - {"optional", "encoder"} == keys, name
        folder = FOLDERS[name] if "optional" in pinned else "build/resources/"
        assert pinned["output"].startswith(folder)
        assert len(bytes.fromhex(pinned["sha256"])) == 32
        assert pinned["form"] in conversion.CANONICAL_FORMS
        for source in pinned["sources"]:
            (kind,) = set(source) & {"url", "package", "npm"}
            if kind == "url":
                assert source["url"].startswith("https://")
                assert len(bytes.fromhex(source["md5"])) == 16
            if kind == "package":
                assert source["package"].count("==") == 1
                assert len(bytes.fromhex(source["sha256"])) == 32
                assert source["member"]
            if kind == "npm":
                assert len(source["npm"].split("@")) == 2
                assert len(bytes.fromhex(source["sha256"])) == 32
                assert source["folder"]
    packaged = {"use_multilingual", "efficientnet_lite2"}  # there is no address of the file itself
    urls = ["url" in pinned["sources"][0] for name, pinned in table.items() if name not in packaged]
    assert all(urls), "the official address comes first"


def test_every_optional_resource_can_be_chosen():
    table = resources.read_table(ROOT / resources.TABLE)
    optional = {name for name, pinned in table.items() if pinned.get("optional")}
    assert resources.encoders(table, "text") == ["use_multilingual"]
    assert resources.encoders(table, "image") == ["efficientnet_lite2"]
    assert optional == {"resnet50", "use_multilingual", "efficientnet_lite2"}


@pytest.mark.slow
def test_the_pinned_vgg16_is_the_known_network(tmp_path):
    """Parameters and statistics (mean, deviation, least, greatest) of Keras's own weights."""
    pinned = storage.read_yaml(ROOT / "rakuten/data/resources.yaml")["vgg16"]
    path = tmp_path / "vgg16.npz"
    resources.fetch({"vgg16": pinned | {"output": str(path)}}, ["vgg16"])
    arrays = storage.read_arrays(path)
    assert sum(array.size for array in arrays.values()) == 14_714_688
    assert arrays["block5_conv3/kernel"].shape == (3, 3, 512, 512)
    known = {
        "block1_conv1/kernel": (-0.0024379087, 0.20669945, -0.67140007, 0.6085159),
        "block1_conv1/bias": (0.5013912, 0.32847992, -0.015828926, 2.064037),
        "block5_conv3/kernel": (-0.0010818949, 0.008478405, -0.09288482, 0.28699666),
        "block5_conv3/bias": (0.14986369, 0.4928213, -0.50036746, 9.431553),
    }
    for name, statistics in known.items():
        array = arrays[name]
        received = (array.mean(), array.std(), array.min(), array.max())
        np.testing.assert_allclose(received, statistics, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_the_pinned_efficientnet_classifies_a_known_image(tmp_path):
    """The converted features and the checkpoint's classifier name a palace (ImageNet class 698)."""
    pinned = resources.read_table(ROOT / resources.TABLE)["efficientnet_lite2"]
    path = tmp_path / "efficientnet_lite2.onnx"
    resources.fetch({"lite": pinned | {"output": str(path)}}, ["lite"])
    with tempfile.TemporaryDirectory() as folder:
        source = pinned["sources"][0]
        wheel = downloads.Downloads(Path(folder)).read("package", source["package"])
    tensors = torch_checkpoints.read_tensors(downloads.zip_member(wheel, source["member"]))
    assert sum(name.endswith("_project_conv.weight") for name in tensors) == 21
    assert tensors["_fc.weight"].shape == (1000, 1280)
    spec = encoder.EncoderSpec.from_table("lite", pinned)
    preparation = spec.preparation(views=["original"], crops=["whole"], border_tolerance=16)
    image = preprocessing.prepare(load_sample_image("china.jpg"), preparation)
    features = encoder.ImageEncoder(path, spec, threads=1).encode(image.pixels)["average"]
    scores = features.astype(np.float32) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    assert scores.argmax() == 698
