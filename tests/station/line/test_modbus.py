"""The Modbus server with pymodbus's client: the handshake on the wire, exception codes, units, who may write."""

import asyncio
import math
import re
import socket
import struct
import sys
import time

import pytest

from edgekd.errors import EdgekdError, MachineError
from edgekd.result import Region, Verdict
from edgekd.station.configuration import ModbusConfiguration
from edgekd.station.error_codes import ErrorCode
from edgekd.station.line import modbus_unit
from edgekd.station.line.modbus import ModbusServer
from edgekd.station.line.modbus_map import BY_NAME, HOLDING_SIGNALS, encode
from edgekd.station.parts import Inspected, Part
from edgekd.station.snapshot import Alarm, Counters
from edgekd.station.states import State

from .modbus_client import Client, serving, within_patience
from .scripted_station import ScriptedStation


def test_a_cycle_from_trigger_to_acknowledgement():
    async def cycle():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as plc:
            assert await plc.coil("TRIGGER_ENABLE", True) == 0
            assert (await plc.inputs())["TRIGGER_READY"]
            assert await plc.part(70_000) == 0
            assert await plc.coil("TRIGGER", True) == 0
            busy = await plc.inputs()
            assert (busy["TRIGGER_ACK"], busy["BUSY"], busy["ACQUIRING"]) == (True, True, True)
            assert (busy["TRIGGER_READY"], busy["RESULTS_READY"], busy["VERDICT"]) == (False, False, 0)
            station.show(acquiring=False, exposure_done=True)
            assert (await plc.inputs())["EXPOSURE_DONE"]
            station.finish(Verdict.OK)
            done = await plc.inputs()
            assert (done["RESULTS_READY"], done["RESULT_OK"], done["RESULT_NG"], done["RESULT_ERROR"]) == (1, 1, 0, 0)
            assert (done["RESULT_ID"], done["ACQUISITION_ID"], done["PART_ID"], done["VERDICT"]) == (1, 101, 70_000, 1)
            assert (done["SCORE"], done["THRESHOLD"], done["SEVERITY"]) == (0.25, 0.5, 400)
            assert (done["MILLISECONDS"], done["RESULTS_WAITING"]) == (50, 1)
            assert done["RESULT_TIME"] == 1_700_000_000_050
            assert await plc.coil("RESULTS_ACK", True) == 0
            idle = await plc.inputs()
            assert not any(
                idle[name] for name in ("RESULTS_READY", "RESULT_OK", "RESULT_NG", "RESULT_ERROR", "VERDICT")
            )
            assert idle["PART_ID"] == 70_000
            await plc.coil("RESULTS_ACK", False)
            await plc.coil("TRIGGER", False)
            idle = await plc.inputs()
            assert (idle["TRIGGER_ACK"], idle["TRIGGER_READY"]) == (False, True)
            part = Part(70_000, "", "")
            assert station.requests[:4] == [
                ("report_link", "plc", True),
                ("enable_triggers", True, "modbus"),
                ("trigger", part, "modbus"),
                ("acknowledge", "modbus"),
            ]

    within_patience(cycle())


@pytest.mark.parametrize("order", ["high_first", "low_first"])
def test_part_id_serial_and_lot_are_latched_with_a_trigger_in_the_same_write(order):
    async def one_write():
        station = ScriptedStation()
        async with serving(station, word_order=order) as server, Client(server) as plc:
            values = {"COILS": 0b11, "SET_PART_ID": 0x12345678, "SET_SERIAL": "S-0042", "SET_LOT": "lot of 16 letter"}
            registers = encode(HOLDING_SIGNALS, values, 32, order)
            assert await plc.registers(0, registers) == 0
            await plc.part(1)
            assert station.requests[2] == ("trigger", Part(0x12345678, "S-0042", "lot of 16 letter"), "modbus")
            assert (await plc.modbus.read_holding_registers(0, count=2)).registers == [3, 0]

    within_patience(one_write())


def shown(station: ScriptedStation, **configuration) -> dict:
    """What a PLC reads."""
    read: dict = {}

    async def reading():
        async with serving(station, **configuration) as server, Client(server) as plc:
            read.update(await plc.inputs())

    within_patience(reading())
    return read


