"""Modbus TCP connections: pymodbus's server, stricter with its clients.

pymodbus decodes and encodes. What is ours: requests of a client are answered one after the other even where several
arrive at once or a frame arrives in pieces, what is not Modbus ends the connection that sent it, a client that does not
read its answers or has left without a word is dropped, and who writes is known.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypeAlias

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusIOException
from pymodbus.pdu import ExceptionResponse
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from edgekd.station.line.modbus_map import COILS, DISCRETE_INPUTS, HOLDING_REGISTERS, INPUT_REGISTERS
from edgekd.station.line.modbus_unit import Peer, Refusal, Unit

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Values: TypeAlias = "list[int] | list[bool] | None"
Action: TypeAlias = Callable[[int, int, int, int, list[int], Values], Awaitable["ExcCodes | None"]]

READ_DISCRETE_INPUTS, READ_INPUT_REGISTERS, WRITE_COIL, WRITE_COILS = 2, 4, 5, 15
COIL_FUNCTIONS = (1, WRITE_COIL, WRITE_COILS)
FUNCTIONS = (1, READ_DISCRETE_INPUTS, 3, READ_INPUT_REGISTERS, WRITE_COIL, 6, WRITE_COILS, 16)
COIL_VALUES = (b"\x00\x00", b"\xff\x00")
HEADER = struct.Struct(">HHHB")  # Transaction, protocol, bytes from here on, unit.
FUNCTION_AT = HEADER.size
SHORTEST, LONGEST = 2, 254  # Of unit, function code and data.
MOST_CONNECTIONS = 32
MOST_UNREAD = 1 << 14  # Bytes of requests that wait, and of answers that the kernel keeps for a client.
EVERY_OTHER_UNIT = 0  # pymodbus's number of the device that answers for those it does not know.
# A PLC that lost its power says nothing: its connection must not keep the next one from writing.
KEEP_ALIVE = (("TCP_KEEPIDLE", 2), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 5000))

logger = logging.getLogger(__name__)
_peer: ContextVar[Peer] = ContextVar("peer")


class Server(ModbusTcpServer):
    """Serves units to clients.

    Args:
        units: By their numbers.
        host: Address to listen on.
        port: Likewise; 0 for any that is free.
        allowed: Networks that clients may come from; none for anywhere.
    """

    def __init__(self, units: Mapping[int, Unit], host: str, port: int, allowed: Sequence[Network]) -> None:
        super().__init__([_device(number, _action(unit)) for number, unit in _devices(units)], address=(host, port))
        self.units = units
        self.allowed = allowed
        self.connections: list[Connection] = []

    def callback_new_connection(self) -> Connection:
        return Connection(self)

    def bound_port(self) -> int:
        """The port that it listens on."""
        port: int = self.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        return port

    def make_room(self) -> None:
        """Drops the client that was silent for longest, but never one that writes, where there are too many."""
        writers = [unit.writer for unit in self.units.values()]
        others = [connection for connection in self.connections if connection.peer not in writers]
        if len(self.connections) > MOST_CONNECTIONS and others:
            min(others, key=lambda connection: connection.peer.heard).drop()


class Connection(ServerRequestHandler):
    """A client's connection.

    Args:
        server: Where it came in.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server, None, None, None)  # type: ignore[no-untyped-call]
        self.peer = Peer("")
        self._unread = bytearray()
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        address = transport.get_extra_info("peername")
        self.peer = Peer(address[0] if address else "")
        if not _is_allowed(self.peer.address, self.server.allowed):
            self.drop()
            return
        _set_options(transport.get_extra_info("socket"))
        self.server.connections.append(self)
        self.server.make_room()

    def callback_disconnected(self, exc: Exception | None) -> None:
        super().callback_disconnected(exc)
        if self in self.server.connections:
            self.server.connections.remove(self)
        for unit in self.server.units.values():
            unit.gone(self.peer)

    def pause_writing(self) -> None:
        """It does not read its answers: they must not pile up."""
        self.drop()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if len(self._unread) > MOST_UNREAD:
            self.transport.pause_reading()  # type: ignore[attr-defined]
        if self._answering is None or self._answering.done():
            self._answering = self.loop.create_task(self._answer_all())

    def drop(self) -> None:
        """Ends the connection at once; nothing more of it is answered."""
        self._unread.clear()
        if self.transport:
            self.transport.abort()  # type: ignore[attr-defined]

    async def _answer_all(self) -> None:
        """Answers what has arrived; in between everybody else has a turn, however much a client asks for."""
        _peer.set(self.peer)
        while (frame := self._next_frame()) is not None:
            self.peer.heard = time.monotonic()
            await self._answer(frame)
            await asyncio.sleep(0)
        if self.transport:
            self.transport.resume_reading()  # type: ignore[attr-defined]

    async def _answer(self, frame: bytes) -> None:
        if (refusal := _refused(frame)) is not None:
            self._refuse(frame, refusal)
            return
        try:
            _, self.last_pdu = self.framer.handleFrame(frame, 0, 0)
        except ModbusIOException:
            self._refuse(frame, ExcCodes.ILLEGAL_VALUE)
        else:
            await self.handle_request()  # type: ignore[no-untyped-call]

    def _next_frame(self) -> bytes | None:
        """The next request; None where it is not there yet, or what is there is not Modbus."""
        if len(self._unread) < HEADER.size or not self.transport:
            return None
        _, protocol, length, _ = HEADER.unpack_from(self._unread)
        if protocol != 0 or not SHORTEST <= length <= LONGEST:
            self.drop()
            return None
        end = HEADER.size - 1 + length
        if len(self._unread) < end:
            return None
        frame = bytes(self._unread[:end])
        del self._unread[:end]
        return frame

    def _refuse(self, frame: bytes, code: ExcCodes) -> None:
        transaction, _, _, unit = HEADER.unpack_from(frame)
        function = frame[FUNCTION_AT] & 0x7F
        response = ExceptionResponse(function, code, device_id=unit, transaction=transaction)
        self.server_send(response, None)  # type: ignore[no-untyped-call]


