"""A camera whose driver is called in a thread of its own, so that a call that never returns costs an image, no more."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgekd.errors import EdgekdError, one_line
from edgekd.station.cameras.camera import Camera, Grabbed
from edgekd.station.cameras.driver import Driver, RawFrame
from edgekd.station.error_codes import CAMERA_GONE, ErrorCode, StationError
from edgekd.station.recipes import FREE_RUN, SOFTWARE, CameraSettings

logger = logging.getLogger(__name__)

SLICE_S = 0.05  # A read waits no longer, so that requests are soon served; some drivers' reads cannot be limited.
KEPT = 3  # Frames, for a caller that comes a little late.
CLOSE_S = 2.0
LAST_OF_16_BITS = 65535  # GigE Vision 1 counts frames from 1 to this and begins again.
FIRST_NUMBERS = (0, 1)

_cameras: weakref.WeakSet[ThreadedCamera] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Ends the threads before Python ends: one that came back from C++ later would abort the process."""
    cameras = list(_cameras)
    for camera in cameras:
        camera.end()
    limit = time.monotonic() + CLOSE_S
    for camera in cameras:
        camera.wait_for_end(max(limit - time.monotonic(), 0))


def _bare(error: EdgekdError) -> EdgekdError:
    """An error without its traceback, which would keep the camera open as long as anybody has the error."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


class Request:
    """A call of the driver that somebody waits for."""

    def __init__(self, call: Callable[[Request], Any]) -> None:
        self.call = call
        self.done = threading.Event()
        self.result: Any = None
        self.error: EdgekdError | None = None
        self.abandoned = False


class ThreadedCamera(Camera):
    """A camera of any kind; opening it is the first thing that its thread does.

    Args:
        name: As the configuration names it.
        driver: Its kind's.
        on_frame: Called in its thread with the time of each frame that comes while it is armed, `Grabbed.received`.
    """

    def __init__(self, name: str, driver: Driver, on_frame: Callable[[float], None] | None = None) -> None:
        self.name = name
        self._driver, self._on_frame = driver, on_frame
        self._changed = threading.Condition()
        self._requests: deque[Request] = deque()
        self._frames: deque[RawFrame] = deque(maxlen=KEPT)
        self._newest: RawFrame | None = None
        self._settings = CameraSettings(trigger="free_run")
        self._armed = self._asked = self._unanswered = self._closing = False
        self._last_id: int | None = None
        self._failure: EdgekdError | None = None
        self._calling_since: float | None = None
        self._call_s = driver.open_s
        self._opened = Request(lambda _: driver.open())
        # A daemon: the process ends although a driver hangs.
        self._thread = threading.Thread(target=self._work, name=f"camera {name}", daemon=True)
        _cameras.add(self)
        self._thread.start()

    def wait_until_open(self) -> None:
        """Waits until the camera is open, at most as long as its kind may take.

        Raises:
            StationError: CAMERA_LOST: it cannot be opened, or not in that time.
        """
        self._wait_for(self._opened, self._driver.open_s)

    # What others call.

    def apply(self, settings: CameraSettings) -> dict[str, object]:
        def call(_: Request) -> dict[str, object]:
            was_armed = self._armed
            if was_armed:
                self._disarm()
            done = self._driver.apply(settings)
            self._settings = settings
            if was_armed:
                self._arm()
            return done

        done: dict[str, object] = self._ask(call)
        return done

    def arm(self) -> None:
        self._ask(lambda _: self._arm())

    def grab(self, after: float, deadline: float, exposed: Callable[[], None]) -> Grabbed:
        limit = min(deadline, time.monotonic() + self._settings.timeout_ms / 1e3)
        if not self._armed:
            self._raise_failure()
            raise StationError(
                ErrorCode.ACQUISITION_TIMEOUT, f"camera '{self.name}' is not armed: load the recipe again"
            )
        request = self._post(self._shoot) if self._settings.trigger == SOFTWARE else None
        try:
            frame = self._next(after, limit, request)
        finally:
            if request is not None:
                self._finish_shot(request)
        if frame.incomplete:
            raise StationError(ErrorCode.IMAGE_INCOMPLETE, f"camera '{self.name}': {frame.incomplete}")
        exposed()
        return self._load(frame)

    def latest(self) -> Grabbed | None:
        frame = self._newest
        return self._load(frame) if frame is not None and not frame.incomplete else None

    @property
    def last_received(self) -> float | None:
        frame = self._newest
        return None if frame is None else frame.received

    @property
    def hung(self) -> bool:
        since, longest = self._calling_since, self._call_s
        return since is not None and time.monotonic() - since > longest

    @property
    def failure(self) -> EdgekdError | None:
        """Why the camera is lost; None while it is not."""
        if self._failure is None and self.hung:
            return self._driver.lost("hangs in its driver: the station restarts its inspector")
        return self._failure

    @property
    def closing(self) -> bool:
        """Whether `close` was called and the driver has not returned yet."""
        return self._closing and self._thread.is_alive()

    def wait_for_failure(self, timeout_s: float) -> EdgekdError | None:
        """Waits until the camera is lost.

        Args:
            timeout_s: How long.

        Returns:
            Why it is lost; None where it is not.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None, timeout_s)
        return self.failure

    def close(self) -> None:
        self.end()
        self.wait_for_end(CLOSE_S)
        if self.closing:
            logger.info("camera '%s' is still closing: its driver has not returned yet", self.name)

    def end(self) -> None:
        """Asks the thread to end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def wait_for_end(self, timeout_s: float) -> None:
        """Waits for the thread's end.

        Args:
            timeout_s: How long.
        """
        self._thread.join(timeout_s)

    def _post(self, call: Callable[[Request], Any]) -> Request:
        request = Request(call)
        with self._changed:
            self._raise_failure()
            self._requests.append(request)
            self._changed.notify_all()
        return request

    def _ask(self, call: Callable[[Request], Any]) -> Any:
        return self._wait_for(self._post(call), self._driver.call_s)

    def _wait_for(self, request: Request, timeout_s: float) -> Any:
        if not request.done.wait(timeout_s):
            request.abandoned = True
            raise self._driver.lost(f"does not answer within {timeout_s:g} s: check its cable and power")
        if request.error is not None:
            raise request.error
        return request.result

    def _raise_failure(self) -> None:
        if (failure := self.failure) is not None:
            raise failure

    def _next(self, after: float, limit: float, request: Request | None) -> RawFrame:
        """The first frame after a trigger that counts."""
        with self._changed:
            while True:
                if request is None or request.done.is_set():
                    new = [each for each in self._frames if each.received > after and not each.stale]
                    if new:  # A folder's files may be complete in another order than that in which they came.
                        return min(new, key=lambda each: each.received)
                if request is not None and request.error is not None:
                    raise request.error
                self._raise_failure()
                remaining = limit - time.monotonic()
                if remaining <= 0:
                    raise self._nothing_came(after)
                self._changed.wait(remaining)

    def _nothing_came(self, after: float) -> StationError:
        text = f"camera '{self.name}' {self._driver.silence(self._settings)}"
        if self._settings.trigger != FREE_RUN:
            return StationError(ErrorCode.ACQUISITION_TIMEOUT, text)
        old = next((frame.stale for frame in reversed(self._frames) if frame.received > after and frame.stale), "")
        return StationError(ErrorCode.IMAGE_STALE, f"{text} (an old one came: {old})" if old else text)

    def _finish_shot(self, request: Request) -> None:
        """Whatever still comes of this trigger belongs to no later one."""
        with self._changed:
            request.abandoned = True
            if self._asked:
                self._asked, self._unanswered = False, True
                self._changed.notify_all()

    def _load(self, frame: RawFrame) -> Grabbed:
        image, bit_depth = frame.load()
        if (cut := self._driver.cut) is not None:
            x, y, width, height = cut
            if x + width > image.shape[1] or y + height > image.shape[0]:
                text = f"camera '{self.name}' sent {image.shape[1]} x {image.shape[0]} pixels, too few for {list(cut)}"
                raise StationError(ErrorCode.IMAGE_FORMAT, f"{text}: change the region in the recipe")
            image = image[y : y + height, x : x + width]
        return Grabbed(image, frame.frame_id, frame.received, bit_depth)

    # What the thread does.

    def _work(self) -> None:
        try:
            self._serve(self._opened)
            self._call_s = self._driver.call_s
            while self._opened.error is None and not self._closing:
                self._called(self._driver.check)
                if self._unanswered:
                    self._called(self._arm_again)
                request = self._next_request()
                if request is not None:
                    self._serve(request)
                elif self._reading:
                    self._take(self._called(lambda: self._driver.read(SLICE_S)))
        except EdgekdError as failure:
            self._fail(failure)
        except Exception as failure:  # A driver's own kinds; none may end the thread in silence.
            logger.debug("camera '%s'", self.name, exc_info=True)
            self._fail(self._driver.lost(f"failed: {one_line(failure)}"))
        finally:
            with contextlib.suppress(Exception):
                self._called(self._driver.close)

    @property
    def _reading(self) -> bool:
        return self._driver.streams or (self._armed and (self._asked or self._settings.trigger != SOFTWARE))

    def _next_request(self) -> Request | None:
        with self._changed:
            if not self._requests and not self._closing and not self._reading:
                self._changed.wait(SLICE_S * 4)
            return self._requests.popleft() if self._requests and not self._closing else None

    def _serve(self, request: Request) -> None:
        if request.abandoned:
            return
        try:
            request.result = self._called(lambda: request.call(request))
        except EdgekdError as error:
            request.error = _bare(error)
        except Exception as error:
            logger.debug("camera '%s'", self.name, exc_info=True)
            request.error = self._driver.lost(f"failed: {one_line(error)}")
        finally:
            with self._changed:
                request.done.set()
                self._changed.notify_all()
        if isinstance(request.error, StationError) and request.error.code in CAMERA_GONE:
            raise request.error

    def _called(self, call: Callable[[], Any]) -> Any:
        self._calling_since = time.monotonic()
        try:
            return call()
        finally:
            self._calling_since = None

    def _arm(self) -> None:
        if not self._armed:
            self._start()
            self._armed = True

    def _start(self) -> None:
        with self._changed:
            self._frames.clear()
            self._newest = self._last_id = None
        self._driver.arm()
        self._asked = self._unanswered = False

    def _arm_again(self) -> None:
        """Ends the wait for an image that did not come in time, so that it never comes."""
        self._driver.disarm()
        self._start()

    def _disarm(self) -> None:
        self._armed = False
        self._driver.disarm()

    def _shoot(self, request: Request) -> None:
        """Asks for an image, once nothing that was asked for before can be taken for it."""
        if self._unanswered:
            self._arm_again()
        while (frame := self._driver.read(0)) is not None:
            self._last_id = frame.frame_id
        with self._changed:
            if request.abandoned:
                return
            self._frames.clear()
            self._asked = True
        self._driver.trigger()

    def _take(self, frame: RawFrame | None) -> None:
        if frame is None:
            return
        frame, self._last_id = self._counted(frame), frame.frame_id
        with self._changed:
            self._frames.append(frame)
            self._newest, self._asked = frame, False
            self._changed.notify_all()
        if self._on_frame is not None and self._armed and not frame.stale:
            self._on_frame(frame.received)

    def _counted(self, frame: RawFrame) -> RawFrame:
        """Marks a frame before which another one was lost: it may be the one that was waited for."""
        last, number = self._last_id, frame.frame_id
        if not self._driver.numbered or self._settings.trigger == FREE_RUN or last is None or number is None:
            return frame
        follows = number == last + 1 or (last == LAST_OF_16_BITS and number in FIRST_NUMBERS)
        if follows or frame.incomplete:
            return frame
        return replace(
            frame, incomplete=f"frame {number} came after frame {last}: one was lost, check cable and network"
        )

    def _fail(self, failure: EdgekdError) -> None:
        logger.info("%s", failure)
        with self._changed:
            self._failure = _bare(failure)
            for request in self._requests:
                request.error = failure
                request.done.set()
            self._requests.clear()
            self._changed.notify_all()
