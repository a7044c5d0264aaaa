"""Tests of shuffled batches: every row once per epoch, by id, in bounded memory."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from distributed_cases import SPEC, ToyEncoding, blank, section
from repository import ROOT

from rakuten import categories, storage
from rakuten.distributed import batches, output
from rakuten.distributed.batches import Labels
from rakuten.distributed.partitions import Partition
from rakuten.serving.batch_prediction import PreparedRow
from rakuten.serving.classifier import Prepared
from rakuten.serving.errors import InputError
from rakuten.serving.product_tables import Row
from rakuten.text import tfidf

PRODUCTS, PARTITION, WIDTH = 230, 20, 3


def features(ids):
    """Make features that are unique to each id."""
    return (np.asarray(ids)[:, None] * 10 + np.arange(WIDTH)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """Write partitions as a run does: ids descend from 1000, one product in five has no image, one
    has no readable index."""
    ids = 1000 - 2 * np.arange(PRODUCTS)
    out = output.Output(str(tmp_path / "out"), "features", {}, restart=False)
    for first in range(0, PRODUCTS, PARTITION):
        part = ids[first : first + PARTITION]
        missing = part % 10 == 0
        average = [None if none else row for none, row in zip(missing, features(part), strict=True)]
        numbers = pa.array([None if i == 998 else int(i) for i in part], pa.int64())
        table = pa.table({"index": numbers, "has_image": ~missing, "average": pa.array(average)})
        out.write(Partition(first, len(part), 0, first), table, [], 0)
    return str(tmp_path / "out/features")


@pytest.fixture
def labels():
    """Label all products with an image except one, and others."""
    ids = np.array([i for i in range(1100) if i % 10 and i != 996])
    return Labels(np.random.default_rng(0).permutation(ids), np.zeros(len(ids)))


def known():
    return [i for i in 1000 - 2 * np.arange(PRODUCTS) if i % 10 and i not in (996, 998)]


def read(folder, labels, **options):
    options = {"size": 8, "buffer": 50, "seed": 1} | options
    return list(batches.batches(folder, ["index", "average"], labels, **options))


@pytest.mark.parametrize(("size", "buffer"), [(1, 1), (8, 8), (7, 50), (50, 50), (64, 1000)])
def test_every_labelled_product_comes_once_with_its_own_features(folder, labels, size, buffer):
    found = read(folder, labels, size=size, buffer=buffer)
    ids = np.concatenate([table["index"].to_numpy() for table, _ in found])
    assert sorted(ids) == sorted(known())
    rows = np.concatenate([batches.matrix(table["average"]) for table, _ in found])
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, features(ids))
    sizes = [len(classes) for _, classes in found]
    assert set(sizes[:-1]) <= {size}
    assert 0 < sizes[-1] <= size


def test_labels_are_those_of_the_ids(folder):
    ids = np.arange(2000)
    for table, classes in read(folder, Labels(ids[::-1], ids[::-1] % 27)):
        assert classes.dtype == np.int32
        np.testing.assert_array_equal(classes, table["index"].to_numpy() % 27)


def test_the_order_depends_on_the_seed_and_mixes_partitions(folder, labels):
    def order(**options):
        return np.concatenate([t["index"].to_numpy() for t, _ in read(folder, labels, **options)])

    np.testing.assert_array_equal(order(), order())
    assert (order() != order(seed=2)).any()
    assert (order(seed=(1, 0)) != order(seed=(1, 1))).any()
    partition = (1000 - order(buffer=60)) // (2 * PARTITION)
    assert all(len(set(partition[start : start + 24])) >= 3 for start in range(0, 144, 24))


@pytest.mark.parametrize(("size", "buffer"), [(8, 30), (4, 5)])
def test_memory_is_bounded_by_the_buffer(folder, labels, size, buffer):
    """At most one further partition is read, or a piece of it that fits into the buffer."""
    opened = []

    class Spy(Labels):
        def find(self, ids):
            opened.append(len(ids))
            return super().find(ids)

    spy = Spy(np.array(known()), np.zeros(len(known())))
    given = 0
    columns = ["index", "average"]
    for table, _ in batches.batches(folder, columns, spy, size=size, buffer=buffer, seed=1):
        given += len(table)
        assert max(opened) <= min(PARTITION, buffer)
        assert sum(opened) - given < buffer + PARTITION + PRODUCTS - len(known())


def test_features_of_the_real_layout_are_read(tmp_path, labels):
    """The table that extraction writes, with a row without an image."""
    image = blank()
    prepared_rows = [
        PreparedRow(Row(n, n, n + 1, "", "", None, ()), Prepared("", "", given), (), False)
        for n, given in enumerate([image, None, image])
    ]
    table = ToyEncoding(str(tmp_path), SPEC, section("original"), 1).load()(prepared_rows)
    average = np.stack(table["average"].to_pandas()[[0, 2]])
    out = output.Output(str(tmp_path / "out"), "features", {}, restart=False)
    out.write(Partition(0, 3, 0, 0), table, [], 0)
    some = Labels(np.array([1, 3]), np.array([7, 8]))
    ((batch, classes),) = batches.batches(
        str(tmp_path / "out/features"), ["average", "middle_1"], some, size=9, buffer=9, seed=0
    )
    order = np.argsort(classes)
    np.testing.assert_array_equal(batches.matrix(batch["average"])[order], average)
    assert batches.matrix(batch["middle_1"]).dtype == np.float16
    everything = Labels(np.array([1, 2, 3]), np.zeros(3))
    ((batch, _),) = batches.batches(
        str(tmp_path / "out/features"), ["average"], everything, size=9, buffer=9, seed=0
    )
    with pytest.raises(ValueError, match="1 of 3 products have no features"):
        batches.matrix(batch["average"])


def test_invalid_arguments_are_refused(folder, labels, tmp_path):
    with pytest.raises(ValueError, match="batches of 9 from a buffer of 8: expected 1 to 8"):
        read(folder, labels, size=9, buffer=8)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no partitions"):
        read(str(tmp_path / "empty"), labels)
    with pytest.raises(ValueError, match="id 4 has two labels"):
        Labels(np.array([4, 1, 4]), np.array([1, 2, 1]))
    with pytest.raises(ValueError, match="2 ids and 1 classes"):
        Labels(np.array([4, 1]), np.array([1]))
    none, _ = Labels(np.array([], int), np.array([], int)).find(np.array([1, 2]))
    assert not none.any()
    assert read(folder, Labels(np.array([], int), np.array([], int))) == []


def test_the_training_example_of_the_documentation_runs(tmp_path, monkeypatch):
    """Run the example of docs/scale.md on a catalogue of two words per category."""
    document = (ROOT / "docs/scale.md").read_text()
    (code,) = re.findall(r"## Training on.*?```python\n(.*?)```", document, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    ids = np.random.default_rng(0).permutation(540)
    codes = [categories.CODES[i % 27] for i in ids]
    tokens = [f"mot{i % 27} autre{i % 5}" for i in ids]
    vocabulary, idf = tfidf.fit(tokens, max_features=99, min_df=1, max_df=1.0, ngram_max=1)
    storage.write_json("build/vectorize/vocabulary.json", vocabulary)
    storage.write_array("build/vectorize/idf.npy", idf)
    storage.write_csv("data/Y_train.csv", pd.DataFrame({"": ids, "prdtypecode": codes}))
    out = output.Output(str(tmp_path / "cleaned"), "texts", {}, restart=False)
    for first in range(0, 540, 100):
        part = slice(first, first + 100)
        table = pa.table({"index": ids[part], "tokens": tokens[part]})
        out.write(Partition(first, len(table), 0, first), table, [], 0)
    names = {}
    exec(code, names)
    found = names["model"].predict(
        tfidf.transform(tokens, vocabulary, idf, ngram_max=1, sublinear_tf=False)
    )
    assert (found == ids % 27).mean() > 0.95
