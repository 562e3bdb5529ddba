"""One part, from its trigger to its acknowledged answer, and what may go wrong on the way."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from dataclasses import replace

import pytest

from edgekd.result import Verdict
from edgekd.station import cycle
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.events import Delivered, ExposureDone, Published, Refused, Started
from edgekd.station.parts import Part
from edgekd.station.states import State
from tests.station.core.fakes import BAD, GOOD, JOB, SECONDS, bench, inspected, run, until


@pytest.fixture
def patient_with_rows(monkeypatch):
    """A row may take seconds after the deadline: a busy machine's disk is not what is tested."""
    monkeypatch.setattr(cycle, "ROW_PATIENCE_S", SECONDS)


def test_a_good_part_is_ok_on_record_before_it_is_published_and_held_until_it_is_acknowledged():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            outcome = await it.part(17, acknowledge=False)
            shown = it.station.snapshot()
            assert (outcome.verdict, outcome.part.part_id, outcome.job) == (Verdict.OK, 17, JOB)
            assert it.record.rows == [outcome]
            assert [begun.acquisition_id for begun in it.record.begun] == [outcome.acquisition_id]
            assert (shown.state, shown.results_ready, shown.busy) == (State.RUNNING, True, False)
            assert not shown.trigger_ready
            it.station.acknowledge("modbus")
            shown = it.station.snapshot()
            assert (shown.state, shown.results_ready, shown.trigger_ready) == (State.READY, False, True)
            await it.written()
            assert it.record.delivered == [(outcome.result_id, "acked")]
            assert shown.counters.ok == shown.counters.total == 1

    run(test())


@pytest.mark.parametrize(
    ("answer", "verdict", "error"),
    [
        (inspected(BAD), Verdict.NG, ErrorCode.NONE),
        (inspected(GOOD, uncertain=True), Verdict.NG, ErrorCode.NONE),
        (inspected(math.nan), Verdict.ERROR, ErrorCode.SCORE_NOT_FINITE),
        (inspected(GOOD, threshold=math.nan), Verdict.ERROR, ErrorCode.SCORE_NOT_FINITE),
        (inspected(GOOD, error=ErrorCode.IMAGE_FROZEN), Verdict.ERROR, ErrorCode.IMAGE_FROZEN),
    ],
)
def test_every_other_answer_is_ng_or_error(answer, verdict, error):
    async def test():
        async with bench(answer=answer) as it:
            outcome = await it.part()
            assert (outcome.verdict, outcome.error) == (verdict, error)
            assert it.record.rows == [outcome]
            await it.part(2)

    run(test())


def test_the_part_may_move_when_its_image_is_taken_and_results_follow():
    async def test():
        async with bench() as it:
            reply = it.station.trigger(Part(3), "modbus")
            await until(lambda: it.inspector.under_way)
            shown = it.station.snapshot()
            assert (shown.acquiring, shown.exposure_done, shown.busy) == (True, False, True)
            it.inspector.exposed()
            shown = it.station.snapshot()
            assert (shown.acquiring, shown.exposure_done, shown.busy) == (False, True, True)
            future = it.inspector.under_way[reply.acquisition_id]
            future.set_result(replace(inspected(BAD), acquisition_id=reply.acquisition_id, recipe_digest="digest of 7"))
            await until(lambda: it.station.snapshot().results_ready)
            assert it.station.snapshot().outcome.verdict is Verdict.NG
            kinds = [type(event) for event in it.events if type(event) in (Started, ExposureDone, Published)]
            assert kinds == [Started, ExposureDone, Published]

    run(test())


def test_an_answer_for_another_part_is_never_taken():
    async def test():
        async with bench() as it:
            reply = it.station.trigger(Part(3), "modbus")
            await until(lambda: it.inspector.under_way)
            future = it.inspector.under_way[reply.acquisition_id]
            future.set_result(replace(inspected(GOOD), acquisition_id=99, recipe_digest="digest of 7"))
            await until(lambda: it.station.snapshot().results_ready)
            assert it.station.snapshot().outcome.verdict is Verdict.ERROR

    run(test())


