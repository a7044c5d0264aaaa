"""Describe the catalogue: balance, missing values, texts, languages, borders, colours, features.

Tables per category always have 27 rows in the order of the codes; a value is NaN where there are
no products to compute it from.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from rakuten.categories import CODES, GROUPS, NUM_CATEGORIES, SIZES
from rakuten.category_names import category
from rakuten.data.examples import check_ids
from rakuten.storage import DIGITS

LENGTHS = {
    "title": "title, characters",
    "description": "description, characters",
    "tokens": "tokens kept after cleaning",
}
"""The three lengths of a text, with their units."""

MARKUP = {"tags": r"</?[A-Za-z][^<>]*>", "entities": r"&(?:#\d+|#[xX][0-9A-Fa-f]+|[A-Za-z]\w*);"}
"""HTML in a raw text, by regular expression: `<br>`, `&eacute;`."""

COLOURS = ("red", "green", "blue")

LENGTH_BINS = 30
"""Maximum number of bins of a histogram of lengths."""


def join(products: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Join text and image facts of each product.

    Args:
        products: Table of the clean stage, n products in ascending id.
        images: Table of the extract stage, the same products in the same order.

    Returns:
        n rows in ascending id: the columns of both tables, and `has_description` (bool): the
        description holds more than whitespace.

    Raises:
        ValueError: If the two tables hold other products or another order.
    """
    check_ids(products["id"].to_numpy(), images["id"].to_numpy(), "images")
    described = products["description"].fillna("").str.strip().ne("").to_numpy(bool)
    images = images.drop(columns="id").set_axis(products.index)
    return pd.concat([products, images], axis=1).assign(has_description=described)


