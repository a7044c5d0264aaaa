"""Prediction and extraction on Ray: the local engine's values, whatever dies meanwhile."""

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from PIL import Image

from rakuten import categories
from rakuten.distributed import engine, jobs, partitions, pictures, places
from rakuten.distributed.output import Output
from rakuten.image import extraction
from rakuten.image.preprocessing import Facts
from rakuten.serving import batch_prediction, product_files
from rakuten.serving.classifier import Choice, Prepared
from rakuten.serving.classifier import Prediction as Said
from rakuten.serving.product_files import InputError, Pictures, open_table, read_rows

STORE = 200 << 20  # bytes of Ray's shared memory
FIELDS = b",designation,description,productid,imageid\n"


def jpeg(shade):
    content = io.BytesIO()
    Image.new("RGB", (40, 30), (shade % 256, 90, 200)).save(content, "JPEG")
    return content.getvalue()


def catalogue(folder, count, *, every=3):
    """Rows with markup, quotes and bare line ends in fields; every third has a picture."""
    (folder / "pictures").mkdir(parents=True)
    lines = []
    for i in range(count):
        lines.append(f'{100 + 2 * i},"Piscine {i},\nbleue","<p>""été"" {i}</p>",{i},{i + 50}')
        if i % every == 0:
            (folder / "pictures" / f"image_{i + 50}_product_{i}.jpg").write_bytes(jpeg(7 * i))
    source = folder / "x.csv"
    source.write_bytes(FIELDS + "\r\n".join([*lines, "", ""]).encode())
    return source


