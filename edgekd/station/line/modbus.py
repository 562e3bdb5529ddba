"""The Modbus TCP server: stations as units, for a PLC that triggers and reads results."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from edgekd.errors import EdgekdError, MachineError, missing_package
from edgekd.station.configuration import ModbusConfiguration
from edgekd.station.line.modbus_unit import Unit
from edgekd.station.ports import StationPort

if TYPE_CHECKING:
    from edgekd.station.line.modbus_connections import Network, Server

HEARTBEAT_CHECK_S = 0.1


class ModbusServer:
    """Serves stations over Modbus TCP.

    Args:
        configuration: Where to listen, and for whom.
        stations: With the numbers of their units.

    Attributes:
        port: That it listens on; that of the configuration until it listens.
        listening: Set while it listens.

    Raises:
        EdgekdError: Two stations have one unit, or an address of a client is none.
        MachineError: pymodbus is not installed.
    """

    def __init__(self, configuration: ModbusConfiguration, stations: Sequence[tuple[int, StationPort]]) -> None:
        self._server_class = _server_class()
        self.port = configuration.port
        self.listening = asyncio.Event()
        self._configuration = configuration
        self._allowed = [_network(client) for client in configuration.clients]
        self._units: dict[int, Unit] = {}
        for number, station in stations:
            if number in self._units:
                taken = self._units[number].station.name
                raise EdgekdError(
                    f"stations '{taken}' and '{station.name}' are both Modbus unit {number}: give each its own"
                )
            self._units[number] = Unit(station, configuration.word_order, configuration.heartbeat_s)

    async def run(self) -> None:
        """Serves until it is cancelled.

        Raises:
            MachineError: The address cannot be listened on.
        """
        server = self._server_class(self._units, self._configuration.host, self._configuration.port, self._allowed)
        try:
            await self._listen(server)
            await _until_one_fails([*map(_follow, self._units.values()), self._watch_heartbeats()])
        finally:
            self.listening.clear()
            await server.shutdown()  # type: ignore[no-untyped-call]

    async def _listen(self, server: Server) -> None:
        host, port = self._configuration.host, self._configuration.port
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            why = _why_not(host, port)
            raise MachineError(f"cannot listen on {host} port {port} for Modbus: {why}; choose another") from error
        self.port = server.bound_port()
        self.listening.set()

    async def _watch_heartbeats(self) -> None:
        while self._configuration.heartbeat_s:
            for unit in self._units.values():
                unit.watch_heartbeat()
            await asyncio.sleep(HEARTBEAT_CHECK_S)


def _server_class() -> type[Server]:
    """Imported only where a station has a PLC: pymodbus is optional."""
    try:
        from edgekd.station.line.modbus_connections import Server
    except ImportError as error:
        raise missing_package("pymodbus", "Modbus") from error
    # It writes a traceback for whatever a client does wrong; what we do wrong goes to our own log.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    return Server


async def _follow(unit: Unit) -> None:
    """Tells a unit what happens at its station."""
    events = unit.station.events.subscribe()
    try:
        async for event in events:
            unit.happened(event)
    finally:
        events.close()


async def _until_one_fails(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Runs several things until one fails or this is cancelled; none is left behind."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _network(client: str) -> Network:
    try:
        return ipaddress.ip_network(client, strict=False)
    except ValueError:
        raise EdgekdError(
            f"modbus.clients: '{client}' must be an IP address such as 192.168.0.10 or a network such as 192.168.0.0/24"
        ) from None


def _why_not(host: str, port: int) -> str:
    """Why an address cannot be listened on; pymodbus keeps it to itself."""
    try:
        with socket.create_server((host, port)):
            return "it was taken"
    except OSError as error:
        return (error.strerror or str(error)).partition(" (while")[0]
