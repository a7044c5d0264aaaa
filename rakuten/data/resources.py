"""Pinned resources: what stages would otherwise download while they run, from one table of hashes.

`resources.yaml` lists the sources of each resource in order. What a source serves is checked
against that source's hash, converted to a canonical form, and checked against the resource's hash:
the output is the same bytes from every source. A mismatch is an error at once. Only a source
that cannot be reached makes the next one be tried. Optional resources are fetched only when a
parameter needs them.
"""

import hashlib
import logging
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from rakuten import onnx_models, storage
from rakuten.data import conversion, downloads

TABLE = "rakuten/data/resources.yaml"
"""The table of resources, in the repository."""

BACKBONES = ("vgg16", "resnet50")
"""Values of `extract.backbone`."""

INDEXED = ("sha256", "licence", "encoder")
"""Keys of the table that the index repeats."""

MODALITIES = ("text", "image")
"""Values of `encoder.modality`."""

SOURCES: dict[str, tuple[str, ...]] = {
    "url": (),
    "package": ("member",),
    "npm": ("folder",),
    "file": (),
}
"""Kinds of source, and the keys that each needs besides its own."""

SOURCE_OPTIONS = ("md5", "sha256", "member", "folder", "holds")
"""The other keys of a source."""

Table = dict[str, dict[str, Any]]
"""The content of `resources.yaml`: by name, output, sha256 of the output, form, sources."""

logger = logging.getLogger(__name__)


class ResourceError(RuntimeError):
    """A resource cannot be fetched, or is not what was pinned."""


class TableError(ValueError):
    """An entry of the table of resources that is incomplete or impossible."""

    def __init__(self, name: str, problem: str):
        super().__init__(name, problem)

    def __str__(self) -> str:
        name, problem = self.args
        return f"the resource {name!r} {problem}: correct its entry in {TABLE}"


def read_table(path: str | Path = TABLE) -> Table:
    """Read the table of resources, with the keys that entries of encoders need not give.

    Returns:
        The entries by name. Those of encoders are optional, kept as they are ("form: file") by
        default, and written to the folder of their modality.

    Raises:
        TableError: If a key of an entry is missing, misspelt or has an impossible value.
    """
    table: Table = storage.read_yaml(path)
    for name, pinned in table.items():
        _check_keys(name, pinned)
        if "encoder" in pinned:
            folder = f"build/resources/{_modality(name, pinned['encoder'])}_encoder"
            output = f"{folder}/{name}.onnx"
            table[name] = {"form": "file"} | pinned | {"optional": True, "output": output}
        _check_values(name, table[name])
    return table


def choose(table: Table, *, backbone: str, text_encoder: str, image_encoder: str) -> list[str]:
    """Choose the resources that a build with these parameters needs.

    Args:
        table: As `read_table` returns it.
        backbone: The parameter `extract.backbone`.
        text_encoder: The parameter `encode_text.encoder`.
        image_encoder: The parameter `encode_image.encoder`.

    Returns:
        Names of the table in its order: all that are not optional, and the optional ones that a
        parameter needs.

    Raises:
        ValueError: If a parameter has no such value; the message lists its values.
    """
    for parameter, value, known in (
        ("extract.backbone", backbone, BACKBONES),
        ("encode_text.encoder", text_encoder, (*encoders(table, "text"), "none")),
        ("encode_image.encoder", image_encoder, encoders(table, "image")),
    ):
        if value not in known:
            raise ValueError(
                f"{parameter} is {value!r}, expected one of {', '.join(known)}: correct it in "
                f"params.yaml, or add an encoder to {TABLE}"
            )
    needed = {backbone, text_encoder, image_encoder}
    return [name for name, pinned in table.items() if name in needed or not pinned.get("optional")]


def encoders(table: Table, modality: str) -> list[str]:
    """List the encoders of a modality, "text" or "image", in the order of the table."""
    return [
        name
        for name, pinned in table.items()
        if pinned.get("encoder", {}).get("modality") == modality
    ]


def fetch(table: Table, wanted: list[str], cache: str | Path | None = None) -> dict[str, str]:
    """Fetch resources, verify them, and write them in their canonical form.

    A resource that cannot be fetched does not keep the others from being written.

    Args:
        table: `resources.yaml`.
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
    cache = user_cache() if cache is None else Path(cache)
    served: dict[str, str] = {}
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        session = downloads.Downloads(Path(folder))
        for name in wanted:
            try:
                served[name] = _fetch_one(name, table[name], cache, session)
            except ResourceError as error:
                failures.append(str(error))
            else:
                logger.info("%-12s from %s, hash as pinned", name, served[name])
    if failures:
        raise ResourceError("\n".join(failures))
    return served


def tidy_optional(table: Table, wanted: list[str]) -> None:
    """Keep only the wanted files in the folders of optional resources, and index them.

    Every such folder holds an index, so that it exists even if nothing in it is wanted.

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
            name: {"file": path.name}
            | {key: table[name][key] for key in INDEXED if key in table[name]}
            for name, path in kept.items()
        }
        storage.write_json(folder / onnx_models.INDEX, index)


