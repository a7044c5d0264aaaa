"""The synthetic catalogue: formats, equal bytes, and a difficulty similar to the real one."""

import hashlib
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.naive_bayes import ComplementNB

from rakuten.categories import CODES, GROUPS, SIZES
from rakuten.sample import catalogue as sample
from rakuten.sample import programs
from rakuten.sample import text as sample_text
from rakuten.sample.canvas import BLACK, WHITE, Canvas
from rakuten.sample.command import main
from rakuten.sample.dataset import SAMPLE, is_sample
from rakuten.sample.images import compose, light
from rakuten.sample.random_stream import RandomStream

SMALL = {"products": 54, "test_products": 5, "seed": 3, "floor": 1, "quality": 40}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "out"
    sample.write_sample(out, **SMALL)
    return out


@pytest.fixture(scope="module")
def texts():
    """Titles, descriptions and labels of 1,350 products, without images."""
    rows = [
        (recipe.code, *sample.make(recipe, seed=11, quality=None)[:2])
        for recipe in sample.plan(1350, 20, seed=11)
    ]
    return pd.DataFrame(rows, columns=["code", "designation", "description"])


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_class_sizes_keep_floor_and_proportion():
    sizes = sample.class_sizes(1350, 20)
    assert list(sizes) == list(CODES)
    assert sum(sizes.values()) == 1350
    assert [code for code, size in sizes.items() if size == 20] == [
        60, 1180, 1301, 1940, 2220, 2905,
    ]  # fmt: skip
    assert sizes[2583] / sizes[1560] == pytest.approx(SIZES[2583] / SIZES[1560], rel=0.03)


def test_class_sizes_of_all_products_are_the_real_ones():
    assert sample.class_sizes(84_916, 20) == SIZES


@pytest.mark.parametrize(("products", "floor"), [(539, 20), (26, 1), (100, -1)])
def test_class_sizes_refuse_too_few_products(products, floor):
    with pytest.raises(ValueError, match=f"{products} products .* floor of {floor}: expected"):
        sample.class_sizes(products, floor)


def test_files_have_the_challenge_formats(small):
    assert sorted(path.name for path in small.iterdir()) == [
        "X_test_update.csv", "X_train_update.csv", "Y_train_CVw08PX.csv", "dataset.json",
        "images.zip",
    ]  # fmt: skip
    x = pd.read_csv(small / "X_train_update.csv", index_col=0)
    y = pd.read_csv(small / "Y_train_CVw08PX.csv", index_col=0)
    x_test = pd.read_csv(small / "X_test_update.csv", index_col=0)
    assert list(x) == list(x_test) == ["designation", "description", "productid", "imageid"]
    assert list(y) == ["prdtypecode"]
    assert (small / "X_train_update.csv").read_text("utf-8").startswith(",designation,")
    assert list(x.index) == list(y.index) == list(range(54))
    assert list(x_test.index) == list(range(54, 59))
    assert y.prdtypecode.value_counts().to_dict() == sample.class_sizes(54, 1)
    assert x.designation.notna().all()
    with zipfile.ZipFile(small / "images.zip") as archive:
        expected = [
            f"images/image_{part}/image_{row.imageid}_product_{row.productid}.jpg"
            for part, frame in (("train", x), ("test", x_test))
            for row in frame.itertuples()
        ]
        assert archive.namelist() == expected
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
        for name in expected[::9]:
            image = Image.open(io.BytesIO(archive.read(name)))
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (500, 500))


def test_same_arguments_same_bytes_in_several_processes(small, tmp_path):
    sample.write_sample(tmp_path / "again", **SMALL, processes=2)
    assert digests(tmp_path / "again") == digests(small)


def test_other_seed_other_products():
    one, other = (sample.plan(540, 20, seed) for seed in (1, 2))
    assert [recipe.code for recipe in one] != [recipe.code for recipe in other]
    recipe = one[0]
    assert sample.make(recipe, 1, 40) != sample.make(recipe, 2, 40)


def test_files_are_never_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"is not empty: .* name a new folder"):
        sample.write_sample(tmp_path, products=27, floor=1, quality=None)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    sample.write_sample(out, products=27, floor=1, quality=None)
    assert sorted(path.name for path in out.iterdir()) == [
        "X_train_update.csv", "Y_train_CVw08PX.csv", "dataset.json",
    ]  # fmt: skip


