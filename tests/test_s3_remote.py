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

pytestmark = pytest.mark.xdist_group("s3")  # its tests share fixtures that take long

BUCKET = "rakuten-dvc"
FILES = ["X_train.csv", "Y_train.csv", "dataset.json", "images.zip"]

IMPORT_DROPS = ("rakuten", "import", "--drops", "drops/1", "drops/2", "--name", "two drops")
STAGES = ("clean", "extract", "encode_text")
OUTPUTS = ("extract/features.npz", "extract/images.parquet")


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


def call(folder, *words, status=0, credentials=s3_server.CREDENTIALS):
    """Run a module of Python or git, with the credentials of the bucket; return its output."""
    command = ["git"] if words[0] == "git" else [sys.executable, "-m", words[0]]
    removed = ("DVC_", "MLFLOW_", "AWS_")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(removed)}
    home = {"HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}  # no other credentials
    identity = {f"GIT_{who}_{what}": f"test@{what.lower()}" for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")}  # fmt: skip
    environment = clean | home | identity | credentials
    done = subprocess.run(
        [*command, *words[1:]], cwd=folder, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
    )  # fmt: skip
    assert done.returncode == status, f"{words}:\n{done.stdout[-4000:]}"
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
    address, objects = bucket
    folder = clone(tmp_path_factory.mktemp("origin") / "rakuten")
    call(folder, "dvc", "pull", "--quiet", "data.dvc")
    (folder / "data.dvc").unlink()  # it names the embedded remote
    call(folder, "dvc", "add", "--quiet", "data")
    call(folder, "dvc", "remote", "add", "--default", "storage", f"s3://{BUCKET}/products")
    call(folder, "dvc", "remote", "modify", "storage", "endpointurl", address)
    call(folder, "dvc", "push", "--quiet", "data.dvc")
    assert len(objects()) == len(FILES) + 1  # and their list
    call(folder, "git", "commit", "--quiet", "-m", "Keep the data in S3", ".dvc/config", "data.dvc")
    return folder


@pytest.mark.scale(minutes=2)
def test_pushed_data_are_pulled_in_whole_or_in_part(bucket, origin, tmp_path):
    _, objects = bucket
    tracked = storage.read_yaml(origin / "data.dvc")["outs"][0]["md5"]
    key = f"products/files/md5/{tracked[:2]}/{tracked[2:]}"
    assert key in objects()

    other = copy_of(origin, tmp_path / "other")
    call(other, "dvc", "pull", "--quiet", "data/Y_train.csv")
    assert names(other / "data") == ["Y_train.csv"]
    call(other, "dvc", "pull", "--quiet", "data.dvc")
    assert names(other / "data") == FILES
    assert package.digest(other / "data") == package.digest(origin / "data")
    assert f"{package.digest(other / 'data')}.dir" == tracked


def cached(folder):
    """The names of the objects in a clone's cache, as dvc.lock spells them."""
    files = (folder / ".dvc/cache/files/md5").glob("*/*")
    return {path.parent.name + path.name for path in files}


def stored_texts(folder):
    """The number of vectors of texts that were stored for later runs, repeated ones included."""
    parts = (folder / "build/scratch/encode_text").rglob("*.npz")
    return sum(len(storage.read_arrays(part)["digests"]) for part in parts)


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
def test_a_second_drop_moves_and_computes_only_its_own_products(
    bucket, origin, built_repository, tmp_path
):
    """From the bucket to features and vectors, on a machine that has those of the first drop."""
    _, objects = bucket
    first, second = slice(0, 60), slice(60, 80)
    folder = copy_of(origin, tmp_path / "drops")
    settings = (folder / "params.yaml").read_text()
    quick = re.sub(r"\n  size: 224 ", "\n  size: 96 ", settings)
    assert quick != settings
    (folder / "params.yaml").write_text(quick)

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
    for stage in STAGES:
        call(other, f"stages.{stage}")
    stored = stored_texts(other)
    assert 60 < stored <= 120

    before = objects()
    deliver(2, second)
    added = {name: size for name, size in objects().items() if name not in before}
    size = sum(path.stat().st_size for path in (folder / "drops/2").iterdir())
    (listing,) = (name for name in added if name.endswith(".dir"))
    assert len(added) == 4  # two tables, an archive, the list of the folder
    assert sum(added.values()) == size + added[listing]

    call(other, "git", "pull", "--quiet")
    shutil.rmtree(other / "drops")
    call(other, "dvc", "pull", "--quiet", "drops/2")
    assert names(other / "drops") == ["2/X_train.csv", "2/Y_train.csv", "2/images.zip"]
    call(other, "dvc", "pull", "--quiet", "drops.dvc")
    call(other, *IMPORT_DROPS)
    shown = call(other, "dvc", "repro", "--single-item", *STAGES)
    taken, total = map(int, re.search(r"features: .*?\| (\d+)/(\d+) ", shown).groups())
    assert 50 < taken <= 60  # the distinct images of the first drop
    assert taken + 10 < total <= 80
    assert stored + 20 <= stored_texts(other) <= stored + 40  # those of the second drop are added

    built = [other / "build" / name for name in (*OUTPUTS, "encode_text/vectors.npz")]
    digests = [storage.digest(path) for path in built]
    shutil.rmtree(other / "build/scratch")
    shown = "".join(call(other, f"stages.{stage}") for stage in STAGES[1:])
    assert re.search(r"features: .*?\| 0/(\d+) ", shown)
    assert [storage.digest(path) for path in built] == digests


@pytest.mark.scale
def test_one_stage_one_file_or_the_package_is_pulled_alone(
    bucket, origin, built_repository, tmp_path
):
    """The package, pulled without the data, predicts."""
    _, objects = bucket
    folder = copy_of(origin, tmp_path / "built")
    cache = call(built_repository, "dvc", "cache", "dir").strip()
    call(folder, "dvc", "cache", "dir", "--local", str(built_repository / cache))
    for name in ("dvc.lock", "dvc.yaml"):
        shutil.copy(built_repository / name, folder)
    before = set(objects())
    call(folder, "dvc", "push", "--quiet", "split", "package")
    locked = storage.read_yaml(folder / "dvc.lock")["stages"]
    (parts,), (package_out,) = (locked[stage]["outs"][:1] for stage in ("split", "package"))
    assert len(set(objects()) - before) == 1 + package_out["nfiles"] + 1  # and its list of files
    call(folder, "git", "commit", "--quiet", "--allow-empty", "-am", "Keep two stages in S3")

    other = copy_of(folder, tmp_path / "other")
    call(other, "dvc", "pull", "--quiet", "split")
    assert names(other / "build") == ["split/parts.parquet"]
    assert cached(other) == {parts["md5"]}
    call(other, "dvc", "pull", "--quiet", "build/package/package.json")
    assert names(other / "build") == ["package/package.json", "split/parts.parquet"]
    assert cached(other) == {
        parts["md5"], package_out["md5"], storage.digest(other / "build/package/package.json")
    }  # fmt: skip
    call(other, "dvc", "pull", "--quiet", "build/package")
    assert f"{package.digest(other / 'build/package')}.dir" == package_out["md5"]
    assert not (other / "data").exists()
    assert "2583" in call(other, "rakuten", "predict", "--title", "Piscine hors sol ronde")


@pytest.mark.scale
@pytest.mark.parametrize(
    ("credentials", "reason"),
    [
        ({}, "Unable to locate credentials"),
        (s3_server.CREDENTIALS, r"failed to connect to s3 \(rakuten-dvc/products.*Forbidden"),
    ],
    ids=["missing", "wrong"],
)
def test_credentials_that_do_not_work_are_named(bucket, origin, tmp_path, credentials, reason):
    address, _ = bucket
    other = copy_of(origin, tmp_path / "other")
    with s3_server.checked_credentials(address):
        shown = call(other, "dvc", "pull", "data.dvc", status=1, credentials=credentials)
    assert re.search(f"ERROR: .*({reason})", shown)
    assert not (other / "data").exists()
    call(other, "dvc", "pull", "--quiet", "data.dvc")
