"""What a package says of itself: everything the classifier needs to know besides the arrays."""

from collections.abc import Mapping

import numpy as np

from rakuten import evaluation
from rakuten.categories import CODES
from rakuten.examples import Examples


def summarize(
    examples: Examples,
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    *,
    dataset: Mapping[str, object],
    threads: int,
    settings: Mapping[str, Mapping],
) -> dict:
    """Sum up packaged models for `package.json`.

    Args:
        examples: All products; those of the train part give the prior.
        outputs: What the best models say of them, by "text", "image" and "fusion"; see
            `examples.out_of_fold_outputs`.
        dataset: What the models were trained on.
        threads: Threads of the training.
        settings: The sections of params.yaml that prediction repeats: extract, encode, best_text.

    Returns:
        Plain values for JSON: dataset, models (which were trained), test (their figures on the test
        products they can judge, as the evaluate stage has them), threads, the settings, categories
        in the order of the probabilities, prior.
    """
    return {
        "dataset": dict(dataset),
        "models": {name: bool(said["present"].any()) for name, said in outputs.items()},
        "test": {name: _figures(examples, said) for name, said in outputs.items()},
        "threads": threads,
        **{name: dict(section) for name, section in settings.items()},
        "categories": list(CODES),
        "prior": examples.prior().tolist(),
    }


def _figures(examples: Examples, said: Mapping[str, np.ndarray]) -> dict[str, float | int | None]:
    """Measure a model on the test products that it can judge; None where there are none."""
    rows = (examples.parts == "test") & said["present"]
    figures = evaluation.measure(examples.labels[rows], said["probabilities"][rows])
    return {
        name: value if value is None or name == "rows" else round(float(value), 6)
        for name, value in figures.items()
    }
