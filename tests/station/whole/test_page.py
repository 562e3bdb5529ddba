"""A whole station with its page: whatever becomes of the page or of a browser, parts get their answers as before."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time

import pytest

from edgekd.result import Verdict
from edgekd.station.tasks import within

from .laid_out import PATIENCE_S, alive, free_port, running
from .line import Line, on_line, wrong_in_record

pytest.importorskip("fastapi")
from websockets.asyncio.client import connect

PAGE = "edgekd.station.page.process"
LATE_MS = 2000  # The deadline of the recipes is shorter; this is a machine that does other things too.


async def browser(port):
    """Opens a websocket, as soon as the page is served."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await connect(f"ws://127.0.0.1:{port}/ws", ping_interval=None, max_size=None)
        except OSError:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)


async def parts(line, first, count):
    """Parts that must get their answers as ever."""
    for number in range(first, first + count):
        defective = number % 3 == 0
        result = await line.part(number, defective)
        assert result.verdict is (Verdict.NG if defective else Verdict.OK), result
        assert result.waited_ms < LATE_MS


def test_a_browser_sees_each_part_with_its_verdict_and_its_image(laid_out):
    port = free_port()

    async def look(line):
        await line.start()
        async with await browser(port) as socket_:
            await parts(line, 1, 6)
            seen = {}
            async for content in socket_:
                message = json.loads(content)
                event = message.get("event")
                if event and event["name"] == "stored":
                    seen[event["result"]["part_id"]] = event["result"]
                if {3, 6} <= set(seen) and all(seen[part]["images"]["heat_map"] for part in (3, 6)):
                    break
            assert seen[3]["verdict"] == "NG"
            assert seen[3]["image_height"] > 0

    with running(laid_out(page={"port": port})) as station:
        on_line(_with_line(station, look))
        assert wrong_in_record(station, []) == {}


@pytest.mark.faults
@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL])
def test_a_page_that_hangs_or_dies_delays_no_verdict(laid_out, fault):
    port = free_port()

    async def look(line):
        await line.start()
        async with await browser(port) as socket_:
            await socket_.recv()
            await parts(line, 1, 5)
            before = line.station.child(PAGE)
            os.kill(before, fault)
            await parts(line, 6, 40)
        end = time.monotonic() + PATIENCE_S
        while line.station.child(PAGE) in (None, before):
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        async with await browser(port) as socket_:
            shown = json.loads(await socket_.recv())
            assert shown["stations"][0]["counters"]["total"] == 45
            assert [each["part_id"] for each in shown["recent"]["top"]] == [*range(45, 25, -1)]
        await parts(line, 46, 3)
        assert wrong_in_record(line.station, line.results) == {}

    with running(laid_out(page={"port": port})) as station:
        on_line(_with_line(station, look))


@pytest.mark.faults
def test_browsers_that_read_nothing_are_let_go_and_cost_no_memory(laid_out):
    port = free_port()

    async def look(line):
        await line.start()
        await (await browser(port)).close()
        with contextlib.ExitStack() as silent:
            for _ in range(5):
                silent.enter_context(half_open(port))
            await parts(line, 1, 10)
            page = line.station.child(PAGE)
            before = memory(page)
            await parts(line, 11, 150)
            assert memory(page) < before + 20_000
            assert line.station.child(PAGE) == page
        async with await browser(port) as socket_:
            shown = json.loads(await socket_.recv())["stations"][0]
            while shown["counters"]["total"] < 160:  # The last events are gathered for a moment.
                shown = json.loads(await within(30, socket_.recv())).get("view") or shown
            assert shown["counters"]["total"] == 160

    with running(laid_out(page={"port": port})) as station:
        on_line(_with_line(station, look))


@pytest.mark.faults
def test_the_page_ends_with_its_station(laid_out):
    port = free_port()

    async def look(line):
        await line.start()
        await (await browser(port)).close()

    with running(laid_out(page={"port": port})) as station:
        on_line(_with_line(station, look))
        page = station.child(PAGE)
        os.kill(page, signal.SIGSTOP)  # Even so.
        station.kill()
        assert not alive(page)


@contextlib.contextmanager
def half_open(port):
    """A browser that asks for a websocket, and then takes nothing."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lines = (
            "GET /ws HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        )
        connection.sendall("\r\n".join((*lines, "", "")).encode())
        yield


def memory(pid):
    """Kilobytes in use."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


async def _with_line(station, work):
    async with Line(station) as line:
        line.station = station
        await work(line)
