"""Resizing by the rules: what each computes, and that a rule never changes."""

import cv2
import numpy as np
import pytest

from edgekd.data.images import read_image
from edgekd.data.resizing import resize_image, resize_into
from edgekd.errors import ArtifactError, ImageError
from edgekd.resize_rules import AREA, AREA_2, RESIZE_RULES


def image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def shares(length, parts):
    """Which share of each part's area lies in each pixel of a line, float64 [parts, length]."""
    scale = length / parts
    starts, pixels = np.arange(parts)[:, None] * scale, np.arange(length)[None]
    return np.clip(np.minimum(starts + scale, pixels + 1) - np.maximum(starts, pixels), 0, None) / scale


def area_mean(image, height, width):
    rows = np.tensordot(shares(len(image), height), image.astype(np.float64), 1)
    return np.einsum("hjc,wj->hwc", rows, shares(image.shape[1], width))


SHRINKS = [
    ((256, 306), (32, 32)),  # 2048 x 2448 to 256, an eighth of it: one side by a whole factor.
    ((306, 256), (32, 32)),
    ((255, 307), (32, 32)),  # Of sides without a common divisor, every row of the result is cut in its own way.
    ((97, 89), (96, 88)),
    ((64, 90), (64, 16)),
    ((90, 64), (16, 64)),
    ((40, 40), (20, 20)),
    ((5200, 16), (16, 16)),  # More rows to add up than 16 bits hold.
    ((16, 9000), (16, 100)),
    ((48, 30000), (32, 64)),  # Rows so long that they go strip by strip, of fewer rows than repeat.
    ((96, 20000), (64, 64)),
]


@pytest.mark.parametrize(("size", "frame"), SHRINKS)
def test_area_2_is_the_mean_of_each_area_rounded_to_the_nearest_level(size, frame):
    source = image(*size)
    off = np.abs(resize_image(source, *frame, AREA_2) - area_mean(source, *frame))
    assert off.max() < 0.501
    assert off.mean() > 0.1  # As roundings are: the comparison is with something finer.


@pytest.mark.parametrize("rule", RESIZE_RULES)
def test_white_stays_white_and_black_black(rule):
    for level in (0, 255):
        assert np.all(resize_image(np.full((5200, 77, 3), level, np.uint8), 16, 16, rule) == level)


@pytest.mark.parametrize(("size", "frame"), SHRINKS)
def test_area_stays_what_opencv_shrinks_to_in_one_step(size, frame):
    expected = cv2.resize(image(*size), frame[::-1], interpolation=cv2.INTER_AREA)
    assert np.array_equal(resize_image(image(*size), *frame, AREA), expected)


@pytest.mark.parametrize("rule", RESIZE_RULES)
@pytest.mark.parametrize("frame", [(50, 50), (50, 30), (30, 50)])
def test_where_a_side_grows_every_rule_is_bilinear(rule, frame):
    expected = cv2.resize(image(40, 40), frame[::-1], interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(resize_image(image(40, 40), *frame, rule), expected)


def test_the_rules_are_a_level_apart_at_most_on_photographs(elpv_images):
    for path in elpv_images[:5]:
        frames = [resize_image(read_image(path), 128, 128, rule).astype(int) for rule in RESIZE_RULES]
        assert np.abs(frames[0] - frames[1]).max() <= 1


def test_halves_are_rounded_to_even_by_area_2_and_up_by_area():
    image = np.zeros((32, 32, 3), np.uint8)
    image[::2] = 1
    assert np.all(resize_image(image, 16, 16, AREA) == 1)
    assert np.all(resize_image(image, 16, 16, AREA_2) == 0)


@pytest.mark.parametrize("rule", RESIZE_RULES)
def test_a_part_of_an_image_is_resized_like_a_copy_of_it(rule):
    part = image(100, 100)[7:95, 90:3:-1]
    assert np.array_equal(resize_image(part, 16, 16, rule), resize_image(part.copy(), 16, 16, rule))


@pytest.mark.parametrize("rule", RESIZE_RULES)
@pytest.mark.parametrize("size", [(90, 70), (20, 30), (30, 20), (24, 24)])
def test_resizing_writes_into_the_memory_it_is_given_and_nowhere_else(rule, size):
    memory = np.full((3, 24, 24, 3), 7, np.uint8)
    resize_into(image(*size), memory[1], rule)
    assert np.array_equal(memory[1], resize_image(image(*size), 24, 24, rule))
    assert np.all(memory[[0, 2]] == 7)


def test_an_unknown_rule_is_refused_with_those_there_are():
    with pytest.raises(ArtifactError, match="'lanczos'; this edgekd has area, area-2"):
        resize_image(image(40, 40), 20, 20, "lanczos")


@pytest.mark.parametrize("rule", RESIZE_RULES)
@pytest.mark.parametrize(("shape", "kind"), [((40, 40), np.uint8), ((40, 40, 3), np.float32), ((40, 40, 4), np.uint8)])
def test_what_is_not_8_bit_bgr_is_refused_before_anything_is_written(shape, kind, rule):
    wrong = np.zeros(shape, kind)
    memory = np.full((20, 20, 3), 77, np.uint8)
    with pytest.raises(ImageError, match=r"only uint8 of shape \[height, width, 3\] is resized, got "):
        resize_into(wrong, memory, rule)
    with pytest.raises(ImageError, match="is resized"):
        resize_image(wrong, 40, 40, rule)
    assert np.all(memory == 77)
