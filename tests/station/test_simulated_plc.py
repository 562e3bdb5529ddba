"""The simulated PLC against the real Modbus server: cycles, changes of job, and what it counts as a violation."""

import asyncio

import pytest

from edgekd.errors import MachineError
from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.line.modbus_map import CHECK_FLOAT, CHECK_INTEGER, INPUT_SIGNALS, MAP_VERSION, bit, encode
from edgekd.station.parts import Part
from edgekd.station.simulated_plc import Inputs, SimulatedPlc, violations_in

from .line.modbus_client import serving, within_patience
from .line.scripted_station import ScriptedStation, outcome_of

PATTERN = [Verdict.OK, Verdict.NG, Verdict.ERROR, Verdict.OK, Verdict.NG]


@pytest.mark.parametrize("order", ["high_first", "low_first"])
def test_every_part_gets_its_own_result_once(order):
    async def line():
        station = ScriptedStation(answers=PATTERN)
        results = []

        async def parts():
            for number in range(1, 101):
                yield Part(70_000 + number, f"S-{number}", "lot 1")

        async with (
            serving(station, word_order=order) as server,
            SimulatedPlc("127.0.0.1", server.port, order=order, poll_s=0) as plc,
        ):
            await plc.start()
            await plc.run(parts(), results.append)
            assert plc.violations == {}
            assert plc.reconnected == 0
        assert [result.part.part_id for result in results] == [70_000 + number for number in range(1, 101)]
        assert [result.result_id for result in results] == list(range(1, 101))
        assert [result.verdict for result in results] == PATTERN * 20
        assert {result.error for result in results} == {ErrorCode.NONE, ErrorCode.ENGINE_FAILED}
        assert results[0].score == 0.25
        assert station.shows.counters.total == 100
        assert Part(70_100, "S-100", "lot 1") == station.shows.outcome.part

    within_patience(line())


def test_changes_of_job():
    async def change():
        station = ScriptedStation()
        async with serving(station) as server, SimulatedPlc("127.0.0.1", server.port, poll_s=0) as plc:
            await plc.start(job=8)
            assert station.shows.recipe.job == 8
            assert await plc.change_job(7) is ErrorCode.NONE
            assert await plc.change_job(999) is ErrorCode.JOB_UNKNOWN
            assert (await plc.read()).number("JOB") == 0
            assert plc.violations == {}

    within_patience(change())


def test_a_simulated_ok_is_no_ok():
    async def simulated():
        station = ScriptedStation(answers=[Verdict.OK, Verdict.NG])
        station.show(simulated=True)
        async with serving(station) as server, SimulatedPlc("127.0.0.1", server.port, poll_s=0) as plc:
            await plc.start()
            first, second = await plc.inspect(Part(1)), await plc.inspect(Part(2))
            assert (first.verdict, first.simulated) == (None, True)
            assert (second.verdict, second.simulated) == (Verdict.NG, True)
            assert plc.violations == {}

    within_patience(simulated())


def test_a_result_of_before_is_acknowledged_and_not_taken_for_the_parts_own():
    async def before():
        station = ScriptedStation(answers=[Verdict.OK])
        station.part = Part(9)
        station.finish(Verdict.NG)
        async with serving(station) as server, SimulatedPlc("127.0.0.1", server.port, poll_s=0) as plc:
            await plc.start()
            result = await plc.inspect(Part(10))
            assert (result.verdict, result.result_id) == (Verdict.OK, 2)
            assert plc.violations == {}

    within_patience(before())


def test_a_trigger_that_is_refused_is_an_error_and_the_next_part_goes_on():
    async def refused():
        station = ScriptedStation(answers=[Verdict.OK])
        async with serving(station) as server, SimulatedPlc("127.0.0.1", server.port, poll_s=0) as plc:
            await plc.start()
            take = station.trigger

            def refuse(part, source):
                station.trigger = take
                station.held.add(ErrorCode.SYSTEM)
                reply = take(part, source)
                station.held.clear()
                return reply

            station.trigger = refuse
            result = await plc.inspect(Part(1))
            assert (result.verdict, result.error, result.result_id) == (Verdict.ERROR, ErrorCode.TRIGGER_NOT_READY, 0)
            assert ("clear_error",) in station.requests
            assert (await plc.inspect(Part(2))).verdict is Verdict.OK

    within_patience(refused())


