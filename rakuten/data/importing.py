"""Import of the challenge's files: `python -m rakuten import PATH...` fills data/.

Everything given is checked before anything changes, and a refusal lists every kind of fault. When
anything fails, data/ and data.dvc are as they were.
"""

import shutil
import zipfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rakuten import storage
from rakuten.data import corrections, import_checks, products
from rakuten.data.archives import Faults
from rakuten.data.data_folder import (
    IMAGES,
    NEW,
    DataError,
    dvc_add,
    replace_data,
    staging_folder,
)
from rakuten.data.shares import Share
from rakuten.data.sources import DATASET, Key, Sources

NAME = "imported data"
"""The name of data that were not given another."""


@dataclass(frozen=True)
class Summary:
    """Counts of what an import put into data/.

    Attributes:
        products: Rows of X_train.csv.
        categories: Distinct prdtypecode among them.
        test_products: Rows of X_test.csv, None without that file.
        images: Members of images.zip.
        image_bytes: Their bytes.
        without_text: Products of X_train and X_test with neither title nor description.
        without_title: Those without a title.
        without_image: Those without an image.
        unused_images: Images given that no row names; they were checked and left out.
        of_products: Labelled products of the catalogue of which a share was imported, None if all
            were imported.
        relabelled: Labelled products whose code was corrected by this import, None if no
            corrections were given.
    """

    products: int
    categories: int
    test_products: int | None
    images: int
    image_bytes: int
    without_text: int
    without_title: int
    without_image: int
    unused_images: int
    of_products: int | None = None
    relabelled: int | None = None

    def __str__(self) -> str:
        test = "" if self.test_products is None else f", {self.test_products} products to predict"
        of = "" if self.of_products is None else f" of {self.of_products}"
        relabelled = "" if self.relabelled is None else f"\ncorrected labels: {self.relabelled}"
        return (
            f"{self.products}{of} products in {self.categories} categories{test}, "
            f"{self.images} images ({self.image_bytes / 1e6:.1f} MB)\n"
            f"missing: {self.without_title} titles ({self.without_text} products have no text), "
            f"{self.without_image} images; left out: {self.unused_images} images that no row names"
            f"{relabelled}"
        )


def import_data(
    paths: Iterable[str | Path],
    root: str | Path = ".",
    *,
    name: str | None = None,
    allow_missing: Collection[str] = (),
    drops: bool = False,
    share: Share | None = None,
    track: Callable[[Path], None] = dvc_add,
) -> Summary:
    """Check the challenge's files, write data/ and update data.dvc: all of it or nothing.

    Args:
        paths: Folders, archives, or single files that hold X_train*.csv, Y_train*.csv, the images,
            and X_test*.csv if wanted; at any depth, in archives within archives too. An earlier
            data/ is such a folder.
        root: The repository's root, where data/ and data.dvc are.
        name: The name of the data in reports and MLflow; None for "imported data", or that of an
            earlier data/.
        allow_missing: "images" accepts products without an image if they have a text, "titles"
            those without a title if they have an image or a description.
        drops: Whether different tables of one name are drops of one catalogue, to be joined in the
            order of `paths`, and files corrections*.csv correct their labels; otherwise they are a
            fault.
        share: Import this part of the labelled products, without X_test. All rows are checked, and
            the images of this part.
        track: Called with `root` when data/ is in place, to update data.dvc.

    Returns:
        What was imported.

    Raises:
        products.InvalidProductsError: If the files have faults; its message lists every kind.
        DataError: If this is not a DVC repository, another import runs, or DVC fails.
    """
    root = Path(root).resolve()
    with staging_folder(root) as staging:
        with Sources(staging / "scratch") as sources:
            for path in paths:
                sources.add(Path(path))
            contents = import_checks.read_tables(sources.tables, sources.faults, drops=drops)
            if not contents.keys() >= import_checks.CHALLENGE_NAMES.keys():
                remedy = "save them as CSV in UTF-8, with commas"
                sources.faults.add("tables of another format", sources.other_tables, remedy)
            tables, given = import_checks.parse_tables(contents, sources.faults)
            codes = import_checks.correct(given, sources.corrections, sources.faults, drops=drops)
            earlier = import_checks.read_descriptions(sources.descriptions)
            wanted = _match_images(tables, sources)
            for part, table in tables.items():
                import_checks.check_modalities(
                    table,
                    f"X_{part}.csv",
                    sources.faults,
                    allow_missing=allow_missing,
                )
            places = [image.entry.place for image in sources.images] + sources.other_images
            import_checks.check_image_names(tables, places, sources.faults)
            jobs = import_checks.image_jobs(sources.images, wanted)
            whole = len(tables.get("train", ()))
            if not sources.faults.problems() and not codes.equals(given):
                contents["Y_train.csv"] = import_checks.relabel(contents["Y_train.csv"], codes)
            if share and not sources.faults.problems():
                first = {corrections.RELABELLED: corrections.relabelled(earlier, given, codes)}
                known = codes.assign(prdtypecode=corrections.first_codes(codes, first))
                ids = _choose(share, tables["train"], known, jobs)
                contents = {
                    table_name: import_checks.select_rows(content, ids)
                    for table_name, content in contents.items()
                    if table_name != "X_test.csv"
                }
                tables, codes = import_checks.parse_tables(contents, sources.faults)
                jobs = import_checks.image_jobs(sources.images, _match_images(tables, sources))
                jobs = [job for job in jobs if job[0]]
            images, image_bytes = _write_images(jobs, staging / NEW, sources.faults)
        for table_name, content in contents.items():
            storage.write_bytes(staging / NEW / table_name, content)
        deliveries = len(sources.tables["X_train.csv"])
        names = {one["name"] for one in earlier} if len(earlier) == deliveries else set()
        described = dict(earlier[0]) if len(earlier) == deliveries == 1 else {}  # imported before
        described.pop(corrections.RELABELLED, None)
        name = name or (names.pop() if len(names) == 1 else NAME)
        described |= _describe(name, share, len(codes), whole)
        if relabelled := corrections.relabelled(earlier, given, codes):
            described[corrections.RELABELLED] = relabelled
        storage.write_json(staging / NEW / DATASET, described)
        replace_data(root, staging, track)
    rows = pd.concat(tables.values())
    return Summary(
        products=len(tables["train"]),
        categories=codes["prdtypecode"].nunique(),
        test_products=len(tables["test"]) if "test" in tables else None,
        images=images,
        image_bytes=image_bytes,
        without_text=int((~products.has_text(rows)).sum()),
        without_title=int(rows["designation"].isna().sum()),
        without_image=int((~rows["has_image"]).sum()),
        unused_images=sum(not member for member, _ in jobs),
        of_products=whole if share else None,
        relabelled=len(corrections.relabelled([], given, codes)) if sources.corrections else None,
    )


