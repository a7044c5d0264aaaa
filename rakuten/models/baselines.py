"""Classical baselines on the features of the nets."""

import logging
import time

import numpy as np
from sklearn.base import ClassifierMixin
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


def text_baselines(
    *, logistic_regression_c: float, linear_svm_c: float, naive_bayes_alpha: float, seed: int
) -> dict[str, ClassifierMixin]:
    """Build the unfitted text baselines for sparse TF-IDF features.

    Args:
        logistic_regression_c: Inverse regularization strength C of the logistic regression.
        linear_svm_c: Inverse regularization strength C of the linear SVM.
        naive_bayes_alpha: Additive smoothing of naive Bayes.
        seed: Seed of the SVM's row order.

    Returns:
        Estimators by name: logistic_regression, linear_svm, naive_bayes.
    """
    return {
        "logistic_regression": LogisticRegression(C=logistic_regression_c, max_iter=1000),
        "linear_svm": LinearSVC(C=linear_svm_c, random_state=seed),
        "naive_bayes": MultinomialNB(alpha=naive_bayes_alpha),
    }


def image_baselines(
    *, logistic_regression_c: float, trees: int, seed: int, threads: int
) -> dict[str, ClassifierMixin]:
    """Build the unfitted image baselines for dense features of the backbone.

    Args:
        logistic_regression_c: Inverse regularization strength C of the logistic regression on
            standardized features.
        trees: Number of trees of the random forest.
        seed: Seed of the forest.
        threads: Trees fitted concurrently.

    Returns:
        Estimators by name: logistic_regression, random_forest.
    """
    return {
        "logistic_regression": make_pipeline(
            StandardScaler(), LogisticRegression(C=logistic_regression_c, max_iter=1000)
        ),
        "random_forest": RandomForestClassifier(trees, random_state=seed, n_jobs=threads),
    }


def score(
    baselines: dict[str, ClassifierMixin], examples: Examples
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Fit each baseline on the train part and score every product.

    Args:
        baselines: Unfitted estimators by name.
        examples: n products.

    Returns:
        Arrays: ids int64 (n,), present bool (n,), then per baseline float32 (n, 27):
        probabilities, or decision values if the estimator has no probabilities. Categories
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
    for name, estimator in baselines.items():
        probabilistic = hasattr(estimator, "predict_proba")
        start = time.perf_counter()
        with threadpool_limits(1):  # the order of sums depends on the threads
            estimator.fit(examples.features_of(train), examples.labels[train])
            fitted = time.perf_counter()
            decide = estimator.predict_proba if probabilistic else estimator.decision_function
            values = decide(examples.features_of(rows))
        if values.ndim == 1:  # two categories: decision values of the second
            values = np.stack([-values, values], axis=1)
        timings[f"{name}_fit_seconds"] = fitted - start
        timings[f"{name}_items_per_second"] = len(rows) / (time.perf_counter() - fitted)
        lowest = 0.0 if probabilistic else float(values.min()) - 1.0
        scores = np.full((len(examples.ids), NUM_CATEGORIES), lowest, np.float32)  # (n, 27)
        scores[np.ix_(rows, estimator.classes_)] = values
        arrays[name] = scores
    return arrays, timings
