"""Small files in the challenge's formats, and helpers for the tests of imports."""

import hashlib
import io
import tarfile
import zipfile

from PIL import Image

from rakuten import categories, storage

X, Y, X_TEST = "X_train_update.csv", "Y_train_CVw08PX.csv", "X_test_update.csv"
HEADER = ",designation,description,productid,imageid"
NAMES = [f"image_{100 + number}_product_{4200872200 + number}.jpg" for number in range(12)]
MEMBERS = [f"images/image_train/{name}" for name in NAMES]
TEST_MEMBER = "images/image_test/image_7_product_8.jpg"


def jpeg(quality, size=(16, 12), kind="JPEG"):
    content = io.BytesIO()
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    image.save(content, kind, quality=quality)
    return content.getvalue()


IMAGES = [jpeg(quality) for quality in range(40, 88, 4)]


def x_of(titles):
    rows = [f"{3 * n},{titles[n]},,{4200872200 + n},{100 + n}" for n in range(12)]
    return "\r\n".join([HEADER, *rows, ""]).encode()


TITLES = [f'"Titre n° {number}, ""été"""' for number in range(12)]
CODES = [f"{3 * number},{categories.CODES[number]}" for number in reversed(range(12))]
GIVEN = {
    X: x_of(TITLES),
    Y: "\n".join([",prdtypecode", *CODES, ""]).encode(),
    X_TEST: f"{HEADER}\n84916,Tasse,,8,7\n".encode(),
    TEST_MEMBER: IMAGES[0],
    **dict(zip(MEMBERS, IMAGES, strict=True)),
}
TABLES = {name: content for name, content in GIVEN.items() if name.endswith(".csv")}
IMAGE_FILES = {name: content for name, content in GIVEN.items() if name not in TABLES}


def given(changes):
    """The challenge's files with changes; None leaves one out."""
    return {name: body for name, body in {**GIVEN, **changes}.items() if body is not None}


def write(folder, contents):
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zipped(contents, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(contents, mode):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def digest(folder):
    return {p.name: hashlib.md5(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def track(root):
    """Stand in for DVC: write a data.dvc that records what data/ holds."""
    storage.write_json(root / "data.dvc", digest(root / "data"))


def make_repository(path):
    return write(path, {".dvc/config": b"[core]\n    no_scm = true\n    analytics = false\n"})


def make_old_repository(path):
    """Make a repository that holds older data."""
    root = make_repository(path)
    write(root, {"data/X_train.csv": b"old", "data/images.zip": b"old"})
    track(root)
    return root


def assert_consistent(root):
    """Assert that data.dvc records what data/ holds and that nothing else is left."""
    assert storage.read_json(root / "data.dvc") == digest(root / "data")
    assert names(root) == [".dvc", "data", "data.dvc"]
    locks = {"import.lock", "lock"}  # this project's and, after a kill, DVC's
    assert set(names(root / ".dvc" / "tmp")) <= locks


def is_old(root):
    return (root / "data" / "X_train.csv").read_bytes() == b"old"
