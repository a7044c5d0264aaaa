import functools
import io
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tqdm import tqdm

from rakuten import storage
from rakuten.feature_store import FeatureStore
from rakuten.image import extraction, preprocessing

SECTION = {
    "backbone": "vgg16",
    "precision": "float32",
    "size": 16,
    "crop_borders": True,
    "border_tolerance": 16,
    "batch_size": 2,
}
PREPARATION = extraction.Settings(**SECTION).preparation
BATCH = 2
PART = extraction.PART_BATCHES * BATCH


def jpeg(seed: int) -> bytes:
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[8:24, 8:32] = np.random.default_rng(seed).integers(0, 200, 3)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=95)
    return content.getvalue()


class Colours:
    """A network of two kinds of features: the mean colour, and the mean of all channels.

    It counts images and is killed after some batches.
    """

    dtype = np.float32

    def __init__(self, batches: float = np.inf):
        self.widths = {"average": 3, "middle": 1}
        self.left, self.images, self.sizes = batches, 0, []

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.images += len(pixels)
        self.sizes.append(len(pixels))
        return {
            "average": pixels.mean(axis=(1, 2), dtype=np.float64).astype(np.float32),
            "middle": pixels.mean(axis=(1, 2, 3), dtype=np.float64)[:, None].astype(np.float32),
        }


class Unused(Colours):
    """A network that must not be called."""

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        pytest.fail("the network was called")


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


def run(archive, names, store, network, preparation=PREPARATION, progress=bar):
    images = extraction.find_images(names, archive)
    return extraction.extract(
        images,
        archive,
        network,
        store,
        preparation=preparation,
        batch_size=BATCH,
        progress=progress,
    )


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
    network = Colours()
    arrays = run(archive, names, FeatureStore(tmp_path, "key"), network)
    images = extraction.find_images(names, archive)
    fields = len(preprocessing.Facts._fields)
    assert {kind: array.shape for kind, array in arrays.items()} == {
        "average": (28, 1, 3),
        "middle": (28, 1, 1),
        "facts": (28, 1, fields),
    }
    assert [array.dtype for array in arrays.values()] == [np.float32, np.float32, np.float64]
    for row, name in enumerate(images.names):
        prepared = preprocessing.prepare(archive.read(name), PREPARATION)
        for kind, expected in Colours()(prepared.pixels).items():
            np.testing.assert_array_equal(arrays[kind][row], expected)
        np.testing.assert_array_equal(arrays["facts"][row], prepared.facts)
    assert network.images == 28
    assert network.sizes == [2] * 14
    assert same_bytes(run(archive, names, None, Colours()), arrays)


def test_every_view_has_its_own_features_and_facts(archive, names, tmp_path):
    views = ["dark", "original", "flip"]
    network = Colours()
    store = FeatureStore(tmp_path, "several")
    arrays = run(archive, names, store, network, replace(PREPARATION, views=views))
    assert network.images == 3 * 28
    for number, view in enumerate(views):
        alone = run(archive, names, None, Colours(), replace(PREPARATION, views=[view]))
        for kind, array in alone.items():
            np.testing.assert_array_equal(arrays[kind][:, number], array[:, 0])
    assert (arrays["facts"][:, 0] != arrays["facts"][:, 1]).any()
    assert (arrays["facts"][:, 2] != arrays["facts"][:, 1]).any()


def test_the_features_of_the_crops_of_a_view_are_averaged(archive, names):
    views = ["original", "flip"]
    both = replace(PREPARATION, views=views, crops=["whole", "product"])
    network = Colours()
    arrays = run(archive, names, None, network, both)
    assert network.images == 2 * 2 * 28
    product, whole = (
        run(archive, names, None, Colours(), replace(both, crops=[crop]))
        for crop in ("product", "whole")
    )
    for kind in ("average", "middle"):
        assert (product[kind] != whole[kind]).any()
        expected = (product[kind] + whole[kind]) / 2
        np.testing.assert_allclose(arrays[kind], expected, rtol=1e-6)
    np.testing.assert_array_equal(arrays["facts"], whole["facts"])


