"""Tests of runs on Ray: the same values as one process, even if processes die."""

import json
import os
import re
import signal
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import distributed_cases
import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pytest
from distributed_cases import (
    SPEC,
    WIDTHS,
    ListingPrediction,
    ToyClassifier,
    ToyEncoding,
    ToyPrediction,
    actors,
    append_faulty_rows,
    as_faulty_parquet,
    catalogue,
    digest,
    section,
    wait,
)
from repository import ROOT

from rakuten import categories, storage
from rakuten.distributed import engine
from rakuten.distributed.output import Output
from rakuten.distributed.partitions import Partition
from rakuten.image import extraction, preprocessing
from rakuten.serving import batch_prediction, prediction_files
from rakuten.serving.errors import InputError
from rakuten.serving.product_tables import open_table, read_rows
from rakuten.text import tfidf

pytestmark = pytest.mark.xdist_group("ray engine")  # its tests share fixtures that take long

STORE = 200 << 20  # bytes of Ray's shared memory


@pytest.fixture(scope="module")
def cluster():
    """Start a node on this machine; tests may add others."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    ray.cloudpickle.register_pickle_by_value(distributed_cases)
    node = {"object_store_memory": STORE, "include_dashboard": False}
    settings = {"worker_niceness": 0}  # 15 by default: too nice on a busy machine
    nodes = Cluster(
        initialize_head=True, head_node_args=node | {"num_cpus": 2, "_system_config": settings}
    )
    yield nodes
    nodes.shutdown()


def run(cluster, request, transform):
    """Run a transform on the cluster of the tests.

    Its actors end some time later: those of a failed run may finish another partition until then.
    """
    return engine.run(replace(request, address=cluster.address), transform)


def parts(out, kind="predictions"):
    """List the written partitions; an actor that was killed may leave hidden files."""
    return sorted((out / kind).glob("part-*.parquet"))


def local(source, folder, monkeypatch, *, images=None):
    """Predict in one process: predictions, errors and counts."""
    monkeypatch.setattr(batch_prediction, "CHUNK", 4)
    out = folder / "local.parquet"
    options = prediction_files.Options(
        source, out, images, folder / "none", "late_fusion", 3, False, False
    )
    summary = batch_prediction.predict_file(options, lambda _: ToyClassifier(folder))
    errors = None
    if options.errors.exists():
        errors = pd.read_csv(options.errors, keep_default_na=False, dtype={"index": "str"})
    return pd.read_parquet(out), errors, summary


def check(out, expected):
    """Compare the output of a run with that of one process."""
    table, errors, _ = expected
    found = pd.read_parquet(out / "predictions")
    assert found["row"].tolist() == list(range(len(table)))
    pd.testing.assert_frame_equal(found.drop(columns="row"), table, check_exact=True)
    if errors is not None:
        listed = pd.read_parquet(out / "errors").reset_index(drop=True)
        same = listed[["line", "index", "reason"]]
        assert same.to_numpy().tolist() == errors.to_numpy().tolist()
        numbered = listed[listed["index"].str.isdigit()]
        assert found["index"][numbered["row"]].astype(int).astype(str).tolist() == (
            numbered["index"].tolist()
        )
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["complete"]
    assert manifest["rows"] == len(table) == sum(p["rows"] for p in manifest["partitions"])
    return manifest


@pytest.mark.scale(minutes=3)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_faulty_rows_give_the_values_and_errors_of_one_process(
    cluster, tmp_path, monkeypatch, suffix
):
    source = catalogue(tmp_path, 23)
    reasons = {
        "100": "image image_50_product_0.jpg cannot be used",
        "9002": "designation is not UTF-8",
        "9003": "expected 5 fields, received 6",
        "nine": "index is not a number",
    }
    if suffix == ".parquet":
        source = as_faulty_parquet(source)
        reasons = {"9001": "description larger than field limit", "9002": reasons["9002"]}
    else:
        append_faulty_rows(tmp_path)
    images = tmp_path / "images"
    expected = local(source, tmp_path, monkeypatch, images=images)
    out = tmp_path / "out"
    transform = ToyPrediction(str(tmp_path), 3, chunk=4, partition=8)
    summary = run(cluster, engine.Request(str(source), str(out), str(images)), transform)
    assert summary == expected[2]
    check(out, expected)
    found = pd.read_parquet(out / "errors").set_index("index")["reason"]
    assert set(found.index) == set(reasons)
    for index, reason in reasons.items():
        assert found[index].startswith(reason)


@pytest.mark.scale
def test_images_are_found_by_the_rule_of_one_process(cluster, tmp_path, monkeypatch):
    """Zipped on Windows, with other endings, one archive within another."""
    source = catalogue(tmp_path, 12)
    files = sorted((tmp_path / "images").iterdir())
    for path in files[:2]:
        path.rename(path.with_suffix(".JPEG"))
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as archive:
        for path in files[2:]:
            archive.write(path, f"images\\image_train\\{path.stem}.JPG")
            path.unlink()
    with zipfile.ZipFile(tmp_path / "images" / "outer.zip", "w") as archive:
        archive.write(tmp_path / "inner.zip", "inner.zip")
    images = tmp_path / "images"
    expected = local(source, tmp_path, monkeypatch, images=images)
    assert expected[2].missing_images == 8
    out = tmp_path / "out"
    transform = ToyPrediction(str(tmp_path), 3, chunk=4, partition=4)
    request = engine.Request(str(source), str(out), str(images))
    assert run(cluster, request, transform) == expected[2]
    check(out, expected)

    changed = next(images.glob("*.JPEG"))
    os.utime(changed, ns=(0, changed.stat().st_mtime_ns + 1))
    with pytest.raises(InputError, match="images differ"):
        run(cluster, request, transform)

    others = tmp_path / "others"
    others.mkdir()
    (others / "photo.jpg").write_bytes(b"1")
    message = r"none of the images named in the table, for example image_50_product_0\.jpg; it"
    with pytest.raises(InputError, match=message):
        run(cluster, replace(request, images=str(others), out=str(tmp_path / "b")), transform)


@pytest.mark.scale
def test_two_partitions_are_computed_at_the_same_time(cluster, tmp_path):
    """The process that starts first does not get both."""
    source = catalogue(tmp_path, 8)
    (tmp_path / "meet").touch()
    transform = ToyPrediction(str(tmp_path), 3, chunk=4, partition=4)
    run(cluster, engine.Request(str(source), str(tmp_path / "out"), None), transform)
    assert len(list(tmp_path.glob("*.actor"))) == 2


@pytest.mark.scale
def test_the_next_run_computes_only_the_missing_partitions(cluster, tmp_path, monkeypatch):
    source = catalogue(tmp_path, 24)
    expected = local(source, tmp_path, monkeypatch)
    out = tmp_path / "out"
    transform = ToyPrediction(str(tmp_path), 3, chunk=4, partition=4)
    request = engine.Request(str(source), str(out), None)
    (tmp_path / "fail").touch()
    with pytest.raises(InputError, match=r"a bug.*the same command continues"):
        run(cluster, request, transform)
    before = {path: path.stat().st_mtime_ns for path in parts(out)}
    assert 0 < len(before) < 6
    assert not json.loads((out / "manifest.json").read_text())["complete"]
    (tmp_path / "fail").unlink()
    run(cluster, request, transform)
    first = check(out, expected)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    with pytest.raises(InputError, match="partition differ"):  # its files would repeat rows
        run(cluster, request, replace(transform, partition=8))
    run(cluster, replace(request, restart=True), transform)
    assert check(out, expected) == first  # the same bytes


@pytest.mark.scale
def test_features_of_a_killed_and_a_failed_run_are_those_of_one_process(cluster, tmp_path):
    """An actor dies, then the run fails; the next computes the missing partitions alone."""
    source = catalogue(tmp_path, 40, every=2)
    append_faulty_rows(tmp_path)
    out, images = tmp_path / "out", tmp_path / "images"
    views = section("original", "flip")
    transform = ToyEncoding(str(tmp_path), SPEC, views, chunk=4, partition=8)
    request = engine.Request(str(source), str(out), str(images))
    (tmp_path / "crash").touch()
    (tmp_path / "fail").touch()
    with pytest.raises(InputError, match=r"a bug.*the same command continues"):
        run(cluster, request, transform)
    assert not (tmp_path / "crash").exists()
    before = {path: path.stat().st_mtime_ns for path in parts(out, "features")}
    assert 0 < len(before) < 6
    (tmp_path / "fail").unlink()
    for file in tmp_path.glob("*.calls"):
        file.unlink()
    summary = run(cluster, request, transform)
    assert summary == prediction_files.Summary(products=43, missing_images=23, bad_rows=4)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    computed = {one for file in tmp_path.glob("*.calls") for one in file.read_text().split()}
    written = {int(path.stem.removeprefix("part-")) // 8 for path in before}
    expected_views = set()
    for row in range(2, 40, 2):
        content = (images / f"image_{row + 50}_product_{row}.jpg").read_bytes()
        if row // 8 not in written:
            prepared = preprocessing.prepare(content, transform.preparation)
            expected_views |= {digest(view) for view in prepared.pixels}
    assert computed
    assert computed <= expected_views  # an actor of the failed run may have computed some

    found = pd.read_parquet(out / "features")
    assert found["row"].tolist() == list(range(43))
    network = transform.network()
    rows = list(read_rows(open_table(source)))
    for start in range(0, 43, transform.chunk):  # the chunks of the run, in this process
        chunk = found.iloc[start : start + transform.chunk]
        files = [images / str(row.image) for row in rows[start : start + transform.chunk]]
        has = [file.is_file() and file.name != "image_50_product_0.jpg" for file in files]
        assert chunk["has_image"].tolist() == has
        if not any(has):
            continue
        content = [f.read_bytes() for f, there in zip(files, has, strict=True) if there]
        prepared = iter([preprocessing.prepare(one, transform.preparation) for one in content])
        local = extraction.compute_features(prepared, sum(has), network, 2, lambda _: None)
        for kind in WIDTHS:
            expected = local[kind].reshape(sum(has), -1)
            np.testing.assert_array_equal(np.stack(chunk[kind][has]), expected)
        frames = [chunk[["left", "left_flip"]][has].to_numpy(), local["facts"][:, :, 2]]
        np.testing.assert_array_equal(*frames)


@pytest.mark.scale
def test_each_actor_gets_one_gpu_if_there_are_any(cluster, tmp_path):
    """The GPUs are declared, not present: the test is which actor would get them."""
    source = catalogue(tmp_path, 96, every=1)
    node = cluster.add_node(num_cpus=4, num_gpus=2, object_store_memory=STORE)
    try:
        transform = ToyEncoding(str(tmp_path), SPEC, section("original"), chunk=4, partition=4)
        images = str(tmp_path / "images")
        run(cluster, engine.Request(str(source), str(tmp_path / "out"), images), transform)
    finally:
        cluster.remove_node(node)
    devices = [path.name.split(".")[1] for path in tmp_path.glob("*.device")]
    assert 1 <= len(devices) <= 2
    assert set(devices) <= {"0", "1"}
    assert len(set(devices)) == len(devices)


@pytest.mark.scale
def test_rows_that_always_end_their_process_are_left_out(cluster, tmp_path):
    """One row ends the process when it is computed, another when it is prepared."""
    source = catalogue(tmp_path, 16)
    source.write_bytes(
        source.read_bytes() + b"7,Crash,,,\n8,a,,,\n9,b,,,\n10,Crash in preparation,,,\n"
    )
    out = tmp_path / "out"
    transform = ToyPrediction(str(tmp_path), 3, chunk=2, partition=2)
    with pytest.raises(
        InputError, match=r"2 of 10 partitions could not be computed, the first is "
    ) as error:
        run(cluster, engine.Request(str(source), str(out), None), transform)
    assert "part-000000000016.parquet: rows 17 to 18 of" in str(error.value)
    assert [path.name for path in parts(out)] == [
        f"part-{first:012d}.parquet" for first in range(0, 20, 2) if first not in (16, 18)
    ]
    assert not json.loads((out / "manifest.json").read_text())["complete"]

    clean = source.read_bytes().replace(b"Crash in", b"Plain in").replace(b"Crash", b"Plain")
    source.write_bytes(clean)
    with pytest.raises(InputError, match="input differ"):
        run(cluster, engine.Request(str(source), str(out), None), transform)


@pytest.mark.scale
def test_no_row_is_lost_or_repeated_when_a_process_and_a_machine_die(
    cluster, tmp_path, monkeypatch
):
    """Each process waits in its second partition until both have died."""
    source = catalogue(tmp_path, 96)
    images = tmp_path / "images"
    expected = local(source, tmp_path, monkeypatch, images=images)
    for file in tmp_path.glob("*.actor"):
        file.unlink()
    hold, out = tmp_path / "hold", tmp_path / "out"
    hold.touch()
    node = cluster.add_node(num_cpus=2, object_store_memory=STORE)
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)

    def begun():
        return {int(path.stem) for path in tmp_path.glob("*.actor")}

    def kill():
        try:
            wait(lambda: begun() and parts(out), lambda: "no partition was written")
            os.kill(begun().pop(), signal.SIGKILL)
            wait(
                lambda: begun() & {actor.pid for actor in actors(raylet)},
                lambda: "no process of the second node has begun",
            )
            cluster.remove_node(node, allow_graceful=False)
        finally:
            hold.unlink()

    transform = ToyPrediction(str(tmp_path), 3, chunk=4, partition=8)
    try:
        with ThreadPoolExecutor(1) as pool:
            killed = pool.submit(kill)
            request = engine.Request(str(source), str(out), str(images))
            summary = run(cluster, request, transform)
        killed.result()
    finally:
        if node in cluster.worker_nodes:
            cluster.remove_node(node)
    assert summary == expected[2]
    check(out, expected)


@pytest.mark.scale
def test_workers_predict_from_text_and_image_without_tensorflow(
    cluster, built_repository, tmp_path
):
    source, images = catalogue(tmp_path, 6), str(tmp_path / "images")
    package = str(built_repository / "build/package")
    transform = ListingPrediction(package, 3, 1024, folder=str(tmp_path))
    summary = run(cluster, engine.Request(str(source), str(tmp_path / "out"), images), transform)
    assert summary.missing_images == 4
    (path,) = tmp_path.glob("*.modules")
    modules = path.read_text().split()
    assert "onnxruntime" in modules
    assert not {"tensorflow", "keras", "torch"} & {*modules}


@pytest.mark.scale
def test_the_training_example_of_the_documentation_runs(cluster, tmp_path, monkeypatch):
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
    storage.write_csv("data/Y_train.csv", pd.DataFrame({"": ids[9:], "prdtypecode": codes[9:]}))
    output = Output(str(tmp_path / "cleaned"), "texts")
    for first in range(0, 540, 100):
        part = slice(first, first + 100)
        table = pa.table({"index": ids[part], "tokens": tokens[part]})
        output.write(Partition(first, len(table), 0, first), table, [], 0)
    names = {}
    import ray

    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        exec(code, names)
    finally:
        ray.shutdown()
    found = names["model"].predict(
        tfidf.transform(tokens, vocabulary, idf, ngram_max=1, sublinear_tf=False)
    )
    assert (found == ids % 27).mean() > 0.95
