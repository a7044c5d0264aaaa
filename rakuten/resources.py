"""Pinned downloads: what stages would otherwise fetch while they run, from one table of hashes.

`resources.yaml` names each resource with its sources in order. What a source serves is checked
against that source's hash, brought into a canonical form, and checked against the resource's own
hash: the output is the same bytes whichever source served. A mismatch is an error at once; only a
source that cannot be reached makes the next one be tried.
"""

import hashlib
import io
import logging
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
import zipfile
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import numpy as np

from rakuten import journal, storage

CONNECT_SECONDS = 5.0
"""An address that does not answer within this time in all is unreachable."""

CHUNK = 1 << 20

Seen = dict[str, "bytes | UnreachableError"]
"""What this run has learnt: wheels by package, and hosts that do not answer."""

logger = logging.getLogger(__name__)


class ResourceError(RuntimeError):
    """A resource could not be had, or is not what was pinned."""


class UnreachableError(RuntimeError):
    """A source did not serve; the next one may."""


def fetch(
    table: dict[str, dict], wanted: list[str], cache: str | Path | None = None
) -> dict[str, str]:
    """Fetch resources, verify them, and write them in their canonical form.

    Each is fetched for itself: one that cannot be had does not keep the others away.

    Args:
        table: `resources.yaml`: by name, output, sha256 of the output, form, sources.
        wanted: Names to fetch, in order.
        cache: Folder that keeps outputs by hash, so that a later build need not download again;
            they are verified at each use. By default `rakuten` in the user's cache folder.

    Returns:
        The source that served, by name.

    Raises:
        KeyError: If the table lacks a name.
        ResourceError: If a hash does not match, or no source of a resource can be reached; the
            message lists every such resource, each with its sources and reasons.
    """
    for name in wanted:
        if name not in table:
            raise KeyError(f"resources.yaml has no {name!r}: it has {', '.join(table)}; add it")
    folder = user_cache() if cache is None else Path(cache)
    served: dict[str, str] = {}
    failures: list[str] = []
    seen: Seen = {}
    for name in wanted:
        try:
            served[name] = _fetch_one(name, table[name], folder, seen)
        except ResourceError as error:
            failures.append(str(error))
        else:
            logger.info("%-12s from %s, hash as pinned", name, served[name])
    if failures:
        raise ResourceError("\n".join(failures))
    return served


def user_cache() -> Path:
    """Find the folder for caches that a user's system provides, by its usual variable."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rakuten"


def _fetch_one(name: str, resource: dict, cache: Path, seen: Seen) -> str:
    """Write one resource, from the cache or the first source that answers, which is returned."""
    cached = cache / resource["sha256"]
    canonical = _read_cached(cached, resource["sha256"])
    place = f"the cache {cache}"
    if canonical is None:
        content, place = _first_served(name, resource["sources"], seen)
        canonical = CANONICAL_FORMS[resource["form"]](content)
        _check(f"{name} in canonical form", canonical, "sha256", resource["sha256"])
        with suppress(OSError):  # a full or read-only home does not stop the build
            storage.write_bytes(cached, canonical)
    storage.write_bytes(resource["output"], canonical)
    return place


def _read_cached(path: Path, sha256: str) -> bytes | None:
    """Read a file of the cache, None where there is none or it has been damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def _first_served(name: str, sources: list[dict], seen: Seen) -> tuple[dict[str, bytes], str]:
    """Get a resource from the first source that answers: its kind and bytes, and the source."""
    failures = []
    for source in sources:
        kind = next(kind for kind in SOURCE_KINDS if kind in source)
        place = source[kind]
        try:
            content = SOURCE_KINDS[kind](place, seen)
        except UnreachableError as error:
            logger.info("%-12s not from %s: %s", name, place, error)
            failures.append(f"\n  - {place}: {error}")
            continue
        algorithm = "md5" if "md5" in source else "sha256"
        if algorithm in source:
            _check(f"{name} from {place}", content, algorithm, source[algorithm])
        member = _member(content, source["member"]) if "member" in source else content
        return {source.get("holds", "file"): member}, place
    raise ResourceError(
        f"{name} could not be fetched, expected one of {len(sources)} sources to answer:"
        f"{''.join(failures)}\nconnect to a network that reaches one of them, or set pip up for a "
        "registry that has the package, then run 'dvc repro' again"
    )


def _check(what: str, content: bytes, algorithm: str, expected: str) -> None:
    """Refuse bytes that are not the pinned ones."""
    received = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if received != expected:
        raise ResourceError(
            f"{what} is not what resources.yaml pins: expected {algorithm} {expected}, received "
            f"{received} ({len(content):,} bytes); do not use it: download again, and if it "
            "stays so, find out who changed it before the pin is changed"
        )


