"""DVC's remote on S3: a server of moto on loopback, and clones that push to it and pull from it."""

import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import s3_server
from repository import clone

from rakuten import storage
from rakuten.serving import package

boto3 = pytest.importorskip("boto3", reason="make test-scale installs it")

BUCKET = "rakuten-dvc"
FILES = ["X_train.csv", "Y_train.csv", "dataset.json", "images.zip"]

IMPORT_DROPS = ("rakuten", "import", "--drops", "drops/1", "drops/2", "--name", "two drops")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """An empty bucket: its server's address, and a function that lists its objects."""
    with s3_server.serve(tmp_path_factory.mktemp("moto") / "server.log") as server:
        address = f"http://{server}"
        client = boto3.client(
            "s3",
            endpoint_url=address,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name=s3_server.CREDENTIALS["AWS_DEFAULT_REGION"],
        )
        client.create_bucket(Bucket=BUCKET)

        def objects():
            listed = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
            return {one["Key"]: one["Size"] for one in listed}

        yield address, objects


def call(folder, *words):
    """Run a module of Python or git, with the credentials of the bucket."""
    command = ["git"] if words[0] == "git" else [sys.executable, "-m", words[0]]
    removed = ("DVC_", "MLFLOW_", "AWS_")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(removed)}
    environment = clean | s3_server.CREDENTIALS
    done = subprocess.run(
        [*command, *words[1:]], cwd=folder, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}:\n{done.stdout[-4000:]}"
    return done.stdout


def copy_of(folder, target):
    """Clone a repository whose remote is the bucket, with an empty cache."""
    call(folder.parent, "git", "clone", "--quiet", str(folder), str(target))
    return target


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


@pytest.fixture(scope="module")
def origin(bucket, tmp_path_factory):
    """A clone whose default remote is the bucket, the sample pushed to it as imported data are."""
    address, _ = bucket
    folder = clone(tmp_path_factory.mktemp("origin") / "rakuten")
    call(folder, "dvc", "pull", "--quiet", "data.dvc")
    (folder / "data.dvc").unlink()  # it names the embedded remote
    call(folder, "dvc", "add", "--quiet", "data")
    call(folder, "dvc", "remote", "add", "--default", "storage", f"s3://{BUCKET}/products")
    call(folder, "dvc", "remote", "modify", "storage", "endpointurl", address)
    call(folder, "dvc", "push", "--quiet", "data.dvc")
    call(folder, "git", "commit", "--quiet", "-m", "Keep the data in S3", ".dvc/config", "data.dvc")
    return folder


@pytest.mark.scale
def test_pushed_data_are_pulled_in_whole_or_in_part(bucket, origin, tmp_path):
    _, objects = bucket
    tracked = storage.read_yaml(origin / "data.dvc")["outs"][0]["md5"]
    key = f"products/files/md5/{tracked[:2]}/{tracked[2:]}"
    assert key in objects()
    assert len(objects()) == len(FILES) + 1

    other = copy_of(origin, tmp_path / "other")
    call(other, "dvc", "pull", "--quiet", "data/Y_train.csv")
    assert names(other / "data") == ["Y_train.csv"]
    call(other, "dvc", "pull", "--quiet", "data.dvc")
    assert names(other / "data") == FILES
    assert package.digest(other / "data") == package.digest(origin / "data")
    assert f"{package.digest(other / 'data')}.dir" == tracked


def cut(data, folder, rows):
    """Write some rows of a catalogue, with their images, as a delivery of files."""
    table = pd.read_csv(data / "X_train.csv", dtype=str, keep_default_na=False).iloc[rows]
    codes = pd.read_csv(data / "Y_train.csv", dtype=str, keep_default_na=False).iloc[rows]
    for name, part in {"X_train.csv": table, "Y_train.csv": codes}.items():
        storage.write_csv(folder / name, part.rename(columns={"Unnamed: 0": ""}))
    named = [
        f"image_train/image_{i}_product_{p}.jpg"
        for i, p in zip(table["imageid"], table["productid"], strict=True)
    ]
    with storage.ImageArchive(data / "images.zip") as archive:
        for name in named:
            if name in archive:
                storage.write_bytes(folder / "images" / name, archive.read(name))
    images = folder / "images"
    shutil.make_archive(str(images), "zip", folder, "images")
    shutil.rmtree(images)


