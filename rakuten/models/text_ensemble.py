"""Text ensemble: linear SVM and naive Bayes on terms, kernel ridge on sentence vectors, calibrated.

Terms carry brands and jargon that the sentence encoder does not know; sentence vectors generalize
to words that are not in the train part; naive Bayes uses rare terms more than the SVM. Their errors
differ, so that the calibrated combination beats each of them.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from rakuten import storage
from rakuten.categories import NUM_CATEGORIES
from rakuten.models import calibration, kernel_ridge
from rakuten.text import augment, terms

if TYPE_CHECKING:
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.svm import LinearSVC

Linear = tuple[np.ndarray, np.ndarray]
"""Coefficients float32 (27, d) and intercept float32 (27,)."""

VECTOR_WEIGHTS = {"title": 1.0, "description": 0.5}
"""Kernel weight of the sentence vectors of each text field."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section `text_ensemble` of params.yaml.

    Attributes:
        word_ngrams: Maximum length of word n-grams.
        character_ngrams: Maximum length of character n-grams.
        min_df: Minimum number of products that contain a term.
        max_terms: Maximum number of terms in each block.
        linear_svm_c: C of the linear SVM on terms.
        naive_bayes_alpha: Smoothing of naive Bayes on the same terms.
        landmarks: Number of landmarks of the kernel approximation.
        kernel_ridge_alpha: L2 penalty of the kernel ridge on sentence vectors.
        bias_l2: L2 penalty on the calibration's biases.
        folds: Number of folds of the out-of-fold scores.
        augmented_copies: Perturbed copies of each train product that the SVM and naive Bayes are
            fitted on in addition.
    """

    word_ngrams: int
    character_ngrams: int
    min_df: int
    max_terms: int
    linear_svm_c: float
    naive_bayes_alpha: float
    landmarks: int
    kernel_ridge_alpha: float
    bias_l2: float
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


@dataclass(frozen=True)
class TextEnsemble:
    """A fitted text classifier.

    Attributes:
        terms: The terms and their inverse document frequencies.
        coefficients: float32 (27, d), the sum of the SVM's and naive Bayes' coefficients, each
            multiplied by its ensemble weight.
        intercept: float32 (27,), the sum of their intercepts, multiplied by the same weights.
        kernel: The classifier of sentence vectors, None without an encoder.
        calibration: The ensemble weights of SVM, naive Bayes and, with an encoder, `kernel`, and
            the biases. `coefficients` and `intercept` already contain the first two weights.
        settings: The settings of the fit.
    """

    terms: terms.Terms
    coefficients: np.ndarray
    intercept: np.ndarray
    kernel: kernel_ridge.KernelRidge | None
    calibration: calibration.Calibration
    settings: Settings

    def probabilities(self, texts: Texts) -> np.ndarray:
        """Classify products.

        Args:
            texts: n products, each with a title or a description.

        Returns:
            float32 (n, 27), rows sum to 1.
        """
        features = terms.transform(
            texts.titles, texts.descriptions, self.terms, **self.settings.ngrams
        )
        scores, weights = [features @ self.coefficients.T + self.intercept], [1.0]
        if self.kernel:
            scores.append(self.kernel.decision_function(_blocks(texts.vectors)))
            weights.append(self.calibration.weights[-1])
        merged = calibration.Calibration(np.array(weights), self.calibration.biases)
        return merged.probabilities(scores)

    def summary(self) -> dict[str, int]:
        """Count terms, landmarks and parameters, for the reports."""
        kernel = self.kernel
        return {
            "terms": self.coefficients.shape[1],
            "landmarks": len(kernel.projection) if kernel else 0,
            "parameters": self.coefficients.size + (kernel.coefficients.size if kernel else 0),
        }

    def write(self, folder: str | Path) -> None:
        """Write terms.json and weights.npz, for `read`; equal ensembles give equal bytes."""
        names = {block: list(columns) for block, (columns, _) in self.terms.items()}
        kernel = self.kernel.arrays() if self.kernel else {}
        storage.write_json(Path(folder) / "terms.json", names)
        storage.write_arrays(
            Path(folder) / "weights.npz",
            **terms.arrays(self.terms),
            **{
                "terms/coefficients": self.coefficients,
                "terms/intercept": self.intercept,
                "calibration/weights": self.calibration.weights,
                "calibration/biases": self.calibration.biases,
                **{f"kernel/{name}": array for name, array in kernel.items()},
            },
        )


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
    return TextEnsemble(
        terms.restore(names, arrays),
        arrays["terms/coefficients"],
        arrays["terms/intercept"],
        kernel_ridge.restore(arrays, "kernel/"),
        calibration.Calibration(arrays["calibration/weights"], arrays["calibration/biases"]),
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
    """Fit on train rows.

    Args:
        texts: n train products, each with a title or a description.
        labels: int64 (n,), class indices in 0..26.
        folds: int64 (n,), the fold of each product, equal for duplicates.
        settings: See `Settings`.
        seed: Seed of the SVM's row order, the landmarks and the perturbed copies.
        threads: Number of concurrent fits; does not change the result.

    Returns:
        The ensemble, and out-of-fold probabilities float32 (n, 27).
    """
    chosen, features, rows = _features(texts, settings, seed)
    (svm, bayes), scores = _fit_on_terms(
        features, rows, labels, folds, settings, seed=seed, threads=threads
    )
    kernel = None
    if texts.vectors and len(labels):
        kernel, kernel_scores = _fit_on_vectors(texts, labels, folds, settings, seed)
        scores.append(kernel_scores)
    fitted = calibration.fit(scores, labels, bias_l2=settings.bias_l2)
    linear = _merge(svm, bayes, fitted)
    return TextEnsemble(chosen, *linear, kernel, fitted, settings), fitted.probabilities(scores)


def refit(
    texts: Texts, labels: np.ndarray, ensemble: TextEnsemble, settings: Settings, *, seed: int
) -> TextEnsemble:
    """Fit the classifiers on more rows; keep the ensemble weights and the calibration.

    Args:
        texts: n products, each with a title or a description.
        labels: int64 (n,), class indices in 0..26.
        ensemble: Fitted by `fit` on fewer rows.
        settings: See `Settings`.
        seed: As for `fit`.

    Returns:
        An ensemble with terms and classifiers fitted on all n products, and the calibration of
        `ensemble`.
    """
    chosen, features, rows = _features(texts, settings, seed)
    folds = np.zeros(len(labels), np.int64)
    (svm, bayes), _ = _fit_on_terms(features, rows, labels, None, settings, seed=seed, threads=1)
    kernel = None
    if ensemble.kernel and texts.vectors:
        kernel, _ = _fit_on_vectors(texts, labels, folds, settings, seed)
    linear = _merge(svm, bayes, ensemble.calibration)
    return TextEnsemble(chosen, *linear, kernel, ensemble.calibration, settings)


def _features(
    texts: Texts, settings: Settings, seed: int
) -> tuple[terms.Terms, sparse.csr_array, np.ndarray]:
    """Choose the terms; compute the features of products and copies, and the product of each."""
    chosen = terms.fit(
        texts.titles, texts.descriptions, min_df=settings.min_df, max_terms=settings.max_terms,
        **settings.ngrams,
    )  # fmt: skip
    features = terms.transform(texts.titles, texts.descriptions, chosen, **settings.ngrams)
    rows = np.arange(len(texts.ids))
    if settings.augmented_copies:
        titles, descriptions, originals = augment.augment(
            texts.titles, texts.descriptions, texts.ids, copies=settings.augmented_copies, seed=seed
        )
        added = terms.transform(titles, descriptions, chosen, **settings.ngrams)
        features = sparse.csr_array(sparse.vstack([features, added]))
        rows = np.concatenate([rows, originals])  # a copy is in the fold of its original
    return chosen, features, rows


def _merge(svm: Linear, bayes: Linear, fitted: calibration.Calibration) -> Linear:
    """Add up the coefficients and intercepts of SVM and naive Bayes by their ensemble weights."""
    coefficients, intercept = (
        (fitted.weights[0] * of_svm + fitted.weights[1] * of_bayes).astype(np.float32)
        for of_svm, of_bayes in zip(svm, bayes, strict=True)
    )
    return coefficients, intercept


def _fit_on_vectors(
    texts: Texts, labels: np.ndarray, folds: np.ndarray, settings: Settings, seed: int
) -> tuple[kernel_ridge.KernelRidge | None, np.ndarray]:
    """Fit the kernel ridge on sentence vectors."""
    return kernel_ridge.fit(
        _blocks(texts.vectors), labels, folds,
        weights={field: VECTOR_WEIGHTS[field] for field in texts.vectors},
        landmarks=settings.landmarks, alpha=settings.kernel_ridge_alpha, seed=seed,
    )  # fmt: skip


def _blocks(vectors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Convert sentence vectors to float32."""
    return {field: values.astype(np.float32) for field, values in vectors.items()}


