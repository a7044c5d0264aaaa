"""Synthetic catalogue in the challenge's file formats: `python -m rakuten sample OUT`.

It can be imported, split, trained on and evaluated like the Rakuten files, and results look alike:
text beats images, both together beat text, and most confusions stay within the groups of
`rakuten.categories`. It contains nothing of the Rakuten data.

Each product has a random stream keyed by seed and index: the same arguments give the same bytes,
whatever the number of processes.
"""

import csv
import functools
import multiprocessing
import secrets
import shutil
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from rakuten import stage_log, storage
from rakuten.categories import CODES, NUM_CATEGORIES, SIZES
from rakuten.data.products import X_COLUMNS, Y_COLUMNS, image_name
from rakuten.data.sources import DATASET
from rakuten.sample.dataset import SAMPLE
from rakuten.sample.images import draw_image
from rakuten.sample.random_stream import RandomStream
from rakuten.sample.text import confusable, write_text

LABEL_NOISE = 0.03  # share of products labelled with an easily confused category
SAME_TEXT, SAME_IMAGE, SAME_BOTH = 0.012, 0.012, 0.005  # shares of duplicates
QUALITY = 92  # of JPEG: 26 KB per image on average, as in the challenge
FLOOR = 20
CHUNK = 32  # products that a process makes at a time
PLAN, TEXT, IMAGE = 0, 1, 2  # the kinds of random streams

Product = tuple[str, str, bytes | None]
"""A designation, a description and a JPEG."""


@dataclass(frozen=True)
class Recipe:
    """What one product is made of: where its text and its image come from."""

    index: int
    code: int  # the label
    text_of: int  # index of the product whose text it has, another one for a duplicate
    image_of: int
    content: int  # the true category


MakeOne = Callable[[Recipe], Product]


def class_sizes(products: int, floor: int) -> dict[int, int]:
    """Distribute products over the categories in proportion to the real sizes.

    Args:
        products: Number of products in all.
        floor: Least number of products of a category.

    Returns:
        Number of products by `prdtypecode`, ascending codes, summing to `products`.

    Raises:
        ValueError: If there are too few products for the floor.
    """
    if floor < 0 or products < NUM_CATEGORIES * floor:
        raise ValueError(
            f"{products} products for {NUM_CATEGORIES} categories and a floor of {floor}: expected "
            f"a floor of 0 or more and {NUM_CATEGORIES * max(floor, 0)} products at least; lower "
            "--floor or raise --products"
        )
    # Categories that would fall below the floor get the floor. The others share the rest, which may
    # push further ones below it: repeat until none is.
    real = np.array([SIZES[code] for code in CODES], dtype=float)
    sizes = np.zeros(NUM_CATEGORIES)
    free = np.ones(NUM_CATEGORIES, dtype=bool)
    while free.any():
        sizes[free] = (products - sizes[~free].sum()) * real[free] / real[free].sum()
        low = free & (sizes < floor)
        if not low.any():
            break
        sizes[low], free[low] = floor, False
    counts = np.floor(sizes + 1e-9).astype(int)
    largest_rest = np.argsort(counts - sizes, kind="stable")[: products - counts.sum()]
    counts[largest_rest] += 1
    return dict(zip(CODES, counts.tolist(), strict=True))


def plan(products: int, floor: int, seed: int, start: int = 0) -> list[Recipe]:
    """Decide what each product is, before any is made.

    Args:
        products: Number of products.
        floor: Least number of products of a category.
        seed: Seed of all random choices.
        start: Index of the first product.

    Returns:
        One recipe per product, by ascending index.

    Raises:
        ValueError: If there are too few products for the floor.
    """
    sizes = class_sizes(products, floor)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, PLAN, start))))
    codes = rng.permutation(np.repeat(list(sizes), list(sizes.values())))
    content = codes.copy()
    for row in np.flatnonzero(rng.random(products) < LABEL_NOISE):
        near = confusable(int(codes[row]))
        content[row] = near[int(len(near) * rng.random() ** 1.5)]
    rows = np.arange(products)
    text_of, image_of = rows.copy(), rows.copy()
    roll = rng.random(products)
    both = SAME_TEXT + SAME_IMAGE + SAME_BOTH
    for code in CODES:
        members = rows[content == code]
        originals = members[roll[members] >= both]
        if not originals.size:
            continue
        for row in members[roll[members] < both]:
            original = originals[int(rng.integers(originals.size))]
            if roll[row] < SAME_TEXT or roll[row] >= SAME_TEXT + SAME_IMAGE:
                text_of[row] = original
            if roll[row] >= SAME_TEXT:
                image_of[row] = original
    return [
        Recipe(start + row, int(codes[row]), start + int(text_of[row]), start + int(image_of[row]),
               int(content[row]))
        for row in range(products)
    ]  # fmt: skip


def make(recipe: Recipe, seed: int, quality: int | None, images: int | None = None) -> Product:
    """Make one product.

    Args:
        recipe: What it is made of.
        seed: Seed of all random choices.
        quality: JPEG quality, or None for no image.
        images: Index from which on products have no image, or None.

    Returns:
        The designation, the description ("" when it has none) and the JPEG, or None.
    """
    title, description = write_text(RandomStream(seed, TEXT, recipe.text_of), recipe.content)
    image = None
    if quality is not None and (images is None or recipe.index < images):
        image = draw_image(RandomStream(seed, IMAGE, recipe.image_of), recipe.content, quality)
    return title, description or "", image