@pytest.mark.scale
def test_a_second_drop_is_pushed_and_pulled_by_itself(bucket, origin, tmp_path):
    """The sample in two drops: the second adds its own three files to the bucket, no more."""
    _, objects = bucket
    folder = copy_of(origin, tmp_path / "drops")
    cut(origin / "data", folder / "drops/1", slice(0, 1000))
    call(folder, "dvc", "add", "--quiet", "drops")
    call(folder, "dvc", "push", "--quiet", "drops.dvc")
    before = objects()
    cut(origin / "data", folder / "drops/2", slice(1000, None))
    call(folder, "dvc", "add", "--quiet", "drops")
    call(folder, "dvc", "push", "--quiet", "drops.dvc")
    call(folder, "git", "add", "drops.dvc", ".gitignore")
    call(folder, "git", "-c", "user.name=T", "-c", "user.email=t@x.org", "commit", "-qm", "Two")
    added = {name: size for name, size in objects().items() if name not in before}
    second = sum(path.stat().st_size for path in (folder / "drops/2").iterdir())
    (listing,) = (name for name in added if name.endswith(".dir"))
    assert len(added) == 4  # two tables, an archive, the list of the folder
    assert sum(added.values()) == second + added[listing]

    other = copy_of(folder, tmp_path / "other")
    call(other, "dvc", "pull", "--quiet", "drops/2")
    assert names(other / "drops") == ["2/X_train.csv", "2/Y_train.csv", "2/images.zip"]
    call(other, "dvc", "pull", "--quiet", "drops.dvc")
    call(other, *IMPORT_DROPS)
    data = [folder / "data" for folder in (origin, other)]
    assert storage.digest(data[0] / "images.zip") == storage.digest(data[1] / "images.zip")
    pd.testing.assert_frame_equal(*(pd.read_csv(folder / "X_train.csv") for folder in data))


STAGES = ("clean", "extract", "encode_text")
OUTPUTS = ("extract/features.npz", "extract/images.parquet")


def build(folder, *words):
    """Run the stages that process products independently; return what they printed."""
    for stage in STAGES:
        yield call(folder, "dvc", "repro", "--single-item", *words, stage)


@pytest.mark.scale
def test_a_second_drop_computes_only_its_own_products(bucket, origin, built_repository, tmp_path):
    """From the bucket to features and vectors, on a machine that has those of the first drop."""
    first, second = slice(0, 300), slice(300, 450)
    folder = copy_of(origin, tmp_path / "drops")
    settings = (folder / "params.yaml").read_text()
    quick = re.sub(r"\n  size: 224 ", "\n  size: 96 ", settings)
    assert quick != settings
    (folder / "params.yaml").write_text(quick)
    for name in ("user.name", "user.email"):
        call(folder, "git", "config", name, "t@example.org")

    def deliver(number, rows):
        cut(origin / "data", folder / f"drops/{number}", rows)
        call(folder, "dvc", "add", "--quiet", "drops")
        call(folder, "dvc", "push", "--quiet", "drops.dvc")
        call(folder, "git", "add", "drops.dvc", ".gitignore", "params.yaml")
        call(folder, "git", "commit", "--quiet", "-m", f"Drop {number}")

    deliver(1, first)
    other = copy_of(folder, tmp_path / "other")
    shutil.copytree(built_repository / "build/resources", other / "build/resources")
    call(other, "dvc", "pull", "--quiet", "drops/1")
    call(other, "rakuten", "import", "drops/1", "--name", "one drop")
    list(build(other))

    deliver(2, second)
    call(other, "git", "pull", "--quiet")
    call(other, "dvc", "pull", "--quiet", "drops/2")
    call(other, *IMPORT_DROPS)
    _, extracted, encoded = build(other)
    taken, total = map(int, re.search(r"features: .*?\| (\d+)/(\d+) ", extracted).groups())
    assert 280 < taken <= 300  # the distinct images of the first drop
    assert 430 < total <= 450
    batches = re.search(r"encode: .*? 0/(\d+) ", encoded)
    assert int(batches[1]) <= 2  # batches of 256 of at most 2 x 150 new texts

    built = [other / "build" / name for name in (*OUTPUTS, "encode_text/vectors.npz")]
    digests = [storage.digest(path) for path in built]
    shutil.rmtree(other / "build/scratch")
    from_nothing = list(build(other, "--force", "--no-run-cache"))
    assert re.search(r"features: .*?\| 0/(\d+) ", from_nothing[1])
    assert [storage.digest(path) for path in built] == digests
