"""Text ensemble: linear SVM on terms and sentence vectors, naive Bayes on terms, stacked.

Terms carry brands and jargon that the sentence encoder does not know; sentence vectors generalize
to words that are not in the train part; naive Bayes uses rare terms more than the SVM. Their errors
differ, so that the stacked combination beats each of them, with few train products and with many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np
from scipy import sparse

from rakuten import storage
from rakuten.categories import NUM_CATEGORIES
from rakuten.data import examples
from rakuten.models import stacking
from rakuten.text import augment, html, terms

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.svm import LinearSVC

VECTOR_WEIGHTS = {"title": 1.0, "description": 0.5}
"""Length of the sentence vectors of each text field, as a share of `Settings.vector_scale`."""

NAIVE_BAYES = {"naive_bayes_words": "words", "naive_bayes_characters": "characters"}
"""The naive Bayes classifiers and the block of terms that each of them reads."""

TOLERANCE = 0.1
"""Stopping criterion of the SVM: 12 iterations instead of 31 with 0.0001, the same accuracy."""

FIT_BYTES = 28
"""Memory that fitting an SVM takes per nonzero feature: a float64 matrix and liblinear's copy."""

STACKED = 16_384
"""Rows of the features that are concatenated together."""

FIT_MEMORY = 2 << 30
"""Bytes that concurrent fits may take together; one fit may take more."""

Blocks = Mapping[str, np.ndarray | sparse.csr_array]
"""Features of n products by block, each float32 (n, d): the terms' and the vectors' blocks."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section `text_ensemble` of params.yaml.

    Attributes:
        word_ngrams: Maximum length of word n-grams.
        character_ngrams: Maximum length of character n-grams.
        min_df: Minimum number of products that contain a term.
        max_terms: Maximum number of terms in each block.
        linear_svm_c: C of the linear SVM on terms and sentence vectors.
        vector_scale: Length of a title's sentence vector; the terms' blocks have length 1.
        naive_bayes_alpha: Smoothing of naive Bayes on words and on characters.
        bias_l2: L2 penalty on the stacking's biases.
        correction_l2: L2 penalty on the stacking's corrections.
        folds: Number of folds of the out-of-fold scores.
        augmented_copies: Perturbed copies of each train product that the classifiers are fitted on
            in addition.
    """

    word_ngrams: int
    character_ngrams: int
    min_df: int
    max_terms: int
    linear_svm_c: float
    vector_scale: float
    naive_bayes_alpha: float
    bias_l2: float
    correction_l2: float
    folds: int
    augmented_copies: int

    @property
    def ngrams(self) -> dict[str, int]:
        """The keyword arguments of `terms.transform`."""
        return {
            "word_ngrams": self.word_ngrams,
            "character_ngrams": self.character_ngrams,
        }


@dataclass(frozen=True)
class Texts:
    """Texts and sentence vectors of n products.

    Attributes:
        ids: int64 (n,), the products.
        titles: Plain titles, "" where missing.
        descriptions: Plain descriptions, "" where missing.
        vectors: Sentence vectors float (n, 512) by field, see `rakuten.text.encoder`; empty without
            an encoder.
    """

    ids: np.ndarray
    titles: Sequence[str]
    descriptions: Sequence[str]
    vectors: Mapping[str, np.ndarray]

    def take(self, rows: np.ndarray) -> "Texts":
        """Select products by position, int64 (m,)."""
        return Texts(
            self.ids[rows],
            [self.titles[row] for row in rows],
            [self.descriptions[row] for row in rows],
            {field: vectors[rows] for field, vectors in self.vectors.items()},
        )


