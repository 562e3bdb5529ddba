"""Tests of what all cameras share: deadlines, lost triggers, drivers that hang."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from edgekd.station.cameras.driver import Driver, RawFrame
from edgekd.station.cameras.opening import open_camera
from edgekd.station.cameras.threaded import ThreadedCamera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import CameraSettings

from .counterparts import need_kind, nothing, number_of, numbered, run_python, wait_for

TRIGGERED = CameraSettings(trigger="software", timeout_ms=5000)


class Paper(Driver):
    """A camera on paper: each trigger gives the next number, after as long as `delays` says."""

    triggers = frozenset({"free_run", "software", "hardware"})
    numbered = True
    call_s = 0.5

    def __init__(self, *delays: float) -> None:
        super().__init__("top")
        self.delays, self.pending, self.count, self.ids = list(delays), [], 0, []
        self.broken: StationError | None = None
        self.closed = False

    def open(self) -> None: ...

    def disarm(self) -> None:
        self.pending.clear()

    def trigger(self) -> None:
        self.count += 1
        self.pending.append((time.monotonic() + (self.delays.pop(0) if self.delays else 0), self.count))

    def check(self) -> None:
        if self.broken is not None:
            raise self.broken

    def read(self, timeout_s: float) -> RawFrame | None:
        if not self.pending or time.monotonic() + timeout_s < self.pending[0][0]:
            if timeout_s:
                time.sleep(timeout_s)
            return None
        due, number = self.pending.pop(0)
        if (early := due - time.monotonic()) > 0:
            time.sleep(early)
        frame_id = self.ids.pop(0) if self.ids else None
        return RawFrame(lambda: (numbered(number), 8), time.monotonic(), frame_id)

    def close(self) -> None:
        self.closed = True


def opened(driver: Paper, settings: CameraSettings = TRIGGERED) -> ThreadedCamera:
    camera = ThreadedCamera("top", driver)
    camera.wait_until_open()
    camera.apply(settings)
    camera.arm()
    return camera


def grab(camera: ThreadedCamera, seconds: float = 2.0) -> int:
    now = time.monotonic()
    return number_of(camera.grab(now, now + seconds, nothing).image)


def test_each_trigger_gets_its_own_image():
    camera = opened(Paper())

    assert [grab(camera) for _ in range(20)] == list(range(1, 21))
    camera.close()


def test_an_image_that_comes_after_the_deadline_is_never_the_next_part_s():
    camera = opened(Paper(0.3, 0.1))

    started = time.monotonic()
    with pytest.raises(StationError, match="was triggered and sent no image in time") as caught:
        grab(camera, 0.1)
    assert 0.1 <= time.monotonic() - started < 0.2

    assert caught.value.code == ErrorCode.ACQUISITION_TIMEOUT
    assert grab(camera) == 2
    camera.close()


def test_the_recipe_s_own_limit_counts_where_it_is_earlier_than_the_deadline():
    camera = opened(Paper(1.0), CameraSettings(trigger="software", timeout_ms=50))

    started = time.monotonic()
    with pytest.raises(StationError):
        grab(camera, 5)

    assert time.monotonic() - started < 0.5
    camera.close()


def test_a_gap_in_the_frames_numbers_is_an_incomplete_image_once():
    driver = Paper()
    driver.ids = [65534, 65535, 1, 3, 4]
    camera = opened(driver)

    assert [grab(camera) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(StationError, match="frame 3 came after frame 1: one was lost") as caught:
        grab(camera)
    assert caught.value.code == ErrorCode.IMAGE_INCOMPLETE
    assert grab(camera) == 5
    camera.close()


def test_a_lost_camera_is_told_at_once():
    driver = Paper(2.0)
    camera = opened(driver)
    driver.broken = driver.lost("is gone: look for it")
    wait_for(lambda: camera.failure, 1)

    started = time.monotonic()
    with pytest.raises(StationError, match="camera 'top' is gone: look for it") as caught:
        grab(camera)

    assert time.monotonic() - started < 0.05
    assert caught.value.code == ErrorCode.CAMERA_LOST
    assert driver.closed
    camera.close()


def test_a_driver_that_hangs_costs_an_image_and_is_reported():
    driver = Paper(0, 3.0)
    camera = opened(driver)
    grab(camera)

    started = time.monotonic()
    with pytest.raises(StationError) as caught:
        grab(camera, 0.2)
    assert caught.value.code == ErrorCode.ACQUISITION_TIMEOUT
    assert time.monotonic() - started < 0.3
    camera._driver.trigger = lambda: time.sleep(3)  # type: ignore[method-assign]
    with pytest.raises(StationError):
        grab(camera, 0.2)
    wait_for(lambda: camera.hung, 2)
    with pytest.raises(StationError, match="hangs in its driver") as caught:
        grab(camera, 0.2)
    assert caught.value.code == ErrorCode.CAMERA_LOST


def test_the_part_may_move_once_before_the_image_is_decoded():
    camera, moved = opened(Paper()), []

    now = time.monotonic()
    grabbed = camera.grab(now, now + 1, lambda: moved.append(time.monotonic()))

    assert len(moved) == 1
    assert moved[0] >= grabbed.received > now
    camera.close()


def test_a_region_is_cut_out_where_the_camera_has_none(tmp_path: Path):
    import cv2

    cv2.imwrite(str(tmp_path / "part.png"), numbered(77))
    camera = open_camera("top", CameraConfiguration(kind="video", source=str(tmp_path)))
    camera.arm()

    camera.apply(CameraSettings(trigger="software", region=(0, 0, 320, 64)))
    now = time.monotonic()
    grabbed = camera.grab(now, now + 1, nothing)
    assert grabbed.image.shape == (64, 320, 3)
    assert number_of(grabbed.image) == 77

    camera.apply(CameraSettings(trigger="software", region=(0, 200, 320, 64)))
    now = time.monotonic()
    with pytest.raises(StationError, match=r"320 x 240 pixels, too few for \[0, 200, 320, 64\]") as caught:
        camera.grab(now, now + 1, nothing)
    assert caught.value.code == ErrorCode.IMAGE_FORMAT
    camera.close()


def test_what_a_camera_does_not_have_is_named_all_at_once(tmp_path: Path):
    (tmp_path / "part.png").write_bytes(b"")
    camera = open_camera("top", CameraConfiguration(kind="folder", source=str(tmp_path)))

    with pytest.raises(StationError) as caught:
        camera.apply(CameraSettings(exposure_us=1000, gain=3))

    assert caught.value.code == ErrorCode.LOADING_FAILED
    assert str(caught.value) == (
        'camera \'top\' has no trigger "software": set it to "free_run" or "hardware"; '
        "has no exposure_us that could be set: leave it out of the recipe; "
        "has no gain that could be set: leave it out of the recipe"
    )
    camera.close()


HANGING = """
import time
from edgekd.station.cameras.opening import make_driver
from edgekd.station.cameras.threaded import ThreadedCamera
from edgekd.station.configuration import CameraConfiguration
configuration = CameraConfiguration(kind="gstreamer", source="filesrc location={pipe} ! pngdec ! videoconvert")
camera = ThreadedCamera("top", make_driver("top", configuration))
time.sleep(0.5)
print(camera._calling_since is not None, flush=True)
started = time.monotonic()
camera.close()
print(camera.closing, time.monotonic() - started < 3, flush=True)
"""


@pytest.mark.faults
def test_a_process_ends_although_a_driver_never_returns(tmp_path: Path):
    need_kind("gstreamer", "videotestsrc")
    pipe = tmp_path / "never"
    os.mkfifo(pipe)  # Nobody writes to it: opening it never returns.

    done = run_python(HANGING.format(pipe=pipe), 30)

    assert (done.stdout, done.returncode) == ("True\nTrue True\n", 0), done.stderr


def test_an_array_of_16_bits_comes_with_its_depth():
    driver = Paper()
    driver.read = lambda _: None  # type: ignore[method-assign]
    camera = opened(driver, CameraSettings(trigger="hardware"))
    frame = RawFrame(lambda: (np.full((20, 20), 4095, np.uint16), 12), time.monotonic() + 60, 1)
    camera._take(frame)

    grabbed = camera.grab(time.monotonic(), time.monotonic() + 1, nothing)

    assert (grabbed.bit_depth, grabbed.frame_id, int(grabbed.image.max())) == (12, 1, 4095)
    camera.close()
