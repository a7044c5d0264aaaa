"""Tests of the image index."""

import zipfile

from rakuten.distributed import image_index
from rakuten.serving.product_images import ProductImages


def test_images_are_those_of_a_prediction_on_one_machine(tmp_path):
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
        loose, archives = image_index.index_folder(str(address))
        listed = [image_index.index_archive(str(address), path) for path in archives]
        found = image_index.IndexedImages(str(address), image_index.merge([loose, *listed]))
        for name in ("b.jpg", "a.jpg", "..jpg", "twice.jpg", "c.jpg"):
            if address == shards and name == "twice.jpg":
                assert found.read(name) is not None
            else:
                assert found.read(name) == ProductImages(tmp_path / "p").read(name)


def test_names_with_the_same_hash_are_distinguished(tmp_path, monkeypatch):
    for name in ("a/one.jpg", "b/other.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.setattr(image_index, "name_hash", lambda name: 7)
    loose, _ = image_index.index_folder(str(tmp_path))
    found = image_index.IndexedImages(str(tmp_path), image_index.merge([loose]))
    assert found.read("other.jpg") == b"b/other.jpg"
    assert found.read("none.jpg") is None