def test_a_late_answer_that_comes_before_its_error_is_given_out_is_kept_too(patient_with_rows):
    """The row of the ERROR takes a while, and the inspector is only a little late."""

    async def test():
        async with bench(deadline_ms=40, in_thread=True) as it:
            writing, gone_on = threading.Event(), threading.Event()
            it.record.slow = lambda: (writing.set(), gone_on.wait(5))
            reply = it.station.trigger(Part(1), "modbus")
            await until(writing.is_set)
            late = replace(inspected(GOOD), acquisition_id=reply.acquisition_id, recipe_digest="digest of 7")
            it.station.report_late(late)
            gone_on.set()
            await until(lambda: it.station.snapshot().results_ready)
            await it.written()
            outcome = it.station.snapshot().outcome
            assert (outcome.error, len(it.saw(Published))) == (ErrorCode.ANSWER_LATE, 1)
            assert it.record.kept_late == [(outcome.result_id, late)]

    run(test())


def test_no_answer_by_the_deadline_is_303_and_the_late_one_is_kept_but_never_published(patient_with_rows):
    async def test():
        async with bench(deadline_ms=40) as it:
            outcome = await it.part(acknowledge=False)
            assert (outcome.verdict, outcome.error) == (Verdict.ERROR, ErrorCode.ANSWER_LATE)
            late = replace(inspected(GOOD), acquisition_id=outcome.acquisition_id, recipe_digest="digest of 7")
            it.station.report_late(late)
            await it.written()
            assert it.record.kept_late == [(outcome.result_id, late)]
            assert it.station.snapshot().outcome is outcome
            assert it.record.rows == [outcome]
            assert len(it.saw(Published)) == 1
            assert it.station.snapshot().counters.total == 1

    run(test())


def test_an_inspector_that_fails_in_any_way_gives_an_error_and_the_next_part_is_inspected():
    async def test():
        async with bench() as it:
            for number, (failure, code) in enumerate(
                [
                    (StationError(ErrorCode.INSPECTOR_DIED, "it was ended by signal 9"), ErrorCode.INSPECTOR_DIED),
                    (RuntimeError("a fault of ours"), ErrorCode.SYSTEM),
                ],
                1,
            ):
                reply = it.station.trigger(Part(number), "modbus")
                await until(lambda reply=reply: reply.acquisition_id in it.inspector.under_way)
                it.inspector.under_way[reply.acquisition_id].set_exception(failure)
                await until(lambda: it.station.snapshot().results_ready)
                assert it.station.snapshot().outcome.error is code
                it.station.acknowledge("modbus")
            it.inspector.answer = inspected(GOOD)
            assert (await it.part(9)).verdict is Verdict.OK

    run(test())


def test_a_row_that_cannot_be_written_is_601_and_no_trigger_is_taken_until_it_can():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            it.record.full = True
            outcome = await it.part()
            assert (outcome.verdict, outcome.error) == (Verdict.ERROR, ErrorCode.ROW_NOT_WRITTEN)
            assert it.record.rows == []
            shown = it.station.snapshot()
            assert (shown.state, shown.trigger_ready) == (State.READY, False)
            assert ErrorCode.ROW_NOT_WRITTEN in it.alarms()
            assert dict(shown.links)["disk"] is False
            assert it.station.trigger(Part(2), "modbus").code is ErrorCode.TRIGGER_NOT_READY
            it.record.full = False
            await until(lambda: it.station.snapshot().trigger_ready)
            await it.written()
            assert [row.verdict for row in it.record.rows] == [Verdict.ERROR, Verdict.ERROR]
            assert it.record.rows[0] == outcome
            assert ErrorCode.ROW_NOT_WRITTEN not in it.alarms()
            assert (await it.part(3)).verdict is Verdict.OK

    run(test())