def user_cache() -> Path:
    """Find this project's folder in the user's cache folder (XDG_CACHE_HOME or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rakuten"


def _check_keys(name: str, pinned: Any) -> None:
    """Check that an entry has the keys without which it cannot be fetched."""
    if not isinstance(pinned, dict):
        raise TableError(name, f"is {pinned!r}, expected keys with values")
    needed = ["sha256", "sources"] + ([] if "encoder" in pinned else ["output", "form"])
    if any(key not in pinned for key in needed):
        received = ", ".join(map(str, pinned)) or "none"
        raise TableError(name, f"has the keys {received}, expected at least {', '.join(needed)}")


def _modality(name: str, encoder: Any) -> str:
    """Return the modality of an encoder's entry."""
    if not isinstance(encoder, dict):
        raise TableError(name, f"has encoder {encoder!r}, expected keys with values")
    modality = encoder.get("modality")
    if modality not in MODALITIES:
        expected = " or ".join(MODALITIES)
        raise TableError(name, f"has encoder.modality {modality!r}, expected {expected}")
    return modality


def _check_values(name: str, pinned: dict[str, Any]) -> None:
    """Check the hash, the form and the sources of a complete entry."""
    sha256, sources = pinned["sha256"], pinned["sources"]
    if not re.fullmatch("[0-9a-f]{64}", str(sha256)):
        problem = f"has sha256 {sha256!r}, expected the 64 hexadecimal digits of 'sha256sum'"
        raise TableError(name, problem)
    if pinned["form"] not in conversion.CANONICAL_FORMS:
        expected = ", ".join(conversion.CANONICAL_FORMS)
        raise TableError(name, f"has form {pinned['form']!r}, expected one of {expected}")
    if not isinstance(sources, list) or not sources:
        raise TableError(name, f"has sources {sources!r}, expected a list of at least one")
    for source in sources:
        _check_source(name, source)


def _check_source(name: str, source: Any) -> None:
    """Check that a source has one kind, and the keys that this kind needs."""
    kinds = [kind for kind in SOURCES if isinstance(source, dict) and kind in source]
    if len(kinds) != 1:
        raise TableError(name, f"has the source {source!r}, expected one of {', '.join(SOURCES)}")
    known = (*kinds, *SOURCE_OPTIONS)
    missing = [key for key in SOURCES[kinds[0]] if key not in source]
    if missing or any(key not in known for key in source):
        needed = " and ".join((kinds[0], *SOURCES[kinds[0]]))
        raise TableError(
            name,
            f"has a source with the keys {', '.join(map(str, source))}, expected {needed} and "
            f"some of {', '.join(SOURCE_OPTIONS)}",
        )


def _fetch_one(
    name: str, resource: dict[str, Any], cache: Path, session: downloads.Downloads
) -> str:
    """Write one resource, from the cache or the first reachable source, and name which."""
    cached = cache / resource["sha256"]
    canonical = _read_cached(cached, resource["sha256"])
    place = f"the cache {cache}"
    if canonical is None:
        content, place = _first_served(name, resource["sources"], session)
        canonical = conversion.CANONICAL_FORMS[resource["form"]](content)
        _check(f"{name} in canonical form", canonical, "sha256", resource["sha256"])
        with suppress(OSError):  # a full or read-only home does not stop the build
            storage.write_bytes(cached, canonical)
    storage.write_bytes(resource["output"], canonical)
    return place


def _read_cached(path: Path, sha256: str) -> bytes | None:
    """Read a file of the cache, None if it is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def _first_served(
    name: str, sources: list[dict[str, str]], session: downloads.Downloads
) -> tuple[conversion.Content, str]:
    """Read a resource from the first source that can be reached, and name that source."""
    failures = []
    for source in sources:
        kind = next(kind for kind in session.kinds if kind in source)
        place = source[kind]
        try:
            served = session.read(kind, place)
        except downloads.UnreachableError as error:
            logger.info("%-12s not from %s: %s", name, place, error)
            failures.append(f"\n  - {place}: {error}")
            continue
        algorithm = "md5" if "md5" in source else "sha256"
        if algorithm in source:
            _check(f"{name} from {place}", served, algorithm, source[algorithm])
        part: bytes | dict[str, bytes] = served
        if "member" in source:
            part = downloads.zip_member(served, source["member"])
        elif "folder" in source:
            part = downloads.tar_folder(served, source["folder"])
        return {source.get("holds", "file"): part}, place
    raise ResourceError(
        f"{name} could not be fetched, expected one of {len(sources)} sources to answer:"
        f"{''.join(failures)}\nconnect to a network that reaches one of them, or set pip or npm up "
        "for a registry that has the package, then run 'dvc repro' again"
    )


def _check(what: str, content: bytes, algorithm: str, expected: str) -> None:
    """Refuse content that does not have the pinned hash."""
    received = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if received != expected:
        raise ResourceError(
            f"{what} is not what resources.yaml pins: expected {algorithm} {expected}, received "
            f"{received} ({len(content):,} bytes); do not use it: download again, and if it "
            "stays so, find out who changed it before the pin is changed"
        )
