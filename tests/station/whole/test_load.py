"""Four stations at once on one engine, and change-over between recipes that are held ready, under load."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Part
from edgekd.station.states import State

from .conftest import FOUR
from .laid_out import until
from .line import Line, on_line, wrong_in_record

pytest.importorskip("pymodbus")
pytestmark = pytest.mark.faults

PARTS = 25  # Of each station.
CHANGE_S = 1.0  # That a change-over may take beside its self-test.
CHANGES = 6


@contextlib.asynccontextmanager
async def lines(station, names):
    """A PLC for each of the stations, ready."""
    async with contextlib.AsyncExitStack() as stack:
        plcs = [await stack.enter_async_context(Line(station, name, unit)) for unit, name in enumerate(names, 1)]
        await asyncio.gather(*(plc.start() for plc in plcs))
        yield plcs


def first_number(place):
    """Of a station, so that no two have parts of one number."""
    return 1 + 1000 * place


def test_four_stations_at_once_on_one_engine_swap_no_number(laid_out):
    station = laid_out(names=FOUR)

    async def produce(plc, first):
        for number in range(first, first + PARTS):
            await plc.part(number, defective=number % 4 == 0)

    async def at_once():
        station.start()
        async with lines(station, FOUR) as plcs:
            await asyncio.gather(*(produce(plc, first_number(place)) for place, plc in enumerate(plcs)))
            for plc in plcs:
                assert (plc.violations, plc.wrong, plc.reconnected) == ({}, {}, 0)
                assert [result.error for result in plc.results] == [ErrorCode.NONE] * PARTS
            results = [result for plc in plcs for result in plc.results]
            assert wrong_in_record(station, results) == {}
            by_station = station.rows(
                "SELECT session.station, count(*) FROM verdict JOIN session ON session.id = session_id GROUP BY 1"
            )
            assert by_station == sorted((name, PARTS) for name in FOUR)

    on_line(at_once())


async def change_over(plc, job, seen):
    """Changes the job. Returns the seconds that it took, without those of its self-test."""
    before = time.monotonic()
    plc.expected = job
    changing = asyncio.ensure_future(plc.change_job(job))
    tested = 0.0
    last = before
    while True:
        inputs = await plc.read()
        now = time.monotonic()
        if inputs.number("STATE") == State.SELF_TEST:
            tested += now - last
        last = now
        seen.append(inputs.number("STATE"))
        if changing.done() and inputs.on("TRIGGER_READY"):
            assert changing.result() is ErrorCode.NONE
            return now - before - tested


def test_change_over_under_load_takes_less_than_a_second_and_no_answer_is_the_other_recipes(laid_out):
    station = laid_out(names=FOUR[:2])
    took, seen = [], []

    async def load(plc, done):
        number = first_number(1)
        while not done.is_set():
            await plc.part(number)
            number += 1

    async def produce(plc):
        number = first_number(0)
        for change in range(CHANGES):
            for _ in range(5):
                assert (await plc.part(number)).verdict is Verdict.OK
                number += 1
            took.append(await change_over(plc, 1 + (change + 1) % 2, seen))
        assert (await plc.part(number)).verdict is Verdict.OK

    async def at_once():
        station.start()
        async with lines(station, FOUR[:2]) as (plc, other):
            done = asyncio.Event()
            loading = asyncio.ensure_future(load(other, done))
            try:
                await produce(plc)
            finally:
                done.set()
                await loading
            assert [each.verdict for each in other.results] == [Verdict.OK] * len(other.results)
            assert len(other.results) > CHANGES
            for each in (plc, other):
                assert (each.violations, each.wrong) == ({}, {})
            assert wrong_in_record(station, plc.results + other.results) == {}

    on_line(at_once())
    assert State.SELF_TEST in seen
    assert sorted(took)[len(took) // 2] < CHANGE_S, took
    assert station.number("SELECT count(*) FROM selftest WHERE passed AND station = 'left'") == 1 + CHANGES


def test_a_change_asked_for_during_a_part_comes_after_the_part(laid_out):
    station = laid_out()

    async def line():
        station.start()
        async with Line(station) as plc:
            await plc.start()
            plc.stalled = True
            plc.lay(5)
            await plc.write(on=("TRIGGER",))
            await plc.until("is at work", lambda inputs: inputs.on("ACQUIRING"))
            await plc.write(on=("JOB_CHANGE",), job=2)
            assert (await plc.read()).number("JOB") == 1
            plc.take_image()
            shown = await plc.until("answers", lambda inputs: inputs.on("RESULTS_READY"))
            assert (shown.number("VERDICT"), shown.number("JOB")) == (1, 1)
            await plc.write(on=("RESULTS_ACK",), off=("TRIGGER",))
            await plc.until("has changed", lambda inputs: inputs.on("JOB_ACK"))
            await plc.write(off=("RESULTS_ACK", "JOB_CHANGE"))
            plc.stalled = False
            plc.expected = 2
            assert (await plc.part(6)).verdict is Verdict.OK
            assert (plc.violations, plc.wrong) == ({}, {})

    on_line(line())


def test_a_trigger_that_comes_with_a_change_of_job_is_judged_by_neither_recipe(laid_out):
    station = laid_out()

    async def line():
        station.start()
        async with Line(station) as plc:
            await plc.start()
            await plc.part(1)
            for place, job in enumerate((2, 1, 2)):
                plc.lay(10 + place)
                await plc.write(on=("JOB_CHANGE", "TRIGGER"), part=Part(10 + place), job=job)
                assert not (await plc.read()).on("TRIGGER_ACK")
                await plc.until("has changed", lambda inputs: inputs.on("JOB_ACK") and inputs.on("TRIGGER_READY"))
                await plc.write(on=("CLEAR_ERROR",), off=("TRIGGER", "JOB_CHANGE"))
                await plc.write(off=("CLEAR_ERROR",))
                plc.expected = job
                assert (await plc.part(20 + place)).verdict is Verdict.OK
            refused = "SELECT verdict, error_code FROM verdict JOIN result USING (id) WHERE part BETWEEN 10 AND 19"
            until(lambda: station.rows(refused) == [("ERROR", ErrorCode.TRIGGER_NOT_READY)] * 3)
            assert (plc.violations, plc.wrong) == ({}, {})

    on_line(line())
