"""Refit the text ensemble and the image ensemble on all labelled products, for the package."""

import numpy as np

from rakuten import stage_log, storage
from rakuten.data.examples import check_ids, join
from rakuten.models import image_ensemble, text_ensemble
from rakuten.text import html


def main() -> None:
    """Read the evaluated ensembles, features and labels; write the ensembles of the package."""
    seed, options, *sections = storage.read_params(
        "seed", "refit", "text_ensemble", "image_ensemble"
    )
    text_settings = text_ensemble.Settings(**sections[0])
    image_settings = image_ensemble.Settings(**sections[1])
    with stage_log.stage("refit") as log:
        products = storage.read_table("build/clean/products.parquet")
        parts = storage.read_table("build/split/parts.parquet")
        vectors = storage.read_arrays("build/encode_text/vectors.npz")
        features = storage.read_arrays("build/encode_image/features.npz")
        chosen = (options["rows"] == "all") | parts["part"].eq("train").to_numpy()
        has_text = products["has_text"].to_numpy()
        examples = join(products, parts, vectors.pop("ids"), has_text & chosen, None)
        text_rows = np.flatnonzero(examples.present)
        check_ids(examples.ids, features["ids"], "image features")
        image_rows = np.flatnonzero(features["present"] & chosen)
        log.received(f"{len(text_rows):,} rows with text, {len(image_rows):,} with an image")

        evaluated = text_ensemble.read("build/text_ensemble", text_settings)
        texts = text_ensemble.Texts(examples.ids, *html.plain_texts(products), vectors)
        text_ensemble.refit(
            texts.take(text_rows), examples.labels[text_rows], evaluated, text_settings, seed=seed
        ).write("build/refit/text")
        views = image_ensemble.views(features, image_rows)
        image_ensemble.refit(
            views, examples.labels[image_rows], image_ensemble.read("build/image_ensemble"),
            image_settings, seed=seed,
        ).write("build/refit/image")  # fmt: skip
        counts = {"products": int(chosen.sum()), "text": len(text_rows), "image": len(image_rows)}
        storage.write_json("reports/refit/metrics.json", options | counts)
        log.wrote(f"ensembles fitted on {options['rows']} rows")


if __name__ == "__main__":
    main()
