"""Tests of streams: no image of before the trigger counts, whatever happens to the stream."""

from __future__ import annotations

import contextlib
import http.server
import signal
import threading
import time
from collections.abc import Iterator

import cv2
import pytest

from edgekd.errors import EdgekdError
from edgekd.station.cameras.camera import Camera, Grabbed
from edgekd.station.cameras.opening import open_camera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode, StationError

from .counterparts import FREE, Proxy, free_port, nothing, number_of, numbered, rtsp_server, run_python, silent_server

# A stream is behind the scene by its encoder and its network, always; on a busy machine some more.
BEHIND_S = 0.35


def opened(url: str) -> Camera:
    camera = open_camera("top", CameraConfiguration(kind="url", source=url))
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


def failure(camera: Camera, seconds: float) -> StationError:
    now = time.monotonic()
    with pytest.raises(StationError) as caught:
        camera.grab(now, now + seconds, nothing)
    assert time.monotonic() - now < seconds + 0.1
    return caught.value


class MotionJpeg(http.server.BaseHTTPRequestHandler):
    """Motion JPEG at 25 images a second."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                image = cv2.imencode(".jpg", numbered(int(time.monotonic() * 1e3)))[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
                self.wfile.write(head.encode() + image + b"\r\n")
                time.sleep(0.04)

    def log_message(self, *words: object) -> None: ...


@pytest.fixture
def http_port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), MotionJpeg) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_an_http_stream_gives_images_of_after_the_trigger(http_port: int):
    proxy = Proxy(http_port)
    camera = opened(f"http://127.0.0.1:{proxy.port}/")
    assert max(age_s(grab(camera)) for _ in range(5)) < BEHIND_S

    proxy.open.clear()
    time.sleep(0.6)
    threading.Timer(0.2, proxy.open.set).start()

    assert max(age_s(grab(camera)) for _ in range(10)) < BEHIND_S
    camera.close()
    proxy.close()


@pytest.mark.faults
@pytest.mark.parametrize("codec", ["jpeg", "h264"])
def test_what_an_rtsp_stream_buffered_in_a_stall_does_not_count(codec: str):
    with rtsp_server(codec) as (_, port):
        proxy = Proxy(port)
        camera = opened(f"rtsp://127.0.0.1:{proxy.port}/camera")
        ages = [age_s(grab(camera)) for _ in range(10)]
        for _ in range(3):
            proxy.open.clear()
            time.sleep(0.9)
            threading.Timer(0.1, proxy.open.set).start()
            ages += [age_s(grab(camera)) for _ in range(30)]
        camera.close()
        proxy.close()

    assert max(ages) < BEHIND_S


@pytest.mark.faults
@pytest.mark.parametrize("codec", ["jpeg", "h264"])
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_an_rtsp_stream_that_stops_is_an_error_in_time_and_then_lost(codec: str, how: signal.Signals):
    with rtsp_server(codec) as (server, port):
        camera = opened(f"rtsp://127.0.0.1:{port}/camera")
        grab(camera)
        server.send_signal(how)
        time.sleep(0.2)

        codes = [failure(camera, 0.4).code for _ in range(12)]

        assert set(codes) == {ErrorCode.IMAGE_STALE}
        camera.close()


@pytest.mark.faults
def test_a_server_that_accepts_and_is_silent_is_a_lost_camera_in_time():
    with silent_server() as port:
        for scheme in ("rtsp", "http"):
            started = time.monotonic()
            with pytest.raises(StationError, match="camera 'top'") as caught:
                opened(f"{scheme}://127.0.0.1:{port}/camera")
            assert caught.value.code == ErrorCode.CAMERA_LOST
            assert time.monotonic() - started < 13


LEFT_OPEN = """
import time
from edgekd.station.cameras.opening import open_camera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.recipes import CameraSettings
camera = open_camera("top", CameraConfiguration(kind="url", source="http://127.0.0.1:{port}/"))
camera.apply(CameraSettings(trigger="free_run"))
camera.arm()
print(camera.grab(time.monotonic(), time.monotonic() + 2, lambda: None).image.shape)
"""


def test_a_process_ends_cleanly_although_it_leaves_a_stream_open(http_port: int):
    done = run_python(LEFT_OPEN.format(port=http_port), 30)

    assert (done.stdout, done.returncode) == ("(240, 320, 3)\n", 0), done.stderr


def test_a_server_that_is_not_there_is_named_without_its_password():
    with pytest.raises(StationError, match="cannot be opened: check its address") as caught:
        opened(f"http://operator:secret@127.0.0.1:{free_port()}/")

    assert "secret" not in str(caught.value)


def test_another_scheme_is_refused():
    with pytest.raises(EdgekdError, match="source must begin with one of rtsp://"):
        opened("file:///etc/passwd")
