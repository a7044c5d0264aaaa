"""Refit the text ensemble and the image ensemble on all labelled products, for the package."""

import numpy as np

from rakuten import stage_log, storage
from rakuten.data.examples import check_ids
from rakuten.models import image_ensemble, text_ensemble


def main() -> None:
    """Read the evaluated ensembles, features and labels; write the ensembles of the package."""
    seed, options = storage.read_params("seed", "refit")
    with stage_log.stage("refit") as log:
        parts = storage.read_table("build/split/parts.parquet")
        chosen = (options["rows"] == "all") | parts["part"].eq("train").to_numpy()
        # One after the other: both need gigabytes with the challenge's 84,916 products.
        texts = _refit_text(chosen, seed)
        images = _refit_image(chosen, seed)
        log.received(f"{texts:,} rows with text, {images:,} with an image")
        counts = {"products": int(chosen.sum()), "text": texts, "image": images}
        storage.write_json("reports/refit/metrics.json", options | counts)
        log.wrote(f"ensembles fitted on {options['rows']} rows")


def _refit_text(chosen: np.ndarray, seed: int) -> int:
    """Refit the text ensemble on chosen products, bool (n,); count those that have a text."""
    settings = text_ensemble.Settings(**storage.read_params("text_ensemble"))
    products = storage.read_table("build/clean/products.parquet")
    parts = storage.read_table("build/split/parts.parquet")
    vectors = storage.read_arrays("build/encode_text/vectors.npz")
    examples, texts = text_ensemble.join(products, parts, vectors)
    rows = np.flatnonzero(examples.present & chosen)
    texts, labels = texts.take(rows), examples.labels[rows]
    del products, vectors, examples
    stored = text_ensemble.read("build/text_ensemble", settings)
    text_ensemble.refit(texts, labels, stored, settings, seed=seed).write("build/refit/text")
    return len(rows)


def _refit_image(chosen: np.ndarray, seed: int) -> int:
    """Refit the image ensemble on chosen products, bool (n,); count those that have an image."""
    settings = image_ensemble.Settings(**storage.read_params("image_ensemble"))
    products = storage.read_table("build/clean/products.parquet")
    features = storage.read_arrays("build/encode_image/features.npz")
    check_ids(products["id"].to_numpy(), features["ids"], "image features")
    rows = np.flatnonzero(features["present"] & chosen)
    views, labels = image_ensemble.views(features, rows), products["label"].to_numpy()[rows]
    stored = image_ensemble.read("build/image_ensemble")
    image_ensemble.refit(views, labels, stored, settings, seed=seed).write("build/refit/image")
    return len(rows)


if __name__ == "__main__":
    main()
