import numpy as np
import pytest

from edgekd.data.images import read_image
from edgekd.data.resizing import resize_image
from edgekd.data.symmetries import shifted, transformed, turned


@pytest.fixture
def image(elpv_images):
    return resize_image(read_image(elpv_images[0]), 65, 65)


def test_the_eight_symmetries_are_flips_and_quarter_turns_each_once(image):
    expected = [np.rot90(start, quarters) for start in (image, image[:, ::-1]) for quarters in range(4)]
    found = [transformed(image, symmetry) for symmetry in range(8)]
    for one in expected:
        assert sum(np.array_equal(one, other) for other in found) == 1
    assert np.array_equal(found[0], image)
    assert np.array_equal(found[1], image[:, ::-1])
    assert np.array_equal(found[2], image[::-1])


def test_a_quarter_turn_by_angle_is_the_one_by_symmetry(image):
    assert np.array_equal(turned(image, 90), np.rot90(image))
    assert np.array_equal(turned(image, 0), image)


def test_what_comes_in_at_the_corners_is_mirrored():
    grey = np.full((33, 33, 3), 90, np.uint8)
    assert (turned(grey, 30) == 90).all()


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, 0), (-2, 3), (0, -1)])
def test_a_shift_moves_an_image_and_mirrors_what_comes_in(image, down, right):
    wide = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="reflect")
    height, width = image.shape[:2]
    found = shifted(image, down, right)
    assert found.shape == image.shape
    assert np.array_equal(found, wide[4 - down : 4 - down + height, 4 - right : 4 - right + width])
