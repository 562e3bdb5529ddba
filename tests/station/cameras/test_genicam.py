"""Tests of GenICam cameras, against the GenTL producer that the genicam package brings."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.station.cameras.camera import Camera, Grabbed
from edgekd.station.cameras.opening import open_camera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import CameraSettings

from .counterparts import FREE, nothing, viky


def opened(source: str) -> Camera:
    return open_camera("top", CameraConfiguration(kind="genicam", source=source, producer=viky()))


def grab(camera: Camera, seconds: float = 2.0) -> Grabbed:
    now = time.monotonic()
    return camera.grab(now, now + seconds, nothing)


def test_each_image_is_newer_than_its_trigger_and_numbered():
    camera = opened("VikyTL_DEV_green")
    done = camera.apply(FREE)
    camera.arm()

    grabbed = []
    for _ in range(4):
        now = time.monotonic()
        grabbed.append(camera.grab(now, now + 2, nothing))
        assert grabbed[-1].received > now

    assert done == {"trigger": "free_run", "pixel_format": "RGBa8", "region": (0, 0, 400, 400)}
    assert grabbed[0].image.shape == (400, 400, 3)
    assert grabbed[0].image.dtype == np.uint8
    ids = [each.frame_id for each in grabbed]
    assert all(first < second for first, second in itertools.pairwise(ids))
    # A green ball on white.
    assert grabbed[0].image.mean(axis=(0, 1)).round().tolist() == [254, 255, 254]
    camera.close()


def test_two_cameras_of_a_producer_run_at_once_and_one_comes_back_while_the_other_runs():
    green, red = opened("1"), opened("VikyTL_DEV_red")
    for camera in (green, red):
        camera.apply(FREE)
        camera.arm()
    assert not np.array_equal(grab(green).image, grab(red).image)

    red.close()
    grab(green)
    red = opened("0")
    red.apply(FREE)
    red.arm()

    grab(red)
    grab(green)
    with pytest.raises(StationError, match="is controlled by another program: close it there") as caught:
        opened("1")
    assert caught.value.code == ErrorCode.CAMERA_LOST
    red.close()
    green.close()


def test_settings_that_the_camera_does_not_have_are_all_named():
    camera = opened("2")

    with pytest.raises(StationError) as caught:
        camera.apply(CameraSettings(pixel_format="Mono12", exposure_us=500, gain=2, white_balance=(1.5, 1.5)))

    assert caught.value.code == ErrorCode.LOADING_FAILED
    said = str(caught.value)
    assert 'has no triggers: set trigger = "free_run" in the recipe' in said
    assert "has no pixel_format Mono12: set one of " in said
    assert "has no exposure_us that could be set" in said
    assert "has no gain that could be set" in said
    assert "has no white_balance that could be set" in said
    camera.close()


def test_a_camera_that_is_not_there_is_lost_and_those_that_are_there_are_named():
    with pytest.raises(StationError, match=r"\(4711\) is not among what viky.cti finds \(0, 1, 2\)") as caught:
        opened("4711")

    assert caught.value.code == ErrorCode.CAMERA_LOST


def test_a_producer_that_is_missing_is_named(tmp_path: Path):
    viky()
    with pytest.raises(EdgekdError, match=r"producer must be a GenTL producer, a \.cti file"):
        open_camera("top", CameraConfiguration(kind="genicam", source="1", producer=tmp_path / "no.cti"))