def join(
    products: "pd.DataFrame", parts: "pd.DataFrame", vectors: Mapping[str, np.ndarray]
) -> tuple[examples.Examples, Texts]:
    """Match texts and sentence vectors with labels and parts by id.

    Args:
        products: Columns id, label, has_text, designation, description; ascending id.
        parts: Columns id, part; the same ids in the same order.
        vectors: ids int64 (n,), and sentence vectors float (n, 512) by field.

    Returns:
        The examples, present where there is a text, and the texts, in ascending id.

    Raises:
        ValueError: If the ids of the three differ or are in another order.
    """
    fields = {name: values for name, values in vectors.items() if name != "ids"}
    present = products["has_text"].to_numpy()
    joined = examples.join(products, parts, vectors["ids"], present, None)
    return joined, Texts(joined.ids, *html.plain_texts(products), fields)


@dataclass(frozen=True)
class Linear:
    """A fitted linear classifier.

    Attributes:
        coefficients: float32 (d, 27) by block of features; only these blocks are read.
        intercept: float32 (27,).
    """

    coefficients: dict[str, np.ndarray]
    intercept: np.ndarray

    def decision_function(self, features: Blocks) -> np.ndarray:
        """Score products, float32 (n, 27)."""
        parts = [features[block] @ slopes for block, slopes in self.coefficients.items()]
        return np.sum([*parts, np.broadcast_to(self.intercept, parts[0].shape)], axis=0)


@dataclass(frozen=True)
class TextEnsemble:
    """A fitted text classifier.

    Attributes:
        terms: The terms and their inverse document frequencies.
        classifiers: The linear SVM and the naive Bayes classifiers by name, in the order of the
            stacking's weights.
        stacking: Combines their scores.
        settings: The settings of the fit.
    """

    terms: terms.Terms
    classifiers: dict[str, Linear]
    stacking: stacking.Stacking
    settings: Settings

    def probabilities(self, texts: Texts) -> np.ndarray:
        """Classify products.

        Args:
            texts: n products, each with a title or a description, with the vectors of the same
                fields as in the fit.

        Returns:
            float32 (n, 27), rows sum to 1.
        """
        features = _features(texts, self.terms, self.settings)
        scores = [one.decision_function(features) for one in self.classifiers.values()]
        return self.stacking.probabilities(scores)

    def summary(self) -> dict[str, int]:
        """Count terms and parameters, for the reports."""
        classifiers = self.classifiers.values()
        sizes = [part.size for one in classifiers for part in one.coefficients.values()]
        return {
            "terms": sum(len(columns) for columns, _ in self.terms.values()),
            "parameters": sum(sizes) + self.stacking.corrections.size,
        }

    def write(self, folder: str | Path) -> None:
        """Write terms.json and weights.npz, for `read`; equal ensembles give equal bytes."""
        names = {block: list(columns) for block, (columns, _) in self.terms.items()}
        storage.write_json(Path(folder) / "terms.json", names)
        arrays = terms.arrays(self.terms)
        for name, classifier in self.classifiers.items():
            arrays[f"{name}/intercept"] = classifier.intercept
            for block, slopes in classifier.coefficients.items():
                arrays[f"{name}/coefficients/{block}"] = slopes
        for name, values in self.stacking.arrays().items():
            arrays[f"stacking/{name}"] = values
        storage.write_arrays(Path(folder) / "weights.npz", **arrays)


def read(folder: str | Path, settings: Settings) -> TextEnsemble:
    """Read an ensemble that predicts the same as the one that was written.

    Args:
        folder: Folder of terms.json and weights.npz.
        settings: The settings of the fit.

    Raises:
        FileNotFoundError: If a file is missing.
    """
    names = storage.read_json(Path(folder) / "terms.json")
    arrays = storage.read_arrays(Path(folder) / "weights.npz")
    classifiers = {}
    for name in ("svm", *NAIVE_BAYES):
        prefix = f"{name}/coefficients/"
        slopes = {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)}
        classifiers[name] = Linear(slopes, arrays[f"{name}/intercept"])
    combined = stacking.restore(arrays, "stacking/")
    return TextEnsemble(terms.restore(names, arrays), classifiers, combined, settings)


