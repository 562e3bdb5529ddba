"""A whole station on the wire: the state machine behind the Modbus server, with the simulated PLC or a client."""

import asyncio
from dataclasses import replace

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Part
from edgekd.station.simulated_plc import SimulatedPlc
from edgekd.station.states import State
from edgekd.station.station import Station

from ..core.fakes import BAD, bench, inspected, until
from .modbus_client import Client, serving, within_patience


def test_parts_go_through_the_station_one_by_one_and_are_on_record():
    async def line():
        async with bench(answer=inspected(), online=False) as made, serving(made.station) as server:
            async with SimulatedPlc("127.0.0.1", server.port, poll_s=0) as plc:
                await plc.start()
                for number in range(1, 21):
                    made.inspector.answer = inspected(BAD if number % 3 == 0 else 0.2)
                    result = await plc.inspect(Part(number, f"S-{number}"))
                    assert result.verdict is (Verdict.NG if number % 3 == 0 else Verdict.OK)
                assert plc.violations == {}
                await made.written()
            assert [row.part.part_id for row in made.record.rows] == list(range(1, 21))
            assert made.record.delivered == [(row.result_id, "acked") for row in made.record.rows]

    within_patience(line())


def test_jobs_are_changed_over_the_wire_and_one_that_is_unknown_leaves_none():
    async def jobs():
        async with bench(answer=inspected(), online=False) as made, serving(made.station) as server:
            made.recipes.put(8)
            async with SimulatedPlc("127.0.0.1", server.port, poll_s=0) as plc:
                await plc.start()
                assert await plc.change_job(8) is ErrorCode.NONE
                assert (await plc.inspect(Part(1))).verdict is Verdict.OK
                assert await plc.change_job(999) is ErrorCode.JOB_UNKNOWN
                assert (await plc.read()).number("JOB") == 0
                assert made.state is State.NO_JOB
                assert await plc.change_job(7) is ErrorCode.NONE
                assert await plc.change_job(0) is ErrorCode.NONE
                assert plc.violations == {}

    within_patience(jobs())


def test_a_change_of_job_waits_for_the_part_in_work():
    async def change():
        async with bench() as made, serving(made.station) as server, Client(server) as plc:
            made.recipes.put(8)
            await plc.coil("TRIGGER_ENABLE", True)
            await plc.coil("TRIGGER", True)
            await until(lambda: made.inspector.under_way)
            await plc.registers(0, [0b1011, 8])
            read = await plc.inputs()
            assert (read["BUSY"], read["JOB_ACK"], read["JOB_FAILED"], read["JOB"]) == (True, False, False, 7)
            answer = replace(inspected(BAD), acquisition_id=1, recipe_digest="digest of 7")
            made.inspector.under_way[1].set_result(answer)
            read = await plc.until(lambda read: read["RESULTS_READY"])
            assert (read["JOB_ACK"], read["JOB"]) == (False, 7)
            await plc.coil("RESULTS_ACK", True)
            read = await plc.until(lambda read: read["JOB_ACK"])
            assert read["JOB"] == 8

    within_patience(change())


def test_a_job_in_whose_place_another_counterpart_asks_for_one_has_failed_and_keeps_no_plc_waiting():
    async def change():
        async with bench() as made, serving(made.station) as server, Client(server) as plc:
            made.recipes.put(8)
            made.recipes.put(9)
            made.inspector.load_waits = asyncio.Event()
            await plc.registers(0, [0b11001, 8])
            await until(lambda: made.inspector.loads == [7, 8])
            made.station.change_job(9, "page", "engineer")
            made.inspector.load_waits.set()
            read = await plc.until(lambda read: read["JOB"] == 9 and read["JOB_FAILED"])
            assert (read["JOB_ACK"], read["ERROR_CODE"]) == (False, 503)
            await plc.coil("JOB_CHANGE", False)
            assert not (await plc.inputs())["JOB_FAILED"]

    within_patience(change())


def test_a_job_that_is_asked_for_before_the_station_has_started_is_acknowledged_when_it_judges(monkeypatch):
    async def change():
        monkeypatch.setattr(Station, "start", lambda station: None)  # The inspector is being started yet.
        async with bench(online=False) as made, serving(made.station) as server, Client(server) as plc:
            made.recipes.put(8)
            await plc.registers(0, [0b11001, 8])
            assert made.state is State.STARTING
            monkeypatch.undo()
            made.station.start()
            read = await plc.until(lambda read: read["JOB_ACK"] or read["JOB_FAILED"])
            assert (read["JOB_ACK"], read["JOB_FAILED"], read["JOB"]) == (True, False, 8)

    within_patience(change())