def test_a_refused_trigger_is_answered_once_and_in_time_although_its_row_waits_for_the_disk():
    async def test():
        async with bench(trigger="camera", answer=inspected(GOOD)) as it:
            it.record.full = True
            it.station.trigger_by_camera(time.monotonic())
            await until(lambda: not it.station.snapshot().trigger_ready and not it.station.snapshot().busy)
            it.station.trigger_by_camera(time.monotonic())
            await until(lambda: len(it.saw(Published)) == 2, seconds=0.5)
            assert it.record.rows == []
            it.record.full = False
            await it.written()
            refused = it.saw(Published)[-1].outcome
            assert (refused.verdict, refused.error) == (Verdict.ERROR, ErrorCode.TRIGGER_NOT_READY)
            assert refused in it.record.rows
            await asyncio.sleep(0.15)
            assert len(it.saw(Published)) == 2

    run(test())


def test_a_disk_that_does_not_answer_costs_the_verdict_and_not_the_deadline():
    async def test():
        wait = threading.Event()
        async with bench(answer=inspected(GOOD), deadline_ms=50, in_thread=True) as it:
            it.record.slow = lambda: wait.wait(5)
            loop = asyncio.get_running_loop()
            began = loop.time()
            outcome = await it.part()
            assert loop.time() - began < 1
            assert (outcome.verdict, outcome.error) == (Verdict.ERROR, ErrorCode.ROW_NOT_WRITTEN)
            assert not it.station.snapshot().trigger_ready
            wait.set()
            await until(lambda: it.station.snapshot().trigger_ready)
            await it.written()
            withdrawn, published = it.record.rows
            assert published == outcome
            await until(lambda: (withdrawn.result_id, "late") in it.record.delivered)
            assert (outcome.result_id, "late") not in it.record.delivered

    run(test())


def test_a_row_that_comes_after_the_deadline_is_withdrawn(patient_with_rows):
    async def test():
        async with bench(answer=inspected(GOOD), deadline_ms=30, in_thread=True) as it:
            it.record.slow = lambda: time.sleep(0.1)  # Beyond the deadline, and within the patience for rows.
            outcome = await it.part()
            assert (outcome.verdict, outcome.error) == (Verdict.ERROR, ErrorCode.ANSWER_LATE)
            await it.written()
            assert [row.verdict for row in it.record.rows] == [Verdict.OK, Verdict.ERROR]
            assert (it.record.rows[0].result_id, "late") in it.record.delivered

    run(test())


def test_a_fault_while_the_row_is_written_takes_the_ok_back():
    async def test():
        writing, go_on = threading.Event(), threading.Event()

        def slow():
            writing.set()
            go_on.wait(2)

        async with bench(answer=inspected(GOOD), in_thread=True) as it:
            it.record.slow = slow
            it.station.trigger(Part(1), "modbus")
            await until(writing.is_set)
            it.station.report_link("camera top", False)
            go_on.set()
            await until(lambda: it.station.snapshot().results_ready)
            outcome = it.station.snapshot().outcome
            assert (outcome.verdict, outcome.error) == (Verdict.ERROR, ErrorCode.CAMERA_LOST)
            assert it.state is State.FAULT

    run(test())


def test_a_stalled_event_loop_makes_an_answer_late_and_never_ok(patient_with_rows):
    async def test():
        async with bench(deadline_ms=50) as it:
            reply = it.station.trigger(Part(1), "modbus")
            await until(lambda: it.inspector.under_way)
            good = replace(inspected(GOOD), acquisition_id=reply.acquisition_id, recipe_digest="digest of 7")
            it.inspector.under_way[reply.acquisition_id].set_result(good)
            threading.Event().wait(0.1)  # Nothing turns meanwhile.
            await until(lambda: it.station.snapshot().results_ready)
            assert it.station.snapshot().outcome.error is ErrorCode.ANSWER_LATE

    run(test())


