"""Measure prediction: fusion from features, text alone from raw titles, and the start-up time."""

import time

import numpy as np
from scipy import sparse

from benchmarks import measure
from rakuten import prefetch, storage
from rakuten.data.examples import sparse_features
from rakuten.models import numpy_nets
from rakuten.sample.catalogue import plan
from rakuten.sample.random_stream import RandomStream
from rakuten.sample.text import write_text
from rakuten.serving.classifier import Product, ProductClassifier
from rakuten.text import cleaning, tfidf

ITEMS, TITLES, PRODUCTS, REPEATS = 40_000, 20_000, 2_000, 9
BUILD = measure.ROOT / "build"
ARCHIVE = measure.ROOT / "data/images.zip"
START = ("-m", "rakuten", "predict", "--title", "Piscine hors sol ronde 3 m avec pompe")


def net(stage: str) -> numpy_nets.Net:
    """Read a net trained by the last `dvc repro` for prediction in NumPy."""
    description = storage.read_json(BUILD / stage / "model.json")
    return numpy_nets.restore(description, storage.read_arrays(BUILD / stage / "weights.npz"))


class TextModel:
    """The study's pipeline from a raw title to a category."""

    def __init__(self):
        params = storage.read_yaml(measure.ROOT / "params.yaml")
        self._cleaner = cleaning.Cleaner(BUILD / "resources/nltk", **params["clean"])
        self._vocabulary = storage.read_json(BUILD / "vectorize/vocabulary.json")
        self._idf = storage.read_array(BUILD / "vectorize/idf.npy")
        chosen = params["vectorize"]
        self._counting = {name: chosen[name] for name in ("ngram_max", "sublinear_tf")}
        self._net = net("text")

    def __call__(self, titles: list[str]) -> np.ndarray:
        """Classify titles: their categories' indices int64 (n,)."""
        tokens = self._cleaner.clean(titles, [""] * len(titles))["tokens"]
        features = tfidf.transform(tokens, self._vocabulary, self._idf, **self._counting)
        return self._net.probabilities(features, threads=prefetch.available_cpus()).argmax(axis=1)


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


def numpy_fusion():
    """Build the same prediction in NumPy."""
    text_net, image_net, fusion = (net(name) for name in ("text", "image", "fusion"))
    threads = prefetch.available_cpus()
    width = len(text_net.layers[-1][0])

    def predict(terms: sparse.csr_array, features: np.ndarray) -> np.ndarray:
        hidden = np.empty((len(features), len(fusion.layers[0][0])), np.float32)
        text_net.hidden(terms, threads=threads, out=hidden[:, :width])
        image_net.hidden(features, threads=threads, out=hidden[:, width:])
        return fusion.probabilities(hidden, threads=threads)

    return predict


def main() -> None:
    """Measure both fusions, text alone, and start-up times."""
    terms = sparse_features(storage.read_arrays(BUILD / "vectorize/features.npz"))
    features = storage.read_arrays(BUILD / "extract/features.npz")["features"]
    rows = np.random.default_rng(0).integers(0, len(features), ITEMS)
    given = terms[rows], features[rows]
    ways = {"ours": numpy_fusion(), "naive": keras_fusion()}
    results = {name: way(*given) for name, way in ways.items()}
    difference = np.abs(results["ours"] - results["naive"]).max()
    seconds = measure.in_turns(
        {name: (lambda way=way: way(*given)) for name, way in ways.items()}, repeats=REPEATS
    )
    note = f"{ITEMS:,} products; naive: Keras; probabilities differ by {difference:.0e} at most; "
    note += f"fastest of {REPEATS} turns {ITEMS / min(seconds['ours']):,.0f} products/s"
    table = [
        measure.rate("fusion from features", "products", seconds["ours"], ITEMS, note,
                     naive=seconds["naive"])
    ]  # fmt: skip
    recipes = plan(TITLES * (REPEATS + 1), 0, 3)
    titles = [write_text(RandomStream(3, 1, r.text_of), r.content)[0] for r in recipes]
    classifier = ProductClassifier.load()
    ways = {
        "the study's net": (TextModel(), TITLES),
        "the packaged classifier, five categories": (
            lambda some: classifier.predict([Product(title) for title in some]),
            PRODUCTS,
        ),
    }
    for name, (model, count) in ways.items():
        took = []
        for start in range(0, count * (REPEATS + 1), count):  # new titles: words are cached
            begun = time.perf_counter()
            model(titles[start : start + count])
            took.append(time.perf_counter() - begun)
        note = f"{count:,} titles not seen before, {name}"
        table.append(
            measure.rate("text alone, raw title to category", "titles", took[1:], count, note)
        )
    with measure.scratch("predict") as folder, storage.ImageArchive(ARCHIVE) as archive:
        image = folder / "product.jpg"
        image.write_bytes(archive.read(archive.names()[0]))
        for what, more in (("text alone", ()), ("text and image", ("--image", str(image)))):
            command = measure.python(*START, *more)
            starts = [measure.watch(command, measure.ROOT)[0] for _ in range(REPEATS)]
            note = (
                f"`{' '.join(('python -m rakuten predict --title', *more[:1]))}` until its answer"
            )
            row = measure.Row(f"start for {what}", measure.median(starts), "s", note=note)
            table.append(row)
    measure.keep("predict", table)


if __name__ == "__main__":
    main()
