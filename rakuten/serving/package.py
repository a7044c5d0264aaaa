"""The package: the folder that holds everything the classifier needs."""

import hashlib
import json
from pathlib import Path

from rakuten import storage
from rakuten.categories import CODES, NUM_CATEGORIES

FOLDER = Path("build/package")
"""Where the `package` stage writes it."""

SUMMARY = "package.json"
"""The file that describes it, see `rakuten.serving.package_summary.summarize`."""

PREDICTIONS = "test.npz"
"""The file of its test predictions, see `rakuten.serving.package_summary.predictions`."""


class OutdatedError(ValueError):
    """A package that this version of the library cannot open."""

    def __init__(self, folder: str | Path, problem: str):
        super().__init__(
            f"{Path(folder) / SUMMARY} {problem}, another version of this library wrote it: run "
            "'dvc repro package'; if it came from the registry, then register and promote the new "
            "package ('python -m rakuten register', 'python -m rakuten promote')"
        )
        self._arguments = folder, problem

    def __reduce__(self) -> tuple:
        return type(self), self._arguments  # Ray and Spark send it to another process


def read_summary(folder: str | Path = FOLDER) -> dict:
    """Read the description of a package.

    Args:
        folder: The package.

    Returns:
        The content of `SUMMARY`.

    Raises:
        FileNotFoundError: If there is no package.
        OutdatedError: If it was made for other categories, or by an older version of this library.
    """
    path = Path(folder) / SUMMARY
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: run 'dvc repro package'")
    summary = storage.read_json(path)
    if tuple(summary["categories"]) != CODES:
        received = len(summary["categories"])
        expected = f"expected the {NUM_CATEGORIES} of rakuten.categories.CODES"
        raise OutdatedError(folder, f"has {received} categories: {expected}")
    if "image_encoder" not in summary:
        raise OutdatedError(folder, "has no image_encoder")
    return summary


def digest(folder: str | Path) -> str:
    """Hash a folder as DVC does: the `md5` of its entry in dvc.lock, without `.dir`.

    Args:
        folder: The folder.

    Returns:
        The MD5 over paths and contents of all files, 32 hexadecimal digits.

    Raises:
        FileNotFoundError: If it does not exist or is empty.
    """
    files = sorted(
        (path.relative_to(folder).as_posix(), path)
        for path in Path(folder).rglob("*")
        if path.is_file()
    )
    if not files:
        raise FileNotFoundError(
            f"{folder} contains no files: run 'dvc repro' or 'dvc pull data.dvc'"
        )
    listing = [{"md5": storage.digest(path), "relpath": name} for name, path in files]
    return hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False).hexdigest()
