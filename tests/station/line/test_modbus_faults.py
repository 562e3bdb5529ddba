"""What a PLC or a stranger may do wrong on the wire (rows 22 to 28 of the fault list): nobody else notices, and no
result is lost, doubled, swapped or OK that was not."""

import asyncio
import os
import random
import socket
import struct
import time

import pytest

from edgekd.result import Verdict
from edgekd.station.line import modbus_connections
from edgekd.station.parts import Part

from .modbus_client import PATIENCE_S, READ_ALL, Client, answer, request, serving, within_patience
from .scripted_station import ScriptedStation

TRIGGER_ENABLE, TRIGGER, RESULTS_ACK = 1, 2, 4
PART_77 = request(16, struct.pack(">HHBHH", 2, 2, 4, 0, 77))


def coils(value: int) -> bytes:
    return request(6, struct.pack(">HH", 0, value))


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


def triggers(station: ScriptedStation) -> list[Part]:
    return [request[1] for request in station.requests if request[0] == "trigger"]


def acknowledged(station: ScriptedStation) -> int:
    return sum(request[0] == "acknowledge" for request in station.requests)


def test_a_trigger_pulse_that_is_seen_is_one_part_whose_result_waits_without_an_ack():
    async def pulse():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as plc:
            await plc.coil("TRIGGER_ENABLE", True)
            await plc.part(77)
            await plc.coil("TRIGGER", True)
            await plc.coil("TRIGGER", False)
            read = await plc.inputs()
            assert (read["TRIGGER_ACK"], read["BUSY"]) == (False, True)
            station.finish(Verdict.NG)
            read = await plc.inputs()
            assert (read["RESULTS_READY"], read["PART_ID"]) == (True, 77)
            assert triggers(station) == [Part(77)]

    within_patience(pulse())


def test_a_result_that_is_never_acknowledged_stays_and_no_trigger_is_taken():
    async def silent():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as plc:
            await plc.registers(0, [TRIGGER_ENABLE | TRIGGER, 0, 0, 77])
            station.finish(Verdict.NG)
            for part_id in range(78, 81):
                await plc.registers(0, [TRIGGER_ENABLE, 0, 0, part_id])
                await plc.registers(0, [TRIGGER_ENABLE | TRIGGER])
                read = await plc.inputs()
                assert (read["TRIGGER_READY"], read["TRIGGER_ACK"], read["MISSED_TRIGGER"]) == (False, False, True)
                assert (read["RESULTS_READY"], read["RESULT_ID"], read["PART_ID"]) == (True, 1, 77)
            assert read["MISSED_TRIGGERS"] == 3

    within_patience(silent())


def test_an_ack_that_is_stuck_at_1_holds_the_next_result_back_until_it_falls():
    async def stuck():
        station = ScriptedStation(answers=[Verdict.NG, Verdict.ERROR])
        async with serving(station) as server, Client(server) as plc:
            await plc.registers(0, [TRIGGER_ENABLE | TRIGGER, 0, 0, 1])
            await plc.inputs()
            await plc.registers(0, [TRIGGER_ENABLE | RESULTS_ACK, 0, 0, 2])
            await plc.registers(0, [TRIGGER_ENABLE | RESULTS_ACK | TRIGGER])
            read = await plc.inputs()
            assert (read["RESULTS_READY"], read["RESULT_NG"], read["VERDICT"]) == (False, False, 0)
            assert acknowledged(station) == 1
            await plc.registers(0, [TRIGGER_ENABLE])
            read = await plc.inputs()
            assert (read["RESULTS_READY"], read["PART_ID"], read["VERDICT"]) == (True, 2, 3)
            await plc.registers(0, [TRIGGER_ENABLE | RESULTS_ACK])
            assert acknowledged(station) == 2

    within_patience(stuck())


