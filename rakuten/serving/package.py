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


def read_summary(folder: str | Path = FOLDER) -> dict:
    """Read the description of a package.

    Args:
        folder: The package.

    Returns:
        The content of `SUMMARY`.

    Raises:
        FileNotFoundError: If there is no package.
        ValueError: If it was made for other categories, or by an older version of this library.
    """
    path = Path(folder) / SUMMARY
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: run 'dvc repro package'")
    summary = storage.read_json(path)
    if tuple(summary["categories"]) != CODES:
        raise ValueError(
            f"{path} has {len(summary['categories'])} categories: expected the {NUM_CATEGORIES} of "
            "rakuten.categories.CODES; run 'dvc repro package'"
        )
    if "image_encoder" not in summary:
        raise ValueError(
            f"{path} has no image_encoder, an older version wrote it: run 'dvc repro package'"
        )
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
