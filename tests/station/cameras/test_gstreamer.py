"""Tests of GStreamer pipelines."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.station.cameras.camera import Camera, Grabbed
from edgekd.station.cameras.opening import open_camera
from edgekd.station.cameras.reconnect import ReconnectingCamera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import CameraSettings

from .counterparts import FREE, Proxy, need_kind, nothing, number_of, rtsp_server, wait_for

LIVE = "videotestsrc is-live=true pattern=red ! video/x-raw,width=102,height=50,framerate=50/1"


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    need_kind("gstreamer", "videotestsrc")


def opened(pipeline: str) -> Camera:
    camera = open_camera("top", CameraConfiguration(kind="gstreamer", source=pipeline))
    camera.apply(FREE)
    camera.arm()
    return camera


def grab(camera: Camera, seconds: float = 2.0) -> Grabbed:
    now = time.monotonic()
    grabbed = camera.grab(now, now + seconds, nothing)
    assert grabbed.received > now
    return grabbed


def age_s(grabbed: Grabbed) -> float:
    """How much older an image is than its arrival."""
    return grabbed.received - number_of(grabbed.image) / 1e3


def age_of_one(camera: Camera, ages: list[float]) -> bool:
    """Whether there was an image; its age goes to the others."""
    try:
        ages.append(age_s(grab(camera, 0.5)))
    except StationError:
        return False
    return True


def failure_code(camera: Camera) -> ErrorCode:
    now = time.monotonic()
    with pytest.raises(StationError) as caught:
        camera.grab(now, now + 0.3, nothing)
    return caught.value.code


@pytest.mark.parametrize("pixel_format", ["BGR", "RGBx", "YUY2"])
def test_a_pipeline_s_own_format_becomes_bgr(pixel_format: str):
    camera = opened(f"{LIVE},format={pixel_format}")

    image = grab(camera).image

    assert image.shape == (50, 102, 3)  # Rows of 102 pixels are padded.
    assert np.abs(image.astype(int) - (0, 0, 255)).max() <= 3
    camera.close()


def test_a_mosaic_and_an_appsink_of_the_pipeline_s_own():
    camera = opened(
        "videotestsrc is-live=true pattern=green ! video/x-bayer,format=grbg,width=104,height=50,framerate=50/1"
        " ! appsink name=mine max-buffers=50 drop=false sync=true"
    )

    image = grab(camera).image

    assert np.abs(image[2:-2, 2:-2].astype(int) - (0, 255, 0)).max() <= 3
    camera.close()


def test_mono_of_8_bits_stays_mono():
    camera = opened(f"{LIVE},format=GRAY8")

    assert grab(camera).image.shape == (50, 102)
    camera.close()


def test_a_pipeline_that_ends_is_lost():
    camera = opened(
        "videotestsrc is-live=true num-buffers=100 ! video/x-raw,width=64,height=48,framerate=50/1,format=BGR"
    )
    said: list[StationError] = []

    def ended() -> bool:
        try:
            grab(camera)
        except StationError as error:
            said.append(error)
        return bool(said)

    wait_for(ended)
    assert "has come to the end of its pipeline" in str(said[0])
    assert said[0].code == ErrorCode.IMAGE_STALE
    camera.close()


@pytest.mark.faults
def test_what_a_pipeline_buffered_in_a_stall_does_not_count_and_one_that_stays_behind_is_opened_again():
    # GStreamer's own buffer keeps some of a stall as a delay.
    with rtsp_server("jpeg") as (server, port):
        proxy = Proxy(port)
        source = f"rtspsrc location=rtsp://127.0.0.1:{proxy.port}/camera protocols=tcp latency=50"
        source += " ! rtpjpegdepay ! jpegdec ! videoconvert ! video/x-raw,format=BGR"
        configuration = CameraConfiguration(kind="gstreamer", source=source, reconnect_s=0.1)
        camera = ReconnectingCamera("top", configuration, lambda _: None, lambda: None)
        assert camera.wait_until_open(12)
        camera.apply(FREE)
        camera.arm()
        ages = [age_s(grab(camera)) for _ in range(10)]
        for _ in range(2):
            proxy.open.clear()
            time.sleep(0.9)
            threading.Timer(0.1, proxy.open.set).start()
            wait_for(lambda: age_of_one(camera, ages), 20, "an image after the stall")
            for _ in range(20):
                age_of_one(camera, ages)
        server.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        codes = {failure_code(camera) for _ in range(12)}
        camera.close()
        proxy.close()

    assert max(ages) < 0.35
    assert codes <= {ErrorCode.IMAGE_STALE, ErrorCode.CAMERA_LOST}


def test_a_pipeline_with_a_mistake_is_refused_before_anything_is_opened():
    with pytest.raises(EdgekdError, match=r"the pipeline is not valid: .*nosuchelement"):
        open_camera("top", CameraConfiguration(kind="gstreamer", source="nosuchelement ! videoconvert"))


def test_a_source_that_is_missing_is_a_lost_camera():
    with pytest.raises(StationError, match=r"failed in its pipeline: .*") as caught:
        open_camera("top", CameraConfiguration(kind="gstreamer", source="filesrc location=/nowhere.png ! pngdec"))

    assert caught.value.code == ErrorCode.CAMERA_LOST


def test_a_software_trigger_is_refused():
    camera = open_camera("top", CameraConfiguration(kind="gstreamer", source=f"{LIVE},format=BGR"))

    with pytest.raises(StationError, match='has no trigger "software": set it to "free_run"') as caught:
        camera.apply(CameraSettings())

    assert caught.value.code == ErrorCode.LOADING_FAILED
    camera.close()
