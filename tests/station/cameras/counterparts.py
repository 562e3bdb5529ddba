"""Real counterparts of cameras: servers and fake cameras as processes, and images that carry a number."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from edgekd.station.cameras.opening import make_driver
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.recipes import CameraSettings

HERE = Path(__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"
FAKE_CAMERA = "arv-fake-gv-camera-0.8"
GIGE_ADDRESS = "127.0.0.1"
FREE = CameraSettings(trigger="free_run", timeout_ms=2000)
BITS, BLOCK = 32, 16


def nothing() -> None:
    """What to call where nobody waits for the exposure's end."""


def numbered(number: int, width: int = 320, height: int = 240) -> np.ndarray:
    """A mono image that carries a number of 32 bits, in blocks that survive any codec."""
    image = np.full((height, width), 40, np.uint8)
    for bit in range(BITS):
        row, column = divmod(bit, width // BLOCK)
        block = image[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK]
        block[:] = 220 if number >> bit & 1 else 20
    return image


def number_of(image: np.ndarray) -> int:
    """The number that an image carries."""
    grey = image if image.ndim == 2 else image.mean(axis=2)
    number = 0
    for bit in range(BITS):
        row, column = divmod(bit, grey.shape[1] // BLOCK)
        middle = grey[row * BLOCK + 4 : row * BLOCK + 12, column * BLOCK + 4 : column * BLOCK + 12]
        number |= int(middle.mean() > 128) << bit
    return number


def free_port() -> int:
    """A TCP port that nobody uses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_for(condition: Callable[[], object], timeout_s: float = 10, what: str = "it") -> None:
    """Waits until something is so."""
    limit = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < limit, f"{what} did not happen within {timeout_s} s"
        time.sleep(0.01)


@contextlib.contextmanager
def running(words: Sequence[str], ready: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process, killed at the end; where `ready` is named, it prints it once it is up."""
    with subprocess.Popen(list(words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            if ready:
                assert process.stdout is not None
                assert ready in process.stdout.readline()
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()


def need_kind(kind: str, source: str = "first") -> None:
    """Skips where a kind's library is missing."""
    from edgekd.errors import MachineError

    try:
        make_driver("test", CameraConfiguration(kind=kind, source=source))  # type: ignore[arg-type]
    except MachineError as error:
        pytest.skip(str(error))


def need_rtsp_server() -> None:
    """Skips where GStreamer's RTSP server is missing."""
    check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    done = subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("needs an RTSP server: apt install gir1.2-gst-rtsp-server-1.0 python3-gst-1.0")


@contextlib.contextmanager
def rtsp_server(codec: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server whose images carry the time of their making, in milliseconds of `time.monotonic()`; and its port."""
    need_rtsp_server()
    port = free_port()
    with running([SYSTEM_PYTHON, str(HERE / "rtsp_server.py"), str(port), codec], "up") as server:
        yield server, port


@contextlib.contextmanager
def fake_gige_camera(*options: str) -> Iterator[subprocess.Popen[str]]:
    """A GigE Vision camera at 127.0.0.1, one at a time on a machine: the protocol has one port."""
    program = shutil.which(FAKE_CAMERA)
    if program is None:
        pytest.skip(f"needs {FAKE_CAMERA}: apt install aravis-tools")
    need_kind("aravis")
    with (Path(tempfile.gettempdir()) / f"{FAKE_CAMERA}.lock").open("w") as lock:
        wait_for(lambda: _locked(lock), 120, "the end of another fake camera")
        with running([program, "-i", GIGE_ADDRESS, *options]) as camera:
            wait_for(_answers, 5, "the fake camera's start")
            yield camera


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answers() -> bool:
    """Whether a GigE Vision camera answers to a read of its first register."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.1)
        asking.sendto(bytes.fromhex("4201008000040001") + bytes(4), (GIGE_ADDRESS, 3956))
        try:
            return len(asking.recv(64)) == 12
        except OSError:
            return False


def viky() -> Path:
    """The GenTL producer that the genicam package brings."""
    found = importlib.util.find_spec("genicam")
    if found is None or found.origin is None or not importlib.util.find_spec("harvesters"):
        pytest.skip("needs genicam and harvesters: pip install 'edgekd[genicam]'")
    return Path(found.origin).parent / "viky.cti"


class Proxy:
    """Forwards TCP to a port, and holds what comes back while `open` is not set."""

    def __init__(self, port: int) -> None:
        self._to, self.open = port, threading.Event()
        self.open.set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                threading.Thread(target=self._forward, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, client, True), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, held: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if held:
                    self.open.wait()
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """A server that accepts connections and says nothing; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        clients: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    clients.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield int(server.getsockname()[1])
        server.close()
        for client in clients:
            client.close()


def run_python(code: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Runs Python of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout_s, check=False)
