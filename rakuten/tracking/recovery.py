"""Mend what a kill cuts off in DVC's own files: `python -m rakuten.tracking.recovery`.

DVC writes `dvc.lock`, and its list of the files in use, in place: killed in that moment, it leaves
half a file and refuses to work from then on. `make repro` therefore begins with this.
"""

import argparse
import json
import logging
import re
import sys
from pathlib import Path

import yaml
from dvc.lock import LockError, make_lock
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

from rakuten import storage
from rakuten.tracking import results

LOCK = "dvc.lock"
FOLDER = Path(".dvc/tmp")
IN_USE = FOLDER / "rwlock"

logger = logging.getLogger(__name__)


class RecoveryError(RuntimeError):
    """A file of DVC's cannot be mended here; it is as it was."""


def whole(text: str) -> bool:
    """Tell whether DVC wrote the text of a `dvc.lock` to its end, as far as can be seen."""
    try:
        COMPILED_LOCKFILE_SCHEMA(storage.parse_yaml(text))
    except (yaml.YAMLError, Invalid):
        return False
    return text.endswith("\n")


def complete(text: str, committed: str) -> str:
    """Complete a `dvc.lock` that was cut off.

    Args:
        text: What is left of it.
        committed: The last commit's `dvc.lock`, "" without one.

    Returns:
        Its stages up to the one that was being written, as they are, and behind them those of the
        commit that are missing; "" if there is no stage at all. DVC compares every record with the
        files, so one that is missing or old costs a look into its cache or a second run.

    Raises:
        RecoveryError: It is damaged elsewhere than at its end.
    """
    header, *stages = _pieces(text)
    whole_header, *others = _pieces(committed)
    kept = stages[:-1]
    names = [piece.split(":")[0] for piece in kept]
    kept += [piece for piece in others if piece.split(":")[0] not in names]
    if not kept:
        return ""
    completed = "".join([header if stages else whole_header, *kept])
    if "<<<<<<<" in text or not whole(completed):
        raise RecoveryError(
            f"{LOCK} is damaged, and not as by a kill, which cuts off its end (a merge?). Take the"
            f" last commit's with `git checkout HEAD -- {LOCK}`; the cache keeps what was computed."
        )
    return completed


def mend() -> None:
    """Mend the files of DVC that need it, while no DVC command is at work.

    Raises:
        RecoveryError: `dvc.lock` cannot be mended, or DVC is at work.
    """
    lock = Path(LOCK)
    if not _broken(lock) and not _broken(IN_USE):
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        with make_lock(str(FOLDER / "lock")), make_lock(str(FOLDER / "rwlock.lock")):
            if _broken(lock):
                _mend_lock(lock)
            if _broken(IN_USE):  # it names processes, and those that could be named are gone
                IN_USE.unlink()
                logger.warning("%s was cut off and is removed: DVC makes it anew", IN_USE)
    except LockError as error:
        raise RecoveryError(
            "Another DVC command is at work here: run this again when it is done."
        ) from error


def _mend_lock(lock: Path) -> None:
    committed = results.Snapshot(Path.cwd(), "HEAD").read(LOCK) or b""
    completed = complete(lock.read_text(encoding="utf-8", errors="ignore"), committed.decode())
    if completed:
        storage.write_text(lock, completed)
    else:
        lock.unlink()
    logger.warning(
        "%s was cut off while DVC wrote it: %d stages are recorded again, the others follow",
        lock, len(_pieces(completed)) - 1,
    )  # fmt: skip


def _broken(path: Path) -> bool:
    """Tell whether a file is there and was cut off."""
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8", errors="ignore")
    if path == IN_USE:
        try:
            json.loads(text)
        except json.JSONDecodeError:
            return True
        return False
    return not whole(text)


def _pieces(text: str) -> list[str]:
    """Split the text of a `dvc.lock`: what comes before the stages, then every stage."""
    return re.split(r"^(?=  \w)", text, flags=re.MULTILINE)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: `python -m rakuten.tracking.recovery`."""
    argparse.ArgumentParser(
        prog="python -m rakuten.tracking.recovery", description=__doc__
    ).parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        mend()
    except RecoveryError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
