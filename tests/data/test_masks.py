import cv2
import numpy as np
import pytest

from edgekd.data.layouts import read_category
from edgekd.data.masks import images_with_empty_masks, read_mask
from edgekd.errors import EdgekdError


def test_a_defective_image_whose_mask_is_empty_is_found(tmp_path, write_images):
    write_images(tmp_path, "test/good/000.png", "test/crack/000.png", "test/crack/001.png")
    write_images(tmp_path, "ground_truth/crack/000_mask.png", value=1)
    write_images(tmp_path, "ground_truth/crack/001_mask.png", value=0)
    assert [image.path.name for image in images_with_empty_masks(read_category(tmp_path))] == ["001.png"]


def test_masks_of_one_image_that_differ_in_size_are_refused(tmp_path):
    for name, side in (("000.png", 20), ("001.png", 30)):
        cv2.imwrite(str(tmp_path / name), np.full((side, side), 255, np.uint8))
    with pytest.raises(EdgekdError, match="differ in size"):
        read_mask(tmp_path, 20, 20)
