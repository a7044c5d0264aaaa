"""Refit the text ensemble and the image ensemble on all labelled products, for the package."""

import numpy as np

from rakuten import stage_log, storage
from rakuten.data.examples import check_ids
from rakuten.models import image_ensemble, text_ensemble


def main() -> None:
    """Read the evaluated ensembles, features and labels; write the ensembles of the package."""
    seed, options = storage.read_params("seed", "refit")
    text_settings = text_ensemble.Settings(**storage.read_params("text_ensemble"))
    image_settings = image_ensemble.Settings(**storage.read_params("image_ensemble"))
    with stage_log.stage("refit") as log:
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        vectors = storage.read_arrays("build/encode_text/vectors.npz")
        features = storage.read_arrays("build/encode_image/features.npz")
        chosen = (options["rows"] == "all") | parts["part"].eq("train").to_numpy()
        examples, texts = text_ensemble.join(products, parts, vectors)
        text_rows = np.flatnonzero(examples.present & chosen)
        check_ids(examples.ids, features["ids"], "image features")
        image_rows = np.flatnonzero(features["present"] & chosen)
        log.received(f"{len(text_rows):,} rows with text, {len(image_rows):,} with an image")

        stored = text_ensemble.read("build/text_ensemble", text_settings)
        own = texts.take(text_rows), examples.labels[text_rows]
        text_ensemble.refit(*own, stored, text_settings, seed=seed).write("build/refit/text")
        fitted = image_ensemble.read("build/image_ensemble")
        shown = image_ensemble.views(features, image_rows), examples.labels[image_rows]
        image_ensemble.refit(*shown, fitted, image_settings, seed=seed).write("build/refit/image")
        counts = {"products": int(chosen.sum()), "text": len(text_rows), "image": len(image_rows)}
        storage.write_json("reports/refit/metrics.json", options | counts)
        log.wrote(f"ensembles fitted on {options['rows']} rows")


if __name__ == "__main__":
    main()
