"""kill -9 and SIGTERM for a whole station, or for its inspector alone, at any moment of a part (rows 11, 12, 33)."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time

import pytest

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.states import State

from .laid_out import until
from .line import Line, on_line, wrong_in_record

pytest.importorskip("pymodbus")
pytestmark = pytest.mark.faults

KILLS = 6
DEADLINE_S = 6.0  # Of the recipe.


def test_killed_at_any_moment_no_ok_is_without_a_row_and_the_open_part_is_an_error(laid_out):
    station = laid_out()
    chance = random.Random(24)

    async def line():
        station.start()
        async with Line(station) as plc:
            number = 0
            for _ in range(KILLS):
                await plc.start()
                for _ in range(2):
                    number += 1
                    assert (await plc.part(number)).verdict is Verdict.OK
                number += 1
                doomed = asyncio.ensure_future(plc.part(number))
                await asyncio.sleep(chance.uniform(0, 0.15))
                await asyncio.to_thread(station.kill)
                answered = len(station.rows("SELECT 1 FROM result WHERE part = ? AND error_code = 0", number))
                begun = len(station.rows("SELECT 1 FROM acquisition WHERE part = ?", number))
                station.start()
                got = await doomed
                if got.result_id:
                    assert (got.verdict, answered) == (Verdict.OK, 1)
                else:
                    assert got.verdict is Verdict.ERROR
                assert len(station.rows("SELECT 1 FROM result WHERE part = ?", number)) == max(begun, answered)
            await plc.start()
            assert (await plc.part(number + 1)).verdict is Verdict.OK
            assert (plc.violations, plc.wrong) == ({}, {})
            assert wrong_in_record(station, plc.results) == {}

    on_line(line())


def test_after_a_kill_the_plc_sees_it_offline_then_proving_itself_then_ready(laid_out):
    station = laid_out()

    async def line():
        station.start()
        async with Line(station) as plc:
            await plc.start()
            result = await plc.part(1)
        station.kill()
        station.start()
        async with Line(station) as plc:  # One whose bits ask for nothing yet.
            await plc.until("is offline", lambda inputs: inputs.number("STATE") == State.OFFLINE)
            seen = [State.OFFLINE]

            def ready(inputs):
                seen.append(inputs.number("STATE"))
                assert not inputs.on("RESULTS_READY")
                return inputs.on("TRIGGER_READY")

            await plc.start()
            await plc.until("is ready", ready)
            order = [State.STARTING, State.OFFLINE, State.LOADING, State.SELF_TEST, State.READY]
            assert sorted(set(seen), key=seen.index) == [each for each in order if each in seen]
            assert {State.OFFLINE, State.READY} <= set(seen)
            until(lambda: station.number("SELECT count(*) FROM selftest WHERE passed") == 2)
            # Not an id that an answer may have had which a full disk kept out of the record.
            assert (await plc.part(2)).result_id > result.result_id + 100
            assert plc.violations == {}

    on_line(line())


def test_asked_to_end_during_a_part_it_finishes_the_part_first(laid_out):
    station = laid_out()

    async def line():
        station.start()
        async with Line(station, step_s=10) as plc:
            await plc.start()
            plc.lay(1)
            plc.stalled = True
            await plc.write(on=("TRIGGER",))
            await plc.until("is at work", lambda inputs: inputs.on("ACQUIRING"))
            station.ask_to_end()
            await asyncio.sleep(0.3)
            plc.take_image()
            assert await asyncio.to_thread(station.wait) in (-signal.SIGTERM, 128 + signal.SIGTERM)

    on_line(line())
    assert station.rows("SELECT verdict, error_code FROM verdict JOIN result USING (id)") == [("OK", 0)]
    assert station.rows("SELECT how FROM delivery") in ([("unread",)], [("acked",)])
    assert station.rows("SELECT 1 FROM meta WHERE name = 'last_clean_stop'")
    images = [path for (path,) in station.rows("SELECT path FROM image")]
    assert images
    assert all((station.data / path).is_file() for path in images)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_an_inspector_that_dies_or_hangs_in_a_part_is_an_error_by_the_deadline_and_comes_back(laid_out, how):
    station = laid_out()

    async def line():
        station.start()
        async with Line(station) as plc:
            await plc.start()
            assert (await plc.part(1)).verdict is Verdict.OK
            before = station.child()
            plc.lay(2)
            plc.stalled = True
            start = time.monotonic()
            await plc.write(on=("TRIGGER",))
            await plc.until("is at work", lambda inputs: inputs.on("ACQUIRING"))
            os.kill(before, how)
            shown = await plc.until("answers", lambda inputs: inputs.on("RESULTS_READY"))
            assert time.monotonic() - start < DEADLINE_S + 0.5
            assert (shown.number("VERDICT"), shown.number("ERROR_CODE")) == (3, ErrorCode.INSPECTOR_DIED)
            assert (shown.on("RESULT_NG"), shown.on("RESULT_OK")) == (True, False)
            await plc.write(on=("RESULTS_ACK",), off=("TRIGGER",))
            await plc.until("takes it", lambda inputs: not inputs.on("RESULTS_READY"))
            await plc.write(off=("RESULTS_ACK",))
            plc.stalled = False
            until(lambda: (pid := station.child()) is not None and pid != before)
            await plc.until("is ready", lambda inputs: inputs.on("TRIGGER_READY"))
            assert (await plc.part(3)).verdict is Verdict.OK
            until(lambda: station.number("SELECT count(*) FROM selftest WHERE passed") == 2)
            assert (plc.violations, plc.wrong) == ({}, {})
            assert wrong_in_record(station, plc.results) == {}

    on_line(line())


def test_an_inspector_that_dies_three_times_is_a_fault_until_somebody_clears_it(laid_out):
    station = laid_out()

    async def line():
        station.start()
        async with Line(station) as plc:
            await plc.start()
            pid = None
            for _ in range(3):
                pid = await asyncio.to_thread(station.wait_for_inspector, pid)
                await plc.until("is ready or in fault", lambda inputs: inputs.on("TRIGGER_READY") or inputs.on("FAULT"))
                os.kill(pid, signal.SIGKILL)
                await plc.until("notices", lambda inputs: not inputs.on("TRIGGER_READY"))
            shown = await plc.until("is in fault", lambda inputs: inputs.on("FAULT"))
            assert shown.number("FAULT_CODE") == ErrorCode.INSPECTOR_DIED
            await asyncio.to_thread(station.wait_for_inspector, pid)
            end = time.monotonic() + 30
            while not (await plc.read()).on("TRIGGER_READY"):
                assert time.monotonic() < end
                await plc.write(on=("CLEAR_ERROR",))
                await plc.write(off=("CLEAR_ERROR",))
                await asyncio.sleep(0.2)
            assert (await plc.part(9)).verdict is Verdict.OK

    on_line(line())
