"""Features and vectors that the last run left, for the next one: `python -m rakuten.image.reuse`.

To be run between an import and `dvc repro`. DVC deletes the outputs of `extract` and `encode`
before it runs them, so what the last run computed is laid where the stages look for their finished
parts, and only if they would compute the very same bytes: the code, the settings and the weights
are those of the last run. A text goes through its network by itself. A picture's features depend
on the size of its batch besides, which must be what it was.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rakuten import storage
from rakuten.data import products
from rakuten.image import extraction, preprocessing
from rakuten.image.extraction import SHARD_BATCHES, ImageSet
from rakuten.text import html

DATA = ("data/X_train.csv", "data/images.zip")
"""What may have changed since the last extraction."""

TABLE = "build/clean/products.parquet"
"""What may have changed since texts were encoded."""

logger = logging.getLogger(__name__)


class ReuseError(RuntimeError):
    """Nothing of a stage's last run can be taken over; the message says why."""


def parts(
    pictures: ImageSet,
    before: ImageSet,
    arrays: Mapping[str, np.ndarray],
    facts: pd.DataFrame,
    batch_size: int,
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Put the finished parts of an extraction together from an earlier one's products.

    Args:
        pictures: Those to extract.
        before: Those extracted before, of n products.
        arrays: The earlier "average" float32 (n, d), "grid" and "middle" float16 (v, n, ...), in
            the order of those products.
        facts: n rows with the columns of `preprocessing.Facts`, in the same order.
        batch_size: ImageSet in one call of the network, then and now.

    Yields:
        Number and arrays of each part, as `storage.Shards` keeps them, all of whose pictures were
        in a whole batch before and are in one now: batches of another size round differently.
    """
    _, rows = np.unique(before.rows[before.present], return_index=True)
    rows = np.flatnonzero(before.present)[rows]  # a product of each distinct picture
    whole = len(before.digests) // batch_size * batch_size
    row_of = dict(zip(before.digests[:whole], rows, strict=False))
    table = facts[list(preprocessing.Facts._fields)].to_numpy(np.float64)
    size = SHARD_BATCHES * batch_size
    for number, start in enumerate(range(0, len(pictures.digests), size)):
        digests = pictures.digests[start : start + size]
        if len(digests) % batch_size == 0 and all(digest in row_of for digest in digests):
            taken = [row_of[digest] for digest in digests]
            part = {kind: arrays[kind][..., taken, :] for kind in extraction.DTYPES}
            yield number, part | {"facts": table[taken]}


def reuse_features(root: Path = Path()) -> tuple[int, int]:
    """Lay the parts of the last extraction out for the next one.

    Args:
        root: The repository, the current folder.

    Returns:
        How many of the distinct pictures need no network, and how many there are.

    Raises:
        ReuseError: If the outputs of the last extraction, or the data it read, are not here, or if
            more than the data has changed since.
    """
    locked = _locked(root, "extract", DATA)
    threads, section = storage.read_params("threads", "extract", path=root / "params.yaml")
    settings = extraction.Settings(**section)
    before = _pictures(*locked)
    pictures = _pictures(*(root / name for name in DATA))
    folder = root / "build/extract"
    pooled = storage.read_arrays(folder / "pooled.npz")
    arrays = {kind: pooled[kind] for kind in ("grid", "middle")}
    arrays["average"] = storage.read_arrays(folder / "features.npz")["features"]
    facts = storage.read_table(folder / "images.parquet")
    shards = storage.Shards(
        root / storage.SCRATCH / "extract", _key(root, pictures, settings, threads)
    )
    count = 0
    for number, part in parts(pictures, before, arrays, facts, settings.batch_size):
        shards.save(number, **part)
        count += len(part["facts"])
    return count, len(pictures.digests)


def reuse_vectors(root: Path = Path()) -> tuple[int, int]:
    """Lay the sentence vectors of the last run out for the next one; see `reuse_features`.

    Returns:
        How many of the distinct texts need no network, and how many there are.
    """
    (table,) = _locked(root, "encode", [TABLE])
    from rakuten.text import encoder  # ONNX Runtime, which is not wanted for a refusal

    found = storage.read_arrays(root / "build/encode/vectors.npz")
    before = storage.read_table(table)
    if not np.array_equal(before["id"], found["ids"]):
        raise ReuseError(f"build/encode/vectors.npz has other products than {table}")
    known = {}
    for kind, texts in _texts(before).items():
        if kind in found:
            known |= zip(map(encoder.beginning, texts), found[kind], strict=True)
    now = products.join(storage.read_csv(root / DATA[0], **products.CSV_FORMAT))
    wanted = {encoder.beginning(text) for texts in _texts(now).values() for text in texts}
    taken = [text for text in known if text in wanted]
    if taken:
        key = encoder.fingerprint(root / "build/resources/encoder/sentence_encoder.onnx")
        shards = storage.Shards(root / storage.SCRATCH / "encode", key)
        shards.save(0, **encoder.finished(taken, np.array([known[text] for text in taken])))
    return len(taken), len(wanted)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The command's words; those of the process if None.

    Returns:
        The exit status: 0, or 1 if nothing can be taken over for one of the stages, in which case
        `dvc repro` computes all of it, as it would have.
    """
    argparse.ArgumentParser(prog="python -m rakuten.image.reuse", description=__doc__).parse_args(
        arguments
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    refused = False
    ways = [(reuse_vectors, "texts", "encoding"), (reuse_features, "pictures", "extraction")]
    for reuse, what, work in ways:
        try:
            count, total = reuse()
            sys.stdout.write(f"{count:,} of {total:,} distinct {what} need no {work}\n")
        except (ReuseError, OSError) as error:
            sys.stderr.write(f"error: nothing is taken over for {work}: {error}\n")
            refused = True
    return int(refused)


def _texts(table: pd.DataFrame) -> dict[str, list[str]]:
    """Take the texts of products as the stage does."""
    return dict(zip(("title", "description"), html.plain_texts(table), strict=True))


def _pictures(table: Path, archive: Path) -> ImageSet:
    """Find the distinct pictures of a catalogue, in the order of the stage."""
    rows = products.join(storage.read_csv(table, **products.CSV_FORMAT))
    with storage.ImageArchive(archive) as opened:
        names = [f"image_train/{name}" for name in products.image_names(rows)]
        return extraction.find_images(names, opened)


def _key(root: Path, pictures: ImageSet, settings: extraction.Settings, threads: int) -> str:
    """Name the parts as the stage does."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it complains where there is no GPU
    from rakuten import determinism  # TensorFlow, which is not wanted for a refusal
    from rakuten.image import backbones

    determinism.configure(seed=0, threads=threads)
    weights = root / "build/resources" / settings.weights
    network = backbones.fingerprint(storage.read_arrays(weights))
    return extraction.fingerprint(pictures, settings, network)


def _locked(root: Path, stage: str, data: Sequence[str]) -> list[Path]:
    """Find the files that a stage read last in DVC's cache, if nothing else changed since."""
    _check(json.loads(_dvc(root, "status", "--json", stage)).get(stage, []), stage, data)
    deps = storage.read_yaml(root / "dvc.lock")["stages"][stage]["deps"]
    md5 = {one["path"]: one["md5"] for one in deps}
    return [_cached(root, name, md5[name]) for name in data]


def _check(changes: list[dict | str], stage: str, data: Sequence[str]) -> None:
    """Refuse if anything but the data has changed since the last run of a stage."""
    changed = [
        f"{name} ({how})" if isinstance(entry, dict) else str(entry)
        for entry in changes
        for name, how in (_flat(entry) if isinstance(entry, dict) else [("", "")])
        if name not in data
    ]
    if changed:
        raise ReuseError(
            f"expected only {' and '.join(data)} to have changed since '{stage}' ran, found "
            f"{', '.join(changed)}: run 'dvc repro' alone, or 'dvc checkout build/{stage}'"
        )


def _flat(entry: Mapping) -> Iterator[tuple[str, str]]:
    """List names and what happened to them, of one kind of change; parameters lie deeper."""
    for changed in entry.values():
        for name, how in changed.items():
            yield name, how if isinstance(how, str) else json.dumps(how)


def _cached(root: Path, name: str, md5: str) -> Path:
    """Find what a file was when the stage ran last, in DVC's cache."""
    folder = Path(root, _dvc(root, "cache", "dir").strip())
    path = folder / "files/md5" / md5[:2] / md5[2:]
    if not path.exists():
        raise ReuseError(f"the {name} of the last run is not in DVC's cache ({path})")
    return path


def _dvc(root: Path, *words: str) -> str:
    """Run DVC and give what it printed."""
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReuseError(f"'dvc {' '.join(words)}' failed: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
