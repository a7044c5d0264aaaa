"""The description of a package: its data, models, test metrics and settings."""

from collections.abc import Mapping

import numpy as np

from rakuten.categories import CODES
from rakuten.data.examples import Examples, check_ids
from rakuten.evaluation import metrics


def summarize(
    examples: Examples,
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    *,
    dataset: Mapping[str, object],
    fitted_on: Mapping[str, object],
    threads: int,
    settings: Mapping[str, Mapping | None],
) -> dict:
    """Describe the packaged models for `package.json`.

    The test metrics are those of fits on the train part. The study's nets are packaged as they are.
    The packaged ensembles were refitted on `fitted_on`, usually all labelled rows: their accuracy
    on these is not known.

    Args:
        examples: All n products; those of the train part give the prior.
        outputs: By model its outputs for the same products: ids int64 (n,), present bool (n,),
            probabilities float (n, 27).
        dataset: The training data: name, digest.
        fitted_on: The rows of the packaged ensembles: "all" or "train"; numbers of products, of
            those with text and with an image.
        threads: Number of threads in training.
        settings: What else prediction needs: sections of params.yaml (encode_text, encode_image,
            text_ensemble, clean, vectorize, extract), and how the networks are used, text_encoder,
            image_encoder and backbone; None without that network.

    Returns:
        Plain values for JSON: dataset, fitted_on, models (which of them were trained), test
        (metrics on the test products that have the model's inputs, as in the evaluate stage),
        threads, the settings, categories in the order of the probabilities, prior.
    """
    for name, output in outputs.items():
        check_ids(examples.ids, output["ids"], f"outputs for {name}")
    return {
        "dataset": dict(dataset),
        "fitted_on": dict(fitted_on),
        "models": {name: bool(output["present"].any()) for name, output in outputs.items()},
        "test": {name: _test_metrics(examples, output) for name, output in outputs.items()},
        "threads": threads,
        **{name: section and dict(section) for name, section in settings.items()},
        "categories": list(CODES),
        "prior": examples.prior().tolist(),
    }


def predictions(
    examples: Examples, output: Mapping[str, np.ndarray], groups: np.ndarray
) -> dict[str, np.ndarray]:
    """Select a model's test predictions, by which packages are compared.

    They are of a fit on the train part. The packaged ensembles were refitted on test products too.

    Args:
        examples: n products.
        output: Outputs of the model for the same products: present bool (n,), probabilities
            float (n, 27).
        groups: int64 (n,), equal for duplicates.

    Returns:
        ids int64 (m,), ascending, labels int64 (m,) class indices, groups int64 (m,), probabilities
        float32 (m, 27), of the test products that the model has predictions for.
    """
    rows = (examples.parts == "test") & output["present"]
    return {
        "ids": examples.ids[rows].astype(np.int64),
        "labels": examples.labels[rows].astype(np.int64),
        "groups": groups[rows].astype(np.int64),
        "probabilities": output["probabilities"][rows].astype(np.float32),
    }


def _test_metrics(
    examples: Examples, output: Mapping[str, np.ndarray]
) -> dict[str, float | int | None]:
    """Evaluate a model on the test products; None where there are none."""
    rows = (examples.parts == "test") & output["present"]
    measured = metrics.measure(examples.labels[rows], output["probabilities"][rows])
    return {
        name: value if value is None or name == "rows" else round(float(value), 6)
        for name, value in measured.items()
    }