def finished(verdict: Verdict, **fields) -> ScriptedStation:
    station = ScriptedStation()
    station.part = Part(5)
    station.finish(verdict, **fields)
    return station


@pytest.mark.parametrize(
    ("verdict", "simulated", "bits", "number"),
    [
        (Verdict.OK, False, (True, False, False, False), 1),
        (Verdict.NG, False, (False, True, False, False), 2),
        (Verdict.ERROR, False, (False, True, True, False), 3),
        (Verdict.OK, True, (False, True, False, True), 0),
        (Verdict.NG, True, (False, True, False, True), 2),
        (Verdict.ERROR, True, (False, True, True, True), 3),
    ],
)
def test_only_an_ok_of_the_lines_own_shows_as_ok_and_everything_else_as_ng(verdict, simulated, bits, number):
    read = shown(finished(verdict, simulated=simulated))
    assert tuple(read[name] for name in ("RESULT_OK", "RESULT_NG", "RESULT_ERROR", "SIMULATED")) == bits
    assert read["VERDICT"] == number


def test_a_simulator_whose_plc_is_simulated_too_shows_its_ok():
    station = finished(Verdict.OK, simulated=True)
    station.show(simulated=True, simulator=True)
    read = shown(station)
    assert (read["RESULT_OK"], read["RESULT_NG"], read["VERDICT"], read["SIMULATED"]) == (True, False, 1, True)


def test_before_the_first_result_nothing_reads_as_good():
    read = shown(ScriptedStation())
    assert (read["RESULTS_READY"], read["RESULT_OK"], read["VERDICT"], read["RESULT_ID"]) == (False, False, 0, 0)
    assert read["SCORE"] > 3.4e38
    assert read["SEVERITY"] == 65535


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 1e300])
def test_a_score_that_is_none_is_above_every_threshold(score):
    read = shown(finished(Verdict.ERROR, inspected=Inspected(1, score=score, threshold=math.nan)))
    assert read["SCORE"] > 3.4e38
    assert (read["THRESHOLD"], read["SEVERITY"], read["ERROR_CODE"]) == (0, 65535, 301)


def test_an_error_without_an_inspection_reads_as_one():
    read = shown(finished(Verdict.ERROR, inspected=None, error=ErrorCode.INSPECTOR_DIED))
    assert (read["VERDICT"], read["ERROR_CODE"], read["AREA"]) == (3, 305, 0)


def test_the_anomaly_is_given_by_its_share_and_the_center_of_the_strongest_region():
    regions = (Region(120, (10, 20, 10, 12), (15.4, 26.6), 0.9), Region(80, (0, 0, 10, 8), (5, 4), 0.7))
    inspected = Inspected(1, score=0.9, threshold=0.5, severity=1.8004, regions=regions, pixels=(100, 100))
    read = shown(finished(Verdict.NG, inspected=inspected, total_ms=1e6))
    assert (read["AREA"], read["CENTER_X"], read["CENTER_Y"], read["SEVERITY"]) == (20, 15, 27, 1800)
    assert read["MILLISECONDS"] == 65535


