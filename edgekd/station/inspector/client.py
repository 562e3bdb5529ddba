"""The inspector as control sees it: always an answer in time, whatever becomes of the process that should give it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from edgekd.station.configuration import StationConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector.life import Life, failed
from edgekd.station.inspector.listeners import Listeners, tell
from edgekd.station.inspector.messages import Configure, Keep, Load, Ping, SelfTest, Snap, Unload, Watch
from edgekd.station.inspector.supervisor import Supervisor
from edgekd.station.live_folder import live_folder
from edgekd.station.parts import Acquisition, Inspected, Outcome
from edgekd.station.ports import SelfTestReport, Snapped
from edgekd.station.recipes import CameraSettings
from edgekd.station.snapshot import Loaded
from edgekd.station.tasks import within

LOADING = 180.0  # Seconds that a recipe may take: a back end may compile it.
TESTING = 120.0  # Likewise a self-test.
UNLOADING = 10.0
SNAPPING = 30.0  # Beyond what the camera itself may take.
RESTARTING = 60.0  # Seconds for which loading waits for a process that is being restarted.
BEFORE_DEADLINE = 0.002  # Seconds: what is due at the deadline is given so much before.
PROBE, PROBED = 0.1, 0.3  # Seconds before, and at most that share of the time, it is asked whether it still responds.


class InspectorClient:
    """Starts, watches and restarts the inspector's process; implements `edgekd.station.ports.InspectorPort`.

    Args:
        configuration: Of the stations.
        listeners: Whom it tells what happens.
    """

    # What is started; the number of its socket is appended.
    command: ClassVar[Sequence[str]] = (sys.executable, "-m", "edgekd.station.inspector.process")

    def __init__(self, configuration: StationConfiguration, listeners: Listeners | None = None) -> None:
        configure = Configure(
            data=configuration.data.absolute(),
            recipes=configuration.recipes.absolute(),
            cameras=configuration.cameras,
            stations={station.name: station.cameras for station in configuration.stations},
            triggered_by_camera=tuple(each.name for each in configuration.stations if each.trigger == "camera"),
            live=live_folder(configuration) if configuration.page is not None else None,
        )
        self._listeners = listeners or Listeners()
        self._loaded: dict[str, Loaded] = {}
        self._watched: set[str] = set()
        self._supervisor = Supervisor(self.command, configure, self._listeners, self._reload)

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        life = self._supervisor.life
        return None if life is None else life.pid

    @property
    def silent_for(self) -> float:
        """Seconds since its last sign of life; infinity while there is no process."""
        life = self._supervisor.life
        return math.inf if life is None else time.monotonic() - life.heard

    async def start(self) -> None:
        """Starts the process, which begins to open the cameras.

        Raises:
            StationError: INSPECTOR_DIED: it does not start.
        """
        await self._supervisor.start()

    async def load(self, station: str, job: int) -> Loaded:
        """Loads a released recipe, or takes the preloaded one, and warms it up. Its digest is checked first.

        Raises:
            StationError: JOB_UNKNOWN, DIGEST_DIFFERS, LOADING_FAILED, or CAMERA_LOST; then nothing is loaded for this
                station.
        """
        self._loaded.pop(station, None)
        with contextlib.suppress(asyncio.TimeoutError):
            await within(RESTARTING, self._supervisor.serving())
        loaded = await _load(self._living(ErrorCode.LOADING_FAILED), station, job, "")
        self._loaded[station] = loaded
        return loaded

    async def unload(self, station: str) -> None:
        """Judges nothing more for this station."""
        self._loaded.pop(station, None)
        with contextlib.suppress(StationError):  # A process that has ended has unloaded everything.
            life = self._living(ErrorCode.INSPECTOR_DIED)
            await life.ask(lambda number: Unload(request=number, station=station), UNLOADING, ErrorCode.INSPECTOR_DIED)

    async def self_test(self, station: str) -> SelfTestReport:
        """Judges the references of the loaded recipe by the whole path after the camera."""
        code = ErrorCode.SELF_TEST_FAILED
        try:
            life = self._living(code)
            replied = await life.ask(lambda number: SelfTest(request=number, station=station), TESTING, code)
        except StationError as error:
            return SelfTestReport(False, str(error))
        return SelfTestReport(replied.passed, replied.text, replied.differences)

    async def inspect(self, acquisition: Acquisition, exposed: Callable[[], None]) -> Inspected:
        """Takes an image and judges it.

        Returns at the latest at the deadline, with an ERROR where there is no answer; a late one goes to `on_late`.

        Args:
            acquisition: What to take.
            exposed: Called when the part may move.
        """
        life = self._supervisor.life
        if life is None or not life.serving:
            return failed(acquisition, ErrorCode.INSPECTOR_DIED, "the inspector is being restarted: wait")
        due = acquisition.deadline - BEFORE_DEADLINE
        with life.part(acquisition, exposed) as answer:
            await _until(answer, due - min(PROBE, PROBED * (due - time.monotonic())))
            if answer.done():
                return answer.result()
            asked = time.monotonic()
            life.send(Ping())
            await _until(answer, due)
            if answer.done():
                return answer.result()
        if life.heard >= asked:
            return failed(acquisition, ErrorCode.ANSWER_LATE, "the inspector did not answer in time")
        return failed(acquisition, ErrorCode.INSPECTOR_DIED, "the inspector does not respond")

    def keep(self, outcome: Outcome, wanted: Sequence[str]) -> None:
        """Asks for images of an acquisition ("original", "heat_map") to be stored; `on_stored` tells when they are.

        Args:
            outcome: Whose images.
            wanted: Which; none of them forgets the images.
        """
        life = self._supervisor.life
        if life is None:
            if wanted:
                tell(self._listeners.on_warning, f"the image of result {outcome.result_id} was lost with the inspector")
            return
        message = Keep(
            station=outcome.station,
            acquisition_id=outcome.acquisition_id,
            result_id=outcome.result_id,
            verdict=outcome.verdict,
            published_utc_ms=outcome.published_utc_ms,
            wanted=tuple(kind for kind in ("original", "heat_map") if kind in wanted),
        )
        life.send(message)

    async def snap(self, station: str, camera: str, settings: CameraSettings, path: Path) -> Snapped:
        """Takes an image with a camera, and writes it losslessly to a file; the recipe has to be loaded anew then.

        Raises:
            StationError: The camera's own, or LOADING_FAILED: it does not take a setting.
        """

        def message(number: int) -> Snap:
            return Snap(request=number, station=station, camera=camera, settings=settings, path=path)

        life = self._living(ErrorCode.INSPECTOR_DIED)
        replied = await life.ask(message, SNAPPING + settings.timeout_ms / 1e3, ErrorCode.INSPECTOR_DIED)
        if replied.snapped is None:
            raise StationError(ErrorCode.SYSTEM, "the inspector does not tell what it took")
        return replied.snapped

    def watch(self, station: str, watched: bool) -> None:
        """Has small images of a station's newest parts written, for somebody who looks at them, or no longer."""
        (self._watched.add if watched else self._watched.discard)(station)
        if (life := self._supervisor.life) is not None:
            life.send(Watch(station=station, watched=watched))

    async def stop(self) -> None:
        """Closes cameras and engines, writes the images that wait, and ends the process."""
        self._loaded.clear()
        await self._supervisor.stop()

    def _living(self, otherwise: ErrorCode) -> Life:
        life = self._supervisor.life
        if life is None:
            raise StationError(otherwise, "the inspector is being restarted: wait, then try again")
        return life

    async def _reload(self, life: Life) -> None:
        """Loads what was loaded before the process died; whatever differs now is not loaded."""
        for station in self._watched:
            life.send(Watch(station=station, watched=True))
        for station, before in list(self._loaded.items()):
            if self._loaded.get(station) is not before:
                continue  # Another is wanted meanwhile, or none.
            try:
                await _load(life, station, before.job, before.digest)
            except StationError as error:
                if not life.alive:
                    return  # The next process is asked again.
                if self._loaded.get(station) is before:
                    del self._loaded[station]
                    tell(self._listeners.on_unloaded, station, error)


async def _load(life: Life, station: str, job: int, digest: str) -> Loaded:
    def message(number: int) -> Load:
        return Load(request=number, station=station, job=job, digest=digest)

    replied = await life.ask(message, LOADING, ErrorCode.LOADING_FAILED)
    if replied.loaded is None:
        raise StationError(ErrorCode.LOADING_FAILED, f"job {job}: the inspector does not tell what it loaded")
    return replied.loaded


async def _until(answer: asyncio.Future[Inspected], moment: float) -> None:
    """Waits for an answer until a moment of `time.monotonic()`."""
    if (left := moment - time.monotonic()) > 0:
        await asyncio.wait({answer}, timeout=left)
