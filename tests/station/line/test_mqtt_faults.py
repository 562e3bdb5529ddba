"""A broker that is absent, goes, comes back, freezes or refuses: nothing is lost, nothing waits for it."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from edgekd.errors import EdgekdError
from edgekd.station.line import mqtt_connection, mqtt_session
from edgekd.station.line.mqtt import MqttPublisher

from ..counterparts import required_program
from .mosquitto import Mosquitto, born, publisher_of, queued, run, serving, watching
from .mqtt_scripted import ScriptedStation

PASSWORD = "not-in-any-log"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives a broker less time to answer."""
    for module in (mqtt_connection, mqtt_session):
        monkeypatch.setattr(module, "GOODBYE_SECONDS", 0.2)
    monkeypatch.setattr(mqtt_connection, "ANSWER_SECONDS", 0.5)


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_a_broker_that_returns_gets_what_it_missed_in_order_and_marked(broker: Mosquitto, tmp_path: Path) -> None:
    async def scenario() -> None:
        station = ScriptedStation()
        async with serving(publisher_of(station, broker.port, tmp_path)):
            async with watching(broker.port) as before:
                first_birth = (await born(before))["birth"]
                station.publish(1)
                await before.results(1)
            broker.stop()
            await until(lambda: station.links[-1] == ("broker", False))
            began = time.perf_counter()
            for result_id in range(2, 102):
                station.publish(result_id)
            assert time.perf_counter() - began < 1, "publishing waited for the broker"
            await queued(tmp_path, 100)
            broker.start()
            async with watching(broker.port) as after:
                await after.until(lambda: any((each or {})["result_id"] == 101 for each in after.of("result")))
                station.publish(102)
                await after.until(lambda: (after.of("result")[-1] or {})["result_id"] == 102)
                status = await born(after)
            # The first may come again: the broker may have been stopped before it confirmed it.
            results = [each for each in await after.results(101) if each["result_id"] > 1]
            assert [each["result_id"] for each in results] == list(range(2, 103))
            assert [each["delayed"] for each in results] == [True] * 100 + [False]
            assert {each["birth"] for each in results} == {status["birth"]} != {first_birth}
            assert station.links == [("broker", True), ("broker", False), ("broker", True)]

    run(scenario())


def test_a_station_that_starts_before_its_broker_publishes_when_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        station, broker = ScriptedStation(), Mosquitto(tmp_path)
        async with serving(publisher_of(station, broker.port, tmp_path)):
            await until(lambda: station.links == [("broker", False)])
            station.publish(1)
            await queued(tmp_path, 1)
            await asyncio.sleep(1)
            try:
                broker.start()
                async with watching(broker.port) as watcher:
                    await born(watcher)
                    (result,) = await watcher.results(1)
                    assert (result["result_id"], result["delayed"]) == (1, True)
            finally:
                broker.stop()

    run(scenario())
    complaints = [record.getMessage() for record in caplog.records if "cannot be reached" in record.getMessage()]
    assert len(complaints) == 1, "each attempt was reported"
    assert "check that it runs, mqtt.host, mqtt.port and mqtt.tls" in complaints[0]


