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


@pytest.mark.parametrize(("name", "label"), [("label1.png", 1), ("label200.tif", 200), ("label40000.png", 40000)])
def test_any_label_of_16_bits_is_a_defect(name, label, tmp_path):
    mask = np.zeros((20, 20), np.uint16)
    mask[4:8, 10:15] = label
    cv2.imwrite(str(tmp_path / name), mask)
    np.testing.assert_array_equal(read_mask(tmp_path / name, 20, 20), mask > 0)


def test_masks_in_sub_folders_do_not_mix(tmp_path, write_images):
    write_images(tmp_path, "test/good/0.png", "test/crack/lot1/0.png", "test/crack/lot2/0.png", "test/crack/lot2/1.png")
    write_images(tmp_path, "ground_truth/crack/lot2/0_mask.png", "ground_truth/crack/lot1/0_mask.png")
    write_images(tmp_path, "ground_truth/crack/1.png")
    masks = {image.path.relative_to(tmp_path): image.mask for image in read_category(tmp_path).test if image.mask}
    assert {path.as_posix(): mask.relative_to(tmp_path).as_posix() for path, mask in masks.items()} == {
        "test/crack/lot1/0.png": "ground_truth/crack/lot1/0_mask.png",
        "test/crack/lot2/0.png": "ground_truth/crack/lot2/0_mask.png",
        "test/crack/lot2/1.png": "ground_truth/crack/1.png",  # No other image of the class has that stem.
    }


def test_one_mask_is_not_taken_for_images_of_two_sub_folders(tmp_path, write_images):
    write_images(tmp_path, "test/good/0.png", "test/crack/lot1/0.png", "test/crack/lot2/0.png")
    write_images(tmp_path, "ground_truth/crack/0_mask.png", "ground_truth/crack/lot1/0_mask.png")
    with pytest.raises(EdgekdError, match=r"1 of 2 masks .* first is \S+ground_truth/crack/lot2/0_mask\.png"):
        read_category(tmp_path)


def test_a_folder_of_masks_may_have_a_dot_in_its_name(tmp_path, write_images):
    write_images(tmp_path, "test/good/0.png", "test/crack/lot.1.png", "test/crack/lot.2.png")
    write_images(tmp_path, "ground_truth/crack/lot.1/0.png", "ground_truth/crack/lot.2/0.png")
    masks = {image.path.name: image.mask.name for image in read_category(tmp_path).test if image.mask}
    assert masks == {"lot.1.png": "lot.1", "lot.2.png": "lot.2"}