def fit(
    texts: Texts,
    labels: np.ndarray,
    folds: np.ndarray,
    settings: Settings,
    *,
    seed: int,
    threads: int,
) -> tuple[TextEnsemble, np.ndarray]:
    """Fit on train rows.

    Args:
        texts: n train products, each with a title or a description.
        labels: int64 (n,), class indices in 0..26.
        folds: int64 (n,), the fold of each product, equal for duplicates.
        settings: See `Settings`.
        seed: Seed of the SVM's row order and the perturbed copies.
        threads: Maximum number of concurrent fits, in processes; does not change the result.

    Returns:
        The ensemble, and out-of-fold probabilities float32 (n, 27): the classifiers were fitted
        without the product's fold, and the stacking on the scores of the other folds.
    """
    chosen, features, rows = _prepare(texts, settings, seed)
    fold_ids = np.unique(folds)
    row_sets = [np.arange(len(rows)), *(np.flatnonzero(folds[rows] != fold) for fold in fold_ids)]
    full_fit, *fold_fits = _fit_classifiers(
        dict(features), labels[rows], row_sets, settings, seed=seed, threads=threads
    )
    scores = [np.zeros((len(labels), NUM_CATEGORIES), np.float32) for _ in full_fit]
    for fold, classifiers in zip(fold_ids, fold_fits, strict=True):
        held_out = np.flatnonzero(folds == fold)
        own = {block: values[held_out] for block, values in features.items()}
        for values, classifier in zip(scores, classifiers.values(), strict=True):
            values[held_out] = classifier.decision_function(own)
    penalties = {"bias_l2": settings.bias_l2, "correction_l2": settings.correction_l2}
    out_of_fold = np.zeros((len(labels), NUM_CATEGORIES), np.float32)
    for fold in fold_ids:
        own, others = folds == fold, folds != fold
        fitted = stacking.fit([values[others] for values in scores], labels[others], **penalties)
        out_of_fold[own] = fitted.probabilities([values[own] for values in scores])
    combined = stacking.fit(scores, labels, **penalties)
    return TextEnsemble(chosen, full_fit, combined, settings), out_of_fold


def refit(
    texts: Texts, labels: np.ndarray, ensemble: TextEnsemble, settings: Settings, *, seed: int
) -> TextEnsemble:
    """Fit the classifiers on more rows; keep the stacking.

    Args:
        texts: n products, each with a title or a description.
        labels: int64 (n,), class indices in 0..26.
        ensemble: Fitted by `fit` on fewer rows.
        settings: See `Settings`.
        seed: As for `fit`.

    Returns:
        An ensemble with terms and classifiers fitted on all n products, and the stacking of
        `ensemble`.
    """
    chosen, features, rows = _prepare(texts, settings, seed)
    kept = [np.arange(len(rows))]
    (whole,) = _fit_classifiers(features, labels[rows], kept, settings, seed=seed, threads=1)
    return TextEnsemble(chosen, whole, ensemble.stacking, settings)


def _prepare(
    texts: Texts, settings: Settings, seed: int
) -> tuple[terms.Terms, dict[str, np.ndarray | sparse.csr_array], np.ndarray]:
    """Choose the terms; compute the features of products and copies, and the product of each."""
    chosen = terms.fit(
        texts.titles, texts.descriptions, min_df=settings.min_df, max_terms=settings.max_terms,
        **settings.ngrams,
    )  # fmt: skip
    rows = np.arange(len(texts.ids))
    if settings.augmented_copies:
        titles, descriptions, originals = augment.augment(
            texts.titles, texts.descriptions, texts.ids, copies=settings.augmented_copies, seed=seed
        )
        rows = np.concatenate([rows, originals])  # a copy is in the fold of its original
        texts = Texts(
            texts.ids[rows], [*texts.titles, *titles], [*texts.descriptions, *descriptions],
            {field: values[rows] for field, values in texts.vectors.items()},
        )  # fmt: skip
    return chosen, _features(texts, chosen, settings), rows