def _refused(frame: bytes) -> ExcCodes | None:
    """Why a request is refused before it is decoded: pymodbus knows more functions and takes any value for a coil."""
    function, data = frame[FUNCTION_AT], frame[FUNCTION_AT + 1 :]
    if function not in FUNCTIONS:
        return ExcCodes.ILLEGAL_FUNCTION
    if function == WRITE_COIL and data[2:4] not in COIL_VALUES:
        return ExcCodes.ILLEGAL_VALUE
    return None


def _is_allowed(address: str, allowed: Sequence[Network]) -> bool:
    if not allowed:
        return True
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    return any(client in network for network in allowed)


def _set_options(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_UNREAD)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE:
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _devices(units: Mapping[int, Unit]) -> list[tuple[int, Unit | None]]:
    return [*units.items(), (EVERY_OTHER_UNIT, None)]


def _device(number: int, action: Action) -> SimDevice:
    """A device of pymodbus whose values are asked for at each access."""
    bits, registers = DataType.BITS, DataType.REGISTERS
    blocks = (
        [SimData(0, count=COILS, values=False, datatype=bits)],
        [SimData(0, count=DISCRETE_INPUTS, values=False, datatype=bits)],
        [SimData(0, count=HOLDING_REGISTERS, values=0, datatype=registers)],
        [SimData(0, count=INPUT_REGISTERS, values=0, datatype=registers)],
    )
    return SimDevice(id=number, simdata=blocks, action=action)  # type: ignore[arg-type]


def _action(unit: Unit | None) -> Action:
    """What pymodbus calls at each access to a unit; None for one that is not here."""

    async def access(function: int, _first: int, address: int, _count: int, kept: list[int], values: Values) -> Any:
        if unit is None:
            return ExcCodes(Refusal.NO_SUCH_UNIT)
        try:
            refusal = _access(unit, function, address, kept, values)
        except Exception:
            logger.exception("a request of a PLC failed: function %d, address %d", function, address)
            refusal = Refusal.DEVICE_FAILURE
        return None if refusal is None else ExcCodes(refusal)

    return access


def _access(unit: Unit, function: int, address: int, kept: list[int], values: Values) -> Refusal | None:
    """Reads into the registers that pymodbus answers from, or writes; of coils and inputs a register holds 16."""
    if values is not None:
        if function in COIL_FUNCTIONS:
            return unit.write_coils(_peer.get(), address, [bool(value) for value in values])
        return unit.write(_peer.get(), address, values)
    inputs = function in (READ_DISCRETE_INPUTS, READ_INPUT_REGISTERS)
    now = unit.read_inputs() if inputs else unit.read_holding()
    size = len(kept) - 1  # pymodbus keeps one more, which is not valid.
    kept[:size] = now[:size]
    return None
