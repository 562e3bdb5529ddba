"""Stations as a process: the real inspector, record and Modbus server, with played cameras."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import sys

import cv2
import pytest

from edgekd.result import Verdict
from edgekd.station import service
from edgekd.station.configuration import (
    CameraConfiguration,
    ModbusConfiguration,
    OneStation,
    StationConfiguration,
    TimerConfiguration,
)
from edgekd.station.error_codes import ErrorCode
from edgekd.station.inspector.client import InspectorClient
from edgekd.station.parts import Part
from edgekd.station.record.opening import MARKER_FILE, open_record
from edgekd.station.simulated_plc import SimulatedPlc
from edgekd.station.states import State

from ..inspector import played
from ..inspector.bench import Bench as Stage
from ..inspector.parts_by_hand import bad_part, good_part, make_recipe
from .fakes import until

SECONDS = 60.0


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A folder with a recipe and what a camera sees; the inspector's process plays it."""
    stage = Stage(tmp_path, {"press": ("top",), "oven": ("side",)})
    stage.loop.close()
    make_recipe(stage.recipes, 1, cameras=("top", "side"))
    monkeypatch.setattr(InspectorClient, "command", (sys.executable, played.__file__, str(stage.stage)))
    return stage


def configuration(stage, **fields):
    cameras = {name: CameraConfiguration(kind="folder", source="played", reconnect_s=0.05) for name in ("top", "side")}
    stations = (
        OneStation(name="press", unit=1, cameras=("top",), job=1),
        OneStation(
            name="oven",
            unit=2,
            cameras=("side",),
            job=1,
            trigger="timer",
            timer=TimerConfiguration(every_ms=50.0),
            start_online=True,
        ),
    )
    known = {"data": stage.data, "recipes": stage.recipes, "stations": stations, "cameras": cameras}
    return StationConfiguration(**known, modbus=ModbusConfiguration(port=0), **fields)


def run(work):
    return asyncio.run(asyncio.wait_for(work, SECONDS))


def rows(stage, query):
    with sqlite3.connect(stage.data / "verdicts.sqlite") as connection:
        return connection.execute(query).fetchall()


