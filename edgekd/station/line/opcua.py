"""The OPC UA server of a station, as control sees it: a process of its own that is told, and that asks.

Control imports no OPC UA library. It writes what happens to a socket and answers requests from it one after the other;
where the server ends or does not read, it is started again, and that it is missing is a warning.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import socket
import sys
from collections.abc import Callable, Mapping, Sequence

from edgekd.errors import EdgekdError, missing_package, one_line
from edgekd.station.configuration import OpcUaConfiguration
from edgekd.station.events import Lost, Published, Subscription
from edgekd.station.json_lines import LONGEST_LINE, Message, read_message, to_line
from edgekd.station.line.opcua_messages import event_of, recipe_of, view_of
from edgekd.station.line.opcua_requests import LINK, REQUESTS
from edgekd.station.ports import StationPort
from edgekd.station.snapshot import Loaded
from edgekd.station.tasks import within

SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # Before it is started again.
STOP_S = 5.0
SILENT_S = 30.0  # That the process may say nothing.
BETWEEN_REQUESTS_S = 0.005  # So that clients cannot keep control busy.
_logger = logging.getLogger(__name__)


class OpcUaServer:
    """Serves OPC UA for all stations of a configuration.

    Args:
        configuration: Of the server.
        stations: What is served.
        triggers: Who triggers each station, by its name; "opcua" lets clients start jobs.
        recipes: Reads the released recipes; called in a thread.

    Raises:
        MachineError: asyncua is not installed.
        EdgekdError: The configuration allows nobody to connect, or names a file that is not there.
    """

    def __init__(
        self,
        configuration: OpcUaConfiguration,
        stations: Sequence[StationPort],
        triggers: Mapping[str, str] | None = None,
        recipes: Callable[[], Sequence[Loaded]] = tuple,
    ) -> None:
        if importlib.util.find_spec("asyncua") is None:
            raise missing_package("asyncua", "the OPC UA server")
        _check(configuration)
        self._configuration, self._stations = configuration, tuple(stations)
        self._triggers, self._recipes = dict(triggers or {}), recipes
        self.listening = asyncio.Event()
        self.port = 0
        self.process_id: int | None = None

    async def run(self) -> None:
        """Serves until it is cancelled; starts the server again whenever it ends."""
        for station in self._stations:
            if self._triggers.get(station.name) == "opcua":
                station.enable_triggers(True, "opcua")
        wait_s = SHORTEST_WAIT_S
        while True:
            problem = await self._serve()
            wait_s = SHORTEST_WAIT_S if self.listening.is_set() else min(2 * wait_s, LONGEST_WAIT_S)
            self.listening.clear()
            _logger.warning("%s; it is started again in %.1f s", problem, wait_s)
            self._report(False)
            await asyncio.sleep(wait_s)

    def _report(self, up: bool) -> None:
        for station in self._stations:
            station.report_link(LINK, up)

    async def _serve(self) -> str:
        """Starts the process and talks to it until it ends; returns what happened."""
        ours, theirs = socket.socketpair()
        command = (sys.executable, "-m", "edgekd.station.line.opcua_process", str(theirs.fileno()))
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *command, pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL
                )
        except OSError as error:
            ours.close()
            return f"the OPC UA server cannot be started: {one_line(error)}"
        self.process_id = process.pid
        reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
        try:
            return await _Conversation(self, reader, writer).run()
        finally:
            self.process_id = None
            writer.close()  # Which ends the process.
            await _ended(process)

    # What the conversation needs of its server.

    def settings(self) -> Message:
        """What the process must know before anything else."""
        configuration = self._configuration.model_dump(mode="json")
        stations = [
            {"name": station.name, "trigger": self._triggers.get(station.name, "")} for station in self._stations
        ]
        return {**configuration, "stations": stations}

    @property
    def stations(self) -> tuple[StationPort, ...]:
        """What is served."""
        return self._stations

    def came_up(self, port: int) -> None:
        """Clients can connect now."""
        self.port = port
        self.listening.set()
        self._report(True)

    async def answer(self, message: Message) -> Message:
        """Answers a request."""
        station = self._stations[message["station"]]
        if message["method"] == "recipes":
            try:
                recipes = await asyncio.to_thread(self._recipes)
            except EdgekdError as error:
                _logger.warning("OPC UA: %s", error)
                recipes = ()
            return {"reply": message["call"], "code": 0, "recipes": [recipe_of(recipe) for recipe in recipes]}
        reply = REQUESTS[message["method"]](station, message["arguments"], message["who"])
        return {"reply": message["call"], "code": int(reply.code), "acquisition_id": reply.acquisition_id}


class _Conversation:
    """What is said between control and one process, from its start to its end."""

    def __init__(self, server: OpcUaServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> str:
        """Talks until one of them ends; returns what happened."""
        problem = "the OPC UA server ended"
        try:
            await self._send(self._server.settings())
            while (message := await self._hear()) is not None:
                if "call" in message:
                    self._keep(asyncio.create_task(self._answer(message)))
                    await asyncio.sleep(BETWEEN_REQUESTS_S)
                elif "ready" in message:
                    for index, station in enumerate(self._server.stations):
                        self._keep(asyncio.create_task(self._tell(index, station)))
                elif "listening" in message:
                    self._server.came_up(message["listening"])
                elif "failed" in message:
                    problem = f"the OPC UA server cannot start: {message['failed']}"
        except (OSError, asyncio.TimeoutError):
            problem = "the OPC UA server does not answer"
        finally:
            running = tuple(self._tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return problem

    async def _hear(self) -> Message | None:
        """The next message; once clients can connect, the process has a sign of life to give every second."""
        silent_s = SILENT_S if self._server.listening.is_set() else None
        return await within(silent_s, read_message(self._reader))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("the OPC UA server is started again", exc_info=task.exception())
            self._writer.transport.abort()

    async def _answer(self, message: Message) -> None:
        reply = await self._server.answer(message)
        with contextlib.suppress(OSError):  # It has ended, which is noticed elsewhere.
            await self._send(reply)

    async def _tell(self, index: int, station: StationPort) -> None:
        """Tells the process what happens at a station, beginning with what it shows now."""
        events = station.events.subscribe()
        try:
            with contextlib.suppress(OSError):
                await self._tell_all(index, station, events)
        finally:
            events.close()

    async def _tell_all(self, index: int, station: StationPort, events: Subscription) -> None:
        snapshot = station.snapshot()
        shown = view_of(snapshot)
        last = event_of(Published(snapshot.outcome), snapshot) if snapshot.outcome else None
        await self._send({"station": index, "view": shown, "event": last})
        async for event in events:
            snapshot = station.snapshot()
            told: Message | None = {"name": "state", "state": int(snapshot.state), "cause": ""}
            if not isinstance(event, Lost):
                told = event_of(event, snapshot)
            message: Message = {"station": index, "event": told}
            view = view_of(snapshot)
            if view != shown:
                message["view"] = shown = view
            if told or "view" in message:
                await self._send(message)

    async def _send(self, message: Message) -> None:
        async with self._writing:
            self._writer.write(to_line(message))
            await self._writer.drain()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Waits for the process, and kills it where it does not end."""
    try:
        await within(STOP_S, process.wait())
    except (asyncio.TimeoutError, asyncio.CancelledError):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _check(configuration: OpcUaConfiguration) -> None:
    """Holds the configuration against what is there; the process reads the files themselves."""
    named = {
        "certificate": configuration.certificate,
        "private_key": configuration.private_key,
        "trusted": configuration.trusted,
    }
    missing = [name for name, path in named.items() if path is None]
    if missing and (len(missing) < len(named) or not configuration.allow_unencrypted):
        raise EdgekdError(
            f"opcua: {', '.join(missing)} missing: the server needs a certificate, its private_key and a folder of "
            "trusted clients; or allow_unencrypted = true for none of them"
        )
    for name, path in {**named, "nodeset": configuration.nodeset}.items():
        if path is not None and not (path.is_dir() if name == "trusted" else path.is_file()):
            raise EdgekdError(f"opcua.{name}: there is no {'folder' if name == 'trusted' else 'file'} {path}")