def test_the_station_itself_is_shown():
    station = ScriptedStation("press-line-4-left-side")
    station.show(
        State.FAULT,
        counters=Counters(ok=70_000, ng=3, error=2, missed=70_000, ng_in_a_row=1, errors_in_a_row=2),
        alarms=(Alarm(ErrorCode.CAMERA_LOST, "", 0, fatal=True), Alarm(ErrorCode.PART_ID_TWICE, "", 0)),
        self_test_minutes=12.4,
        storage_free=0.337,
        storage_low=True,
        clock_jumped=True,
        stop_line=True,
        self_test_due=True,
        self_test_failed=True,
        missed_trigger=True,
        overrun=True,
        uptime_s=70_001.9,
    )
    read = shown(station)
    assert (read["TOTAL"], read["COUNT_OK"], read["COUNT_NG"], read["COUNT_ERROR"]) == (70_005, 70_000, 3, 2)
    assert (read["MISSED_TRIGGERS"], read["NG_IN_A_ROW"], read["ERRORS_IN_A_ROW"]) == (65535, 1, 2)
    assert (read["FAULT"], read["FAULT_CODE"], read["STATE"], read["ONLINE"]) == (True, 103, 9, False)
    assert (read["JOB"], read["RECIPE_REVISION"], read["NOT_RELEASED"]) == (7, 3, False)
    assert read["RECIPE_DIGEST"] == bytes.fromhex("0011223344556677")
    assert (read["UPTIME"], read["HEARTBEAT"], read["STORAGE_FREE"], read["SELFTEST_MINUTES"]) == (70_001, True, 34, 12)
    assert (read["MAP_VERSION"], read["CHECK_INTEGER"], read["CHECK_FLOAT"]) == (1, 0x12345678, 1.5)
    assert read["STATION_NAME"] == "press-line-4-lef"
    names = (
        "WARNING",
        "STOP_LINE",
        "SELFTEST_DUE",
        "SELFTEST_FAILED",
        "STORAGE_LOW",
        "CLOCK",
        "MISSED_TRIGGER",
        "OVERRUN",
    )
    assert all(read[name] for name in names)


def test_a_station_without_a_recipe_shows_none():
    station = ScriptedStation()
    station.show(State.NO_JOB, recipe=None)
    read = shown(station)
    assert (read["JOB"], read["RECIPE_REVISION"], read["RECIPE_DIGEST"], read["NOT_RELEASED"]) == (0, 0, bytes(8), True)
    assert read["SELFTEST_MINUTES"] == 65535


def test_the_discrete_inputs_are_the_bits_of_the_first_input_registers():
    async def both():
        async with serving(finished(Verdict.NG)) as server, Client(server) as plc:
            bits = (await plc.modbus.read_discrete_inputs(0, count=32)).bits[:32]
            low, high = (await plc.modbus.read_input_registers(0, count=2)).registers
            assert [bool((low | high << 16) >> n & 1) for n in range(32)] == bits
            assert bits[BY_NAME["RESULT_NG"].address]
            assert (await plc.modbus.read_discrete_inputs(8, count=1)).bits[0]

    within_patience(both())


def test_coils_are_the_bits_of_holding_register_0():
    async def both():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as plc:
            await plc.coil("SET_ONLINE", True)
            assert (await plc.modbus.read_holding_registers(0)).registers == [16]
            await plc.registers(0, [0b10001])
            assert (await plc.modbus.read_coils(0, count=16)).bits[:5] == [True, False, False, False, True]
            await plc.modbus.write_coils(3, [False, False, True])
            assert (await plc.modbus.read_holding_registers(0)).registers == [0b100001]
            assert station.requests[1:] == [
                ("set_online", True), ("enable_triggers", True, "modbus"), ("set_online", False), ("clear_error",),
            ]  # fmt: skip

    within_patience(both())


def test_levels_and_edges_reach_the_station():
    async def ask():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as plc:
            await plc.part(9)
            for name in ("CLEAR_ERROR", "SELF_TEST", "RESET_COUNTERS", "REJECT_CONFIRMED"):
                await plc.coil(name, True)
                await plc.coil(name, False)
            assert station.requests[1:] == [
                ("clear_error",), ("start_self_test",), ("reset_counters",), ("confirm_reject", 9),
            ]  # fmt: skip

    within_patience(ask())


def test_exception_codes():
    async def wrong():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as plc:
            modbus = plc.modbus

            async def code(call):
                answer = await call
                return answer.exception_code if answer.isError() else 0

            assert await code(modbus.read_input_registers(60, count=5)) == 2
            assert await code(modbus.read_input_registers(900, count=1)) == 2
            assert await code(modbus.read_holding_registers(31, count=2)) == 2
            assert await code(modbus.read_coils(15, count=2)) == 2
            assert await code(modbus.read_discrete_inputs(32, count=1)) == 2
            assert await code(modbus.write_register(32, 1)) == 2
            assert await code(modbus.write_registers(30, [1, 2, 3])) == 2
            assert await code(modbus.write_coil(16, True)) == 2
            assert await code(modbus.write_coils(14, [True, True, True])) == 2
            assert await code(modbus.write_register(1, 1000)) == 3
            assert await code(modbus.write_registers(4, [0x41E4])) == 3
            assert await code(modbus.write_registers(12, [0x0A41])) == 3
            assert await code(modbus.readwrite_registers(read_address=0, read_count=1, address=0, values=[1])) == 1
            assert await code(modbus.mask_write_register(address=0, and_mask=0, or_mask=1)) == 1
            assert await code(modbus.report_device_id()) == 1
            assert await code(modbus.read_input_registers(0, count=4, device_id=9)) == 11
            assert await code(modbus.write_register(0, 1, device_id=9)) == 11
            assert await code(modbus.write_register(31, 0xFFFF)) == 0
            assert await code(modbus.write_register(1, 999)) == 0
            assert station.requests == [("report_link", "plc", True)]

    within_patience(wrong())