async def wait(condition):
    """Waits for something that another process does."""
    for _ in range(int(SECONDS * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited in vain")


def test_two_stations_share_an_inspector_and_a_record_and_go_on_from_it_after_a_restart(stage):
    async def shift(first_part, total, of_oven_before):
        async with service.running(configuration(stage)) as it:
            press, oven = it.stations
            server = it.adapters[0].line
            await asyncio.wait_for(server.listening.wait(), SECONDS)
            assert press.snapshot().state in (State.STARTING, State.OFFLINE)
            async with SimulatedPlc("127.0.0.1", server.port, unit=1) as plc:
                await plc.start()
                stage.show(good_part(first_part))
                good = await plc.inspect(Part(first_part, "S1", "L1"))
                stage.show(bad_part(first_part))
                bad = await plc.inspect(Part(first_part + 1, "S2", "L1"))
                assert (good.verdict, bad.verdict) == (Verdict.OK, Verdict.NG)
                assert plc.violations == {}
            await wait(lambda: oven.snapshot().counters.total >= of_oven_before + 2)
            shown = press.snapshot()
            assert (shown.counters.ok, shown.counters.ng, shown.counters.total) == (total - 1, total - 1, 2 * total - 2)
            assert shown.storage_free < 1
            return shown.outcome.result_id, oven.snapshot().counters.total

    first, of_oven = run(shift(1, 2, 0))
    second, of_oven_later = run(shift(3, 3, of_oven))
    assert second > first
    assert of_oven_later >= of_oven + 2
    ids = [row[0] for row in rows(stage, "SELECT id FROM verdict ORDER BY id")]
    assert ids == sorted(set(ids))
    deliveries = rows(stage, "SELECT how, count(*) FROM delivery GROUP BY how")
    assert dict(deliveries).keys() == {"acked"}


def test_a_part_in_work_when_the_stations_stop_has_its_answer_on_record(stage):
    async def test():
        async with service.running(configuration(stage), simulator=True) as it:
            press = it.stations[0]
            await wait(lambda: press.snapshot().state is State.OFFLINE)
            press.enable_triggers(True, "modbus")
            press.set_online(True, "modbus")
            await wait(lambda: press.snapshot().trigger_ready)
            press.trigger(Part(9), "modbus")
            assert press.snapshot().busy

    run(test())
    found = rows(stage, "SELECT part_id, verdict, simulated FROM verdict JOIN result USING (id) WHERE part_id = '9'")
    assert found == [("9", "OK", 1)]
    how = rows(stage, "SELECT how FROM delivery JOIN verdict ON verdict.id = verdict_id WHERE part_id = '9'")
    assert how == [("unread",)]


def test_a_part_of_the_service_that_fails_for_good_ends_it(stage, monkeypatch):
    async def fails(*arguments):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(service.upkeep, "tick", fails)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        run(service.run_service(configuration(stage)))


def play(folder, *images):
    """Makes a folder that a camera plays."""
    part = folder.with_name("part")
    part.mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(part / f"{number}.png"), image)
    part.rename(folder)


def test_a_camera_that_cannot_even_be_made_is_a_fault_of_its_station_and_the_others_run(stage, monkeypatch):
    """What it plays is not there; then somebody brings it."""
    monkeypatch.undo()  # With real cameras.
    top, side = stage.stage / "top", stage.stage / "side"
    play(side, *map(good_part, range(20)))
    sources = {"top": top, "side": side}
    cameras = {
        name: CameraConfiguration(kind="video", source=str(source), reconnect_s=0.1) for name, source in sources.items()
    }

    async def test():
        async with service.running(configuration(stage).model_copy(update={"cameras": cameras})) as it:
            press, oven = it.stations
            await wait(lambda: press.snapshot().state is State.FAULT)
            [alarm] = press.snapshot().alarms
            assert (alarm.code, alarm.fatal) == (ErrorCode.CAMERA_LOST, True)
            assert str(top) in alarm.text
            await wait(lambda: oven.snapshot().counters.ok >= 2)
            play(top, *map(good_part, range(20)))
            await wait(lambda: dict(press.snapshot().links)["camera top"])
            press.clear_error("modbus")
            press.enable_triggers(True, "modbus")
            press.set_online(True, "modbus")
            await wait(lambda: press.snapshot().trigger_ready)
            press.trigger(Part(1), "modbus")
            await wait(lambda: press.snapshot().results_ready)
            assert press.snapshot().outcome.verdict is Verdict.OK
            assert oven.snapshot().counters.error == 0

    run(test())


def test_an_adapter_that_fails_is_a_warning_and_is_started_again(stage):
    """Its port is taken at first."""

    async def test(port, release):
        taken = configuration(stage).model_copy(update={"modbus": ModbusConfiguration(port=port)})
        async with service.running(taken) as it:
            press = it.stations[0]
            name = "modbus adapter"
            await wait(lambda: dict(press.snapshot().links).get(name) is False)
            assert ErrorCode.LINK_LOST in {alarm.code for alarm in press.snapshot().alarms}
            release()
            await asyncio.wait_for(it.adapters[0].line.listening.wait(), SECONDS)
            await wait(lambda: dict(press.snapshot().links)[name])
            assert press.snapshot().alarms == ()

    with socket.create_server(("127.0.0.1", 0)) as held:
        run(test(held.getsockname()[1], held.close))


def test_a_damaged_record_is_a_fault_that_the_plc_sees_and_no_part_is_ok(stage):
    stage.data.mkdir(exist_ok=True)
    (stage.data / "verdicts.sqlite").write_bytes(b"no database at all" * 1000)
    (stage.data / MARKER_FILE).write_text("0" * 32)

    async def test():
        async with service.running(configuration(stage)) as it:
            press = it.stations[0]
            shown = press.snapshot()
            assert (shown.state, shown.fault) == (State.FAULT, ErrorCode.ROW_NOT_WRITTEN)
            press.enable_triggers(True, "modbus")
            press.set_online(True, "modbus")
            press.clear_error("modbus")
            assert press.snapshot().state is State.FAULT
            assert press.trigger(Part(1), "modbus").code is not ErrorCode.NONE
            await until(lambda: not press.snapshot().trigger_ready)

    run(test())
    assert (stage.data / "verdicts.sqlite").read_bytes().startswith(b"no database at all")


def test_an_audit_trail_that_was_changed_is_a_warning_and_stops_nothing(stage):
    record, _ = open_record(stage.data, "0")
    record.audit("mara", "engineer", "page", "release", "press", "", "", "tried")
    record.close()
    with contextlib.closing(sqlite3.connect(stage.data / "verdicts.sqlite")) as other:
        other.execute("DROP TRIGGER audit_no_update")
        other.execute("UPDATE audit SET who = 'eve'")
        other.commit()

    async def test():
        async with service.running(configuration(stage)) as it:
            for station in it.stations:
                shown = station.snapshot()
                [alarm] = shown.alarms
                assert (alarm.code, alarm.fatal, shown.warning) == (ErrorCode.AUDIT_BROKEN, False, True)
                assert "entry 1 was changed" in alarm.text

    run(test())