def poison(folder):
    """A corrupt picture, endless texts (one of many lines), broken UTF-8, a field too many."""
    source = folder / "x.csv"
    (folder / "pictures" / "image_50_product_0.jpg").write_bytes(jpeg(1)[:200])
    bad = [
        b"9001," + b"a" * (product_files.MAX_FIELD + 1) + b",,,\n",
        b'9005,Lines,"' + b"one more\n" * (product_files.MAX_FIELD // 9 + 1) + b'",,\n',
        b"9002,caf\xe9,,1,51\n",
        b"9003,too,many,fields,1,51\n",
        b"nine,index,,1,51\n",
    ]
    source.write_bytes(source.read_bytes() + b"".join(bad))


def as_poisoned_parquet(source):
    """Write a catalogue as Parquet, with an endless description and broken UTF-8 at its end."""
    frame = pd.read_csv(source)
    table = pa.table(
        {
            "index": [*frame.iloc[:, 0], 9001, 9002],
            "designation": [*(text.encode() for text in frame["designation"]), b"x", b"caf\xe9"],
            "description": [
                *(text.encode() for text in frame["description"]),
                b"a" * (product_files.MAX_FIELD + 1),
                b"",
            ],
            "productid": [*frame["productid"], 1, 1],
            "imageid": [*frame["imageid"], 51, 51],
        }
    )
    pq.write_table(table, source.with_suffix(".parquet"), row_group_size=6)
    return source.with_suffix(".parquet")


# Without Ray


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_partitions_hold_the_rows_of_the_whole_file(tmp_path, suffix, size):
    source = catalogue(tmp_path, 23)
    poison(tmp_path)
    if suffix == ".parquet":
        frame = pd.read_csv(catalogue(tmp_path / "clean", 23))
        frame.to_parquet(source.with_suffix(suffix), row_group_size=5)
    path = source.with_suffix(suffix)
    whole = open_table(path)
    table, _ = partitions.open_one(str(path), str(path), size)
    parts = partitions.plan([table], size)
    assert sum(part.rows for part in parts) == whole.rows
    found = [r for part in parts for chunk in partitions.chunks(part, table, 3) for r in chunk]
    assert found == list(read_rows(whole))
    assert len({part.name for part in parts}) == len(parts) == -(-whole.rows // size)


def test_rows_of_several_files_are_numbered_through(tmp_path):
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text(f"designation\n{name} 0\n{name} 1\n{name} 2\n")
    paths = partitions.list_tables(str(tmp_path))
    tables = [partitions.open_one(str(tmp_path), path, 2)[0] for path in paths]
    rows = [
        row
        for part in partitions.plan(tables, 2)
        for chunk in partitions.chunks(part, tables[part.file], 2)
        for row in chunk
    ]
    assert [(row.position, row.index, row.title) for row in rows] == [
        (i, i, f"{name} {i % 3}") for i, name in enumerate(["a.csv"] * 3 + ["b.csv"] * 3)
    ]
    assert len({part.name for part in partitions.plan(tables, 2)}) == 4


def test_pictures_are_those_of_the_local_engine(tmp_path):
    folder = tmp_path / "p"
    for place in ("b/deep", "a", "."):
        (folder / place).mkdir(parents=True, exist_ok=True)
        for name in (f"{place[0]}.jpg", "twice.jpg"):
            (folder / place / name).write_bytes(place.encode())
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in folder.rglob("*.jpg"):
            archive.write(path, path.relative_to(tmp_path))
    shards = tmp_path / "shards"
    shards.mkdir()
    for number, path in enumerate(sorted(folder.rglob("*.jpg"))):
        with zipfile.ZipFile(shards / f"{number}.zip", "w") as archive:
            archive.write(path, path.name)
    for address in (folder, tmp_path / "p.zip", shards):
        loose, archives = pictures.list_folder(str(address))
        listed = [pictures.list_archive(str(address), path) for path in archives]
        found = pictures.IndexedPictures(str(address), pictures.merge([loose, *listed]))
        for name in ("b.jpg", "a.jpg", "..jpg", "twice.jpg", "c.jpg"):
            if address == shards and name == "twice.jpg":
                assert found.read(name) is not None
            else:
                assert found.read(name) == Pictures(tmp_path / "p").read(name)


def test_names_with_the_same_hash_are_told_apart(tmp_path, monkeypatch):
    for name in ("a/one.jpg", "b/other.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.setattr(pictures, "key", lambda name: 7)
    loose, _ = pictures.list_folder(str(tmp_path))
    found = pictures.IndexedPictures(str(tmp_path), pictures.merge([loose]))
    assert found.read("other.jpg") == b"b/other.jpg"
    assert found.read("none.jpg") is None


def test_a_damaged_partition_is_missing(tmp_path):
    part = partitions.Partition(0, 2, 0, product_files.Mark(0, 2, 10))
    table = batch_prediction.tabulate(
        batch_prediction.columns_of(1), [[1, 10, "a", 0.5, None, 1.0]] * 2
    )
    output = Output(str(tmp_path), "predictions", {"input": 1}, restart=False)
    written = output.write(part, table, [(1, "x.csv", 3, "1", "bad")], 1)
    assert output.finished([part]) == {part.name: written}
    with pytest.raises(
        InputError, match=r"changed while it was read: expected 2 rows .*received 1"
    ):
        output.write(part, table.slice(1), [], 0)
    file = tmp_path / "predictions" / part.name
    file.write_bytes(file.read_bytes()[:-1])
    assert output.finished([part]) == {}
    with pytest.raises(InputError, match=r"another command \(input differ\)"):
        Output(str(tmp_path), "predictions", {"input": 2}, restart=False)


def test_errors_and_their_partition_belong_together(tmp_path):
    """A kill may leave the first without the second; the second alone is not whole."""
    part = partitions.Partition(0, 2, 0, product_files.Mark(0, 2, 10))
    table = batch_prediction.tabulate(
        batch_prediction.columns_of(1), [[1, 10, "a", 0.5, None, 1.0]] * 2
    )
    output = Output(str(tmp_path), "predictions", {"input": 1}, restart=False)
    errors, file = tmp_path / "errors" / part.name, tmp_path / "predictions" / part.name
    output.write(part, table, [(1, "x.csv", 3, "1", "bad")], 1)
    errors.unlink()
    assert output.finished([part]) == {}
    output.write(part, table, [(1, "x.csv", 3, "1", "bad")], 1)
    file.unlink()
    assert output.finished([part]) == {}
    assert not errors.exists()
    written = output.write(part, table, [], 0)  # what was wrong has passed
    assert output.finished([part]) == {part.name: written}


def test_a_damaged_manifest_is_told_with_a_remedy(tmp_path):
    Output(str(tmp_path), "predictions", {"input": 1}, restart=False)
    (tmp_path / "manifest.json").write_text('{"complete"')
    with pytest.raises(InputError, match="remove that folder, or name another"):
        Output(str(tmp_path), "predictions", {"input": 1}, restart=False)


def test_a_job_is_told_from_one_with_other_files_or_threads(tmp_path):
    (tmp_path / "nltk" / "a").mkdir(parents=True)
    for name in ("w.npz", "nltk/x", "nltk/a/x"):
        (tmp_path / name).write_bytes(bytes(3 << 20))
    extract = ToyExtraction(str(tmp_path / "w.npz"), SMALL, 2)
    makers = {
        "w.npz": lambda: jobs.Extraction(extract.weights, SMALL, 2),
        "nltk/x": lambda: jobs.Cleaning(str(tmp_path), {}),
        "nltk/a/x": lambda: jobs.Prediction(str(tmp_path), 3),
    }
    for name, make in makers.items():
        before = make().identity()
        assert make().identity() == before
        with (tmp_path / name).open("r+b") as file:
            file.seek(3 << 19)  # in the middle, the size stays
            file.write(b"changed")
        assert make().identity() != before, name
    one = replace(makers["w.npz"](), threads=1)
    assert one.identity() != makers["w.npz"]().identity()
    assert one.takes_gpu
    assert not replace(one, settings=replace(SMALL, precision="int8")).takes_gpu


def test_without_ray_the_error_names_the_remedy(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    source = catalogue(tmp_path, 2)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "package.json").write_text("{}")
    from rakuten.distributed import jobs

    monkeypatch.setattr(jobs.Prediction, "threads", 1)
    words = [source, "-o", tmp_path / "out", "--engine", "ray", "--package", tmp_path / "package"]
    assert batch_prediction.main([str(word) for word in words]) == 2
    assert "pip install -r requirements/scale.txt" in capsys.readouterr().err


def test_predict_does_not_need_ray():
    code = "import sys; sys.modules['ray'] = None; import rakuten.serving.batch_prediction, rakuten.distributed.engine"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_addresses_of_no_known_filesystem_are_refused():
    with pytest.raises(InputError, match="expected a path or a URI that PyArrow knows"):
        places.locate("gopher://x/y")


@pytest.mark.parametrize("has", [[True, False, True], [False, False], [True]])
def test_features_are_null_without_a_picture_and_can_be_read(tmp_path, has):
    """PyArrow writes lists of a fixed size that it cannot read again where one is null."""
    facts = [0.0] * len(Facts._fields)
    picture = np.zeros((2, 32, 32, 3), np.uint8), facts
    readings = [
        batch_prediction.Reading(
            product_files.Row(i, i, i, "", "", None, ()),
            Prepared("", "", picture if there else None),
            (),
            False,
        )
        for i, there in enumerate(has)
    ]
    job = ToyExtraction(str(tmp_path), replace(SMALL, views=["product", "flip"]), 1)
    pq.write_table(job.load()(readings), tmp_path / "x.parquet")
    found = pd.read_parquet(tmp_path / "x.parquet")
    assert found["has_image"].tolist() == has
    for kind, width in WIDTHS.items():
        sizes = [None if row is None else len(row) for row in found[kind]]
        views = 1 if kind == "average" else 2
        assert sizes == [width * views if there else None for there in has]


# On Ray


SMALL = extraction.Settings(
    backbone="vgg16",
    precision="float32",
    views=["product"],
    size=32,
    crop_borders=True,
    border_tolerance=16,
    batch_size=2,
)


def digest(pixels):
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


WIDTHS = {"average": 6, "grid": 8, "middle": 5}


class Toy:
    """A classifier whose answers are drawn from text and pixels; it takes its time."""

    def __init__(self, folder, pause=0.0):
        self.folder, self.pause = Path(folder), pause

    def prepare(self, product):
        picture = None if product.image is None else extraction.prepare(product.image, SMALL)
        return Prepared(product.title, product.description, picture)

    def classify(self, prepared, *, top):
        time.sleep(self.pause)
        (self.folder / f"{os.getpid()}.actor").touch()
        if (self.folder / "poison").exists() and prepared[0].title.startswith("Piscine 20,"):
            raise ValueError("a fault of the program")
        if any(one.title == "Mine" for one in prepared):
            os.kill(os.getpid(), signal.SIGKILL)
        return [self._answer(one, top) for one in prepared]

    def _answer(self, prepared, top):
        pixels = prepared.picture[0].tobytes() if prepared.picture else b""
        text = f"{prepared.title}|{prepared.description}|".encode()
        draws = np.random.default_rng(list(text + pixels))
        shares = draws.dirichlet(np.ones(27))
        order = draws.permutation(categories.CODES)[:top]
        choices = [
            Choice(int(c), categories.NAMES[c], float(shares[i])) for i, c in enumerate(order)
        ]
        return Said(tuple(choices), 1.25 if prepared.title else None, -0.5 if pixels else None)


@dataclass(frozen=True)
class ToyJob(jobs.Prediction):
    """A prediction by the toy."""

    pause: float = 0.0

    threads = 1
    takes_gpu = False

    def identity(self):
        return {"toy": True}

    def prepare(self, row, found):
        if row.title == "Mine for readers":
            os.kill(os.getpid(), signal.SIGKILL)
        return batch_prediction.prepare_row(row, Toy(self.package), found)

    def load(self):
        toy = Toy(self.package, self.pause)

        def compute(readings):
            part = batch_prediction.classify_chunk(list(readings), toy, self.top)
            return batch_prediction.tabulate(batch_prediction.columns_of(self.top), part["rows"])

        return compute


@dataclass(frozen=True)
class ToyExtraction(jobs.Extraction):
    """Features of a stand-in for the network, which dies once where it is told to."""

    def identity(self):
        return {"toy": True}

    def network(self):
        folder = Path(self.weights)

        def compute(pixels):
            device = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            (folder / f"{os.getpid()}.{device}.device").touch()
            with (folder / f"{os.getpid()}.calls").open("a") as file:
                file.writelines(f"{digest(one)}\n" for one in pixels)
            with contextlib.suppress(FileNotFoundError):
                (folder / "mine").unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            if (folder / "poison").exists():
                time.sleep(0.3)  # so that what comes before it is written
            if (folder / "poison").exists() and (abs(pixels[:, 0, 0, 0] - 7.0 * 30) < 4).any():
                raise ValueError("a fault of the program")
            flat = pixels.reshape(len(pixels), -1).astype(np.float32)
            sums = np.cumsum(flat, axis=1) / np.float32(70)  # a picture's own affair, not exact
            return {k: sums[:, -w:].astype(extraction.DTYPES[k]) for k, w in WIDTHS.items()}

        return compute, WIDTHS


@pytest.fixture(scope="module")
def cluster():
    """A node on this machine, to which a test may add others."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    node = {"object_store_memory": STORE, "include_dashboard": False}
    quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
    nodes = Cluster(
        initialize_head=True, head_node_args=node | {"num_cpus": 2, "_system_config": quick}
    )
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def local(source, folder, monkeypatch, *, images=None):
    """What the local engine gives: its table and its errors."""
    monkeypatch.setattr(batch_prediction, "CHUNK", 4)
    out = folder / "local.parquet"
    options = batch_prediction.Options(source, out, images, folder / "none", 3, False, False)
    summary = batch_prediction.predict_file(options, lambda _: Toy(folder))
    errors = None
    if options.errors.exists():
        errors = pd.read_csv(options.errors, keep_default_na=False, dtype={"index": "str"})
    return pd.read_parquet(out), errors, summary


def check(out, expected):
    """Hold the folder of a run against what the local engine gave."""
    table, errors, _ = expected
    found = pd.read_parquet(out / "predictions")
    assert found["row"].tolist() == list(range(len(table)))
    pd.testing.assert_frame_equal(found.drop(columns="row"), table, check_exact=True)
    if errors is not None:
        told = pd.read_parquet(out / "errors").reset_index(drop=True)
        same = told[["line", "index", "reason"]]
        assert same.to_numpy().tolist() == errors.to_numpy().tolist()
        numbered = told[told["index"].str.isdigit()]
        assert found["index"][numbered["row"]].astype(int).astype(str).tolist() == (
            numbered["index"].tolist()
        )
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["complete"]
    assert manifest["rows"] == len(table) == sum(p["rows"] for p in manifest["partitions"])
    return manifest


@pytest.mark.scale
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_poisoned_catalogue_gives_what_the_local_engine_does(
    cluster, tmp_path, monkeypatch, suffix
):
    source = catalogue(tmp_path, 23)
    reasons = {
        "100": "picture image_50_product_0.jpg cannot be used",
        "9001": "not readable as CSV: field larger than field limit",
        "9005": "not readable as CSV: field larger than field limit",
        "9002": "designation is not UTF-8",
        "9003": "expected 5 fields, received 6",
        "nine": "index is not a number",
    }
    if suffix == ".parquet":
        source = as_poisoned_parquet(source)
        reasons = {"9001": "description larger than field limit", "9002": reasons["9002"]}
    else:
        poison(tmp_path)
    images = tmp_path / "pictures"
    expected = local(source, tmp_path, monkeypatch, images=images)
    out = tmp_path / "out"
    job = ToyJob(str(tmp_path), 3, chunk=4, partition=8)
    summary = engine._run(engine.Request(str(source), str(out), str(images)), job)
    assert summary == expected[2]
    check(out, expected)
    told = pd.read_parquet(out / "errors").set_index("index")["reason"]
    assert set(told.index) == set(reasons)
    for index, reason in reasons.items():
        assert told[index].startswith(reason)


@pytest.mark.scale
def test_a_failed_run_does_only_the_missing_partitions(cluster, tmp_path, monkeypatch):
    source = catalogue(tmp_path, 24)
    expected = local(source, tmp_path, monkeypatch)
    out = tmp_path / "out"
    job = ToyJob(str(tmp_path), 3, chunk=4, partition=4, pause=0.1)
    request = engine.Request(str(source), str(out), None)
    (tmp_path / "poison").touch()
    with pytest.raises(InputError, match=r"a fault of the program.*the same command goes on"):
        engine._run(request, job)
    before = {path: path.stat().st_mtime_ns for path in (out / "predictions").iterdir()}
    assert 0 < len(before) < 6
    assert not json.loads((out / "manifest.json").read_text())["complete"]
    (tmp_path / "poison").unlink()
    engine._run(request, job)
    first = check(out, expected)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    engine._run(replace(request, restart=True), job)
    assert check(out, expected) == first  # the same bytes


@pytest.mark.scale
def test_features_of_a_killed_and_a_failed_run_are_those_of_one_process(cluster, tmp_path):
    """An actor dies, then the run fails; the next computes the missing partitions alone."""
    source = catalogue(tmp_path, 40, every=2)
    poison(tmp_path)
    out, images = tmp_path / "out", tmp_path / "pictures"
    settings = replace(SMALL, views=["product", "flip"])
    job = ToyExtraction(str(tmp_path), settings, 2, chunk=4, partition=8)  # two threads: one actor
    request = engine.Request(str(source), str(out), str(images))
    (tmp_path / "mine").touch()
    (tmp_path / "poison").touch()
    with pytest.raises(InputError, match=r"a fault of the program.*the same command goes on"):
        engine._run(request, job)
    assert not (tmp_path / "mine").exists()
    before = {path: path.stat().st_mtime_ns for path in (out / "features").iterdir()}
    assert 0 < len(before) < 6
    (tmp_path / "poison").unlink()
    for file in tmp_path.glob("*.calls"):
        file.unlink()
    summary = engine._run(request, job)
    assert summary == batch_prediction.Summary(products=45, no_picture=25, bad_rows=6)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    computed = {one for file in tmp_path.glob("*.calls") for one in file.read_text().split()}
    written = {int(path.stem.removeprefix("part-")) // 8 for path in before}
    asked = set()
    for row in range(2, 40, 2):
        content = (images / f"image_{row + 50}_product_{row}.jpg").read_bytes()
        if row // 8 not in written:
            asked |= {digest(view) for view in extraction.prepare(content, settings)[0]}
    assert computed == asked

    found = pd.read_parquet(out / "features")
    assert found["row"].tolist() == list(range(45))
    network, _ = job.network()
    rows = list(read_rows(open_table(source)))
    for start in range(0, 45, job.chunk):  # the chunks of the run, in this process
        chunk = found.iloc[start : start + job.chunk]
        files = [images / str(row.image) for row in rows[start : start + job.chunk]]
        has = [file.is_file() and file.name != "image_50_product_0.jpg" for file in files]
        assert chunk["has_image"].tolist() == has
        if not any(has):
            continue
        content = [f.read_bytes() for f, there in zip(files, has, strict=True) if there]
        pictures = iter([extraction.prepare(one, settings) for one in content])
        local = extraction.compute_features(pictures, sum(has), network, 2, lambda _: None)
        for kind in WIDTHS:
            expected = local[kind] if kind == "average" else np.hstack(local[kind])
            np.testing.assert_array_equal(np.stack(chunk[kind][has]), expected)


@pytest.mark.scale
def test_where_there_are_gpus_each_actor_has_one(cluster, tmp_path):
    """GPUs are declared, not there: what is tested is who would get them."""
    source = catalogue(tmp_path, 96, every=1)
    node = cluster.add_node(num_cpus=4, num_gpus=2, object_store_memory=STORE)
    try:
        job = ToyExtraction(str(tmp_path), SMALL, 1, chunk=4, partition=4)
        images = str(tmp_path / "pictures")
        engine._run(engine.Request(str(source), str(tmp_path / "out"), images), job)
    finally:
        cluster.remove_node(node)
    devices = [path.name.split(".")[1] for path in tmp_path.glob("*.device")]
    assert 1 <= len(devices) <= 2
    assert set(devices) <= {"0", "1"}
    assert len(set(devices)) == len(devices)


@pytest.mark.scale
def test_what_kills_its_process_again_and_again_is_left_out(cluster, tmp_path):
    """A row that kills the actors and one that kills the readers: the others are written."""
    source = catalogue(tmp_path, 16)
    source.write_bytes(source.read_bytes() + b"7,Mine,,,\n8,a,,,\n9,b,,,\n10,Mine for readers,,,\n")
    out = tmp_path / "out"
    job = ToyJob(str(tmp_path), 3, chunk=2, partition=2)
    with pytest.raises(
        InputError, match=r"2 of 10 partitions could not be computed, first "
    ) as told:
        engine._run(engine.Request(str(source), str(out), None), job)
    assert "part-000000000016.parquet, the 2 rows from line 35 of" in str(told.value)
    names = [path.name for path in sorted((out / "predictions").iterdir())]
    assert names == [
        f"part-{first:012d}.parquet" for first in range(0, 20, 2) if first not in (16, 18)
    ]
    assert not json.loads((out / "manifest.json").read_text())["complete"]

    clean = source.read_bytes().replace(b"Mine for", b"None for").replace(b"Mine", b"None")
    source.write_bytes(clean)
    with pytest.raises(InputError, match="input differ"):
        engine._run(engine.Request(str(source), str(out), None), job)


@pytest.mark.scale
def test_no_row_is_lost_or_doubled_when_a_process_and_a_machine_die(cluster, tmp_path, monkeypatch):
    source = catalogue(tmp_path, 72)
    images = tmp_path / "pictures"
    expected = local(source, tmp_path, monkeypatch, images=images)
    node = cluster.add_node(num_cpus=2, object_store_memory=STORE)
    for file in tmp_path.glob("*.actor"):
        file.unlink()
    out, killed = tmp_path / "out", []

    def kill():
        while len(list((out / "predictions").glob("part-*.parquet"))) < 1:
            time.sleep(0.05)
        pid = int(next(tmp_path.glob("*.actor")).stem)
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)
        while len(list((out / "predictions").glob("part-*.parquet"))) < 3:
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)
        killed.append(node)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    job = ToyJob(str(tmp_path), 3, chunk=4, partition=8, pause=0.4)
    summary = engine._run(engine.Request(str(source), str(out), str(images)), job)
    killer.join(timeout=20)
    assert len(killed) == 2
    assert summary == expected[2]
    check(out, expected)
