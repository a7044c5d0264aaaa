"""Measure prediction: fusion from features, raw titles, products with images, and the start-up."""

import time
from pathlib import Path

import numpy as np
from scipy import sparse

from benchmarks import measure
from rakuten import storage
from rakuten.data import products
from rakuten.data.examples import sparse_features
from rakuten.sample.catalogue import plan
from rakuten.sample.random_stream import RandomStream
from rakuten.sample.text import write_text
from rakuten.serving import batch_prediction
from rakuten.serving.classifier import Product, ProductClassifier

ITEMS, TITLES, PRODUCTS, REPEATS = 40_000, 20_000, 2_000, 9
ALONE, IMAGES, IMAGES_ALONE, IMAGE_REPEATS = 200, 256, 32, 3
BUILD = measure.ROOT / "build"
ARCHIVE = measure.ROOT / "data/images.zip"
START = ("-m", "rakuten", "predict", "--title", "Piscine hors sol ronde 3 m avec pompe")


def keras_fusion():
    """Build the study's prediction: three Keras models, one `predict` after the other."""
    from rakuten.models import nets  # imports TensorFlow, after the start of ONNX Runtime

    def read(stage: str) -> nets.keras.Model:
        description = storage.read_json(BUILD / stage / "model.json")
        build = {"dense_net": nets.dense_net, "fusion_net": nets.fusion_net}[description["builder"]]
        model = build(description["num_inputs"], **description["arguments"], seed=0)
        arrays = storage.read_arrays(BUILD / stage / "weights.npz")
        for layer in model.layers:
            layer.set_weights([arrays[f"{layer.name}/{value.name}"] for value in layer.weights])
        return model

    text_net, image_net, fusion = (read(name) for name in ("text", "image", "fusion"))
    hidden = [
        nets.keras.Model(model.inputs, model.get_layer(nets.HIDDEN).output)
        for model in (text_net, image_net)
    ]

    def predict(terms: sparse.csr_array, features: np.ndarray) -> np.ndarray:
        sides = [
            model.predict(x, batch_size=1024, verbose=0)
            for model, x in zip(hidden, (terms.toarray(), features), strict=True)
        ]
        return fusion.predict(np.concatenate(sides, axis=1), batch_size=1024, verbose=0)

    return predict


def measure_fusion() -> measure.Row:
    """Measure the study's fusion net from features against Keras."""
    terms = sparse_features(storage.read_arrays(BUILD / "vectorize/features.npz"))
    features = storage.read_arrays(BUILD / "extract/features.npz")["features"]
    rows = np.random.default_rng(0).integers(0, len(features), ITEMS)
    given = terms[rows], features[rows]
    net = ProductClassifier.load(model="fusion")
    ways = {
        "ours": lambda text, image: net.from_features(text=text, image=image),
        "naive": keras_fusion(),
    }
    results = {name: way(*given) for name, way in ways.items()}
    difference = np.abs(results["ours"] - results["naive"]).max()
    seconds = measure.in_turns(
        {name: (lambda way=way: way(*given)) for name, way in ways.items()}, repeats=REPEATS
    )
    note = f"{ITEMS:,} products; naive: Keras; probabilities differ by {difference:.0e} at most; "
    note += f"fastest of {REPEATS} turns {ITEMS / min(seconds['ours']):,.0f} products/s"
    return measure.rate(
        "fusion from features", "products", seconds["ours"], ITEMS, note, naive=seconds["naive"]
    )


def measure_titles(classifier: ProductClassifier) -> list[measure.Row]:
    """Measure the study's net and the packaged ensemble on titles that were not seen before."""
    recipes = plan(TITLES * (REPEATS + 1), 0, 3)
    titles = [write_text(RandomStream(3, 1, r.text_of), r.content)[0] for r in recipes]
    net, seconds = ProductClassifier.load(model="text"), []
    for start in range(0, len(titles), TITLES):  # the first turn loads the net
        begun = time.perf_counter()
        net.predict([Product(title) for title in titles[start : start + TITLES]], top=1)
        seconds.append(time.perf_counter() - begun)
    note = f"{TITLES:,} titles not seen before, the study's net"
    rows = [measure.rate("text alone, raw title to category", "titles", seconds[1:], TITLES, note)]
    remaining = iter(titles)

    def classify(count: int) -> None:
        classifier.predict([Product(next(remaining)) for _ in range(count)])

    def classify_alone() -> None:
        for _ in range(ALONE):
            classify(1)

    ways = {"ours": lambda: classify(PRODUCTS), "naive": classify_alone}
    turns = measure.in_turns(ways, repeats=REPEATS)
    note = f"{PRODUCTS:,} titles not seen before, the packaged ensemble, five categories; "
    note += "naive: one title at a time"
    row = measure.rate(
        "text alone, raw title to category", "titles", turns["ours"], PRODUCTS, note,
        naive=turns["naive"], naive_items=ALONE,
    )  # fmt: skip
    return [*rows, row]


def measure_images(classifier: ProductClassifier, folder: Path) -> measure.Row:
    """Measure `predict` on a file of products with images."""
    table = storage.read_csv(measure.ROOT / "data/X_train.csv", **products.CSV_FORMAT).head(IMAGES)
    names = [f"image_train/{name}" for name in products.image_names(table)]
    source, out = folder / "products.csv", folder / "predictions.csv"
    table.to_csv(source, index=False)
    options = batch_prediction.Options(
        source=source, out=out, images=ARCHIVE, package=BUILD / "package",
        model=classifier.model_name, top=5, submission=False, restart=True,
    )  # fmt: skip

    def alone() -> None:
        with storage.ImageArchive(ARCHIVE) as archive:
            for title, name in zip(table["designation"][:IMAGES_ALONE], names, strict=False):
                classifier.predict([Product(title, image=archive.read(name))])

    ways = {
        "ours": lambda: batch_prediction.predict_file(options, lambda _: classifier),
        "naive": alone,
    }
    turns = measure.in_turns(ways, repeats=IMAGE_REPEATS)
    note = f"{len(table)} products of the sample through `predict`; naive: one product at a time"
    return measure.rate(
        "text and image, raw product to category", "products", turns["ours"], len(table), note,
        naive=turns["naive"], naive_items=IMAGES_ALONE,
    )  # fmt: skip


def measure_starts(folder: Path) -> list[measure.Row]:
    """Measure the command for one product, from its start to its answer."""
    image = folder / "product.jpg"
    with storage.ImageArchive(ARCHIVE) as archive:
        image.write_bytes(archive.read(archive.names()[0]))
    rows = []
    for what, more in (("text alone", ()), ("text and image", ("--image", str(image)))):
        command = measure.python(*START, *more)
        starts = [measure.watch(command, measure.ROOT)[0] for _ in range(REPEATS)]
        note = f"`{' '.join(('python -m rakuten predict --title', *more[:1]))}` until its answer"
        rows.append(measure.Row(f"start for {what}", measure.median(starts), "s", note=note))
    return rows


def main() -> None:
    """Measure both fusions, titles, products with images, and start-up times."""
    rows = [measure_fusion()]
    classifier = ProductClassifier.load()
    classifier.warm_up()
    rows += measure_titles(classifier)
    with measure.scratch("predict") as folder:
        rows += [measure_images(classifier, folder), *measure_starts(folder)]
    measure.save("predict", rows)


if __name__ == "__main__":
    main()
