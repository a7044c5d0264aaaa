import io
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tqdm import tqdm

from rakuten import storage
from rakuten.feature_store import FeatureStore
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
PART = extraction.PART_BATCHES * SETTINGS.batch_size


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


class Network:
    """An extractor that counts images other than padding and is killed after some batches.

    Its last bits depend on the batch size, as those of real networks do.
    """

    def __init__(self, batches: float = np.inf):
        self.left, self.images, self.sizes = batches, 0, []

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.images += int(pixels.any(axis=(1, 2, 3)).sum())
        self.sizes.append(len(pixels))
        noise = len(pixels) - SETTINGS.batch_size
        return {kind: array + array.dtype.type(noise) for kind, array in colours(pixels).items()}


@pytest.fixture
def names() -> list[str]:
    return [f"image_train/image_{number}_product_{number}.jpg" for number in range(30)]


@pytest.fixture
def archive(tmp_path, names):
    """29 images for 30 products: 5 and 6 have equal images, 12 has none."""
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as members:
        for number, name in enumerate(names):
            if number != 12:
                members.writestr(name, jpeg(5 if number == 6 else number))
    with storage.ImageArchive(path) as opened:
        yield opened


def bar(items, **options) -> tqdm:
    return tqdm(items, disable=True, **{key: options[key] for key in ("total", "initial")})


def run(archive, names, store, compute, settings=SETTINGS, progress=bar):
    images = extraction.find_images(names, archive)
    return extraction.extract(images, archive, lambda: compute, store, progress, settings, WIDTHS)