def test_a_connection_that_ends_is_made_again_and_no_part_is_triggered_twice():
    async def ends():
        station = ScriptedStation()
        async with serving(station) as server, SimulatedPlc("127.0.0.1", server.port, poll_s=0) as plc:
            await plc.start()
            inspecting = asyncio.create_task(plc.inspect(Part(5)))
            while station.part is None:
                await asyncio.sleep(0.001)
            plc._client.close()
            await asyncio.sleep(0.01)
            station.finish(Verdict.NG)
            assert (await inspecting).verdict is Verdict.NG
            assert plc.reconnected == 1
            assert [request[0] for request in station.requests].count("trigger") == 1

    within_patience(ends())


def test_a_station_that_does_nothing_is_an_error_that_says_what_was_awaited():
    async def nothing():
        async with serving(ScriptedStation()) as server:
            async with SimulatedPlc("127.0.0.1", server.port, poll_s=0.001, step_s=0.2) as plc:
                await plc.start()
                with pytest.raises(MachineError, match=r"did not show in 0.2 s that it gives a result: its state is 7"):
                    await plc.inspect(Part(1))
            port = server.port
        with pytest.raises(MachineError, match=f"no station answers on 127.0.0.1 port {port}"):
            await SimulatedPlc("127.0.0.1", port, step_s=0.1).connect()

    within_patience(nothing())


def test_another_parts_result_and_an_old_result_id_are_violations():
    async def swapped():
        station = ScriptedStation()
        async with serving(station) as server, SimulatedPlc("127.0.0.1", server.port, poll_s=0) as plc:
            await plc.start()
            for part_id, answer in ((1, outcome_of(Part(1), result_id=5)), (2, outcome_of(Part(9), result_id=5))):
                inspecting = asyncio.create_task(plc.inspect(Part(part_id)))
                while station.part is None:
                    await asyncio.sleep(0.001)
                station.part = None
                station.show(busy=False, acquiring=False, results_ready=True, outcome=answer)
                await inspecting
            assert plc.violations == {"a result of another part": 1, "a result id that did not rise": 1}

    within_patience(swapped())


SOUND = {"CHECK_INTEGER": CHECK_INTEGER, "CHECK_FLOAT": CHECK_FLOAT, "MAP_VERSION": MAP_VERSION}


def inputs(*bits: str, **values) -> Inputs:
    status = sum(map(bit, bits))
    values = {**SOUND, "STATUS_LOW": status & 0xFFFF, "STATUS_HIGH": status >> 16, **values}
    return Inputs(encode(INPUT_SIGNALS, values, 64, "high_first"), "high_first")


@pytest.mark.parametrize(
    ("shown", "violation"),
    [
        (inputs("RESULT_OK"), "a verdict without RESULTS_READY"),
        (inputs(VERDICT=1), "a verdict without RESULTS_READY"),
        (inputs("RESULTS_READY", "RESULT_OK", "RESULT_NG", VERDICT=1), "bits and VERDICT contradict each other"),
        (inputs("RESULTS_READY", "RESULT_OK", VERDICT=2), "bits and VERDICT contradict each other"),
        (inputs("RESULTS_READY", "RESULT_ERROR", VERDICT=3), "bits and VERDICT contradict each other"),
        (inputs("RESULTS_READY", VERDICT=1), "bits and VERDICT contradict each other"),
        (inputs("RESULTS_READY", "RESULT_NG", VERDICT=0), "bits and VERDICT contradict each other"),
        (inputs("RESULTS_READY", "RESULT_NG", VERDICT=7), "bits and VERDICT contradict each other"),
        (inputs("TRIGGER_READY", "BUSY"), "TRIGGER_READY with a part in work"),
        (inputs(TOTAL=3, COUNT_OK=1, COUNT_NG=1), "TOTAL is not the sum of its parts"),
        (inputs(CHECK_INTEGER=0x56781234), "the words of numbers are in another order"),
        (inputs(MAP_VERSION=2), "the map has another version"),
    ],
)
def test_what_no_station_may_show_is_named(shown, violation):
    assert violations_in(shown) == [violation]


@pytest.mark.parametrize(
    "shown",
    [
        inputs(),
        inputs("TRIGGER_READY", "ONLINE"),
        inputs("RESULTS_READY", "RESULT_OK", VERDICT=1, TOTAL=1, COUNT_OK=1),
        inputs("RESULTS_READY", "RESULT_NG", VERDICT=2),
        inputs("RESULTS_READY", "RESULT_NG", "RESULT_ERROR", VERDICT=3, ERROR_CODE=301),
        inputs("RESULTS_READY", "RESULT_NG", "SIMULATED", VERDICT=0),
    ],
)
def test_what_a_station_shows_rightly_is_no_violation(shown):
    assert violations_in(shown) == []
