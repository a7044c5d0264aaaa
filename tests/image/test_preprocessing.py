import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rakuten.image import preprocessing
from rakuten.image.preprocessing import Facts, Preparation

OPTIONS = {"crops": ["product"], "border_tolerance": 16, "size": 64, "resize": "bilinear"}


def encode(pixels: np.ndarray, form: str = "PNG", **options) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, form, **options)
    return content.getvalue()


def encode_image(image: Image.Image, form: str = "PNG", **options) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def prepare(content: bytes, view: str = "original", **options) -> tuple[np.ndarray, Facts]:
    """One view of an image."""
    prepared = preprocessing.prepare(content, Preparation(views=[view], **OPTIONS | options))
    return prepared.pixels[0], Facts(*prepared.facts[0].tolist())


def framed(box: tuple[int, int, int, int], colour=(200, 30, 60), size=(500, 500)) -> np.ndarray:
    """A product of one colour on pure white."""
    width, height = size
    pixels = np.full((height, width, 3), 255, np.uint8)
    left, top, right, bottom = box
    pixels[top:bottom, left:right] = colour
    return pixels


@pytest.mark.parametrize(
    "box", [(72, 72, 428, 428), (0, 10, 500, 11), (499, 499, 500, 500), (0, 0, 500, 500)]
)
def test_border_box_is_exact_on_clean_pixels(box):
    assert preprocessing.border_box(framed(box), tolerance=16) == box


def test_border_box_of_a_frame_that_is_not_square():
    pixels = framed((3, 20, 40, 90), size=(50, 120))
    assert preprocessing.border_box(pixels, tolerance=16) == (3, 20, 40, 90)


def test_an_all_white_image_is_not_cropped():
    assert preprocessing.border_box(np.full((40, 30, 3), 250, np.uint8), tolerance=16) == (
        0,
        0,
        30,
        40,
    )


def test_tolerance_decides_what_is_white_by_the_darkest_channel():
    pixels = np.full((10, 10, 3), 255, np.uint8)
    pixels[4, 5] = (255, 239, 255)
    pixels[7, 8] = (255, 255, 238)
    assert preprocessing.border_box(pixels, tolerance=16) == (8, 7, 9, 8)
    assert preprocessing.border_box(pixels, tolerance=15) == (5, 4, 9, 8)


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_jpeg_noise_moves_the_box_by_one_block_at_most(quality):
    """Noise stays within the blocks of 16 pixels (8, halved colour) that the product touches."""
    product = framed((72, 72, 428, 428))
    generator = np.random.default_rng(0)
    product[72:428, 72:428] = generator.integers(0, 200, (356, 356, 3))
    pixels = preprocessing.decode(encode(product, "JPEG", quality=quality))
    assert pixels[56:72].min() < 255  # there is noise outside the product
    box = preprocessing.border_box(pixels, tolerance=16)
    assert np.abs(np.subtract(box, (72, 72, 428, 428))).max() <= 16


def test_prepare_crops_resizes_and_returns_facts():
    pixels, facts = prepare(encode(framed((100, 50, 300, 450))))
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == (200, 30, 60)).all()
    assert facts[:6] == (500, 500, 100, 50, 300, 450)
    assert facts.border_share == pytest.approx(1 - 200 * 400 / 500**2)
    assert facts[7:] == (200.0, 30.0, 60.0)


def test_prepare_without_crop_keeps_the_border_and_the_facts():
    content = encode(framed((100, 50, 300, 450)))
    pixels, facts = prepare(content, crops=["whole"])
    assert (pixels[0] == 255).all()
    assert (pixels[32, 26] == (200, 30, 60)).all()
    assert facts == prepare(content)[1]


def test_mean_colour_is_over_the_box():
    pixels = framed((10, 10, 20, 20), colour=(0, 0, 0))
    pixels[10:15, 10:20] = (255, 100, 10)
    facts = prepare(encode(pixels))[1]
    assert facts[7:] == (127.5, 50.0, 5.0)


@pytest.fixture(scope="module")
def photo() -> bytes:
    """A product of random blocks of 10 pixels at (100, 50) to (300, 450) of a white frame."""
    pixels = framed((100, 50, 300, 450))
    blocks = np.random.default_rng(0).integers(0, 200, (40, 20, 3), dtype=np.uint8)
    pixels[50:450, 100:300] = blocks.repeat(10, axis=0).repeat(10, axis=1)
    return encode(pixels)


