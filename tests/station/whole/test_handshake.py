"""What a PLC may do wrong, against a whole station (rows 18 and 20 to 25, 28, 29)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest
from pymodbus.client import AsyncModbusTcpClient

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Part

from .laid_out import WholeStation, running, until
from .line import Line, encoded, on_line, wrong_in_record
from .numbered import NUMBERS, part_image

pytestmark = pytest.mark.faults

ACKNOWLEDGE_S = 1.0
HEARTBEAT_S = 1.5


@pytest.fixture(scope="module")
def station(tmp_path_factory, recipes):
    folder = tmp_path_factory.mktemp("station")
    modbus = {"acknowledge_s": ACKNOWLEDGE_S, "heartbeat_s": HEARTBEAT_S}
    with running(WholeStation(folder, recipes, modbus=modbus)) as station:
        yield station


numbers = itertools.count(1)


@contextlib.asynccontextmanager
async def ready(station):
    """A PLC whose station is ready; afterwards everything fits together, and the next part is judged."""
    async with Line(station) as plc:
        await plc.start()
        # Between two tests no PLC's heart beats, and the station may have noticed.
        await plc.until("warns of nothing", lambda inputs: inputs.on("TRIGGER_READY") and not inputs.on("WARNING"))
        yield plc
        plc.stalled = False
        await plc.write(on=("TRIGGER_ENABLE", "CLEAR_ERROR"), off=("TRIGGER", "RESULTS_ACK"))
        await plc.write(off=("CLEAR_ERROR",))
        assert (await plc.part(next(numbers))).verdict is Verdict.OK
        assert (plc.violations, plc.wrong) == ({}, {})
        assert wrong_in_record(station, plc.results) == {}


async def at_work(plc, number):
    """Triggers a part whose image is not taken yet."""
    plc.stalled = True
    plc.lay(number)
    await plc.until("is ready", lambda inputs: inputs.on("TRIGGER_READY"))
    await plc.write(on=("TRIGGER",), part=Part(number))
    await plc.until("is at work", lambda inputs: inputs.on("ACQUIRING"))


async def answered(plc):
    return await plc.until("answers", lambda inputs: inputs.on("RESULTS_READY"))


async def taken(plc):
    await plc.write(on=("RESULTS_ACK",), off=("TRIGGER",))
    await plc.until("takes it", lambda inputs: not inputs.on("RESULTS_READY"))
    await plc.write(off=("RESULTS_ACK",))


def errors_of(station, number):
    query = "SELECT verdict, error_code FROM verdict JOIN result USING (id) WHERE part = ? ORDER BY id"
    return station.rows(query, number)


async def pulse(plc, number):
    """A second trigger while a part is in work or waits."""
    await plc.write(off=("TRIGGER",))
    await plc.write(on=("TRIGGER",), part=Part(number))


def test_a_trigger_during_a_part_is_missed_and_an_error_and_the_part_goes_on(station):
    async def line():
        async with ready(station) as plc:
            first, second = next(numbers), next(numbers)
            await at_work(plc, first)
            missed = (await plc.read()).number("MISSED_TRIGGERS")
            await pulse(plc, second)
            shown = await plc.read()
            assert (shown.on("MISSED_TRIGGER"), shown.on("TRIGGER_ACK"), shown.on("BUSY")) == (True, False, True)
            assert shown.number("MISSED_TRIGGERS") == missed + 1
            plc.take_image()
            shown = await answered(plc)
            assert (shown.number("PART_ID"), shown.number("VERDICT")) == (first, 1)
            await taken(plc)
            until(lambda: errors_of(station, second))
            assert errors_of(station, second) == [("ERROR", ErrorCode.TRIGGER_NOT_READY)]
            assert errors_of(station, first) == [("OK", 0)]

    on_line(line())


def test_a_trigger_while_a_result_waits_is_an_overrun(station):
    async def line():
        async with ready(station) as plc:
            first, second = next(numbers), next(numbers)
            await at_work(plc, first)
            plc.take_image()
            result = (await answered(plc)).number("RESULT_ID")
            await pulse(plc, second)
            shown = await plc.read()
            assert (shown.on("OVERRUN"), shown.on("TRIGGER_ACK"), shown.on("RESULTS_READY")) == (True, False, True)
            assert (shown.number("RESULT_ID"), shown.number("PART_ID")) == (result, first)
            await taken(plc)
            until(lambda: errors_of(station, second))
            assert errors_of(station, second) == [("ERROR", ErrorCode.OVERRUN)]

    on_line(line())


def test_a_trigger_while_disabled_or_offline_is_an_error(station):
    async def line():
        async with ready(station) as plc:
            for bits in (("TRIGGER_ENABLE",), ("SET_ONLINE",)):
                number = next(numbers)
                await plc.write(off=bits)
                await plc.until("is not ready", lambda inputs: not inputs.on("TRIGGER_READY"))
                await pulse(plc, number)
                shown = await plc.read()
                assert (shown.on("MISSED_TRIGGER"), shown.on("TRIGGER_ACK"), shown.on("RESULTS_READY")) == (1, 0, 0)
                until(lambda number=number: errors_of(station, number))
                assert errors_of(station, number) == [("ERROR", ErrorCode.TRIGGER_DISABLED)]
                await plc.write(on=bits, off=("TRIGGER",))

    on_line(line())


def test_disabling_during_a_part_drops_its_answer_as_unread(station):
    async def line():
        async with ready(station) as plc:
            number = next(numbers)
            await at_work(plc, number)
            await plc.write(off=("TRIGGER_ENABLE", "TRIGGER"))
            plc.take_image()
            await plc.until("is done", lambda inputs: not inputs.on("BUSY"))
            assert not (await plc.read()).on("RESULTS_READY")
            how = "SELECT how FROM delivery JOIN result ON result.id = verdict_id WHERE part = ?"
            until(lambda: station.rows(how, number) == [("unread",)])

    on_line(line())


def test_a_pulse_of_trigger_that_ends_before_it_was_seen_taken_is_one_part_whose_result_waits(station):
    async def line():
        async with ready(station) as plc:
            number = next(numbers)
            plc.lay(number)
            await plc.write(on=("TRIGGER",), part=Part(number))
            await plc.write(off=("TRIGGER",))
            shown = await answered(plc)
            assert (shown.number("PART_ID"), shown.on("TRIGGER_ACK")) == (number, False)
            await taken(plc)

    on_line(line())


def test_a_result_that_nobody_acknowledges_stays_and_is_a_warning(station):
    async def line():
        async with ready(station) as plc:
            number = next(numbers)
            await at_work(plc, number)
            plc.take_image()
            result = (await answered(plc)).number("RESULT_ID")
            shown = await plc.until("warns", lambda inputs: inputs.on("WARNING"))
            assert (shown.on("RESULTS_READY"), shown.on("TRIGGER_READY"), shown.number("RESULT_ID")) == (1, 0, result)
            await taken(plc)
            await plc.until("warns no more", lambda inputs: not inputs.on("WARNING"))
            until(lambda: station.rows("SELECT 1 FROM alarm WHERE code = ?", ErrorCode.NO_ACKNOWLEDGEMENT))

    on_line(line())


def test_an_acknowledgement_that_is_stuck_holds_the_next_result_back(station):
    async def line():
        async with ready(station) as plc:
            first, second = next(numbers), next(numbers)
            await at_work(plc, first)
            plc.take_image()
            await answered(plc)
            await plc.write(on=("RESULTS_ACK",), off=("TRIGGER",))
            await at_work(plc, second)
            plc.take_image()
            shown = await plc.until("is done", lambda inputs: not inputs.on("BUSY"))
            assert (shown.on("RESULTS_READY"), shown.number("VERDICT")) == (False, 0)
            await plc.write(off=("RESULTS_ACK",))
            shown = await answered(plc)
            assert (shown.number("PART_ID"), shown.number("VERDICT")) == (second, 1)
            await taken(plc)

    on_line(line())


@pytest.mark.parametrize("point", ["ready", "at work", "answered", "acknowledged"])
def test_a_plc_that_leaves_finds_the_same_result_when_it_comes_back(station, point):
    number = next(numbers)

    async def until_point(plc):
        await plc.start()
        if point == "ready":
            return None
        await at_work(plc, number)
        if point == "at work":
            return None
        plc.take_image()
        result = (await answered(plc)).number("RESULT_ID")
        if point == "acknowledged":
            await plc.write(on=("RESULTS_ACK",))
        return result

    async def line():
        async with Line(station) as leaving:
            result = await until_point(leaving)
        async with Line(station) as plc:
            plc._coils = 0b10001 | (0b10 if point != "ready" else 0) | (0b100 if point == "acknowledged" else 0)
            if point == "at work":
                leaving.take_image()
                result = (await answered(plc)).number("RESULT_ID")
            if point in ("at work", "answered"):
                shown = await answered(plc)
                assert (shown.number("RESULT_ID"), shown.number("PART_ID")) == (result, number)
                assert shown.number("VERDICT") == 1
                await taken(plc)
            await plc.write(off=("TRIGGER", "RESULTS_ACK"))
            assert (await plc.part(next(numbers))).verdict is Verdict.OK
            assert (plc.violations, plc.wrong) == ({}, {})
            if result is not None:
                assert errors_of(station, number) == [("OK", 0)]

    on_line(line())


def test_a_second_client_reads_and_may_not_write(station):
    async def line():
        async with ready(station) as plc:
            await plc.write()
            async with AsyncModbusTcpClient("127.0.0.1", port=station.port) as second:
                assert (await second.write_coil(1, True, device_id=1)).exception_code == 6
                assert not (await second.read_input_registers(0, count=64, device_id=1)).isError()
            assert (await plc.part(next(numbers))).verdict is Verdict.OK

    on_line(line())


def test_a_part_id_that_comes_twice_is_a_warning_and_both_are_kept(station):
    async def line():
        async with ready(station) as plc:
            number = next(numbers)
            for image in (number, number + NUMBERS):  # Another image of the same number.
                assert (await plc.part(number, content=encoded(part_image(image)))).verdict is Verdict.OK
            assert (await plc.read()).on("WARNING")
            assert errors_of(station, number) == [("OK", 0), ("OK", 0)]

    on_line(line())


def test_a_plc_whose_heartbeat_stops_gets_no_trigger_through(station):
    async def line():
        async with ready(station) as plc:
            plc._beating.cancel()
            shown = await plc.until("notices", lambda inputs: not inputs.on("TRIGGER_READY"))
            assert shown.on("WARNING")
            number = next(numbers)
            await pulse(plc, number)
            assert not (await plc.read()).on("TRIGGER_ACK")
            until(lambda: errors_of(station, number))
            assert errors_of(station, number) == [("ERROR", ErrorCode.TRIGGER_NOT_READY)]
            await plc.write(off=("TRIGGER",))
            plc._beating = asyncio.create_task(plc._beat())
            await plc.until("is ready again", lambda inputs: inputs.on("TRIGGER_READY"))

    on_line(line())


def test_three_errors_in_a_row_are_a_fault_until_it_is_cleared(station):
    async def line():
        async with ready(station) as plc:
            for _ in range(3):
                number = next(numbers)
                result = await plc.part(number, content=encoded(part_image(number) // 20))
                assert (result.verdict, result.error) == (Verdict.ERROR, ErrorCode.IMAGE_BLACK)
            shown = await plc.until("is in fault", lambda inputs: inputs.on("FAULT"))
            assert (shown.number("FAULT_CODE"), shown.on("TRIGGER_READY")) == (ErrorCode.IMAGE_BLACK, False)

    on_line(line())
