"""The process of the page: `python -m edgekd.station.page.process FD`, started by control alone.

It talks to control by the socket FD and to browsers by HTTP, so that whatever they do costs its own process time and
not that of a verdict. It ends when control does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from edgekd.errors import EdgekdError, one_line
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.configuration import PageConfiguration
from edgekd.station.inspector.channel import die_with_parent
from edgekd.station.json_lines import LONGEST_LINE, Message, read_message
from edgekd.station.page.app import create_app
from edgekd.station.page.context import Page
from edgekd.station.page.control import Control
from edgekd.station.page.lots import LotCounter
from edgekd.station.page.sessions import Sessions
from edgekd.station.page.teaching.projects import Projects
from edgekd.station.page.tls import keep_current, server_context
from edgekd.station.page.users import FILE, Users
from edgekd.station.page.watching import watch
from edgekd.station.record.reading import RecordReader
from edgekd.station.record.unreadable import UnreadableRecord
from edgekd.station.tasks import together
from edgekd.typed import with_tuples

NICENESS = 10  # Verdicts first.
BACKLOG = 128  # Connections that wait to be accepted,
MOST_CONNECTIONS = 200  # and those that are open.
ENDING_S = 1.0  # For answers under way.


class Server(uvicorn.Server):
    """uvicorn, which leaves signals alone: control ends this process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


def make_page(settings: Message, control: Control, record: RecordReader) -> Page:
    """Makes what the routes work with.

    Args:
        settings: As control sends them.
        control: The connection to it.
        record: The record.

    Raises:
        EdgekdError: A file of the page's own cannot be used.
    """
    configuration = PageConfiguration.model_validate(with_tuples(settings["page"]), strict=False)
    data = Path(settings["data"])
    users = Users(data / FILE)
    return Page(
        configuration=configuration,
        data=data,
        recipes=Path(settings["recipes"]),
        live=Path(settings["live"]),
        cameras={each["name"]: tuple(each["cameras"]) for each in settings["stations"]},
        link=control,
        record=record,
        users=users,
        sessions=Sessions(users, 60 * configuration.idle_minutes),
        projects=Projects(data, Path(settings["recipes"])),
    )


def open_record(data: Path) -> RecordReader:
    """The record; of one that is damaged, which the station reports, nothing can be read.

    Args:
        data: Its folder.
    """
    path = data / VERDICTS_FILE
    try:
        return RecordReader(path)
    except EdgekdError as error:
        return UnreadableRecord(path, str(error))


async def serve(control: Control, page: Page) -> None:
    """Serves until control ends.

    Args:
        control: The connection to it.
        page: What is served.

    Raises:
        OSError: The address cannot be listened on.
        EdgekdError: The certificate cannot be used.
    """
    configuration = page.configuration
    listening = await _listen(configuration.host, configuration.port)
    server = Server(_uvicorn(create_app(page)))
    server.config.load()
    certificate, key = configuration.certificate, configuration.private_key
    if certificate is not None and key is not None:
        server.config.ssl = server_context(certificate, key)
    reading = asyncio.create_task(control.read())
    await control.send({"ready": True})  # Control now tells what there is; browsers come after that.
    shown = asyncio.create_task(control.shown.wait())
    await asyncio.wait({reading, shown}, return_when=asyncio.FIRST_COMPLETED)
    shown.cancel()
    if reading.done():
        return
    serving = asyncio.create_task(server.serve([listening]))
    await control.send({"listening": listening.getsockname()[1]})
    beside = [_every_second(control), watch(control), _tell_of_jobs(page)]
    if server.config.ssl is not None and certificate is not None and key is not None:
        beside.append(keep_current(server.config.ssl, certificate, key))
    try:
        await together(_ended(reading), _ended(serving), *beside)
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait({serving}, timeout=ENDING_S)


async def _ended(task: asyncio.Task[None]) -> None:
    await task


async def _tell_of_jobs(page: Page) -> None:
    """Tells whoever follows how teaching goes."""
    async for job in page.projects.changes():
        page.link.tell(job["station"], {"name": "job", "job": job})


async def _every_second(control: Control) -> None:
    """Gives control a sign of life."""
    while True:
        await control.send({"alive": True})
        await asyncio.sleep(1)


async def _listen(host: str, port: int) -> socket.socket:
    """Listens, on the first address of a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = found[0]
    return socket.create_server((str(address[0]), int(address[1])), family=family, backlog=BACKLOG)


def _uvicorn(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=4096,  # Browsers have nothing to say there.
        ws_max_queue=4,
        ws_ping_interval=5.0,
        ws_ping_timeout=10.0,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )


async def run(descriptor: int) -> int:
    """Runs the process; the exit code is 0 where control ended it, 2 where its settings are wrong, 3 otherwise."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor), limit=LONGEST_LINE)
    settings = await read_message(reader)
    if settings is None:
        return 0
    record = open_record(Path(settings["data"]))
    names = [each["name"] for each in settings["stations"]]
    lots = LotCounter(record.read)
    control = Control(reader, writer, names, lambda count, station: record.last(count, station=station), lots)
    try:
        page = make_page(settings, control, record)
        await asyncio.to_thread(page.projects.resume)  # What was taught when the station ended goes on.
        await serve(control, page)
    except (EdgekdError, OSError) as error:
        with contextlib.suppress(OSError):
            await control.send({"failed": one_line(error)})
        return 3 if isinstance(error, OSError) else error.exit_code
    return 0


def main() -> None:
    """The entry of the process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # They go to the whole group: control finishes the part, then ends us.
    die_with_parent()
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    logging.basicConfig(level=logging.WARNING, format="page: %(levelname)s: %(message)s")
    asyncio.run(_run_to_the_end(int(sys.argv[1])))


async def _run_to_the_end(descriptor: int) -> None:
    """Ends the process with its loop still turning: threads that read an image are not waited for."""
    code = await run(descriptor)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
