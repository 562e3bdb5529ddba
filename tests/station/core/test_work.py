"""Change of job, self-test, online and offline, FAULT: what a station does between its parts."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from edgekd.result import Verdict
from edgekd.station.clock import Clock
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.events import RecipeChanged, SelfTestEnded, StateChanged
from edgekd.station.parts import Part
from edgekd.station.recipes import SelfTests, StopRules
from edgekd.station.snapshot import Counters
from edgekd.station.states import State
from tests.station.core.fakes import BAD, GOOD, JOB, bench, inspected, run, until

MASTERS = SelfTests(master_parts=(("good", "OK"), ("scratch", "NG")))


class FakeTime:
    """A wall clock and a monotonic one that the test moves."""

    def __init__(self):
        self.wall, self.monotonic = 1_800_000_000.0, 1000.0

    def clock(self):
        return Clock(lambda: self.wall, lambda: self.monotonic)


def test_after_a_start_a_station_is_offline_and_proves_itself_before_it_is_ready():
    async def test():
        async with bench(online=False) as it:
            assert it.state is State.OFFLINE
            assert it.inspector.loads == []
            await it.ready()
            assert (it.inspector.loads, it.inspector.tests) == ([JOB], 1)
            states = [event.state for event in it.saw(StateChanged)]
            assert states == [State.OFFLINE, State.LOADING, State.SELF_TEST, State.READY]

    run(test())


def test_without_a_job_it_waits_for_one():
    async def test():
        async with bench(job=None, online=False) as it:
            it.station.enable_triggers(True, "modbus")
            it.station.set_online(True, "modbus")
            await until(lambda: it.state is State.NO_JOB)
            assert it.station.trigger(Part(1), "modbus").code is ErrorCode.TRIGGER_NOT_READY
            it.station.change_job(JOB, "modbus")
            await until(lambda: it.station.snapshot().trigger_ready)
            it.station.change_job(0, "opcua")
            await until(lambda: it.state is State.NO_JOB)
            assert it.station.snapshot().recipe is None
            assert it.station.snapshot().job_failed is ErrorCode.NONE

    run(test())


def test_a_change_of_job_waits_for_the_part_in_work_and_takes_no_trigger_meanwhile():
    async def test():
        async with bench() as it:
            it.recipes.put(8)
            reply = it.station.trigger(Part(1), "modbus")
            await until(lambda: it.inspector.under_way)
            assert it.station.change_job(8, "modbus").code is ErrorCode.NONE
            good = replace(inspected(GOOD), acquisition_id=reply.acquisition_id, recipe_digest="digest of 7")
            it.inspector.under_way[reply.acquisition_id].set_result(good)
            await until(lambda: it.station.snapshot().results_ready)
            outcome = it.station.snapshot().outcome
            assert (outcome.verdict, outcome.job) == (Verdict.OK, JOB)
            it.inspector.load_waits = asyncio.Event()
            it.station.acknowledge("modbus")
            await until(lambda: it.inspector.loads == [JOB, 8])
            assert it.state is State.LOADING
            assert it.station.snapshot().recipe is None
            assert it.station.trigger(Part(2), "modbus").code is ErrorCode.TRIGGER_NOT_READY
            it.inspector.load_waits.set()
            await until(lambda: it.station.snapshot().trigger_ready)
            assert it.station.snapshot().recipe.job == 8
            it.inspector.answer = inspected(GOOD)
            assert (await it.part(3)).job == 8
            jobs = [None if event.recipe is None else event.recipe.job for event in it.saw(RecipeChanged)]
            assert jobs == [None, JOB, None, 8]

    run(test())


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (None, ErrorCode.JOB_UNKNOWN),
        (StationError(ErrorCode.DIGEST_DIFFERS, "detector.onnx was changed"), ErrorCode.DIGEST_DIFFERS),
        (StationError(ErrorCode.LOADING_FAILED, "no threshold"), ErrorCode.LOADING_FAILED),
        (RuntimeError("a fault of ours"), ErrorCode.LOADING_FAILED),
    ],
)
def test_a_failed_change_of_job_leaves_no_job_loaded(failure, code):
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            if failure is not None:
                it.recipes.put(8)
                it.inspector.loading = failure
            before = it.inspector.unloads
            it.station.change_job(8, "modbus")
            await until(lambda: it.state is State.NO_JOB)
            shown = it.station.snapshot()
            assert (shown.job_failed, shown.recipe, shown.trigger_ready) == (code, None, False)
            assert it.inspector.unloads > before
            assert code in it.alarms()
            it.inspector.loading = None
            it.station.change_job(JOB, "modbus")
            await until(lambda: it.station.snapshot().trigger_ready)
            assert it.station.snapshot().job_failed is ErrorCode.NONE
            assert code not in it.alarms()

    run(test())


@pytest.mark.parametrize("code", [ErrorCode.CAMERA_LOST, ErrorCode.IMAGE_STALE])
def test_a_camera_or_a_stream_that_ends_while_a_job_is_loaded_is_a_fault_and_the_job_is_kept(code):
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            it.recipes.put(8)
            it.inspector.loading = StationError(code, "camera 'top' is gone")
            it.station.change_job(8, "modbus")
            await until(lambda: it.state is State.FAULT)
            assert it.station.snapshot().fault is ErrorCode.CAMERA_LOST
            it.inspector.loading = None
            it.station.clear_error("modbus")
            await until(lambda: it.station.snapshot().trigger_ready)
            assert it.station.snapshot().recipe.job == 8

    run(test())


def test_what_the_inspector_loaded_must_be_what_control_read():
    async def test():
        async with bench(online=False) as it:
            it.inspector.digest = "of something else"
            it.station.set_online(True, "modbus")
            await until(lambda: it.state is State.NO_JOB)
            assert it.station.snapshot().job_failed is ErrorCode.DIGEST_DIFFERS

    run(test())


def test_the_last_of_several_jobs_asked_for_is_the_one_that_judges():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            it.recipes.put(8)
            it.recipes.put(9)
            it.inspector.load_waits = asyncio.Event()
            it.station.change_job(8, "modbus")
            await until(lambda: it.inspector.loads[-1] == 8)
            it.station.change_job(9, "modbus")
            it.inspector.load_waits.set()
            await until(lambda: it.station.snapshot().trigger_ready)
            assert it.station.snapshot().recipe.job == 9
            assert State.NO_JOB not in [event.state for event in it.saw(StateChanged)]
            assert (await it.part()).job == 9

    run(test())


def test_offline_waits_for_the_part_in_work_but_not_for_its_acknowledgement():
    async def test():
        async with bench() as it:
            reply = it.station.trigger(Part(1), "modbus")
            await until(lambda: it.inspector.under_way)
            it.station.set_online(False, "modbus")
            assert it.state is State.RUNNING
            good = replace(inspected(GOOD), acquisition_id=reply.acquisition_id, recipe_digest="digest of 7")
            it.inspector.under_way[reply.acquisition_id].set_result(good)
            await until(lambda: it.state is State.OFFLINE)
            assert it.station.snapshot().results_ready
            assert it.station.snapshot().outcome.verdict is Verdict.OK
            it.station.set_online(True, "modbus")
            await until(lambda: it.state is State.READY)
            assert not it.station.snapshot().trigger_ready
            it.station.acknowledge("modbus")
            assert it.station.snapshot().trigger_ready

    run(test())


def test_offline_while_loading_is_at_once_and_online_again_begins_anew():
    async def test():
        async with bench(online=False) as it:
            it.station.enable_triggers(True, "modbus")
            it.inspector.load_waits = asyncio.Event()
            it.station.set_online(True, "modbus")
            await until(lambda: it.state is State.LOADING)
            it.station.set_online(False, "modbus")
            it.station.set_online(True, "modbus")
            it.inspector.load_waits.set()
            await until(lambda: it.station.snapshot().trigger_ready)
            it.station.set_online(False, "modbus")
            assert it.state is State.OFFLINE

    run(test())


def test_a_failed_self_test_blocks_until_it_passes_or_an_engineer_releases_it():
    async def test():
        async with bench(online=False, answer=inspected(GOOD)) as it:
            it.station.enable_triggers(True, "modbus")
            it.inspector.passes = False
            it.station.set_online(True, "modbus")
            await until(lambda: it.state is State.BLOCKED)
            shown = it.station.snapshot()
            assert (shown.self_test_failed, shown.trigger_ready) == (True, False)
            assert ErrorCode.SELF_TEST_FAILED in it.alarms()
            assert it.station.trigger(Part(1), "modbus").code is ErrorCode.TRIGGER_NOT_READY
            it.inspector.passes = True
            it.station.start_self_test("modbus")
            await until(lambda: it.station.snapshot().trigger_ready)
            assert ErrorCode.SELF_TEST_FAILED not in it.alarms()
            it.inspector.passes = False
            it.station.start_self_test("modbus")
            await until(lambda: it.state is State.BLOCKED)
            assert it.station.release("", "").code is not ErrorCode.NONE
            assert it.station.release("engineer", "lamp is on order").code is ErrorCode.NONE
            assert it.station.snapshot().trigger_ready
            assert ErrorCode.SELF_TEST_FAILED not in it.alarms()
            await it.written()
            assert [words[-1] for words in it.record.audits if words[3] == "release"] == ["lamp is on order"]
            assert (await it.part()).verdict is Verdict.OK

    run(test())


def test_master_parts_are_judged_in_their_order_on_record_and_not_counted():
    async def test():
        async with bench(self_tests=MASTERS, answer=inspected(GOOD)) as it:
            assert it.station.snapshot().self_test_due
            assert it.station.start_master_test("page", "operator").code is ErrorCode.NONE
            good = await it.part(1)
            it.inspector.answer = inspected(BAD)
            bad = await it.part(2)
            assert (good.self_test, good.verdict, bad.self_test, bad.verdict) == (True, Verdict.OK, True, Verdict.NG)
            assert [(event.kind, event.passed) for event in it.saw(SelfTestEnded)] == [
                ("stored", True),
                ("master", True),
            ]
            shown = it.station.snapshot()
            assert (shown.self_test_due, shown.self_test_failed, shown.trigger_ready) == (False, False, True)
            assert shown.counters.total == 0
            assert not (await it.part(3)).self_test
            assert it.station.snapshot().counters.total == 1

    run(test())


def test_a_master_part_that_is_missed_blocks_and_neither_restart_of_the_job_nor_stored_test_excuses_it():
    async def test():
        async with bench(self_tests=MASTERS, answer=inspected(GOOD)) as it:
            it.station.start_master_test("page", "operator")
            await it.part(1)
            await it.part(2)  # It should have been NG.
            assert it.state is State.BLOCKED
            it.station.start_self_test("page")
            await until(lambda: it.inspector.tests == 2 and it.state is State.BLOCKED)
            it.station.set_online(False, "page")
            it.station.set_online(True, "page")
            await until(lambda: it.inspector.tests == 3 and it.state is State.BLOCKED)
            assert it.station.start_master_test("page", "operator").code is ErrorCode.NONE
            await it.part(3)
            it.inspector.answer = inspected(BAD)
            await it.part(4)
            assert it.station.snapshot().trigger_ready

    run(test())


def test_a_master_part_that_is_missed_warns_while_its_own_recipe_is_loaded_and_whenever_it_is_again():
    async def test():
        async with bench(self_tests=MASTERS, answer=inspected(BAD)) as it:
            it.recipes.put(8, self_tests=MASTERS)
            it.station.start_master_test("page", "operator")
            await it.part(1)
            assert it.state is State.BLOCKED
            it.station.change_job(8, "modbus")
            await until(lambda: it.station.snapshot().trigger_ready)
            assert ErrorCode.SELF_TEST_FAILED not in it.alarms()
            it.inspector.answer = inspected(GOOD)
            it.station.start_master_test("page", "operator")
            await it.part(2)
            it.inspector.answer = inspected(BAD)
            await it.part(3)
            it.station.change_job(JOB, "modbus")
            await until(lambda: it.state is State.BLOCKED)
            assert ErrorCode.SELF_TEST_FAILED in it.alarms()

    run(test())


def test_a_recipe_without_master_parts_has_no_such_test():
    async def test():
        async with bench() as it:
            assert it.station.start_master_test("page").code is not ErrorCode.NONE
            assert not it.station.snapshot().self_test_due

    run(test())


def test_a_lost_camera_is_a_fault_that_is_left_when_it_is_back_and_somebody_says_so():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            it.station.report_link("camera other", False)
            assert it.state is State.READY
            it.station.report_fault(ErrorCode.CAMERA_LOST, "viewer holds camera top: close it", subject="camera top")
            it.station.report_link("camera top", False)
            assert it.state is State.FAULT
            assert it.station.snapshot().fault is ErrorCode.CAMERA_LOST
            assert it.station.snapshot().alarms[0].text == "viewer holds camera top: close it"
            it.station.clear_error("modbus")
            assert it.state is State.FAULT
            it.station.report_link("camera top", True)
            assert it.state is State.FAULT
            it.station.clear_error("modbus")
            await until(lambda: it.station.snapshot().trigger_ready)
            assert it.inspector.tests == 2
            assert it.station.snapshot().alarms == ()

    run(test())


def test_a_fault_during_a_part_makes_it_an_error_that_is_still_read():
    async def test():
        async with bench() as it:
            reply = it.station.trigger(Part(1), "modbus")
            await until(lambda: it.inspector.under_way)
            it.station.report_fault(ErrorCode.DEVICE_LOST, "the GPU does not answer")
            it.station.report_fault(ErrorCode.DEVICE_LOST, "", active=False)
            it.station.clear_error("modbus")
            assert it.state is State.OFFLINE
            good = replace(inspected(GOOD), acquisition_id=reply.acquisition_id, recipe_digest="digest of 7")
            it.inspector.under_way[reply.acquisition_id].set_result(good)
            await until(lambda: it.station.snapshot().results_ready)
            assert it.station.snapshot().outcome.verdict is Verdict.ERROR
            it.station.acknowledge("modbus")
            await until(lambda: it.station.snapshot().trigger_ready)

    run(test())


def test_three_errors_in_a_row_are_a_fault_and_missed_triggers_are_none_of_them():
    async def test():
        async with bench(answer=inspected(GOOD, error=ErrorCode.IMAGE_BLACK)) as it:
            await it.part(1)
            await it.part(2, acknowledge=False)
            for _ in range(5):
                it.station.trigger(Part(9), "modbus")
            assert it.state is State.RUNNING
            it.station.acknowledge("modbus")
            outcome = await it.part(3)
            assert outcome.error is ErrorCode.IMAGE_BLACK
            shown = it.station.snapshot()
            assert (shown.state, shown.fault) == (State.FAULT, ErrorCode.IMAGE_BLACK)
            assert shown.counters.errors_in_a_row == 3
            it.station.clear_error("modbus")
            await until(lambda: it.station.snapshot().trigger_ready)
            await it.part(4)
            assert it.state is State.READY

    run(test())


def test_a_lost_device_is_an_error_and_then_a_fault():
    async def test():
        async with bench(answer=inspected(error=ErrorCode.DEVICE_LOST)) as it:
            assert (await it.part()).error is ErrorCode.DEVICE_LOST
            assert it.station.snapshot().fault is ErrorCode.DEVICE_LOST
            it.inspector.answer = inspected(GOOD)
            it.station.clear_error("modbus")
            await until(lambda: it.station.snapshot().trigger_ready)
            assert (await it.part(2)).verdict is Verdict.OK

    run(test())


@pytest.mark.parametrize(
    ("rules", "scores"),
    [
        (StopRules(ng_in_a_row=3), [BAD, BAD, GOOD, BAD, BAD, BAD]),
        (StopRules(reject_rate=0.5, window=4), [BAD, GOOD, GOOD, GOOD, BAD, BAD]),
    ],
)
def test_too_many_rejected_parts_ask_the_line_to_stop(rules, scores):
    async def test():
        async with bench(stop=rules) as it:
            for number, score in enumerate(scores, 1):
                assert not it.station.snapshot().stop_line
                it.inspector.answer = inspected(score)
                await it.part(number)
            assert it.station.snapshot().stop_line
            assert ErrorCode.STOP_RULE in it.alarms()
            assert it.station.snapshot().trigger_ready
            it.station.clear_error("modbus")
            await it.part(100)
            assert not it.station.snapshot().stop_line

    run(test())


def test_a_dead_inspector_takes_no_trigger_and_its_return_loads_and_proves_the_recipe_again():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            it.station.report_link("inspector", False)
            shown = it.station.snapshot()
            assert (shown.state, shown.trigger_ready) == (State.READY, False)
            assert ErrorCode.INSPECTOR_DIED in it.alarms()
            it.station.report_link("inspector", True)
            await until(lambda: it.station.snapshot().trigger_ready)
            assert (it.inspector.loads, it.inspector.tests) == ([JOB, JOB], 2)
            assert ErrorCode.INSPECTOR_DIED not in it.alarms()

    run(test())


def test_a_job_that_was_being_loaded_when_the_inspector_died_is_loaded_when_it_is_back():
    async def test():
        async with bench(online=False) as it:
            it.station.enable_triggers(True, "modbus")
            it.station.report_link("inspector", False)
            it.inspector.loading = StationError(ErrorCode.LOADING_FAILED, "the inspector ended")
            it.station.set_online(True, "modbus")
            await until(lambda: it.inspector.loads)
            it.inspector.loading = None
            it.station.report_link("inspector", True)
            await until(lambda: it.station.snapshot().trigger_ready)
            assert State.NO_JOB not in [event.state for event in it.saw(StateChanged)]

    run(test())


def test_a_station_is_halted_only_after_its_work_and_started_by_reset():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            await it.part(acknowledge=False)
            assert it.station.halt("opcua").code is ErrorCode.NONE
            assert it.state is State.HALTED
            it.station.set_online(True, "modbus")
            assert it.station.change_job(JOB, "modbus").code is not ErrorCode.NONE
            assert it.state is State.HALTED
            it.station.reset("opcua")
            assert it.state is State.OFFLINE
            it.station.acknowledge("modbus")
            await it.ready()

    run(test())


def test_a_station_that_was_halted_twice_is_started_by_one_reset():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            it.station.halt("opcua")
            it.station.halt("opcua")
            assert it.state is State.HALTED
            it.station.reset("opcua")
            assert it.state is State.OFFLINE
            it.station.set_online(True, "modbus")
            await it.ready()

    run(test())


@pytest.mark.parametrize("fault", [False, True], ids=["reset", "fault"])
def test_a_halt_during_a_part_is_forgotten_by_a_reset_or_a_fault_before_the_part_has_its_answer(fault):
    async def test():
        async with bench() as it:
            it.station.trigger(Part(1), "modbus")
            await until(lambda: it.inspector.under_way)
            it.station.halt("opcua")
            if fault:
                it.station.report_fault(ErrorCode.CAMERA_LOST, "the camera is gone", subject="camera top")
                it.station.report_link("camera top", True)
            it.station.reset("opcua")
            it.station.abort("opcua")
            await until(lambda: it.station.snapshot().results_ready)
            assert it.state is State.OFFLINE
            it.station.acknowledge("modbus")
            assert it.state is State.OFFLINE
            await it.ready()

    run(test())


def test_a_counterpart_may_hold_triggers_back():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            it.station.hold_triggers(ErrorCode.PLC_SILENT, True)
            assert not it.station.snapshot().trigger_ready
            assert ErrorCode.PLC_SILENT in it.alarms()
            assert it.station.trigger(Part(1), "modbus").code is ErrorCode.TRIGGER_NOT_READY
            it.station.hold_triggers(ErrorCode.PLC_SILENT, False)
            assert it.station.snapshot().trigger_ready
            assert it.alarms() == set()

    run(test())


def test_a_broker_that_is_away_is_a_warning_and_no_more():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            it.station.report_link("broker", False)
            shown = it.station.snapshot()
            assert (shown.warning, shown.trigger_ready, dict(shown.links)["broker"]) == (True, True, False)
            assert (await it.part()).verdict is Verdict.OK
            it.station.report_link("broker", True)
            assert not it.station.snapshot().warning

    run(test())


def test_a_clock_that_is_set_by_a_day_changes_stamps_and_no_deadline():
    async def test():
        time = FakeTime()
        async with bench(clock=time.clock(), answer=inspected(GOOD)) as it:
            first = await it.part(1)
            time.wall -= 86_400
            assert it.shared.clock.jumped()
            it.station.tick(clock_jumped=True)
            second = await it.part(2)
            assert (first.verdict, second.verdict) == (Verdict.OK, Verdict.OK)
            assert second.result_id > first.result_id
            assert second.published_utc_ms < first.published_utc_ms
            shown = it.station.snapshot()
            assert (shown.clock_jumped, shown.trigger_ready) == (True, True)
            assert ErrorCode.CLOCK_JUMPED in it.alarms()
            assert not it.shared.clock.jumped()

    run(test())


def test_a_stored_self_test_is_due_after_a_day_and_done_when_it_holds_nobody_up():
    async def test():
        time = FakeTime()
        async with bench(clock=time.clock(), answer=inspected(GOOD)) as it:
            time.monotonic += 24 * 3600 - 1
            await it.part(1)
            it.station.tick()
            assert not it.station.snapshot().self_test_due
            time.monotonic += 2
            it.station.tick()
            assert it.station.snapshot().self_test_due
            assert ErrorCode.SELF_TEST_DUE in it.alarms()
            assert it.state is State.READY
            time.monotonic += 5
            it.station.tick()
            await until(lambda: it.inspector.tests == 2 and it.state is State.READY)
            it.station.tick()
            assert it.alarms() == set()
            assert it.station.snapshot().self_test_minutes == 0

    run(test())


def test_counters_go_on_from_before_the_start_and_from_zero_after_a_reset():
    async def test():
        async with bench(counters=Counters(ok=5, ng=2, error=1, missed=1), answer=inspected(GOOD)) as it:
            await it.part()
            counters = it.station.snapshot().counters
            assert (counters.ok, counters.total) == (6, 9)
            it.station.reset_counters("page", "supervisor")
            assert it.station.snapshot().counters.total == 0
            await it.written()
            assert it.record.resets == ["press"]
            assert [(words[0], words[5]) for words in it.record.audits if words[3] == "reset counters"] == [
                ("supervisor", "total 9, OK 6, NG 2, ERROR 1")
            ]

    run(test())


def test_who_had_which_revision_loaded_in_place_of_which_is_in_the_audit_trail():
    async def test():
        async with bench() as it:
            it.recipes.put(8)
            it.station.change_job(8, "opcua", "mara")
            await until(lambda: it.station.snapshot().trigger_ready)
            it.station.report_fault(ErrorCode.DEVICE_LOST, "the GPU is gone")
            it.station.report_fault(ErrorCode.DEVICE_LOST, "", active=False)
            it.station.clear_error("page", "otto")  # It loads the same one.
            await until(lambda: it.station.snapshot().trigger_ready)
            await it.written()
            loads = [words for words in it.record.audits if words[3] == "load recipe"]
            first, second = ("part-7/1, digest digest of 7", "part-8/1, digest digest of 8")
            assert loads == [
                ("modbus", "", "modbus", "load recipe", "press: job 7", "", first, ""),
                ("mara", "", "opcua", "load recipe", "press: job 8", first, second, ""),
            ]

    run(test())


def test_alarms_and_self_tests_are_on_record_with_their_station():
    async def test():
        async with bench() as it:
            it.station.report_link("broker", False)
            it.station.acknowledge_alarm(ErrorCode.LINK_LOST, "operator")
            await it.written()
            assert {name for _, name in it.record.notes} == {"press"}
            assert [type(event).__name__ for event, _ in it.record.notes] == [
                "SelfTestEnded",
                "AlarmChanged",
                "AlarmChanged",
            ]
            assert it.station.snapshot().alarms[0].acknowledged_by == "operator"

    run(test())
