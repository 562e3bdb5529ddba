"""The process of the OPC UA server: `python -m edgekd.station.line.opcua_process FD`, started by control alone.

It talks to control by the socket FD and to clients by OPC UA, so that whatever clients do costs their own process time
and not that of a verdict. It ends when control does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.common.connection import TransportLimits

from edgekd import __version__
from edgekd.errors import EdgekdError, one_line
from edgekd.station.json_lines import LONGEST_LINE, Message, read_message, to_line
from edgekd.station.line.opcua_events import Emitter
from edgekd.station.line.opcua_instance import Instance
from edgekd.station.line.opcua_methods import link_methods
from edgekd.station.line.opcua_security import (
    CALLER,
    Certificates,
    ReadOnly,
    SecuredServer,
    StationServer,
    application_uri,
)
from edgekd.station.line.opcua_station import ServedStation
from edgekd.station.line.opcua_types import add_types
from edgekd.station.tasks import within

PATH = "/edgekd/station"
NICENESS = 5  # Verdicts first.
MOST_WAITING = 1000  # Messages of a station.
LARGEST_MESSAGE = 4 << 20
MOST_UNREAD_BYTES = 8 << 20  # That a client has not taken.
REPLY_S = 5.0


class Link:
    """The connection to control: requests go out and replies come in, each with a number."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer
        self._numbers, self._writing = itertools.count(1), asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[Message]] = {}

    async def ask(self, station: int, method: str, **arguments: Any) -> Message:
        """Asks control for something.

        Raises:
            TimeoutError: There is no reply.
        """
        number = next(self._numbers)
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        request = {"call": number, "station": station, "method": method, "arguments": arguments, "who": CALLER.get()}
        try:
            await self.send(request)
            return await within(REPLY_S, reply)
        except asyncio.TimeoutError:  # Of its own before Python 3.11.
            raise TimeoutError from None
        finally:
            del self._waiting[number]

    async def send(self, message: Message) -> None:
        """Writes a message."""
        async with self._writing:
            self._writer.write(to_line(message))
            await self._writer.drain()

    def replied(self, message: Message) -> None:
        """Takes a reply; whoever asked may have left."""
        waiting = self._waiting.get(message["reply"])
        if waiting is not None and not waiting.done():
            waiting.set_result(message)


