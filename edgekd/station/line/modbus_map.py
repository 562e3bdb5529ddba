"""The Modbus map: every coil, input and register of a station in one table.

The server's registers, the simulated PLC and the table in the documentation are all made from it. Addresses are those
of the protocol, from 0. A coil n is bit n of holding register 0; a discrete input n is bit n % 16 of input register
n // 16. Text is ASCII, two characters a register, the first in the high byte, filled up with zeros.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from edgekd.station.states import State

MAP_VERSION: Final = 1
COILS: Final = 16
DISCRETE_INPUTS: Final = 32
HOLDING_REGISTERS: Final = 32
INPUT_REGISTERS: Final = 64
HIGHEST_JOB: Final = 999
LONGEST_TEXT: Final = 16
CHECK_INTEGER: Final = 0x12345678
CHECK_FLOAT: Final = 1.5

WordOrder = Literal["high_first", "low_first"]
Value: TypeAlias = int | float | str | bytes


class Area(enum.Enum):
    """The four tables of Modbus; the value is what documentation calls one entry."""

    COIL = "coil"
    DISCRETE_INPUT = "discrete input"
    HOLDING_REGISTER = "holding register"
    INPUT_REGISTER = "input register"


class Kind(enum.Enum):
    """The types of values, by the names of IEC 61131-3."""

    BOOL = "BOOL"
    UINT = "UINT"
    UDINT = "UDINT"
    ULINT = "ULINT"
    REAL = "REAL"
    STRING = "STRING(16)"
    BYTES = "ARRAY[0..7] OF BYTE"


REGISTERS: Mapping[Kind, int] = {
    Kind.BOOL: 1,
    Kind.UINT: 1,
    Kind.UDINT: 2,
    Kind.ULINT: 4,
    Kind.REAL: 2,
    Kind.STRING: 8,
    Kind.BYTES: 4,
}
NUMBERS: Mapping[Kind, str] = {Kind.UINT: ">H", Kind.UDINT: ">I", Kind.ULINT: ">Q", Kind.REAL: ">f"}


class Signal(NamedTuple):
    """An entry of the map."""

    area: Area
    address: int
    name: str
    kind: Kind
    meaning: str

    @property
    def registers(self) -> int:
        """How many addresses it takes."""
        return REGISTERS[self.kind]


def _bits(area: Area, rows: Iterable[tuple[int, str, str]]) -> tuple[Signal, ...]:
    return tuple(Signal(area, address, name, Kind.BOOL, meaning) for address, name, meaning in rows)


def _registers(area: Area, rows: Iterable[tuple[int, str, Kind, str]]) -> tuple[Signal, ...]:
    return tuple(Signal(area, *row) for row in rows)


COIL_SIGNALS = _bits(
    Area.COIL,
    (
        (0, "TRIGGER_ENABLE", "level: 0 resets the handshake and drops a result that was not read"),
        (1, "TRIGGER", "rising edge: inspect a part; hold until TRIGGER_ACK"),
        (2, "RESULTS_ACK", "rising edge: the result was read; hold until RESULTS_READY falls"),
        (3, "JOB_CHANGE", "rising edge: load the job in SET_JOB; hold until JOB_ACK or JOB_FAILED"),
        (4, "SET_ONLINE", "level: a change to 1 goes online, a change to 0 goes offline after the part in progress"),
        (
            5,
            "CLEAR_ERROR",
            "rising edge: clears MISSED_TRIGGER, OVERRUN, STOP_LINE, alarms 404 and 703, FAULT if its cause is gone",
        ),
        (6, "SELF_TEST", "rising edge: starts the stored self-test"),
        (7, "RESET_COUNTERS", "rising edge: counts from zero"),
        (
            8,
            "REJECT_CONFIRMED",
            "rising edge: notes in the audit trail that the part in SET_PART_ID was rejected; does no more",
        ),
        (15, "PLC_HEARTBEAT", "toggle it at least every heartbeat_s where the configuration sets that"),
    ),
)

DISCRETE_SIGNALS = _bits(
    Area.DISCRETE_INPUT,
    (
        (0, "ONLINE", "the station is online"),
        (1, "TRIGGER_READY", "a trigger would be taken now"),
        (2, "TRIGGER_ACK", "the trigger was taken; falls with TRIGGER"),
        (3, "ACQUIRING", "the image is being taken: do not move the part"),
        (4, "BUSY", "a part is in progress"),
        (5, "EXPOSURE_DONE", "the image is taken: the part may move"),
        (6, "RESULTS_READY", "a result waits to be read; stays 0 while RESULTS_ACK is 1"),
        (7, "RESULT_OK", "with RESULTS_READY: the part is good"),
        (8, "RESULT_NG", "with RESULTS_READY: reject the part; also set with RESULT_ERROR"),
        (9, "RESULT_ERROR", "with RESULTS_READY: the part was not judged, see ERROR_CODE"),
        (10, "MISSED_TRIGGER", "a trigger was refused while no result waited; until CLEAR_ERROR"),
        (11, "OVERRUN", "a trigger was refused because a result waited; until CLEAR_ERROR"),
        (12, "JOB_ACK", "the job is loaded; falls with JOB_CHANGE"),
        (13, "JOB_FAILED", "the job could not be loaded and none is, see ERROR_CODE"),
        (14, "FAULT", "the station stopped, see FAULT_CODE"),
        (15, "HEARTBEAT", "toggles once a second"),
        (16, "WARNING", "something needs attention; it is not a FAULT"),
        (17, "STOP_LINE", "a stop rule of the recipe asks the line to stop"),
        (18, "SELFTEST_DUE", "a self-test is overdue"),
        (19, "SELFTEST_FAILED", "the last self-test failed"),
        (20, "STORAGE_LOW", "images are no longer kept for lack of space"),
        (21, "SIMULATED", "images or triggers are not the line's: RESULT_OK stays 0, unless the PLC is simulated too"),
        (22, "CLOCK", "the wall clock jumped since the start"),
        (23, "NOT_RELEASED", "no released recipe is loaded"),
    ),
)

HOLDING_SIGNALS = _registers(
    Area.HOLDING_REGISTER,
    (
        (0, "COILS", Kind.UINT, "coils 0-15 as bits 0-15"),
        (1, "SET_JOB", Kind.UINT, "job of JOB_CHANGE, 1-999; 0 unloads"),
        (2, "SET_PART_ID", Kind.UDINT, "part id, latched at the edge of TRIGGER"),
        (4, "SET_SERIAL", Kind.STRING, "serial number, latched at the edge of TRIGGER"),
        (12, "SET_LOT", Kind.STRING, "lot, latched at the edge of TRIGGER"),
    ),
)

STATES = ", ".join(f"{state.value} {state.name.lower().replace('_', ' ')}" for state in State)
INPUT_SIGNALS = _registers(
    Area.INPUT_REGISTER,
    (
        (0, "STATUS_LOW", Kind.UINT, "discrete inputs 0-15 as bits 0-15"),
        (1, "STATUS_HIGH", Kind.UINT, "discrete inputs 16-31 as bits 0-15"),
        (2, "JOB", Kind.UINT, "job that is loaded; 0 for none"),
        (3, "STATE", Kind.UINT, STATES),
        (4, "RESULT_ID", Kind.UDINT, "number of the last result; each has a higher one"),
        (6, "ACQUISITION_ID", Kind.UDINT, "number of its image"),
        (8, "PART_ID", Kind.UDINT, "part id of the last result; accept a result only if it is your own"),
        (10, "VERDICT", Kind.UINT, "with RESULTS_READY: 1 OK, 2 NG, 3 ERROR; 0 is none, which is never OK"),
        (11, "ERROR_CODE", Kind.UINT, "with RESULTS_READY: why it is ERROR; with JOB_FAILED: why it failed; else 0"),
        (12, "SCORE", Kind.REAL, "score of the last result; 3.4E38 where there is none"),
        (14, "THRESHOLD", Kind.REAL, "its threshold; 0 where there is none"),
        (16, "SEVERITY", Kind.UINT, "1/1000: 0 typical good part, 1000 at the threshold, 65535 beyond or not known"),
        (17, "AREA", Kind.UINT, "anomalous share of the image, 1/1000"),
        (18, "CENTER_X", Kind.UINT, "centre of the strongest anomaly, pixels from the left"),
        (19, "CENTER_Y", Kind.UINT, "the same, pixels from the top"),
        (20, "MILLISECONDS", Kind.UINT, "from trigger to result"),
        (21, "RESULTS_WAITING", Kind.UINT, "1 while a result waits to be read, else 0"),
        (22, "MISSED_TRIGGERS", Kind.UINT, "triggers missed since RESET_COUNTERS"),
        (23, "TOTAL", Kind.UDINT, "parts since RESET_COUNTERS: COUNT_OK + COUNT_NG + COUNT_ERROR"),
        (25, "COUNT_OK", Kind.UDINT, "of them OK"),
        (27, "COUNT_NG", Kind.UDINT, "of them NG"),
        (29, "COUNT_ERROR", Kind.UDINT, "of them ERROR"),
        (31, "NG_IN_A_ROW", Kind.UINT, "NG since the last other verdict"),
        (32, "ERRORS_IN_A_ROW", Kind.UINT, "ERROR since the last other verdict"),
        (33, "FAULT_CODE", Kind.UINT, "error code of FAULT; 0 for none"),
        (34, "UPTIME", Kind.UDINT, "seconds since the start"),
        (36, "STORAGE_FREE", Kind.UINT, "free share of the disk, percent"),
        (37, "SELFTEST_MINUTES", Kind.UINT, "minutes since the last self-test that passed; 65535 for none"),
        (38, "MAP_VERSION", Kind.UINT, f"version of this map: {MAP_VERSION}"),
        (39, "RECIPE_REVISION", Kind.UINT, "revision of the loaded recipe; 0 for none"),
        (40, "RECIPE_DIGEST", Kind.BYTES, "the first 8 bytes of its SHA-256, in their order"),
        (44, "RESULT_TIME", Kind.ULINT, "of the last result, milliseconds since 1970 UTC"),
        (48, "STATION_NAME", Kind.STRING, "name of the station"),
        (56, "CHECK_INTEGER", Kind.UDINT, "always 16#12345678: checks the word order"),
        (58, "CHECK_FLOAT", Kind.REAL, "always 1.5: checks the word order"),
    ),
)  # fmt: skip

SIGNALS = (*COIL_SIGNALS, *DISCRETE_SIGNALS, *HOLDING_SIGNALS, *INPUT_SIGNALS)
BY_NAME: Mapping[str, Signal] = {signal.name: signal for signal in SIGNALS}


def bit(name: str) -> int:
    """The mask of a coil in holding register 0, or of a discrete input in the 32 bits of input registers 1 and 0."""
    return 1 << BY_NAME[name].address


def status_bits(registers: Sequence[int]) -> int:
    """The discrete inputs as one number, from input registers 0 and 1."""
    return registers[0] | registers[1] << 16


def encode(signals: Iterable[Signal], values: Mapping[str, Value], count: int, order: WordOrder) -> list[int]:
    """Registers that hold values.

    Args:
        signals: Registers of one area.
        values: By name; a signal that is not among them is 0. They must fit their types.
        count: Registers of the area.
        order: Of the words of a value that takes several registers; text and bytes keep theirs.
    """
    registers = [0] * count
    for signal in signals:
        if signal.name in values:
            words = _words(signal, values[signal.name], order)
            registers[signal.address : signal.address + len(words)] = words
    return registers


def decode(signals: Iterable[Signal], registers: Sequence[int], order: WordOrder) -> dict[str, Value]:
    """Values that registers hold, by name.

    Args:
        signals: Registers of one area.
        registers: Of that area, from address 0.
        order: As for `encode`.
    """
    return {
        signal.name: _value(signal, registers[signal.address : signal.address + signal.registers], order)
        for signal in signals
    }


def _words(signal: Signal, value: Value, order: WordOrder) -> Sequence[int]:
    if signal.kind in NUMBERS:
        content = struct.pack(NUMBERS[signal.kind], value)
    else:
        content = value.encode("ascii", "replace") if isinstance(value, str) else bytes(value)  # type: ignore[arg-type]
        length = 2 * signal.registers
        content = content[:length].ljust(length, b"\0")
    words = struct.unpack(f">{signal.registers}H", content)
    return words[::-1] if order == "low_first" and signal.kind in NUMBERS else words


def _value(signal: Signal, words: Sequence[int], order: WordOrder) -> Value:
    swapped = order == "low_first" and signal.kind in NUMBERS
    content = struct.pack(f">{len(words)}H", *(reversed(words) if swapped else words))
    if signal.kind in NUMBERS:
        number: int | float = struct.unpack(NUMBERS[signal.kind], content)[0]
        return number
    return content if signal.kind is Kind.BYTES else content.rstrip(b"\0 ").decode("ascii", "replace")
