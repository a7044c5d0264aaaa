import json
import zipfile

import numpy as np
import pytest
from test_extraction import SETTINGS, SHARD, WIDTHS, Counter, bar, colours, jpeg

from rakuten import extraction, reuse, storage


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
    pictures = extraction.find_pictures(names, archive)
    arrays, facts = extraction.extract(
        pictures, archive, lambda: network, shards, bar, SETTINGS, WIDTHS
    )
    ids = np.arange(len(names))
    features, pooled, table = extraction.spread(pictures, ids, arrays, facts, SETTINGS.views)
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
    reuse._check([])
    reuse._check([data])
    for change in (
        {"changed deps": {"rakuten/images.py": "modified"}},
        {"changed deps": {"params.yaml": {"extract.size": "modified"}}},
        {"changed outs": {"build/extract/features.npz": "deleted"}},
        "changed command",
    ):
        with pytest.raises(reuse.ReuseError, match="expected only data/X_train"):
            reuse._check([data, change])


def test_a_refusal_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reuse, "_dvc", lambda root, *words: json.dumps({"extract": ["never ran"]}))
    assert reuse.main([]) == 1
    assert "nothing is taken over: expected only" in capsys.readouterr().err
