"""Nothing that clients do, and nothing that happens to the OPC UA server, concerns a verdict."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.station.counterparts import required_package

required_package("asyncua")

from asyncua import Client, ua  # noqa: E402

from edgekd.station.configuration import OpcUaConfiguration  # noqa: E402
from edgekd.station.line.opcua import OpcUaServer  # noqa: E402
from edgekd.station.parts import Part  # noqa: E402
from edgekd.station.states import State  # noqa: E402
from tests.station.line.opcua_scripted import RECIPES, ScriptedStation  # noqa: E402
from tests.station.line.opcua_served import (  # noqa: E402
    START_S,
    WAIT_S,
    Served,
    Station,
    cause,
    int32,
    structured,
    uint32,
)

pytestmark = pytest.mark.faults
PARTS = 40


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    made = Served(allow_unencrypted=True)
    yield made
    made.close()


def client_of(served: Served) -> Client:
    return Client(served.url, timeout=START_S, watchdog_intervall=START_S)


async def work_of(scripted: ScriptedStation) -> list[float]:
    """Inspects parts, and what each cost control's own thread, in seconds of processor time."""
    spent = []
    for number in range(PARTS):
        start = time.thread_time()
        scripted.trigger(Part(number), "modbus")
        await asyncio.sleep(0.001)
        scripted.expose()
        await asyncio.sleep(0.001)
        scripted.finish()
        await asyncio.sleep(0.001)
        scripted.go(State.READY, results_ready=False)
        await asyncio.sleep(0.02)
        spent.append(time.thread_time() - start)
    return sorted(spent)


def test_fifty_subscriptions_and_a_flood_of_requests_cost_control_nothing(served: Served) -> None:
    scripted = served.stations[1]

    async def run() -> None:
        scripted.load()
        alone = await work_of(scripted)
        command = [sys.executable, "-m", "tests.station.line.opcua_flood", served.url, "plc"]
        flood = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert flood.stdout is not None
            assert await asyncio.wait_for(flood.stdout.readline(), START_S) == b"subscribed\n"
            flooded = await work_of(scripted)
        finally:
            assert flood.stdin is not None
            flood.stdin.close()
            await flood.wait()
        middle = PARTS // 2
        assert flooded[middle] < 0.01
        assert flooded[middle] < 3 * alone[middle] + 0.002
        assert scripted.snapshot().counters.total == 2 * PARTS
        async with client_of(served) as client:
            station = Station(client, "plc")

            async def told() -> bool:
                total = await station.value("own:Inspection", "own:Counters", "own:Total")
                return bool(total == 2 * PARTS)

            await station.until(told)

    served.run(run())


def test_a_client_that_leaves_in_the_middle_of_a_call_leaves_the_others_alone(served: Served) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slowly() -> Any:
        asked.set()
        assert go_on.wait(WAIT_S)
        return RECIPES

    async def listed(station: Station) -> Any:
        filters = (
            structured("RecipeIdExternalDataType", Id=""),
            structured("ProductIdDataType", Id=""),
            int32(2),
            uint32(0),
            uint32(0),
            int32(0),
        )
        return await station.call("RecipeManagement", "GetRecipeListFiltered", arguments=filters)

    async def run() -> None:
        served.recipes = slowly
        leaving = client_of(served)
        await leaving.connect()
        await leaving.load_data_type_definitions()
        call = asyncio.create_task(listed(Station(leaving, "single")))
        await asyncio.to_thread(asked.wait, WAIT_S)
        async with client_of(served) as other:
            station = Station(other, "single")
            assert await station.call("VisionStateMachine", "Reset", arguments=cause()) == 0
            leaving.uaclient.protocol.transport.abort()
            with pytest.raises((ConnectionError, ua.UaError, asyncio.CancelledError, asyncio.TimeoutError)):
                await asyncio.wait_for(call, WAIT_S)
            go_on.set()
            served.recipes = lambda: RECIPES
            assert (await listed(station))[1] == len(RECIPES)

    served.run(run())


def test_a_server_that_is_killed_comes_back_on_its_port_with_what_it_showed(served: Served) -> None:
    scripted = served.stations[1]

    async def run() -> None:
        scripted.load()
        scripted.trigger(Part(77), "modbus")
        outcome = scripted.finish()
        port, process = served.server.port, served.server.process_id
        assert process is not None
        scripted.asked.clear()
        os.kill(process, signal.SIGKILL)
        while ("report_link", "opcua", False) not in scripted.asked:
            await asyncio.sleep(0.02)
        await served.listening()
        assert served.server.process_id != process
        assert served.server.port == port
        assert scripted.asked[-1] == ("report_link", "opcua", True)
        async with client_of(served) as client:
            await client.load_data_type_definitions()
            station = Station(client, "plc")
            assert await station.value("own:Inspection", "own:LastResult", "own:ResultId") == outcome.result_id
            assert await station.value("own:Inspection", "own:LastResult", "own:PartId") == 77
        scripted.go(State.READY, results_ready=False)

    served.run(run())


def test_a_server_that_hangs_is_replaced(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekd.station.line.opcua.SILENT_S", 2)
    monkeypatch.setattr("edgekd.station.line.opcua.STOP_S", 0.3)
    scripted = served.stations[1]

    async def run() -> None:
        scripted.load()
        process = served.server.process_id
        assert process is not None
        os.kill(process, signal.SIGSTOP)
        scripted.asked.clear()
        while ("report_link", "opcua", False) not in scripted.asked:
            scripted.trigger(Part(1), "modbus")
            scripted.finish()
            scripted.go(State.READY, results_ready=False)
            await asyncio.sleep(0.05)
        await served.listening()
        assert served.server.process_id != process
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)

    served.run(run())


def test_a_port_that_is_taken_is_a_warning_until_it_is_free(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        async def run() -> None:
            scripted = ScriptedStation()
            server = OpcUaServer(OpcUaConfiguration(port=port, allow_unencrypted=True), [scripted])
            task = asyncio.create_task(server.run())
            while ("report_link", "opcua", False) not in scripted.asked:
                await asyncio.sleep(0.02)
            assert "address already in use" in caplog.text
            taken.close()
            await asyncio.wait_for(server.listening.wait(), START_S)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(asyncio.wait_for(run(), 2 * START_S))


def test_the_server_ends_with_control() -> None:
    code = (
        "import asyncio, os\n"
        "from tests.station.line.opcua_served import Served\n"
        "served = Served(allow_unencrypted=True)\n"
        "print(served.server.process_id, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    process, deadline = int(ended.stdout), time.monotonic() + WAIT_S
    while _runs(process):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as status:
            return status.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
