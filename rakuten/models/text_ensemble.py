"""The best light text classifier: a linear machine and naive Bayes on terms, a kernel on vectors.

Terms know brands and jargon that the sentence encoder never saw, vectors know what words mean that
the train part never held, naive Bayes trusts rare terms more than the machine dares: their errors
differ, and the calibrated pool of all beats each.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from rakuten.categories import NUM_CATEGORIES
from rakuten.models import calibration, kernel_ridge
from rakuten.text import augment, terms

if TYPE_CHECKING:  # who only predicts does without: see `fit`
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.svm import LinearSVC

Linear = tuple[np.ndarray, np.ndarray]
"""Coefficients float32 (27, d) and intercept float32 (27,)."""

VECTORS = {"title": 1.0, "description": 0.5}
"""What the kernel of each kind of sentence vector counts."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section `text_ensemble` of params.yaml.

    Attributes:
        word_ngrams: Longest run of words in a term.
        character_ngrams: Longest run of characters in a term.
        min_df: Products that a term must occur in.
        max_terms: Most terms kept of each block.
        svm_regularization: C of the linear support vector machine on terms.
        smoothing: Naive Bayes' alpha, on the same terms.
        landmarks: Products that sentence vectors are compared with.
        ridge: Strength of the ridge on these likenesses.
        offsets: Strength that holds the pool's offsets near 0.
        folds: Parts of the train part that take turns in being left out.
        augmented_copies: Perturbed copies of each train product that the classifiers of terms
            learn from in addition.
    """

    word_ngrams: int
    character_ngrams: int
    min_df: int
    max_terms: int
    svm_regularization: float
    smoothing: float
    landmarks: int
    ridge: float
    offsets: float
    folds: int
    augmented_copies: int

    @property
    def ngrams(self) -> dict[str, int]:
        """What `terms.transform` needs to know."""
        return {
            "word_ngrams": self.word_ngrams,
            "character_ngrams": self.character_ngrams,
        }


@dataclass(frozen=True)
class Texts:
    """The texts of n products.

    Attributes:
        ids: int64 (n,), the products.
        titles: Plain titles, "" where missing.
        bodies: Plain descriptions, "" where missing.
        vectors: float (n, 512) by kind, see `rakuten.text.encoder`; empty without an encoder.
    """

    ids: np.ndarray
    titles: Sequence[str]
    bodies: Sequence[str]
    vectors: Mapping[str, np.ndarray]

    def take(self, rows: np.ndarray) -> "Texts":
        """Take some of the products, by their positions int64 (m,)."""
        return Texts(
            self.ids[rows],
            [self.titles[row] for row in rows],
            [self.bodies[row] for row in rows],
            {kind: vectors[rows] for kind, vectors in self.vectors.items()},
        )


@dataclass(frozen=True)
class TextEnsemble:
    """A fitted classifier of texts.

    Attributes:
        terms: The terms and their inverse document frequencies.
        coefficients: float32 (27, d): those of the linear machine and of naive Bayes, which both
            add up terms, in the proportion that the pool found.
        intercept: float32 (27,), likewise.
        kernel: The classifier of sentence vectors, None without an encoder.
        pool: How the sum on terms, with weight 1, and the kernel are put together.
        settings: What it was fitted with.
    """

    terms: terms.Terms
    coefficients: np.ndarray
    intercept: np.ndarray
    kernel: kernel_ridge.KernelRidge | None
    pool: calibration.Pool
    settings: Settings

    def probabilities(self, texts: Texts) -> np.ndarray:
        """Classify products.

        Args:
            texts: n products, each with some text.

        Returns:
            float32 (n, 27), rows sum to 1.
        """
        features = terms.transform(texts.titles, texts.bodies, self.terms, **self.settings.ngrams)
        scores = [features @ self.coefficients.T + self.intercept]
        if self.kernel:
            scores.append(self.kernel.decide(_blocks(texts.vectors)))
        return self.pool.probabilities(scores)

    def summary(self) -> dict[str, float]:
        """Count what it consists of, for the reports."""
        kernel = self.kernel
        return {
            "terms": self.coefficients.shape[1],
            "landmarks": len(kernel.projection) if kernel else 0,
            "parameters": self.coefficients.size + (kernel.coefficients.size if kernel else 0),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Take the classifier apart into plain arrays, but for the terms' names."""
        kernel = self.kernel.arrays() if self.kernel else {}
        return {
            **terms.arrays(self.terms),
            "terms/coefficients": self.coefficients,
            "terms/intercept": self.intercept,
            "pool/weights": self.pool.weights,
            "pool/offsets": self.pool.offsets,
            **{f"kernel/{name}": array for name, array in kernel.items()},
        }


def restore(
    names: Mapping[str, list[str]], arrays: Mapping[str, np.ndarray], settings: Settings
) -> TextEnsemble:
    """Assemble the classifier that `TextEnsemble.arrays` took apart.

    Args:
        names: The terms by block.
        arrays: What `TextEnsemble.arrays` returned.
        settings: What it was fitted with.
    """
    return TextEnsemble(
        terms.restore(names, arrays),
        arrays["terms/coefficients"],
        arrays["terms/intercept"],
        kernel_ridge.restore(arrays, "kernel/"),
        calibration.Pool(arrays["pool/weights"], arrays["pool/offsets"]),
        settings,
    )


