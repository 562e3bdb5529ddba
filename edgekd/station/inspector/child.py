"""The inspector's process, as control sees it: started, spoken to, ended and reaped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
import time
from collections.abc import Callable, Sequence

from edgekd.errors import one_line
from edgekd.station.inspector.messages import (
    LENGTH,
    FromInspector,
    Message,
    MessageError,
    checked_length,
    decode_from_inspector,
    encode,
)

REAPING = 5.0  # Seconds for which a process that was killed is waited for; a driver may hold it for longer.
LOOKS = 0.005  # Seconds between two looks at that.

logger = logging.getLogger(__name__)


class Child:
    """A running process and the connection to it; made by `start_child`.

    Args:
        process: The process; not one of asyncio, whose `kill` and watcher race for its exit status.
        reader, writer: Our end of the socket pair.
        receive: Called with each message.

    Attributes:
        heard: `time.monotonic()` of the last message.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        receive: Callable[[FromInspector], None],
    ) -> None:
        self._process, self._reader, self._writer, self._receive = process, reader, writer, receive
        self._reason = ""
        self.heard = time.monotonic()
        self._ended = asyncio.get_running_loop().create_task(self._read_until_end(), name="inspector's messages")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether messages may be sent; it may still respond to none."""
        return not self._reason and not self._ended.done()

    def send(self, message: Message) -> None:
        """Sends a message; never waits, and does nothing where the process has ended."""
        if self.alive and not self._writer.is_closing():
            self._writer.write(encode(message))

    def kill(self, reason: str) -> None:
        """Ends the process at once, whatever it does; `ended` returns then.

        Args:
            reason: Why, in one line.
        """
        self._reason = self._reason or reason
        self._process.kill()
        self._writer.transport.abort()  # A process that is held by a driver must not hold us.

    async def ended(self) -> str:
        """Waits until the process has ended, and leaves nothing of it behind.

        Returns:
            Why, in one line.
        """
        return await asyncio.shield(self._ended)

    async def _read_until_end(self) -> str:
        try:
            while True:
                (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
                message = decode_from_inspector(await self._reader.readexactly(checked_length(length)))
                self.heard = time.monotonic()
                self._receive(message)
        except (asyncio.IncompleteReadError, OSError):
            pass  # The process has ended, or was killed.
        except MessageError as error:
            self._reason = f"it was killed since it sent {error}"
        except Exception as error:  # Of `receive`: a fault of ours, which must not leave a station without inspector.
            logger.exception("a message of the inspector could not be handled")
            self._reason = f"it was killed since a message of it failed: {type(error).__name__}: {one_line(error)}"
        return await self._reap()

    async def _reap(self) -> str:
        self._process.kill()  # It has closed its socket, so it is of no more use.
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        limit = time.monotonic() + REAPING
        while (status := self._process.poll()) is None:
            if time.monotonic() > limit:
                return f"{self._reason or 'it closed its connection'}; process {self.pid} is still held by the system"
            await asyncio.sleep(LOOKS)
        return self._reason or how_it_ended(status)


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    return f"it was ended by signal {-status}" if status < 0 else f"it ended with code {status}"


async def start_child(command: Sequence[str], first: Message, receive: Callable[[FromInspector], None]) -> Child:
    """Starts a process whose last argument is the number of its end of a socket pair.

    Args:
        command: Without that number.
        first: The message that it is sent first.
        receive: Called with each message from it, in the event loop.

    Raises:
        OSError: It cannot be started.
    """
    ours, its = socket.socketpair()
    with contextlib.ExitStack() as undo, its:
        undo.callback(ours.close)
        number = str(its.fileno())
        process = subprocess.Popen(
            [*command, number], pass_fds=(its.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        undo.callback(process.kill)
        reader, writer = await asyncio.open_connection(sock=ours)
        undo.pop_all()
    child = Child(process, reader, writer, receive)
    child.send(first)
    return child