def test_an_image_is_read_and_decoded_once_for_all_views(archive, names, tmp_path, monkeypatch):
    decoded = []
    decode = preprocessing.decode
    monkeypatch.setattr(
        preprocessing, "decode", lambda content: decoded.append(1) or decode(content)
    )
    several = replace(PREPARATION, views=list(preprocessing.VIEWS))
    run(archive, names, FeatureStore(tmp_path, "key"), Colours(), several)
    assert len(decoded) == 28


def test_permuting_products_permutes_features(archive, names):
    order = np.random.default_rng(0).permutation(len(names))
    results = []
    for rows in (np.arange(len(names)), order):
        chosen = [names[row] for row in rows]
        images = extraction.find_images(chosen, archive)
        found = run(archive, chosen, None, Colours())
        results.append(extraction.to_products(images, rows, found))
    products, permuted = results
    np.testing.assert_array_equal(permuted["present"], products["present"][order])
    for kind in ("average", "middle", "facts"):
        np.testing.assert_array_equal(permuted[kind], products[kind][:, order])


def test_a_run_killed_at_80_percent_continues_with_the_same_bytes(archive, names, tmp_path):
    preparation = replace(PREPARATION, views=["original", "flip"])
    whole = run(archive, names, FeatureStore(tmp_path, "whole"), Colours(), preparation)
    store = FeatureStore(tmp_path, "killed")
    with pytest.raises(KeyboardInterrupt):
        run(archive, names, store, Colours(batches=22), preparation)  # 22 of 28 images, 2 views
    seen = {}

    def watched(items, **options):
        seen.update(options)
        return bar(items, **options)

    network = Colours()
    arrays = run(archive, names, store, network, preparation, watched)
    kept = 22 // PART * PART
    assert network.images == 2 * (28 - kept)
    assert (seen["initial"], seen["total"]) == (kept, 28)
    assert same_bytes(arrays, whole)


def test_stored_features_need_no_pass(archive, names, tmp_path):
    store = FeatureStore(tmp_path, "key")
    first = run(archive, names, store, Colours())
    assert same_bytes(run(archive, names, store, Unused(), progress=pytest.fail), first)


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
    run(archive, before, store, Colours())
    network = Colours()
    arrays = run(archive, after, store, network)
    known, wanted = (
        set(extraction.find_images(chosen, archive).digests) for chosen in (before, after)
    )
    assert network.images == len(wanted - known)
    assert same_bytes(arrays, run(archive, after, None, Colours()))


