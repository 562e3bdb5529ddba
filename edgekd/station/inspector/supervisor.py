"""Keeps a process of the inspector alive: watches it, ends it where it hangs, and starts the next."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from edgekd.station.error_codes import StationError
from edgekd.station.inspector.life import Life
from edgekd.station.inspector.listeners import Listeners, tell
from edgekd.station.inspector.messages import Configure, Stop
from edgekd.station.tasks import within

SILENT = 3.0  # Seconds without a message after which it hangs,
SILENT_LOADING = 30.0  # and while it loads or tests.
UNENDING = 2.0  # Seconds after the deadline at which an inspection counts as one that does not end.
LOOKS = 0.25  # Seconds between two looks at that.
FAILING, WINDOW = 3, 600.0  # So many deaths in so many seconds are a fault.
PAUSE, LONGEST_PAUSE = 0.05, 30.0  # Seconds before it is started again; doubled while it dies.
STOPPING = 10.0  # Seconds that it may take to end; then it is killed.

logger = logging.getLogger(__name__)


class Supervisor:
    """One process after another, as long as control lives.

    Args:
        command: What is started.
        configure: Its first message.
        listeners: Whom to tell what happens.
        prepare: Called with each later process before it serves: it loads what the one before had loaded.
    """

    def __init__(
        self,
        command: Sequence[str],
        configure: Configure,
        listeners: Listeners,
        prepare: Callable[[Life], Awaitable[None]],
    ) -> None:
        self._command, self._configure, self._listeners, self._prepare = command, configure, listeners, prepare
        self._life: Life | None = None
        self._deaths: deque[float] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._serving = asyncio.Event()

    @property
    def life(self) -> Life | None:
        """The process, once it is ready and as long as it is there."""
        life = self._life
        return life if life is not None and life.ready and life.alive else None

    async def start(self) -> None:
        """Starts the first process.

        Raises:
            StationError: INSPECTOR_DIED: it does not start.
        """
        await self._open()
        self._serve()
        for work in (self._keep_alive(), self._watch()):
            task = asyncio.get_running_loop().create_task(work, name="inspector")
            task.add_done_callback(self._has_failed)
            self._tasks.append(task)

    async def serving(self) -> None:
        """Waits until a process serves; of one that died a moment ago the next."""
        await self._serving.wait()

    async def stop(self) -> None:
        """Ends the process for good, once it has closed everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._serving.clear()
        life, self._life = self._life, None
        if life is None or life.pid is None:
            return
        life.send(Stop())
        try:
            await within(STOPPING, life.ended())
        except asyncio.TimeoutError:
            life.kill("it did not stop")
            await life.ended()

    async def _open(self) -> None:
        self._life = Life(self._listeners)
        await self._life.start(self._command, self._configure)

    def _serve(self) -> None:
        if self._life is not None:
            self._life.serving = True
        self._serving.set()

    async def _keep_alive(self) -> None:
        pause = PAUSE
        while self._life is not None:
            began = time.monotonic()
            why = await self._life.ended()
            if time.monotonic() - began > WINDOW / FAILING:
                pause = PAUSE
            self._has_died(why)
            while True:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                try:
                    await self._open()
                    break
                except StationError as error:
                    self._has_died(str(error))
            await self._prepare(self._life)
            if self._life.alive:
                self._serve()
                tell(self._listeners.on_restarted)

    def _has_died(self, why: str) -> None:
        now = time.monotonic()
        self._serving.clear()
        logger.error("%s", why)
        tell(self._listeners.on_died, why)
        self._deaths.append(now)
        while now - self._deaths[0] > WINDOW:
            self._deaths.popleft()
        if len(self._deaths) >= FAILING:
            times = f"{len(self._deaths)} times in {WINDOW / 60:.0f} minutes"
            tell(self._listeners.on_failing, f"the inspector died {times}; last: {why}")

    async def _watch(self) -> None:
        """Ends a process that does not respond, and one with an inspection that does not end."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(LOOKS)
            now = time.monotonic()
            held_up, before = now - before > 2 * LOOKS, now
            # Where this loop was held up itself, messages wait to be read.
            if not held_up and (life := self.life) is not None and (reason := _reason_to_end(life, now)) is not None:
                life.kill(f"it was killed since {reason}")

    def _has_failed(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (failure := task.exception()) is None:
            return
        logger.critical("the inspector is watched no longer", exc_info=failure)
        tell(self._listeners.on_failing, f"the inspector is watched no longer: {failure}; restart the station")


def _reason_to_end(life: Life, now: float) -> str | None:
    """Why a process must be ended; None where it need not."""
    silent = SILENT_LOADING if life.loading else SILENT
    if now - life.heard > silent:
        return f"it did not respond for {silent:g} s"
    if any(now > part.acquisition.deadline + UNENDING for part in life.parts.values()):
        return "an inspection did not end"
    if life.condemned is not None and (not life.waiting or now > life.condemned[0] + UNENDING):
        return life.condemned[1]
    return None