def _download(url: str, seen: Seen) -> bytes:
    """Read a web address, with a bar of its rate and time left; a part of it is thrown away."""
    host = urlsplit(url).netloc
    if host in seen:
        raise UnreachableError(f"{host} did not answer a moment ago")
    content = io.BytesIO()
    try:
        response = _open(url)
    except HTTPError as error:
        raise UnreachableError(f"HTTP {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        seen[host] = UnreachableError(_reason(error))
        raise seen[host] from error
    try:
        with response:
            total = int(response.headers.get("Content-Length", 0)) or None
            chunks = iter(lambda: response.read(CHUNK), b"")
            name = url.rpartition("/")[2]
            with journal.progress(chunks, total=total, unit="B", description=name) as bar:
                for chunk in chunks:
                    content.write(chunk)
                    bar.update(len(chunk))
    except (OSError, HTTPException) as error:
        raise UnreachableError(_reason(error)) from error
    if total and content.tell() != total:
        raise UnreachableError(f"the connection ended after {content.tell():,} of {total:,} bytes")
    return content.getvalue()


def _open(url: str) -> HTTPResponse:
    """Open an address, or give up in time: looking up a name has no time limit of its own."""
    answer: Future[HTTPResponse] = Future()

    def connect() -> None:
        try:
            answer.set_result(urllib.request.urlopen(url, timeout=CONNECT_SECONDS))
        except (OSError, HTTPException) as error:
            answer.set_exception(error)

    threading.Thread(target=connect, daemon=True).start()
    return answer.result(CONNECT_SECONDS)


def _reason(error: Exception) -> str:
    """Say in some words why an address did not serve."""
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    return str(getattr(error, "reason", "") or error) or type(error).__name__


def _download_package(package: str, seen: Seen) -> bytes:
    """Read a wheel through pip, from whatever package registry it is set up for."""
    if package in seen:
        return _served(seen[package])
    terminal = sys.stderr.isatty()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries", "1"]
        command += ["--only-binary", ":all:", "--disable-pip-version-check", "--dest", folder]
        done = subprocess.run(
            [*command, *([] if terminal else ["--quiet"]), package],
            stdout=sys.stderr if terminal else subprocess.DEVNULL,  # pip's own bar
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip() or "no wheel").splitlines()[-1]
            seen[package] = UnreachableError(f"pip download: {reason}")
        else:
            seen[package] = wheels[0].read_bytes()
    return _served(seen[package])


def _served(answer: "bytes | UnreachableError") -> bytes:
    """Give what a source served, or raise why it did not."""
    if isinstance(answer, UnreachableError):
        raise answer
    return answer


def _read_installed(module: str, seen: Seen) -> bytes:
    """Read the model that the installed langid package carries."""
    import langid.langid as package

    return package.model


SOURCE_KINDS: dict[str, Callable[[str, Seen], bytes]] = {
    "url": _download,
    "package": _download_package,
    "installed": _read_installed,
}
"""How a source is read, by the key of resources.yaml that names it."""


def _member(archive: bytes, name: str) -> bytes:
    """Read one member of a zip archive or wheel."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read(name)


def _as_is(content: dict[str, bytes]) -> bytes:
    """Keep a file as it came: every source carries the same bytes."""
    return content["file"]


def _vgg16(content: dict[str, bytes]) -> bytes:
    """Bring VGG16's convolution weights into an .npz of "<layer>/kernel" and "<layer>/bias".

    Kernels are float32 (height, width, channels in, channels out), biases (channels out,).
    """
    read = {"keras_h5": _vgg16_from_keras, "onnx": _vgg16_from_onnx}
    (holds, data), *_ = content.items()
    arrays = read[holds](data)
    ordered = {
        f"{layer}/{part}": arrays[f"{layer}/{part}"]
        for layer in VGG16_LAYERS
        for part in ("kernel", "bias")
    }
    return storage.pack_arrays(**ordered)


def _vgg16_from_keras(data: bytes) -> dict[str, np.ndarray]:
    """Read Keras's weights file: a group per layer, kernels have four axes, biases one."""
    import h5py

    arrays = {}
    with h5py.File(io.BytesIO(data)) as file:
        for layer in VGG16_LAYERS:
            found = []
            file[layer].visititems(
                lambda _, item, found=found: (
                    found.append(item[()]) if isinstance(item, h5py.Dataset) else None
                )
            )
            arrays |= {f"{layer}/{'kernel' if a.ndim == 4 else 'bias'}": a for a in found}
    return arrays


def _vgg16_from_onnx(data: bytes) -> dict[str, np.ndarray]:
    """Read the frozen convolution base of an ONNX model: kernels (out, in, height, width)."""
    import onnx

    initializers = onnx.load_model_from_string(data).graph.initializer
    tensors = {tensor.name: tensor for tensor in initializers}
    arrays = {}
    for layer in VGG16_LAYERS:
        kernel = tensors[f"functional_1/{layer}_1/convolution/ReadVariableOp:0"]
        bias = tensors[f"functional_1/{layer}_1/Squeeze:0"]
        arrays[f"{layer}/kernel"] = onnx.numpy_helper.to_array(kernel).transpose(2, 3, 1, 0)
        arrays[f"{layer}/bias"] = onnx.numpy_helper.to_array(bias).reshape(-1)
    return arrays


def _langid(content: dict[str, bytes]) -> bytes:
    """Bring langid's model into the plain arrays that `rakuten.language.LanguageModel` reads."""
    from langid.langid import LanguageIdentifier

    model = LanguageIdentifier.from_modelstring(content["file"])
    outputs = [(state, f) for state, fs in sorted(model.tk_output.items()) for f in fs]
    states, features = np.array(outputs, dtype=np.int64).T
    return storage.pack_arrays(
        codes=np.array(model.nb_classes),
        log_likelihood=np.asarray(model.nb_ptc, dtype=np.float32),
        log_prior=np.asarray(model.nb_pc, dtype=np.float32),
        next_state=np.array(model.tk_nextmove, dtype=np.uint16),
        output_state=states,
        output_feature=features,
    )


CANONICAL_FORMS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "file": _as_is,
    "vgg16": _vgg16,
    "langid": _langid,
}
"""How a resource is written, by the key `form` of resources.yaml."""

VGG16_LAYERS = tuple(
    f"block{block}_conv{conv}"
    for block, convs in enumerate((2, 2, 3, 3, 3), start=1)
    for conv in range(1, convs + 1)
)
"""The thirteen convolution layers, from the picture on."""
