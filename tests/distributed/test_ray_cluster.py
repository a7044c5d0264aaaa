"""Tests of the packaged classifier, features and texts on a Ray cluster of two nodes and on S3."""

import contextlib
import io
import json
import os
import secrets
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import psutil
import pyarrow.fs as fs
import pyarrow.parquet as pq
import pytest
from distributed_cases import actors, wait
from s3_server import CREDENTIALS, free_port, serve

from rakuten import storage

pytest.importorskip("ray", reason="make test-scale installs it")
pytest.importorskip("moto", reason="make test-scale installs it")

pytestmark = pytest.mark.xdist_group("ray cluster")  # its tests share fixtures that take long

FILES, ROWS = 6, 12  # a partition never spans two files
NODE = ["--num-cpus", "2", "--object-store-memory", str(200 << 20), "--disable-usage-stats"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
ENVIRONMENT |= CREDENTIALS | {"RAY_AUTH_MODE": "token", "RAY_worker_niceness": "0"}

LOCAL = """
import functools, sys
import numpy as np, pandas as pd
from rakuten import storage
from rakuten.image import encoder, extraction, preprocessing
from rakuten.serving import predict_command
from rakuten.serving.classifier import ProductClassifier

load = functools.lru_cache(ProductClassifier.load)
for number in range(int(sys.argv[2])):
    words = [f"{sys.argv[1]}/products/{number}.csv", "--images", "data/images.zip", "-o"]
    assert predict_command.main([*words, f"{sys.argv[1]}/{number}.parquet"], load) == 0

path, spec = encoder.read()
options = encoder.preparation_options(storage.read_params("encode_image"))
preparation = spec.preparation(**options)
table = pd.read_csv(f"{sys.argv[1]}/products/0.csv", index_col=0)
images = []
with storage.ImageArchive("data/images.zip") as archive:
    for image, product in zip(table["imageid"], table["productid"]):
        name = f"image_train/image_{image}_product_{product}.jpg"
        if name in archive:
            images.append(preprocessing.prepare(archive.read(name), preparation))
network = encoder.ImageEncoder(path, spec, threads=1)
found = extraction.compute_features(iter(images), len(images), network, 16, lambda _: None)
np.savez(f"{sys.argv[1]}/features.npz", **found)
"""
"""Compute predictions of each file and features of the first file in one process."""


HELD = """
import os, sys, time
from pathlib import Path
from rakuten.distributed import command
from rakuten.distributed.prediction import Prediction
from rakuten.distributed.transform import Steps

FOLDER = Path(sys.argv.pop(1))

class HeldPrediction(Prediction):
    def load(self):
        prepare, compute = super().load()
        path = FOLDER / str(os.getpid())

        def held(prepared_rows):
            while path.exists() and (FOLDER / "hold").exists():
                time.sleep(0.1)
            path.touch()
            return compute(prepared_rows)

        return Steps(prepare, held)

command.Prediction = HeldPrediction
sys.exit(command.main())
"""
"""Predict on Ray; each process waits before its second partition until the file `hold` is gone."""


def call(folder, *words):
    """Run a Python module and return its output."""
    command = [sys.executable, "-m", *map(str, words)]
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}:\n{done.stdout[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def catalogue(built_repository, tmp_path_factory):
    """Write files of the sample, zip archives of their images, and results of one process."""
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "products").mkdir()
    (folder / "shards").mkdir()
    lines = (built_repository / "data" / "X_train.csv").read_text(encoding="utf-8")
    table = pd.read_csv(io.StringIO(lines), index_col=0)
    table.loc[table.index[1], "imageid"] = 1  # has no image
    with storage.ImageArchive(built_repository / "data" / "images.zip") as archive:
        for number in range(FILES):
            part = table.iloc[number * ROWS : (number + 1) * ROWS]
            part.to_csv(folder / "products" / f"{number}.csv")
            with zipfile.ZipFile(folder / "shards" / f"{number}.zip", "w") as shard:
                for image, product in zip(part["imageid"], part["productid"], strict=True):
                    name = f"image_{image}_product_{product}.jpg"
                    if f"image_train/{name}" in archive:
                        shard.writestr(name, archive.read(f"image_train/{name}"))
    command = [sys.executable, "-c", LOCAL, str(folder), str(FILES)]
    subprocess.run(command, cwd=built_repository, check=True, timeout=600)
    return folder


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Start two nodes as docs/scale.md describes; yield the address and their processes."""
    logs = tmp_path_factory.mktemp("nodes")
    (logs / "token").write_text(secrets.token_hex(32))
    ENVIRONMENT["RAY_AUTH_TOKEN_PATH"] = str(logs / "token")
    address = f"127.0.0.1:{free_port()}"
    head = ["--head", "--port", address.split(":")[1], "--node-ip-address", "127.0.0.1"]
    head += ["--include-dashboard", "false", "--ray-client-server-port", str(free_port())]
    started = []
    try:
        for words in (head, ["--address", address]):
            log = logs / f"{len(started)}.log"
            command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *words]
            with log.open("w") as file:
                process = psutil.Popen([*command, *NODE], env=ENVIRONMENT, stdout=file, stderr=file)
            started.append(process)
            wait(lambda log=log: "Ray runtime started" in log.read_text(), log.read_text)
        yield address, started
    finally:
        for process in reversed(started):
            kill(process)


def kill(node):
    """Kill all processes of a node, as a power failure would."""
    every = [node, *node.children(recursive=True)] if node.is_running() else []
    for process in every:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(every)


@pytest.mark.scale(minutes=5)
def test_the_classifier_on_s3_and_two_nodes_of_which_one_dies(
    built_repository, catalogue, nodes, tmp_path
):
    """Rows, zip archives and partitions on S3 give the values of one process."""
    address, (_, second) = nodes
    with serve(tmp_path / "moto.log") as host:
        options = {"endpoint_override": host, "scheme": "http"}
        store = fs.S3FileSystem(
            access_key="test", secret_key="test", region="us-east-1",
            allow_bucket_creation=True, **options,
        )  # fmt: skip
        store.create_dir("shop")
        fs.copy_files(str(catalogue / "products"), "shop/products", destination_filesystem=store)
        fs.copy_files(str(catalogue / "shards"), "shop/shards", destination_filesystem=store)
        uri = f"s3://shop/{{}}?scheme=http&endpoint_override={host}"
        words = ["predict", uri.format("products"), "--images", uri.format("shards")]
        words += ["-o", uri.format("found"), "--package", "build/package", "--address", address]
        log, held = tmp_path / "run.log", tmp_path / "held"
        held.mkdir()
        (held / "hold").touch()
        with log.open("w") as file:
            run = subprocess.Popen(
                [sys.executable, "-c", HELD, str(held), *words],
                cwd=built_repository, env=ENVIRONMENT, stdout=file, stderr=file,
            )  # fmt: skip

        def parts():
            selector = fs.FileSelector("shop/found/predictions", allow_not_found=True)
            return [i.path for i in store.get_file_info(selector) if i.path.endswith(".parquet")]

        def begun():
            return any((held / str(actor.pid)).exists() for actor in actors(second))

        try:
            wait(lambda: (parts() and begun()) or run.poll() is not None, log.read_text)
            assert run.poll() is None, log.read_text()
            kill(second)
            assert 0 < len(parts()) < FILES
            (held / "hold").unlink()
            wait(lambda: run.poll() is not None, log.read_text)
        finally:
            run.kill()
        assert run.returncode == 0, log.read_text()

        manifest = json.loads(store.open_input_file("shop/found/manifest.json").read())
        assert manifest["complete"]
        assert manifest["rows"] == FILES * ROWS
        found = [pq.read_table(path, filesystem=store).to_pandas() for path in sorted(parts())]
    assert pd.concat(found)["row"].tolist() == list(range(FILES * ROWS))
    for number, part in enumerate(found):
        expected = pd.read_parquet(catalogue / f"{number}.parquet")
        pd.testing.assert_frame_equal(part.drop(columns="row"), expected, check_exact=True)


@pytest.mark.scale
def test_features_equal_those_of_the_same_chunk_in_one_process(
    built_repository, catalogue, nodes, tmp_path
):
    words = ["rakuten", "ray", "encode_image", catalogue / "products" / "0.csv"]
    words += ["--images", catalogue / "shards", "-o", tmp_path / "out", "--address", nodes[0]]
    call(built_repository, *words)
    written = pd.read_parquet(tmp_path / "out" / "features")
    with np.load(catalogue / "features.npz") as archive:
        local = {name: archive[name] for name in archive}
    has = written["has_image"].to_numpy()
    assert has.tolist() == [row != 1 for row in range(ROWS)]
    stage = storage.read_arrays(built_repository / "build" / "encode_image" / "features.npz")
    at = np.searchsorted(stage["ids"], written["index"])
    assert written["index"].tolist() == stage["ids"][at].tolist()
    for kind in ("average", "middle_1", "middle_2", "middle_3"):
        values = np.stack(written[kind][has])
        assert values.dtype == local[kind].dtype
        np.testing.assert_array_equal(values, local[kind][:, 0])
        np.testing.assert_array_equal(values, stage[kind][0][at][has])
        assert written[kind][~has].isna().all()


@pytest.mark.scale
def test_features_of_the_nets_equal_those_of_the_stage(
    built_repository, catalogue, nodes, tmp_path
):
    words = ["rakuten", "ray", "extract", catalogue / "products" / "0.csv"]
    words += ["--images", catalogue / "shards", "-o", tmp_path / "out", "--address", nodes[0]]
    call(built_repository, *words)
    written = pd.read_parquet(tmp_path / "out" / "features")
    has = written["has_image"].to_numpy()
    stage = storage.read_arrays(built_repository / "build" / "extract" / "features.npz")
    rows = np.searchsorted(stage["ids"], written["index"])[has]
    np.testing.assert_array_equal(np.stack(written["features"][has]), stage["features"][rows])


@pytest.mark.scale
def test_texts_equal_those_of_the_stage(built_repository, nodes, tmp_path):
    """Clean the whole sample on a cluster that the command starts."""
    words = ["rakuten", "ray", "clean", "data/X_train.csv", "-o", tmp_path]
    call(built_repository, *words)
    stage = pd.read_parquet(built_repository / "build" / "clean" / "products.parquet")
    found = pd.read_parquet(tmp_path / "texts").drop(columns="row").rename(columns={"index": "id"})
    pd.testing.assert_frame_equal(found, stage[found.columns.tolist()], check_exact=True)
    assert len(found.columns) == 5
