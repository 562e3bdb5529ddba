import cv2
import numpy as np
import pytest

from edgekd.data.layouts import read_category
from edgekd.data.masks import read_mask
from edgekd.errors import EdgekdError


def test_a_mask_marks_pixels_unless_it_is_all_zero(tmp_path, write_images):
    write_images(tmp_path, "test/good/000.png", "test/crack/000.png", "test/crack/001.png")
    write_images(tmp_path, "ground_truth/crack/000_mask.png", value=1)
    write_images(tmp_path, "ground_truth/crack/001_mask.png", value=0)
    masks = {image.path.name: image.mask for image in read_category(tmp_path).test if image.mask}
    assert {name: bool(read_mask(mask, 20, 20).any()) for name, mask in masks.items()} == {
        "000.png": True,
        "001.png": False,
    }


def test_masks_of_one_image_that_differ_in_size_are_refused(tmp_path):
    for name, side in (("000.png", 20), ("001.png", 30)):
        cv2.imwrite(str(tmp_path / name), np.full((side, side), 255, np.uint8))
    with pytest.raises(EdgekdError, match="differ in size"):
        read_mask(tmp_path, 20, 20)