@pytest.mark.faults
def test_a_process_that_is_killed_leaves_its_will_and_its_results(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    command = [sys.executable, "-m", f"{__package__}.publishing_process", str(broker.port), str(tmp_path)]

    async def scenario() -> None:
        killed = subprocess.Popen([*command, "1", "20"], stdout=subprocess.PIPE)
        assert killed.stdout is not None
        try:
            await asyncio.to_thread(killed.stdout.readline)  # Results wait: there is no broker yet.
            broker.start()
            async with watching(broker.port) as watcher:
                await watcher.results(20)
                birth = (await born(watcher))["birth"]
                killed.kill()
                began = time.monotonic()
                await watcher.until(lambda: (watcher.of("status")[-1] or {})["online"] is False)
                assert watcher.of("status")[-1] == {"online": False, "birth": birth, "seq": 0}
                assert time.monotonic() - began < 1
            async with watching(broker.port) as late:
                await late.until(lambda: bool(late.of("status")))
                assert late.seen[0].retained
                assert (late.of("status")[0] or {})["online"] is False
        finally:
            killed.kill()
            killed.wait()

    try:
        run(scenario())
    finally:
        broker.stop()


@pytest.mark.faults
def test_results_that_nobody_took_outlast_a_killed_process(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    command = [sys.executable, "-m", f"{__package__}.publishing_process", str(broker.port), str(tmp_path)]

    async def scenario() -> None:
        killed = subprocess.Popen([*command, "1", "20"], stdout=subprocess.PIPE)
        assert killed.stdout is not None
        await asyncio.to_thread(killed.stdout.readline)
        killed.kill()
        killed.wait()
        broker.start()
        station = ScriptedStation()
        async with watching(broker.port) as watcher, serving(publisher_of(station, broker.port, tmp_path)):
            await born(watcher)
            station.publish(21)
            results = await watcher.results(21)
            assert [each["result_id"] for each in results] == list(range(1, 22))
            assert [each["delayed"] for each in results] == [True] * 20 + [False]

    try:
        run(scenario())
    finally:
        broker.stop()


@pytest.mark.faults
def test_a_frozen_broker_holds_up_neither_the_station_nor_its_end(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)

    async def scenario() -> None:
        station = ScriptedStation()
        async with watching(broker.port) as watcher:
            async with serving(publisher_of(station, broker.port, tmp_path)):
                await born(watcher)
                broker.freeze()
                slowest = 0.0
                for result_id in range(1, 51):
                    began = time.perf_counter()
                    station.publish(result_id)
                    await asyncio.sleep(0)
                    slowest = max(slowest, time.perf_counter() - began)
                    await asyncio.sleep(0.01)
                await until(lambda: ("broker", False) in station.links)
                assert slowest < 0.4
                broker.thaw()
                await watcher.until(lambda: len({(each or {})["result_id"] for each in watcher.of("result")}) == 50)
                results = await watcher.results(50)
                await until(lambda: station.links[-1] == ("broker", True))
                # What was sent and not confirmed comes twice, and is told by its id.
                assert [each["result_id"] for each in results if each["delayed"]][:1] == [1]
                assert list(dict.fromkeys(each["result_id"] for each in results)) == list(range(1, 51))
                broker.freeze()
                began = time.monotonic()
            assert time.monotonic() - began < 2
            broker.thaw()

    run(scenario())


@pytest.mark.faults
def test_a_server_that_accepts_and_is_silent_is_left_and_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    quick(monkeypatch)
    accepted, closed = [], []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(1)
        while await reader.read(1024):
            pass
        closed.append(1)
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        station = ScriptedStation()
        async with serving(publisher_of(station, server.sockets[0].getsockname()[1], tmp_path)):
            station.publish(1)
            await until(lambda: len(accepted) == 3)
            assert station.links == [("broker", False)]
            await until(lambda: len(closed) >= 2)
        await until(lambda: len(closed) == 3)
        server.close()
        assert [each for each in asyncio.all_tasks() if "_misc_loop" in repr(each)] == []

    run(scenario())
    assert "does not answer: check that it runs, mqtt.port and mqtt.tls" in caplog.text


def password_file(folder: Path, text: str = PASSWORD, mode: int = 0o600) -> Path:
    path = folder / "password"
    path.write_text(f"{text}\n")
    path.chmod(mode)
    return path


def users_of(folder: Path) -> str:
    """Lines of a broker that knows one user."""
    users = folder / "users"
    tool = required_program("mosquitto_passwd", "mosquitto")
    subprocess.run([tool, "-b", "-c", str(users), "press1", PASSWORD], check=True, capture_output=True)
    return f"allow_anonymous false\npassword_file {users}"


def test_a_wrong_password_is_one_line_that_does_not_hold_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        with Mosquitto(tmp_path, users_of(tmp_path)) as broker:
            station = ScriptedStation()
            wrong = password_file(tmp_path, "wrong-one")
            async with serving(publisher_of(station, broker.port, tmp_path, username="press1", password_file=wrong)):
                await until(lambda: station.links == [("broker", False)])
                await asyncio.sleep(0.6)

    run(scenario())
    lines = [record.getMessage() for record in caplog.records if "MQTT broker" in record.getMessage()]
    assert len(lines) == 1
    assert "refuses the user name or password: check mqtt.username and mqtt.password_file" in lines[0]
    assert "wrong-one" not in caplog.text


def test_tls_and_a_password_lead_to_the_broker_and_to_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "server.pem"))
    lines = f"{users_of(tmp_path)}\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key"
    login = {"username": "press1", "password_file": password_file(tmp_path), "tls": True}

    def to(station: ScriptedStation, port: int, authority: str, **settings: Any) -> Any:
        trusted = {"certificate_authority": tmp_path / authority}
        return serving(publisher_of(station, port, tmp_path, **{**login, **trusted, **settings}))

    async def scenario() -> None:
        with Mosquitto(tmp_path, lines) as broker:
            tls = mqtt_connection.ssl.create_default_context(cafile=tmp_path / "ca.pem")
            watcher_login = {"tls_context": tls, "username": "press1", "password": PASSWORD}
            async with watching(broker.port, **watcher_login) as watcher:
                untrusting, plain, station = ScriptedStation(), ScriptedStation(), ScriptedStation()
                async with to(untrusting, broker.port, "other.pem"), to(plain, broker.port, "ca.pem", tls=False):
                    await until(lambda: untrusting.links == plain.links == [("broker", False)])
                async with to(station, broker.port, "ca.pem"):
                    await born(watcher)
                    station.publish(1)
                    assert (await watcher.results(1))[0]["result_id"] == 1
        with Mosquitto(tmp_path) as unencrypted:
            station = ScriptedStation()
            async with to(station, unencrypted.port, "ca.pem"):
                await until(lambda: station.links == [("broker", False)])

    run(scenario())
    assert "has a certificate that is not trusted: check mqtt.host and mqtt.certificate_authority" in caplog.text
    assert "does not answer: check that it runs, mqtt.port and mqtt.tls" in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": 0o644}, "is open to other users (mode 0644): run chmod 600"),
        ({"mode": 0o640}, "is open to other users (mode 0640): run chmod 600"),
        ({"text": ""}, "must hold one line"),
        ({"text": "one\ntwo"}, "must hold one line"),
        ({"text": "x" * 5000}, "must hold one line of at most 4096 bytes"),
    ],
)
def test_a_password_that_others_can_read_or_that_is_none_is_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    path = password_file(tmp_path, **settings)
    with pytest.raises(EdgekdError, match=r"^mqtt\.password_file: ") as caught:
        publisher_of(ScriptedStation(), 1883, tmp_path, username="press1", password_file=path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"commands": ("job",)}, "mqtt.commands needs a broker that knows its users"),
        ({"username": "press1"}, "mqtt.username and mqtt.password_file go together"),
        ({"username": "press1", "password_file": Path("absent")}, "absent cannot be read: No such file"),
        ({"tls": True, "certificate_authority": Path("absent.pem")}, "absent.pem cannot be read: No such file"),
        ({"tls": True, "certificate_authority": Path(__file__)}, "cannot be read: no PEM file"),
        ({"base": "edgekd/#"}, "mqtt.base must be"),
        ({"port": 0}, "mqtt.host and mqtt.port must name the broker"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EdgekdError, match=r"^mqtt\.") as caught:
        publisher_of(ScriptedStation(), **{"port": 1883, "folder": tmp_path, **settings})
    assert message in str(caught.value)