def _features(
    texts: Texts, chosen: terms.Terms, settings: Settings
) -> dict[str, np.ndarray | sparse.csr_array]:
    """Compute the blocks of features: terms and scaled sentence vectors."""
    vectors = {
        field: values.astype(np.float32) * np.float32(settings.vector_scale * VECTOR_WEIGHTS[field])
        for field, values in texts.vectors.items()
    }
    return terms.transform(texts.titles, texts.descriptions, chosen, **settings.ngrams) | vectors


def _fit_classifiers(
    features: dict[str, np.ndarray | sparse.csr_array],
    labels: np.ndarray,
    kept: Sequence[np.ndarray],
    settings: Settings,
    *,
    seed: int,
    threads: int,
) -> list[dict[str, Linear]]:
    """Fit all classifiers on each selection of rows; empty `features`, to free their memory."""
    from sklearn.naive_bayes import MultinomialNB  # lazy: two seconds that prediction saves

    bayes: list[dict[str, Linear]] = [{} for _ in kept]
    for rows, classifiers in zip(kept, bayes, strict=True):
        for name, block in NAIVE_BAYES.items():
            estimator = MultinomialNB(alpha=settings.naive_bayes_alpha)
            slopes, intercept = _fit_linear(estimator, features[block][rows], labels[rows])
            classifiers[name] = Linear({block: slopes}, intercept)
    names = list(features)
    ends = np.cumsum([values.shape[1] for values in features.values()])[:-1]
    stacked = _stack(features)
    # Processes, because liblinear's shuffle has one state per process.
    processes = max(1, min(threads, FIT_MEMORY // (FIT_BYTES * max(1, stacked.nnz))))
    fitted = joblib.Parallel(processes, max_nbytes="1M")(
        joblib.delayed(_fit_svm)(stacked, labels, rows, settings.linear_svm_c, seed)
        for rows in kept
    )
    return [
        {"svm": Linear(dict(zip(names, np.split(slopes, ends), strict=True)), intercept)} | others
        for (slopes, intercept), others in zip(fitted, bayes, strict=True)
    ]


def _stack(features: dict[str, np.ndarray | sparse.csr_array]) -> sparse.csr_array:
    """Concatenate the blocks in float64, liblinear's type, in steps that need little memory."""
    count = next(iter(features.values())).shape[0]
    parts = []
    for at in range(0, max(count, 1), STACKED):
        blocks = [sparse.csr_array(values[at : at + STACKED]) for values in features.values()]
        parts.append(sparse.hstack(blocks, "csr", np.float64))
    features.clear()
    return sparse.csr_array(sparse.vstack(parts, "csr"))


def _fit_svm(
    features: sparse.csr_array, labels: np.ndarray, rows: np.ndarray, c: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a linear SVM on some rows."""
    from sklearn.svm import LinearSVC  # lazy, as above

    svm = LinearSVC(C=c, tol=TOLERANCE, random_state=seed)
    own = features if len(rows) == features.shape[0] else features[rows]  # without another copy
    return _fit_linear(svm, own, labels[rows])


def _fit_linear(
    estimator: "LinearSVC | MultinomialNB", features: sparse.csr_array, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a linear classifier; categories without a product get the lowest coefficients."""
    coefficients = np.zeros((features.shape[1], NUM_CATEGORIES), np.float32)
    intercept = np.full(NUM_CATEGORIES, -1.0, np.float32)
    classes = np.unique(labels)
    if len(classes) < 2 or not features.shape[1]:
        intercept[classes] = 1.0
        return coefficients, intercept
    estimator.fit(features, labels)
    if hasattr(estimator, "feature_log_prob_"):  # naive Bayes
        slopes, constants = estimator.feature_log_prob_, estimator.class_log_prior_
        coefficients[:] = slopes.min(axis=0)[:, None]
        intercept[:] = constants.min()
    else:
        slopes, constants = estimator.coef_, estimator.intercept_
        if len(classes) == 2:  # one row of coefficients, in favour of the second category
            slopes = np.concatenate([-slopes, slopes])
            constants = np.concatenate([-constants, constants])
    coefficients[:, classes], intercept[classes] = slopes.T, constants
    return coefficients, intercept
