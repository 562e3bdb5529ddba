"""A real MQTT broker for tests, and somebody who watches what arrives there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import aiomqtt

from edgekd.station.configuration import MqttConfiguration
from edgekd.station.line.mqtt import MqttPublisher

from ..counterparts import required_program

BASE = "edgekd/v1/plant/line1/press1"
FIRST_RETAINED = ("status", "state", "recipe", "counters")
SECONDS = 30.0


def run(coroutine: Coroutine[Any, Any, None], seconds: float = SECONDS) -> None:
    """Runs a test that must end in time."""
    asyncio.run(asyncio.wait_for(coroutine, seconds))


def free_port() -> int:
    """A port of the loopback interface that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def queued(folder: Path, count: int) -> None:
    """Waits until so many messages are in the only outbox below a folder."""
    found = 0
    while found < count:
        await asyncio.sleep(0.01)
        with contextlib.suppress(sqlite3.OperationalError, ValueError):  # It is being made.
            (path,) = (folder / "outbox").glob("*.sqlite")
            with contextlib.closing(sqlite3.connect(path)) as database:
                (found,) = database.execute("SELECT COUNT(*) FROM outbox").fetchone()


class Mosquitto:
    """A broker that can be stopped, started again and frozen; it forgets everything when it stops."""

    def __init__(self, folder: Path, lines: str = "allow_anonymous true") -> None:
        self._program = required_program("mosquitto")
        self.port = free_port()
        self._configuration = folder / f"mosquitto-{self.port}.conf"
        self._configuration.write_text(f"listener {self.port} 127.0.0.1\nuser root\n{lines}\n")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        raise AssertionError("mosquitto did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class Seen(NamedTuple):
    """A message as it arrived; its topic without the station's base."""

    topic: str
    payload: dict[str, Any] | None
    retained: bool


class Watcher:
    """Collects what arrives."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._arrived = asyncio.Event()

    def of(self, topic: str) -> list[dict[str, Any] | None]:
        return [message.payload for message in self.seen if message.topic == topic]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until what arrived fulfils a condition."""
        while not condition():
            self._arrived.clear()
            await self._arrived.wait()

    async def results(self, count: int) -> list[dict[str, Any]]:
        """Waits for so many results."""
        await self.until(lambda: len(self.of("result")) >= count)
        return [payload for payload in self.of("result") if payload]

    async def collect(self, client: aiomqtt.Client, base: str) -> None:
        async for message in client.messages:
            content = json.loads(bytes(message.payload)) if message.payload else None
            self.seen.append(Seen(str(message.topic).removeprefix(f"{base}/"), content, message.retain))
            self._arrived.set()


@contextlib.asynccontextmanager
async def watching(port: int, base: str = BASE, **login: Any) -> AsyncIterator[Watcher]:
    """Watches all topics of a station."""
    watcher = Watcher()
    async with aiomqtt.Client("127.0.0.1", port, **login) as client:
        await client.subscribe(f"{base}/#", qos=1)
        with background(watcher.collect(client, base)):
            yield watcher


@contextlib.contextmanager
def background(coroutine: Coroutine[Any, Any, None]) -> Any:
    """Runs something beside the test; cancelled at its end."""
    task = asyncio.ensure_future(coroutine)
    try:
        yield task
    finally:
        task.cancel()


@contextlib.asynccontextmanager
async def serving(adapter: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Runs an adapter, and ends it as a service does."""
    task = asyncio.ensure_future(adapter.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])  # Unlike `await task` it tells this cancellation from one of the test.
        if not task.cancelled():
            task.result()


def publisher_of(station: Any, port: int, folder: Path, **settings: Any) -> MqttPublisher:
    """The publisher of a station, without TLS unless asked for."""
    configuration = MqttConfiguration(**{"host": "127.0.0.1", "port": port, "tls": False, **settings})
    return MqttPublisher(station, configuration, "plant", "line1", folder)


async def born(watcher: Watcher) -> dict[str, Any]:
    """Waits for a whole birth, beside what is retained of an earlier one; returns the status."""
    await watcher.until(lambda: {each.topic for each in watcher.seen if not each.retained} >= {*FIRST_RETAINED})
    status = watcher.of("status")[-1]
    assert status is not None
    return status
