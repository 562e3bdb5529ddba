"""Opens a camera again and again until it is there, and again when it is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from edgekd.errors import EdgekdError
from edgekd.station.cameras.camera import Camera, Grabbed
from edgekd.station.cameras.opening import make_driver
from edgekd.station.cameras.threaded import ThreadedCamera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import CameraSettings

logger = logging.getLogger(__name__)

LONGEST_WAIT_S = 30.0
LOOK_S = 0.2
MOST_LEAVING = 3  # Threads whose driver has not returned; more would only use up memory.


class ReconnectingCamera(Camera):
    """A camera that comes back with its settings; while it is lost, `grab` answers at once.

    Args:
        name: As the configuration names it.
        configuration: What it is.
        on_lost: Called with the reason, in a thread of its own, also where the camera is not there at first.
        on_regained: Called when it is there, also for the first time.
        on_frame: See `edgekd.station.cameras.threaded.ThreadedCamera`.
    """

    def __init__(
        self,
        name: str,
        configuration: CameraConfiguration,
        on_lost: Callable[[StationError], None],
        on_regained: Callable[[], None],
        on_frame: Callable[[float], None] | None = None,
    ) -> None:
        self.name = name
        self._configuration = configuration
        self._on_lost, self._on_regained, self._on_frame = on_lost, on_regained, on_frame
        self._lock = threading.Lock()
        self._camera: ThreadedCamera | None = None
        self._reason = self._lost("is not open yet")
        self._settings: CameraSettings | None = None
        self._armed = self._told_lost = False
        self._leaving: list[ThreadedCamera] = []
        self._ready, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep_open, name=f"camera {name} connection", daemon=True)
        self._thread.start()

    def wait_until_open(self, timeout_s: float) -> bool:
        """Waits until the camera is there.

        Args:
            timeout_s: How long.
        """
        return self._ready.wait(timeout_s)

    def apply(self, settings: CameraSettings) -> dict[str, object]:
        done = self._present().apply(settings)
        self._settings = settings
        return done

    def arm(self) -> None:
        self._present().arm()
        self._armed = True

    def grab(self, after: float, deadline: float, exposed: Callable[[], None]) -> Grabbed:
        return self._present().grab(after, deadline, exposed)

    def latest(self) -> Grabbed | None:
        camera = self._camera
        return camera.latest() if camera is not None else None

    @property
    def last_received(self) -> float | None:
        camera = self._camera
        return camera.last_received if camera is not None else None

    @property
    def hung(self) -> bool:
        return any(camera.hung for camera in list(self._leaving))

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _present(self) -> ThreadedCamera:
        with self._lock:
            if self._camera is None:
                raise StationError(self._reason.code, str(self._reason))
            return self._camera

    def _keep_open(self) -> None:
        wait = self._configuration.reconnect_s
        while not self._closing.is_set():
            opened = self._open()
            if opened is None:
                self._closing.wait(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)
                continue
            since = time.monotonic()
            self._watch(opened)
            # A camera that is lost again at once is no more there than one that cannot be opened.
            if time.monotonic() - since > LONGEST_WAIT_S:
                wait = self._configuration.reconnect_s
            self._closing.wait(wait)

    def _open(self) -> ThreadedCamera | None:
        self._leaving = [camera for camera in self._leaving if camera.closing]
        if len(self._leaving) >= MOST_LEAVING:
            self._lose(self._lost("hangs in its driver: the station restarts its inspector"))
            return None
        try:
            driver = make_driver(self.name, self._configuration)
        except EdgekdError as error:  # A folder that is not there yet, a library that is missing: other cameras go on.
            self._lose(error)
            return None
        camera = ThreadedCamera(self.name, driver, self._on_frame)
        try:
            camera.wait_until_open()
            if self._settings is not None:
                camera.apply(self._settings)
            if self._armed:
                camera.arm()
        except EdgekdError as error:
            self._put_away(camera)
            self._lose(error)
            return None
        with self._lock:
            if self._closing.is_set():
                camera.close()
                return None
            self._camera = camera
        self._told_lost = False
        self._ready.set()
        self._tell(self._on_regained)
        return camera

    def _watch(self, camera: ThreadedCamera) -> None:
        """Returns when the camera is lost."""
        while not self._closing.is_set():
            if (failure := camera.wait_for_failure(LOOK_S)) is not None:
                self._lose(failure)
                self._put_away(camera)
                return

    def _put_away(self, camera: ThreadedCamera) -> None:
        camera.close()
        if camera.closing:
            self._leaving.append(camera)

    def _lose(self, failure: EdgekdError) -> None:
        reason = StationError(ErrorCode.CAMERA_LOST, str(failure))
        with self._lock:
            self._camera, self._reason = None, reason
        self._ready.clear()
        if not self._told_lost:
            self._told_lost = True
            logger.warning("%s", reason)
            self._tell(lambda: self._on_lost(reason))

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # Whoever is told may not keep the camera from coming back.
            logger.exception("camera '%s': what is called when it comes or goes failed", self.name)

    def _lost(self, reason: str) -> StationError:
        return StationError(ErrorCode.CAMERA_LOST, f"camera '{self.name}' {reason}")
