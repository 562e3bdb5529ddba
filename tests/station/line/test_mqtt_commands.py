"""Commands by MQTT: off unless allowed, answered with their correlation id."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from edgekd.station.error_codes import ErrorCode
from edgekd.station.line.mqtt_commands import execute
from edgekd.station.ports import Reply

from ..counterparts import required_program
from .mosquitto import BASE, FIRST_RETAINED, Mosquitto, Watcher, born, publisher_of, run, serving, watching
from .mqtt_scripted import ScriptedStation

LOGIN = {"username": "press1", "password": "secret"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mosquitto, Path]]:
    folder = tmp_path_factory.mktemp("broker")
    tool = required_program("mosquitto_passwd", "mosquitto")
    subprocess.run([tool, "-b", "-c", str(folder / "users"), *LOGIN.values()], check=True, capture_output=True)
    (folder / "password").write_text("secret\n")
    (folder / "password").chmod(0o600)
    with Mosquitto(folder, f"allow_anonymous false\npassword_file {folder}/users") as running:
        yield running, folder / "password"


@contextlib.asynccontextmanager
async def commanding(
    place: tuple[Mosquitto, Path], tmp_path: Path, *commands: str
) -> AsyncIterator[tuple[ScriptedStation, Watcher, aiomqtt.Client]]:
    """A station that takes commands, somebody who watches and somebody who sends them."""
    broker, password = place
    station = ScriptedStation()
    settings: dict[str, Any] = {"username": "press1", "password_file": password, "commands": commands}
    publisher = publisher_of(station, broker.port, tmp_path, **settings)
    async with watching(broker.port, **LOGIN) as watcher, serving(publisher):
        await born(watcher)
        async with aiomqtt.Client("127.0.0.1", broker.port, **LOGIN) as client:
            yield station, watcher, client


async def ask(client: aiomqtt.Client, watcher: Watcher, name: str, payload: object) -> dict[str, Any]:
    """Sends a command and waits for its reply."""
    count = len(watcher.of(f"cmd/{name}/reply"))
    content = payload if isinstance(payload, bytes) else json.dumps(payload)
    await client.publish(f"{BASE}/cmd/{name}", content, qos=1)
    await watcher.until(lambda: len(watcher.of(f"cmd/{name}/reply")) > count)
    return watcher.of(f"cmd/{name}/reply")[-1] or {}


def test_a_job_and_a_self_test_are_asked_for_and_answered(place: tuple[Mosquitto, Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with commanding(place, tmp_path, "job", "selftest") as (station, watcher, client):
            reply = await ask(client, watcher, "job", {"correlation_id": "a1", "job": 8, "who": "ann"})
            assert reply == {"correlation_id": "a1", "accepted": True, "code": 0, "text": ""}
            station.answer = Reply(ErrorCode.JOB_UNKNOWN, "There is no released recipe for job 9.")
            reply = await ask(client, watcher, "job", {"correlation_id": "a2", "job": 9})
            assert reply == {
                "correlation_id": "a2",
                "accepted": False,
                "code": 501,
                "text": "There is no released recipe for job 9.",
            }
            station.answer = Reply()
            assert (await ask(client, watcher, "selftest", b""))["accepted"] is True
            assert station.asked == [("job", 8, "mqtt", "ann"), ("job", 9, "mqtt", ""), ("selftest", "mqtt", "")]

    run(scenario())


def test_a_rebirth_publishes_all_that_is_retained_again(place: tuple[Mosquitto, Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with commanding(place, tmp_path, "rebirth") as (_, watcher, client):
            births = {topic: len(watcher.of(topic)) for topic in FIRST_RETAINED}
            birth = (watcher.of("status")[-1] or {})["birth"]
            await ask(client, watcher, "rebirth", {"correlation_id": "r"})
            await watcher.until(lambda: all(len(watcher.of(topic)) > births[topic] for topic in FIRST_RETAINED))
            again = watcher.of("status")[-1] or {}
            assert (again["birth"], again["seq"], again["online"]) == (birth, 0, True)

    run(scenario())


def test_a_command_that_is_not_allowed_is_not_heard(place: tuple[Mosquitto, Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with commanding(place, tmp_path, "rebirth") as (station, watcher, client):
            await client.publish(f"{BASE}/cmd/job", json.dumps({"job": 8}), qos=1)
            await client.publish(f"{BASE}/cmd/online", b"{}", qos=1)
            await ask(client, watcher, "rebirth", {})  # Whatever was sent before it has been dealt with.
            assert station.asked == []
            assert not watcher.of("cmd/job/reply")

    run(scenario())


def test_a_retained_command_is_not_obeyed_at_each_connection(
    place: tuple[Mosquitto, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        broker, _ = place
        async with aiomqtt.Client("127.0.0.1", broker.port, **LOGIN) as client:
            await client.publish(f"{BASE}/cmd/job", json.dumps({"job": 8}), qos=1, retain=True)
            async with commanding(place, tmp_path, "job", "selftest") as (station, watcher, other):
                await ask(other, watcher, "selftest", {})
                assert station.asked == [("selftest", "mqtt", "")]
            await client.publish(f"{BASE}/cmd/job", b"", qos=1, retain=True)

    run(scenario())
    assert "a retained MQTT command job is ignored" in caplog.text


def test_commands_in_hundreds_do_not_hold_up_results(place: tuple[Mosquitto, Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with commanding(place, tmp_path, "selftest") as (station, watcher, client):
            client.pending_calls_threshold = 10_000
            sent = [client.publish(f"{BASE}/cmd/selftest", b"{}", qos=1) for _ in range(500)]
            flood = asyncio.gather(*sent, return_exceptions=True)
            station.publish(1)
            await asyncio.wait_for(watcher.results(1), 5)
            await flood
            # What did not fit into the queue has no answer; once it is empty, the next command has.
            while "after" not in [(reply or {})["correlation_id"] for reply in watcher.of("cmd/selftest/reply")]:
                await client.publish(f"{BASE}/cmd/selftest", b'{"correlation_id": "after"}', qos=1)
                await asyncio.sleep(0.1)

    run(scenario())


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"\xff\xfe", "a command is a JSON object"),
        (b"[" * 4000, "a command is a JSON object"),
        (b"[1]", "a command is a JSON object"),
        (b"{" + b" " * 5000 + b"}", "a command has at most 4096 bytes"),
        (b'{"job": true}', "'job' must be an integer from 1 to 999"),
        (b'{"job": 1.0}', "'job' must be an integer from 1 to 999"),
        (b'{"job": 1000}', "'job' must be an integer from 1 to 999"),
        (b"{}", "'job' must be an integer from 1 to 999"),
        (b'{"job": 1, "who": "a\\nb"}', "'who' must be printable text of at most 128 characters"),
        (b'{"job": 1, "correlation_id": 5}', "'correlation_id' must be printable text of at most 128 characters"),
    ],
)
def test_what_is_no_command_is_answered_and_does_nothing(payload: bytes, text: str) -> None:
    station: Any = ScriptedStation()
    reply = execute("job", payload, station, lambda: None)
    assert (reply["accepted"], reply["text"]) == (False, text)
    assert station.asked == []
