"""A station as a Modbus unit: what a PLC wrote, and what reads and writes do. Knows nothing of sockets."""

from __future__ import annotations

import enum
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import Event, Lost, RecipeChanged, StateChanged
from edgekd.station.line import handshake
from edgekd.station.line.handshake import Handshake, HeartbeatWatch, Request
from edgekd.station.line.modbus_map import HIGHEST_JOB, HOLDING_REGISTERS, HOLDING_SIGNALS, WordOrder, decode
from edgekd.station.line.modbus_values import input_registers
from edgekd.station.parts import Part
from edgekd.station.ports import StationPort

SOURCE: Final = "modbus"
PRINTABLE = range(0x20, 0x7F)
TEXT_FIRST = 4  # The holding registers of serial number and lot.
TEXT_END = 20
WRITER_SILENT_S = 10.0


class Refusal(enum.IntEnum):
    """Why a request is refused, as Modbus exception codes."""

    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    DEVICE_BUSY = 6
    NO_SUCH_UNIT = 11


@dataclass(eq=False)
class Peer:
    """A client that is connected.

    Attributes:
        address: Where it is.
        heard: `time.monotonic()` of its last request.
    """

    address: str
    heard: float = field(default_factory=time.monotonic)


class Unit:
    """A station as a PLC sees it. What the PLC wrote stays when its connection ends.

    Args:
        station: What answers.
        order: Of the words of a value that takes several registers.
        heartbeat_s: Seconds that the PLC's heartbeat may be silent; 0 where it is not watched.
    """

    def __init__(self, station: StationPort, order: WordOrder, heartbeat_s: float) -> None:
        self.station = station
        self.writer: Peer | None = None
        self._order = order
        self._holding = [0] * HOLDING_REGISTERS
        self._handshake = Handshake()
        self._heartbeat = HeartbeatWatch(heartbeat_s, time.monotonic())
        self._held = False

    def read_inputs(self) -> list[int]:
        """All input registers, of one moment; the first two are the discrete inputs."""
        snapshot = self.station.snapshot()
        self._handshake.read(snapshot)
        return input_registers(snapshot, self._handshake.bits(snapshot), self._order)

    def read_holding(self) -> list[int]:
        """What was written; the first register holds the coils."""
        return list(self._holding)

    def write(self, peer: Peer, address: int, values: Sequence[int]) -> Refusal | None:
        """Writes holding registers: all of them or, where one is refused, none.

        Args:
            peer: Who writes.
            address: Of the first.
            values: Of 16 bits each.

        Returns:
            Why it is refused; None where it is written.
        """
        if address < 0 or address + len(values) > HOLDING_REGISTERS:
            return Refusal.ILLEGAL_ADDRESS
        holding = [*self._holding[:address], *values, *self._holding[address + len(values) :]]
        if not _legal(holding):
            return Refusal.ILLEGAL_VALUE
        if not self._may_write(peer):
            return Refusal.DEVICE_BUSY
        toggled = (holding[0] ^ self._holding[0]) & handshake.PLC_HEARTBEAT
        self._holding = holding
        if toggled:
            self._heartbeat.toggled(time.monotonic())
            self.watch_heartbeat()
        self._act(holding)
        return None

    def write_coils(self, peer: Peer, address: int, values: Sequence[bool]) -> Refusal | None:
        """Writes coils, which are bits of the first holding register.

        Args:
            peer: Who writes.
            address: Of the first coil.
            values: A bit each.
        """
        coils = self._holding[0]
        for place, value in enumerate(values, address):
            coils = coils | 1 << place if value else coils & ~(1 << place)
        return self.write(peer, 0, [coils]) if coils < 1 << 16 else Refusal.ILLEGAL_ADDRESS

    def gone(self, peer: Peer) -> None:
        """A client's connection ended; what it wrote stays, and the next may write."""
        if self.writer is peer:
            self.writer = None
            self.station.report_link("plc", False)

    def happened(self, event: Event) -> None:
        """Something happened at the station that the handshake waits for."""
        if isinstance(event, RecipeChanged):
            self._handshake.recipe_changed(handshake.NO_JOB if event.recipe is None else event.recipe.job)
        elif isinstance(event, StateChanged):
            self._handshake.state_changed(event.before, self.station.snapshot())
        elif isinstance(event, Lost):
            self._handshake.caught_up(self.station.snapshot())

    def watch_heartbeat(self) -> None:
        """Holds triggers back while the PLC's heartbeat is silent."""
        silent = self._heartbeat.silent(time.monotonic())
        if silent != self._held:
            self._held = silent
            self.station.hold_triggers(ErrorCode.PLC_SILENT, silent)

    def _may_write(self, peer: Peer) -> bool:
        """Only one client writes: the first, until its connection ends or it asks for nothing any more."""
        writer = self.writer
        if writer is not None and writer is not peer and time.monotonic() - writer.heard < WRITER_SILENT_S:
            return False
        if writer is not peer:
            self.writer = peer
            self.station.report_link("plc", True)
        return True

    def _act(self, holding: Sequence[int]) -> None:
        values = decode(HOLDING_SIGNALS, holding, self._order)
        part = Part(int(values["SET_PART_ID"]), str(values["SET_SERIAL"]), str(values["SET_LOT"]))
        snapshot = self.station.snapshot()
        for request in self._handshake.write(holding[0], int(values["SET_JOB"]), part, snapshot):
            self._ask(request)

    def _ask(self, request: Request) -> None:
        station = self.station
        match request:
            case handshake.TriggerPart(part):
                self._handshake.trigger_answered(station.trigger(part, SOURCE).code is ErrorCode.NONE)
            case handshake.Acknowledge():
                station.acknowledge(SOURCE)
            case handshake.EnableTriggers(enabled):
                station.enable_triggers(enabled, SOURCE)
            case handshake.ChangeJob(job):
                code = station.change_job(job, SOURCE).code
                self._handshake.job_answered(job, code, station.snapshot())
            case handshake.SetOnline(online):
                station.set_online(online, SOURCE)
            case handshake.ClearError():
                station.clear_error(SOURCE)
            case handshake.StartSelfTest():
                station.start_self_test(SOURCE)
            case handshake.ResetCounters():
                station.reset_counters(SOURCE)
            case handshake.ConfirmReject(part_id):
                station.confirm_reject(part_id)


def _legal(holding: Sequence[int]) -> bool:
    """Whether the job is a number of three digits at most, and texts are printable ASCII filled up with zeros."""
    text = struct.pack(f">{TEXT_END - TEXT_FIRST}H", *holding[TEXT_FIRST:TEXT_END])
    return holding[1] <= HIGHEST_JOB and all(byte in PRINTABLE or byte == 0 for byte in text)