def test_an_aborted_part_is_an_error_at_once():
    async def test():
        async with bench() as it:
            assert it.station.abort("opcua").code is not ErrorCode.NONE
            it.station.trigger(Part(1), "modbus")
            await until(lambda: it.inspector.under_way)
            assert it.station.abort("opcua", "engineer").code is ErrorCode.NONE
            await until(lambda: it.station.snapshot().results_ready)
            assert it.station.snapshot().outcome.error is ErrorCode.ABORTED

    run(test())


def test_a_trigger_while_a_part_is_in_work_is_missed_on_record_and_the_part_goes_on():
    async def test():
        async with bench() as it:
            first = it.station.trigger(Part(1), "modbus")
            await until(lambda: it.inspector.under_way)
            assert it.station.trigger(Part(2), "modbus").code is ErrorCode.TRIGGER_NOT_READY
            shown = it.station.snapshot()
            assert (shown.missed_trigger, shown.overrun, shown.busy) == (True, False, True)
            assert (shown.counters.missed, shown.counters.error, shown.counters.total) == (1, 1, 1)
            assert shown.counters.errors_in_a_row == 0
            good = replace(inspected(GOOD), acquisition_id=first.acquisition_id, recipe_digest="digest of 7")
            it.inspector.under_way[first.acquisition_id].set_result(good)
            await until(lambda: it.station.snapshot().results_ready)
            assert it.station.snapshot().outcome.part.part_id == 1
            await it.written()
            rows = {row.part.part_id: (row.verdict, row.error) for row in it.record.rows}
            assert rows == {1: (Verdict.OK, ErrorCode.NONE), 2: (Verdict.ERROR, ErrorCode.TRIGGER_NOT_READY)}
            assert [event.part.part_id for event in it.saw(Refused)] == [2]
            it.station.clear_error("modbus")
            assert not it.station.snapshot().missed_trigger

    run(test())


def test_a_trigger_while_an_answer_waits_is_an_overrun():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            outcome = await it.part(1, acknowledge=False)
            assert it.station.trigger(Part(2), "modbus").code is ErrorCode.OVERRUN
            shown = it.station.snapshot()
            assert (shown.overrun, shown.outcome, shown.results_ready) == (True, outcome, True)
            assert shown.counters.missed == 1

    run(test())


@pytest.mark.parametrize("why", ["offline", "disabled"])
def test_a_trigger_while_offline_or_disabled_is_402(why):
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            if why == "offline":
                it.station.set_online(False, "modbus")
            else:
                it.station.enable_triggers(False, "modbus")
            reply = it.station.trigger(Part(5), "modbus")
            assert reply.code is ErrorCode.TRIGGER_DISABLED
            await it.written()
            assert [(row.part.part_id, row.verdict) for row in it.record.rows] == [(5, Verdict.ERROR)]

    run(test())


@pytest.mark.parametrize("trigger", ["opcua", "camera", "timer"])
def test_a_plc_that_writes_its_coils_disables_no_station_that_another_triggers(trigger):
    async def test():
        async with bench(trigger=trigger) as it:
            it.station.enable_triggers(False, "modbus")
            assert it.station.snapshot().trigger_ready
            it.station.enable_triggers(False, trigger)
            assert not it.station.snapshot().trigger_ready

    run(test())


def test_a_reset_handshake_drops_an_unread_answer_and_that_of_the_part_in_work():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            first = await it.part(1, acknowledge=False)
            it.station.enable_triggers(False, "modbus")
            assert not it.station.snapshot().results_ready
            it.station.enable_triggers(True, "modbus")
            it.inspector.answer = None
            reply = it.station.trigger(Part(2), "modbus")
            await until(lambda: it.inspector.under_way)
            it.station.enable_triggers(False, "modbus")
            it.station.enable_triggers(True, "modbus")
            assert not it.station.snapshot().trigger_ready
            it.inspector.under_way[reply.acquisition_id].set_result(inspected(GOOD))
            await until(lambda: it.station.snapshot().trigger_ready)
            await it.written()
            assert it.record.delivered == [(first.result_id, "unread"), (it.record.rows[1].result_id, "unread")]

    run(test())


