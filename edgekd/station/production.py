"""Parts, one after the other: taken or refused, answered, counted, and held until the answer is read."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from edgekd.errors import one_line
from edgekd.result import Verdict
from edgekd.station.alarms import Alarms
from edgekd.station.consequences import Consequences, remember
from edgekd.station.counters import counted
from edgekd.station.cycle import ROW_PATIENCE_S, ROW_SHARE, Cycle
from edgekd.station.error_codes import TEXTS, ErrorCode
from edgekd.station.events import (
    CountersChanged,
    Delivered,
    Event,
    ExposureDone,
    Published,
    Refused,
    Started,
)
from edgekd.station.outcomes import outcome_of
from edgekd.station.parts import Acquisition, Inspected, Outcome, Part, TriggerSource
from edgekd.station.ports import Reply
from edgekd.station.rule_ok import Decision
from edgekd.station.shared import Shared
from edgekd.station.snapshot import Counters
from edgekd.station.states import State
from edgekd.station.work import Work

logger = logging.getLogger(__name__)

READ_BY_A_PLC: TriggerSource = "modbus"  # Whoever else triggers is given the answer, and has read it then.


class Production:
    """The parts of a station. Whatever happens, each trigger gets exactly one answer.

    Args:
        name: Of the station.
        shared: Inspector, record, clock.
        tell: Told of what happens.
        alarms: Of the station.
        work: What the station does between its parts.
        acknowledge_s: Seconds after which an answer that nobody has read is a WARNING.
        counters: From before the start.

    Attributes:
        enabled: Whether triggers are taken at all.
        holds: Why a counterpart holds triggers back; empty where none does.
        cycle: The part in work, or the answer that waits to be read; None for none.
        outcome: The last answer that was published; None after a start.
        missed: Whether a trigger was missed since this was cleared.
        overrun: Whether one was missed because an answer waited.
        consequences: What follows from answers: images, stop rules, the master-part test.
        simulating: Whether images or triggers are not a line's own.
    """

    def __init__(
        self,
        name: str,
        shared: Shared,
        tell: Callable[[Event], None],
        alarms: Alarms,
        work: Work,
        acknowledge_s: float,
        counters: Counters,
    ) -> None:
        self._name, self._shared, self._tell, self._alarms, self._work = name, shared, tell, alarms, work
        self._acknowledge_s = acknowledge_s
        self.counters = counters
        self.enabled = True
        self.holds: set[ErrorCode] = set()
        self.cycle: Cycle | None = None
        self.outcome: Outcome | None = None
        self.missed = self.overrun = False
        self.consequences = Consequences(shared, alarms, work)
        self.simulating = False
        self.last_trigger = shared.clock.now()
        self._part_ids: OrderedDict[int, int] = OrderedDict()  # With the acquisition of each.
        self._results: OrderedDict[int, int] = OrderedDict()  # By acquisition, for answers that come late.
        self._refused: set[int] = set()  # Results of refused triggers that are not published yet.
        self._reminder: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def in_work(self) -> bool:
        """Whether a part has no answer yet."""
        return self.cycle is not None and self.cycle.in_work

    @property
    def results_ready(self) -> bool:
        """Whether an answer waits to be read."""
        return self.cycle is not None and not self.cycle.in_work

    @property
    def ready(self) -> bool:
        """Whether a trigger would be taken now."""
        able = self._work.takes_parts and self._shared.recorder.writable
        return able and self.enabled and not self.holds and self.cycle is None

    def trigger(self, part: Part, source: TriggerSource, triggered: float | None = None) -> Reply:
        """Takes a part, or answers for it at once.

        Args:
            part: What comes.
            source: Who says so.
            triggered: `time.monotonic()` of the trigger; None for now.
        """
        acquisition_id = self._shared.numbers.next_acquisition() if self.ready else 0
        now = self._shared.clock.now()
        triggered = now if triggered is None else triggered
        self.last_trigger = now
        judge = self._work.judge
        due = triggered + (judge.deadline_s if judge is not None else 0.0)
        acquisition = Acquisition(
            acquisition_id=acquisition_id,
            station=self._name,
            job=0 if judge is None else judge.loaded.job,
            recipe_digest="" if judge is None else judge.loaded.digest,
            part=part,
            source=source,
            triggered=triggered,
            triggered_utc_ms=self._shared.clock.utc_ms() - round((now - triggered) * 1000),
            deadline=due - ROW_SHARE * (due - triggered),
        )
        if not acquisition_id or judge is None:
            return self._refuse(acquisition)
        self.consequences.follow(judge)
        self._look_for_twice(part.part_id, acquisition_id)
        self.cycle = Cycle(
            self._shared, acquisition, judge, due, self.simulated, self_test=self._work.tests.master is not None
        )
        self._work.part_begins()
        self._tell(Started(acquisition))
        self._task = asyncio.create_task(self._inspect(self.cycle), name=f"{self._name}: part {acquisition_id}")
        self._task.add_done_callback(self._inspected)
        return Reply(acquisition_id=acquisition_id)

    def abort(self) -> bool:
        """Ends the part in work at once. Returns whether there is one."""
        if self.cycle is None or not self.cycle.in_work:
            return False
        self.cycle.abort()
        return True

    def acknowledge(self) -> None:
        """The answer was read."""
        if self.results_ready:
            self._free("acked")

    def enable(self, enabled: bool) -> None:
        """Takes triggers, or none: then whoever sent them has begun anew and waits for no answer."""
        self.enabled = enabled
        if enabled or self.cycle is None:
            return
        if self.results_ready:
            self._free("unread")
        else:
            self.cycle.unread = True

    def late(self, inspected: Inspected) -> None:
        """Keeps an answer that came too late, beside the ERROR that goes or went out in its place."""
        cycle = self.cycle
        if cycle is not None and cycle.in_work and cycle.acquisition.acquisition_id == inspected.acquisition_id:
            cycle.late = inspected  # The row of that ERROR is being written.
            return
        result_id = self._results.get(inspected.acquisition_id)
        if result_id is None:
            logger.warning("a late answer belongs to no part that is known: %d", inspected.acquisition_id)
            return
        self._shared.recorder.add(partial(self._shared.recorder.record.late, result_id, inspected))
        self._tell(Delivered(result_id, "late"))

    def reset_counters(self) -> None:
        """Counts from zero."""
        self.counters = Counters(since_utc_ms=self._shared.clock.utc_ms())
        record, since = self._shared.recorder.record, self.counters.since_utc_ms
        self._shared.recorder.add(partial(record.reset_counters, self._name, since))
        self._tell(CountersChanged(self.counters))

    def clear(self) -> None:
        """Somebody has seen what was missed, and why the line was to stop."""
        self.missed = self.overrun = False
        self._alarms.end(ErrorCode.PART_ID_TWICE)
        self.consequences.forget()

    async def close(self) -> None:
        """Waits for the answer of the part in work; one that nobody reads any more is unread."""
        if self._task is not None:
            await asyncio.wait({self._task})
        if self.results_ready:
            self._free("unread")

    @property
    def simulated(self) -> bool:
        """Whether what is answered now is not a line's own."""
        return self.simulating or self._shared.simulator

    def _refuse(self, acquisition: Acquisition) -> Reply:
        """A part that was not inspected is an ERROR on record, so that nobody counts it as good."""
        code = self._why_not()
        if code is ErrorCode.OVERRUN:
            self.overrun = True
        else:
            self.missed = True
        loaded = None if self._work.judge is None else self._work.judge.loaded
        decision = Decision(Verdict.ERROR, code, " ".join(TEXTS[code]))
        outcome = outcome_of(self._shared, acquisition, loaded, decision, simulated=self.simulated)
        self._count(outcome)
        self._tell(Refused(code, acquisition.part))
        self._refused.add(outcome.result_id)
        publish = partial(self._publish_refused, outcome)
        self._shared.recorder.add(partial(self._shared.recorder.record.write, outcome), then=publish)
        asyncio.get_running_loop().call_later(ROW_PATIENCE_S, publish)  # An output has to reject the part meanwhile.
        return Reply(code, decision.text)

    def _publish_refused(self, outcome: Outcome) -> None:
        """Gives the ERROR out once: when it is on record, or when the disk takes too long."""
        if outcome.result_id in self._refused:
            self._refused.remove(outcome.result_id)
            self._tell(Published(outcome))

    def _why_not(self) -> ErrorCode:
        if self.results_ready:
            return ErrorCode.OVERRUN
        if not self.enabled or self._work.state in (State.STARTING, State.OFFLINE, State.HALTED):
            return ErrorCode.TRIGGER_DISABLED
        return ErrorCode.TRIGGER_NOT_READY

    def _look_for_twice(self, part_id: int, acquisition_id: int) -> None:
        if part_id and part_id in self._part_ids:
            self._alarms.begin(ErrorCode.PART_ID_TWICE, f"Part id {part_id} came twice. Check the PLC's part ids.")
            return
        self._alarms.end(ErrorCode.PART_ID_TWICE)
        if part_id:
            remember(self._part_ids, part_id, acquisition_id)

    async def _inspect(self, cycle: Cycle) -> None:
        acquisition = cycle.acquisition
        try:
            outcome = await cycle.run(self._doing, lambda: self._tell(ExposureDone(acquisition.acquisition_id)))
        except Exception as error:  # A fault of ours must not leave a part without its answer.
            logger.exception("part %d failed", acquisition.acquisition_id)
            decision = Decision(Verdict.ERROR, ErrorCode.SYSTEM, f"The station itself failed: {one_line(error)}")
            outcome = cycle.outcome = outcome_of(
                self._shared, acquisition, cycle.judge.loaded, decision, simulated=self.simulated
            )
            self._shared.recorder.add(partial(self._shared.recorder.record.write, outcome))
        self._publish(cycle, outcome)

    def _inspected(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("an answer could not be followed up", exc_info=error)
            self._work.fail(ErrorCode.SYSTEM, f"The station itself failed: {error}", active=False)

    def _doing(self) -> tuple[State, ErrorCode]:
        fault = next((alarm.code for alarm in self._alarms.listed() if alarm.fatal), ErrorCode.NONE)
        return self._work.state, fault

    def _publish(self, cycle: Cycle, outcome: Outcome) -> None:
        """Gives an answer out; what follows from it comes after."""
        self.outcome = outcome
        remember(self._results, outcome.acquisition_id, outcome.result_id)
        self._count(outcome)
        self._tell(Published(outcome))
        if cycle.late is not None:
            self.late(cycle.late)
        self.consequences.of(outcome, self.counters)
        if cycle.unread:
            self._free("unread")
        elif outcome.source != READ_BY_A_PLC:
            self._free("acked")
        else:
            loop = asyncio.get_running_loop()
            self._reminder = loop.call_later(self._acknowledge_s, self._alarms.begin, ErrorCode.NO_ACKNOWLEDGEMENT)
            self._work.advance()

    def _count(self, outcome: Outcome) -> None:
        self.counters = counted(self.counters, outcome)
        self._tell(CountersChanged(self.counters))

    def _free(self, how: str) -> None:
        """The answer was read, or nobody will read it: the next part may come."""
        assert self.cycle is not None
        assert self.cycle.outcome is not None
        result_id = self.cycle.outcome.result_id
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None
        self.cycle = None
        self._alarms.end(ErrorCode.NO_ACKNOWLEDGEMENT)
        self._shared.recorder.add(partial(self._shared.recorder.record.deliver, result_id, how))
        self._tell(Delivered(result_id, how))
        self._work.part_ends()
