"""What to know before trusting a test figure: leakage from train and labels that look wrong.

Sellers list one product in many variants, under texts and pictures that differ in a word or in the
compression. `splits` keeps exact twins in one part; what is left is found here. Tables come out in
ascending id, or ranked where a docstring says so, and do not depend on the order of the rows given.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from PIL import Image
from scipy import sparse
from scipy.fft import dctn

from rakuten.categories import CODES, NAMES, NUM_CATEGORIES, to_codes
from rakuten.data.examples import PARTS, check_ids
from rakuten.evaluation import similarity
from rakuten.image import preprocessing as images
from rakuten.storage import DIGITS

KINDS = ("text", "image", "either")
"""What a near-duplicate resembles a train product by."""

HASH_BITS = 64

_GRAM = 4  # letters; shorter ones are in every text, longer ones miss word endings
_GRAM_COLUMNS = 2**21  # 84,916 products have some 800,000 distinct grams
_HASH_BLOCK = 16
_PICTURES_AHEAD = 128  # pictures read from the archive at once


def describe(products: pd.DataFrame, parts: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Put together what an audit needs to know of each product.

    Args:
        products: Columns id and label, n products.
        parts: Columns id and part, in the order of `products`.
        facts: Columns id and has_image, in the order of `products`.

    Returns:
        id, label, part, has_image; n rows in the same order.

    Raises:
        ValueError: If the tables hold other products or another order.
    """
    ids = products["id"].to_numpy()
    check_ids(ids, parts["id"].to_numpy(), "parts")
    check_ids(ids, facts["id"].to_numpy(), "facts of the images")
    columns = {"part": parts["part"].to_numpy(), "has_image": facts["has_image"].to_numpy()}
    return products[["id", "label"]].assign(**columns)


def near_duplicate_texts(
    ids: np.ndarray,
    texts: Sequence[str],
    labels: np.ndarray,
    parts: np.ndarray,
    *,
    text_similarity: float,
    threads: int,
    progress: Callable[..., Iterable] | None = None,
) -> pd.DataFrame:
    """Find the validation and test products whose text is all but a train product's.

    Texts are compared by the cosine of their character 4-grams inside words, each weighing
    (1 + ln count) * idf with the idf of the train texts: a number or a colour changed costs little,
    another subject in the same phrases much. Grams are hashed, so that those that no train text has
    count as differences. The result is that of comparing every pair (`similarity.most_similar`).

    Args:
        ids: int64 (n,), unique, in any order.
        texts: The n plain texts, title and description; one without a gram resembles nothing.
        labels: int64 (n,), class indices or codes.
        parts: str (n,), each one of `PARTS`.
        text_similarity: The least cosine of a near-duplicate, above 0 and up to 1.
        threads: Blocks compared at the same time; changes nothing in the result.
        progress: Wraps the iterable of finished blocks in a bar, as `stage_log.progress` does.

    Returns:
        `id`, `part`, `train_id`, `similarity` (six decimals), `same_label` (bool): one row for each
        product outside train whose most similar train product reaches `text_similarity`; among
        equally similar ones that of the smallest id.

    Raises:
        ValueError: If `text_similarity` is out of its range.
    """
    if not 0 < text_similarity <= 1:
        raise ValueError(
            f"text_similarity must be above 0 and at most 1, received {text_similarity}"
        )
    order = np.argsort(ids, kind="stable")
    train, others = _train_and_others(order, parts)
    if not (train.size and others.size):
        return _pairs(ids, labels, parts, others[:0], train[:0], "similarity", np.zeros(0))
    texts = np.asarray(texts, dtype=object)
    train_grams, other_grams = _weigh_grams(texts[train], texts[others])
    best, cosine = similarity.most_similar(
        other_grams,
        train_grams,
        least=text_similarity,
        digits=DIGITS,
        threads=threads,
        progress=progress,
    )
    found = best >= 0
    cosine = cosine[found].astype(np.float64).round(DIGITS).clip(max=1.0)
    return _pairs(ids, labels, parts, others[found], train[best[found]], "similarity", cosine)


