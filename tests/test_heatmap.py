from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgekd.heatmap import OUTLINE, outline, overlay


def some_image(height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_image_shows_unchanged_at_and_below_low() -> None:
    image = some_image()
    anomaly_map = np.full((24, 32), 0.5, np.float32)
    anomaly_map[:, 16:] = -3
    np.testing.assert_array_equal(overlay(image, anomaly_map, 0.5, 1.0), image)


@pytest.mark.parametrize("value", [1.0, 7.0, np.inf])
def test_the_colour_is_strongest_at_and_above_high(value: float) -> None:
    image = some_image()
    drawn = overlay(image, np.full((24, 32), value, np.float32), 0.5, 1.0)
    brightest = cv2.applyColorMap(np.array([[255]], np.uint8), cv2.COLORMAP_INFERNO)[0, 0]
    np.testing.assert_allclose(drawn, 0.2 * image + 0.8 * brightest, atol=0.51)


def test_the_colour_grows_from_low_to_high() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    brightness = [overlay(image, np.full((4, 4), v, np.float32), 0, 1).mean() for v in (0, 0.25, 0.5, 0.75, 1)]
    assert brightness[0] == 0
    assert np.all(np.diff(brightness) > 0)


def test_a_small_map_is_stretched_over_the_image() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    anomaly_map = np.zeros((4, 8), np.float32)
    anomaly_map[3, 0] = 1
    drawn = overlay(image, anomaly_map, 0, 1).max(axis=2) > 0
    assert drawn[35:, :5].all()
    assert not drawn[:24].any()
    assert not drawn[:, 16:].any()


def test_what_is_not_looked_at_is_grey() -> None:
    image = some_image()
    anomaly_map = np.zeros((6, 8), np.float32)
    anomaly_map[:, :4] = np.nan
    drawn = overlay(image, anomaly_map, 0, 1)
    np.testing.assert_array_equal(drawn[:, 16:], image[:, 16:])
    expected = 0.75 * 128 + 0.25 * image[:, :16].mean(axis=2, keepdims=True)
    np.testing.assert_allclose(drawn[:, :16], np.broadcast_to(expected, (24, 16, 3)), atol=0.51)


def test_equal_bounds_are_a_plain_limit() -> None:
    image = np.zeros((16, 32, 3), np.uint8)
    anomaly_map = np.ones((16, 32), np.float32)
    anomaly_map[:, 16:] = 2
    drawn = overlay(image, anomaly_map, 1, 1).max(axis=2) > 0
    assert not drawn[:, :16].any()
    assert drawn[:, 16:].all()


def test_an_outline_runs_round_the_mask_and_leaves_the_rest() -> None:
    image = np.full((64, 64, 3), 90, np.uint8)
    before = image.copy()
    mask = np.zeros((32, 32), np.bool_)
    mask[8:24, 8:24] = True
    drawn = outline(image, mask)
    np.testing.assert_array_equal(image, before)
    assert tuple(drawn[16, 32]) == OUTLINE
    np.testing.assert_array_equal(drawn[24:40, 24:40], 90)
    np.testing.assert_array_equal(drawn[:12], 90)


def test_an_empty_mask_draws_nothing() -> None:
    image = some_image()
    np.testing.assert_array_equal(outline(image, np.zeros((24, 32), np.bool_)), image)
