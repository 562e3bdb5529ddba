"""A part at a whole station, from its trigger over Modbus to its row and its image."""

from __future__ import annotations

import cv2
import pytest

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.states import State

from .laid_out import WholeStation, running, until
from .line import Line, encoded, on_line, wrong_in_record
from .numbered import number_in, part_image, read_score

pytest.importorskip("pymodbus")


@pytest.fixture(scope="module")
def station(tmp_path_factory, recipes):
    folder = tmp_path_factory.mktemp("station")
    with running(WholeStation(folder, recipes)) as station:
        yield station


def test_a_good_part_is_ok_and_its_row_and_image_are_on_record(station):
    async def line():
        async with Line(station) as plc:
            await plc.start()
            result = await plc.part(4711)
            assert (result.verdict, result.error) == (Verdict.OK, ErrorCode.NONE)
            assert read_score(result.score) == (1, 4711, False)
            assert (plc.violations, plc.wrong) == ({}, {})
            row = station.rows(
                "SELECT verdict, part_id, part, serial, score, recipe FROM verdict JOIN result USING (id) WHERE id = ?",
                result.result_id,
            )
            assert row == [("OK", "4711", 4711, "S-4711", result.score, "part1")]
            path = until(lambda: station.rows("SELECT path FROM image WHERE verdict_id = ?", result.result_id))[0][0]
            assert number_in(cv2.imread(str(station.data / path))) == 4711
            until(
                lambda: station.rows("SELECT 1 FROM delivery WHERE how = 'acked' AND verdict_id = ?", result.result_id)
            )

    on_line(line())


def test_a_defective_part_is_ng_and_its_map_is_kept_too(station):
    async def line():
        async with Line(station) as plc:
            await plc.start()
            result = await plc.part(815, defective=True)
            assert (result.verdict, result.error) == (Verdict.NG, ErrorCode.NONE)
            assert (plc.violations, plc.wrong) == ({}, {})
            kinds = "SELECT kind FROM image WHERE verdict_id = ? ORDER BY kind"
            until(lambda: station.rows(kinds, result.result_id) == [("heat_map",), ("original",)])

    on_line(line())


def test_an_error_sets_ng_on_the_wire(station):
    async def line():
        async with Line(station) as plc:
            await plc.start()
            black = encoded(0 * part_image(1))
            plc.lay(1, content=black)
            await plc.until("is ready", lambda inputs: inputs.on("TRIGGER_READY"))
            await plc.write(on=("TRIGGER",))
            shown = await plc.until("gives a result", lambda inputs: inputs.on("RESULTS_READY"))
            assert [shown.on(f"RESULT_{name}") for name in ("OK", "NG", "ERROR")] == [False, True, True]
            assert (shown.number("VERDICT"), shown.number("ERROR_CODE")) == (3, ErrorCode.IMAGE_BLACK)
            assert shown.number("STATE") == State.RUNNING
            await plc.write(on=("RESULTS_ACK",), off=("TRIGGER",))
            await plc.until("takes it", lambda inputs: not inputs.on("RESULTS_READY"))
            await plc.write(off=("RESULTS_ACK",))
            assert plc.violations == {}

    on_line(line())


def test_a_job_that_nobody_released_leaves_none_and_the_next_change_works(station):
    async def line():
        async with Line(station) as plc:
            await plc.start()
            assert await plc.change_job(999) is ErrorCode.JOB_UNKNOWN
            assert (await plc.read()).number("JOB") == 0
            plc.expected = 2
            assert await plc.change_job(2) is ErrorCode.NONE
            assert (await plc.part(12)).verdict is Verdict.OK
            plc.expected = 1
            assert await plc.change_job(1) is ErrorCode.NONE
            assert (await plc.part(13)).verdict is Verdict.OK
            assert (plc.violations, plc.wrong) == ({}, {})

    on_line(line())


def test_the_record_agrees_with_what_the_plc_got(station):
    async def line():
        async with Line(station) as plc:
            await plc.start()
            for number in range(100, 130):
                await plc.part(number, defective=number % 3 == 0)
            assert [result.verdict for result in plc.results] == [
                Verdict.NG if n % 3 == 0 else Verdict.OK for n in range(100, 130)
            ]
            assert (plc.violations, plc.wrong) == ({}, {})
            assert wrong_in_record(station, plc.results) == {}
            inputs = await plc.read()
            counted = station.counted()
            assert [inputs.number(f"COUNT_{name}") for name in ("OK", "NG", "ERROR")] == [
                counted.get(name, 0) for name in ("OK", "NG", "ERROR")
            ]

    on_line(line())