def perceptual_hash(
    pixels: np.ndarray | Image.Image, box: tuple[int, int, int, int] | None = None
) -> np.uint64:
    """Summarise a picture in 64 bits that scaling and compression hardly change (the pHash).

    The picture is shrunk to 32 by 32 greys; a bit says whether one of the 8 by 8 lowest
    coefficients of their cosine transform is above the median of all but the first. Comparing
    neighbouring greys instead (the dHash) takes a lamp, a bath mat and a string of beads, each dark
    in the middle of every row, for one picture.

    Args:
        pixels: uint8 (height, width, 3) or a Pillow image.
        box: The (left, top, right, bottom) to look at, e.g. of `preprocessing.border_box`, so that the
            width of the border does not count; the whole picture if None.

    Returns:
        The bits row by row, the first the most significant. At most that one is set for a picture
        of one colour.
    """
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    small = image.crop(box or (0, 0, *image.size)).convert("L")
    greys = np.asarray(small.resize((32, 32), Image.Resampling.BILINEAR), dtype=np.float64)
    lowest = dctn(greys, norm="ortho")[:8, :8].round(DIGITS)  # even colour: 0, not 1e-14
    bits = np.packbits(lowest > np.median(lowest.ravel()[1:]))
    return np.uint64(int.from_bytes(bits.tobytes(), "big"))


def hash_pictures(
    read: Callable[[str], bytes],
    names: Sequence[str],
    facts: pd.DataFrame,
    *,
    threads: int,
    progress: Callable[..., Iterable] | None = None,
) -> np.ndarray:
    """Hash the pictures of products, each without its border.

    Args:
        read: An archive's bytes by name.
        names: The n names of the products' pictures.
        facts: Columns has_image and those of `preprocessing.Facts`, n rows.
        threads: Pictures decoded at the same time; changes nothing in the result.
        progress: Wraps the iterable of blocks in a bar, as `stage_log.progress` does.

    Returns:
        uint64 (n,) of `perceptual_hash`, 0 where there is no picture.
    """
    hashes = np.zeros(len(names), np.uint64)
    rows = np.flatnonzero(facts["has_image"])
    boxes = facts[["left", "top", "right", "bottom"]].to_numpy(np.int64)[rows].tolist()

    def hash_one(content: bytes, box: list[int]) -> np.uint64:
        return perceptual_hash(images.decode(content), tuple(box))

    starts: Iterable[int] = range(0, len(rows), _PICTURES_AHEAD)
    if progress:
        starts = progress(starts, total=len(starts), unit="block", description="near pictures")
    with ThreadPoolExecutor(threads) as pool:
        for start in starts:
            some = slice(start, start + _PICTURES_AHEAD)
            contents = [read(names[row]) for row in rows[some]]  # archives are not safe to share
            hashes[rows[some]] = list(pool.map(hash_one, contents, boxes[some]))
    return hashes


def has_structure(hashes: np.ndarray, *, min_structure: int) -> np.ndarray:
    """Tell which hashes are of pictures that show something.

    Args:
        hashes: uint64 (n,) of `perceptual_hash`.
        min_structure: The least number of bits set, and of bits not set. Blank pictures set none,
            shades from dark to light all.

    Returns:
        bool (n,).
    """
    bits = np.bitwise_count(np.asarray(hashes, dtype=np.uint64)).astype(np.int64)
    return np.minimum(bits, HASH_BITS - bits) >= min_structure


