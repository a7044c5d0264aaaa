from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from rakuten import determinism
from rakuten.data.examples import Examples
from rakuten.determinism import keras
from rakuten.models import nets, training

pytestmark = pytest.mark.tensorflow

SETTINGS = {
    "learning_rate": 0.02,
    "batch_size": 4,
    "epochs": 40,
    "patience": 40,
    "class_weights": "none",
}
NETS = {
    "dense": lambda width, seed=1: nets.dense_net(
        width, scaling="none", hidden_units=32, dropout=0.1, seed=seed
    ),
    "fusion": lambda width, seed=1: nets.fusion_net(
        width, hidden_units=32, first_dropout=0.1, dropout=0.1, norm_momentum=0.9, seed=seed
    ),
}


def small_examples(as_sparse=False, train=8, others=4):
    """Eight train rows of eight categories, then others for validation; one lacks the modality."""
    generator = np.random.default_rng(0)
    n = train + others
    features = generator.normal(size=(n, 6)).astype(np.float32)
    present = np.ones(n, bool)
    present[-1] = False
    features[-1] = 0
    return Examples(
        ids=np.arange(n) * 3,
        features=sparse.csr_array(features) if as_sparse else features,
        present=present,
        labels=np.arange(n) % 8,
        parts=np.array(["train"] * train + ["validation"] * others),
    )


def fit(net, examples, *, seed=1, **changes):
    epochs = []
    settings = training.Settings(**SETTINGS | changes)
    curves = training.fit(
        net, examples, settings, seed=seed, on_epoch=lambda *epoch: epochs.append(epoch)
    )
    return curves, epochs


