"""A line that does everything that a line may do, right and wrong, and what it expects of its station."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from typing import NamedTuple

import numpy as np

from edgekd.errors import MachineError
from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Part
from edgekd.station.simulated_plc import Inputs, PlcResult
from edgekd.station.states import State

from .laid_out import WholeStation
from .line import Line, encoded
from .numbered import part_image

RECOVERY_S = 150.0  # The inspector is started again with pauses of up to 30 s.
NURSE_S = 0.3
APART = 1_000_000  # Part ids of two lines.
GOOD, DEFECTIVE, BLACK, DAMAGED, STALLED = "good", "defective", "black", "damaged", "stalled"
VERDICTS = {GOOD: Verdict.OK, DEFECTIVE: Verdict.NG, **dict.fromkeys((BLACK, DAMAGED, STALLED), Verdict.ERROR)}


class Sent(NamedTuple):
    """A trigger.

    Attributes:
        number: Of the part.
        kind: What lay under the camera; "" where a violation of the handshake gets no answer over the wire.
        began, ended: `time.monotonic()`.
        result: What the PLC got; None where it got nothing.
    """

    number: int
    kind: str
    began: float
    ended: float
    result: PlcResult | None


class SoakLine(Line):
    """A line of one station, at full speed.

    Args:
        station: That it belongs to.
        name: Of the unit's station and camera.
        unit: Of it.
        random: What it does.

    Attributes:
        sent: Its triggers.
        did: What it did, with how often.
        judged: How many answers were no ERROR.
    """

    def __init__(self, station: WholeStation, name: str, unit: int, random: np.random.Generator) -> None:
        super().__init__(station, name, unit, poll_s=0.001, step_s=RECOVERY_S)
        self.sent: list[Sent] = []
        self.did: Counter[str] = Counter()
        self.judged = 0
        self._numbers = itertools.count(unit * APART + 1)
        self._random, self._station = random, station
        self._shown: Inputs | None = None
        self._changing = False

    async def work(self, ended: asyncio.Event) -> None:
        """Lets parts come until then, and finishes the one that it is at."""
        await self.start()
        nurse = asyncio.create_task(self._nurse())
        deeds = (
            (self.change_over, 0.01), (self.self_test, 0.005), (self.second_trigger, 0.01), (self.overrun, 0.01),
            (self.disable, 0.01), (self.stuck_acknowledgement, 0.01), (self.short_pulse, 0.01),
            (self.disconnect, 0.01), (self.offline, 0.005),
        )  # fmt: skip
        chances = [chance for _, chance in deeds]
        try:
            while not ended.is_set():
                place = self._random.choice(len(deeds) + 1, p=[*chances, 1 - sum(chances)])
                deed = deeds[place][0] if place < len(deeds) else self.any_part
                self.did[deed.__name__] += 1
                try:
                    await deed()
                except MachineError as error:
                    self.wrong[f"{deed.__name__}: {error}"] += 1
                    await self.write(off=("TRIGGER", "RESULTS_ACK", "JOB_CHANGE"), on=("TRIGGER_ENABLE", "SET_ONLINE"))
        finally:
            nurse.cancel()
            await asyncio.wait({nurse})

    async def read(self) -> Inputs:
        self._shown = await super().read()
        return self._shown

    async def any_part(self) -> None:
        """A part of any kind."""
        kinds = (GOOD, DEFECTIVE, BLACK, DAMAGED, STALLED)
        kind = str(self._random.choice(kinds, p=[0.785, 0.2, 0.01, 0.003, 0.002]))
        await self._one(kind)

    async def change_over(self) -> None:
        """To the other job."""
        await self._ready()
        self._changing = True
        try:
            self.expected = 3 - self.expected
            await self.change_job(self.expected)
        finally:
            self._changing = False
        await self._one(GOOD)

    async def self_test(self) -> None:
        """Between two parts."""
        await self.write(on=("SELF_TEST",))
        await self.write(off=("SELF_TEST",))
        await self._one(GOOD)

    async def second_trigger(self) -> None:
        """While a part is in work."""
        await self._one(GOOD, while_acquiring=self._another)

    async def overrun(self) -> None:
        """While a result waits."""
        await self._one(GOOD, while_waiting=self._another)

    async def disable(self) -> None:
        """Triggers, while a part is in work: nobody gets its answer."""
        number, began = next(self._numbers), time.monotonic()
        self.lay(number)
        if (await self._trigger(number)).on("TRIGGER_ACK"):
            await self.write(off=("TRIGGER_ENABLE", "TRIGGER"))
            if self._lies_there is not None:
                self.take_image()
            await self.until("is done", lambda inputs: not inputs.on("BUSY"))
        self.sent.append(Sent(number, "", began, time.monotonic(), None))
        await self.write(on=("TRIGGER_ENABLE",), off=("TRIGGER",))
        await self._clear()

    async def stuck_acknowledgement(self) -> None:
        """RESULTS_ACK stays at 1 beyond the next trigger."""
        await self._one(GOOD, forgetting=True)
        await self._one(GOOD)

    async def short_pulse(self) -> None:
        """TRIGGER falls at once."""

        async def let_go() -> None:
            await self.write(off=("TRIGGER",))

        await self._one(GOOD, at_once=let_go)

    async def disconnect(self) -> None:
        """The connection ends at any moment of a part."""

        async def cut() -> None:
            await asyncio.sleep(float(self._random.uniform(0, 0.1)))
            assert self._client is not None
            self._client.close()

        cutting = asyncio.create_task(cut())
        await self._one(GOOD)
        await cutting

    async def offline(self) -> None:
        """A trigger comes while the station is offline."""
        await self._ready()
        await self.write(off=("SET_ONLINE",))
        await self.until("is offline", lambda inputs: not inputs.on("ONLINE"))
        await self._another()
        await self.write(on=("SET_ONLINE",), off=("TRIGGER",))
        await self._clear()

    async def _one(self, kind, at_once=None, while_acquiring=None, while_waiting=None, forgetting=False) -> None:
        """A part, with what is done wrong on its way."""
        number, began = next(self._numbers), time.monotonic()
        self.stalled = kind == STALLED or while_acquiring is not None
        self.lay(number, kind == DEFECTIVE, CONTENTS.get(kind))
        await self._ready()
        triggered = time.perf_counter()
        shown = await self._trigger(number, at_once)
        if while_acquiring is not None:
            if shown.on("ACQUIRING"):
                await while_acquiring()
            self.stalled = False
        taken = shown.on("TRIGGER_ACK") or at_once is not None
        if taken or shown.on("RESULTS_READY"):
            shown = await self.until(
                "gives a result", lambda inputs: inputs.on("RESULTS_READY") or self._given_up(inputs, at_once)
            )
        self.stalled = False
        self._lies_there = None
        if not shown.on("RESULTS_READY"):
            self.sent.append(Sent(number, "", began, time.monotonic(), None))
            await self.write(off=("TRIGGER",))
            await self._clear()
            return
        result = self._result(Part(number), shown, 1000 * (time.perf_counter() - triggered))
        if while_waiting is not None:
            await while_waiting()
        await self.write(on=("RESULTS_ACK",), off=("TRIGGER",))
        await self.until("takes the acknowledgement", lambda inputs: not inputs.on("RESULTS_READY"))
        if not forgetting:
            await self.write(off=("RESULTS_ACK",))
        self.results.append(result)
        self.sent.append(Sent(number, kind, began, time.monotonic(), result))
        self._expect(result, kind)
        if at_once or while_acquiring or while_waiting:
            await self._clear()

    def _given_up(self, inputs: Inputs, at_once: object) -> bool:
        """Whether no result comes any more: the trigger was refused."""
        return not inputs.on("BUSY") and (at_once is not None or not inputs.on("TRIGGER_ACK"))

    def _expect(self, result: PlcResult, kind: str) -> None:
        self._check(result, kind == DEFECTIVE)
        if result.verdict is Verdict.ERROR:
            return
        self.judged += 1
        if result.verdict is not VERDICTS[kind]:
            self.wrong[f"{result.verdict and result.verdict.value} of a part that is {kind}"] += 1
        if result.verdict is Verdict.OK:
            row = self._station.rows("SELECT verdict FROM verdict WHERE id = ?", result.result_id)
            if row != [("OK",)]:
                self.wrong["an OK without its row"] += 1

    async def _trigger(self, number: int, at_once=None) -> Inputs:
        """Writes a trigger. Returns what is shown once it was taken or refused."""
        await self.write(on=("TRIGGER",), off=(), part=Part(number))
        if self._coils & RESULTS_ACK_BIT:
            await self.write(off=("RESULTS_ACK",))
        if at_once is not None:
            await at_once()
        return await self.read()

    async def _another(self) -> None:
        """A trigger that must be refused."""
        number, began = next(self._numbers), time.monotonic()
        await self.write(off=("TRIGGER",))
        await self.write(on=("TRIGGER",), part=Part(number))
        if (await self.read()).on("TRIGGER_ACK"):
            self.wrong["a trigger that had to be refused was taken"] += 1
        self.sent.append(Sent(number, "", began, time.monotonic(), None))

    async def _ready(self) -> None:
        """Waits until a trigger would be taken; a result of before is taken first."""

        def ready(inputs: Inputs) -> bool:
            return inputs.on("TRIGGER_READY") or inputs.on("RESULTS_READY")

        while (await self.until("is ready", ready)).on("RESULTS_READY"):
            await self._acknowledge()

    async def _clear(self) -> None:
        await self.write(on=("CLEAR_ERROR",))
        await self.write(off=("CLEAR_ERROR",))

    async def _nurse(self) -> None:
        """Somebody beside the line, who clears a fault, starts a self-test again, and asks for the job again."""
        while True:
            await asyncio.sleep(NURSE_S)
            if self._shown is None:
                continue
            state = self._shown.number("STATE")
            with contextlib.suppress(MachineError):
                if state == State.FAULT:
                    self.did["cleared"] += 1
                    await self._clear()
                elif state == State.BLOCKED:
                    await self.write(on=("SELF_TEST",))
                    await self.write(off=("SELF_TEST",))
                elif state == State.NO_JOB and not self._changing:
                    self.did["asked for the job again"] += 1
                    self._changing = True
                    await self.change_job(self.expected)
                    self._changing = False


RESULTS_ACK_BIT = 1 << 2
CONTENTS = {BLACK: encoded(part_image(0) // 20), DAMAGED: encoded(part_image(0))[:-200]}


def wrong_of(line: SoakLine, station: WholeStation, excused) -> Counter[str]:
    """What of a line's triggers was not answered once, or was an ERROR without a cause.

    Args:
        line: The line, which has ended.
        station: Its station's.
        excused: Whether something was broken at some moment of a time.
    """
    wrong: Counter[str] = Counter()
    late = "SELECT verdict_id FROM delivery WHERE how = 'late'"
    query = f"""SELECT part, count(*), min(verdict) FROM result JOIN verdict USING (id)
        WHERE id NOT IN ({late}) GROUP BY part"""
    answers = {part: (count, verdict) for part, count, verdict in station.rows(query)}
    for each in line.sent:
        count, verdict = answers.get(each.number, (0, ""))
        if count != 1:
            wrong[f"triggers with {count} answers"] += 1
        elif each.kind == "" and each.result is None and verdict == "OK" and not line.did["disable"]:
            wrong["a refused trigger is OK"] += 1
        judged = each.result is not None and each.result.error is not ErrorCode.NONE
        if judged and each.kind in (GOOD, DEFECTIVE) and not excused(each.began, each.ended):
            wrong[f"an ERROR without a cause: {each.result.error.name}"] += 1
    return wrong
