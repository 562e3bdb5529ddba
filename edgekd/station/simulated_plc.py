"""A PLC program that plays the other side of the handshake over Modbus TCP, for a line that is not there.

It triggers, reads results, holds each against the part it asked for, acknowledges and changes jobs, as a PLC program
should; docs/station/plc.md has the same in structured text. Whatever the station does against the handshake is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edgekd.errors import MachineError, missing_package
from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.line.modbus_map import (
    BY_NAME,
    CHECK_FLOAT,
    CHECK_INTEGER,
    HOLDING_REGISTERS,
    HOLDING_SIGNALS,
    INPUT_REGISTERS,
    MAP_VERSION,
    WordOrder,
    bit,
    decode,
    encode,
    status_bits,
)
from edgekd.station.parts import Part

if TYPE_CHECKING:
    from pymodbus.client import AsyncModbusTcpClient

BITS = ("RESULT_OK", "RESULT_NG", "RESULT_ERROR")
# Which bits go with a verdict's number; 0 is an OK that is only simulated.
ALLOWED: Final = {1: (True, False, False), 2: (False, True, False), 3: (False, True, True), 0: (False, True, False)}
VERDICTS: Final = {1: Verdict.OK, 2: Verdict.NG, 3: Verdict.ERROR}
END_OF_TEXT = HOLDING_REGISTERS - 12  # Registers from 20 on have no meaning.
HEARTBEAT_S = 0.5
WIRE_TIMEOUT_S = 1.0
RECONNECT_S = 0.05


class Inputs:
    """All that a PLC reads, of one moment.

    Args:
        registers: The input registers.
        order: Of the words of their values.
    """

    def __init__(self, registers: list[int], order: WordOrder) -> None:
        self._bits = status_bits(registers)
        self._registers = registers
        self._order = order

    def on(self, name: str) -> bool:
        """Whether a discrete input is on."""
        return bool(self._bits & bit(name))

    def number(self, name: str) -> int:
        """The value of an input register that is an integer."""
        return int(self._value(name))

    def real(self, name: str) -> float:
        """The value of an input register that is a float."""
        return float(self._value(name))

    def _value(self, name: str) -> Any:
        return decode((BY_NAME[name],), self._registers, self._order)[name]


@dataclass(frozen=True)
class PlcResult:
    """What the PLC got for a part.

    Attributes:
        part: That it triggered.
        result_id: The station's number of the result.
        verdict: None for an OK that is only simulated, which a line must not let pass.
        error: Why it is ERROR.
        score: As a float32.
        severity: 1 at the threshold; 65.535 where it is not known.
        station_ms: From trigger to result, by the station.
        waited_ms: From the write of the trigger to the read of the result, by the PLC.
        simulated: Whether the station calls it simulated.
    """

    part: Part
    result_id: int
    verdict: Verdict | None
    error: ErrorCode
    score: float
    severity: float
    station_ms: int
    waited_ms: float
    simulated: bool


def violations_in(inputs: Inputs) -> list[str]:
    """What of one reading no station may show."""
    found = []
    bits = tuple(inputs.on(name) for name in BITS)
    verdict = inputs.number("VERDICT")
    if not inputs.on("RESULTS_READY"):
        if any(bits) or verdict:
            found.append("a verdict without RESULTS_READY")
    elif ALLOWED.get(verdict) != bits or (verdict == 0 and not inputs.on("SIMULATED")):
        found.append("bits and VERDICT contradict each other")
    if inputs.on("TRIGGER_READY") and (inputs.on("BUSY") or inputs.on("RESULTS_READY")):
        found.append("TRIGGER_READY with a part in work")
    if inputs.number("TOTAL") != sum(inputs.number(name) for name in ("COUNT_OK", "COUNT_NG", "COUNT_ERROR")):
        found.append("TOTAL is not the sum of its parts")
    if inputs.number("CHECK_INTEGER") != CHECK_INTEGER or inputs.real("CHECK_FLOAT") != CHECK_FLOAT:
        found.append("the words of numbers are in another order")
    if inputs.number("MAP_VERSION") != MAP_VERSION:
        found.append("the map has another version")
    return found


class SimulatedPlc:
    """A PLC that is connected to one unit of a station.

    Args:
        host: Of the station.
        port: Likewise.
        unit: Of the station.
        order: Of the words of values.
        poll_s: Seconds between two readings, which is a real PLC's cycle; 0 for as fast as it goes.
        step_s: How long the station may take for a step before that is an error.

    Attributes:
        violations: What the station did against the handshake, with how often.
        reconnected: How often the connection had to be made again.
    """

    def __init__(
        self,
        host: str,
        port: int,
        unit: int = 1,
        order: WordOrder = "high_first",
        poll_s: float = 0.005,
        step_s: float = 30,
    ) -> None:
        self.violations: Counter[str] = Counter()
        self.reconnected = 0
        self._host, self._port, self._unit = host, port, unit
        self._order = order
        self._poll_s, self._step_s = poll_s, step_s
        self._client: AsyncModbusTcpClient | None = None
        self._coils = 0
        self._writing, self._connecting = asyncio.Lock(), asyncio.Lock()
        self._beating: asyncio.Task[None] | None = None
        self._last_result = 0

    async def __aenter__(self) -> SimulatedPlc:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        """Connects, and from then on toggles the heartbeat.

        Raises:
            MachineError: pymodbus is missing, or nobody answers.
        """
        deadline = time.monotonic() + self._step_s
        while not await self._try_to_connect():
            if time.monotonic() > deadline:
                raise MachineError(f"no station answers on {self._host} port {self._port}: is it running?")
            await asyncio.sleep(RECONNECT_S)
        self._last_result = (await self.read()).number("RESULT_ID")
        self._beating = asyncio.create_task(self._beat())

    async def close(self) -> None:
        """Ends the connection; the station keeps its state."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait({self._beating})
        if self._client is not None:
            self._client.close()

    async def start(self, job: int | None = None) -> None:
        """Takes the station online, enables triggers and waits until it is ready.

        Args:
            job: To load first, where the station has another or none.
        """
        await self.write(on=("SET_ONLINE", "TRIGGER_ENABLE"))
        if job is not None and (await self.until("is online", lambda inputs: inputs.on("ONLINE"))).number("JOB") != job:
            await self.change_job(job)
        await self.until("is ready", lambda inputs: inputs.on("TRIGGER_READY") or inputs.on("RESULTS_READY"))

    async def inspect(self, part: Part) -> PlcResult:
        """Triggers a part and takes its result. One whose trigger is refused is an ERROR without a result id.

        Raises:
            MachineError: The station did not do a step in time.
        """
        ready = await self.until("is ready", lambda inputs: inputs.on("TRIGGER_READY") or inputs.on("RESULTS_READY"))
        while ready.on("RESULTS_READY"):  # Of a part of before, such as one from before this program was started.
            await self._acknowledge()
            ready = await self.until("is ready", lambda inputs: inputs.on("TRIGGER_READY"))
        start = time.perf_counter()
        await self.write(on=("TRIGGER",), part=part)
        inputs = await self.until(
            "gives a result", lambda inputs: inputs.on("RESULTS_READY") or not inputs.on("TRIGGER_ACK")
        )
        waited_ms = 1000 * (time.perf_counter() - start)
        if not inputs.on("RESULTS_READY"):
            return await self._refused(part, waited_ms)
        result = self._result(part, inputs, waited_ms)
        await self._acknowledge()
        return result

    async def change_job(self, job: int) -> ErrorCode:
        """Asks for another job and waits until it judges.

        Returns:
            NONE, or why the station has none now.
        """
        await self.write(on=("JOB_CHANGE",), job=job)
        inputs = await self.until("loads a job", lambda inputs: inputs.on("JOB_ACK") or inputs.on("JOB_FAILED"))
        if inputs.on("JOB_ACK") and (inputs.on("JOB_FAILED") or inputs.number("JOB") != job):
            self.violations["JOB_ACK for another job"] += 1
        await self.write(off=("JOB_CHANGE",))
        return ErrorCode(inputs.number("ERROR_CODE")) if inputs.on("JOB_FAILED") else ErrorCode.NONE

    async def run(self, parts: AsyncIterable[Part], on_result: Callable[[PlcResult], None]) -> None:
        """Inspects parts one after the other.

        Args:
            parts: As they come along the line.
            on_result: Gets each result.
        """
        async for part in parts:
            on_result(await self.inspect(part))

    async def read(self) -> Inputs:
        """Reads all inputs at once, and counts what none of them may show."""
        registers = await self._ask(
            lambda client: client.read_input_registers(0, count=INPUT_REGISTERS, device_id=self._unit)
        )
        inputs = Inputs(registers.registers, self._order)
        self.violations.update(violations_in(inputs))
        return inputs

    async def write(
        self, on: tuple[str, ...] = (), off: tuple[str, ...] = (), part: Part | None = None, job: int | None = None
    ) -> None:
        """Writes coils, and what goes with them in the same request.

        Args:
            on: Coils that become 1.
            off: Coils that become 0.
            part: For a trigger.
            job: For a change of job.
        """
        async with self._writing:
            self._coils = (self._coils | sum(map(bit, on))) & ~sum(map(bit, off))
            values: dict[str, Any] = {"COILS": self._coils, "SET_JOB": job or 0}
            count = 1 if job is None else 2
            if part is not None:
                values.update(SET_PART_ID=part.part_id, SET_SERIAL=part.serial, SET_LOT=part.lot)
                count = END_OF_TEXT
            registers = encode(HOLDING_SIGNALS, values, HOLDING_REGISTERS, self._order)[:count]
            await self._ask(lambda client: client.write_registers(0, registers, device_id=self._unit))

    async def until(self, what: str, condition: Callable[[Inputs], bool]) -> Inputs:
        """Reads until the inputs are as they should be.

        Args:
            what: The station does then, for the message.
            condition: Of the inputs.

        Raises:
            MachineError: They did not become so in time.
        """
        deadline = time.monotonic() + self._step_s
        while not condition(inputs := await self.read()):
            if time.monotonic() > deadline:
                state = inputs.number("STATE")
                raise MachineError(
                    f"the station did not show in {self._step_s:g} s that it {what}: its state is {state}"
                )
            await asyncio.sleep(self._poll_s)
        return inputs

    async def _refused(self, part: Part, waited_ms: float) -> PlcResult:
        """The trigger got no TRIGGER_ACK, or the station was started anew: this part is not judged any more."""
        await self.write(on=("CLEAR_ERROR",), off=("TRIGGER",))
        await self.write(off=("CLEAR_ERROR",))
        refused = ErrorCode.TRIGGER_NOT_READY
        return PlcResult(part, 0, Verdict.ERROR, refused, math.nan, math.nan, 0, waited_ms, simulated=False)

    def _result(self, part: Part, inputs: Inputs, waited_ms: float) -> PlcResult:
        """Takes a result, and counts what is wrong with it."""
        result_id = inputs.number("RESULT_ID")
        if inputs.number("PART_ID") != part.part_id:
            self.violations["a result of another part"] += 1
        if result_id <= self._last_result:
            self.violations["a result id that did not rise"] += 1
        self._last_result = result_id
        return PlcResult(
            part=part,
            result_id=result_id,
            verdict=VERDICTS.get(inputs.number("VERDICT")),
            error=ErrorCode(inputs.number("ERROR_CODE")),
            score=inputs.real("SCORE"),
            severity=inputs.number("SEVERITY") / 1000,
            station_ms=inputs.number("MILLISECONDS"),
            waited_ms=waited_ms,
            simulated=inputs.on("SIMULATED"),
        )

    async def _acknowledge(self) -> None:
        await self.write(on=("RESULTS_ACK",), off=("TRIGGER",))
        await self.until("takes the acknowledgement", lambda inputs: not inputs.on("RESULTS_READY"))
        await self.write(off=("RESULTS_ACK",))

    async def _beat(self) -> None:
        """Toggles the heartbeat as long as the program runs."""
        heart = ("PLC_HEARTBEAT",)
        while True:
            beats = bool(self._coils & bit("PLC_HEARTBEAT"))
            with contextlib.suppress(MachineError):  # Whoever waits for the station says so.
                await self.write(on=() if beats else heart, off=heart if beats else ())
            await asyncio.sleep(HEARTBEAT_S)

    async def _ask(self, request: Callable[[AsyncModbusTcpClient], Any]) -> Any:
        """Asks until there is an answer: levels may be written twice, for an edge is only the first of them."""
        from pymodbus.exceptions import ModbusException

        deadline = time.monotonic() + self._step_s
        while True:
            try:
                if self._client is not None and self._client.connected:
                    answer = await request(self._client)
                    if not answer.isError():
                        return answer
                    why = f"exception {answer.exception_code}"
                else:
                    why = "no connection"
            except ModbusException as error:
                why = str(error)
            if time.monotonic() > deadline:
                raise MachineError(f"the station on {self._host} port {self._port} does not answer: {why}")
            await self._reconnect()

    async def _reconnect(self) -> None:
        await asyncio.sleep(RECONNECT_S)
        async with self._connecting:
            if self._client is None or not self._client.connected:
                self.reconnected += await self._try_to_connect()

    async def _try_to_connect(self) -> bool:
        try:
            from pymodbus.client import AsyncModbusTcpClient
        except ImportError as error:
            raise missing_package("pymodbus", "the simulated PLC") from error
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # What fails is tried again, or raised here.
        if self._client is not None:
            self._client.close()
        self._client = AsyncModbusTcpClient(
            self._host, port=self._port, timeout=WIRE_TIMEOUT_S, retries=0, reconnect_delay=0
        )
        return bool(await self._client.connect())
