import io
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tqdm import tqdm

from rakuten import storage
from rakuten.image import extraction, preprocessing

SECTION = {
    "backbone": "vgg16",
    "precision": "float32",
    "views": ["product"],
    "size": 16,
    "crop_borders": True,
    "border_tolerance": 16,
    "batch_size": 2,
}
SETTINGS = extraction.Settings(**SECTION)
WIDTHS = {"average": 3, "grid": 12, "middle": 1}
SHARD = extraction.SHARD_BATCHES * SETTINGS.batch_size


def jpeg(seed: int) -> bytes:
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[8:24, 8:32] = np.random.default_rng(seed).integers(0, 200, 3)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=95)
    return content.getvalue()


def colours(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """A network of three features, the mean colour; with those of its quadrants and the mean."""
    corners = [(slice(8), slice(8)), (slice(8), slice(8, 16)), (slice(8, 16), slice(8))]
    corners += [(slice(8, 16), slice(8, 16))]
    means = [pixels[:, r, c].mean(axis=(1, 2)) for r, c in corners]
    return {
        "average": pixels.mean(axis=(1, 2), dtype=np.float64).astype(np.float32),
        "grid": np.concatenate(means, axis=1).astype(np.float16),
        "middle": pixels.mean(axis=(1, 2, 3), dtype=np.float64)[:, None].astype(np.float16),
    }


class Counter:
    """An extractor that counts pictures and is killed after some batches."""

    def __init__(self, batches: float = np.inf):
        self.left, self.pictures, self.sizes = batches, 0, []

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.pictures += len(pixels)
        self.sizes.append(len(pixels))
        return colours(pixels)


@pytest.fixture
def names() -> list[str]:
    return [f"image_train/image_{number}_product_{number}.jpg" for number in range(30)]


@pytest.fixture
def archive(tmp_path, names):
    """29 pictures for 30 products: 5 and 6 are one picture, 12 has none."""
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as members:
        for number, name in enumerate(names):
            if number != 12:
                members.writestr(name, jpeg(5 if number == 6 else number))
    with storage.ImageArchive(path) as opened:
        yield opened


def bar(items, **options) -> tqdm:
    return tqdm(items, disable=True, **{key: options[key] for key in ("total", "initial")})


def run(archive, names, shards, compute, settings=SETTINGS, progress=bar):
    pictures = extraction.find_images(names, archive)
    return extraction.extract(
        pictures, archive, lambda: compute, shards, progress, settings, WIDTHS
    )


def test_find_pictures_takes_equal_bytes_once(archive, names):
    pictures = extraction.find_images(names, archive)
    assert len(pictures.names) == len(set(pictures.digests)) == 28
    assert pictures.rows[[4, 5, 6, 7, 11, 12, 13]].tolist() == [4, 5, 5, 6, 10, -1, 11]
    assert pictures.present.sum() == 29
    assert pictures.names[5] == names[5]
    assert pictures.digests[5] == archive.digest(names[6])


def test_features_and_facts_are_those_of_each_picture(archive, names, tmp_path):
    compute = Counter()
    arrays, facts = run(archive, names, storage.Shards(tmp_path / "shards", "a"), compute)
    pictures = extraction.find_images(names, archive)
    options = {"crop_borders": True, "border_tolerance": 16, "size": 16}
    assert {kind: array.shape for kind, array in arrays.items()} == {
        "average": (28, 3),
        "grid": (1, 28, 12),
        "middle": (1, 28, 1),
    }
    assert [array.dtype for array in arrays.values()] == [np.float32, np.float16, np.float16]
    for row, name in enumerate(pictures.names):
        pixels, expected = preprocessing.prepare(archive.read(name), views=["product"], **options)
        found = colours(pixels)
        assert arrays["average"][row].tolist() == found["average"][0].tolist()
        assert arrays["grid"][0, row].tolist() == found["grid"][0].tolist()
        assert arrays["middle"][0, row].tolist() == found["middle"][0].tolist()
        assert facts.iloc[row].tolist() == list(expected)
    assert compute.pictures == 28
    assert compute.sizes == [2] * 14


def test_every_view_is_pooled_and_the_first_gives_the_features(archive, names, tmp_path):
    views = ["whole", "product", "flip"]
    several = replace(SETTINGS, views=views)
    compute = Counter()
    shards = storage.Shards(tmp_path / "several", "a")
    arrays, facts = run(archive, names, shards, compute, several)
    assert compute.pictures == 3 * 28
    for number, view in enumerate(views):
        shards = storage.Shards(tmp_path / view, "a")
        alone, known = run(archive, names, shards, colours, replace(SETTINGS, views=[view]))
        for kind in ("grid", "middle"):
            np.testing.assert_array_equal(arrays[kind][number], alone[kind][0])
        assert (arrays["average"] == alone["average"]).all() == (view == "whole")
        pd.testing.assert_frame_equal(facts, known, check_exact=True)


def test_a_picture_is_read_and_decoded_once_for_all_views(archive, names, tmp_path, monkeypatch):
    decoded = []
    decode = preprocessing.decode
    monkeypatch.setattr(
        preprocessing, "decode", lambda content: decoded.append(1) or decode(content)
    )
    several = replace(SETTINGS, views=list(preprocessing.VIEWS))
    run(archive, names, storage.Shards(tmp_path / "shards", "a"), colours, several)
    assert len(decoded) == 28


def test_permuting_products_permutes_features(archive, names, tmp_path):
    order = np.random.default_rng(0).permutation(len(names))
    results = []
    for number, rows in enumerate((np.arange(len(names)), order)):
        chosen = [names[row] for row in rows]
        pictures = extraction.find_images(chosen, archive)
        shards = storage.Shards(tmp_path / "shards", str(number))
        found = run(archive, chosen, shards, colours)
        results.append(extraction.to_products(pictures, rows, *found, ["product"]))
    (arrays, pooled, table), (permuted, permuted_pooled, permuted_table) = results
    np.testing.assert_array_equal(permuted["features"], arrays["features"][order])
    np.testing.assert_array_equal(permuted["present"], arrays["present"][order])
    np.testing.assert_array_equal(permuted_pooled["grid"], pooled["grid"][:, order])
    np.testing.assert_array_equal(permuted_pooled["middle"], pooled["middle"][:, order])
    pd.testing.assert_frame_equal(permuted_table, table.iloc[order].reset_index(drop=True))


def test_killed_at_80_percent_it_goes_on_with_the_same_bytes(archive, names, tmp_path):
    settings = replace(SETTINGS, views=["product", "flip"])
    whole = run(archive, names, storage.Shards(tmp_path / "whole", "a"), Counter(), settings)
    shards = storage.Shards(tmp_path / "killed", "a")
    with pytest.raises(KeyboardInterrupt):
        run(archive, names, shards, Counter(batches=22), settings)  # 22 of 28 pictures, 2 views
    seen = {}

    def watched(items, **options):
        seen.update(options)
        return bar(items, **options)

    compute = Counter()
    arrays, facts = run(archive, names, shards, compute, settings, watched)
    kept = 22 // SHARD * SHARD
    assert compute.pictures == 2 * (28 - kept)
    assert (seen["initial"], seen["total"]) == (kept, 28)
    for kind, array in arrays.items():
        assert array.tobytes() == whole[0][kind].tobytes()
    pd.testing.assert_frame_equal(facts, whole[1], check_exact=True)


def test_finished_parts_need_no_network(archive, names, tmp_path):
    shards = storage.Shards(tmp_path / "shards", "a")
    first, _ = run(archive, names, shards, Counter())
    pictures = extraction.find_images(names, archive)
    again, _ = extraction.extract(
        pictures, archive, pytest.fail, shards, pytest.fail, SETTINGS, WIDTHS
    )
    assert {k: a.tobytes() for k, a in again.items()} == {k: a.tobytes() for k, a in first.items()}


def test_text_only_products_need_no_network(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w"):
        pass
    with storage.ImageArchive(tmp_path / "images.zip") as archive:
        pictures = extraction.find_images(["a.jpg", "b.jpg"], archive)
        shards = storage.Shards(tmp_path / "shards", "a")
        found = extraction.extract(
            pictures, archive, pytest.fail, shards, pytest.fail, SETTINGS, WIDTHS
        )
    arrays, pooled, table = extraction.to_products(pictures, np.array([3, 8]), *found, ["product"])
    assert arrays["features"].shape == (2, 3)
    assert pooled["grid"].shape == (1, 2, 12)
    assert not pooled["grid"].any()
    assert arrays["features"].dtype == np.float32
    assert not arrays["features"].any()
    assert arrays["present"].tolist() == [False, False]
    assert table["has_image"].tolist() == [False, False]
    assert table.dtypes.drop(["id", "has_image"]).tolist() == [np.int64] * 6 + [np.float64] * 4


def test_spread_gives_twins_the_same_and_the_missing_zeros(archive, names, tmp_path):
    pictures = extraction.find_images(names, archive)
    views = ["product", "dark"]
    settings = replace(SETTINGS, views=views)
    found = run(archive, names, storage.Shards(tmp_path / "shards", "a"), colours, settings)
    arrays, pooled, table = extraction.to_products(pictures, np.arange(100, 130), *found, views)
    assert list(arrays) == ["ids", "present", "features"]
    assert list(pooled) == ["ids", "present", "views", "grid", "middle"]
    assert pooled["views"].tolist() == views
    assert pooled["views"].dtype.kind == "U"
    assert (pooled["grid"].dtype, pooled["grid"].shape) == (np.float16, (2, 30, 12))
    assert (pooled["middle"].dtype, pooled["middle"].shape) == (np.float16, (2, 30, 1))
    np.testing.assert_array_equal(pooled["grid"][:, 5], pooled["grid"][:, 6])
    assert (pooled["grid"][0, 5] != pooled["grid"][1, 5]).any()
    assert np.flatnonzero(~pooled["middle"].any(axis=(0, 2))).tolist() == [12]
    assert arrays["features"][5].tolist() == arrays["features"][6].tolist() != [0, 0, 0]
    assert arrays["features"][12].tolist() == [0, 0, 0]
    assert np.flatnonzero(~arrays["present"]).tolist() == [12]
    assert table.columns.tolist() == ["id", "has_image", *preprocessing.Facts._fields]
    assert table["id"].tolist() == list(range(100, 130))
    assert table.loc[12, ["width", "left", "bottom"]].tolist() == [0, 0, 0]
    assert table.loc[12, ["border_share", "mean_red"]].isna().all()
    assert table.loc[13, "width"] == 40
    assert table["width"].dtype == np.int64


def test_a_broken_picture_is_named(archive, names, tmp_path):
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(path, "w") as members:
        for number, name in enumerate(names):
            members.writestr(name, jpeg(number)[: 200 if number == 20 else None])
    shards = storage.Shards(tmp_path / "shards", "a")
    with (
        storage.ImageArchive(path) as broken,
        pytest.raises(
            preprocessing.ImageError, match=r"image_train/image_20_product_20\.jpg.*decode"
        ),
    ):
        run(broken, names, shards, colours)
    assert shards.load(0)["average"].shape == (SHARD, 3)
    assert shards.load(20 // SHARD) is None


def test_decoding_runs_ahead_of_the_network_but_not_far(archive, names, tmp_path, monkeypatch):
    """When a batch is computed, the next two have already been handed to the decoder."""
    read = []
    monkeypatch.setattr(
        type(archive), "read", lambda self, name: read.append(name) or jpeg(len(read))
    )
    pictures = extraction.ImageSet(tuple(names), tuple(names), np.arange(len(names)))
    ahead = []

    def compute(pixels):
        done = sum(len(batch) for batch in ahead_batches)
        ahead_batches.append(pixels)
        ahead.append(len(read) - done - len(pixels))
        return colours(pixels)

    ahead_batches: list[np.ndarray] = []
    shards = storage.Shards(tmp_path / "shards", "a")
    extraction.extract(pictures, archive, lambda: compute, shards, bar, SETTINGS, WIDTHS)
    assert set(ahead[:-2]) == {2 * SETTINGS.batch_size}
    assert ahead[-1] == 0


def test_fingerprint_changes_with_everything_a_part_depends_on(archive, names):
    pictures = extraction.find_images(names, archive)
    fewer = extraction.find_images(names[1:], archive)
    known = {
        extraction.fingerprint(pictures, SETTINGS, "weights"),
        extraction.fingerprint(fewer, SETTINGS, "weights"),
        extraction.fingerprint(pictures, SETTINGS, "other"),
        extraction.fingerprint(pictures, replace(SETTINGS, backbone="resnet50"), "weights"),
        extraction.fingerprint(pictures, replace(SETTINGS, views=["whole"]), "weights"),
        extraction.fingerprint(pictures, replace(SETTINGS, views=["product", "flip"]), "weights"),
        extraction.fingerprint(pictures, replace(SETTINGS, size=32), "weights"),
        extraction.fingerprint(pictures, replace(SETTINGS, crop_borders=False), "weights"),
        extraction.fingerprint(pictures, replace(SETTINGS, border_tolerance=0), "weights"),
        extraction.fingerprint(pictures, replace(SETTINGS, batch_size=4), "weights"),
    }
    assert len(known) == 10
    assert extraction.fingerprint(pictures, SETTINGS, "weights") in known


def test_a_misspelt_setting_is_named():
    section = {"crop_border" if key == "crop_borders" else key: SECTION[key] for key in SECTION}
    with pytest.raises(TypeError, match="crop_border"):
        extraction.Settings(**section)


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="is 'vgg19', expected one of vgg16, resnet50: correct"):
        extraction.Settings(**SECTION | {"backbone": "vgg19"})


def test_a_misspelt_view_is_refused_before_anything_is_computed():
    with pytest.raises(ValueError, match=r"views has no 'prodcut', expected .* product, flip"):
        extraction.Settings(**SECTION | {"views": ["prodcut"]})