def test_an_answer_that_nobody_reads_is_a_warning_and_stays():
    async def test():
        async with bench(answer=inspected(GOOD), acknowledge_s=0.02) as it:
            outcome = await it.part(acknowledge=False)
            await until(lambda: ErrorCode.NO_ACKNOWLEDGEMENT in it.alarms())
            shown = it.station.snapshot()
            assert (shown.results_ready, shown.outcome, shown.trigger_ready) == (True, outcome, False)
            it.station.acknowledge("modbus")
            assert ErrorCode.NO_ACKNOWLEDGEMENT not in it.alarms()
            assert it.station.snapshot().trigger_ready

    run(test())


def test_a_part_id_that_comes_twice_is_a_warning_and_both_are_kept():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            await it.part(4)
            await it.part(4)
            assert ErrorCode.PART_ID_TWICE in it.alarms()
            assert [row.part.part_id for row in it.record.rows] == [4, 4]
            await it.part(5)
            assert ErrorCode.PART_ID_TWICE not in it.alarms()
            await it.part(0)
            await it.part(0)
            assert ErrorCode.PART_ID_TWICE not in it.alarms()

    run(test())


@pytest.mark.parametrize("source", ["opcua", "camera", "timer"])
def test_who_is_given_the_answer_need_not_acknowledge_it(source):
    async def test():
        async with bench(trigger=source, answer=inspected(GOOD)) as it:
            for number in (1, 2):
                assert it.station.trigger(Part(number), source).acquisition_id == number
                await until(lambda: it.station.snapshot().trigger_ready)
            await it.written()
            assert [event.how for event in it.saw(Delivered)] == ["acked", "acked"]

    run(test())


def test_only_the_trigger_of_the_configuration_is_taken():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            assert it.station.trigger(Part(1), "opcua").code is ErrorCode.TRIGGER_DISABLED
            assert it.station.trigger(Part(1), "page").code is ErrorCode.TRIGGER_DISABLED
            assert it.station.snapshot().counters.total == 0
            it.station.simulate(True, "page", "engineer")
            assert it.station.trigger(Part(1), "page").code is ErrorCode.NONE

    run(test())


def test_a_simulated_answer_is_ok_for_a_simulated_plc_alone():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            await it.part()
            assert it.station.snapshot().shows_ok
            it.station.simulate(True, "page", "engineer")
            outcome = await it.part(2)
            shown = it.station.snapshot()
            assert outcome.simulated
            assert shown.simulated
            assert not shown.shows_ok
        async with bench(answer=inspected(GOOD), simulator=True) as it:
            outcome = await it.part()
            shown = it.station.snapshot()
            assert outcome.simulated
            assert shown.simulated
            assert shown.shows_ok

    run(test())


def test_images_of_rejected_parts_are_kept_and_a_sample_of_good_ones():
    async def test():
        async with bench(answer=inspected(GOOD)) as it:
            await it.part(1)
            it.inspector.answer = inspected(BAD)
            await it.part(2)
            it.station.report_storage(0.01, keep_images=False)
            await it.part(3)
            assert [kept for _, kept in it.inspector.kept] == [("original",), ("original", "heat_map"), ()]
            shown = it.station.snapshot()
            assert (shown.storage_low, shown.storage_free) == (True, 0.01)
            assert ErrorCode.STORAGE_FULL in it.alarms()
            it.station.report_storage(0.5, keep_images=True)
            assert ErrorCode.STORAGE_FULL not in it.alarms()

    run(test())
