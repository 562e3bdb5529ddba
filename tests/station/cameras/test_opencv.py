"""Tests of cameras of the system: what of them needs no camera, and settings against one on paper."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.station.cameras.opencv import OpenCvDriver
from edgekd.station.cameras.opening import open_camera
from edgekd.station.cameras.threaded import ThreadedCamera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import CameraSettings

from .counterparts import nothing


class Capture:
    """A capture of Video4Linux on paper: 640 x 480 at most, exposure in steps of 3.9 units, no gain."""

    def __init__(self) -> None:
        self.values = {cv2.CAP_PROP_FRAME_WIDTH: 320.0, cv2.CAP_PROP_FRAME_HEIGHT: 240.0, cv2.CAP_PROP_CONVERT_RGB: 1.0}
        self.alive = True

    def set(self, prop: int, value: float) -> bool:
        if prop == cv2.CAP_PROP_GAIN:
            return False
        most = {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0}
        steps = round(value / 3.9) * 3.9 if prop == cv2.CAP_PROP_EXPOSURE else value
        self.values[prop] = min(steps, most.get(prop, steps))
        return True

    def get(self, prop: int) -> float:
        return self.values.get(prop, 0.0)

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(0.01)
        width, height = (int(self.get(prop)) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if not self.get(cv2.CAP_PROP_CONVERT_RGB):
            return self.alive, np.full((1, width * height * 2), 0x02, np.uint8)
        return self.alive, np.full((height, width, 3), 99, np.uint8)

    def release(self) -> None: ...


class OnPaper(OpenCvDriver):
    def open(self) -> None:
        self._capture = Capture()


@pytest.fixture
def driver() -> OnPaper:
    return OnPaper("top", "0")


def opened(driver: OnPaper) -> ThreadedCamera:
    camera = ThreadedCamera("top", driver)
    camera.wait_until_open()
    return camera


def test_a_camera_that_is_absent_is_lost():
    for source in ("63", "/dev/video63"):
        if Path("/dev/video63").exists():
            pytest.skip("there is a camera")
        with pytest.raises(
            StationError, match="cannot be opened: check its cable, and that no other program"
        ) as caught:
            open_camera("top", CameraConfiguration(kind="opencv", source=source))
        assert caught.value.code == ErrorCode.CAMERA_LOST


@pytest.mark.parametrize("source", ["webcam", "", "video0", "-1"])
def test_a_source_of_another_kind_is_refused(source: str):
    with pytest.raises(EdgekdError, match="source must be a number or a device"):
        open_camera("top", CameraConfiguration(kind="opencv", source=source))


def test_what_was_set_is_read_back_and_the_region_is_cut_out(driver: OnPaper):
    camera = opened(driver)

    done = camera.apply(CameraSettings(trigger="free_run", exposure_us=5000, region=(100, 50, 500, 400)))
    camera.arm()
    now = time.monotonic()
    grabbed = camera.grab(now, now + 1, nothing)

    assert done == {"trigger": "free_run", "exposure_us": pytest.approx(5070), "region": (100, 50, 500, 400)}
    assert grabbed.image.shape == (400, 500, 3)
    camera.close()


def test_raw_images_are_read_by_their_own_format(driver: OnPaper):
    camera = opened(driver)

    assert camera.apply(CameraSettings(trigger="free_run", pixel_format="Mono12"))["pixel_format"] == "Mono12"
    camera.arm()
    now = time.monotonic()
    grabbed = camera.grab(now, now + 1, nothing)

    assert (grabbed.image.shape, grabbed.bit_depth, int(grabbed.image[0, 0])) == ((240, 320), 12, 0x0202)
    camera.close()


def test_what_the_camera_refuses_is_named(driver: OnPaper):
    camera = opened(driver)

    with pytest.raises(StationError) as caught:
        camera.apply(
            CameraSettings(
                trigger="hardware", gain=4, white_balance=(1, 1), region=(0, 0, 800, 600), pixel_format="RGB10"
            )
        )

    said = str(caught.value)
    assert caught.value.code == ErrorCode.LOADING_FAILED
    assert "reads back gain 0 after 4 was set" in said
    assert "has 640 x 480 pixels at most, too few for region [0, 0, 800, 600]" in said
    assert "has no pixel_format RGB10" in said
    assert 'has no trigger "hardware"' in said
    assert "has no white_balance" in said
    camera.close()


def test_a_camera_that_is_pulled_out_is_lost(driver: OnPaper):
    camera = opened(driver)
    camera.apply(CameraSettings(trigger="free_run"))
    camera.arm()
    driver._capture.alive = False

    with pytest.raises(StationError, match="sends no more images: check its cable and power") as caught:
        camera.grab(time.monotonic() + 1, time.monotonic() + 2, nothing)

    assert caught.value.code == ErrorCode.CAMERA_LOST
    camera.close()
