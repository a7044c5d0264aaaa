import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from test_extraction import SETTINGS, SHARD, WIDTHS, Counter, bar, colours, jpeg

from rakuten import storage
from rakuten.data import products
from rakuten.image import extraction, reuse
from rakuten.text import encoder


class Rounding(Counter):
    """A network whose last bits depend on the number of pictures in a call, as real ones' do."""

    def __call__(self, pixels):
        super().__call__(pixels)
        return {
            kind: array + array.dtype.type(len(pixels)) for kind, array in colours(pixels).items()
        }


def catalogue(folder, numbers):
    """An archive of pictures by number, and the name of each product's."""
    path = folder / "images.zip"
    folder.mkdir()
    names = [f"image_train/image_{number}_product_{number}.jpg" for number in numbers]
    with zipfile.ZipFile(path, "w") as members:
        for number, name in zip(numbers, names, strict=True):
            if number != 12:  # a product without a picture
                members.writestr(name, jpeg(5 if number == 6 else number))
    return storage.ImageArchive(path), names


def extract(archive, names, shards):
    """What the stage does, with the count of the pictures that went through the network."""
    network = Rounding()
    pictures = extraction.find_images(names, archive)
    arrays, facts = extraction.extract(
        pictures, archive, lambda: network, shards, bar, SETTINGS, WIDTHS
    )
    ids = np.arange(len(names))
    features, pooled, table = extraction.to_products(pictures, ids, arrays, facts, SETTINGS.views)
    found = {"average": features["features"], "grid": pooled["grid"], "middle": pooled["middle"]}
    return pictures, found, table, network.pictures


@pytest.mark.parametrize(
    ("first", "second", "spared"),
    [
        (range(27), range(40), 3 * SHARD),  # later products: of 25 pictures, the last was alone
        (range(30), range(30), 28),  # the last part is short, of whole batches
        (range(10, 40), range(40), 2 * SHARD),  # earlier ones: parts that hold none of them remain
        (range(SHARD + 2), range(SHARD + 2), SHARD),
        ([*range(20), 50], [*range(20), *range(30, 60)], 2 * SHARD),
        (range(40), range(12), SHARD),  # fewer products
        (range(3), range(60), 0),
    ],
)
def test_what_is_taken_over_is_what_would_be_computed(tmp_path, first, second, spared):
    before, arrays, facts, _ = extract(
        *catalogue(tmp_path / "1", first), storage.Shards(tmp_path / "a", "key")
    )
    archive, names = catalogue(tmp_path / "2", second)
    pictures, expected, table, total = extract(archive, names, storage.Shards(tmp_path / "b", "k"))
    shards = storage.Shards(tmp_path / "c", "key")
    for number, part in reuse.parts(pictures, before, arrays, facts, SETTINGS.batch_size):
        shards.save(number, **part)
    _, found, other, computed = extract(archive, names, shards)
    assert total - computed == spared
    for kind, array in expected.items():
        assert array.dtype == found[kind].dtype
        assert array.tobytes() == found[kind].tobytes()
    storage.write_table(tmp_path / "expected.parquet", table)
    storage.write_table(tmp_path / "found.parquet", other)
    assert storage.digest(tmp_path / "expected.parquet") == storage.digest(
        tmp_path / "found.parquet"
    )


def test_only_changed_data_are_let_through():
    data = {"changed deps": {"data/X_train.csv": "modified", "data/images.zip": "modified"}}
    reuse._check([], "extract", reuse.DATA)
    reuse._check([data], "extract", reuse.DATA)
    for change in (
        {"changed deps": {"rakuten/image/preprocessing.py": "modified"}},
        {"changed deps": {"params.yaml": {"extract.size": "modified"}}},
        {"changed outs": {"build/extract/features.npz": "deleted"}},
        "changed command",
    ):
        with pytest.raises(reuse.ReuseError, match="expected only data/X_train"):
            reuse._check([data, change], "extract", reuse.DATA)
    with pytest.raises(reuse.ReuseError, match=r"since 'encode' ran, found data/X_train\.csv"):
        reuse._check([data], "encode", [reuse.TABLE])


def test_a_refusal_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status = json.dumps({"extract": ["never ran"], "encode": ["never ran"]})
    monkeypatch.setattr(reuse, "_dvc", lambda root, *words: status)
    assert reuse.main([]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("error: nothing is taken over for encoding: expected only build/cl")
    assert told[1].startswith("error: nothing is taken over for extraction: expected only data/X")


def catalogue_of(root, titles, descriptions):
    """Import products: the table that encode reads after clean, and the one that was imported."""
    numbers = range(len(titles))
    columns = {"designation": titles, "description": descriptions}
    columns |= {"productid": numbers, "imageid": numbers}
    table = pd.DataFrame({"": numbers, **columns})
    storage.write_csv(root / "data/X_train.csv", table)
    read = storage.read_csv(root / "data/X_train.csv", **products.CSV_FORMAT)
    return products.join(read)


def test_texts_known_before_reach_the_network_no_more(heard, tmp_path, monkeypatch):
    """The stage's way twice, the second time with what the first left, and without."""
    network = tmp_path / "build/resources/encoder/sentence_encoder.onnx"
    network.parent.mkdir(parents=True)
    network.touch()

    def run(table, shards):
        kinds = reuse._texts(table)
        vectors = encoder.encode(
            network, kinds, encoder="use_multilingual", threads=1, shards=shards
        )
        storage.write_arrays(tmp_path / "build/encode/vectors.npz", ids=table["id"], **vectors)
        return storage.digest(tmp_path / "build/encode/vectors.npz")

    before = catalogue_of(
        tmp_path, ["Lampe", "Jeu &amp; lit", "Gone"], ["<b>Une</b> lampe", "", "x"]
    )
    storage.write_table(tmp_path / reuse.TABLE, before)
    monkeypatch.setattr(reuse, "_locked", lambda root, stage, data: [tmp_path / reuse.TABLE])
    run(before, None)
    now = catalogue_of(tmp_path, ["LAMPE", "Jeu & lit", "Neuf"], ["", "Une lampe", "Lampe"])
    assert reuse.reuse_vectors(tmp_path) == (4, 5)  # "", "lampe", "jeu & lit", "une lampe"; "neuf"
    heard.clear()
    key = encoder.fingerprint(network)
    taken = run(now, storage.Shards(tmp_path / "build/scratch/encode", key))
    assert heard == ["neuf"]
    assert run(now, None) == taken  # the same bytes
    assert sorted(heard) == ["jeu & lit", "lampe", "neuf", "neuf", "une lampe"]