def test_a_failure_leaves_no_files(tmp_path, monkeypatch):
    drawn = []

    def break_down(rng, code, quality):
        drawn.append(code)
        if len(drawn) == 20:
            raise OSError("disk full")
        return b""

    monkeypatch.setattr(sample, "draw_image", break_down)
    with pytest.raises(OSError, match="disk full"):
        sample.write_sample(tmp_path / "out", products=27, floor=1)
    assert list(tmp_path.iterdir()) == []


def test_command_line_reports_wrong_arguments(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "out"), "--products", "100"])
    assert "100 products for 27 categories and a floor of 20" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "out"), "--quality", "0"])
    assert "JPEG quality 0: expected 1 to 95" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_command_line_names_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "folder" / "out"
    with pytest.raises(SystemExit, match="2"):
        main([str(out), "--products", "27", "--floor", "1", "--no-images", "--processes", "1"])
    assert f"{out} cannot be written: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (SAMPLE, True),
        (f"{SAMPLE} (5 % of the products, by import --share 0.05)", True),
        ("imported data", False),
        (f"{SAMPLE}s", False),
        (f"not {SAMPLE}", False),
    ],
)
def test_the_sample_and_its_shares_are_recognized_by_name(name, expected):
    assert is_sample(name) is expected


def test_command_line_writes(tmp_path, capsys):
    out = tmp_path / "out"
    main([str(out), "--products", "27", "--floor", "1", "--no-images", "--processes", "1"])
    assert len(pd.read_csv(out / "Y_train_CVw08PX.csv")) == 27
    assert capsys.readouterr().out == (
        f"wrote 27 products to {out}; next: python -m rakuten import --allow-missing-images {out}\n"
    )


def test_images_of_the_first_products_only(tmp_path, small):
    out = tmp_path / "some"
    main([str(out), "--products", "54", "--floor", "1", "--images", "10", "--processes", "1"])
    with zipfile.ZipFile(out / "images.zip") as archive:
        assert len(archive.namelist()) == 10
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none"), "--images", "-1"])


def test_product_numbers_are_unique():
    numbers = np.array([sample.product_numbers(index) for index in range(100_000)])
    assert len(np.unique(numbers[:, 0])) == len(np.unique(numbers[:, 1])) == 100_000
    assert numbers.min() > 0
    assert numbers.max() < 2**33


def test_label_noise_stays_among_confusable_categories():
    recipes = sample.plan(8000, 20, seed=5)
    wrong = [recipe for recipe in recipes if recipe.content != recipe.code]
    assert 0.02 < len(wrong) / len(recipes) < 0.04
    assert all(recipe.content in sample_text.confusable(recipe.code) for recipe in wrong)


def test_duplicates_share_text_or_image():
    recipes = sample.plan(1350, 20, seed=5)
    texts = [recipe for recipe in recipes if recipe.text_of != recipe.index]
    images = [recipe for recipe in recipes if recipe.image_of != recipe.index]
    assert 8 <= len(texts) <= 50
    assert 8 <= len(images) <= 50
    duplicate = texts[0]
    original = recipes[duplicate.text_of]
    assert sample.make(duplicate, 5, None) == sample.make(original, 5, None)
    duplicate = images[0]
    original = recipes[duplicate.image_of]
    assert sample.make(duplicate, 5, 30)[2] == sample.make(original, 5, 30)[2]
    assert original.image_of == original.index


def test_groups_are_confused_with_themselves_first():
    for group in GROUPS.values():
        for code in group:
            assert sample_text.confusable(code)[0] in group


def test_every_slot_of_every_template_can_be_filled():
    shared, categories, _ = sample_text.word_tables()
    assert list(categories) == list(CODES)
    for own in categories.values():
        known = {**shared, **own, **sample_text.MAKERS}
        templates = [t for table in (own, shared) for v in table.values() if isinstance(v, list)
                     for t in v]  # fmt: skip
        slots = {slot for template in templates for slot in re.findall(r"\{(\w+)\}", template)}
        assert not slots - set(known)
        assert not any(
            re.search(r"[{}\[\]]", re.sub(r"\{\w+\}|\[[^\[\]]*\]", "", t)) for t in templates
        )


def test_titles_look_like_the_real_ones(texts):
    lengths = texts.designation.str.len()
    assert lengths.min() >= 11
    assert lengths.max() <= 250
    assert 55 <= lengths.median() <= 72
    assert not texts.designation.str.contains(r"[{}<>]").any()