def test_a_write_that_is_refused_changes_nothing():
    async def refused():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as plc:
            assert await plc.registers(0, [3, 1000]) == 3
            assert (await plc.modbus.read_holding_registers(0, count=2)).registers == [0, 0]
            assert station.requests == []

    within_patience(refused())


def test_a_fault_of_the_station_is_exception_4_and_the_next_request_is_answered(caplog):
    async def fault():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as plc:
            station.snapshot = lambda: 1 / 0
            assert (await plc.modbus.read_input_registers(0, count=4)).exception_code == 4
            del station.snapshot
            assert (await plc.inputs())["STATE"] == 6

    within_patience(fault())
    assert "ZeroDivisionError" in caplog.text


def test_stations_are_units_of_their_own():
    async def two():
        left, right = ScriptedStation("left"), ScriptedStation("right")
        async with serving(left, right) as server, Client(server) as first, Client(server, unit=2) as second:
            assert await first.coil("TRIGGER_ENABLE", True) == 0
            assert await second.coil("TRIGGER_ENABLE", True) == 0, "each unit has its own writer"
            await second.part(5)
            await second.coil("TRIGGER", True)
            right.finish(Verdict.NG)
            assert (await second.inputs())["PART_ID"] == 5
            read = await first.inputs()
            assert (read["RESULTS_READY"], read["STATION_NAME"], read["TRIGGER_READY"]) == (False, "left", True)

    within_patience(two())


def test_a_second_client_reads_but_does_not_write_until_the_first_is_gone():
    async def two():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as second:
            async with Client(server) as first:
                assert await first.coil("TRIGGER_ENABLE", True) == 0
                assert await second.coil("TRIGGER_ENABLE", False) == 6
                assert await second.registers(0, [0]) == 6
                assert (await second.inputs())["TRIGGER_READY"]
            while ("report_link", "plc", False) not in station.requests:
                await asyncio.sleep(0.005)
            assert await second.coil("TRIGGER", True) == 0

    within_patience(two())


def test_a_writer_that_asks_for_nothing_any_more_gives_way(monkeypatch):
    async def two():
        async with serving(ScriptedStation()) as server, Client(server) as first, Client(server) as second:
            assert await first.coil("TRIGGER_ENABLE", True) == 0
            assert await second.coil("TRIGGER", True) == 6
            monkeypatch.setattr(modbus_unit, "WRITER_SILENT_S", 0.0)
            assert await second.coil("TRIGGER", True) == 0

    within_patience(two())


def test_changes_of_job():
    async def change():
        station = ScriptedStation()
        station.loads_at_once = False
        async with serving(station) as server, Client(server) as plc:
            await plc.registers(0, [0b1000, 8])
            read = await plc.inputs()
            assert (read["JOB_ACK"], read["JOB_FAILED"], read["STATE"], read["JOB"]) == (False, False, 4, 0)
            station.load(8)
            assert (await plc.until(lambda read: read["JOB_ACK"]))["JOB"] == 8
            await plc.coil("JOB_CHANGE", False)
            assert not (await plc.inputs())["JOB_ACK"]
            await plc.registers(0, [0b1000, 999])
            read = await plc.inputs()
            assert (read["JOB_FAILED"], read["ERROR_CODE"], read["JOB"], read["STATE"]) == (True, 501, 0, 3)
            await plc.registers(0, [0, 7])
            await plc.coil("JOB_CHANGE", True)
            assert not (await plc.inputs())["JOB_FAILED"]
            station.show(State.NO_JOB, job_failed=ErrorCode.DIGEST_DIFFERS)
            read = await plc.until(lambda read: read["JOB_FAILED"])
            assert (read["ERROR_CODE"], read["JOB_ACK"]) == (502, False)

    within_patience(change())


