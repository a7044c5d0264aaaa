"""Tests of finding and reading images in folders and archives."""

import io
import os
import tarfile
import unicodedata
import zipfile

import pyarrow.fs as fs
import pytest

from rakuten.data import archives
from rakuten.serving import image_index, product_images
from rakuten.serving.batch_prediction import find_image
from rakuten.serving.errors import InputError
from rakuten.serving.product_images import ProductImages, RemoteReadError, read_image
from rakuten.serving.product_tables import Row
from rakuten.serving.remote_files import RemotePath

CHALLENGE = "image_12_product_7.jpg"
ACCENTED = "Été à la plage.jpg"


def opened(path):
    return ProductImages(str(path), image_index.index_images(str(path)))


def write(path, content=b"1"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def zipped(members):
    """Make a zip archive; names that are bytes are stored as they are, without the UTF-8 flag."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            if isinstance(name, str):
                archive.writestr(zipfile.ZipInfo(name), member)
                continue
            stand_in = "x" * len(name)
            archive.writestr(stand_in, member)
    found = content.getvalue()
    for name in members:
        if isinstance(name, bytes):
            found = found.replace(b"x" * len(name), name)
    return found


def tarred(members, mode="w"):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, member in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(member)
            archive.addfile(info, io.BytesIO(member))
    return content.getvalue()


def test_images_are_found_at_any_depth_in_the_first_folder(tmp_path):
    for folder in ("b/deep", "a", "."):
        write(tmp_path / "p" / folder / f"{folder.replace('.', 'root')[0]}.jpg", folder.encode())
    for folder in ("b", "a"):
        write(tmp_path / "p" / folder / "twice.jpg", folder.encode())
    for folder in ("a", ""):
        write(tmp_path / "p" / folder / "z.jpg", f"z in {folder or 'p'}".encode())
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in (tmp_path / "p").rglob("*.jpg"):
            archive.write(path, path.relative_to(tmp_path))
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as archive:
        for path in (tmp_path / "p").rglob("*.jpg"):
            archive.write(path, path.relative_to(tmp_path / "p"))
    for path in (tmp_path / "p", tmp_path / "p.zip", tmp_path / "flat.zip"):
        images = opened(path)
        assert images.read("b.jpg") == b"b/deep"
        assert images.read("a.jpg") == images.read("twice.jpg") == b"a"
        assert images.read("r.jpg") == b"."
        assert images.read("z.jpg") == b"z in p"
        assert images.read("c.jpg") is None
        images.close()


@pytest.mark.parametrize(
    ("wanted", "present"),
    [
        (CHALLENGE, "images/image_train/image_12_product_7.JPG"),
        (CHALLENGE, "IMAGE_12_PRODUCT_7.jpeg"),
        (CHALLENGE, "image_0012_product_07.Jpeg"),
        (CHALLENGE, "image_12_product_7.jfif"),
        (CHALLENGE, "images/image_train\\sub\\image_12_product_7.JPG"),
        (CHALLENGE, "images\\image_train\\image_12_product_7.jpg"),
        ("Vase Bleu.PNG", "vase bleu.png"),
        (ACCENTED, unicodedata.normalize("NFD", ACCENTED)),
        (unicodedata.normalize("NFD", ACCENTED), ACCENTED.upper()),
        ("STRASSE.jpg", "straße.jpg"),
    ],
)
@pytest.mark.parametrize("packed", ["folder", "zip", "tar.gz", "zip in zip", "tar in folder"])
def test_names_match_however_they_are_written(tmp_path, wanted, present, packed):
    if packed == "folder":
        path = write(tmp_path / "p" / present.replace("\\", "/")).parents[present.count("/")]
    elif packed == "zip":
        path = write(tmp_path / "p.zip", zipped({present: b"1"}))
    elif packed == "tar.gz":
        path = write(tmp_path / "p.tgz", tarred({present.replace("\\", "/"): b"1"}, "w:gz"))
    elif packed == "zip in zip":
        path = write(tmp_path / "p.zip", zipped({"in/p.ZIP": zipped({present: b"1"})}))
    else:
        path = write(tmp_path / "p" / "q.tar", tarred({present.replace("\\", "/"): b"1"})).parent
    assert opened(path).read(wanted) == b"1"
    assert opened(path).read("image_12_product_8.jpg") is None


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "cp850", "cp437"])
def test_names_in_a_zip_match_in_every_encoding(tmp_path, encoding):
    """Most programs do not say in which encoding they write names."""
    name = "Été à Orléans.jpg".replace("É", "e" if encoding == "cp437" else "É")
    decomposed = unicodedata.normalize("NFD", name) if encoding == "utf-8" else name
    stored = b"Donn\xe9es/" + decomposed.encode(encoding)
    stored = stored.replace(b"Donn\xe9es", "Données".encode(encoding))
    path = write(tmp_path / "p.zip", zipped({stored: b"1", b"other.jpg": b"2"}))
    assert opened(path).read(name) == b"1"
    assert opened(path).read("other.jpg") == b"2"


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes there")
def test_names_in_a_folder_match_in_every_encoding(tmp_path):
    (tmp_path / "p").mkdir()
    path = os.fsencode(tmp_path / "p") + b"/" + "Été.jpg".encode("cp1252")
    with open(path, "wb") as file:  # noqa: PTH123, a name that is not UTF-8
        file.write(b"1")
    assert opened(tmp_path / "p").read("été.JPG") == b"1"


def test_of_names_that_differ_in_case_the_exact_one_is_read(tmp_path):
    path = write(tmp_path / "p.zip", zipped({"A.jpg": b"upper", "a.jpg": b"lower"}))
    images = opened(path)
    assert (images.read("A.jpg"), images.read("a.jpg")) == (b"upper", b"lower")
    names = {"image_12_product_7.jpeg": b"jpeg", CHALLENGE: b"jpg"}
    assert opened(write(tmp_path / "q.zip", zipped(names))).read(CHALLENGE) == b"jpg"


def test_hidden_files_and_those_of_macos_are_no_images(tmp_path):
    members = {f"__MACOSX/{CHALLENGE}": b"no", f"._{CHALLENGE}": b"no", ".x/a.jpg": b"no"}
    path = write(tmp_path / "p.zip", zipped({**members, f"z/{CHALLENGE}": b"1"}))
    assert opened(path).read(CHALLENGE) == b"1"
    assert opened(path).read("a.jpg") is None


def test_linked_folders_are_followed_once(tmp_path):
    write(tmp_path / "elsewhere" / CHALLENGE)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "p" / "loop").symlink_to(tmp_path / "p")
    assert opened(tmp_path / "p").read(CHALLENGE) == b"1"


def test_more_archives_than_are_kept_open_are_read(tmp_path):
    for number in range(12):
        content = zipped({f"image_{number}_product_1.jpg": str(number).encode()})
        if number % 3 == 0:
            content = zipped({"in.zip": content})
        write(tmp_path / "p" / f"{number:02}.zip", content)
    images = opened(tmp_path / "p")
    for number in [*range(12), *range(12)]:
        assert images.read(f"image_{number}_product_1.jpg") == str(number).encode()
    images.close()


def test_the_digest_depends_on_names_sizes_and_times(tmp_path):
    folder = tmp_path / "p"
    for path in (folder / "a.jpg", folder / "b.zip"):
        write(path, zipped({"c.jpg": b"1"}))
    digests = [image_index.index_images(str(folder)).digest]
    assert image_index.index_images(str(folder)).digest == digests[0]
    for path in (folder / "a.jpg", folder / "b.zip"):
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        digests.append(image_index.index_images(str(folder)).digest)
    (folder / "a.jpg").rename(folder / "d.jpg")
    digests.append(image_index.index_images(str(folder)).digest)
    assert len(set(digests)) == 4


def test_names_with_the_same_hash_are_distinguished(tmp_path, monkeypatch):
    for name in ("a/one.jpg", "b/Other.jpg"):
        write(tmp_path / name, name.encode())
    monkeypatch.setattr(image_index, "key_hash", lambda key: 7)
    found = opened(tmp_path)
    assert found.read("other.jpg") == b"b/Other.jpg"
    assert found.read("none.jpg") is None


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(archives.MAX_IMAGE + 1)
    with pytest.raises(InputError, match=r"a\.jpg is too large: expected at most \d+ bytes"):
        opened(tmp_path).read("a.jpg")
    with pytest.raises(InputError, match="too large"), (tmp_path / "a.jpg").open("rb") as file:
        read_image(file, "a.jpg")


def test_a_damaged_archive_member_raises_one_of_the_read_faults(tmp_path):
    content = zipped({"a.jpg": b"content of an image"}).replace(b"content", b"damaged")
    with pytest.raises(archives.READ_FAULTS, match="CRC"):
        opened(write(tmp_path / "p.zip", content)).read("a.jpg")


class FailingStore(fs.SubTreeFileSystem):
    """A remote store whose connection breaks."""

    def open_input_file(self, path):
        raise OSError("curlCode: 28, timeout was reached")


@pytest.mark.parametrize("archive", [False, True])
def test_a_failure_of_a_remote_store_is_no_fault_of_the_row(tmp_path, monkeypatch, archive):
    if archive:
        write(tmp_path / "p.zip", zipped({"a.jpg": b"1"}))
    else:
        write(tmp_path / "a.jpg")
    index = image_index.index_images(str(tmp_path))
    store = RemotePath(FailingStore("/", fs.LocalFileSystem()), str(tmp_path))
    monkeypatch.setattr(product_images, "locate", lambda _: store)
    row = Row(0, 1, 0, "", "", "a.jpg", ())
    with pytest.raises(RemoteReadError, match="cannot be read: curlCode: 28"):
        find_image(row, ProductImages("s3://shop", index))


def test_a_local_file_that_cannot_be_read_is_a_fault_of_the_row(tmp_path):
    path = write(tmp_path / "a.jpg")
    images = opened(tmp_path)
    path.unlink()
    path.mkdir()
    content, fault = find_image(Row(0, 1, 0, "", "", "a.jpg", ()), images)
    assert content is None
    assert "image a.jpg cannot be read" in fault


def test_an_encrypted_archive_member_raises_one_of_the_read_faults(tmp_path):
    content = bytearray(zipped({"a.jpg": b"content of an image"}))
    content[content.index(b"PK\x03\x04") + 6] |= 1  # the flag of an encrypted member
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(archives.READ_FAULTS, match="encrypted"):
        opened(write(tmp_path / "p.zip", bytes(content))).read("a.jpg")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({}, r"p holds no files: expected a folder or an archive \(.zip .tar"),
        ({"../p": b"not an archive"}, "File is not a zip file.*expected a folder or an archive"),
        ({"../p": None}, "p cannot be read .it does not exist.: expected a folder or an archive"),
        ({"a.zip": zipped({"b.zip": b"damaged"})}, r"a\.zip/b\.zip \(File is not a zip file\)"),
        ({"a.zip": zipped({"../c.jpg": b"1"})}, "would escape the target folder"),
        ({"a.zip": zipped({"b/c.rar": b"Rar!"})}, r"archives other than .*a\.zip/b/c\.rar: unpack"),
        *(
            ({f"images.{suffix}": b"1"}, rf"images\.{suffix}: unpack them first")
            for suffix in ("7z", "rar", "tar.xz", "tar.bz2", "zip.001", "TAR.ZST", "zipx")
        ),
        ({"images.zip.part": b"1"}, r"not downloaded completely .*images\.zip\.part: finish"),
    ],
)
def test_images_that_cannot_be_used_are_refused(tmp_path, contents, message):
    folder = tmp_path / "p"
    folder.mkdir()
    for name, content in contents.items():
        if name == "../p":
            folder.rmdir()
        if content is not None:
            write(folder / name if name != "../p" else folder, content)
    with pytest.raises(InputError, match=message):
        opened(folder)


def test_a_single_archive_of_another_kind_is_named(tmp_path):
    with pytest.raises(InputError, match=r"images\.7z: unpack them first"):
        opened(write(tmp_path / "images.7z"))
