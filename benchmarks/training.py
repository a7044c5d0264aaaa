"""Train a linear model from partitions in shuffled batches, and with all rows in memory."""

import argparse
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse
from sklearn.linear_model import SGDClassifier

from benchmarks import measure
from rakuten import prefetch, storage
from rakuten.categories import NUM_CATEGORIES
from rakuten.distributed.batches import Labels, batches
from rakuten.text import cleaning, tfidf

PRODUCTS, SAMPLE, PARTITION = 300_000, 30_000, 8_192
EPOCHS, SIZE, BUFFER = 3, 1_024, 65_536
WAYS = ("streamed", "at once")


class Terms:
    """TF-IDF features as in the vectorize stage, with the vocabulary of a sample."""

    def __init__(self, folder: Path):
        self._vocabulary = storage.read_json(folder / "vocabulary.json")
        self._idf = storage.read_array(folder / "idf.npy")

    def __call__(self, tokens: pa.ChunkedArray) -> sparse.csr_array:
        """Weigh the terms of products: float32 CSR (n, d)."""
        return tfidf.transform(
            tokens.to_pylist(), self._vocabulary, self._idf, ngram_max=1, sublinear_tf=False
        )


def model(**options) -> SGDClassifier:
    """Build the model; the number of steps is the same either way."""
    return SGDClassifier(loss="log_loss", alpha=1e-6, random_state=0, **options)


def labels(folder: Path, part: str) -> Labels:
    """Read the labels of a part."""
    stored = storage.read_arrays(folder / "labels.npz")
    chosen = stored["test"] == (part == "test")
    return Labels(stored["ids"][chosen], stored["labels"][chosen])


def streamed(folder: Path, partitions: Path) -> SGDClassifier:
    """Train on batches."""
    found, terms, known = model(), Terms(folder), labels(folder, "train")
    for epoch in range(EPOCHS):
        for rows, classes in batches(
            str(partitions), ["tokens"], known, size=SIZE, buffer=BUFFER, seed=(0, epoch)
        ):
            found.partial_fit(terms(rows["tokens"]), classes, classes=np.arange(NUM_CATEGORIES))
    return found


def at_once(folder: Path, partitions: Path) -> SGDClassifier:
    """Train on all rows in memory."""
    table = pq.read_table(partitions, columns=["index", "tokens"])
    known, classes = labels(folder, "train").find(table["index"].to_numpy())
    features = Terms(folder)(table["tokens"].filter(pa.array(known)))
    return model(max_iter=EPOCHS, tol=None).fit(features, classes)


def accuracy(found: SGDClassifier, folder: Path, partitions: Path) -> float:
    """Measure accuracy on the test products, one batch at a time."""
    terms, right, count = Terms(folder), 0, 0
    for rows, classes in batches(
        str(partitions), ["tokens"], labels(folder, "test"), size=SIZE, buffer=SIZE, seed=0
    ):
        right += int((found.predict(terms(rows["tokens"])) == classes).sum())
        count += len(classes)
    return right / count


def prepare(folder: Path) -> tuple[Path, Path]:
    """Write a catalogue's tokens as partitions, like `python -m rakuten ray clean`.

    Returns:
        The partitions in the order of the catalogue, and sorted by category.
    """
    table = measure.catalogue(folder / "text", PRODUCTS)
    options = storage.read_params("clean", path=measure.ROOT / "params.yaml")
    nltk = measure.ROOT / "build/resources/nltk"
    columns = cleaning.clean(table, folder=nltk, processes=prefetch.available_cpus(), **options)
    test = np.random.default_rng(0).random(PRODUCTS) < 0.1
    storage.write_arrays(
        folder / "labels.npz", ids=table["id"].to_numpy(), labels=table["label"].to_numpy(),
        test=test,
    )  # fmt: skip
    written = pa.table({"index": table["id"].to_numpy(), **columns})
    sample = written["tokens"].filter(pa.array(~test)).to_pylist()[:SAMPLE]
    vocabulary, idf = tfidf.fit(sample, max_features=5035, min_df=1, max_df=1.0, ngram_max=1)
    storage.write_json(folder / "vocabulary.json", vocabulary)
    storage.write_array(folder / "idf.npy", idf)
    orders = {
        "texts": np.arange(PRODUCTS),
        "sorted": np.argsort(table["label"].to_numpy(), kind="stable"),
    }
    for name, order in orders.items():
        (folder / name).mkdir()
        for start in range(0, PRODUCTS, PARTITION):
            part = written.take(order[start : start + PARTITION])
            path = folder / name / f"part-{start:012d}.parquet"
            pq.write_table(part, path, compression="zstd")
    return folder / "texts", folder / "sorted"


def main() -> None:
    """Train each way in a separate process, to measure its memory."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--partitions", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        folder = given.partitions.parent
        begun = time.perf_counter()
        found = {"streamed": streamed, "at once": at_once}[given.way](folder, given.partitions)
        seconds = time.perf_counter() - begun
        share = accuracy(found, folder, given.partitions)
        storage.write_json(folder / "found.json", {"seconds": seconds, "accuracy": share})
        return
    with measure.scratch("training") as folder:
        texts, ordered = prepare(folder)
        ways = {
            "all in memory": ("at once", texts),
            "in batches": ("streamed", texts),
            "in batches, sorted by category": ("streamed", ordered),
        }
        rows = []
        learned = EPOCHS * int((~storage.read_arrays(folder / "labels.npz")["test"]).sum())
        for name, (way, partitions) in ways.items():
            command = measure.python("-m", "benchmarks.training", "--way", way)
            _, peak = measure.watch([*command, "--partitions", str(partitions)], measure.ROOT)
            found = storage.read_json(folder / "found.json")
            note = f"{PRODUCTS:,} products, a tenth of them for the test, {EPOCHS} epochs; accuracy"
            note += f" {found['accuracy']:.2%}, peak of the process {peak / 2**20:.0f} MiB"
            if way == "streamed":
                note += f"; batches of {SIZE:,} from a buffer of {BUFFER:,}"
            seconds = [found["seconds"]]
            rows.append(measure.rate(f"linear model, {name}", "products", seconds, learned, note))
    measure.keep("training", rows)


if __name__ == "__main__":
    main()