class Cycle:
    """A cycle in eleven points; whatever ends the connection there, the next client goes on with it."""

    POINTS = (
        "connected",
        "triggers enabled",
        "part id written",
        "half of the trigger sent",
        "trigger sent, answer not read",
        "trigger taken",
        "exposure done",
        "result ready, not read",
        "result read, not acknowledged",
        "acknowledgement sent, answer not read",
        "acknowledged, bits not dropped",
    )

    def __init__(self, station: ScriptedStation) -> None:
        self.station = station

    async def until(self, point: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Plays the PLC up to a point."""
        trigger = coils(TRIGGER_ENABLE | TRIGGER)
        acknowledge = coils(TRIGGER_ENABLE | TRIGGER | RESULTS_ACK)
        steps = (
            (None, ""),
            (coils(TRIGGER_ENABLE), ""),
            (PART_77, ""),
            (trigger[:7], "send only"),
            (trigger[7:], "send only"),
            (None, "read"),
            (None, "exposed"),
            (None, "finish"),
            (READ_ALL, ""),
            (acknowledge, "send only"),
            (None, "read"),
        )
        for name, (frame, then) in zip(self.POINTS, steps, strict=True):
            if frame:
                writer.write(frame)
                await writer.drain()
            if (frame and then != "send only") or then == "read":
                await answer(reader)
            if then == "exposed":
                self.station.show(acquiring=False, exposure_done=True)
            if then == "finish":
                self.station.finish(Verdict.NG)
            if name == point:
                return


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("point", Cycle.POINTS)
def test_a_plc_that_is_gone_at_any_point_finds_the_same_state_and_result_when_it_is_back(point, reset):
    async def gone():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as plc:
            reader, writer = await connected(server.port)
            await Cycle(station).until(point, reader, writer)
            if reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()
            while any(peer.writer for peer in server._units.values()):
                await asyncio.sleep(0.002)
            await asyncio.wait_for(finish_with(plc, station), PATIENCE_S)
            assert triggers(station) == [Part(77)]
            assert (station.results, acknowledged(station)) == (1, 1)
            read = await plc.inputs()
            assert (read["TRIGGER_READY"], read["COUNT_NG"], read["MISSED_TRIGGERS"]) == (True, 1, 0)

    async def finish_with(plc, station):
        """Goes on from what the station shows, as a PLC does that has just come back."""
        read = await plc.inputs()
        before = read["RESULT_ID"]
        if not (read["BUSY"] or read["RESULTS_READY"] or before):
            await plc.registers(0, [TRIGGER_ENABLE, 0, 0, 77])
            await plc.registers(0, [TRIGGER_ENABLE | TRIGGER])
        if station.part is not None:
            station.finish(Verdict.NG)
        read = await plc.inputs()
        assert (read["RESULT_ID"], read["PART_ID"]) == (1, 77)
        if read["RESULTS_READY"]:
            assert (read["RESULT_NG"], read["RESULT_OK"], read["VERDICT"]) == (True, False, 2)
            await plc.registers(0, [TRIGGER_ENABLE | RESULTS_ACK])
        await plc.registers(0, [TRIGGER_ENABLE])

    within_patience(gone())


GARBAGE = {
    "ones": b"\xff" * 300,
    "zeros": bytes(300),
    "http": b"GET / HTTP/1.1\r\nHost: station\r\n\r\n",
    "another protocol": struct.pack(">HHHBB", 1, 7, 6, 1, 4) + bytes(4),
    "too long": struct.pack(">HHHBB", 1, 0, 60_000, 1, 4) + bytes(300),
    "no function": struct.pack(">HHHB", 1, 0, 1, 1),
    "a megabyte": random.Random(0).randbytes(1 << 20),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_ends_its_own_connection_and_nobody_elses(name):
    async def garbage():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as plc:
            await plc.coil("TRIGGER_ENABLE", True)
            reader, writer = await connected(server.port)
            try:
                writer.write(GARBAGE[name])
                await writer.drain()
                assert not await asyncio.wait_for(reader.read(), PATIENCE_S)
            except ConnectionError:
                pass
            writer.close()
            assert (await plc.inputs())["TRIGGER_READY"]
            assert await plc.coil("TRIGGER", True) == 0
            assert station.requests[1:] == [("enable_triggers", True, "modbus"), ("trigger", Part(0), "modbus")]

    within_patience(garbage())


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (request(99, b"\x00\x00"), 1),
        (request(8, b"\x00\x04\x00\x00"), 1),
        (request(0, b""), 1),
        (request(0x84, b"\x01"), 1),
        (request(4, b"\x00"), 3),
        (request(4, struct.pack(">HH", 0, 126)), 3),
        (request(4, struct.pack(">HH", 0, 0)), 3),
        (request(5, struct.pack(">HH", 1, 1)), 3),
        (request(16, struct.pack(">HHBH", 2, 2, 4, 0)), 3),
        (request(15, struct.pack(">HHBB", 0, 8, 2, 255)), 3),
    ],
    ids=["function 99", "listen only", "function 0", "an answer", "half", "126", "none", "coil 1", "short", "bits"],
)
def test_a_frame_that_is_no_request_is_an_exception_and_the_connection_goes_on(frame, code):
    async def odd():
        station = ScriptedStation()
        async with serving(station) as server:
            reader, writer = await connected(server.port)
            writer.write(frame)
            transaction, unit, function, data = await answer(reader)
            assert (transaction, unit, function & 0x80, data[0]) == (1, 1, 0x80, code)
            writer.write(READ_ALL)
            assert (await answer(reader))[2] == 4
            writer.close()
            assert station.requests == []

    within_patience(odd())


def test_requests_in_one_segment_are_all_answered_in_their_order():
    async def at_once():
        station = ScriptedStation()
        async with serving(station) as server:
            reader, writer = await connected(server.port)
            frames = [coils(TRIGGER_ENABLE), PART_77, coils(TRIGGER_ENABLE | TRIGGER), READ_ALL]
            writer.write(b"".join(frame[:1] + bytes([n]) + frame[2:] for n, frame in enumerate(frames)))
            answers = [await answer(reader) for _ in frames]
            assert [(number, function) for number, _, function, _ in answers] == [(0, 6), (1, 16), (2, 6), (3, 4)]
            assert triggers(station) == [Part(77)]
            writer.close()

    within_patience(at_once())


def test_a_request_that_arrives_byte_by_byte_behind_another_is_answered():
    async def slowly():
        station = ScriptedStation()
        async with serving(station) as server:
            reader, writer = await connected(server.port)
            writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = coils(TRIGGER_ENABLE) + PART_77 + coils(TRIGGER_ENABLE | TRIGGER)
            writer.write(stream[:15])
            await answer(reader)
            for place in range(15, len(stream)):
                writer.write(stream[place : place + 1])
                await asyncio.sleep(0)
            await answer(reader)
            await answer(reader)
            assert triggers(station) == [Part(77)]
            writer.close()

    within_patience(slowly())


def test_half_a_frame_that_stays_so_holds_up_nobody():
    async def half():
        station = ScriptedStation()
        async with serving(station) as server, Client(server) as plc:
            halves = [await connected(server.port) for _ in range(5)]
            for place, (_, writer) in enumerate(halves):
                writer.write(READ_ALL[: 2 * place + 1])
                await writer.drain()
            assert await plc.coil("TRIGGER_ENABLE", True) == 0
            for _, writer in halves:
                writer.close()

    within_patience(half())


def test_a_client_that_reads_no_answers_is_dropped_before_they_pile_up():
    async def deaf():
        async with serving(ScriptedStation()) as server, Client(server) as plc:
            loop = asyncio.get_running_loop()
            with socket.create_connection(("127.0.0.1", server.port)) as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.setblocking(False)
                flood = loop.sock_sendall(deaf, READ_ALL * 1_000_000)
                with pytest.raises((ConnectionError, BrokenPipeError)):
                    await asyncio.wait_for(flood, PATIENCE_S)
            assert (await plc.inputs())["STATE"] == 6

    within_patience(deaf())


def test_a_client_that_asks_without_end_holds_up_nobody():
    async def flooded():
        async with serving(ScriptedStation()) as server, Client(server) as plc:
            reader, writer = await connected(server.port)
            writer.write(READ_ALL * 500)
            polls = 0
            swallowing = asyncio.create_task(reader.readexactly(500 * 137))
            while not swallowing.done():
                await plc.inputs()
                polls += 1
            await swallowing
            writer.close()
            assert polls > 20

    within_patience(flooded())


def test_many_connections_that_ask_nothing_do_not_keep_the_plc_out(monkeypatch):
    monkeypatch.setattr(modbus_connections, "MOST_CONNECTIONS", 4)

    async def crowd():
        async with serving(ScriptedStation()) as server, Client(server) as plc:
            await plc.coil("TRIGGER_ENABLE", True)
            idle = [await connected(server.port) for _ in range(20)]
            async with Client(server) as late:
                assert (await late.inputs())["TRIGGER_READY"]
            assert await plc.coil("TRIGGER", True) == 0
            closed = 0
            for reader, writer in idle:
                try:
                    closed += await asyncio.wait_for(reader.read(1), 0.01) == b""
                except (TimeoutError, asyncio.TimeoutError):
                    pass
                except ConnectionError:
                    closed += 1
                writer.close()
            assert closed >= 16

    within_patience(crowd())


def test_two_writing_clients_do_not_mix_their_handshakes():
    async def two():
        station = ScriptedStation(answers=[Verdict.NG])
        async with serving(station) as server, Client(server) as first, Client(server) as second:
            await first.registers(0, [TRIGGER_ENABLE, 0, 0, 77])
            assert await second.registers(0, [TRIGGER_ENABLE | TRIGGER, 0, 0, 78]) == 6
            await first.registers(0, [TRIGGER_ENABLE | TRIGGER])
            assert (await second.inputs())["PART_ID"] == 77
            assert await second.coil("RESULTS_ACK", True) == 6
            assert (await first.inputs())["RESULTS_READY"]
            assert (triggers(station), acknowledged(station)) == ([Part(77)], 0)

    within_patience(two())


def test_connections_and_tasks_of_clients_that_came_and_went_are_gone():
    async def come_and_go():
        async with serving(ScriptedStation()) as server, Client(server) as plc:
            before, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
            for _ in range(50):
                _, writer = await connected(server.port)
                writer.write(READ_ALL + READ_ALL[:5])
                writer.close()
            end = time.monotonic() + PATIENCE_S
            while len(os.listdir("/proc/self/fd")) > before or len(asyncio.all_tasks()) > tasks:
                assert time.monotonic() < end
                await plc.inputs()

    within_patience(come_and_go())