def product_numbers(index: int) -> tuple[int, int]:
    """Compute a product's numbers: unique, and similar to the challenge's.

    Args:
        index: The challenge index.

    Returns:
        The `productid` and the `imageid`.
    """
    # Odd factors modulo a power of two: a permutation, so no number occurs twice.
    productid = 20_000_000 + index * 2_654_435_761 % 2**32
    imageid = 400_000_000 + index * 668_265_263 % 2**30
    return productid, imageid


def write_sample(
    out: str | Path,
    *,
    products: int,
    test_products: int = 0,
    seed: int = 0,
    floor: int = FLOOR,
    quality: int | None = QUALITY,
    images: int | None = None,
    processes: int = 1,
) -> None:
    """Write a synthetic catalogue in the challenge's file formats.

    Args:
        out: The folder to write: `X_train_update.csv`, `Y_train_CVw08PX.csv`, `images.zip`
            (not compressed, members `images/image_train/...`), `dataset.json` with the name that
            the import gives the data, and with `test_products` `X_test_update.csv`. It must be new
            or empty, and appears once everything is written.
        products: Number of labelled products, indices from 0.
        test_products: Number of unlabelled products, indices following.
        seed: Seed of all random choices.
        floor: Least number of labelled products of a category.
        quality: JPEG quality 1..95, or None for no images.
        images: Number of products with an image, the first ones; all if None.
        processes: Number of processes that make products. It does not change the result.

    Raises:
        ValueError: If there are too few products for the floor, or the quality is out of range.
        FileExistsError: If `out` holds files, or is one.
    """
    out = Path(out)
    if quality is not None and not 1 <= quality <= 95:
        raise ValueError(f"JPEG quality {quality}: expected 1 to 95; correct --quality")
    if images is not None and images < 0:
        raise ValueError(f"images of {images} products: expected 0 or more; correct --images")
    if test_products < 0:
        raise ValueError(
            f"{test_products} test products: expected 0 or more; correct --test-products"
        )
    recipes = plan(products, floor, seed)
    recipes_test = plan(test_products, 0, seed, start=products)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(
            f"{out} is not empty: a sample is never written over files; name a new folder or "
            "remove what is there"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{secrets.token_hex(8)}")  # mkdtemp ignores the umask
    partial.mkdir()
    try:
        make_one = functools.partial(make, seed=seed, quality=quality, images=images)
        made = _make_all([*recipes, *recipes_test], make_one, processes)
        bar = stage_log.progress(
            made, total=products + test_products, unit="product", description="sample"
        )
        _write_files(partial, recipes, recipes_test, iter(bar), quality is not None)
        storage.write_json(partial / DATASET, {"name": SAMPLE})
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_files(
    folder: Path,
    recipes: list[Recipe],
    recipes_test: list[Recipe],
    made: Iterator[Product],
    images: bool,
) -> None:
    """Write the tables and the archive, one product at a time."""
    with ExitStack() as stack:
        archive = None
        if images:
            archive = stack.enter_context(
                zipfile.ZipFile(folder / "images.zip", "w", zipfile.ZIP_STORED)
            )
        labels = stack.enter_context(_table(folder / "Y_train_CVw08PX.csv"))
        y = csv.writer(labels, lineterminator="\n")
        y.writerow(Y_COLUMNS)
        y.writerows((recipe.index, recipe.code) for recipe in recipes)
        parts = [("train", recipes)] + ([("test", recipes_test)] if recipes_test else [])
        for part, products in parts:
            x = csv.writer(
                stack.enter_context(_table(folder / f"X_{part}_update.csv")), lineterminator="\n"
            )
            x.writerow(X_COLUMNS)
            for recipe in products:
                title, description, image = next(made)
                productid, imageid = product_numbers(recipe.index)
                x.writerow((recipe.index, title, description, productid, imageid))
                if archive and image is not None:
                    name = f"images/image_{part}/{image_name(imageid, productid)}"
                    member = zipfile.ZipInfo(name, storage.ZIP_EPOCH)
                    member.create_system, member.external_attr = 3, 0o644 << 16
                    archive.writestr(member, image)
        next(made, None)  # so that the progress bar closes


def _table(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="")


def _make_all(recipes: list[Recipe], make_one: MakeOne, processes: int) -> Iterator[Product]:
    """Make the products in order, in this process or in several, a few chunks in advance."""
    if processes <= 1:
        yield from map(make_one, recipes)
        return
    chunks = (recipes[at : at + CHUNK] for at in range(0, len(recipes), CHUNK))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        pending: deque[Future[list[Product]]] = deque()
        for chunk in chunks:
            pending.append(pool.submit(_make_chunk, chunk, make_one))
            if len(pending) > 4 * processes:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


def _make_chunk(recipes: list[Recipe], make_one: MakeOne) -> list[Product]:
    return [make_one(recipe) for recipe in recipes]