def tables(
    catalogue: pd.DataFrame,
    features: Mapping[str, np.ndarray],
    *,
    points: int,
    words: int,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Compute all tables of the stage `explore`, by file name.

    Args:
        catalogue: Table of `join`, n products.
        features: Arrays `ids` (n,), `present` (n,) and `features` (n, d) of the extract stage.
        points: Number of products in the projection.
        words: Number of typical words of each category.
        seed: Seed of the sample of these products.

    Returns:
        `balance`, `missing`, `markup`, `lengths`, `length_histograms`, `texts`, `languages`,
        `images`, `projection`.
    """
    return {
        "balance": balance_table(catalogue),
        "missing": missing_table(catalogue),
        "markup": markup_table(catalogue),
        "lengths": length_table(catalogue),
        "length_histograms": length_histograms(catalogue),
        "texts": text_table(catalogue, num_words=words),
        "languages": language_table(catalogue),
        "images": image_table(catalogue),
        "projection": projection_table(catalogue, **features, points=points, seed=seed),
    }


def balance_table(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Count the products of each category, and compare with the challenge.

    Args:
        catalogue: Table of `join`, n products.

    Returns:
        27 rows: `code`, `name`, `group` (of confusable categories, "" for none), `products`,
        `share` of all, `challenge_share` in the challenge's 84,916 training rows.
    """
    counts = _counts(catalogue["label"])
    groups = {code: group for group, codes in GROUPS.items() for code in codes}
    sizes = np.array([SIZES[code] for code in CODES])
    return _categories().assign(
        group=[groups.get(code, "") for code in CODES],
        products=counts,
        share=np.round(counts / max(counts.sum(), 1), DIGITS),
        challenge_share=np.round(sizes / sizes.sum(), DIGITS),
    )


def missing_table(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Count missing descriptions, texts and images in each category.

    Args:
        catalogue: Table of `join`, n products.

    Returns:
        27 rows: `code`, `name`, `products`, and of them those with `no_description`, `no_text`
        (neither title nor description) and `no_image`.
    """
    gaps = {
        "no_description": ~catalogue["has_description"],
        "no_text": ~catalogue["has_text"],
        "no_image": ~catalogue["has_image"],
    }
    counts = {name: _counts(catalogue["label"][gap]) for name, gap in gaps.items()}
    return _categories().assign(products=_counts(catalogue["label"]), **counts)


def markup_table(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Count titles and descriptions that contain HTML, before cleaning.

    Args:
        catalogue: Table of `join`, n products.

    Returns:
        Two rows, `field` "title" and "description": `products` that have one, and of them those
        with `tags`, `entities` and `either`.
    """
    texts = {
        "title": catalogue["designation"].dropna(),
        "description": catalogue["description"][catalogue["has_description"]],
    }
    records = []
    for field, values in texts.items():
        found = [values.astype(str).str.contains(pattern) for pattern in MARKUP.values()]
        counts = [int(one.sum()) for one in (*found, found[0] | found[1])]
        records.append((field, len(values), *counts))
    return pd.DataFrame(records, columns=["field", "products", *MARKUP, "either"])


def length_table(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Compute quartiles of the lengths of titles, descriptions and cleaned texts.

    Args:
        catalogue: Table of `join`, n products.

    Returns:
        One row per entry of `LENGTHS`: `measure`, `products` that have one, and their `mean`,
        `min`, `q25`, `median`, `q75`, `max`.
    """
    records = []
    for name, values in text_lengths(catalogue).items():
        mean, quantiles = np.nan, np.full(5, np.nan)
        if values.size:
            mean = np.round(values.mean(), 1)
            quantiles = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
        records.append((LENGTHS[name], values.size, mean, *quantiles))
    columns = ["measure", "products", "mean", "min", "q25", "median", "q75", "max"]
    return pd.DataFrame(records, columns=columns)


def text_lengths(catalogue: pd.DataFrame) -> dict[str, np.ndarray]:
    """Measure the lengths of titles, descriptions and cleaned texts.

    Args:
        catalogue: Table of `join`, n products.

    Returns:
        For each key of `LENGTHS` an int64 array, one value per product that has such a text, in
        product order: characters of raw titles and descriptions, tokens of cleaned texts.
    """
    titles = catalogue["designation"].dropna().str.len()
    descriptions = catalogue["description"][catalogue["has_description"]].str.len()
    tokens = catalogue["num_tokens"][catalogue["has_text"]]
    lengths = {"title": titles, "description": descriptions, "tokens": tokens}
    return {name: values.to_numpy(np.int64) for name, values in lengths.items()}


def length_histograms(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Count texts by length, in bins that grow geometrically.

    Args:
        catalogue: Table of `join`, n products.

    Returns:
        `measure` of `LENGTHS`, and per bin `low` (included), `high` (excluded; the next bin's
        `low`) and `products`. Texts of length 0 are left out.
    """
    tables = []
    for name, values in text_lengths(catalogue).items():
        positive = values[values > 0]
        if positive.size:
            edges = np.geomspace(positive.min(), positive.max() + 1, LENGTH_BINS + 1)
            edges = np.unique(np.round(edges).astype(np.int64))
            counts, _ = np.histogram(positive, edges)
            bins = {"low": edges[:-1], "high": edges[1:], "products": counts}
            tables.append(pd.DataFrame({"measure": LENGTHS[name], **bins}))
    columns = ["measure", "low", "high", "products"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def text_table(catalogue: pd.DataFrame, *, num_words: int) -> pd.DataFrame:
    """Describe the text of each category: lengths, languages, typical words.

    Typical words are frequent in the category and rare elsewhere, both smoothed: ordered by
    p(word | category) * log(p(word | category) / p(word)).

    Args:
        catalogue: Table of `join`, n products.
        num_words: Number of typical words to name.

    Returns:
        27 rows: `code`, `name`, `products` that have text, medians `title_characters`,
        `description_characters`, `tokens`, the share of products in French, English and other
        languages (`fr`, `en`, `other`), and `words`, joined by spaces, most typical first.
    """
    texts = catalogue[catalogue["has_text"]]
    language = texts["language"].where(texts["language"].isin(["fr", "en"]), "other")
    measures = pd.DataFrame(
        {
            "label": texts["label"],
            "title_characters": texts["designation"].str.len().astype(np.float64),
            "description_characters": texts["description"]
            .where(texts["has_description"])
            .str.len()
            .astype(np.float64),
            "tokens": texts["num_tokens"].astype(np.float64),
            **{name: language.eq(name).astype(np.float64) for name in ("fr", "en", "other")},
        }
    )
    grouped = measures.groupby("label")
    medians = grouped[["title_characters", "description_characters", "tokens"]].median()
    shares = grouped[["fr", "en", "other"]].mean().round(DIGITS)
    per_category = pd.concat([medians, shares], axis=1).reindex(range(NUM_CATEGORIES))
    table = _categories().assign(products=_counts(texts["label"]))
    table[per_category.columns.tolist()] = per_category.to_numpy()
    return table.assign(words=_typical_words(texts, num_words))


def language_table(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Count the languages that langid detects in the texts.

    Args:
        catalogue: Table of `join`, n products.

    Returns:
        `language` (langid's code; "none" for products without text), `products`, `share` of all
        products; most frequent first, then by code.
    """
    language = catalogue["language"].where(catalogue["has_text"], "none")
    counts = language.value_counts().rename_axis("language").reset_index(name="products")
    counts = counts.sort_values(["products", "language"], ascending=[False, True])
    share = np.round(counts["products"] / max(len(catalogue), 1), DIGITS)
    return counts.assign(share=share).reset_index(drop=True)


def image_table(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Describe the images of each category: white border and mean colour of the product.

    Args:
        catalogue: Table of `join`, n products.

    Returns:
        27 rows: `code`, `name`, `products` that have an image, `border_q25`, `border_median`,
        `border_q75`: quartiles of the border's share of the image, and `red`, `green`,
        `blue` (means of the products' mean colours, 0..255) with `red_std`, `green_std`,
        `blue_std` (sample standard deviations, NaN for fewer than two products).
    """
    shown = catalogue[catalogue["has_image"]]
    by_label = shown.groupby("label")
    quartiles = by_label["border_share"].quantile(np.array([0.25, 0.5, 0.75])).unstack()
    quartiles = quartiles.reindex(index=range(NUM_CATEGORIES), columns=[0.25, 0.5, 0.75])
    colours = by_label[[f"mean_{colour}" for colour in COLOURS]]
    mean = colours.mean().reindex(range(NUM_CATEGORIES)).to_numpy(np.float64)
    deviation = colours.std().reindex(range(NUM_CATEGORIES)).to_numpy(np.float64)
    table = _categories().assign(products=_counts(shown["label"]))
    for column, name in enumerate(("border_q25", "border_median", "border_q75")):
        table[name] = np.round(quartiles.to_numpy(np.float64)[:, column], DIGITS)
    for column, colour in enumerate(COLOURS):
        table[colour] = np.round(mean[:, column], 2)
        table[f"{colour}_std"] = np.round(deviation[:, column], 2)
    return table


def projection_table(
    catalogue: pd.DataFrame,
    ids: np.ndarray,
    present: np.ndarray,
    features: np.ndarray,
    *,
    points: int,
    seed: int,
) -> pd.DataFrame:
    """Project the image features onto their first two principal components.

    scikit-learn fixes the signs of the components, so the chart does not flip between runs.

    Args:
        catalogue: Table of `join`, n products.
        ids: int64 (n,), the ids of the feature rows, in the order of `catalogue`.
        present: bool (n,), whether the product has an image.
        features: float32 (n, d).
        points: Number of products listed, a random sample if more have an image.
        seed: Seed of the sample.

    Returns:
        At most `points` rows in ascending id: `id`, `code`, `name`, `x`, `y`, and `x_variance`,
        `y_variance`: the share of the features' variance along each axis, the same in all rows.
        Empty if fewer than three products have an image.

    Raises:
        ValueError: If `ids` are not those of the catalogue.
    """
    check_ids(catalogue["id"].to_numpy(), ids, "features")
    rows = np.flatnonzero(present)
    variance, places = np.zeros(2), np.zeros((0, 2))
    if rows.size < 3:
        rows = rows[:0]
    else:
        components = PCA(n_components=2, svd_solver="covariance_eigh")
        with np.errstate(invalid="ignore"):  # no variance to explain: 0 / 0
            places = components.fit_transform(features[rows].astype(np.float64))  # (m, 2)
        variance = np.nan_to_num(components.explained_variance_ratio_)
    if rows.size > points:
        drawn = np.random.default_rng(seed).choice(rows.size, points, replace=False)
        drawn = np.sort(drawn)
        rows, places = rows[drawn], places[drawn]
    codes = np.asarray(CODES)[catalogue["label"].to_numpy()[rows]]
    return pd.DataFrame(
        {
            "id": ids[rows],
            "code": codes,
            "name": [category(code, "en") for code in codes.tolist()],
            "x": np.round(places[:, 0], 4),
            "y": np.round(places[:, 1], 4),
            "x_variance": np.round(variance[0], DIGITS),
            "y_variance": np.round(variance[1], DIGITS),
        }
    )


def summary(catalogue: pd.DataFrame) -> dict[str, int]:
    """Count products, those with each modality, categories and languages."""
    texts = catalogue[catalogue["has_text"]]
    return {
        "products": len(catalogue),
        "with_text": len(texts),
        "with_description": int(catalogue["has_description"].sum()),
        "with_image": int(catalogue["has_image"].sum()),
        "categories": int(catalogue["label"].nunique()),
        "languages": int(texts["language"].nunique()),
    }


def summary_line(counts: Mapping[str, int]) -> str:
    """Format the counts of `summary` in one line."""
    return (
        f"{counts['products']:,} products of {counts['categories']} categories: "
        f"{counts['with_text']:,} with text, {counts['with_image']:,} with image"
    )


def _categories() -> pd.DataFrame:
    """Start a table with one row per category: code and name."""
    return pd.DataFrame({"code": CODES, "name": [category(code, "en") for code in CODES]})


def _counts(labels: pd.Series) -> np.ndarray:
    """Count the products of each class: int64 (27,)."""
    return np.bincount(labels.to_numpy(np.int64), minlength=NUM_CATEGORIES)


def _typical_words(texts: pd.DataFrame, num_words: int) -> list[str]:
    """Find the typical words of each category: 27 strings."""
    words = texts["tokens"].str.split().set_axis(texts["label"].to_numpy()).explode().dropna()
    if words.empty:
        return [""] * NUM_CATEGORIES
    codes, vocabulary = pd.factorize(words.to_numpy(object), sort=True)
    cells = words.index.to_numpy(np.int64) * len(vocabulary) + codes
    counts = np.bincount(cells, minlength=NUM_CATEGORIES * len(vocabulary))
    counts = counts.reshape(NUM_CATEGORIES, len(vocabulary))
    overall = counts.sum(axis=0) / counts.sum()
    typical = []
    for own in counts:
        share = own / max(own.sum(), 1)
        weight = share * np.log((share + 1e-12) / overall)
        best = np.argsort(-weight, kind="stable")[:num_words]
        typical.append(" ".join(vocabulary[best[weight[best] > 0]]))
    return typical
