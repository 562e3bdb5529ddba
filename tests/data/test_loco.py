import json

import cv2
import numpy as np
import pytest

from edgekd.data.loco import SaturationRule, read_regions, read_saturation_rules
from edgekd.data.masks import read_mask
from edgekd.errors import EdgekdError

ABSOLUTE = {"defect_name": "missing", "pixel_value": 255, "saturation_threshold": 40, "relative_saturation": False}
RELATIVE = {"defect_name": "dirt", "pixel_value": 254, "saturation_threshold": 0.5, "relative_saturation": True}


def write_config(folder, content):
    (folder / "defects_config.json").write_text(content if isinstance(content, str) else json.dumps(content))


def write_region(folder, name, value, rows, columns):
    folder.mkdir(exist_ok=True)
    mask = np.zeros((20, 30), np.uint8)
    mask[:rows, :columns] = value
    cv2.imwrite(str(folder / name), mask)
    return mask > 0


def test_each_mask_is_a_region_with_the_rule_of_its_value(tmp_path):
    write_config(tmp_path, [ABSOLUTE, RELATIVE])
    masks = tmp_path / "000"
    first = write_region(masks, "000.png", 255, 10, 10)
    write_region(masks, "001.png", 254, 3, 5)
    write_region(masks, "002.png", 255, 4, 5)
    regions = read_regions(masks, read_saturation_rules(tmp_path))
    # 40 of 100 pixels; half of 15, rounded down; all of 20, which are fewer than 40.
    assert [(region.defect, region.saturation_area) for region in regions] == [
        ("missing", 40),
        ("dirt", 7),
        ("missing", 20),
    ]
    np.testing.assert_array_equal(regions[0].mask, first)


def test_a_mask_without_a_marked_pixel_is_no_region(tmp_path):
    write_region(tmp_path / "000", "000.png", 0, 1, 1)
    assert read_regions(tmp_path / "000", {255: SaturationRule("missing", 40, False)}) == []


def test_a_region_of_one_pixel_can_be_found(tmp_path):
    assert SaturationRule("dirt", 0.5, True).saturation_area(1) == 1


def test_the_union_of_an_images_regions_is_its_mask(tmp_path):
    first = write_region(tmp_path / "000", "000.png", 255, 10, 4)
    second = write_region(tmp_path / "000", "001.png", 1, 2, 20)
    np.testing.assert_array_equal(read_mask(tmp_path / "000", 20, 30), first | second)


def test_a_value_that_the_config_does_not_know_is_named(tmp_path):
    write_region(tmp_path / "000", "000.png", 7, 4, 4)
    with pytest.raises(EdgekdError, match=r"000\.png holds the values 7.*knows 255"):
        read_regions(tmp_path / "000", {255: SaturationRule("missing", 40, False)})


def test_a_mask_of_two_values_is_refused(tmp_path):
    mask = np.zeros((20, 20), np.uint8)
    mask[0], mask[1] = 255, 254
    (tmp_path / "000").mkdir()
    cv2.imwrite(str(tmp_path / "000/000.png"), mask)
    with pytest.raises(EdgekdError, match="values 254, 255: a mask must hold one"):
        read_regions(tmp_path / "000", {255: SaturationRule("a", 1, False), 254: SaturationRule("b", 1, False)})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ({"defects": []}, "must be a list of defects with defect_name, pixel_value"),
        ([{"defect_name": "missing", "pixel_value": 255}], "must be a list of defects"),
        ([ABSOLUTE | {"pixel_value": "255"}], "must be a list of defects"),
        ([ABSOLUTE | {"saturation_threshold": float("nan")}], "holds NaN, which is not a finite number"),
        ([ABSOLUTE | {"saturation_threshold": 10**400}], "too large for an integer"),
    ],
)
def test_a_config_of_another_form_is_refused(tmp_path, content, message):
    write_config(tmp_path, content)
    with pytest.raises(EdgekdError, match=message):
        read_saturation_rules(tmp_path)
