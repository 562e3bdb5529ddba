"""Requests and faults in any order: whatever happens, each trigger has one answer and no OK is given lightly."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgekd.result import Verdict
from edgekd.station import recorder
from edgekd.station.clock import Clock
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.events import Delivered, Published
from edgekd.station.parts import Part
from edgekd.station.recipes import SelfTests, StopRules
from edgekd.station.states import State
from tests.station.core.fakes import BAD, GOOD, JOB, bench, inspected, until

MASTERS = SelfTests(master_parts=(("good", "OK"), ("scratch", "NG")))
DEADLINE_MS = 60_000


class AtOnce(ThreadPoolExecutor):
    """An executor without threads, so that the same requests always give the same order."""

    def submit(self, work, /, *arguments, **keywords):
        future = Future()
        try:
            future.set_result(work(*arguments, **keywords))
        except Exception as error:
            future.set_exception(error)
        return future


class AnyOrder(RuleBasedStateMachine):
    """A station, a PLC that keeps to nothing, and everything around them failing."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(AtOnce())
        self.passed = 0.0  # Seconds that a test lets pass.
        self.sent = 0
        self.answered_well = set()  # Acquisitions that the inspector called good, in time and of the right recipe.
        self.too_late = set()
        self.states_at_ok = set()
        self.retry_s, recorder.RETRY_S = recorder.RETRY_S, 0

    @initialize()
    def start(self):
        self.entered = bench(
            clock=Clock(monotonic=lambda: self.loop.time() + self.passed),
            stop=StopRules(ng_in_a_row=2, errors_in_a_row=3),
            self_tests=MASTERS,
            deadline_ms=DEADLINE_MS,
        )
        self.it = self.loop.run_until_complete(self.entered.__aenter__())
        self.it.recipes.put(8, DEADLINE_MS)
        publish = self.it.station.events.publish

        def watch(event):
            if isinstance(event, Published) and event.outcome.verdict is Verdict.OK:
                self.states_at_ok.add(self.it.state)
            publish(event)

        self.it.station.events.publish = watch

    def turn(self, times=3):
        async def wait():
            for _ in range(times):
                await asyncio.sleep(0)

        self.loop.run_until_complete(wait())

    def request(self, function, *arguments):
        """Asks for something in the event loop."""

        async def ask():
            return function(*arguments)

        return self.loop.run_until_complete(ask())

    @rule(times=st.integers(1, 40))
    def let_it_work(self, times):
        self.turn(times)

    @rule(turns=st.integers(0, 20))
    def trigger(self, turns):
        self.sent += 1

        def send():
            ready = self.it.station.snapshot().trigger_ready
            assert (self.it.station.trigger(Part(self.sent), "modbus").code is ErrorCode.NONE) == ready

        self.request(send)
        self.turn(turns)

    @rule(
        what=st.sampled_from(["good", "bad", "black", "other recipe", "other part", "died"]), turns=st.integers(0, 10)
    )
    def inspector_answers(self, what, turns):
        waiting = [number for number, answer in self.it.inspector.under_way.items() if not answer.done()]
        if not waiting:
            return
        number = waiting[0]
        digest = "another" if what == "other recipe" else self.it.station.snapshot().recipe.digest
        answer = replace(inspected(BAD if what == "bad" else GOOD), acquisition_id=number, recipe_digest=digest)
        if what == "black":
            answer = replace(answer, error=ErrorCode.IMAGE_BLACK)
        if what == "other part":
            answer = replace(answer, acquisition_id=number + 1000)
        if what == "died":
            self.it.inspector.under_way[number].set_exception(StationError(ErrorCode.INSPECTOR_DIED, "signal 9"))
        else:
            self.it.inspector.under_way[number].set_result(answer)
        if what == "good" and number not in self.too_late:
            self.answered_well.add(number)
        self.turn(turns)

    @rule()
    def time_passes(self):
        self.time_passes_for_the_part_in_work()

    def time_passes_for_the_part_in_work(self):
        self.passed += DEADLINE_MS / 1000 + 1
        if self.it.station.snapshot().busy:
            self.answered_well.discard(max(self.it.inspector.under_way, default=0))
            self.too_late.update(self.it.inspector.under_way)

    @rule()
    def acknowledge(self):
        self.request(self.it.station.acknowledge, "modbus")

    @precondition(lambda self: self.it.station.snapshot().trigger_ready)
    @rule(
        what=st.sampled_from(["good", "bad", "black"]),
        spoilt=st.sampled_from(["", "", "", "full disk", "slow disk", "fault", "abort", "offline", "reset handshake"]),
        turns=st.integers(0, 6),
    )
    def part(self, what, spoilt, turns):
        """A part from its trigger to its answer, during which one thing may happen."""
        self.trigger(5)
        self.inspector_answers(what, turns)
        if spoilt == "full disk":
            self.it.record.full = True
        elif spoilt == "slow disk":
            self.it.record.slow = self.a_minute_for_a_row
        elif spoilt:
            requests = {
                "fault": (self.it.station.report_fault, ErrorCode.DEVICE_LOST, "the GPU is gone"),
                "abort": (self.it.station.abort, "opcua"),
                "offline": (self.it.station.set_online, False, "modbus"),
                "reset handshake": (self.it.station.enable_triggers, False, "modbus"),
            }
            self.request(*requests[spoilt])
        self.turn(20)

    def a_minute_for_a_row(self):
        self.it.record.slow = lambda: None
        self.time_passes_for_the_part_in_work()

    @rule(
        request=st.sampled_from(
            [
                ("enable_triggers", False, "modbus"),
                ("enable_triggers", True, "modbus"),
                ("set_online", False, "modbus"),
                ("set_online", True, "modbus"),
                *(("change_job", job, "modbus") for job in (JOB, 8, 99, 0)),
                *(("report_link", name, up) for name in ("inspector", "camera top", "broker") for up in (True, False)),
                *(("report_fault", ErrorCode.DEVICE_LOST, "the GPU is gone", active) for active in (True, False)),
                *(("hold_triggers", ErrorCode.PLC_SILENT, held) for held in (True, False)),
                ("clear_error", "modbus"),
                ("start_self_test", "modbus"),
                ("start_master_test", "page"),
                ("release", "engineer", "tried"),
                ("abort", "opcua"),
                ("halt", "opcua"),
                ("reset", "opcua"),
                ("tick",),
            ]
        ),
        turns=st.integers(0, 15),
    )
    def anything(self, request, turns):
        name, *arguments = request
        self.request(getattr(self.it.station, name), *arguments)
        self.turn(turns)

    @rule(full=st.booleans(), passes=st.booleans())
    def surroundings(self, full, passes):
        self.it.record.full, self.it.inspector.passes = full, passes

    @precondition(lambda self: not self.it.station.snapshot().trigger_ready)
    @rule()
    def get_going(self):
        """What an operator does about all of it, so that parts are inspected at all."""
        it = self.it
        it.record.full, it.inspector.passes = False, True

        async def repair():
            for answer in it.inspector.under_way.values():
                if not answer.done():
                    answer.set_exception(StationError(ErrorCode.INSPECTOR_DIED, "restarted"))
            for name in ("inspector", "camera top"):
                it.station.report_link(name, True)
            it.station.report_fault(ErrorCode.DEVICE_LOST, "", active=False)
            it.station.hold_triggers(ErrorCode.PLC_SILENT, False)
            it.record.slow = lambda: None
            await until(lambda: not it.station.snapshot().busy)
            it.station.enable_triggers(False, "modbus")
            it.station.enable_triggers(True, "modbus")
            it.station.reset("opcua")
            await until(lambda: it.station.snapshot().state is State.OFFLINE)
            it.station.change_job(JOB, "modbus")
            it.station.set_online(True, "modbus")
            await until(lambda: it.state in (State.READY, State.BLOCKED))
            it.station.release("engineer", "looked at it")
            await until(lambda: it.station.snapshot().trigger_ready)

        self.loop.run_until_complete(repair())

    def published(self):
        return [event.outcome for event in self.it.saw(Published)]

    @invariant()
    def triggers_are_taken_in_ready_alone(self):
        shown = self.it.station.snapshot()
        assert not shown.trigger_ready or shown.state is State.READY
        assert not shown.trigger_ready or not (shown.busy or shown.results_ready)

    @invariant()
    def no_trigger_has_two_answers(self):
        parts = [outcome.part.part_id for outcome in self.published()]
        assert len(parts) == len(set(parts))
        numbers = [outcome.result_id for outcome in self.published()]
        assert len(numbers) == len(set(numbers))

    @invariant()
    def ok_has_its_row_and_was_earned(self):
        rows = {row.result_id: row for row in self.it.record.rows}
        for outcome in self.published():
            if outcome.verdict is Verdict.OK:
                assert rows[outcome.result_id] is outcome
                assert outcome.acquisition_id in self.answered_well
        assert self.states_at_ok <= {State.RUNNING}

    @invariant()
    def counters_add_up(self):
        counters = self.it.station.snapshot().counters
        assert counters.total == counters.ok + counters.ng + counters.error
        assert counters.total <= self.sent

    def teardown(self):
        it = self.it
        it.record.full = False

        async def end():
            for answer in it.inspector.under_way.values():
                if not answer.done():
                    answer.set_exception(StationError(ErrorCode.INSPECTOR_DIED, "stopped"))
            await until(lambda: not it.station.snapshot().busy)
            await it.written()
            await asyncio.sleep(0)
            outcomes = self.published()
            assert sorted(outcome.part.part_id for outcome in outcomes) == list(range(1, self.sent + 1))
            production = [outcome for outcome in outcomes if not outcome.self_test]
            shown = it.station.snapshot()
            assert shown.counters.total == len(production)
            assert shown.counters.ok == sum(outcome.verdict is Verdict.OK for outcome in production)
            assert shown.counters.ng == sum(outcome.verdict is Verdict.NG for outcome in production)
            rows = {row.result_id: row for row in it.record.rows}
            assert len(rows) == len(it.record.rows)
            assert all(rows[outcome.result_id] == outcome for outcome in outcomes)
            # Every row is that of an answer, or was withdrawn.
            withdrawn = {number for number, how in it.record.delivered if how == "late"}
            assert set(rows) == {outcome.result_id for outcome in outcomes} | withdrawn
            ended = [event.result_id for event in it.saw(Delivered)]
            assert len(ended) == len(set(ended))
            await self.entered.__aexit__(None, None, None)

        try:
            self.loop.run_until_complete(asyncio.wait_for(end(), 10))
        finally:
            recorder.RETRY_S = self.retry_s
            self.loop.close()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
