"""What stations need from time to time, and at their start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from edgekd import watchdog
from edgekd.station.clock import Clock
from edgekd.station.error_codes import StationError
from edgekd.station.parts import Part
from edgekd.station.ports import InspectorPort
from edgekd.station.station import Station
from edgekd.station.told import INSPECTOR

logger = logging.getLogger(__name__)

TICK_S = 1.0
PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
MOST_STARTS = 3  # After so many in vain it is a FAULT; it is tried nonetheless.


async def start(inspector: InspectorPort, stations: Sequence[Station]) -> None:
    """Starts the inspector, however often it takes, and then the stations.

    systemd counts the service as started after the first attempt: a station whose inspector does not start is there to
    say so.
    """
    pause_s, starts = PAUSE_S, 0
    while True:
        try:
            await inspector.start()
            break
        except StationError as error:
            starts += 1
            logger.error("%s; it is tried again in %.1f s", error, pause_s)
            for station in stations:
                station.report_link(INSPECTOR, False)
                if starts >= MOST_STARTS:
                    station.report_fault(error.code, str(error), subject=INSPECTOR)
        watchdog.ready()
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    for station in stations:
        station.report_link(INSPECTOR, True)
        station.start()
    watchdog.ready()


async def tick(stations: Sequence[Station], clock: Clock) -> None:
    """Has stations look once a second at what nobody reports."""
    while True:
        await asyncio.sleep(TICK_S)
        jumped = clock.jumped()
        for station in stations:
            station.tick(jumped)


async def trigger_by_time(station: Station, every_s: float) -> None:
    """Triggers a station at an even pace; a turn for which it is not ready is left out, and none is made up for."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        if station.snapshot().trigger_ready:
            station.trigger(Part(), "timer")
        now = loop.time()
        due = due + every_s if due + every_s > now else now + every_s
        await asyncio.sleep(due - now)
