"""Tests of a camera that comes back by itself."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import cv2
import pytest

from edgekd.station.cameras import reconnect, threaded
from edgekd.station.cameras.reconnect import ReconnectingCamera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import CameraSettings

from .counterparts import GIGE_ADDRESS, fake_gige_camera, nothing, number_of, numbered, wait_for
from .test_threaded import Paper


class Told:
    """What a camera told, in its order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def lost(self, error: StationError) -> None:
        assert error.code == ErrorCode.CAMERA_LOST
        self.said.append(f"lost: {error}")

    def regained(self) -> None:
        self.said.append("regained")


@pytest.fixture
def told() -> Told:
    return Told()


def kept_open(configuration: CameraConfiguration, told: Told) -> ReconnectingCamera:
    return ReconnectingCamera("top", configuration, told.lost, told.regained)


def grab(camera: ReconnectingCamera, seconds: float = 2.0) -> int:
    now = time.monotonic()
    return number_of(camera.grab(now, now + seconds, nothing).image)


def code_of(camera: ReconnectingCamera, seconds: float = 2.0) -> ErrorCode:
    try:
        grab(camera, seconds)
    except StationError as error:
        return error.code
    return ErrorCode.NONE


def test_a_camera_that_was_lost_comes_back_with_its_settings(tmp_path: Path, told: Told):
    folder, away = tmp_path / "images", tmp_path / "away"
    folder.mkdir()
    camera = kept_open(CameraConfiguration(kind="folder", source=str(folder), reconnect_s=0.05), told)
    assert camera.wait_until_open(5)
    camera.apply(CameraSettings(trigger="hardware", region=(0, 0, 320, 100), timeout_ms=5000))
    camera.arm()

    os.rename(folder, away)
    wait_for(lambda: len(told.said) == 2)
    started = time.monotonic()
    assert code_of(camera) == ErrorCode.CAMERA_LOST
    assert time.monotonic() - started < 0.1
    os.rename(away, folder)
    wait_for(lambda: len(told.said) == 3)
    threading.Timer(0.05, lambda: cv2.imwrite(str(folder / "1.png"), numbered(1))).start()
    now = time.monotonic()
    grabbed = camera.grab(now, now + 3, nothing)

    assert number_of(grabbed.image) == 1
    assert grabbed.image.shape == (100, 320, 3)
    assert [said.split(":")[0] for said in told.said] == ["regained", "lost", "regained"]
    assert str(folder) in told.said[1]
    camera.close()


def test_a_camera_that_is_absent_at_first_is_told_once_and_tried_again(tmp_path: Path, told: Told):
    folder = tmp_path / "images"
    camera = kept_open(CameraConfiguration(kind="folder", source=str(folder), reconnect_s=0.02), told)
    wait_for(lambda: told.said)
    time.sleep(0.2)
    assert len(told.said) == 1
    with pytest.raises(StationError, match="which cannot be read"):
        camera.apply(CameraSettings(trigger="hardware"))

    folder.mkdir()

    assert camera.wait_until_open(3)
    assert told.said[1:] == ["regained"]
    camera.close()


def test_a_configuration_that_is_wrong_is_a_lost_camera_and_says_what_is_wrong(told: Told):
    camera = kept_open(CameraConfiguration(kind="opencv", source="webcam", reconnect_s=0.02), told)
    wait_for(lambda: told.said)
    with pytest.raises(StationError, match="source must be a number or a device"):
        grab(camera)
    camera.close()


def test_a_video_that_is_not_there_at_first_is_opened_once_it_is(tmp_path: Path, told: Told):
    folder = tmp_path / "images"
    camera = kept_open(CameraConfiguration(kind="video", source=str(folder), reconnect_s=0.02), told)
    wait_for(lambda: told.said)
    assert str(folder) in told.said[0]
    away = tmp_path / "away"
    away.mkdir()
    cv2.imwrite(str(away / "1.png"), numbered(1))
    os.rename(away, folder)
    assert camera.wait_until_open(5)
    assert [said.split(":")[0] for said in told.said] == ["lost", "regained"]
    camera.close()


def test_a_driver_that_hangs_is_reported_and_not_opened_without_end(monkeypatch: pytest.MonkeyPatch, told: Told):
    never, opened = threading.Event(), []

    class Hanging(Paper):
        call_s = 0.2

        def open(self) -> None:
            opened.append(self)

        def check(self) -> None:
            never.wait()

    monkeypatch.setattr(reconnect, "make_driver", lambda *_: Hanging())
    monkeypatch.setattr(threaded, "CLOSE_S", 0.1)
    camera = kept_open(CameraConfiguration(kind="video", source="any", reconnect_s=0.05), told)
    wait_for(lambda: camera.hung)

    wait_for(lambda: "the station restarts its inspector" in told.said[-1])
    wait_for(lambda: len(opened) == reconnect.MOST_LEAVING)
    time.sleep(0.5)
    assert len(opened) == reconnect.MOST_LEAVING
    assert code_of(camera) == ErrorCode.CAMERA_LOST

    never.set()
    wait_for(lambda: not camera.hung)
    camera.close()


@pytest.mark.faults
def test_a_gige_camera_that_is_killed_and_comes_back_is_used_again(told: Told):
    configuration = CameraConfiguration(kind="aravis", source=GIGE_ADDRESS, reconnect_s=0.2)
    with fake_gige_camera():
        camera = kept_open(configuration, told)
        assert camera.wait_until_open(10)
        camera.apply(CameraSettings(trigger="software", region=(0, 0, 128, 64), timeout_ms=1000))
        camera.arm()
        assert code_of(camera) == ErrorCode.NONE
    wait_for(lambda: code_of(camera, 0.3) == ErrorCode.CAMERA_LOST, 15, "the loss")
    started = time.monotonic()
    assert code_of(camera) == ErrorCode.CAMERA_LOST
    assert time.monotonic() - started < 0.1

    with fake_gige_camera():
        wait_for(lambda: told.said[-1] == "regained", 15, "the return")

        assert code_of(camera) == ErrorCode.NONE
        camera.close()