def fit(
    texts: Texts,
    labels: np.ndarray,
    folds: np.ndarray,
    settings: Settings,
    *,
    seed: int,
    threads: int,
) -> tuple[TextEnsemble, np.ndarray]:
    """Fit on the train part.

    Args:
        texts: n products of the train part, each with some text.
        labels: int64 (n,) class indices in 0..26.
        folds: int64 (n,) in 0..folds-1, twins in one fold.
        settings: See `Settings`.
        seed: Seed of the machine's order and of the landmarks.
        threads: Fits at the same time; no result depends on it.

    Returns:
        The classifier, and out-of-fold probabilities float32 (n, 27).
    """
    from sklearn.naive_bayes import MultinomialNB  # two seconds that prediction does without
    from sklearn.svm import LinearSVC

    chosen = terms.fit(
        texts.titles, texts.bodies, min_df=settings.min_df, max_terms=settings.max_terms,
        **settings.ngrams,
    )  # fmt: skip
    features = terms.transform(texts.titles, texts.bodies, chosen, **settings.ngrams)
    rows = np.arange(len(labels))
    if settings.augmented_copies:
        *copies, originals = augment.augment(
            texts.titles, texts.bodies, texts.ids, copies=settings.augmented_copies, seed=seed
        )
        added = terms.transform(*copies, chosen, **settings.ngrams)
        features = sparse.csr_array(sparse.vstack([features, added]))
        rows = np.concatenate([rows, originals])  # a copy is left out with its original

    def linear(left_out: int | None) -> list[Linear]:
        kept = slice(None) if left_out is None else np.flatnonzero(folds[rows] != left_out)
        seen = features[kept], labels[rows[kept]]
        bayes = _fit_linear(MultinomialNB(alpha=settings.smoothing), *seen)
        with machines:
            machine = LinearSVC(C=settings.svm_regularization, random_state=seed)
            return [_fit_linear(machine, *seen), bayes]

    machines = Lock()  # liblinear's shuffle has one state in a process: two at once disturb it
    every = [None, *np.unique(folds).tolist()]
    with threadpool_limits(1), ThreadPoolExecutor(threads) as workers:
        whole, *partial = workers.map(linear, every)
    scores = [np.zeros((len(labels), NUM_CATEGORIES), np.float32) for _ in whole]
    for fold, fitted in zip(every[1:], partial, strict=True):
        own = np.flatnonzero(folds == fold)
        for values, (coefficients, intercept) in zip(scores, fitted, strict=True):
            values[own] = features[own] @ coefficients.T + intercept
    kernel = None
    if texts.vectors and len(labels):
        kernel, likeness = kernel_ridge.fit(
            _blocks(texts.vectors), labels, folds,
            weights={kind: VECTORS[kind] for kind in texts.vectors},
            landmarks=settings.landmarks, regularization=settings.ridge, seed=seed,
        )  # fmt: skip
        scores.append(likeness)
    pool = calibration.fit(scores, labels, regularization=settings.offsets)
    summed = [
        sum(weight * part for weight, part in zip(pool.weights, parts, strict=False))
        for parts in zip(*whole, strict=True)
    ]
    merged = calibration.Pool(np.concatenate([[1.0], pool.weights[len(whole) :]]), pool.offsets)
    coefficients, intercept = (values.astype(np.float32) for values in summed)
    ensemble = TextEnsemble(chosen, coefficients, intercept, kernel, merged, settings)
    return ensemble, pool.probabilities(scores)


def _blocks(vectors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bring sentence vectors to the kernel's type."""
    return {kind: values.astype(np.float32) for kind, values in vectors.items()}


def _fit_linear(
    estimator: "LinearSVC | MultinomialNB", features: sparse.csr_array, labels: np.ndarray
) -> Linear:
    """Fit a classifier that adds up terms; categories without a product get low numbers."""
    coefficients = np.zeros((NUM_CATEGORIES, features.shape[1]), np.float32)
    intercept = np.full(NUM_CATEGORIES, -1.0, np.float32)
    classes = np.unique(labels)
    if len(classes) < 2 or not features.shape[1]:
        intercept[classes] = 1.0
        return coefficients, intercept
    estimator.fit(features, labels)
    if hasattr(estimator, "feature_log_prob_"):  # naive Bayes
        slopes, constants = estimator.feature_log_prob_, estimator.class_log_prior_
        coefficients[:] = slopes.min(axis=0)
        intercept[:] = constants.min()
    else:
        slopes, constants = estimator.coef_, estimator.intercept_
        if len(classes) == 2:  # one row of coefficients, in favour of the second category
            slopes = np.concatenate([-slopes, slopes])
            constants = np.concatenate([-constants, constants])
    coefficients[classes], intercept[classes] = slopes, constants
    return coefficients, intercept
