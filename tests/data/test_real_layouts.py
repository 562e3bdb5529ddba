"""Real categories, where there are any: EDGEKD_TEST_DATA/mvtec_ad/transistor and EDGEKD_TEST_DATA/magnetic_tile."""

import os
from collections import Counter
from pathlib import Path

import cv2
import pytest

from edgekd.data.layouts import read_category
from edgekd.data.masks import read_mask

pytestmark = pytest.mark.skipif("EDGEKD_TEST_DATA" not in os.environ, reason="needs EDGEKD_TEST_DATA")


def read(name):
    return read_category(Path(os.environ["EDGEKD_TEST_DATA"]) / name)


def marks_a_pixel(mask):
    """Whether a mask marks a pixel in its own size."""
    height, width = cv2.imread(str(mask)).shape[:2]
    return read_mask(mask, height, width).any()


def test_transistor_has_the_counts_of_the_papers_table():
    category = read("mvtec_ad/transistor")
    defective = sum(image.defective for image in category.test)
    assert (len(category.train_good), len(category.test) - defective, defective) == (213, 60, 40)
    assert category.has_masks


def test_magnetic_tiles_are_read_with_their_five_kinds_of_defects_and_four_empty_masks():
    category = read("magnetic_tile")
    assert len(category.train_good) == 762
    assert Counter(image.defect for image in category.test) == {
        "good": 190,
        "blowhole": 115,
        "break": 85,
        "crack": 57,
        "fray": 32,
        "uneven": 103,
    }
    empty = {image.path.stem for image in category.test if image.mask and not marks_a_pixel(image.mask)}
    assert empty == {"exp4_num_45057", "exp4_num_352527", "exp3_num_45042", "exp4_num_124690"}
