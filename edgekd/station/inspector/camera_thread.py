"""A camera in a thread of its own, so that several cameras of a station take their images at once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from edgekd.station.cameras.camera import Camera, Grabbed
from edgekd.station.cameras.reconnect import ReconnectingCamera
from edgekd.station.configuration import CameraConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import CameraSettings

LOOKS = 0.1  # Seconds between two looks at a camera.
# Seconds for which a camera may take to open before it is reported: one that was another process's until now, which was
# killed, takes no new one for three seconds.
OPENING = 5.0
# Seconds until a new process is asked for where a driver does not return from opening a camera: twice in the time in
# which three deaths are a fault.
NEVER_OPENED = 300.0

Changed = Callable[[str, bool, ErrorCode, str], None]


class CameraThread:
    """Takes images with a camera, and tells when it comes and goes.

    Args:
        name: The camera's.
        configuration: What to open.
        changed: Called when the camera is there or lost: its name, whether it is there, why not, the same in one line.
        condemn: Called where its driver does not return and only a new process helps: why, in one line.
        on_frame: Called with the time of each frame; None where none is a trigger.
    """

    def __init__(
        self,
        name: str,
        configuration: CameraConfiguration,
        changed: Changed,
        condemn: Callable[[str], None],
        on_frame: Callable[[float], None] | None = None,
    ) -> None:
        self.name = name
        self._changed, self._condemn = changed, condemn
        self._since = time.monotonic()
        self._problem: StationError | None = None
        self._opened = threading.Event()  # Once in this process.
        self._told: bool | None = None
        self._condemned = False
        self._camera: Camera = ReconnectingCamera(name, configuration, self._is_lost, self._is_there, on_frame)
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"grabbing {name}", daemon=True)
        self._thread.start()

    def configure(self, settings: CameraSettings) -> None:
        """Sets what a recipe asks for, and makes the camera ready.

        Raises:
            StationError: The camera does not take a setting, or is lost.
        """
        self._submit(lambda: self._configure(settings)).result()

    def grab(self, after: float, deadline: float, exposed: Callable[[], None]) -> Future[Grabbed]:
        """Asks for the image that belongs to a trigger; see `edgekd.station.cameras.camera.Camera.grab`."""
        return self._submit(lambda: self._camera.grab(after, deadline, exposed))

    def close(self) -> None:
        """Gives the camera back; `join` waits for that."""
        self._work.put(None)

    def join(self, until: float) -> None:
        """Waits until the camera is given back.

        Args:
            until: `time.monotonic()` until which to wait at most.
        """
        self._thread.join(max(0.0, until - time.monotonic()))

    def _submit(self, work: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._work.put((future, work))
        return future

    def _configure(self, settings: CameraSettings) -> None:
        self._opened.wait(max(0.0, self._since + OPENING - time.monotonic()))
        self._camera.apply(settings)
        self._camera.arm()

    def _run(self) -> None:
        while True:
            try:
                asked = self._work.get(timeout=LOOKS)
            except queue.Empty:
                self._look()
                continue
            if asked is None:
                self._camera.close()
                return
            future, work = asked
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
            del asked, future, work  # They would keep the image.
            self._look()

    def _is_lost(self, problem: StationError) -> None:
        self._problem = problem

    def _is_there(self) -> None:
        self._problem = None
        self._opened.set()

    def _look(self) -> None:
        """Tells what has changed."""
        problem, opened, age = self._problem, self._opened.is_set(), time.monotonic() - self._since
        if problem is None and opened and self._told is not True:
            self._told = True
            self._changed(self.name, True, ErrorCode.NONE, "")
        elif problem is not None and self._told is not False and (opened or age > OPENING):
            self._told = False
            self._changed(self.name, False, problem.code, str(problem))
        if not self._condemned and (opened or age > NEVER_OPENED) and self._camera.hung:
            self._condemned = True
            self._condemn(f"the driver of camera '{self.name}' does not return")
