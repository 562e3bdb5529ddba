"""The counterparts of the line that a configuration names: each is optional, and none can hold up a verdict."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from edgekd.errors import one_line
from edgekd.station.configuration import StationConfiguration
from edgekd.station.ports import LinePort, StationPort
from edgekd.station.recipe_store import list_recipes
from edgekd.station.snapshot import Loaded

logger = logging.getLogger(__name__)

STABLE_S = 2.0  # So long an adapter must run to count as mended.
PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0


@dataclass(frozen=True)
class Adapter:
    """A counterpart of the line.

    Attributes:
        name: Such as "modbus".
        line: What serves it.
        stations: Whom it serves.
    """

    name: str
    line: LinePort
    stations: tuple[StationPort, ...]


def adapters_of(configuration: StationConfiguration, stations: Sequence[StationPort]) -> list[Adapter]:
    """Makes what the configuration names; what it does not name is not even imported.

    Args:
        configuration: Of the stations.
        stations: In its order.

    Raises:
        EdgekdError: An entry is wrong.
        MachineError: A package is not installed.
    """
    return list(_adapters(configuration, tuple(stations)))


def _adapters(configuration: StationConfiguration, stations: tuple[StationPort, ...]) -> Iterator[Adapter]:
    if configuration.modbus is not None:
        units = [(entry.unit, station) for entry, station in zip(configuration.stations, stations, strict=True)]
        yield Adapter("modbus", _class("line.modbus", "ModbusServer")(configuration.modbus, units), stations)
    if configuration.opcua is not None:
        triggers = {entry.name: entry.trigger for entry in configuration.stations}
        server = _class("line.opcua", "OpcUaServer")
        line = server(configuration.opcua, stations, triggers, lambda: _released(configuration))
        yield Adapter("opcua", line, stations)
    if configuration.page is not None:
        yield Adapter("page", _class("page.server", "PageServer")(configuration, stations), stations)
    for entry, station in zip(configuration.stations, stations, strict=True):
        if configuration.mqtt is not None:
            publisher = _class("line.mqtt", "MqttPublisher")
            line = publisher(station, configuration.mqtt, configuration.site, configuration.line, configuration.data)
            yield Adapter("mqtt", line, (station,))
        if configuration.webhook is not None:
            line = _class("line.webhook", "Webhook")(station, configuration.webhook, configuration.data)
            yield Adapter("webhook", line, (station,))
        if entry.outputs is not None:
            yield Adapter("outputs", _class("line.outputs", "Outputs")(entry.outputs, station), (station,))


def _class(module: str, name: str) -> Any:
    """An adapter's class, imported only now: each needs packages of its own."""
    return getattr(import_module(f"edgekd.station.{module}"), name)


def _released(configuration: StationConfiguration) -> list[Loaded]:
    """The recipes that a client may choose among."""
    return [
        Loaded(stored.recipe.job, stored.id, stored.revision, stored.digest, stored.recipe.product)
        for stored in list_recipes(configuration.recipes)
        if stored.recipe is not None and stored.status == "released"
    ]


async def keep_running(adapter: Adapter) -> None:
    """Runs an adapter until this is cancelled; one that fails is a WARNING, and is started again.

    Args:
        adapter: What to run.
    """
    pause_s, reported = PAUSE_S, False
    while True:
        running = asyncio.ensure_future(adapter.line.run())
        try:
            await asyncio.wait({running}, timeout=STABLE_S)
            if not running.done():
                pause_s = PAUSE_S
                if reported:
                    reported = _report(adapter, up=True)
            await asyncio.wait({running})
        finally:
            running.cancel()
            await asyncio.wait({running})
        error = None if running.cancelled() else running.exception()
        why = one_line(error) if isinstance(error, Exception) else "it ended"
        logger.warning("%s failed, and is started again in %.1f s: %s", adapter.name, pause_s, why)
        reported = _report(adapter, up=False)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _report(adapter: Adapter, up: bool) -> bool:
    for station in adapter.stations:
        station.report_link(f"{adapter.name} adapter", up)
    return not up