def near_duplicate_images(
    ids: np.ndarray,
    hashes: np.ndarray,
    labels: np.ndarray,
    parts: np.ndarray,
    present: np.ndarray,
    *,
    hash_distance: int,
    min_structure: int,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Find the validation and test products whose picture is all but a train product's.

    Every pair of hashes is compared, exactly and for any distance: counting bits is so quick that
    an index would save seconds.

    Args:
        ids: int64 (n,), unique, in any order.
        hashes: uint64 (n,) of `perceptual_hash`; what stands where there is no picture is not read.
        labels: int64 (n,), class indices or codes.
        parts: str (n,), each one of `PARTS`.
        present: bool (n,), whether the product has a picture.
        hash_distance: The most bits, 0 to 64, in which near-duplicates differ.
        min_structure: As for `has_structure`; pictures without resemble nothing.

    Returns:
        `id`, `part`, `train_id`, `distance` (int64), `same_label` (bool): one row for each product
        outside train whose nearest train product is within `hash_distance`; among equally near
        ones that of the smallest id. And how many `pictures` there are, `flat` ones left out.

    Raises:
        ValueError: If `hash_distance` is out of its range.
    """
    if not 0 <= hash_distance <= HASH_BITS:
        raise ValueError(f"hash_distance must be 0 to {HASH_BITS} bits, received {hash_distance}")
    hashes = np.asarray(hashes, dtype=np.uint64)
    usable = present & has_structure(hashes, min_structure=min_structure)
    counts = {"pictures": int(present.sum()), "flat": int((present & ~usable).sum())}
    order = np.argsort(ids, kind="stable")
    train, others = _train_and_others(order[usable[order]], parts)
    best = np.zeros(others.size, np.int64)
    distance = np.full(others.size, HASH_BITS + 1, np.int64)
    for start in range(0, others.size if train.size else 0, _HASH_BLOCK):
        block = slice(start, start + _HASH_BLOCK)
        bits = np.bitwise_count(hashes[others[block], None] ^ hashes[train])  # (block, train) uint8
        best[block] = bits.argmin(axis=1)  # the first of equals, that is the smallest id
        distance[block] = bits.min(axis=1)
    found = distance <= hash_distance
    table = _pairs(
        ids, labels, parts, others[found], train[best[found]], "distance", distance[found]
    )
    return table, counts


def leakage(
    rows: pd.DataFrame,
    texts: Sequence[str],
    hashes: np.ndarray,
    judged: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    text_similarity: float,
    hash_distance: int,
    min_structure: int,
    threads: int,
    progress: Callable[..., Iterable] | None = None,
) -> tuple[dict[str, pd.DataFrame], dict]:
    """Look for near-duplicates by text and by picture, and say what they do to the figures.

    Args:
        rows: Columns id, label, part and has_image, n products in any order.
        texts: As for `near_duplicate_texts`.
        hashes: As for `near_duplicate_images`.
        judged: What `judge` returned of the same products.
        text_similarity: As for `near_duplicate_texts`.
        hash_distance: As for `near_duplicate_images`.
        min_structure: As for `near_duplicate_images`.
        threads: As for `near_duplicate_texts`.
        progress: As for `near_duplicate_texts`.

    Returns:
        The tables near_texts, near_images and leakage (on test), and the summary: parts, as
        `leakage_summary` has it, and hashes, the pictures looked at and those left out.
    """
    ids, labels, present = (rows[name].to_numpy() for name in ("id", "label", "has_image"))
    parts = rows["part"].to_numpy(str)
    near_texts = near_duplicate_texts(
        ids, texts, labels, parts,
        text_similarity=text_similarity, threads=threads, progress=progress,
    )  # fmt: skip
    near_images, counts = near_duplicate_images(
        ids, hashes, labels, parts, present,
        hash_distance=hash_distance, min_structure=min_structure,
    )  # fmt: skip
    test = parts == "test"
    correct = {model: right[test] for model, (_, right) in judged.items()}
    flattered = leakage_table(ids[test], correct, near_texts, near_images)
    tables = {"near_texts": near_texts, "near_images": near_images, "leakage": flattered}
    summary = leakage_summary(ids, parts, near_texts, near_images)
    return tables, {"parts": summary, "hashes": counts}


def leakage_summary(
    ids: np.ndarray, parts: np.ndarray, texts: pd.DataFrame, images: pd.DataFrame
) -> dict[str, dict[str, int | float | None]]:
    """Count the products of each part that have a near-duplicate in train.

    Args:
        ids: int64 (n,), unique, in any order.
        parts: str (n,), each one of `PARTS`.
        texts: Table of `near_duplicate_texts`.
        images: Table of `near_duplicate_images`.

    Returns:
        Part -> `products`; for the parts outside train also, for each of `KINDS`, the number of
        products with a near-duplicate, `<kind>_share` of the part's products (None in an empty
        part) and `<kind>_other_label`, those of them whose near-duplicate has another label, by
        text or by image for `either`.
    """
    found = _by_kind(texts, images)
    different = _by_kind(texts[~texts["same_label"]], images[~images["same_label"]])
    summary = {}
    for part in PARTS:
        members = ids[parts == part]
        summary[part] = {"products": len(members)}
        for kind in KINDS if part != "train" else ():
            count = int(np.isin(members, found[kind]).sum())
            share = round(count / len(members), DIGITS) if len(members) else None
            other_label = int(np.isin(members, different[kind]).sum())
            summary[part] |= {
                kind: count,
                f"{kind}_share": share,
                f"{kind}_other_label": other_label,
            }
    return summary


def sentence(summary: Mapping[str, Mapping[str, int | float | None]]) -> str:
    """Say in a line how much of test is all but in train.

    Args:
        summary: As `leakage_summary` has it.

    Returns:
        E.g. `4.1 % of 16,984 test products have a near-duplicate in train (text 2.9 %, image
        1.7 %)`.
    """
    test = summary["test"]
    if not test["products"]:
        return "no test products to look for in train"
    either, text, image = (f"{test[f'{kind}_share']:.1%}" for kind in ("either", "text", "image"))
    line = (
        f"{either} of {test['products']:,} test products have a near-duplicate in train "
        f"(text {text}, image {image})"
    )
    return line.replace("%", " %")


def leakage_table(
    ids: np.ndarray,
    correct: Mapping[str, np.ndarray],
    texts: pd.DataFrame,
    images: pd.DataFrame,
) -> pd.DataFrame:
    """Measure the models on products with and without a near-duplicate in train.

    The difference is at most what leakage flatters by: products listed in many variants may be
    easy ones besides.

    Args:
        ids: int64 (n,), products of one part, e.g. test, in any order.
        correct: Model -> (n,) in the order of `ids`: true or 1 where it is right, false or 0 where
            it is wrong, NaN where it cannot score the product.
        texts: Table of `near_duplicate_texts`; rows of other products are not read.
        images: Table of `near_duplicate_images`, likewise.

    Returns:
        One row per model and each of `KINDS`: `model`, `near_duplicate`, `rows` and `accuracy` of
        all products that the model can score, `rows_with`, `accuracy_with`, `rows_without`,
        `accuracy_without`, and `flattered_by`, accuracy - accuracy_without. NaN without rows.
    """
    found = _by_kind(texts, images)
    records = []
    for model, values in correct.items():
        values = np.asarray(values, dtype=np.float64)
        known = ~np.isnan(values)
        for kind in KINDS:
            near = np.isin(ids, found[kind])
            rows, accuracy = _accuracy(values[known])
            rows_with, accuracy_with = _accuracy(values[known & near])
            rows_without, accuracy_without = _accuracy(values[known & ~near])
            records.append(
                {
                    "model": model,
                    "near_duplicate": kind,
                    "rows": rows,
                    "accuracy": accuracy,
                    "rows_with": rows_with,
                    "accuracy_with": accuracy_with,
                    "rows_without": rows_without,
                    "accuracy_without": accuracy_without,
                    "flattered_by": accuracy - accuracy_without,
                }
            )
    counts = ["rows", "rows_with", "rows_without"]
    shares = ["accuracy", "accuracy_with", "accuracy_without", "flattered_by"]
    columns = ["model", "near_duplicate", *counts[:1], *shares[:1]]
    columns += ["rows_with", "accuracy_with", "rows_without", "accuracy_without", "flattered_by"]
    table = pd.DataFrame(records, columns=columns)
    table[shares] = table[shares].astype(np.float64).round(DIGITS)
    return table.astype(dict.fromkeys(counts, np.int64))


def suspect_labels(
    ids: np.ndarray, labels: np.ndarray, probabilities: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find the products whose label looks wrong, by confident learning.

    A class's threshold is the mean probability that its own products are given for it. A product is
    suspected if another class reaches its threshold and is more probable than the product's own.
    Source: Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset
    labels", 2021, equation 1.

    Args:
        ids: int64 (n,), unique, in any order.
        labels: int64 (n,), the class indices given.
        probabilities: float (n, 27), each row from a model that did not see it, as out-of-fold
            ones are: a model that learned the labels by heart suspects none. Rows of NaN are left
            out.

    Returns:
        The suspected products, widest margin first, then by id: `id`, `given`, `suggested` (codes;
        the most probable class that reaches its threshold, the smaller code of equals),
        `probability_given`, `probability_suggested` and `margin`, their difference. And one row per
        class in the order of the codes: `code`, `name`, `rows`, `threshold` (NaN without rows),
        `suspected`, `share` of its rows (NaN without rows).

    Raises:
        ValueError: If the probabilities' shape is not (n, 27).
    """
    if probabilities.shape != (len(ids), NUM_CATEGORIES):
        raise ValueError(
            f"probabilities: expected shape {(len(ids), NUM_CATEGORIES)}, received "
            f"{probabilities.shape}: one row per product, one column per class index"
        )
    order = np.argsort(ids, kind="stable")
    order = order[~np.isnan(probabilities[order]).any(axis=1)]
    ids, labels = np.asarray(ids)[order], np.asarray(labels)[order]
    probabilities = probabilities[order].astype(np.float64)
    rows = np.arange(len(ids))
    own = probabilities[rows, labels]
    sizes = np.bincount(labels, minlength=NUM_CATEGORIES)
    sums = np.bincount(labels, weights=own, minlength=NUM_CATEGORIES)
    thresholds = np.divide(sums, sizes, out=np.full(NUM_CATEGORIES, np.nan), where=sizes > 0)
    reached = (probabilities >= thresholds) & (probabilities > own[:, None])  # NaN reaches nothing
    suggested = np.where(reached, probabilities, -1).argmax(axis=1)
    suspected = reached.any(axis=1)
    table = pd.DataFrame(
        {
            "id": ids,
            "given": to_codes(labels),
            "suggested": to_codes(suggested),
            "probability_given": own.round(DIGITS),
            "probability_suggested": probabilities[rows, suggested].round(DIGITS),
            "margin": (probabilities[rows, suggested] - own).round(DIGITS),
        }
    )[suspected]
    table = table.sort_values(["margin", "id"], ascending=[False, True], ignore_index=True)
    counts = np.bincount(labels[suspected], minlength=NUM_CATEGORIES)
    classes = pd.DataFrame(
        {
            "code": CODES,
            "name": [NAMES[code] for code in CODES],
            "rows": sizes,
            "threshold": thresholds.round(DIGITS),
            "suspected": counts,
            "share": np.where(sizes > 0, counts / np.maximum(sizes, 1), np.nan).round(DIGITS),
        }
    )
    return table, classes


