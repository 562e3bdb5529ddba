"""The stations of a configuration as one process: put together, kept going, and stopped with everything on record."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from edgekd import __version__, watchdog
from edgekd.station import upkeep
from edgekd.station.adapters import Adapter, adapters_of, keep_running
from edgekd.station.closed_record import ClosedRecord
from edgekd.station.configuration import StationConfiguration
from edgekd.station.error_codes import TEXTS, ErrorCode, StationError
from edgekd.station.heartbeat import keep_alive
from edgekd.station.inspector.client import InspectorClient
from edgekd.station.ports import InspectorPort
from edgekd.station.recipes_on_disk import RecipesOnDisk
from edgekd.station.record.opening import open_record
from edgekd.station.record.record import Record
from edgekd.station.record.retention import Retention, Room, keep_tidy
from edgekd.station.record.thread import RecordThread
from edgekd.station.recorder import Recorder
from edgekd.station.shared import Numbers, Shared
from edgekd.station.station import ACKNOWLEDGE_S, Station
from edgekd.station.stopping import asked_to_stop
from edgekd.station.told import Told

logger = logging.getLogger(__name__)

ENDING_S = 5.0  # For what is cancelled to end.
# Ids that are left out after a run that was killed: the ERROR of a part may have gone out although a full disk kept its
# row away, and whoever drops answers that came twice must not drop another part's.
SKIPPED = 1000


class Service:
    """Stations that run, and what runs beside them.

    Args:
        configuration: What they are made of.
        stations: In its order.
        inspector: Cameras and engines.

    Attributes:
        configuration, stations, inspector: As given.
        adapters: The counterparts of the line.
        failed: Gets the error of a part that failed for good: a fault of ours.
    """

    def __init__(
        self, configuration: StationConfiguration, stations: tuple[Station, ...], inspector: InspectorPort
    ) -> None:
        self.configuration, self.stations, self.inspector = configuration, stations, inspector
        self.adapters: tuple[Adapter, ...] = tuple(adapters_of(configuration, stations))
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Runs something beside the stations.

        Args:
            work: What to run.
            name: Of its task.
        """
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        self.watch(task)

    def watch(self, task: asyncio.Task[None]) -> None:
        """Lets a task that fails end the service."""
        task.add_done_callback(self._ended)

    async def end(self) -> None:
        """Cancels what runs; what does not end of it is left to the end of the process."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=ENDING_S)
        self.failed.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self.failed.done():
            self.failed.set_exception(error)


async def run_service(configuration: StationConfiguration, *, simulator: bool = False) -> None:
    """Runs stations until a signal comes, which then ends the process as it would have ended it at once.

    Before that the parts in work are finished, and everything is put on record; likewise where this is cancelled.

    Args:
        configuration: What to run.
        simulator: Whether everything is simulated, the PLC too: OK is shown then, and marked as simulated.

    Raises:
        EdgekdError: The configuration or the record is wrong.
        MachineError: A package is missing, or another program holds the record.
    """
    with asked_to_stop() as asked:
        async with running(configuration, simulator) as service:
            ends: set[asyncio.Future[Any]] = {asked, service.failed}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            watchdog.stopping()
            if service.failed.done():
                service.failed.result()
    signal.raise_signal(asked.result())


@contextlib.asynccontextmanager
async def running(configuration: StationConfiguration, simulator: bool = False) -> AsyncIterator[Service]:
    """Stations that run within the block. Afterwards each has finished its part, and everything is on record.

    Args:
        configuration: What to run.
        simulator: Whether everything is simulated.
    """
    async with contextlib.AsyncExitStack() as stack:
        thread = RecordThread()
        stack.push_async_callback(thread.stop)
        record, trouble, broken, skipped = await _opened(configuration, thread)
        recorder = Recorder(record, thread.call)
        stack.push_async_callback(recorder.close)
        by_name: dict[str, Station] = {}
        inspector = InspectorClient(configuration, Told(by_name).listeners())
        result, acquisition = await thread.call(record.last_numbers)
        numbers = Numbers(result + skipped, acquisition + skipped)
        shared = Shared(inspector, recorder, RecipesOnDisk(configuration.recipes), numbers, simulator=simulator)
        acknowledge_s = configuration.modbus.acknowledge_s if configuration.modbus else ACKNOWLEDGE_S
        for entry in configuration.stations:
            counters = await thread.call(record.counters, entry.name)
            by_name[entry.name] = Station(entry, shared, counters, acknowledge_s)
        stations = tuple(by_name.values())
        service = Service(configuration, stations, inspector)
        if trouble is not None:
            for station in stations:
                station.report_fault(trouble.code, str(trouble), subject="record")
        if broken:
            text = TEXTS[ErrorCode.AUDIT_BROKEN]
            for station in stations:
                station.report_warning(ErrorCode.AUDIT_BROKEN, f"{text.what[:-1]}: {broken}. {text.do}", "audit")
        stack.push_async_callback(inspector.stop)
        stack.push_async_callback(service.end)
        service.watch(recorder.task)
        for adapter in service.adapters:
            service.begin(keep_running(adapter), adapter.name)
        for work in _upkeep(service, shared, record, thread):
            service.begin(work, "upkeep")
        for station in stations:
            stack.push_async_callback(station.close)
        yield service


async def _opened(
    configuration: StationConfiguration, thread: RecordThread
) -> tuple[Record | ClosedRecord, StationError | None, str, int]:
    """The record, why it takes nothing, what is wrong with its audit trail, and how many ids to leave out.

    Where the record is damaged it is one that takes nothing: the line must be told, by ERROR and FAULT.
    """
    try:
        record, found = await thread.call(open_record, configuration.data, __version__)
    except StationError as error:
        logger.error("%s", error)
        return ClosedRecord(str(error)), error, "", 0
    if found.open_parts:
        logger.warning("%d parts were in work when the station ended: they are ERROR", found.open_parts)
    return record, None, found.audit, 0 if found.clean or found.first else SKIPPED


def _upkeep(
    service: Service, shared: Shared, record: Record | ClosedRecord, thread: RecordThread
) -> list[Coroutine[Any, Any, None]]:
    def report(room: Room) -> None:
        for station in service.stations:
            station.report_storage(room.free, room.keep_images)

    works = [
        upkeep.start(service.inspector, service.stations),
        upkeep.tick(service.stations, shared.clock),
        keep_alive(lambda: service.inspector.silent_for),
    ]
    if isinstance(record, Record):
        works.append(keep_tidy(Retention(record, service.configuration.storage), record, thread, report))
    for entry, station in zip(service.configuration.stations, service.stations, strict=True):
        if entry.trigger == "timer":
            works.append(upkeep.trigger_by_time(station, entry.timer.every_ms / 1000))
    return works
