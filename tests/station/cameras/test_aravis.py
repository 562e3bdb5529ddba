"""Tests of GigE Vision cameras, against the fake camera of Aravis over the real protocol."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from edgekd.station.cameras.camera import Camera
from edgekd.station.cameras.opening import open_camera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import CameraSettings

from .counterparts import GIGE_ADDRESS, SYSTEM_PYTHON, fake_gige_camera, nothing, running, wait_for

SMALL = (0, 0, 128, 64)
TRIGGERED = CameraSettings(trigger="software", region=SMALL, timeout_ms=2000)
# On a machine that is busy packets of the fake camera are lost: these run where nothing else does.
each_packet_counts = pytest.mark.faults


@pytest.fixture
def address() -> Iterator[str]:
    with fake_gige_camera():
        yield GIGE_ADDRESS


def opened(address: str, settings: CameraSettings = TRIGGERED) -> Camera:
    camera = open_camera("top", CameraConfiguration(kind="aravis", source=address))
    camera.apply(settings)
    camera.arm()
    return camera


def failure(camera: Camera, seconds: float = 1.0) -> StationError:
    now = time.monotonic()
    with pytest.raises(StationError) as caught:
        camera.grab(now, now + seconds, nothing)
    assert time.monotonic() - now < seconds + 0.1
    return caught.value


@each_packet_counts
def test_each_software_trigger_gives_one_image_after_it(address: str):
    camera = opened(address)

    ids = []
    for _ in range(5):
        now = time.monotonic()
        grabbed = camera.grab(now, now + 2, nothing)
        assert grabbed.received > now
        assert grabbed.image.shape == (64, 128)
        ids.append(grabbed.frame_id)

    assert ids == list(range(ids[0], ids[0] + 5))
    camera.close()


@each_packet_counts
def test_what_a_recipe_sets_is_read_back(address: str):
    camera = open_camera("top", CameraConfiguration(kind="aravis", source=address))

    done = camera.apply(
        CameraSettings(trigger="software", pixel_format="Mono16", exposure_us=2500, gain=3, region=(16, 32, 256, 128))
    )
    camera.arm()
    now = time.monotonic()
    grabbed = camera.grab(now, now + 2, nothing)

    assert done == {
        "trigger": "software",
        "pixel_format": "Mono16",
        "region": (16, 32, 256, 128),
        "exposure_us": 2500.0,
        "gain": 3.0,
    }
    assert grabbed.image.shape == (128, 256)
    assert (str(grabbed.image.dtype), grabbed.bit_depth) == ("uint16", 16)
    camera.close()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"pixel_format": "Mono12p"}, "has no pixel_format Mono12p: set one of "),
        (
            {"region": (0, 0, 100_000, 64)},
            r"refuses region \[0, 0, 100000, 64\]: \[Width\] Value '100000' greater than",
        ),
        ({"exposure_us": 1e12}, "refuses exposure_us 1000000000000.0: .*greater than allowed maximum '1e.07'"),
        ({"white_balance": (1.2, 1.3)}, "has no white_balance"),
        ({"trigger": "hardware", "line": "Line77"}, "refuses trigger hardware: .*Line77"),
    ],
)
def test_a_setting_that_is_not_taken_is_named(address: str, setting: dict[str, object], said: str):
    camera = open_camera("top", CameraConfiguration(kind="aravis", source=address))

    with pytest.raises(StationError, match=said) as caught:
        camera.apply(CameraSettings(**setting))  # type: ignore[arg-type]

    assert caught.value.code == ErrorCode.LOADING_FAILED
    assert "\n" not in str(caught.value)
    camera.close()


@each_packet_counts
def test_a_hardware_trigger_that_never_comes_is_a_timeout(address: str):
    camera = opened(address, CameraSettings(trigger="hardware", line="Line0", region=SMALL, timeout_ms=200))

    error = failure(camera)

    assert error.code == ErrorCode.ACQUISITION_TIMEOUT
    assert "waited for a trigger at Line0 and sent no image in time" in str(error)
    camera.close()


@each_packet_counts
def test_a_free_running_camera_gives_the_first_image_after_the_trigger(address: str):
    camera = opened(address, CameraSettings(trigger="free_run", region=SMALL, timeout_ms=2000))

    for _ in range(3):
        now = time.monotonic()
        assert camera.grab(now, now + 2, nothing).received > now
    assert camera.latest() is not None
    camera.close()


@each_packet_counts
def test_a_change_of_settings_while_armed_leaves_it_armed(address: str):
    camera = opened(address)
    camera.apply(CameraSettings(trigger="software", region=(0, 0, 256, 64), timeout_ms=2000))

    now = time.monotonic()

    assert camera.grab(now, now + 2, nothing).image.shape == (64, 256)
    camera.close()


def test_a_camera_that_is_closed_is_free_although_somebody_has_an_error_of_it(address: str):
    camera = open_camera("top", CameraConfiguration(kind="aravis", source=address))
    freed: list[bool] = []
    camera._driver._camera.get_device().weak_ref(lambda: freed.append(True))  # type: ignore[attr-defined]

    with pytest.raises(StationError) as caught:
        camera.apply(CameraSettings(white_balance=(1.2, 1.3)))
    camera.close()

    assert freed, "its heartbeat goes on, and whoever frees it later waits for a camera that may be gone"
    assert caught.value.code == ErrorCode.LOADING_FAILED


HOLDER = """
import sys, time, gi
gi.require_version("Aravis", "0.8")
from gi.repository import Aravis
camera = Aravis.Camera.new(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.faults
def test_a_camera_that_another_program_has_is_named(address: str):
    with running([SYSTEM_PYTHON, "-c", HOLDER, address], "held"):
        with pytest.raises(StationError, match="is controlled by another program: close it there") as caught:
            opened(address)
        assert caught.value.code == ErrorCode.CAMERA_LOST


@pytest.mark.faults
def test_packets_that_are_lost_make_incomplete_images_and_no_other():
    settings = CameraSettings(trigger="software", region=(0, 0, 512, 512), timeout_ms=2000)
    with fake_gige_camera("-r", "5"):
        camera = opened(GIGE_ADDRESS, settings)
        said = []
        for _ in range(25):
            now = time.monotonic()
            try:
                said.append(camera.grab(now, now + 2, nothing).image.shape)
            except StationError as error:
                assert time.monotonic() - now < 2.1
                said.append(error.code)
        camera.close()

    assert set(said) == {(512, 512), ErrorCode.IMAGE_INCOMPLETE}


@pytest.mark.faults
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_camera_that_dies_in_service_is_an_error_in_time_and_then_lost(how: signal.Signals):
    with fake_gige_camera() as fake:
        camera = opened(GIGE_ADDRESS)
        now = time.monotonic()
        camera.grab(now, now + 2, nothing)

        fake.send_signal(how)

        assert failure(camera, 0.3).code == ErrorCode.ACQUISITION_TIMEOUT
        wait_for(lambda: failure(camera, 0.3).code == ErrorCode.CAMERA_LOST, 12, "the loss")
        camera.close()


@pytest.mark.faults
def test_a_camera_that_is_absent_is_lost_and_says_so():
    with pytest.raises(StationError, match=r"\(127\.80\.0\.1\) cannot be opened") as caught:
        open_camera("top", CameraConfiguration(kind="aravis", source="127.80.0.1"))

    assert caught.value.code == ErrorCode.CAMERA_LOST
