"""Tests of finding images in folders and archives."""

import zipfile

import pytest

from rakuten.data import sources
from rakuten.serving.errors import InputError
from rakuten.serving.product_images import ProductImages


def test_images_are_found_at_any_depth_in_the_first_folder(tmp_path):
    for folder in ("b/deep", "a", "."):
        (tmp_path / "p" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / folder / f"{folder[0]}.jpg").write_bytes(folder.encode())
    for folder in ("b", "a"):
        (tmp_path / "p" / folder / "twice.jpg").write_bytes(folder.encode())
    for folder in ("a", ""):
        (tmp_path / "p" / folder / "z.jpg").write_bytes(f"z in {folder or 'p'}".encode())
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in (tmp_path / "p").rglob("*.jpg"):
            archive.write(path, path.relative_to(tmp_path))
    with zipfile.ZipFile(tmp_path / "flat.zip", "w") as archive:
        for path in (tmp_path / "p").rglob("*.jpg"):
            archive.write(path, path.relative_to(tmp_path / "p"))
    for path in (tmp_path / "p", tmp_path / "p.zip", tmp_path / "flat.zip"):
        images = ProductImages(path)
        assert images.read("b.jpg") == b"b/deep"
        assert images.read("a.jpg") == images.read("twice.jpg") == b"a"
        assert images.read("..jpg") == b"."
        assert images.read("z.jpg") == b"z in p"
        assert images.read("c.jpg") is None
        images.close()


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(sources.MAX_IMAGE + 1)
    with pytest.raises(InputError, match=r"a\.jpg is too large: expected at most \d+ bytes"):
        ProductImages(tmp_path).read("a.jpg")


def test_a_damaged_archive_member_raises_one_of_the_read_faults(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("a.jpg", b"content of an image")
    content = (tmp_path / "p.zip").read_bytes().replace(b"content", b"damaged")
    (tmp_path / "p.zip").write_bytes(content)
    with pytest.raises(sources.READ_FAULTS, match="CRC"):
        ProductImages(tmp_path / "p.zip").read("a.jpg")


def test_an_encrypted_archive_member_raises_one_of_the_read_faults(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("a.jpg", b"content of an image")
    content = bytearray((tmp_path / "p.zip").read_bytes())
    content[content.index(b"PK\x03\x04") + 6] |= 1  # the flag of an encrypted member
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "p.zip").write_bytes(content)
    with pytest.raises(sources.READ_FAULTS, match="encrypted"):
        ProductImages(tmp_path / "p.zip").read("a.jpg")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "holds no files: pass the folder or zip archive"),
        (lambda path: path.write_bytes(b"not an archive"), "expected a folder or a zip archive"),
        (lambda path: None, "expected a folder or a zip archive"),
    ],
)
def test_a_source_without_images_is_refused(tmp_path, make, message):
    make(tmp_path / "images")
    with pytest.raises(InputError, match=message):
        ProductImages(tmp_path / "images")