def test_descriptions_look_like_the_real_ones(texts):
    missing = texts.description.eq("")
    assert missing.mean() == pytest.approx(0.35, abs=0.04)
    by_code = missing.groupby(texts.code).mean()
    assert by_code[[10, 1160, 2280, 2403, 2462]].min() > 0.7
    assert by_code[[1560, 2583, 2905]].max() < 0.25
    described = texts.description[~missing]
    assert described.str.contains(r"<(?:p|br /|ul|b)>").mean() > 0.3
    assert described.str.contains(r"&(?:eacute|#39|nbsp);").mean() > 0.4
    assert described.str.len().max() > 3000


def test_languages_are_mixed(texts):
    english = texts.designation.str.contains(r"\b(?:for|with|the|of|and)\b", case=False).mean()
    german = texts.designation.str.contains(r"\b(?:für|und|mit|der|das)\b", case=False).mean()
    assert 0.08 < english < 0.17
    assert 0.02 < german < 0.07


def test_words_predict_the_category_but_not_always(texts):
    """A quick classifier is as accurate as on real text: far above chance, far below certainty."""
    words = (texts.designation + " " + texts.description).str.replace(r"<[^>]+>", " ", regex=True)
    train = np.arange(len(texts)) % 5 != 0
    vectorizer = TfidfVectorizer(token_pattern=r"[^\W_]{3,}", sublinear_tf=True)
    features = vectorizer.fit_transform(words[train])
    assert len(vectorizer.vocabulary_) > 5035
    model = ComplementNB(alpha=0.1).fit(features, texts.code[train])
    accuracy = model.score(vectorizer.transform(words[~train]), texts.code[~train])
    assert 0.6 < accuracy < 0.9


def test_every_category_has_shapes_and_a_hue():
    assert set(programs.PROGRAMS) == set(programs.HUES) == set(CODES)


def test_borders_vary():
    """Products lie on white borders of many widths; some images have none."""

    shares = []
    for index in range(60):
        image = compose(RandomStream(9, index), CODES[index % 27])
        dark = np.asarray(image.convert("L")) < 240
        rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
        assert rows.size
        shares.append(max(np.ptp(rows), np.ptp(columns)) / 499)
    assert min(shares) < 0.5
    assert max(shares) > 0.97
    assert 0.55 < np.mean(shares) < 0.85


def test_nothing_is_drawn_outside_the_extent():
    """Images are composed of the extent only, so a pixel outside it would be lost."""
    extents = []
    for code in CODES:
        for shape, _ in programs.PROGRAMS[code]:
            rng = RandomStream(3, code, len(extents))
            canvas = Canvas(rng, 200, WHITE, [(200, 30, 40), (20, 90, 160), (240, 240, 180), BLACK])
            turn, size = rng.between(-90, 90), rng.between(0.5, 0.8)
            canvas.pose(turn=turn, width=-size, height=size, shear=0.05, shift=(0.03, -0.03))
            shape(canvas)
            extents.append(canvas.extent())
            whole = canvas.finish((0, 0, 200, 200))
            part = canvas.finish(extents[-1])
            assert part.tobytes() == whole.crop(extents[-1]).tobytes()
            whole.paste(WHITE, extents[-1])
            assert whole.getcolors() == [(200 * 200, WHITE)]
    assert sum(extent != (0, 0, 200, 200) for extent in extents) > 20


def test_the_light_of_a_box_is_part_of_the_light_of_the_frame():
    box = (10, 25, 90, 70)
    for seed in range(40):  # all ways to turn a tile
        whole = light(RandomStream(seed), 100, (0, 0, 100, 100))
        assert light(RandomStream(seed), 100, box).tobytes() == whole.crop(box).tobytes()


def test_random_streams_are_reproducible_and_within_bounds():
    one, other = RandomStream(1, 2), RandomStream(1, 2)
    assert [one.unit() for _ in range(1200)] == [other.unit() for _ in range(1200)]
    assert RandomStream(1, 3).unit() != RandomStream(1, 2).unit()
    rng = RandomStream(4)
    assert {rng.integer(1, 3) for _ in range(100)} == {1, 2, 3}
    assert all(2 <= rng.between(2, 5) < 5 for _ in range(100))
    assert {rng.pick("ab") for _ in range(50)} == {"a", "b"}
    assert abs(np.std([rng.spread(1.0) for _ in range(4000)]) - 1) < 0.05