@pytest.mark.parametrize(
    ("name", "as_sparse", "changes"),
    [
        pytest.param("dense", False, {}, marks=pytest.mark.slow),
        ("dense", True, {}),
        pytest.param(
            "fusion",
            False,
            {"learning_rate": 0.003, "batch_size": 8, "epochs": 80},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_each_net_overfits_eight_rows(name, as_sparse, changes):
    examples = small_examples(as_sparse, others=0)
    examples.present[:] = True
    net = NETS[name](6)
    fit(net, examples, **changes)
    outputs = training.outputs(net, examples, trained=True)["probabilities"].argmax(axis=1)
    assert outputs.tolist() == examples.labels.tolist()


def test_sparse_and_dense_features_give_the_same_outputs():
    net = NETS["dense"](6)
    dense = training.outputs(net, small_examples(), trained=True)
    from_sparse = training.outputs(net, small_examples(True), trained=True)
    for name in dense:
        np.testing.assert_allclose(dense[name], from_sparse[name], rtol=1e-6)


@pytest.mark.parametrize("as_sparse", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_same_seed_gives_the_same_weights_and_another_gives_others(as_sparse):
    trained = []
    for seed in (3, 3, 4):
        net = NETS["dense"](6, seed)
        fit(net, small_examples(as_sparse), epochs=3, seed=seed)
        trained.append(b"".join(array.tobytes() for array in nets.weights(net).values()))
    assert trained[0] == trained[1] != trained[2]


def test_training_stops_early_and_keeps_the_best_epoch():
    examples = small_examples()
    net = NETS["dense"](6)
    curves, seen = fit(net, examples, patience=2, learning_rate=0.05)
    best = curves["validation_loss"].idxmin()
    assert len(curves) == best + 3 < SETTINGS["epochs"]
    assert [epoch for epoch, _ in seen] == curves["epoch"].tolist()
    assert seen[best][1]["validation_loss"] == curves["validation_loss"][best]
    rows = examples.rows("validation")
    outputs = training.outputs(net, examples, trained=True)["probabilities"][rows]
    loss = -np.log(outputs[np.arange(len(rows)), examples.labels[rows]]).mean()
    assert loss == pytest.approx(curves["validation_loss"][best], rel=1e-4)


def test_products_without_the_modality_get_the_prior_and_zeros():
    examples = small_examples()
    outputs = training.outputs(NETS["dense"](6), examples, trained=True)
    np.testing.assert_array_equal(outputs["probabilities"][-1], examples.prior())
    assert not outputs["hidden"][-1].any()
    assert outputs["present"].tolist() == examples.present.tolist()
    np.testing.assert_array_equal(outputs["ids"], examples.ids)
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, rtol=1e-5)


def test_without_train_rows_every_product_gets_the_prior():
    examples = small_examples()
    examples.present[:8] = False
    net = NETS["dense"](6)
    curves, seen = fit(net, examples)
    assert (len(curves), seen) == (0, [])
    outputs = training.outputs(net, examples, trained=False)
    assert not outputs["present"].any()
    np.testing.assert_array_equal(outputs["probabilities"], np.tile(examples.prior(), (12, 1)))
    report = training.summary(curves, parameters=7)
    assert report == {"parameters": 7, "epochs": 0, "best_epoch": 0}
    assert "untrained" in training.summary_line(report)


def test_hidden_is_the_output_of_the_hidden_layer():
    examples = small_examples()
    net = NETS["dense"](6)
    kernel, bias = net.get_layer("hidden").get_weights()
    hidden = training.outputs(net, examples, trained=True)["hidden"]
    expected = np.maximum(examples.features @ kernel + bias, 0)
    expected[-1] = 0
    np.testing.assert_allclose(hidden, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("better", [True, False])
def test_the_start_is_kept_unless_an_epoch_is_better(better):
    examples = small_examples()
    examples.features[8:11] = examples.features[:3]  # validation rows equal train rows
    net = NETS["fusion"](6)
    if not better:
        fit(net, examples, epochs=30)
        examples.labels[:8] = np.roll(examples.labels[:8], 1)  # all that follows is wrong
    start = net.get_weights()
    epochs = []
    settings = training.Settings(**SETTINGS | {"epochs": 30, "patience": 3})
    curves = training.fit(
        net,
        examples,
        settings,
        seed=1,
        on_epoch=lambda *epoch: epochs.append(epoch),
        evaluate_start=True,
    )
    assert curves["epoch"].tolist() == [number for number, _ in epochs] == [*range(len(curves))]
    assert not curves.isna().any(axis=None)
    report = training.summary(curves, parameters=7)
    assert report["epochs"] == len(curves) - 1
    assert (report["best_epoch"] == 0) != better
    assert ("best 0 (initial weights)" in training.summary_line(report)) != better
    kept = [np.array_equal(*pair) for pair in zip(start, net.get_weights(), strict=True)]
    assert all(kept) != better
    rows = examples.rows("validation")
    found = training.outputs(net, examples, trained=True)["probabilities"][rows]
    loss = -np.log(found[np.arange(len(rows)), examples.labels[rows]]).mean()
    assert loss == pytest.approx(curves["validation_loss"].min(), rel=1e-4)


@pytest.mark.slow
def test_measuring_the_start_does_not_change_the_epochs():
    trained = []
    for evaluate_start in (False, True):
        net = NETS["dense"](6)
        net.get_layer("dropout").rate = 0.0
        settings = training.Settings(**SETTINGS | {"epochs": 3})
        curves = training.fit(
            net, small_examples(), settings, seed=1, on_epoch=lambda *_: None,
            evaluate_start=evaluate_start,
        )  # fmt: skip
        trained.append(curves[curves["epoch"] > 0].reset_index(drop=True))
    pd.testing.assert_frame_equal(*trained)


@pytest.mark.slow
def test_without_validation_rows_the_start_is_not_measured():
    net = NETS["dense"](6)
    settings = training.Settings(**SETTINGS | {"epochs": 2})
    curves = training.fit(
        net, small_examples(others=0), settings, seed=1, on_epoch=lambda *_: None,
        evaluate_start=True,
    )  # fmt: skip
    assert curves["epoch"].tolist() == [1, 2]


def test_balanced_weights_give_every_category_the_same_total():
    labels = np.array([0, 0, 0, 5])
    weights = training.sample_weights(labels, "balanced")
    assert weights[:3].sum() == pytest.approx(weights[3])
    assert weights[3] == pytest.approx(4 / 27)
    with pytest.raises(ValueError, match="class_weights is 'balance': expected 'none' or"):
        training.sample_weights(labels, "balance")


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_batches_cover_every_row_once_in_a_new_order_each_epoch(convert):
    features = convert(np.arange(10, dtype=np.float32).reshape(10, 1))
    batches = training.Batches(features, np.arange(10), batch_size=4, seed=0)
    epochs = []
    for _ in range(2):
        read = [batches[i] for i in range(len(batches))]
        assert [len(x) for x, _ in read] == [4, 4, 2]
        for x, y in read:
            np.testing.assert_array_equal(x[:, 0], y)
        epochs.append(np.concatenate([y for _, y in read]).tolist())
        batches.on_epoch_end()
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]


def test_a_misspelt_parameter_is_an_error_that_names_it():
    with pytest.raises(TypeError, match="learning_rat"):
        fit(NETS["dense"](6), small_examples(), learning_rat=1)
    with pytest.raises(TypeError, match="dropuot"):
        nets.dense_net(6, scaling="none", hidden_units=2, dropuot=0.1, seed=1)


def test_threads_cannot_change_later():
    keras.ops.ones(1)
    with pytest.raises(RuntimeError, match="cannot be modified"):
        determinism.configure(seed=1, threads=1)


@pytest.mark.parametrize("name", [pytest.param("dense", marks=pytest.mark.slow), "fusion"])
def test_a_refit_equals_the_fit_of_a_new_net(name):
    examples = small_examples()
    settings = training.Settings(**SETTINGS)
    used, new = (training.Refits(NETS[name](6), settings, seed=1) for _ in range(2))
    used.fit(replace(examples, features=examples.features + 1), epochs=3)
    for refits in (used, new):
        refits.fit(examples, epochs=2)
    for first, second in zip(*(one.outputs(examples.features) for one in (used, new)), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_the_start_is_measured_without_dropout_on_validation_rows():
    examples = small_examples()
    net = NETS["fusion"](6)
    before = training.outputs(net, examples, trained=True)["probabilities"]
    curves = training.fit(
        net, examples, training.Settings(**SETTINGS | {"epochs": 1}), seed=1,
        on_epoch=lambda *_: None, evaluate_start=True,
    )  # fmt: skip
    rows = examples.rows("validation")
    labels = examples.labels[rows]
    loss = -np.log(before[rows, labels]).mean()
    assert curves["validation_loss"][0] == pytest.approx(loss, rel=1e-5)
    correct = before[rows].argmax(axis=1) == labels
    assert curves["validation_accuracy"][0] == pytest.approx(correct.mean())
