"""One training of a net, from examples to files: fit, log, write model, outputs and curves."""

from collections.abc import Callable

import keras

from rakuten import storage
from rakuten.data.examples import Examples
from rakuten.models import checkpoints, training
from rakuten.stage_log import StageLog
from rakuten.tracking import runs


def train(
    log: StageLog,
    builder: Callable[..., keras.Model],
    examples: Examples,
    *,
    net: dict[str, float],
    fitting: dict[str, object],
    seed: int,
) -> None:
    """Train a net and write what the later stages and the reports need.

    Writes build/<stage>/model.json and weights.npz, build/<stage>/outputs.npz (see
    `rakuten.models.training.outputs`), reports/<stage>/history.csv and metrics.json.

    Args:
        log: The log of the stage, which names the folders.
        builder: A builder of `rakuten.models.nets`.
        examples: What to train on and predict.
        net: The builder's keyword arguments.
        fitting: The keyword arguments of `rakuten.models.training.fit` that params.yaml holds.
        seed: Seed of the order of the products.
    """
    build, reports = f"build/{log.name}", f"reports/{log.name}"
    model = builder(examples.features.shape[1], **net)
    with runs.live_run(log.name) as run, log.timed("fit_seconds"):
        curves = training.fit(model, examples, seed=seed, on_epoch=run.log_epoch, **fitting)
    with log.timed("items_per_second", items=len(examples.ids)):
        outputs = training.outputs(model, examples, trained=len(curves) > 0)
    figures = training.summary(curves, checkpoints.write(build, model, **net))
    storage.write_arrays(f"{build}/outputs.npz", **outputs)
    storage.write_csv(f"{reports}/history.csv", curves)
    storage.write_json(f"{reports}/metrics.json", figures)
    log.measured_on(f"{build}/weights.npz")
    log.wrote(training.sentence(figures))
