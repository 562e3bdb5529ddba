"""Tests of the watched folder: what counts is complete and newer than the trigger."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest

from edgekd.station.cameras.camera import Camera
from edgekd.station.cameras.folder import FolderDriver
from edgekd.station.cameras.opening import open_camera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import CameraSettings

from .counterparts import nothing, number_of, numbered, running, wait_for

# With pauses that are longer than a file must stand still.
SLOW_WRITER = """
import sys, time
whole = open(sys.argv[1], "rb").read()
quarter = len(whole) // 4 + 1
with open(sys.argv[2], "wb", 0) as file:
    print("on", flush=True)
    for start in range(0, len(whole), quarter):
        file.write(whole[start:start + quarter])
        time.sleep(0.25)
"""


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Camera]:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "old.png").write_bytes(png(999))
    camera = open_camera("top", CameraConfiguration(kind="folder", source=str(folder)))
    camera.apply(CameraSettings(trigger="hardware", timeout_ms=5000))
    camera.arm()
    yield camera
    camera.close()


@pytest.fixture
def folder(camera: Camera, tmp_path: Path) -> Path:
    return tmp_path / "images"


def png(number: int, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, numbered(number))[1].tobytes()


def renamed_into(folder: Path, name: str, number: int) -> None:
    temporary = folder / f"{name}.part"
    temporary.write_bytes(png(number))
    temporary.rename(folder / name)


def grab(camera: Camera, after: float | None = None, seconds: float = 3.0) -> int:
    now = time.monotonic()
    return number_of(camera.grab(now if after is None else after, now + seconds, nothing).image)


def soon(call: Callable[[], object], seconds: float = 0.1) -> None:
    threading.Timer(seconds, call).start()


def test_each_file_counts_once_for_the_trigger_before_it(camera: Camera, folder: Path):
    for number in range(5):
        soon(lambda number=number: renamed_into(folder, f"{number}.png", number), 0.03)
        assert grab(camera) == number
    assert camera.latest() is not None


def test_a_station_that_its_camera_triggers_finds_the_image_that_came(camera: Camera, folder: Path):
    assert camera.last_received is None

    renamed_into(folder, "1.png", 1)
    wait_for(lambda: camera.last_received is not None)

    assert camera.last_received is not None
    assert grab(camera, camera.last_received - 1e-6) == 1


def test_a_file_from_before_the_trigger_belongs_to_no_part(camera: Camera, folder: Path):
    renamed_into(folder, "1.png", 1)
    wait_for(lambda: camera.latest() is not None and number_of(camera.latest().image) == 1)

    soon(lambda: renamed_into(folder, "2.png", 2))

    assert grab(camera) == 2


def test_a_file_that_was_begun_before_the_trigger_does_not_count_although_it_ends_after(camera: Camera, folder: Path):
    whole = png(1)
    with (folder / "1.png").open("wb", buffering=0) as file:
        file.write(whole[:100])
        time.sleep(0.1)
        soon(lambda: file.write(whole[100:]), 0.05)
        with pytest.raises(StationError) as caught:
            grab(camera, seconds=0.5)
    assert caught.value.code == ErrorCode.ACQUISITION_TIMEOUT


def test_another_file_of_the_same_name_counts_too(camera: Camera, folder: Path):
    for number in range(4):
        soon(lambda number=number: renamed_into(folder, "latest.png", number), 0.03)
        assert grab(camera) == number


def test_of_several_files_the_oldest_after_the_trigger_is_the_part_s(camera: Camera, folder: Path):
    after = time.monotonic()
    renamed_into(folder, "b.png", 1)
    wait_for(lambda: camera.latest() is not None)
    renamed_into(folder, "a.png", 2)
    time.sleep(0.05)

    assert grab(camera, after) == 1


def test_a_file_that_comes_while_the_folder_is_read_is_not_older_than_a_trigger_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    driver = FolderDriver("top", str(tmp_path))
    driver.open()
    driver.arm()
    triggered: list[float] = []

    def read_late(folder: Path):
        if not triggered:
            triggered.append(time.monotonic())
            renamed_into(folder, "1.png", 1)
        return scandir(folder)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", read_late)
    time.sleep(0.6)  # By then it looks again, although the folder's time is the same.

    frame = driver.read(5.0)

    assert frame is not None
    assert frame.received > triggered[0]


@pytest.mark.parametrize("ages", [(0, 0, 0), (3, 2, 1)])
def test_files_found_at_once_come_by_age_and_then_as_their_names_count(tmp_path: Path, ages: tuple[int, int, int]):
    driver = FolderDriver("top", str(tmp_path))
    driver.open()
    driver.arm()
    names = ("9.png", "10.png", "11.png") if not any(ages) else ("c.png", "a.png", "b.png")
    now = time.time_ns()
    for value, (name, age) in enumerate(zip(names, ages, strict=True)):
        file = tmp_path / f"{name}.part"
        file.write_bytes(png(value))
        os.utime(file, ns=(now - age * 10**9,) * 2)
        file.rename(tmp_path / name)

    frames = [driver.read(5.0) for _ in names]

    assert [number_of(frame.load()[0]) for frame in frames] == [0, 1, 2]
    assert len({frame.received for frame in frames}) == 3  # By which a frame is told from others.


def test_a_file_that_another_process_writes_slowly_is_read_when_it_is_whole(
    camera: Camera, folder: Path, tmp_path: Path
):
    whole = tmp_path / "whole.bmp"
    whole.write_bytes(png(7, ".bmp"))
    words = ["/usr/bin/python3", "-c", SLOW_WRITER, str(whole), str(folder / "slow.bmp")]
    after = time.monotonic()

    with running(words, "on"):
        assert grab(camera, after) == 7
        assert time.monotonic() - after > 0.75


def test_a_file_that_stays_cut_off_is_named(camera: Camera, folder: Path):
    soon(lambda: (folder / "half.png").write_bytes(png(3)[:200]), 0.02)

    with pytest.raises(StationError, match=r"no new complete image in .*images in time: .*half\.png") as caught:
        grab(camera, seconds=0.5)

    assert caught.value.code == ErrorCode.ACQUISITION_TIMEOUT


@pytest.mark.faults
def test_a_file_that_is_damaged_for_good_is_an_incomplete_image(camera: Camera, folder: Path):
    soon(lambda: (folder / "half.png").write_bytes(png(3)[:200]), 0.02)

    with pytest.raises(StationError, match=r"half\.png") as caught:
        grab(camera, seconds=4)

    assert caught.value.code == ErrorCode.IMAGE_INCOMPLETE


def test_other_files_and_empty_ones_are_left_alone(camera: Camera, folder: Path):
    (folder / "notes.txt").write_text("x")
    (folder / "empty.png").touch()
    soon(lambda: renamed_into(folder, "1.png", 1))

    assert grab(camera) == 1


def test_a_folder_that_is_gone_is_a_lost_camera(camera: Camera, folder: Path):
    os.rename(folder, folder.with_name("away"))

    with pytest.raises(StationError, match="which cannot be read: No such file or directory") as caught:
        grab(camera)

    assert caught.value.code == ErrorCode.CAMERA_LOST


def test_a_folder_that_is_not_there_is_a_lost_camera(tmp_path: Path):
    with pytest.raises(StationError, match="nowhere, which cannot be read") as caught:
        open_camera("top", CameraConfiguration(kind="folder", source=str(tmp_path / "nowhere")))

    assert caught.value.code == ErrorCode.CAMERA_LOST
