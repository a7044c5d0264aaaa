"""The command `import`: fill data/ with the challenge's files, or with a share of them.

It is not part of `rakuten.data`, because a share keeps duplicates together, and finding them takes
the cleaned texts.
"""

import argparse
import logging
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from rakuten import console, prefetch, stage_log, storage
from rakuten.data import importing, products, resources, shares
from rakuten.data.data_folder import DataError

NLTK = "build/resources/nltk"
"""The folder of NLTK's data in the table of resources."""


def main(arguments: list[str]) -> int:
    """Run the command `import`.

    Args:
        arguments: The arguments after the command's name.

    Returns:
        The exit status: 0 if data/ was imported, 1 if it was refused.
    """
    parser = argparse.ArgumentParser(
        prog="python -m rakuten import",
        description="Check the challenge's files and fill data/. data/ is not changed if any "
        "file has an error.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="folder or archive, any depth")
    parser.add_argument(
        "--name",
        help=f'name of the data in reports and MLflow (default: "{importing.NAME}", or as before '
        "if data/ itself is imported again)",
    )
    parser.add_argument(
        "--share", type=_share, default=1.0, metavar="SHARE",
        help="import only this share of the labelled products, such as 0.05: the oldest of each "
        "category with all their duplicates, and at least 10 of each category (with the default "
        "split); its test products are test products of the whole",
    )  # fmt: skip
    for kind, lacking in (("images", "an image"), ("titles", "a title")):
        parser.add_argument(
            f"--allow-missing-{kind}", dest="allow_missing", action="append_const", const=kind,
            default=[], help=f"accept products without {lacking}",
        )  # fmt: skip
    parser.add_argument(
        "--drops",
        action="store_true",
        help="join several deliveries of one catalogue, in the given order, and apply their "
        "corrections*.csv (docs/own_data.md)",
    )
    options = vars(parser.parse_args(arguments))
    size = options.pop("share")
    share = shares.Share(size, lambda *given: choose(*given, share=size)) if size < 1 else None
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        summary = importing.import_data(options.pop("paths"), share=share, **options)
    except (
        products.InvalidProductsError, DataError, resources.ResourceError, OSError
    ) as error:  # fmt: skip
        sys.stderr.write(f"error: nothing was imported: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("error: nothing was imported: interrupted\n")
        return 1
    note = ""
    if share:
        least = shares.least_per_category(_parts(storage.read_params("split")))
        note = f"at least {least} products of each category are kept, or all that it has\n"
    console.show(f"imported {summary}\n{note}data/ and data.dvc are written; next: make repro\n")
    return 0


def choose(table: pd.DataFrame, digests: list[str], *, share: float) -> np.ndarray:
    """Choose a share of the products that the stages `clean` and `split` treat as in the whole.

    Args:
        table: Columns id, designation, description, prdtypecode; n rows.
        digests: Digests of the n images' bytes, "" where there is none.
        share: As for `shares.choose`.

    Returns:
        bool (n,), in the order of the rows.

    Raises:
        DataError: If params.yaml lacks a parameter of `clean` or `split`, or has an impossible one.
        resources.ResourceError: If the data of NLTK cannot be fetched.
    """
    from rakuten.data import splits  # scikit-learn: more than a second, for a share only

    try:
        clean, split = storage.read_params("clean", "split")
    except (KeyError, ValueError) as error:
        raise DataError(str(error.args[0])) from error
    ids, codes = table["id"].to_numpy(), table["prdtypecode"].to_numpy()
    groups = ids
    if split["keep_duplicates_together"]:
        groups = splits.duplicate_groups(ids, tokens(table, **clean), digests)
    return shares.choose(ids, codes, groups, share=share, parts=_parts(split))


def tokens(table: pd.DataFrame, **settings) -> list[str]:
    """Clean the texts as the stage `clean` does, with NLTK's data in a temporary folder."""
    from rakuten.text import cleaning  # NLTK: as above

    pinned = resources.read_table()
    with tempfile.TemporaryDirectory() as folder:
        moved = {
            name: entry | {"output": entry["output"].replace(NLTK, folder)}
            for name, entry in pinned.items()
            if Path(entry["output"]).is_relative_to(NLTK)
        }
        resources.fetch(moved, list(moved))
        columns = cleaning.clean(
            table,
            folder=folder,
            processes=prefetch.available_cpus(),
            progress=stage_log.progress,
            **settings,
        )
    return columns["tokens"]


def _parts(split: Mapping) -> tuple[float, float, float]:
    """Read the shares of train, validation and test."""
    test, validation = split["test_share"], split["validation_share"]
    return 1 - test - validation, validation, test


def _share(text: str) -> float:
    """Parse a share."""
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected above 0, at most 1, such as 0.05")
    return share
