"""A process beside control that serves others on its behalf: it is told what happens, and asks for what it may.

Control writes what happens to a socket and answers requests from it; where the process ends, hangs or does not read, it
is started again, and that it is missing is a warning. Nothing of it can hold up a verdict.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from edgekd.errors import one_line
from edgekd.station.json_lines import LONGEST_LINE, Message, read_message, to_line
from edgekd.station.tasks import within

SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # Before it is started again.
STOP_S = 3.0  # For it to end.
STARTING_S, SILENT_S = 120.0, 10.0  # That it may say nothing until it serves, and then.
BETWEEN_REQUESTS_S = 0.005  # So that those whom it serves cannot keep control busy.
MOST_REQUESTS = 100  # Under way; beyond, it is not read.

Send: TypeAlias = Callable[[Message], Awaitable[None]]
_logger = logging.getLogger(__name__)


class Companion:
    """Keeps such a process running, from when it is run until it is cancelled.

    Args:
        name: In words, such as "the page".
        module: What is run, by `python -m`, with the number of its socket.
        settings: Its first message.
        tell: Given what sends a message, tells the process what happens until it is cancelled.
        answer: Answers a request; the number of the request is added.
        report: Told whether it serves.

    Attributes:
        listening: Whether it serves.
        port: Where.
        process_id: None while there is none.
    """

    def __init__(
        self,
        name: str,
        module: str,
        settings: Message,
        tell: Callable[[Send], Awaitable[None]],
        answer: Callable[[Message], Awaitable[Message]],
        report: Callable[[bool], None],
    ) -> None:
        self.name, self._module, self._settings = name, module, settings
        self._tell, self._answer, self._report = tell, answer, report
        self.listening = asyncio.Event()
        self.port = 0
        self.process_id: int | None = None

    async def run(self) -> None:
        """Serves until it is cancelled; starts the process again whenever it ends."""
        wait_s = SHORTEST_WAIT_S
        while True:
            problem = await self._serve()
            wait_s = SHORTEST_WAIT_S if self.listening.is_set() else min(2 * wait_s, LONGEST_WAIT_S)
            self.listening.clear()
            _logger.warning("%s; it is started again in %.1f s", problem, wait_s)
            self._report(False)
            await asyncio.sleep(wait_s)

    async def _serve(self) -> str:
        """Starts the process and talks to it until it ends; returns what happened."""
        ours, its = socket.socketpair()
        command = (sys.executable, "-m", self._module, str(its.fileno()))
        try:
            with its:
                process = await asyncio.create_subprocess_exec(
                    *command, pass_fds=(its.fileno(),), stdin=asyncio.subprocess.DEVNULL
                )
        except OSError as error:
            ours.close()
            return f"{self.name} cannot be started: {one_line(error)}"
        self.process_id = process.pid
        reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
        try:
            return await self._converse(reader, writer)
        finally:
            self.process_id = None
            writer.close()  # Which ends the process.
            await _ended(process)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        writing, requests = asyncio.Lock(), asyncio.Semaphore(MOST_REQUESTS)
        tasks: set[asyncio.Task[None]] = set()

        async def send(message: Message) -> None:
            async with writing:
                writer.write(to_line(message))
                await writer.drain()

        async def answer(message: Message) -> None:
            reply = await self._answer(message)
            await send({"reply": message["call"], **reply})

        def begin(work: Awaitable[None]) -> asyncio.Task[None]:
            task = asyncio.ensure_future(work)
            tasks.add(task)
            task.add_done_callback(ended)
            return task

        def ended(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, OSError):  # It has ended, which is noticed elsewhere.
                _logger.error("%s is started again", self.name, exc_info=error)
                writer.transport.abort()

        problem = f"{self.name} ended"
        try:
            await send(self._settings)
            while (message := await self._hear(reader)) is not None:
                if "call" in message:
                    await requests.acquire()
                    begin(answer(message)).add_done_callback(lambda _: requests.release())
                    await asyncio.sleep(BETWEEN_REQUESTS_S)
                elif "ready" in message:
                    begin(self._tell(send))
                elif "listening" in message:
                    self.port = message["listening"]
                    self.listening.set()
                    self._report(True)
                elif "failed" in message:
                    problem = f"{self.name} cannot start: {message['failed']}"
        except (OSError, asyncio.TimeoutError):
            problem = f"{self.name} does not answer"
        finally:
            running = tuple(tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return problem

    async def _hear(self, reader: asyncio.StreamReader) -> Message | None:
        """The next message; the process gives a sign of life every second once it serves."""
        return await within(SILENT_S if self.listening.is_set() else STARTING_S, read_message(reader))


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Waits for the process, and kills it where it does not end."""
    try:
        await within(STOP_S, process.wait())
    except (asyncio.TimeoutError, asyncio.CancelledError):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
