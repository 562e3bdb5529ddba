"""Tests of the simulated camera: a video, or a folder of images."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import cv2
import pytest

from edgekd.errors import EdgekdError
from edgekd.station.cameras.camera import Camera
from edgekd.station.cameras.opening import open_camera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import CameraSettings

from .counterparts import nothing, number_of, numbered

FPS = 50


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "parts.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (320, 240))
    for number in range(10):
        writer.write(cv2.cvtColor(numbered(number), cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def played(source: Path, trigger: str) -> Camera:
    camera = open_camera("top", CameraConfiguration(kind="video", source=str(source)))
    camera.apply(CameraSettings(trigger=trigger))
    camera.arm()
    return camera


def grab(camera: Camera) -> int:
    now = time.monotonic()
    return number_of(camera.grab(now, now + 1, nothing).image)


def test_a_triggered_video_gives_every_image_in_order_and_begins_again(video: Path):
    camera = played(video, "software")

    assert [grab(camera) for _ in range(23)] == [*range(10), *range(10), 0, 1, 2]
    camera.close()


def test_a_video_runs_freely_at_its_own_rate(video: Path):
    camera = played(video, "free_run")
    grab(camera)
    started = time.monotonic()

    seen = [grab(camera) for _ in range(25)]

    assert all(following != number for number, following in pairwise(seen))
    assert 0.8 * 25 / FPS < time.monotonic() - started < 2 * 25 / FPS
    camera.close()


def test_a_folder_of_images_plays_in_the_order_of_names_and_a_damaged_one_is_an_error(tmp_path: Path):
    for number in (1, 2, 3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), numbered(number))
    whole = (tmp_path / "2.png").read_bytes()
    (tmp_path / "2.png").write_bytes(whole[:-30])
    camera = played(tmp_path, "software")

    assert grab(camera) == 1
    with pytest.raises(StationError, match=r"2\.png") as caught:
        grab(camera)
    assert caught.value.code == ErrorCode.IMAGE_INCOMPLETE
    assert [grab(camera), grab(camera)] == [3, 1]
    camera.close()


def test_a_file_that_is_no_video_is_named(tmp_path: Path):
    (tmp_path / "parts.mp4").write_text("nothing")

    with pytest.raises(StationError, match=r"parts\.mp4, which is not a video"):
        open_camera("top", CameraConfiguration(kind="video", source=str(tmp_path / "parts.mp4")))


def test_a_source_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(EdgekdError, match="there is no video and no folder of images named"):
        open_camera("top", CameraConfiguration(kind="video", source=str(tmp_path / "nowhere.mp4")))