def same_bytes(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return {k: a.tobytes() for k, a in one.items()} == {k: a.tobytes() for k, a in other.items()}


def test_find_images_takes_equal_bytes_once(archive, names):
    images = extraction.find_images(names, archive)
    assert len(images.names) == len(set(images.digests)) == 28
    assert images.rows[[4, 5, 6, 7, 11, 12, 13]].tolist() == [4, 5, 5, 6, 10, -1, 11]
    assert images.present.sum() == 29
    assert images.names[5] == names[5]
    assert images.digests[5] == archive.digest(names[6])


def test_features_and_facts_are_those_of_each_image(archive, names, tmp_path):
    compute = Network()
    arrays, facts = run(archive, names, FeatureStore(tmp_path, "key"), compute)
    images = extraction.find_images(names, archive)
    options = {"crop_borders": True, "border_tolerance": 16, "size": 16}
    assert {kind: array.shape for kind, array in arrays.items()} == {
        "average": (28, 3),
        "grid": (1, 28, 12),
        "middle": (1, 28, 1),
    }
    assert [array.dtype for array in arrays.values()] == [np.float32, np.float16, np.float16]
    for row, name in enumerate(images.names):
        pixels, expected = preprocessing.prepare(archive.read(name), views=["product"], **options)
        found = colours(pixels)
        assert arrays["average"][row].tolist() == found["average"][0].tolist()
        assert arrays["grid"][0, row].tolist() == found["grid"][0].tolist()
        assert arrays["middle"][0, row].tolist() == found["middle"][0].tolist()
        assert facts.iloc[row].tolist() == list(expected)
    assert compute.images == 28
    assert compute.sizes == [2] * 14
    without_store, _ = run(archive, names, None, Network())
    assert same_bytes(without_store, arrays)


def test_every_view_is_pooled_and_the_first_gives_the_features(archive, names, tmp_path):
    views = ["whole", "product", "flip"]
    several = replace(SETTINGS, views=views)
    compute = Network()
    store = FeatureStore(tmp_path, "several")
    arrays, facts = run(archive, names, store, compute, several)
    assert compute.images == 3 * 28
    for number, view in enumerate(views):
        store = FeatureStore(tmp_path, view)
        alone, known = run(archive, names, store, colours, replace(SETTINGS, views=[view]))
        for kind in ("grid", "middle"):
            np.testing.assert_array_equal(arrays[kind][number], alone[kind][0])
        assert (arrays["average"] == alone["average"]).all() == (view == "whole")
        pd.testing.assert_frame_equal(facts, known, check_exact=True)


def test_an_image_is_read_and_decoded_once_for_all_views(archive, names, tmp_path, monkeypatch):
    decoded = []
    decode = preprocessing.decode
    monkeypatch.setattr(
        preprocessing, "decode", lambda content: decoded.append(1) or decode(content)
    )
    several = replace(SETTINGS, views=list(preprocessing.VIEWS))
    run(archive, names, FeatureStore(tmp_path, "key"), colours, several)
    assert len(decoded) == 28


def test_permuting_products_permutes_features(archive, names, tmp_path):
    order = np.random.default_rng(0).permutation(len(names))
    results = []
    for number, rows in enumerate((np.arange(len(names)), order)):
        chosen = [names[row] for row in rows]
        images = extraction.find_images(chosen, archive)
        store = FeatureStore(tmp_path, str(number))
        found = run(archive, chosen, store, colours)
        results.append(extraction.to_products(images, rows, *found, ["product"]))
    (arrays, pooled, table), (permuted, permuted_pooled, permuted_table) = results
    np.testing.assert_array_equal(permuted["features"], arrays["features"][order])
    np.testing.assert_array_equal(permuted["present"], arrays["present"][order])
    np.testing.assert_array_equal(permuted_pooled["grid"], pooled["grid"][:, order])
    np.testing.assert_array_equal(permuted_pooled["middle"], pooled["middle"][:, order])
    pd.testing.assert_frame_equal(permuted_table, table.iloc[order].reset_index(drop=True))


def test_a_run_killed_at_80_percent_continues_with_the_same_bytes(archive, names, tmp_path):
    settings = replace(SETTINGS, views=["product", "flip"])
    whole = run(archive, names, FeatureStore(tmp_path, "whole"), Network(), settings)
    store = FeatureStore(tmp_path, "killed")
    with pytest.raises(KeyboardInterrupt):
        run(archive, names, store, Network(batches=22), settings)  # 22 of 28 images, 2 views
    seen = {}

    def watched(items, **options):
        seen.update(options)
        return bar(items, **options)

    compute = Network()
    arrays, facts = run(archive, names, store, compute, settings, watched)
    kept = 22 // PART * PART
    assert compute.images == 2 * (28 - kept)
    assert (seen["initial"], seen["total"]) == (kept, 28)
    assert same_bytes(arrays, whole[0])
    pd.testing.assert_frame_equal(facts, whole[1], check_exact=True)


def test_stored_features_need_no_network(archive, names, tmp_path):
    store = FeatureStore(tmp_path, "key")
    first, _ = run(archive, names, store, Network())
    images = extraction.find_images(names, archive)
    again, _ = extraction.extract(
        images, archive, pytest.fail, store, pytest.fail, SETTINGS, WIDTHS
    )
    assert same_bytes(again, first)


CHANGES = {
    "added products": (range(20), range(30)),
    "removed products": (range(30), range(11)),
    "products in between": ([*range(0, 30, 3)], range(30)),
    "another order": (range(30), reversed(range(30))),
    "other products": (range(15), range(9, 30)),
    "one product more": (range(29), range(30)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_only_new_images_go_through_the_network(archive, names, tmp_path, change):
    """The features are the bytes that a run without a store gives."""
    before, after = ([names[number] for number in numbers] for numbers in CHANGES[change])
    store = FeatureStore(tmp_path, "key")
    run(archive, before, store, Network())
    compute = Network()
    arrays, facts = run(archive, after, store, compute)
    expected, expected_facts = run(archive, after, None, Network())
    known, wanted = (
        set(extraction.find_images(chosen, archive).digests) for chosen in (before, after)
    )
    assert compute.images == len(wanted - known)
    assert same_bytes(arrays, expected)
    pd.testing.assert_frame_equal(facts, expected_facts, check_exact=True)


def test_batches_are_filled_to_one_size(archive, names):
    """A single image has the features that it has among others."""
    compute = Network()
    alone, _ = run(archive, names[3:4], None, compute)
    together, _ = run(archive, names, None, Network())
    assert compute.sizes == [SETTINGS.batch_size]
    assert alone["average"].tobytes() == together["average"][3:4].tobytes()
    assert alone["grid"].tobytes() == together["grid"][:, 3:4].tobytes()


def test_text_only_products_need_no_network(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w"):
        pass
    with storage.ImageArchive(tmp_path / "images.zip") as archive:
        images = extraction.find_images(["a.jpg", "b.jpg"], archive)
        store = FeatureStore(tmp_path, "key")
        found = extraction.extract(
            images, archive, pytest.fail, store, pytest.fail, SETTINGS, WIDTHS
        )
    arrays, pooled, table = extraction.to_products(images, np.array([3, 8]), *found, ["product"])
    assert arrays["features"].shape == (2, 3)
    assert pooled["grid"].shape == (1, 2, 12)
    assert not pooled["grid"].any()
    assert arrays["features"].dtype == np.float32
    assert not arrays["features"].any()
    assert arrays["present"].tolist() == [False, False]
    assert table["has_image"].tolist() == [False, False]
    assert table.dtypes.drop(["id", "has_image"]).tolist() == [np.int64] * 6 + [np.float64] * 4


def test_products_with_equal_images_get_equal_rows_and_others_zeros(archive, names, tmp_path):
    images = extraction.find_images(names, archive)
    views = ["product", "dark"]
    settings = replace(SETTINGS, views=views)
    found = run(archive, names, FeatureStore(tmp_path, "key"), colours, settings)
    arrays, pooled, table = extraction.to_products(images, np.arange(100, 130), *found, views)
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


def test_a_broken_image_is_named(archive, names, tmp_path):
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(path, "w") as members:
        for number, name in enumerate(names):
            members.writestr(name, jpeg(number)[: 200 if number == 20 else None])
    store = FeatureStore(tmp_path, "key")
    with (
        storage.ImageArchive(path) as broken,
        pytest.raises(
            preprocessing.ImageError, match=r"image_train/image_20_product_20\.jpg.*decode"
        ),
    ):
        run(broken, names, store, colours)
    with storage.ImageArchive(path) as broken:
        digests = [broken.digest(name) for name in names]
    stored = np.concatenate([rows for rows, _ in store.load(digests)])
    assert sorted(stored) == list(range(20 // PART * PART))


def test_two_batches_are_decoded_while_the_network_computes(archive, names, tmp_path, monkeypatch):
    """When a batch is computed, the next two have been read from the archive."""
    read = []
    monkeypatch.setattr(
        type(archive), "read", lambda self, name: read.append(name) or jpeg(len(read))
    )
    images = extraction.ImageSet(tuple(names), tuple(names), np.arange(len(names)))
    prefetched = []

    def compute(pixels):
        done = sum(len(batch) for batch in computed)
        computed.append(pixels)
        prefetched.append(len(read) - done - len(pixels))
        return colours(pixels)

    computed: list[np.ndarray] = []
    store = FeatureStore(tmp_path, "key")
    extraction.extract(images, archive, lambda: compute, store, bar, SETTINGS, WIDTHS)
    assert set(prefetched[:-2]) == {2 * SETTINGS.batch_size}
    assert prefetched[-1] == 0


def test_fingerprint_changes_with_everything_a_feature_depends_on():
    known = [
        extraction.fingerprint(SETTINGS, "weights"),
        extraction.fingerprint(SETTINGS, "other"),
        *(
            extraction.fingerprint(replace(SETTINGS, **change), "weights")
            for change in (
                {"backbone": "resnet50"},
                {"precision": "int8"},
                {"views": ["whole"]},
                {"views": ["product", "flip"]},
                {"size": 32},
                {"crop_borders": False},
                {"border_tolerance": 0},
                {"batch_size": 4},
            )
        ),
    ]
    assert len(set(known)) == len(known)
    assert extraction.fingerprint(SETTINGS, "weights") == known[0]


EDITS = {
    "docstring": ('"""Decode image files', '"""Read image files', True),
    "comment": ("    rows = np.flat", "    # Rows of the product.\n    rows = np.flat", True),
    "message": ("cannot decode", "failed to decode", True),
    "constant": ("ROTATION = 10.0", "ROTATION = 12.0", False),
    "code": ("255 - tolerance", "254 - tolerance", False),
}


@pytest.mark.parametrize("edit", EDITS)
def test_only_an_edit_that_can_change_features_costs_a_pass(archive, names, tmp_path, edit):
    """A module is edited in a copy of the library between two runs of the stage."""
    shutil.copytree(Path(extraction.__file__).parents[1], tmp_path / "rakuten")
    module = tmp_path / "rakuten/image/preprocessing.py"
    code = "from rakuten.image import extraction; "
    code += f"print(extraction.fingerprint(extraction.Settings(**{SECTION}), 'weights'))"

    def run_stage() -> int:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        compute = Network()
        run(archive, names, FeatureStore(tmp_path / "store", done.stdout.strip()), compute)
        return compute.images

    assert run_stage() == 28
    assert run_stage() == 0
    old, new, harmless = EDITS[edit]
    assert old in module.read_text()
    module.write_text(module.read_text().replace(old, new))
    assert run_stage() == (0 if harmless else 28)


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
