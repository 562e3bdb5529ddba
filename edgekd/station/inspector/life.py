"""One life of the inspector's process: what it was asked, and who waits for the answer."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector.child import Child, start_child
from edgekd.station.inspector.listeners import Listeners, tell
from edgekd.station.inspector.messages import (
    Beat,
    CameraChanged,
    Condemned,
    Configure,
    Exposed,
    FrameReceived,
    FromInspector,
    Inspect,
    Judged,
    Load,
    Message,
    Ready,
    Replied,
    SelfTest,
    Snap,
    Stored,
    Unload,
    Warned,
)
from edgekd.station.parts import Acquisition, Inspected
from edgekd.station.ports import StoredImage
from edgekd.station.tasks import within

STARTING = 60.0  # Seconds for which a process may start: it imports OpenCV and a back end on a machine that is busy.

logger = logging.getLogger(__name__)


@dataclass
class PartInWork:
    """An acquisition that the process works on.

    Attributes:
        acquisition: The part.
        exposed: Called when it may move.
        answer: What the process says of it.
        late: Whether nobody waits for that any more.
    """

    acquisition: Acquisition
    exposed: Callable[[], None]
    answer: asyncio.Future[Inspected]
    late: bool = False


class Life:
    """A process, and what it was asked. Everything happens in the event loop.

    Args:
        listeners: Whom to tell what it says unasked.

    Attributes:
        serving: Whether it judges: it is ready, and knows the recipes that were loaded.
        condemned: Since when, and why, it is to be ended: only a new process helps.
        parts: In work, by station and acquisition; also those that nobody waits for any more.
    """

    def __init__(self, listeners: Listeners) -> None:
        self._listeners = listeners
        self._child: Child | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests: dict[int, asyncio.Future[Replied]] = {}
        self._numbers = itertools.count(1)
        self._preloading = False
        self.serving = False
        self.condemned: tuple[float, str] | None = None
        self.parts: dict[tuple[str, int], PartInWork] = {}

    @property
    def pid(self) -> int | None:
        """Of the process; None where it has ended."""
        return self._child.pid if self._child is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether the process is there; it may still respond to nothing."""
        return self._child is not None and self._child.alive

    @property
    def heard(self) -> float:
        """`time.monotonic()` of its last message."""
        return self._child.heard if self._child is not None else -float("inf")

    @property
    def ready(self) -> bool:
        """Whether it has started."""
        return self._ready.done()

    @property
    def loading(self) -> bool:
        """Whether it loads or tests a recipe, during which a library may hold Python's lock."""
        return self._preloading or bool(self._requests)

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for a part."""
        return any(not part.late for part in self.parts.values())

    async def start(self, command: Sequence[str], configure: Configure) -> None:
        """Starts the process, and waits until it is ready.

        Args:
            command: What is started; see `start_child`.
            configure: The first message.

        Raises:
            StationError: INSPECTOR_DIED: it does not start.
        """
        try:
            self._child = await start_child(command, configure, self._receive)
        except OSError as error:
            raise StationError(ErrorCode.INSPECTOR_DIED, f"the inspector cannot be started: {error}") from error
        ended = asyncio.ensure_future(self._child.ended())
        try:
            either: set[asyncio.Future[Any]] = {self._ready, ended}
            await asyncio.wait(either, timeout=STARTING, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self.kill("it is not wanted any more")
            raise
        finally:
            ended.cancel()
        if self.ready:
            return
        self.kill("it did not start in time")
        why = await self._child.ended()
        raise StationError(ErrorCode.INSPECTOR_DIED, f"the inspector does not start: {why}; see its log")

    def send(self, message: Message) -> None:
        """Sends a message; never waits."""
        if self._child is not None:
            self._child.send(message)

    def kill(self, reason: str) -> None:
        """Ends the process at once."""
        if self._child is not None:
            self._child.kill(reason)

    async def ended(self) -> str:
        """Waits until the process has ended; whoever waited for something of it gets its error.

        Returns:
            Why, in one line.
        """
        assert self._child is not None
        why = f"the inspector ended: {await self._child.ended()}"
        self.serving = False
        for part in self.parts.values():
            if not part.answer.done():
                part.answer.set_result(failed(part.acquisition, ErrorCode.INSPECTOR_DIED, why))
        for request in self._requests.values():
            if not request.done():
                request.set_exception(StationError(ErrorCode.INSPECTOR_DIED, why))
        return why

    async def ask(
        self, message: Callable[[int], Load | Unload | SelfTest | Snap], seconds: float, otherwise: ErrorCode
    ) -> Replied:
        """Asks for something and waits for the answer.

        Args:
            message: Makes the message, from the number of the request.
            seconds: For which it may take; then the process is killed.
            otherwise: What it is where there is no answer.

        Raises:
            StationError: There is no answer, or it is an error.
        """
        if not self.alive:
            raise StationError(otherwise, "the inspector is being restarted: wait, then try again")
        number = next(self._numbers)
        asked = message(number)
        answer: asyncio.Future[Replied] = asyncio.get_running_loop().create_future()
        self._requests[number] = answer
        try:
            self.send(asked)
            replied = await within(seconds, answer)
        except asyncio.TimeoutError:
            self.kill(f"it was killed: {asked.kind} took longer than {seconds:g} s")
            raise StationError(otherwise, f"the inspector did not answer in {seconds:g} s: call an engineer") from None
        except StationError as error:
            raise StationError(otherwise, str(error)) from error
        finally:
            del self._requests[number]
        if replied.code is not ErrorCode.NONE:
            raise StationError(replied.code, replied.text)
        return replied

    @contextmanager
    def part(self, acquisition: Acquisition, exposed: Callable[[], None]) -> Iterator[asyncio.Future[Inspected]]:
        """Has a part inspected: yields its answer to come, which is late once the block has ended."""
        part = PartInWork(acquisition, exposed, asyncio.get_running_loop().create_future())
        self.parts[acquisition.station, acquisition.acquisition_id] = part
        try:
            self.send(Inspect(acquisition=acquisition))
            yield part.answer
        finally:
            part.late = True

    def _receive(self, message: FromInspector) -> None:
        listeners = self._listeners
        if isinstance(message, Ready):
            if not self.ready:
                self._ready.set_result(None)
        elif isinstance(message, Beat):
            self._preloading = message.preloading
        elif isinstance(message, Replied):
            answer = self._requests.get(message.request)
            if answer is not None and not answer.done():
                answer.set_result(message)
        elif isinstance(message, Exposed):
            part = self.parts.get((message.station, message.acquisition_id))
            if part is not None and not part.late:
                tell(part.exposed)
        elif isinstance(message, Judged):
            self._judged(message)
        elif isinstance(message, FrameReceived):
            tell(listeners.on_frame, message.station, message.received)
        elif isinstance(message, CameraChanged):
            tell(listeners.on_camera, message.camera, message.up, message.code, message.text)
        elif isinstance(message, Condemned):
            self._condemn(message.text)
        elif isinstance(message, Stored):
            image = StoredImage(message.result_id, message.image, message.path, message.sha256, message.bytes)
            tell(listeners.on_stored, image)
        elif isinstance(message, Warned):
            tell(listeners.on_warning, message.text)

    def _judged(self, message: Judged) -> None:
        part = self.parts.pop((message.station, message.inspected.acquisition_id), None)
        if part is None:
            return
        if message.inspected.error is ErrorCode.DEVICE_LOST:
            self._condemn("its device does not respond")
        if part.late or time.monotonic() > part.acquisition.deadline:
            tell(self._listeners.on_late, message.station, message.inspected)
        elif not part.answer.done():
            part.answer.set_result(message.inspected)

    def _condemn(self, why: str) -> None:
        """Has the process ended soon: parts of other stations that are in work are answered first."""
        self.condemned = self.condemned or (time.monotonic(), why)


def failed(acquisition: Acquisition, code: ErrorCode, text: str) -> Inspected:
    """What is said of a part that the process says nothing of.

    Args:
        acquisition: The part.
        code: Why.
        text: The same in one line.
    """
    return Inspected(acquisition.acquisition_id, acquisition.recipe_digest, code, text)
