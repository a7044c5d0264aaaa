from dataclasses import replace

import numpy as np
import pytest

from rakuten.image.preprocessing import Facts
from rakuten.models import image_ensemble, kernel_ridge
from rakuten.models.image_ensemble import Settings

SETTINGS = Settings(
    average=1.0,
    middle=0.4,
    frame=0.5,
    landmarks=200,
    kernel_ridge_alpha=0.3,
    bias_l2=1.0,
    folds=4,
)
CENTRES = np.random.default_rng(0).random((27, 24)) ** 4


def facts_of(rows):
    """Facts with the given sizes and boxes; the rest is 0."""
    return np.pad(np.array(rows, np.float64), ((0, 0), (0, len(Facts._fields) - 6)))


def catalogue(views=1, seed=0, per_category=15):
    """Features of an encoder that separate four categories, labels, folds."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 6, 13, 26], per_category)
    rows = len(labels)
    encoded = CENTRES[labels] - 0.2 + generator.random((views, rows, 24)) * 0.2
    left, top = generator.integers(0, 100, (2, views, rows))
    boxes = np.stack([left, top, 500 - left, 500 - top], axis=-1)
    facts = [facts_of(np.column_stack([np.full((rows, 2), 500), box])) for box in boxes]
    features = {
        "ids": np.arange(rows),
        "present": np.ones(rows, bool),
        "views": np.array(["original", "flip", "rotate"][:views]),
        "average": encoded[:, :, :12].astype(np.float16),
        "middle_1": encoded[:, :, 12:20].astype(np.float16),
        "middle_2": encoded[:, :, 20:].astype(np.float16),
        "facts": np.array(facts),
    }
    return features, labels, np.arange(rows) % 4


def prepared(**options):
    features, labels, folds = catalogue(**options)
    return image_ensemble.views(features, np.arange(len(labels))), labels, folds


def check_probabilities(probabilities, rows):
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (rows, 27)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_blocks_except_the_frame_have_rows_of_length_one():
    (blocks,), _, _ = prepared()
    assert {name: block.shape for name, block in blocks.items()} == {
        "average": (60, 12),
        "middle_1": (60, 8),
        "middle_2": (60, 4),
        "frame": (60, 5),
    }
    assert {block.dtype for block in blocks.values()} == {np.dtype(np.float32)}
    for name in ("average", "middle_1", "middle_2"):
        np.testing.assert_allclose(np.linalg.norm(blocks[name], axis=1), 1, rtol=1e-5)


def test_features_are_roots_that_keep_their_signs():
    features = {
        "average": np.array([[[9, -16]]]),
        "facts": facts_of([[10, 10, 0, 0, 10, 10]])[None],
    }
    (blocks,) = image_ensemble.views(features, np.array([0]))
    np.testing.assert_allclose(blocks["average"], [[0.6, -0.8]], rtol=1e-5)


def test_frames_of_a_few_images():
    facts = facts_of(
        [[500, 500, 0, 0, 500, 500], [500, 250, 100, 50, 200, 250], [8, 4, 7, 0, 8, 4]]
    )
    expected = [
        [0, 1, 1, 0, 0],
        [np.log(0.5), 0.2, 0.8, 0.2, 0.2],
        [np.log(0.25), 0.125, 1, 0.875, 0],
    ]
    described = image_ensemble.frame(facts)
    np.testing.assert_allclose(described, expected, rtol=1e-6)
    assert described.dtype == np.float32
    assert image_ensemble.frame(facts[:0]).shape == (0, 5)


def test_views_select_rows_and_describe_their_own_frames():
    features, _, _ = catalogue(views=2)
    found = image_ensemble.views(features, np.array([5, 2]))
    assert len(found) == 2
    for number, blocks in enumerate(found):
        expected = image_ensemble.frame(features["facts"][number])
        np.testing.assert_array_equal(blocks["frame"], expected[[5, 2]])
        alone = {name: array[number : number + 1] for name, array in features.items()}
        for name, block in image_ensemble.views(alone, np.arange(60))[0].items():
            np.testing.assert_array_equal(blocks[name], block[[5, 2]])
    assert (found[0]["frame"] != found[1]["frame"]).any()


@pytest.mark.parametrize("count", [1, 2])
def test_the_ensemble_classifies_new_images(count):
    views, labels, folds = prepared(views=count)
    ensemble, out_of_fold = image_ensemble.fit(views, labels, folds, SETTINGS, seed=3)
    new, expected, _ = prepared(views=count, seed=1)
    check_probabilities(out_of_fold, 60)
    probabilities = ensemble.probabilities(new)
    check_probabilities(probabilities, 60)
    assert (probabilities.argmax(axis=1) == expected).mean() > 0.9
    assert (out_of_fold.argmax(axis=1) == labels).mean() > 0.9


def test_views_are_rows_of_the_fit_and_their_scores_are_averaged():
    views, labels, folds = prepared(views=2)
    ensemble, out_of_fold = image_ensemble.fit(views, labels, folds, SETTINGS, seed=3)
    stacked = {name: np.concatenate([views[0][name], views[1][name]]) for name in views[0]}
    kernel, scores = kernel_ridge.fit(
        stacked, np.concatenate([labels, labels]), np.concatenate([folds, folds]),
        weights={"average": 1.0, "middle_1": 0.2, "middle_2": 0.2, "frame": 0.5},
        landmarks=200, alpha=0.3, seed=3,
    )  # fmt: skip
    assert len(kernel.projection) == 120
    np.testing.assert_array_equal(
        ensemble.kernel.decision_function(views[0]), kernel.decision_function(views[0])
    )
    expected = ensemble.calibration.probabilities([(scores[:60] + scores[60:]) / 2])
    np.testing.assert_allclose(out_of_fold, expected, rtol=1e-5)
    both = (kernel.decision_function(views[0]) + kernel.decision_function(views[1])) / 2
    probabilities = ensemble.probabilities(views)
    np.testing.assert_allclose(probabilities, ensemble.calibration.probabilities([both]), rtol=1e-4)
    assert np.abs(probabilities - ensemble.probabilities(views[:1])).max() > 0


def test_all_views_of_an_image_are_in_one_fold(monkeypatch):
    views, labels, folds = prepared(views=2)
    recorded = []
    fit = image_ensemble.calibration.fit
    monkeypatch.setattr(
        image_ensemble.calibration,
        "fit",
        lambda s, *a, **o: recorded.append(s[0]) or fit(s, *a, **o),
    )
    for values in (labels, np.where(folds == 1, 20, labels)):
        image_ensemble.fit(views, values, folds, SETTINGS, seed=3)
    own = folds == 1
    np.testing.assert_allclose(recorded[1][own], recorded[0][own], atol=1e-5)
    assert np.abs(recorded[1] - recorded[0])[~own].max() > 0.05


def test_blocks_of_weight_zero_are_ignored():
    settings = replace(SETTINGS, frame=0.0, average=0.0)
    views, labels, folds = prepared()
    assert settings.weights(list(views[0])) == {"middle_1": 0.2, "middle_2": 0.2}
    ensemble, _ = image_ensemble.fit(views, labels, folds, settings, seed=3)
    assert list(ensemble.kernel.landmarks) == ["middle_1", "middle_2"]
    expected = ensemble.probabilities(views)
    moved = [views[0] | {"frame": views[0]["frame"] + 5}]
    np.testing.assert_array_equal(ensemble.probabilities(moved), expected)


def test_an_encoder_may_lack_earlier_layers():
    assert SETTINGS.weights(["average", "frame"]) == {"average": 1.0, "frame": 0.5}


def test_all_weights_zero_is_an_error():
    views, labels, folds = prepared()
    settings = replace(SETTINGS, average=0, middle=0, frame=0)
    with pytest.raises(
        ValueError, match="of average, middle_1, middle_2, frame are all 0: expected at least one"
    ):
        image_ensemble.fit(views, labels, folds, settings, seed=3)


def test_an_ensemble_that_is_read_predicts_identically(tmp_path):
    views, labels, folds = prepared(views=2)
    ensemble, _ = image_ensemble.fit(views, labels, folds, SETTINGS, seed=3)
    ensemble.write(tmp_path)
    restored = image_ensemble.read(tmp_path)
    assert restored.probabilities(views).tobytes() == ensemble.probabilities(views).tobytes()
    restored.write(tmp_path / "again")
    written = [(tmp_path / name / "weights.npz").read_bytes() for name in ("", "again")]
    assert written[0] == written[1]
    assert restored.summary() == ensemble.summary()
    assert ensemble.summary() == {
        "features": 12 + 8 + 4 + 5,
        "landmarks": 120,
        "parameters": 27 * ensemble.kernel.projection.shape[1],
    }


def test_the_same_seed_gives_the_same_bytes():
    views, labels, folds = prepared()
    few = replace(SETTINGS, landmarks=20)
    one, two, other = (
        image_ensemble.fit(views, labels, folds, few, seed=seed) for seed in (3, 3, 4)
    )
    assert one[1].tobytes() == two[1].tobytes()
    assert one[0].probabilities(views).tobytes() == two[0].probabilities(views).tobytes()
    assert one[1].tobytes() != other[1].tobytes()


@pytest.mark.parametrize("count", [1, 3])
def test_without_train_images(count, tmp_path):
    features, labels, folds = catalogue(views=count)
    none = image_ensemble.views(features, np.zeros(0, np.int64))
    ensemble, out_of_fold = image_ensemble.fit(none, labels[:0], folds[:0], SETTINGS, seed=3)
    assert out_of_fold.shape == (0, 27)
    ensemble.write(tmp_path)
    restored = image_ensemble.read(tmp_path)
    assert restored.summary() == {"features": 0, "landmarks": 0, "parameters": 0}
    with pytest.raises(ValueError, match="was fitted without images"):
        restored.probabilities(prepared(views=count)[0])


def test_one_train_image():
    views, labels, folds = prepared()
    first = [{name: block[:1] for name, block in views[0].items()}]
    ensemble, out_of_fold = image_ensemble.fit(first, labels[:1], folds[:1], SETTINGS, seed=3)
    check_probabilities(out_of_fold, 1)
    assert ensemble.probabilities(views).argmax(axis=1).tolist() == [0] * 60


@pytest.mark.parametrize("count", [1, 2])
def test_refitting_on_the_same_rows_gives_the_same_ensemble(count):
    views, labels, folds = prepared(views=count)
    ensemble, _ = image_ensemble.fit(views, labels, folds, SETTINGS, seed=3)
    again = image_ensemble.refit(views, labels, ensemble, SETTINGS, seed=3)
    new, _, _ = prepared(views=count, seed=1)
    np.testing.assert_allclose(again.probabilities(new), ensemble.probabilities(new), atol=1e-6)


def test_refitting_on_more_rows_keeps_the_calibration():
    views, labels, folds = prepared()
    known = labels != 26
    few = [{name: block[known] for name, block in views[0].items()}]
    ensemble, _ = image_ensemble.fit(few, labels[known], folds[known], SETTINGS, seed=3)
    refitted = image_ensemble.refit(views, labels, ensemble, SETTINGS, seed=3)
    assert refitted.calibration is ensemble.calibration
    assert len(refitted.kernel.projection) == len(labels)
    new, expected, _ = prepared(seed=1)
    scores = refitted.kernel.decision_function(new[0])
    assert (scores.argmax(axis=1) == expected).mean() > 0.9
