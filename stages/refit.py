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
        chosen = (options["rows"] == "all") | parts["part"].eq("train").to_numpy()
        examples, texts = text_ensemble.join(products, parts, vectors)
        rows = np.flatnonzero(examples.present & chosen)
        own = texts.take(rows), examples.labels[rows]
        log.received(f"{len(rows):,} rows with text")
        del products, vectors, texts  # the fit takes gigabytes with 84,916 products
        stored = text_ensemble.read("build/text_ensemble", text_settings)
        text_ensemble.refit(*own, stored, text_settings, seed=seed).write("build/refit/text")

        features = storage.read_arrays("build/encode_image/features.npz")
        check_ids(examples.ids, features["ids"], "image features")
        image_rows = np.flatnonzero(features["present"] & chosen)
        log.received(f"{len(image_rows):,} rows with an image")
        fitted = image_ensemble.read("build/image_ensemble")
        shown = image_ensemble.views(features, image_rows), examples.labels[image_rows]
        image_ensemble.refit(*shown, fitted, image_settings, seed=seed).write("build/refit/image")
        counts = {"products": int(chosen.sum()), "text": len(rows), "image": len(image_rows)}
        storage.write_json("reports/refit/metrics.json", options | counts)
        log.wrote(f"ensembles fitted on {options['rows']} rows")


if __name__ == "__main__":
    main()
