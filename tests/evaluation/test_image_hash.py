import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rakuten.evaluation import image_hash


def blurred_noise(seed: int, size: int = 200) -> np.ndarray:
    """An image of blurred noise, uint8 (size, size, 3)."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC))


def test_the_hash_reads_the_lowest_frequencies():
    """One vertical wave: apart from the mean, only its coefficient is above 0."""
    wave = np.cos(np.pi * 2 * (np.arange(32) + 0.5) / 32)
    pixels = np.repeat((127.5 + 100 * wave)[:, None, None], 32, axis=1).round().astype(np.uint8)
    pixels = np.repeat(pixels, 3, axis=2)
    found = int(image_hash.perceptual_hash(pixels))
    assert found >> 63 == 1
    assert found >> 47 & 1 == 1  # row 2, column 0
    assert found & 0x7F7F7F7F7F7F7F7F == 0  # nothing varies along a row
    assert isinstance(image_hash.perceptual_hash(pixels), np.uint64)


def test_the_hash_is_stable_under_scaling_and_differs_between_images():
    first = image_hash.perceptual_hash(blurred_noise(1))
    small = np.asarray(Image.fromarray(blurred_noise(1)).resize((90, 90)))
    assert np.bitwise_count(first ^ image_hash.perceptual_hash(small)) <= 4
    assert np.bitwise_count(first ^ image_hash.perceptual_hash(blurred_noise(2))) > 12


def test_only_the_box_is_hashed():
    framed = np.full((300, 260, 3), 255, np.uint8)
    framed[40:240, 30:230] = blurred_noise(5)
    inside = image_hash.perceptual_hash(framed, (30, 40, 230, 240))
    assert inside == image_hash.perceptual_hash(blurred_noise(5))
    assert inside != image_hash.perceptual_hash(framed)


@pytest.mark.parametrize("shade", [0, 127, 255])
def test_blank_images_are_plain(shade):
    blank = image_hash.perceptual_hash(np.full((50, 70, 3), shade, np.uint8))
    assert blank in (0, 1 << 63)
    assert image_hash.are_plain(np.array([blank]), min_structure=2)[0]


def test_structure_counts_ones_and_zeros():
    hashes = np.array([0, 0b111, 2**64 - 1, 2**64 - 8, 0xFF00FF00], dtype=np.uint64)
    plain = {m: image_hash.are_plain(hashes, min_structure=m).tolist() for m in (0, 3, 4)}
    assert plain[0] == [False] * 5
    assert plain[3] == [True, False, True, False, False]
    assert plain[4] == [True, True, True, True, False]


def test_images_are_hashed_without_their_border_for_any_number_of_threads(tmp_path):
    """Three products, the second without an image, which must not be read."""
    framed = np.full((300, 300, 3), 255, np.uint8)
    framed[40:240, 30:230] = blurred_noise(5)
    files = {}
    for name, pixels in (("a", blurred_noise(1)), ("c", framed)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        files[name] = (tmp_path / f"{name}.png").read_bytes()
    facts = pd.DataFrame(
        [[True, 0, 0, 200, 200], [False, 0, 0, 0, 0], [True, 30, 40, 230, 240]],
        columns=["has_image", "left", "top", "right", "bottom"],
    )
    for threads in (1, 3):
        hashes = image_hash.hash_images(files.__getitem__, ["a", "b", "c"], facts, threads=threads)
        assert hashes.dtype == np.uint64
        expected = [
            image_hash.perceptual_hash(blurred_noise(1)),
            0,
            image_hash.perceptual_hash(blurred_noise(5)),
        ]
        assert hashes.tolist() == expected
