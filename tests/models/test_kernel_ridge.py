import numpy as np
import pytest
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from rakuten import storage
from rakuten.models import kernel_ridge

WEIGHTS = {"grid": 1.0, "frame": 0.5}
OPTIONS = {"weights": WEIGHTS, "landmarks": 100, "alpha": 0.3, "seed": 4}


def products(rows=40, seed=0):
    """Two blocks of features that separate four categories, labels, three folds."""
    generator = np.random.default_rng(seed)
    labels = generator.choice([0, 3, 11, 26], rows)
    centres = np.random.default_rng(99).normal(size=(27, 6))
    blocks = {
        "grid": kernel_ridge.normalize(centres[labels] + generator.normal(size=(rows, 6))),
        "frame": generator.normal(size=(rows, 2)).astype(np.float32),
    }
    return blocks, labels, generator.integers(0, 3, rows)


def naive_kernel(blocks, others, centres):
    """The weighted mean of exp(-squared distance / median squared distance of the centres)."""
    total = sum(WEIGHTS.values())
    kernel = 0
    for name, weight in WEIGHTS.items():
        median = np.median(cdist(centres[name], centres[name], "sqeuclidean"))
        kernel += (
            weight / total * np.exp(-cdist(blocks[name], others[name], "sqeuclidean") / median)
        )
    return kernel


def signs(labels):
    targets = np.full((len(labels), 27), -1.0)
    targets[np.arange(len(labels)), labels] = 1.0
    return targets


def exact_ridge(kernel, targets, alpha):
    """The dual problem with a free constant, solved as one bordered system."""
    rows = len(kernel)
    system = np.ones((rows + 1, rows + 1))
    system[:rows, :rows] = kernel + alpha * np.eye(rows)
    system[-1, -1] = 0
    solution = np.linalg.solve(system, np.vstack([targets, np.zeros((1, 27))]))
    return solution[:-1], solution[-1]


def test_with_every_product_a_landmark_it_is_exact_kernel_ridge_regression():
    blocks, labels, folds = products()
    fitted, out_of_fold = kernel_ridge.fit(blocks, labels, folds, **OPTIONS)
    new, _, _ = products(seed=1)
    full = naive_kernel(blocks, blocks, blocks)
    duals, constants = exact_ridge(full, signs(labels), 0.3)
    expected = naive_kernel(new, blocks, blocks) @ duals + constants
    scores = fitted.decision_function(new)
    assert scores.dtype == out_of_fold.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=2e-3)
    assert np.abs(expected).max() > 0.5
    for fold in range(3):
        own, kept = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        duals, constants = exact_ridge(full[np.ix_(kept, kept)], signs(labels[kept]), 0.3)
        expected = full[np.ix_(own, kept)] @ duals + constants
        np.testing.assert_allclose(out_of_fold[own], expected, atol=2e-3)


def test_out_of_fold_scores_equal_those_of_fits_without_the_fold():
    blocks, labels, folds = products(rows=90)
    fitted, out_of_fold = kernel_ridge.fit(blocks, labels, folds, **OPTIONS | {"landmarks": 15})
    mapped = naive_kernel(blocks, fitted.landmarks, fitted.landmarks) @ fitted.projection
    for fold in range(3):
        kept, own = folds != fold, folds == fold
        centre, mean = mapped[kept].mean(axis=0), signs(labels[kept]).mean(axis=0)
        moved = mapped[kept] - centre
        slopes = np.linalg.solve(
            moved.T @ moved + 0.3 * np.eye(moved.shape[1]), moved.T @ (signs(labels[kept]) - mean)
        )
        expected = (mapped[own] - centre) @ slopes + mean
        np.testing.assert_allclose(out_of_fold[own], expected, atol=2e-3)
    assert np.abs(out_of_fold - fitted.decision_function(blocks)).max() > 0.05, (
        "a fit scores its own rows better"
    )


def test_labels_of_a_fold_do_not_change_its_scores():
    blocks, labels, folds = products()
    _, out_of_fold = kernel_ridge.fit(blocks, labels, folds, **OPTIONS)
    other = np.where(folds == 1, 7, labels)
    _, again = kernel_ridge.fit(blocks, other, folds, **OPTIONS)
    np.testing.assert_allclose(again[folds == 1], out_of_fold[folds == 1], atol=1e-5)
    assert np.abs(again - out_of_fold)[folds != 1].max() > 0.1


def test_the_ensemble_classifies_with_few_landmarks():
    blocks, labels, folds = products(rows=200)
    fitted, out_of_fold = kernel_ridge.fit(blocks, labels, folds, **OPTIONS | {"landmarks": 30})
    new, expected, _ = products(rows=200, seed=5)
    assert len(fitted.landmarks["grid"]) == len(fitted.projection) == 30
    assert (fitted.decision_function(new).argmax(axis=1) == expected).mean() > 0.75
    assert (out_of_fold.argmax(axis=1) == labels).mean() > 0.75


def test_permuting_products_permutes_scores():
    blocks, labels, folds = products()
    order = np.random.default_rng(3).permutation(len(labels))
    moved = {name: block[order] for name, block in blocks.items()}
    fitted, out_of_fold = kernel_ridge.fit(blocks, labels, folds, **OPTIONS)
    again, permuted = kernel_ridge.fit(moved, labels[order], folds[order], **OPTIONS)
    np.testing.assert_allclose(permuted, out_of_fold[order], atol=1e-3)
    np.testing.assert_allclose(
        again.decision_function(moved), fitted.decision_function(blocks)[order], atol=1e-3
    )


