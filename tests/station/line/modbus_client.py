"""A Modbus server around scripted stations, pymodbus's client, and raw frames."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pymodbus.client import AsyncModbusTcpClient

from edgekd.station.configuration import ModbusConfiguration
from edgekd.station.line.modbus import ModbusServer
from edgekd.station.line.modbus_map import BY_NAME, INPUT_SIGNALS, bit, decode, status_bits
from edgekd.station.ports import StationPort

PATIENCE_S = 5


def within_patience(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 4 * PATIENCE_S))


@asynccontextmanager
async def serving(*stations: StationPort, **configuration: Any) -> AsyncIterator[ModbusServer]:
    """A server of the stations as units 1, 2, ... on a free port."""
    server = ModbusServer(ModbusConfiguration(port=0, **configuration), list(enumerate(stations, 1)))
    running = asyncio.create_task(server.run())
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait({running, listening}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        listening.cancel()
        await running
    try:
        yield server
    finally:
        running.cancel()
        await asyncio.wait({running})


class Client:
    """What a PLC does, by the names of the map."""

    def __init__(self, server: ModbusServer, unit: int = 1) -> None:
        self.modbus = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=PATIENCE_S, reconnect_delay=0)
        self.unit = unit

    async def __aenter__(self) -> Client:
        assert await self.modbus.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.modbus.close()

    async def inputs(self) -> dict[str, Any]:
        answer = await self.modbus.read_input_registers(0, count=64, device_id=self.unit)
        assert not answer.isError(), answer
        bits = status_bits(answer.registers)
        shown = {name: bool(bits & bit(name)) for name in BY_NAME if BY_NAME[name].area.value == "discrete input"}
        return {**shown, **decode(INPUT_SIGNALS, answer.registers, "high_first")}

    async def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Polls until the inputs are as they should be."""

        async def polling() -> dict[str, Any]:
            while not condition(shown := await self.inputs()):
                await asyncio.sleep(0.005)
            return shown

        return await asyncio.wait_for(polling(), PATIENCE_S)

    async def coil(self, name: str, value: bool) -> int:
        """Writes a coil; the exception code, or 0."""
        answer = await self.modbus.write_coil(BY_NAME[name].address, value, device_id=self.unit)
        return answer.exception_code if answer.isError() else 0

    async def registers(self, address: int, values: Sequence[int]) -> int:
        answer = await self.modbus.write_registers(address, list(values), device_id=self.unit)
        return answer.exception_code if answer.isError() else 0

    async def part(self, part_id: int) -> int:
        return await self.registers(2, struct.unpack(">2H", struct.pack(">I", part_id)))


def request(function: int, data: bytes, unit: int = 1, transaction: int = 1) -> bytes:
    """A frame of Modbus TCP."""
    return struct.pack(">HHHBB", transaction, 0, len(data) + 2, unit, function) + data


READ_ALL = request(4, struct.pack(">HH", 0, 64))


async def answer(reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
    """The next frame: transaction, unit, function, data."""
    header = await asyncio.wait_for(reader.readexactly(8), PATIENCE_S)
    transaction, _, length, unit, function = struct.unpack(">HHHBB", header)
    return transaction, unit, function, await asyncio.wait_for(reader.readexactly(length - 2), PATIENCE_S)
