from __future__ import annotations

import math

import numpy as np

from edgekd.verdicts.regions import MOST_REGIONS, find_regions


def test_regions_are_in_pixels_of_the_frame_with_the_highest_peak_first() -> None:
    anomaly_map = np.zeros((8, 10), np.float32)
    anomaly_map[1:3, 2:5] = 2.0
    anomaly_map[6, 8] = 9.0
    regions = find_regions(anomaly_map, 1.0, height=80, width=200)  # Ten times as high, twenty times as wide.
    assert [region.peak for region in regions.listed] == [9.0, 2.0]
    dot, block = regions.listed
    assert dot.area == 200
    assert dot.box == (160, 60, 20, 10)
    assert dot.centroid == (169.5, 64.5)
    assert block.area == 6 * 200
    assert block.box == (40, 10, 60, 20)
    assert block.centroid == (69.5, 19.5)
    assert regions.more == 0


def test_a_box_stays_in_the_frame_where_sizes_do_not_divide() -> None:
    anomaly_map = np.zeros((3, 3), np.float32)
    anomaly_map[2, 2] = 5.0
    (region,) = find_regions(anomaly_map, 1.0, height=100, width=70).listed
    x, y, width, height = region.box
    assert (x + width, y + height) == (70, 100)
    assert (x, y) == (46, 66)


def test_what_touches_at_a_corner_is_one_region_and_what_equals_the_limit_is_in_none() -> None:
    anomaly_map = np.full((6, 6), 1.0, np.float32)
    anomaly_map[1, 1] = anomaly_map[2, 2] = 3.0
    (region,) = find_regions(anomaly_map, 1.0, 6, 6).listed
    assert region.area == 2
    assert region.box == (1, 1, 2, 2)


def test_what_a_view_does_not_look_at_is_in_no_region() -> None:
    anomaly_map = np.full((4, 4), np.nan, np.float32)
    anomaly_map[1, 1] = 3.0
    (region,) = find_regions(anomaly_map, 1.0, 4, 4).listed
    assert region.box == (1, 1, 1, 1)
    assert find_regions(np.full((4, 4), np.nan, np.float32), 1.0, 4, 4).listed == ()


def test_without_a_limit_there_are_no_regions() -> None:
    assert find_regions(np.ones((4, 4), np.float32), math.nan, 4, 4).listed == ()
    assert find_regions(np.ones((4, 4), np.float32), math.inf, 4, 4).listed == ()


def test_the_most_severe_are_listed_and_the_rest_counted() -> None:
    anomaly_map = np.zeros((40, 40), np.float32)
    anomaly_map[::2, ::2] = np.arange(1, 401).reshape(20, 20)
    regions = find_regions(anomaly_map, 0.5, 40, 40)
    assert [region.peak for region in regions.listed] == list(range(400, 400 - MOST_REGIONS, -1))
    assert regions.more == 400 - MOST_REGIONS