def test_product_is_the_cropped_image_resized(photo):
    product = preprocessing.decode(photo)[50:450, 100:300]
    expected = Image.fromarray(product).resize((64, 64), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(prepare(photo)[0], np.asarray(expected))


def test_flip_is_the_mirrored_product(photo):
    product, flip = (prepare(photo, view)[0].astype(int) for view in ("original", "flip"))
    assert np.abs(flip - product[:, ::-1]).max() <= 1
    assert np.abs(flip - product).max() > 50


def test_crops_come_in_one_order_view_by_view(photo):
    views = ["original", "flip"]
    whole, product = (
        preprocessing.prepare(photo, Preparation(views=views, **OPTIONS | {"crops": [crop]}))
        for crop in ("whole", "product")
    )
    assert (whole.pixels[0, :5] == 255).all()
    assert (product.pixels[0, 0] < 250).all()
    expected = [product.pixels[0], whole.pixels[0], product.pixels[1], whole.pixels[1]]
    for crops in (["product", "whole"], ["whole", "product"]):
        both = preprocessing.prepare(photo, Preparation(views=views, **OPTIONS | {"crops": crops}))
        np.testing.assert_array_equal(both.pixels, expected)
        np.testing.assert_array_equal(both.facts, whole.facts)


def test_a_part_of_the_product_is_covered_in_every_crop():
    """The lower left quarter of a product that fills a tenth of the image."""
    pixels = framed((100, 50, 200, 100), size=(200, 500))
    preparation = Preparation(views=["original"], **OPTIONS | {"crops": ["product", "whole"]})
    before = preprocessing.prepare(pixels, preparation)
    after = before.cover((0.5, 1.0), (0.0, 0.5))
    np.testing.assert_array_equal(after.facts, before.facts)
    product, whole = (before.pixels != after.pixels).any(axis=-1)
    assert not product.any(), "the mean of one colour"
    rows, columns = np.nonzero(whole)
    assert (rows.min(), rows.max() + 1) == (round(64 * 75 / 500), round(64 * 100 / 500))
    assert (columns.min(), columns.max() + 1) == (32, 48)
    colour = before.pixels[1].mean(axis=(0, 1)).round()
    np.testing.assert_array_equal(after.pixels[1, rows[0], columns[0]], colour)


@pytest.mark.parametrize("views", [["original", "flip"], ["flip", "rotate", "original"]])
def test_a_part_is_covered_in_the_first_view_and_other_views_are_left_out(photo, views):
    """They show it elsewhere: the right of a flipped image is the left of the original."""
    several, first = (
        preprocessing.prepare(
            photo, Preparation(views=names, **OPTIONS | {"crops": ["product", "whole"]})
        )
        for names in (views, views[:1])
    )
    for found, expected in zip(several.first_view(), first, strict=True):
        np.testing.assert_array_equal(found, expected)
    spans = (0.0, 0.25), (0.0, 0.5)
    for found, expected in zip(several.cover(*spans), first.cover(*spans), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("crops", [[], ["border"], ["whole", "whole"], "whole"])
def test_invalid_crops_are_refused(crops):
    message = r"crops .* expected a list of some of product, whole: correct encode_image\.crops in"
    with pytest.raises(preprocessing.ChoiceError, match=message):
        Preparation(views=["original"], **OPTIONS | {"crops": crops})


def test_grey_has_equal_channels_of_the_same_brightness(photo):
    grey, product = prepare(photo, "grey")[0], prepare(photo)[0]
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 0] == grey[..., 2]).all()
    np.testing.assert_allclose(grey[..., 0], product @ [0.299, 0.587, 0.114], atol=2)


def test_bright_and_dark_scale_the_channels():
    content = encode(framed((0, 0, 500, 500), colour=(200, 100, 50)))
    assert prepare(content, "bright")[0][5, 5].tolist() == [255, 140, 70]
    assert prepare(content, "dark")[0][5, 5].tolist() == [120, 60, 30]


def test_the_border_of_a_dark_image_is_not_white(photo):
    assert (prepare(photo, "dark")[0][0] == 153).all()


def test_blur_lowers_the_contrast_and_keeps_the_mean():
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[:, ::2] = 200
    content = encode(pixels)
    blurred, product = prepare(content, "blur", size=100)[0], prepare(content, size=100)[0]
    assert product.std() == 100
    assert blurred[10:-10, 10:-10].std() < 80
    assert blurred[10:-10, 10:-10].mean() == pytest.approx(100, abs=2)