def _describe(name: str, share: Share | None, count: int, whole: int) -> dict[str, Any]:
    """Name the data in reports; a share is part of the name, so that no figure lacks it."""
    if not share:
        return {"name": name}
    part = f"{100 * count / whole:.3g} % of the products, by import --share {share.size:g}"
    return {"name": f"{name} ({part})", "share": share.size, "of_products": whole}


def _choose(
    share: Share, table: pd.DataFrame, codes: pd.DataFrame, jobs: list[import_checks.Job]
) -> np.ndarray:
    """Choose the ids of a share."""
    table = table.merge(codes, on="id", validate="one_to_one")
    digests = import_checks.digest_images(jobs)
    names = [import_checks.member("train", *key[1:]) for key in import_checks.keys("train", table)]
    chosen = share.choose(table, [digests.get(name, "") for name in names])
    return table["id"].to_numpy()[chosen]


def _match_images(tables: dict[str, pd.DataFrame], sources: Sources) -> set[Key]:
    """Add a column has_image to each table, and collect the keys of the rows that have one."""
    available = {key for image in sources.images for key in image.row_keys()}
    wanted: set[Key] = set()
    for part, table in tables.items():
        keys = import_checks.keys(part, table)
        table["has_image"] = np.array([key in available for key in keys], dtype=bool)
        wanted |= available & set(keys)
    return wanted


def _write_images(jobs: list[import_checks.Job], target: Path, faults: Faults) -> tuple[int, int]:
    """Check all images and write the archive, or raise with every kind of fault."""
    target.mkdir(parents=True)
    if faults.problems():  # nothing will be imported, but the images' faults are listed too
        import_checks.copy_images(jobs, None, faults)
        raise products.InvalidProductsError(faults.problems())
    size = sum(entry.size for member, entry in jobs if member)
    free = shutil.disk_usage(target).free
    if size > free:
        needed = f"the images need {size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        raise DataError(f"{needed} on the disk of data/: free some space")
    with storage.atomic(target / IMAGES) as file, zipfile.ZipFile(file, "w") as archive:
        written = import_checks.copy_images(jobs, archive, faults)
    if faults.problems():
        raise products.InvalidProductsError(faults.problems())
    return written
