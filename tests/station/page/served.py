"""The page's real process beside a station whose inspector and record the test decides, and browsers that follow."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from edgekd.station.configuration import CameraConfiguration, OneStation, PageConfiguration, StationConfiguration
from edgekd.station.page.server import PageServer

from ..core.fakes import JOB, Bench, bench, inspected
from ..record.recording import opened

START_S, WAIT_S = 120, 30  # Of a machine that does other things too.


class Browser:
    """Somebody who follows what happens."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.seen: list[dict[str, Any]] = []

    async def next(self) -> dict[str, Any]:
        """The next message."""
        self.seen.append(json.loads(await asyncio.wait_for(self._socket.recv(), WAIT_S)))
        return self.seen[-1]

    async def event(self, name: str) -> dict[str, Any]:
        """The next change with an event of this name."""
        while True:
            message = await self.next()
            if message["kind"] == "change" and message["event"] and message["event"]["name"] == name:
                return message

    async def view(self, **wanted: Any) -> dict[str, Any]:
        """The next view whose fields have these values."""
        while True:
            view = (await self.next()).get("view")
            if view and all(view[name] == value for name, value in wanted.items()):
                return view


class ServedPage:
    """A page that is served, and the station that it shows.

    Args:
        folder: For data and recipes.
        port: Of the page; 0 for any.
        options: Of the page, such as its certificate.
    """

    def __init__(self, folder: Path, port: int = 0, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self._stack = contextlib.AsyncExitStack()
        self.bench: Bench = self.run(self._stack.enter_async_context(bench(answer=inspected())))
        opened(folder / "data").close()
        (folder / "recipes").mkdir(exist_ok=True)
        self.configuration = StationConfiguration(
            data=folder / "data",
            recipes=folder / "recipes",
            stations=(OneStation(name="press", cameras=("top",), job=JOB),),
            cameras={"top": CameraConfiguration(kind="folder", source="nowhere")},
            page=PageConfiguration(port=port, **options),
        )
        self.server = PageServer(self.configuration, (self.bench.station,))
        self._task = self.loop.create_task(self.server.run())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.companion.port}"

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs a test's own coroutine beside the server."""
        return self.loop.run_until_complete(asyncio.wait_for(work, START_S))

    async def listening(self) -> None:
        """Waits until browsers can connect."""
        await self.server.companion.listening.wait()

    def browser(self) -> connect:
        """Opens a websocket: `async with page.browser() as socket`."""
        return connect(f"ws://{self.address}/ws", open_timeout=WAIT_S, ping_interval=None)

    async def get(self, path: str) -> httpx.Response:
        """Asks the page for something."""
        async with httpx.AsyncClient(base_url=f"http://{self.address}", timeout=WAIT_S) as client:
            return await client.get(path)

    def close(self) -> None:
        """Ends everything."""
        self._task.cancel()
        self.run(self._gathered())
        self.loop.close()

    async def _gathered(self) -> None:
        await asyncio.gather(self._task, return_exceptions=True)
        await self._stack.aclose()
