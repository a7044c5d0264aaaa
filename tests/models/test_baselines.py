import numpy as np
import pytest
from scipy import sparse

from rakuten.data.examples import Examples
from rakuten.models import baselines

TEXT = {"logistic_regression_c": 10.0, "linear_svm_c": 0.5, "naive_bayes_alpha": 0.1, "seed": 0}
IMAGE = {"logistic_regression_c": 1.0, "trees": 20, "seed": 0, "threads": 1}


def separable(as_sparse=False, categories=(0, 4, 26)):
    """Forty rows per category, each with one large feature; the last row lacks the modality."""
    labels = np.repeat(categories, 40)
    features = np.abs(np.random.default_rng(0).normal(0, 0.05, (len(labels), 27)))
    features[np.arange(len(labels)), labels] += 1
    features = features.astype(np.float32)
    present = np.ones(len(labels), bool)
    present[-1] = False
    return Examples(
        ids=np.arange(len(labels)),
        features=sparse.csr_array(features) if as_sparse else features,
        present=present,
        labels=labels,
        parts=np.array((["train"] * 32 + ["test"] * 8) * len(categories)),
    )


@pytest.mark.parametrize(
    ("estimators", "as_sparse"),
    [(baselines.text_baselines(**TEXT), True), (baselines.image_baselines(**IMAGE), False)],
)
@pytest.mark.parametrize("categories", [(0, 4, 26), (0, 26)])
def test_each_baseline_learns_and_scores_all_27_categories(estimators, as_sparse, categories):
    examples = separable(as_sparse, categories)
    arrays, timings = baselines.score(estimators, examples)
    assert list(arrays) == ["ids", "present", *estimators]
    rows = np.flatnonzero(examples.present)
    for name in estimators:
        assert arrays[name].shape == (len(examples.ids), 27)
        assert arrays[name].dtype == np.float32
        np.testing.assert_array_equal(arrays[name][rows].argmax(1), examples.labels[rows])
        never = np.setdiff1d(np.arange(27), categories)
        assert (arrays[name][:, never] <= arrays[name][rows][:, categories].min()).all()
        assert timings[f"{name}_fit_seconds"] > 0
        assert timings[f"{name}_items_per_second"] > 0


def test_a_forest_is_fitted_in_parts_with_other_trees_in_each():
    parts = baselines.image_baselines(**IMAGE | {"trees": 60})["random_forest"]
    assert [part.n_estimators for part in parts] == 3 * [baselines.TREES]  # rounded up
    assert len({part.random_state for part in parts}) == 3
    scores = baselines.score({"forest": parts}, separable())[0]["forest"]
    each = [baselines.score({"forest": [part]}, separable())[0]["forest"] for part in parts]
    np.testing.assert_allclose(scores, np.mean(each, axis=0), rtol=1e-6)
    assert (each[0] != each[1]).any()


def test_the_same_seed_gives_the_same_scores():
    runs = [baselines.score(baselines.image_baselines(**IMAGE), separable())[0] for _ in range(2)]
    for name in runs[0]:
        np.testing.assert_array_equal(runs[0][name], runs[1][name])


def test_without_train_rows_the_baselines_are_skipped(caplog):
    examples = separable()
    examples.present[:] = False
    arrays, timings = baselines.score(baselines.image_baselines(**IMAGE), examples)
    assert (list(arrays), timings) == (["ids", "present"], {})
    assert "fewer than two categories" in caplog.text
