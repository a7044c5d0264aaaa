"""What a package says of itself: everything the classifier needs to know besides the arrays."""

from collections.abc import Mapping

import numpy as np

from rakuten.categories import CODES
from rakuten.examples import Examples


def summarize(
    examples: Examples,
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    figures: Mapping[str, Mapping],
    *,
    dataset: Mapping[str, object],
    threads: int,
    settings: Mapping[str, Mapping],
) -> dict:
    """Sum up packaged models for `package.json`.

    Args:
        examples: All products; those of the train part give the prior.
        outputs: By modality what its best model says of them; see `examples.out_of_fold_outputs`.
        figures: By model and part the metrics of the evaluate stage.
        dataset: What the models were trained on.
        threads: Threads of the training.
        settings: The sections of params.yaml that prediction repeats: extract, encode, best_text.

    Returns:
        Plain values for JSON: dataset, models (which modalities have one), test (figures of the
        best models), threads, the settings, categories in the order of the probabilities, prior.
    """
    return {
        "dataset": dict(dataset),
        "models": {name: bool(said["present"].any()) for name, said in outputs.items()},
        "test": {name: parts["test"] for name, parts in figures.items() if name.startswith("best")},
        "threads": threads,
        **{name: dict(section) for name, section in settings.items()},
        "categories": list(CODES),
        "prior": examples.prior().tolist(),
    }