def test_a_restored_classifier_gives_identical_scores(tmp_path):
    blocks, labels, folds = products()
    fitted, _ = kernel_ridge.fit(blocks, labels, folds, **OPTIONS)
    storage.write_arrays(tmp_path / "kernel.npz", **fitted.arrays())
    restored = kernel_ridge.restore(storage.read_arrays(tmp_path / "kernel.npz"))
    assert (
        restored.decision_function(blocks).tobytes() == fitted.decision_function(blocks).tobytes()
    )
    assert restored.weights == WEIGHTS


def test_scores_depend_on_the_seed_and_not_on_threads():
    generator = np.random.default_rng(6)
    blocks = {"grid": kernel_ridge.normalize(generator.normal(size=(900, 513)))}
    labels, folds = generator.integers(0, 27, 900), np.arange(900) % 3
    options = OPTIONS | {"weights": {"grid": 1.0}, "landmarks": 700}
    found = []
    for threads, seed in ((1, 4), (2, 4), (1, 5)):
        with threadpool_limits(threads):
            fitted, out_of_fold = kernel_ridge.fit(
                blocks, labels, folds, **options | {"seed": seed}
            )
            found.append((out_of_fold.tobytes(), fitted.decision_function(blocks).tobytes()))
    assert found[0] == found[1]
    assert found[0][0] != found[2][0], "other landmarks"


def test_the_chunk_size_does_not_change_scores(monkeypatch):
    blocks, labels, folds = products()
    fitted, out_of_fold = kernel_ridge.fit(blocks, labels, folds, **OPTIONS)
    scores = fitted.decision_function(blocks)
    monkeypatch.setattr(kernel_ridge, "CHUNK", 7)
    np.testing.assert_allclose(
        kernel_ridge.fit(blocks, labels, folds, **OPTIONS)[1], out_of_fold, atol=1e-3
    )
    np.testing.assert_allclose(fitted.decision_function(blocks), scores, atol=1e-5)


def test_a_block_without_a_weight_is_ignored():
    blocks, labels, folds = products()
    fitted, _ = kernel_ridge.fit(blocks, labels, folds, **OPTIONS | {"weights": {"grid": 1.0}})
    expected = fitted.decision_function(blocks)
    np.testing.assert_array_equal(
        fitted.decision_function(blocks | {"frame": blocks["frame"] + 9}), expected
    )


def test_no_products():
    blocks, labels, folds = products()
    none = {name: block[:0] for name, block in blocks.items()}
    fitted, _ = kernel_ridge.fit(blocks, labels, folds, **OPTIONS)
    assert fitted.decision_function(none).shape == (0, 27)
    fitted, out_of_fold = kernel_ridge.fit(none, labels[:0], folds[:0], **OPTIONS)
    assert fitted is None
    assert out_of_fold.shape == (0, 27)


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_with_one_fold_out_of_fold_scores_are_zero(rows):
    blocks, labels, _ = products(rows)
    fitted, out_of_fold = kernel_ridge.fit(blocks, labels, np.zeros(rows, int), **OPTIONS)
    assert not out_of_fold.any()
    assert fitted.decision_function(blocks)[0].argmax() == labels[0]


@pytest.mark.parametrize("seed", range(8))
def test_equal_products_get_equal_scores(seed):
    """Distances of equal rows differ from 0 by rounding, which must not set the kernel's scale."""
    _, labels, folds = products()
    row = kernel_ridge.normalize(np.random.default_rng(seed).random((1, 512)))
    blocks = {"grid": np.tile(row, (40, 1)), "frame": np.zeros((40, 2), np.float32)}
    fitted, out_of_fold = kernel_ridge.fit(blocks, labels, folds, **OPTIONS)
    assert fitted.scales == {"grid": 1.0, "frame": 1.0}
    scores = fitted.decision_function(blocks)
    np.testing.assert_allclose(scores, np.broadcast_to(scores[:1], scores.shape), atol=1e-3)
    assert (scores.argmax(axis=1) == np.bincount(labels).argmax()).all()
    assert np.isfinite(out_of_fold).all()


def test_a_category_of_one_fold_is_unknown_to_the_other_folds():
    blocks, labels, folds = products()
    labels[folds == 2], labels[folds != 2] = 8, np.where(labels[folds != 2] > 5, 26, 0)
    _, out_of_fold = kernel_ridge.fit(blocks, labels, folds, **OPTIONS)
    np.testing.assert_allclose(out_of_fold[folds == 2, 8], -1, atol=1e-4)


def test_roots_are_scaled_to_length_one_and_keep_their_signs():
    features = np.array([[9, 16], [4, -4], [0, 0]], np.float16)
    rows = kernel_ridge.normalize(features)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(rows, [[0.6, 0.8], [half, -half], [0, 0]], rtol=1e-6)
    assert rows.dtype == np.float32
    assert features[0].tolist() == [9, 16], "the argument is unchanged"
    assert kernel_ridge.normalize(np.zeros((0, 3))).shape == (0, 3)