def _fit_on_terms(
    features: sparse.csr_array,
    rows: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray | None,
    settings: Settings,
    *,
    seed: int,
    threads: int,
) -> tuple[list[Linear], list[np.ndarray]]:
    """Fit SVM and naive Bayes on the features of products `rows`; score each fold in `folds`."""
    from sklearn.naive_bayes import MultinomialNB  # lazy: two seconds that prediction saves
    from sklearn.svm import LinearSVC

    one_at_a_time = Lock()  # liblinear's shuffle has one state per process

    def fit_both(left_out: int | None) -> list[Linear]:
        kept = np.arange(len(rows))
        if folds is not None and left_out is not None:
            kept = np.flatnonzero(folds[rows] != left_out)
        train = features[kept], labels[rows[kept]]
        bayes = _fit_linear(MultinomialNB(alpha=settings.naive_bayes_alpha), *train)
        with one_at_a_time:
            svm = LinearSVC(C=settings.linear_svm_c, random_state=seed)
            return [_fit_linear(svm, *train), bayes]

    every = [] if folds is None else np.unique(folds).tolist()
    with threadpool_limits(1), ThreadPoolExecutor(threads) as workers:
        whole, *without = workers.map(fit_both, [None, *every])
    scores = [np.zeros((len(labels), NUM_CATEGORIES), np.float32) for _ in whole]
    for fold, models in zip(every, without, strict=True):
        held_out = np.flatnonzero(folds == fold)
        for values, (coefficients, intercept) in zip(scores, models, strict=True):
            values[held_out] = features[held_out] @ coefficients.T + intercept
    return whole, scores


def _fit_linear(
    estimator: "LinearSVC | MultinomialNB", features: sparse.csr_array, labels: np.ndarray
) -> Linear:
    """Fit a linear classifier; categories without a product get the lowest coefficients."""
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