def test_a_host_that_does_not_exist_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        station = ScriptedStation()
        publisher: MqttPublisher = publisher_of(station, 1883, tmp_path, host="broker..invalid")
        async with serving(publisher):
            await until(lambda: station.links == [("broker", False)])

    run(scenario())
    assert "broker..invalid:1883 cannot be reached" in caplog.text


def test_a_socket_that_closed_before_its_loop_watches_it_is_left_alone() -> None:
    """Its number may be that of another connection of the station by then."""

    async def scenario() -> None:
        errors: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        client, lost = mqtt_connection.Client("127.0.0.1"), socket.socket()
        client._on_socket_register_write(client._client, None, lost)
        lost.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert errors == []

    run(scenario())


@pytest.mark.faults
def test_a_station_ends_at_once_whatever_its_connection_is_doing(broker: Mosquitto, tmp_path: Path) -> None:
    async def scenario() -> None:
        errors: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        for attempt in range(30):
            station = ScriptedStation()
            serving = asyncio.ensure_future(publisher_of(station, broker.port, tmp_path / str(attempt)).run())
            await asyncio.sleep(0)
            for result_id in range(1, 21):
                station.publish(result_id)
            await asyncio.sleep(attempt * 0.005)
            serving.cancel()
            await asyncio.wait([serving], timeout=5)
            assert serving.cancelled()
        gc.collect()
        assert errors == []

    run(scenario(), 60)


@pytest.mark.faults
def test_two_clients_of_one_name_do_not_throw_each_other_out_for_ever(broker: Mosquitto, tmp_path: Path) -> None:
    """A second process of the same station: back-off keeps the quarrel slow, and it is reported."""

    async def scenario() -> None:
        one, two = ScriptedStation(), ScriptedStation()
        async with (
            serving(publisher_of(one, broker.port, tmp_path / "one")),
            serving(publisher_of(two, broker.port, tmp_path / "two")),
        ):
            await asyncio.sleep(3)
        assert len(one.links) + len(two.links) < 20
        assert ("broker", False) in one.links + two.links

    run(scenario())