def test_text_only_products_need_no_pass(tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w"):
        pass
    with storage.ImageArchive(tmp_path / "images.zip") as archive:
        images = extraction.find_images(["a.jpg", "b.jpg"], archive)
        store = FeatureStore(tmp_path, "key")
        options = {"preparation": PREPARATION, "batch_size": BATCH, "progress": pytest.fail}
        found = extraction.extract(images, archive, Unused(), store, **options)
    products = extraction.to_products(images, np.array([3, 8]), found)
    assert products["average"].shape == (1, 2, 3)
    assert products["average"].dtype == np.float32
    assert not products["average"].any()
    assert products["present"].tolist() == [False, False]
    table = extraction.facts_table(products)
    assert table["has_image"].tolist() == [False, False]
    assert table.dtypes.drop(["id", "has_image"]).tolist() == [np.int64] * 6 + [np.float64] * 4


def test_products_with_equal_images_get_equal_rows_and_others_zeros(archive, names):
    images = extraction.find_images(names, archive)
    found = run(archive, names, None, Colours(), replace(PREPARATION, views=["original", "dark"]))
    products = extraction.to_products(images, np.arange(100, 130), found)
    assert list(products) == ["ids", "present", "average", "middle", "facts"]
    assert products["average"].shape == (2, 30, 3)
    np.testing.assert_array_equal(products["average"][:, 5], products["average"][:, 6])
    assert (products["average"][0, 5] != products["average"][1, 5]).any()
    for kind in ("average", "middle", "facts"):
        assert np.flatnonzero(~products[kind].any(axis=(0, 2))).tolist() == [12]
    assert np.flatnonzero(~products["present"]).tolist() == [12]


def test_the_table_of_facts_describes_the_first_view(archive, names):
    images = extraction.find_images(names, archive)
    found = run(archive, names, None, Colours(), replace(PREPARATION, views=["original", "dark"]))
    products = extraction.to_products(images, np.arange(100, 130), found)
    table = extraction.facts_table(products)
    assert table.columns.tolist() == ["id", "has_image", *preprocessing.Facts._fields]
    assert table["id"].tolist() == list(range(100, 130))
    assert table.loc[12, ["width", "left", "bottom"]].tolist() == [0, 0, 0]
    assert table.loc[12, ["border_share", "mean_red"]].isna().all()
    assert table.loc[13, "width"] == 40
    assert table["width"].dtype == np.int64
    present = table["has_image"].to_numpy()
    facts = table.loc[present, list(preprocessing.Facts._fields)].to_numpy()
    np.testing.assert_array_equal(facts, products["facts"][0][present])


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
        run(broken, names, store, Colours())
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

    class Watched(Colours):
        def __call__(self, pixels):
            prefetched.append(len(read) - self.images - len(pixels))
            return super().__call__(pixels)

    store = FeatureStore(tmp_path, "key")
    extraction.extract(
        images, archive, Watched(), store, preparation=PREPARATION, batch_size=BATCH, progress=bar
    )
    assert set(prefetched[:-2]) == {2 * BATCH}
    assert prefetched[-1] == 0


def test_fingerprint_changes_with_everything_a_feature_depends_on():
    changes = (
        {"resize": "bicubic"},
        {"views": ["dark"]},
        {"views": ["original", "flip"]},
        {"size": 32},
        {"crops": ["whole"]},
        {"crops": ["product", "whole"]},
        {"border_tolerance": 0},
    )
    known = [
        extraction.fingerprint(PREPARATION, "weights"),
        extraction.fingerprint(PREPARATION, "other"),
        *(extraction.fingerprint(replace(PREPARATION, **one), "weights") for one in changes),
    ]
    assert len(set(known)) == len(known)
    again = replace(PREPARATION, views=list(PREPARATION.views))
    assert extraction.fingerprint(again, "weights") == known[0]
    orders = (
        replace(PREPARATION, crops=crops) for crops in (("product", "whole"), ["whole", "product"])
    )
    assert len({extraction.fingerprint(one, "weights") for one in orders}) == 1


EDITS = {
    "docstring": ('"""Decode image files', '"""Read image files', True),
    "comment": ("    rows = np.flat", "    # Rows of the product.\n    rows = np.flat", True),
    "message": ("cannot decode", "failed to decode", True),
    "constant": ("ROTATION = 10.0", "ROTATION = 12.0", False),
    "code": ("255 - tolerance", "254 - tolerance", False),
}


@pytest.fixture(scope="module")
def fingerprint_of(tmp_path_factory):
    """Compute the fingerprint in a copy of the library in which a text is replaced."""
    folder = tmp_path_factory.mktemp("library")
    shutil.copytree(Path(extraction.__file__).parents[1], folder / "rakuten")
    module = folder / "rakuten/image/preprocessing.py"
    original = module.read_text()
    code = "from rakuten.image import extraction; "
    code += f"settings = extraction.Settings(**{SECTION}); "
    code += "print(extraction.fingerprint(settings.preparation, 'weights'))"
    command = [sys.executable, "-B", "-c", code]  # -B: edits of equal size would share a .pyc file

    @functools.cache
    def compute(old: str, new: str) -> str:
        assert old in original
        module.write_text(original.replace(old, new))
        return subprocess.check_output(command, cwd=folder, text=True).strip()

    return compute


@pytest.mark.parametrize("edit", EDITS)
def test_only_an_edit_that_can_change_features_costs_a_pass(
    archive, names, tmp_path, fingerprint_of, edit
):
    """A module is edited in a copy of the library between two runs of the stage."""

    def run_stage(key: str) -> int:
        network = Colours()
        run(archive, names, FeatureStore(tmp_path / "store", key), network)
        return network.images

    old, new, harmless = EDITS[edit]
    assert run_stage(fingerprint_of("", "")) == 28
    assert run_stage(fingerprint_of("", "")) == 0
    assert run_stage(fingerprint_of(old, new)) == (0 if harmless else 28)


def test_a_misspelt_setting_is_named():
    section = {"crop_border" if key == "crop_borders" else key: SECTION[key] for key in SECTION}
    with pytest.raises(TypeError, match="crop_border"):
        extraction.Settings(**section)


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="is 'vgg19', expected one of vgg16, resnet50: correct"):
        extraction.Settings(**SECTION | {"backbone": "vgg19"})