def judge(
    ids: np.ndarray, labels: np.ndarray, outputs: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Tell what each model says of every product and where it is right.

    Args:
        ids: int64 (n,), the products in product order.
        labels: int64 (n,), class indices.
        outputs: By model its arrays ids, present bool (n,), probabilities (n, 27).

    Returns:
        By model the probabilities (n, 27), and 1 or 0, float64 (n,), for right or wrong; NaN in
        both where the model cannot score the product.

    Raises:
        ValueError: If a model's ids are not `ids`.
    """
    judged = {}
    for model, arrays in outputs.items():
        check_ids(ids, arrays["ids"], f"outputs of {model}")
        known = arrays["present"]
        right = arrays["probabilities"].argmax(axis=1) == labels
        judged[model] = (
            np.where(known[:, None], arrays["probabilities"], np.nan),
            np.where(known, right, np.nan),
        )
    return judged


def _train_and_others(order: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide row numbers into those of train rows and all others, each in the order given."""
    in_train = np.asarray(parts)[order] == "train"
    return order[in_train], order[~in_train]


def _weigh_grams(
    train: np.ndarray, others: np.ndarray
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Turn texts into rows of length 1, float32; a text without a gram into zeros."""
    # Seconds, in which the stage has long said what it does.
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    counter = HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(_GRAM, _GRAM),
        n_features=_GRAM_COLUMNS,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    weigher = TfidfTransformer(sublinear_tf=True)
    train_grams = weigher.fit_transform(counter.transform(train))
    return sparse.csr_array(train_grams), sparse.csr_array(
        weigher.transform(counter.transform(others))
    )


def _pairs(
    ids: np.ndarray,
    labels: np.ndarray,
    parts: np.ndarray,
    rows: np.ndarray,
    twins: np.ndarray,
    measure: str,
    values: np.ndarray,
) -> pd.DataFrame:
    """Put rows and their near-duplicates in train side by side."""
    ids, labels = np.asarray(ids), np.asarray(labels)
    return pd.DataFrame(
        {
            "id": ids[rows],
            "part": np.asarray(parts, dtype=object)[rows],
            "train_id": ids[twins],
            measure: values,
            "same_label": labels[rows] == labels[twins],
        }
    )


def _by_kind(texts: pd.DataFrame, images: pd.DataFrame) -> dict[str, np.ndarray]:
    """List the ids that have a near-duplicate of each of `KINDS`."""
    text, image = texts["id"].to_numpy(), images["id"].to_numpy()
    return {"text": text, "image": image, "either": np.union1d(text, image)}


def _accuracy(correct: np.ndarray) -> tuple[int, float]:
    """Count the rows and the share of them that is right, NaN without rows."""
    return len(correct), float(correct.mean()) if len(correct) else np.nan