def test_a_result_that_is_not_acknowledged_warns_and_stays_and_is_unread_when_triggers_are_disabled():
    async def unread():
        async with (
            bench(answer=inspected(BAD), acknowledge_s=0.1) as made,
            serving(made.station) as server,
            Client(server) as plc,
        ):
            await plc.coil("TRIGGER_ENABLE", True)
            await plc.registers(0, [3, 0, 0, 77])
            read = await plc.until(lambda read: read["WARNING"])
            assert (read["RESULTS_READY"], read["RESULT_NG"], read["PART_ID"]) == (True, True, 77)
            assert made.alarms() == {ErrorCode.NO_ACKNOWLEDGEMENT}
            await plc.registers(0, [1, 0, 0, 78])
            await plc.coil("TRIGGER", True)
            read = await plc.inputs()
            assert (read["TRIGGER_ACK"], read["PART_ID"], read["OVERRUN"]) == (False, 77, True)
            await plc.coil("TRIGGER_ENABLE", False)
            assert not (await plc.inputs())["RESULTS_READY"]
            await made.written()
            verdicts = {row.part.part_id: row.verdict for row in made.record.rows}
            assert verdicts == {77: Verdict.NG, 78: Verdict.ERROR}
            assert [how for _, how in made.record.delivered] == ["unread"]

    within_patience(unread())


def test_triggers_while_disabled_or_offline_are_errors_and_never_ok():
    async def disabled():
        async with bench(answer=inspected(), online=False) as made, serving(made.station) as server:
            async with Client(server) as plc:
                await plc.registers(0, [2, 0, 0, 5])
                read = await plc.inputs()
                assert (read["TRIGGER_ACK"], read["MISSED_TRIGGER"], read["COUNT_ERROR"]) == (False, True, 1)
                await plc.registers(0, [1, 0, 0, 6])
                await plc.registers(0, [3])
                assert (await plc.inputs())["COUNT_ERROR"] == 2
                await plc.coil("CLEAR_ERROR", True)
                assert not (await plc.inputs())["MISSED_TRIGGER"]
            await made.written()
            assert {row.error for row in made.record.rows} == {ErrorCode.TRIGGER_DISABLED}
            assert {row.verdict for row in made.record.rows} == {Verdict.ERROR}

    within_patience(disabled())


def test_a_plc_that_is_silent_gets_no_trigger_ready_and_its_trigger_is_an_error():
    async def silent():
        async with (
            bench(answer=inspected()) as made,
            serving(made.station, heartbeat_s=0.15) as server,
            Client(server) as plc,
        ):
            await plc.coil("TRIGGER_ENABLE", True)
            read = await plc.until(lambda read: not read["TRIGGER_READY"])
            assert read["WARNING"]
            assert made.alarms() == {ErrorCode.PLC_SILENT}
            await plc.registers(0, [3, 0, 0, 5])
            assert (await plc.inputs())["MISSED_TRIGGER"]
            await plc.coil("PLC_HEARTBEAT", True)
            assert (await plc.inputs())["TRIGGER_READY"]
            await made.written()
            assert [row.error for row in made.record.rows] == [ErrorCode.TRIGGER_NOT_READY]

    within_patience(silent())


def test_a_plc_that_is_gone_with_a_part_in_work_finds_its_result():
    async def gone():
        async with bench() as made, serving(made.station) as server:
            async with Client(server) as plc:
                await plc.coil("TRIGGER_ENABLE", True)
                await plc.registers(0, [3, 0, 0, 77])
                await until(lambda: made.inspector.under_way)
            made.inspector.under_way[1].set_exception(asyncio.TimeoutError("the inspector is gone"))
            async with Client(server) as plc:
                read = await plc.until(lambda read: read["RESULTS_READY"])
                assert (read["PART_ID"], read["RESULT_ERROR"], read["RESULT_NG"], read["RESULT_OK"]) == (77, 1, 1, 0)
                await plc.coil("RESULTS_ACK", True)
                await plc.registers(0, [1])
                assert (await plc.inputs())["TRIGGER_READY"]

    within_patience(gone())
