"""Classical baselines on the features of the nets."""

import logging
import math
import time
from collections.abc import Sequence

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from rakuten.categories import NUM_CATEGORIES
from rakuten.data.examples import Examples

logger = logging.getLogger(__name__)

TREES = 25
"""Trees in memory at once: with 60,000 train rows, a forest of 300 trees takes 6 GB."""

Baselines = dict[str, Sequence[ClassifierMixin]]
"""Unfitted estimators by name; the scores of a baseline are the mean of its estimators' scores."""


def text_baselines(
    *, logistic_regression_c: float, linear_svm_c: float, naive_bayes_alpha: float, seed: int
) -> Baselines:
    """Build the text baselines for sparse TF-IDF features.

    Args:
        logistic_regression_c: Inverse regularization strength C of the logistic regression.
        linear_svm_c: Inverse regularization strength C of the linear SVM.
        naive_bayes_alpha: Additive smoothing of naive Bayes.
        seed: Seed of the SVM's row order.

    Returns:
        logistic_regression, linear_svm, naive_bayes.
    """
    return {
        "logistic_regression": [LogisticRegression(C=logistic_regression_c, max_iter=1000)],
        "linear_svm": [LinearSVC(C=linear_svm_c, random_state=seed)],
        "naive_bayes": [MultinomialNB(alpha=naive_bayes_alpha)],
    }


def image_baselines(
    *, logistic_regression_c: float, trees: int, seed: int, threads: int
) -> Baselines:
    """Build the image baselines for dense features of the backbone.

    Args:
        logistic_regression_c: Inverse regularization strength C of the logistic regression on
            standardized features.
        trees: Number of trees of the random forest, rounded up to a multiple of `TREES` above it.
        seed: Seed of the forest.
        threads: Trees fitted concurrently.

    Returns:
        logistic_regression, and random_forest: forests of equal size.
    """
    regression = LogisticRegression(C=logistic_regression_c, max_iter=1000)
    seeds = np.random.SeedSequence(seed).generate_state(math.ceil(trees / TREES))
    forests = [
        RandomForestClassifier(min(trees, TREES), random_state=int(one), n_jobs=threads)
        for one in seeds
    ]
    return {
        "logistic_regression": [make_pipeline(StandardScaler(), regression)],
        "random_forest": forests,
    }


def score(
    baselines: Baselines, examples: Examples
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Fit each baseline on the train part and score every product.

    Args:
        baselines: As returned by `text_baselines` or `image_baselines`.
        examples: n products.

    Returns:
        Arrays: ids int64 (n,), present bool (n,), then per baseline float32 (n, 27):
        probabilities, or decision values if the estimators have no probabilities. Categories
        without a train row and products without the modality get the lowest score.
        Only ids and present if the train part has fewer than two categories.
        Timings: "<name>_fit_seconds" and "<name>_items_per_second" of each baseline.
    """
    train, rows = examples.rows("train"), np.flatnonzero(examples.present)
    arrays = {"ids": examples.ids, "present": examples.present}
    timings: dict[str, float] = {}
    if np.unique(examples.labels[train]).size < 2:
        logger.warning("baselines skipped: the train part has fewer than two categories")
        return arrays, timings
    fitted_on, scored = examples.features_of(train), examples.features_of(rows)
    for name, estimators in baselines.items():
        probabilistic = hasattr(estimators[0], "predict_proba")
        parts, seconds = [], np.zeros(2)  # of fitting and scoring
        for estimator in estimators:
            start = time.perf_counter()
            with threadpool_limits(1):  # the order of sums depends on the threads
                fitted = clone(estimator).fit(fitted_on, examples.labels[train])
                between = time.perf_counter()
                decide = fitted.predict_proba if probabilistic else fitted.decision_function
                parts.append(decide(scored))
            seconds += [between - start, time.perf_counter() - between]
            classes = fitted.classes_
            del fitted, decide  # before the next one needs the memory
        values = np.mean(parts, axis=0)
        if values.ndim == 1:  # two categories: decision values of the second
            values = np.stack([-values, values], axis=1)
        timings[f"{name}_fit_seconds"] = float(seconds[0])
        timings[f"{name}_items_per_second"] = float(len(rows) / seconds[1])
        lowest = 0.0 if probabilistic else float(values.min()) - 1.0
        scores = np.full((len(examples.ids), NUM_CATEGORIES), lowest, np.float32)  # (n, 27)
        scores[np.ix_(rows, classes)] = values
        arrays[name] = scores
    return arrays, timings
