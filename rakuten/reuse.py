"""Features that an earlier extraction left, for the next one: `python -m rakuten.reuse`.

To be run between an import and `dvc repro`. DVC deletes the outputs of `extract` before it runs the
stage, so what the last run computed is laid where the stage looks for its finished parts. A part
is laid there only if the stage would compute the very same bytes: the code, the settings and the
weights are those of the last run, and every picture of the part went through the network in a
batch of the same size, which is all that a picture's features depend on besides itself.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from rakuten import extraction, images, products, storage
from rakuten.extraction import SHARD_BATCHES, Pictures

DATA = {"data/X_train.csv", "data/images.zip"}
"""What may have changed since the last extraction."""

logger = logging.getLogger(__name__)


class ReuseError(RuntimeError):
    """Nothing of the last extraction can be taken over; the message says why."""


def parts(
    pictures: Pictures,
    before: Pictures,
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
        facts: n rows with the columns of `images.Facts`, in the same order.
        batch_size: Pictures in one call of the network, then and now.

    Yields:
        Number and arrays of each part, as `storage.Shards` keeps them, all of whose pictures were
        in a whole batch before and are in one now: batches of another size round differently.
    """
    _, rows = np.unique(before.rows[before.present], return_index=True)
    rows = np.flatnonzero(before.present)[rows]  # a product of each distinct picture
    whole = len(before.digests) // batch_size * batch_size
    row_of = dict(zip(before.digests[:whole], rows, strict=False))
    table = facts[list(images.Facts._fields)].to_numpy(np.float64)
    size = SHARD_BATCHES * batch_size
    for number, start in enumerate(range(0, len(pictures.digests), size)):
        digests = pictures.digests[start : start + size]
        if len(digests) % batch_size == 0 and all(digest in row_of for digest in digests):
            taken = [row_of[digest] for digest in digests]
            part = {kind: arrays[kind][..., taken, :] for kind in extraction.DTYPES}
            yield number, part | {"facts": table[taken]}


def reuse(root: Path = Path()) -> tuple[int, int]:
    """Lay the parts of the last extraction out for the next one.

    Args:
        root: The repository, the current folder.

    Returns:
        How many of the distinct pictures need no network, and how many there are.

    Raises:
        ReuseError: If the outputs of the last extraction, or the data it read, are not here, or if
            more than the data has changed since.
    """
    _check(_status(root))
    threads, section = storage.read_params("threads", "extract", path=root / "params.yaml")
    settings = extraction.Settings(**section)
    locked = storage.read_yaml(root / "dvc.lock")["stages"]["extract"]["deps"]
    md5 = {one["path"]: one["md5"] for one in locked}
    before = _pictures(*(_cached(root, name, md5[name]) for name in sorted(DATA)))
    pictures = _pictures(*(root / name for name in sorted(DATA)))
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


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The command's words; those of the process if None.

    Returns:
        The exit status: 0, or 1 if nothing can be taken over, in which case `dvc repro` extracts
        every picture, as it would have.
    """
    argparse.ArgumentParser(prog="python -m rakuten.reuse", description=__doc__).parse_args(
        arguments
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        count, total = reuse()
    except (ReuseError, OSError) as error:
        sys.stderr.write(f"error: nothing is taken over: {error}\n")
        return 1
    sys.stdout.write(
        f"{count:,} of {total:,} distinct pictures need no extraction; next: dvc repro\n"
    )
    return 0


def _pictures(table: Path, archive: Path) -> Pictures:
    """Find the distinct pictures of a catalogue, in the order of the stage."""
    rows = products.join(storage.read_csv(table, **products.CSV_FORMAT))
    with storage.ImageArchive(archive) as opened:
        names = [f"image_train/{name}" for name in products.image_names(rows)]
        return extraction.find_pictures(names, opened)


def _key(root: Path, pictures: Pictures, settings: extraction.Settings, threads: int) -> str:
    """Name the parts as the stage does."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it complains where there is no GPU
    from rakuten import backbones, determinism  # TensorFlow, which is not wanted for a refusal

    determinism.configure(seed=0, threads=threads)
    weights = root / "build/resources" / backbones.find(settings.backbone).weights
    network = backbones.fingerprint(storage.read_arrays(weights))
    return extraction.fingerprint(pictures, settings, network)


def _status(root: Path) -> list[dict | str]:
    """Ask DVC what has changed about the stage."""
    return json.loads(_dvc(root, "status", "--json", "extract")).get("extract", [])


def _check(changes: list[dict | str]) -> None:
    """Refuse if anything but the data has changed since the last run."""
    changed = [
        f"{name} ({how})" if isinstance(entry, dict) else str(entry)
        for entry in changes
        for name, how in (_flat(entry) if isinstance(entry, dict) else [("", "")])
        if name not in DATA
    ]
    if changed:
        raise ReuseError(
            f"expected only {' and '.join(sorted(DATA))} to have changed since 'extract' ran, "
            f"found {', '.join(changed)}: run 'dvc repro' alone, or 'dvc checkout build/extract'"
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
        raise ReuseError(f"the {name} of the last extraction is not in DVC's cache ({path})")
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
