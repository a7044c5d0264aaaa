from dataclasses import replace

import numpy as np
import pytest

from rakuten import storage
from rakuten.data import splits
from rakuten.data.examples import Examples
from rakuten.determinism import keras
from rakuten.models import modality_net, training
from rakuten.stage_log import StageLog

pytestmark = pytest.mark.tensorflow

NET = {"scaling": "none", "hidden_units": 8, "dropout": 0.1}
TRAINING = {
    "learning_rate": 0.02,
    "batch_size": 4,
    "epochs": 4,
    "patience": 2,
    "class_weights": "none",
}
SETTINGS = training.Settings(**TRAINING)
GROUPS = np.arange(20) // 2


def small_examples():
    """Sixteen train rows in eight groups of duplicates, then four validation rows."""
    return Examples(
        ids=np.arange(20),
        features=np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32),
        present=np.ones(20, bool),
        labels=np.arange(20) % 8,
        parts=np.array(["train"] * 16 + ["validation"] * 4),
    )


def out_of_fold(examples, groups=GROUPS, folds=2):
    return modality_net.out_of_fold(NET, examples, groups, SETTINGS, folds=folds, epochs=3, seed=1)


@pytest.mark.slow
def test_out_of_fold_outputs_come_from_a_net_trained_without_the_row():
    examples = small_examples()
    first = out_of_fold(examples)
    assert {name: array.shape for name, array in first.items()} == {
        "out_of_fold_probabilities": (16, 27),
        "out_of_fold_hidden": (16, 8),
    }
    np.testing.assert_allclose(first["out_of_fold_probabilities"].sum(axis=1), 1, rtol=1e-5)
    changed = replace(examples, features=examples.features.copy())
    changed.features[:2] += 5  # the two rows of one group
    folds = splits.folds(examples.labels[:16], GROUPS[:16], count=2, seed=1)
    same_fold = np.flatnonzero(folds == folds[0])[2:]
    other_fold = np.flatnonzero(folds != folds[0])
    second = out_of_fold(changed)
    for name, array in first.items():
        np.testing.assert_array_equal(second[name][same_fold], array[same_fold])
        assert (second[name][other_fold] != array[other_fold]).any()


@pytest.mark.slow
def test_out_of_fold_outputs_do_not_depend_on_validation_rows():
    examples = small_examples()
    changed = replace(examples, features=examples.features.copy())
    changed.features[16:] += 5
    for first, second in zip(
        out_of_fold(examples).values(), out_of_fold(changed).values(), strict=True
    ):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("rows", [0, 1])
def test_out_of_fold_outputs_of_too_few_rows_are_the_prior_and_zeros(rows):
    examples = small_examples()
    examples.present[rows:] = False
    found = out_of_fold(examples, examples.ids)
    prior = np.tile(examples.prior(), (rows, 1))
    np.testing.assert_array_equal(found["out_of_fold_probabilities"], prior)
    np.testing.assert_array_equal(found["out_of_fold_hidden"], np.zeros((rows, 8)))


def test_a_single_group_gets_the_prior_and_zeros():
    examples = small_examples()
    found = out_of_fold(examples, np.zeros(20, int))
    prior = np.tile(examples.prior(), (16, 1))
    np.testing.assert_array_equal(found["out_of_fold_probabilities"], prior)
    assert not found["out_of_fold_hidden"].any()


@pytest.mark.slow
def test_the_net_does_not_depend_on_the_folds_or_on_what_ran_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written = []
    for folds in (2, 3):
        modality_net.train(
            "text", {**NET, "out_of_fold": {"folds": folds}, "training": TRAINING},
            small_examples(), GROUPS, seed=1, log=StageLog("text"), on_epoch=lambda *_: None,
        )  # fmt: skip
        files = [f"build/text/{name}" for name in ("weights.npz", "model.json")]
        written.append([storage.digest(path) for path in [*files, "reports/text/history.csv"]])
        outputs = storage.read_arrays("build/text/outputs.npz")
        assert {"probabilities", "hidden", "out_of_fold_probabilities"} <= outputs.keys()
        keras.utils.set_random_seed(99)
    assert written[0] == written[1]