def test_rotate_turns_ten_degrees_and_fills_with_white():
    """A horizontal bar in the middle rises to the right by the tangent of the angle."""
    content = encode(framed((0, 240, 500, 260), colour=(0, 0, 0)))
    turned = prepare(content, "rotate", crops=["whole"], size=500)[0][..., 0]
    assert (turned[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()
    left, right = (np.flatnonzero(turned[:, column] < 128).mean() for column in (100, 400))
    assert np.degrees(np.arctan2(left - right, 300)) == pytest.approx(10, abs=0.5)


def test_jpeg_shows_blocks_and_stays_near(photo):
    poor, product = (
        prepare(photo, "jpeg", crops=["whole"], size=500)[0],
        preprocessing.decode(photo),
    )
    difference = np.abs(poor.astype(int) - product)
    assert 2 < difference.mean() < 20
    assert difference.max() > 40


@pytest.mark.parametrize("view", preprocessing.VIEWS)
def test_every_view_is_deterministic(photo, view):
    first, facts = prepare(photo, view)
    again, same = prepare(photo, view)
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert facts == same
    if view != "original":
        assert (first != prepare(photo)[0]).any()


def test_the_facts_are_those_of_each_view():
    content = encode(framed((100, 50, 300, 450)))
    product, flip = (prepare(content, view)[1] for view in ("original", "flip"))
    assert flip[:6] == (500, 500, 200, 50, 400, 450)
    assert flip[6:] == product[6:]
    turned = prepare(content, "rotate")[1]
    angle = np.radians(10)
    sides = 200 * np.cos(angle) + 400 * np.sin(angle), 400 * np.cos(angle) + 200 * np.sin(angle)
    found = turned.right - turned.left, turned.bottom - turned.top
    assert found == pytest.approx(sides, abs=3)
    assert turned.width == pytest.approx(500 * (np.cos(angle) + np.sin(angle)), abs=2)
    dark = prepare(content, "dark")[1]  # the whole image: 68 % white, 32 % of the colour
    assert dark[:6] == (500, 500, 0, 0, 500, 500)
    assert dark.mean_red == pytest.approx(0.6 * (0.68 * 255 + 0.32 * 200), abs=0.5)


def test_several_views_are_those_of_each_in_order(photo):
    views = ["jpeg", "original", "rotate"]
    prepared = preprocessing.prepare(photo, Preparation(views=views, **OPTIONS))
    assert prepared.pixels.shape == (3, 64, 64, 3)
    for view, pixels, facts in zip(views, *prepared, strict=True):
        np.testing.assert_array_equal(pixels, prepare(photo, view)[0])
        assert Facts(*facts.tolist()) == prepare(photo, view)[1]


def test_the_filter_is_that_of_the_preparation(photo):
    original = Image.fromarray(preprocessing.decode(photo))
    for resize, expected in (("bilinear", 2), ("bicubic", 3)):
        found = prepare(photo, crops=["whole"], resize=resize)[0]
        np.testing.assert_array_equal(found, np.asarray(original.resize((64, 64), expected)))


@pytest.mark.parametrize(
    ("views", "message"),
    [
        (["original", "blurr"], "views has no 'blurr', expected a list of some of original, flip"),
        ([], "views is empty, expected a list of some of original, flip, blur"),
        ("original", "views is 'original', not a list, expected"),
        (None, "views is None, not a list, expected"),
        (["flip", "flip"], "views repeats a name: flip, flip, expected"),
    ],
)
def test_invalid_views_are_refused(views, message):
    with pytest.raises(preprocessing.ChoiceError, match=message):
        Preparation(views=views, **OPTIONS)


def test_views_need_no_tensorflow():
    code = "import sys, rakuten.image.preprocessing; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 90, (90, 90, 90)),
        ("1", 1, (255, 255, 255)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
        ("LA", (0, 51), (204, 204, 204)),
    ],
)
def test_decode_converts_modes_and_puts_alpha_on_white(mode, colour, expected):
    form = "JPEG" if mode == "CMYK" else "PNG"
    pixels = preprocessing.decode(encode_image(Image.new(mode, (16, 16), colour), form))
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.astype(int) - expected).max() <= 2


def test_decode_converts_palettes_with_and_without_transparency():
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 12, 34, 56])
    assert (preprocessing.decode(encode_image(palette)) == (12, 34, 56)).all()
    assert (preprocessing.decode(encode_image(palette, transparency=1)) == 255).all()
    assert (preprocessing.decode(encode_image(palette, "GIF")) == (12, 34, 56)).all()


def test_decode_keeps_the_upper_half_of_16_bits():
    deep = encode(np.full((4, 4), 0x8001, np.uint16))
    assert (preprocessing.decode(deep) == 0x80).all()


def test_decode_turns_images_upright():
    """Orientation 6: the stored first row is the right edge."""
    stored = np.zeros((20, 40, 3), np.uint8)
    stored[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = preprocessing.decode(encode(stored, exif=exif))
    assert pixels.shape == (40, 20, 3)
    assert (pixels[:, -1] == 255).all()
    assert (pixels[:, :-1] == 0).all()


@pytest.mark.parametrize("form", preprocessing.FORMATS)
def test_truncated_images_are_refused(form):
    whole = encode(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), form)
    preprocessing.decode(whole)
    with pytest.raises(
        preprocessing.ImageError, match=r"cannot decode [0-9,]+ bytes .*: truncated or damaged"
    ):
        preprocessing.decode(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes that start with nothing: not an image"),
        (b"<html>404</html>", "16 bytes that start with 3c 68 74 6d 6c 3e 34 30: not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "truncated or damaged"),
    ],
)
def test_other_bytes_are_refused_with_a_description(content, message):
    with pytest.raises(preprocessing.ImageError, match=message):
        preprocessing.decode(content)


@pytest.mark.parametrize("side", [8_000, 60_000])
def test_decompression_bombs_are_refused_before_they_are_decoded(side):
    """A BMP header of 54 bytes may claim any size."""
    claim = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    bomb = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + claim
    with pytest.raises(
        preprocessing.TooLargeError, match=r"54 bytes that claim .* a smaller image"
    ):
        preprocessing.decode(bomb)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_exif_block_is_ignored():
    content = encode(framed((1, 1, 3, 3), size=(8, 8)), "JPEG", exif=b"Exif\x00\x00II*\x00garbage")
    assert preprocessing.decode(content).shape == (8, 8, 3)