async def make_server(settings: Message, link: Link) -> tuple[Server, list[ServedStation]]:
    """Makes the server and its address space.

    Args:
        settings: As control sends them.
        link: To control.

    Raises:
        EdgekdError: A certificate, key or NodeSet cannot be used.
    """
    folder = Path(settings["trusted"]) if settings["trusted"] else None
    server = SecuredServer(StationServer(Certificates(folder), settings["allow_unencrypted"]))
    server.limits = TransportLimits(max_chunk_count=LARGEST_MESSAGE // 65535 + 1, max_message_size=LARGEST_MESSAGE)
    await server.init()
    server.set_server_name("edgekd station")
    server.product_uri, server.manufacturer_name = "urn:edgekd:station", "edgekd"
    server.application_type = ua.ApplicationType.Server
    await _secure(server, settings)
    nodes = await add_types(server, Path(settings["nodeset"]) if settings["nodeset"] else None)
    stations = []
    for index, each in enumerate(settings["stations"]):
        instance = Instance(nodes, each["name"])
        emitter = Emitter(server, instance)
        await emitter.prepare()

        async def ask(method: str, index: int = index, **arguments: Any) -> Message:
            return await link.ask(index, method, **arguments)

        stations.append(ServedStation(instance, emitter, ask, each["trigger"] == "opcua"))
    link_methods(server, nodes, stations)
    return server, stations


async def _secure(server: Server, settings: Message) -> None:
    policies = []
    uri = f"urn:{socket.gethostname()}:edgekd:station"
    if settings["certificate"]:
        try:
            await server.load_certificate(settings["certificate"])
            await server.load_private_key(settings["private_key"])
        except Exception as error:  # Whatever the files hold.
            raise EdgekdError(f"cannot read certificate or key of the OPC UA server: {one_line(error)}") from error
        if server.iserver.certificate.public_key() != server.iserver.private_key.public_key():
            raise EdgekdError(f"{settings['private_key']}: is not the key of {settings['certificate']}")
        uri = application_uri(server.iserver.certificate) or uri
        policies.append(ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt)
    if settings["allow_unencrypted"]:
        policies.append(ua.SecurityPolicyType.NoSecurity)
    await server.set_application_uri(uri)
    server.set_security_policy(policies, permission_ruleset=ReadOnly())
    host = settings["host"]
    named = f"[{host}]" if ":" in host else host
    server.set_endpoint(f"opc.tcp://{named}:{settings['port']}{PATH}")
    server.socket_address = (host, settings["port"])
    started = datetime.now(timezone.utc)  # The package has no date of its own.
    await server.set_build_info("urn:edgekd:station", "edgekd", "edgekd station", __version__, "", started)


async def serve(link: Link, settings: Message) -> None:
    """Serves until control ends."""
    server, stations = await make_server(settings, link)
    queues: list[asyncio.Queue[Message]] = [asyncio.Queue(MOST_WAITING) for _ in stations]
    workers = [asyncio.create_task(_work(*each)) for each in zip(stations, queues, strict=True)]
    workers.append(asyncio.create_task(_every_second(server, link)))
    reading, shown = asyncio.create_task(_read(link, queues)), asyncio.create_task(_all_shown(stations))
    try:
        await link.send({"ready": True})  # Control now tells what there is; clients come after that.
        await asyncio.wait({shown, reading, *workers}, return_when=asyncio.FIRST_COMPLETED)
        if shown.done():
            await server.start()
            await link.send({"listening": server.bserver.port})
        done, _ = await asyncio.wait({reading, *workers}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (reading, shown, *workers):
            task.cancel()
        for transport in list(server.iserver.asyncio_transports):
            transport.close()  # Clients come again; the rest ends with the process.


async def _all_shown(stations: list[ServedStation]) -> None:
    for station in stations:
        await station.shown.wait()


async def _read(link: Link, queues: list[asyncio.Queue[Message]]) -> None:
    while (message := await read_message(link.reader)) is not None:
        if "reply" in message:
            link.replied(message)
            continue
        queue = queues[message["station"]]
        if queue.full():  # Replies must come through, so that nothing waits here.
            queue.get_nowait()
        queue.put_nowait(message)


async def _work(station: ServedStation, queue: asyncio.Queue[Message]) -> None:
    while True:
        message = await queue.get()
        with contextlib.suppress(TimeoutError):  # Control has more important things to do.
            await station.apply(message)


async def _every_second(server: Server, link: Link) -> None:
    """Gives control a sign of life, and drops clients that do not read."""
    while True:
        await asyncio.sleep(1)
        await link.send({"alive": True})
        for transport in list(server.iserver.asyncio_transports):
            if transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
                transport.abort()


async def run(descriptor: int) -> int:
    """Runs the process; the exit code is 0 where control ended it, 2 where its settings are wrong, 3 otherwise."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor), limit=LONGEST_LINE)
    link = Link(reader, writer)
    settings = await read_message(reader)
    if settings is None:
        return 0
    try:
        await serve(link, settings)
    except (EdgekdError, OSError) as error:
        with contextlib.suppress(OSError):
            await link.send({"failed": one_line(error)})
        return 3 if isinstance(error, OSError) else error.exit_code
    return 0


def main() -> None:
    """The entry of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Control ends it, after Ctrl-C too.
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # Else whoever connects fills the log.
    asyncio.run(_run_to_the_end(int(sys.argv[1])))


async def _run_to_the_end(descriptor: int) -> None:
    """Ends the process with its loop still turning: to take address space and subscriptions down takes seconds."""
    code = await run(descriptor)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
