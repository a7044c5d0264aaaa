"""Time one epoch of each net at the challenge's size, validation included, against plain Keras.

The features are random, because the time does not depend on their values. Plain Keras is `fit` on
dense arrays with its default batch size of 32. Each net runs in a separate process, as in its
stage.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scipy import sparse

from benchmarks import measure
from rakuten import determinism, storage
from rakuten.data.examples import Examples
from rakuten.determinism import keras
from rakuten.models import nets, training

TRAIN, VALIDATION = 59_441, 8_492
TERMS, TERMS_PER_PRODUCT, FEATURES = 5_035, 25, 512
EPOCHS = 8
"""The first epoch also builds the graph and is not counted."""


class Clock(keras.callbacks.Callback):
    """Time every epoch but the first."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stop the clock, validation included."""
        if epoch:
            self.seconds.append(time.perf_counter() - self._start)


def examples(sparse_terms: bool) -> Examples:
    """Draw random features, labels and parts."""
    generator = np.random.default_rng(0)
    rows = TRAIN + VALIDATION
    if sparse_terms:
        ends = np.arange(0, rows * TERMS_PER_PRODUCT + 1, TERMS_PER_PRODUCT, dtype=np.int32)
        values = generator.random(ends[-1], np.float32)
        columns = generator.integers(0, TERMS, ends[-1]).astype(np.int32)
        features = sparse.csr_array((values, columns, ends), shape=(rows, TERMS))
        features.sum_duplicates()
    else:
        features = generator.random((rows, FEATURES), np.float32)
    parts = np.repeat(["train", "validation"], [TRAIN, VALIDATION])
    labels = generator.integers(0, 27, rows)
    return Examples(np.arange(rows), features, np.ones(rows, bool), labels, parts)


def build(name: str, params: dict) -> keras.Model:
    """Build a net as its stage does."""
    net = {key: value for key, value in params[name].items() if not isinstance(value, dict)}
    if name == "fusion":
        return nets.fusion_net(FEATURES, **net, seed=0)
    return nets.dense_net(TERMS if name == "text" else FEATURES, **net, seed=0)


def stage_training(name: str, params: dict, given: Examples) -> list[float]:
    """Train as the stage does, with the parameters of params.yaml, and time the epochs."""
    marks: list[float] = []
    values = params[name]["training"] | {"epochs": EPOCHS, "patience": EPOCHS}
    training.fit(
        build(name, params), given, training.Settings(**values), seed=0,
        on_epoch=lambda *_: marks.append(time.perf_counter()),
    )  # fmt: skip
    return np.diff(marks).tolist()


def plain_keras(name: str, params: dict, given: Examples) -> list[float]:
    """Train with plain Keras and time the epochs."""
    features = given.features.toarray() if sparse.issparse(given.features) else given.features
    model, clock = build(name, params), Clock()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    validation = features[TRAIN:], given.labels[TRAIN:]
    model.fit(
        features[:TRAIN], given.labels[:TRAIN], validation_data=validation,
        epochs=2, verbose=0, callbacks=[clock],
    )  # fmt: skip
    return clock.seconds


def both_ways(name: str) -> tuple[list[float], list[float]]:
    """Time the epochs of a net both ways."""
    params = storage.read_yaml(measure.ROOT / "params.yaml")
    determinism.configure(seed=0, threads=params["threads"])
    given = examples(sparse_terms=name == "text")
    return stage_training(name, params, given), plain_keras(name, params, given)


def main() -> None:
    """Train every net both ways."""
    params = storage.read_yaml(measure.ROOT / "params.yaml")
    names, rows = ("text", "image", "fusion"), []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes:
        for name, (epochs, naive) in zip(names, processes.map(both_ways, names), strict=True):
            fast, slow = measure.median(epochs), measure.median(naive)
            batch = params[name]["training"]["batch_size"]
            note = f"{TRAIN:,} train and {VALIDATION:,} validation rows, batches of {batch}; "
            note += f"fastest of {len(epochs)} epochs {min(epochs):.3g} s"
            rows.append(measure.Row(f"epoch of the {name} net", fast, "s", slow, slow / fast, note))
    measure.save("nets", rows)


if __name__ == "__main__":
    main()