def test_a_plc_whose_heartbeat_stops_gets_no_trigger_ready_until_it_beats_again():
    async def silence():
        station = ScriptedStation()
        async with serving(station, heartbeat_s=0.4) as server, Client(server) as plc:
            await plc.coil("TRIGGER_ENABLE", True)
            for beat in range(4):
                await plc.coil("PLC_HEARTBEAT", beat % 2 == 0)
                assert (await plc.inputs())["TRIGGER_READY"]
                await asyncio.sleep(0.15)
            read = await plc.until(lambda read: read["WARNING"])
            assert not read["TRIGGER_READY"]
            await plc.coil("TRIGGER", True)
            assert (await plc.inputs())["MISSED_TRIGGER"]
            await plc.coil("PLC_HEARTBEAT", True)
            read = await plc.inputs()
            assert (read["TRIGGER_READY"], read["WARNING"]) == (True, False)

    within_patience(silence())


def test_clients_from_elsewhere_are_not_answered():
    async def elsewhere():
        async with serving(ScriptedStation(), clients=("192.0.2.0/24",)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()
        async with serving(ScriptedStation(), clients=("127.0.0.1",)) as server, Client(server) as plc:
            assert (await plc.inputs())["STATE"] == 6

    within_patience(elsewhere())


def test_a_configuration_that_cannot_be_served_is_refused_in_one_line():
    with pytest.raises(EdgekdError, match=re.escape("modbus.clients: 'plc' must be an IP address")):
        ModbusServer(ModbusConfiguration(clients=("plc",)), [])
    stations = [(1, ScriptedStation("left")), (1, ScriptedStation("right"))]
    with pytest.raises(EdgekdError, match="'left' and 'right' are both Modbus unit 1"):
        ModbusServer(ModbusConfiguration(), stations)


def test_without_pymodbus_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "edgekd.station.line.modbus_connections", None)
    with pytest.raises(MachineError, match=re.escape("pip install 'edgekd[station]'")):
        ModbusServer(ModbusConfiguration(), [])


def test_a_server_that_was_stopped_serves_again_what_it_was_told_before():
    async def again():
        server = ModbusServer(ModbusConfiguration(port=0), [(1, ScriptedStation())])
        for expected in (False, True):
            running = asyncio.create_task(server.run())
            await asyncio.wait_for(server.listening.wait(), 5)
            async with Client(server) as plc:
                assert (await plc.inputs())["TRIGGER_READY"] is expected
                await plc.coil("TRIGGER_ENABLE", True)
            running.cancel()
            await asyncio.wait({running})
            assert not server.listening.is_set()

    within_patience(again())


def test_a_port_that_is_taken_is_named():
    async def twice():
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = ModbusServer(ModbusConfiguration(port=port), [(1, ScriptedStation())])
            with pytest.raises(MachineError, match=f"port {port} for Modbus: Address already in use; choose another"):
                await server.run()

    within_patience(twice())


def test_a_poll_takes_a_fraction_of_a_plcs_cycle(record_property):
    async def poll():
        async with serving(finished(Verdict.NG)) as server, Client(server) as plc:
            times = []
            for _ in range(300):
                start = time.perf_counter()
                await plc.modbus.read_input_registers(0, count=64)
                times.append(1000 * (time.perf_counter() - start))
            times.sort()
            record_property("poll_ms", f"median {times[150]:.3f}, p99 {times[297]:.3f}")
            assert times[150] < 5

    within_patience(poll())


def test_the_wire_is_big_endian():
    async def raw():
        async with serving(finished(Verdict.NG)) as server, Client(server) as plc:
            registers = (await plc.modbus.read_input_registers(56, count=4)).registers
            assert struct.pack(">4H", *registers) == bytes.fromhex("12345678") + struct.pack(">f", 1.5)

    within_patience(raw())
