"""Brokers, OPC UA clients and disks that come and go beside a whole station (rows 30, 34, 35)."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time

import pytest

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.line.opcua import STOP_S
from edgekd.station.parts import Part
from edgekd.station.states import State

from ..counterparts import required_package, required_right
from ..line.mosquitto import Mosquitto, watching
from .laid_out import OPC_UA, PATIENCE_S, free_port, until
from .line import Line, on_line, wrong_in_record

pytest.importorskip("pymodbus")
pytestmark = pytest.mark.faults

BASE = "edgekd/v1/site/line/top"


def test_a_broker_that_is_killed_and_returns_gets_every_result_and_delays_no_verdict(laid_out, tmp_path):
    with Mosquitto(tmp_path) as broker:
        station = laid_out(mqtt={"host": "127.0.0.1", "port": broker.port, "tls": False})

        async def line():
            station.start()
            async with Line(station) as plc:
                await plc.start()
                async with watching(broker.port, BASE) as watcher:
                    for number in range(1, 4):
                        await plc.part(number)
                    await asyncio.wait_for(watcher.results(3), PATIENCE_S)
                    assert [each["part_id"] for each in watcher.of("result")] == [1, 2, 3]
                    broker.stop()
                with_broker = max(result.waited_ms for result in plc.results)
                for number in range(4, 14):
                    await plc.part(number, defective=number == 8)
                assert max(result.waited_ms for result in plc.results[3:]) < with_broker + 1000
                await plc.until("warns", lambda inputs: inputs.on("WARNING"))
                broker.start()
                async with watching(broker.port, BASE) as watcher:
                    await asyncio.wait_for(watcher.until(lambda: 13 in parts_of(watcher)), PATIENCE_S)
                    arrived = [each for each in watcher.of("result") if each["part_id"] > 3]
                    assert [each["part_id"] for each in arrived] == list(range(4, 14))
                    assert {each["delayed"] for each in arrived} == {True}
                    assert [each["verdict"] for each in arrived] == ["NG" if n == 8 else "OK" for n in range(4, 14)]
                await plc.until("warns no more", lambda inputs: not inputs.on("WARNING"))
                assert (plc.violations, plc.wrong) == ({}, {})
                assert wrong_in_record(station, plc.results) == {}

        on_line(line())


def parts_of(watcher):
    return {each["part_id"] for each in watcher.of("result") if each}


def test_an_opc_ua_client_that_reads_meanwhile_sees_the_same_results_and_may_leave(laid_out):
    required_package("asyncua")
    from ..line.opcua_served import Station as Seen

    port = free_port()
    station = laid_out(opcua={"port": port, "allow_unencrypted": True})

    async def line():
        from asyncua import Client

        station.start()
        async with Line(station) as plc:
            await plc.start()
            client = await connected(Client, f"opc.tcp://127.0.0.1:{port}/edgekd/station")
            seen = Seen(client, "top")
            await seen.listen()
            for number in range(1, 6):
                await plc.part(number, defective=number == 3)
            ready = [await asyncio.wait_for(seen.event("ResultReady", count), PATIENCE_S) for count in range(1, 6)]
            assert [event.ResultContent[0].Value for event in ready] == ["OK", "OK", "NG", "OK", "OK"]
            client.uaclient.protocol.transport.abort()  # Without a word.
            for number in range(6, 9):
                assert (await plc.part(number)).verdict is Verdict.OK
            with contextlib.suppress(Exception):
                await client.disconnect()
            assert (plc.violations, plc.wrong) == ({}, {})
            assert wrong_in_record(station, plc.results) == {}

    on_line(line())
    server = station.child(OPC_UA)
    station.ask_to_end()
    asked = time.monotonic()
    station.wait()
    assert server is not None
    assert time.monotonic() - asked < STOP_S  # The server ends by itself and need not be killed.


async def connected(client_class, url):
    """A client of a server that is still starting."""
    while True:
        client = client_class(url)
        try:
            await client.connect()
        except (OSError, asyncio.TimeoutError):
            await asyncio.sleep(0.2)
        else:
            return client


@pytest.fixture
def disk(tmp_path):
    """A disk of its own of 32 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount") or "false"
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(place)], capture_output=True, check=False
    )
    required_right(done.returncode == 0, "the right to mount a disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_an_error_and_no_trigger_is_taken_until_there_is_room(laid_out, disk):
    station = laid_out(data=disk / "data")

    async def line():
        station.start()
        async with Line(station) as plc:
            await plc.start()
            assert (await plc.part(1)).verdict is Verdict.OK
            fill(disk)
            number = 1
            verdict = Verdict.OK
            while verdict is Verdict.OK and await may_trigger(plc):  # Its files have room until they must grow.
                number += 1
                assert number < 3000
                result = await plc.part(number)
                verdict = result.verdict
                assert result.error in (ErrorCode.NONE, ErrorCode.ROW_NOT_WRITTEN, ErrorCode.TRIGGER_NOT_READY)
            number += 1
            await plc.write(on=("TRIGGER",), part=Part(number))
            shown = await plc.read()
            assert (shown.on("TRIGGER_READY"), shown.on("TRIGGER_ACK"), shown.on("WARNING")) == (False, False, True)
            assert shown.number("STATE") == State.READY
            await plc.write(off=("TRIGGER",))
            (disk / "filler").unlink()
            await plc.until("is ready", lambda inputs: inputs.on("TRIGGER_READY"))
            for more in range(1, 4):
                assert (await plc.part(number + more)).verdict is Verdict.OK
            await plc.until("warns no more", lambda inputs: not inputs.on("WARNING"))
            assert (plc.violations, plc.wrong) == ({}, {})
            until(lambda: wrong_in_record(station, plc.results) == {}, 10)

    on_line(line())


async def may_trigger(plc):
    """Whether a trigger would be taken: where a row of before cannot be written it never will."""
    inputs = await plc.until("is ready or warns", lambda inputs: inputs.on("TRIGGER_READY") or inputs.on("WARNING"))
    return inputs.on("TRIGGER_READY")


def fill(disk):
    """Leaves no room on a disk."""
    with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
